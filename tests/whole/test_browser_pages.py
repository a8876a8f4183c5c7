"""What is handed on can be read by everyone: axe finds nothing on report, site, exported notebooks, record and comparison."""

from __future__ import annotations

from pathlib import Path

import pytest
import website
from lab import CHROMIUM

import engagekit as ek

axe = pytest.importorskip("axe_playwright_python")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
RULES = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PAGES = (
    "index.html", "handbook.html", "course.html", "gallery.html", "api/engagekit.html",
    "api/engagekit/charts.html", "notebooks/00-start-here.html", "notebooks/06-prioritize.html", "notebooks/cockpit.html",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("pages")
    website.build(made / "site")
    sample = ek.load_sample()
    log, definition = sample.events, sample.definition
    journeys = ek.rollup(log, definition, users=sample.users, as_of=sample.as_of)
    ek.report(journeys, made / "report.html", by="plan")
    from engagekit.workshop import compare, start

    for team in start(made / "ws", events=log, users=sample.users, definition=definition, as_of=sample.as_of, teams=["A", "B"]):  # fmt: skip
        session = ek.Session(team)
        session.note("Later", "words")
        session.vote("Ada", "habit")
        session.export()
    compare(made / "ws")
    return made


def violations(browser, path, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(path.as_uri())
    page.wait_for_timeout(500)
    page.evaluate(RULES)
    found = page.evaluate("() => axe.run()")
    page.close()
    assert found["passes"], "the rules were run"
    return [(rule["id"], [node["html"][:100] for node in rule["nodes"][:3]]) for rule in found["violations"]]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report.html", "ws/A/decision-record.html", "ws/compare.html", *(f"site/{page}" for page in PAGES)])  # fmt: skip
def test_nothing_stands_in_a_readers_way(browser, folder, name, scheme):
    assert violations(browser, folder / name, scheme) == []


def test_the_rules_find_what_is_wrong(browser, tmp_path):
    (tmp_path / "bad.html").write_text("<p style='color:#ccc'>pale</p><img src='x.png'>", "utf-8")
    found = {rule for rule, _ in violations(browser, tmp_path / "bad.html", "light")}
    assert {"color-contrast", "image-alt", "html-has-lang"} <= found
