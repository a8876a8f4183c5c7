"""Rolling windows as whole numbers: instants in ticks, and how many ticks a window lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import local_clock
from engagekit.instants import AT, local_day

if TYPE_CHECKING:
    from engagekit.cohorts.parameters import Terms

_HOUR = 3_600_000_000  # microseconds
_HOURS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24, "quarter": 91 * 24}
_DAYS = {"week": 7, "month": 30, "quarter": 91}


def ticks(at: pl.Expr, terms: Terms) -> pl.Expr:
    """Write an instant as a whole number, cut as the granularity says; windows are `span` of these long.

    Microseconds, or local days where times are cut to the day.
    """
    if terms.granularity == "exact":
        return at.to_physical()
    if terms.calendar.period in _DAYS:
        return local_day(at, terms.calendar.timezone).to_physical().cast(pl.Int64)
    # The hour is that of the local clock: some zones are half an hour off.
    return at.to_physical() - local_clock(at, terms.calendar.timezone).to_physical() % _HOUR


def in_days(terms: Terms) -> bool:
    """Say whether ticks are local days."""
    return terms.granularity == "truncated" and terms.calendar.period in _DAYS


def span(terms: Terms) -> int:
    """Say how many ticks a rolling window lasts: 1 h, 24 h, 7 d, 30 d or 91 d."""
    period = terms.calendar.period
    return _DAYS[period] if in_days(terms) else _HOURS[period] * _HOUR


def day_of_tick(tick: pl.Series) -> pl.Series:
    """Turn ticks that are local days into naive local midnights."""
    return tick.cast(pl.Int32).cast(pl.Date).cast(pl.Datetime("us"))


def instant_of_tick(tick: pl.Series) -> pl.Series:
    """Turn ticks that are microseconds into instants."""
    return tick.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(AT)
