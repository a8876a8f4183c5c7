"""Every mark of every chart opened in a browser, by mouse and by keyboard; nothing leaves the machine or is saved."""

from __future__ import annotations

import json
import re
import shutil

import nbformat
import pytest
from lab import CHROMIUM, lab

import engagekit as ek
from engagekit.journeys import MIN_GROUP
from engagekit.widgets.behind import OF_EVENTS, OPENINGS, behind
from engagekit.workshop import notebooks_folder

pytest.importorskip("jupyterlab")
pytest.importorskip("playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; .ci/run installs it"),
]

OPTIONS = {
    "heatmap": {"period": "month", "most": 9},
    "curve": {"period": "month"},
    "lifecycle": {"period": "month", "as_of": "2026-01-01"},
    "stickiness": {"period": "month", "as_of": "2026-01-01"},
    "funnel": {"steps": ["signed_up", "connect_done", "first_project"], "as_of": "2026-01-01"},
}
OPEN = ".jp-NotebookPanel:not(.lm-mod-hidden)"
SETUP = "import engagekit as ek\n\nek.use_offline_charts()"
MARKS = """name => Array.from(document.querySelectorAll('[data-chart-under-test] svg.marks [data-engagekit-mark]')).map(node => {
    const box = node.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
    return {mark: Number(node.dataset.engagekitMark), said: node.getAttribute('aria-label'), count: node.__data__.datum.count || null};
})"""
# Where the mouse meets a mark and nothing over it; null where others lie over all of it.
WHERE = """mark => {
    const svg = document.querySelector('[data-chart-under-test] svg.marks');
    for (const node of svg.querySelectorAll('*')) {
        const item = node.__data__;
        if (!item || !item.datum || item.datum.mark !== mark || ['line', 'area'].includes(item.mark.marktype)) { continue; }
        if (node.tagName !== 'path' && node.tagName !== 'text' && node.tagName !== 'line' && node.tagName !== 'rect') { continue; }
        node.scrollIntoView({block: 'center', inline: 'center'});
        const box = node.getBoundingClientRect();
        for (const [u, v] of [[.5, .5], [.15, .5], [.85, .5], [.5, .15], [.5, .85]]) {
            const x = box.left + u * box.width, y = box.top + v * box.height;
            const met = document.elementFromPoint(x, y);
            if (met && met.__data__ && met.__data__.datum && met.__data__.datum.mark === mark
                && !['line', 'area'].includes(met.__data__.mark.marktype)) { return [x, y]; }
        }
    }
    return null;
}"""
MIDDLE = """mark => {
    const node = document.querySelector(`[data-chart-under-test] [data-engagekit-mark="${mark}"]`);
    node.scrollIntoView({block: 'center', inline: 'center'});
    const box = node.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
}"""
DRAWER = """() => {
    const drawer = document.querySelector('[data-drawer-under-test] .engagekit-drawer');
    const head = drawer && drawer.querySelector('h4');
    if (!head || drawer.hidden || drawer.hasAttribute('aria-busy')) { return null; }
    return {head: head.innerText, count: Number(head.dataset.count), status: drawer.querySelector('[role=status]').innerText,
        timelines: drawer.querySelectorAll('.engagekit-timeline svg.marks').length, text: drawer.innerText};
}"""


def notebook(folder, name, cells):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(made, folder / f"{name}.ipynb")


