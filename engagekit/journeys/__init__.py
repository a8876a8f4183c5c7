"""The journeys: a few small tables per user, with windows, groups, storage, and what an answer stands on."""

from __future__ import annotations

from engagekit.journeys import storage
from engagekit.journeys.assigned import ASSIGNED
from engagekit.journeys.coverage import Basis, basis
from engagekit.journeys.gaps import interval_of, median_gaps
from engagekit.journeys.groups import (
    MIN_GROUP,
    check_journeys,
    group_names,
    names_and_faults,
    small_groups,
    without,
)
from engagekit.journeys.tables import (
    DAYS,
    EARLY,
    LEFT_OUT,
    STEPS,
    TABLES,
    USERS,
    Journeys,
    about,
    gathered,
    landed,
    on_advanced_days,
    on_days,
    silence_days,
)
from engagekit.journeys.windows import suggest_windows, usual_period

__all__ = [
    "ASSIGNED",
    "DAYS",
    "EARLY",
    "LEFT_OUT",
    "MIN_GROUP",
    "STEPS",
    "TABLES",
    "USERS",
    "Basis",
    "Journeys",
    "about",
    "basis",
    "check_journeys",
    "gathered",
    "group_names",
    "interval_of",
    "landed",
    "median_gaps",
    "names_and_faults",
    "on_advanced_days",
    "on_days",
    "silence_days",
    "small_groups",
    "storage",
    "suggest_windows",
    "usual_period",
    "without",
]
