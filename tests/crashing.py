"""A process that forks, lets the child write, and kills it in the middle; test_crashes tells it what and when.

It imports everything once and computes nothing itself, so that a child costs milliseconds.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import engagekit as ek
from engagekit import workshop
from engagekit.definition import Definition
from engagekit.journeys.tables import Journeys
from engagekit.rollups import prepare
from engagekit.workshop import forget
from engagekit.workshop.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 1, tzinfo=UTC)
DEFINITION = Definition(signup="signup", activation="make", core="make")


def log(users: int = 400) -> pl.DataFrame:
    rows = [
        (f"user {u}", event, START + timedelta(hours=u % 50 + 24 * k))
        for u in range(users)
        for k, event in enumerate(["signup", "make", "view", "make"][: 1 + u % 4])
    ]
    return pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")


def definitions(folder: Path) -> Iterator[None]:
    for number in itertools.count():
        name = f"{number} " * 300
        Definition(name=name, activation=name, core=name).save(folder / "definition.toml")
        yield


def sessions(folder: Path) -> Iterator[None]:
    session = Session(folder)
    for number in itertools.count():
        session.update("controls", {"a": number, "b": number, "long": "x" * 5000})
        session.vote("Ada", str(number))
        yield


def journeys(folder: Path) -> Iterator[None]:
    made = Journeys.load(folder)
    for number in itertools.count():
        named = dataclasses.replace(made.definition, name=str(number))
        users = made.users.with_columns(pl.lit(number).alias("number"))
        dataclasses.replace(made, users=users, definition=named).save(folder)
        yield


def prepared(folder: Path) -> Iterator[None]:
    prepare.BUCKET, prepare.SLICE = 150, 200
    prepare.prepare_events(log(), folder / "log", progress=False)
    yield


def workshops(folder: Path) -> Iterator[None]:
    prepare.BUCKET, prepare.SLICE = 150, 200
    workshop.start(folder / "ws", events=log(), definition=DEFINITION, teams=["A", "B"])
    yield


def forgotten(folder: Path) -> Iterator[None]:
    forget("user 7", folder)
    yield


ENDLESS = {"definitions": definitions, "sessions": sessions, "journeys": journeys}
ONCE = {"prepared": prepared, "workshops": workshops, "forgotten": forgotten}


def child(what: str, folder: Path, ready: int) -> None:
    """Do the work; never returns. Says when it is about to begin."""
    code = 1
    try:
        pl.DataFrame({"a": [1]}).lazy().select(pl.len()).collect()
        work = (ENDLESS | ONCE)[what](folder)
        if what in ENDLESS:
            next(work)
        os.write(ready, b"r")
        for _ in work:
            pass
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def kill(what: str, folder: Path, after: float) -> str:
    """Start a child, and kill it some seconds after it began; say what became of it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(what, folder, write)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return "killed" if os.WIFSIGNALED(status) else f"ended with {os.waitstatus_to_exitcode(status)}"


if __name__ == "__main__":
    ek.simulate, ek.rollup, ek.prioritize  # noqa: B018 # loads what children need
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(kill(order["what"], Path(order["folder"]), order["after"]), flush=True)
