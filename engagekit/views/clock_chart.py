"""A picture of the product's own clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.views import clock_table as words
from engagekit.views.marks import note_lines, noted
from engagekit.views.sheet import decimals, moment, whole
from engagekit.views.theme import BLUE, INK, LATER, WIDE, data, finished, tips

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from engagekit.definition import Note

ACTIVE = "Users with a core action"


def product_clock(clock: pl.DataFrame, *, most: int = 731, notes: Sequence[Note] = ()) -> Any:
    """Draw what `product_clock` returns: activity per day, and the days that weigh little.

    Parameters
    ----------
    clock
        What `engagekit.product_clock` returns.
    most
        How many days to draw: the latest.
    notes
        What happened on which day, such as ``journeys.definition.annotations``: marked where it lies in what is drawn.

    Returns
    -------
    altair chart
        A bar per day, shaded where the day weighs less than half, and a line of what is usual around it.
    """
    frame, _ = words.shown_days(clock, most)
    notes = [note for note in notes if (frame["day"] == note.on).any()]
    page = noted(words.product_clock(clock, most=most), notes)
    rows = [
        {
            "day": moment(r["day"]),
            "end": moment(r["day"] + timedelta(days=1)),
            "active": r["active"],
            "expected": r["expected"],
            "light": r["weight"] < words.LIGHT,
            "count": whole(r["active"]),
            "usual": decimals(r["expected"], 1),
            "weight": decimals(r["weight"]),
        }
        for r in frame.to_dicts()
    ]
    # Days are days wherever they are drawn, not midnights of the reader's own time zone.
    scale = alt.Scale(type="utc")
    x = alt.X("day:T", title=None, axis=alt.Axis(grid=False), scale=scale)
    told = tips(day="Day", count=ACTIVE, usual="Usual then", weight="Product days")
    base = alt.Chart(data(rows), width=WIDE, height=300).encode(x=x, x2="end:T")
    shade = base.transform_filter("datum.light").mark_rect(color=LATER, opacity=0.45)
    bars = base.mark_rect(color=BLUE).encode(
        y=alt.Y("active:Q", title=ACTIVE, axis=alt.Axis(tickMinStep=1)),
        y2=alt.Y2Datum(0),
        tooltip=told,
    )
    line = (
        alt.Chart(data(rows))
        .mark_line(color=INK, strokeWidth=2, interpolate="monotone")
        .encode(x=x, y=alt.Y("expected:Q", title=ACTIVE))
    )
    marked = note_lines(notes, x, "day", [moment(note.on) for note in notes])
    return finished(alt.layer(shade.encode(tooltip=told), bars, line, *marked), page)
