"""What is written is written whole or not at all: full disks, locked folders, newer files, links, odd names."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import crashing
import polars as pl
import pytest

import engagekit as ek
from engagekit import workshop
from engagekit._base import atomic_files
from engagekit._base.atomic_files import write_whole, writing
from engagekit.definition import Definition
from engagekit.errors import DefinitionError, EngagekitError, StoredFileError
from engagekit.workshop.session import Session

posix = pytest.mark.skipif(os.name != "posix", reason="limits and permissions of POSIX systems")
LOG = crashing.log(60)


def definition(**changes: object) -> Definition:
    return Definition(**({"name": "Own", "activation": "a", "core": "b"} | changes))


@contextlib.contextmanager
def room_for(size: int):
    """Let no file of this process grow beyond a size: the system then refuses to write, as it does on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def journeys():
    return ek.rollup(LOG, crashing.DEFINITION)


def listed(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: p.read_bytes() for name, p in found.items() if p.name != ".session.lock"}


def some_writers(folder: Path, journeys: ek.Journeys):
    session = Session(folder)
    return {
        "definition": lambda: definition(name="x" * 5000).save(folder / "definition.toml"),
        "session": lambda: session.note("a", "x" * 5000),
        "vote": lambda: session.vote("Ada", "habit"),
        "define": lambda: session.define(definition(name="y" * 5000)),
        "record": session.export,
        "journeys": lambda: journeys.save(folder / "journeys"),
        "report": lambda: ek.report(journeys, folder / "report.html"),
        "compare": lambda: workshop.compare(folder.parent),
    }


@pytest.mark.thorough
@posix
@pytest.mark.parametrize("what", ["definition", "session", "vote", "define", "record", "journeys", "compare"])  # fmt: skip
@pytest.mark.parametrize("size", [0, 150, 2500])
def test_a_full_disk_is_a_clear_error_and_changes_nothing(tmp_path, journeys, what, size):
    folder = tmp_path / "team"
    write = some_writers(folder, journeys)[what]
    definition().save(folder / "definition.toml")
    Session(folder).note("kept", "words")
    journeys.save(folder / "journeys")
    before = listed(tmp_path)
    with room_for(size):
        try:
            write()
        except StoredFileError as error:
            assert "could not be written (" in str(error)  # noqa: PT017
            assert "Make room" in str(error)  # noqa: PT017
            now = listed(tmp_path)
            for each in (now, before):
                each.pop("team/decision-record.md", None)  # the first of two, each whole by itself
            assert now == before
        else:
            assert size == 2500
    assert Session(folder).part("notes")["kept"] == "words"
    assert ek.Journeys.load(folder / "journeys").users.height == 60
    write()
    assert not [name for name in listed(tmp_path) if name.endswith(".part")]


@pytest.mark.thorough
@posix
def test_a_report_that_does_not_fit_is_not_begun(tmp_path, journeys):
    (tmp_path / "report.html").write_text("last week's", encoding="utf-8")
    with room_for(1000), pytest.raises(StoredFileError, match="could not be written"):
        ek.report(journeys, tmp_path / "report.html")
    assert listed(tmp_path) == {"report.html": b"last week's"}


@pytest.mark.thorough
@posix
def test_preparing_goes_on_once_there_is_room(tmp_path, monkeypatch):
    monkeypatch.setattr("engagekit.rollups.prepare.BUCKET", 30)
    monkeypatch.setattr("engagekit.rollups.prepare.SLICE", 40)
    for number, size in enumerate((0, 300, 700, 900)):
        folder = tmp_path / str(number)
        with room_for(size), pytest.raises(StoredFileError, match="could not be written"):
            ek.prepare_events(LOG, folder, progress=False)
        ek.prepare_events(LOG, folder, progress=False)
        assert ek.rollup(folder, crashing.DEFINITION).users.height == 60
        assert {p.name for p in folder.iterdir()} == {"buckets", "prepared.json"}


@posix
@pytest.mark.parametrize("size", [0, 1000, 5000])
def test_a_workshop_goes_on_once_there_is_room(tmp_path, size):
    given = {"events": LOG, "definition": crashing.DEFINITION, "users": LOG.select("user_id").unique()}  # fmt: skip
    with room_for(size), pytest.raises(StoredFileError, match="could not be written"):
        workshop.start(tmp_path / "ws", **given)
    made = workshop.start(tmp_path / "ws", **given)
    assert Session(made[0]).journeys().users.height == 60


