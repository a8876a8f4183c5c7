"""Cohort curves: the rules one by one, from small literals; errors."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from cohort_logs import DAILY, LOG, column, log_of
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import engagekit as ek
from engagekit.errors import ColumnError, EngagekitError, EventLogError, ParameterError


def test_columns_and_dtypes():
    table = ek.retention(LOG, **DAILY)
    assert table.schema == {
        "cohort": pl.Date,
        "period": pl.Int64,
        "n": pl.Int64,
        "of": pl.Int64,
        "rate": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "complete": pl.Boolean,
    }
    hours = ek.retention(LOG, **DAILY | {"period": "hour", "mode": "on_or_after"})
    assert hours.schema["cohort"] == pl.Datetime("us")
    assert hours.columns[-1] == "followed_until"
    brackets = ek.retention(LOG, **DAILY, brackets=[2])
    assert brackets.columns[:4] == ["cohort", "period", "from_period", "to_period"]


def test_calendar_days_and_what_cannot_be_known():
    table = ek.retention(LOG, **DAILY)
    # Period 0 is the cohort's size; the third of March is a cohort without a user; day 5 has not begun.
    assert column(table, "n", date(2026, 3, 2)) == [2, 1, 2, None]
    assert column(table, "n", date(2026, 3, 3)) == [0, 0, None, None]
    assert column(table, "n", date(2026, 3, 4)) == [1, None, None, None]
    assert column(table, "complete", date(2026, 3, 2)) == [True, True, True, False]
    assert column(table, "rate", date(2026, 3, 3)) == [None] * 4
    # A day that has begun but not ended carries its count so far, and no rate.
    table = ek.retention(LOG, **DAILY | {"as_of": "2026-03-04T19:30"})
    assert column(table, "n", date(2026, 3, 2)) == [2, 1, 2, None]
    assert column(table, "rate", date(2026, 3, 2)) == [1.0, 0.5, None, None]
    assert column(table, "complete", date(2026, 3, 2)) == [True, True, False, False]


def test_rolling_windows_run_from_each_start_and_wait_for_the_latest():
    table = ek.retention(LOG, **DAILY | {"as_of": "2026-03-06"}, window="rolling")
    # a: 09:00 next day is within the first 24 hours; 12:00 two days later is on day 2. b: 19:00 is on day 1.
    assert column(table, "n", date(2026, 3, 2)) == [2, 1, 1, 0]
    # Who might have started just before midnight on the 2nd has day 2 until just before midnight on the 5th.
    assert column(table, "complete", date(2026, 3, 2)) == [True, True, True, False]
    early = ek.retention(LOG, **DAILY | {"as_of": "2026-03-05T23:59:00"}, window="rolling")
    assert column(early, "complete", date(2026, 3, 2)) == [True, True, False, False]


def test_truncated_windows_cut_times_to_the_hour_and_close_an_hour_earlier():
    log = log_of(("a", "s", "2026-03-02T17:59"), ("a", "r", "2026-03-03T17:00"))
    asked = DAILY | {"window": "rolling", "periods": 2, "as_of": "2026-03-04T23:00"}
    truncated = ek.retention(log, **asked, granularity="truncated")
    assert column(truncated, "n", date(2026, 3, 2)) == [1, 1]
    assert column(truncated, "complete", date(2026, 3, 2)) == [True, True]
    exact = ek.retention(log, **asked)
    assert column(exact, "n", date(2026, 3, 2)) == [1, 0]
    assert column(exact, "complete", date(2026, 3, 2)) == [True, False]


def test_truncated_weeks_count_local_days():
    # Seven local days across the spring change are 167 hours.
    log = log_of(("a", "s", "2026-03-25T23:30"), ("a", "r", "2026-04-01T22:30"))
    asked = {"start": "s", "back": "r", "periods": 2, "window": "rolling", "as_of": "2026-05-01"}
    berlin = {"timezone": "Europe/Berlin"}
    assert column(ek.retention(log, **asked, **berlin), "n")[:2] == [1, 0]
    cut = ek.retention(log, **asked, **berlin, granularity="truncated")
    assert column(cut, "n")[:2] == [1, 1]


def test_first_first_ever_and_each():
    log = log_of(
        ("a", "s", "2026-03-01T10:00"),
        ("a", "s", "2026-03-02T10:00"),
        ("a", "s", "2026-03-03T10:00"),
        ("b", "s", "2026-03-02T10:00"),
        plan=["free", "paid", "paid", "paid"],
    )
    asked = {"start": ek.Match("s", plan="paid"), "period": "day", "periods": 1}
    asked |= {"since": "2026-03-01", "as_of": "2026-03-04"}
    sizes = {
        c: column(ek.retention(log, **asked, cohorts=c), "n")
        for c in ("first", "first_ever", "each")
    }
    assert sizes == {"first": [0, 2, 0], "first_ever": [0, 1, 0], "each": [0, 2, 1]}
    # For an expression: the first event of any name that its rows bear.
    by_plan = asked | {"start": pl.col("plan") == "paid"}
    assert column(ek.retention(log, **by_plan, cohorts="first_ever"), "n") == [0, 1, 0]


def test_who_started_before_since_is_not_new():
    log = log_of(
        ("a", "s", "2026-03-01T10:00"),
        ("a", "s", "2026-03-02T10:00"),
        ("b", "s", "2026-03-02T10:00"),
    )
    asked = {"start": "s", "period": "day", "periods": 1, "since": "2026-03-02T05:00"}
    assert column(ek.retention(log, **asked), "n") == [1]
    assert column(ek.retention(log, **asked, cohorts="each"), "n") == [2]
    # One anchor per user, the first at or after `since`: for "each" that may be a later start.
    assert column(ek.retention(log, **asked, cohorts="each", window="rolling"), "n") == [2]
    assert column(ek.retention(log, **asked, cohorts="first", window="rolling"), "n") == [1]


def test_one_anchor_per_start_lets_a_return_count_twice():
    log = log_of(
        ("a", "s", "2026-03-02T10:00"),
        ("a", "s", "2026-03-03T10:00"),
        ("a", "r", "2026-03-05T09:00"),
    )
    asked = DAILY | {"as_of": "2026-03-09", "window": "rolling", "cohorts": "each"}
    first = ek.retention(log, **asked)
    assert column(first, "n", date(2026, 3, 2)) == [1, 0, 1, 0]
    assert column(first, "n", date(2026, 3, 3)) == [0, 0, 0, 0]
    each = ek.retention(log, **asked, anchor="each")
    assert column(each, "n", date(2026, 3, 2)) == [1, 0, 1, 0]
    assert column(each, "n", date(2026, 3, 3)) == [1, 1, 0, 0]


def test_on_or_after_counts_returns_beyond_the_last_period_shown():
    log = log_of(("a", "s", "2026-03-02T10:00"), ("a", "r", "2026-03-20T10:00"))
    table = ek.retention(log, **DAILY | {"as_of": "2026-03-21"}, mode="on_or_after")
    assert column(table, "n", date(2026, 3, 2)) == [1, 1, 1, 1]
    assert table["followed_until"].unique().to_list() == [datetime(2026, 3, 21, tzinfo=UTC)]
    earlier = ek.retention(log, **DAILY | {"as_of": "2026-03-20"}, mode="on_or_after")
    assert column(earlier, "n", date(2026, 3, 2)) == [1, 0, 0, 0]


def test_brackets_and_times_needed_within_a_day():
    days = [1, 4, 5, 14, 16]
    log = log_of(
        ("a", "s", "2026-03-01T10:00"),
        *[("a", "r", f"2026-03-{1 + day:02}T10:00") for day in days],
        ("a", "r", "2026-03-15T11:00"),
    )
    asked = DAILY | {"as_of": "2026-03-18", "brackets": [4, 10, 3]}
    table = ek.retention(log, **asked).filter(pl.col("cohort") == date(2026, 3, 1))
    assert table.select("period", "from_period", "to_period", "n", "complete").rows() == [
        (0, 0, 0, 1, True),
        (1, 1, 4, 1, True),
        (2, 5, 14, 1, True),
        (3, 15, 17, 1, False),
    ]
    # Twice within one day, not within a bracket; the start needs it once.
    twice = ek.retention(log, **asked, min_times=2)
    assert column(twice, "n", date(2026, 3, 1)) == [1, 0, 1, 0]


def test_months_are_calendar_months_or_thirty_days():
    log = log_of(("a", "s", "2024-01-31T10:00"), ("a", "r", "2024-02-01T10:00"))
    asked = {"start": "s", "back": "r", "period": "month", "periods": 2, "as_of": "2024-06-01"}
    assert column(ek.retention(log, **asked), "n")[:2] == [1, 1]
    rolling = ek.retention(log, **asked, window="rolling")
    assert column(rolling, "n")[:2] == [1, 0]
    # The latest start of January has its days 30 to 59 until just before 31 March ends.
    assert column(rolling, "complete")[:2] == [True, True]
    asked |= {"as_of": "2024-03-31T23:00"}
    assert column(ek.retention(log, **asked, window="rolling"), "complete")[:2] == [True, False]


def test_hours_are_those_of_the_clock_on_days_that_change_it():
    asked = {"start": "s", "back": "r", "period": "hour", "periods": 3, "timezone": "Europe/Berlin"}
    # In autumn the hour from two to three comes twice and is one period: 00:30 and 01:30 UTC lie in it.
    autumn = log_of(("a", "s", "2026-10-24T23:30"), ("a", "r", "2026-10-25T01:30"))
    table = ek.retention(autumn, **asked, as_of="2026-10-25T01:45:00+00:00")
    assert column(table, "cohort")[0] == datetime(2026, 10, 25, 1)
    assert column(table, "n", datetime(2026, 10, 25, 1)) == [1, 1, None]
    assert column(table, "complete", datetime(2026, 10, 25, 1)) == [True, False, False]
    # In spring that hour does not come: it is complete as soon as it would begin, and empty.
    spring = log_of(("a", "s", "2026-03-29T00:30"), ("a", "r", "2026-03-29T01:00"))
    table = ek.retention(spring, **asked, as_of="2026-03-29T01:00:00+00:00")
    assert column(table, "n", datetime(2026, 3, 29, 1)) == [1, 0, None]
    assert column(table, "complete", datetime(2026, 3, 29, 1)) == [True, True, False]
    table = ek.retention(spring, **asked, as_of="2026-03-29T01:10:00+00:00")
    assert column(table, "n", datetime(2026, 3, 29, 1)) == [1, 0, 1]
    assert column(table, "n", datetime(2026, 3, 29, 2)) == [0, 0, None]


def test_weeks_start_on_the_day_that_is_said():
    log = log_of(("a", "s", "2026-03-08T10:00"), ("a", "r", "2026-03-09T10:00"))  # Sunday, Monday
    asked = {"start": "s", "back": "r", "periods": 2}
    assert column(ek.retention(log, **asked), "n")[:2] == [1, 1]
    assert column(ek.retention(log, **asked), "cohort")[0] == date(2026, 3, 2)
    sunday = ek.retention(log, **asked, week_start="sunday")
    assert column(sunday, "n")[:2] == [1, None]
    assert column(sunday, "cohort")[0] == date(2026, 3, 8)


def test_a_property_that_varies_must_be_the_same_at_start_and_return():
    log = log_of(
        ("a", "s", "2026-03-02T10:00"),
        ("a", "s", "2026-03-03T10:00"),
        ("b", "s", "2026-03-02T10:00"),
        ("b", "s", "2026-03-03T10:00"),
        browser=["x", "y", None, None],
    )
    table = ek.retention(log, start="s", period="day", periods=2, by="browser")
    first = table.filter(pl.col("cohort") == date(2026, 3, 2))
    assert first.select("browser", "period", "n").rows() == [
        ("x", 0, 1),
        ("x", 1, 0),
        (None, 0, 1),
        (None, 1, 1),
    ]


def test_limit_keeps_the_largest_groups_and_names_the_rest_other():
    log = log_of(
        *[(user, "s", "2026-03-02T10:00") for user in "abcde"],
        *[(user, "s", "2026-03-03T10:00") for user in "abcde"],
        land=["z", "z", "y", "x", None] * 2,
    )
    asked = {"start": "s", "period": "day", "periods": 2, "by": "land"}
    table = ek.retention(log, **asked, limit=2)
    first = table.filter(pl.col("cohort") == date(2026, 3, 2), pl.col("period") == 1)
    assert first.select("land", "n", "of").rows() == [("x", 1, 1), ("z", 2, 2), ("Other", 2, 2)]
    people = ek.retention(log, **asked, limit=2, people=True)
    others = people.filter(pl.col("land") == "Other", pl.col("period") == 1)
    assert others["user_id"].unique().sort().to_list() == ["c", "e"]


def test_start_and_return_are_the_same_by_default_and_may_be_expressions():
    log = log_of(("a", "s", "2026-03-02T10:00"), ("a", "r", "2026-03-03T10:00"))
    asked = {"period": "day", "periods": 2, "as_of": "2026-03-05"}
    assert column(ek.retention(log, start="s", **asked), "n")[:2] == [1, 0]
    assert column(ek.retention(log, start=["s", "r"], **asked), "n")[:2] == [1, 1]
    assert column(ek.retention(log, start=pl.lit(value=True), **asked), "n")[:2] == [1, 1]
    early = ek.retention(
        log, start="s", back=pl.col("at") > pl.datetime(2026, 3, 3, time_zone="UTC"), **asked
    )
    assert column(early, "n")[:2] == [1, 1]


def test_nobody_started():
    with pytest.raises(
        ParameterError,
        match=r"start matches nothing: no event is named 'never'\. There are 'r' and 's'\.",
    ):
        ek.retention(LOG, start="never")
    never = {"start": "never", "missing": "allow"}
    assert ek.retention(LOG, **never).height == 0
    assert ek.retention(LOG, **never, people=True).columns == ["cohort", "period", "user_id"]
    table = ek.retention(LOG, **never, since="2026-03-02", period="day", periods=2)
    assert column(table, "n") == [0, 0, 0, 0, 0, None]


def test_a_lazy_log_and_one_of_whole_numbers_for_users():
    log = LOG.with_columns(pl.col("user_id").replace_strict({"a": 1, "b": 2, "c": 3}))
    assert_frame_equal(ek.retention(log.lazy(), **DAILY), ek.retention(LOG, **DAILY))
    people = ek.retention(log, **DAILY, people=True)
    assert people.rows()[:2] == [(date(2026, 3, 2), 0, 1), (date(2026, 3, 2), 0, 2)]


WRONG = [
    ({"anchor": "each", "cohorts": "each"}, "anchor"),
    ({"granularity": "truncated"}, "granularity"),
    ({"window": "rolling", "anchor": "each"}, "cohorts='each'"),
    ({"window": "rolling", "anchor": "each", "cohorts": "first_ever"}, "cohorts='each'"),
    ({"period": "weeks"}, "'week'"),
    ({"periods": 0}, "periods is 0"),
    ({"min_times": 1.5}, "min_times is 1.5"),
    ({"brackets": []}, "brackets"),
    ({"brackets": [3, 0]}, "bracket 2"),
    ({"mode": "unbounded"}, "on_or_after"),
    ({"cohorts": "all"}, "first_ever"),
    ({"window": "24h"}, "rolling"),
    ({"limit": 3}, "no by="),
    ({"by": "event", "limit": 0}, "limit is 0"),
    ({"by": "cohort"}, "rename"),
    ({"by": ["event", "event"]}, "twice"),
    ({"by": 3}, "by is 3"),
    ({"timezone": "Europe/Berln"}, "Europe/Berlin"),
    ({"week_start": "dienstag"}, "monday"),
    ({"since": "2027-01-01"}, "since"),
    ({"since": "soon"}, "since"),
    ({"as_of": "2026-13-01"}, "as_of"),
    ({"back": []}, "back"),
    ({"start": 3}, "start"),
    ({"back": pl.col("at")}, "true or false"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG)
def test_what_means_nothing_is_refused(wrong, says):
    with pytest.raises(EngagekitError, match=says.replace("(", r"\(")):
        ek.retention(LOG, **{"start": "s"} | wrong)


def test_all_faults_are_named_at_once():
    with pytest.raises(ParameterError) as error:
        ek.retention(LOG, start="s", period="moon", periods=-1, granularity="truncated", limit=0)
    assert "5 faults" in str(error.value)
    with pytest.raises(ParameterError, match="3 faults"):
        ek.retention(LOG, start="s", since="soon", as_of=5, timezone="Mars/Base")  # type: ignore[arg-type]


def test_conditions_that_no_value_can_meet_are_refused():
    log = LOG.with_columns(plan=pl.lit("pro"))
    with pytest.raises(ColumnError, match="'plan' holds String; write the value"):
        ek.retention(log, start=ek.Match("s", plan=5))
    with pytest.raises(ColumnError, match="back does not fit the log"):
        ek.retention(log, start="s", back=["r", ek.Match("s", plan=True)])


def test_lists_have_no_other():
    log = LOG.with_columns(tags=pl.lit(["x", "y"], pl.List(pl.String)))
    split = ek.retention(log, **DAILY, by="tags")
    assert split.drop("tags").equals(ek.retention(LOG, **DAILY))
    with pytest.raises(ColumnError, match=r"'tags' holds List\(String\)"):
        ek.retention(log, **DAILY, by=["event", "tags"], limit=1)


def test_missing_columns_are_named_with_near_ones():
    log = LOG.with_columns(pl.lit("x").alias("channel"))
    with pytest.raises(ColumnError, match="'channel'"):
        ek.retention(log, start="s", by="chanel")
    with pytest.raises(ColumnError, match="'channel'"):
        ek.retention(log, start=ek.Match("s", chanel="x"))
    with pytest.raises(ColumnError, match="'channel'"):
        ek.retention(log, start=pl.col("chanel") == "x")


def test_misspelt_names_are_answered_with_near_ones():
    log = LOG.with_columns(pl.col("event").replace({"s": "signed_up", "r": "export_2"}))
    with pytest.raises(ParameterError, match="'signed_up'"):
        ek.retention(log, start="signd_up")
    with pytest.raises(ParameterError, match="'signed_up'"):
        ek.retention(log, start="signed_up", back="Signed_Up ")
    with pytest.raises(ParameterError, match="'export_2'"):
        ek.retention(log, start="signed_up", back="export_3")
    # Nobody has done it yet: that is an answer to whoever says so.
    table = ek.retention(
        log, start="signed_up", back="export_3", period="day", periods=2, missing="allow"
    )
    assert column(table.filter("complete"), "n") == [2, 0, 0]
    # A name that only comes after the data end is no slip.
    ended = ek.retention(log, start="export_2", as_of="2026-03-02T10:30", since="2026-03-02")
    assert column(ended, "n")[:1] == [0]


def test_columns_to_split_by_may_have_any_other_name():
    names = [
        "first",
        "tick",
        "index",
        "k",
        "len",
        "_group",
        "_shown",
        "before",
        "size",
        "begun",
        "opens_at",
        "from",
        "by:x",
    ]
    log = LOG.with_columns(pl.lit("x").alias(name) for name in names)
    whole = ek.retention(log, **DAILY)
    for more in (
        {},
        {"cohorts": "first_ever"},
        {"window": "rolling", "cohorts": "each", "anchor": "each"},
    ):
        split = ek.retention(log, **DAILY, by=names, **more)
        plain = ek.retention(log, **DAILY, **more)
        assert split.columns == [*names, *plain.columns]
        assert set(plain.columns) - {"users_effect"} == set(whole.columns)
        limited = ek.retention(log, **DAILY, by=names, limit=1, **more)
        assert_frame_equal(limited, split)
        assert_frame_equal(split.drop(names), plain)


def test_hours_of_days_and_an_empty_log_are_refused():
    days = LOG.with_columns(pl.col("at").dt.date())
    with pytest.raises(ParameterError, match="only knows days"):
        ek.retention(days, start="s", period="hour")
    with pytest.raises(EventLogError, match="no events"):
        ek.retention(LOG.clear(), start="s")


# Cohort curves of journeys.


@pytest.mark.parametrize(
    ("zone", "since", "as_of"),
    [
        ("Europe/Berlin", "2026-03-03T00:00:00+01:00", "2026-03-05T00:00:00+01:00"),
        ("America/New_York", "2026-03-03T00:00:00-05:00", "2026-03-05T00:00:00-05:00"),
        ("Australia/Sydney", "2026-03-02T14:00:00+01:00", "2026-03-04T09:00:00-04:00"),
        ("Australia/Sydney", "2026-03-03T00:00:00Z", datetime(2026, 3, 5, tzinfo=UTC)),
    ],
)
def test_days_of_a_log_of_dates_are_local_ones(zone, since, as_of):
    """The instant at which the fifth of March begins there ends the fourth, whatever the day is in UTC."""
    days = LOG.with_columns(pl.col("at").dt.date())
    asked = DAILY | {"timezone": zone, "cohorts": "each", "back": None, "start": pl.lit(value=True)}
    local = ek.retention(days, **asked | {"since": "2026-03-03", "as_of": "2026-03-05"})
    assert local["cohort"].unique().to_list() == [date(2026, 3, 3), date(2026, 3, 4)]
    assert local.filter(pl.col("period") == 0)["complete"].all()
    assert ek.retention(days, **asked | {"since": since, "as_of": as_of}).equals(local)


def test_whose_value_counts_where_it_varies():
    rows = [
        ("a", "s", 1, "web"), ("a", "r", 2, "app"), ("b", "s", 1, "web"), ("b", "r", 2, "web"), ("c", "s", 1, None), ("c", "r", 2, "app"),
        ("d", "s", 1, "app"),
    ]  # fmt: skip
    log = pl.DataFrame(
        [(u, e, date(2026, 1, d), v) for u, e, d, v in rows],
        schema=["user_id", "event", "at", "on"],
        orient="row",
    )
    asked = {
        "start": "s",
        "back": "r",
        "period": "day",
        "periods": 2,
        "by": "on",
        "as_of": "2026-01-10",
        "since": "2026-01-01",
    }

    def returned(**more):
        found = ek.retention(log, **asked, **more).filter(
            pl.col("cohort") == date(2026, 1, 1), pl.col("period") == 1
        )
        return {on: (n, of) for on, n, of in found.select("on", "n", "of").rows()}

    assert (
        returned() == returned(attribution="same") == {"app": (0, 1), "web": (1, 2), None: (0, 1)}
    )
    assert returned(attribution="start") == {"app": (0, 1), "web": (2, 2), None: (1, 1)}
    assert returned(attribution="first") == {"app": (1, 2), "web": (2, 2)}
    assert returned(attribution="last") == {"app": (2, 3), "web": (1, 1)}
    with pytest.raises(ek.EngagekitError, match="needs one start"):
        ek.retention(log, **asked, cohorts="each", attribution="start")
    with pytest.raises(ek.EngagekitError, match="attribution is 'begin'"):
        ek.retention(log, **asked, attribution="begin")


@pytest.mark.thorough
@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from("sr"),
            st.integers(1, 6),
            st.sampled_from([None, "p", "q"]),
        ),
        min_size=1,
        max_size=14,
    ),
    st.sampled_from(["start", "first", "last"]),
)
def test_attributed_retention_is_that_of_a_log_with_one_value_per_user(rows, attribution):
    value = {}
    for user in {r[0] for r in rows}:
        mine = sorted(
            (r for r in rows if r[0] == user), key=lambda r: (r[2], r[3] is None, r[3] or "")
        )
        told = [r for r in mine if (r[1] == "s" if attribution == "start" else r[3] is not None)]
        edge = (
            max((r[2] for r in told), default=0)
            if attribution == "last"
            else min((r[2] for r in told), default=0)
        )
        value[user] = next((r[3] for r in told if r[2] == edge), None)
    schema = ["user_id", "event", "at", "on"]
    log, fixed = (
        pl.DataFrame(
            [(u, e, date(2026, 1, d), valued(u, v)) for u, e, d, v in rows],
            schema=schema, orient="row", schema_overrides={"on": pl.String},
        )
        for valued in (lambda _, own: own, lambda user, _: value[user])
    )  # fmt: skip
    asked = {
        "start": "s",
        "back": "r",
        "period": "day",
        "periods": 3,
        "by": "on",
        "as_of": "2026-01-12",
        "since": "2026-01-01",
        "people": True,
        "missing": "allow",
    }
    assert ek.retention(log, **asked, attribution=attribution).equals(ek.retention(fixed, **asked))
