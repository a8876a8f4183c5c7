"""The earliest broken link per quarter of sign-up and per segment, and where it changed."""

from __future__ import annotations

from datetime import timedelta
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit.definition import LINKS
from engagekit.instants import instant
from engagekit.intervals import FEW_WEEKS, OF_FEW_WEEKS
from engagekit.priority.counts import QUARTER, Span, recent_cells, totals
from engagekit.priority.loop_table import TABLE, Marks, links_by, loop
from engagekit.priority.many_judgments import judge_each
from engagekit.priority.reference_targets import own_past
from engagekit.priority.shrinking import shrunk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from engagekit.definition import Definition
    from engagekit.priority.counts import LoopCounts

    Numbers = NDArray[np.float64]

BY_QUARTER: dict[str, Any] = {
    "quarter": pl.Date,
    **TABLE,
    "verdict": pl.String,
    "named": pl.String,
    "changed": pl.Boolean,
}
SEGMENT: dict[str, Any] = {
    "users": pl.Int64,
    "verdict": pl.String,
    "link": pl.String,
    "probability": pl.Float64,
    "candidates": pl.List(pl.String),
    **{f"{link}_{c}": t for link in LINKS for c, t in (("rate", pl.Float64), ("of", pl.Int64))},
}


def by_quarter(counts: LoopCounts, marks: Marks, timezone: str) -> pl.DataFrame:
    """Judge each quarter of sign-ups on its own, over the whole log.

    Returns
    -------
    DataFrame
        Four rows per quarter: `quarter` (its first local day), the columns of the table (`since` and `until` are the
        quarter's bounds), `verdict`, `named` (the link named in that quarter, else null) and `changed` (it differs
        from the link named last before).
    """
    parts, last = [], None
    counted = dict(links_by(totals(counts.cells, [QUARTER]), [QUARTER]))
    nobody = totals(counts.cells.clear())
    for start in counts.quarters:
        part = counted.get((start,), nobody)
        judged = loop(part, marks, dict.fromkeys(LINKS, _bounds(start, timezone)))
        verdict = judged.judgment.verdict if marks.targets else "no targets"
        named = judged.judgment.link
        changed = named is not None and last is not None and named != last
        last = named or last
        parts.append(
            judged.table.select(
                pl.lit(start, pl.Date).alias("quarter"),
                *TABLE,
                pl.lit(verdict, pl.String).alias("verdict"),
                pl.lit(named, pl.String).alias("named"),
                pl.lit(changed).alias("changed"),
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame(schema=BY_QUARTER)


def _bounds(start: date, timezone: str) -> Span:
    after = (start + timedelta(days=95)).replace(day=1)
    first, end = (instant(day, timezone=timezone) for day in (start, after))
    return Span(first, end, None, widened=False)


def by_segment(counts: LoopCounts, marks: Marks, definition: Definition) -> pl.DataFrame:
    """Judge each group on its own, its rates shrunk towards those of all the others.

    Returns
    -------
    DataFrame
        One row per value: the groups, `users` (judged on activation), `verdict`, `link`, `probability`,
        `candidates` (what it is undecided between) and each link's own rate, ``<link>_rate`` with ``<link>_of``.
    """
    groups = list(counts.groups)
    cells = recent_cells(counts)
    mine, whole = totals(cells, groups), totals(cells)
    shape = (mine.height // len(LINKS), len(LINKS))
    values = mine[:: len(LINKS)].select(groups)
    pasts = {} if marks.targets else own_past(counts, definition, groups=shape[0])
    held = [pasts.get(group, marks) for group in values.iter_rows()] if pasts else [marks]
    n, of = (mine[c].to_numpy().reshape(shape).astype(float) for c in ("n", "of"))
    effect = _effects(mine, whole, shape)
    passed, eligible = shrunk(n, of, effect) if marks.targets else (n / effect, of / effect)
    # What the other groups show of a link is no evidence that this one got there.
    seen = of > 0
    found = judge_each(
        np.where(seen, passed, 0.0),
        np.where(seen, eligible, 0.0),
        np.array([[nan if m is None else m for m in each.below()] for each in held]),
        np.array([each.sure for each in held]),
    )
    if not marks.targets:
        known = pl.Series(of[:, 0] > 0)
        found = _without_targets(found, known)
    rates = [
        column
        for place, link in enumerate(LINKS)
        for column in _rate(link, n[:, place], of[:, place], known=link in marks.defined)
    ]
    users = pl.Series("users", of[:, 0].astype(np.int64))
    table = values.with_columns(users, *found.get_columns(), *rates)
    return table.select(*groups, *[pl.col(c).cast(kind) for c, kind in SEGMENT.items()])


def _without_targets(found: pl.DataFrame, known: pl.Series) -> pl.DataFrame:
    """Leave only what has fallen below its own past."""
    named = pl.col("verdict") == "named"
    other = pl.when(pl.lit(known)).then(pl.lit("no targets")).otherwise(pl.lit("undecided"))
    return found.with_columns(
        pl.when(named).then("verdict").otherwise(other).alias("verdict"),
        pl.when(named).then("probability").otherwise(0.0).alias("probability"),
        pl.when(named).then("candidates").otherwise(pl.lit([], pl.List(pl.String))).alias("candidates"),
    )  # fmt: skip


def _rate(link: str, n: Numbers, of: Numbers, *, known: bool) -> list[pl.Series]:
    rate = np.full(len(of), nan)
    np.divide(n, of, out=rate, where=(of > 0) & known)
    shown = pl.Series(f"{link}_rate", rate).fill_nan(None)
    return [shown, pl.Series(f"{link}_of", of.astype(np.int64))]


def _effects(
    mine: pl.DataFrame, whole: pl.DataFrame, shape: tuple[int, int]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give groups the design effect of the whole, as far as their size lets weeks differ: ``1 + (D - 1) · share``.

    Weeks that are alike within inflate a variance with the number of users in them, so a group is inflated by its
    share; accounts lie within groups mostly, and inflate these as they do the whole.
    """
    weeks, alike, of = (whole[c].to_numpy() for c in ("weeks_effect", "accounts_effect", "of"))
    share = mine["of"].to_numpy().reshape(shape) / np.maximum(of, 1)
    floor = np.where(mine["weeks"].to_numpy().reshape(shape) < FEW_WEEKS, OF_FEW_WEEKS, 1.0)
    effect: np.ndarray[Any, np.dtype[np.float64]] = np.maximum(1 + (weeks - 1) * share, alike)
    return np.asarray(np.maximum(effect, floor), np.float64)


def undecided(segments: pl.DataFrame, candidates: Sequence[str] = ()) -> pl.DataFrame:
    """Take the verdicts of all groups back, where that of all together is."""
    nothing = pl.lit(None, pl.String)
    return segments.with_columns(
        pl.lit("undecided").alias("verdict"),
        nothing.alias("link"),
        nothing.alias("problem"),
        pl.lit(0.0).alias("probability"),
        pl.lit(list(candidates), pl.List(pl.String)).alias("candidates"),
        pl.lit(value=False).alias("elsewhere"),
    )
