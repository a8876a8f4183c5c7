"""The notebooks as people meet them: in JupyterLab, in a browser, by keyboard, with no internet."""

from __future__ import annotations

import hostile
import pytest
from lab import CHROMIUM, lab

import engagekit as ek
from engagekit.views.offline import export_html
from engagekit.workshop import compare, notebooks_folder, start

pytest.importorskip("jupyterlab")
pytest.importorskip("playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; .ci/run installs it"),
]

NAMES = sorted(path.stem for path in notebooks_folder().glob("*.ipynb"))
SAID = ".engagekit-text"
WORDS = (
    "() => Array.from(window.panel.node.querySelectorAll('.engagekit-text')).map(p => p.innerText)"
)
# Those that are outputs; what a widget draws itself is tested with its marks.
CHARTS = "() => Array.from(window.panel.node.querySelectorAll('[data-engagekit-chart]')).filter(c => !c.closest('.engagekit-desk')).map(c => c.dataset.drawn || 'not')"
WIDE = """() => Array.from(window.panel.node.querySelectorAll('.jp-OutputArea-output, .jp-MarkdownOutput'))
    .filter(area => area.scrollWidth > area.clientWidth + 1).map(area => area.innerText.slice(0, 60))"""
# The value of every control, what a ballot hides excepted.
STATES = """() => Array.from(window.panel.node.querySelectorAll('.jp-OutputArea .widget-inline-hbox')).map(row => {
    const handle = row.querySelector('.noUi-handle');
    const field = row.querySelector('input:not([type=password]), select, textarea');
    return handle ? handle.getAttribute('aria-valuenow') : !field ? null
        : field.multiple ? Array.from(field.selectedOptions).map(o => o.value).join() : field.value;
})"""
KIND = "c => c.classList.contains('noUi-handle') ? 'slider' : c.tagName === 'SELECT' ? 'list' : c.tagName"
AT_THE_END = "c => c.tagName === 'SELECT' ? c.selectedIndex === c.options.length - 1 : c.getAttribute('aria-valuenow') === c.getAttribute('aria-valuemax')"
HOLDS_A_DAY = r"c => /^\d{4}-\d\d-\d\d/.test(c.value || c.placeholder)"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def room(place):
    """Open one server and one browser for all notebooks; each notebook has a team's folder of its own."""
    start(place / "ws", teams=NAMES)
    hostile.workshop(place / "ws" / "hostile")
    (place / "home").mkdir()
    with lab(place / "ws", place / "home") as opened:
        yield opened


def run_all(room) -> int:
    """Run every cell without error, warning or print; wait until every chart is alive, and count them."""
    outputs = [output for cell in room.run_all(seconds=240) for output in cell["outputs"]]
    assert [o for o in outputs if o["output_type"] in {"error", "stream"}] == []
    pages = ["".join(o.get("data", {}).get("text/html", "")) for o in outputs]
    drawn = sum(page.startswith('<div id="engagekit-') for page in pages)
    wait(
        room,
        f"() => {{ const c = ({CHARTS})(); return c.length === {drawn} && c.every(x => x === 'live'); }}",
    )
    return drawn


def wait(room, condition: str) -> None:
    room.page.wait_for_function(condition, timeout=40_000)


def controls(room):
    """Find every control that changes words by itself; a ballot's do when a vote is cast, a step's when it is added: (panel, control)."""
    areas = room.output()
    found = []
    for number in range(areas.count()):
        area = areas.nth(number)
        if area.locator(SAID).count() and not area.locator("input[type=password]").count():
            fields = area.locator(
                ".noUi-handle, select:not(.engagekit-search select), textarea, input[type=text]"
            )
            found += [(area, fields.nth(k)) for k in range(fields.count())]
    return found


