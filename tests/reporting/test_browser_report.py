"""The report on a phone, in the dark and on paper, as a browser shows it."""

from __future__ import annotations

import pytest
from lab import CHROMIUM

import engagekit as ek

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; .ci/run installs it"),
]
PAPER = 658  # pixels between the margins of A4
WORDS = """() => Array.from(document.querySelectorAll('figure svg')).filter(svg => svg.getBoundingClientRect().width).map(svg => {
    const box = svg.getBoundingClientRect(), size = box.width / svg.viewBox.baseVal.width;
    const texts = Array.from(svg.querySelectorAll('text')).filter(t => t.getAttribute('opacity') !== '0');
    const out = texts.filter(t => { const b = t.getBoundingClientRect(); return b.left < box.left - 1 || b.right > box.right + 1; });
    return {section: svg.closest('section').id, size, sideways: svg.closest('figure').scrollWidth - svg.closest('figure').clientWidth,
        cut: [...out, ...texts.filter(t => t.textContent.endsWith('\\u2026'))].map(t => t.textContent)};
})"""
WIDER = "room => Array.from(document.querySelectorAll('body *')).filter(e => e.getBoundingClientRect().right > room + 1).map(e => e.tagName + ' ' + e.textContent.slice(0, 40))"
FILLS = "() => Array.from(document.querySelectorAll('figure svg')).filter(svg => svg.getBoundingClientRect().width).map(svg => getComputedStyle(svg.querySelector('rect')).fill)"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    return ek.report(journeys, tmp_path_factory.mktemp("report") / "report.html", by="plan")


@pytest.fixture
def page(browser, report):
    opened = browser.new_page(viewport={"width": 390, "height": 844})
    opened.goto(report.as_uri())
    yield opened
    opened.close()


def test_on_a_phone_every_chart_is_whole_and_no_word_is_cut(page):
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    shown = page.evaluate(WORDS)
    assert len(shown) >= 10
    assert [chart for chart in shown if chart["cut"]] == []
    assert min(chart["size"] for chart in shown) >= 0.66  # letters of 14 pixels are 9 or more
    # A grid whose cells hold a share and a count has no room for both: it moves in its own box.
    assert {chart["section"] for chart in shown if chart["sideways"] > 0} <= {"by-quarter-of-sign-up"}  # fmt: skip


def test_in_the_dark_charts_are_no_white_slabs(page):
    page.emulate_media(color_scheme="dark")
    assert set(page.evaluate(FILLS)) == {"rgb(20, 24, 29)"}
    page.emulate_media(color_scheme="light")
    assert set(page.evaluate(FILLS)) == {"rgb(255, 255, 255)"}


def test_on_paper_nothing_stands_beyond_the_edge_and_colors_are_those_of_paper(page):
    page.set_viewport_size({"width": PAPER, "height": 986})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(WIDER, PAPER) == []
    assert set(page.evaluate(FILLS)) == {"rgb(255, 255, 255)"}
    assert all(chart["size"] > 0.5 for chart in page.evaluate(WORDS))