@posix
def test_journeys_on_disk_that_do_not_fit(tmp_path, journeys):
    journeys.save(tmp_path)
    with room_for(500), pytest.raises(StoredFileError, match="could not be written"):
        ek.rollup(LOG, crashing.DEFINITION, into=tmp_path)
    assert ek.Journeys.load(tmp_path).users.equals(journeys.users)


def test_only_faults_of_writing_are_taken_for_such():
    with pytest.raises(pl.exceptions.ColumnNotFoundError), writing("x"):
        pl.DataFrame({"a": [1]}).select("b")
    with pytest.raises(ZeroDivisionError), writing("x"):
        1 / 0  # noqa: B018


@contextlib.contextmanager
def locked(folder: Path):
    """Take the right to write to a folder away, from the root user too."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@posix
def test_a_locked_folder_can_be_read_and_says_that_it_is_locked(journeys):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        session = Session(folder)
        session.note("a", "words")
        session.export()
        for left in folder.glob(".session.lock"):
            left.unlink()
        before = listed(folder)
        with locked(folder):
            opened = Session(folder)
            assert opened.part("notes") == {"a": "words"}
            for write in (
                lambda: opened.note("a", "other"),
                lambda: opened.define(definition()),
                lambda: definition().save(folder / "definition.toml"),
                opened.export,
                lambda: journeys.save(folder / "journeys"),
                lambda: ek.prepare_events(LOG, folder / "log", progress=False),
                lambda: workshop.start(folder / "ws"),
                lambda: Session(folder / "new"),
            ):
                with pytest.raises(StoredFileError, match="Permission denied"):
                    write()
        assert listed(folder) == before


def test_a_session_where_a_file_lies(tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoredFileError, match="could not be written"):
            Session(place)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_newer_files_are_refused_and_never_overwritten(tmp_path, journeys):
    (tmp_path / "definition.toml").write_text("schema_version = 99\nnew = true\n", encoding="utf-8")
    (tmp_path / "session.json").write_text('{"schema_version": 99, "new": []}', encoding="utf-8")
    (tmp_path / "journeys.json").write_text('{"schema_version": 99}', encoding="utf-8")
    (tmp_path / "users-0123456789ab.parquet").write_bytes(b"of the newer one")
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "prepared.json").write_text('{"schema_version": 99}', encoding="utf-8")
    before = listed(tmp_path)
    for act in (
        lambda: Definition.load(tmp_path / "definition.toml"),
        lambda: definition().save(tmp_path / "definition.toml"),
        lambda: Session(tmp_path),
        lambda: ek.Journeys.load(tmp_path),
        lambda: journeys.save(tmp_path),
        lambda: ek.rollup(LOG, crashing.DEFINITION, into=tmp_path),
        lambda: ek.prepare_events(LOG, tmp_path / "log", progress=False),
        lambda: ek.rollup(tmp_path / "log", crashing.DEFINITION),
    ):
        with pytest.raises(StoredFileError, match=r"newer engagekit"):
            act()
    assert listed(tmp_path) == before


def test_older_journeys_are_refused_with_the_command_that_makes_them_anew(tmp_path, journeys):
    journeys.save(tmp_path)
    known = json.loads((tmp_path / "journeys.json").read_text(encoding="utf-8"))
    older = json.dumps(known | {"schema_version": known["schema_version"] - 1})
    (tmp_path / "journeys.json").write_text(older, encoding="utf-8")
    with pytest.raises(
        StoredFileError, match=r"older engagekit.*ek\.rollup\(log, definition, into="
    ):
        ek.Journeys.load(tmp_path)
    journeys.save(tmp_path)
    assert ek.Journeys.load(tmp_path).users.height == journeys.users.height


def test_a_team_cannot_overwrite_a_newer_definition(tmp_path):
    session = Session(tmp_path)
    (tmp_path / "definition.toml").write_text("schema_version = 99\n", encoding="utf-8")
    with pytest.raises(StoredFileError, match="newer"):
        session.define(definition())


def test_a_broken_definition_can_be_replaced(tmp_path):
    (tmp_path / "definition.toml").write_bytes(b"\xff not toml")
    definition().save(tmp_path / "definition.toml")
    assert Definition.load(tmp_path / "definition.toml").name == "Own"


def test_a_name_that_no_file_can_hold(tmp_path):
    with pytest.raises(DefinitionError, match="cannot be written as TOML"):
        definition(name="half a character \ud800").save(tmp_path / "definition.toml")
    assert listed(tmp_path) == {}


def test_saving_journeys_clears_away_nothing_but_its_own(tmp_path, journeys):
    strangers = ["sales-202601010000.parquet", "users-2026.parquet", "users-0123456789AB.parquet"]
    for name in strangers:
        (tmp_path / name).write_bytes(b"years of work")
    for _ in range(2):
        journeys.save(tmp_path)
    names = {p.name for p in tmp_path.iterdir()}
    assert names >= set(strangers)
    ours = [n for n in names if re.fullmatch(r"(users|steps|early|days)-[0-9a-f]{12}\.parquet", n)]
    assert len(ours) == 4


def test_journeys_stay_where_the_list_of_tables_is_broken(tmp_path, journeys):
    journeys.save(tmp_path)
    (tmp_path / "journeys.json").write_text("{", encoding="utf-8")
    before = listed(tmp_path)
    with pytest.raises(StoredFileError, match="cannot be read"):
        ek.Journeys.load(tmp_path)
    assert listed(tmp_path) == before
    journeys.save(tmp_path)
    assert ek.Journeys.load(tmp_path).users.equals(journeys.users)


@posix
def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("old", encoding="utf-8")
    link.symlink_to(real)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    real.unlink()
    write_whole(link, b"made")
    assert real.read_bytes() == b"made"


@posix
def test_paths_that_are_none(tmp_path):
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    for path in ("", "a\0b", "/", tmp_path, tmp_path / "ring", tmp_path / "no" / "x", tmp_path / ("x" * 300)):  # fmt: skip
        with pytest.raises(StoredFileError, match="could not be written"):
            write_whole(path, b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["ring"]


@pytest.mark.parametrize("name", ["x" * 240 + ".toml", "ä" * 110 + ".toml", "[a]*?.toml"[: 3 if sys.platform == "win32" else None], ".toml"])  # fmt: skip
def test_long_and_odd_names_can_be_written_twice(tmp_path, name):
    for content in (b"one", b"two"):
        write_whole(tmp_path / name, content)
    assert listed(tmp_path) == {name: b"two"}


def test_what_killed_processes_left_is_cleared_after_a_day(tmp_path):
    stale, fresh, other = (
        tmp_path / f".{name}.0123456789ab.part" for name in ("a.toml", "a.toml2", "b.toml")
    )
    recent = tmp_path / ".a.toml.ba9876543210.part"
    for path in (stale, fresh, other, recent):
        path.write_bytes(b"half")
    now = recent.stat().st_mtime
    for path in (stale, fresh, other):
        os.utime(path, (now - 2 * atomic_files.A_DAY,) * 2)
    write_whole(tmp_path / "a.toml", b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [fresh.name, other.name, recent.name, "a.toml"]
    )


def test_names_are_flushed_with_the_files(tmp_path, monkeypatch):
    flushed = []
    real = os.fsync

    def fsync(number: int) -> None:
        path = Path(f"/proc/self/fd/{number}")
        flushed.append(path.resolve() if path.exists() else None)
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "a.toml", b"x")
    assert len(flushed) == (2 if os.name == "posix" else 1)
    if sys.platform == "linux":
        assert flushed[0].name.endswith(".part")
        assert flushed[1] == tmp_path


def test_a_workshop_left_half_done_is_no_team(tmp_path):
    workshop.start(tmp_path / "ws", events=LOG, definition=crashing.DEFINITION, teams=["A"])
    left = tmp_path / "ws" / ".windows-abc"
    left.mkdir()
    (left / "session.json").write_text('{"schema_version": 1}', encoding="utf-8")
    assert [t.team for t in workshop.teams_in(tmp_path / "ws")] == ["A"]
    assert "windows" not in workshop.compare(tmp_path / "ws").read_text(encoding="utf-8")
    old = left.stat().st_mtime - 2 * atomic_files.A_DAY
    os.utime(left, (old, old))
    workshop.start(tmp_path / "ws", teams=["B"])
    assert not left.exists()


def test_what_a_session_cannot_hold_is_refused_before_it_is_written(tmp_path):
    session = Session(tmp_path)
    session.note("kept", "words")
    for write in (
        lambda: session.update("plan", {"look_again": object()}),
        lambda: session.replace("plan", {"baseline": float("nan")}),
        lambda: session.update("plan", {3: "x"}),
        lambda: session.set("mixed", {1: "a", "b": 2}),
        lambda: session.update("about", {"events": 5}),
        lambda: session.replace("about", {"team": None}),
    ):
        with pytest.raises(EngagekitError, match="stay as they are"):
            write()
    assert Session(tmp_path).part("notes") == {"kept": "words"}
    session.note("half", "\ud800")
    assert Session(tmp_path).part("notes")["half"] == "\ud800"
    assert json.loads((tmp_path / "session.json").read_text(encoding="utf-8"))["notes"]["half"] == "\ud800"  # fmt: skip
    session.export()
