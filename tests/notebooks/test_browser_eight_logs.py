"""First page and verdict of eight logs in a browser: no error, every chart drawn, no words against the numbers beside them."""

from __future__ import annotations

import re

import pytest
from contradictions import contradictions, facts_of, in_code
from course_pages import LOGS, REAL, Said, own_pages, workshop
from lab import CHROMIUM, lab

import engagekit as ek

pytest.importorskip("jupyterlab")
pytest.importorskip("playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; .ci/run installs it"),
]

PAGES = ("00-start-here", "06-prioritize")
DRAWN = "() => Array.from(window.panel.node.querySelectorAll('[data-engagekit-chart]')).every(c => c.dataset.drawn === 'live')"
# What a reader sees: the text of pages as it stands, of code what it put out.
SEEN = """() => window.panel.content.widgets.map(cell => ({kind: cell.model.type,
    text: cell.model.type === 'code' ? cell.outputArea.node.innerText : cell.model.sharedModel.getSource()}))"""
# What JupyterLab writes where an output or a widget cannot be shown.
BROKEN = re.compile(r"Error displaying widget|Javascript Error|Failed to load model|Loading widget|Click to show")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("eight")


@pytest.fixture(scope="module")
def room(place):
    (place / "ws").mkdir()
    (place / "home").mkdir()
    with lab(place / "ws", place / "home") as opened:
        yield opened


def read(room, path: str, name: str) -> list[Said]:
    """Run a page from the top and read it, once all of it is drawn."""
    room.open(path)
    outputs = [output for cell in room.run_all(seconds=120) for output in cell["outputs"]]
    assert [o for o in outputs if o["output_type"] in {"error", "stream"}] == []
    room.page.wait_for_function(DRAWN, timeout=40_000)
    cells = room.page.evaluate(SEEN)
    room.close()
    return [Said(name, number, cell["kind"], cell["text"]) for number, cell in enumerate(cells)]


@pytest.mark.parametrize("log", LOGS)
def test_a_log_in_the_browser(room, place, request, log):
    shared = request.getfixturevalue("shared") if log in REAL else None
    team = workshop(log, place / "ws" / log.replace(" ", "-"), shared)
    session = ek.Session(team)
    session.vote("Ada", "habit")
    session.reveal()  # so that nothing on the page is covered
    facts = facts_of(session, session.journeys())
    folder = team.relative_to(place / "ws").as_posix()
    page = own_pages([said for name in PAGES for said in read(room, f"{folder}/{name}.ipynb", name)])  # fmt: skip
    shown = " ".join(said.text for said in page if said.kind == "code")
    assert re.sub(r"\s+", " ", facts.sentence) in re.sub(r"\s+", " ", shown)
    assert "Covered until" not in shown
    assert BROKEN.findall(shown) == []
    assert contradictions(page, facts) == []
    assert in_code(page) == []
    assert (room.outside, room.dialogs) == ([], [])
