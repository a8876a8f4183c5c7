"""A picture of the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.views import metrics_table as words
from engagekit.views.marks import dots
from engagekit.views.sheet import (
    between,
    checked,
    group_columns,
    group_labels,
    joined,
    labels,
    largest_groups,
    rated,
    whole,
)
from engagekit.views.theme import finished, tips

if TYPE_CHECKING:
    import polars as pl


def metrics(metrics: pl.DataFrame) -> Any:
    """Draw the shares of what `metrics` returns; amounts in other units stand in its table.

    Parameters
    ----------
    metrics
        What `engagekit.metrics` returns.

    Returns
    -------
    altair chart
        One dot with its interval per metric, and per group.
    """
    page = words.metrics(metrics)
    metrics, _ = largest_groups(metrics, words.METRICS, "of")
    frame = checked(metrics, words.METRICS, "ek.metrics")
    groups = group_labels(frame, group_columns(frame, words.METRICS))
    found = [
        row | {"group": group}
        for group, row in zip(groups, frame.to_dicts(), strict=True)
        if row["unit"] == words.SHARE and row["value"] is not None
    ]
    names = labels([words.metric_name(row) for row in found], most=80)
    rows = [
        {
            "name": name,
            "group": row["group"],
            "value": row["value"],
            "low": row["low"],
            "high": row["high"],
            "text": joined(rated(row["value"]), f"of {whole(row['of'])}"),
            "interval": between(row["low"], row["high"]),
            "count": f"{whole(row['n'])} of {whole(row['of'])}",
        }
        for name, row in zip(names, found, strict=True)
    ]
    shown = tips(name="Metric", group="Group", count="Users", interval="95% interval")
    title = "Share of each metric's own users"
    return finished(dots(rows, title=title, tips=shown, limit=260, in_two=True), page)
