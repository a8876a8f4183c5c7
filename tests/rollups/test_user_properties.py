"""Event properties as the user's own: the first value of the first 24 hours, on every engine, and usable as by=."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_rollup import (
    as_frame,
    first_values,
    people_frame,
    some_definition,
    some_people,
    some_rows,
)

import engagekit as ek
from engagekit.errors import ColumnError, DefinitionError, ParameterError

PLAN = ek.Definition(signup="join", activation="make", core="make", properties=["plan"])
DAY = datetime(2026, 3, 1, 10, tzinfo=UTC)


def log(*rows, kind=pl.String):
    """Rows of (user, event, hours after the start, plan)."""
    rows = [(user, event, DAY + timedelta(hours=hours), plan) for user, event, hours, plan in rows]
    schema = {"user_id": pl.Int64, "event": pl.String, "at": pl.Datetime("us", "UTC"), "plan": kind}
    return pl.DataFrame(rows, schema=schema, orient="row")


def plans(frame, definition=PLAN, **more):
    users = ek.rollup(frame, definition, missing="allow", **more).users
    return dict(users.select("user_id", "plan").iter_rows())


def test_the_first_value_within_a_day_of_sign_up_counts():
    frame = log(
        (1, "look", -1, "before"), (1, "join", 0, None), (1, "look", 3, "free"), (1, "look", 5, "pro"),
        (2, "join", 0, None), (2, "look", 23.999, "pro"), (2, "look", 24, "free"),
        (3, "join", 0, None), (3, "look", 24, "pro"),
        (4, "join", 0, "free"), (4, "make", 100, "pro"),
    )  # fmt: skip
    assert plans(frame) == {1: "free", 2: "pro", 3: None, 4: "free"}


def test_of_values_at_one_instant_the_smallest_counts_whatever_the_order_of_rows():
    rows = [
        (1, "join", 0, None),
        (1, "look", 1, "pro"),
        (1, "make", 1, "free"),
        (1, "look", 2, "a"),
    ]
    for seed in range(6):
        random.Random(seed).shuffle(rows)
        assert plans(log(*rows)) == {1: "free"}


def test_in_a_log_of_dates_the_day_of_sign_up_is_the_first():
    frame = log((1, "join", 0, None), (1, "look", 1, "free"), (2, "join", 0, None), (2, "look", 24, "pro"))  # fmt: skip
    assert plans(frame.with_columns(pl.col("at").dt.date())) == {1: "free", 2: None}


def test_the_users_table_stands_instead():
    frame = log((1, "join", 0, "free"), (2, "join", 0, "free"))
    users = pl.DataFrame({"user_id": [1], "plan": ["team"]})
    assert plans(frame, users=users) == {1: "team", 2: None}
    assert plans(frame.drop("plan"), users=users) == {1: "team", 2: None}
    other = pl.DataFrame({"user_id": [1], "channel": ["ads"]})
    journeys = ek.rollup(frame, PLAN, users=other, missing="allow")
    assert journeys.properties == ["channel", "plan"]
    assert dict(journeys.users.select("user_id", "plan").iter_rows()) == {1: "free", 2: "free"}


def test_an_account_has_the_first_value_of_any_member():
    frame = log((1, "join", 0, None), (2, "join", 2, "pro"), (1, "look", 3, "free"), (3, "join", 0, "x"))  # fmt: skip
    users = pl.DataFrame({"user_id": [1, 2, 3], "account_id": ["a", "a", None]})
    assert plans(frame, users=users, unit="account") == {"a": "pro"}


@pytest.mark.parametrize(
    ("kind", "values", "kept"),
    [
        (pl.Int64, [2, 1], pl.Int64), (pl.Float64, [0.5, 1.5], pl.Float64), (pl.Boolean, [True, False], pl.Boolean),
        (pl.Categorical, ["a", "b"], pl.String), (pl.Enum(["b", "a"]), ["a", "b"], pl.String), (pl.Null, [None, None], pl.String),
    ],
)  # fmt: skip
def test_values_keep_their_kind_and_categories_become_text(kind, values, kept):
    frame = log((1, "join", 0, values[0]), (2, "join", 0, values[1]), kind=kind)
    users = ek.rollup(frame, PLAN, missing="allow").users
    assert users["plan"].to_list() == values
    assert users.schema["plan"] == kept


def test_values_that_make_no_groups_are_refused():
    frame = log((1, "join", 0, None)).with_columns(pl.Series("plan", [["a", "b"]]))
    with pytest.raises(
        ColumnError,
        match=r"the property 'plan' holds List\(String\); a property of users takes text",
    ):
        ek.rollup(frame, PLAN)


@pytest.mark.thorough
@settings(max_examples=60)
@given(
    rng=st.randoms(use_true_random=False),
    ids=st.sampled_from(["int", "text"]),
    dates_only=st.booleans(),
    sign_ups=st.sampled_from([None, "none", "dates", "instants"]),
    unit=st.sampled_from(["user", "account"]),
)
def test_equals_the_plain_one_on_dirty_logs(rng, ids, dates_only, sign_ups, unit):
    definition = dataclasses.replace(some_definition(rng, signup=("signup", None)), properties=["status", "size"])  # fmt: skip
    rows = some_rows(rng, ids=ids, dates_only=dates_only, users=3)
    people = None if sign_ups is None else some_people(rng, rows, sign_ups=sign_ups)
    journeys = ek.rollup(
        as_frame(rows, ids=ids, dates_only=dates_only), definition, unit="user" if people is None else unit,
        users=None if people is None else people_frame(people, ids=ids, sign_ups=sign_ups), missing="allow",
    )  # fmt: skip
    users = journeys.users.select("user_id", "status", "size").to_dicts()
    found = {(row["user_id"], name): row[name] for row in users for name in ("status", "size")}
    assert found == first_values(rows, journeys, people=people)


def test_a_log_in_parts_and_a_prepared_one_say_the_same(monkeypatch, tmp_path):
    rows = some_rows(random.Random(5), users=7, most=400)
    frame, definition = as_frame(rows), ek.Definition(signup="signup", activation="make", core="make", properties=["status"])  # fmt: skip
    whole = ek.rollup(frame, definition)
    assert whole.users["status"].n_unique() > 2
    monkeypatch.setattr("engagekit.rollups.prepare.BUCKET", 50)
    folder = ek.prepare_events(frame, tmp_path / "prepared", progress=False)
    assert ek.rollup(folder, definition).users.sort("user_id").equals(whole.users)
    monkeypatch.setattr("engagekit.rollups.local.LARGE", 0)
    monkeypatch.setattr("engagekit.rollups.local.PART", 100)
    with pytest.warns(match="read several times"):
        parts = ek.rollup(frame, definition, into=tmp_path / "journeys")
    assert parts.users.collect().sort("user_id").equals(whole.users)


def test_answers_are_split_by_it(tmp_path):
    made = ek.simulate(users=400, seed=3)
    plan = made.users.select("user_id", pl.col("plan").cast(pl.String))
    events = made.events.lazy().collect().join(plan, on="user_id", how="left")
    definition = dataclasses.replace(made.definition, properties=["plan"])
    definition.save(tmp_path / "d.toml")
    assert ek.Definition.load(tmp_path / "d.toml") == definition
    of_events = ek.rollup(events, definition, as_of=made.as_of)
    of_users = ek.rollup(made.events, made.definition, users=plan, as_of=made.as_of)
    for answer in (ek.diagnose, ek.metrics, ek.cohort_curves):
        assert answer(of_events, by="plan").equals(answer(of_users, by="plan"))
    segments = ek.prioritize(of_events, by="plan").segments
    assert segments.equals(ek.prioritize(of_users, by="plan").segments)
    of_events.save(tmp_path / "journeys")
    assert ek.Journeys.load(tmp_path / "journeys").properties == ["plan"]


def test_a_property_that_is_missing_is_asked_for_by_name():
    frame = log((1, "join", 0, "free")).drop("plan")
    with pytest.raises(ColumnError, match=r"no column 'plan'.*definition=.*keep=\['plan'\]"):
        ek.rollup(frame, PLAN)
    journeys = ek.rollup(frame, dataclasses.replace(PLAN, properties=()), missing="allow")
    for answer in (ek.prioritize, ek.diagnose, ek.metrics, ek.cohort_curves):
        with pytest.raises(
            ParameterError, match=r"'plan' is no property of the users.*properties="
        ):
            answer(journeys, by="plan")


@pytest.mark.parametrize("by", ["*", "", "^.*$", ["*"]])
def test_what_is_no_name_is_refused_as_such(by):
    journeys = ek.rollup(log((1, "join", 0, "free")), PLAN, missing="allow")
    for answer in (
        ek.prioritize,
        ek.diagnose,
        ek.metrics,
        ek.cohort_curves,
        ek.compare_first_weeks,
    ):
        with pytest.raises(ParameterError, match="is no property of the users"):
            answer(journeys, by=by)
    with pytest.raises(ParameterError):
        ek.survival(journeys, quiet_days=7, by=by)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ([""], "names of event properties"), ([3], "names of event properties"), (None, "takes a list"), ([["a"]], "names of event"),
        (["user_id"], "engagekit uses itself"), (["core_days"], "engagekit uses itself"),
        (["*"], "stand for several"), (["^pl.*$"], "stand for several"),
    ],
)  # fmt: skip
def test_names_that_cannot_be_are_refused_by_the_definition(properties, words):
    with pytest.raises(DefinitionError, match=words):
        ek.Definition(activation="a", core="b", properties=properties)


def test_one_name_is_a_list_of_it_and_twice_is_once():
    one = ek.Definition(activation="a", core="b", properties="plan")
    assert one == ek.Definition(activation="a", core="b", properties=["plan", "plan"])
    assert one.to_table()["properties"] == ["plan"]
    assert "properties" not in ek.Definition(activation="a", core="b").to_table()


def test_users_whose_value_changes_are_counted():
    frame = log(
        (1, "join", 0, "free"), (1, "make", 500, "pro"), (2, "join", 0, "free"), (2, "make", 1, None),
        (3, "join", 0, "a"), (3, "make", 1, "b"),
    )  # fmt: skip
    changing = pl.col("check") == "users whose property changes"
    row = ek.check_events(frame, PLAN).row(by_predicate=changing, named=True)
    assert (row["count"], row["share"]) == (2, pytest.approx(2 / 3))
    assert row["example"] == "'plan': 2 of 3 users"
    assert "24 hours" in row["advice"]
    for definition in (
        None,
        dataclasses.replace(PLAN, properties=()),
        dataclasses.replace(PLAN, properties=["x"]),
    ):
        assert ek.check_events(frame, definition).row(by_predicate=changing, named=True)["count"] is None  # fmt: skip


@pytest.mark.parametrize(
    "name", ["u", "t", "day_", "_property_0", "s_t", "given", "slot", "A b.c", "Plan"]
)
def test_whatever_a_property_is_called(name):
    frame = log((1, "join", 0, "free"), (1, "make", 1, "pro")).rename({"plan": name})
    users = ek.rollup(frame, dataclasses.replace(PLAN, properties=[name])).users
    assert users[name].to_list() == ["free"]
