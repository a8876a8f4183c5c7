"""The picker: a tick adds and never destroys, windows set by hand stay, and a guess is called one until it is confirmed."""

from __future__ import annotations

import dataclasses
import re

import pytest
from panels import DAY, described, send

import engagekit as ek
from engagekit import widgets
from engagekit.workshop import start
from engagekit.workshop.session import Session

pytest.importorskip("anywidget")


@pytest.fixture(scope="module")
def log():
    return ek.simulate(users=800, seed=4)


@pytest.fixture
def session(tmp_path, log, monkeypatch) -> Session:
    monkeypatch.setattr(Session, "events", lambda self: log.events)
    monkeypatch.setattr(Session, "data", lambda self: (log.events, log.users, None))
    session = Session(tmp_path)
    session.define(bare(log.definition).resolved(5))
    return session


def bare(definition: ek.Definition) -> ek.Definition:
    return dataclasses.replace(definition, habit_days=None, depth_days=None, depth_within_days=None, outcome_days=None, usage_interval_days=None)  # fmt: skip


def pick(panel, role: str, event: str, *, ticked: bool = True) -> dict:
    return send(panel, "pick", role=role, event=event, ticked=ticked)


def test_the_table_shows_every_event_with_its_counts(session, log):
    panel = widgets.definition_picker(session)
    described(panel)
    assert panel.value == session.definition
    table = {row["event"]: row for row in ek.event_table(log.events).to_dicts()}
    first, *rows = panel.form.rows
    assert first["shown"] == "(each user's first event)"
    assert {row["event"]: row["users"] for row in rows} == {k: r["users"] for k, r in table.items()}
    assert all(row["again"].endswith("%") for row in rows)
    assert panel.form.picked["core"] == ["project_published"]


def test_a_tick_adds_to_what_is_ticked_and_undo_goes_back(session):
    panel = widgets.definition_picker(session)
    start_, advanced = session.definition, list(panel.form.picked["advanced"])
    assert panel.form.undoable == 0
    pick(panel, "advanced", "draft_saved")
    assert panel.form.picked["advanced"] == [*advanced, "draft_saved"]
    assert session.definition.advanced == (*start_.advanced, "draft_saved")
    pick(panel, "advanced", advanced[0], ticked=False)
    pick(panel, "signup", "")
    assert "Sign-up: each user's first event." in panel.text
    assert panel.form.undoable == 3
    for _ in range(3):
        send(panel, "undo")
    assert session.definition == start_
    assert panel.form.undoable == 0
    send(panel, "undo")
    assert session.definition == start_


@pytest.mark.thorough
def test_undo_survives_a_kernel_that_is_restarted(session):
    start_ = session.definition
    panel = widgets.definition_picker(session)
    pick(panel, "core", "draft_saved")
    pick(panel, "advanced", "opened")
    again = Session(session.folder)
    panel = widgets.definition_picker(again)
    assert panel.form.undoable == 2
    again.define(dataclasses.replace(again.definition, targets={"activation": 0.5}))
    send(panel, "undo")
    assert "opened" not in again.definition.advanced
    send(panel, "undo")
    assert panel.form.undoable == 0
    assert again.definition == dataclasses.replace(start_, targets={"activation": 0.5}), "what was set elsewhere since stays"  # fmt: skip
    for number in range(25):
        pick(panel, "advanced", "opened", ticked=number % 2 == 0)
    assert widgets.definition_picker(again).form.undoable == 20


def test_steps_are_picked_taken_out_and_brought_back(session):
    session.define(dataclasses.replace(session.definition, steps=()))
    panel = widgets.definition_picker(session)
    send(panel, "add step", reached="", completed="profile_saved")
    send(panel, "add step", reached="connect_opened", completed="connect_done")
    assert session.definition.to_table()["steps"] == [
        {"name": "profile_saved", "completed": "profile_saved"},
        {"name": "connect_done", "reached": "connect_opened", "completed": "connect_done"},
    ]
    assert [step["shown"] for step in panel.form.steps] == [
        "profile_saved: from the step before to profile_saved",
        "connect_done: from connect_opened to connect_done",
    ]
    twice = send(panel, "add step", reached="", completed="connect_done")
    assert (twice["kept"], twice["said"]) == (False, "There is a step connect_done already.")
    assert "needs the event" in send(panel, "add step", reached="opened")["said"]
    send(panel, "drop step", name="profile_saved")
    assert [step.name for step in session.definition.steps] == ["connect_done"]
    send(panel, "undo")
    assert [step.name for step in session.definition.steps] == ["profile_saved", "connect_done"]


def test_events_of_the_same_two_roles_are_remarked_on_together():
    from engagekit.widgets.picks import twice

    made = ek.Definition(activation=["a", "b", "c"], core=["a", "b", "c"])
    assert twice(made) == [
        "a, b and c are both activation and core action: activation then is the first core action, which is sound if it is meant."
    ]


@pytest.mark.parametrize("stored", ["x", [1], [[{}]], [[{"core": 3}, {}]], [["a", "b"]], {"a": 1}])
def test_what_undo_cannot_read_is_passed_over(session, stored):
    session.set("definition undo", stored)
    panel = widgets.definition_picker(session)
    assert panel.form.undoable == 0
    pick(panel, "advanced", "opened")
    assert panel.form.undoable == 1


def test_two_people_who_pick_at_once_both_count(session):
    one, other = widgets.definition_picker(session), widgets.definition_picker(session)
    pick(one, "advanced", "draft_saved")
    pick(other, "advocacy", "opened")
    assert "draft_saved" in session.definition.advanced
    assert "opened" in session.definition.advocacy
    assert other.form.picked["advanced"][-1] == "draft_saved"


