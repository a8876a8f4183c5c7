"""The declared tables of journeys: their columns, and frames brought to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import ColumnError, nearest
from engagekit.instants import AT
from engagekit.journeys.assigned import ASSIGNED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engagekit.log import Frame

# What each table holds; `user_id` has the log's own type, `users` has the properties behind these columns.
USERS: dict[str, Any] = {
    "signed_up_at": AT,
    "activated_at": AT,  # first activation event at or after sign-up
    "first_action_at": AT,  # first event after sign-up that is neither the sign-up nor outreach
    "last_core_at": AT,
    "last_seen_at": AT,  # last event of any kind, the sign-up included
    "core_days": pl.UInt32,  # distinct local days with the core action
    "active_days": pl.UInt32,  # distinct local days with any event
    "early_events": pl.List(
        pl.UInt32
    ),  # how many events, outreach aside, on each own day of the first days
}
EARLY_EVENTS = "early_events"
STEPS: dict[str, Any] = {
    "step": pl.Int32,  # position in the definition, from 0
    "reached_at": AT,
    "last_reached_at": AT,
    "completed_at": AT,
}
EARLY: dict[str, Any] = {
    "event": pl.String,
    "first_at": AT,
    "times": pl.UInt32,
    "days": pl.UInt32,  # bit k: done on the user's own day k since sign-up
}
DAYS: dict[str, Any] = {
    "day": pl.Date,  # local calendar day
    "role": pl.String,  # core, advanced:<action>, advocacy, outreach, feedback_asked, feedback_given, errors, support
    "first_at": AT,
    "last_at": AT,
    "times": pl.UInt32,
}
DAY_US, LONGEST = 86_400_000_000, 32  # first_days is never longer
TABLES = {"users": USERS, "steps": STEPS, "early": EARLY, "days": DAYS, "late": USERS}
REDUCED = (
    "users",
    "steps",
    "early",
    "days",
)  # what a reduction gives; the late are set apart after it
LEFT_OUT = {"reason": pl.String, "count": pl.Int64, "unit": pl.String}


def as_before(frame: pl.LazyFrame, before: Frame) -> Frame:
    """Give a frame as lazy or as eager as another."""
    return frame if isinstance(before, pl.LazyFrame) else frame.collect()


def landed(frame: Frame, name: str) -> Frame:
    """Cast a table to its declared columns, in their order; `users` keeps its properties behind them."""
    lazy = folded(frame.lazy()) if name == "users" else frame.lazy()
    have = lazy.collect_schema()
    declared = TABLES[name]
    missing = [c for c in ("user_id", *declared) if c not in have]
    if missing:
        raise ColumnError.from_faults(
            f"The table {name!r} cannot be used",
            [f"there is no column {c!r}.{nearest(c, have.names())}" for c in missing],
        )
    columns = [pl.col("user_id")] + [cast_to(c, have[c], dtype) for c, dtype in declared.items()]
    if name == "users":
        columns += [pl.col(c) for c in have.names() if c != "user_id" and c not in declared]
    found = lazy.select(columns)
    if name == "users" and arms_in(have):
        seen = pl.col("variants_seen").fill_null(0).cast(pl.UInt32)
        found = found.with_columns(cast_to("assigned_at", have["assigned_at"], AT), seen)
    return as_before(found, frame)


def arms_in(have: Mapping[str, pl.DataType]) -> bool:
    """Tell whether users were put into the arms of a test; a property may bear one of the names by itself."""
    return all(c in have for c in ASSIGNED) and (
        have["assigned_at"].is_temporal() or have["assigned_at"].is_integer()
    )


def early_names(first_days: int) -> list[str]:
    """Name the columns that stand for `early_events` where an engine has no lists: one for each day."""
    return [f"{EARLY_EVENTS}_{day}" for day in range(first_days)]


def folded(users: pl.LazyFrame) -> pl.LazyFrame:
    """Put the early days' counts into one column, where an engine without lists has a column for each day."""
    have = users.collect_schema().names()
    if EARLY_EVENTS in have:
        return users
    each = [name for name in early_names(LONGEST) if name in have]
    if not each:
        return users
    counts = [pl.col(name).fill_null(0).cast(pl.UInt32) for name in each]
    return users.with_columns(pl.concat_list(counts).alias(EARLY_EVENTS)).drop(each)


def cast_to(column: str, have: pl.DataType, want: Any) -> pl.Expr:
    """Cast a column to its declared kind; times without an offset are UTC."""
    expression = pl.col(column)
    if want == AT and isinstance(have, pl.Datetime):
        expression = (
            expression.dt.convert_time_zone("UTC")
            if have.time_zone
            else expression.dt.replace_time_zone("UTC")
        )
        return expression.dt.cast_time_unit("us")
    return expression.cast(want)
