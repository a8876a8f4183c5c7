"""A user is removed from prepared logs, journeys, workshops and cache, whole, also if the removing is cut short."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import sys
from pathlib import Path

import crashing
import polars as pl
import pytest
from test_crashes import Killer
from test_storage import listed

import engagekit as ek
from engagekit import workshop
from engagekit.cli import main
from engagekit.errors import ParameterError, StoredFileError
from engagekit.ingest import text_cache
from engagekit.journeys import storage
from engagekit.journeys.schema import TABLES
from engagekit.rollups import prepare
from engagekit.rollups.prepared_log import open_prepared
from engagekit.workshop import forget, forgetting

USER = "user 7"
LOG = crashing.log(60).with_columns(n=pl.int_range(pl.len()))
LEFT = LOG.filter(pl.col("user_id") != USER)
D = dataclasses.replace(
    crashing.DEFINITION, steps=[ek.Step("Make", reached="signup", completed="make")]
)


@pytest.fixture(autouse=True)
def _small_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "BUCKET", 20)
    monkeypatch.setattr(prepare, "SLICE", 60)
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))


def ids_in(folder: Path) -> set[str]:
    """Name all users in any file of a folder, whatever the file is called."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and path.read_bytes()[:4] == b"PAR1":
            found |= set(pl.read_parquet(path, glob=False, hive_partitioning=False)["user_id"].cast(pl.String))  # fmt: skip
    return found


def everything(place: Path) -> Path:
    """Make a folder with one of each, and a cache."""
    place.mkdir()
    LOG.write_csv(place / "log.csv")
    ek.scan_events(place / "log.csv").collect()
    ek.prepare_events(LOG, place / "prepared", progress=False)
    ek.rollup(place / "prepared", D, into=place / "parts")
    ek.rollup(LOG, D).save(place / "whole")
    return place


def same(one: ek.Journeys, other: ek.Journeys) -> bool:
    return all(
        getattr(one, n).lazy().collect().sort(getattr(other, n).columns).equals(getattr(other, n).sort(getattr(other, n).columns))
        for n in TABLES
    )  # fmt: skip


@pytest.mark.thorough
def test_afterwards_it_is_as_if_the_user_had_never_been_there(tmp_path):
    place = everything(tmp_path / "all")
    (place / "log.csv").rename(tmp_path / "log.csv")
    assert USER in ids_in(place) & ids_in(tmp_path / "cache")
    found = forget(USER, place)
    assert found == {"prepared log": 1, "journeys": 2, "cached file": 1}
    assert USER not in ids_in(tmp_path)
    assert len(ids_in(place)) == 59
    expected = ek.rollup(LEFT, D)
    for name in ("parts", "whole"):
        for lazy in (True, False):
            assert same(ek.Journeys.load(place / name, lazy=lazy), expected)
    assert same(ek.rollup(place / "prepared", D), expected)
    anew = open_prepared(ek.prepare_events(LEFT, tmp_path / "anew", progress=False))
    now = open_prepared(place / "prepared")
    assert (now.rows, now.lacking, now.names) == (LEFT.height, 0, anew.names)
    assert now.days.equals(anew.days)
    assert ek.prepare_events(LEFT, place / "prepared", progress=False), "it is that log"
    assert sorted(p.name for p in (place / "parts").iterdir() if p.name != "journeys.json") == sorted(
        p.name for p in ek.Journeys.load(place / "parts", lazy=True).stored.folder.iterdir() if p.name != "journeys.json"
    )  # fmt: skip
    assert forget(USER, place) == dict.fromkeys(found, 0)


@pytest.mark.thorough
def test_the_cache_is_what_is_read_from_then_on(tmp_path):
    place = everything(tmp_path / "all")
    forget(USER, place / "prepared")
    assert set(ek.scan_events(place / "log.csv").collect()["user_id"]) == set(LEFT["user_id"])
    for path in (tmp_path / "cache").iterdir():
        assert os.name != "posix" or path.stat().st_mode & 0o077 == 0


