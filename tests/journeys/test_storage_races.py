"""Several at once, parts that are missing, disks that are full: journeys on disk count whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import json
import multiprocessing
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import crashing
import polars as pl
import pytest
from test_storage import listed, posix, room_for

import engagekit as ek
from engagekit.errors import EventLogError, StoredFileError
from engagekit.journeys import storage
from engagekit.journeys.schema import TABLES
from engagekit.rollups import prepare

if TYPE_CHECKING:
    from pathlib import Path

USERS = 120
LOG = crashing.log(USERS)
STEPS = [ek.Step("Make", reached="signup", completed="make")]
D = dataclasses.replace(crashing.DEFINITION, steps=STEPS)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(prepare, "BUCKET", 40)
    monkeypatch.setattr(prepare, "SLICE", 60)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "BUCKET", 40)
        folder = tmp_path_factory.mktemp("log")
        return ek.prepare_events(LOG, folder, progress=False)


@pytest.fixture(scope="module")
def expected():
    return ek.rollup(LOG, D)


def tables(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name != "journeys.json")


def whole(journeys, expected) -> bool:
    def in_order(frame):
        return frame.lazy().collect().sort(frame.lazy().collect_schema().names())

    return all(
        in_order(getattr(journeys, name)).equals(in_order(getattr(expected, name)))
        for name in TABLES
    )


def at_part(number, act):
    """Do something once, when so many parts are done."""
    done = []

    def tick(count, _):
        if count == number and not done:
            done.append(act())

    return tick, done


def test_of_two_rollups_into_one_folder_the_last_to_finish_wins_whole(log, expected, tmp_path):
    other = ek.Definition(name="Other", signup="signup", activation="view", core="make")
    tick, done = at_part(2, lambda: ek.rollup(log, other, into=tmp_path))
    first = ek.rollup(log, D, into=tmp_path, progress=tick)
    assert whole(first, expected)
    for lazy in (True, False):
        assert whole(ek.Journeys.load(tmp_path, lazy=lazy), expected)
    assert ek.Journeys.load(tmp_path).definition.activation == "make"
    assert len(tables(tmp_path)) == len(TABLES), "and what lost is cleared away"
    assert len(done) == 1


@pytest.mark.thorough
def test_what_was_replaced_is_no_longer_read_and_says_why(log, tmp_path):
    first = ek.rollup(log, D, into=tmp_path)
    narrowed, part = first.where(signed_up=("2026-01-01", None)), next(iter(first.parts()))
    assert ek.prioritize(first).verdict
    ek.rollup(log, D, into=tmp_path)
    for act in (
        lambda: ek.prioritize(first),
        lambda: ek.metrics(first),
        lambda: ek.cohort_curves(narrowed),
        lambda: ek.diagnose(part),
        lambda: first.users,
        lambda: repr(first),
        lambda: first.save(tmp_path / "copy"),
        lambda: first.at("2026-01-03"),
    ):
        with pytest.raises(StoredFileError, match=r"no longer there.*Journeys\.load\("):
            act()


@pytest.mark.thorough
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("lazy", [True, False])
def test_a_part_that_is_missing_or_short_is_refused(log, tmp_path, table, lazy):
    ek.rollup(log, D, into=tmp_path)
    parts = sorted(next(tmp_path.glob(f"{table}-*")).glob("*.parquet"))
    part = max(parts[1:], key=lambda part: pl.read_parquet(part).height)
    content, rows = part.read_bytes(), ek.Journeys.load(tmp_path).users.height
    assert rows == USERS
    part.unlink()
    with pytest.raises(StoredFileError, match=r"not complete: .*is missing.*Copy the folder again"):
        ek.Journeys.load(tmp_path, lazy=lazy)
    part.write_bytes(content)
    if height := pl.read_parquet(part).height:  # nobody here did anything late
        fewer = min(1, height - 1)
        pl.read_parquet(part).head(fewer).write_parquet(part)
        with pytest.raises(StoredFileError, match=rf"not complete: .*has {fewer} of \d+ rows"):
            ek.Journeys.load(tmp_path, lazy=lazy)
    part.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoredFileError, match="not complete"):
        ek.Journeys.load(tmp_path, lazy=lazy)
    part.write_bytes(content)
    shutil.copy(part, part.with_name("99999.parquet"))  # what the list does not name is nobody's
    assert ek.Journeys.load(tmp_path, lazy=lazy).users.lazy().collect().height == USERS


def test_saved_journeys_are_checked_too(expected, tmp_path):
    expected.save(tmp_path)
    held = json.loads((tmp_path / "journeys.json").read_text(encoding="utf-8"))
    assert [list(parts.values()) for parts in held["parts"].values()] == [
        [getattr(expected, name).height] for name in TABLES
    ]
    next(tmp_path.glob("steps-*")).unlink()
    with pytest.raises(StoredFileError, match="not complete"):
        ek.Journeys.load(tmp_path)


def test_a_list_that_names_files_elsewhere_is_not_followed(expected, tmp_path):
    expected.save(tmp_path / "a")
    expected.save(tmp_path / "b")
    held = json.loads((tmp_path / "a" / "journeys.json").read_text(encoding="utf-8"))
    part = held["tables"]["users"]
    for named in (f"../a/{part}", str(tmp_path / "a" / part), "users.parquet", f"{part}/../x", part.replace("users", "days")):  # fmt: skip
        told = held | {"parts": held["parts"] | {"users": {named: USERS}}}
        (tmp_path / "b" / "journeys.json").write_text(json.dumps(told), encoding="utf-8")
        with pytest.raises(StoredFileError, match=r"cannot be read \(ValueError: .* is no part of"):
            ek.Journeys.load(tmp_path / "b")


def test_journeys_of_an_older_format_are_refused_with_the_cure_and_can_be_replaced(
    expected, tmp_path
):
    old = {"schema_version": 1, "tables": {"users": "users-0123456789ab.parquet"}}
    (tmp_path / "journeys.json").write_text(json.dumps(old), encoding="utf-8")
    (tmp_path / "users-0123456789ab.parquet").write_bytes(b"of the older one")
    for lazy in (True, False):
        with pytest.raises(StoredFileError, match=r"older engagekit.*ek\.rollup\(log, .*into="):
            ek.Journeys.load(tmp_path, lazy=lazy)
    assert (tmp_path / "users-0123456789ab.parquet").exists()
    ek.rollup(LOG, D, into=tmp_path)
    assert whole(ek.Journeys.load(tmp_path), expected)
    assert not (tmp_path / "users-0123456789ab.parquet").exists()


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.thorough
@pytest.mark.parametrize("fails", ["a part", "the list", "interrupted"])
@pytest.mark.parametrize("before", ["nothing", "journeys"])
def test_writing_that_fails_leaves_nothing_behind(log, tmp_path, monkeypatch, fails, before):
    folder = tmp_path / "journeys"
    if before == "journeys":
        ek.rollup(log, D, into=folder)
    held = listed(tmp_path)
    real = storage.put

    def put(*args, number, **kwargs):
        if number == 2:
            raise KeyboardInterrupt if fails == "interrupted" else OSError(errno.ENOSPC, "full")
        return real(*args, number=number, **kwargs)

    if fails == "the list":
        monkeypatch.setattr(storage, "write_whole", full_disk)
    else:
        monkeypatch.setattr(storage, "put", put)
    with pytest.raises(KeyboardInterrupt if fails == "interrupted" else OSError):
        ek.rollup(log, D, into=folder)
    assert listed(tmp_path) == held
    assert folder.exists() == (before == "journeys")


def test_writing_that_fails_leaves_nothing_where_the_list_is_broken(log, tmp_path, monkeypatch):
    (tmp_path / "journeys.json").write_text("{", encoding="utf-8")
    monkeypatch.setattr(storage, "write_whole", full_disk)
    with pytest.raises(OSError, match="No space"):
        ek.rollup(log, D, into=tmp_path)
    assert listed(tmp_path) == {"journeys.json": b"{"}


@posix
@pytest.mark.parametrize("size", [0, 600, 2000])
def test_journeys_that_do_not_fit_on_the_disk_take_no_room(log, tmp_path, size):
    folder = tmp_path / "journeys"
    with room_for(size), pytest.raises(StoredFileError, match="could not be written"):
        ek.rollup(log, D, into=folder)
    assert not folder.exists()


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 400 kB, where the system lets us."""
    place = tmp_path / "disk"
    place.mkdir()
    order = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(order, check=False, capture_output=True).returncode:  # fmt: skip
        pytest.skip("mounting a small disk needs the rights of an administrator")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full_in_the_end_is_as_empty_as_before(log, expected, small_disk):
    ek.rollup(log, D, into=small_disk / "journeys")
    (small_disk / "ballast").write_bytes(b"x" * shutil.disk_usage(small_disk).free)
    (small_disk / "ballast").write_bytes(b"x" * ((small_disk / "ballast").stat().st_size - 40_000))
    free, held = shutil.disk_usage(small_disk).free, listed(small_disk)
    assert free > 0
    for into in ("journeys", "new"):
        with pytest.raises(StoredFileError, match=r"No space left.*Make room"):
            ek.rollup(log, D, into=small_disk / into)
    assert shutil.disk_usage(small_disk).free == free
    assert listed(small_disk) == held
    assert whole(ek.Journeys.load(small_disk / "journeys"), expected)


