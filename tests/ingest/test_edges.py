"""The edges of a log: stray events do not move them, and nothing is cut that should stay."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_edges import body

import engagekit as ek
from engagekit.ingest.edges import Edges, edges_of, outskirts
from engagekit.log import daily

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


def frame(rows):
    return pl.DataFrame(
        [(user, "open", at) for user, at in rows],
        schema={"user_id": pl.Int64, "event": pl.String, "at": pl.Datetime("us", "UTC")},
        orient="row",
    )


def found(rows) -> Edges:
    log = frame(rows).lazy()
    return edges_of(daily(log), outskirts(log))


def on(day, user=0, hour=0):
    return user, START + timedelta(days=day, hours=hour)


def busy(days, users=10):
    """Everybody is there on every one of these days."""
    return [on(day, user, user % 9) for day in days for user in range(users)]


def spans(rows):
    edges = found(rows)
    return (edges.start - START).days, (edges.last - START).days


def counted(stray):
    return stray and (stray.events, stray.users)


@pytest.mark.parametrize(
    ("outside", "early", "late"),
    [
        ([on(-9000)], (1, 1), None),
        ([on(-5)], (1, 1), None),
        ([on(-4)], None, None),  # three empty days are no gap
        ([on(40)], None, (1, 1)),
        ([on(34)], None, (1, 1)),
        ([on(33)], None, None),
        ([on(-200, 1), on(-100, 2), on(-50, 3), on(60, 4), on(70, 5), on(900, 6)], (3, 3), (3, 3)),
        ([on(-50, user) for user in range(4)], None, None),  # four users of ten
        (
            [on(-50, 1, hour) for hour in range(4)],
            None,
            None,
        ),  # four events, above one in a hundred
    ],
)
def test_few_events_of_few_users_beyond_a_long_gap_are_stray(outside, early, late):
    edges = found([*busy(range(30)), *outside])
    assert (counted(edges.before), counted(edges.after)) == (early, late)
    if early and late:
        assert (edges.start, edges.last) == (START, START + timedelta(days=29, hours=8))


def test_under_one_in_a_hundred_events_of_users_are_few_in_a_large_log():
    rows = busy(range(30), users=1000)
    nine, ten = ([on(60, user) for user in range(count)] for count in (9, 10))
    assert counted(found([*rows, *nine]).after) == (9, 9)
    assert found([*rows, *ten]).after is None
    bot = [on(-30, 5, hour / 100) for hour in range(300)]
    assert counted(found([*rows, *bot]).before) == (300, 1)
    assert (
        found([*rows, *bot, *[on(-30, 5, hour / 100) for hour in range(300, 320)]]).before is None
    )


def test_a_gap_counts_against_the_gaps_near_it():
    weekly = busy(range(0, 120, 7))  # six empty days between two
    assert spans([*weekly, on(137)]) == (0, 137)  # 17 empty days
    assert spans([*weekly, on(139)]) == (0, 119)
    far = [*busy(range(20)), *busy(range(60, 200))]  # forty empty days, but long ago
    assert spans([*far, on(220)]) == (0, 199)
    near = [*busy(range(20)), *busy(range(60, 140))]
    assert spans([*near, on(220)]) == (0, 220)


@pytest.mark.parametrize("start", [0, 40, 110])
def test_an_outage_of_ten_days_cuts_nothing(start):
    rows = [r for r in busy(range(150)) if not start < (r[1] - START).days <= start + 10]
    assert spans(rows) == (0, 149)


def test_two_weeks_and_a_few_events_are_a_log():
    assert spans(busy(range(14), users=3)) == (0, 13)
    tiny = [on(0), on(4, 1), on(11, 2), on(30, 3)]
    assert spans(tiny) == (0, 30)  # what is cut off must be little beside the rest
    assert spans([on(0)]) == (0, 0)


def test_testers_in_front_of_a_young_product_stay_unless_they_are_few():
    launch = busy(range(20, 34), users=20)
    testing = [on(day, user) for day in range(12) for user in (100, 101)]
    assert spans([*testing, *launch]) == (0, 33)
    assert spans([on(0, 100), on(1, 100), on(2, 101), *launch]) == (20, 33)


def test_a_thin_tail_without_a_gap_is_cut_off():
    crowd = busy(range(60), users=60)
    left = [on(day, user) for day in range(60, 70) for user in (1, 2, 3)]
    assert spans([*crowd, *left]) == (0, 59)
    assert spans([*crowd, *left, on(65, 4)]) == (0, 69)  # a fourth user
    assert spans([*busy(range(60), users=59), *left]) == (0, 69)  # not 20 times as many
    assert spans([*crowd, *[r for r in left if r[1] < START + timedelta(days=63)]]) == (
        0,
        62,
    )  # three days
    assert counted(found([*crowd, *left]).after) == (30, 3)


def test_strays_behind_a_thin_tail_are_cut_off_with_it():
    rows = [*busy(range(60), users=60), *[on(day, 1) for day in range(60, 70)], on(200, 7)]
    edges = found(rows)
    assert (spans(rows), counted(edges.after), edges.after.gap) == ((0, 59), (11, 2), 0)


def some_log(rng):
    begin, length, users = rng.randrange(30), rng.randrange(1, 60), rng.randrange(1, 80)
    chance = rng.choice([0.02, 0.2, 0.9])
    days = range(begin, begin + length)
    rows = [on(day, user) for day in days for user in range(users) if rng.random() < chance]
    rows += [on(rng.randrange(140), rng.randrange(90)) for _ in range(rng.randrange(1, 7))]
    if rng.random() < 0.5:
        rows += [on(begin + length + day, rng.randrange(3)) for day in range(rng.randrange(30))]
    return rows


@pytest.mark.thorough
@given(rng=st.randoms(use_true_random=False))
def test_it_is_what_the_rule_says_on_any_log(rng):
    rows = some_log(rng)
    edges, (inside, early, late) = found(rows), body(rows)
    times = [at for _, at in inside]
    assert (edges.start, edges.last) == (min(times), max(times))
    for stray, outside in ((edges.before, early), (edges.after, late)):
        assert counted(stray) == ((len(outside), len({u for u, _ in outside})) if outside else None)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
def test_sql_says_the_same(seed):
    ibis = pytest.importorskip("ibis")
    from engagekit.rollups.sql_edges import body_of

    rows = some_log(random.Random(seed))
    log = frame(rows).select("user_id", t=pl.col("at").to_physical())
    edges = found(rows)
    got = ibis.duckdb.connect().to_polars(body_of(ibis.memtable(log.to_arrow())))
    assert got.select(pl.all().cast(pl.Datetime("us", "UTC"))).row(0) == (edges.start, edges.last)


def with_strays():
    rows = [(user, "in" if day == user % 20 else "make", at) for day in range(40) for user, at in busy([day], 70) if day >= user % 20]  # fmt: skip
    rows += [(1, "make", on(-300)[1]), (2, "in", on(70)[1]), (3, "make", on(90)[1])]
    log = pl.DataFrame(rows, schema=frame([]).schema, orient="row")
    definition = ek.Definition(signup="in", activation="make", core="make", usage_interval_days=3)
    return log, definition


@pytest.mark.parametrize("given", [None, "2026-06-01"])
def test_every_engine_leaves_the_same_out_and_says_so(tmp_path, given):
    duckdb = pytest.importorskip("duckdb")
    log, definition = with_strays()
    plain = ek.rollup(log, definition, as_of=given)
    assert plain.log_start == START
    assert dict(plain.left_out.select("reason", "count").iter_rows()) == (
        {"stray events before the log begins": 1} if given else {"stray events before the log begins": 1, "stray events after it ends": 2}
    )  # fmt: skip
    assert [remark.kind for remark in plain.remarks] == ["stray events", "as_of beyond the log" if given else "stray events"]  # fmt: skip
    connection = duckdb.connect()
    events = connection.from_arrow(log.to_arrow())
    ek.prepare_events(log, tmp_path / "log", progress=False)
    for source in (events, tmp_path / "log"):
        other = ek.rollup(source, definition, as_of=given)
        assert other.remarks == plain.remarks
        assert other.users.equals(plain.users)
        assert other.left_out.equals(plain.left_out)
        assert (other.as_of, other.log_start) == (plain.as_of, plain.log_start)


@pytest.mark.slow
@pytest.mark.parametrize("given", [None, "2026-06-01"])
def test_sql_leaves_the_same_out(given):
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("ibis")
    log, definition = with_strays()
    plain = ek.rollup(log, definition, as_of=given)
    connection = duckdb.connect()
    connection.register("events", log.with_columns(pl.col("user_id").cast(pl.String)).to_arrow())
    queries = ek.rollup_sql(definition, dialect="duckdb", events="events", as_of=given)
    tables = {name: connection.sql(query).pl() for name, query in queries.items()}
    made = ek.Journeys.from_frames(**tables, definition=definition)
    assert made.left_out.equals(plain.left_out)
    assert (made.as_of, made.log_start) == (plain.as_of, plain.log_start)
    assert sorted(made.users["user_id"]) == sorted(plain.users["user_id"].cast(pl.String))
