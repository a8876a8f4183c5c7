"""Into which arm of a test each user was put: columns of `users` where the definition has an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import AT

if TYPE_CHECKING:
    from datetime import datetime

ASSIGNED: dict[str, Any] = {
    "variant": pl.String,  # the arm of the first assignment
    "assigned_at": AT,
    "variants_seen": pl.UInt32,  # how many arms the user was ever in
}


def assigned_before(users: pl.LazyFrame, moment: datetime) -> pl.LazyFrame:
    """Take back the arms of users who were only assigned later; who moved on to a second arm stays known."""
    if users.collect_schema().get("assigned_at") != AT:
        return users
    known = pl.col("assigned_at") < moment
    return users.with_columns(
        pl.when(known).then("variant").alias("variant"),
        pl.when(known).then("variants_seen").otherwise(0).cast(pl.UInt32).alias("variants_seen"),
        pl.when(known).then("assigned_at").alias("assigned_at"),
    )
