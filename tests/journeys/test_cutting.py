"""Journeys cut at one of many instants: table by table what `where` and `at` give, late users, zones and dirt included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import engagekit as ek
from engagekit.journeys import facts_of, known_then
from engagekit.journeys.schema import EARLY_EVENTS, TABLES

START = datetime(2026, 1, 1, tzinfo=UTC)
D = ek.Definition(
    signup="join", activation="make", core=["make", "edit"], advanced=["report", "edit"], advocacy="invite",
    steps=[ek.Step("Setup", "open", "done")], habit_days=7, depth_days=28, timezone="Pacific/Auckland",
)  # fmt: skip
EVENT = st.tuples(
    st.integers(0, 7),
    st.sampled_from(["make", "edit", "report", "invite", "open", "done", "other"]),
    st.integers(0, 60 * 24 * 60),
)


def journeys_of(events) -> ek.Journeys:
    rows = [(f"u{user}", "join", START + timedelta(hours=61 * user)) for user in range(7)]
    rows += [(f"u{user}", name, START + timedelta(minutes=minute)) for user, name, minute in events]
    log = pl.DataFrame(rows, schema={"user_id": pl.String, "event": pl.String, "at": pl.Datetime("us", "UTC")}, orient="row")  # fmt: skip
    people = pl.DataFrame({"user_id": ["u7", "u1"], "signed_up_at": [START - timedelta(days=3), START], "plan": ["a", None]})  # fmt: skip
    return ek.rollup(log, D, users=people, as_of=START + timedelta(days=61), missing="allow")


def assert_same(one: ek.Journeys, other: ek.Journeys, *, tables=tuple(TABLES)) -> None:
    for name in tables:
        frames = [getattr(each, name).lazy().collect() for each in (one, other)]
        if name != "early":
            frames = [frame.sort(frame.columns[0], maintain_order=True) for frame in frames]
        assert_frame_equal(*frames)
    assert_frame_equal(one.clock, other.clock)
    assert one.as_of == other.as_of


@pytest.mark.thorough
@settings(deadline=None)
@given(
    st.lists(EVENT, max_size=80), st.integers(0, 61 * 24), st.integers(0, 61 * 24), st.integers(0, 61 * 24 * 60)
)  # fmt: skip
def test_a_cut_is_where_and_at(events, since, span, minute) -> None:
    journeys = journeys_of(events)
    begin, at = START + timedelta(hours=since - 100), START + timedelta(minutes=minute)
    pair = (begin, begin + timedelta(hours=span))
    slow = journeys.where(signed_up=pair).at(at)
    fast = known_then(journeys, since=pair[0], until=pair[1], at=at, early=True)
    assert_same(fast, slow)
    assert_frame_equal(facts_of(fast), facts_of(slow))
    bare = known_then(journeys, since=pair[0], until=pair[1], at=at, early=False)
    assert bare.early.is_empty()
    assert bare.users[EARLY_EVENTS].list.len().sum() == 0
    assert_frame_equal(bare.users.drop(EARLY_EVENTS), slow.users.drop(EARLY_EVENTS))
    assert_frame_equal(facts_of(bare), facts_of(slow))


@pytest.mark.parametrize("lazy", [False, True])
def test_a_cut_of_journeys_on_disk_is_the_same(tmp_path, lazy) -> None:
    journeys = journeys_of([(user, "make", 900 * user + 5000) for user in range(8)])
    journeys.save(tmp_path / "kept")
    opened = ek.Journeys.load(tmp_path / "kept", lazy=lazy)
    span = (START, START + timedelta(days=9))
    found = known_then(opened, since=span[0], until=span[1], at=span[1], early=True)
    assert_same(found, journeys.where(signed_up=span).at(span[1]))
    assert found.users.lazy().collect().height == 4
