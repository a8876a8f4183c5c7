from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle_rollup import as_frame, people_frame, some_definition, some_people, some_rows

import engagekit as ek
from engagekit.errors import EventLogError, StoredFileError
from engagekit.journeys.schema import TABLES
from engagekit.rollups import prepare
from engagekit.rollups.prepared_log import is_prepared, open_prepared

MAKE = ek.Definition(signup="signup", activation="make", core="make")


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(prepare, "BUCKET", 20)
    monkeypatch.setattr(prepare, "SLICE", 30)


def some_log(users=40, seed=1):
    rng = random.Random(seed)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        (f"user {u}", event, start + timedelta(hours=u + 24 * k), rng.choice(["paid", None]))
        for u in range(users)
        for k, event in enumerate(["signup", *rng.choices(["make", "view"], k=rng.randrange(6))])
    ]
    rng.shuffle(rows)
    return pl.DataFrame(rows, schema=["user_id", "event", "at", "status"], orient="row")


def assert_same(one, other):
    for name in TABLES:
        a, b = (getattr(j, name).lazy().collect() for j in (one, other))
        keys = ["user_id", *(c for c in ("step", "event", "role", "day") if c in a.columns)]
        assert a.sort(keys).equals(b.sort(keys))
        assert a.schema == b.schema
    assert one.left_out.equals(other.left_out)
    assert (one.as_of, one.log_start, one.dates_only, one.unit) == (other.as_of, other.log_start, other.dates_only, other.unit)  # fmt: skip
    assert one.definition.to_table() == other.definition.to_table()


@pytest.mark.thorough
@settings(max_examples=8, suppress_health_check=[*HealthCheck])
@given(
    rng=st.randoms(use_true_random=False),
    ids=st.sampled_from(["int", "text"]),
    dates_only=st.booleans(),
    sign_ups=st.sampled_from([None, "instants"]),
    unit=st.sampled_from(["user", "account"]),
    lazy=st.booleans(),
)
def test_a_prepared_log_gives_the_same_journeys(tmp_path_factory, rng, ids, dates_only, sign_ups, unit, lazy):  # fmt: skip
    definition = some_definition(rng, signup=("signup", None))
    rows = some_rows(rng, ids=ids, dates_only=dates_only, users=7, most=150)
    log = as_frame(rows, ids=ids, dates_only=dates_only)
    people = None if sign_ups is None else people_frame(some_people(rng, rows, sign_ups=sign_ups), ids=ids, sign_ups=sign_ups)  # fmt: skip
    options = {"users": people, "unit": "user" if people is None else unit, "missing": "allow"}
    folder = tmp_path_factory.mktemp("log")
    assert ek.prepare_events(log.lazy() if lazy else log, folder, progress=False) == folder
    plain = ek.rollup(log, definition, **options)
    assert_same(ek.rollup(folder, definition, **options), plain)
    kept = ek.rollup(folder, definition, **options, into=folder / "journeys")
    assert all(isinstance(getattr(kept, name), pl.LazyFrame) for name in TABLES)
    assert_same(kept, plain)
    assert_same(ek.Journeys.load(folder / "journeys", lazy=True), plain)


def test_buckets_hold_whole_users(tmp_path):
    log = some_log()
    prepared = open_prepared(ek.prepare_events(log, tmp_path / "out", progress=False))
    buckets = [pl.read_parquet(path) for path in prepared.buckets]
    assert len(buckets) > 3
    assert sum(b["user_id"].n_unique() for b in buckets) == log["user_id"].n_unique()
    together = pl.concat(buckets).with_columns(pl.col("event").cast(pl.String))
    assert together.sort(log.columns).equals(log.sort(log.columns))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["buckets", "prepared.json"]


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    log = some_log()
    dirty = pl.concat([log, log.head(3).with_columns(user_id=pl.lit(None, pl.String))])
    folder = ek.prepare_events(dirty, tmp_path / "out", progress=False)
    assert ek.rollup(folder, MAKE).left_out.rows() == [
        ("rows without a user, an event name or a time", 3, "events")
    ]


