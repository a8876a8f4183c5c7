"""Into which arm of a test each user was put: three columns of `users`, where the definition has an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.errors import ColumnError, listing
from engagekit.instants import AT
from engagekit.journeys import ASSIGNED
from engagekit.matchers import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.definition import Assignment, Definition


def check_people(columns: Sequence[str], definition: Definition) -> None:
    """Refuse a users table that already says what the experiment's events say.

    Raises
    ------
    ColumnError
        It does.
    """
    twice = [c for c in ASSIGNED if c in columns]
    if definition.experiment is not None and twice:
        raise ColumnError(
            f"The users table has {listing(twice)}, and so has the definition's experiment; rename the columns, "
            "or leave the experiment out and give variant= to ek.experiment."
        )


def assignments(
    log: pl.LazyFrame, owners: pl.DataFrame, experiment: Assignment, *, where: pl.Expr
) -> pl.LazyFrame:
    """Read each unit's arm from a log, before sign-up too: `u`, `variant`, `assigned_at`, `variants_seen`.

    The first assignment counts; of several at one instant, the first by name.
    """
    told = log.filter(matches(experiment.event), where)
    arm = pl.col(experiment.property).cast(pl.String).alias("variant")
    arms = told.select("user_id", arm, "at").drop_nulls("variant")
    arms = arms.join(owners.lazy().select("user_id", "u"), on="user_id")
    return (
        arms.sort("at", "variant")
        .group_by("u")
        .agg(
            pl.col("variant").first(),
            pl.col("at").first().alias("assigned_at"),
            pl.col("variant").n_unique().alias("variants_seen"),
        )
    )


def with_arms(users: pl.DataFrame, arms: pl.DataFrame, *, on: str) -> pl.DataFrame:
    """Put the arms beside the users; who has none gets nulls, and 0 arms seen."""
    joined = users.join(arms.select(on, *ASSIGNED), on=on, how="left", maintain_order="left")
    return joined.with_columns(
        pl.col("variants_seen").fill_null(0).cast(pl.UInt32), pl.col("assigned_at").cast(AT)
    )
