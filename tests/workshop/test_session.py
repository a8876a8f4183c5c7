from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engagekit as ek
from engagekit.errors import EngagekitError, ParameterError, StoredFileError
from engagekit.workshop.session import PARTS, Session


def test_a_session_opened_later_shows_the_same_state(tmp_path):
    session = Session(tmp_path / "Team A")
    session.set("habit target", 0.5)
    session.note("curves", "week 4 matters\n")
    session.decide("activation event", "first_project", today=date(2026, 7, 1))
    session.vote(" Ada ", "habit")
    session.update("plan", {"owner": "Product", "weeks": 6})
    again = Session(tmp_path / "Team A")
    assert again.get("habit target") == 0.5
    assert again.part("notes") == {"curves": "week 4 matters"}
    assert again.part("decisions") == {
        "activation event": {"answer": "first_project", "on": "2026-07-01"}
    }
    assert again.part("votes") == {"Ada": "habit"}
    assert again.part("plan") == {"owner": "Product", "weeks": 6}
    assert again.team == "Team A"


def test_what_is_taken_back_is_gone(tmp_path):
    session = Session(tmp_path)
    session.vote("Ada", "habit")
    session.vote("Ada", None)
    session.note("a", "x")
    session.note("a", " ")
    session.decide("q", 1)
    session.decide("q", None)
    session.set("kept", False)
    assert [session.part(p) for p in ("votes", "notes", "decisions", "controls")] == [
        {},
        {},
        {},
        {"kept": False},
    ]
    session.reset("controls")
    assert session.get("kept", "nothing") == "nothing"


def test_what_cannot_be_kept_is_refused(tmp_path):
    session = Session(tmp_path)
    for value in (float("nan"), object(), {1, 2}):
        with pytest.raises(ParameterError, match="cannot be stored"):
            session.set("x", value)
    with pytest.raises(ParameterError, match="Did you mean 'votes'"):
        session.part("vote")
    with pytest.raises(ParameterError, match="needs the name"):
        session.vote("  ", "habit")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "3",
        '{"schema_version": "1"}',
        '{"schema_version": 2, "votes": []}',
        '{"schema_version": 99}',
        "\x00",
    ],
)
def test_a_broken_or_newer_file_is_refused_and_left_as_it_is(tmp_path, content):
    (tmp_path / "session.json").write_text(content, encoding="utf-8")
    with pytest.raises(StoredFileError, match="session"):
        Session(tmp_path)
    assert (tmp_path / "session.json").read_text(encoding="utf-8") == content


@pytest.mark.parametrize("version", [1, 2])
def test_what_an_older_file_holds_is_a_draft(tmp_path, version):
    """Both formats wrote a decision whenever a notebook ran; nobody can tell which were meant."""
    old = {
        "schema_version": version, "plan": {"link": "habit", "owner": "Dana"}, "votes": {"Ada": "habit"},
        "decisions": {"Which?": {"answer": "this", "on": "2026-01-01"}}, "controls": {"target votes": {"Ada": [0.4]}},
    }  # fmt: skip
    (tmp_path / "session.json").write_text(json.dumps(old), encoding="utf-8")
    session = Session(tmp_path)
    assert session.part("plan") == {"link": "habit", "owner": "Dana", "draft": True}
    assert session.part("decisions")["Which?"] == {"answer": "this", "on": "2026-01-01", "draft": True}  # fmt: skip
    assert (session.votes(), session.votes("target votes")) == ({"Ada": "habit"}, {"Ada": [0.4]})
    assert json.loads((tmp_path / "session.json").read_text("utf-8")) == old, (
        "reading changes nothing"
    )
    session.vote("Ben", "depth")
    stored = json.loads((tmp_path / "session.json").read_text("utf-8"))
    assert (stored["schema_version"], stored["plan"]["draft"]) == (3, True)


def test_a_plan_is_a_draft_until_it_is_settled_and_then_stands(tmp_path):
    session = Session(tmp_path)
    session.propose({"link": "habit"})
    assert session.part("plan") == {"link": "habit", "draft": True}
    with pytest.raises(ParameterError, match="Say who decides"):
        session.settle({"link": "habit"}, on=date(2026, 7, 1), by=" ")
    session.settle({"link": "habit"}, on=date(2026, 7, 1), by="Dana")
    decided = {"link": "habit", "decided_on": "2026-07-01", "decided_by": "Dana"}
    session.propose({"link": "depth"})
    assert (session.part("plan"), session.part("draft")) == (decided, {"link": "depth"})
    session.settle({"link": "depth"}, on=date(2026, 8, 1), by="Ed")
    assert session.part("plan")["earlier"] == [decided]
    assert session.part("draft") == {}


def test_a_ballot_that_is_none_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="no such ballot"):
        Session(tmp_path).vote("Ada", "habit", ballot="vote")


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda t: json.dumps({"schema_version": 1, t: t}).encode())
)
def test_any_file_is_a_session_or_our_own_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("s")
    (folder / "session.json").write_bytes(content)
    try:
        session = Session(folder)
    except EngagekitError:
        return
    assert all(isinstance(session.part(p), dict) for p in PARTS)


def write_many(folder: str, name: str) -> None:
    session = Session(folder)
    for number in range(25):
        session.set(f"{name} {number}", number)


@pytest.mark.thorough
def test_two_notebooks_open_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=write_many, args=(str(tmp_path), name)) for name in ("one", "two")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Session(tmp_path).part("controls")) == 50


WRITER = """
import sys
from engagekit.workshop import Session
session = Session(sys.argv[1])
print("ready", flush=True)
for number in range(100_000):
    session.update("controls", {"a": number, "b": number, "long": "x" * 5_000})
"""


def kill_while_writing(folder, *, after: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, env=os.environ
    )
    process.stdout.readline()
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_killed_at_any_moment_the_file_is_whole(tmp_path):
    last = -1
    for number in range(60):
        kill_while_writing(tmp_path, after=0.001 + number * 0.0007)
        controls = Session(tmp_path).part("controls")
        assert controls.get("a") == controls.get("b")
        last = max(last, controls.get("a", -1))
    assert last > 0


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    session = Session(tmp_path)
    session.set("a", 1)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoredFileError, match="No space left"):
        session.set("a", 2)
    assert session.get("a") == 1
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


def test_the_definition_is_kept_in_the_folder(tmp_path):
    session = Session(tmp_path)
    session.define(ek.Definition(name="Own", activation="a", core="b"))
    assert Session(tmp_path).definition.name == "Own"


def test_targets_are_those_the_team_set(tmp_path):
    session = Session(tmp_path)
    assert session.targets() is None
    session.set("targets", {"activation": 35, "habit": 50, "depth": 0})
    assert session.targets() == {"activation": 0.35, "habit": 0.5}
    session.set("targets", {"activation": 0})
    assert session.targets() == {}
