"""Outreach beside what happens without it: against plain Python, and on logs where messages do nothing or something."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from oracle_metrics import metrics_of
from rhythm_worlds import RHYTHMS, START, at, made, mailed

import engagekit as ek
from engagekit.intervals import newcombe, wilson
from engagekit.measures.prompts import prompted_of, returns_of
from engagekit.measures.silences import compare_returns, compare_stays, silences_of

AFTER = "in the 72 hours after outreach"


def world(rhythm="bursts", *, users=120, days=200, seed=1, **mail):
    return mailed(made(RHYTHMS[rhythm], users=users, days=days, seed=seed), seed=seed, **mail)


slow = pytest.mark.slow
CASES = [
    ("power-law rates", {"every": 28, "brings": 0.3}, "America/New_York", 5),
    ("weekly", {"every": 10, "together": True}, "UTC", 3),
    pytest.param("bursts", {"every": 28}, "UTC", 5, marks=slow),
    pytest.param("office days", {"every": (1, 14), "brings": 0.3}, "Asia/Kolkata", 3, marks=slow),
    pytest.param("weekly", {"every": 7}, "America/New_York", 0, marks=slow),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("rhythm", "mail", "timezone", "told"), CASES)
def test_comparisons_are_what_plain_python_finds(rhythm, mail, timezone, told):
    made_log = world(rhythm, users=70, days=150, **mail)
    journeys = made_log.journeys(outreach="mail", timezone=timezone, recent_days=100, habit_days=7)
    rows = made_log.events.select("user_id", "event", "at").rows()
    expected = metrics_of(rows, journeys.definition, journeys.as_of)
    columns = ("metric", "reading", "n", "of", "value")
    values = []
    for metric, reading, n, of, value in ek.metrics(journeys).select(columns).rows():
        if metric in ("re-engagement", "unprompted share"):
            wanted = expected[metric, reading]
            values += [wanted] if isinstance(wanted, float) else []
            assert (value if n is None else (n, of)) == pytest.approx(wanted), (metric, reading)
    assert len(values) == told


def test_a_message_every_day_leaves_nothing_to_compare_with():
    journeys = world(every=1).journeys(outreach="mail")
    table = ek.metrics(journeys)
    for metric, reading in (
        ("re-engagement", "difference"),
        ("unprompted share", "of all returns"),
    ):
        row = table.filter(metric=metric, reading=reading).row(0, named=True)
        assert (row["value"], row["low"], row["high"]) == (None, None, None)
        assert row["note"].startswith("Too few users")
    counted = table.filter(metric="unprompted share", reading=f"returns {AFTER}").row(0, named=True)
    assert counted["value"] > 0.95  # by counting messages, nearly every return is prompted


def test_messages_that_bring_nobody_back_take_no_credit():
    journeys = world(users=400, days=300, every=14).journeys(outreach="mail", habit_days=31)
    table = ek.metrics(journeys, recent=None)
    contacted = table.filter(metric="re-engagement").row(0, named=True)
    assert contacted["value"] > 0.4  # so many were back within a week of contact
    difference = table.filter(metric="re-engagement", reading="difference").row(0, named=True)
    assert difference["low"] < 0 < difference["high"]
    excess = table.filter(reading=f"returns {AFTER} beyond chance").row(0, named=True)
    assert excess["low"] < 0 < excess["high"]
    unprompted = table.filter(metric="unprompted share", reading="of all returns").row(
        0, named=True
    )
    assert unprompted["low"] > 0.9


def test_messages_that_work_are_seen():
    journeys = world(users=400, days=300, every=14, brings=0.4).journeys(outreach="mail")
    table = ek.metrics(journeys, recent=None)
    difference = table.filter(metric="re-engagement", reading="difference").row(0, named=True)
    assert difference["low"] > 0
    times = table.filter(reading=f"times as often {AFTER}").row(0, named=True)
    assert times["low"] > 1.05


def test_a_newsletter_on_tuesdays_gets_no_credit_for_tuesdays():
    """Everybody has it on the same day of every week: no day of that kind is without one."""
    made_log = world("office days", every=7, together=True)
    found = prompted_of(returns_of(made_log.journeys(outreach="mail")))
    assert found.ratio is None
    assert found.prompted > 0


def test_a_message_to_the_silent_is_held_to_the_silent():
    """Sent on the seventh day of silence: returns after it are compared with equally long silences."""
    made_log = world("power-law rates", users=600, days=300, every=14, silent_for=7)
    found = prompted_of(returns_of(made_log.journeys(outreach="mail")))
    assert found.ratio is None or found.low < 1 < found.high


def test_who_stays_is_compared_at_equal_silence_and_delay():
    quiet = silences_of(
        world(users=500, days=300, every=14).journeys(outreach="mail", habit_days=31)
    )
    null = compare_stays(quiet)
    assert null.difference[1] < 0 < null.difference[2]
    assert null.compared <= null.contacted
    # Brought back for one visit only: they stay less than those who came by themselves.
    brought = silences_of(
        world("power-law rates", users=500, days=300, every=28, brings=0.5).journeys(
            outreach="mail"
        )
    )
    assert compare_stays(brought).difference[2] < 0
    assert compare_returns(brought).difference[1] > 0


def test_that_nobody_came_back_is_not_known_for_certain():
    """0 of the contacted against 0 without contact: the interval is that of so few users, and no point."""
    quiet = silences_of(
        world(users=400, days=300, every=14).journeys(outreach="mail", habit_days=61)
    )
    found = compare_returns(quiet)
    assert found.compared < 80
    assert (found.without[0], found.difference[0]) == (0, 0)
    assert found.without[1:] == pytest.approx(wilson(0, found.others), abs=1e-9)
    bounds = newcombe(0, found.compared, 0, found.others)[1:]
    assert found.difference[1:] == pytest.approx(bounds, abs=1e-9)
    assert bounds[0] < -0.02 < 0.02 < bounds[1]


def test_groups_are_compared_with_their_own():
    made_log = world(users=300, days=300, every=28)
    loud = mailed(
        made(RHYTHMS["bursts"], users=300, days=300, seed=2), seed=2, every=28, brings=0.6
    )
    both = pl.concat([made_log.events, loud.events.with_columns(pl.col("user_id") + 1000)])
    people = pl.DataFrame(
        {"user_id": [*range(300), *range(1000, 1300)], "plan": ["a"] * 300 + ["b"] * 300}
    )
    definition = ek.Definition(signup="signed_up", activation="first", core="work", outreach="mail", habit_days=31)  # fmt: skip
    journeys = ek.rollup(both, definition, users=people, as_of=at(300))
    table = ek.metrics(journeys, by="plan", recent=None).filter(
        reading="difference", metric="re-engagement"
    )
    low = dict(table.select("plan", "low").rows())
    assert low["a"] < 0 < low["b"]


def test_nobody_was_contacted():
    log = made(RHYTHMS["weekly"], users=30, days=100)
    extra = pl.DataFrame(
        {"user_id": [0], "event": ["mail"], "at": [START + timedelta(days=99.9)]},
        schema=log.events.schema,
    )
    definition = ek.Definition(signup="signed_up", activation="first", core="work", outreach="mail")
    journeys = ek.rollup(pl.concat([log.events, extra]), definition, as_of=at(100))
    table = ek.metrics(journeys)
    row = table.filter(metric="re-engagement", reading="difference").row(0, named=True)
    assert (row["value"], row["note"]) == (None, "No user can be judged yet.")
