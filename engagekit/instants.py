"""Instants, local days and periods: one reading of time for every function."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

import polars as pl

from engagekit.errors import ParameterError, nearest

Instant: TypeAlias = datetime | date | str
AT = pl.Datetime("us", "UTC")


def zone(name: str) -> ZoneInfo:
    """Look up a time zone, or say which names are near."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        near = nearest(str(name), available_timezones())
        raise ParameterError(
            f"timezone is {name!r}, which is no known time zone.{near} Write one like 'UTC' or 'Europe/Berlin'."
        ) from None


def instant(value: Instant, *, timezone: str = "UTC", name: str = "as_of") -> datetime:
    """Read a datetime, a date or ISO text as an instant in UTC; without an offset it is local to `timezone`.

    Examples
    --------
    >>> instant("2026-03-01", timezone="Europe/Berlin").isoformat()
    '2026-02-28T23:00:00+00:00'
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ParameterError(
                f"{name} is {value!r}; write a date or time as '2026-03-01' or '2026-03-01T09:30:00+01:00'."
            ) from None
    if isinstance(value, datetime):
        local = value if value.tzinfo else value.replace(tzinfo=zone(timezone))
    elif isinstance(value, date):
        local = datetime(value.year, value.month, value.day, tzinfo=zone(timezone))
    else:
        raise ParameterError(
            f"{name} is {value!r}; it takes a datetime, a date or ISO text such as '2026-03-01'."
        )
    try:
        return local.astimezone(UTC)
    except OverflowError:
        raise ParameterError(
            f"{name} is {value!r}, which lies outside the years 1 to 9999."
        ) from None


def clock_time(value: Instant, timezone: str) -> Instant:
    """Read an instant that has an offset off the local clock; what has none is local already.

    So it is compared with a log that only knows days: those are local days, whatever UTC shows. What is in UTC is
    read as it stands, for so engagekit itself writes the instants of such a log, as in ``journeys.as_of``.

    Examples
    --------
    >>> str(clock_time("2026-03-03T00:00:00+01:00", "Europe/Berlin"))
    '2026-03-03 00:00:00'
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime) and value.tzinfo:
        local = value.astimezone(zone(timezone)) if value.utcoffset() else value
        return local.replace(tzinfo=None)
    return value


def beside_log(value: Instant, *, timezone: str, dates_only: bool, name: str = "as_of") -> datetime:
    """Read an instant that is compared with a log: with one that only knows days, on the local clock.

    Examples
    --------
    >>> beside_log("2026-03-03T00:00:00+01:00", timezone="Europe/Berlin", dates_only=True).isoformat()
    '2026-03-03T00:00:00+00:00'
    """
    moment = instant(value, timezone=timezone, name=name)
    return instant(clock_time(value, timezone), name=name) if dates_only else moment


def local_day(at: pl.Expr, timezone: str) -> pl.Expr:
    """Take the local calendar day of an instant."""
    return at.dt.date() if timezone == "UTC" else at.dt.convert_time_zone(timezone).dt.date()


def day_of(moment: datetime, timezone: str) -> date:
    """Take the local calendar day of one instant."""
    return moment.astimezone(zone(timezone)).date()


def last_day(as_of: datetime, timezone: str) -> date:
    """Take the local day that holds the last instant before `as_of`."""
    return day_of(as_of - timedelta(microseconds=1), timezone)


def days(count: float | pl.Expr) -> pl.Expr:
    """Make a span of n x 24 hours."""
    return pl.duration(
        microseconds=count * 86_400_000_000
        if isinstance(count, pl.Expr)
        else round(count * 86_400_000_000)
    )


def times_before(moment: datetime) -> pl.Expr:
    """Count a day's `times` before an instant.

    A day knows its first and last time only, so one or two are placed exactly; of more, those between are taken as
    evenly spread.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> nine, twelve = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (9, 12))
    >>> pl.DataFrame({"first_at": [nine], "last_at": [twelve], "times": [2]}).select(times_before(twelve)).item()
    1
    """
    first, last, times = pl.col("first_at"), pl.col("last_at"), pl.col("times").cast(pl.Int64)
    span = (last - first).dt.total_microseconds()
    since = (pl.lit(moment, AT) - first).dt.total_microseconds()
    between = (since * (times - 1) + span - 1) // span  # rounded up: the first counts
    return (
        pl.when(last < moment)
        .then(times)
        .when(first >= moment)
        .then(0)
        .otherwise(between)
        .alias("times")
    )


def last_before(moment: datetime) -> pl.Expr:
    """Give a day's `last_at` before an instant, spread as `times_before` says."""
    first, last, times = pl.col("first_at"), pl.col("last_at"), pl.col("times").cast(pl.Int64)
    span = (last - first).dt.total_microseconds()
    cut = first + pl.duration(microseconds=span * (times_before(moment) - 1) // (times - 1))
    return pl.when(last < moment).then(last).otherwise(cut).alias("last_at")
