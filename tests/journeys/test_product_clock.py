"""Product time: the clock against plain Python, how it travels with journeys, and what it does to silences."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_clock import Clock
from rhythm_worlds import RHYTHMS, START, at, made

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.journeys.clock import (
    MILLION,
    PRODUCT_QUIET,
    clock_of,
    days_until,
    quiet_product,
    up_to,
    weighed,
)
from engagekit.journeys.coverage import basis
from engagekit.journeys.resolving import LATE_ENTRY, LONG_RHYTHM, SHORT_LOG

FIRST = date(2026, 1, 5)  # a Monday
PLAIN = ek.Definition(signup="join", activation="make", core="make", habit_days=7)


def days_from(counts):
    return pl.DataFrame(
        {"day": [FIRST + timedelta(k) for k in range(len(counts))], "active": counts},
        schema={"day": pl.Date, "active": pl.Int64},
    )


@given(st.lists(st.integers(0, 200), min_size=1, max_size=140))
def test_weights_are_those_of_plain_python(counts):
    found = clock_of([days_from(counts)], FIRST, FIRST + timedelta(len(counts) - 1))
    users = [[FIRST + timedelta(k)] for k, n in enumerate(counts) for _ in range(n)]
    expected = Clock(users, FIRST, FIRST + timedelta(len(counts) - 1))
    assert found["weight"].to_list() == pytest.approx([float(w) for w in expected.weights])
    last = expected.first + timedelta(len(counts) - 1)
    whole = pl.select(up_to(found, pl.lit(last))).item()
    assert whole == sum(w * MILLION for w in expected.weights)  # to the millionth
    assert found["active"].to_list() == counts
    assert found["expected"].to_list() == pytest.approx(
        [float(expected.expected(day)) for day in found["day"]]
    )


def test_weights_by_hand():
    # Seven days of 7, 7, 7, 7, 7, 0, 0 users, all within 45 days of each other: 35/7 = 5 are usual.
    found = weighed(days_from([7] * 5 + [0] * 2)["day"], pl.Series([7] * 5 + [0] * 2))
    assert found["expected"].to_list() == [5.0] * 7
    assert found["weight"].to_list() == [10 / 8] * 5 + [3 / 8] * 2
    assert found["weight"].sum() == 7  # as many product days as days


def test_counts_of_parts_add_up_and_days_outside_are_cut():
    parts = [days_from([1, 0, 2]), days_from([3, 4, 0, 9])]
    found = clock_of(parts, FIRST, FIRST + timedelta(2))
    assert found["active"].to_list() == [4, 4, 2]


def test_time_between_days_is_the_sum_of_the_later_ones_weights():
    clock = weighed(days_from([7] * 5 + [0] * 2)["day"], pl.Series([7] * 5 + [0] * 2))
    day = pl.Series([FIRST + timedelta(k) for k in (-3, -1, 0, 4, 6, 60)])
    passed = pl.select(up_to(clock, pl.lit(day))).to_series() / MILLION
    assert passed.to_list() == [0, 0, 1.25, 6.25, 7.0, 7.0]  # outside the log, its edge


def test_when_so_much_time_will_have_passed():
    # Five weeks of an office product: a working day weighs 1.25, a day of a weekend 3/8.
    counts = ([7] * 5 + [0] * 2) * 13
    clock = weighed(days_from(counts)["day"], pl.Series(counts))
    friday = FIRST + timedelta(90 - 2)
    assert clock["day"][-1] == friday + timedelta(2)
    left = pl.Series([0.3, 0.7, 0.8, 1.9, 2.1, 6.9, 700.0])
    found = days_until(clock, left, after=friday)
    after = [(day - friday).days for day in found]
    assert after[:6] == [1, 2, 3, 3, 4, 7]
    assert 690 <= after[6] <= 705  # four hundred days are laid out, the rest are plain days
    assert days_until(clock, pl.Series([], dtype=pl.Float64), after=friday).len() == 0


def rolled(rows, as_of, definition=PLAIN, **more):
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    return ek.rollup(log, definition, as_of=as_of, **({"missing": "allow"} | more))


def office(users=40, weeks=8):
    """Everybody signs up in the first week and works on every working day."""
    rows = []
    for user in range(users):
        joined = datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(days=user % 5)
        rows.append((user, "join", joined))
        days = [joined + timedelta(days=k) for k in range(7 * weeks)]
        rows += [(user, "make", day) for day in days if day.weekday() < 5]
    return rows


def test_the_clock_is_everybodys_whoever_is_looked_at():
    people = pl.DataFrame({"user_id": range(40), "plan": ["a", "b"] * 20})
    journeys = rolled(office(), "2026-02-16", users=people)
    clock = ek.product_clock(journeys)
    assert clock.columns == ["day", "active", "expected", "weight"]
    assert (clock["day"][0], clock["day"][-1]) == (FIRST, date(2026, 2, 15))
    some = journeys.where(users=pl.col("plan") == "a")
    assert ek.product_clock(some).equals(clock)
    assert ek.product_clock(journeys.where(signed_up=("2026-01-07", None))).equals(clock)
    with pytest.raises(ParameterError, match="it takes what"):
        ek.product_clock(clock)


@pytest.mark.parametrize("moment", ["2026-01-31", "2026-02-03T09:30", "2026-01-05T08:00"])
def test_at_an_earlier_instant_it_is_made_anew(moment):
    rows = [row for row in office() if row[0] != 3 or row[2] < datetime(2026, 2, 10, tzinfo=UTC)]
    whole = rolled(rows, "2026-02-16")
    then = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    if moment == "2026-01-05T08:00":
        assert ek.product_clock(whole.at(moment))["active"].to_list() == [0]
        return
    before = rolled([row for row in rows if row[2] < then], moment)
    assert ek.product_clock(whole.at(moment)).equals(ek.product_clock(before))
    # Narrowed first, the day that is cut in two is taken to be cut for everybody as for those at hand.
    some = whole.where(users=pl.col("user_id") < 20)
    narrowed = ek.product_clock(some.at(moment))
    assert narrowed["day"].equals(ek.product_clock(before)["day"])
    assert narrowed["active"][:-1].equals(ek.product_clock(before)["active"][:-1])


def test_it_lies_on_disk_with_the_journeys(tmp_path):
    journeys = rolled(office(), "2026-02-16").where(users=pl.col("user_id") < 5)
    journeys.save(tmp_path)
    for lazy in (False, True):
        loaded = ek.Journeys.load(tmp_path, lazy=lazy)
        assert ek.product_clock(loaded).equals(ek.product_clock(journeys))
        assert ek.label_users(loaded).equals(ek.label_users(journeys))


@pytest.mark.thorough
def test_weekends_and_a_shutdown_put_nobody_on_the_way_to_drifting():
    log = made(RHYTHMS["office, two weeks shut"], users=300, days=364, quits=0)
    journeys = log.journeys()
    for day in (353, 360, 364):  # 25 December, 1 and 5 January
        then = journeys.at(at(day))
        assert ek.label_users(then).filter(label="drift").height <= 3
    # On Mondays, after two days off, no more are on the watch list than on Thursdays.
    sizes = {
        k: [ek.watch_list(journeys.at(at(294 + 7 * week + k))).height for week in range(6)]
        for k in (0, 3)
    }
    assert sum(sizes[0]) < 1.5 * sum(sizes[3])


def test_survival_on_the_products_clock_survives_month_ends():
    log = made(RHYTHMS["month-end"], users=300, days=360, quits=0, never=0)
    journeys = log.journeys()
    calendar = ek.survival(journeys, quiet_days=25).drop_nulls("survival")["survival"][-1]
    product = ek.survival(journeys, quiet_days=25, clock="product").drop_nulls("survival")
    assert calendar < 0.5
    assert product["survival"][-1] > 0.9
    assert product["time"].to_list() == [7 * k for k in range(product.height)]
    with pytest.raises(ParameterError, match="Did you mean 'product'"):
        ek.survival(journeys, quiet_days=14, clock="produkt")


def test_on_a_steady_clock_both_survivals_are_one():
    log = made(RHYTHMS["weekly"], users=200, days=200)
    journeys = log.journeys()
    even = dataclasses.replace(journeys, clock=journeys.clock.with_columns(weight=pl.lit(1.0)))
    people = pl.col("user_id") % 2
    even = dataclasses.replace(even, users=even.users.with_columns(half=people))
    for ask in (
        lambda clock: ek.survival(even, quiet_days=21, clock=clock),
        lambda clock: ek.survival(even, quiet_days=21, by="half", period="day", clock=clock),
        lambda clock: ek.compare_survival(even, quiet_days=21, by="half", clock=clock),
    ):
        assert ask("product").equals(ask("calendar"))


# --- what the whole log settles ---


def kinds(journeys):
    return {remark.kind for remark in journeys.remarks}


def test_a_log_too_short_for_its_rhythm_says_so():
    monthly = made(RHYTHMS["monthly"], users=200, days=200, quits=0).events
    for days, told in ((50, True), (200, False)):
        definition = ek.Definition(signup="signed_up", activation="first", core="work")
        early = monthly.filter(pl.col("at") < at(days))
        journeys = ek.rollup(early, definition, as_of=at(days))
        assert (SHORT_LOG in kinds(journeys)) is told
        assert journeys.definition.usage_interval_days < 32
    remark = next(r for r in ek.rollup(
        monthly.filter(pl.col("at") < at(50)), definition, as_of=at(50)
    ).remarks if r.kind == SHORT_LOG)  # fmt: skip
    assert remark.about == ("habit",)
    assert "The log covers 50 days" in remark.text


def test_a_rhythm_beyond_the_ladder_says_so():
    rows = [(user, event, START + timedelta(days=day)) for user in range(20) for event, day in
            [("join", user), ("make", user), *[("make", user + 130 * k) for k in range(1, 6)]]]  # fmt: skip
    free = dataclasses.replace(PLAIN, habit_days=None)
    journeys = rolled(rows, START + timedelta(days=760), free)
    assert (journeys.definition.usage_interval_days, journeys.definition.habit_days) == (130, 91)
    remark = next(r for r in journeys.remarks if r.kind == LONG_RHYTHM)
    assert "130 days" in remark.text
    assert remark in basis(journeys).remarks  # so it stands beside every verdict
    team = dataclasses.replace(free, habit_days=140)
    assert LONG_RHYTHM not in kinds(rolled(rows, START + timedelta(days=760), team))


@pytest.mark.parametrize(("every", "window"), [(7, 14), (14, 31), (31, 61)])
def test_who_comes_at_every_meeting_has_come_back_and_a_window_that_ends_before_it_is_remarked_on(
    every, window
):
    """Whether somebody is an hour early or late must not decide who has a habit."""
    hours = [-1, 1, 0, 2, -2]
    rows = [(user, event, START + timedelta(days=user % 50 + every * k, hours=10 + hours[(user + k) % 5]))
            for user in range(100) for k in range(9) for event in ("join", "make") if event == "make" or not k]  # fmt: skip
    free = dataclasses.replace(PLAIN, habit_days=None)
    journeys = rolled(rows, START + timedelta(days=every * 12), free)
    assert journeys.definition.usage_interval_days == every
    assert journeys.definition.habit_days == window
    row = ek.prioritize(journeys, recent=None).table.row(
        by_predicate=pl.col("link") == "habit", named=True
    )
    assert row["of"] > 20
    assert row["rate"] == 1
    assert LONG_RHYTHM not in kinds(journeys)
    short = rolled(rows, START + timedelta(days=every * 12), dataclasses.replace(PLAIN, habit_days=every))  # fmt: skip
    assert 0.2 < ek.prioritize(short, recent=None).table.row(by_predicate=pl.col("link") == "habit", named=True)["rate"] < 0.8  # fmt: skip
    remark = next(r for r in short.remarks if r.kind == LONG_RHYTHM)
    assert f"the habit window of {every} days has ended by then" in remark.text


def test_a_product_that_falls_quiet_is_remarked_on_and_nobody_drifts_for_a_while():
    rows = [row for row in office(weeks=20) if row[2] < datetime(2026, 5, 4, tzinfo=UTC)]
    busy = rolled(rows, "2026-05-04")
    assert quiet_product(busy.clock) is None
    for days, told, drifted in ((3, False, 0), (14, True, 0), (120, False, 40)):
        then = rolled(rows, datetime(2026, 5, 4, tzinfo=UTC) + timedelta(days=days))
        assert (quiet_product(then.clock) is not None) is told
        assert ek.label_users(then).filter(label="drift").height == drifted
    quiet = rolled(rows, "2026-05-18")
    remark = next(r for r in ek.prioritize(quiet).remarks if r.kind == PRODUCT_QUIET)
    assert "0% of what is usual" in remark.text


def test_a_product_for_month_ends_is_not_called_quiet_between_them():
    journeys = made(RHYTHMS["month-end"], users=200, days=240, quits=0).journeys()
    told = [quiet_product(journeys.at(at(200 + k)).clock) is not None for k in range(31)]
    assert not any(told)


# --- sign-ups before the log ---


def late_log():
    """Users 0 to 9 sign up in the log; 10 to 19 signed up thirty days before it, of whom five are still active."""
    start = datetime(2026, 1, 5, 9, tzinfo=UTC)
    rows = [(user, "join", start + timedelta(days=user)) for user in range(10)]
    rows += [(user, "make", start + timedelta(days=user + k)) for user in range(10) for k in (0, 3)]
    rows += [
        (user, "make", start + timedelta(days=2 + k)) for user in range(10, 15) for k in (0, 7, 60)
    ]
    people = pl.DataFrame(
        {
            "user_id": range(10, 20),
            "signed_up_at": [start - timedelta(days=30)] * 10,
            "plan": ["x"] * 10,
        }
    )
    return rows, people


def test_sign_ups_before_the_log_are_set_apart_and_said():
    rows, people = late_log()
    journeys = rolled(rows, "2026-03-16", users=people)
    assert journeys.users.height == 10
    assert journeys.late["user_id"].to_list() == list(range(10, 20))
    assert ("signed up before the log starts", 10, "users") in journeys.left_out.rows()
    remark = next(r for r in journeys.remarks if r.kind == LATE_ENTRY)
    assert remark.users == 10
    # Engagement counts them, links, labels, curves and comparisons do not.
    found = ek.metrics(journeys, recent=None)
    engaged = found.filter(metric="engagement rate").row(0, named=True)
    assert (engaged["n"], engaged["of"]) == (5, 15)
    assert found.filter(metric="activation rate")["of"].item() == 10
    assert ek.usage_interval(journeys)["of"][0] == 15
    assert ek.product_clock(journeys)["active"].sum() == 10 * 2 + 5 * 3
    assert ek.label_users(journeys)["user_id"].to_list() == list(range(10))
    assert ek.prioritize(journeys).table["of"][0] == 10
    assert ek.cohort_curves(journeys).filter(period=0)["n"].sum() == 10
    assert ek.survival(journeys, quiet_days=14)["at_risk"][0] <= 10


def test_sign_ups_before_the_log_travel(tmp_path):
    rows, people = late_log()
    journeys = rolled(rows, "2026-03-16", users=people)
    journeys.save(tmp_path)
    for each in (journeys, ek.Journeys.load(tmp_path), ek.Journeys.load(tmp_path, lazy=True)):
        assert each.where(users=pl.col("plan") == "x").late.lazy().collect().height == 10
        assert each.where(users=pl.col("user_id") < 12).late.lazy().collect().height == 2
        narrowed = each.where(signed_up=("2026-01-01", None))
        assert narrowed.late.lazy().collect().height == 0
        assert set(narrowed.days.lazy().collect()["user_id"]) == set(range(10))
        earlier = each.at("2026-01-20").late.lazy().collect()
        assert earlier["core_days"].to_list() == [2] * 5 + [0] * 5
    assert ek.metrics(ek.Journeys.load(tmp_path, lazy=True)).equals(ek.metrics(journeys))


def test_a_sign_up_on_the_logs_first_day_is_in_it():
    rows, _ = late_log()
    people = pl.DataFrame({"user_id": [10], "signed_up_at": [datetime(2026, 1, 5, tzinfo=UTC)]})
    journeys = rolled(rows, "2026-03-16", users=people)
    assert journeys.late.height == 0
    assert 10 in journeys.users["user_id"]


# --- recent sign-ups and the pace of going quiet ---


def test_the_diagnosis_stands_on_recent_sign_ups_and_says_which():
    # 35 + 91 = 126 days back from day 300.
    rows = []
    for user, day in enumerate([0, 100, 173, 174, 250, 299]):
        rows += [
            (user, "join", START + timedelta(days=day)),
            (user, "make", START + timedelta(days=day, hours=1)),
        ]
    definition = dataclasses.replace(PLAIN, depth_days=35)
    journeys = rolled(rows, START + timedelta(days=300), definition)
    found = ek.diagnose(journeys)
    assert found.filter(label="vanished")["n"].item() == 2
    assert found.filter(label="too_early")["n"].item() == 1
    day = (START + timedelta(days=174)).date()
    assert set(found.select("since", "until").rows()) == {
        (day, (START + timedelta(days=299)).date())
    }
    assert ek.diagnose(journeys, recent=None).filter(label="vanished")["n"].item() == 5
    assert ek.diagnose(journeys, recent=92).filter(label="vanished")["n"].item() == 3
    assert ek.diagnose(journeys, recent=None, people=True).height == 6
    with pytest.raises(ParameterError, match="recent is 'all'"):
        ek.diagnose(journeys, recent="all")
    # Ten years later nobody signs up any more: the days are counted back from the last sign-up.
    ended = ek.diagnose(rolled(rows, START + timedelta(days=3650), definition))
    assert ended["until"][0] == (START + timedelta(days=299)).date()
    assert ended.filter(label="vanished")["n"].item() == 4


def test_groups_without_recent_sign_ups_have_their_rows():
    rows = [(0, "join", START), (1, "join", START + timedelta(days=299))]
    people = pl.DataFrame({"user_id": [0, 1], "plan": ["old", "new"]})
    found = ek.diagnose(rolled(rows, START + timedelta(days=300), users=people), by="plan")
    old = found.filter(plan="old")
    assert old["n"].to_list() == [0] * 8
    assert old["share"].null_count() == 8


def test_beside_the_share_of_drift_stands_its_pace():
    """Forty work every day; ten of them stop twenty days before the end, and five had stopped long before."""
    rows = []
    for user in range(40):
        last = 100 if user < 25 else 80 if user < 35 else 40
        rows.append((user, "join", START))
        rows += [(user, "make", START + timedelta(days=k, hours=9)) for k in range(last)]
    journeys = rolled(rows, START + timedelta(days=100))
    drift = ek.diagnose(journeys, recent=None).filter(label="drift").row(0, named=True)
    assert (drift["n"], drift["could_show"]) == (15, 40)
    assert (drift["went_quiet"], drift["going"], drift["per_28_days"]) == (10, 35, 10 / 35)
    assert drift["note"].endswith("of 35 going 28 days before the data end, 29% went quiet")
    low, high = ek.intervals.wilson(10, 35)
    assert (drift["per_28_days_low"], drift["per_28_days_high"]) == pytest.approx((low, high))
    others = ek.diagnose(journeys, recent=None).filter(pl.col("label") != "drift")
    assert others["going"].null_count() == others.height
    young = ek.diagnose(journeys.at(START + timedelta(days=20)))
    assert young["going"].null_count() == young.height


@settings(max_examples=20)
@given(st.integers(0, 200), st.integers(1, 40))
def test_who_went_quiet_was_going_before(seed, back):
    journeys = made(RHYTHMS["bursts"], users=40, days=150, seed=seed).journeys().at(at(150 - back))
    drift = ek.diagnose(journeys, recent=None).filter(label="drift").row(0, named=True)
    if drift["going"] is not None:
        assert drift["went_quiet"] <= min(drift["going"], drift["n"])
        assert drift["going"] <= drift["could_show"]
