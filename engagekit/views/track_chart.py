"""A picture of before and after a play, with the goal's line."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.views import track_table as words
from engagekit.views.sheet import between, moment, rated, whole
from engagekit.views.theme import (
    BAR,
    BESIDE,
    BLUE,
    DEEP,
    INK,
    MUTED,
    WIDE,
    WIDER,
    data,
    finished,
    share_axis,
    tips,
)

if TYPE_CHECKING:
    from engagekit.review import Tracked

WEEKS_BEFORE = 26  # drawn before the play at most
LINE = 0.065  # of the height: what a line of words takes


def track(found: Tracked) -> Any:
    """Draw what `track` returns: weeks of sign-up, the rate before and since, and the goal.

    Parameters
    ----------
    found
        What `engagekit.track` returns.

    Returns
    -------
    altair chart
        A dot per week of sign-up, a line with its interval for either side, and the goal's line where there is a goal.
    """
    page = words.track(found)
    color = alt.Color(
        "side:N", scale=alt.Scale(domain=["before", "since"], range=[BAR, BLUE]), legend=None
    )
    x = alt.X("from:T", title="Week of sign-up", scale=alt.Scale(type="utc"))
    y = alt.Y(
        "rate:Q", title="Share that passed in time", axis=share_axis("Share that passed in time")
    )
    both = _sides(found)
    drawn = alt.Chart(data(both), width=WIDE, height=300)
    told = tips(name="Sign-ups", span="Days", count="Users", said="Rate", interval="95% interval")
    bands = drawn.mark_rect(opacity=0.18).encode(
        x=x, x2="to:T", y=alt.Y("low:Q"), y2="high:Q", color=color, tooltip=told
    )
    means = drawn.mark_rule(strokeWidth=3).encode(x=x, x2="to:T", y=y, color=color, tooltip=told)
    layers = [bands, _dots(found, x, color), means, *_marks(found), *_names(found, both)]
    return finished(alt.layer(*layers), page)


def _sides(found: Tracked) -> list[dict[str, Any]]:
    return [
        {
            "side": row["sign_ups"],
            "name": words.NAMES[row["sign_ups"]],
            "from": moment(row["since"]),
            "to": moment(row["until"]),
            "span": words.span(found, row),
            "rate": row["rate"],
            "low": row["low"],
            "high": row["high"],
            "said": rated(row["rate"]),
            "label": f"{row['sign_ups']}: {rated(row['rate'])}",
            "interval": between(row["low"], row["high"]),
            "count": f"{whole(row['n'])} of {whole(row['of'])}",
        }
        for row in words.sides(found)
        if row["rate"] is not None
    ]


def _dots(found: Tracked, x: Any, color: Any) -> Any:
    _, since = words.sides(found)
    first = since["since"] - timedelta(weeks=WEEKS_BEFORE)
    rows = [
        {
            "side": row["side"],
            "from": moment(row["week"]),
            "rate": row["rate"],
            "of": row["of"],
            "said": rated(row["rate"]),
            "count": f"{whole(row['n'])} of {whole(row['of'])}",
        }
        for row in found.weeks.to_dicts()
        if row["rate"] is not None and row["week"] >= first
    ]
    told = tips(**{"from": "Week of sign-up from", "count": "Users", "said": "Rate"})
    return (
        alt.Chart(data(rows))
        .mark_circle(opacity=0.55)
        .encode(
            x=x,
            y="rate:Q",
            size=alt.Size("of:Q", legend=None, scale=alt.Scale(range=[20, 160])),
            color=color,
            tooltip=told,
        )
    )


def _marks(found: Tracked) -> list[Any]:
    """Draw the day the play began, and the goal, dashed."""
    _, since = words.sides(found)
    began = [{"from": moment(since["since"]), "label": "the play began"}]
    day = alt.Chart(data(began)).encode(x=alt.X("from:T"))
    layers = [
        day.mark_rule(color=INK, strokeDash=[2, 3]),
        day.mark_text(align="right", dx=-5, baseline="top", color=INK).encode(
            y=alt.value(4), text="label:N"
        ),
    ]
    if found.goal is None:
        return layers
    line = alt.Chart(data([{"rate": found.goal}])).encode(y=alt.Y("rate:Q"))
    layers.append(line.mark_rule(color=DEEP, strokeDash=[8, 4], strokeWidth=2))
    return layers


def _names(found: Tracked, both: list[dict[str, Any]]) -> list[Any]:
    """Write beside the plot which line is which, moved apart where two would overlap: spans may be a few days."""
    tones = {"before": MUTED, "since": BLUE}
    rows = [{"rate": row["rate"], "label": row["label"], "tone": tones[row["side"]]} for row in both]  # fmt: skip
    if found.goal is not None:
        rows.append({"rate": found.goal, "label": f"goal: {rated(found.goal)}", "tone": DEEP})
    drawn = [row["rate"] for row in found.weeks.to_dicts() if row["rate"] is not None]
    top = max([*drawn, *(row["high"] or 0 for row in both), found.goal or 0, 0.01])
    placed: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: float(row["rate"])):
        floor = placed[-1]["place"] + LINE * top if placed else 0.0
        placed.append(row | {"place": max(row["rate"], floor)})
    return [
        alt.Chart(data([row]))
        .mark_text(align="left", fontWeight="bold", color=row["tone"], limit=WIDER * BESIDE)
        .encode(x=alt.value(WIDE + 8), y=alt.Y("place:Q"), text="label:N")
        for row in placed
    ]
