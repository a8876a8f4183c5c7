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
