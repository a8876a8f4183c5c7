"""Pictures of cadence: the usage interval and the engagement matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.views import cadence_table as words
from engagekit.views.sheet import between, checked, decimals, labels, rated, whole
from engagekit.views.theme import (
    BLUE,
    INK,
    MUTED,
    SERIES,
    SHAPES,
    TEXT,
    WIDE,
    WIDER,
    data,
    finished,
    share_axis,
    tips,
)

if TYPE_CHECKING:
    import polars as pl

PAUSE = "Usual pause between core days, at most"
REPEAT = "Share of users who repeat"
DID, DAYS = "Share of users who did it", "Days per user who did it"
HEIGHT = 400
LETTER, LINE = 7.0, 17.0  # pixels: of a letter, of a line


def usage_interval(interval: pl.DataFrame) -> Any:
    """Draw what `usage_interval` returns: the share of users whose usual pause is at most so many days.

    Parameters
    ----------
    interval
        What `engagekit.usage_interval` returns.

    Returns
    -------
    altair chart
        A rising line of steps, with the product's usage interval marked.
    """
    page = words.usage_interval(interval)
    frame, _ = words.shown_days(interval)
    rows = [
        {
            "mark": r["days"] - 1,
            "days": r["days"],
            "rate": r["rate"],
            "low": r["low"],
            "high": r["high"],
            "text": rated(r["rate"]),
            "interval": between(r["low"], r["high"]),
            "count": f"{whole(r['n'])} of {whole(r['of'])}",
        }
        for r in frame.to_dicts()
    ]
    axis = alt.Axis(grid=False, format="d", tickMinStep=1, tickCount=14)
    base = alt.Chart(data(rows), width=WIDE, height=320).encode(
        x=alt.X("days:Q", title=PAUSE, axis=axis)
    )
    scale = alt.Scale(domain=[0, 1])
    band = base.mark_area(interpolate="step-after", color=BLUE, opacity=0.16, aria=False).encode(
        y=alt.Y("low:Q", title=REPEAT, axis=share_axis(REPEAT), scale=scale), y2="high:Q"
    )
    y = alt.Y("rate:Q", title=REPEAT)
    line = base.mark_line(interpolate="step-after", strokeWidth=3, color=BLUE).encode(y=y)
    few = frame.height <= 60
    dots = base.mark_point(size=50, color=BLUE, filled=True, opacity=1 if few else 0).encode(
        y=y, tooltip=tips(days="Days", text="Share", interval="95% interval", count="Users")
    )
    return finished(alt.layer(band, line, dots, *_marked(frame)), page)


def _marked(frame: pl.DataFrame) -> list[Any]:
    """Mark the product's usage interval."""
    days = None if frame.is_empty() else frame["usage_interval_days"][0]
    if days is None:
        return []
    mark = alt.Chart(data([{"at": days, "note": f"usage interval: {days:g} days"}])).encode(
        x=alt.X("at:Q", title=PAUSE)
    )
    rule = mark.mark_rule(strokeDash=[6, 4], strokeWidth=2, color=INK)
    note = mark.mark_text(align="left", dx=8, fontSize=TEXT).encode(y=alt.value(300), text="note:N")
    return [rule, note]


def engagement_matrix(matrix: pl.DataFrame) -> Any:
    """Draw what `engagement_matrix` returns: how many do each action against how often.

    Parameters
    ----------
    matrix
        What `engagekit.engagement_matrix` returns.

    Returns
    -------
    altair chart
        One point per action; color and shape by quadrant, names where there is room.
    """
    page = words.engagement_matrix(matrix)
    frame = checked(matrix, words.MATRIX, "ek.engagement_matrix")
    rows = [
        {
            "mark": mark,
            "name": name,
            "rate": row["rate"],
            "days": row["days"],
            "quadrant": row["quadrant"],
            "text": rated(row["rate"]),
            "often": decimals(row["days"], 1),
            "times": decimals(row["times"], 1),
            "core": bool(row.get("core")),
        }
        for mark, (name, row) in enumerate(
            zip(labels(frame["event"].to_list()), frame.to_dicts(), strict=True)
        )
        if row["rate"] is not None and row["days"] is not None  # the table has the others
    ]
    # One day per user is the least possible: the axis begins there.
    across, up = alt.Scale(domain=[0, 1]), alt.Scale(domain=[1, _top(rows)], nice=False, zero=False)
    x = alt.X("rate:Q", title=DID, axis=share_axis(DID), scale=across)
    y = alt.Y("days:Q", title=DAYS, scale=up)
    quadrants: dict[str, Any] = {"domain": list(words.QUADRANTS)}
    legend = alt.Legend(title=None, orient="top", columns=4)
    base = alt.Chart(data(rows), width=WIDE, height=HEIGHT).encode(x=x, y=y)
    points = base.mark_point(filled=True, size=130, opacity=1).encode(
        color=alt.Color("quadrant:N", scale=alt.Scale(**quadrants, range=list(SERIES[:4])), legend=legend),
        shape=alt.Shape("quadrant:N", scale=alt.Scale(**quadrants, range=list(SHAPES[:4])), legend=legend),
        tooltip=tips(name="Action", text="Share", often="Days per user", times="Times per user", quadrant="Done by"),
    )  # fmt: skip
    own = [row for row in rows if row["core"]]
    ring = alt.Chart(data(own)).mark_point(size=420, strokeWidth=2, color=INK, aria=False)
    names = [row | {"weight": "bold" if row["core"] else "normal"} for row in _with_room(rows)]
    drawn = [*_medians(frame, across, up), points, *([ring.encode(x=x, y=y)] if own else [])]
    for weight in ("normal", "bold"):
        some = [row for row in names if row["weight"] == weight]
        text = alt.Chart(data(some)).mark_text(
            align="left", dx=14, fontSize=13, limit=WIDER * 170, fontWeight=weight
        )
        drawn += [text.encode(x=x, y=y, text="name:N")] if some else []
    return finished(alt.layer(*drawn), page)


def _top(rows: list[dict[str, Any]]) -> float:
    most: float = max([1.5, *[row["days"] for row in rows]])
    return 1 + (most - 1) * 1.08


def _with_room(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the names that have room: over no other point and no other name, the core action and the widest first."""
    rows = sorted(rows, key=lambda row: not row["core"])
    per_day = HEIGHT / (_top(rows) - 1)
    points = [(row["rate"] * WIDE, (row["days"] - 1) * per_day) for row in rows]
    taken: list[tuple[float, float, float]] = []
    kept = []
    for (x, y), row in zip(points, rows, strict=True):
        ends = x + 10 + LETTER * len(row["name"])
        over = [p for p in points if x < p[0] < ends and abs(p[1] - y) < LINE]
        beside = [t for t in taken if x < t[1] and t[0] < ends and abs(t[2] - y) < LINE]
        if row["core"] or (not over and not beside):
            taken.append((x, ends, y))
            kept.append(row)
    return kept


def _medians(frame: pl.DataFrame, across: alt.Scale, up: alt.Scale) -> list[Any]:
    middle = frame.select("median_rate", "median_days").head(1).to_dicts()
    rule = alt.Chart(data(middle)).mark_rule(strokeDash=[4, 4], color=MUTED)
    return [
        rule.encode(x=alt.X("median_rate:Q", title=DID, scale=across)),
        rule.encode(y=alt.Y("median_days:Q", title=DAYS, scale=up)),
    ]
