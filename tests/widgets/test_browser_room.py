"""A room at work, in JupyterLab, in a browser: votes at typing speed, two notebooks at once, a decision, a restart."""

from __future__ import annotations

import json
import signal
from itertools import cycle

import pytest
from lab import CHROMIUM, lab

from engagekit.workshop import compare, start
from engagekit.workshop.session import Session

pytest.importorskip("jupyterlab")
pytest.importorskip("playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; .ci/run installs it"),
]

CHOICES = ("activation", "habit", "depth", "advocacy", "none", "undecided")
VOTERS = [f"Person {number:02d}" for number in range(40)]
KEY = 45  # milliseconds between keys: a fast typist
WORDS = (
    "() => Array.from(window.panel.node.querySelectorAll('.engagekit-text')).map(p => p.innerText)"
)
LINES = """() => Array.from(window.panel.node.querySelectorAll('.jp-OutputArea input[type=text], .jp-OutputArea select'))
    .map(field => field.value)"""
OLDER = "of an older definition"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    place = tmp_path_factory.mktemp("room")
    start(place / "ws", teams=["votes", "decides", "picks", "untouched", "dies"])
    (place / "home").mkdir()
    with lab(place / "ws", place / "home") as opened:
        yield opened


def stored(room, team: str) -> dict:
    return json.loads((room.folder / team / "session.json").read_text(encoding="utf-8"))


def until(room, holds, *, seconds: float = 30) -> None:
    for _ in range(int(seconds * 10)):
        if holds():
            return
        room.page.wait_for_timeout(100)
    raise AssertionError("it did not come about in time")


def run_all(room) -> None:
    outputs = [output for cell in room.run_all(seconds=240) for output in cell["outputs"]]
    assert [o for o in outputs if o["output_type"] in {"error", "stream"}] == []


def panel_with(room, selector: str):
    found = room.output().filter(has=room.page.locator(selector)).first
    found.scroll_into_view_if_needed()
    return found


def cast(room, name: str, number: int, *, by: str) -> None:
    """Type a vote as a facilitator does, and go on at once."""
    keys = room.page.keyboard
    keys.type(name, delay=KEY)
    keys.press("Tab" if by == "Tab" else "Enter")
    keys.type(str(number), delay=KEY)
    keys.press("Enter")


def test_forty_votes_at_typing_speed_are_stored_before_and_after_the_reveal(room):
    room.open("votes/06-prioritize.ipynb")
    run_all(room)
    ballot = panel_with(room, "input[type=password]")
    ballot.get_by_label("Name", exact=True).focus()
    wanted = {}
    for name, number, by in zip(VOTERS, cycle(range(1, 7)), cycle(["Tab", "Enter"]), strict=False):
        cast(room, name, number, by=by)
        wanted[name] = CHOICES[number - 1]
    until(room, lambda: stored(room, "votes")["votes"] == wanted)
    said = ballot.locator(".engagekit-text")
    until(room, lambda: said.inner_text().startswith("40 votes in, masked"))

    # The panels that follow take seconds; nobody waits for them.
    ballot.get_by_role("button", name="Reveal the votes").click()
    ballot.get_by_label("Name", exact=True).focus()
    for name, number in zip(VOTERS, cycle(range(6, 0, -1)), strict=False):
        cast(room, f"Late {name}", number, by="Enter")
        wanted[f"Late {name}"] = CHOICES[number - 1]
    until(room, lambda: stored(room, "votes")["votes"] == wanted)
    assert stored(room, "votes")["late"] == {"votes": sorted(f"Late {name}" for name in VOTERS)}

    # The same person again, in other letters: asked, and not taken before the answer.
    cast(room, "person 00", 5, by="Enter")
    question = ballot.get_by_text("Person 00 has voted already. Replace that vote?")
    question.wait_for()
    cast(room, "Zoe", 9, by="Enter")
    ballot.get_by_text("A vote needs a name, and the number of a choice.").wait_for()
    assert ballot.get_by_label("Name", exact=True).input_value() == "Zoe", (
        "what was refused stands there again"
    )
    ballot.get_by_role("button", name="Start over").click()
    ballot.get_by_role("button", name="Keep them").click()
    assert stored(room, "votes")["votes"] == wanted
    ballot.get_by_role("button", name="Replace it").click()
    until(room, lambda: stored(room, "votes")["votes"].get("person 00") == "none")
    assert len(stored(room, "votes")["votes"]) == 80

    room.restart()
    run_all(room)
    words = panel_with(room, "input[type=password]").locator(".engagekit-text").inner_text()
    assert words.startswith("80 votes:")
    assert (room.outside, room.dialogs) == ([], [])
    room.close()