def use(room, control) -> None:
    """Change a control with keys alone."""
    kind, keys = control.evaluate(KIND), room.page.keyboard
    control.focus()
    if kind in {"slider", "list"}:
        back, on = ("Home", "End") if kind == "slider" else ("ArrowUp", "ArrowDown")
        keys.press(back if control.evaluate(AT_THE_END) else on)
    else:
        day = control.evaluate(HOLDS_A_DAY)
        keys.press("Control+A")
        keys.type("2025-10-15" if day else "written by keyboard")
        keys.press("Tab")


def changes_the_words(room, area, control) -> None:
    said = area.locator(SAID)
    before = said.inner_text()
    use(room, control)
    for _ in range(150):
        room.page.wait_for_timeout(100)
        if (now := said.inner_text()) != before:
            break
    else:
        now = before
    if now != before:
        if "write a date" in now:  # and so that the page's other controls have something to say
            control.fill("2025-11-03")
            control.press("Enter")
            room.page.wait_for_timeout(3000)
            assert "write a date" not in said.inner_text()
        return
    what = control.evaluate("c => c.closest('.widget-inline-hbox').innerText")
    raise AssertionError(f"the words beside {what!r} stayed: {before!r}")


def vote(room) -> None:
    """Vote, and see the verdict come out from under its cover; by keyboard alone, moving on with Tab."""
    ballot = room.output().filter(has=room.page.locator("input[type=password]"))
    said, keys = ballot.locator(SAID), room.page.keyboard
    assert said.inner_text() == "No votes yet."
    for name, number in (("Ada", "2"), ("Ben", "5")):
        ballot.locator("input[type=text]").focus()
        for typed in (name, number):
            keys.type(typed)
            keys.press("Tab")
        keys.press("Enter")
        wait(room, f"() => ({WORDS})().some(text => text.includes('{name}'))")
    assert said.inner_text() == "2 votes in, masked until revealed: Ada, Ben."
    assert sum(text.startswith("Covered") for text in room.page.evaluate(WORDS)) == 5
    keys.press("Tab")
    keys.press("Enter")
    wait(room, f"() => ({WORDS})().every(text => !text.startsWith('Covered'))")
    assert said.inner_text() == "2 votes:\nAda: Habit\nBen: None is broken"
    wait(room, f"() => ({CHARTS})().filter(x => x === 'live').length === 5")


OPENED = "() => Array.from(window.panel.node.querySelectorAll('[data-engagekit-opens]'))"
# The middle of a mark of the n-th chart that opens, where the mouse meets it.
MEETS = """n => {
    const chart = Array.from(window.panel.node.querySelectorAll('[data-engagekit-opens]'))[n];
    const node = chart.querySelector('[data-engagekit-mark]');
    node.scrollIntoView({block: 'center', inline: 'center'});
    const box = node.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
}"""
HEADS = "() => Array.from(window.panel.node.querySelectorAll('.engagekit-drawer:not([hidden]):not([aria-busy]) h4')).map(h => h.innerText)"


def marks_open(room) -> int:
    """Open a mark of each chart by mouse and one by keyboard, and shut them; count the charts that open."""
    charts = len(room.page.evaluate(f"() => ({OPENED})().map(c => c.id)"))
    for number in range(charts):
        room.page.mouse.click(*room.page.evaluate(MEETS, number))
        wait(room, f"() => ({HEADS})().length === 1")
        by_mouse = room.page.evaluate(HEADS)
        room.page.keyboard.press("Escape")
        wait(room, f"() => ({HEADS})().length === 0")
        room.page.keyboard.press("Enter")  # closing leads back to the mark
        wait(room, f"() => ({HEADS})().length === 1")
        assert room.page.evaluate(HEADS) == by_mouse
        room.page.keyboard.press("Escape")
        wait(room, f"() => ({HEADS})().length === 0")
    return charts


