"""One curve from many cohorts, from the cells that can be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from engagekit.cohorts.parameters import TAKEN
from engagekit.errors import ColumnError, ParameterError, check_choice, nearest
from engagekit.intervals import wilson_columns
from engagekit.log import as_lazy

if TYPE_CHECKING:
    from engagekit.log import Frame

FEW_COHORTS, FEW_USERS = 2, 30
ANSWERED = ("cohorts", "thin", "average")  # beside the columns that cohort tables have too


def pooled_curve(curves: Frame, *, average: Literal["pooled", "mean"] = "pooled") -> pl.DataFrame:
    """Say what share of all cohorts together came back in each period after the start.

    ``rate = sum of n / sum of of``, over the complete cells of a period; ``"mean"``: the plain mean of their rates.

    Parameters
    ----------
    curves
        What `retention` or `cohort_curves` gave; at least ``period, n, of, complete``. Other columns than theirs
        are groups, each with a curve of its own.
    average
        ``"pooled"`` weighs every user alike, ``"mean"`` every cohort.

    Returns
    -------
    DataFrame
        One row per group and period with at least one complete cell. The groups' columns; `period` (and
        `from_period`, `to_period` of brackets); `n` users who returned and `of` users followed so far, of those
        cohorts; `rate`, `low`, `high` (Wilson, 95 %; null for a mean of rates); `cohorts` how many remain;
        `thin` whether those are fewer than two, or their users fewer than 30; `average` how the rate was made.

    Raises
    ------
    ColumnError
        A column is missing, or a group bears the name of one of the answer's: all of them.
    ParameterError
        `average` is neither of the two.

    Notes
    -----
    Cells that are not complete, and cohorts without a user, take no part. Later periods stand on older cohorts
    only, so that the curve can rise where those were better: `cohorts` and `of` show it.

    Examples
    --------
    >>> curves = pl.DataFrame({
    ...     "cohort": ["A", "A", "B", "B"], "period": [0, 1, 0, 1], "n": [10, 6, 30, 9],
    ...     "of": [10, 10, 30, 30], "complete": [True, True, True, True],
    ... })
    >>> pooled_curve(curves).select("period", "n", "of", "rate", "cohorts").rows()
    [(0, 40, 40, 1.0, 2), (1, 15, 40, 0.375, 2)]
    """
    if faults := check_choice("average", average, ["pooled", "mean"]):
        raise ParameterError(faults[0])
    lazy = as_lazy(curves, what="The cohort table")
    have = lazy.collect_schema().names()
    by = [c for c in have if c not in TAKEN]
    faults = [
        f"there is no column {c!r}.{nearest(c, have)}"
        for c in ("period", "n", "of", "complete")
        if c not in have
    ]
    faults += [f"{c!r} is a column of this answer; rename the group." for c in by if c in ANSWERED]
    if faults:
        raise ColumnError.from_faults("The cohort table cannot be pooled", faults)
    extra = [c for c in ("from_period", "to_period") if c in have]
    keys = [*by, "period", *extra]
    pooled = (
        lazy.filter(pl.col("complete") & (pl.col("of") > 0))
        .group_by(keys)
        .agg(
            pl.col("n", "of").sum(),
            (pl.col("n") / pl.col("of")).mean().alias("_mean"),
            pl.len().cast(pl.Int64).alias("cohorts"),
        )
        .sort(keys, nulls_last=True)
    )
    rate, low, high = wilson_columns()
    if average == "mean":
        unknown = pl.lit(None, pl.Float64)
        rate, low, high = pl.col("_mean").alias("rate"), unknown.alias("low"), unknown.alias("high")
    thin = (pl.col("cohorts") < FEW_COHORTS) | (pl.col("of") < FEW_USERS)
    return pooled.select(
        *keys, "n", "of", rate, low, high, "cohorts", thin.alias("thin"),
        pl.lit(average).alias("average"),
    ).collect()  # fmt: skip
