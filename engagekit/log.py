"""The contract of an event log in memory: ``user_id``, ``event``, ``at`` and properties, as one lazy polars frame."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from engagekit.errors import ColumnError, EventLogError, nearest
from engagekit.instants import AT, instant, zone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engagekit.instants import Instant

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


def end_of(
    log: pl.LazyFrame, as_of: Instant | None, *, dates_only: bool, timezone: str
) -> datetime:
    """Find the instant up to which the log is complete: as given, or just after the last event.

    Raises
    ------
    EventLogError
        The log is empty, or its last 0.1 % lie more than 3 empty days after the rest.
    """
    if as_of is not None:
        return instant(as_of, timezone="UTC" if dates_only else timezone)
    return end_after(daily(log), dates_only=dates_only)


def end_soon(events: Any, latest: datetime | None, *, dates_only: bool) -> datetime:
    """Find what `end_of` finds of a whole log, reading only its last days where these settle it.

    Parameters
    ----------
    events
        The log as given, not yet opened: only so can a file skip what lies before.
    latest
        A late time of the log, as near to its end as known; None if none is.
    dates_only
        Whether the log only knows the day.
    """
    raw = as_lazy(events)
    if latest is not None:
        floor = (latest - timedelta(days=8)).replace(hour=0, minute=0, second=0, microsecond=0)
        tail = daily(open_log(raw.filter(pl.col("at") >= _as_held(floor, raw)))[0])
        # More events than could be astray lie in days without a gap: whatever lies before, they are the end.
        gap = (tail["day"].diff().dt.total_days() > 4).any()
        if not gap and tail["len"].sum() > raw.select(pl.len()).collect().item() // 1000:
            return end_after(tail, dates_only=dates_only)
    return end_of(open_log(raw)[0], None, dates_only=dates_only, timezone="UTC")


def _as_held(moment: datetime, log: pl.LazyFrame) -> pl.Expr:
    dtype = log.collect_schema()["at"]
    if isinstance(dtype, pl.Datetime):
        # As a value, not an expression: only so can a file skip by it.
        held = moment.astimezone(zone(dtype.time_zone or "UTC"))
        return pl.lit(held if dtype.time_zone else held.replace(tzinfo=None), dtype=dtype)
    return pl.lit(moment.date())


def end_after(counts: pl.DataFrame, *, dates_only: bool) -> datetime:
    """Find the instant just after the last event of a log whose `daily` counts these are; see `end_of`."""
    if not counts.height:
        raise EventLogError("The event log holds no events, so nothing can be said from it.")
    last: datetime = counts["last"][-1]
    _refuse_stray_tail(counts, last)
    step = timedelta(days=1) if dates_only else timedelta(microseconds=1)
    return (last + step).astimezone(UTC)


def _refuse_stray_tail(counts: pl.DataFrame, last: datetime) -> None:
    # A clock years ahead would otherwise make everybody look silent: the last 0.1 % of events must not
    # lie more than 3 empty days after the rest.
    events = int(counts["len"].sum())
    stray = events // 1000
    after = pl.lit(events) - pl.col("len").cum_sum()
    gaps = counts.with_columns(pl.col("day").shift(-1).alias("next"), after.alias("after")).filter(
        (pl.col("next") - pl.col("day")).dt.total_days() > 4,
        pl.col("after") <= stray,
        pl.col("after") > 0,
    )
    if gaps.height:
        row = gaps.row(0, named=True)
        raise EventLogError(
            f"The last {row['after']} of {events} events (up to {last:%Y-%m-%d %H:%M}) lie after {(row['next'] - row['day']).days - 1} empty days "
            f"since {row['day']}; they may come from a wrong clock. Say up to when the data are complete, such as as_of='{row['day'] + timedelta(days=1)}'."
        )
