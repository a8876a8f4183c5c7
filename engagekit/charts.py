"""One chart per answer: each takes exactly what the answer returns, states the finding and shows how sure it is.

Sizes are for a projector; nothing is told by color alone; each chart carries its numbers as text.
"""

from __future__ import annotations

from engagekit.chart_cadence import engagement_matrix, usage_interval
from engagekit.chart_cohorts import curve, heatmap, survival
from engagekit.chart_diagnosis import diagnosis, loop, loop_by_quarter, segments
from engagekit.chart_first_days import day_map, threshold_grid
from engagekit.chart_first_weeks import dumbbell
from engagekit.chart_funnels import funnel, step_drop_off
from engagekit.chart_measures import metrics
from engagekit.chart_rhythm import lifecycle, stickiness
from engagekit.offline import svg, use_offline_charts

__all__ = [
    "curve",
    "day_map",
    "diagnosis",
    "dumbbell",
    "engagement_matrix",
    "funnel",
    "heatmap",
    "lifecycle",
    "loop",
    "loop_by_quarter",
    "metrics",
    "segments",
    "step_drop_off",
    "stickiness",
    "survival",
    "svg",
    "threshold_grid",
    "usage_interval",
    "use_offline_charts",
]
