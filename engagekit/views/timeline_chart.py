"""A picture of one user's days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.views import timeline_table as words
from engagekit.views.marks import names, note_lines, noted
from engagekit.views.sheet import moment, whole, written
from engagekit.views.theme import BLUE, INK, LATER, VERMILLION, WIDTH, data, finished, tips

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from engagekit.definition import Note

LANE = 34
TONES = {"Outreach": LATER, "By its name": LATER}  # not what the product is for


def timeline(days: pl.DataFrame, *, most: int = 200, notes: Sequence[Note] = ()) -> Any:
    """Draw what `timeline` returns: one lane per kind of action, one dot per day, and what the rule looks at.

    Parameters
    ----------
    days
        What `engagekit.timeline` returns.
    most
        How many days to draw: the latest with something on them.
    notes
        What happened on which day, such as ``journeys.definition.annotations``: marked where it lies in what is drawn.

    Returns
    -------
    altair chart
        Days to the right, lanes below each other; what the labelling rule looks at is orange.
    """
    frame, _ = words.shown_days(days, most)
    spent = frame["day"].to_list()
    notes = [note for note in notes if spent and min(spent) <= note.on <= max(spent)]
    page = noted(words.timeline(days, most=most), notes)
    rows = [
        {
            "name": words.LANES[row["kind"]],
            "day": moment(row["day"]),
            "times": row["times"] or 1,
            "count": whole(row["times"]),
            "kind": row["kind"],
            "what": written(row["what"]),
            "days_in": whole(row["days_in"]),
            "decides": int(row["decides"]),
            "tone": VERMILLION if row["decides"] else TONES.get(words.LANES[row["kind"]], BLUE),
            "note": row["note"] or "",
        }
        for row in frame.sort("decides", maintain_order=True).to_dicts()
        if row["kind"] in words.LANES
    ]
    there = {row["name"] for row in rows}
    order = [lane for lane in dict.fromkeys(words.LANES.values()) if lane in there]
    # Days are days wherever they are drawn, not midnights of the reader's own time zone.
    x = alt.X("day:T", title=None, axis=alt.Axis(grid=True, tickCount=8, labelOverlap=True, labelBound=True), scale=alt.Scale(type="utc", padding=10))  # fmt: skip
    told = tips(day="Day", days_in="Days since sign-up", kind="Kind", what="What", count="Times", note="Note")  # fmt: skip
    base = alt.Chart(data(rows), width=WIDTH + 150, height=LANE * max(len(order), 1))
    dots = base.mark_point(filled=True, opacity=0.85).encode(
        x=x,
        y=names(order),
        color=alt.Color("tone:N", scale=None, legend=None),
        shape=alt.Shape("decides:N", scale=alt.Scale(domain=[0, 1], range=["circle", "diamond"]), legend=None),
        size=alt.Size("times:Q", scale=alt.Scale(type="sqrt", domain=[1, 10], range=[70, 320], clamp=True), legend=None),
        tooltip=told,
    )  # fmt: skip
    ends = [{"day": moment(row["day"]), "end": "data end"} for row in frame.to_dicts() if row["kind"] == "label"]  # fmt: skip
    line = alt.Chart(data(ends)).mark_rule(color=INK, strokeDash=[4, 4]).encode(x=x)
    marked = note_lines(notes, x, "day", [moment(note.on) for note in notes])
    return finished(alt.layer(line, *marked, dots), page)
