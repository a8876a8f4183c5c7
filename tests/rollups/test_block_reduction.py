"""The reduction of logs that polars reads: the same in blocks of any size, by any keys, and as the portable one has it."""

from __future__ import annotations

import random
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle_rollup import as_frame, people_frame, some_definition, some_people, some_rows

import engagekit as ek
from engagekit import rollups
from engagekit.instants import local_day
from engagekit.journeys.schema import TABLES
from engagekit.rollups import block_reduction, coded_log, id_lookup, remote
from engagekit.rollups.engines import Engine
from engagekit.rollups.id_lookup import Columns, Keys, Places
from engagekit.rollups.user_properties import hidden

MAKE = ek.Definition(signup="signup", activation="make", core="make")


def assert_same(one, other):
    for name in TABLES:
        a, b = getattr(one, name), getattr(other, name)
        assert a.select(sorted(a.columns)).equals(b.select(sorted(b.columns))), name
    assert one.left_out.equals(other.left_out)
    assert one.definition == other.definition
    assert {(r.kind, r.about, r.users) for r in one.remarks} == {
        (r.kind, r.about, r.users) for r in other.remarks
    }


def shaped(log, at, zone, properties):
    """Bring a polars log to the form of the portable reduction."""
    instant = pl.col("at").cast(pl.Datetime("us", "UTC")) if at == pl.Date else pl.col("at")
    return log.drop_nulls(["user_id", "event", "at"]).select(
        "user_id",
        "event",
        instant.to_physical().alias("t"),
        local_day(instant, zone).alias("day"),
        *[pl.col(name).alias(hidden(name)) for name in properties],
    )


def dated(frame, zone):
    day = local_day(pl.col("t").cast(pl.Datetime("us", "UTC")), zone)
    return frame.with_columns(day=pl.when(pl.col("moved") == 1).then(day).otherwise(pl.col("day")))


def portably(log, definition, *, users=None, unit="user", as_of=None):
    """Roll up as in a warehouse, only that polars is the warehouse."""
    engine = Engine("polars", shaped, dated, lambda _, frame: frame.lazy())
    opened = remote.opened(engine, log.lazy(), definition, users, unit, as_of, "allow")
    return rollups._rolled(opened, definition, unit)


def made(rng, *, ids="int", dates_only=False, sign_ups=None, unit="user", most=120, users=6):
    """A random dirty log, with what else it takes to roll it up."""
    definition = some_definition(rng, signup=("signup", ek.Match("signup", status="paid"), None))
    rows = some_rows(rng, ids=ids, dates_only=dates_only, most=most, users=users)
    people = None
    if sign_ups is not None:
        people = people_frame(some_people(rng, rows, sign_ups=sign_ups), ids=ids, sign_ups=sign_ups)
    log = as_frame(rows, ids=ids, dates_only=dates_only)
    return log, definition, {"users": people, "unit": "user" if people is None else unit}


some_log = given(
    rng=st.randoms(use_true_random=False),
    ids=st.sampled_from(["int", "text"]),
    dates_only=st.booleans(),
    sign_ups=st.sampled_from([None, "none", "dates", "instants"]),
    unit=st.sampled_from(["user", "account"]),
)


