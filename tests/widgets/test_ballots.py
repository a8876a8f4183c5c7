"""Votes: stored at once and under one name a person, masked until revealed, late after it; nothing is lost unasked."""

from __future__ import annotations

import json

import pytest
from panels import described, send

import engagekit as ek
from engagekit import widgets
from engagekit.widgets.panel import Panel
from engagekit.workshop import TARGETS
from engagekit.workshop.session import Session

pytest.importorskip("anywidget")


@pytest.fixture(scope="module")
def log():
    return ek.simulate(users=1500, seed=4)


@pytest.fixture(scope="module")
def journeys(log) -> ek.Journeys:
    return ek.rollup(log.events, log.definition, users=log.users)


@pytest.fixture
def session(tmp_path, log) -> Session:
    session = Session(tmp_path)
    session.define(log.definition)
    return session


def stored(session: Session) -> dict:
    return json.loads((session.folder / "session.json").read_text(encoding="utf-8"))


def test_the_verdict_is_covered_until_the_votes_are_revealed(session, journeys):
    ballot = widgets.vote(session)
    described(ballot)
    targets = widgets.target_sliders(session, journeys, after=ballot)
    quarters = widgets.verdict_by_quarter(session, targets)
    groups = widgets.verdict_by_group(session, journeys, targets)
    following = [targets, quarters, groups]
    assert [panel.value for panel in following] == [None, None, None]
    assert all(panel.text == "Covered until the votes are revealed." for panel in following)
    for name, typed in (("Ada", "2"), ("Ben", " None "), ("  ", "3"), ("Cem", "7"), ("Dan", "")):
        reply = send(ballot, "cast", name=name, choice=typed)
        voted = name in {"Ada", "Ben"}
        assert reply["kept"] is voted
        assert ("A vote needs" in reply["said"]) is not voted
    assert stored(session)["votes"] == {"Ada": "habit", "Ben": "none"}
    assert ballot.text == "2 votes in, masked until revealed: Ada, Ben."
    send(ballot, "reveal")
    assert ballot.text == "2 votes:\nAda: Habit\nBen: None is broken"
    assert targets.value.verdict in {"named", "undecided", "none broken"}
    assert quarters.value.equals(targets.value.by_quarter)
    assert groups.value.columns[0] == groups.state["by"]
    send(ballot, "start over", sure=True)
    assert ballot.text == "No votes yet."
    assert targets.value is None


def test_a_vote_is_stored_before_anything_is_drawn_and_redraws_no_panel_that_follows(
    session, monkeypatch
):
    ballot = widgets.vote(session)
    told, drawn = [], []
    follower = Panel("After", {}, lambda _: drawn.append(1) or None, session, follows=ballot)
    monkeypatch.setattr(ballot, "say", lambda text: told.append(len(stored(session)["votes"])))
    monkeypatch.setattr(follower, "refresh", lambda: drawn.append(2))
    drawn.clear()
    for number in range(5):
        send(ballot, "cast", name=f"person {number}", choice="1")
    assert told == [1, 2, 3, 4, 5]
    assert drawn == []
    send(ballot, "reveal")
    assert drawn == [2], "once, after"


def test_one_person_is_one_name_and_a_second_vote_asks(session):
    ballot = widgets.vote(session)
    send(ballot, "cast", name="Ada  Byron", choice="2")
    for same in ("ada byron", " ADA BYRON ", "\tAda\u00a0Byron", "Ａda Byron"):
        reply = send(ballot, "cast", name=same, choice="5")
        assert reply["ask"] == "Ada Byron has voted already. Replace that vote?"
        assert stored(session)["votes"] == {"Ada Byron": "habit"}
    send(ballot, "cast", name="ada byron", choice="5", sure=True)
    assert stored(session)["votes"] == {"ada byron": "none"}
    send(ballot, "cast", name="Ada B.", choice="1")
    assert len(stored(session)["votes"]) == 2


def test_starting_over_asks_first(session):
    ballot = widgets.vote(session)
    assert send(ballot, "start over")["ask"] == "", "there is nothing to lose"
    send(ballot, "cast", name="Ada", choice="2")
    assert send(ballot, "start over")["ask"] == "Forget 1 vote?"
    assert stored(session)["votes"] == {"Ada": "habit"}
    send(ballot, "reveal")
    send(ballot, "cast", name="Fay", choice="2")
    send(ballot, "start over", sure=True)
    assert (stored(session)["votes"], stored(session)["late"]) == ({}, {})
    assert not session.revealed()


def test_votes_after_the_reveal_count_and_are_marked_late(session):
    ballot = widgets.vote(session)
    send(ballot, "cast", name="Ada", choice="2")
    send(ballot, "reveal")
    send(ballot, "cast", name="Fay", choice="3")
    assert ballot.text == "2 votes:\nAda: Habit\nFay: Depth (late)"
    assert session.late() == ["Fay"]
    assert "Fay | Depth (late" in (session.folder / "decision-record.md").read_text("utf-8")
    assert widgets.vote(Session(session.folder)).text == ballot.text
    send(ballot, "cast", name="ada", choice="1", sure=True)
    assert session.late() == ["Fay", "ada"], "a vote changed after the reveal is late too"