def test_a_cache_that_is_said(tmp_path):
    place, other = tmp_path / "all", tmp_path / "other"
    everything(place)
    ek.scan_events(place / "log.csv", cache=other).collect()
    assert forget(USER, place / "whole", cache=other) == {"journeys": 1, "cached file": 1}
    assert USER in ids_in(tmp_path / "cache")
    assert USER not in ids_in(other)
    assert forget(USER, tmp_path / "cache", cache=other) == {"cached file": 1}
    assert USER not in ids_in(tmp_path / "cache")


def test_an_id_by_which_the_user_was_also_known_goes_from_the_cache(tmp_path):
    path = tmp_path / f"{'0' * 24}-{'1' * 24}.{text_cache.VERSION}.parquet"
    ids, aliases = ["ann", None, None, "bob"], ["d1", "ann", "d3", None]
    pl.DataFrame({"user_id": ids, forgetting.ALIAS: aliases}).write_parquet(path)
    assert forget("ann", tmp_path)["cached file"] == 1
    # Events of nobody stay: how many there are is counted.
    assert pl.read_parquet(path).rows() == [(None, "d3"), ("bob", None)]


def test_new_buckets_are_on_the_disk_before_they_count(tmp_path, monkeypatch):
    folder = ek.prepare_events(LOG, tmp_path / "log", progress=False)
    before = {p.name for p in (folder / "buckets").iterdir()}
    done, real = [], forgetting.write_whole
    monkeypatch.setattr(forgetting, "flush", lambda path: done.append(path.name))
    monkeypatch.setattr(forgetting, "write_whole", lambda *a: done.append("list") or real(*a))
    forget(USER, tmp_path)
    (new,) = {p.name for p in (folder / "buckets").iterdir()} - before
    assert done == [new, "list"]


def test_ids_that_are_numbers_and_rows_without_one(tmp_path):
    numbers = LOG.with_columns(pl.col("user_id").str.strip_prefix("user ").cast(pl.Int32))
    ek.prepare_events(numbers, tmp_path / "prepared", progress=False)
    ek.rollup(numbers, D, into=tmp_path / "journeys")
    assert forget("7", tmp_path) == {"prepared log": 1, "journeys": 1}
    assert 7 not in ek.rollup(tmp_path / "prepared", D).users["user_id"]
    assert "70" not in ids_in(tmp_path) or "7" not in ids_in(tmp_path)
    for nobody in ("07", "user 7", ""):
        assert forget(nobody, tmp_path).total() == 0


def test_the_only_user_of_a_bucket_and_of_a_log(tmp_path):
    few = LOG.filter(pl.col("user_id").is_in([USER, "user 3"]))
    ek.prepare_events(few, tmp_path / "log", progress=False)
    forget(USER, tmp_path)
    assert ek.rollup(tmp_path / "log", D).users["user_id"].to_list() == ["user 3"]
    forget("user 3", tmp_path)
    assert ids_in(tmp_path) == set()
    assert open_prepared(tmp_path / "log").rows == 0


def test_a_workshop_and_its_users(tmp_path):
    users = LOG.select(pl.col("user_id").unique()).with_columns(plan=pl.lit("free"))
    (team,) = workshop.start(tmp_path / "ws", events=LOG, users=users, definition=D)
    assert forget(USER, tmp_path / "ws") == {"prepared log": 1, "users table": 1}
    assert USER not in ids_in(tmp_path / "ws")
    journeys = ek.Session(team).journeys()
    assert journeys.users.height == 59
    assert journeys.properties == ["plan"]


