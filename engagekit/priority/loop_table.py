"""The loop as a table: each link's rate, target, probability and what lifting it would bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import LINKS
from engagekit.intervals import wilson
from engagekit.priority.earliest import Evidence, Judgment, evidence, extra_users, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    "extra_users_half": pl.Float64,
    "extra_users_zero": pl.Float64,
    "extra_passing": pl.Float64,
    "reached_n": pl.Int64,
    "reached_of": pl.Int64,
    "reached_low": pl.Float64,
    "reached_high": pl.Float64,
    "design_effect": pl.Float64,
    "reached_design_effect": pl.Float64,
}


@dataclass(frozen=True)
class Marks:
    """What links are held against: a rate per link (any may be missing) and where it comes from."""

    targets: Mapping[str, float]
    source: str | None
    defined: Sequence[str]


@dataclass(frozen=True)
class Loop:
    """The table of the loop with the judgment it supports and the evidence that was taken."""

    table: pl.DataFrame
    judgment: Judgment
    seen: Evidence


def loop(counts: pl.DataFrame, marks: Marks) -> Loop:
    """Judge counts of one row per link against marks.

    Parameters
    ----------
    counts
        As `link_counts` gives them, for one group.
    marks
        Targets, or none.
    """
    seen = evidence(counts, marks.targets, marks.defined)
    judgment = judge(seen)
    rows = [_row(row, marks) for row in counts.iter_rows(named=True)]
    lifts = extra_users(
        [row["rate"] for row in rows], [row["target"] for row in rows], rows[0]["of"] or 0
    )
    for row, lift, broken, earliest in zip(
        rows, lifts, judgment.p_broken, judgment.p_earliest, strict=True
    ):
        row |= {**lift, "p_broken": broken, "p_earliest": earliest}
    return Loop(pl.DataFrame(rows, schema=TABLE), judgment, seen)


def _row(counts: dict[str, Any], marks: Marks) -> dict[str, Any]:
    link, n, of, effect = (counts[c] for c in ("link", "n", "of", "design_effect"))
    known = link in marks.defined and of > 0
    low, high = wilson(n / effect, of / effect) if known else (None, None)
    reached_n, reached_of = counts["reached_n"], counts["reached_of"]
    alike = counts["reached_design_effect"]
    span = wilson(reached_n / alike, reached_of / alike) if reached_of else (None, None)
    target = marks.targets.get(link)
    return {
        "link": link,
        "n": n,
        "of": of,
        "rate": n / of if known else None,
        "low": low,
        "high": high,
        "reached": reached_n / reached_of if reached_of else None,
        "target": target,
        "target_from": None if target is None else marks.source,
        "reached_n": reached_n,
        "reached_of": reached_of,
        "reached_low": span[0],
        "reached_high": span[1],
        "design_effect": effect,
        "reached_design_effect": alike,
    }


def links_by(
    counts: pl.DataFrame, keys: Sequence[str]
) -> list[tuple[tuple[Any, ...], pl.DataFrame]]:
    """Split counts of several groups into one frame of four links each, in order."""
    size = len(LINKS)
    parts = [counts[start : start + size] for start in range(0, counts.height, size)]
    return [(part.select(keys).row(0), part) for part in parts]
