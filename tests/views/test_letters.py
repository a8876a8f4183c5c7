"""Pictures say how long their lines of text are, so that no font makes them run beyond the edge."""

from __future__ import annotations

import re
import shutil
from html import unescape

import pytest
from chart_cases import ALL, drawn

from engagekit.views import offline
from engagekit.views.letters import fitted

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FONT = "Liberation Sans"
# Widths of Helvetica per 1,000 units of size, which the renderer's own font keeps to.
WIDTHS = {"H": 722, "i": 222, "0": 556, "%": 889, " ": 278, "a": 556}


def text(words: str, size: int = 100, more: str = "") -> str:
    return f'<svg><text font-family="{FONT}" font-size="{size}px"{more}>{words}</text></svg>'


@pytest.mark.parametrize("words", ["Hi", "iiii", "00%", "a a"])
def test_a_length_is_the_sum_of_the_letters(words):
    (length,) = re.findall(r'textLength="([\d.]+)"', fitted(text(words)))
    assert float(length) == pytest.approx(sum(WIDTHS[c] for c in words) / 10, abs=1)


def test_bold_is_wider_and_size_counts():
    def length(drawing):
        return float(re.findall(r'textLength="([\d.]+)"', fitted(drawing))[0])

    plain = length(text("Habit"))
    assert length(text("Habit", more=' font-weight="bold"')) > plain * 1.02
    assert length(text("Habit", 20)) == pytest.approx(plain / 5, rel=0.02)


def test_signs_are_measured_as_they_are_read_and_left_as_they_are_written():
    made = fitted(text("a &amp; &lt;b&gt;"))
    assert ">a &amp; &lt;b&gt;</text>" in made
    assert re.findall(r'textLength="([\d.]+)"', made) == re.findall(r'textLength="([\d.]+)"', fitted(text("a &#38; &#60;b&#62;")))  # fmt: skip


def test_lines_are_measured_one_by_one_and_nothing_else_changes():
    lines = '<tspan>first line</tspan><tspan x="0" dy="19">iiii</tspan><tspan>x</tspan>'
    made = fitted(text(lines))
    assert len(re.findall("<tspan[^>]*textLength", made)) == 2
    assert "<text" in made
    assert re.sub(r' textLength="[\d.]+" lengthAdjust="spacingAndGlyphs"', "", made) == text(lines)
    assert fitted("<svg><path/></svg>") == "<svg><path/></svg>"
    assert fitted(text("")) == text("")


@pytest.mark.parametrize("name", ["loop", "heatmap", "diagnosis", "dumbbell"])
def test_every_line_of_a_chart_has_a_length(name):
    html = offline.chart_html(drawn(name)[0])
    picture = offline.base64.b64decode(re.search(r"svg\+xml;base64,([^\"]+)", html)[1]).decode()
    lines = re.findall(r"<(text|tspan)([^<>]*)>([^<]+)</", picture)
    assert len(lines) > 5
    assert [
        words for _, has, words in lines if len(unescape(words)) > 1 and "textLength" not in has
    ] == []


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)")
def test_in_a_wide_font_no_word_leaves_any_picture():
    playwright = pytest.importorskip("playwright.sync_api")
    outside = """() => { const svg = document.querySelector('svg'), box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter(t => t.textContent.trim() && t.getAttribute('opacity') !== '0').filter(t => {
            const b = t.getBoundingClientRect(); return b.left < box.left - 1 || b.right > box.right + 1; }).map(t => t.textContent) }"""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        ran_out = 0
        for name in ALL:
            plain = offline._svg(offline._source(drawn(name)[0]))
            for picture, whole in ((fitted(plain), True), (plain, False)):
                wide = re.sub(r'font-family="[^"]*"', 'font-family="DejaVu Sans"', picture)
                page.set_content(wide)
                found = page.evaluate(outside)
                assert not (whole and found), (name, found)
                ran_out += not whole and bool(found)
        assert ran_out > 5, "the check sees words that run out, where nothing holds them"
        browser.close()
