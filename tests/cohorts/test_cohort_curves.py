"""Cohort curves of journeys against those of the log, and pooled curves."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from cohort_logs import DAILY, LOG, column, log_of
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from retention_questions import PLACES, SLOW

import engagekit as ek
from engagekit.errors import ColumnError, ParameterError
from engagekit.journeys import facts_of

PRODUCT = ek.Definition(signup="s", activation="r", core="r")


def test_cohort_curves_of_journeys():
    journeys = ek.rollup(LOG, PRODUCT, as_of="2026-03-06")
    rolling = ek.cohort_curves(journeys, period="day", periods=4)
    assert column(rolling, "n", date(2026, 3, 2)) == [2, 1, 1, 0]
    assert column(rolling, "complete", date(2026, 3, 2)) == [True, True, True, False]
    calendar = ek.cohort_curves(journeys, period="day", periods=4, window="calendar")
    assert column(calendar, "n", date(2026, 3, 2)) == [2, 1, 2, 0]


def test_cohort_curves_split_by_properties_of_users():
    users = pl.DataFrame({"user_id": ["a", "b", "c"], "plan": ["pro", None, "free"]})
    journeys = ek.rollup(LOG, PRODUCT, users=users, as_of="2026-03-06")
    table = ek.cohort_curves(journeys, period="day", periods=2, by="plan")
    zero = table.filter(pl.col("period") == 0, pl.col("of") > 0)
    assert zero.select("plan", "cohort", "n").rows() == [
        ("free", date(2026, 3, 4), 1),
        ("pro", date(2026, 3, 2), 1),
        (None, date(2026, 3, 2), 1),
    ]
    with pytest.raises(ParameterError, match="'plan'"):
        ek.cohort_curves(journeys, by="plam")
    with pytest.raises(ParameterError, match="only keep days"):
        ek.cohort_curves(journeys, period="hour")


def test_journeys_on_disk_and_of_days_give_the_same(tmp_path):
    journeys = ek.rollup(LOG, PRODUCT, as_of="2026-03-06")
    journeys.save(tmp_path)
    stored = ek.Journeys.load(tmp_path, lazy=True)
    assert_frame_equal(
        ek.cohort_curves(stored, period="day"), ek.cohort_curves(journeys, period="day")
    )
    # A log of days starts at midnight: a's second day then ends 24 hours later, and so does the cohort's.
    days = ek.rollup(LOG.with_columns(pl.col("at").dt.date()), PRODUCT, as_of="2026-03-05")
    table = ek.cohort_curves(days, period="day", periods=3)
    assert column(table, "n", date(2026, 3, 2)) == [2, 1, 2]
    assert column(table, "complete", date(2026, 3, 2)) == [True, True, True]


@st.composite
def sign_up_logs(draw):
    zone, origin = draw(st.sampled_from(PLACES))
    step = draw(st.sampled_from([timedelta(hours=3), timedelta(hours=13), timedelta(days=4)]))
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from("srr"), st.integers(0, 30)),
            min_size=1,
            max_size=25,
        ).filter(lambda rows: any(event == "s" for _, event, _ in rows))
    )
    log = pl.DataFrame(
        [{"user_id": u, "event": e, "at": origin + t * step} for u, e, t in rows],
        schema={"user_id": pl.String, "event": pl.String, "at": pl.Datetime("us", "UTC")},
    )
    return log, zone


@pytest.mark.thorough
@settings(SLOW, max_examples=60)
@given(
    sign_up_logs(),
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(["rolling", "calendar"]),
    st.sampled_from(["on", "on_or_after"]),
    st.sampled_from(["started", "returned"]),
    st.booleans(),
)
def test_journeys_give_what_the_log_gives(made, period, window, mode, zero, people):
    log, zone = made
    definition = ek.Definition(signup="s", activation="r", core="r", timezone=zone)
    journeys = ek.rollup(log, definition, missing="allow")
    asked = {"period": period, "periods": 5, "window": window, "mode": mode, "people": people, "period_zero": zero}  # fmt: skip
    # A return before the sign-up cannot count in either: its period would be 0 or earlier.
    told = ek.retention(log, start="s", back="r", timezone=zone, missing="allow", **asked)
    assert_frame_equal(ek.cohort_curves(journeys, **asked), told)
    facts_of(
        journeys
    )  # from here on the arrays of days are there, and the curves are read off them
    assert_frame_equal(ek.cohort_curves(journeys, **asked), told)


BACK_AT_ONCE = log_of(
    ("a", "s", "2026-03-02T08:00"), ("a", "r", "2026-03-02T20:00"), ("a", "r", "2026-03-03T09:00"),
    ("b", "s", "2026-03-02T08:00"), ("b", "r", "2026-03-02T07:00"), ("b", "r", "2026-03-03T07:00"),
    ("c", "s", "2026-03-02T08:00"), ("c", "r", "2026-03-02T08:00"),
    ("d", "s", "2026-03-02T08:00"), ("d", "s", "2026-03-02T09:00"),
    ("x", "x", "2026-03-09T00:00"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "users"),
    [
        ({"back": "r", "window": "calendar"}, "ac"),  # b came before; c at the same instant
        ({"back": "r", "window": "rolling"}, "abc"),  # b within 24 hours, on the next day
        ({"back": "s", "window": "calendar"}, "d"),  # what starts a user is no return
        ({"back": None, "window": "calendar", "cohorts": "each"}, "d"),
        ({"back": "r", "min_times": 2, "window": "rolling"}, ""),
        ({"back": "r", "window": "calendar", "mode": "on_or_after"}, "abc"),
        ({"back": ["s", "r"], "window": "calendar"}, "acd"),
    ],
)
def test_who_came_back_in_the_period_of_the_start(asked, users):
    asked = {"start": "s", "period": "day", "periods": 2, "period_zero": "returned"} | asked
    table = ek.retention(BACK_AT_ONCE, **asked).head(1)
    assert (table["n"].item(), table["of"].item()) == (len(users), 4)
    assert table["rate"].item() == len(users) / 4
    who = ek.retention(BACK_AT_ONCE, **asked, people=True).filter(period=0, cohort=date(2026, 3, 2))
    assert "".join(who["user_id"]) == users
    asked["period_zero"] = "started"
    assert ek.retention(BACK_AT_ONCE, **asked).head(1)["n"].item() == 4


@pytest.mark.parametrize("window", ["rolling", "calendar"])
@pytest.mark.parametrize("zero", ["returned", "started"])
def test_whether_facts_are_there_already_changes_no_curve(window, zero):
    journeys = ek.rollup(BACK_AT_ONCE, PRODUCT_OF_RETURNS)
    asked = {"period": "day", "periods": 3, "window": window, "period_zero": zero}
    before = ek.cohort_curves(journeys, **asked)
    assert_frame_equal(before, ek.retention(BACK_AT_ONCE, start="s", back="r", **asked))
    facts_of(journeys)
    assert_frame_equal(ek.cohort_curves(journeys, **asked), before)


PRODUCT_OF_RETURNS = ek.Definition(signup="s", activation="r", core="r")


def test_pooled_and_drawn_a_first_period_of_returns_is_a_share():
    asked = {"start": "s", "back": "r", "period": "day", "periods": 3, "period_zero": "returned"}
    curve = ek.pooled_curve(ek.retention(BACK_AT_ONCE, **asked))
    assert curve.select("period", "n", "of").row(0) == (0, 2, 4)
    dates = BACK_AT_ONCE.with_columns(pl.col("at").dt.date())
    assert ek.retention(dates, **asked)["n"][0] == 3  # of one date, nothing is known to come before


def test_a_first_period_of_returns_is_refused_where_it_is_not_known():
    with pytest.raises(ParameterError, match="period_zero is 'returned', which needs one start"):
        ek.retention(BACK_AT_ONCE, start="s", cohorts="each", anchor="each", window="rolling", period_zero="returned")  # fmt: skip
    with pytest.raises(ParameterError, match="period_zero"):
        ek.retention(BACK_AT_ONCE, start="s", period_zero="return")
    for signup in (None, ["s", "r"]):
        definition = ek.Definition(signup=signup, activation="x", core="r", burn_in_days=0)
        journeys = ek.rollup(BACK_AT_ONCE, definition)
        ek.cohort_curves(journeys)
        with pytest.raises(ParameterError, match="journeys cannot tell"):
            ek.cohort_curves(journeys, period_zero="returned")


def test_on_the_day_of_25_hours_what_lies_between_two_boundaries_is_seen():
    # Signed up at 00:30; the 25th of October holds 00:30 to 00:30 of the next 24 hours, and half an hour on each side.
    local = ["2026-10-23T22:30", "2026-10-24T22:10", "2026-10-25T10:00", "2026-10-25T22:40"]
    names = ["s", "r", "r", "r"]
    definition = ek.Definition(signup="s", activation="r", core="r", timezone="Europe/Berlin")

    def curve(*kept):
        log = log_of(*[("a", names[i], local[i]) for i in kept])
        journeys = ek.rollup(log, definition, as_of="2026-11-01")
        found = column(ek.cohort_curves(journeys, period="day", periods=4), "n")[:4]
        facts_of(journeys)
        assert found == column(ek.cohort_curves(journeys, period="day", periods=4), "n")[:4]
        return found

    assert curve(0, 1, 2, 3) == [1, 1, 1, 0]
    assert curve(0, 1, 3) == [1, 0, 1, 0]
    assert curve(0, 2) == [1, 1, 0, 0]


def test_pooled_curves_keep_groups_and_mark_thin_tails():
    users = [f"u{i:02}" for i in range(40)]
    log = log_of(
        *[(user, "s", f"2026-03-{2 + i // 20:02}T10:00") for i, user in enumerate(users)],
        *[(user, "r", "2026-03-04T11:00") for user in users],
        land=["x"] * 40 + ["x"] * 40,
    )
    asked = {"start": "s", "back": "r", "period": "day", "periods": 4, "as_of": "2026-03-06"}
    curve = ek.pooled_curve(ek.retention(log, **asked, by="land"))
    assert curve.select("land", "period", "n", "of", "cohorts", "thin").rows() == [
        ("x", 0, 40, 40, 2, False),
        (
            "x",
            1,
            20,
            40,
            2,
            False,
        ),  # the second of March returned two days later, the third one day
        ("x", 2, 20, 40, 2, False),
        ("x", 3, 0, 20, 1, True),
    ]
    assert curve["average"].unique().to_list() == ["pooled"]


def test_pooled_curve_says_what_it_lacks():
    with pytest.raises(ColumnError, match="complete"):
        ek.pooled_curve(pl.DataFrame({"period": [1], "n": [1], "of": [1]}))
    with pytest.raises(ParameterError, match="pooled"):
        ek.pooled_curve(ek.retention(LOG, **DAILY), average="median")


def test_pooled_curve_takes_groups_of_any_name_but_its_own():
    curves = ek.retention(LOG.with_columns(mean=pl.lit("x")), **DAILY, by="mean")
    plain = ek.retention(LOG, **DAILY)
    for average in ("pooled", "mean"):
        pooled = ek.pooled_curve(curves, average=average)
        assert pooled.drop("mean").equals(ek.pooled_curve(plain, average=average))
    with pytest.raises(ColumnError, match="'thin' is a column of this answer; rename") as error:
        ek.pooled_curve(curves.rename({"mean": "thin"}).with_columns(average=pl.lit("y")))
    assert len(error.value.faults) == 2
