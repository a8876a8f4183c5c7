"""Picture of the first weeks: who did what, and the ratios of retention as it is, like for like, and of equally full days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.first_weeks import alone_said, like_for_like
from engagekit.views import first_weeks_table as words
from engagekit.views.marks import names
from engagekit.views.sheet import LONGEST, checked, decimals, rated
from engagekit.views.theme import (
    BLUE,
    INK,
    LATER,
    MUTED,
    PAPER,
    TEXT,
    VERMILLION,
    data,
    finished,
    tips,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

GREY = "#8b949e"
STEP = 38
PLAIN, LIKE, FULL = "as it is", "alike until then", "and with as full a day"
SHAPES = {PLAIN: "diamond", LIKE: "circle", FULL: "triangle-up"}
TICKS = (0.2, 0.33, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10)
RATIO_WIDTH = 300


def dumbbell(compared: pl.DataFrame, *, most: int = 14) -> Any:
    """Draw what `compare_first_weeks` returns: shares, and the ratio as it is, adjusted, and of equally full days.

    Parameters
    ----------
    compared
        What `engagekit.compare_first_weeks` or `strongest` returns.
    most
        How many rows to draw, from the first; the table has all.

    Returns
    -------
    altair chart
        Two panels side by side. Ratios beyond the axis stand at its end, with their number.
    """
    page = words.dumbbell(compared, most=most)
    frame = checked(compared, words.COMPARED, "ek.compare_first_weeks", most=LONGEST).head(most)
    found = frame.to_dicts()
    ends = _ends(found)
    rows = [
        _row(name, row, ends) | {"mark": mark}
        for mark, (name, row) in enumerate(zip(words.action_names(frame), found, strict=True))
    ]
    order = [row["name"] for row in rows]
    panels = alt.hconcat(_shares(rows, order), _ratios(rows, order, ends), spacing=28)
    # Each panel has marks of its own, or the legends would mix.
    return finished(panels.resolve_scale(shape="independent", color="independent"), page)


def _ends(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Find where the axis of ratios ends: wide enough for most of them, never wider than can be read."""
    ratios = (
        "risk_ratio",
        "adjusted_risk_ratio",
        "same_day_risk_ratio",
        "adjusted_low",
        "adjusted_high",
    )
    there = [row[name] for row in rows for name in ratios if row[name]]
    low = min([0.75, *there]) / 1.05
    high = max([1.5, *there]) * 1.05
    return max(low, words.LEAST_RATIO), min(high, words.MOST_RATIO)


def _row(name: str, row: dict[str, Any], ends: tuple[float, float]) -> dict[str, Any]:
    clear = row["verdict"] in words.CLEAR
    least, most = ends
    return {
        "name": name,
        "retained": row["share_retained"],
        "churned": row["share_churned"],
        "plain": _held(row["risk_ratio"], ends),
        "adjusted": _held(row["adjusted_risk_ratio"], ends),
        "full": _held(row["same_day_risk_ratio"], ends),
        "from": _held(_end(row["adjusted_low"], row["adjusted_high"], least), ends),
        "to": _held(_end(row["adjusted_high"], row["adjusted_low"], most), ends),
        "alone": alone_said(row) or "",
        "beyond": _beyond(row["risk_ratio"], ends),
        "past_from": "◂"
        if _passes(row["adjusted_low"], row["adjusted_high"], least, low=True)
        else "",
        "past_to": "▸"
        if _passes(row["adjusted_high"], row["adjusted_low"], most, low=False)
        else "",
        "said_retained": words.of_users(row, "retained"),
        "said_churned": words.of_users(row, "churned"),
        "said_ratio": decimals(row["risk_ratio"]),
        "said_adjusted": like_for_like(row),
        "said_full": decimals(row["same_day_risk_ratio"]),
        "said_uncompared": rated(row["uncompared"]),
        "verdict": words.verdict(row),
        "tone": INK if clear else GREY,
        "fill": INK if clear else PAPER,
        "side": BLUE if clear else GREY,
    }


def _end(bound: float | None, other: float | None, edge: float) -> float | None:
    """Draw an interval of one side to the edge of the picture, one of no side not at all."""
    return edge if bound is None and other is not None else bound


def _passes(bound: float | None, other: float | None, edge: float, *, low: bool) -> bool:
    """Say whether an interval goes on beyond the picture."""
    if bound is None:
        return other is not None
    return bound < edge if low else bound > edge


def _held(ratio: float | None, ends: tuple[float, float]) -> float | None:
    return None if ratio is None else min(max(ratio, ends[0]), ends[1])


def _beyond(ratio: float | None, ends: tuple[float, float]) -> str:
    """Write a ratio that the axis has no room for."""
    if ratio is None or ends[0] <= ratio <= ends[1]:
        return ""
    return f"{ratio:.1f}×" if ratio > ends[1] else f"{ratio:.2f}×"


def _base(rows: Sequence[dict[str, Any]], order: Sequence[str], width: int, *, named: bool) -> Any:
    y = names(order)
    if not named:
        y = y.axis(None)
    return alt.Chart(data(rows), width=width, height=max(len(order), 1) * STEP).encode(y=y)