def test_what_was_not_touched_stays_conditions_included(session):
    paid, before = ek.Match("report", plan="paid"), session.definition
    session.define(
        dataclasses.replace(session.definition, advanced=["automation", paid, ["a", "b"]])
    )
    panel = widgets.definition_picker(session)
    assert "Advanced asks for more than the event alone: report (plan: paid)." in panel.text
    pick(panel, "advanced", "draft_saved")
    pick(panel, "advanced", "b", ticked=False)
    report = {"event": "report", "where": {"plan": "paid"}}
    assert session.definition.to_table()["advanced"] == ["automation", report, "a", "draft_saved"]
    assert session.definition.steps == before.steps
    pick(panel, "advanced", "report")
    assert session.definition.to_table()["advanced"][1] == report, "a tick drops no condition"


def test_a_role_that_needs_an_event_keeps_its_last_one(session):
    panel = widgets.definition_picker(session)
    reply = pick(panel, "core", "project_published", ticked=False)
    assert (reply["kept"], reply["said"]) == (False, "Core action needs an event: tick another one first.")  # fmt: skip
    assert session.definition.core == "project_published"
    pick(panel, "core", "draft_saved")
    assert session.definition.core == ["project_published", "draft_saved"]
    pick(panel, "core", "project_published", ticked=False)
    assert session.definition.core == "draft_saved"


def test_windows_set_by_hand_survive_another_core_action(session):
    by_hand = dataclasses.replace(session.definition, habit_days=21, outcome_days=(40, 80))
    session.define(by_hand)
    panel = widgets.definition_picker(session)
    said = pick(panel, "core", "draft_saved")["said"]
    made = session.definition
    assert (made.habit_days, made.outcome_days) == (21, (40, 80))
    assert (made.depth_days, made.usage_interval_days) == (None, None)
    assert "measured anew: days allowed to go deeper" in said
    assert "Set by hand, and kept: days allowed to come back (21), outcome window (40 to 80)." in said  # fmt: skip
    send(panel, "undo")
    assert session.definition == by_hand


def test_a_usage_interval_set_by_hand_is_told_from_the_measured_one(tmp_path, log):
    (team,) = start(tmp_path / "ws", events=log.events, users=log.users, definition=log.definition)
    session = Session(team)
    measured = session.definition
    panel = widgets.definition_picker(session)
    pick(panel, "core", "draft_saved")
    assert session.definition.usage_interval_days is None
    send(panel, "undo")
    session.define(
        dataclasses.replace(measured, usage_interval_days=measured.usage_interval_days + 3)
    )
    pick(panel, "core", "draft_saved")
    assert session.definition.usage_interval_days == measured.usage_interval_days + 3


def test_the_same_event_in_two_roles_is_remarked_on(session):
    panel = widgets.definition_picker(session)
    assert "is both" not in panel.text
    pick(panel, "advanced", "draft_saved")
    pick(panel, "advocacy", "draft_saved")
    assert "draft_saved is both advanced and advocacy: " in panel.text
    pick(panel, "advanced", "project_published")
    assert "project_published is both core action and advanced: depth would then only repeat the habit." in panel.text  # fmt: skip
    pick(panel, "activation", "project_published")
    assert "project_published is both activation and core action" in panel.text


def test_a_page_says_that_its_answers_are_of_an_older_definition(session):
    journeys = session.journeys()
    page, panel = widgets.standing(session, journeys), widgets.definition_picker(session)
    assert (page.shown.warning, panel.shown.warning) == ("", "")
    assert "users who signed up" in page.text
    assert re.search(r"data complete up to [^.]*\d\.$", page.text), "one dot ends it"
    pick(panel, "advanced", "draft_saved")
    assert "of an older definition" in panel.shown.warning
    send(page, "look")
    assert "of an older definition" in page.shown.warning
    elsewhere = Session(session.folder)
    other = widgets.standing(elsewhere, elsewhere.journeys())
    assert other.shown.warning == ""
    send(panel, "undo")
    send(page, "look")
    send(other, "look")
    assert (page.shown.warning, "older" in other.shown.warning) == ("", True)


def test_a_guess_is_called_one_on_every_page_until_it_is_confirmed(session):
    session.define(dataclasses.replace(session.definition, guessed=True))
    journeys = session.journeys()
    page, panel = widgets.standing(session, journeys), widgets.definition_picker(session)
    assert "a guess from the log; nobody has confirmed it" in page.shown.warning
    assert panel.form.guessed
    assert any("guessed from the log" in text for text in ek.prioritize(journeys).warnings)
    widgets.play_card(session, ek.prioritize(journeys), today="2026-01-05")
    said = (session.folder / "decision-record.md").read_text("utf-8")
    assert "| Guess | This definition is a guess from the log" in said
    pick(panel, "advanced", "draft_saved")
    assert session.definition.guessed, "a tick confirms nothing"
    send(panel, "confirm")
    assert not session.definition.guessed
    assert not panel.form.guessed
    (answer,) = session.part("decisions").values()
    assert (answer["on"], "project_published" in answer["answer"]) == (DAY, True)
    send(page, "look")
    assert "guess" not in page.shown.warning


@pytest.mark.parametrize("values", [{}, {"role": "nothing", "event": "x", "ticked": True}, {"role": "core"}, {"role": "core", "event": "never", "ticked": False}])  # fmt: skip
def test_a_tick_that_makes_no_sense_changes_nothing(session, values):
    panel, before = widgets.definition_picker(session), session.definition
    send(panel, "pick", **values)
    assert session.definition == before
