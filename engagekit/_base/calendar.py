"""Periods: hours, days, weeks and months on the clock of a time zone, numbered so that neighbours differ by one.

A period is what the local clock shows: the hour that a clock runs through twice in autumn is one period of two
hours, the one it skips in spring is a period without an instant, and a day has 23, 24 or 25 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

import polars as pl

from engagekit.errors import ParameterError, check_choice
from engagekit.instants import AT, instant, local_day, zone

if TYPE_CHECKING:
    from engagekit.instants import Instant

Period: TypeAlias = Literal["hour", "day", "week", "month", "quarter"]
WeekStart: TypeAlias = Literal[
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]
PERIODS = ("hour", "day", "week", "month", "quarter")
WEEK_STARTS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# 1970-01-01 was a Thursday: so many days into its week.
_INTO_WEEK = {day: (3 - place) % 7 for place, day in enumerate(WEEK_STARTS)}
_MICROSECOND = timedelta(microseconds=1)
MOST_PERIODS = 1_000_000


@dataclass(frozen=True)
class Calendar:
    """Which periods are meant: their kind, the time zone they lie in, and the weekday that weeks start on."""

    period: Period = "week"
    timezone: str = "UTC"
    week_start: WeekStart = "monday"


def calendar_faults(period: object, timezone: object, week_start: object) -> list[str]:
    """List what is wrong with the three parameters that make a calendar."""
    faults = check_choice("period", period, PERIODS)
    try:
        zone(timezone)  # type: ignore[arg-type]  # whatever was given is looked up
    except ParameterError as error:
        faults.append(str(error))
    return faults + check_choice("week_start", week_start, WEEK_STARTS)


def calendar_for(calendar: Calendar, *, dates_only: bool) -> Calendar:
    """Settle a calendar for a log; one that only knows days has only its own days.

    Raises
    ------
    ParameterError
        Hours are asked of a log that only knows days.
    """
    if dates_only and calendar.period == "hour":
        raise ParameterError(
            "period is 'hour', but the log only knows days; take 'day', 'week', 'month' or 'quarter'."
        )
    return Calendar(calendar.period, "UTC", calendar.week_start) if dates_only else calendar


def local_clock(at: pl.Expr, timezone: str) -> pl.Expr:
    """Read an instant off the local clock, as a naive time."""
    local = at if timezone == "UTC" else at.dt.convert_time_zone(timezone)
    return local.dt.replace_time_zone(None)


def period_index(at: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Give the local period that holds an instant a number (Int32); the period after it has the next."""
    if calendar.period == "hour":
        clock = local_clock(at, calendar.timezone).dt.timestamp("us")
        return (clock // 3_600_000_000).cast(pl.Int32)
    return _index_of_day(local_day(at, calendar.timezone), calendar)


def _index_of_day(day: pl.Expr, calendar: Calendar) -> pl.Expr:
    if calendar.period == "month":
        return day.dt.year() * 12 + day.dt.month().cast(pl.Int32) - 1
    if calendar.period == "quarter":
        return day.dt.year() * 4 + day.dt.quarter().cast(pl.Int32) - 1
    number = day.to_physical()
    if calendar.period == "day":
        return number
    return (number + _INTO_WEEK[calendar.week_start]) // 7


def period_start(index: pl.Expr, calendar: Calendar) -> pl.Expr:
    """Turn a period's number back into its first local day, or for hours its naive local time."""
    if calendar.period == "hour":
        return (index.cast(pl.Int64) * 3_600_000_000).cast(pl.Datetime("us"))
    if calendar.period == "month":
        return pl.date(index // 12, index % 12 + 1, 1)
    if calendar.period == "quarter":
        return pl.date(index // 4, index % 4 * 3 + 1, 1)
    if calendar.period == "day":
        return index.cast(pl.Int32).cast(pl.Date)
    return (index * 7 - _INTO_WEEK[calendar.week_start]).cast(pl.Int32).cast(pl.Date)


def index_at(moment: datetime, calendar: Calendar) -> int:
    """Give the number of the period that holds one instant."""
    found = pl.select(period_index(pl.lit(moment, AT), calendar)).item()
    return int(found)


def since_index(since: Instant, calendar: Calendar) -> int:
    """Give the number of the period that `since` lies in: it is floored to its period."""
    return index_at(instant(since, timezone=calendar.timezone, name="since"), calendar)


def last_index(as_of: datetime, calendar: Calendar) -> int:
    """Give the number of the latest period that has begun before `as_of` (exclusive)."""
    last = index_at(as_of - _MICROSECOND, calendar)
    # A clock set back over midnight shows the old day again after the new one has begun.
    return last + 1 if begins_at(last + 1, calendar) < as_of else last


def begins_at(index: int, calendar: Calendar) -> datetime:
    """Find the instant at which a period begins."""
    found: datetime = period_table(index, index, calendar)["begins_at"][0]
    return found


def period_table(first: int, last: int, calendar: Calendar) -> pl.DataFrame:
    """List the periods from `first` to `last`, both included.

    Returns
    -------
    DataFrame
        `index` (Int32); `start` (local date, or naive local time for hours); `begins_at` and `ends_at`: the
        first instant of the period and the first instant after which its clock time never shows again.
    """
    if last - first >= MOST_PERIODS:
        raise ParameterError(
            f"There are {last - first + 1:,} {calendar.period}s from the first event to the last; "
            "say since=, as_of= or a longer period."
        )
    index = pl.int_range(first, last + 2, dtype=pl.Int32, eager=True).alias("index")
    table = index.to_frame().with_columns(period_start(pl.col("index"), calendar).alias("start"))
    table = table.with_columns(
        turns_at(table["start"], calendar.timezone, side="begin").alias("begins_at"),
        turns_at(table["start"], calendar.timezone, side="end").shift(-1).alias("ends_at"),
    )
    return table.head(-1)


def turns_at(
    clock: pl.Series, timezone: str, *, side: Literal["begin", "end"] = "begin"
) -> pl.Series:
    """Find when a local clock comes to given naive times: the first time, or for ``"end"`` the last time.

    A time that the clock skips is passed at the moment of the skip.
    """
    clock = clock.cast(pl.Datetime("us"))
    if timezone == "UTC":
        return clock.dt.replace_time_zone("UTC")
    first = clock.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    last = clock.dt.replace_time_zone(timezone, ambiguous="latest", non_existent="null")
    frame = pl.DataFrame({"clock": clock, "first": first, "last": last}).with_columns(
        pl.col("first", "last").dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    )
    odd = frame.filter(pl.col("first").is_null() | (pl.col("first") != pl.col("last")))
    fixed = {
        clock: _odd_turn(clock, first, last, timezone, side)
        for clock, first, last in odd.drop_nulls("clock").iter_rows()
    }
    if not fixed:
        return frame["first"]
    known = pl.DataFrame(
        {"clock": list(fixed), "turn": list(fixed.values())},
        schema={"clock": pl.Datetime("us"), "turn": AT},
    )
    joined = frame.join(known, on="clock", how="left", maintain_order="left")
    return joined.select(pl.coalesce("turn", "first"))["turn"]


def _odd_turn(
    clock: datetime, first: datetime | None, last: datetime | None, timezone: str, side: str
) -> datetime:
    if first is None or last is None:
        return _skip_over(clock, timezone)
    if side == "begin":
        return first
    # If the clock was set back to exactly this time, it never showed an earlier one after the first pass.
    before = (last - _MICROSECOND).astimezone(zone(timezone)).replace(tzinfo=None)
    return last if before < clock else first


def _skip_over(clock: datetime, timezone: str) -> datetime:
    """Find the instant at which the clock jumps over a naive time, by halving the span it must lie in."""
    place = zone(timezone)
    low, high = (clock.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (1, 0))
    while high - low > _MICROSECOND:
        middle = low + (high - low) // 2
        shown = middle.astimezone(place).replace(tzinfo=None)
        low, high = (low, middle) if shown >= clock else (middle, high)
    return high
