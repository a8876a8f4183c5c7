"""How every chart gets its words, colors for every eye and sizes for a projector; a text for every chart."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.errors import ParameterError
from engagekit.views import looks
from engagekit.views.display import displayed
from engagekit.views.sheet import MOST_ROWS, Sheet, spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INK, MUTED, TEXT = looks.INK, looks.MUTED, looks.TEXT
PAPER, ON = looks.PAPER, looks.ON
WIDER = looks.WIDER
BAR, LATER, PALE = "#6b7785", "#b5bcc4", "#e7eaee"
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
DEEP = "#B34700"  # vermillion under white letters
ORANGE, SKY = "#E69F00", "#56B4E9"
# Okabe and Ito (2008), without the yellow that white swallows; each with a dash and a shape of its own.
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK)
DASHES = ([1, 0], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [14, 4], [3, 6])
SHAPES = ("square", "circle", "triangle-up", "diamond", "cross", "triangle-down", "stroke")

WIDTH = 460  # of a plot with names to its left and values to its right; the whole stays under 900
WIDE = 620  # of a plot with an axis of numbers only
BESIDE = 195  # of the values to its right
MOST_BENEATH = 200  # rows of the table beneath a picture; the table of the same name has more


def data(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Take rows into a chart: few enough to be seen, floats short enough to be the same everywhere."""
    found = [
        {key: round(v, 6) if isinstance(v, float) else v for key, v in row.items()} for row in rows
    ]
    if len(found) > MOST_ROWS:
        raise ParameterError(
            f"a chart takes at most {MOST_ROWS:,} rows; this has {len(found):,}. Give it an answer, or filter it"
        )
    return alt.InlineData(values=found)


def finished(chart: Any, sheet: Sheet) -> Any:
    """Give a chart its title, subtitle, description and table, and our way of being shown."""
    made = chart.properties(
        title=alt.TitleParams(
            text=lines(sheet.title, 78),
            subtitle=lines(sheet.subtitle, 118),
        ),
        description=spoken(sheet),
        usermeta={
            "engagekit": {
                "headers": list(sheet.headers),
                "rows": [list(row) for row in sheet.rows[:MOST_BENEATH]],
                "more": max(0, len(sheet.rows) - MOST_BENEATH),
                "texts": sheet.texts,
            }
        },
    )
    return displayed(made)


def lines(text: str, width: int) -> list[str]:
    """Break a text into lines that fit."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def tips(**titles: str) -> list[alt.Tooltip]:
    """Make a tooltip of written fields: ``tips(name="Step", rate="Rate")``."""
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]


def inked(rows: Iterable[Mapping[str, Any]], end: float) -> list[dict[str, Any]]:
    """Give each cell's number a color that reads on its own, where colors run from 0 to `end`."""
    return [dict(row) | {"ink": ON if row["rate"] > 0.5 * end else "white"} for row in rows]


def color_end(rates: Iterable[float]) -> float:
    """Say where the colors of shares end: they begin at 0, lest small differences look like large ones.

    Examples
    --------
    >>> color_end([0.07, 0.19]), color_end([0.2, 0.61]), color_end([])
    (0.5, 1.0, 0.5)
    """
    return 1.0 if max(rates, default=0.0) > 0.5 else 0.5


def shades(end: float) -> alt.Scale:
    """Make the scale of colors of shares."""
    return alt.Scale(scheme="viridis", domain=[0, end])


def share_axis(title: str, *, grid: bool = True) -> alt.Axis:
    """Make an axis of percentages."""
    return alt.Axis(format=".0%", title=title, grid=grid, tickCount=5)
