"""Charts that need no internet: live in JupyterLab and in exported pages, a picture and a table where scripts are off.

One cell holds the drawing scripts for a whole notebook. Each chart carries its specification, its picture and its
numbers, so it reads in every viewer, and comes alive wherever that one cell has run.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagekit._base import in_html, table_in_html, write_whole
from engagekit.errors import ParameterError
from engagekit.views.letters import fitted
from engagekit.views.looks import DARK

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

RENDERER = "engagekit"
_NOTHING_FROM_OUTSIDE = dict.fromkeys(
    ("require_js_url", "mathjax_url", "jquery_url", "mermaid_js_url", "widget_renderer_url"), ""
)

_DRAW = Path(__file__).with_name("draw.js")


def use_offline_charts() -> None:
    """Make the charts of this notebook live, without internet; call it once, in a cell of its own.

    Parameters
    ----------
    None

    Returns
    -------
    None
        The cell's output holds the drawing scripts, about 0.9 MB. Tag that cell ``nbval-ignore-output`` and strip
        its output before sharing the notebook's source: charts then show as pictures until the cell runs again.

    Notes
    -----
    The charts of `engagekit.charts` never ask for anything from the internet, with or without this call: without it
    they are pictures. With it, altair charts of your own are drawn in the same way until another renderer is enabled.

    Exported as HTML with this output inside, the charts are live from disk.

    Examples
    --------
    >>> use_offline_charts()  # doctest: +SKIP
    """
    from IPython.display import HTML, display

    enable_renderer()
    display(HTML(setup_html()))  # type: ignore[no-untyped-call]


def enable_renderer() -> None:
    """Let altair hand charts to this renderer from now on, without showing anything."""
    import altair as alt

    if RENDERER not in alt.renderers.names():
        alt.renderers.register(RENDERER, mimebundle)
    alt.renderers.enable(RENDERER)


def setup_html() -> str:
    """Return the scripts that make charts live, as one piece of HTML."""
    ready = "<p>Charts are drawn on this computer, without internet.</p>"
    return f"{ready}{_scripts()}"


def _scripts() -> str:
    return f"<script>{drawing_script()}</script>"


@functools.cache
def drawing_script() -> str:
    """Return what draws the charts of a page: Vega and its kin, and how we want to see them drawn."""
    import vl_convert

    # A name of our own, so that another Vega on the page is neither used nor replaced.
    bundle = vl_convert.javascript_bundle("window.engagekitEmbed = vegaEmbed;")
    parts = {"__BUNDLE__": bundle, "__DARK__": json.dumps(DARK)}
    frame = _DRAW.read_text(encoding="utf-8")
    written = re.sub("__[A-Z]+__", lambda found: parts[found[0]], frame)
    return written.replace("</script", "<\\/script")


def mimebundle(spec: Mapping[str, Any], **_: Any) -> dict[str, str]:
    """Turn a chart's specification into what a notebook stores: HTML, a picture, and its description as text.

    The picture is for whatever takes no HTML from a notebook: GitHub's preview, PDF, Word, slides.
    """
    return {
        "text/html": chart_html(spec),
        "image/png": base64.b64encode(png(spec, scale=1)).decode(),
        "text/plain": description(spec),
    }


def chart_html(spec: Mapping[str, Any]) -> str:
    """Write a chart as HTML: its picture, its specification, its numbers; the same for the same specification."""
    source = _source(spec)
    # What is invisible in it carries tooltips, which a picture does not have.
    seen = re.sub(r'<path [^<>]*\bopacity="0"/>', "", _fitted(source))
    picture = base64.b64encode(seen.encode()).decode()
    # The colors of JupyterLab, where it is one, light or dark; anywhere else ink on white.
    box = "background:var(--jp-layout-color0,#fff);color:var(--jp-ui-font-color0,#1b1f24);max-width:100%;overflow-x:auto"
    return "\n".join(
        [
            f'<div id="{identity(spec)}" data-engagekit-chart role="figure" aria-label="{in_html(title(spec) or description(spec))}" style="{box}">',
            f'<img alt="{in_html(description(spec))}" src="data:image/svg+xml;base64,{picture}" style="max-width:100%">',
            f'<script type="application/json">{source}</script>',
            "".join(map(table_html, _tables(spec))),
            "<script>if (window.engagekitDraw) { window.engagekitDraw(); }</script>",
            "</div>",
        ]
    )


def page_html(spec: Mapping[str, Any]) -> str:
    """Write a chart as a page of its own, that is allowed to ask nothing of anybody."""
    rules = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{rules}">'
    name = in_html(title(spec) or description(spec))
    body = alone_html(spec)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}<title>{name}</title></head>\n<body>\n{body}\n</body></html>\n'


def alone_html(spec: Mapping[str, Any]) -> str:
    """Write a chart as a piece of HTML that brings its own drawing scripts."""
    return f"{chart_html(spec)}\n{_scripts()}"


# Of an exported notebook: prompts and numbers dark enough to be read, links known by more than their color.
_READABLE = """
.jp-InputPrompt, .jp-OutputPrompt { color: #57606a !important; opacity: 1 !important; }
.highlight .mf, .highlight .mi { color: #060 !important; }
.jp-RenderedMarkdown a { text-decoration: underline !important; }
"""


def export_html(notebook: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Write a notebook with its outputs as one HTML file that asks nothing of the internet.

    Parameters
    ----------
    notebook
        The notebook file, with the outputs of its last run.
    path
        Where to write the page.

    Returns
    -------
    None
        Charts are live if the output of `use_offline_charts` is in the notebook, else pictures. Formulas and
        controls are not drawn: their scripts would have to come from elsewhere.

    Examples
    --------
    >>> export_html("workshop.ipynb", "workshop.html")  # doctest: +SKIP
    """
    import nbformat
    from nbconvert import HTMLExporter

    # Neither package says what types it takes.
    stored = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    exporter = HTMLExporter(**_NOTHING_FROM_OUTSIDE)  # type: ignore[no-untyped-call]
    page, _ = exporter.from_notebook_node(stored)
    page = page.replace("</head>", f"<style>{_READABLE}</style></head>", 1)
    write_whole(Path(path), page.replace('<script src=""></script>', "").encode())


def svg(chart: Any) -> str:
    """Draw a chart as SVG to stand in a page: with a name for screen readers, and ids no other chart has.

    Parameters
    ----------
    chart
        An altair chart.

    Returns
    -------
    str
        One ``<svg>`` element.
    """
    return svg_of(chart.to_dict())


def svg_of(spec: Mapping[str, Any]) -> str:
    """Draw a specification as `svg` draws a chart."""
    own = identity(spec)
    drawn = re.sub(
        r"<[^<>]*>",
        lambda tag: re.sub(r'(\bid="|url\(#|href="#)', rf"\1{own}-", tag[0]),
        _fitted(_source(spec)),
    )
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{in_html(description(spec))}" ', 1)


def width_of(spec: Mapping[str, Any]) -> float:
    """Say how wide a specification is when drawn, in pixels."""
    found = re.search(r'\bwidth="([\d.]+)"', _svg(_source(spec)))
    return float(found[1]) if found else 0.0


def png(spec: Mapping[str, Any], *, scale: float = 2) -> bytes:
    """Draw a specification as PNG: letters and all, so that it looks alike where other fonts are installed."""
    return _png(_source(spec), scale)


def title(spec: Mapping[str, Any]) -> str:
    """Return a chart's title on one line."""
    found = spec.get("title", "")
    found = found.get("text", "") if isinstance(found, dict) else found
    return " ".join(found) if isinstance(found, list) else str(found)


def description(spec: Mapping[str, Any]) -> str:
    """Return what a chart says in words: its description, else its title."""
    return str(spec.get("description") or title(spec) or "A chart without a title")


def identity(spec: Mapping[str, Any]) -> str:
    """Return the id of a chart: the same for the same specification."""
    return f"engagekit-{hashlib.sha256(_source(spec).encode()).hexdigest()[:12]}"


def chart_identity(chart: Any) -> str:
    """Return the id that a chart bears on a page."""
    return identity(chart.to_dict(context={"pre_transform": False}))


def _tables(spec: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Find the numbers of a chart, or of each chart it was joined of."""
    found = (spec.get("usermeta") or {}).get("engagekit") or []
    return found if isinstance(found, list) else [found]


def table_html(table: Mapping[str, Any]) -> str:
    """Write the numbers of a chart as a table that can be unfolded; every cell is inert text."""
    written = table_in_html(table["rows"], headers=table["headers"], texts=table["texts"])
    more = f"<p>and {table['more']} more rows</p>" if table.get("more") else ""
    return f"<details><summary>The same numbers as a table</summary>{written}{more}</details>"


def _source(spec: Mapping[str, Any]) -> str:
    """Write a specification so that nothing in it can end the script it stands in."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@functools.lru_cache(maxsize=64)
def _svg(source: str) -> str:
    import vl_convert

    try:
        drawn: str = vl_convert.vegalite_to_svg(source, allowed_base_urls=[])
    except ValueError as error:
        said = " ".join(str(error).split("\n    at ")[0].split())
        raise ParameterError(
            f"This chart cannot be drawn: {said}. Charts are drawn without internet, so all that they show must be in them."
        ) from error
    return drawn


@functools.lru_cache(maxsize=64)
def _fitted(source: str) -> str:
    return fitted(_svg(source))


@functools.lru_cache(maxsize=64)
def _png(source: str, scale: float) -> bytes:
    import vl_convert

    return _smaller(vl_convert.svg_to_png(_svg(source), scale=scale))


def _smaller(picture: bytes) -> bytes:
    """Pack the points of a PNG as tightly as zlib can: the renderer is quick about it, and four times as large."""
    at, points = 8, b""
    before, after = [picture[:8]], list[bytes]()
    while at < len(picture):
        end = at + 12 + int.from_bytes(picture[at : at + 4], "big")
        kind = picture[at + 4 : at + 8]
        if kind == b"IDAT":
            points += picture[at + 8 : end - 4]
        else:
            (after if points else before).append(picture[at:end])
        at = end
    body = b"IDAT" + zlib.compress(zlib.decompress(points), 9)
    packed = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return b"".join([*before, packed, *after])
