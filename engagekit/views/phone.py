"""The same charts for a page as wide as a phone: headings in shorter lines, plots as narrow as their words allow."""

from __future__ import annotations

import copy
import textwrap
from typing import TYPE_CHECKING, Any

from engagekit.views.looks import TEXT
from engagekit.views.offline import width_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NARROW = 440  # pixels: on a phone this is shown at four fifths, letters of 14 pixels as 11
LEAST = 90  # of a plot
HEADING, BENEATH = 38, 60  # letters in a line of a title, of a subtitle
LETTER, AROUND = 0.52 * TEXT, 6  # pixels: of a letter in a cell, and beside the longest


def for_a_phone(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Give a specification the width of a phone; where cells hold words, it stays as wide as these."""
    made: dict[str, Any] = copy.deepcopy(dict(spec))
    heading = made.pop("title", None)
    _stretch(made, NARROW - width_of(made), made.get("datasets", {}))
    if isinstance(heading, dict):
        text, beneath = (" ".join(_listed(heading.get(part))) for part in ("text", "subtitle"))
        broken = {"text": textwrap.wrap(text, HEADING), "subtitle": textwrap.wrap(beneath, BENEATH)}
        made["title"] = heading | broken
    return made


def _listed(text: Any) -> list[str]:
    return text if isinstance(text, list) else [str(text or "")]


def _stretch(node: dict[str, Any], more: float, data: Mapping[str, Any]) -> None:
    """Make plots wider by so many pixels in all, or narrower; what stands beside a plot moves along."""
    beside = node.get("hconcat") or node.get("concat")
    if beside:
        plots = sum("width" in part for part in beside) or 1
        for part in beside:
            _stretch(part, more / plots, data)
    elif "vconcat" in node:
        for part in node["vconcat"]:
            _stretch(part, more, data)
    elif isinstance(node.get("width"), int | float):
        before = node["width"]
        after = node["width"] = min(before, max(LEAST, _cells(node, data), round(before + more)))
        _move(node, before, after)


def _move(node: dict[str, Any], before: float, after: float) -> None:
    x = node.get("encoding", {}).get("x", {})
    if isinstance(x.get("value"), int | float):
        inside = x["value"] <= before
        x["value"] = x["value"] * after / before if inside else x["value"] + after - before
    for part in node.get("layer", []):
        _move(part, before, after)


def _cells(node: dict[str, Any], data: Mapping[str, Any]) -> float:
    """Find how wide a plot of cells must be for the longest words in one; 0 where there are no cells."""
    parts = [node, *node.get("layer", [])]
    if not any(_kind(part) == "rect" for part in parts):
        return 0
    fields = {part["encoding"]["x"]["field"] for part in parts if _kind(part) == "rect"}
    rows = [row for table in data.values() for row in table if fields <= row.keys()]
    columns = max((len({row[field] for row in rows}) for field in fields), default=0)
    longest = max((len(line) for row in rows for line in _words(row)), default=0)
    return columns * (longest * LETTER + AROUND)


def _kind(part: Mapping[str, Any]) -> Any:
    mark = part.get("mark")
    return mark.get("type") if isinstance(mark, dict) else mark


def _words(row: Mapping[str, Any]) -> Iterator[str]:
    """Take the lines of a cell: those of its fields that are drawn as text."""
    for field in ("text", "short", "below"):
        if isinstance(row.get(field), str):
            yield from row[field].splitlines()
