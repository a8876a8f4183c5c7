"""Every chart with its table, drawn from small literal answers; plain names and hostile ones."""

from __future__ import annotations

import functools

import chart_frames as frames
import vl_convert
from chart_frames import HOSTILE

from engagekit import charts, tables


def pair(name, *args, **kwargs):
    """Make one case: how to draw it, how to tabulate it."""
    return lambda: (getattr(charts, name)(*args, **kwargs), getattr(tables, name)(*args, **kwargs))


PLAIN = {
    "heatmap": pair("heatmap", frames.curves()),
    "heatmap by": pair("heatmap", frames.curves(("plan", ["free", "pro"])), period="week"),
    "curve": pair("curve", frames.pooled(), period="week"),
    "curve by": pair("curve", frames.pooled(["free", "pro"])),
    "survival": pair("survival", frames.survival()),
    "survival ahead": pair("survival", frames.survival(), projected=frames.projected()),
    "funnel": pair("funnel", frames.funnel()),
    "diagnosis": pair("diagnosis", frames.diagnosis()),
    "diagnosis by": pair("diagnosis", frames.diagnosis(["free", "pro"])),
    "loop": pair("loop", frames.priority()),
    "loop without targets": pair(
        "loop",
        frames.priority(table=frames.loop_table(targets=False), verdict="no targets", link=None),
    ),
    "loop undecided": pair(
        "loop", frames.priority(verdict="undecided", link=None, candidates=("habit", "none broken"))
    ),
    "loop none": pair("loop", frames.priority(verdict="none broken", link=None)),
    "loop_by_quarter": pair("loop_by_quarter", frames.priority()),
    "change": pair("change", frames.change()),
    "change of mix": pair("change", frames.change(mix=True)),
    "targets": pair("targets", frames.suggested()),
    "activations": pair("activations", frames.activations()),
    "segments": pair("segments", frames.priority()),
    "experiment": pair("experiment", frames.two_arms()),
    "replay": pair("replay", frames.replayed()),
    "track": pair("track", frames.tracked()),
    "track without a goal": pair(
        "track", frames.tracked(goal=None, verdict="within its usual range")
    ),
    "track of nobody": pair(
        "track", frames.tracked(since=(0, 0, None, None, None), verdict="cannot tell yet")
    ),
    "metrics": pair("metrics", frames.metrics()),
    "product_clock": pair("product_clock", frames.clock()),
    "timeline": pair("timeline", frames.timeline()),
    "lifecycle": pair("lifecycle", frames.lifecycle()),
    "stickiness": pair("stickiness", frames.stickiness()),
    "dumbbell": pair("dumbbell", frames.compared()),
    "step_drop_off": pair("step_drop_off", frames.drop_off()),
    "usage_interval": pair("usage_interval", frames.usage_interval()),
    "day_map": pair("day_map", frames.daily()),
    "threshold_grid": pair("threshold_grid", frames.grid()),
    "threshold_grid of": pair("threshold_grid", frames.grid(), action="(active days)"),
    "engagement_matrix": pair("engagement_matrix", frames.matrix()),
}
EMPTY = {
    "heatmap": pair("heatmap", frames.curves().clear()),
    "curve": pair("curve", frames.pooled().clear()),
    "survival": pair("survival", frames.survival().clear()),
    "funnel": pair("funnel", frames.funnel().clear()),
    "diagnosis": pair("diagnosis", frames.diagnosis().clear()),
    "loop_by_quarter": pair(
        "loop_by_quarter", frames.priority(by_quarter=frames.quarters().clear())
    ),
    "segments": pair("segments", frames.priority(segments=frames.segments().clear())),
    "metrics": pair("metrics", frames.metrics().clear()),
    "product_clock": pair("product_clock", frames.clock().clear()),
    "timeline": pair("timeline", frames.timeline().clear()),
    "lifecycle": pair("lifecycle", frames.lifecycle().clear()),
    "stickiness": pair("stickiness", frames.stickiness().clear()),
    "dumbbell": pair("dumbbell", frames.compared().clear()),
    "step_drop_off": pair("step_drop_off", frames.drop_off().clear()),
    "usage_interval": pair("usage_interval", frames.usage_interval().clear()),
    "day_map": pair("day_map", frames.daily().clear()),
    "threshold_grid": pair("threshold_grid", frames.grid().clear()),
    "engagement_matrix": pair("engagement_matrix", frames.matrix().clear()),
}
GROUPS = [*HOSTILE[:5], None]
NAMED = {
    "heatmap by": pair("heatmap", frames.curves((HOSTILE[0], list(HOSTILE)))),
    "curve by": pair("curve", frames.pooled(GROUPS, name=HOSTILE[1])),
    "funnel": pair(
        "funnel", frames.funnel(HOSTILE, tuple(100 - 10 * k for k in range(len(HOSTILE))))
    ),
    "diagnosis by": pair("diagnosis", frames.diagnosis(GROUPS, name=HOSTILE[0])),
    "segments": pair(
        "segments", frames.priority(segments=frames.segments(HOSTILE, name=HOSTILE[1]))
    ),
    "metrics": pair("metrics", frames.metrics().with_columns(reading=frames.pl.lit(HOSTILE[2]))),
    "step_drop_off": pair("step_drop_off", frames.drop_off(HOSTILE)),
    "engagement_matrix": pair("engagement_matrix", frames.matrix(HOSTILE)),
    "day_map": pair("day_map", frames.daily(HOSTILE)),
    "threshold_grid": pair("threshold_grid", frames.grid(HOSTILE)),
    "timeline": pair("timeline", frames.timeline(HOSTILE[1])),
    "dumbbell": pair("dumbbell", frames.compared(HOSTILE, ["more in retained"] * len(HOSTILE))),
}
ALL = (
    PLAIN
    | {f"{name}, empty": case for name, case in EMPTY.items()}
    | {f"{name}, hostile": case for name, case in NAMED.items()}
)


@functools.cache
def drawn(name):
    """Return a case's specification and table, made once for all tests."""
    chart, table = ALL[name]()
    return chart.to_dict(), table


@functools.cache
def picture(name):
    """Return a case's SVG, made once for all tests."""
    return vl_convert.vegalite_to_svg(drawn(name)[0], allowed_base_urls=[])
