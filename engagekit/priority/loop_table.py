"""The loop as a table: each link's rate, target, probability and what lifting it would bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import LINKS
from engagekit.instants import AT
from engagekit.intervals import wilson
from engagekit.priority.earliest import SURE, Evidence, Judgment, extra_users, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engagekit.priority.counts import Span

TABLE: dict[str, Any] = {
    "link": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "reached": pl.Float64,
    "target": pl.Float64,
    "target_from": pl.String,
    "p_broken": pl.Float64,
    "p_earliest": pl.Float64,
    "extra_users": pl.Float64,
    "design_effect": pl.Float64,
    "since": AT,
    "until": AT,
    "extra_users_half": pl.Float64,
    "extra_users_zero": pl.Float64,
    "extra_passing": pl.Float64,
    "weeks": pl.Int64,
}


@dataclass(frozen=True)
class Marks:
    """What links are held against: a rate per link (any may be missing), where it comes from, and by how much to miss it.

    A link is broken below its rate less `margin`, and named from the probability `sure` on.
    """

    targets: Mapping[str, float]
    source: str | None
    defined: Sequence[str]
    margin: float
    sure: float = SURE

    def below(self) -> tuple[float | None, ...]:
        """Give the rate below which each link is broken; None where it cannot be named."""
        return tuple(
            self.targets[link] - self.margin
            if link in self.targets and link in self.defined
            else None
            for link in LINKS
        )


@dataclass(frozen=True)
class Loop:
    """The table of the loop with the judgment it supports and the evidence that was taken."""

    table: pl.DataFrame
    judgment: Judgment
    seen: Evidence
    marks: Marks


def evidence(counts: pl.DataFrame, marks: Marks) -> Evidence:
    """Take the evidence from one row per link, in order: `n`, `of` and `design_effect`."""
    n, of, effect = (counts[c].to_list() for c in ("n", "of", "design_effect"))
    return Evidence(
        tuple(x / d for x, d in zip(n, effect, strict=True)),
        tuple(x / d for x, d in zip(of, effect, strict=True)),
        marks.below(),
        marks.sure,
    )


def loop(counts: pl.DataFrame, marks: Marks, spans: Mapping[str, Span] | None = None) -> Loop:
    """Judge counts of one row per link against marks.

    Parameters
    ----------
    counts
        As `totals` gives them, for one group.
    marks
        Targets, or none.
    spans
        The sign-ups that each link was counted among.
    """
    seen = evidence(counts, marks)
    judgment = judge(seen)
    rows = [_row(row, marks, spans or {}) for row in counts.iter_rows(named=True)]
    rates = [row["rate"] for row in rows]
    lifts = extra_users(rates, [row["target"] for row in rows], rows[0]["of"] or 0)
    reached: float | None = 1.0
    for row, lift, broken, earliest in zip(
        rows, lifts, judgment.p_broken, judgment.p_earliest, strict=True
    ):
        reached = None if reached is None or row["rate"] is None else reached * row["rate"]
        row |= {**lift, "reached": reached, "p_broken": broken, "p_earliest": earliest}
    return Loop(pl.DataFrame(rows, schema=TABLE), judgment, seen, marks)


def _row(counts: dict[str, Any], marks: Marks, spans: Mapping[str, Span]) -> dict[str, Any]:
    link, n, of, effect = (counts[c] for c in ("link", "n", "of", "design_effect"))
    known = link in marks.defined and of > 0
    low, high = wilson(n / effect, of / effect) if known else (None, None)
    target, span = marks.targets.get(link), spans.get(link)
    return {
        "link": link,
        "n": n,
        "of": of,
        "rate": n / of if known else None,
        "low": low,
        "high": high,
        "target": target,
        "target_from": None if target is None else marks.source,
        "design_effect": effect,
        "weeks": counts["weeks"],
        "since": span and span.since,
        "until": span and span.until,
    }


def links_by(
    counts: pl.DataFrame, keys: Sequence[str]
) -> list[tuple[tuple[Any, ...], pl.DataFrame]]:
    """Split counts of several groups into one frame of four links each, in order."""
    size = len(LINKS)
    parts = [counts[start : start + size] for start in range(0, counts.height, size)]
    return [(part.select(keys).row(0), part) for part in parts]
