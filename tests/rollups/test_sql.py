"""The reduction as SQL: run on DuckDB and Spark, parsed in every dialect."""

from __future__ import annotations

import dataclasses
import random

import polars as pl
import pytest
import sqlglot
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle_edges import body
from oracle_rollup import as_frame, people_frame, some_definition, some_people, some_rows
from test_parity import spark as _spark  # noqa: F401
from test_prepare import assert_same

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.rollups.sql_dialects import DIALECTS
from engagekit.rollups.warehouse_sql import KEEPS_STRAYS

pytest.importorskip("ibis")
MAKE = ek.Definition(signup="signup", activation="make", core="make")


def read_back(queries, run, definition, **about):
    tables = {name: run(query) for name, query in queries.items()}
    return ek.Journeys.from_frames(**tables, definition=definition, **about)


def without_strays(log):
    """Leave out what lies outside the log's body, which the SQL of some dialects keeps."""
    while True:
        whole = log.drop_nulls(["user_id", "event", "at"])
        instants = whole.select("user_id", pl.col("at").cast(pl.Datetime("us")))
        days = {at.date() for _, at in body(list(instants.iter_rows()))[0]}
        inside = pl.col("at").cast(pl.Date).is_between(min(days), max(days))
        kept = log.filter(inside | pl.col("at").is_null())
        if kept.height == log.height:
            return log
        log = kept


def compare(run, rng, *, dialect, dates_only, sign_ups, unit, as_of=False, most=60):
    definition = some_definition(rng, signup=("signup", ek.Match("signup", status="paid"), None))
    rows = some_rows(rng, ids="text", dates_only=dates_only, most=most)
    people = None if sign_ups is None else people_frame(some_people(rng, rows, sign_ups="instants"), ids="text", sign_ups="instants")  # fmt: skip
    log = as_frame(rows, ids="text", dates_only=dates_only)
    if people is not None:
        # Dates go with logs of dates; a SQL model is not told what kind the sign-ups have.
        when = pl.col("signed_up_at").dt.date() if dates_only else pl.col("signed_up_at")
        people = (
            people.with_columns(when) if sign_ups == "instants" else people.drop("signed_up_at")
        )
    unit = "user" if people is None else unit
    if people is not None and unit == "account":
        people = people.drop("plan")
    if dialect in KEEPS_STRAYS:
        log = without_strays(log)
    whole = log.drop_nulls(["user_id", "event", "at"])
    end = whole["at"].max() if as_of and whole["at"].n_unique() > 1 else None
    queries = ek.rollup_sql(
        definition, dialect=dialect, events="shop_events", as_of=end, dates_only=dates_only, unit=unit,
        users=None if people is None else "shop_users", users_columns=() if people is None else people.columns,
    )  # fmt: skip
    made = read_back(queries, run(log, people), definition, dates_only=dates_only, unit=unit)
    plain = ek.rollup(log, definition, users=people, unit=unit, as_of=end, missing="allow")
    lacking = (
        pl.col("reason") == "rows without a user, an event name or a time"
    )  # nothing in SQL counts them
    assert made.left_out.filter(~lacking).equals(plain.left_out.filter(~lacking))
    assert_same(dataclasses.replace(made, left_out=plain.left_out), plain)


def on_duckdb(log, people):
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.register("shop_events", log.to_arrow())
    if people is not None:
        connection.register("shop_users", people.to_arrow())
    return lambda query: connection.sql(query).pl()


