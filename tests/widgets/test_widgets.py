from __future__ import annotations

import dataclasses
import re
from datetime import date

import polars as pl
import pytest

import engagekit as ek
from engagekit import widgets
from engagekit.matchers import event_names
from engagekit.widgets.panel import Panel, Shown, choice, slider
from engagekit.workshop.session import Session

pytest.importorskip("ipywidgets")


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


def described(panel: Panel) -> None:
    """Hold what every panel owes: a heading, a label on each control, and words beside it."""
    assert panel.heading in panel.box.children[0].value
    assert all(control.description for control in panel.controls.values())
    assert panel.text.strip()


def test_targets_move_the_verdict_and_are_remembered(session, journeys):
    panel = widgets.target_sliders(session, journeys)
    described(panel)
    assert panel.value.verdict in {"named", "undecided", "none broken"}
    for link in ("activation", "habit", "depth", "advocacy"):
        panel.controls[link].value = 0
    panel.controls["activation"].value = 95
    assert (panel.value.verdict, panel.value.link) == ("named", "activation")
    assert panel.text.startswith("Targets: Activation 95%.\n")
    assert "It stays activation for any target" in panel.text
    again = widgets.target_sliders(Session(session.folder), journeys)
    assert again.state == panel.state
    assert again.text == panel.text


def cast_vote(ballot: Panel, name: str, choice: str) -> None:
    ballot.controls["name"].value = name
    ballot.controls["choice"].value = choice
    ballot.buttons[0].click()


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
        cast_vote(ballot, name, typed)
        voted = name in {"Ada", "Ben"}
        assert ("A vote needs" in ballot.text) is not voted
        assert [c.value for c in ballot.controls.values()] == ["", ""]
    assert session.part("votes") == {"Ada": "habit", "Ben": "none"}
    ballot.refresh()
    assert ballot.text == "2 votes in, masked until revealed: Ada, Ben."
    ballot.buttons[1].click()
    assert ballot.text == "2 votes:\nAda: Habit\nBen: None is broken"
    assert targets.value.verdict in {"named", "undecided", "none broken"}
    assert quarters.value.equals(targets.value.by_quarter)
    assert groups.value.columns[0] == groups.state["by"]
    ballot.buttons[2].click()
    assert ballot.text == "No votes yet."
    assert targets.value is None


def test_quarters_and_groups_follow_the_targets(session, journeys):
    targets = widgets.target_sliders(session, journeys)
    quarters = widgets.verdict_by_quarter(session, targets)
    groups = widgets.verdict_by_group(session, journeys, targets)
    for link in ("habit", "depth", "advocacy"):
        targets.controls[link].value = 0
    targets.controls["activation"].value = 95
    assert set(quarters.value["named"]) == {"activation"}
    assert "Activation is named in all of them" in quarters.text
    assert set(groups.value["link"]) == {"activation"}
    assert "No group of" in groups.text
    targets.controls["activation"].value = 1
    assert "no link is named in any" in quarters.text
    groups.controls["by"].value = groups.controls["by"].options[-1]
    assert groups.value.columns[0] == groups.controls["by"].options[-1]


def test_only_properties_with_a_few_values_are_offered(session, journeys):
    from engagekit.widgets.targets import comparable

    counts = {p: journeys.users[p].n_unique() for p in journeys.properties}
    assert comparable(journeys) == [p for p, n in counts.items() if 2 <= n <= 6]
    assert "account_id" not in comparable(journeys)
    alone = dataclasses.replace(journeys, users=journeys.users.drop(journeys.properties))
    panel = widgets.verdict_by_group(session, alone, widgets.target_sliders(session, alone))
    assert panel.text == "No property of the users divides them into a few groups."


def test_thresholds_move_the_shares_but_not_the_definition(session, journeys):
    panel = widgets.rule_thresholds(session, journeys)
    described(panel)
    before = panel.value
    panel.controls["activation_days"].value = 40
    assert not panel.value.equals(before)
    assert "days allowed to activate 40" in panel.text
    assert panel.value.equals(
        ek.diagnose(
            dataclasses.replace(
                journeys, definition=dataclasses.replace(journeys.definition, activation_days=40)
            )
        )
    )
    assert session.definition.activation_days == journeys.definition.activation_days