FREEZE = """() => { window.panel.sessionContext.session.kernel.requestExecute(
    {code: 'import os, signal; os.kill(os.getpid(), signal.SIGSTOP)'}); }"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be frozen here")
def test_votes_for_a_kernel_that_dies_are_stored_by_the_next_one(room):
    room.open("dies/06-prioritize.ipynb")
    run_all(room)
    ballot = panel_with(room, "input[type=password]")
    ballot.get_by_label("Name", exact=True).focus()
    cast(room, "Ada", 1, by="Enter")
    until(room, lambda: stored(room, "dies")["votes"] == {"Ada": "activation"})
    room.page.evaluate(FREEZE)
    room.page.wait_for_timeout(1000)
    for name in ("Ben", "Cem", "Dan"):
        cast(room, name, 2, by="Enter")
    ballot.get_by_text("On its way, not stored yet: Ben, Cem, Dan").wait_for()
    assert stored(room, "dies")["votes"] == {"Ada": "activation"}
    room.restart()
    run_all(room)
    wanted = {"Ada": "activation", **dict.fromkeys(("Ben", "Cem", "Dan"), "habit")}
    until(room, lambda: stored(room, "dies")["votes"] == wanted)
    run_all(room)
    ballot = panel_with(room, "input[type=password]")
    assert ballot.get_by_text("has voted already").count() == 0, "none is sent twice"
    assert stored(room, "dies")["votes"] == wanted
    room.close()


def definition_of(room, team: str) -> str:
    return (room.folder / team / "definition.toml").read_text(encoding="utf-8")


def test_two_notebooks_at_once_keep_each_others_votes_and_say_that_they_are_older(room):
    room.open("picks/06-prioritize.ipynb")
    run_all(room)
    first = room.page.evaluate_handle("() => window.panel")
    room.open("picks/01-define-success.ipynb")
    run_all(room)
    targets = panel_with(room, "input[type=password]")
    targets.get_by_label("Name", exact=True).focus()
    keys = room.page.keyboard
    for name in ("Ada", "Ben"):
        keys.type(name, delay=KEY)
        keys.press("Enter")
        keys.type("45 40 55", delay=KEY)
        keys.press("Enter")
    until(room, lambda: set(stored(room, "picks")["controls"].get("target votes", {})) == {"Ada", "Ben"})  # fmt: skip

    picker = panel_with(room, ".engagekit-picker")
    before = (room.folder / "picks" / "definition.toml").read_text(encoding="utf-8")
    picker.get_by_label("Search events").fill("draft_s")
    picker.get_by_label("Advanced: draft_saved").check()
    until(room, lambda: "draft_saved" in (room.folder / "picks" / "definition.toml").read_text(encoding="utf-8").split("steps")[0])  # fmt: skip
    until(room, lambda: any(OLDER in text for text in room.page.evaluate(WORDS)))
    assert picker.locator("input:checked").count() == 1
    once = definition_of(room, "picks")
    picker.get_by_label("It begins with").select_option("opened")
    picker.get_by_label("It is completed by").select_option("draft_saved")
    picker.get_by_role("button", name="Add step").click()
    until(room, lambda: 'completed = "draft_saved"' in definition_of(room, "picks"))
    picker.get_by_role("button", name="Remove the step draft_saved").click()
    until(room, lambda: definition_of(room, "picks") == once)
    for _ in range(2):
        picker.get_by_role("button", name="Undo").click()
    until(room, lambda: definition_of(room, "picks") == once)

    second = room.page.evaluate_handle("() => window.panel")
    show = "panel => { window.panel = panel; window.jupyterapp.shell.activateById(panel.id); }"
    room.page.evaluate(show, first)
    until(room, lambda: OLDER in room.page.evaluate(WORDS)[0])
    ballot = panel_with(room, "input[type=password]")
    ballot.get_by_label("Name", exact=True).focus()
    cast(room, "Cem", 2, by="Enter")
    until(room, lambda: stored(room, "picks")["votes"] == {"Cem": "habit"})
    assert set(stored(room, "picks")["controls"]["target votes"]) == {"Ada", "Ben"}

    room.page.evaluate(show, second)
    picker.get_by_role("button", name="Undo").click()
    until(room, lambda: (room.folder / "picks" / "definition.toml").read_text(encoding="utf-8") == before)  # fmt: skip
    room.page.evaluate(show, first)
    until(room, lambda: OLDER not in room.page.evaluate(WORDS)[0])
    room.close()
    room.page.evaluate(show, second)
    room.close()
    assert (room.outside, room.dialogs) == ([], [])


def test_running_all_decides_nothing(room):
    room.open("untouched/07-plan.ipynb")
    run_all(room)
    assert stored(room, "untouched")["plan"]["draft"] is True
    record = (room.folder / "untouched" / "decision-record.md").read_text(encoding="utf-8")
    assert "**Draft: nobody has decided this yet.**" in record
    page = compare(room.folder).read_text(encoding="utf-8")
    assert "All teams chose" not in page
    assert "not decided yet" in page
    room.close()


def test_what_stands_on_the_card_is_decided_and_stands_after_a_restart(room):
    room.open("decides/07-plan.ipynb")
    run_all(room)
    card = panel_with(room, "button:text('We decide this')")
    keys = room.page.keyboard
    card.locator("input[type=text]").first.focus()
    keys.type("Dana", delay=KEY)
    card.get_by_label("Decided by").focus()
    keys.type("Ada, Ben", delay=KEY)
    card.get_by_role("button", name="We decide this").click()  # the owner may not have arrived yet
    until(room, lambda: "decided_on" in stored(room, "decides")["plan"])
    plan = stored(room, "decides")["plan"]
    today = room.page.evaluate("() => new Date().toLocaleDateString('sv')")
    assert (plan["owner"], plan["decided_by"], plan["decided_on"]) == ("Dana", "Ada, Ben", today)
    until(room, lambda: any(text.startswith(f"Decided on {today}") for text in room.page.evaluate(WORDS)))  # fmt: skip

    agreed = panel_with(room, "button:text('We agree on this')")
    agreed.get_by_label("We agree that").focus()
    keys.type("Cem speaks up", delay=KEY)
    keys.press("Tab")
    until(room, lambda: any("Draft, not agreed yet: Cem" in text for text in room.page.evaluate(WORDS)))  # fmt: skip
    agreed.get_by_role("button", name="We agree on this").click()
    until(room, lambda: any(f"Agreed on {today}: Cem" in text for text in room.page.evaluate(WORDS)))  # fmt: skip

    words, lines = room.page.evaluate(WORDS), room.page.evaluate(LINES)
    kept = stored(room, "decides")
    room.restart()
    run_all(room)
    assert (room.page.evaluate(WORDS), room.page.evaluate(LINES)) == (words, lines)
    assert stored(room, "decides") == kept
    record = Session(room.folder / "decides").export()[0].read_text(encoding="utf-8")
    assert f"**Decided on {today} by Ada, Ben.**" in record
    room.close()
    assert (room.outside, room.dialogs) == ([], [])
