"""Cadence, written out: how long users pause, and which actions are done by many and often."""

from __future__ import annotations

import polars as pl

from engagekit.views.sheet import (
    Sheet,
    between,
    checked,
    decimals,
    known,
    labels,
    rated,
    sheet,
    whole,
)

INTERVAL = ("days", "n", "of", "rate", "low", "high", "usage_interval_days")
MATRIX = ("event", "n", "of", "rate", "days", "times", "median_rate", "median_days", "quadrant")
MOST_DAYS, NEARLY_ALL = 730, 0.95
QUADRANTS = ("many, often", "many, rarely", "few, often", "few, rarely")


def usage_interval(interval: pl.DataFrame) -> Sheet:
    """Write out what `usage_interval` returns."""
    frame, cut = shown_days(interval)
    rows = [
        (str(r["days"]), whole(r["n"]), rated(r["rate"]), between(r["low"], r["high"]))
        for r in frame.to_dicts()
    ]
    users = whole(frame["of"][0]) if frame.height else "0"
    subtitle = f"{users} users with two or more core days, by how long they usually pause between them. Band: 95% interval.{cut}"
    headers = ("Days at most", "Users", "Share", "95% interval")
    return sheet("Step chart", usage_interval_title(frame), subtitle, headers, rows)


def shown_days(interval: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Leave the days by which nearly all are back, where a few pause for years; say so."""
    if not isinstance(interval, pl.DataFrame) or interval.height <= MOST_DAYS:
        return checked(interval, INTERVAL, "ek.usage_interval"), ""
    checked(interval.head(1), INTERVAL, "ek.usage_interval")
    left = interval.head(min(MOST_DAYS, interval.filter(pl.col("rate") < NEARLY_ALL).height + 1))
    return left, f" Pauses of more than {whole(left.height)} days are not drawn."


def usage_interval_title(frame: pl.DataFrame) -> str:
    """State within how many whole days most of those who repeat come back."""
    if frame.is_empty():
        return "Nobody has two core days yet"
    within = frame.filter(frame["days"] >= frame["usage_interval_days"]).head(1)
    row = (within if within.height else frame.tail(1)).row(0, named=True)
    days = f"{row['days']} day{'' if row['days'] == 1 else 's'}"
    return f"{rated(row['rate'])} of those who repeat usually pause {days} or less"


def engagement_matrix(matrix: pl.DataFrame) -> Sheet:
    """Write out what `engagement_matrix` returns."""
    frame = checked(matrix, MATRIX, "ek.engagement_matrix")
    rows = [
        (
            name,
            r["quadrant"],
            whole(r["n"]),
            whole(r["of"]),
            rated(r["rate"]),
            decimals(r["days"], 1),
            decimals(r["times"], 1),
        )
        for name, r in zip(labels(frame["event"].to_list()), frame.to_dicts(), strict=True)
    ]
    headers = ("Action", "Done by", "Users", "Of", "Share", "Days per user", "Times per user")
    subtitle = "In users' first days: how many did it, and on how many days those who did. Dashed: the medians over actions."
    ringed = " Ringed: the core action." if core_rows(frame).height else ""
    return sheet("Scatter chart", matrix_title(frame), subtitle + ringed, headers, rows, texts=2)


def core_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Take the rows of the core action, where the answer says which it is."""
    return frame.filter("core") if "core" in frame.columns else frame.clear()


def matrix_title(frame: pl.DataFrame) -> str:
    """Name the core action with its place, or else the actions that many users do often."""
    own = core_rows(frame).sort("rate", descending=True, nulls_last=True).head(1)
    for row in known(own.to_dicts()):
        days = "on 1 day" if row["days"] == 1 else f"on {decimals(row['days'], 1)} days each"
        return f"{labels([row['event']])[0]}, the core action: {rated(row['rate'])} of users do it, {days} ({row['quadrant']})"
    core = labels(frame.filter(frame["quadrant"] == QUADRANTS[0])["event"].to_list())
    if not core:
        return "No action is done by many and often"
    more = f" and {len(core) - 3} more" if len(core) > 3 else ""
    return f"Done by many and often: {', '.join(core[:3])}{more}"