@pytest.mark.thorough
@settings(max_examples=12, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
@some_log
def test_equals_the_portable_reduction_however_the_log_is_sorted(rng, **about):
    log, definition, options = made(rng, **about)
    told = portably(log, definition, **options)
    seed = rng.randrange(100)
    for rows in (log, log.sort("at"), log.sort("user_id", "at"), log.sample(fraction=1, shuffle=True, seed=seed)):  # fmt: skip
        assert_same(ek.rollup(rows, definition, **options, missing="allow"), told)


@pytest.mark.thorough
@settings(max_examples=25, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
@some_log
def test_blocks_keys_and_lists_of_any_size_give_the_same(monkeypatch, rng, **about):
    log, definition, options = made(rng, **about)
    expected = ek.rollup(log, definition, **options, missing="allow")
    with monkeypatch.context() as patch:
        patch.setattr(block_reduction, "ROWS", rng.choice([1, 5, 20]))
        patch.setattr(block_reduction, "WIDTH", rng.choice([8, 63]))  # 8: nothing can be packed
        patch.setattr(id_lookup, "DENSE", 0)
        patch.setattr("engagekit.rollups.owned_events.SLICE", 7)
        for module in (id_lookup, coded_log):
            patch.setattr(module, "SLICE", 3)
        patch.setattr(coded_log, "TABLE", 0)
        assert_same(ek.rollup(log, definition, **options, missing="allow"), expected)


@pytest.mark.thorough
@settings(max_examples=25, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
@some_log
def test_texts_with_the_same_hash_are_told_apart(monkeypatch, rng, ids, **about):
    log, definition, options = made(rng, ids="text", users=7, **about)
    expected = ek.rollup(log, definition, **options, missing="allow")
    real = id_lookup._hash
    with monkeypatch.context() as patch:
        patch.setattr(id_lookup, "_hash", lambda user, seed: real(user, seed) % 2 if seed == 0 else real(user, seed))  # fmt: skip
        assert_same(ek.rollup(log, definition, **options, missing="allow"), expected)


@pytest.mark.parametrize("stranger", ["ann", "bob"])
def test_a_stranger_with_the_hash_of_a_user_is_told_from_them(monkeypatch, stranger):
    """Among the sign-ups no two hashes are the same, so only the second hash can tell."""
    log = pl.DataFrame({
        "user_id": ["zoe", "zoe", stranger, "zoe", stranger],
        "event": ["signup", "make", "make", "other", "other"],
        "at": pl.Series(range(5)).cast(pl.Datetime("us")),
    })  # fmt: skip
    read, found = [], coded_log.read
    monkeypatch.setattr(coded_log, "read", lambda *a, **k: read.append(k.get("keys")) or found(*a, **k))  # fmt: skip
    real = id_lookup._hash
    monkeypatch.setattr(id_lookup, "_hash", lambda user, seed: real(user, seed) * 0 if seed == 0 else real(user, seed))  # fmt: skip
    journeys = ek.rollup(log, MAKE)
    assert journeys.users.select("user_id", "core_days", "active_days").rows() == [("zoe", 1, 1)]
    assert journeys.days["times"].to_list() == [1]
    assert journeys.left_out.rows() == [("no sign-up in the data", 1, "users")]
    assert [keys is None or keys.listed is not None for keys in read] == [True, True]
    assert len(read) == 2


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt16, pl.Int64, pl.UInt64, pl.Int128, pl.String])
@pytest.mark.parametrize("far", [False, True])
def test_ids_of_any_kind(kind, far):
    numbers = [0, 1, 2, 3, 101]
    if far and kind in (pl.UInt64, pl.Int128, pl.String, pl.Int64):
        numbers += [2**63 - 1 if kind == pl.Int64 else 2**64 - 1, 2**62, 2**63 - 9]
    log = pl.DataFrame(
        {
            "user_id": pl.Series([n for n in numbers for _ in range(2)], dtype=pl.Int128).cast(
                kind
            ),
            "event": ["signup", "make"] * len(numbers),
            "at": pl.Series(range(2 * len(numbers))).cast(pl.Datetime("us")),
        }
    )
    users = ek.rollup(log, MAKE).users
    assert users.schema["user_id"] == kind
    expected = pl.Series("user_id", numbers, dtype=pl.Int128).cast(kind).sort()
    assert users["user_id"].equals(expected)
    assert users["core_days"].to_list() == [1] * len(numbers)


@pytest.mark.parametrize("count", [31, 33, 70])
def test_more_conditions_than_a_word_has_bits(count):
    rng = random.Random(count)
    rows = [(u, "signup", 0, None) for u in range(9)]
    rows += [(rng.randrange(9), rng.choice(["make", "look"]), 1 + n, rng.randrange(count)) for n in range(400)]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "event", "at", "place"], orient="row")
    log = log.with_columns(pl.col("at").cast(pl.Datetime("us")))
    asked = [ek.Match("look", place=n) for n in range(count)]
    steps = [ek.Step(f"Step {n}", completed=match) for n, match in enumerate(asked)]
    definition = ek.Definition(signup="signup", activation=ek.Match("make", place=0), core="make", steps=steps)  # fmt: skip
    found = ek.rollup(log, definition, missing="allow").steps.drop_nulls("completed_at")
    expected = log.filter(pl.col("event") == "look").group_by("user_id", "place").agg(pl.col("at").min()).sort("user_id", "place")  # fmt: skip
    assert found.select("user_id", "step").rows() == expected.select("user_id", "place").rows()
    assert found["completed_at"].to_physical().to_list() == expected["at"].to_physical().to_list()


def test_a_user_with_more_events_than_a_block_stays_whole(monkeypatch):
    monkeypatch.setattr(block_reduction, "ROWS", 10)
    rows = [(u, "signup" if n == 0 else "make", n) for u, most in ((1, 3), (2, 35), (3, 1), (4, 12)) for n in range(most)]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    log = log.with_columns((pl.col("at") * 43_200_000_000).cast(pl.Datetime("us")))
    users = ek.rollup(log, MAKE).users
    assert users.select("user_id", "core_days", "active_days").rows() == [(1, 2, 2), (2, 18, 18), (3, 0, 1), (4, 6, 6)]  # fmt: skip


