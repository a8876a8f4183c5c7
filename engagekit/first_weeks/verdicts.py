"""From counts to verdicts: each action's best threshold, whether it stands out, and what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.first_weeks.activity_strata import ACTIVE_DAYS, Early
from engagekit.first_weeks.contingency_tables import (
    Tally,
    cells_of,
    numbers,
    steady,
    weighed,
    without_own_count,
)
from engagekit.intervals import newcombe_columns, z_of
from engagekit.strata import benjamini_hochberg, heterogeneity, heterogeneity_tails, pooled_ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

RETAINED, CHURNED, NOT_CLEAR, TOO_FEW = (
    "more in retained",
    "more in churned",
    "not clear",
    "too few",
)
LEAST_IN_HALF = 5
LEAST_EXPECTED = 5.0  # users in each cell of a stratum, for Breslow and Day's test to hold


def best_marks(
    table: pl.DataFrame, ladder: Sequence[int], defining: Sequence[str], q: float
) -> pl.DataFrame:
    """Choose each action's threshold and judge it: ``event, mark, at_least, tried, p, q, verdict, part_of_definition``.

    Thresholds that the very same users reach count once.
    """
    usable = pl.col("enough") & pl.col("chance").is_not_null()
    counted = table.with_columns(
        pl.col("did").filter(usable).n_unique().over("event").cast(pl.Int64).alias("tried"),
        pl.col("chance").filter(usable).min().over("event").alias("least"),
    )
    # The smallest chance where it is one; else the threshold most users reached, which luck has coloured least.
    stands_out = pl.col("least") * pl.col("tried") <= 0.05
    chosen = (
        counted.with_columns(pl.when(stands_out).then("chance").alias("order"))
        .sort("event", ~usable, "order", "mark", nulls_last=True)
        .unique("event", keep="first", maintain_order=True)
        .with_columns((pl.col("least") * pl.col("tried")).clip(0, 1).alias("p"))
    )
    name = pl.col("event").cast(pl.String)
    steps = dict(enumerate(ladder))
    return judged(
        chosen.select(
            "event", "mark", "tried", "p", "enough", "risk_difference", "phi",
            pl.col("mark").replace_strict(steps, return_dtype=pl.Int64).alias("at_least"),
            name.is_in(list(defining)).alias("part_of_definition"),
        ),
        q,
    ).drop("enough", "risk_difference", "phi")  # fmt: skip


def judged(chosen: pl.DataFrame, q: float) -> pl.DataFrame:
    """Add `q` and `verdict`; active days and actions that define the outcome are no part of the family, and never named."""
    apart = pl.col("part_of_definition") | (pl.col("event").cast(pl.String) == ACTIVE_DAYS)
    family = chosen.select(pl.when(~apart).then("p"))["p"].to_list()
    chosen = chosen.with_columns(
        pl.Series("q", benjamini_hochberg(family), dtype=pl.Float64).fill_nan(None)
    )
    verdict = (
        pl.when(~pl.col("enough"))
        .then(pl.lit(TOO_FEW))
        .when(pl.col("q").is_null() | (pl.col("q") > q))
        .then(pl.lit(NOT_CLEAR))
        .when(pl.col("risk_difference") > 0)
        .then(pl.lit(RETAINED))
        .otherwise(pl.lit(CHURNED))
    )
    return chosen.with_columns(verdict.alias("verdict"), pl.lit(value=False).alias("withdrawn"))


def shown(table: pl.DataFrame, best: pl.DataFrame, keys: Sequence[str] = ()) -> pl.DataFrame:
    """Put the figures of each action at its chosen threshold beside its verdict; intervals allow for those tried."""
    levels = {n: z_of(1 - 0.05 / max(n, 1)) for n in best["tried"].unique().to_list()}
    z = pl.col("tried").replace_strict(levels, default=z_of(0.95), return_dtype=pl.Float64)
    sums = [
        "risk_ratio",
        "risk_low",
        "risk_high",
        "risk_difference",
        "difference_low",
        "difference_high",
    ]
    names = [
        "adjusted_risk_ratio", "adjusted_low", "adjusted_high", "adjusted_difference",
        "adjusted_difference_low", "adjusted_difference_high",
    ]  # fmt: skip
    ratios = {e.meta.output_name(): e for e in pooled_ratios(pl.col("z"))}
    adjusted = [
        pl.when(pl.col("enough") & ratios[one].is_finite()).then(ratios[one]).alias(name)
        for one, name in zip(sums, names, strict=True)
    ]
    name = pl.col("event").cast(pl.String)
    a, b = pl.col("did_retained"), pl.col("did_churned")
    n1, n0 = pl.col("n_retained"), pl.col("n_churned")
    place = [*keys, "event", "mark"]
    kept = best.select(*place, *[c for c in best.columns if c not in table.columns])
    frame = table.drop("risk_ratio", "risk_difference").join(kept, on=place, nulls_equal=True)
    return (
        frame.with_columns(z.alias("z"))
        .with_columns(
            *adjusted,
            *newcombe_columns(a, n1, b, n0, z=pl.col("z")),
            _share(a, n1).alias("share_retained"),
            _share(b, n0).alias("share_churned"),
            _share(a, a + b).alias("retention_did"),
            _share(n1 - a, n1 + n0 - a - b).alias("retention_not"),
            _share(a + b, n1 + n0).alias("reach"),
        )
        .with_columns(
            _share(pl.col("retention_did"), pl.col("retention_not")).alias("risk_ratio"),
            pl.when("enough", name != ACTIVE_DAYS).then("p").alias("p"),
        )
    )


def guarded(table: pl.DataFrame, early: Early, counts: Tally) -> pl.DataFrame:
    """Withdraw ``"more in churned"`` where it vanishes once the action's own count is out of the volume."""
    harmful = table.filter(pl.col("verdict") == CHURNED)
    if harmful.is_empty():
        return table
    again = without_own_count(early, counts, harmful.select("event", "at_least"))
    holds = again.filter(pl.col("excess") < 0, pl.col("chance") <= 0.05)["event"]
    fails = pl.col("event").is_in(
        harmful.filter(~pl.col("event").is_in(holds.implode()))["event"].implode()
    )
    return table.with_columns(
        pl.when(fails).then(pl.lit(NOT_CLEAR)).otherwise("verdict").alias("verdict"),
        fails.alias("withdrawn"),
    )


