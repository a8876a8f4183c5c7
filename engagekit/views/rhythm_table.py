"""Rhythm, written out: who comes, goes and returns, how often, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.views.sheet import (
    LONGEST,
    UNKNOWN,
    Sheet,
    between,
    checked,
    decimals,
    latest,
    moment,
    numbered,
    rated,
    sheet,
    whole,
)

if TYPE_CHECKING:
    import polars as pl

LIFECYCLE = ("period_start", "new", "returning", "resurrecting", "dormant", "active")
STATES = ("new", "returning", "resurrecting", "dormant")
STATE_WORDS = {
    "new": "new",
    "returning": "still coming",
    "resurrecting": "back after a pause",
    "dormant": "gone quiet",
}
STICKINESS = ("intervals", "users", "share")


def lifecycle(lifecycle: pl.DataFrame, *, most: int = 60) -> Sheet:
    """Write out what `lifecycle` returns."""
    frame, cut = latest_periods(lifecycle, most)
    rows = [
        (
            moment(r["period_start"]) + under_way(r),
            whole(r["active"]),
            *[whole(r[state]) for state in STATES[:-1]],
            UNKNOWN if under_way(r) else whole(r[STATES[-1]]),
            decimals(None if under_way(r) else r.get("pulse")),
        )
        for r in frame.to_dicts()
    ]
    headers = ("Period", "Active", *[STATE_WORDS[state].capitalize() for state in STATES], "Pulse")
    subtitle = f"{cut}Above the line: active users, by whether they came in the period before. Below: those who did then and not now. Pale: not over yet, so nobody has gone quiet in it."
    return sheet("Stacked bar chart", lifecycle_title(frame), subtitle, headers, rows)


def latest_periods(lifecycle: pl.DataFrame, most: int) -> tuple[pl.DataFrame, str]:
    """Keep the latest periods: more bars than these are no bars."""
    frame = numbered(checked(lifecycle, LIFECYCLE, "ek.lifecycle", most=LONGEST))
    return latest(frame, "period_start", most, noun="periods")


def under_way(row: dict[str, Any]) -> str:
    """Mark a period that is not over."""
    return " (not over)" if row.get("complete") is False else ""


def lifecycle_title(frame: pl.DataFrame) -> str:
    """State who came and who went quiet in the last period that is over."""
    rows = frame.to_dicts()
    over = [r for r in rows if r.get("complete") is not False]
    if not over:
        return "No period is over yet" if rows else "Nobody did this yet"
    last = over[-1]
    came = whole(last["new"] + last["resurrecting"])
    return f"{moment(last['period_start'])}: {whole(last['active'])} active; {came} came or came back, {whole(last['dormant'])} went quiet"


def stickiness(stickiness: pl.DataFrame, *, most: int = 40) -> Sheet:
    """Write out what `stickiness` returns."""
    whole_frame = checked(stickiness, STICKINESS, "ek.stickiness", most=LONGEST)
    frame = whole_frame.head(most)
    left = whole_frame.height - frame.height
    more = is_cumulative(whole_frame)
    rows = [
        (
            f"{r['intervals']} or more" if more else str(r["intervals"]),
            whole(r["users"]),
            rated(r["share"]),
            between(r.get("low"), r.get("high")),
        )
        for r in frame.to_dicts()
    ]
    subtitle = "Of the users who came in at least one period."
    if left > 0:
        subtitle += f" Up to {most} of {whole_frame.height:,} periods are shown."
    return sheet(
        "Bar chart",
        stickiness_title(whole_frame),
        subtitle,
        ("Periods with activity", "Users", "Share", "95% interval"),
        rows,
    )


def is_cumulative(frame: pl.DataFrame) -> bool:
    """Say whether rows count "so many or more": then they add up to more than everybody."""
    return frame.height > 1 and float(frame["share"].fill_null(0.0).sum()) > 1.000001


def stickiness_title(frame: pl.DataFrame) -> str:
    """State how many came once only, or twice and more."""
    rows: dict[int, dict[str, Any]] = {r["intervals"]: r for r in frame.to_dicts()}
    total = frame["users"].sum() if frame.height else 0
    if not total:
        return "Nobody came in any period"
    if is_cumulative(frame):
        again = next((r for k, r in rows.items() if k > 1), None)
        return (
            f"{rated(again['share'])} came in {again['intervals']} periods or more"
            if again
            else "Nobody came in more than one period"
        )
    once = rows.get(1)
    return (
        f"{rated(once['share'])} came in one period only"
        if once
        else "Nobody came in one period only"
    )