@pytest.mark.thorough
@settings(max_examples=3, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
@given(
    rng=st.randoms(use_true_random=False),
    dates_only=st.booleans(),
    sign_ups=st.sampled_from([None, "none", "instants"]),
    unit=st.sampled_from(["user", "account"]),
    as_of=st.booleans(),
)
def test_duckdb_runs_it_with_the_same_result(rng, **about):
    compare(on_duckdb, rng, dialect="duckdb", **about)


@pytest.mark.slow
def test_duckdb_runs_many_more():
    for seed in range(50):
        rng = random.Random(seed)
        compare(
            on_duckdb, rng, dialect="duckdb", dates_only=rng.random() < 0.3, sign_ups=rng.choice([None, "none", "instants"]),
            unit=rng.choice(["user", "account"]), as_of=rng.random() < 0.5, most=200,
        )  # fmt: skip


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_spark_runs_it_with_the_same_result(_spark, seed):  # noqa: F811, PT019
    def on_spark(log, people):
        _spark.createDataFrame(log.to_arrow()).createOrReplaceTempView("shop_events")
        if people is not None:
            _spark.createDataFrame(people.to_arrow()).createOrReplaceTempView("shop_users")
        return lambda query: pl.DataFrame(_spark.sql(query).toArrow())

    compare(
        on_spark, random.Random(seed), dialect="spark", dates_only=seed == 3, sign_ups=[None, "instants"][seed % 2],
        unit=["user", "account"][seed == 3], most=200,
    )  # fmt: skip


MODERATE = ek.Definition(
    signup="signup",
    activation="make",
    core=ek.Match("edit", status=["paid", "late"]),
    steps=[ek.Step("Connect", "open", "done")],
    advanced=["report"],
    timezone="Europe/Berlin",
)
VARIANTS = [("user", False)] + [pytest.param(*v, marks=pytest.mark.slow) for v in (("user", True), ("account", False), ("account", True))]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("unit", "dates_only"), VARIANTS)
def test_every_dialect_parses(dialect, unit, dates_only):
    rich = some_definition(random.Random(7), signup=("signup", None))
    for definition in (MODERATE,) if (unit, dates_only) == ("user", False) else (MODERATE, rich):
        queries = ek.rollup_sql(
            definition, dialect=dialect, events="shop.public.events", users="shop.public.users", unit=unit,
            users_columns=["signed_up_at", "account_id", "plan"], dates_only=dates_only,
        )  # fmt: skip
        assert list(queries) == ["users", "steps", "early", "days", "left_out", "about"]
        for name, query in queries.items():
            (parsed,) = sqlglot.parse(query, dialect=dialect)
            tables = {t.sql(dialect=dialect).split(" AS ")[0] for t in parsed.find_all(sqlglot.exp.Table)}  # fmt: skip
            ctes = {cte.alias_or_name for cte in parsed.find_all(sqlglot.exp.CTE)}
            real = {t for t in tables if t.strip('"`') not in ctes}
            assert real <= {"shop.public.events", "shop.public.users"}, name
            assert "shop.public.events" in real
            if name in ek.journeys.TABLES:
                columns = [c.lower() for c in parsed.named_selects]
                wanted = ["user_id", *ek.journeys.TABLES[name]]
                if name == "users":
                    each = [f"early_events_{day}" for day in range(definition.first_days)]
                    wanted = [c for c in wanted if c != "early_events"] + each
                assert columns[: len(wanted)] in (wanted, ["*"])


@pytest.mark.thorough
def test_snowflake_takes_the_columns_as_they_are_usually_made():
    query = ek.rollup_sql(MAKE, dialect="snowflake", events="shop.public.events")["days"]
    assert 'user_id AS "user_id"' in query
    assert "FROM shop.public.events" in query
    assert (
        "`at` AS `at`" in ek.rollup_sql(MAKE, dialect="bigquery")["days"]
    )  # at is a keyword there


def test_what_cannot_be_written_is_told_all_at_once():
    mixed = ek.Definition(signup="signup", activation=ek.Match("make", size=1), core=ek.Match("make", size="big"))  # fmt: skip
    with pytest.raises(ParameterError) as error:
        ek.rollup_sql(mixed, dialect="snow", unit="account")
    for part in ("Did you mean 'snowflake'", "account_id", "'size' is compared"):
        assert part in str(error.value)


def test_journeys_need_their_bounds():
    log = as_frame(some_rows(random.Random(1)))
    made = ek.rollup(log, MAKE, missing="allow")
    tables = {n: getattr(made, n) for n in ek.journeys.REDUCED}
    with pytest.raises(ParameterError, match="about="):
        ek.Journeys.from_frames(**tables, definition=MAKE)
    again = ek.Journeys.from_frames(**tables, definition=MAKE, as_of=made.as_of, log_start=made.log_start, left_out=made.left_out)  # fmt: skip
    assert_same(again, made)
