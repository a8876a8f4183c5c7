"""How every chart looks: letters for a projector, lines that do not shout."""

from __future__ import annotations

from typing import Any

INK, MUTED, RULE = "#1b1f24", "#57606a", "#d8dee4"
PAPER = "#ffffff"  # what is left free between marks, and what fills hollow ones
ON = "#1b1f25"  # ink on a colored cell: it stays dark in the dark, where INK turns light
TEXT = 14
WIDER = 1.3  # letters of the fonts that stand in where these are missing; what fits in them is never cut
FONT = "Arial, Helvetica, Liberation Sans, DejaVu Sans, sans-serif"

LOOKS: dict[str, Any] = {
    "background": PAPER,
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
        "labelLimit": 200 * WIDER,
        "titleFontSize": TEXT,
        "titleFontWeight": "normal",
        "titleColor": MUTED,
        "titlePadding": 10,
        "labelSeparation": 6,
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
        "labelLimit": 240 * WIDER,
    },
    "header": {"labelFontSize": TEXT, "titleFontSize": TEXT, "labelLimit": 240 * WIDER},
    "text": {"fontSize": TEXT, "color": INK},
    "mark": {"tooltip": None},
}

# What takes the place of each color where the room is dark; other colors read on both.
DARK = {
    PAPER: "#111111",
    INK: "#e6e9ec",
    MUTED: "#a9b1ba",
    RULE: "#3a4149",
    "#6b7785": "#93a0ad",
    "#b5bcc4": "#59636e",
    "#e7eaee": "#2c333a",
    "#8b949e": "#8b949e",
    "#0072B2": "#2b8fd0",
    "#A34100": "#ff9a5c",
}
