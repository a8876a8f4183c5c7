"""A picture of before and after a play, with the goal's line."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.views import track_table as words
from engagekit.views.sheet import between, moment, rated, whole
from engagekit.views.theme import BAR, BLUE, DEEP, INK, WIDE, data, finished, share_axis, tips

if TYPE_CHECKING:
    from engagekit.review import Tracked

WEEKS_BEFORE = 26  # drawn before the play at most


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
    said = drawn.mark_text(align="left", dx=4, dy=-8, fontWeight="bold").encode(
        x=x, y=y, text="label:N", color=color
    )
    layers = [bands, _dots(found, x, color), means, said, *_marks(found, both)]
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


def _marks(found: Tracked, both: list[dict[str, Any]]) -> list[Any]:
    """Draw the day the play began, and the goal, dashed and named."""
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
    left = both[0]["from"] if both else began[0]["from"]
    goal = [{"rate": found.goal, "label": f"goal: {rated(found.goal)}", "from": left}]
    line = alt.Chart(data(goal)).encode(y=alt.Y("rate:Q"))
    layers.append(line.mark_rule(color=DEEP, strokeDash=[8, 4], strokeWidth=2))
    layers.append(
        line.mark_text(align="left", dx=4, dy=-8, color=DEEP, fontWeight="bold").encode(
            x=alt.X("from:T"), text="label:N"
        )
    )
    return layers
