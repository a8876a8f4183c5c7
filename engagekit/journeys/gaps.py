"""Gaps between core days: how long each user usually pauses, and the usage interval that follows for the product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from engagekit.log import Frame

FALLBACK_INTERVAL = 7.0  # days; used when no user has two core days


def median_gaps(day_table: Frame) -> pl.DataFrame:
    """Count users by the median gap between their core days: ``gap`` (days), ``users``; sorted."""
    core = day_table.lazy().filter(pl.col("role") == "core").sort("user_id", "day")
    same = pl.col("user_id") == pl.col("user_id").shift(1)
    gap = pl.when(same).then(pl.col("day").diff().dt.total_days()).alias("gap")
    gaps = core.select("user_id", gap).drop_nulls("gap").group_by("user_id")
    return (
        gaps.agg(pl.col("gap").median()).group_by("gap").agg(users=pl.len()).sort("gap").collect()
    )


def interval_of(gaps: pl.DataFrame) -> float:
    """Say how often the core action is done: 80th percentile of users' median gap, in days."""
    gaps = gaps.group_by("gap").agg(pl.col("users").sum()).sort("gap")
    users = gaps["users"].cum_sum()
    if not gaps.height:
        return FALLBACK_INTERVAL
    place = 0.8 * (users[-1] - 1)
    below, above = (
        gaps["gap"][users.search_sorted(rank, side="right")]
        for rank in (int(place), min(int(place) + 1, users[-1] - 1))
    )
    return float(below + (above - below) * (place - int(place)))
