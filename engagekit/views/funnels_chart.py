"""Pictures of funnels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.views import funnels_table as words
from engagekit.views.marks import bars, names
from engagekit.views.sheet import between, checked, labels, rated, whole
from engagekit.views.theme import (
    BAR,
    BESIDE,
    INK,
    PALE,
    TEXT,
    VERMILLION,
    WIDER,
    WIDTH,
    data,
    finished,
    tips,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

WORST_INK = "#A34100"  # vermillion dark enough for letters on white


def funnel(funnel: pl.DataFrame) -> Any:
    """Draw what `funnel` returns: users at each step over those at the step before.

    Parameters
    ----------
    funnel
        What `engagekit.funnel` returns.

    Returns
    -------
    altair chart
        One bar per step over a pale one of the step before; the step that loses most is marked.
    """
    page = words.funnel(funnel)
    frame = checked(funnel, words.FUNNEL, "ek.funnel")
    steps = words.step_names(frame)
    worst = words.clearly_worst(frame)
    rows = [
        {
            "mark": mark,
            "name": name,
            "value": row["n"],
            "before": row["of"],
            "text": _text(row, worst=name == worst),
            "rate": rated(row["rate"]),
            "interval": between(row["low"], row["high"]),
            "overall": rated(row["overall"]),
            "median": words.duration(row["median_seconds"]),
            "tone": VERMILLION if name == worst else BAR,
            "ink": WORST_INK if name == worst else INK,
        }
        for mark, (name, row) in enumerate(zip(steps, frame.to_dicts(), strict=True))
    ]
    shown = tips(name="Step", text="Users", rate="Of the step before", interval="95% interval", overall="Of the first step", median="Median time")  # fmt: skip
    return finished(nested(rows, title="Users at the step", shown=shown), page)


def _text(row: dict[str, Any], *, worst: bool) -> str:
    lost = words.lost(row["rate"])
    return whole(row["n"]) + (f" ({lost})" if lost else "") + (" ← loses most" if worst else "")


def nested(rows: Sequence[dict[str, Any]], *, title: str, shown: list[alt.Tooltip]) -> Any:
    """Draw each row's `value` as a bar over a pale bar of what was there `before`."""
    base = alt.Chart(data(rows), width=WIDTH, height=alt.Step(46)).encode(
        y=names([row["name"] for row in rows])
    )
    axis = alt.Axis(format=",d", grid=False, tickCount=5, tickMinStep=1)
    pale = base.mark_bar(color=PALE, aria=False).encode(x=alt.X("before:Q", title=title))
    bar = base.mark_bar().encode(
        x=alt.X("value:Q", title=title, axis=axis),
        color=alt.Color("tone:N", scale=None),
        tooltip=shown,
    )
    text = base.mark_text(align="left", fontSize=TEXT + 1, limit=WIDER * (BESIDE + 40)).encode(
        x=alt.value(WIDTH + 12), text="text:N", fill=alt.Fill("ink:N", scale=None)
    )
    return alt.layer(pale, bar, text)


def step_drop_off(steps: pl.DataFrame) -> Any:
    """Draw what `step_drop_off` returns: how many get stuck at each step.

    Parameters
    ----------
    steps
        What `engagekit.step_drop_off` returns.

    Returns
    -------
    altair chart
        One bar with its interval per step; a step that stands out is marked.
    """
    page = words.step_drop_off(steps)
    frame = checked(steps, words.DROP_OFF, "ek.step_drop_off")
    rows = [
        {
            "mark": mark,
            "name": name,
            "value": row["rate"],
            "low": row["low"],
            "high": row["high"],
            "text": " ".join(filter(None, [_stuck(row), words.hot(row)])),
            "interval": between(row["low"], row["high"]),
            "tone": VERMILLION if row["hot"] else BAR,
        }
        for mark, (name, row) in enumerate(
            zip(labels(frame["step"].to_list()), frame.to_dicts(), strict=True)
        )
    ]
    shown = tips(name="Step", text="Stuck", interval="95% interval")
    return finished(
        bars(rows, title="Did not complete it", tips=shown, width=400, beside=255), page
    )


def _stuck(row: dict[str, Any]) -> str:
    if row["rate"] is None:
        return "nobody to judge yet"
    return f"{rated(row['rate'])} of {whole(row['of'])}"
