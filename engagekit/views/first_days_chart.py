"""Pictures of the first days: the day-by-day map of both groups, and the grid of thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl

from engagekit.journeys import MIN_GROUP
from engagekit.views import first_days_table as words
from engagekit.views.sheet import LONGEST, checked, decimals, joined, known, labels, rated, whole
from engagekit.views.theme import PAPER, TEXT, VERMILLION, data, finished, inked, shades, tips

if TYPE_CHECKING:
    from collections.abc import Sequence

CELL, GRID_CELL = 24, 150


def day_map(daily: pl.DataFrame, *, most: int = 12) -> Any:
    """Draw what `day_by_day` returns: two maps side by side, actions by days.

    Parameters
    ----------
    daily
        What `engagekit.day_by_day` returns.
    most
        How many actions to draw, those of the most users; the table has all.

    Returns
    -------
    altair chart
        Retained users left, churned users right, on one color scale.
    """
    page = words.day_map(daily)
    frame = checked(daily, words.DAILY, "ek.day_by_day", most=LONGEST)
    actions = _widest(frame, most)
    names = dict(zip(actions, labels(actions, most=22), strict=True))
    rows = inked(
        [
            {
                "group": row["group"],
                "name": names[row["action"]],
                "day": row["day"],
                "rate": row["rate"],
                "text": rated(row["rate"]),
                "short": f"{row['rate']:.0%}".removesuffix("%"),
                "count": f"{whole(row['n'])} of {whole(row['of'])}",
            }
            for row in known(frame.to_dicts())
            if row["action"] in names
        ],
        1.0,
    )
    days = frame["day"].unique().sort().to_list()
    order = list(names.values())
    panels = [_panel(rows, group, order, days) for group in words.GROUPS]
    return finished(alt.hconcat(*panels, spacing=16), page)


def _widest(frame: pl.DataFrame, most: int) -> list[str]:
    """Name the actions of the most users, all of them first."""
    sizes = frame.group_by("action").agg(pl.col("n").sum())
    anything = pl.col("action") != words.ANYTHING
    found: list[str] = sizes.sort(anything, -pl.col("n"), "action")["action"].head(most).to_list()
    return found


def _panel(rows: Sequence[dict[str, Any]], group: str, order: list[str], days: list[int]) -> Any:
    first = group == words.GROUPS[0]
    axis = alt.Axis(domain=False, ticks=False, labelPadding=8) if first else None
    mine = [row for row in rows if row["group"] == group]
    base = alt.Chart(data(mine), width=CELL * max(len(days), 1), height=alt.Step(30)).encode(
        x=alt.X(
            "day:O",
            title=f"{group.capitalize()}: days since sign-up",
            scale=alt.Scale(domain=days),
            axis=alt.Axis(labelAngle=0, ticks=False, domain=False, labelOverlap=True),
        ),
        y=alt.Y("name:N", title=None, scale=alt.Scale(domain=order), axis=axis),
    )
    shown = tips(name="Action", group="Users", day="Day", text="Share", count="Users who did it")
    boxes = base.mark_rect(stroke=PAPER).encode(
        color=alt.Color("rate:Q", scale=shades(1.0), legend=None),
        tooltip=shown,
    )
    text = base.mark_text(fontSize=13).encode(text="short:N", fill=alt.Fill("ink:N", scale=None))
    return alt.layer(boxes, text)


def threshold_grid(
    grid: pl.DataFrame, *, action: str | None = None, min_group: int = MIN_GROUP
) -> Any:
    """Draw what `find_threshold` returns for one action: how often against within how many days.

    Parameters
    ----------
    grid
        What `engagekit.find_threshold` returns.
    action
        Which action; None: the first, which is the strongest.
    min_group
        Thresholds that fewer users met are blank.

    Returns
    -------
    altair chart
        One cell per threshold, the chosen one framed and marked.
    """
    page = words.threshold_grid(grid, action=action)
    whole_grid = checked(grid, words.GRID, "ek.find_threshold", most=LONGEST)
    frame = words.one_action(whole_grid, action)
    rows = inked(
        [
            {
                "often": f"{row['at_least']}+",
                "within": str(row["within_days"]),
                "rate": row["precision"],
                "text": f"{rated(row['precision'])} ({decimals(row['lift'], 1)}×)",
                "below": joined(f"n={whole(row['n'])}", "← chosen" if row["chosen"] else ""),
                "all": rated(row["base_rate"]),
                "count": f"{whole(row['n'])} of {whole(row['of'])}",
                "edge": VERMILLION if row["chosen"] else PAPER,
                "order": int(bool(row["chosen"])),
            }
            for row in known(frame.sort("chosen", "within_days", "at_least").to_dicts(), "precision")
            if row["n"] >= min_group
        ],
        1.0,
    )  # fmt: skip
    return finished(_grid(rows, frame), page)


def _grid(rows: list[dict[str, Any]], frame: pl.DataFrame) -> Any:
    # The least asked for at the bottom left, as on any scale.
    often = [f"{k}+" for k in frame["at_least"].unique().sort(descending=True).to_list()]
    within = [str(d) for d in frame["within_days"].unique().sort().to_list()]
    base = alt.Chart(data(rows), width=GRID_CELL * max(len(within), 1), height=alt.Step(54)).encode(
        x=alt.X(
            "within:N",
            title="Within days since sign-up",
            scale=alt.Scale(domain=within),
            axis=alt.Axis(labelAngle=0, ticks=False),
        ),
        y=alt.Y(
            "often:N",
            title=f"Done at least ({words.unit(frame)})",
            scale=alt.Scale(domain=often),
            axis=alt.Axis(ticks=False),
        ),
    )
    shown = tips(
        often="At least",
        within="Within days",
        text="Retained",
        all="Of all users",
        count="Users who did",
    )
    boxes = base.mark_rect(strokeWidth=5).encode(
        color=alt.Color("rate:Q", scale=shades(1.0), legend=None),
        stroke=alt.Stroke("edge:N", scale=None),
        tooltip=shown,
    )
    ink = alt.Fill("ink:N", scale=None)
    text = base.mark_text(fontSize=TEXT, dy=-8).encode(text="text:N", fill=ink)
    mark = base.mark_text(fontSize=TEXT, dy=11, fontWeight="bold").encode(text="below:N", fill=ink)
    return alt.layer(boxes, text, mark)
