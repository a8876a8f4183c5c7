"""The charts of the course open as those of the cockpit do, and say in words what they cannot draw."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from IPython.utils.capture import capture_output
from panels import send

import engagekit as ek
from engagekit import widgets

pytest.importorskip("ipywidgets")


@pytest.fixture(scope="module")
def log():
    return ek.simulate(users=600, seed=4)


@pytest.fixture(scope="module")
def journeys(log):
    return ek.rollup(log.events, log.definition, users=log.users)


@pytest.fixture
def session(tmp_path, log):
    session = ek.Session(tmp_path)
    session.define(log.definition)
    return session


@pytest.fixture(autouse=True)
def _page():
    """Give the panels a page to stand on: outside a shell, nothing is displayed."""
    from IPython.core.interactiveshell import InteractiveShell

    main = sys.modules["__main__"]
    InteractiveShell.instance()
    with capture_output():
        yield
    InteractiveShell.clear_instance()
    sys.modules["__main__"] = main


def show(panel):
    with capture_output() as caught:
        panel._ipython_display_()
    return [output.data for output in caught.outputs]


def opens(panel):
    """Open the first mark as the browser does, and hold its count to the answer's."""
    told = panel.opener.receive({"kind": "open", "chart": 0, "mark": 0})
    assert told["kind"] == "drawer"
    assert told["count"] == panel.shown.opens.rows[0]["n"]
    return told["count"]


@pytest.mark.thorough
@pytest.mark.parametrize("make", [widgets.cohort_explorer, widgets.rule_thresholds, widgets.target_sliders])  # fmt: skip
def test_the_chart_of_a_panel_opens_and_stays_a_picture(session, journeys, make):
    panel = make(session, journeys)
    *_, picture, listens = show(panel)
    assert {"image/png", "text/html"} <= set(picture)
    assert listens["text/plain"].startswith("A mark of the chart opens")
    assert opens(panel)


def test_a_panels_marks_are_those_of_the_chart_that_is_shown_now(session, journeys):
    panel = widgets.rule_thresholds(session, journeys)
    show(panel)
    (before,), counts = panel.opener.desk.charts, [row["n"] for row in panel.value.to_dicts()]
    panel.controls["activation_days"].value = 1
    (after,), fewer = panel.opener.desk.charts, [row["n"] for row in panel.value.to_dicts()]
    assert after["id"] != before["id"]
    moved = next(k for k, n in enumerate(fewer) if n != counts[k] and n >= 10)
    told = panel.opener.receive({"kind": "open", "chart": 0, "mark": moved})
    assert (told["kind"], told["count"]) == ("drawer", fewer[moved])


@pytest.mark.thorough
def test_by_group_and_by_another_way_of_counting_the_curve_opens_on_its_own_users(session, journeys):  # fmt: skip
    panel = widgets.cohort_explorer(session, journeys)
    show(panel)
    panel.controls["by"].value = "plan"
    panel.controls["mode"].value = "on_or_after"
    rows = panel.shown.opens.rows
    place = next(k for k, row in enumerate(rows) if row["period"] == 1 and row["n"] >= 10)
    told = panel.opener.receive({"kind": "open", "chart": 0, "mark": place})
    assert (told["kind"], told["count"]) == ("drawer", rows[place]["n"])


def test_what_is_covered_opens_on_nothing_until_it_is_revealed(session, journeys):
    ballot = widgets.vote(session)
    targets = widgets.target_sliders(session, journeys, after=ballot)
    quarters = widgets.verdict_by_quarter(session, targets)
    for panel in (targets, quarters):
        show(panel)
        assert panel.opener.desk.charts == []
        assert panel.opener.receive({"kind": "open", "chart": 0, "mark": 0})["kind"] == "refused"
    send(ballot, "reveal")
    assert [len(p.opener.desk.charts) for p in (targets, quarters)] == [1, 1]
    assert opens(targets)


def test_steps_open_or_are_said_to_be_missing(session, journeys):
    assert widgets.steps(session, journeys).source.name == "step_drop_off"
    bare = dataclasses.replace(journeys, definition=dataclasses.replace(journeys.definition, steps=()))  # fmt: skip
    assert "No steps are defined" in str(widgets.steps(session, bare))


def test_who_comes_and_goes_opens(session, log, journeys, monkeypatch):
    monkeypatch.setattr(ek.Session, "events", lambda self: log.events)
    chart = widgets.coming_and_going(session, journeys)
    assert chart.source.name == "lifecycle"
    row = chart.source.rows[1]
    assert chart.opener.receive({"kind": "open", "mark": 1})["count"] == row["n"]


@pytest.mark.thorough
def test_a_linked_chart_of_nothing_is_said_in_words(session, journeys):
    nothing = ek.compare_first_weeks(journeys).clear()
    said = ek.handout.or_why(lambda: widgets.linked_chart(session, journeys, "dumbbell", answer=nothing))  # fmt: skip
    assert str(said).startswith("> ")
    drawn = ek.handout.or_why(lambda: widgets.linked_chart(session, journeys, "dumbbell"))
    assert drawn.source.name == "dumbbell"
