from __future__ import annotations

import random
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle_rollup import (
    as_frame,
    oracle,
    people_frame,
    some_definition,
    some_people,
    some_rows,
)

import engagekit as ek
from engagekit.errors import ColumnError, EngagekitWarning, EventLogError, ParameterError
from engagekit.journeys.schema import TABLES

MAKE = ek.Definition(signup="signup", activation="make", core="make")


def held(journeys):
    """What journeys hold, as the oracle writes it."""
    found = {}
    for name in TABLES:
        aside = journeys.properties if name in ("users", "late") else []
        rows = getattr(journeys, name).lazy().drop(aside).collect().iter_rows()
        found[name] = {tuple(tuple(c) if isinstance(c, list) else c for c in row) for row in rows}
    return found | {"left_out": set(journeys.left_out.iter_rows())}


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def log(*rows, **schema):
    return pl.DataFrame(rows, schema={"user_id": pl.Int64, "event": pl.String, "at": pl.Datetime("us", "UTC")} | schema, orient="row")  # fmt: skip


@pytest.mark.thorough
@settings(max_examples=150)
@given(
    rng=st.randoms(use_true_random=False),
    ids=st.sampled_from(["int", "text"]),
    dates_only=st.booleans(),
    sign_ups=st.sampled_from([None, "none", "dates", "instants"]),
    unit=st.sampled_from(["user", "account"]),
    cut=st.booleans(),
)
def test_equals_the_plain_python_one_on_dirty_logs(rng, ids, dates_only, sign_ups, unit, cut):
    check_against_oracle(rng, ids, dates_only, sign_ups, unit, cut)


@pytest.mark.thorough
@settings(max_examples=25, suppress_health_check=[*HealthCheck])
@given(
    rng=st.randoms(use_true_random=False),
    sign_ups=st.sampled_from([None, "instants"]),
    unit=st.sampled_from(["user", "account"]),
)
def test_a_large_log_is_taken_in_parts_with_the_same_result(monkeypatch, rng, sign_ups, unit):
    monkeypatch.setattr("engagekit.rollups.local.LARGE", 0)
    monkeypatch.setattr("engagekit.rollups.local.PART", 9)
    with pytest.warns(EngagekitWarning, match="prepare_events"):
        check_against_oracle(rng, "text", False, sign_ups, unit, False, in_order=False)


@pytest.mark.slow
def test_equals_the_plain_python_one_on_many_more():
    for seed in range(3000):
        rng = random.Random(seed)
        check_against_oracle(
            rng, rng.choice(["int", "text"]), rng.random() < 0.3, rng.choice([None, "none", "dates", "instants"]),
            rng.choice(["user", "account"]), rng.random() < 0.5,
        )  # fmt: skip


def check_against_oracle(rng, ids, dates_only, sign_ups, unit, cut, *, in_order=True):
    definition = some_definition(rng, signup=("signup", ek.Match("signup", status="paid"), None))
    rows = some_rows(rng, ids=ids, dates_only=dates_only)
    people = None if sign_ups is None else some_people(rng, rows, sign_ups=sign_ups)
    if people is None:
        unit = "user"
    whole = [r["at"] for r in rows if None not in (r["user_id"], r["event"], r["at"])]
    as_of = rng.choice(whole) if cut else None
    if as_of == min(whole):
        as_of = None
    journeys = ek.rollup(
        as_frame(rows, ids=ids, dates_only=dates_only),
        definition,
        users=None if people is None else people_frame(people, ids=ids, sign_ups=sign_ups),
        unit=unit,
        as_of=as_of,
        missing="allow",
    )
    assert held(journeys) == oracle(
        rows, definition, people=people, unit=unit, as_of=as_of, dates_only=dates_only
    )
    for name, keys in {"users": [], "steps": ["step"], "early": ["event"], "days": ["role", "day"]}.items():  # fmt: skip
        table = getattr(journeys, name)
        assert not in_order or table.equals(table.sort("user_id", *keys))


def test_a_step_is_reached_at_the_latest_when_completed():
    steps = [ek.Step("A", "open", "done"), ek.Step("B", completed="pay"), ek.Step("C", "read")]
    definition = ek.Definition(signup="signup", activation="make", core="make", steps=steps)
    found = ek.rollup(
        log(
            (1, "open", at(1)),  # before sign-up: does not count
            (1, "signup", at(2)), (1, "done", at(3)), (1, "open", at(4)), (1, "read", at(6)), (1, "read", at(8)),
        ),
        definition,
    missing="allow", ).steps  # fmt: skip
    assert found.rows() == [
        (1, 0, at(3), at(4), at(3)),
        (1, 1, at(3), at(3), None),  # reached by completing A, never completed
        (1, 2, at(6), at(8), at(6)),  # completed by reaching it
    ]