def test_what_is_being_written_is_left_alone_and_what_was_killed_is_cleared(expected, tmp_path):
    with storage.claimed(tmp_path) as tag:
        storage.put({n: getattr(expected, n) for n in TABLES}, folder=tmp_path, tag=tag, number=0)
        (tmp_path / ".writing-0123456789ab.lock").touch()  # its process is dead
        (tmp_path / "users-0123456789ab.parquet").write_bytes(b"half")
        expected.save(tmp_path)
        assert max(n for n in tables(tmp_path) if tag in n) == f"users-{tag}.parquet"
        assert not [n for n in tables(tmp_path) if "0123456789ab" in n]
    assert len(tables(tmp_path)) == len(TABLES)
    assert whole(ek.Journeys.load(tmp_path), expected)


def test_what_counts_is_asked_again_once_nobody_writes(expected, tmp_path, monkeypatch):
    # Between a look at who writes and a look at what counts, another may finish.
    real = storage._is_written

    def finished_meanwhile(folder, tag):
        found = real(folder, tag)
        if tag == "0123456789ab":
            known = storage.manifest(folder)
            renamed = json.dumps(known).replace(ours, tag)
            for path in folder.glob(f"*-{ours}.parquet"):
                shutil.copy(path, path.with_name(path.name.replace(ours, tag)))
            (folder / "journeys.json").write_text(renamed, encoding="utf-8")
        return found

    expected.save(tmp_path)
    ours = next(tmp_path.glob("users-*")).stem[-12:]
    (tmp_path / "users-0123456789ab.parquet").touch()
    monkeypatch.setattr(storage, "_is_written", finished_meanwhile)
    storage.tidy(tmp_path)
    assert whole(ek.Journeys.load(tmp_path), expected)


