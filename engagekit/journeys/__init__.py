"""The journeys: a few small tables per user, with windows, groups, storage, and what an answer stands on."""

from __future__ import annotations

from engagekit.journeys import storage
from engagekit.journeys.assigned import ASSIGNED
from engagekit.journeys.clock import MILLION, at_instant, days_until, product_clock, up_to
from engagekit.journeys.coverage import FIRST_EVENT, NOT_DEFINED, Basis, basis
from engagekit.journeys.cutting import known_then
from engagekit.journeys.day_arrays import DAY_ARRAYS, DayArrays, day_arrays, keep_days, places
from engagekit.journeys.days import on_advanced_days, on_days, silence_days
from engagekit.journeys.facts import (
    ANSWER_DAYS,
    FACTS,
    advanced_roles,
    facts_of,
    outcome_days_of,
    properties_of,
    users_with,
)
from engagekit.journeys.gaps import interval_of, own_intervals
from engagekit.journeys.groups import MIN_GROUP, check_journeys, group_names, names_and_faults
from engagekit.journeys.kept import ONLY_JUDGED_BY, made, once
from engagekit.journeys.other_rules import under_other_rules
from engagekit.journeys.recent_days import RECENT_DAYS, recent_start
from engagekit.journeys.resolving import Counts, counts_of, late_counted, resolved, set_apart
from engagekit.journeys.rhythm import sorted_within
from engagekit.journeys.rhythm_before import clock_before, rhythm_before
from engagekit.journeys.schema import (
    DAYS,
    EARLY,
    EARLY_EVENTS,
    LEFT_OUT,
    LONGEST,
    REDUCED,
    STEPS,
    TABLES,
    USERS,
    early_names,
    folded,
    landed,
)
from engagekit.journeys.tables import (
    Journeys,
    about,
    gathered,
    late_of,
    left_out_of,
)
from engagekit.journeys.windows import suggest_windows, usual_period, windows_of

__all__ = [
    "ANSWER_DAYS",
    "ASSIGNED",
    "DAYS",
    "DAY_ARRAYS",
    "EARLY",
    "EARLY_EVENTS",
    "FACTS",
    "FIRST_EVENT",
    "LEFT_OUT",
    "LONGEST",
    "MILLION",
    "MIN_GROUP",
    "NOT_DEFINED",
    "ONLY_JUDGED_BY",
    "RECENT_DAYS",
    "REDUCED",
    "STEPS",
    "TABLES",
    "USERS",
    "Basis",
    "Counts",
    "DayArrays",
    "Journeys",
    "about",
    "advanced_roles",
    "at_instant",
    "basis",
    "check_journeys",
    "clock_before",
    "counts_of",
    "day_arrays",
    "days_until",
    "early_names",
    "facts_of",
    "folded",
    "gathered",
    "group_names",
    "interval_of",
    "keep_days",
    "known_then",
    "landed",
    "late_counted",
    "late_of",
    "left_out_of",
    "made",
    "names_and_faults",
    "on_advanced_days",
    "on_days",
    "once",
    "outcome_days_of",
    "own_intervals",
    "places",
    "product_clock",
    "properties_of",
    "recent_start",
    "resolved",
    "rhythm_before",
    "set_apart",
    "silence_days",
    "sorted_within",
    "storage",
    "suggest_windows",
    "under_other_rules",
    "up_to",
    "users_with",
    "usual_period",
    "windows_of",
]