def test_without_a_sign_up_event_the_first_event_is_the_sign_up():
    definition = ek.Definition(signup=None, activation="make", core="make", burn_in_days=2)
    events = log(
        (1, "make", at(1)), (2, "view", at(4)), (2, "make", at(5)), (3, "make", at(2)), (4, "make", at(9)),
    )  # fmt: skip
    journeys = ek.rollup(events, definition)
    assert journeys.users.select("user_id", "signed_up_at", "first_action_at").rows() == [
        (2, at(4), at(5)),
        (4, at(9), None),
    ]
    assert journeys.left_out.rows() == [("first seen in the first 2 days", 2, "users")]
    # A sign-up that the users table knows needs no burn-in, and its first event is an action.
    told = pl.DataFrame({"user_id": [1, 3], "signed_up_at": [at(1), at(2)]})
    cured = ek.rollup(events, definition, users=told)
    assert cured.users.select("user_id", "first_action_at").rows()[::2] == [(1, at(1)), (3, at(2))]
    assert cured.left_out.is_empty()


def test_users_of_the_table_without_events_are_users_too():
    told = pl.DataFrame({"user_id": [1, 2, 3], "plan": ["pro", "free", "x"], "signed_up_at": [None, at(3), None]})  # fmt: skip
    journeys = ek.rollup(
        log((1, "signup", at(1)), (1, "make", at(9))), MAKE, users=told, missing="allow"
    )
    assert journeys.users.row(1, named=True) == {
        "user_id": 2, "signed_up_at": at(3), "activated_at": None, "first_action_at": None, "last_core_at": None,
        "last_seen_at": None, "core_days": 0, "active_days": 0, "early_events": [0] * 14, "plan": "free",
    }  # fmt: skip
    assert journeys.left_out.rows() == [("no sign-up in the data", 1, "users")]
    assert journeys.properties == ["plan"]


def test_an_account_signs_up_with_its_first_member_and_does_what_any_does():
    told = pl.DataFrame({
        "user_id": ["a1", "a2", "b1", "b2", "c"], "account_id": [7, 7, 8, 8, None],
        "plan": ["pro", "pro", "free", "pro", None],
    })  # fmt: skip
    events = pl.DataFrame(
        [
            ("a1", "signup", at(1)), ("a2", "signup", at(5)), ("a2", "make", at(3)), ("b1", "signup", at(2)),
            ("b2", "make", at(1, 8)), ("c", "signup", at(2)), ("stranger", "signup", at(2)),
        ],
        schema=["user_id", "event", "at"], orient="row",
    )  # fmt: skip
    journeys = ek.rollup(events, MAKE, users=told, unit="account", missing="allow")
    assert journeys.users.select("user_id", "signed_up_at", "activated_at", "plan").rows() == [
        (7, at(1), at(3), "pro"),
        (8, at(2), None, None),
    ]
    assert journeys.left_out.rows() == [
        ("events before their user's sign-up", 1, "events"),
        ("no account in the users table", 2, "users"),
    ]
    assert journeys.unit == "account"


def test_local_days_and_first_days_across_a_clock_change():
    definition = ek.Definition(signup="signup", activation="make", core="make", timezone="Europe/Berlin")  # fmt: skip
    march = lambda day, hour, minute=0: datetime(2026, 3, day, hour, minute, tzinfo=UTC)  # noqa: E731
    journeys = ek.rollup(
        log(
            (1, "signup", march(28, 22)),  # 23:00 in Berlin
            (1, "make", march(28, 23)),  # midnight of the 29th, when clocks go forward
            (1, "make", march(29, 22)),  # midnight of the 30th, 24 hours after sign-up: day 1
        ),
        definition,
        missing="allow",
    )
    assert journeys.days["day"].to_list() == [date(2026, 3, 29), date(2026, 3, 30)]
    assert journeys.early.filter(event="make")["days"].to_list() == [0b11]


def test_a_date_in_the_users_table_is_local_midnight():
    definition = ek.Definition(signup=None, activation="make", core="make", timezone="America/New_York")  # fmt: skip
    told = pl.DataFrame({"user_id": [1], "signed_up_at": [date(2026, 1, 2)]})
    events = log((1, "make", at(2, 4)), (1, "make", at(2, 5)), (2, "make", at(1)))
    journeys = ek.rollup(events, definition, users=told, missing="allow")
    assert journeys.users["signed_up_at"].to_list() == [at(2, 5)]
    assert ("events before their user's sign-up", 1, "events") in journeys.left_out.rows()