def test_parts_that_vanish_while_they_are_written_are_not_counted(log, expected, tmp_path):
    expected.save(tmp_path)
    tick, _ = at_part(2, lambda: [shutil.rmtree(p) for p in tmp_path.glob("days-*") if p.is_dir()])
    with pytest.raises(StoredFileError, match=r"is missing.*folder of their own"):
        ek.rollup(log, D, into=tmp_path, progress=tick)
    assert whole(ek.Journeys.load(tmp_path), expected)


def test_tables_are_on_the_disk_before_they_count(log, tmp_path, monkeypatch):
    flushed, counted = [], []
    monkeypatch.setattr(storage, "flush", flushed.append)
    real = storage.write_whole
    monkeypatch.setattr(storage, "write_whole", lambda *a: counted.append(len(flushed)) or real(*a))
    ek.rollup(log, D, into=tmp_path)
    parts = set(tmp_path.glob("*-*.parquet/*.parquet"))
    assert len(parts) > 8
    assert set(flushed) == parts | {p.parent for p in parts}
    assert counted == [len(flushed)]


def test_a_reader_takes_what_counts_when_others_finish_meanwhile(expected, tmp_path, monkeypatch):
    expected.save(tmp_path)
    real, times = storage.Stored.faults, []

    def faults(stored):
        if not times:
            times.append(1)
            expected.save(tmp_path)  # and so the files listed before are gone
            assert real(stored)
        return real(stored)

    with monkeypatch.context() as patch:
        patch.setattr(storage.Stored, "faults", faults)
        # The first look of the reader; a writer's own look comes later.
        assert whole(ek.Journeys.load(tmp_path), expected)