def test_the_cohort_explorer_follows_its_controls(session, journeys):
    panel = widgets.cohort_explorer(session, journeys)
    described(panel)
    head, *said = panel.text.splitlines()
    assert head == "Up to week 11:"
    assert [re.search(r"week (\d+)", line)[1] for line in said] == ["1", "11"]
    panel.controls["periods"].value = 5
    assert "came back in week 4" in panel.text
    panel.controls["mode"].value = "on_or_after"
    assert "in week 1 or later (" in panel.text
    panel.controls["period"].value = "day"
    assert "came back in day 1" in panel.text
    panel.controls["period"].value = "month"
    panel.controls["periods"].value = 24
    assert re.match(r"Up to month 23, known up to month \d:", panel.text)
    panel.controls["by"].value = journeys.properties[0]
    assert journeys.properties[0] in panel.value.columns
    assert len(panel.text.splitlines()) == 1 + 2 * journeys.users[journeys.properties[0]].n_unique()


def test_the_picker_writes_the_definition(session, log, monkeypatch):
    monkeypatch.setattr(Session, "events", lambda self: log.events)
    panel = widgets.definition_picker(session)
    described(panel)
    assert panel.value == session.definition == log.definition
    other = next(
        value
        for _, value in panel.controls["activation"].options
        if value not in panel.state["core"] and value != log.definition.signup
    )
    panel.controls["activation"].value = other
    assert session.definition.activation == other
    assert session.definition.steps == log.definition.steps
    panel.controls["core"].value = (other,)
    assert session.definition.core == other
    assert (
        session.definition.habit_days is None
    )  # windows of the old core action do not fit the new one
    assert "both core and advanced" not in panel.text
    for name, words in (
        ("signup", "Sign-up: each user's first event."),
        ("advanced", "Advanced: nothing picked"),
    ):
        panel.controls[name].value = "" if name == "signup" else ()
        assert words in panel.text
    panel.controls["advanced"].value = (other,)
    assert "both core and advanced" in panel.text


def test_the_play_card_becomes_the_plan(session, journeys):
    priority = ek.prioritize(journeys, targets={"habit": 0.95})
    panel = widgets.play_card(session, priority, today=date(2026, 1, 5))
    described(panel)
    assert session.part("plan")["owner"] == "not named yet"
    assert "name who answers for it" in panel.text
    panel.controls["owner"].value = "Ada"
    panel.controls["more"].value = 8
    panel.controls["start"].value = "2026-02-02"
    plan = session.part("plan")
    assert (plan["owner"], plan["link"]) == ("Ada", panel.controls["link"].value)
    assert plan["target"] == pytest.approx(plan["baseline"] + 0.08)
    assert plan["starts_on"] == "2026-02-02"
    assert plan["look_again"] > "2026-02-02"
    assert "Ada answers for it" in panel.text
    panel.controls["doubt"].value = "it rains"
    assert panel.text.endswith("What would change our mind: it rains")
    plan = session.part("plan")
    panel.controls["start"].value = "soon"
    assert "today is 'soon'" in panel.text
    assert session.part("plan") == plan
    panel.controls["start"].value = "2026-02-02"
    markdown = session.export()[0].read_text(encoding="utf-8")
    assert "Ada" in markdown


def test_the_card_proposes_the_missing_points_and_the_play_of_the_link(session, journeys):
    rate = ek.prioritize(journeys).table.row(by_predicate=pl.col("link") == "habit", named=True)[
        "rate"
    ]
    panel = widgets.play_card(
        session, ek.prioritize(journeys, targets={"habit": rate + 0.12}), today="2026-01-05"
    )
    assert panel.state["more"] == 12
    panel.controls["link"].value = "depth"
    assert panel.state["play"] == "Feature Discovery"
    panel.controls["play"].value = "Repeat Value"
    again = widgets.play_card(Session(session.folder), ek.prioritize(journeys), today="2026-01-05")
    assert (again.state["link"], again.state["play"]) == ("depth", "Repeat Value")


def test_nobody_is_asked_to_wait_for_years(session, log):
    few = ek.rollup(log.events, log.definition, users=log.users).where(
        signed_up=(None, "2025-08-01")
    )
    panel = widgets.play_card(
        session, ek.prioritize(few, targets={"habit": 0.9}), today="2026-01-05"
    )
    panel.controls["more"].value = 1
    assert panel.value.weeks is None or panel.value.weeks > 52
    assert session.part("plan")["look_again"] == "2027-01-04"
    assert "too long to wait, so we look again on 2027-01-04" in panel.text


