"""What PostHog, Mixpanel and Amplitude published about funnels, lifecycle and stickiness, reproduced exactly."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import polars as pl
import pytest
from oracle_rhythm import next_start, start_of

import engagekit as ek

KINDS = ("funnel", "lifecycle", "stickiness")
ORDERS = {"ordered": "ordered", "strict": "strict", "unordered": "any"}
EFFECTS = {"drop_user": "drop", "stop_at_step": "stop"}


@pytest.fixture(scope="module")
def cases(shared):
    found = json.loads((shared / "cases" / "platforms.json").read_text(encoding="utf-8"))["cases"]
    return {case["name"]: case for case in found if case["kind"] in KINDS}


def log_of(case):
    rows = [
        (e["user"], e["event"], e["timestamp"], e.get("properties", {})) for e in case["events"]
    ]
    names = sorted({name for *_, properties in rows for name in properties})
    frame = pl.DataFrame([row[:3] for row in rows], schema=["user_id", "event", "at"], orient="row")
    frame = frame.with_columns(pl.col("at").str.to_datetime(time_zone="UTC", time_unit="us"))
    return frame.with_columns(pl.Series(n, [row[3].get(n) for row in rows]) for n in names)


def check_funnel(case):
    query, expected = case["query"], case["expected"]
    exclusions = [(x["event"], x["from_step"], x["to_step"]) for x in query.get("exclusions", [])]
    asked = {
        "within": timedelta(seconds=query["window_seconds"]),
        "order": ORDERS[query["order"]],
        "entry": query.get("entry", "best"),
        "exclude": exclusions or None,
        "exclusion": EFFECTS[query.get("exclusion_effect", "drop_user")],
    }
    found = ek.funnel(log_of(case), query["steps"], **asked)
    assert found["n"].to_list() == expected["counts"]
    assert found["of"].to_list() == [None, *expected["counts"][:-1]]
    for column, name in (("mean_seconds", "average_seconds"), ("median_seconds", "median_seconds")):
        if name in expected:
            assert found[column].to_list() == expected[name]
    people = ek.funnel(log_of(case), query["steps"], **asked, people=True)
    by_step = [people.filter(step=k)["user_id"].to_list() for k in range(len(query["steps"]))]
    assert [len(users) for users in by_step] == expected["counts"]
    if "people" in expected:
        assert by_step == expected["people"]


def calendar_of(query):
    """The parameters of a case; its data end with the local period that holds date_to."""
    place = {"timezone": query["timezone"], "week_start": query["week_start"]}
    start = start_of(datetime.fromisoformat(query["date_to"]), query["period"], **place)
    end = next_start(start, query["period"])
    return place | {"period": query["period"], "since": query["date_from"], "as_of": end}


def check_lifecycle(case):
    query, expected = case["query"], case["expected"]
    asked = {"event": query["target"]["event"]} | calendar_of(query)
    found = ek.lifecycle(log_of(case), **asked)
    active = ("new", "returning", "resurrecting")
    for state in active:
        assert found[state].to_list() == expected[state], state
    assert found["dormant"].to_list() == [-n for n in expected["dormant"]]
    sums = [sum(row) for row in zip(*[expected[state] for state in active], strict=True)]
    assert found["active"].to_list() == sums
    if "row_starts" in expected:
        assert found["period_start"].cast(pl.String).to_list() == expected["row_starts"]
    people = ek.lifecycle(log_of(case), **asked, people=True)
    assert people.height == found.select(pl.sum_horizontal("active", "dormant").sum()).item()


def check_stickiness(case):
    query, expected = case["query"], case["expected"]["users_by_number_of_active_periods"]
    criteria = query.get("criteria", {})
    bounds = {"gte": ("at_least",), "lte": ("at_most",), "exact": ("at_least", "at_most")}
    asked = dict.fromkeys(bounds.get(criteria.get("operator"), ()), criteria.get("value"))
    asked |= {"event": query["target"]["event"], "cumulative": query["cumulative"]}
    asked |= calendar_of(query)
    found = ek.stickiness(log_of(case), **asked)
    assert found["users"].to_list() == expected
    people = ek.stickiness(log_of(case), **asked, people=True)
    counts = dict(people.group_by("intervals").len().rows())
    assert [counts.get(k + 1, 0) for k in range(len(expected))] == expected


def test_published_cases(cases):
    checks = {"funnel": check_funnel, "lifecycle": check_lifecycle, "stickiness": check_stickiness}
    failed = []
    for name, case in cases.items():
        try:
            checks[case["kind"]](case)
        except AssertionError as error:
            failed.append(f"{name}: {error}")
    assert failed == []
    assert len(cases) >= 14
