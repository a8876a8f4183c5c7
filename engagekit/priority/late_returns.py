"""Who missed habit and came back all the same: where most did, its window is shorter than the rhythm of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import Remark, percent
from engagekit.diagnosis import link_flags
from engagekit.journeys import gathered
from engagekit.priority.counts import within

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.journeys import Journeys
    from engagekit.priority.counts import Span

BACK_LATER = "back after the habit window"  # the kind of remark
ENOUGH = 30  # users who missed habit
# Where two in five never came back, at most 35 % of who missed habit came later, whatever the rhythm; where nobody left, over 95 %.
MOST = 0.5


def late_returns(journeys: Journeys, span: Span) -> tuple[int, int]:
    """Count those of a span of sign-ups who came back after the habit window, of those who did not within it."""

    def missed(part: Journeys) -> pl.LazyFrame:
        flags = link_flags(part).filter("habit_of", ~pl.col("habit_n"), within(part, span))
        return flags.select(pl.col("habit_late").sum().alias("n"), pl.len().alias("of"))

    n, of = gathered(journeys, missed).sum().collect().row(0)
    return int(n or 0), int(of or 0)


def late_remark(later: tuple[int, int], definition: Definition) -> Remark | None:
    """Say where most who missed habit came back after its window; more of them still may."""
    n, of = later
    if of < ENOUGH or n <= MOST * of:
        return None
    text = (
        f"Of {of:,} who did not come back within the habit window of {definition.habit_days} days, {n:,} "
        f"({percent(n / of)}) came back later: slower than the window, and not lost by its end. Read habit as coming back "
        "in that time and no more, or set habit_days above their rhythm."
    )
    return Remark(BACK_LATER, ("habit",), text, users=n)
