"""The ten metrics, written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.views.sheet import (
    LINK_WORDS,
    UNKNOWN,
    Sheet,
    between,
    checked,
    decimals,
    group_columns,
    group_labels,
    joined,
    joined_sentences,
    known,
    largest_groups,
    moment,
    points,
    rated,
    sheet,
    whole,
    written,
)

if TYPE_CHECKING:
    import polars as pl

METRICS = ("metric", "reading", "link", "play", "n", "of", "value", "unit", "low", "high")
SHARE, DIFFERENCE = "share", "difference"


def metrics(metrics: pl.DataFrame) -> Sheet:
    """Write out what `metrics` returns."""
    metrics, some = largest_groups(metrics, METRICS, "of")
    frame = checked(metrics, METRICS, "ek.metrics")
    groups = group_labels(frame, group_columns(frame, METRICS))
    rows = [
        (
            joined(group, metric_name(r)),
            LINK_WORDS.get(r["link"], UNKNOWN),
            r["play"] or UNKNOWN,
            whole(r["n"]),
            whole(r["of"]),
            amount(r["value"], r["unit"]),
            amount_between(r),
        )
        for group, r in zip(groups, frame.to_dicts(), strict=True)
    ]
    headers = ("Metric", "Link", "Play", "Users", "Of", "Value", "95% interval")
    subtitle = joined_sentences(
        some,
        f"{_basis(frame)}Shares with their 95% interval. Each is over users of its own, so they do not compare with one another.",
    )
    return sheet("Dot chart", metrics_title(frame), subtitle, headers, rows, texts=3)


def _basis(frame: pl.DataFrame) -> str:
    """Name the sign-ups that the shares stand on, where the answer says so."""
    if not {"since", "until"} <= set(frame.columns):
        return ""
    found = frame.select("since", "until").drop_nulls().head(1).rows()
    return f"Sign-ups of {moment(found[0][0])} to {moment(found[0][1])}. " if found else ""


def metric_name(row: dict[str, Any]) -> str:
    """Write a metric with its reading: ``return usage, within 7 days``."""
    reading = row["reading"]
    return f"{written(row['metric'])}, {written(reading)}" if reading else written(row["metric"])


def metrics_title(frame: pl.DataFrame) -> str:
    """State the activation rate and the return usage, the first two of the order of operations; else what is known."""
    groups = group_columns(frame, METRICS)
    rows = known(frame.to_dicts(), "value")
    if not rows:
        return "No metric can be known from these users yet"
    if groups:
        return f"{len({r['metric'] for r in rows})} metrics, group by group"
    first = [_said(rows, name) for name in ("activation rate", "engagement rate")]
    said = " and ".join(filter(None, first))
    return (
        said[:1].upper() + said[1:]
        if said
        else f"{len({r['metric'] for r in rows})} metrics can be known from these users"
    )


def _said(rows: list[dict[str, Any]], metric: str) -> str:
    row = next((r for r in rows if r["metric"] == metric), None)
    return f"{metric} is {amount(row['value'], row['unit'])}" if row else ""


def amount(value: float | None, unit: str) -> str:
    """Write a value in its unit.

    Examples
    --------
    >>> amount(0.41, "share"), amount(2.5, "days"), amount(0.0312, "per user"), amount(None, "days")
    ('41%', '2.5 days', '0.031 per user', '')
    >>> amount(0.034, "difference"), amount(1.2, "times")
    ('+3 points', '1.20 times')
    """
    if value is None:
        return UNKNOWN
    if unit == DIFFERENCE:
        return f"{points(value)} points"
    return rated(value) if unit == SHARE else f"{decimals(value, _digits(unit))} {unit}"


def amount_between(row: dict[str, Any]) -> str:
    """Write the interval of a value in its unit."""
    low, high = row["low"], row["high"]
    if row["unit"] == SHARE or low is None or high is None:
        return between(low, high)
    if row["unit"] == DIFFERENCE:
        return f"{points(low)} to {points(high)}"
    digits = _digits(row["unit"])
    return f"{decimals(low, digits)}–{decimals(high, digits)}"


def _digits(unit: str) -> int:
    # Errors and support are rare: most rates lie below one in ten users.
    return {"per user": 3, "times": 2}.get(unit, 1)
