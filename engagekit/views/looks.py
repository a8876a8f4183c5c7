"""How every chart looks: letters for a projector, lines that do not shout."""

from __future__ import annotations

from typing import Any

INK, MUTED, RULE = "#1b1f24", "#57606a", "#d8dee4"
TEXT = 14
FONT = "Arial, Helvetica, Liberation Sans, DejaVu Sans, sans-serif"

LOOKS: dict[str, Any] = {
    "background": "white",
    "font": FONT,
    "padding": 8,
    "view": {"stroke": None},
    "title": {
        "anchor": "start",
        "fontSize": 20,
        "fontWeight": "bold",
        "color": INK,
        "subtitleFontSize": TEXT,
        "subtitleColor": MUTED,
        "subtitlePadding": 6,
        "subtitleLineHeight": 19,
        "lineHeight": 25,
        "offset": 18,
    },
    "axis": {
        "labelFontSize": TEXT,
        "labelColor": INK,
        "labelLimit": 200,
        "titleFontSize": TEXT,
        "titleFontWeight": "normal",
        "titleColor": MUTED,
        "titlePadding": 10,
        "gridColor": RULE,
        "domainColor": MUTED,
        "tickColor": MUTED,
    },
    "legend": {
        "labelFontSize": TEXT,
        "titleFontSize": TEXT,
        "labelColor": INK,
        "titleColor": INK,
        "symbolSize": 140,
        "labelLimit": 240,
    },
    "header": {"labelFontSize": TEXT, "titleFontSize": TEXT, "labelLimit": 240},
    "text": {"fontSize": TEXT, "color": INK},
    "mark": {"tooltip": None},
}
