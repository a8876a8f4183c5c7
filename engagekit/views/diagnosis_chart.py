"""Pictures of the diagnosis and of the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit.definition import LINKS
from engagekit.views import diagnosis_table as words
from engagekit.views.marks import bars, dots, note_rows, noted
from engagekit.views.sheet import (
    LINK_WORDS,
    between,
    checked,
    group_columns,
    group_labels,
    joined,
    largest_groups,
    rated,
    whole,
)
from engagekit.views.theme import (
    BAR,
    BLUE,
    DEEP,
    INK,
    LATER,
    PALE,
    PAPER,
    TEXT,
    VERMILLION,
    WIDER,
    data,
    finished,
    tips,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from engagekit.definition import Note
    from engagekit.priority import Priority

GRID, GRID_BESIDE = 520, 150  # of the cells together, and of the verdicts to their right
TONES = {"healthy": BLUE, "never_started": LATER}


def diagnosis(diagnosis: pl.DataFrame) -> Any:
    """Draw what `diagnose` returns: one bar per rule, or one dot per rule and group.

    Parameters
    ----------
    diagnosis
        What `engagekit.diagnose` returns.

    Returns
    -------
    altair chart
        One bar per rule; with groups one dot per rule and group.
    """
    page = words.diagnosis(diagnosis)
    diagnosis, _ = largest_groups(diagnosis, words.DIAGNOSIS, "of")
    frame = checked(diagnosis, words.DIAGNOSIS, "ek.diagnose")
    keys = group_columns(frame, words.DIAGNOSIS)
    groups = group_labels(frame, keys)
    rows = [
        _rule(row, group) | {"mark": mark}
        for mark, (row, group) in enumerate(zip(frame.to_dicts(), groups, strict=True))
        if row["label"] != "too_early"
    ]
    shown = tips(name="Users who", problem="Problem", group="Group", text="Share", count="Users")
    title = "Share of judged users"
    if keys:
        return finished(dots(rows, title=title, tips=shown), page)
    return finished(bars(rows, title=title, tips=shown, width=425, beside=230), page)


def _rule(row: dict[str, Any], group: str) -> dict[str, Any]:
    problem = row["problem"] or ("" if row["label"] == "healthy" else "acquisition or tracking")
    share = joined(rated(row["share"]), problem if not group else "")
    return {
        "name": row["if_users"],
        "group": group,
        "problem": problem,
        "value": row["share"],
        "low": row["low"],
        "high": row["high"],
        "text": share,
        "count": f"{whole(row['n'])} of {whole(row['of'])}",
        "tone": TONES.get(row["label"], BAR),
    }


def loop(priority: Priority) -> Any:
    """Draw the loop: what passes each link, its target, and which link to mend first.

    Parameters
    ----------
    priority
        What `engagekit.prioritize` returns.

    Returns
    -------
    altair chart
        One bar per link with interval and target; the link to mend first is marked.
    """
    page = words.loop(priority)
    rows = [
        _link(row, priority) | {"mark": mark} for mark, row in enumerate(priority.table.to_dicts())
    ]
    title = "Users who pass the link"
    shown = tips(
        name="Link",
        count="Passed",
        text="Rate",
        interval="95% interval",
        aim="Target",
        signups="Sign-ups",
    )
    return finished(bars(rows, title=title, tips=shown, step=62, beside=250), page)


def _link(row: dict[str, Any], priority: Priority) -> dict[str, Any]:
    judged = row["rate"] is not None
    rate = f"{rated(row['rate'])} of {whole(row['of'])}" if judged else "nobody to judge yet"
    return {
        "name": LINK_WORDS[row["link"]],
        "value": row["rate"],
        "low": row["low"],
        "high": row["high"],
        "target": row["target"],
        "text": " ".join(filter(None, [rate, words.mark(row, priority)])),
        "count": f"{whole(row['n'])} of {whole(row['of'])}",
        "interval": between(row["low"], row["high"]),
        "aim": rated(row["target"]),
        "signups": words.span(row, priority),
        "tone": _tone(row["link"], priority),
    }


def _tone(link: str, priority: Priority) -> str:
    if priority.link is None:
        return BAR
    place = LINKS.index(link) - LINKS.index(priority.link)
    return VERMILLION if place == 0 else BAR if place < 0 else LATER


def loop_by_quarter(priority: Priority, *, most: int = 16, notes: Sequence[Note] = ()) -> Any:
    """Draw the loop per quarter of sign-up: the named link of each quarter stands out.

    Parameters
    ----------
    priority
        What `engagekit.prioritize` returns.
    most
        How many quarters to draw: the latest.
    notes
        What happened on which day, such as ``journeys.definition.annotations``: written beside its quarter.

    Returns
    -------
    altair chart
        One row per quarter of sign-up, one cell per link; the named one is marked.
    """
    frame, _ = words.latest_quarters(priority, most)
    drawn = {words.quarter(day) for day in frame["quarter"]}
    places = [(note, name) for note in notes if (name := words.quarter(note.on)) in drawn]
    page = noted(words.loop_by_quarter(priority, most=most), [note for note, _ in places])
    rows = [
        {
            "mark": row["_mark"],
            "name": words.quarter(row["quarter"]),
            "link": LINK_WORDS[row["link"]],
            "text": ("← " if row["named"] == row["link"] else "") + words.quarter_cell(row),
            "tone": DEEP if row["named"] == row["link"] else PALE,
            "ink": "white" if row["named"] == row["link"] else INK,
        }
        for row in frame.to_dicts()
        if words.quarter_cell(row)
    ]
    verdicts = dict(zip([row[0] for row in page.rows], [row[-1] for row in page.rows], strict=True))
    marked = note_rows(places, alt.Y("name:N"), x=GRID + 12, dy=15)
    return finished(_grid(rows, verdicts, [LINK_WORDS[link] for link in LINKS], marked), page)


def segments(priority: Priority) -> Any:
    """Draw the loop per group: the named link of each group stands out.

    Parameters
    ----------
    priority
        What ``engagekit.prioritize(by=...)`` returns.

    Returns
    -------
    altair chart
        One row per group, one cell per link; the named one is marked.
    """
    page = words.segments(priority)
    shown, _ = largest_groups(priority.segments, words.SEGMENTS, "users")
    frame = checked(shown, words.SEGMENTS, "ek.prioritize(by=...)")
    order = group_labels(frame, group_columns(frame, words.SEGMENTS))
    links = [link for link in LINKS if f"{link}_rate" in frame.columns]
    rows = [
        {
            "name": group,
            "link": LINK_WORDS[link],
            "text": ("← " if row["link"] == link else "") + rated(row[f"{link}_rate"]),
            "tone": DEEP if row["link"] == link else PALE,
            "ink": "white" if row["link"] == link else INK,
        }
        for group, row in zip(order, frame.to_dicts(), strict=True)
        for link in links
        if row[f"{link}_rate"] is not None
    ]
    verdicts = {row[0]: row[-1] for row in page.rows}
    return finished(_grid(rows, verdicts, [LINK_WORDS[link] for link in links]), page)


def activations(compared: pl.DataFrame) -> Any:
    """Draw the loop of each candidate for the activation: the link that its verdict names stands out.

    Parameters
    ----------
    compared
        What `engagekit.compare_activations` returns.

    Returns
    -------
    altair chart
        One row per candidate, one cell per link; the named one is marked.
    """
    page = words.activations(compared)
    frame = checked(compared, words.ACTIVATIONS, "ek.compare_activations")
    links = [link for link in LINKS if f"{link}_rate" in frame.columns]
    rows = [
        {
            "name": shown[0],
            "link": LINK_WORDS[link],
            "text": ("← " if row["link"] == link else "") + rated(row[f"{link}_rate"]),
            "tone": DEEP if row["link"] == link else PALE,
            "ink": "white" if row["link"] == link else INK,
        }
        for shown, row in zip(page.rows, frame.to_dicts(), strict=True)
        for link in links
        if row[f"{link}_rate"] is not None
    ]
    verdicts = {row[0]: row[-1] for row in page.rows}
    return finished(_grid(rows, verdicts, [LINK_WORDS[link] for link in links]), page)


def _grid(
    rows: list[dict[str, Any]],
    verdicts: dict[str, str],
    links: list[str],
    marked: Sequence[alt.Chart] = (),
) -> alt.LayerChart | alt.FacetChart:
    y = alt.Y(
        "name:N",
        title=None,
        scale=alt.Scale(domain=list(verdicts)),
        axis=alt.Axis(domain=False, ticks=False, labelPadding=10, labelLimit=WIDER * 160),
    )
    x = alt.X(
        "link:N",
        title=None,
        scale=alt.Scale(domain=links),
        axis=alt.Axis(
            orient="top",
            labelPadding=22,
            labelLineHeight=18,
            labelExpr="split(replace(datum.label, ' (', '|('), '|')",
            labelAngle=0,
            domain=False,
            ticks=False,
            labelFontSize=TEXT + 1,
        ),
    )
    base = alt.Chart(data(rows), width=GRID, height=alt.Step(44)).encode(y=y, x=x)
    boxes = base.mark_rect(stroke=PAPER, strokeWidth=3).encode(
        color=alt.Color("tone:N", scale=None), tooltip=tips(name="Who", link="Link", text="Passes")
    )
    text = base.mark_text(fontSize=TEXT).encode(text="text:N", color=alt.Color("ink:N", scale=None))
    ends = alt.Chart(data([{"name": k, "verdict": v} for k, v in verdicts.items()]))
    verdict = ends.mark_text(align="left", fontSize=TEXT, limit=WIDER * GRID_BESIDE).encode(
        y=y, x=alt.value(GRID + 12), text="verdict:N"
    )
    return alt.layer(boxes, text, verdict, *marked)
