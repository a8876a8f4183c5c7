"""Funnels, written out: who gets to which step, and where most are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.views.sheet import (
    UNKNOWN,
    Sheet,
    between,
    checked,
    group_columns,
    group_labels,
    joined,
    known,
    labels,
    rated,
    sheet,
    whole,
)

if TYPE_CHECKING:
    import polars as pl

FUNNEL = ("step", "event", "n", "of", "rate", "low", "high", "overall", "median_seconds")
UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"))


def funnel(funnel: pl.DataFrame) -> Sheet:
    """Write out what `funnel` returns."""
    frame = checked(funnel, FUNNEL, "ek.funnel")
    rows = [
        (
            name,
            whole(r["n"]),
            whole(r["of"]),
            rated(r["rate"]),
            between(r["low"], r["high"]),
            lost(r["rate"]),
            rated(r["overall"]),
            duration(r["median_seconds"]),
        )
        for name, r in zip(step_names(frame), frame.to_dicts(), strict=True)
    ]
    headers = (
        "Step",
        "Users",
        "Of the step before",
        "Rate",
        "95% interval",
        "Lost",
        "Of the first step",
        "Median time",
    )
    return sheet("Bar chart", funnel_title(frame), funnel_subtitle(frame), headers, rows)


def step_names(frame: pl.DataFrame) -> list[str]:
    """Write each step with its number, as an event may be two steps, and its group before it."""
    groups = group_labels(frame, group_columns(frame, FUNNEL), most=14)
    events = labels(frame["event"].to_list(), most=22)
    return [
        joined(group, f"{step + 1}. {event}")
        for group, step, event in zip(groups, frame["step"], events, strict=True)
    ]


def hottest(frame: pl.DataFrame) -> dict[str, Any] | None:
    """Return the step that loses the largest share of those at the step before, or None."""
    judged = [r for r in _judged(frame) if r["rate"] < 1]
    return min(judged, key=lambda r: r["rate"]) if judged else None


def _judged(frame: pl.DataFrame) -> list[dict[str, Any]]:
    rows = [r | {"name": n} for n, r in zip(step_names(frame), frame.to_dicts(), strict=True)]
    return known(rows)


def clearly_worst(frame: pl.DataFrame) -> str | None:
    """Name the step that loses most, if its interval lies apart from that of every other."""
    worst = hottest(frame)
    if worst is None or worst["high"] is None:
        return None
    lows = [r["low"] for r in _judged(frame) if r["name"] != worst["name"] and r["low"] is not None]
    name: str = worst["name"]
    return name if all(worst["high"] < low for low in lows) else None


def funnel_title(frame: pl.DataFrame) -> str:
    """Name the step that loses most of those who reach the step before it."""
    worst = hottest(frame)
    if worst is not None:
        said = f"{worst['name']} loses {lost(worst['rate']).removeprefix('−')} of those who reach the step before"
        return said if clearly_worst(frame) else f"{said}; no step clearly loses most"
    begun = frame.filter(frame["step"] == 0)["n"].sum()
    return "No step loses anybody" if begun else "Nobody enters this funnel"


def funnel_subtitle(frame: pl.DataFrame) -> str:
    """Say what the pale bars and percentages are, and how many still may go on."""
    waiting = frame["waiting"].sum() if "waiting" in frame.columns else 0
    said = "Pale bar: users at the step before. Percentage: lost since then."
    return f"{said} {waiting:,} users still have time to go on." if waiting else said


def lost(rate: float | None) -> str:
    """Write which share did not go on.

    Examples
    --------
    >>> lost(0.43), lost(1.0), lost(None)
    ('−57%', '0%', '')
    """
    if rate is None or rate != rate:
        return UNKNOWN
    return f"−{rated(1 - rate)}" if rate < 1 else "0%"


def duration(seconds: float | None) -> str:
    """Write a time in the unit a person would use.

    Examples
    --------
    >>> duration(90.0), duration(7200.0), duration(0.0), duration(None)
    ('1.5 minutes', '2 hours', '0 seconds', '')
    """
    if seconds is None or seconds != seconds:
        return UNKNOWN
    for length, unit in UNITS:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}".replace(".0 ", " ")
    return f"{seconds:.0f} seconds"


DROP_OFF = ("step", "n", "of", "rate", "low", "high", "hot")


def step_drop_off(steps: pl.DataFrame) -> Sheet:
    """Write out what `step_drop_off` returns."""
    frame = checked(steps, DROP_OFF, "ek.step_drop_off")
    rows = [
        (
            name,
            whole(r["n"]),
            whole(r["of"]),
            rated(r["rate"]),
            between(r["low"], r["high"]),
            hot(r),
        )
        for name, r in zip(labels(frame["step"].to_list()), frame.to_dicts(), strict=True)
    ]
    headers = ("Step", "Stuck", "Of who reached it", "Drop-off", "95% interval", "")
    early = frame["too_early"].sum() if "too_early" in frame.columns else 0
    subtitle = (
        "Of users who reached a step, those who did not complete it; line: 95% Wilson interval."
    )
    more = f" {early:,} more times a step was reached by someone too new to judge." if early else ""
    return sheet("Bar chart", drop_off_title(frame), subtitle + more, headers, rows)


def hot(row: dict[str, Any]) -> str:
    """Write whether a step stands out."""
    return "← stands out" if row["hot"] else UNKNOWN


def drop_off_title(frame: pl.DataFrame) -> str:
    """Name the step that clearly loses more than the others, or say that none does."""
    names = labels(frame["step"].to_list())
    rows = known([r | {"name": n} for n, r in zip(names, frame.to_dicts(), strict=True)])
    if not rows:
        return "No step has been reached by anyone who can be judged"
    worst = max(rows, key=lambda r: (r["hot"], r["rate"]))
    if worst["hot"]:
        return f"{worst['name']} stands out: {rated(worst['rate'])} of those who reach it get stuck"
    return f"No step stands out; the highest drop-off is {rated(worst['rate'])}, at {worst['name']}"
