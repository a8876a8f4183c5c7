"""Days of journeys: those of one role, of advanced actions, and how long users have been silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT, local_day

if TYPE_CHECKING:
    from engagekit.journeys.tables import Journeys


def on_days(journeys: Journeys, role: str) -> pl.LazyFrame:
    """Take the days of one role: ``user_id, day, first_at, last_at, times``."""
    return journeys.days.lazy().filter(pl.col("role") == role).drop("role")


def on_advanced_days(journeys: Journeys) -> pl.LazyFrame:
    """Take the days of advanced actions: ``user_id, action, day, first_at, last_at, times``."""
    advanced = journeys.days.lazy().filter(
        pl.col("role").cast(pl.String).str.starts_with("advanced:")
    )
    return advanced.select(
        "user_id",
        pl.col("role").cast(pl.String).str.strip_prefix("advanced:").alias("action"),
        "day",
        "first_at",
        "last_at",
        "times",
    )


def silence_days(journeys: Journeys) -> pl.Expr:
    """Count the local days from a user's last core day to the last day before `as_of`."""
    end = pl.lit(journeys.as_of, AT) - pl.duration(microseconds=1)
    return (
        local_day(end, journeys.timezone) - local_day(pl.col("last_core_at"), journeys.timezone)
    ).dt.total_days()
