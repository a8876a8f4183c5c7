"""One table per chart, of the same name and the same numbers; for everyone who would rather read than look.

Each returns a `Table`: HTML in a notebook, plain text when printed, `great_table()` to style further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engagekit.journeys import MIN_GROUP
from engagekit.views import (
    cadence_table,
    changes_table,
    clock_table,
    cohorts_table,
    diagnosis_table,
    experiment_table,
    first_days_table,
    first_weeks_table,
    funnels_table,
    metrics_table,
    rhythm_table,
)  # fmt: skip
from engagekit.views.table import Table
from engagekit.views.timeline_table import as_table as timeline
from engagekit.views.track_table import as_table as track

if TYPE_CHECKING:
    import polars as pl

    from engagekit.priority import Priority
    from engagekit.review import Experiment

__all__ = [
    "Table", "activations", "change", "curve", "day_map", "diagnosis", "dumbbell", "engagement_matrix",
    "experiment", "funnel", "heatmap", "lifecycle", "loop", "loop_by_quarter", "metrics",
    "product_clock", "replay", "segments", "step_drop_off", "stickiness", "survival", "targets",
    "threshold_grid", "timeline", "track", "usage_interval",
]  # fmt: skip


def heatmap(
    curves: pl.DataFrame, *, period: str | None = None, most: int = 40, min_group: int = MIN_GROUP
) -> Table:
    """Tabulate what `cohort_curves` or `retention` returns: one row per cohort.

    Parameters
    ----------
    curves
        What `engagekit.cohort_curves` or `engagekit.retention` returns.
    period
        What to call a period; None: read off the cohorts (hour, day, week, month).
    most
        How many rows to show: the latest cohorts.
    min_group
        Cohorts of fewer users are blank.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("heatmap", cohorts_table.heatmap(curves, period=period, most=most, min_group=min_group))  # fmt: skip


def curve(pooled: pl.DataFrame, *, period: str | None = None) -> Table:
    """Tabulate what `pooled_curve` returns.

    Parameters
    ----------
    pooled
        What `engagekit.pooled_curve` returns; at most seven groups.
    period
        What to call a period, such as ``"week"``.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("curve", cohorts_table.curve(pooled, period=period))


def survival(curve: pl.DataFrame, *, projected: pl.DataFrame | None = None) -> Table:
    """Tabulate what `survival` returns, and what `project_curve` adds.

    Parameters
    ----------
    curve
        What `engagekit.survival` returns.
    projected
        What `engagekit.project_curve` makes of it; None: nothing is added.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("survival", cohorts_table.survival(curve, projected=projected))


def funnel(funnel: pl.DataFrame) -> Table:
    """Tabulate what `funnel` returns.

    Parameters
    ----------
    funnel
        What `engagekit.funnel` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("funnel", funnels_table.funnel(funnel))


def diagnosis(diagnosis: pl.DataFrame) -> Table:
    """Tabulate what `diagnose` returns.

    Parameters
    ----------
    diagnosis
        What `engagekit.diagnose` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("diagnosis", diagnosis_table.diagnosis(diagnosis))


def loop(priority: Priority) -> Table:
    """Tabulate the loop of what `prioritize` returns.

    Parameters
    ----------
    priority
        What `engagekit.prioritize` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("loop", diagnosis_table.loop(priority))


def loop_by_quarter(priority: Priority, *, most: int = 16) -> Table:
    """Tabulate the loop per quarter of sign-up.

    Parameters
    ----------
    priority
        What `engagekit.prioritize` returns.
    most
        How many quarters to show: the latest.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("loop_by_quarter", diagnosis_table.loop_by_quarter(priority, most=most))


def segments(priority: Priority) -> Table:
    """Tabulate the loop per group, where `prioritize` was given `by`.

    Parameters
    ----------
    priority
        What ``engagekit.prioritize(by=...)`` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("segments", diagnosis_table.segments(priority))


def metrics(metrics: pl.DataFrame) -> Table:
    """Tabulate what `metrics` returns.

    Parameters
    ----------
    metrics
        What `engagekit.metrics` returns.

    Returns
    -------
    Table
        Of all rows, also those that the chart leaves out.
    """
    return Table("metrics", metrics_table.metrics(metrics))


def lifecycle(lifecycle: pl.DataFrame, *, most: int = 60) -> Table:
    """Tabulate what `lifecycle` returns.

    Parameters
    ----------
    lifecycle
        What `engagekit.lifecycle` returns.
    most
        How many periods to show: the latest.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("lifecycle", rhythm_table.lifecycle(lifecycle, most=most))