def held_out(counts: Tally) -> pl.DataFrame:
    """Take phi on one half of the users, at the threshold best on the other: ``event, phi_holdout``."""
    choosing, telling = (weighed(numbers(counts, half=half)) for half in (True, False))
    some = (pl.col("did") >= LEAST_IN_HALF) & (pl.col("not") >= LEAST_IN_HALF)
    best = (
        choosing.filter(some, pl.col("chance").is_not_null())
        .sort("event", "chance", "mark")
        .unique("event", keep="first", maintain_order=True)
    )
    return telling.join(best.select("event", "mark"), on=["event", "mark"]).select(
        "event", pl.col("phi").alias("phi_holdout")
    )


def disagreement(counts: Tally, table: pl.DataFrame) -> pl.DataFrame:
    """Test whether strata disagree about each action (Breslow and Day): ``event, strata_p``."""
    cells = cells_of(counts, table).join(
        table.select("event", pl.col("odds_ratio").alias("odds")), on="event"
    )
    found = cells.group_by("event").agg(steady(heterogeneity(LEAST_EXPECTED)))
    p = heterogeneity_tails(found["heterogeneity"], found["strata_compared"])
    return found.select("event", p.alias("strata_p"))


def opposed(table: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Find actions whose crude differences, pooled and within groups, clearly point both ways: ``event, opposite``."""
    per_event = groups.group_by("event").len()["len"].to_list()
    z = z_of(1 - 0.05 / max(per_event, default=1))
    counts = ["event", "did_retained", "n_retained", "did_churned", "n_churned"]
    both = pl.concat([table.select(counts), groups.select(counts)])
    a, n1, b, n0 = (pl.col(c) for c in counts[1:])
    _, low, high = newcombe_columns(a, n1, b, n0, z=z)
    return both.group_by("event").agg(((low > 0).any() & (high < 0).any()).alias("opposite"))


def _share(n: pl.Expr, of: pl.Expr) -> pl.Expr:
    return n / pl.when(of > 0).then(of)
