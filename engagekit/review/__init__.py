"""Did the play work: how the links moved since it began, and what changed from review to review."""

from __future__ import annotations

from engagekit.review.experiments import Experiment, experiment
from engagekit.review.sequential import (
    any_time,
    cuped,
    holm,
    shares_any_time,
    smallest_any_time,
    split_factor,
    users_any_time,
)
from engagekit.review.tracking import Tracked, changes, track

__all__ = [
    "Experiment",
    "Tracked",
    "any_time",
    "changes",
    "cuped",
    "experiment",
    "holm",
    "shares_any_time",
    "smallest_any_time",
    "split_factor",
    "track",
    "users_any_time",
]
