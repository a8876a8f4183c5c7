"""Every frozen result that a public function returns has a short `repr`, HTML for notebooks, and plain values for JSON."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
import pkgutil
import re
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit._base import Remark, as_plain

MODULES = ("engagekit", "engagekit.strata", "engagekit.survival", "engagekit.intervals")
# What a definition is made of, and a folder that a team writes into: no results.
INPUTS = {"All", "Match", "Not", "Assignment", "Note", "Read", "Step", "Session"}
HOSTILE = "<script>alert(1)</script>"


@functools.cache
def frozen() -> dict[str, type]:
    """Find every frozen dataclass of the package, by name."""
    found = {}
    for info in pkgutil.walk_packages(ek.__path__, "engagekit."):
        if info.name.startswith(("engagekit.widgets", "engagekit.__main__")):
            continue
        for thing in vars(importlib.import_module(info.name)).values():
            if (
                inspect.isclass(thing)
                and dataclasses.is_dataclass(thing)
                and thing.__dataclass_params__.frozen
            ):
                found[thing.__name__] = thing
    return found


def results() -> set[str]:
    """Name the frozen classes that public functions return or that are public themselves."""
    named = set()
    for module in map(importlib.import_module, MODULES):
        for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                named |= set(re.findall(r"\w+", str(thing.__annotations__.get("return", ""))))
            elif inspect.isclass(thing):
                named.add(thing.__name__)
    return named & frozen().keys() - INPUTS


@functools.cache
def made() -> dict[str, object]:
    """Make one of each."""
    simulated = ek.simulate(users=1500, days=200, seed=1)
    journeys = ek.rollup(simulated.events, simulated.definition, users=simulated.users)
    arms = ek.rollup(
        simulated.events, simulated.definition,
        users=simulated.users.with_columns(pl.Series("arm", ["control", "new"] * 750)),
    )  # fmt: skip
    priority = ek.prioritize(journeys, by="plan")
    plan = ek.plan(priority, link="habit", experiment=True)
    tables = [[[30, 10], [20, 30]], [[12, 8], [9, 14]]]
    strata = importlib.import_module("engagekit.strata")
    each = [
        simulated, simulated.definition, journeys, priority, plan, plan.test, ek.load_sample(),
        ek.track(journeys, since=midway(journeys), link="activation"),
        ek.experiment(arms, variant="arm", link="activation"), ek.draft(simulated.events.lazy()),
        strata.mantel_haenszel(tables), strata.association(30, 10, 20, 30),
    ]  # fmt: skip
    leading = ek.simulate(users=2000, seed=1, telling={"tour_taken": (0.8, 0.2)})
    led = ek.rollup(leading.events, leading.definition, as_of=leading.as_of)
    each.append(ek.lever_test(led, ek.compare_first_weeks(led), "tour_taken"))
    return {type(result).__name__: result for result in each}


def midway(journeys: ek.Journeys) -> date:
    return (journeys.log_start + (journeys.as_of - journeys.log_start) / 2).date()


def test_all_public_results_are_looked_at():
    assert {"Priority", "Plan", "Tracked", "Experiment", "Journeys", "Definition", "Draft"} <= results()  # fmt: skip
    assert results() - made().keys() == set()


@pytest.mark.parametrize("name", sorted({*results(), "Trial"}))
def test_a_result_shows_itself(name):
    result = made()[name]
    shown = repr(result)
    assert len(shown) < 300
    assert "\n" not in shown
    assert " object at 0x" not in shown
    html = result._repr_html_()
    assert html.startswith(("<p>", "<pre>"))
    assert html.count("<p>") + html.count("<pre>") == 1
    table = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert table == result.to_dict()
    assert table


def test_plain_values_say_what_the_fields_say():
    priority, journeys = made()["Priority"], made()["Journeys"]
    table = priority.to_dict()
    assert {f.name for f in dataclasses.fields(priority)} <= table.keys()
    assert table["verdict"] == priority.verdict
    assert [row["n"] for row in table["table"]] == priority.table["n"].to_list()
    assert table["basis"]["as_of"] == priority.basis.as_of.isoformat()
    found = journeys.to_dict()
    assert found["users"] == journeys.users.height
    assert not set(journeys.users["user_id"].cast(str)) & set(re.findall(r"\w+", json.dumps(found)))
    assert "events" not in made()["Sample"].to_dict()


def test_a_definition_comes_back_from_its_plain_values():
    definition = ek.Definition(
        activation=ek.All("seen", ek.Match("report", times=3)), core=["make", ek.Match("do", kind=None)],
        advanced=["x"], steps=[ek.Step("Connect", reached="a", completed="b")], targets={"habit": 0.5},
        experiment=ek.Assignment("exposed", shares={"control": 0.9, "new": 0.1}), read=ek.Read(user="uid"),
    )  # fmt: skip
    again = ek.Definition.from_table(json.loads(json.dumps(definition.to_dict())))
    assert again.to_table() == definition.to_table()


def test_names_in_html_are_inert():
    definition = ek.Definition(name=HOSTILE, activation=HOSTILE, core="make")
    assert "<script" not in definition._repr_html_()
    log = pl.DataFrame({"user_id": ["a", "b"], "event": [HOSTILE, "make"], "at": [datetime(2026, 1, d) for d in (1, 2)]})  # fmt: skip
    assert "<script" not in ek.draft(log)._repr_html_()


def test_remarks_can_be_unfolded_and_are_inert():
    priority = made()["Priority"]
    remark = Remark("test", ("x",), f"Mind {HOSTILE}")
    told = dataclasses.replace(priority, remarks=(remark,))._repr_html_()
    assert "To bear in mind: 1 remark<" in told
    assert "<script" not in told


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), None), (float("inf"), None), (0.5, 0.5), (True, True), (None, None), ("x", "x"),
        (date(2026, 1, 2), "2026-01-02"), (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (timedelta(minutes=1), 60.0), ((1, [2.0, (3,)]), [1, [2.0, [3]]]),
        (pl.DataFrame({"a": [date(2026, 1, 2), None]}), [{"a": "2026-01-02"}, {"a": None}]),
        ({"a": {"b": float("nan")}}, {"a": {"b": None}}),
    ],
)  # fmt: skip
def test_plain_values(value, plain):
    assert as_plain(value) == plain
