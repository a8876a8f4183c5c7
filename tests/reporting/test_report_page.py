"""The report's page as people open it: on a phone, in the dark, on paper, by keyboard and by ear."""

from __future__ import annotations

import re
import shutil

import pytest

import engagekit as ek
from engagekit.reporting.page import STYLE, anchor, page, section

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    return ek.report(journeys, tmp_path_factory.mktemp("report") / "report.html", by="plan")


@pytest.mark.thorough
def test_contents_lead_to_every_section_in_order(written):
    html = written.read_text(encoding="utf-8")
    links = re.findall(r'<li><a href="#([^"]+)">(.*?)</a></li>', html)
    sections = re.findall(r'<section id="([^"]+)" aria-label="([^"]+)"><h2>(.*?)</h2>', html)
    assert links == [(name, title) for name, title, _ in sections]
    assert [title for _, title, heading in sections if title != heading] == []
    assert len(dict(links)) == len(links) == html.count("<h2>") > 8
    assert "How such claims came out here" in [title for _, title in links]


def test_landmarks_are_there_once(written):
    html = written.read_text(encoding="utf-8")
    for tag in ("header", "nav", "main", "footer", "h1", "title"):
        assert len(re.findall(rf"<{tag}[ >]", html)) == 1, tag
    assert '<html lang="en">' in html
    assert html.count("<svg ") == html.count('<svg role="img" aria-label=')


def luminance(color: str) -> float:
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)] if len(color) == 7 else [int(c * 2, 16) / 255 for c in color[1:]]  # fmt: skip
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colors_can_be_read_by_day_and_night():
    themes = re.findall(r":root\{([^}]*)\}", STYLE)
    assert len(themes) == 2
    for theme in themes:
        colors = dict(re.findall(r"--(\w+):(#\w+)", theme))
        for name in ("ink", "quiet", "link"):
            dark, light = sorted((luminance(colors[name]), luminance(colors["paper"])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def test_names_of_groups_make_inert_anchors():
    made = section("By &lt;b&gt; &amp; co", "", "x")
    assert '<section id="by-b-co" aria-label="By &lt;b&gt; &amp; co">' in made
    assert anchor("&amp;") == "section"
    assert section("Empty", "lead", "") == ""
    assert '<a href="#by-b-co">By &lt;b&gt; &amp; co</a>' in page("t", [], [made], "f")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)")
def test_nothing_makes_the_page_scroll_sideways_and_dark_is_dark(written):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width in (320, 390, 800, 1400):
            opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark")
            opened.goto(written.as_uri())
            opened.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
        paper = "getComputedStyle(document.body).backgroundColor"
        assert opened.evaluate(paper) == "rgb(20, 24, 29)"
        opened.emulate_media(media="print", color_scheme="dark")
        assert opened.evaluate(paper) == "rgb(255, 255, 255)"
        assert opened.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
        browser.close()


def test_differences_of_a_test_stand_in_points_with_their_sign(written):
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    html = written.read_text(encoding="utf-8")
    part = html.split('aria-label="The test"')[1].split("</section>")[0]
    found = ek.experiment(journeys, link="activation").guardrails.drop_nulls("difference")
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", part)
    for row in found.iter_rows(named=True):
        for name in ("difference", "low", "high"):
            points = round(100 * row[name], 1)
            assert (f"{points:+.1f}" if points else "0.0") in cells
    assert "-0.0" not in cells
    assert not {"True", "False"} & set(cells)
    assert "difference, points" in part
