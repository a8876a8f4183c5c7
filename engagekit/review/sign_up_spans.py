"""Sign-ups counted span by span: who of them can be judged on a link, who passed it, and how two spans differ."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import LINKS
from engagekit.instants import AT
from engagekit.intervals import newcombe, wilson
from engagekit.journeys import gathered
from engagekit.priority import counted_flags, link_cells, totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys

WEEK, DAY_US = timedelta(days=7), 86_400_000_000


def whole_spans(journeys: Journeys, *, keep: Sequence[str] = ()) -> pl.LazyFrame:
    """Judge on each link only users whose whole span up to it is over."""
    whole = [
        (pl.col(f"{link}_{c}") & pl.col(f"{link}_reached_of")).alias(f"{link}_{c}")
        for link in LINKS
        for c in ("n", "of")
    ]
    flags = gathered(journeys, lambda part: counted_flags(part, keep).with_columns(whole))
    return flags.collect().lazy()  # read several times


def weekly_counts(
    flags: pl.LazyFrame, since: datetime, until: datetime, link: str, *, whole_before: datetime
) -> pl.DataFrame:
    """Count by week of sign-up, counted from the start of the play; weeks that are not whole are left out."""
    at = pl.col("signed_up_at")
    week = ((at - pl.lit(whole_before, AT)).dt.total_microseconds() // (7 * DAY_US)).alias("week")
    first, last = -((whole_before - since) // WEEK), (until - whole_before) // WEEK
    counts = (
        flags.filter(at >= pl.lit(since, AT), at < pl.lit(until, AT))
        .group_by(week)
        .agg(*[pl.col(f"{link}_{c}").sum().cast(pl.Int64).alias(c) for c in ("n", "of")])
        .collect()
    )
    every = pl.DataFrame({"week": range(first, last)}, schema={"week": pl.Int64})
    return every.join(counts, on="week", how="left").sort("week").fill_null(0)


def counts_of(
    flags: pl.LazyFrame,
    since: datetime,
    until: datetime,
    link: str,
    *,
    effect: str = "accounts_effect",
) -> dict[str, Any]:
    """Count one span of sign-ups: `n`, `of` and a `design_effect`, of accounts or the larger of accounts and weeks."""
    at = pl.col("signed_up_at")
    inside = flags.filter(at >= pl.lit(since, AT), at < pl.lit(until, AT))
    counted = totals(link_cells(inside, link, until).collect())
    row = counted.row(by_predicate=pl.col("link") == link, named=True)
    return {name: row[name] for name in ("n", "of")} | {"design_effect": row[effect]}


def rate_of(counts: dict[str, Any]) -> float | None:
    """Take the share that passed; None where nobody was judged."""
    return counts["n"] / counts["of"] if counts["of"] else None


def bounds_of(counts: dict[str, Any]) -> tuple[float | None, float | None]:
    """Take Wilson's interval of that share, by its design effect."""
    effect = counts["design_effect"]
    return wilson(counts["n"] / effect, counts["of"] / effect) if counts["of"] else (None, None)


def compared_spans(
    before: dict[str, Any], after: dict[str, Any], *, effects: bool = False
) -> dict[str, Any]:
    """Take the difference of two spans and its interval; with `effects` both by the larger of their design effects."""
    one = max(before["design_effect"], after["design_effect"])
    sides = [
        c[k] / (one if effects else c["design_effect"])
        for c in (after, before)
        for k in ("n", "of")
    ]
    gap: tuple[float | None, float | None, float | None] = (None, None, None)
    if before["of"] and after["of"]:
        gap = newcombe(*sides)
    return dict(zip(("difference", "difference_low", "difference_high"), gap, strict=True))


def is_clear(compared: dict[str, Any]) -> bool:
    """Say whether the interval of a difference leaves 0 out."""
    gap = compared["difference"]
    return gap is not None and not compared["difference_low"] <= 0 <= compared["difference_high"]
