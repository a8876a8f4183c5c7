from __future__ import annotations

import random
from calendar import monthrange
from collections import Counter
from datetime import date, datetime, timedelta
from statistics import quantiles

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_clock import own_interval

import engagekit as ek
from engagekit.journeys.gaps import FALLBACK_INTERVAL, interval_of, intervals, own_intervals

START = date(2026, 1, 1)


def on_days(visits):
    """A days table: user -> days of core action, and other roles that must not matter."""
    rows = [(u, START + timedelta(d), role) for u, when in enumerate(visits) for d in when for role in ("core", "support")]  # fmt: skip
    rows += [(u, START + timedelta(400), "advocacy") for u in range(len(visits))]
    return pl.DataFrame(rows, schema={"user_id": pl.Int64, "day": pl.Date, "role": pl.String}, orient="row")  # fmt: skip


@pytest.mark.thorough
@given(st.lists(st.sets(st.integers(0, 60), max_size=8), max_size=9))
def test_the_interval_is_the_80th_percentile_of_users_own_intervals(visits):
    days = {u: [START + timedelta(d) for d in when] for u, when in enumerate(visits)}
    own = {u: own_interval(mine) for u, mine in days.items() if len(mine) > 1}
    found = own_intervals(on_days(visits)).collect()
    assert dict(found.select("user_id", "interval").rows()) == own
    mine = list(own.values())
    expected = FALLBACK_INTERVAL if not mine else mine[0] if len(mine) == 1 else quantiles(mine, n=5, method="inclusive")[3]  # fmt: skip
    assert interval_of(intervals(on_days(visits))) == pytest.approx(expected)
    assert interval_of(intervals(on_days(visits).lazy())) == pytest.approx(expected)
    counts = sorted(Counter(mine).items())  # whether users and days stand in order or not
    for table in (on_days(visits), on_days(visits).sort("user_id", "day"), on_days(visits).reverse()):  # fmt: skip
        assert intervals(table).rows() == counts


def test_days_count_in_an_interval_and_not_gaps():
    """Three days in a row each month make an interval of a month, whether the days touch or not."""
    books = [28 * month + day for month in range(6) for day in (1, 2, 3)]
    assert own_interval([START + timedelta(d) for d in books]) == 26
    apart = [28 * month + day for month in range(6) for day in (1, 3)]
    holiday = [
        d for d in range(60) if not 30 <= d < 44
    ]  # two weeks off do not make a rhythm of two weeks
    found = own_intervals(on_days([books, apart, holiday])).sort("user_id").collect()
    assert found["interval"].to_list() == [26, 26, 1]


def journeys(**windows):
    rows = [
        (1, "signup", 0), (1, "make", 1), (1, "make", 11),
        (2, "signup", 0), (2, "make", 40), (2, "make", 41),
        (3, "signup", 30),
        (4, "signup", 45),
    ]  # fmt: skip
    log = pl.DataFrame(
        [(u, e, START + timedelta(d)) for u, e, d in rows],
        schema=["user_id", "event", "at"],
        orient="row",
    )
    definition = ek.Definition(signup="signup", activation="make", core="make", **windows)
    return ek.rollup(log, definition, as_of="2026-02-19", missing="allow")  # day 49


def test_windows_show_whom_they_leave_judgeable():
    # Own intervals 10 and 1: their 80th percentile is 8.2, so habit takes 14 days.
    assert ek.suggest_windows(journeys()).rows() == [
        ("usage_interval_days", pytest.approx(8.2), pytest.approx(8.2), 2, 2, 1.0),
        ("activation_days", 14, None, 3, 4, 0.75),
        ("habit_days", 14, 14, 1, 2, 0.5),
        ("depth_days", 70, 70, 0, 2, 0.0),
        ("depth_within_days", 30, 30, None, None, None),
        ("advocacy_days", 90, None, 0, 2, 0.0),
        ("first_days", 14, None, 3, 4, 0.75),
        ("outcome_days", 42, 42, 2, 4, 0.5),
    ]


def test_what_the_team_set_stands_beside_what_the_log_suggests():
    found = ek.suggest_windows(journeys(habit_days=7, outcome_days=(20, 49), usage_interval_days=3.0))  # fmt: skip
    rows = {row[0]: row[1:] for row in found.rows()}
    assert rows["usage_interval_days"][:2] == (3.0, pytest.approx(8.2))
    assert rows["habit_days"] == (7, 14, 2, 2, 1.0)
    assert rows["depth_days"][:2] == (35, 70)
    assert rows["outcome_days"] == (49, 42, 2, 4, 0.5)  # exactly 49 days passed for two of them


def test_a_log_without_core_actions_suggests_the_fallback():
    log = pl.DataFrame({"user_id": ["a"], "event": ["signup"], "at": [START]})
    made = ek.rollup(
        log, ek.Definition(signup="signup", activation="make", core="make"), missing="allow"
    )
    rows = {row[0]: row[1:] for row in ek.suggest_windows(made).rows()}
    assert rows["usage_interval_days"] == (7.0, 7.0, 0, 0, None)
    assert rows["habit_days"] == (14, 14, 0, 0, None)


def _weekday(chance, day, last):
    """Come on any one weekday of each week."""
    while day < last:
        yield day + timedelta(chance.randrange(5))
        day += timedelta(7)


def _month_end(chance, day, last):
    """Come on one of the last three days of each month."""
    while day < last:
        end = day.replace(day=monthrange(day.year, day.month)[1])
        yield end - timedelta(chance.randrange(3))
        day = end + timedelta(1)


def _give_or_take(chance, day, last):
    """Come every fortnight, give or take four days."""
    while day < last:
        yield day + timedelta(chance.uniform(-4, 4))
        day += timedelta(14)


def _at_random(chance, day, last):
    """Come at random, every five days on average."""
    while day < last:
        yield day
        day += timedelta(chance.expovariate(1 / 5))


@pytest.mark.parametrize("comes", [_weekday, _month_end, _give_or_take, _at_random])
def test_the_window_has_room_for_the_pauses_of_users_who_keep_coming(comes):
    """Nobody leaves, and hardly a period is missed: what habit reads is the window's doing alone."""
    chance, rows, last = random.Random(4), [], datetime(2025, 7, 1)
    for user in range(400):
        begun = datetime(2024, 1, 1) + timedelta(7 * chance.randrange(60))
        mine = [
            day
            for k, day in enumerate(comes(chance, begun, last))
            if not k or chance.random() < 0.97
        ]
        rows += [
            (user, "join", min(mine)),
            *((user, "make", day + timedelta(hours=1)) for day in mine),
        ]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row").filter(
        pl.col("at") < last
    )
    journeys = ek.rollup(
        log, ek.Definition(signup="join", activation="make", core="make"), as_of="2025-07-01"
    )
    habit = ek.prioritize(journeys, recent=None).table.row(
        by_predicate=pl.col("link") == "habit", named=True
    )
    assert habit["of"] > 250
    assert habit["rate"] > 0.92
