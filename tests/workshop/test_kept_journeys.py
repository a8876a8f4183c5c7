"""A session keeps its journeys beside the log: opened, they are what rolling up gives, and only as long as that holds."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import engagekit as ek
from engagekit.journeys import TABLES
from engagekit.workshop import forget, kept_journeys, start

LOG = ek.simulate(users=200, seed=3)


@pytest.fixture
def session(tmp_path):
    [team] = start(
        tmp_path / "room", events=LOG.events, users=LOG.users, definition=LOG.definition,
        as_of=LOG.as_of.isoformat(),
    )  # fmt: skip
    return ek.Session(team)


@pytest.fixture
def rolled(monkeypatch):
    """Count how often a log is rolled up."""
    calls = []
    real = kept_journeys.rollup

    def counted(*args, **more):
        calls.append(args)
        return real(*args, **more)

    monkeypatch.setattr(kept_journeys, "rollup", counted)
    return calls


def same(a, b):
    for name in TABLES:
        assert_frame_equal(getattr(a, name), getattr(b, name), check_row_order=False)
    for name in ("definition", "as_of", "log_start", "dates_only", "unit", "remarks"):
        assert getattr(a, name) == getattr(b, name), name
    assert a.left_out.equals(b.left_out)
    assert a.clock.equals(b.clock)


def kept(session):
    return sorted((session.folder / ".." / "log" / "journeys").glob("*/journeys.json"))


def test_the_second_notebook_opens_what_the_first_rolled_up(session, rolled):
    first = session.journeys()
    before = len(rolled)
    second = ek.Session(session.folder).journeys()
    assert len(rolled) == before
    same(second, first)
    log, users, as_of = session.data()
    same(second, ek.rollup(log, session.definition, users=users, as_of=as_of))
    assert str(ek.prioritize(second)) == str(ek.prioritize(first))


def test_other_targets_open_the_same_journeys_and_judge_by_their_own(session, rolled):
    session.journeys()
    before = len(rolled)
    moved = dataclasses.replace(
        session.definition, targets={"habit": 0.99}, margin=0.1, recent_days=30
    )
    session.define(moved)
    found = session.journeys()
    assert len(rolled) == before
    assert found.definition.targets == {"habit": 0.99}
    assert (found.definition.margin, found.definition.recent_days) == (0.1, 30)
    log, users, as_of = session.data()
    same(found, ek.rollup(log, moved, users=users, as_of=as_of))


@pytest.mark.thorough
@pytest.mark.parametrize("what", ["window", "as_of", "users"])
def test_another_window_end_or_users_table_is_rolled_up_anew(session, rolled, what):
    session.journeys()
    before = len(rolled)
    if what == "window":
        session.define(dataclasses.replace(session.definition, activation_days=3))
    elif what == "as_of":
        session.update("about", {"as_of": "2026-03-01"})
    else:
        path = session.folder / session.part("about")["users"]
        pl.read_parquet(path).with_columns(plan=pl.lit("other")).write_parquet(path)
    found = session.journeys()
    assert len(rolled) == before + 1
    log, users, as_of = session.data()
    same(found, ek.rollup(log, session.definition, users=users, as_of=as_of))


@pytest.mark.thorough
def test_broken_files_are_made_anew(session, rolled):
    first = session.journeys()
    before = len(rolled)
    for path in kept(session):
        path.write_text("{")
    same(session.journeys(), first)
    assert len(rolled) == before + 1
    session.journeys()
    assert len(rolled) == before + 1


def test_where_nothing_can_be_written_the_log_is_rolled_up_each_time(session, rolled, monkeypatch):
    def full(*_):
        raise ek.errors.StoredFileError("The disk is full.")

    monkeypatch.setattr(ek.Journeys, "save", full)
    session.define(dataclasses.replace(session.definition, activation_days=3))
    before = len(rolled)
    session.journeys()
    session.journeys()
    assert len(rolled) == before + 2


@pytest.mark.thorough
def test_only_the_last_opened_are_kept(session, monkeypatch):
    monkeypatch.setattr(kept_journeys, "MOST", 2)
    for days in (3, 4, 5):
        session.define(dataclasses.replace(session.definition, activation_days=days))
        session.journeys()
    assert len(kept(session)) == 2


@pytest.mark.thorough
def test_a_forgotten_user_is_gone_from_kept_journeys(session):
    gone = str(session.journeys().users["user_id"][0])
    forget(gone, session.folder / "..")
    files = [path for folder in kept(session) for path in folder.parent.rglob("*.parquet")]
    assert files
    for path in files:
        assert gone not in pl.read_parquet(path)["user_id"].cast(pl.String).to_list()
    assert gone not in session.journeys().users["user_id"].cast(pl.String).to_list()
