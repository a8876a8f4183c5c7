"""Periods on local clocks: numbering, its inverse, and the instants at which periods begin and end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagekit._base.calendar import (
    PERIODS,
    Calendar,
    calendar_faults,
    calendar_for,
    index_at,
    last_index,
    period_index,
    period_start,
    period_table,
    since_index,
    turns_at,
)
from engagekit.errors import ParameterError
from engagekit.instants import AT

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",  # half hours; until 2011 the clock changed at 00:01
    "America/Sao_Paulo",  # until 2018 midnight itself was skipped
    "Australia/Lord_Howe",  # changes by half an hour
    "Pacific/Apia",  # skipped the whole 30 December 2011
]
calendars = st.builds(
    Calendar,
    st.sampled_from(PERIODS),
    st.sampled_from(ZONES),
    st.sampled_from(["monday", "sunday"]),
)
moments = st.datetimes(datetime(2010, 1, 1), datetime(2019, 12, 31), timezones=st.just(UTC))


def plain_start(moment, calendar):
    """Say where the local period of an instant starts, in plain Python."""
    local = moment.astimezone(ZoneInfo(calendar.timezone)).replace(tzinfo=None)
    if calendar.period == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = local.date()
    if calendar.period == "month":
        return day.replace(day=1)
    if calendar.period == "quarter":
        return day.replace(day=1, month=1 + (day.month - 1) // 3 * 3)
    while calendar.period == "week" and day.strftime("%A").lower() != calendar.week_start:
        day -= timedelta(days=1)
    return day


@given(calendars, moments)
def test_floor_and_number_agree_with_plain_python(calendar, moment):
    floor = pl.select(period_start(period_index(pl.lit(moment, AT), calendar), calendar)).item()
    assert floor == plain_start(moment, calendar)
    index = index_at(moment, calendar)
    table = period_table(index - 1, index + 1, calendar)
    assert table["start"][1] == floor
    # Neighbours differ by one, also over the ends of months and years, and lie side by side.
    assert table["start"].is_sorted()
    assert table["start"].n_unique() == 3
    assert table["begins_at"][1] <= moment < table["ends_at"][1]
    assert (table["begins_at"] <= table["ends_at"]).all()


@given(calendars, moments)
def test_a_period_begins_at_its_first_instant_and_ends_after_its_last(calendar, moment):
    index = index_at(moment, calendar)
    row = period_table(index, index, calendar).row(0, named=True)
    step = timedelta(microseconds=1)
    assert index_at(row["begins_at"], calendar) == index
    assert index_at(row["begins_at"] - step, calendar) < index
    assert index_at(row["ends_at"] - step, calendar) == index
    assert index_at(row["ends_at"], calendar) > index


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-06-01", 24),
        ("America/Sao_Paulo", "2018-11-04", 23),  # 00:00 did not exist
        ("Pacific/Apia", "2011-12-30", 0),  # the day did not exist
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)
def test_days_are_as_long_as_the_clock_says(zone, day, hours):
    calendar = Calendar("day", zone)
    table = period_table(*[(date.fromisoformat(day) - date(1970, 1, 1)).days] * 2, calendar)
    assert (table["ends_at"] - table["begins_at"]).item() == timedelta(hours=hours)


def test_the_doubled_hour_is_one_period_and_the_skipped_one_holds_no_instant():
    calendar = Calendar("hour", "Europe/Berlin")
    first = since_index("2026-10-25T01:00", calendar)
    doubled = period_table(first, first + 2, calendar)
    assert (doubled["ends_at"] - doubled["begins_at"]).dt.total_minutes().to_list() == [60, 120, 60]
    first = since_index("2026-03-29T01:00", calendar)
    skipped = period_table(first, first + 2, calendar)
    assert (skipped["ends_at"] - skipped["begins_at"]).dt.total_minutes().to_list() == [60, 0, 60]


def test_since_is_floored_and_the_last_period_holds_the_instant_before_as_of():
    week = Calendar("week", "Europe/Berlin", "sunday")
    index = since_index("2026-07-08", week)
    assert period_table(index, index, week)["start"].item() == date(2026, 7, 5)
    ends = period_table(index, index, week)["ends_at"].item()
    assert ends == datetime(2026, 7, 11, 22, tzinfo=UTC)
    assert last_index(ends, week) == index
    assert last_index(ends + timedelta(microseconds=1), week) == index + 1


def test_a_clock_set_back_over_midnight_keeps_the_day_that_had_begun():
    # In St. John's the clock went from 00:01 on the 7th back to 23:01 on the 6th.
    day = Calendar("day", "America/St_Johns")
    late_on_the_sixth_again = datetime(2010, 11, 7, 3, 0, tzinfo=UTC)
    assert last_index(late_on_the_sixth_again, day) == since_index("2010-11-07", day)


def test_a_time_inside_a_skipped_day_is_passed_at_the_skip():
    noon = pl.Series([datetime(2011, 12, 30, 12)])
    assert turns_at(noon, "Pacific/Apia").to_list() == [datetime(2011, 12, 30, 10, tzinfo=UTC)]


def test_all_faults_of_a_calendar_are_named():
    faults = calendar_faults("weeks", "Europe/Berln", "tusday")
    assert len(faults) == 3
    assert "'week'" in faults[0]
    assert "Europe/Berlin" in faults[1]
    assert calendar_faults("week", "UTC", "monday") == []


def test_hours_of_a_log_of_days_are_refused():
    with pytest.raises(ParameterError, match="only knows days"):
        calendar_for(Calendar("hour"), dates_only=True)
    assert calendar_for(Calendar("day", "Asia/Tokyo"), dates_only=True).timezone == "UTC"


def test_an_absurd_number_of_periods_is_refused():
    with pytest.raises(ParameterError, match="since="):
        period_table(0, 5_000_000, Calendar("hour"))
