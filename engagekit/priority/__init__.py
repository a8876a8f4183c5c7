"""The earliest broken link, and what to do about it."""

from __future__ import annotations

from engagekit.priority.counts import accounts_of, link_counts
from engagekit.priority.earliest import earliest_broken
from engagekit.priority.instead import later
from engagekit.priority.planning import SOONER, Plan, plan
from engagekit.priority.verdict import Priority, prioritize

__all__ = [
    "SOONER",
    "Plan",
    "Priority",
    "accounts_of",
    "earliest_broken",
    "later",
    "link_counts",
    "plan",
    "prioritize",
]