def test_once_done_nothing_is_done_again(tmp_path):
    path, folder = tmp_path / "log.parquet", tmp_path / "out"
    some_log().write_parquet(path)
    for source in (path, str(path)):
        ek.prepare_events(source, folder, progress=False)
        before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
        ek.prepare_events(source, folder, progress=lambda *_: pytest.fail("it works again"))
        assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    # Written anew with the same rows it is the same log, whatever its date; a frame of it too.
    os.utime(path, ns=(1, 1))
    ek.prepare_events(path, folder, progress=False)
    ek.prepare_events(pl.scan_parquet(path), folder, progress=False)


def test_a_source_that_changed_is_refused_and_nothing_touched(tmp_path):
    path, folder = tmp_path / "log.parquet", tmp_path / "out"
    some_log().write_parquet(path)
    ek.prepare_events(path, folder, progress=False)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for other in (some_log(41), some_log().head(-1), some_log(seed=2), some_log().with_columns(pl.lit("user 1").alias("user_id"))):  # fmt: skip
        other.write_parquet(path)
        with pytest.raises(StoredFileError, match="source has changed"):
            ek.prepare_events(path, folder, progress=False)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def by_bucket(folder):
    buckets = [(b[0].name[:5], pl.read_parquet(b)) for b in open_prepared(folder).buckets]
    return {number: bucket.sort(bucket.columns) for number, bucket in buckets}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("lazy", [False, True])
def test_it_goes_on_from_wherever_it_was_interrupted(tmp_path, monkeypatch, lazy):
    log = some_log(13)
    whole = ek.prepare_events(log, tmp_path / "whole", progress=False)
    expected = by_bucket(whole)
    source = log.lazy() if lazy else log
    for last in range(60):  # interrupt at the last-th file operation, until there is none left
        folder, calls = tmp_path / f"out{last}", []

        def dying(function, calls=calls, last=last):
            def call(*args, **kwargs):
                calls.append(function)
                if len(calls) == last + 1:
                    raise Killed
                return function(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "unlink"), (prepare, "write_whole"), (prepare.shutil, "rmtree"), (pl.DataFrame, "write_parquet")):  # fmt: skip
                patch.setattr(owner, name, dying(getattr(owner, name)))
            try:
                ek.prepare_events(source, folder, progress=False)
            except Killed:
                assert (folder / "prepared.json").exists() or not is_prepared(folder) or (folder / "preparing.json").exists()  # fmt: skip
            else:
                break
        ek.prepare_events(source, folder, progress=False)
        found = by_bucket(folder)
        assert found.keys() == expected.keys()
        assert all(found[n].equals(expected[n]) for n in expected)
        assert sorted(p.name for p in folder.iterdir()) == ["buckets", "prepared.json"]
    assert last > 10