def test_thresholds_of_slow_products_are_not_cut(session, journeys):
    slow = dataclasses.replace(journeys.definition, habit_days=90, depth_days=365)
    panel = widgets.rule_thresholds(session, dataclasses.replace(journeys, definition=slow))
    assert (panel.state["habit_days"], panel.state["depth_days"]) == (90, 365)


def test_a_log_nobody_can_be_judged_in_has_no_card(session, log):
    young = ek.rollup(log.events, log.definition, users=log.users)
    young = young.where(signed_up=("2090-01-01", None))
    panel = widgets.play_card(session, ek.prioritize(young), today="2026-01-05")
    assert "No link can be mended yet" in panel.text
    assert session.part("plan") == {}


def test_the_end_of_the_data_is_kept_for_every_notebook(session, journeys):
    panel = widgets.data_end(session, journeys)
    described(panel)
    assert panel.value == journeys.as_of
    panel.controls["as_of"].value = "2025-11-01"
    assert "Run this notebook again" in panel.text
    assert session.part("about")["as_of"] == "2025-11-01"
    assert widgets.data_end(Session(session.folder), journeys.at("2025-11-01")).text.startswith(
        "Judged as of 2025-11-01"
    )
    panel.controls["as_of"].value = "soon"
    assert "as_of is 'soon'" in panel.text
    assert session.part("about")["as_of"] == "2025-11-01"
    panel.controls["as_of"].value = ""
    assert session.part("about")["as_of"] == ""


def test_thresholds_are_explored_by_action(session, journeys):
    panel = widgets.threshold_explorer(session, journeys)
    described(panel)
    actions = panel.controls["action"].options
    assert set(event_names(journeys.definition.core)).isdisjoint(actions)
    assert panel.value["action"].unique().to_list() == [actions[0]]
    panel.controls["action"].value = actions[1]
    assert set(panel.value["action"]) == {actions[1]}
    assert widgets.threshold_explorer(Session(session.folder), journeys).state == {
        "action": actions[1]
    }


def test_notes_are_kept(session):
    panel = widgets.note(session, "Curves")
    described(panel)
    panel.controls["note"].value = "week 4\nmatters"
    assert session.part("notes") == {"Curves": "week 4\nmatters"}
    assert widgets.note(session, "Curves").text == "week 4\nmatters"
    panel.controls["note"].value = ""
    assert session.part("notes") == {}


def test_a_bar_is_shown_for_several_parts_only_and_goes_when_done(monkeypatch):
    import IPython.display

    from engagekit._base import notebook_progress

    shown = []

    class Place:
        def update(self, data, raw):
            shown.append(data["text/html"])

    monkeypatch.setattr(
        IPython.display, "display", lambda data, **_: shown.append(data["text/plain"]) or Place()
    )
    tick = notebook_progress.bar("Reading")
    tick(0, 1)
    tick(1, 1)
    assert shown == []
    for done in range(4):
        tick(done, 3)
    assert shown == ["Reading …", ""]
    assert not notebook_progress.in_notebook()


def test_what_is_agreed_is_a_decision(session):
    panel = widgets.agreement(session, "Which event is the core action?")
    described(panel)
    panel.controls["answer"].value = " published "
    assert session.part("decisions") == {"Which event is the core action?": {"answer": "published"}}
    assert widgets.agreement(session, "Which event is the core action?").text == "Agreed: published"
    panel.controls["answer"].value = ""
    assert session.part("decisions") == {}


def test_a_stored_state_that_no_longer_fits_is_left_aside(session):
    session.set("old", {"pick": "gone", "number": "many", "unknown": 1})
    controls = {"pick": choice("Pick", ["a", "b"], "a"), "number": slider("Number", 3, 1, 5)}
    panel = Panel("Old", controls, lambda state: Shown(state, str(state)), session, "old")
    assert panel.value == {"pick": "a", "number": 3}


def test_an_error_is_said_in_words(session):
    def answer(state):
        raise ek.EngagekitError("too few users")

    panel = Panel("Fails", {"number": slider("Number", 3, 1, 5)}, answer, session, "fails")
    assert panel.text == "This cannot be answered: too few users"
    assert panel.value is None


def test_names_from_people_are_inert(session):
    session.vote("<img src=x onerror=alert(1)>", "habit")
    from engagekit.widgets.panel import _as_html

    assert "<img" not in _as_html(widgets.vote(session).text).data


