"""Did the play work: how the links moved since it began, and what changed from review to review."""

from __future__ import annotations

from engagekit.review.experiments import Experiment, experiment
from engagekit.review.latest_changes import changes
from engagekit.review.replaying import replay
from engagekit.review.tracking import Tracked, track
from engagekit.review.usual_range import UsualRange, held_difference, usual_range

__all__ = [
    "Experiment",
    "Tracked",
    "UsualRange",
    "changes",
    "experiment",
    "held_difference",
    "replay",
    "track",
    "usual_range",
]