def _shares(rows: Sequence[dict[str, Any]], order: Sequence[str]) -> Any:
    base = _base(rows, order, 240, named=True)
    title = "Share who did it"
    axis = alt.Axis(title=title, format=".0%", tickCount=4, labelFlush=False)
    bar = base.mark_rule(color=LATER, strokeWidth=4).encode(
        x=alt.X("retained:Q", title=title, axis=axis), x2="churned:Q"
    )
    tooltip = tips(
        name="Action", said_retained="Retained", said_churned="Churned", verdict="Verdict"
    )
    sides: dict[str, Any] = {"domain": ["retained", "churned"]}
    legend = alt.Legend(title=None, orient="top", columns=1)
    color = alt.Color("side:N", scale=alt.Scale(**sides, range=[BLUE, VERMILLION]), legend=legend)
    shape = alt.Shape("side:N", scale=alt.Scale(**sides, range=["circle", "square"]), legend=legend)
    dots = [
        base.transform_calculate(side=f"'{side}'")
        .mark_point(filled=True, size=150, opacity=1)
        .encode(x=alt.X(f"{side}:Q", title=title), color=color, shape=shape, tooltip=tooltip)
        for side in ("churned", "retained")
    ]
    return alt.layer(bar, *dots)


def _ratios(rows: Sequence[dict[str, Any]], order: Sequence[str], ends: tuple[float, float]) -> Any:
    base = _base(rows, order, RATIO_WIDTH, named=False)
    title = "Times as often retained"
    scale = alt.Scale(type="log", domain=list(ends), clamp=True)
    ticks = [tick for tick in TICKS if ends[0] <= tick <= ends[1]]
    axis = alt.Axis(
        title=title,
        values=ticks,
        labelExpr="format(datum.value, '~g') + '×'",
        labelOverlap=True,
        labelSeparation=8,
    )
    one = alt.Chart(data([{"one": 1}])).mark_rule(color=MUTED, strokeDash=[4, 4])
    tone = alt.Color("tone:N", scale=None)
    line = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("from:Q", title=title, scale=scale), x2="to:Q", color=tone
    )
    # What no ratio can say stands in words where the dot would be.
    alone = base.mark_text(dy=-13, fontSize=TEXT).encode(
        x=alt.value(RATIO_WIDTH / 2), text="alone:N", color=tone
    )
    beyond = base.mark_text(dy=-13, fontSize=TEXT - 2, align="right").encode(
        x=alt.X("plain:Q", title=title, scale=scale), text="beyond:N", color=alt.value(MUTED)
    )
    return alt.layer(
        _key(),
        one.encode(x=alt.X("one:Q", title=title, scale=scale, axis=axis)),
        line,
        *_arrows(base, rows, scale),
        *[_marks(base, figure, field, scale, axis) for figure, field in FIELDS.items()],
        *([alone] if any(row["alone"] for row in rows) else []),
        *([beyond] if any(row["beyond"] for row in rows) else []),
    )


def _arrows(base: Any, rows: Sequence[dict[str, Any]], scale: alt.Scale) -> list[Any]:
    """Mark the ends of intervals that go on beyond the picture."""
    tone = alt.Color("tone:N", scale=None)
    return [
        base.mark_text(fontSize=TEXT + 4, align=align, aria=False).encode(
            x=alt.X(f"{end}:Q", title="Times as often retained", scale=scale), text=f"past_{end}:N", color=tone
        )
        for end, align in (("from", "right"), ("to", "left"))
        if any(row[f"past_{end}"] for row in rows)
    ]  # fmt: skip


FIELDS = {PLAIN: "plain", FULL: "full", LIKE: "adjusted"}  # the last is drawn on top


def _marks(base: Any, figure: str, field: str, scale: alt.Scale, axis: alt.Axis) -> Any:
    """Draw one of the three figures of each row; shape tells them apart, black ones are clear."""
    title = "Times as often retained"
    shape = alt.Shape("figure:N", scale=_SHAPES, legend=None)
    tooltip = tips(
        name="Action",
        said_ratio="As it is",
        said_adjusted="Alike until then",
        said_full="And with as full a day",
        said_uncompared="Not compared",
        verdict="Verdict",
    )
    stroke: Any = alt.value(MUTED) if figure == PLAIN else alt.Stroke("tone:N", scale=None)
    fill: Any = alt.Fill("fill:N", scale=None) if figure == LIKE else alt.value(PAPER)
    return (
        base.transform_calculate(figure=f"'{figure}'")
        .mark_point(size=110 if figure == LIKE else 80, opacity=1, strokeWidth=2)
        .encode(
            x=alt.X(f"{field}:Q", title=title, scale=scale, axis=axis),
            shape=shape, stroke=stroke, fill=fill, tooltip=tooltip,
        )
    )  # fmt: skip


_SHAPES = alt.Scale(domain=list(SHAPES), range=list(SHAPES.values()))


def _key() -> Any:
    """Draw nothing but the legend: marks whose color comes with the data would have none there."""
    inks = alt.Scale(domain=list(SHAPES), range=[MUTED, INK, INK])
    legend = alt.Legend(
        title=None, orient="top", columns=1
    )  # side by side they are wider than the panel
    return (
        alt.Chart(data([{"figure": figure} for figure in SHAPES]))
        .mark_point(filled=True, size=0, opacity=1)
        .encode(
            shape=alt.Shape("figure:N", scale=_SHAPES, legend=legend),
            color=alt.Color("figure:N", scale=inks, legend=legend),
        )
    )
