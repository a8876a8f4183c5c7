from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import zlib
from configparser import RawConfigParser
from pathlib import Path

import altair as alt
import chart_frames as frames
import nbformat
import pytest
import vl_convert
from chart_cases import ALL, drawn

from engagekit import charts
from engagekit.views import offline

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "</script><script>window.bad = 1</script><img src=x onerror='window.bad = 2'>"
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)"
)


def sanitized(html):
    """Blank what the notebooks' check blanks."""
    rules = RawConfigParser()
    rules.read(Path(__file__).parents[1] / "nbval_sanitize.cfg", encoding="utf-8")
    for name in rules.sections():
        html = re.sub(rules[name]["regex"], rules[name]["replace"], html)
    return html


def hostile_chart():
    return charts.funnel(frames.funnel((HOSTILE, "basket", "pay")))


def test_a_chart_is_the_same_html_every_time():
    first, second = (offline.chart_html(charts.funnel(frames.funnel()).to_dict()) for _ in range(2))
    assert first == second


def test_other_numbers_have_another_id():
    free, pro = (
        offline.identity(charts.stickiness(frames.stickiness(s)).to_dict())
        for s in ((0.5, 0.5), (0.4, 0.6))
    )
    assert free != pro
    assert re.fullmatch(r"engagekit-[0-9a-f]{12}", free)


def test_nothing_in_a_name_ends_the_script_or_starts_a_tag():
    html = offline.chart_html(hostile_chart().to_dict())
    # Two scripts of ours, the specification and the call; one picture; no other tag from the name.
    assert len(re.findall(r"<script", html)) == 2
    assert len(re.findall(r"<img", html)) == 1
    source = re.search(r'<script type="application/json">(.*?)</script>', html)[1]
    assert json.loads(source) == json.loads(json.dumps(hostile_chart().to_dict()))


def test_the_picture_is_blanked_for_comparison_and_the_specification_kept():
    spec, _ = drawn("loop")
    html = offline.chart_html(spec)
    kept = sanitized(html)
    assert "base64" not in kept
    assert json.dumps(spec["title"]["text"][0])[1:-1] in kept
    other = offline.chart_html(charts.loop(frames.priority(probability=0.9)).to_dict())
    assert sanitized(other) != kept
    assert sanitized(f"a{offline.svg(charts.funnel(frames.funnel()))}b") == "aDRAWINGb"


def test_a_chart_carries_its_numbers_and_its_words():
    spec, table = drawn("diagnosis")
    html = offline.chart_html(spec)
    assert f'aria-label="{table.sheet.title}"' in html
    assert "<summary>The same numbers as a table</summary>" in html
    assert html.count("<tr>") == 1 + len(table.sheet.rows)
    assert offline.mimebundle(spec)["text/plain"] == spec["description"]


def test_a_chart_carries_a_png_for_whatever_takes_no_html():
    spec, _ = drawn("diagnosis")
    picture = base64.b64decode(offline.mimebundle(spec)["image/png"])
    size = [int.from_bytes(picture[at : at + 4], "big") for at in (16, 20)]
    raw = vl_convert.svg_to_png(offline._svg(offline._source(spec)), scale=1)
    assert size == [int.from_bytes(raw[at : at + 4], "big") for at in (16, 20)]
    assert points(picture) == points(raw)
    assert len(picture) < len(raw) / 2


def points(png: bytes) -> bytes:
    """Read a PNG's points as the format says, its checksums included."""
    at, found = 8, b""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == int.from_bytes(png[at + 8 + size : at + 12 + size], "big")
        found += body if kind == b"IDAT" else b""
        at += size + 12
    assert kind == b"IEND"
    return zlib.decompress(found)


def test_a_long_table_is_cut_and_says_so():
    chart = charts.lifecycle(frames.lifecycle(203), most=203)
    assert "and 3 more rows" in offline.chart_html(chart.to_dict())


def test_charts_of_ones_own_are_drawn_too():
    chart = alt.Chart(alt.InlineData(values=[{"a": 1}])).mark_point().encode(x="a:Q")
    html = offline.chart_html(chart.to_dict())
    assert 'aria-label=""' not in html
    assert "<details" not in html


def test_data_from_elsewhere_are_not_fetched():
    chart = alt.Chart("https://example.org/data.csv").mark_point().encode(x="a:Q")
    with pytest.raises(ValueError, match="not allowed"):
        offline.chart_html(chart.to_dict())


def test_svg_has_a_name_and_ids_of_its_own():
    heatmap = charts.heatmap(frames.curves())
    drawing = offline.svg(heatmap)
    own = offline.identity(heatmap.to_dict())
    ids = re.findall(r'\bid="([^"]+)"', drawing)
    assert ids
    assert all(found.startswith(own) for found in ids)
    assert all(found[5:].startswith(own) for found in re.findall(r"url\(#[^)]+", drawing))
    assert f'aria-label="{heatmap.to_dict()["description"][:20]}' in drawing
    assert not re.search(r'(href|src)="http', drawing)


def test_the_renderer_is_handed_to_altair():
    before = alt.renderers.active
    try:
        offline.enable_renderer()
        offline.enable_renderer()
        shown = charts.funnel(frames.funnel())._repr_mimebundle_()
        shown = shown[0] if isinstance(shown, tuple) else shown
        assert shown["text/html"] == offline.chart_html(charts.funnel(frames.funnel()).to_dict())
    finally:
        alt.renderers.enable(before)


