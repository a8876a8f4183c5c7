"""The controls of the reviews, and the one that brings a log of one's own."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

import engagekit as ek
from engagekit import widgets
from engagekit.workshop import Session


@pytest.fixture(scope="module")
def made():
    return ek.simulate(users=1500, seed=4)


@pytest.fixture(scope="module")
def journeys(made):
    return ek.rollup(made.events, made.definition, users=made.users)


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path / "team")


def day(journeys, *, before_end: int) -> str:
    return str((journeys.as_of - timedelta(days=before_end)).date())


def test_without_a_recorded_start_nothing_is_judged(session, journeys):
    panel = widgets.play_tracker(session, journeys)
    assert (panel.value, panel.state["since"], panel.shown.chart) == (None, "", None)
    assert panel.text.startswith("No play with a recorded start, so nothing is judged.")
    session.update("plan", {"link": "habit", "starts_on": day(journeys, before_end=60), "draft": True})  # fmt: skip
    drafted = widgets.play_tracker(session, journeys)
    assert (drafted.value, drafted.state) == (None, {"since": "", "link": "habit"})
    assert drafted.text.startswith("The plan is a draft, and no start is recorded")


@pytest.mark.thorough
def test_a_decided_play_is_followed_from_its_day_with_its_goal(session, journeys):
    began = day(journeys, before_end=60)
    session.update("plan", {"link": "activation", "starts_on": began, "target": 0.7})
    panel = widgets.play_tracker(session, journeys)
    assert panel.state == {"since": began, "link": "activation"}
    assert panel.value.sentence == ek.track(journeys, since=began, link="activation", goal=0.7).sentence  # fmt: skip
    rows = panel.shown.chart.to_dict()["usermeta"]["engagekit"]["rows"]
    assert [row[0] for row in rows] == ["Before the play", "Since it began", "The goal"]
    assert rows[2][4] == "70%"
    panel.controls["link"].value = "habit"  # the goal is that of the plan's link
    assert panel.value.goal is None


@pytest.mark.thorough
def test_a_start_that_is_typed_is_kept_until_a_plan_says_one(session, journeys):
    typed, decided = day(journeys, before_end=50), day(journeys, before_end=80)
    widgets.play_tracker(session, journeys).controls["since"].value = typed
    again = widgets.play_tracker(Session(session.folder), journeys)
    assert (again.state["since"], again.value.link) == (typed, "activation")
    session.update("plan", {"link": "habit", "starts_on": decided})
    assert widgets.play_tracker(session, journeys).state == {"since": decided, "link": "habit"}


def test_a_play_too_new_is_not_judged_and_the_day_is_said(session, journeys):
    began = (journeys.as_of - timedelta(days=3)).date()
    session.update("plan", {"link": "activation", "starts_on": str(began)})
    panel = widgets.play_tracker(session, journeys)
    assert panel.value is None
    assert "nobody who signed up since can be judged on Activation yet" in panel.text
    assert f"That takes 14 days from sign-up: data beyond {began + timedelta(days=14)}." in panel.text  # fmt: skip


def test_no_day_and_no_day_of_the_log_are_refused(session, journeys):
    session.update("plan", {"link": "habit", "starts_on": "not a day"})
    panel = widgets.play_tracker(session, journeys)
    assert "not a day" in panel.text
    assert panel.value is None
    panel.controls["since"].value = "1999-01-01"
    assert "inside the log" in panel.text


@pytest.mark.thorough
def test_a_log_comes_in_without_a_terminal(session, made, monkeypatch):
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(session.folder.parent / "cache"))
    made.events.lazy().collect().rename({"at": "time"}).write_csv(session.folder / "export.csv")
    panel = widgets.own_log(session)
    assert "Type the name of a file" in panel.text
    panel.controls["file"].value = "exprot.csv"
    assert "Did you mean 'export.csv'" in panel.text
    panel.controls["file"].value = "export.csv"
    assert "The event's time: 'time'." in panel.text
    assert "Core: project_published" in panel.text
    assert "Step(" not in panel.text
    assert not (session.folder / "own-log").exists()
    panel.controls["team"].value = "Growth"
    panel.controls["then"].value = "make notebooks on it"
    assert "open own-log/Growth/00-start-here.ipynb" in panel.text
    own = Session(session.folder / "own-log" / "Growth")
    assert own.definition.guessed
    assert own.journeys().users.height == made.users.height
    assert "# Core action" in (own.folder / "definition.toml").read_text(encoding="utf-8")
    assert "event" in session.folder.joinpath("own-log", "README.md").read_text(encoding="utf-8")


def test_where_nobody_came_since_that_is_said(session, journeys):
    last = journeys.users["signed_up_at"].max()
    late = dataclasses.replace(journeys, as_of=journeys.as_of + timedelta(days=90))
    began = str((last + timedelta(days=20)).date())
    session.update("plan", {"link": "activation", "starts_on": began})
    panel = widgets.play_tracker(session, late)
    assert panel.value is None
    assert panel.text.startswith(f"Nobody has signed up since {began}")
