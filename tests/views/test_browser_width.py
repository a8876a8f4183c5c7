"""Charts as wide as their page, whatever their headings: drawn in a browser, without a notebook."""

from __future__ import annotations

import pytest
from chart_cases import ALL, PLAIN
from lab import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; .ci/run installs it"),
]
# The room, the drawing without its heading, headings line by line, and words that were cut off.
SEEN = """() => {
    const box = document.querySelector('[data-engagekit-chart]'), svg = box.querySelector('svg.marks');
    const inner = Array.from(svg.querySelectorAll('text, path, line, rect')).filter(node => !node.closest('.role-title'))
        .map(node => node.getBoundingClientRect()).filter(b => b.width || b.height);
    const shown = Array.from(svg.querySelectorAll('text')).filter(t => t.getAttribute('opacity') !== '0');
    return {
        room: box.clientWidth,
        right: Math.max(...inner.map(b => b.right)) - box.getBoundingClientRect().left,
        lines: Array.from(svg.querySelectorAll('.role-title-text tspan')).map(t => t.textContent),
        cut: shown.map(t => t.textContent).filter(t => t.endsWith('\u2026')),
        sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    };
}"""


def seen(browser, folder, name, width):
    (folder / "chart.html").write_text(ALL[name]()[0].to_html(), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((folder / "chart.html").as_uri())
    page.wait_for_selector("[data-engagekit-chart][data-drawn=live] svg.marks", timeout=20_000)
    found = page.evaluate(SEEN)
    page.close()
    return found


@pytest.mark.parametrize("width", [1000, 1600])
@pytest.mark.parametrize("name", PLAIN)
def test_a_chart_fills_its_page_however_long_its_heading(browser, tmp_path, name, width):
    found = seen(browser, tmp_path, name, width)
    assert found["room"] - 110 <= found["right"] <= found["room"] + 1
    assert found["sideways"] <= 0
    assert found["cut"] == []


def test_a_heading_is_broken_into_lines_about_as_long_as_each_other(browser, tmp_path):
    found = seen(browser, tmp_path, "loop", 620)
    assert len(found["lines"]) > 1
    assert min(map(len, found["lines"])) > 0.5 * max(map(len, found["lines"]))