def test_the_scripts_ask_for_nothing_and_end_where_they_should():
    page = offline.setup_html()
    assert page.count("<script") == page.count("</script>") == 1
    assert not re.search(r"\bimport\s*\(\s*[\"']http|<script[^>]+src=", page)
    assert len(page) < 1_000_000


def stored(*, scripts=True):
    """Make a notebook as a run stores it: the scripts last, so that charts before them come alive too."""

    def cell(source, bundle):
        found = nbformat.v4.new_code_cell(source, id=source)
        found.outputs = [nbformat.v4.new_output("display_data", data=bundle)]
        return found

    cells = [cell(f"chart-{k}", offline.mimebundle(c.to_dict())) for k, c in enumerate(shown())]
    setup = [cell("setup", {"text/html": offline.setup_html()})] if scripts else []
    return nbformat.v4.new_notebook(cells=[*cells[:2], *setup, *cells[2:]])


def shown():
    # The same chart twice, as a facilitator would; and one with a name that tries to break out.
    return [
        charts.loop(frames.priority()),
        charts.heatmap(frames.curves()),
        charts.loop(frames.priority()),
        hostile_chart(),
    ]


@pytest.fixture
def exported(tmp_path):
    def write(**how):
        nbformat.write(stored(**how), tmp_path / "book.ipynb")
        offline.export_html(tmp_path / "book.ipynb", tmp_path / "book.html")
        return tmp_path / "book.html"

    return write


def test_an_exported_page_names_no_script_from_outside(exported):
    html = exported().read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=\"?https?:", html)


@pytest.mark.slow
def test_strict_nbval_finds_the_same_charts_again(tmp_path):
    setup = nbformat.v4.new_code_cell("import engagekit as ek\nek.use_offline_charts()", id="setup")
    setup.metadata["tags"] = ["nbval-ignore-output"]
    draw = "import sys; sys.path.insert(0, {!r})\nimport chart_frames as f\nek.charts.loop(f.priority())"
    code = draw.format(str(Path(__file__).parents[1]))
    chart = nbformat.v4.new_code_cell(code, id="chart", execution_count=2)
    bundle = offline.mimebundle(charts.loop(frames.priority()).to_dict())
    # Another machine's picture, the same specification.
    bundle["text/html"] = re.sub(r"base64,[^\"]+", "base64,AAAA", bundle["text/html"])
    chart.outputs = [nbformat.v4.new_output("execute_result", data=bundle, execution_count=2)]
    table = nbformat.v4.new_code_cell("ek.tables.loop(f.priority())", id="table", execution_count=3)
    answer = drawn("loop")[1]
    data = {"text/html": answer._repr_html_(), "text/plain": repr(answer)}
    table.outputs = [nbformat.v4.new_output("execute_result", data=data, execution_count=3)]
    nbformat.write(nbformat.v4.new_notebook(cells=[setup, chart, table]), tmp_path / "book.ipynb")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    rules = Path(__file__).parents[1] / "nbval_sanitize.cfg"
    command = [
        sys.executable, "-m", "pytest", "-q", "-c", "pytest.ini", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env",
        f"--nbval-sanitize-with={rules}", "book.ipynb",
    ]  # fmt: skip
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed" in run.stdout, run.stdout[-3000:]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser, page_file, *, scripts):
    """Open a file with the network shut; return the page, what it asked for and what it complained of."""
    context = browser.new_context(
        viewport={"width": 860, "height": 900}, java_script_enabled=scripts
    )
    page, asked, wrong = context.new_page(), [], []
    page.on(
        "request",
        lambda r: asked.append(r.url) if not r.url.startswith(("file:", "data:")) else None,
    )
    page.on("pageerror", lambda e: wrong.append(str(e)))
    context.route("http*://**", lambda route: route.abort())
    page.goto(page_file.as_uri())
    return page, asked, wrong


@pytest.mark.browser
@needs_browser
def test_an_exported_page_is_live_from_disk(exported, browser):
    page, asked, wrong = opened(browser, exported(), scripts=True)
    page.wait_for_function("document.querySelectorAll('[data-drawn=live] svg.marks').length === 4")
    assert asked == []
    assert wrong == []
    assert page.evaluate("window.bad") is None
    assert page.locator("[data-engagekit-chart] > img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # A tooltip, as only a live chart has: hover the first bar.
    page.locator("[data-drawn=live]").first.locator(".mark-rect path").first.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "Activation" in page.locator("#vg-tooltip-element").inner_text()


@pytest.mark.browser
@needs_browser
def test_without_scripts_the_picture_and_the_table_show(exported, browser):
    page, asked, _ = opened(browser, exported(), scripts=False)
    pictures = page.locator("[data-engagekit-chart] > img")
    assert pictures.count() == 4
    assert all(
        p.bounding_box()["width"] > 300 and p.bounding_box()["height"] > 100 for p in pictures.all()
    )
    assert "earliest broken link" in pictures.first.get_attribute("alt")
    page.locator("summary").first.click()
    assert page.get_by_text("Habit (repeat value)").first.is_visible()
    assert asked == []


@pytest.mark.browser
@needs_browser
def test_without_the_setup_cell_pictures_stay(exported, browser):
    page, asked, wrong = opened(browser, exported(scripts=False), scripts=True)
    assert page.locator("[data-engagekit-chart] > img").count() == 4
    assert (asked, wrong) == ([], [])


def test_every_chart_can_be_written_as_html():
    for name in ("curve by", "dumbbell", "segments, hostile", "heatmap, empty"):
        assert name in ALL
        assert offline.chart_html(drawn(name)[0]).endswith("</div>")
