"""How much less users tell about a metric where those of one account are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.intervals import design_effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys

ACCOUNT = "_account"


def account_name(journeys: Journeys) -> str | None:
    """Name the property that says which account a user belongs to, where users are the unit and it is known."""
    known = journeys.unit == "user" and "account_id" in journeys.properties
    return "account_id" if known else None


def account_of(column: str) -> pl.Expr:
    """Name the account of each user; who has none is one of their own."""
    alone = pl.concat_str(pl.lit("user "), pl.col("user_id").cast(pl.String))
    named = pl.concat_str(pl.lit("account "), pl.col(column).cast(pl.String))
    return pl.coalesce(named, alone).alias(ACCOUNT)


def accounts_effects(
    facts: pl.LazyFrame, keys: Sequence[str], shares: int, means: int
) -> pl.LazyFrame:
    """Give per key the design effect of accounts for each share and each mean.

    Parameters
    ----------
    facts
        One row per user, as `facts_of_each` gives them, with `keys` and ``_account``.
    shares, means
        How many there are.

    Returns
    -------
    LazyFrame
        The keys, ``share_<i>_effect`` and ``mean_<i>_effect``; null where nobody is judged.
    """
    names = [f"share_{i}" for i in range(shares)] + [f"mean_{i}" for i in range(means)]
    sums = [pl.col(f"{name}_{c}").cast(pl.Int64).sum() for name in names for c in ("n", "of")]
    squares = [
        (pl.col(f"mean_{i}_n").cast(pl.Int64) ** 2).sum().alias(f"mean_{i}_squares")
        for i in range(means)
    ]
    of_shares = [
        design_effect(f"share_{i}_n", f"share_{i}_of").alias(f"share_{i}_effect")
        for i in range(shares)
    ]
    of_means = [_effect_of_mean(f"mean_{i}").alias(f"mean_{i}_effect") for i in range(means)]
    return (
        facts.group_by(*keys, ACCOUNT)
        .agg(*sums, *squares)
        .sort(*keys, ACCOUNT)
        .group_by(keys, maintain_order=True)
        .agg(*of_shares, *of_means)
        .with_columns(pl.col("^.*_effect$").round_sig_figs(12))
    )


def _effect_of_mean(name: str) -> pl.Expr:
    """Say by how much accounts inflate the variance of a mean: that of their sums, over that of users."""
    x, m = pl.col(f"{name}_n").cast(pl.Float64), pl.col(f"{name}_of").cast(pl.Float64)
    users, accounts = m.sum(), (m > 0).sum()
    mean = x.sum() / users
    between = ((x - mean * m) ** 2).sum() * accounts / (accounts - 1)
    within = pl.col(f"{name}_squares").sum() - x.sum() * mean
    known = (accounts > 1) & (within > 0)
    effect = pl.when(known).then(pl.max_horizontal(between / within, 1.0)).otherwise(1.0)
    return pl.when(users > 0).then(effect)
