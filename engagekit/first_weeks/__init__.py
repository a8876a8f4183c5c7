"""What retained and churned users did in their first two weeks."""

from __future__ import annotations

from engagekit.first_weeks.accounts import account_effects
from engagekit.first_weeks.activity_strata import ACTIVE_DAYS, Early, Logged, early_of, logged
from engagekit.first_weeks.comparison import compare_first_weeks, strongest
from engagekit.first_weeks.contingency_tables import LEAST_USERS
from engagekit.first_weeks.rank_tests import rank_compare
from engagekit.first_weeks.retained import (
    account_numbers,
    account_of,
    defining,
    judged_users,
    outcomes,
    stand_ins,
)
from engagekit.first_weeks.same_day import same_day, same_day_each, same_day_within
from engagekit.first_weeks.sentences import alone_said, late_said, like_for_like
from engagekit.first_weeks.thresholds import find_threshold
from engagekit.first_weeks.timing_and_paths import day_by_day, first_paths
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
    "Early",
    "Ints",
    "Logged",
    "Numbers",
    "UserDays",
    "account_effects",
    "account_numbers",
    "account_of",
    "alone_said",
    "careful",
    "compare_first_weeks",
    "day_by_day",
    "defining",
    "drawn",
    "early_of",
    "find_threshold",
    "first_paths",
    "judged_users",
    "late_said",
    "like_for_like",
    "logged",
    "outcomes",
    "pasts",
    "rank_compare",
    "reached",
    "reaching",
    "same_day",
    "same_day_each",
    "same_day_strata",
    "same_day_within",
    "stand_ins",
    "strongest",
    "trial_strata",
    "trials",
    "two_sided",
]
