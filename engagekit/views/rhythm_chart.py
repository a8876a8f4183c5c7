"""Pictures of rhythm: lifecycle and stickiness."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.views import rhythm_table as words
from engagekit.views.marks import note_lines, noted
from engagekit.views.sheet import LONGEST, between, checked, moment, rated, whole
from engagekit.views.theme import (
    BAR,
    BLUE,
    INK,
    LATER,
    ON,
    ORANGE,
    PAPER,
    SKY,
    TEXT,
    WIDE,
    data,
    finished,
    share_axis,
    tips,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl

    from engagekit.definition import Note

STATE_TONES = {"returning": BLUE, "new": SKY, "resurrecting": ORANGE, "dormant": LATER}
STACK = ("returning", "new", "resurrecting", "dormant")
ROOM = 0.05  # of the highest bar: a segment lower than this has no room for its number
MOST_NUMBERS = 14  # periods


def lifecycle(lifecycle: pl.DataFrame, *, most: int = 60, notes: Sequence[Note] = ()) -> Any:
    """Draw what `lifecycle` returns: active users stacked, those gone quiet below the line.

    Parameters
    ----------
    lifecycle
        What `engagekit.lifecycle` returns.
    most
        How many periods to draw: the latest.
    notes
        What happened on which day, such as ``journeys.definition.annotations``: marked at its period.

    Returns
    -------
    altair chart
        Stacked bars per period, those gone quiet below the line; a period not over is pale.
    """
    frame, _ = words.latest_periods(lifecycle, most)
    places = [(note, place) for note in notes if (place := _period_of(note, frame))]
    page = noted(words.lifecycle(lifecycle, most=most), [note for note, _ in places])
    top: Any = max(frame["active"].max() or 0, frame["dormant"].max() or 0)
    few = frame.height <= MOST_NUMBERS
    rows = [
        {
            "mark": len(STACK) * row["_mark"] + place,
            "period": moment(row["period_start"]) + words.under_way(row),
            "state": words.STATE_WORDS[state],
            "order": place,
            "users": -row[state] if state == "dormant" else row[state],
            "count": whole(row[state]),
            "text": whole(row[state]) if few and row[state] > ROOM * top else "",
            "ink": _ink(state, over=row.get("complete") is not False),
            "solid": 0.4 if row.get("complete") is False else 1.0,
        }
        for row in frame.to_dicts()
        for place, state in enumerate(STACK)
        # Who has not come yet in a period under way is not gone: that bar would be the longest, and say nothing.
        if state != "dormant" or row.get("complete") is not False
    ]
    base = alt.Chart(data(rows), width=WIDE, height=330).encode(
        x=alt.X("period:N", title=None, sort=None, axis=alt.Axis(labelAngle=-35 if few else 0, labelOverlap=not few, labelSeparation=10, labelPadding=8, ticks=False)),
        y=alt.Y("users:Q", title="Users", stack="zero", axis=alt.Axis(labelExpr="format(abs(datum.value), ',d')", tickCount=6, tickMinStep=1)),
        order=alt.Order("order:Q"),
    )  # fmt: skip
    bars = base.mark_bar(stroke=PAPER, strokeWidth=1).encode(
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
    x = alt.X("period:N", sort=None)
    marked = note_lines([note for note, _ in places], x, "period", [place for _, place in places])
    return finished(alt.layer(bars, numbers, line, *marked), page)


def _period_of(note: Note, frame: pl.DataFrame) -> str | None:
    """Find the period in which something happened, as the axis writes it; none where it lies before the first."""
    begun = [row for row in frame.to_dicts() if _day(row["period_start"]) <= note.on]
    row = max(begun, key=lambda row: row["period_start"]) if begun else None
    return None if row is None else moment(row["period_start"]) + words.under_way(row)


def _day(start: date) -> date:
    return start.date() if isinstance(start, datetime) else start


def _ink(state: str, *, over: bool) -> str:
    """Write on a full color in what reads there, on a pale one in the ink of the page."""
    if not over or state == "dormant":
        return INK
    return "white" if state == "returning" else ON


def stickiness(stickiness: pl.DataFrame, *, most: int = 40) -> Any:
    """Draw what `stickiness` returns: in how many periods users come.

    Parameters
    ----------
    stickiness
        What `engagekit.stickiness` returns.
    most
        How many numbers of periods to draw, from 1 on.

    Returns
    -------
    altair chart
        One bar per number of periods with activity.
    """
    page = words.stickiness(stickiness, most=most)
    frame = checked(stickiness, words.STICKINESS, "ek.stickiness", most=LONGEST)
    more = words.is_cumulative(frame)
    frame = frame.head(most)
    rows = [
        {
            "mark": number,
            "place": row["intervals"],
            "name": page.rows[number][0],
            "share": row["share"],
            "text": rated(row["share"]) if frame.height <= MOST_NUMBERS else "",
            "interval": between(row.get("low"), row.get("high")),
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
        tooltip=tips(name="Periods", text="Share", interval="95% interval", count="Users")
    )
    numbers = base.mark_text(dy=-10, fontSize=TEXT).encode(text="text:N")
    return finished(alt.layer(bars, numbers), page)