def write(log, folder):
    ek.rollup(log, D, into=folder)


@pytest.mark.slow
def test_many_processes_at_once_leave_one_whole(log, expected, tmp_path):
    context = multiprocessing.get_context("spawn")
    for number in range(3):
        folder = tmp_path / str(number)
        started = [context.Process(target=write, args=(str(log), str(folder))) for _ in range(4)]
        for each in started:
            each.start()
        for each in started:
            each.join()
        assert [each.exitcode for each in started] == [0] * 4
        assert whole(ek.Journeys.load(folder), expected)
        assert len(tables(folder)) == len(TABLES)


def test_a_log_that_is_being_prepared_is_prepared_by_one(tmp_path):
    folder, lost = tmp_path / "log", []

    def again():
        with pytest.raises(StoredFileError, match="another call right now") as error:
            ek.prepare_events(LOG, folder, progress=False)
        lost.append(str(error.value))

    tick, _ = at_part(2, again)
    ek.prepare_events(LOG, folder, progress=tick)
    assert len(lost) == 1
    assert "Make room" not in lost[0]
    assert ek.rollup(folder, D).users.height == USERS
    assert sorted(p.name for p in folder.iterdir()) == ["buckets", "prepared.json"]
    assert ek.prepare_events(LOG, folder, progress=False) == folder


def test_a_log_prepared_by_another_in_the_end_is_taken(tmp_path, monkeypatch):
    folder = tmp_path / "log"
    real, times = prepare._plan, []

    def plan(*args):
        found = real(*args)
        if not times:
            times.append(1)
            ek.prepare_events(LOG, folder, progress=False)
        return found

    monkeypatch.setattr(prepare, "_plan", plan)
    split, cuts = prepare._split, []
    monkeypatch.setattr(prepare, "_split", lambda *a, **k: cuts.append(split(*a, **k)))
    assert ek.prepare_events(LOG, folder, progress=False) == folder
    assert len(cuts) == 1
    assert ek.rollup(folder, D).users.height == USERS


@pytest.mark.parametrize(
    ("what", "when"), [("split", "splitting"), ("split", "finishing"), ("buckets", "finishing")]
)
def test_work_taken_away_by_another_is_said_in_fitting_words(tmp_path, monkeypatch, what, when):
    folder = tmp_path / "log"
    took, flushed = [], []

    def take():
        if not took:
            took.append(shutil.rmtree(folder / what))

    def flush(path):
        flushed.append(path)
        if len(flushed) == 2 and when == "finishing":
            take()

    monkeypatch.setattr(prepare, "flush", flush)
    tick, _ = at_part(2, take if when == "splitting" else list)
    with pytest.raises(StoredFileError) as error:
        ek.prepare_events(LOG, folder, progress=tick)
    assert took
    assert "Make room" not in str(error.value)


def test_a_source_that_vanishes_is_no_race(tmp_path):
    path = tmp_path / "events.parquet"
    LOG.write_parquet(path)
    tick, _ = at_part(1, path.unlink)
    with pytest.raises((StoredFileError, EventLogError, FileNotFoundError)) as error:
        ek.prepare_events(path, tmp_path / "log", progress=tick)
    assert "another call" not in str(error.value)
