"""Whose value of a property counts for a user in retention, where it varies within the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.cohorts.starts import chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

ATTRIBUTIONS = ("start", "first", "last", "same")


def attributed(
    log: pl.LazyFrame, start: Any, names: Sequence[str], attribution: str
) -> pl.LazyFrame:
    """Give every event of a user the one value that counts for it; ``"same"`` leaves each event its own.

    ``"start"``: that of the first start; ``"first"`` and ``"last"``: of all events, the first or last that is not null. Of
    several at one instant the smallest counts, null last.
    """
    if attribution == "same":
        return log
    for name in names:
        value = pl.col(name)
        if attribution == "start":
            mine = log.filter(chosen(start))
            first = mine.filter(pl.col("at") == pl.col("at").min().over("user_id"))
            found = first.group_by("user_id").agg(value.sort(nulls_last=True).first())
        else:
            mine = log.filter(value.is_not_null())
            edge = pl.col("at").min() if attribution == "first" else pl.col("at").max()
            found = (
                mine.filter(pl.col("at") == edge.over("user_id"))
                .group_by("user_id")
                .agg(value.min())
            )
        log = log.drop(name).join(found, on="user_id", how="left")
    return log
