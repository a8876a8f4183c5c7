"""Journeys as they would have stood at an earlier instant: their tables, cut there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT, last_before, times_before
from engagekit.journeys.assigned import assigned_before
from engagekit.journeys.schema import DAY_US, EARLY_EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from engagekit.log import Frame

CORE_AT, CORE_DAYS = "engagekit:core_at", "engagekit:core_days"  # on the way, like no property


def tables_before(
    tables: Mapping[str, Frame], moment: datetime, early: pl.Expr
) -> dict[str, pl.LazyFrame]:
    """Keep of each table what was known before an instant; `early` cuts the events per early day there."""
    days = days_before(tables["days"].lazy(), moment)
    core = (
        days.filter(pl.col("role") == "core")
        .group_by("user_id")
        .agg(pl.col("last_at").max().alias(CORE_AT), pl.len().cast(pl.UInt32).alias(CORE_DAYS))
    )
    return {
        "users": _users(tables["users"].lazy(), core, moment, early),
        "steps": steps_before(tables["steps"].lazy(), moment),
        # Only users inside their first days at that instant change; nobody judges them, so counts stay as they are.
        "early": tables["early"].lazy().filter(pl.col("first_at") < moment),
        "days": days,
        "late": _users(tables["late"].lazy(), core, moment, early),
    }


def days_before(days: pl.LazyFrame, moment: datetime) -> pl.LazyFrame:
    """Say of days what had happened on them before an instant."""
    return days.filter(pl.col("first_at") < moment).with_columns(
        last_before(moment), times_before(moment).cast(pl.UInt32)
    )


def _users(
    users: pl.LazyFrame, core: pl.LazyFrame, moment: datetime, early: pl.Expr
) -> pl.LazyFrame:
    known = users.filter(pl.col("signed_up_at") < moment)
    return users_before(
        known.join(core, on="user_id", how="left", maintain_order="left"), moment, early
    )


def users_before(users: pl.LazyFrame, moment: datetime, early: pl.Expr) -> pl.LazyFrame:
    """Say of users, beside whom `CORE_AT` and `CORE_DAYS` stand, what was known of them before an instant."""
    seen_later = pl.col("last_seen_at") >= moment
    before = [
        pl.when(pl.col(c) < moment).then(c).alias(c) for c in ("activated_at", "first_action_at")
    ]
    last_core = pl.when(pl.col("last_core_at") < moment).then("last_core_at").otherwise(CORE_AT)
    return (
        users.with_columns(
            *before,
            early,
            last_core.alias("last_core_at"),
            pl.col(CORE_DAYS).fill_null(0).alias("core_days"),
            *[pl.when(~seen_later).then(c).alias(c) for c in ("last_seen_at", "active_days")],
        )
        .drop(CORE_AT, CORE_DAYS)
        .pipe(assigned_before, moment)
    )


def steps_before(steps: pl.LazyFrame, moment: datetime) -> pl.LazyFrame:
    """Say of steps what was known of them before an instant."""
    return steps.filter(pl.col("reached_at") < moment).with_columns(
        # Of a step reached again later, only the first time is known to lie before.
        pl.when(pl.col("last_reached_at") < moment)
        .then("last_reached_at")
        .otherwise("reached_at")
        .alias("last_reached_at"),
        pl.when(pl.col("completed_at") < moment).then("completed_at").alias("completed_at"),
    )


def active_before(days: Frame, active: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Cut the users active per day (``day, active``) at an instant.

    Of the day that the instant cuts in two, as large a share stays as of the users in `days`: exact where these are
    all users, for then the count comes from them.
    """
    nearby = pl.lit(moment.date() - timedelta(days=2), pl.Date)
    core = days.lazy().filter(pl.col("role") == "core", pl.col("day") >= nearby)
    cut = core.group_by("day").agg(
        pl.len().alias("_here"), (pl.col("first_at") < moment).sum().alias("_before")
    )
    kept = (pl.col("active") * pl.col("_before") + pl.col("_here") // 2) // pl.col("_here")
    return (
        active.lazy()
        .join(cut, on="day", how="left")
        .select("day", pl.coalesce(kept, "active").cast(pl.Int64).alias("active"))
        .collect()
    )


def days_begun(moment: datetime, first_days: int) -> pl.Expr:
    """Take early days that had not begun at an instant as days without events."""
    begun = (pl.lit(moment, AT) - pl.col("signed_up_at")).dt.total_microseconds() / DAY_US

    def kept(both: pl.Series) -> pl.Series:
        import numpy as np

        events, age = both.struct.field(EARLY_EVENTS), both.struct.field("begun").to_numpy()
        counts = events.explode().to_numpy().reshape(len(events), first_days)
        there = np.where(np.arange(first_days)[None, :] < age[:, None], counts, 0)
        table = pl.Series(there.astype(np.uint32), dtype=pl.Array(pl.UInt32, first_days))
        return table.cast(pl.List(pl.UInt32)).alias(EARLY_EVENTS)

    asked = pl.struct(EARLY_EVENTS, begun.alias("begun"))
    return asked.map_batches(kept, return_dtype=pl.List(pl.UInt32))
