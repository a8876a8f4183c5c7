"""What changed, and which targets to start from, written out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from engagekit._base import day, sure
from engagekit.views.sheet import LINK_WORDS, UNKNOWN, Sheet, checked, known, rated, sheet, whole

if TYPE_CHECKING:
    import polars as pl

CHANGE = ("link", "before", "after", "contribution", "low", "high", "p_largest")
TARGETS = ("link", "n", "of", "rate", "quartile", "benchmark", "suggested", "source")
MIX = "(mix)"
NAMES = LINK_WORDS | {MIX: "Another mix of users"}
CLEAR = 0.8


def change(change: pl.DataFrame) -> Sheet:
    """Write out what `explain_change` returns."""
    rows = checked(change, CHANGE, "ek.explain_change").to_dicts()
    cells = [
        (
            NAMES.get(r["link"], str(r["link"])),
            rated(r["before"]),
            rated(r["after"]),
            points(r["contribution"]),
            points_between(r["low"], r["high"]),
            sure(r["p_largest"]),
            whole(r.get("of_before")),
            whole(r.get("of_after")),
        )
        for r in rows
    ]
    headers = (
        "Link",
        "Rate before",
        "Rate after",
        "Points it changed",
        "95% interval",
        "Chance it changed most",
        "Judged before",
        "Judged after",
    )
    return sheet("Bar chart", change_title(rows), change_subtitle(rows), headers, cells)


def points(value: float | None) -> str:
    """Write a difference of shares in points.

    Examples
    --------
    >>> points(-0.0151), points(0.2), points(0.0), points(None)
    ('−1.5 points', '+20 points', '0 points', '')
    """
    if value is None:
        return UNKNOWN
    written = _signed(value)
    return f"{written} point{'' if written in ('+1', '−1') else 's'}"


def _signed(value: float) -> str:
    size = f"{abs(100 * value):.1f}" if abs(value) < 0.0995 else f"{abs(100 * value):.0f}"
    size = size.removesuffix(".0")
    return size if size == "0" else f"{'−' if value < 0 else '+'}{size}"


def points_between(low: float | None, high: float | None) -> str:
    """Write the interval of a difference in points."""
    return UNKNOWN if low is None or high is None else f"{_signed(low)} to {_signed(high)}"


def change_title(rows: list[dict[str, Any]]) -> str:
    """Say which link explains most of the change, or that none surely does."""
    most = _most(rows)
    if most is None:
        return "What changed cannot be known from these users"
    clear = most["low"] > 0 or most["high"] < 0
    if not clear:
        return "Nothing has surely changed"
    if most["p_largest"] < CLEAR:
        return "Something has changed, but not clearly one link more than the others"
    by = points(most["contribution"])
    if most["link"] == MIX:
        return f"Another mix of users explains most of the change: {by}"
    return f"{NAMES[most['link']]} explains most of the change: {by}"


def change_subtitle(rows: list[dict[str, Any]]) -> str:
    """Say how the end of the loop has moved, how sure that is, and which sign-ups were compared."""
    return f"{moved(rows)} Bars: what each did to it; line: 95% interval."


def _most(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Take the row that most probably changed the end most, of those whose numbers are known."""
    whole = [
        r for r in rows if None not in (r["p_largest"], r["contribution"], r["low"], r["high"])
    ]
    return max(whole, key=lambda r: r["p_largest"]) if whole else None


def moved(rows: list[dict[str, Any]]) -> str:
    """Say how the share that gets to the end has moved, and how sure it is what moved it."""
    links, most = [r for r in rows if r["link"] != MIX], _most(rows)
    said = []
    if links and not any(None in (r["before"], r["after"], r["contribution"]) for r in links):
        old, new = (math.prod(r[side] for r in links) for side in ("before", "after"))
        whole = sum(r["contribution"] or 0.0 for r in rows)
        said.append(
            f"Of sign-ups, {rated(old)} got past {NAMES[links[-1]['link']]} before, {rated(new)} after: {points(whole)}."
        )
    if most is not None:
        said.append(
            f"The chance that {NAMES[most['link']]} changed that most is {sure(most['p_largest'])}."
        )
    spans = [_days(rows[0], side) for side in ("before", "after")] if rows else [""]
    if all(spans):
        said.append(f"Sign-ups of {spans[0]}, and of {spans[1]}.")
    return " ".join(said)


def _days(row: dict[str, Any], side: str) -> str:
    since, until = row.get(f"{side}_since"), row.get(f"{side}_until")
    return "" if since is None or until is None else f"{day(since)} to {day(until)}"


def targets(suggested: pl.DataFrame) -> Sheet:
    """Write out what `suggest_targets` returns."""
    rows = checked(suggested, TARGETS, "ek.suggest_targets").to_dicts()
    cells = [
        (
            NAMES.get(r["link"], str(r["link"])),
            whole(r["n"]),
            whole(r["of"]),
            rated(r["rate"]),
            rated(r["quartile"]),
            rated(r["benchmark"]),
            rated(r["suggested"]),
            r["source"] or UNKNOWN,
        )
        for r in rows
    ]
    headers = (
        "Link",
        "Passed in time",
        "Of",
        "Rate now",
        "Upper quartile",
        "Benchmark",
        "Suggested target",
        "From",
    )
    subtitle = (
        "Bars: rate of recent sign-ups; black tick: suggested target, the upper quartile of what this product reached itself "
        "month by month. A start for your decision, not a verdict."
    )
    return sheet("Bar chart", targets_title(rows), subtitle, headers, cells)


def targets_title(rows: list[dict[str, Any]]) -> str:
    """Name the suggested targets."""
    found = known(rows, "suggested")
    if not found:
        return "No target can be suggested from these users yet"
    said = ", ".join(
        f"{NAMES[r['link']] if place == 0 else NAMES[r['link']].lower()} {rated(r['suggested'])}"
        for place, r in enumerate(found)
    )
    return f"Suggested targets to start from: {said}"
