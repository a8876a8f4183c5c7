"""What a verdict is made from and no target changes: counted once, so that a room can move targets as it likes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engagekit.diagnosis import FLAGS, UNSET, diagnose, recent_days
from engagekit.instants import AT, days
from engagekit.intervals import wilson_columns
from engagekit.journeys import Basis, basis, group_names, once
from engagekit.priority.breakdowns import SEGMENT
from engagekit.priority.counts import (
    ACCOUNT,
    KEYS,
    QUARTER,
    SIGNED,
    WEEK,
    LoopCounts,
    count_links,
    just_after,
)
from engagekit.priority.late_returns import late_returns
from engagekit.priority.problems import early_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.definition import Definition
    from engagekit.diagnosis import Recent
    from engagekit.journeys import Journeys

RECENT_WEEKS = 8  # the present rate of sign-ups is that of so many weeks


@dataclass(frozen=True)
class LoopFacts:
    """Counts of the loop and what stands beside them.

    `counts` of the links, `early`: what stopped the recent sign-ups who never activated, by group, `drift`: the share
    of those who came back and drifted since, `later`: how many came back after the habit window, and of how many who did
    not within it, `basis`: the sign-ups these stand on, `signups_per_week`: of the last
    weeks.
    """

    counts: LoopCounts
    early: pl.DataFrame
    drift: pl.DataFrame
    later: tuple[int, int]
    basis: Basis
    definition: Definition
    timezone: str
    signups_per_week: float


def loop_facts(
    journeys: Journeys, *, by: str | Sequence[str] | None = None, recent: Recent = UNSET
) -> LoopFacts:
    """Count all that `priority_of` needs, whatever the targets; kept with the journeys, so that they are counted once.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    by
        A property of the users, or a list of them, to count by.
    recent
        How many days of sign-ups are recent; unset: the definition's `recent_days`; None: all.

    Raises
    ------
    ParameterError
        `by` or `recent` cannot be used.
    """
    taken = [
        *SEGMENT,
        "problem",
        "elsewhere",
        "label",
        *FLAGS,
        *KEYS,
        SIGNED,
        WEEK,
        QUARTER,
        ACCOUNT,
    ]
    groups = group_names(journeys, by, taken=taken)
    width = recent_days(recent, journeys.definition)
    return once(journeys, ("loop", *groups, width), lambda whole: _loop_facts(whole, groups, width))


def _loop_facts(journeys: Journeys, groups: Sequence[str], width: int | None) -> LoopFacts:
    counts = count_links(journeys, groups=groups, recent=width)
    return LoopFacts(
        counts=counts,
        early=early_counts(journeys, counts.spans["activation"], groups),
        drift=once(journeys, ("drift", width), lambda whole: _drift(whole, width)),
        later=late_returns(journeys, counts.spans["habit"]),
        basis=_basis(journeys, counts),
        definition=journeys.definition,
        timezone=journeys.timezone,
        signups_per_week=_signups_per_week(journeys),
    )


def _basis(journeys: Journeys, counts: LoopCounts) -> Basis:
    """Say what the sign-ups that any link is judged on are."""
    spans = [s for s in counts.spans.values() if s.since is not None and s.until is not None]
    if counts.width is None or not spans:
        return basis(journeys)
    since, until = min(s.since for s in spans), max(s.until for s in spans)  # type: ignore[type-var]
    return basis(journeys, since=since, until=just_after(journeys, until))  # type: ignore[arg-type]


def _drift(journeys: Journeys, recent: Recent) -> pl.DataFrame:
    labels = diagnose(journeys, recent=recent)
    row = labels.filter(pl.col("label") == "drift").select("n", pl.col("could_show").alias("of"))
    return row.with_columns(*wilson_columns())


def _signups_per_week(journeys: Journeys) -> float:
    known = (journeys.as_of - journeys.log_start).total_seconds() / 86_400
    span = min(7.0 * RECENT_WEEKS, known)
    recent = pl.col("signed_up_at") >= pl.lit(journeys.as_of, AT) - days(span)
    count = journeys.users.lazy().select(recent.sum()).collect().item()
    return float(count / (span / 7)) if span > 0 else 0.0