def press(panel: Panel, label: str) -> None:
    next(b for b in panel.buttons if b.description == label).click()


def vote_targets(panel: Panel, name: str, typed: str) -> None:
    panel.controls["name"].value = name
    panel.controls["targets"].value = typed
    press(panel, "Cast the vote")


def test_targets_are_voted_on_masked_and_then_taken(session, journeys):
    panel = widgets.target_vote(session, journeys)
    described(panel)
    assert panel.text == "No votes yet."
    assert panel.controls["targets"].description == "Their targets in %: activation, habit, depth"
    for name, typed in (
        ("Ada", "60 50 40"),
        ("Bo", "70, 55, -"),
        ("Cy", "65% 70% -"),
        ("Di", "60 50"),
    ):
        vote_targets(panel, name, typed)
    assert "A vote needs a name, and 3 percentages" in panel.text
    assert panel.controls["targets"].value == ""
    panel.refresh()
    assert panel.text == "3 votes in, masked until revealed: Ada, Bo, Cy."
    assert panel.value == {}
    press(panel, "Set the medians as targets")
    assert panel.text == "Reveal the votes first."
    assert session.definition.targets == journeys.definition.targets
    press(panel, "Reveal the votes")
    assert "Activation: 60%, 65%, 70%; the median is 65%." in panel.text
    assert "Depth: 40%." in panel.text  # most want none
    assert panel.value == {"activation": 0.65, "habit": 0.55}
    press(panel, "Set the medians as targets")
    assert session.definition.targets == {"activation": 0.65, "habit": 0.55}
    again = widgets.target_vote(Session(session.folder), journeys)
    assert again.value == panel.value
    press(again, "Start over")
    assert again.text == "No votes yet."


def test_what_changed_since_a_day(session, journeys):
    panel = widgets.changed_since(session, journeys)
    described(panel)
    assert panel.value["link"].to_list() == ["activation", "habit", "depth"]
    panel.controls["by"].value = "plan"
    assert panel.value["link"].to_list()[-1] == "(mix)"
    panel.controls["since"].value = "2029-01-01"
    assert panel.text.startswith("This cannot be answered: ")
    panel.controls["since"].value = ""
    assert panel.text.startswith("Type a day")
    assert widgets.changed_since(session, journeys).state == panel.state


def test_suggestions_and_changes_stay_covered_until_the_votes_are_revealed(session, journeys):
    ballot = widgets.vote(session)
    covered = [
        widgets.target_suggestions(session, journeys, after=ballot),
        widgets.changed_since(session, journeys, after=ballot),
    ]
    assert {panel.text for panel in covered} == {"Covered until the votes are revealed."}
    press(ballot, "Reveal the votes")
    assert covered[0].text.startswith("Suggested targets to start from: Activation")
    assert covered[1].value["link"].to_list()[0] == "activation"
    assert widgets.target_suggestions(session, journeys).value.equals(ek.suggest_targets(journeys))


def test_other_activations_show_their_loops_and_verdicts(session, log, monkeypatch):
    monkeypatch.setattr(Session, "data", lambda self: (log.events, log.users, None))
    monkeypatch.setattr(Session, "events", lambda self: log.events)
    panel = widgets.other_activations(session)
    described(panel)
    assert panel.value["candidate"].to_list() == ["first_project", "draft_saved", "profile_saved"]
    assert panel.text.count("verdict") == 2
    panel.controls["candidate 2"].value = "connect_done"
    assert panel.value["candidate"].to_list() == ["first_project", "connect_done", "profile_saved"]
    assert panel.value["same"][0]


def test_a_slider_asks_the_journeys_once(session, journeys, monkeypatch):
    """Another target is arithmetic on counts: the users are looked at once, however often a slider moves."""
    from engagekit import priority

    asked = []
    real = priority.loop_facts
    monkeypatch.setattr(priority, "loop_facts", lambda *a, **k: asked.append(1) or real(*a, **k))
    panel = widgets.target_sliders(session, journeys)
    for value in (30, 60, 90):
        panel.controls["activation"].value = value
        assert panel.value.table["target"][0] == value / 100
    assert len(asked) == 1
    assert panel.value.table.equals(
        ek.prioritize(journeys, targets={k: v / 100 for k, v in panel.state.items() if v}).table
    )
