"""Comparing two groups by rank, plainly and within strata: Mann-Whitney and van Elteren, from counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence


def rank_compare(counts: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Say whether the first group has the larger values: per key, over strata.

    ``U = Σ_v r_v·(c_below v + c_v/2)``, ``rank_biserial = 2·U/(r·c) - 1``; over strata the excesses of U are added with weight
    ``1/(N+1)`` (van Elteren), which is Mann-Whitney where there is one stratum.

    Parameters
    ----------
    counts
        ``<keys>, stratum, value, r, c``: how many of the first and of the second group have each value.
    keys
        What is compared apart.

    Returns
    -------
    DataFrame
        ``<keys>, rank_biserial, p``: from -1 (all values of the first group are smaller) to 1, null where no stratum
        has users of both groups.

    References
    ----------
    Mann and Whitney (1947); van Elteren (1960).

    Examples
    --------
    >>> counts = pl.DataFrame({"stratum": [0] * 3, "value": [1, 2, 3], "r": [0, 1, 3], "c": [2, 2, 0]})
    >>> rank_compare(counts, [])["rank_biserial"].round(3).to_list()
    [0.875]
    """
    per = [*keys, "stratum"]
    r, c = pl.col("r").cast(pl.Float64), pl.col("c").cast(pl.Float64)
    tied = r + c
    frame = counts.lazy().group_by(*per, "value").agg(pl.col("r", "c").sum()).sort(*per, "value")
    # Running count of the second group below each value, within its stratum.
    running = c.cum_sum().over(per, order_by="value") if per else c.cum_sum()
    strata = (
        frame.with_columns((r * (running - c / 2)).alias("u"), (tied.pow(3) - tied).alias("ties"))
        .group_by(per)
        .agg(pl.col("u", "ties").sum(), r.sum().alias("r"), c.sum().alias("c"))
        .with_columns((pl.col("r") + pl.col("c")).alias("n"))
        .filter(pl.col("r") > 0, pl.col("c") > 0)
    )
    weight = 1 / (pl.col("n") + 1)
    pairs = pl.col("r") * pl.col("c")
    spread = pairs / 12 * (pl.col("n") + 1 - pl.col("ties") / (pl.col("n") * (pl.col("n") - 1)))
    # Rounded, as the last digits of sums of fractions depend on the order of summing.
    sums = [
        ((pl.col("u") - pairs / 2) * weight).sum().round(11).alias("excess"),
        (pairs * weight).sum().round_sig_figs(12).alias("pairs"),
        (spread.clip(0) * weight * weight).sum().round_sig_figs(12).alias("spread"),
    ]
    totals = strata.group_by(keys).agg(sums) if keys else strata.select(sums)
    table = totals.with_columns(
        (2 * pl.col("excess") / pl.when(pl.col("pairs") > 0).then("pairs")).alias("rank_biserial"),
        (pl.col("excess").abs() / pl.when(pl.col("spread") > 0).then("spread").sqrt()).alias("z"),
    ).collect()
    p = [None if z is None else math.erfc(z / math.sqrt(2)) for z in table["z"].to_list()]
    return table.select(*keys, "rank_biserial", pl.Series("p", p, dtype=pl.Float64))
