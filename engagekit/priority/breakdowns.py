"""The earliest broken link per quarter of sign-up and per segment, and where it changed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit.definition import LINKS
from engagekit.instants import instant
from engagekit.intervals import FEW_WEEKS, OF_FEW_WEEKS
from engagekit.priority.counts import QUARTER, Span, recent_cells, totals
from engagekit.priority.earliest import Evidence, Judgment, judge
from engagekit.priority.loop_table import TABLE, Marks, links_by, loop
from engagekit.priority.reference_targets import own_past
from engagekit.priority.shrinking import shrunk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from engagekit.definition import Definition
    from engagekit.priority.counts import LoopCounts

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
    parts = links_by(mine, groups)
    pasts = {} if marks.targets else own_past(counts, definition, groups=len(parts))
    shape = (len(parts), len(LINKS))
    n, of = (mine[c].to_numpy().reshape(shape).astype(float) for c in ("n", "of"))
    effect = _effects(mine, whole, shape)
    passed, eligible = shrunk(n, of, effect) if marks.targets else (n / effect, of / effect)
    rows = []
    for place, (values, part) in enumerate(parts):
        held = marks if marks.targets else pasts.get(values, marks)
        seen = Evidence(
            tuple(passed[place].tolist()), tuple(eligible[place].tolist()), held.below(), held.sure
        )
        judgment = _judged(seen, of[place], marks)
        rows.append(
            dict(zip(groups, values, strict=True)) | _segment(part, judgment, marks.defined)
        )
    schema = mine.select(groups).schema
    return pl.DataFrame(rows, schema=dict(schema) | SEGMENT)


def _judged(
    seen: Evidence, of: np.ndarray[Any, np.dtype[np.float64]], marks: Marks
) -> Mapping[str, Any]:
    # What the other groups show of a link is no evidence that this one got there.
    eligible = tuple(e if o > 0 else 0.0 for e, o in zip(seen.of, of, strict=True))
    passed = tuple(p if o > 0 else 0.0 for p, o in zip(seen.n, of, strict=True))
    found: Judgment = judge(Evidence(passed, eligible, seen.marks, seen.sure))
    if marks.targets or found.verdict == "named":
        return vars(found)
    nobody = of[0] <= 0
    verdict = "undecided" if nobody else "no targets"
    return vars(found) | {"verdict": verdict, "probability": 0.0, "candidates": ()}


def _segment(
    part: pl.DataFrame, judgment: Mapping[str, Any], defined: Sequence[str]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "users": part["of"][0],
        "verdict": judgment["verdict"],
        "link": judgment["link"],
        "probability": judgment["probability"],
        "candidates": list(judgment["candidates"]),
    }
    for link, n, of in part.select("link", "n", "of").iter_rows():
        known = link in defined and of > 0
        row |= {f"{link}_rate": n / of if known else None, f"{link}_of": of}
    return row


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
