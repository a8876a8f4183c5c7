"""The earliest broken link, and what to do about it."""

from __future__ import annotations

from engagekit.priority.counts import counted_flags, link_cells, totals
from engagekit.priority.earliest import earliest_broken
from engagekit.priority.planning import Plan, plan
from engagekit.priority.reference_targets import OWN_PAST
from engagekit.priority.verdict import ELSEWHERE, Priority, prioritize

__all__ = [
    "ELSEWHERE",
    "OWN_PAST",
    "Plan",
    "Priority",
    "counted_flags",
    "earliest_broken",
    "link_cells",
    "plan",
    "prioritize",
    "totals",
]
