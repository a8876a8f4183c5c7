"""Pictures of rhythm: lifecycle, stickiness, usage interval, engagement matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit import table_rhythm as words
from engagekit.chart_theme import (
    BAR,
    BLUE,
    INK,
    LATER,
    MUTED,
    ORANGE,
    SERIES,
    SHAPES,
    SKY,
    TEXT,
    WIDE,
    data,
    finished,
    share_axis,
    tips,
)
from engagekit.table_sheet import checked, decimals, labels, moment, rated, whole

if TYPE_CHECKING:
    import polars as pl

STATE_TONES = {"returning": BLUE, "new": SKY, "resurrecting": ORANGE, "dormant": LATER}
STACK = ("returning", "new", "resurrecting", "dormant")
ROOM = 0.05  # of the highest bar: a segment lower than this has no room for its number
MOST_NUMBERS = 14  # periods
LETTER, NAME_HEIGHT, LOG_HEIGHT = 7.0, 16.0, 150.0  # pixels: of a letter, a line, a factor of e


def lifecycle(lifecycle: pl.DataFrame) -> Any:
    """Draw what `lifecycle` returns: active users stacked, those gone quiet below the line."""
    page = words.lifecycle(lifecycle)
    frame = checked(lifecycle, words.LIFECYCLE, "ek.lifecycle")
    top = max(frame["active"].max() or 0, frame["dormant"].max() or 0)  # type: ignore[type-var]
    few = frame.height <= MOST_NUMBERS
    rows = [
        {
            "period": moment(row["period_start"]) + words.under_way(row),
            "state": words.STATE_WORDS[state],
            "order": place,
            "users": -row[state] if state == "dormant" else row[state],
            "count": whole(row[state]),
            "text": whole(row[state]) if few and row[state] > ROOM * top else "",  # type: ignore[operator]
            "ink": "white" if state == "returning" and row.get("complete") is not False else INK,
            "solid": 0.4 if row.get("complete") is False else 1.0,
        }
        for row in frame.to_dicts()
        for place, state in enumerate(STACK)
    ]
    base = alt.Chart(data(rows), width=WIDE, height=330).encode(
        x=alt.X("period:N", title=None, sort=None, axis=alt.Axis(labelAngle=-35 if few else 0, labelOverlap=not few, labelPadding=8, ticks=False)),
        y=alt.Y("users:Q", title="Users", stack="zero", axis=alt.Axis(labelExpr="format(abs(datum.value), ',d')", tickCount=6, tickMinStep=1)),
        order=alt.Order("order:Q"),
    )  # fmt: skip
    bars = base.mark_bar(stroke="white", strokeWidth=1).encode(
        color=alt.Color(
            "state:N",
            scale=alt.Scale(
                domain=[words.STATE_WORDS[state] for state in STACK],
                range=[STATE_TONES[state] for state in STACK],
            ),
            legend=alt.Legend(title=None, orient="top", columns=4),
        ),
        opacity=alt.Opacity("solid:Q", scale=None),
        tooltip=tips(period="Period", state="Users", count="How many"),
    )
    numbers = base.mark_text(fontSize=13).encode(
        y=alt.Y("users:Q", stack="zero", bandPosition=0.5),
        text="text:N",
        fill=alt.Fill("ink:N", scale=None),
    )
    line = (
        alt.Chart(data([{"zero": 0}])).mark_rule(color=INK).encode(y=alt.Y("zero:Q", title="Users"))
    )
    return finished(alt.layer(bars, numbers, line), page)


def stickiness(stickiness: pl.DataFrame) -> Any:
    """Draw what `stickiness` returns: in how many periods users come."""
    page = words.stickiness(stickiness)
    frame = checked(stickiness, words.STICKINESS, "ek.stickiness")
    more = words.is_cumulative(frame)
    rows = [
        {
            "place": row["intervals"],
            "name": page.rows[number][0],
            "share": row["share"],
            "text": rated(row["share"]) if frame.height <= MOST_NUMBERS else "",
            "count": whole(row["users"]),
        }
        for number, row in enumerate(frame.to_dicts())
    ]
    title = f"Periods with activity{', at least' if more else ''}"
    base = alt.Chart(data(rows), width=WIDE, height=300).encode(
        x=alt.X(
            "place:O", title=title, axis=alt.Axis(labelAngle=0, ticks=False, labelOverlap=True)
        ),
        y=alt.Y("share:Q", title="Share of active users", axis=share_axis("Share of active users")),
    )
    bars = base.mark_bar(color=BAR).encode(
        tooltip=tips(name="Periods", text="Share", count="Users")
    )
    numbers = base.mark_text(dy=-10, fontSize=TEXT).encode(text="text:N")
    return finished(alt.layer(bars, numbers), page)


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
    frame = checked(interval, words.INTERVAL, "ek.usage_interval")
    rows = [
        {"days": r["days"], "share": r["share"], "text": rated(r["share"]), "count": whole(r["n"])}
        for r in frame.to_dicts()
    ]
    y = alt.Y("share:Q", title="Share of users who repeat", scale=alt.Scale(domain=[0, 1]), axis=share_axis("Share of users who repeat"))  # fmt: skip
    base = alt.Chart(data(rows), width=WIDE, height=320).encode(
        x=alt.X("days:Q", title="Usual pause between core days, at most", axis=alt.Axis(grid=False, format="d", tickMinStep=1))
    )  # fmt: skip
    line = base.mark_line(interpolate="step-after", strokeWidth=3, color=BLUE).encode(y=y)
    dots = base.mark_point(size=60, color=BLUE, filled=True, opacity=1).encode(
        y=y, tooltip=tips(days="Days", text="Share", count="Users")
    )
    marks = [{"at": r["interval_days"], "note": f"usage interval: {r['interval_days']:g} days"} for r in frame.head(1).to_dicts()]  # fmt: skip
    mark = alt.Chart(data(marks)).encode(
        x=alt.X("at:Q", title="Usual pause between core days, at most")
    )
    rule = mark.mark_rule(strokeDash=[6, 4], strokeWidth=2, color=INK)
    note = mark.mark_text(align="left", dx=8, fontSize=TEXT).encode(y=alt.value(300), text="note:N")
    return finished(alt.layer(line, *([dots] if frame.height <= 60 else []), rule, note), page)


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
            "name": name,
            "share": row["share"],
            "times": row["times_per_user"],
            "quadrant": words.QUADRANTS.get(row["quadrant"], row["quadrant"]),
            "text": rated(row["share"]),
            "often": decimals(row["times_per_user"], 1),
        }
        for name, row in zip(labels(frame["event"].to_list()), frame.to_dicts(), strict=True)
    ]
    x_title, y_title = "Share of users who did it", "Times per user who did it"
    x = alt.X("share:Q", title=x_title, axis=share_axis(x_title), scale=alt.Scale(domain=[0, 1]))
    y = alt.Y(
        "times:Q",
        title=y_title,
        scale=alt.Scale(type="log", nice=False, padding=16),
        axis=alt.Axis(format="~g", tickCount=5),
    )
    order = list(words.QUADRANTS.values())
    legend = alt.Legend(title=None, orient="top", columns=4)
    base = alt.Chart(data(rows), width=WIDE, height=400).encode(x=x, y=y)
    points = base.mark_point(filled=True, size=130, opacity=1).encode(
        color=alt.Color("quadrant:N", scale=alt.Scale(domain=order, range=list(SERIES[:4])), legend=legend),
        shape=alt.Shape("quadrant:N", scale=alt.Scale(domain=order, range=list(SHAPES[:4])), legend=legend),
        tooltip=tips(name="Action", text="Share", often="Times per user", quadrant="Quadrant"),
    )  # fmt: skip
    text = (
        alt.Chart(data(_apart(rows)))
        .mark_text(align="left", dx=10, fontSize=13, limit=170)
        .encode(x=x, y=y, text="name:N")
    )
    return finished(alt.layer(*_medians(frame, x_title, y_title), points, text), page)


def _apart(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the names that have room: over no other point and no other name, the widest actions first."""
    points = [(row["share"] * WIDE, math.log(row["times"]) * LOG_HEIGHT) for row in rows]
    taken: list[tuple[float, float, float]] = []
    kept = []
    for (x, y), row in zip(points, rows, strict=True):
        ends = x + 10 + LETTER * len(row["name"])
        over = [
            p for p in points if x < p[0] < ends and abs(p[1] - y) < NAME_HEIGHT and p != (x, y)
        ]
        beside = [t for t in taken if x < t[1] and t[0] < ends and abs(t[2] - y) < NAME_HEIGHT]
        if not over and not beside:
            taken.append((x, ends, y))
            kept.append(row)
    return kept


def _medians(frame: pl.DataFrame, x_title: str, y_title: str) -> list[Any]:
    middle = [{"share": frame["share"].median(), "times": frame["times_per_user"].median()}]
    rule = alt.Chart(data(middle if frame.height else [])).mark_rule(strokeDash=[4, 4], color=MUTED)
    return [
        rule.encode(x=alt.X("share:Q", title=x_title)),
        rule.encode(y=alt.Y("times:Q", title=y_title)),
    ]
