"""Logs of those alone who are still there: told by the cliff at which silences end, and by nothing else."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.rollups import SURVIVORS

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
PLAIN = ek.Definition(
    signup="join", activation="make", core="make", targets={"activation": 0.5, "habit": 0.6}
)


def log(
    *, pause: float = 5, stays: float | None = 150, users: int = 1500, seed: int = 1
) -> pl.DataFrame:
    """Draw users who come at random every `pause` days, and leave for good after `stays` days on average (None: never)."""
    chance, rows = random.Random(seed), []
    for user in range(users):
        day = START + timedelta(540 * chance.random())
        leaves = END if stays is None else day + timedelta(chance.expovariate(1 / stays))
        rows.append((user, "join", day))
        while day < min(leaves, END):
            rows.append((user, "make", day + timedelta(minutes=5)))
            day += timedelta(chance.expovariate(1 / pause))
    return pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")


def active_in(events: pl.DataFrame, days: int) -> pl.DataFrame:
    """Keep all events of those who were seen in the last days, as an export of active users has it."""
    return events.filter(pl.col("at").max().over("user_id") >= END - timedelta(days))


def told(events: pl.DataFrame, definition: ek.Definition = PLAIN) -> list[ek.Remark]:
    return [r for r in ek.rollup(events, definition, as_of=END).remarks if r.kind == SURVIVORS]


@pytest.mark.parametrize(
    ("pause", "stays", "days"),
    [(2, 150, 90), (5, 150, 90), (14, 200, 60), (30, 300, 90), (10, 90, 30)],
)
def test_an_export_of_active_users_is_told_and_the_whole_log_is_not(pause, stays, days):
    whole = log(pause=pause, stays=stays, users=3000)
    assert told(whole) == []
    (remark,) = told(active_in(whole, days))
    since = datetime.fromisoformat(str(remark.about[0]))
    assert abs((since - (END - timedelta(days))).total_seconds()) < 3 * 86_400
    joined = active_in(whole, days).filter(event="join")
    assert remark.users == joined.filter(pl.col("at") < since).height
    assert "without those who left" in remark.text


@pytest.mark.parametrize("pause", [2, 5, 10, 20])
def test_a_product_that_nobody_leaves_is_believed(pause):
    assert told(log(pause=pause, stays=None, users=3000, seed=2)) == []


def test_a_product_of_month_ends_is_believed():
    rows = []
    for user in range(800):
        months = range(user % 12, 18)
        for month in months:
            end = datetime(
                2024 + (month + 1) // 12, (month + 1) % 12 + 1, 1, 9, tzinfo=UTC
            ) - timedelta(1 + user % 2)
            rows += [(user, "join", end - timedelta(hours=1))] if month == months[0] else []
            rows.append((user, "make", end))
    assert told(pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")) == []


def test_what_reaches_the_silent_too_says_nothing():
    """A bill for everybody each month keeps all in sight; messages of the definition are no acts of users either."""
    whole = log(users=800, stays=60)
    billed = [
        (user, "bill", at + timedelta(30 * k))
        for user, at in whole.filter(event="join").select("user_id", "at").rows()
        for k in range(1, 1 + (END - at).days // 30)
    ]
    bills = pl.DataFrame(billed, schema=whole.schema, orient="row")
    assert told(pl.concat([whole, bills])) == []
    mailed = ek.Definition(signup="join", activation="make", core="make", outreach="bill")
    assert told(pl.concat([active_in(whole, 90), bills]), mailed) == []


def test_a_verdict_on_survivors_is_withheld_and_one_on_who_came_since_is_not():
    survivors = active_in(log(users=3000), 120)
    journeys = ek.rollup(survivors, PLAIN, as_of=END)
    everybody = ek.prioritize(journeys, recent=None)
    assert everybody.verdict == "undecided"
    assert "seems to hold only who was active lately" in everybody.sentence
    assert "No link is named: the data are in doubt" in str(ek.tables.loop(everybody))
    assert ek.prioritize(journeys, recent=60).verdict == "none broken"


def test_a_handful_of_users_or_a_short_log_says_nothing():
    assert told(active_in(log(users=120), 90)) == []
    whole = log(users=3000)
    late = whole.filter(pl.col("at").min().over("user_id") >= END - timedelta(200))
    assert told(active_in(late, 90)) == []
