"""What retained and churned users did in their first two weeks."""

from __future__ import annotations

from engagekit.first_weeks.accounts import account_effects
from engagekit.first_weeks.activity_strata import ACTIVE_DAYS
from engagekit.first_weeks.comparison import compare_first_weeks, strongest
from engagekit.first_weeks.contingency_tables import LEAST_USERS
from engagekit.first_weeks.retained import outcomes
from engagekit.first_weeks.same_day import same_day_each, same_day_within
from engagekit.first_weeks.sentences import alone_said, like_for_like
from engagekit.first_weeks.thresholds import find_threshold
from engagekit.first_weeks.timing_and_paths import day_by_day, first_paths, how_often, how_soon
from engagekit.first_weeks.trial_strata import Ints, UserDays, pasts, same_day_strata, trial_strata
from engagekit.first_weeks.trials import EXCESS, KEPT, SUMS, Acts, Numbers, reaching, trials
from engagekit.first_weeks.verdicts import Alike, careful, drawn, reached, two_sided

__all__ = [
    "ACTIVE_DAYS",
    "EXCESS",
    "KEPT",
    "LEAST_USERS",
    "SUMS",
    "Acts",
    "Alike",
    "Ints",
    "Numbers",
    "UserDays",
    "account_effects",
    "alone_said",
    "careful",
    "compare_first_weeks",
    "day_by_day",
    "drawn",
    "find_threshold",
    "first_paths",
    "how_often",
    "how_soon",
    "like_for_like",
    "outcomes",
    "pasts",
    "reached",
    "reaching",
    "same_day_each",
    "same_day_strata",
    "same_day_within",
    "strongest",
    "trial_strata",
    "trials",
    "two_sided",
]