def test_whole_numbers_as_ids_are_read_once_and_texts_twice():
    """Texts go by their hashes, so those who signed up are looked up once more; strangers, if there are any, too."""
    events = [(user, event) for user in range(20) for event in ("signup", "make", "look")]
    log = pl.DataFrame(events, schema=["user_id", "event"], orient="row")
    log = log.with_columns(pl.int_range(pl.len()).cast(pl.Datetime("us")).alias("at"))
    for ids, times in ((log, 1), (log.with_columns(pl.col("user_id").cast(pl.String)), 2)):
        passes = []
        ek.rollup(counted(ids, passes), MAKE)
        assert sum(len(columns) == 3 for columns in passes) == times, passes


def test_a_later_event_on_an_earlier_day():
    """In St. John's the clocks went back from 00:01 to 23:01 of the day before."""
    moments = ["2010-11-01 12:00:00", "2010-11-07 02:30:30", "2010-11-07 02:31:30", "2010-11-07 03:40:00"]  # fmt: skip
    log = pl.DataFrame({"user_id": [1] * 4, "event": ["signup", *["make"] * 3], "at": moments})
    log = log.with_columns(pl.col("at").str.to_datetime(time_unit="us"))
    definition = ek.Definition(signup="signup", activation="make", core="make", timezone="America/St_Johns")  # fmt: skip
    journeys = ek.rollup(log, definition)
    assert journeys.users.select("core_days", "active_days").row(0) == (2, 3)
    days = journeys.days.select("day", pl.col("first_at", "last_at").dt.strftime("%H:%M"), "times")
    assert [(str(day), *rest) for day, *rest in days.iter_rows()] == [
        ("2010-11-06", "02:31", "02:31", 1),
        ("2010-11-07", "02:30", "03:40", 2),
    ]


def test_users_with_one_hash_are_read_again_by_a_list(monkeypatch):
    log = pl.DataFrame({
        "user_id": ["zoe", "ann", "zoe", "ann", "zoe"],
        "event": ["signup", "signup", "make", "make", "make"],
        "at": pl.Series(range(5)).cast(pl.Datetime("us")),
    })  # fmt: skip
    real = id_lookup._hash
    monkeypatch.setattr(id_lookup, "_hash", lambda user, seed: real(user, seed) * seed)
    days = ek.rollup(log, MAKE).days.select("user_id", "times")
    assert days.rows() == [("ann", 1), ("zoe", 2)]


def test_a_user_without_events_is_not_taken_for_one_with_the_same_hash(monkeypatch):
    log = pl.DataFrame({
        "user_id": ["ann", "ann"], "event": ["signup", "make"], "at": pl.Series([0, 1]).cast(pl.Datetime("us")),
    })  # fmt: skip
    people = pl.DataFrame({"user_id": ["ann", "bob"], "signed_up_at": [datetime(1970, 1, 1)] * 2})
    real = id_lookup._hash
    monkeypatch.setattr(id_lookup, "_hash", lambda user, seed: real(user, seed) * seed)
    users = ek.rollup(log, MAKE, users=people).users
    assert users.select("user_id", "active_days").rows() == [("ann", 1), ("bob", 0)]


def counted(log, passes):
    from polars.io.plugins import register_io_source

    def source(with_columns, predicate, n_rows, batch_size):
        passes.append(with_columns or log.columns)
        found = log.select(with_columns or log.columns)
        yield found if predicate is None else found.filter(predicate)

    return register_io_source(source, schema=log.schema)


@given(
    keys=st.sets(st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)),
    ids=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-12, 12)),
)
def test_places_among_known_numbers(keys, ids):
    known = sorted(keys)
    asked = np.array([*ids, *known], np.int64)
    found = Places(np.array(known, np.int64), len(asked)).of(asked)
    assert found.tolist() == [known.index(n) if n in keys else -1 for n in asked.tolist()]


@given(st.lists(st.integers(0, 9), max_size=9), st.integers(0, 12))
def test_columns_hold_what_was_added_also_beyond_their_room(counts, room):
    columns, expected = Columns("i8 u2", room), []
    for count in counts:
        columns.add(np.arange(count), np.arange(count) + 7)
        expected += range(count)
    numbers, others = columns.taken()
    assert numbers.tolist() == expected
    assert others.tolist() == [number + 7 for number in expected]


def test_an_event_may_mean_many_steps():
    log = pl.DataFrame({"user_id": [1, 1], "event": ["signup", "make"], "at": pl.Series([0, 1]).cast(pl.Datetime("us"))})  # fmt: skip
    steps = [ek.Step(f"Step {n}", reached="make", completed="make") for n in range(300)]
    found = ek.rollup(log, ek.Definition(signup="signup", activation="make", core="make", steps=steps))  # fmt: skip
    assert found.steps["step"].to_list() == list(range(300))


def test_keys_of_one_kind_are_compared_with_a_second_hash_only_where_they_could_be_the_same():
    assert [Keys(kind()).hashed for kind in (pl.Int64, pl.UInt64, pl.Int128, pl.String)] == [False, False, True, True]  # fmt: skip
    assert not Keys(pl.String()).exact().hashed
