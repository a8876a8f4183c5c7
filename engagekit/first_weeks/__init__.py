"""What retained and churned users did in their first two weeks."""

from __future__ import annotations

from engagekit.first_weeks.activity_strata import ACTIVE_DAYS
from engagekit.first_weeks.comparison import compare_first_weeks, strongest
from engagekit.first_weeks.first_times import how_often, how_soon
from engagekit.first_weeks.retained import outcomes
from engagekit.first_weeks.sentences import alone_said, like_for_like
from engagekit.first_weeks.settling import LeverTest, lever_test
from engagekit.first_weeks.thresholds import find_threshold
from engagekit.first_weeks.timing_and_paths import day_by_day, first_paths

__all__ = [
    "ACTIVE_DAYS",
    "LeverTest",
    "alone_said",
    "compare_first_weeks",
    "day_by_day",
    "find_threshold",
    "first_paths",
    "how_often",
    "how_soon",
    "lever_test",
    "like_for_like",
    "outcomes",
    "strongest",
]
