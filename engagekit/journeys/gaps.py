"""Gaps between core days in calendar days: each user's own interval, and the product's usage interval that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engagekit.log import Frame

FALLBACK_INTERVAL = 7.0  # days; used when no user has two core days
HELD = 4  # gaps up to the own interval hold at least one in four of a user's days


def own_intervals(day_table: Frame) -> pl.LazyFrame:
    """Say of each user with two core days or more how long they usually pause: ``user_id, interval, core_days``.

    The own interval is the smallest gap such that gaps no longer than it hold a quarter of the days from the first to
    the last core day. Days, not gaps, are counted: who comes on three days in a row each month pauses for a month.
    """
    core = day_table.lazy().filter(pl.col("role") == "core").select("user_id", "day")
    same = pl.col("user_id") == pl.col("user_id").shift(1)
    gap = pl.when(same).then(pl.col("day").diff().dt.total_days()).alias("gap")
    ordered = pl.col("gap").sort()
    enough = HELD * ordered.cum_sum() >= pl.col("gap").sum()
    return (
        core.sort("user_id", "day")
        .select("user_id", gap)
        .drop_nulls("gap")
        .group_by("user_id")
        .agg(
            ordered.filter(enough).first().alias("interval"),
            (pl.len() + 1).cast(pl.UInt32).alias("core_days"),
        )
    )


def intervals(day_table: Frame) -> pl.DataFrame:
    """Count users by their own interval: ``interval`` (days), ``users``; sorted."""
    core = day_table.lazy().filter(pl.col("role") == "core").select("user_id", "day").collect()
    user, day = core["user_id"], core["day"].to_physical()
    same = (user == user.shift(1)).fill_null(value=False)
    gap = day.diff().filter(same)
    if not user.is_sorted() or (gap < 0).any():
        own = own_intervals(day_table)
        return own.group_by("interval").agg(pl.len().alias("users")).sort("interval").collect()
    number = (~same).cast(pl.Int64).cum_sum().filter(same)
    return _sorted_intervals(number.to_numpy(), gap.to_numpy())


def _sorted_intervals(user: NDArray[Any], gap: NDArray[Any]) -> pl.DataFrame:
    """Count users by own interval, from the gaps of users numbered in order: all users at once."""
    import numpy as np

    packed = np.sort(user << 32 | gap)
    user, gap = packed >> 32, packed & (2**32 - 1)
    first = np.flatnonzero(np.append(True, user[1:] != user[:-1])[: len(user)])
    lengths = np.diff(np.append(first, len(user)))
    so_far = np.cumsum(gap)
    before = np.repeat(so_far[first] - gap[first], lengths)
    days = np.repeat(np.add.reduceat(gap, first) if len(first) else gap, lengths)
    held = np.flatnonzero(HELD * (so_far - before) >= days)
    own = gap[held][np.append(True, user[held][1:] != user[held][:-1])[: len(held)]]
    interval, users = np.unique(own, return_counts=True)
    return pl.DataFrame({"interval": interval, "users": users.astype(np.uint32)})


def interval_of(counts: pl.DataFrame) -> float:
    """Say how often the core action is done: 80th percentile of users' own intervals, in days."""
    counts = counts.group_by("interval").agg(pl.col("users").sum()).sort("interval")
    users = counts["users"].cum_sum()
    if not counts.height:
        return FALLBACK_INTERVAL
    place = 0.8 * (users[-1] - 1)
    below, above = (
        counts["interval"][users.search_sorted(rank, side="right")]
        for rank in (int(place), min(int(place) + 1, users[-1] - 1))
    )
    return float(below + (above - below) * (place - int(place)))
