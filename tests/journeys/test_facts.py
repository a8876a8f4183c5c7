"""Facts about each user: what a slow count of the journeys' tables says, made once, whatever is asked of them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import engagekit as ek
from engagekit.instants import zone
from engagekit.journeys import FACTS, facts_of, outcome_days_of, sorted_within, storage
from engagekit.journeys import facts as facts_module
from engagekit.rollups import prepare

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["make", "edit", "report", "share", "invite", "ask", "give", "oops", "open", "done", "mail"]
D = ek.Definition(
    signup="join", activation="make", core=["make", "edit"], advanced=["report", "share", "edit"],
    advocacy="invite", feedback_asked="ask", feedback_given="give", errors="oops", outreach="mail",
    steps=[ek.Step("Setup", "open", "done"), ek.Step("Trial", "report", "share")], activation_days=7,
    habit_days=7, depth_days=35, timezone="Pacific/Auckland",
)  # fmt: skip
EVENT = st.tuples(
    st.integers(0, 4), st.sampled_from(NAMES), st.integers(0, 90 * 24), st.integers(0, 3599)
)


def log_of(events, early=()):
    rows = [(user, "join", START + 2 * DAY + user * timedelta(hours=31)) for user in range(5)]
    rows += [
        (user, name, START + timedelta(hours=hour, seconds=second))
        for user, name, hour, second in events
    ]
    return pl.DataFrame(rows, schema={"user_id": pl.Int64, "event": pl.String, "at": pl.Datetime("us", "UTC")}, orient="row")  # fmt: skip


def journeys_of(events, **more):
    return ek.rollup(log_of(events), D, as_of="2026-04-05T07:30", missing="allow", **more)


def slow_facts(j):
    """Look through the tables of one user after the other, as the words of `FACTS` say it."""
    local = zone(D.timezone)
    day_of = {day: place for place, day in enumerate(j.clock["day"])}
    weights = [round(w * 1_000_000) for w in j.clock["weight"]]

    def product(early, late):
        return sum(weights[day_of[early] + 1 : day_of[late] + 1])

    final = (j.as_of - timedelta(microseconds=1)).astimezone(local).date()
    for user in j.users.iter_rows(named=True):
        days = [r for r in j.days.iter_rows(named=True) if r["user_id"] == user["user_id"]]
        of = {role: sorted((r["day"], r["first_at"], r["last_at"], r["times"]) for r in days if r["role"] == role) for role in {r["role"] for r in days}}  # fmt: skip
        core, activated = of.get("core", []), user["activated_at"]
        gaps = [product(a[0], b[0]) for a, b in pairwise(core)]
        later = [r for r in core if activated and r[0] > activated.astimezone(local).date()]
        start, end = (user["signed_up_at"] + k * DAY for k in j.definition.outcome_days)
        actions = {role: rows for role, rows in of.items() if role.startswith("advanced:")}

        def met(rows):
            return any(
                (b[0] - a[0]).days <= j.definition.depth_within_days for a, b in pairwise(rows)
            )

        def within(rows, window, since=activated):
            return [r for r in rows if since and r[2] >= since and r[1] < since + window * DAY]

        deep = [role for role, rows in actions.items() if met(within(rows, 35))]
        asked = min((r[1] for r in of.get("feedback_asked", [])), default=None)
        steps = [r for r in j.steps.iter_rows(named=True) if r["user_id"] == user["user_id"]]
        still = [(r["last_reached_at"], r["step"]) for r in steps if r["completed_at"] is None]
        came = [t for r in steps for t in (r["last_reached_at"], r["completed_at"]) if t]
        yield {
            "user_id": user["user_id"],
            "returned": bool(later),
            "returned_at": min((r[1] for r in later), default=None),
            "silence": product(core[-1][0], final) if core else None,
            "median_gap": median(gaps) if gaps else None,
            "longest_gap": max(gaps, default=None),
            "reached": bool(steps),
            "open_step": max(still)[1] if still else None,
            "stepped_at": max(came, default=None),
            "deep": any(met(rows) for rows in actions.values()),
            "deepened": bool(deep),
            "advocated": bool(within(of.get("advocacy", []), 90)),
            "outcome_days": sum(r[2] >= start and r[1] < end for r in core),
            "asked_at": asked,
            "gave": bool(within(of.get("feedback_given", []), 14, asked)),
            "present": any(
                r[2] >= j.as_of - 28 * DAY
                for role, rows in of.items() if role not in ("outreach", "feedback_asked") for r in rows
            ),
            "adopted_0": "advanced:report" in deep,
            "adopted_2": "advanced:edit" in deep,
        }  # fmt: skip


@settings(max_examples=25)
@given(st.lists(EVENT, max_size=80))
def test_facts_are_what_a_slow_count_of_the_tables_says(events):
    j = journeys_of(events)
    found = facts_of(j).filter(~pl.col("late"))
    for fast, slow in zip(found.iter_rows(named=True), slow_facts(j), strict=True):
        assert {name: fast[name] for name in slow} == slow


@settings(max_examples=25)
@given(st.lists(EVENT, max_size=60), st.randoms())
def test_the_order_of_the_tables_changes_nothing(events, random):
    j = journeys_of(events)
    mixed = {
        name: getattr(j, name).sample(fraction=1, shuffle=True, seed=random.randrange(1000))
        for name in ("days", "steps")
    }
    assert_frame_equal(facts_of(dataclasses.replace(j, **mixed)), facts_of(j))


@settings(max_examples=25)
@given(st.lists(EVENT, max_size=60))
def test_narrowed_journeys_have_the_facts_of_their_users(events):
    j = journeys_of(events)
    fresh = facts_of(j.where(users=pl.col("user_id") % 2 == 0))
    facts_of(j)
    assert_frame_equal(facts_of(j.where(users=pl.col("user_id") % 2 == 0)), fresh)
    assert fresh["user_id"].to_list() == [u for u in j.users["user_id"] if u % 2 == 0]


MADE = ek.simulate(users=400, seed=8)


@pytest.fixture
def made():
    return ek.rollup(MADE.events, MADE.definition, users=MADE.users, as_of=MADE.as_of)


def test_each_column_is_of_its_kind(made):
    assert {name: facts_of(made).schema[name] for name in FACTS} == FACTS


def test_facts_are_made_once_and_another_target_looks_at_no_table(made, monkeypatch):
    calls = []
    real = facts_module._made
    monkeypatch.setattr(facts_module, "_made", lambda j: calls.append(1) or real(j))
    before = ek.prioritize(made, targets={"activation": 0.3, "habit": 0.5})
    for answer in (ek.diagnose, ek.label_users, ek.metrics, ek.outcomes, ek.prioritize):
        answer(made)
    assert len(calls) == 1
    empty = {name: getattr(made, name).clear() for name in ("days", "steps", "early")}
    for name, table in empty.items():
        object.__setattr__(made, name, table)
    moved = ek.prioritize(made, targets={"activation": 0.9, "habit": 0.5})
    assert moved.table.select("link", "n", "of").equals(before.table.select("link", "n", "of"))
    assert moved.table["target"][0] == 0.9


def test_core_days_in_the_outcome_window_are_the_same_with_and_without_the_other_facts(made):
    alone = outcome_days_of(made).collect()
    facts_of(made)
    with_all = outcome_days_of(made).collect()
    assert_frame_equal(alone, with_all, check_dtypes=False)
    assert alone["outcome_days"].sum() > 0


def test_earlier_journeys_have_facts_of_their_own(made):
    now, then = facts_of(made), facts_of(made.at("2025-12-01"))
    assert then.height < now.height
    assert then["returned"].sum() < now["returned"].sum()


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "BUCKET", 2_000)
    ek.prepare_events(MADE.events, tmp_path / "log", progress=False)
    return ek.rollup(
        tmp_path / "log", MADE.definition, users=MADE.users, as_of=MADE.as_of, into=tmp_path / "kept"
    )  # fmt: skip


def beside(parts):
    return sorted(parts.stored.folder.glob("facts-*/*.parquet"))


def test_facts_of_parts_lie_beside_their_tables_and_are_read_again(parts, made, monkeypatch):
    assert not beside(parts)
    first = ek.diagnose(parts)
    assert len(beside(parts)) == len(list(parts.parts()))

    def never(_):
        raise AssertionError

    monkeypatch.setattr(facts_module, "_made", never)
    again = ek.Journeys.load(parts.stored.folder, lazy=True)
    assert ek.prioritize(again).sentence == ek.prioritize(parts).sentence
    monkeypatch.undo()
    assert_frame_equal(first, ek.diagnose(made))
    assert_frame_equal(ek.metrics(again), ek.metrics(made))


def test_facts_on_disk_made_by_other_rules_are_not_read(parts, made):
    ek.diagnose(parts)
    rules = dataclasses.replace(parts.definition, depth_uses=1, habit_days=3)
    other, whole = (dataclasses.replace(j, definition=rules) for j in (parts, made))
    assert ek.diagnose(other).equals(ek.diagnose(whole))
    assert ek.diagnose(parts).equals(ek.diagnose(made))


def test_broken_facts_on_disk_are_made_anew(parts):
    first = ek.diagnose(parts)
    for path in beside(parts):
        path.write_bytes(b"PAR1")
    assert ek.diagnose(ek.Journeys.load(parts.stored.folder, lazy=True)).equals(first)


def test_a_folder_cleared_of_old_journeys_holds_no_old_facts(parts, made):
    ek.diagnose(parts)
    made.save(parts.stored.folder)
    assert not beside(parts)
    assert storage.manifest(parts.stored.folder) is not None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-(2**40), 2**62)), max_size=40))
def test_numbers_are_sorted_within_their_groups(pairs):
    group, values = (np.array([p[k] for p in pairs], np.int64) for k in (0, 1))
    assert sorted_within(group, values).tolist() == [value for _, value in sorted(pairs)]


def test_what_is_kept_is_no_part_of_the_journeys(made):
    before = repr(made)
    facts_of(made)
    assert repr(made) == before
    assert "_kept" not in vars(made)
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), ek.Journeys(**vars(made))):
        assert not hasattr(again, "_kept")
        assert_frame_equal(facts_of(again), facts_of(made))
