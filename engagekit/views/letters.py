"""Letters as wide as they were laid out: a picture keeps its words whole where the fonts it was drawn with are missing.

The renderer brings a font of its own and makes room for that. Where a viewer draws the same picture with a wider one,
words would run beyond its edges; so each line of text says how long it is.
"""

from __future__ import annotations

import html
import re
from typing import Any

_TEXT = re.compile(r"<text\b([^<>]*)(?<!/)>(.*?)</text>", re.DOTALL)
_LINE = re.compile(r"<tspan\b([^<>]*)>([^<]*)</tspan>")
_LOOKS = {"font": "font-family", "size": "font-size", "weight": "font-weight"}


def fitted(svg: str) -> str:
    """Say of each line of text in a drawing how long it is, as measured by the renderer that drew it."""
    lines = [
        _looks(text[1]) | {"text": html.unescape(words)}
        for text in _TEXT.finditer(svg)
        for _, words in _pieces(text[2])
    ]
    widths = iter(_widths(lines) if lines else [])

    def text(found: re.Match[str]) -> str:
        own, body = found[1], found[2]
        if "<tspan" not in body:
            return f"<text{own}{_length(next(widths), body)}>{body}</text>"
        return f"<text{own}>{_LINE.sub(line, body)}</text>"

    def line(found: re.Match[str]) -> str:
        return f"<tspan{found[1]}{_length(next(widths), found[2])}>{found[2]}</tspan>"

    return _TEXT.sub(text, svg)


def _pieces(body: str) -> list[tuple[str, str]]:
    return _LINE.findall(body) if "<tspan" in body else [("", body)]


def _looks(attributes: str) -> dict[str, Any]:
    given = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
    found = {name: html.unescape(given.get(long, "")) for name, long in _LOOKS.items()}
    return found | {"size": float(found["size"].removesuffix("px") or 11)}


def _length(width: float, words: str) -> str:
    # One letter has no room to give; a line without any is not drawn.
    if width <= 0 or len(words) < 2:
        return ""
    return f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"'


def _widths(lines: list[dict[str, Any]]) -> list[float]:
    """Measure lines of text: each is drawn, and a rule laid along it, whose ends are read."""
    import vl_convert

    taken = {name: {"field": field} for name, field in [("text", "text"), ("font", "font"), ("fontSize", "size"), ("fontWeight", "weight")]}  # fmt: skip
    ends = {"x": {"field": "bounds.x1"}, "x2": {"field": "bounds.x2"}}
    scene = vl_convert.vega_to_scenegraph(
        {
            "$schema": "https://vega.github.io/schema/vega/v6.json",
            "data": [{"name": "lines", "values": lines}],
            "marks": [
                {"type": "text", "name": "drawn", "from": {"data": "lines"}, "encode": {"enter": taken}},
                {"type": "rule", "from": {"data": "drawn"}, "encode": {"enter": ends}},
            ],
        },
        allowed_base_urls=[],
    )  # fmt: skip
    rules = scene["scenegraph"]["items"][0]["items"][1]["items"]
    return [rule.get("x2", 0.0) - rule.get("x", 0.0) for rule in rules]