def call(name):
    more = {"events": None} if name in OF_EVENTS else {}
    said = ", ".join(f"{key}={value!r}" for key, value in (more | OPTIONS.get(name, {})).items())
    said = said.replace("events=None", "events=session.events()")
    return f"ek.widgets.linked_chart(session, journeys, {name!r}{', ' if said else ''}{said})"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    place = tmp_path_factory.mktemp("marks")
    (place / "ws").mkdir()
    (place / "home").mkdir()
    begin = 'session = ek.Session(".")\njourneys = session.journeys()'
    notebook(place / "ws", "all", [SETUP, begin, *[call(name) for name in OPENINGS]])
    shown = 'session = ek.Session(".", show_ids=True)\njourneys = session.journeys()'
    notebook(place / "ws", "ids", [SETUP, shown, call("diagnosis")])
    shutil.copy(notebooks_folder() / "cockpit.ipynb", place / "ws")
    with lab(place / "ws", place / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def sample():
    log = ek.load_sample()
    return log, ek.rollup(log.events, log.definition, users=log.users, as_of=log.as_of)


@pytest.fixture(scope="module")
def user_ids(sample):
    return {str(user) for user in sample[1].users["user_id"]}


def run_all(room):
    outputs = [output for cell in room.run_all(seconds=240) for output in cell["outputs"]]
    assert [o for o in outputs if o["output_type"] in {"error", "stream"}] == []


def chart_under_test(room, number):
    """Look at one chart of the page, and at the drawer that belongs to it."""
    room.page.wait_for_function(f"() => window.panel.node.querySelectorAll('[data-engagekit-opens]').length > {number}", timeout=60_000)  # fmt: skip
    room.page.evaluate(
        """number => {
            document.querySelectorAll('[data-chart-under-test], [data-drawer-under-test]').forEach(each => {
                each.removeAttribute('data-chart-under-test'); each.removeAttribute('data-drawer-under-test'); });
            const chart = Array.from(window.panel.node.querySelectorAll('[data-engagekit-opens]'))[number];
            chart.setAttribute('data-chart-under-test', '');
            (chart.closest('.engagekit-chart') || chart.closest('.jp-Cell')).setAttribute('data-drawer-under-test', '');
        }""",
        number,
    )
    return room.page.evaluate(MARKS)


def drawn(room, before=None):
    """Wait for what the drawer says once it is whole."""
    for _ in range(400):
        found = room.page.evaluate(DRAWER)
        if found and found["head"] != before:
            return found
        room.page.wait_for_timeout(25)
    raise AssertionError(f"no drawer opened, or it still says {before!r}")


def shut(room):
    room.page.keyboard.press("Escape")
    room.page.wait_for_function("() => document.querySelector('[data-drawer-under-test] .engagekit-drawer').hidden")  # fmt: skip


def is_right(found, mark, counts):
    assert found["count"] == counts[mark["mark"]], mark
    if mark["count"]:  # what the chart itself says of the mark
        assert found["count"] == int(re.match(r"[\d,]+", mark["count"])[0].replace(",", ""))
    few = found["count"] < MIN_GROUP
    assert (found["timelines"] == 3) != few
    assert bool(found["status"]) == few


@pytest.fixture(scope="module")
def opened(room):
    room.open("all.ipynb")
    run_all(room)
    return room


@pytest.mark.parametrize("name", OPENINGS)
def test_each_mark_opens_by_keyboard_and_by_mouse_on_as_many_users_as_the_chart_says(
    opened, sample, name
):
    log, journeys = sample
    events = {"events": log.events} if name in OF_EVENTS else {}
    counts = [row["n"] for row in behind(name, journeys, **events, **OPTIONS.get(name, {})).rows]
    marks = chart_under_test(opened, list(OPENINGS).index(name))
    assert len(marks) > 2
    for mark in marks:
        # By keyboard: the chart has one stop of the Tab key, from where arrows lead to each mark.
        node = opened.page.locator(
            f'[data-chart-under-test] [data-engagekit-mark="{mark["mark"]}"]'
        )
        node.focus()
        opened.page.keyboard.press("Enter")
        by_key = drawn(opened)
        is_right(by_key, mark, counts)
        shut(opened)
        spot = opened.page.evaluate(WHERE, mark["mark"])
        opened.page.mouse.click(*(spot or opened.page.evaluate(MIDDLE, mark["mark"])))
        found = drawn(opened)["head"]
        if spot is None and found != by_key["head"]:  # it lies under another one, or has no height
            others = opened.page.locator("[data-drawer-under-test] button").all()
            next(b for b in others if b.inner_text() == f"Also here: {by_key['head']}").click()
            found = drawn(opened, found)["head"]
        assert found == by_key["head"]
        shut(opened)


def test_tab_leads_into_a_chart_and_arrows_to_every_mark_of_it(opened):
    marks = chart_under_test(opened, list(OPENINGS).index("diagnosis"))
    stops = opened.page.locator('[data-chart-under-test] [tabindex="0"][data-engagekit-mark]')
    assert stops.count() == 1
    stops.first.focus()
    seen = set()
    for _ in marks:
        seen.add(opened.page.evaluate("() => Number(document.activeElement.dataset.engagekitMark)"))
        opened.page.keyboard.press("ArrowDown")
    assert seen == {mark["mark"] for mark in marks}
    points = chart_under_test(opened, list(OPENINGS).index("engagement_matrix"))
    opened.page.locator('[data-chart-under-test] [tabindex="0"][data-engagekit-mark]').focus()
    met = set()
    for _ in points:
        met.add(opened.page.evaluate("() => Number(document.activeElement.dataset.engagekitMark)"))
        opened.page.keyboard.press("PageDown")
    assert met == {mark["mark"] for mark in points}, "points lie in no rows"
    opened.page.keyboard.press("Home")
    opened.page.keyboard.press("Shift+Tab")
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("() => document.activeElement.dataset.engagekitMark") is not None


def test_the_rest_opens_too_and_closing_leads_back_to_the_mark(opened, sample):
    row = ek.prioritize(sample[1]).table.row(1, named=True)
    chart_under_test(opened, list(OPENINGS).index("loop"))
    node = opened.page.locator('[data-chart-under-test] [data-engagekit-mark="1"]')
    node.focus()
    opened.page.keyboard.press("Space")
    before = drawn(opened)
    opened.page.get_by_role("button", name="Those who did not").click()
    assert drawn(opened, before["head"])["count"] == row["of"] - row["n"]
    shut(opened)
    assert opened.page.evaluate("() => document.activeElement.dataset.engagekitMark") == "1"


def test_a_group_is_made_in_the_kernel(opened):
    chart_under_test(opened, list(OPENINGS).index("loop"))
    opened.page.locator('[data-chart-under-test] [data-engagekit-mark="0"]').focus()
    opened.page.keyboard.press("Enter")
    drawn(opened)
    opened.page.get_by_role("button", name="Make this a group").click()
    status = opened.page.locator("[data-drawer-under-test] [role=status]")
    opened.page.wait_for_function("() => /A group of/.test(document.querySelector('[data-drawer-under-test] [role=status]').innerText)")  # fmt: skip
    assert ".group" in status.inner_text()
    shut(opened)


def saved(room, name):
    room.page.evaluate("async () => { await window.panel.context.save(); }")
    return (room.folder / f"{name}.ipynb").read_text(encoding="utf-8")


def test_nothing_of_a_user_is_saved_and_nothing_left_the_machine(opened, user_ids):
    words = set(re.findall(r"[\w.@-]+", saved(opened, "all")))
    assert "Passed" in words or "users" in words
    assert words.isdisjoint(user_ids)
    assert (opened.outside, opened.dialogs) == ([], [])


def test_ids_and_csv_only_where_the_session_shows_them_and_never_in_the_file(
    room, sample, user_ids
):
    room.open("ids.ipynb")
    run_all(room)
    chart_under_test(room, 0)
    room.page.locator('[data-chart-under-test] [data-engagekit-mark="0"]').focus()
    room.page.keyboard.press("Enter")
    found = drawn(room)
    assert not set(re.findall(r"[\w.@-]+", found["text"])).isdisjoint(user_ids)
    with room.page.expect_download() as got:
        room.page.get_by_role("button", name="CSV").click()
    lines = got.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == found["count"] + 1
    assert {line.split(",")[0] for line in lines[1:]} <= user_ids
    assert set(re.findall(r"[\w.@-]+", saved(room, "ids"))).isdisjoint(user_ids)
    room.close()
    assert (room.outside, room.dialogs) == ([], [])


SCROLLS = """() => Array.from(window.panel.node.querySelectorAll('.jp-OutputArea-output, .engagekit-desk, [data-engagekit-chart]'))
    .filter(area => area.scrollWidth > area.clientWidth + 1).map(area => area.className)"""
EMPTY = """() => Array.from(window.panel.node.querySelectorAll('[data-engagekit-chart] svg.marks'))
    .map(svg => svg.getBoundingClientRect().width / svg.closest('[data-engagekit-chart]').clientWidth)"""
CUT = """() => Array.from(window.panel.node.querySelectorAll('svg.marks')).flatMap(svg => {
    const box = svg.closest('[data-engagekit-chart]').getBoundingClientRect();
    return Array.from(svg.querySelectorAll('text')).filter(t => t.textContent.trim() && t.getBoundingClientRect().width)
        .filter(t => { const r = t.getBoundingClientRect(); return r.left < box.left - 2 || r.right > box.right + 2; })
        .map(t => t.textContent); })"""
PAPER = r"""() => {
    let node = window.panel.node.querySelector('[data-engagekit-chart]');
    while (/, 0\)$|^transparent$/.test(getComputedStyle(node).backgroundColor)) { node = node.parentElement; }
    return getComputedStyle(node).backgroundColor;
}"""
INK = "() => getComputedStyle(window.panel.node.querySelector('svg.marks .mark-text text')).fill"


def bright(color):
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3


@pytest.mark.parametrize("width", [1280, 1920])
def test_the_cockpit_fills_the_page_follows_its_colors_and_opens(room, sample, width):
    room.page.set_viewport_size({"width": width, "height": 1000})
    room.open("cockpit.ipynb")
    run_all(room)
    room.page.wait_for_function("() => { const all = window.panel.node.querySelectorAll('.engagekit-desk [data-engagekit-chart]'); return all.length === 6 && Array.from(all).every(c => c.dataset.drawn === 'live'); }", timeout=60_000)  # fmt: skip
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        room.page.evaluate("async theme => { await window.jupyterapp.commands.execute('apputils:change-theme', {theme}); }", theme)  # fmt: skip
        room.page.wait_for_timeout(3_000)
        dark = theme.endswith("Dark")
        assert (bright(room.page.evaluate(PAPER)) < 80) == dark
        assert (bright(room.page.evaluate(INK)) > 150) == dark
        assert room.page.evaluate(SCROLLS) == []
        assert room.page.evaluate(CUT) == []
        assert min(room.page.evaluate(EMPTY)) > 0.8, "no empty half"
    said = room.page.locator(f"{OPEN} .engagekit-text").first
    before = said.inner_text()
    handle = room.page.locator(f"{OPEN} .noUi-handle").first
    handle.focus()
    at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    room.page.keyboard.press("Home" if at_end else "End")
    room.page.wait_for_function("before => window.panel.node.querySelector('.engagekit-text').innerText !== before", arg=before)  # fmt: skip
    room.page.wait_for_timeout(6_000)  # the charts are drawn anew after the words
    marks = chart_under_test(room, 0)
    assert len(marks) == 4
    room.page.locator('[data-chart-under-test] [data-engagekit-mark="1"]').focus()
    room.page.keyboard.press("Enter")
    assert drawn(room)["count"] == ek.prioritize(sample[1]).table["n"][1]
    room.close()
    assert (room.outside, room.dialogs) == ([], [])


def test_a_bar_dragged_asks_what_if(room):
    room.page.set_viewport_size({"width": 1280, "height": 900})
    room.open("cockpit.ipynb")
    run_all(room)
    chart_under_test(room, 0)
    said = room.page.locator(f"{OPEN} .engagekit-text").first
    before = said.inner_text()
    bar = room.page.locator('[data-chart-under-test] [data-engagekit-mark="0"]')
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    y = box["y"] + box["height"] / 2
    room.page.mouse.move(box["x"] + box["width"] - 3, y)
    room.page.mouse.down()
    room.page.mouse.move(box["x"] + 1.5 * box["width"], y, steps=6)
    room.page.mouse.up()
    room.page.wait_for_function("before => window.panel.node.querySelector('.engagekit-text').innerText !== before", arg=before)  # fmt: skip
    assert "With Activation at 6" in said.inner_text()
    assert room.page.evaluate("() => Array.from(window.panel.node.querySelectorAll('.engagekit-drawer')).every(d => d.hidden)"), "no click"  # fmt: skip
    kept = json.loads((room.folder / "session.json").read_text(encoding="utf-8"))
    assert kept["controls"]["cockpit"]["link"] == "activation"
    room.close()