def test_windows_are_resolved_once_from_the_whole_log():
    core = [(1, "make", at(day)) for day in (1, 2, 4, 8)] + [(2, "make", at(day)) for day in (1, 11)]  # fmt: skip
    found = ek.rollup(log((1, "signup", at(1)), (2, "signup", at(1)), *core), MAKE).definition
    # Own intervals of 2 (gaps 1, 2, 4: those up to 2 hold 3 of 7 days) and 10 days; their 80th percentile is 8.4.
    assert found.usage_interval_days == pytest.approx(8.4)
    assert (found.habit_days, found.depth_days, found.depth_within_days, found.outcome_days) == (14, 70, 30, (28, 42))  # fmt: skip


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["signup", "make"]), pl.String])
@pytest.mark.parametrize("ids", [pl.Int32, pl.UInt64, pl.String, pl.Categorical])
def test_kinds_of_columns_do_not_matter(kind, ids):
    definition = ek.Definition(
        signup="signup", activation=["make", "never_done"], core="make", advanced=["absent"]
    )
    events = log((1, "signup", at(1)), (1, "make", at(2)))
    ids_as_text = pl.col("user_id").cast(pl.String)
    cast = events.with_columns(pl.col("event").cast(kind), ids_as_text.cast(ids))
    told = pl.DataFrame({"user_id": [1]}).with_columns(ids_as_text if ids in (pl.String, pl.Categorical) else "user_id")  # fmt: skip
    journeys, plain = (
        ek.rollup(cast, definition, users=told, missing="allow"),
        ek.rollup(events, definition, missing="allow"),
    )
    for name in TABLES:
        assert getattr(journeys, name).drop("user_id").equals(getattr(plain, name).drop("user_id"))
    expected = pl.String if ids == pl.Categorical else ids
    assert {getattr(journeys, n).schema["user_id"] for n in TABLES} == {expected}
    assert journeys.early.schema["event"] == pl.String


def test_faults_are_told_all_at_once():
    needs = ek.Definition(signup="signup", activation=ek.Match("make", status="paid"), core="make")
    with pytest.raises(ColumnError, match=r"(?s)'user_id'.*Did you mean 'user'.*'status'"):
        ek.rollup(log((1, "signup", at(1))).rename({"user_id": "user"}), needs)
    twice = pl.DataFrame({"user_id": ["x", "x"], "core_days": [1, 2], "signed_up_at": ["now", "then"]})  # fmt: skip
    with pytest.raises(ColumnError) as error:
        ek.rollup(log((1, "signup", at(1))), MAKE, users=twice, unit="account", missing="allow")
    for part in ("'core_days'", "account_id", "more than one row", "Int64", "'signed_up_at' holds"):
        assert part in str(error.value)
    with pytest.raises(ColumnError, match="account_id"):
        ek.rollup(log((1, "signup", at(1))), MAKE, unit="account", missing="allow")
    with pytest.raises(ParameterError, match="Did you mean 'account'"):
        ek.rollup(log((1, "signup", at(1))), MAKE, unit="acount", missing="allow")
    with pytest.raises(EventLogError, match="no event before as_of"):
        ek.rollup(log((1, "signup", at(2))), MAKE, as_of="2026-01-01", missing="allow")
    with pytest.raises(EventLogError, match="holds no events"):
        ek.rollup(log(), MAKE)


def test_stray_events_are_left_out_and_said():
    body = log((1, "signup", at(5)), *[(1, "make", at(6))] * 58, (2, "signup", at(6)))
    stray = log((1, "make", datetime(2001, 5, 1)), (2, "make", at(20)), (3, "signup", at(21)))
    found, plain = ek.rollup(pl.concat([stray, body]), MAKE), ek.rollup(body, MAKE)
    assert held(found) == held(plain) | {"left_out": set(found.left_out.iter_rows())}
    assert (found.as_of, found.log_start) == (plain.as_of, plain.log_start)
    assert found.left_out.rows() == [
        ("stray events after it ends", 2, "events"), ("stray events before the log begins", 1, "events"),
    ]  # fmt: skip
    assert [(r.kind, r.about, r.users) for r in found.remarks] == [("stray events", ("start",), 1), ("stray events", ("end",), 2)]  # fmt: skip
    assert "1 event of 1 user on 2001-05-01" in found.remarks[0].text
    assert "2 events of 2 users from 2026-01-20 to 2026-01-21" in found.remarks[1].text
    # Who says up to when the data are complete vouches for what comes before.
    given = ek.rollup(pl.concat([stray, body]), MAKE, as_of="2026-01-22")
    assert given.users["user_id"].to_list() == [1, 2, 3]
    assert given.log_start == plain.log_start
