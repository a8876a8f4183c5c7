"""Pictures of cohort curves: heatmap, pooled curve, survival steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.journeys import MIN_GROUP
from engagekit.views import cohorts_table as words
from engagekit.views.marks import dashes, few, note_rows, noted, series, shapes
from engagekit.views.sheet import between, checked, group_columns, group_labels, known, rated, whole
from engagekit.views.theme import (
    PAPER,
    SERIES,
    TEXT,
    WIDE,
    color_end,
    data,
    finished,
    inked,
    shades,
    share_axis,
    tips,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from engagekit.definition import Note

LABEL_GAP = 0.055  # of the highest value: direct labels nearer than this would overlap
MOST_POINTS = 16  # of a line: more are drawn as a line alone


def heatmap(
    curves: pl.DataFrame,
    *,
    period: str | None = None,
    most: int = 40,
    min_group: int = MIN_GROUP,
    notes: Sequence[Note] = (),
) -> Any:
    """Draw what `cohort_curves` or `retention` returns: one row per cohort, unfinished cells blank.

    Parameters
    ----------
    curves
        What `engagekit.cohort_curves` or `engagekit.retention` returns.
    period
        What to call a period; None: read off the cohorts (hour, day, week, month).
    most
        How many rows to draw: the latest cohorts.
    min_group
        Cohorts of fewer users are blank: their shares say nothing, but something of somebody.
    notes
        What happened on which day, such as ``journeys.definition.annotations``: written beside the cohort of that day.

    Returns
    -------
    altair chart
        One row per cohort with its size, one column per period; colors begin at 0.
    """
    frame, _ = words.latest_cohorts(curves, most)
    word = period or words.period_word(curves)
    names = words.cohort_names(frame, word)
    begun = dict(zip(names, frame["cohort"], strict=True))
    places = [(note, name) for note in notes for name in words.cohorts_of(note.on, begun, word)]
    page = words.heatmap(curves, period=period, most=most, min_group=min_group)
    page = noted(page, list(dict.fromkeys(note for note, _ in places)))
    shown = frame.with_columns(_names(names)).filter(words.worth_showing(frame))
    rows = [
        {
            "mark": row["_mark"],
            "name": row["name"],
            "period": words.span(row),
            "rate": row["rate"],
            "text": rated(row["rate"]),
            "interval": between(row["low"], row["high"]),
            "count": f"{whole(row['n'])} of {whole(row['of'])}",
        }
        for row in known(shown.to_dicts())
        if row["complete"] and row["of"] >= min_group
    ]
    periods = [words.span(row) for row in shown.unique("period").sort("period").to_dicts()]
    cells = _cells(rows, list(dict.fromkeys(names)), periods, word, beside=bool(places))
    marked = note_rows(places, alt.Y("name:N"), x=_width(periods) + 8)
    drawn = [*cells, *marked]
    return finished(alt.layer(*drawn) if len(drawn) > 1 else cells[0], page)


def _legend(*, beside: bool) -> alt.Legend:
    """Explain the colors: below the cells where something stands at their side."""
    place: Any = "bottom" if beside else alt.Undefined
    return alt.Legend(title="Back", format=".0%", gradientLength=150, tickCount=5, orient=place)


def _width(periods: list[str]) -> int:
    return max(260, min(600, 50 * len(periods)))


def _names(names: list[str]) -> pl.Series:
    import polars as pl

    return pl.Series("name", names, pl.String)


def _cells(
    rows: list[dict[str, Any]], names: list[str], periods: list[str], word: str, *, beside: bool
) -> list[alt.Chart]:
    end = color_end(row["rate"] for row in rows)
    base = alt.Chart(data(inked(rows, end)), width=_width(periods), height=alt.Step(30)).encode(
        x=alt.X(
            "period:N",
            title=f"{word.capitalize()}s since the start",
            scale=alt.Scale(domain=periods),
            axis=alt.Axis(labelAngle=0, ticks=False, labelOverlap=True),
        ),
        y=alt.Y(
            "name:N",
            title=None,
            scale=alt.Scale(domain=names),
            axis=alt.Axis(ticks=False, domain=False),
        ),
    )
    boxes = base.mark_rect(stroke=PAPER, strokeWidth=2).encode(
        color=alt.Color(
            "rate:Q",
            scale=shades(end),
            legend=_legend(beside=beside),
        ),
        tooltip=tips(
            name="Cohort",
            period=word.capitalize(),
            text="Rate",
            interval="95% interval",
            count="Users",
        ),
    )
    if len(periods) > 13:
        return [boxes]
    text = base.mark_text(fontSize=TEXT).encode(text="text:N", fill=alt.Fill("ink:N", scale=None))
    return [boxes, text]


def curve(pooled: pl.DataFrame, *, period: str | None = None) -> Any:
    """Draw what `pooled_curve` returns: a line per group with its Wilson band and its name at its end.

    Parameters
    ----------
    pooled
        What `engagekit.pooled_curve` returns; at most seven groups.
    period
        What to call a period, such as ``"week"``.

    Returns
    -------
    altair chart
        A line with its band per group, named at its end.
    """
    page = words.curve(pooled, period=period)
    frame = checked(pooled, words.POOLED, "ek.pooled_curve")
    word = (period or "period").capitalize()
    groups = group_labels(frame, group_columns(frame, (*words.POOLED, *words.BRACKETS)))
    low = words.low_curve(frame)
    rows = [
        {
            "mark": mark,
            "group": group,
            "x": row["period"],
            "at": words.span(row),
            "rate": row["rate"],
            "low": row["low"],
            "high": row["high"],
            "text": rated(row["rate"]),
            "interval": between(row["low"], row["high"]),
            "count": f"{whole(row['n'])} of {whole(row['of'])}",
            "fill": 0.0 if row.get("thin") else 1.0,
        }
        for mark, (group, row) in enumerate(zip(groups, frame.to_dicts(), strict=True))
        if row["rate"] is not None and (row["period"] > 0 or not low)
    ]
    shown = tips(group="Group", at=word, text="Rate", interval="95% interval", count="Users")
    x = _period_axis(
        rows, f"{word}s since the start", brackets=set(words.BRACKETS) <= set(frame.columns)
    )
    return finished(
        _lines(rows, list(dict.fromkeys(groups)), x, "Share that comes back", shown), page
    )


def _period_axis(rows: list[dict[str, Any]], title: str, *, brackets: bool) -> alt.X:
    if not brackets:
        values = sorted({row["x"] for row in rows})
        axis = alt.Axis(grid=False, format="d", values=values, labelOverlap=True)
        return alt.X(
            "x:Q", title=title, axis=axis, scale=alt.Scale(nice=False, zero=False, padding=6)
        )
    order = [row["at"] for row in sorted(rows, key=lambda row: row["x"])]
    return alt.X(
        "at:O",
        title=title,
        axis=alt.Axis(labelAngle=0),
        scale=alt.Scale(domain=list(dict.fromkeys(order))),
    )


def survival(curve: pl.DataFrame, *, projected: pl.DataFrame | None = None) -> Any:
    """Draw what `survival` returns as steps, and what `project_curve` adds to it dashed.

    Parameters
    ----------
    curve
        What `engagekit.survival` returns.
    projected
        What `engagekit.project_curve` makes of it; None: nothing is added.

    Returns
    -------
    altair chart
        Steps with their band per group; the projection dashed.
    """
    page = words.survival(curve, projected=projected)
    frame = checked(curve, words.SURVIVAL, "ek.survival")
    groups = group_labels(frame, group_columns(frame, (*words.SURVIVAL, "period")))
    rows = [
        {
            "group": group,
            "x": row["time"],
            "at": whole(row["time"]),
            "rate": row["survival"],
            "low": row["low"],
            "high": row["high"],
            "text": rated(row["survival"]),
            "interval": between(row["low"], row["high"]),
            "count": whole(row["at_risk"]),
            "fill": 1.0,
        }
        for group, row in zip(groups, frame.to_dicts(), strict=True)
        if row["survival"] is not None
    ]
    shown = tips(
        group="Group",
        at="Day",
        text="Still going",
        interval="95% interval",
        count="Followed so far",
    )
    order = list(dict.fromkeys(groups))
    x = alt.X(
        "x:Q", title="Days since sign-up", axis=alt.Axis(grid=False, format=",d", tickCount=10)
    )
    drawn = _lines(rows, order, x, "Share still going", shown, steps="step-after")
    ahead = _ahead(words.projection_rows(projected), order)
    return finished(drawn + ahead if ahead else drawn, page)


def _lines(
    rows: list[dict[str, Any]],
    groups: Sequence[str],
    x: alt.X,
    title: str,
    shown: list[alt.Tooltip],
    *,
    steps: Any = "linear",
) -> Any:
    few(groups)
    base = alt.Chart(data(rows), width=WIDE, height=340).encode(
        x=x, color=series(groups, legend=False)
    )
    y = alt.Y("rate:Q", title=title, axis=share_axis(title), scale=alt.Scale(zero=True))
    band = base.mark_area(opacity=0.16, interpolate=steps, aria=False).encode(
        y=alt.Y("low:Q", title=title), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=3, interpolate=steps).encode(y=y, strokeDash=dashes(groups))
    sparse = len(rows) <= MOST_POINTS * max(len(groups), 1)
    dots = base.mark_point(
        size=70 if sparse else 1, strokeWidth=2, opacity=1 if sparse else 0
    ).encode(
        y=y,
        shape=shapes(groups, legend=False),
        tooltip=shown,
        fill=alt.Fill(
            "group:N",
            scale=alt.Scale(domain=list(groups), range=list(SERIES[: len(groups)])),
            legend=None,
        ),
        fillOpacity=alt.FillOpacity("fill:Q", scale=None),
    )
    return alt.layer(band, line, dots, *_ends(rows, groups, title))


def _ends(rows: list[dict[str, Any]], groups: Sequence[str], title: str) -> list[Any]:
    """Write each line's name at its end, moved apart where two would overlap."""
    last = {row["group"]: row for row in rows}
    if not rows or not any(groups):
        return []
    top = max(row["high"] or row["rate"] for row in rows)
    placed: list[dict[str, Any]] = []
    for row in sorted(last.values(), key=lambda row: row["rate"]):
        floor = placed[-1]["place"] + LABEL_GAP * top if placed else 0.0
        placed.append(
            {
                "group": row["group"],
                "place": max(row["rate"], floor),
                "end": f"{row['group']} {row['text']}",
            }
        )
    text = alt.Chart(data(placed)).mark_text(
        align="left", fontSize=TEXT, fontWeight="bold", limit=180
    )
    return [
        text.encode(
            x=alt.value(WIDE + 10),
            y=alt.Y("place:Q", title=title),
            text="end:N",
            color=series(groups, legend=False),
        )
    ]


def _ahead(rows: list[dict[str, Any]], groups: Sequence[str]) -> Any:
    """Draw a projection: dashed from the last point known on."""
    if not rows:
        return None
    future = []
    for group in dict.fromkeys(row["group"] for row in rows):
        mine = [row for row in rows if row["group"] == group]
        known = sum(row["kind"] != "projected" for row in mine)
        future += mine[max(known - 1, 0) :]
    shown = [
        {"group": r["group"], "x": r["time"], "rate": r["survival"], "text": rated(r["survival"]), "at": whole(r["time"])}
        for r in future
    ]  # fmt: skip
    return (
        alt.Chart(data(shown))
        .mark_line(strokeWidth=3, strokeDash=[3, 6])
        .encode(
            x=alt.X("x:Q", title="Days since sign-up"),
            y=alt.Y("rate:Q", title="Share still going"),
            color=series(groups, legend=False),
            tooltip=tips(group="Group", at="Day", text="Projected"),
        )
    )
