from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from panels import described, send

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


@pytest.mark.thorough
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
    assert "none of them, taken alone, names a link" in quarters.text
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


def test_thresholds_of_slow_products_are_not_cut(session, journeys):
    slow = dataclasses.replace(journeys.definition, habit_days=90, depth_days=365)
    panel = widgets.rule_thresholds(session, dataclasses.replace(journeys, definition=slow))
    assert (panel.state["habit_days"], panel.state["depth_days"]) == (90, 365)


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
    send(ballot, "reveal")
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


def test_the_scripts_of_widgets_share_their_helpers():
    from engagekit.widgets.form import Form
    from engagekit.widgets.picker import Picker

    scripts = [widget._esm for widget in (Form, Picker)]
    own = re.compile(r"^function (\w+)", re.MULTILINE)
    for script in map(str, scripts):
        assert {"tag", "today"} <= set(own.findall(script))
        assert script.count("export default") == 1
    folder = Path(widgets.__file__).parent
    defined = [name for path in sorted(folder.glob("*.js")) if path.name != "linked.js" for name in own.findall(path.read_text("utf-8"))]  # fmt: skip
    twice = {name for name in defined if defined.count(name) > 1}
    assert twice == {"render"}, "each widget renders itself; all else stands in one place"