def test_what_holds_nobody_and_what_cannot_be_changed(tmp_path):
    with pytest.raises(ParameterError, match="no folder"):
        forget(USER, tmp_path / "no")
    (tmp_path / "mine.parquet").write_bytes(b"x")
    with pytest.raises(ParameterError, match="holds nothing that engagekit wrote"):
        forget(USER, tmp_path)
    place = everything(tmp_path / "all")
    (place / "old").mkdir()
    (place / "old" / "journeys.json").write_text('{"schema_version": 1}', encoding="utf-8")
    (place / "begun").mkdir()
    (place / "begun" / "preparing.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StoredFileError, match=r"removed from the rest.*2 faults") as error:
        forget(USER, place)
    assert "older engagekit" in str(error.value)
    assert "not fully prepared" in str(error.value)
    assert USER not in str(error.value).replace(str(tmp_path), "")
    (place / "log.csv").unlink()
    assert USER not in ids_in(place)


@pytest.mark.thorough
def test_on_the_command_line_only_counts_are_said(tmp_path, capsys):
    place = everything(tmp_path / "all")
    assert main(["forget", USER, str(place)]) == 0
    said = capsys.readouterr()
    assert "Removed from 1 prepared log and 2 journeys and 1 cached file." in said.out
    assert "files that a log was read from are yours" in said.out
    assert main(["forget", USER, str(place)]) == 0
    assert "in none of it" in capsys.readouterr().out
    assert USER not in said.out + said.err
    assert main(["forget", USER, str(tmp_path / "no")]) == 2


def test_of_accounts_it_is_said_that_they_hold_what_members_did(tmp_path, capsys):
    users = LOG.select(pl.col("user_id").unique()).with_columns(account_id=pl.lit("acme"))
    ek.rollup(LOG, D, users=users, unit="account").save(tmp_path / "journeys")
    assert main(["forget", USER, str(tmp_path)]) == 0
    assert "make them anew from the log" in capsys.readouterr().out


class Killed(BaseException):
    pass


@pytest.mark.thorough
def test_cut_short_anywhere_all_stays_whole_and_the_next_call_ends_it(tmp_path, monkeypatch):
    log = LOG.head(30)
    before = ek.rollup(log, D)
    expected = ek.rollup(log.filter(pl.col("user_id") != USER), D)
    made = tmp_path / "made"
    ek.prepare_events(log, made / "prepared", progress=False)
    ek.rollup(made / "prepared", D, into=made / "parts")
    before.save(made / "whole")
    for last in range(60):
        place, calls = tmp_path / str(last), []
        shutil.copytree(made, place)

        def dying(function, calls=calls, last=last):
            def call(*args, **kwargs):
                calls.append(function)
                if len(calls) == last + 1:
                    raise Killed
                return function(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for owner, name in ((os, "link"), (Path, "unlink"), (Path, "replace"), (forgetting, "write_whole"), (storage, "write_whole"), (pl.DataFrame, "write_parquet"), (pl.LazyFrame, "sink_parquet")):  # fmt: skip
                patch.setattr(owner, name, dying(getattr(owner, name)))
            try:
                forget(USER, place)
            except Killed:
                pass
            else:
                break
        for found in (
            ek.rollup(place / "prepared", D),
            ek.Journeys.load(place / "parts"),
            ek.Journeys.load(place / "whole"),
        ):
            assert same(found, expected) or same(found, before)
        forget(USER, place)
        assert USER not in ids_in(place)
        assert same(ek.rollup(place / "prepared", D), expected)
        assert same(ek.Journeys.load(place / "whole"), expected)
        assert not [n for n in listed(place) if n.endswith((".part", ".lock"))]
    assert last > 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork and no SIGKILL")
def test_killed_by_force_it_stays_whole(tmp_path):
    killer, rng = Killer(), random.Random(5)
    expected = ek.rollup(LEFT, D)
    kills = 0
    try:
        for number in range(40):
            place = everything(tmp_path / str(number))
            (place / "log.csv").unlink()
            kills += killer.kill("forgotten", place, rng.uniform(0, 0.2)) == "killed"
            ek.rollup(place / "prepared", D)
            ek.Journeys.load(place / "parts")
            forget(USER, place)
            assert USER not in ids_in(place)
            assert same(ek.rollup(place / "prepared", D), expected)
            assert same(ek.Journeys.load(place / "parts"), expected)
            assert len([*(place / "parts").iterdir()]) == 1 + len(storage.NAMES)
    finally:
        killer.close()
    assert kills > 5
