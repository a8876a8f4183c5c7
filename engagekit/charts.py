"""One chart per answer: each takes exactly what the answer returns, states the finding and shows how sure it is.

Sizes are for a projector; nothing is told by color alone; each chart carries its numbers as text.
"""

from __future__ import annotations

from engagekit.views.cadence_chart import engagement_matrix, usage_interval
from engagekit.views.changes_chart import change, targets
from engagekit.views.clock_chart import product_clock
from engagekit.views.cohorts_chart import curve, heatmap, survival
from engagekit.views.diagnosis_chart import activations, diagnosis, loop, loop_by_quarter, segments
from engagekit.views.experiment_chart import experiment, replay
from engagekit.views.first_days_chart import day_map, threshold_grid
from engagekit.views.first_weeks_chart import dumbbell
from engagekit.views.funnels_chart import funnel, step_drop_off
from engagekit.views.metrics_chart import metrics
from engagekit.views.offline import svg, use_offline_charts
from engagekit.views.rhythm_chart import lifecycle, stickiness
from engagekit.views.timeline_chart import timeline
from engagekit.views.track_chart import track

__all__ = [
    "activations",
    "change",
    "curve",
    "day_map",
    "diagnosis",
    "dumbbell",
    "engagement_matrix",
    "experiment",
    "funnel",
    "heatmap",
    "lifecycle",
    "loop",
    "loop_by_quarter",
    "metrics",
    "product_clock",
    "replay",
    "segments",
    "step_drop_off",
    "stickiness",
    "survival",
    "svg",
    "targets",
    "threshold_grid",
    "timeline",
    "track",
    "usage_interval",
    "use_offline_charts",
]
