"""One curve from many cohorts, from the cells that can be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from engagekit.cohorts.parameters import TAKEN
from engagekit.errors import ColumnError, ParameterError, check_choice, nearest
from engagekit.intervals import design_effect, wilson_columns, z_of
from engagekit.log import as_lazy

if TYPE_CHECKING:
    from engagekit.log import Frame

FEW_COHORTS, FEW_USERS = 2, 30
ANSWERED = (
    "cohorts",
    "thin",
    "average",
    "design_effect",
)  # beside the columns that cohort tables have too


def pooled_curve(curves: Frame, *, average: Literal["pooled", "mean"] = "pooled") -> pl.DataFrame:
    """Say what share of all cohorts together came back in each period after the start.

    ``rate = sum of n / sum of of``, over the complete cells of a period; ``"mean"``: the plain mean of their rates.
    Cohorts differ by more than chance, so the interval is Wilson's of counts divided by the design effect of cohorts,
    ``δ = max(1, C/(C-1) · Σ (n_c - of_c·r)² / (Σ of · r(1-r)))``, with a t quantile of ``C - 1`` degrees of freedom where
    ``δ > 1``.

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
        cohorts; `rate`, `low`, `high` (95 %; null for a mean of rates); `cohorts` how many remain;
        `thin` whether those are fewer than two, or their users fewer than 30; `average` how the rate was made;
        `design_effect` by how much cohorts that differ, or users who count in several, widen the interval.

    Raises
    ------
    ColumnError
        A column is missing, or a group bears the name of one of the answer's: all of them.
    ParameterError
        `average` is neither of the two.

    Notes
    -----
    Cells that are not complete, and cohorts without a user, take no part. Later periods stand on older cohorts
    only, so that the curve can rise where those were better: `cohorts` and `of` show it. With ``cohorts="each"`` a user
    counts in every cohort with a start; `retention` then says in `users_effect` how much less that tells, and the
    larger of the two effects counts. One cohort alone does not show how much cohorts differ.

    References
    ----------
    Kish (1965), Survey Sampling, for the design effect of clusters; Wilson (1927).

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
    users = pl.col("users_effect").max() if "users_effect" in have else pl.lit(None, pl.Float64)
    pooled = (
        lazy.filter(pl.col("complete") & (pl.col("of") > 0))
        .group_by(keys)
        .agg(
            pl.col("n", "of").sum(),
            (pl.col("n") / pl.col("of")).mean().alias("_mean"),
            pl.len().cast(pl.Int64).alias("cohorts"),
            _of_cohorts().alias("_cohorts"),
            users.alias("_users"),
        )
        .sort(keys, nulls_last=True)
        .collect()
    )
    effect = pl.max_horizontal("_cohorts", pl.col("_users").fill_null(1.0))
    rate, low, high = wilson_columns(z=_quantile(pooled), effect=effect)
    unknown = pl.lit(None, pl.Float64)
    if average == "mean":
        effect, low, high = unknown, unknown.alias("low"), unknown.alias("high")
        rate = pl.col("_mean").alias("rate")
    thin = (pl.col("cohorts") < FEW_COHORTS) | (pl.col("of") < FEW_USERS)
    return pooled.select(
        *keys, "n", "of", rate, low, high, "cohorts", thin.alias("thin"), pl.lit(average).alias("average"),
        effect.alias("design_effect"),
    )  # fmt: skip


def _of_cohorts() -> pl.Expr:
    """Give the design effect of the cohorts of a period; 1 where there is one, or all or none came back."""
    n, of = pl.col("n").sum(), pl.col("of").sum()
    varies = (pl.len() > 1) & (n > 0) & (n < of)
    # The last digits of a sum depend on how it was cut up.
    return pl.when(varies).then(design_effect("n", "of").round_sig_figs(12)).otherwise(1.0)


def _quantile(pooled: pl.DataFrame) -> pl.Expr:
    """Take Student's quantile where cohorts widen the interval: how much they differ is known from a few only."""
    from scipy.special import stdtrit

    free = (pooled["cohorts"] - 1).clip(1)
    student = pl.Series(stdtrit(free.to_numpy(), 0.975), dtype=pl.Float64)
    decides = (pl.col("_cohorts") > 1) & (pl.col("_cohorts") >= pl.col("_users").fill_null(1.0))
    return pl.when(decides).then(pl.lit(student)).otherwise(z_of(0.95))
