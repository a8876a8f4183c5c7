"""What a log holds at first sight: rows, users, kinds of events, first and last instant; so that a wrong reading shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.log import as_lazy, open_log

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Overview:
    """What a log holds.

    `rows` in all, and `whole` ones: with a user, an event's name and a time; of these the `users`, the `first` and `last`
    instant (null where there is none) and whether the log only knows the day; `events` has a row per name: ``event, users,
    times``, those of most users first.
    """

    rows: int
    whole: int
    users: int
    first: datetime | None
    last: datetime | None
    dates_only: bool
    events: pl.DataFrame


def overview(events: Any) -> Overview:
    """Say what a log holds.

    Parameters
    ----------
    events
        The event log: ``user_id, event, at``.

    Returns
    -------
    Overview
        Counts, the first and the last instant, and the events by number of users.

    Raises
    ------
    ColumnError
        A column is missing or of the wrong kind.

    Examples
    --------
    >>> from datetime import date
    >>> log = pl.DataFrame({"user_id": ["a", "b", "a", None], "event": ["open", "open", "save", "save"], "at": [date(2026, 3, d) for d in (1, 2, 3, 4)]})
    >>> found = overview(log)
    >>> found.rows, found.whole, found.users, found.events.rows()
    (4, 3, 2, [('open', 2, 2), ('save', 1, 1)])
    """
    raw = as_lazy(events)
    log, dates_only = open_log(raw)
    name, at = pl.col("event").cast(pl.String), pl.col("at")
    counted = raw.select(pl.len())
    extent = log.select(
        pl.len().alias("whole"),
        pl.col("user_id").n_unique().alias("users"),
        at.min().alias("first"),
        at.max().alias("last"),
    )
    each = log.group_by(name).agg(
        pl.col("user_id").n_unique().cast(pl.Int64).alias("users"),
        pl.len().cast(pl.Int64).alias("times"),
    )
    rows, found, table = pl.collect_all([counted, extent, each], engine="streaming")
    whole, users, first, last = found.row(0)
    by_users = table.sort("users", "times", "event", descending=[True, True, False])
    return Overview(rows.item(), whole, users if whole else 0, first, last, dates_only, by_users)
