"""The contract of an event log in memory: ``user_id``, ``event``, ``at`` and properties, as one lazy polars frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from engagekit.errors import ColumnError, EventLogError, nearest
from engagekit.instants import AT

if TYPE_CHECKING:
    from collections.abc import Iterable


Frame: TypeAlias = pl.LazyFrame | pl.DataFrame
COLUMNS = ("user_id", "event", "at")
# What to do where a property is missing that an answer asks for; it may stand in the source all the same.
KEEP = (
    " If the source has it, keep it when the log is read or prepared: definition=..., or keep={!r}."
)
# What several questions read at once, polars would keep in memory whole; a large log is rather read once for each.
APART = pl.QueryOptFlags(comm_subplan_elim=False)


def as_lazy(frame: Any, *, what: str = "The event log") -> pl.LazyFrame:
    """Take a polars frame, or anything that hands itself over as Arrow, as a lazy frame."""
    if isinstance(frame, pl.LazyFrame):
        return frame
    if isinstance(frame, pl.DataFrame):
        return frame.lazy()
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame).lazy()
    raise EventLogError(
        f"{what} is a {type(frame).__name__}; it takes a polars frame, or a path or other table read by ek.scan_events first."
    )


def unused(name: str, taken: Iterable[str]) -> str:
    """Name a column for the way so that it is none of those there are."""
    held = set(taken)
    while name in held:
        name += "_"
    return name


def open_log(events: Any, *, needs: Iterable[str] = ()) -> tuple[pl.LazyFrame, bool]:
    """Check the columns of a log and bring `at` to UTC microseconds; a log of dates is taken at midnight.

    Returns
    -------
    tuple
        The lazy log, without rows that lack a user, an event name or a time, and whether it only knows the day.

    Raises
    ------
    ColumnError
        A column is missing or is of the wrong kind: all of them.
    """
    log = as_lazy(events)
    schema = log.collect_schema()
    missing = [name for name in (*COLUMNS, *needs) if name not in schema]
    faults = [
        f"there is no column {name!r}.{nearest(name, schema.names())}{'' if name in COLUMNS else KEEP.format([name])}"
        for name in dict.fromkeys(missing)
    ]
    at = schema.get("at")
    if at is not None and not isinstance(at, (pl.Datetime, pl.Date)):
        faults.append(
            f"'at' holds {at}; it takes times or dates. Read the log with ek.scan_events, or say the unit: pl.from_epoch('at', time_unit='s')."
        )
    event = schema.get("event")
    if event is not None and not isinstance(event, (pl.String, pl.Categorical, pl.Enum)):
        faults.append(f"'event' holds {event}; it takes names (text).")
    user = schema.get("user_id")
    if user is not None and not (
        user.is_integer() or isinstance(user, (pl.String, pl.Categorical, pl.Enum))
    ):
        faults.append(f"'user_id' holds {user}; it takes text or whole numbers.")
    if faults:
        raise ColumnError.from_faults(
            f"The event log (columns {', '.join(map(repr, schema.names()))}) cannot be used", faults
        )
    log = log.with_columns(utc(pl.col("at"), at)).drop_nulls(["user_id", "event", "at"])
    return log, isinstance(at, pl.Date)


def utc(at: pl.Expr, dtype: pl.DataType | None) -> pl.Expr:
    """Bring a time column to UTC microseconds; a naive one is UTC, a date is its midnight."""
    if dtype == AT:
        return at
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return at.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return at.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def by_day(log: pl.LazyFrame) -> pl.LazyFrame:
    """Count a log's events by UTC day, in any order: ``day, len, first, last``."""
    at = pl.col("at")
    return log.group_by(at.dt.date().alias("day")).agg(
        pl.len().cast(pl.Int64), at.min().alias("first"), at.max().alias("last")
    )


def daily(log: pl.LazyFrame) -> pl.DataFrame:
    """Count a log's events by UTC day, in one pass: ``day, len, first, last``."""
    return by_day(log).sort("day").collect(engine="streaming")
