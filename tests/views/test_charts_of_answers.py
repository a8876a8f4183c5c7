"""Charts and tables take the answers as they come: each of them, from one small simulated log."""

from __future__ import annotations

import pytest

import engagekit as ek


@pytest.fixture(scope="module")
def made():
    return ek.simulate(users=500, seed=2)


@pytest.fixture(scope="module")
def journeys(made):
    return ek.rollup(made.events, made.definition, users=made.users, as_of=made.as_of)


OF_JOURNEYS = {
    "product_clock": lambda j: (ek.product_clock(j),),
    "change": lambda j: [ek.explain_change(j, since="2025-09-15", by="plan")],
    "targets": lambda j: [ek.suggest_targets(j)],
    "heatmap": lambda j: (ek.cohort_curves(j),),
    "curve": lambda j: (ek.pooled_curve(ek.cohort_curves(j, by=j.properties[0])),),
    "survival": lambda j: (ek.survival(j, quiet_days=28),),
    "step_drop_off": lambda j: (ek.step_drop_off(j),),
    "usage_interval": lambda j: (ek.usage_interval(j),),
    "engagement_matrix": lambda j: (ek.engagement_matrix(j),),
    "metrics": lambda j: (ek.metrics(j),),
    "diagnosis": lambda j: (ek.diagnose(j, by=j.properties[0]),),
    "dumbbell": lambda j: (ek.compare_first_weeks(j, by=j.properties[0]),),
    "day_map": lambda j: (ek.day_by_day(j),),
    "threshold_grid": lambda j: (ek.find_threshold(j),),
    "loop": lambda j: (ek.prioritize(j),),
    "loop_by_quarter": lambda j: (ek.prioritize(j),),
    "segments": lambda j: (ek.prioritize(j, by=j.properties[0]),),
    "experiment": lambda j: (
        ek.experiment(j, variant=j.properties[0], link="activation", control="free"),
    ),
    "replay": lambda j: (ek.replay(j),),
    "timeline": lambda j: (ek.timeline(j, j.users.sort("core_days")["user_id"][-1]),),
    "track": lambda j: (ek.track(j, since="2025-11-01", link="activation", goal=0.6),),
}
OF_EVENTS = {
    "activations": lambda made: (ek.compare_activations(made.events, made.definition, {"a": "first_project", "b": "connect_done"}, as_of=made.as_of),),
    "lifecycle": lambda made: (ek.lifecycle(made.events, as_of=made.as_of),),
    "stickiness": lambda made: (ek.stickiness(made.events, period="week", cumulative=True),),
    "funnel": lambda made: (ek.funnel(made.events, ["signed_up", "connect_done", "first_project"]),),
}  # fmt: skip


def drawn(name, answer):
    spec = getattr(ek.charts, name)(*answer).to_dict()
    assert spec["usermeta"]["engagekit"]["rows"]
    assert getattr(ek.tables, name)(*answer).sheet.rows


@pytest.mark.thorough
@pytest.mark.parametrize("name", OF_JOURNEYS)
def test_answers_from_journeys_are_drawn(journeys, name):
    drawn(name, OF_JOURNEYS[name](journeys))


@pytest.mark.parametrize("name", OF_EVENTS)
def test_answers_from_events_are_drawn(made, name):
    drawn(name, OF_EVENTS[name](made))


def test_a_projection_is_drawn(journeys):
    curve = ek.survival(journeys, quiet_days=28)
    ahead = ek.project_curve(curve, periods=6)
    rows = ek.tables.survival(curve, projected=ahead).sheet.rows
    assert sum("(projected)" in row[1] for row in rows) == 6
    ek.charts.survival(curve, projected=ahead).to_dict()


def test_every_chart_of_the_package_is_tried_here():
    assert {*OF_JOURNEYS, *OF_EVENTS} == set(ek.charts.__all__) - {"svg", "use_offline_charts"}
