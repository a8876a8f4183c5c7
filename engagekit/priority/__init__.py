"""The earliest broken link, and what to do about it."""

from __future__ import annotations

from engagekit.priority.counts import accounts_of, link_counts
from engagekit.priority.earliest import earliest_broken
from engagekit.priority.planning import Plan, plan
from engagekit.priority.trial import Trial
from engagekit.priority.verdict import Priority, prioritize

__all__ = [
    "Plan",
    "Priority",
    "Trial",
    "accounts_of",
    "earliest_broken",
    "link_counts",
    "plan",
    "prioritize",
]