def test_unfinished_work_of_another_source_is_not_mixed_in(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "_finish", lambda *a, **k: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            ek.prepare_events(some_log(), tmp_path / "out", progress=False)
    with pytest.raises(StoredFileError, match="was interrupted"):
        ek.rollup(tmp_path / "out", MAKE)
    with pytest.raises(StoredFileError, match="another source"):
        ek.prepare_events(some_log(41), tmp_path / "out", progress=False)
    # Pieces that another version of polars cut may lie elsewhere: they are cut again.
    begun = json.loads((tmp_path / "out" / "preparing.json").read_text())
    (tmp_path / "out" / "preparing.json").write_text(json.dumps(begun | {"polars": "0.1"}))
    ek.prepare_events(some_log(), tmp_path / "out", progress=False)
    assert_same(ek.rollup(tmp_path / "out", MAKE), ek.rollup(some_log(), MAKE))


def test_what_else_lies_there_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StoredFileError, match="something else"):
        ek.prepare_events(some_log(), tmp_path, progress=False)
    with pytest.raises(StoredFileError, match="something else"):
        ek.prepare_events(some_log(), tmp_path / "thesis.txt", progress=False)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with pytest.raises(EventLogError, match="no events"):
        ek.prepare_events(some_log().head(0), tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()


def test_broken_and_newer_folders_are_refused(tmp_path):
    folder = ek.prepare_events(some_log(), tmp_path / "out", progress=False)
    manifest = json.loads((folder / "prepared.json").read_text())
    (folder / "prepared.json").write_text(json.dumps(manifest | {"schema_version": 99}))
    for act in (lambda: ek.rollup(folder, MAKE), lambda: ek.prepare_events(some_log(), folder, progress=False)):  # fmt: skip
        with pytest.raises(StoredFileError, match="newer engagekit"):
            act()
    for broken in ("{", "[]", "{}", json.dumps({"schema_version": 2}), json.dumps(manifest | {"days": 3})):  # fmt: skip
        (folder / "prepared.json").write_text(broken)
        with pytest.raises(StoredFileError, match="broken"):
            ek.rollup(folder, MAKE)
    (folder / "prepared.json").write_text(json.dumps(manifest))
    bucket = open_prepared(folder).files[0]
    pl.read_parquet(bucket).head(1).write_parquet(bucket)
    with pytest.raises(StoredFileError, match="has 1 of"):
        ek.rollup(folder, MAKE)
    bucket.unlink()
    with pytest.raises(StoredFileError, match="broken"):
        ek.prepare_events(some_log(), folder, progress=False)


def test_progress_is_shown_or_handed_on_or_silent(tmp_path, capfd, monkeypatch):
    ek.prepare_events(some_log(), tmp_path / "quiet", progress=False)
    ek.rollup(tmp_path / "quiet", MAKE)
    assert capfd.readouterr() == ("", "")
    # Into a pipe, a log of a scheduler, a mail: nothing, since nobody watches.
    ek.prepare_events(some_log(), tmp_path / "piped")
    assert capfd.readouterr() == ("", "")
    assert drawn_on_a_terminal(tmp_path, monkeypatch) > 1
    ticks = []
    ek.rollup(tmp_path / "quiet", MAKE, progress=lambda done, total: ticks.append((done, total)))
    count = len(open_prepared(tmp_path / "quiet").buckets)
    assert ticks == [(done, count) for done in range(count + 1)]


def drawn_on_a_terminal(tmp_path, monkeypatch):
    """Count how often a terminal is told how far the splitting is."""
    with monkeypatch.context() as patch:
        terminal = Terminal()
        patch.setattr("sys.stderr", terminal)
        patch.setenv("TERM", "xterm")
        ek.prepare_events(some_log(), tmp_path / "shown")
    return len(re.findall(r"Splitting.*?\d+/\d+", terminal.getvalue()))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_one_piece_needs_no_bar(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("engagekit._base.progress._watched", lambda: True)
    monkeypatch.setattr("engagekit.rollups.prepare.BUCKET", 1_000_000)
    monkeypatch.setattr("engagekit.rollups.prepare.SLICE", 1_000_000)
    ek.prepare_events(some_log(), tmp_path / "small")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stream", [None, object()])
def test_a_stream_that_is_none_is_watched_by_nobody(tmp_path, monkeypatch, stream):
    monkeypatch.setattr("sys.stderr", stream)
    assert ek.prepare_events(some_log(), tmp_path / "closed").is_dir()


KILLED = """
import sys, polars as pl, engagekit as ek
from engagekit.rollups import prepare
prepare.BUCKET, prepare.SLICE = 20_000, 30_000
ek.prepare_events(sys.argv[1], sys.argv[2], progress=False)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_by_force_at_any_time_it_ends_well(tmp_path):
    path = tmp_path / "log.parquet"
    pl.concat([some_log(400, seed).with_columns(pl.col("user_id") + f" {seed}") for seed in range(400)]).write_parquet(path)  # fmt: skip
    expected = ek.rollup(pl.scan_parquet(path), MAKE)
    for delay in (0.3, 0.45, 0.6, 0.75, 0.9, 1.1, 1.4):
        folder = tmp_path / f"out{delay}"
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), str(folder)])
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run([sys.executable, "-c", KILLED, str(path), str(folder)], check=True)
        assert_same(ek.rollup(folder, MAKE), expected)
