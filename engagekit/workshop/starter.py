"""What is in a log: its events, by how many users do them, again, and first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.log import open_log

if TYPE_CHECKING:
    from typing import Any


def event_table(events: Any) -> pl.DataFrame:
    """Say what is in a log: for each event, how many users do it, how many repeat it on another day, how often.

    Parameters
    ----------
    events
        A log with `user_id`, `event`, `at`: a frame, lazy or eager, or what `scan_events` returns.

    Returns
    -------
    polars.DataFrame
        `event`, `users`, `repeating` (users with it on two or more days), `times`, `first_of` (users who
        begin with it, alone or with others at the same instant); most users first.

    Examples
    --------
    >>> from datetime import datetime
    >>> rows = [("a", "join", datetime(2026, 1, 1)), ("a", "make", datetime(2026, 1, 2))]
    >>> event_table(pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")).select("event", "first_of").rows()
    [('join', 1), ('make', 0)]
    """
    log, _ = open_log(events)
    log = log.select("user_id", pl.col("event").cast(pl.String), "at")
    done = log.group_by("user_id", "event").agg(
        pl.col("at").dt.date().n_unique().alias("days"),
        pl.len().alias("times"),
        pl.col("at").min().alias("first"),
    )
    begun = pl.col("first") == pl.col("first").min().over("user_id")
    counts = (
        done.with_columns(begun.alias("begun"))
        .group_by("event")
        .agg(
            pl.len().cast(pl.Int64).alias("users"),
            (pl.col("days") > 1).sum().cast(pl.Int64).alias("repeating"),
            pl.col("times").sum().cast(pl.Int64),
            pl.col("begun").sum().cast(pl.Int64).alias("first_of"),
        )
    )
    return counts.sort("users", "event", descending=[True, False]).collect()