def test_many_votes_are_told_choice_by_choice(session):
    ballot = widgets.vote(session)
    for number in range(12):
        send(ballot, "cast", name=f"p{number:02d}", choice="2")
    send(ballot, "reveal")
    assert ballot.text.count("\n") == 12
    send(ballot, "cast", name="Fay", choice="1")
    head, habit, activation = ballot.text.splitlines()
    assert (head, activation) == ("13 votes:", "Activation, 1: Fay (late).")
    assert habit.startswith("Habit, 12: p00, p01, ")


def test_a_name_too_long_is_refused_in_words(session):
    ballot = widgets.vote(session)
    reply = send(ballot, "cast", name="x" * 300, choice="1")
    assert (reply["kept"], "at most 60 characters" in reply["said"]) == (False, True)
    assert send(ballot, "cast", name="🦊 <b>*Fay*</b>", choice="1")["kept"]
    assert list(session.votes()) == ["🦊 <b>*Fay*</b>"]


def test_two_ballots_on_one_session_keep_each_others_votes(session):
    one, other = widgets.vote(session), widgets.vote(Session(session.folder))
    send(one, "cast", name="Ada", choice="1")
    send(other, "cast", name="Ben", choice="2")
    assert send(other, "cast", name="ADA", choice="2")["ask"]
    send(one, "cast", name="Cem", choice="3")
    assert stored(session)["votes"] == {"Ada": "activation", "Ben": "habit", "Cem": "depth"}
    assert one.text == "3 votes in, masked until revealed: Ada, Ben, Cem."


@pytest.mark.parametrize("content", [{}, {"act": "cast"}, {"act": "cast", "values": [1]}, {"act": 3}, {"act": "cast", "values": {"name": None, "choice": {}}}])  # fmt: skip
def test_a_message_that_makes_no_sense_changes_nothing(session, content):
    ballot = widgets.vote(session)
    send(ballot, "cast", name="Ada", choice="1")
    ballot.form.receive(content)
    assert session.votes() == {"Ada": "activation"}


def test_a_ping_is_answered_and_does_nothing(session):
    ballot = widgets.vote(session)
    answer = ballot.form.receive({"act": "ping", "id": "one"})
    assert (answer["id"], answer["kept"], session.votes()) == ("one", True, {})
    other = widgets.vote(Session(session.folder.parent / "other"))
    assert len({ballot.form.key, other.form.key, ""}) == 3, "a browser tells their votes apart"


def test_a_vote_that_cannot_be_written_is_said_not_to_be_kept(session, monkeypatch):
    import os

    ballot = widgets.vote(session)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    reply = send(ballot, "cast", name="Ada", choice="1")
    assert (reply["kept"], "No space left" in reply["said"]) == (False, True)


def test_names_from_people_are_inert(session):
    session.vote("<img src=x onerror=alert(1)>", "habit")
    from engagekit.widgets.panel import _as_html

    assert "<img" not in _as_html(widgets.vote(session).text).data


def test_targets_are_voted_on_masked_and_then_taken(session, journeys):
    panel = widgets.target_vote(session, journeys)
    described(panel)
    assert panel.text == "No votes yet."
    assert panel.form.fields[1]["label"] == "Their targets in %: activation, habit, depth"
    for name, typed in (("Ada", "60 50 40"), ("Bo", "70, 55, -"), ("Cy", "65% 70% -")):
        assert send(panel, "cast", name=name, choice=typed)["kept"]
    reply = send(panel, "cast", name="Di", choice="60 50")
    assert "A vote needs a name, and 3 percentages" in reply["said"]
    assert panel.text == "3 votes in, masked until revealed: Ada, Bo, Cy."
    assert panel.value == {}
    assert send(panel, "take")["said"] == "Reveal the votes first."
    assert session.definition.targets == journeys.definition.targets
    send(panel, "reveal")
    assert "Activation: 60%, 65%, 70%; the median is 65%." in panel.text
    assert "Depth: 40%." in panel.text  # most want none
    assert panel.value == {"activation": 0.65, "habit": 0.55}
    assert send(panel, "cast", name="ada", choice="90 90 90")["ask"]
    send(panel, "take")
    assert session.definition.targets == {"activation": 0.65, "habit": 0.55}
    again = widgets.target_vote(Session(session.folder), journeys)
    assert again.value == panel.value
    send(again, "cast", name="Ed", choice="60 50 40")
    assert (session.late(TARGETS), "Late, after the reveal: Ed." in again.text) == (["Ed"], True)
    assert send(again, "start over")["ask"] == "Forget 4 votes?"
    send(again, "start over", sure=True)
    assert again.text == "No votes yet."