# How many charts of a page open before anything is voted on.
OPEN_CHARTS = {
    "00-start-here": 3, "01-define-success": 3, "02-check-the-log": 1, "03-cohort-curves": 3, "04-diagnose": 3, "05-first-two-weeks": 1,
    "06-prioritize": 1, "07-plan": 1, "08-weekly-review": 1, "09-monthly-review": 2, "facilitator-guide": 1, "real-data": 6,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_works_by_keyboard_and_remembers_all_after_a_restart(room, name):
    room.open(f"{name}/{name}.ipynb")
    assert run_all(room)
    assert room.page.evaluate(WIDE) == [], "nothing scrolls sideways"
    if name in OPEN_CHARTS:  # the marks of the cockpit have a test of their own
        wait(room, f"() => ({OPENED})().length === {OPEN_CHARTS[name]}")
        assert marks_open(room) == OPEN_CHARTS[name]
    if name == "06-prioritize":
        vote(room)
        wait(room, f"() => ({OPENED})().length === 3")
    for area, control in controls(room):
        # A log of one's own is not brought in again by running a page, so nothing of it is kept.
        if "Your log" not in area.inner_text():
            changes_the_words(room, area, control)
    said, states = room.page.evaluate(WORDS), room.page.evaluate(STATES)
    if any("Run this notebook again" in text for text in said):
        run_all(room)
        said = room.page.evaluate(WORDS)
    assert bool(said) is (name != "real-data")
    if said:
        room.restart()
        run_all(room)
        assert room.page.evaluate(STATES) == states
        assert room.page.evaluate(WORDS) == said
    room.close()
    assert (room.outside, room.dialogs) == ([], [])


@pytest.mark.parametrize("scripts", [True, False], ids=["live", "without scripts"])
def test_an_exported_notebook_reads_from_disk(room, place, scripts):
    name = "03-cohort-curves"  # as the test above left it
    export_html(place / "ws" / name / f"{name}.ipynb", place / f"{name}.html")
    context = room.page.context.browser.new_context(java_script_enabled=scripts, offline=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((place / f"{name}.html").as_uri())
    charts = page.locator("[data-engagekit-chart]")
    assert charts.count() >= 4
    if scripts:
        drawn = CHARTS.replace("window.panel.node", "document")
        page.wait_for_function(f"() => ({drawn})().every(x => x === 'live')")
    else:
        boxes = [charts.nth(k).locator("img").bounding_box() for k in range(charts.count())]
        assert min(box["height"] for box in boxes) > 100
    assert any("came back in" in text for text in page.locator(SAID).all_inner_texts())
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize(
    "name", ["01-define-success", "04-diagnose", "05-first-two-weeks", "06-prioritize", "07-plan"]
)
def test_hostile_names_stay_text_in_notebooks(room, place, name):
    folder = next((place / "ws" / "hostile").glob("*/session.json")).parent
    room.open(f"hostile/{folder.name}/{name}.ipynb")
    run_all(room)
    assert "window.__pwned=1" in room.text()
    assert room.page.evaluate("() => window.__pwned") is None
    assert room.output().locator("a[href^='javascript:']").count() == 0
    room.close()
    assert hostile.SECRET not in (folder / f"{name}.ipynb").read_text(encoding="utf-8")
    assert (room.outside, room.dialogs) == ([], [])


def test_hostile_names_stay_text_on_pages(room, place):
    folder = next((place / "ws" / "hostile").glob("*/session.json")).parent
    session = ek.Session(folder)
    pages = [session.export()[1], compare(folder.parent)]
    pages.append(ek.report(session.journeys(), place / "report.html", by="plan"))
    page = room.page.context.browser.new_page()
    page.on("dialog", lambda dialog: room.dialogs.append(dialog.message))
    for path in pages:
        page.goto(path.as_uri())
        assert "window.__pwned=1" in page.locator("body").inner_text()
        assert page.evaluate("() => window.__pwned") is None
        assert page.locator("a[href^='javascript:']").count() == 0
        assert hostile.SECRET not in path.read_text(encoding="utf-8")
    page.close()
    assert room.dialogs == []
