"""Drawings that several charts share: bars and dots with intervals, each row with its written value beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.errors import ParameterError
from engagekit.views.sheet import written
from engagekit.views.theme import (
    BESIDE,
    DASHES,
    INK,
    MUTED,
    PAPER,
    SERIES,
    SHAPES,
    TEXT,
    WIDER,
    WIDTH,
    data,
    share_axis,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engagekit.definition import Note
    from engagekit.views.sheet import Sheet

BESIDE_ROW = 220  # for what happened in the time of a row
LEAST_AXIS = 0.05
SHARE_SCALE = alt.Scale(zero=True, nice=True)


def names(order: Sequence[str], *, limit: int = 200, in_two: bool = False) -> alt.Y:
    """Make a vertical axis of names in the order given; names are data, never part of an expression.

    With `in_two` what stands behind the first comma of a name has a line of its own.
    """
    twice: dict[str, Any] = {
        "labelExpr": "split(replace(datum.label, ', ', ',|'), '|')",
        "labelLineHeight": 18,
        "labelOffset": {"condition": {"test": "indexof(datum.label, ', ') > 0", "value": -9}, "value": 0},
    }  # fmt: skip
    return alt.Y(
        "name:N",
        title=None,
        scale=alt.Scale(domain=list(dict.fromkeys(order)), paddingInner=0.3, paddingOuter=0.15),
        axis=alt.Axis(
            domain=False,
            ticks=False,
            labelPadding=10,
            labelFontSize=TEXT + 1,
            labelLimit=WIDER * limit,
            **(twice if in_two else {}),
        ),
    )


def bars(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str,
    tips: Sequence[alt.Tooltip],
    step: int = 46,
    axis: alt.Axis | None = None,
    width: int = WIDTH,
    beside: int = BESIDE,
) -> alt.LayerChart | alt.FacetChart:
    """Draw one horizontal bar per row: `name`, `value`, `low`, `high`, `text`, `tone` and perhaps a `target`."""
    base = alt.Chart(data(rows), width=width, height=alt.Step(step)).encode(
        y=names([str(row["name"]) for row in rows])
    )
    x = alt.X("value:Q", title=title, axis=axis or share_axis(title), scale=_readable(rows))
    layers = [
        base.mark_bar().encode(
            x=x, color=alt.Color("tone:N", scale=None, legend=None), tooltip=list(tips)
        ),
        *intervals(base, title),
        *targets(base, rows, title),
        base.mark_text(align="left", fontSize=TEXT + 1, limit=WIDER * beside).encode(
            x=alt.value(width + 12), text="text:N"
        ),
    ]
    return alt.layer(*layers)


def _readable(rows: Sequence[Mapping[str, Any]]) -> alt.Scale:
    """Begin at 0; where all shares are tiny, go on to 5%, as a row of ticks that all say 0% tells nothing."""
    most = max((row[key] or 0 for row in rows for key in ("value", "high", "target") if key in row), default=1)  # fmt: skip
    return SHARE_SCALE if most >= LEAST_AXIS else alt.Scale(domain=[0, LEAST_AXIS], nice=False)


def intervals(base: alt.Chart, title: str) -> list[alt.Chart]:
    """Draw the interval of each row as a line with ends."""
    x = alt.X("low:Q", title=title)
    line = base.mark_rule(color=INK, strokeWidth=2, aria=False).encode(x=x, x2="high:Q")
    ends = [
        base.mark_tick(color=INK, thickness=2, size=10, opacity=1, aria=False).encode(
            x=alt.X(f"{end}:Q", title=title)
        )
        for end in ("low", "high")
    ]
    return [line, *ends]


def targets(base: alt.Chart, rows: Sequence[Mapping[str, Any]], title: str) -> list[alt.Chart]:
    """Draw the target of each row that has one as a thick tick."""
    if not any(row.get("target") is not None for row in rows):
        return []
    tick = base.mark_tick(color=INK, thickness=5, size=44, opacity=1)
    return [tick.encode(x=alt.X("target:Q", title=title))]


def dots(
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str,
    tips: Sequence[alt.Tooltip],
    step: int = 26,
    axis: alt.Axis | None = None,
    limit: int = 200,
    beside: int = BESIDE,
    in_two: bool = False,
) -> alt.LayerChart | alt.FacetChart:
    """Draw one dot with its interval per row and `group`: color and shape tell groups apart."""
    groups = list(dict.fromkeys(str(row["group"]) for row in rows))
    width = WIDTH + 200 - limit + BESIDE - beside  # longer words take from the plot
    height = len({row["name"] for row in rows}) * (len(groups) * step + 18)
    base = alt.Chart(data(rows), width=width, height=height).encode(
        y=names([str(row["name"]) for row in rows], limit=limit, in_two=in_two),
        yOffset=alt.YOffset("group:N", scale=alt.Scale(domain=groups, paddingOuter=0.2)),
        color=series(groups),
    )
    x = alt.X("value:Q", title=title, axis=axis or share_axis(title), scale=SHARE_SCALE)
    line = base.mark_rule(strokeWidth=2, aria=False).encode(
        x=alt.X("low:Q", title=title), x2="high:Q"
    )
    dot = base.mark_point(filled=True, size=130, opacity=1).encode(
        x=x, shape=shapes(groups), tooltip=list(tips)
    )
    text = base.mark_text(align="left", fontSize=TEXT, limit=WIDER * beside).encode(
        x=alt.value(width + 12), text="text:N", color=alt.value(INK)
    )
    return alt.layer(line, dot, text)


def series(groups: Sequence[str], *, legend: bool = True) -> alt.Color:
    """Give each group its color."""
    few(groups)
    return alt.Color(
        "group:N",
        scale=alt.Scale(domain=list(groups), range=list(SERIES[: len(groups)])),
        legend=_legend(groups) if legend else None,
    )


def shapes(groups: Sequence[str], *, legend: bool = True) -> alt.Shape:
    """Give each group its shape."""
    return alt.Shape(
        "group:N",
        scale=alt.Scale(domain=list(groups), range=list(SHAPES[: len(groups)])),
        legend=_legend(groups) if legend else None,
    )


def _legend(groups: Sequence[str]) -> alt.Legend | None:
    return alt.Legend(title=None, orient="top", columns=3) if len(groups) > 1 else None


def dashes(groups: Sequence[str]) -> alt.StrokeDash:
    """Give each group its dash."""
    return alt.StrokeDash(
        "group:N",
        scale=alt.Scale(domain=list(groups), range=list(DASHES[: len(groups)])),
        legend=None,
    )


def few(groups: Sequence[str]) -> None:
    """Refuse more groups than can be told apart by color and shape."""
    if len(groups) > len(SERIES):
        raise ParameterError(
            f"a chart tells at most {len(SERIES)} groups apart; this answer has {len(groups)}. Filter it to fewer, "
            "or keep the largest when asking (limit=)"
        )


def noted(page: Sheet, notes: Sequence[Note]) -> Sheet:
    """Say in words what is marked on the time axis."""
    told = "; ".join(f"{note.on:%Y-%m-%d} {written(note.text)}" for note in notes)
    return replace(page, subtitle=f"{page.subtitle} Marked: {told}.") if told else page


def note_lines(notes: Sequence[Note], x: alt.X, field: str, at: Sequence[str]) -> list[alt.Chart]:
    """Draw a line with words at each place of a time axis where something happened; places are written as the axis has them."""
    rows = [
        {field: place, "note": written(note.text), "line": 13 * (k % 3)}
        for k, (note, place) in enumerate(zip(notes, at, strict=True))
    ]
    if not rows:
        return []
    base = alt.Chart(data(rows)).encode(x=x)
    rule = base.mark_rule(color=MUTED, strokeDash=[2, 3], strokeWidth=2)
    # Words lie over bars: paper shines around them, so that they read.
    halo: dict[str, Any] = {"stroke": PAPER, "strokeWidth": 4, "strokeJoin": "round", "aria": False}
    text = [
        alt.Chart(data([row])).mark_text(align="left", baseline="bottom", dx=4, fontSize=13, limit=WIDER * 220, **more)
        .encode(x=x, y=alt.value(row["line"]), text="note:N", color=alt.value(INK))
        for row in rows
        for more in (halo, {})
    ]  # fmt: skip
    return [rule, *text]


def note_rows(
    places: Sequence[tuple[Note, str]], y: alt.Y, *, x: float, dy: float = 0
) -> list[alt.Chart]:
    """Write beside the rows of a time axis that runs downwards what happened in their time: what, and the row's name."""
    told: dict[str, list[str]] = {}
    for note, name in places:
        told.setdefault(name, []).append(written(note.text))
    rows = [{"name": name, "note": f"– {'; '.join(texts)}"} for name, texts in told.items()]
    drawn = alt.Chart(data(rows)).mark_text(
        align="left", fontSize=13, dy=dy, limit=WIDER * BESIDE_ROW
    )
    return [drawn.encode(y=y, x=alt.value(x), text="note:N", color=alt.value(INK))] if rows else []
