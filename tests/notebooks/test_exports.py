"""Notebooks handed on as html, docx and pdf keep their charts; marimo and plain scripts show charts and tables."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lab import CHROMIUM, CHROMIUM_FLAGS

import engagekit as ek

ROOT = Path(__file__).parents[2]
PAGES = ("03-cohort-curves", "04-diagnose", "06-prioritize")
SCRIPT = """
import marimo
app = marimo.App()

@app.cell
def _():
    import engagekit as ek
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    priority = ek.prioritize(journeys)
    return ek, journeys, priority

@app.cell
def _(ek, priority):
    ek.charts.loop(priority)

@app.cell
def _(ek, priority):
    ek.tables.loop(priority)

@app.cell
def _(priority):
    priority

@app.cell
def _(ek, journeys):
    ek.widgets.rule_thresholds(ek.Session("team"), journeys)
"""


def pictures(page):
    """The charts that a stored notebook shows, as bytes of png."""
    cells = json.loads((ROOT / "notebooks" / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    shown = [o["data"]["image/png"] for c in cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]  # fmt: skip
    assert shown
    return [base64.b64decode("".join(one)) for one in shown]


def as_html(page, folder):
    source = ROOT / "notebooks" / f"{page}.ipynb"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(source), "--output-dir", str(folder)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder / f"{page}.html"


def pandoc():
    if found := shutil.which("pandoc"):
        return found
    if importlib.util.find_spec("pypandoc") is None:
        return None
    import pypandoc

    return pypandoc.get_pandoc_path()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_word_gets_every_chart_as_a_picture(tmp_path, page):
    command = pandoc()
    if command is None:
        pytest.skip("pandoc is not installed (uv sync --group exports)")
    target = tmp_path / "page.docx"
    source = ROOT / "notebooks" / f"{page}.ipynb"
    subprocess.run([command, str(source), "-o", str(target)], check=True, capture_output=True, timeout=120)  # fmt: skip
    with zipfile.ZipFile(target) as docx:
        kept = {hashlib.sha256(docx.read(n)).digest() for n in docx.namelist() if "/media/" in n}
        text = docx.read("word/document.xml").decode()
    assert {hashlib.sha256(one).digest() for one in pictures(page)} == kept
    assert text.count("<pic:pic ") + text.count("<pic:pic>") == len(pictures(page))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("page", PAGES)
def test_html_and_pdf_show_every_chart(tmp_path, page):
    from playwright.sync_api import sync_playwright

    html = as_html(page, tmp_path)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        tab = browser.new_page(viewport={"width": 1100, "height": 900}, offline=True)
        tab.goto(html.as_uri())
        wide = "[...document.querySelectorAll('[data-engagekit-chart] img, [data-engagekit-chart] svg')].filter(i => i.getBoundingClientRect().width > 200).length"
        tab.wait_for_function(f"{wide} >= {len(pictures(page))}", timeout=20_000)
        printed = tab.pdf(format="A4", print_background=True)
        tab.emulate_media(media="print")
        on_paper = tab.evaluate(wide)
        without = tab.evaluate("document.querySelectorAll('[data-engagekit-chart]').forEach(e => e.remove())")  # fmt: skip
        bare = tab.pdf(format="A4", print_background=True)
        browser.close()
    assert without is None
    assert on_paper >= len(pictures(page))
    assert printed.startswith(b"%PDF")
    assert len(printed) > len(bare) + 2000 * len(pictures(page))  # what the charts draw


@pytest.mark.thorough
def test_outside_of_jupyter_controls_say_where_they_work(tmp_path):
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    session = ek.Session(tmp_path / "team")
    for shown in (ek.widgets.rule_thresholds(session, journeys), ek.widgets.linked_chart(session, journeys, "diagnosis")):  # fmt: skip
        assert "work in Jupyter only" in repr(shown)
        assert "Slider" not in repr(shown)
        assert shown._repr_html_().count("Controls work in Jupyter only; engagekit lab opens it.") == 1  # fmt: skip


@pytest.mark.slow
def test_marimo_shows_charts_tables_and_what_controls_need(tmp_path):
    if importlib.util.find_spec("marimo") is None:
        pytest.skip("marimo is not installed (uv sync --group exports)")
    (tmp_path / "page.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "marimo", "export", "ipynb", "page.py", "-o", "page.ipynb", "--include-outputs"]  # fmt: skip
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(command, check=True, capture_output=True, timeout=300, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths})  # fmt: skip
    cells = json.loads((tmp_path / "page.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [o for cell in cells for o in cell.get("outputs", [])]
    assert {o["output_type"] for o in outputs} <= {"display_data", "execute_result"}
    chart, table, sentence, panel = [{k: "".join(v) for k, v in o["data"].items()} for o in outputs]  # fmt: skip
    assert chart["image/png"]
    assert "<table" in table["text/html"]
    assert "Momentum breaks earliest" in sentence["text/html"]
    assert panel["text/html"].count("Controls work in Jupyter only") == 1
    assert "Slider" not in panel["text/html"]
