"""A picture of the product's own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.views import clock_table as words
from engagekit.views.sheet import decimals, moment, whole
from engagekit.views.theme import BLUE, INK, PALE, RULE, WIDE, data, finished, tips

if TYPE_CHECKING:
    import polars as pl

ACTIVE = "Users with a core action"
COUNTS, LITTLE = "counts", "weighs less than half a day"


def product_clock(clock: pl.DataFrame, *, most: int = 731) -> Any:
    """Draw what `product_clock` returns: activity per day, and the days that weigh little.

    Parameters
    ----------
    clock
        What `engagekit.product_clock` returns.
    most
        How many days to draw: the latest.

    Returns
    -------
    altair chart
        A bar per day, pale where the day weighs less than half, and a line of what is usual around it.
    """
    page = words.product_clock(clock, most=most)
    frame, _ = words.shown_days(clock, most)
    rows = [
        {
            "day": moment(r["day"]),
            "active": r["active"],
            "expected": r["expected"],
            "kind": LITTLE if r["weight"] < words.LIGHT else COUNTS,
            "count": whole(r["active"]),
            "usual": decimals(r["expected"], 1),
            "weight": decimals(r["weight"]),
        }
        for r in frame.to_dicts()
    ]
    y = alt.Y("active:Q", title=ACTIVE, axis=alt.Axis(tickMinStep=1))
    x = alt.X("day:T", title=None, axis=alt.Axis(grid=False))
    base = alt.Chart(data(rows), width=WIDE, height=300).encode(x=x)
    tones = alt.Scale(domain=[COUNTS, LITTLE], range=[BLUE, PALE])
    width = max(1.0, min(14.0, WIDE / max(1, len(rows)) - 1))
    bars = base.mark_bar(size=width, stroke=RULE, strokeWidth=0.5 if width > 2 else 0).encode(
        y=y,
        color=alt.Color("kind:N", scale=tones, legend=alt.Legend(title=None, orient="top")),
        tooltip=tips(day="Day", count=ACTIVE, usual="Usual then", weight="Product days"),
    )
    line = base.mark_line(color=INK, strokeWidth=2, interpolate="monotone").encode(
        y=alt.Y("expected:Q", title=ACTIVE)
    )
    return finished(alt.layer(bars, line), page)
