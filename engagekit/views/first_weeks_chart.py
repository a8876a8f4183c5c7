"""Pictures of the first weeks: the dumbbell with its intervals, the day-by-day map, the threshold grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.first_weeks import alone_said, like_for_like
from engagekit.views import first_weeks_table as words
from engagekit.views.marks import names
from engagekit.views.sheet import LONGEST, checked, decimals, points, rated
from engagekit.views.theme import BLUE, INK, LATER, MUTED, TEXT, VERMILLION, data, finished, tips

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

GREY = "#8b949e"
STEP = 34


def dumbbell(compared: pl.DataFrame, *, most: int = 14) -> Any:
    """Draw what `compare_first_weeks` returns: shares, their difference, and the ratio crude and adjusted.

    Parameters
    ----------
    compared
        What `engagekit.compare_first_weeks` or `strongest` returns.
    most
        How many rows to draw, from the first; the table has all.

    Returns
    -------
    altair chart
        Three panels side by side.
    """
    page = words.dumbbell(compared, most=most)
    frame = checked(compared, words.COMPARED, "ek.compare_first_weeks", most=LONGEST).head(most)
    rows = [_row(n, r) for n, r in zip(words.action_names(frame), frame.to_dicts(), strict=True)]
    order = [row["name"] for row in rows]
    panels = [_shares(rows, order), _differences(rows, order), _ratios(rows, order)]
    return finished(alt.hconcat(*panels, spacing=28), page)


def _row(name: str, row: dict[str, Any]) -> dict[str, Any]:
    clear = row["verdict"] in words.CLEAR
    return {
        "name": name,
        "retained": row["share_retained"],
        "churned": row["share_churned"],
        "difference": row["difference"],
        "low": row["low"],
        "high": row["high"],
        "ratio": _held(row["risk_ratio"]),
        "adjusted": _held(row["adjusted_risk_ratio"]),
        "from": _held(_end(row["adjusted_low"], row["adjusted_high"], words.LEAST_RATIO)),
        "to": _held(_end(row["adjusted_high"], row["adjusted_low"], words.MOST_RATIO)),
        "alone": alone_said(row) or "",
        "said_retained": rated(row["share_retained"]),
        "said_churned": rated(row["share_churned"]),
        "said_difference": f"{points(row['difference'])} points",
        "said_ratio": decimals(row["risk_ratio"]),
        "said_adjusted": like_for_like(row),
        "verdict": words.verdict(row),
        "tone": INK if clear else GREY,
        "fill": INK if clear else "white",
    }


def _end(bound: float | None, other: float | None, edge: float) -> float | None:
    """Draw an interval of one side to the edge of the picture, one of no side not at all."""
    return edge if bound is None and other is not None else bound


def _held(ratio: float | None) -> float | None:
    return None if ratio is None else min(max(ratio, words.LEAST_RATIO), words.MOST_RATIO)


def _base(rows: Sequence[dict[str, Any]], order: Sequence[str], width: int, *, named: bool) -> Any:
    y = names(order)
    if not named:
        y = y.axis(None)
    return alt.Chart(data(rows), width=width, height=max(len(order), 1) * STEP).encode(y=y)


def _shares(rows: Sequence[dict[str, Any]], order: Sequence[str]) -> Any:
    base = _base(rows, order, 220, named=True)
    title = "Share who did it"
    axis = alt.Axis(title=title, format=".0%", tickCount=4, labelFlush=False)
    bar = base.mark_rule(color=LATER, strokeWidth=4).encode(
        x=alt.X("retained:Q", title=title, axis=axis), x2="churned:Q"
    )
    tooltip = tips(
        name="Action", said_retained="Retained", said_churned="Churned", verdict="Verdict"
    )
    sides: dict[str, Any] = {"domain": ["retained", "churned"]}
    legend = alt.Legend(title=None, orient="top")
    color = alt.Color("side:N", scale=alt.Scale(**sides, range=[BLUE, VERMILLION]), legend=legend)
    shape = alt.Shape("side:N", scale=alt.Scale(**sides, range=["circle", "square"]), legend=legend)
    dots = [
        base.transform_calculate(side=f"'{side}'")
        .mark_point(filled=True, size=150, opacity=1)
        .encode(x=alt.X(f"{side}:Q", title=title), color=color, shape=shape, tooltip=tooltip)
        for side in ("churned", "retained")
    ]
    return alt.layer(bar, *dots)


def _differences(rows: Sequence[dict[str, Any]], order: Sequence[str]) -> Any:
    base = _base(rows, order, 160, named=False)
    title = "Difference, points"
    axis = alt.Axis(
        title=title,
        tickCount=3,
        labelFlush=False,
        labelExpr="datum.value == 0 ? '0' : format(100 * datum.value, '+d')",
    )
    x = alt.X("difference:Q", title=title, axis=axis)
    tone = alt.Color("tone:N", scale=None)
    zero = alt.Chart(data([{"zero": 0}])).mark_rule(color=MUTED, strokeDash=[4, 4])
    line = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title=title), x2="high:Q", color=tone
    )
    tooltip = tips(name="Action", said_difference="Difference", verdict="Verdict")
    dot = base.mark_point(size=90, opacity=1, strokeWidth=2).encode(
        x=x, stroke=alt.Stroke("tone:N", scale=None), fill=alt.Fill("fill:N", scale=None), tooltip=tooltip
    )  # fmt: skip
    return alt.layer(zero.encode(x=alt.X("zero:Q", title=title)), line, dot)


def _ratios(rows: Sequence[dict[str, Any]], order: Sequence[str]) -> Any:
    base = _base(rows, order, 180, named=False)
    title = "Times as often retained"
    scale = alt.Scale(type="log", domain=[words.LEAST_RATIO, words.MOST_RATIO], clamp=True)
    axis = alt.Axis(title=title, values=[0.2, 1, 2, 5], labelExpr="format(datum.value, '~g') + '×'")
    one = alt.Chart(data([{"one": 1}])).mark_rule(color=MUTED, strokeDash=[4, 4])
    tone = alt.Color("tone:N", scale=None)
    line = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("from:Q", title=title, scale=scale), x2="to:Q", color=tone
    )
    tooltip = tips(
        name="Action",
        said_ratio="As it is",
        said_adjusted="Among equally active",
        verdict="Verdict",
    )
    crude = base.mark_point(
        shape="diamond", size=90, opacity=1, strokeWidth=2, fill="white", stroke=MUTED
    )
    adjusted = base.mark_point(size=90, opacity=1, strokeWidth=2)
    # What no ratio can say stands in words where the dot would be.
    alone = base.mark_text(dy=-11, fontSize=TEXT).encode(
        x=alt.value(90), text="alone:N", color=tone
    )
    return alt.layer(
        one.encode(x=alt.X("one:Q", title=title, scale=scale, axis=axis)),
        crude.encode(x=alt.X("ratio:Q", title=title, scale=scale), tooltip=tooltip),
        line,
        adjusted.encode(
            x=alt.X("adjusted:Q", title=title, scale=scale, axis=axis),
            stroke=alt.Stroke("tone:N", scale=None),
            fill=alt.Fill("fill:N", scale=None),
            tooltip=tooltip,
        ),
        *([alone] if any(row["alone"] for row in rows) else []),
    )
