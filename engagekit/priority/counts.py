"""Counts behind the four links: in all, per group or per quarter of sign-up, with the design effect of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.definition import LINKS
from engagekit.design_effect import design_effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys

COUNTS = ("n", "of", "reached_n", "reached_of")
EFFECTS = ("design_effect", "reached_design_effect")


def link_counts(
    flags: pl.LazyFrame, *, keys: Sequence[str] = (), accounts: str | None = None
) -> pl.DataFrame:
    """Count who is judged on and who passed each link.

    Parameters
    ----------
    flags
        One row per user, as `link_flags` gives them.
    keys
        Columns to count by.
    accounts
        Column with each user's account; then users of one account count as alike as they are.

    Returns
    -------
    DataFrame
        One row per key and link: the keys, `link`, `n`, `of`, `reached_n`, `reached_of`, `design_effect` and
        `reached_design_effect` (1 without accounts).
    """
    sums = [pl.col(f"{link}_{c}").sum().cast(pl.Int64) for link in LINKS for c in COUNTS]
    effects = [pl.lit(1.0).alias(f"{link}_{e}") for link in LINKS for e in EFFECTS]
    everyone: list[pl.Expr] = [pl.col(k) for k in keys] or [pl.lit(0).alias("_all")]
    if accounts is not None:
        alone = pl.concat_str(pl.lit("user "), pl.col("user_id").cast(pl.String))
        named = pl.concat_str(pl.lit("account "), pl.col(accounts).cast(pl.String))
        flags = flags.group_by(*keys, pl.coalesce(named, alone).alias("_account")).agg(sums)
        effects = [
            design_effect(f"{link}_{n}", f"{link}_{of}").fill_null(1.0).alias(f"{link}_{e}")
            for link in LINKS
            for n, of, e in (("n", "of", EFFECTS[0]), ("reached_n", "reached_of", EFFECTS[1]))
        ]
    wide = flags.group_by(everyone).agg(*sums, *effects).collect()
    if not keys and wide.is_empty():
        wide = pl.DataFrame({c: [1.0 if c.endswith("effect") else 0] for c in wide.columns})
    columns = (*COUNTS, *EFFECTS)
    tall = [
        wide.select(
            *keys,
            pl.lit(link).alias("link"),
            *[pl.col(f"{link}_{c}").alias(c) for c in columns],
            pl.lit(place).alias("_place"),
        )
        for place, link in enumerate(LINKS)
    ]
    return pl.concat(tall).sort(*keys, "_place").drop("_place")


def accounts_of(journeys: Journeys) -> str | None:
    """Name the property that says which account a user belongs to, where users are the unit and it is known."""
    known = journeys.unit == "user" and "account_id" in journeys.properties
    return "account_id" if known else None