def stickiness(stickiness: pl.DataFrame, *, most: int = 40) -> Table:
    """Tabulate what `stickiness` returns.

    Parameters
    ----------
    stickiness
        What `engagekit.stickiness` returns.
    most
        How many numbers of periods to show, from 1 on.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("stickiness", rhythm_table.stickiness(stickiness, most=most))


def dumbbell(compared: pl.DataFrame) -> Table:
    """Tabulate what `compare_first_weeks` or `strongest` returns.

    Parameters
    ----------
    compared
        What `engagekit.compare_first_weeks` or `strongest` returns.

    Returns
    -------
    Table
        Of all rows, also those that the chart leaves out.
    """
    return Table("dumbbell", first_weeks_table.dumbbell(compared))


def step_drop_off(steps: pl.DataFrame) -> Table:
    """Tabulate what `step_drop_off` returns.

    Parameters
    ----------
    steps
        What `engagekit.step_drop_off` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("step_drop_off", funnels_table.step_drop_off(steps))


def usage_interval(interval: pl.DataFrame) -> Table:
    """Tabulate what `usage_interval` returns.

    Parameters
    ----------
    interval
        What `engagekit.usage_interval` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("usage_interval", cadence_table.usage_interval(interval))


def engagement_matrix(matrix: pl.DataFrame) -> Table:
    """Tabulate what `engagement_matrix` returns.

    Parameters
    ----------
    matrix
        What `engagekit.engagement_matrix` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("engagement_matrix", cadence_table.engagement_matrix(matrix))


def day_map(daily: pl.DataFrame) -> Table:
    """Tabulate what `day_by_day` returns.

    Parameters
    ----------
    daily
        What `engagekit.day_by_day` returns.

    Returns
    -------
    Table
        Of all rows, also those that the chart leaves out.
    """
    return Table("day_map", first_days_table.day_map(daily))


def threshold_grid(grid: pl.DataFrame, *, action: str | None = None) -> Table:
    """Tabulate what `find_threshold` returns; the title speaks of `action`, or of the first.

    Parameters
    ----------
    grid
        What `engagekit.find_threshold` returns.
    action
        Which action the title speaks of; None: the first that is not there by definition.

    Returns
    -------
    Table
        Of all rows, also those that the chart leaves out.
    """
    return Table("threshold_grid", first_days_table.threshold_grid(grid, action=action))


def product_clock(clock: pl.DataFrame, *, most: int = 731) -> Table:
    """Tabulate what `product_clock` returns: the days that weigh little, stretch by stretch.

    Parameters
    ----------
    clock
        What `engagekit.product_clock` returns.
    most
        Of how many days: the latest.

    Returns
    -------
    Table
        The numbers behind the chart of that name, of the days that weigh less than half.
    """
    return Table("product_clock", clock_table.product_clock(clock, most=most))


def change(change: pl.DataFrame) -> Table:
    """Tabulate what `explain_change` returns.

    Parameters
    ----------
    change
        What `engagekit.explain_change` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("change", changes_table.change(change))


def targets(suggested: pl.DataFrame) -> Table:
    """Tabulate what `suggest_targets` returns.

    Parameters
    ----------
    suggested
        What `engagekit.suggest_targets` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("targets", changes_table.targets(suggested))


def activations(compared: pl.DataFrame) -> Table:
    """Tabulate what `compare_activations` returns.

    Parameters
    ----------
    compared
        What `engagekit.compare_activations` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("activations", diagnosis_table.activations(compared))


def experiment(found: Experiment) -> Table:
    """Tabulate what `experiment` returns: one row per arm.

    Parameters
    ----------
    found
        What `engagekit.experiment` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name, with both intervals of each difference.
    """
    return Table("experiment", experiment_table.experiment(found))


def replay(record: pl.DataFrame) -> Table:
    """Tabulate what `replay` returns: one row per kind of claim.

    Parameters
    ----------
    record
        What `engagekit.replay` returns.

    Returns
    -------
    Table
        The numbers of the chart of that name.
    """
    return Table("replay", experiment_table.replay(record))
