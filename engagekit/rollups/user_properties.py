"""Event properties as the user's own: the first value that is not null in the first 24 hours.

Later values come after behaviour, and would explain it by itself. Of several values at one instant the smallest counts,
so that the order of rows never matters.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.rollups.population import OUT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.definition import Definition

FIRST = timedelta(hours=24)
FIRST_US = FIRST // timedelta(microseconds=1)
# By these names a property goes through a reduction, whatever it is called.
HIDDEN, PLACE = "engagekit:property {}", "engagekit:place"


def own_properties(definition: Definition, of_users: Sequence[str]) -> list[str]:
    """List the properties to take from events: those that the users table does not have."""
    return [name for name in definition.properties if name not in of_users]


def kind_of(kind: pl.DataType) -> pl.DataType:
    """Say as what a property is kept: as the log has it, categories as text."""
    return pl.String() if isinstance(kind, (pl.Categorical, pl.Enum, pl.Null)) else kind


def first_values(
    log: pl.LazyFrame, owners: pl.DataFrame, names: Sequence[str], end: datetime
) -> pl.DataFrame:
    """Find each property's first value: `PLACE` and the properties, for those who have any."""
    at, since = pl.col("at"), pl.col("at") - pl.col("signed_up_at")
    hidden = {HIDDEN.format(n): name for n, name in enumerate(names)}
    kinds = log.select(names).collect_schema()
    values = [
        pl.col(name).cast(kind_of(kinds[name])).alias(alias) for alias, name in hidden.items()
    ]
    soon = (
        log.filter(at < end)
        .select("user_id", "at", *values)
        .filter(pl.any_horizontal(pl.col(*hidden).is_not_null()))
        .join(owners.lazy().select("user_id", "u", "signed_up_at"), on="user_id")
        .filter(pl.col("u") < OUT, since >= timedelta(), since < FIRST)
    )
    firsts = [_first(alias).alias(alias) for alias in hidden]
    found = soon.group_by(pl.col("u").alias(PLACE)).agg(*firsts)
    return found.rename(hidden).collect(engine="streaming")


def _first(column: str) -> pl.Expr:
    has = pl.col(column).is_not_null()
    first = pl.col("at") == pl.col("at").filter(has).min()
    return pl.col(column).filter(has & first).min()


def with_values(users: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Put the values beside their users, who stand in the order of their places."""
    places = users.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(PLACE))
    return places.join(found, on=PLACE, how="left", maintain_order="left").drop(PLACE)
