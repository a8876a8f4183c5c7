"""The earliest broken link, and what to do about it."""

from __future__ import annotations

from engagekit.priority.bare_verdict import bare_verdict
from engagekit.priority.counts import accounts_of, counted_flags, link_cells, totals
from engagekit.priority.earliest import NONE_BROKEN, earliest_broken
from engagekit.priority.explained_change import explain_change, what_changed_lately
from engagekit.priority.instead import later
from engagekit.priority.loop_facts import LoopFacts, loop_facts
from engagekit.priority.planning import LEAST_WEEKS, SOONER, Plan, at_least, plan
from engagekit.priority.reference_targets import OWN_PAST
from engagekit.priority.suggested_targets import suggest_targets
from engagekit.priority.trial import Trial
from engagekit.priority.verdict import ELSEWHERE, Priority, prioritize, priority_of
from engagekit.priority.what_if import what_if

__all__ = [
    "ELSEWHERE",
    "LEAST_WEEKS",
    "NONE_BROKEN",
    "OWN_PAST",
    "SOONER",
    "LoopFacts",
    "Plan",
    "Priority",
    "Trial",
    "accounts_of",
    "at_least",
    "bare_verdict",
    "counted_flags",
    "earliest_broken",
    "explain_change",
    "later",
    "link_cells",
    "loop_facts",
    "plan",
    "prioritize",
    "priority_of",
    "suggest_targets",
    "totals",
    "what_changed_lately",
    "what_if",
]
