"""Killed at any moment: whatever was being written is there as it was or as it became, whole and readable."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import crashing
import polars as pl
import pytest

import engagekit as ek
from engagekit import workshop
from engagekit.errors import StoredFileError
from engagekit.journeys import storage
from engagekit.rollups.prepared_log import open_prepared
from engagekit.workshop.session import Session

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no fork and no SIGKILL"),
]
KILLS = {"definitions": 80, "sessions": 80, "journeys": 40, "prepared": 30, "workshops": 12}


class Killer:
    """Orders kills from a process that has everything loaded."""

    def __init__(self) -> None:
        script = Path(crashing.__file__)
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self.process.stdout.readline() == "ready\n"

    def kill(self, what: str, folder: Path, after: float) -> str:
        order = json.dumps({"what": what, "folder": str(folder), "after": after})
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture(scope="module")
def killer():
    made = Killer()
    yield made
    made.close()


def delays(what: str, unit: float):
    rng = random.Random(what)
    return (rng.uniform(0, unit) for _ in range(10 * KILLS[what]))


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_definition_and_session_are_whole(killer, tmp_path):
    unfinished = 0
    for what in ("definitions", "sessions"):
        last = -1
        for number, after in zip(range(KILLS[what]), delays(what, 0.02), strict=False):
            assert killer.kill(what, tmp_path, after) == "killed", number
            found = read_definition(tmp_path) if what == "definitions" else read_session(tmp_path)
            last = max(last, found)
        unfinished += len([*tmp_path.glob(".*.part")])
        assert last > 0
    assert unfinished > 0, "none was killed in the middle of writing"


def read_definition(folder: Path) -> int:
    found = ek.Definition.load(folder / "definition.toml")
    assert found.name == found.activation == found.core
    return int(found.name.split()[0])


def read_session(folder: Path) -> int:
    session = Session(folder)
    controls = session.part("controls")
    assert controls["a"] == controls["b"]
    assert 0 <= controls["a"] - int(session.part("votes")["Ada"]) <= 1
    return controls["a"]


def test_journeys_are_the_old_or_the_new(killer, tmp_path):
    ek.rollup(crashing.log(), crashing.DEFINITION).save(tmp_path)
    expected = ek.Journeys.load(tmp_path)
    seen = set()
    for after in [*delays("journeys", 0.1)][: KILLS["journeys"]]:
        assert killer.kill("journeys", tmp_path, after) == "killed"
        found = ek.Journeys.load(tmp_path)
        assert found.users["number"].unique().to_list() == [int(found.definition.name)]
        assert found.users.drop("number").equals(expected.users.select(found.users.columns[:-1]))
        assert found.days.equals(expected.days)
        seen.add(int(found.definition.name))
    assert len(seen) > 1
    found.save(tmp_path)
    assert len([*tmp_path.glob("*.parquet")]) == len(storage.NAMES), (
        "what was left behind is cleared away"
    )


def test_a_prepared_log_is_whole_or_goes_on(killer, tmp_path):
    folder, log = tmp_path / "log", crashing.log()
    sure = tmp_path / "sure"
    sure.mkdir()
    unit = seconds(lambda: next(crashing.prepared(sure)))
    kills = rounds = 0
    for after in delays("prepared", unit):
        ended = killer.kill("prepared", tmp_path, after)
        kills += ended == "killed"
        if (folder / "prepared.json").exists():
            assert whole(folder, log)
        elif (folder / "preparing.json").exists():
            with pytest.raises(StoredFileError, match="was interrupted"):
                open_prepared(folder)
        assert ended in {"killed", "ended with 0"}
        if ended != "killed":
            assert whole(folder, log)
            rounds += 1
            folder.rename(tmp_path / f"log {rounds}")
        if kills == KILLS["prepared"]:
            break
    assert kills == KILLS["prepared"]
    next(crashing.prepared(tmp_path))
    assert whole(folder, log)


def whole(folder: Path, log: pl.DataFrame) -> bool:
    found = open_prepared(folder).log.with_columns(pl.col("event").cast(pl.String)).collect()
    return found.sort(log.columns).equals(log.sort(log.columns), null_equal=True)


def test_a_workshop_is_never_half(killer, tmp_path):
    unit = seconds(lambda: next(crashing.workshops(tmp_path / "sure")))
    kills = 0
    for after in delays("workshops", unit):
        ended = killer.kill("workshops", tmp_path, after)
        assert ended in {"killed", "ended with 0"}
        kills += ended == "killed"
        sound(tmp_path / "ws")
        if ended != "killed":
            (tmp_path / "ws").rename(tmp_path / f"ws {after}")
        if kills == KILLS["workshops"]:
            break
    assert kills == KILLS["workshops"]
    next(crashing.workshops(tmp_path))
    teams = workshop.teams_in(tmp_path / "ws")
    assert [t.team for t in teams] == ["A", "B"]
    assert [t.journeys().users.height for t in teams] == [400, 400]


def sound(folder: Path) -> None:
    """Hold that whatever is there can be read."""
    for path in folder.glob("[!.]*/*"):
        if path.name.startswith("."):
            continue
        if path.suffix == ".ipynb":
            assert json.loads(path.read_text(encoding="utf-8"))["cells"]
        if path.name == "definition.toml":
            assert ek.Definition.load(path).core == "make"
    for path in folder.glob("[!.]*/session.json"):
        assert Session(path.parent).part("about")["events"] == "../log"
