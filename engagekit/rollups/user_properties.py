"""Event properties as the user's own: the first value not null in the first 24 hours, in polars and in narwhals.

Later values come after behaviour, and would explain it by itself. Of several values at one instant the smallest counts,
so that the order of rows never matters.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import microseconds_of
from engagekit.rollups.population import OUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from engagekit.definition import Definition
    from engagekit.rollups.narwhals_reduction import Lazy

FIRST = timedelta(hours=24)
FIRST_US = FIRST // timedelta(microseconds=1)


def hidden(name: str) -> str:
    """Name the column that holds a property on its way through a reduction: like no column that is made there."""
    return f"property_{name}"


def own_properties(definition: Definition, of_users: Sequence[str]) -> list[str]:
    """List the properties to take from events: those that the users table does not have."""
    return [name for name in definition.properties if name not in of_users]


def kind_of(kind: pl.DataType) -> pl.DataType:
    """Say as what a property is kept: as the log has it, categories as text."""
    return pl.String() if isinstance(kind, (pl.Categorical, pl.Enum, pl.Null)) else kind


def first_values(
    log: pl.LazyFrame,
    owners: pl.DataFrame,
    names: Sequence[str],
    end: datetime,
    definition: Definition,
) -> pl.DataFrame:
    """Find each property's first value: ``u`` and the properties (named by `hidden`), for those who have any."""
    since = pl.col("at") - pl.col("signed_up_at")
    early = -timedelta(microseconds=microseconds_of(definition.clock_tolerance))
    counted = pl.max_horizontal("at", "signed_up_at").alias("at")
    named = {hidden(name): name for name in names}
    kinds = log.select(names).collect_schema()
    values = [pl.col(name).cast(kind_of(kinds[name])).alias(alias) for alias, name in named.items()]
    soon = (
        log.filter(pl.col("at") < end)
        .select("user_id", "at", *values)
        .filter(pl.any_horizontal(pl.col(*named).is_not_null()))
        .join(owners.lazy().select("user_id", "u", "signed_up_at"), on="user_id")
        .filter(pl.col("u") < OUT, since >= early, since < FIRST)
        .with_columns(counted)
    )
    firsts = [_first(alias).alias(alias) for alias in named]
    return soon.group_by("u").agg(*firsts).collect(engine="streaming")


def _first(column: str) -> pl.Expr:
    has = pl.col(column).is_not_null()
    first = pl.col("at") == pl.col("at").filter(has).min()
    return pl.col(column).filter(has & first).min()


def with_values(users: pl.DataFrame, found: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Put the values beside their users, who stand in the order of their places."""
    place = pl.select(u=pl.int_range(users.height, dtype=pl.UInt32))
    values = place.join(found, on="u", how="left", maintain_order="left").drop("u")
    return users.hstack(values.rename({hidden(name): name for name in names}))


def portable_values(known: Lazy, table: Lazy, names: Mapping[str, str]) -> Lazy:
    """Put each property's first value beside its user, in any engine.

    `known` has ``user_id, t, s_t`` and the properties, `names` says by which names.
    """
    import narwhals as nw

    soon = known.filter(nw.col("t") - nw.col("s_t") < FIRST_US)
    for name in names.values():
        has = soon.filter(~nw.col(name).is_null()).select("user_id", "t", name)
        first = has.group_by("user_id").agg(nw.col("t").min().alias("first_t"))
        at_first = has.join(first, on="user_id", how="inner").filter(
            nw.col("t") == nw.col("first_t")
        )
        value: Any = at_first.group_by("user_id").agg(nw.col(name).min())
        table = table.join(value, on="user_id", how="left")
    return table.rename({column: name for name, column in names.items()})
