"""The same journeys, to the last count, from every engine, on random dirty logs."""

from __future__ import annotations

import os
import random
import shutil
import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from oracle_rollup import as_frame, people_frame, some_definition, some_people, some_rows

import engagekit as ek
from engagekit.errors import ColumnError, EngagekitError, EventLogError
from engagekit.journeys.schema import TABLES
from engagekit.rollups import UNANNOUNCED, duckdb_stream, remote, spark_parts

MAKE = ek.Definition(signup="signup", activation="make", core="make")


def assert_same(one, other):
    for name in TABLES:
        a, b = getattr(one, name), getattr(other, name)
        if name == "users":  # what the users table brought keeps its row order nowhere
            a, b = a.select(sorted(a.columns)), b.select(sorted(b.columns))
        assert a.schema == b.schema, name
        assert a.equals(b), name
    assert one.left_out.equals(other.left_out)
    assert (one.as_of, one.log_start, one.dates_only, one.unit) == (other.as_of, other.log_start, other.dates_only, other.unit)  # fmt: skip
    assert one.definition == other.definition


@pytest.fixture(scope="module")
def to_duckdb():
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.execute("set timezone = 'America/New_York'")  # a session's zone must not matter
    yield lambda frame: connection.from_arrow(frame.to_arrow())
    connection.close()


@pytest.fixture(scope="module")
def to_ibis():
    ibis = pytest.importorskip("ibis")
    return lambda frame: ibis.memtable(frame.to_arrow())


@pytest.fixture(scope="session")
def spark():
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not installed")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Spark says about the versions of others
        from pyspark.sql import SparkSession

        options = {
            "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "1", "spark.default.parallelism": "1",
            "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.memory": "1g",
            "spark.sql.session.timeZone": "America/New_York", "spark.sql.adaptive.enabled": "false",
        }  # fmt: skip
        os.environ["PYSPARK_PYTHON"] = sys.executable  # what runs on partitions needs engagekit
        builder = SparkSession.builder.master("local[1]").appName("engagekit tests")
        for key, value in options.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


def compare(carry, rng, *, ids, dates_only, sign_ups, unit, naive=False, most=60, users=5):
    definition = some_definition(rng, signup=("signup", ek.Match("signup", status="paid"), None))
    rows = some_rows(rng, ids=ids, dates_only=dates_only, most=most, users=users)
    people = None if sign_ups is None else people_frame(some_people(rng, rows, sign_ups=sign_ups), ids=ids, sign_ups=sign_ups)  # fmt: skip
    log = as_frame(rows, ids=ids, dates_only=dates_only)
    if naive and not dates_only:
        log = log.with_columns(pl.col("at").dt.replace_time_zone(None))
    whole = log.drop_nulls(["user_id", "event", "at"])
    as_of = rng.choice([None, whole["at"].max()])
    if whole["at"].n_unique() == 1:
        as_of = None
    options = {
        "users": people,
        "unit": "user" if people is None else unit,
        "as_of": as_of,
        "missing": "allow",
    }
    assert_same(ek.rollup(carry(log), definition, **options), ek.rollup(log, definition, **options))


dirty = given(
    rng=st.randoms(use_true_random=False),
    ids=st.sampled_from(["int", "text"]),
    dates_only=st.booleans(),
    sign_ups=st.sampled_from([None, "none", "dates", "instants"]),
    unit=st.sampled_from(["user", "account"]),
    naive=st.booleans(),
)


@pytest.fixture(params=["streamed", "in its own queries"])
def way(request, monkeypatch):
    """A log in DuckDB streams over, unless it is too large."""
    if request.param == "in its own queries":
        monkeypatch.setattr(duckdb_stream, "MOST", -1)
    return request.param


@pytest.mark.thorough
@settings(max_examples=15, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
@dirty
def test_duckdb(to_duckdb, way, rng, **about):
    compare(to_duckdb, rng, **about)


def test_duckdb_without_pyarrow(to_duckdb, monkeypatch):
    log = as_frame(some_rows(random.Random(3), ids="text", most=200), ids="text")
    definition, relation = some_definition(random.Random(4)), to_duckdb(log)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    if pytest.importorskip("duckdb").__version__ < "2":
        with pytest.raises(EngagekitError, match=r"'pyarrow'; install it, or engagekit\[duckdb\]"):
            ek.rollup(relation, definition, missing="allow")
        return
    assert_same(ek.rollup(relation, definition, missing="allow"), ek.rollup(log, definition, missing="allow"))  # fmt: skip


@pytest.mark.thorough
def test_duckdb_ids_and_names_of_kinds_of_its_own(way):
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    ids = "'00000000-0000-0000-0000-00000000000' || (n // 2 % 9)"
    names = "['signup', 'make', 'odd']"
    plain = connection.sql(
        f"select {ids} as user_id, {names}[n % 2 + 1] as event, timestamptz '2026-01-01' + n * interval 5 hour as \"at\" from range(90) t(n)"
    )
    typed = plain.project(
        "user_id::uuid as user_id, event::enum('odd', 'signup', 'make') as event, \"at\""
    )
    found, expected = (ek.rollup(each, MAKE) for each in (typed, plain))
    assert_same(found, expected)
    assert found.users.height == 9
    assert found.users.schema["user_id"] == pl.String


@pytest.mark.thorough
def test_a_log_in_duckdb_may_be_asked_again_whatever_was_asked_before(to_duckdb, way):
    """A connection has one result at a time, so each must have come to its end."""
    log = as_frame(some_rows(random.Random(3), most=200))
    relation, expected = to_duckdb(log), ek.rollup(log, MAKE)
    for _ in range(3):
        assert_same(ek.rollup(relation, MAKE), expected)


@pytest.mark.thorough
@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
@dirty
def test_ibis(to_ibis, rng, **about):
    compare(to_ibis, rng, **about)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["duckdb", "ibis"])
def test_many_more(engine, to_duckdb, to_ibis, way):
    for seed in range(80):
        rng = random.Random(seed)
        compare(
            {"duckdb": to_duckdb, "ibis": to_ibis}[engine], rng, ids=rng.choice(["int", "text"]), dates_only=rng.random() < 0.3,
            sign_ups=rng.choice([None, "none", "dates", "instants"]), unit=rng.choice(["user", "account"]),
            naive=rng.random() < 0.3, most=200, users=7,
        )  # fmt: skip


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_spark(spark, seed):
    rng = random.Random(seed)
    compare(
        lambda frame: spark.createDataFrame(frame.to_arrow()), rng, ids=["int", "text"][seed % 2], dates_only=seed % 4 == 3,
        sign_ups=[None, "instants", "dates"][seed % 3], unit=["user", "account"][seed % 5 == 4], most=300, users=7,
    )  # fmt: skip


@pytest.mark.spark
@pytest.mark.slow
def test_spark_times_without_a_zone(spark):
    from pyspark.sql import functions as F

    log = as_frame(some_rows(random.Random(5), most=200))
    frame = spark.createDataFrame(log.with_columns(pl.col("at").to_physical()).to_arrow())
    naive = frame.withColumn("at", F.expr("timestampadd(MICROSECOND, at, timestamp_ntz'1970-01-01 00:00:00')"))  # fmt: skip
    assert dict(naive.dtypes)["at"] == "timestamp_ntz"
    definition = some_definition(random.Random(5))
    assert_same(ek.rollup(naive, definition), ek.rollup(log, definition))


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "zone"), [
    ("dates", "Pacific/Kiritimati"), ("dates", "America/Los_Angeles"), ("instants", "Pacific/Kiritimati"),
    ("instants", "Asia/Kathmandu"), ("naive", "America/Los_Angeles"), ("naive", "Asia/Kathmandu"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore")  # of PySpark about pandas, through which Ibis has its answers
def test_spark_behind_ibis_in_every_zone_of_a_session(spark, kind, zone):
    """Days are the definition's: the zone in which a session reads and writes times moves none."""
    ibis = pytest.importorskip("ibis")
    rng = random.Random(7)
    definition = some_definition(rng)
    log = as_frame(some_rows(rng, most=120), dates_only=kind == "dates")
    frame = spark.createDataFrame(log.to_arrow())
    if kind == "naive":
        counted = spark.createDataFrame(log.with_columns(pl.col("at").to_physical()).to_arrow())
        frame = counted.selectExpr("* except (at)", f"timestampadd(MICROSECOND, at, {EPOCH}) as at")
    frame.createOrReplaceTempView("zoned")
    table, before = ibis.pyspark.connect(spark).table("zoned"), spark.conf.get(SESSION_ZONE)
    spark.conf.set(SESSION_ZONE, zone)
    try:
        found = ek.rollup(table, definition, missing="allow")
        assert_same(found, ek.rollup(log, definition, missing="allow"))
    finally:
        spark.conf.set(SESSION_ZONE, before)


SESSION_ZONE, EPOCH = "spark.sql.session.timeZone", "timestamp_ntz'1970-01-01 00:00:00'"


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_spark_leaves_the_parts_of_each_partition_in_a_folder(spark, tmp_path, monkeypatch, seed):
    """Nothing with a row for each user comes to the driver."""
    monkeypatch.setattr(spark_parts, "PARTITION", 80)
    rng, brought, tall = random.Random(seed), remote.brought, []
    monkeypatch.setattr(remote, "brought", lambda f: tall.append(brought(f)) or tall[-1])
    ids = ["int", "text"][seed % 2]
    logs = [some_rows(rng, ids=ids, dates_only=seed == 2, most=400, users=7) for _ in range(9)]
    rows = max(logs, key=len)
    log, definition = as_frame(rows, ids=ids, dates_only=seed == 2), some_definition(rng)
    if ids == "text":
        log = log.with_columns(pl.col("user_id") + pl.int_range(pl.len()).mod(40).cast(pl.String))
    frame = spark.createDataFrame(log.to_arrow())
    found = ek.rollup(frame, definition, into=tmp_path / "journeys", missing="allow")
    expected = ek.rollup(log, definition, missing="allow")
    assert len(found.pieces) > 1
    for name in TABLES:
        a, b = (getattr(each, name).lazy().collect() for each in (found, expected))
        keys = ["user_id", *(c for c in ("step", "event", "role", "day") if c in a.columns)]
        assert a.schema == b.schema
        assert a.sort(keys).equals(b.sort(keys)), name
    assert found.left_out.equals(expected.left_out)
    assert found.definition == expected.definition
    assert {(r.kind, r.users) for r in found.remarks} == {(r.kind, r.users) for r in expected.remarks}  # fmt: skip
    # Of the outermost days it is asked who was there; that is few.
    widest = max(frame.height for frame in tall if "user_id" in frame.columns)
    assert ids == "int" or 4 * widest < log["user_id"].n_unique()
    loaded = ek.Journeys.load(tmp_path / "journeys", lazy=True)
    assert ek.prioritize(loaded).table.equals(ek.prioritize(expected).table)


@pytest.mark.spark
@pytest.mark.slow
def test_spark_sees_users_who_appear_without_a_sign_up_all_along(spark, tmp_path):
    """Of 400 users every second one's sign-up is lost; both roads count them, each in its own way."""
    rows = [(user, event, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=user, hours=hour)) for user in range(400)
            for event, hour in (("join", 0), ("make", 1), ("make", 100)) if user % 2 or event == "make"]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(signup="join", activation="make", core="make")
    here, frame = ek.rollup(log, definition), spark.createDataFrame(log.to_arrow())
    assert [remark.kind for remark in here.remarks] == [UNANNOUNCED]
    assert ek.rollup(frame, definition).remarks == here.remarks
    assert ek.rollup(frame, definition, into=tmp_path / "journeys").remarks == here.remarks


@pytest.mark.parametrize("engine", ["pandas", "arrow", "narwhals"])
def test_tables_that_polars_takes(engine):
    log = as_frame(some_rows(random.Random(3), ids="text"), ids="text")
    carry = {"pandas": lambda f: f.to_pandas(), "arrow": lambda f: f.to_arrow(), "narwhals": as_narwhals}[engine]  # fmt: skip
    definition = some_definition(random.Random(4))
    assert_same(ek.rollup(carry(log), definition), ek.rollup(log, definition))


def as_narwhals(frame):
    import narwhals as nw

    return nw.from_native(frame)


def test_what_an_engine_brings_is_checked_as_ours_is(to_duckdb, way):
    log = as_frame(some_rows(random.Random(3)))
    needs = ek.Definition(signup="signup", activation=ek.Match("make", plan="x"), core="make")
    with pytest.raises(ColumnError, match=r"(?s)no column 'user_id'.*no column 'plan'"):
        ek.rollup(to_duckdb(log.rename({"user_id": "user"})), needs)
    with pytest.raises(ColumnError, match="more than one row"):
        ek.rollup(to_duckdb(log), MAKE, users=pl.DataFrame({"user_id": [1, 1]}))
    with pytest.raises(EventLogError, match="no event"):
        ek.rollup(to_duckdb(log.head(0)), MAKE)
    with pytest.raises(EventLogError, match="no event before"):
        ek.rollup(to_duckdb(log), MAKE, as_of="1999-01-01")


def test_nothing_is_left_behind_in_duckdb(way):
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    log = as_frame(some_rows(random.Random(3)))
    ek.rollup(connection.from_arrow(log.to_arrow()), MAKE, users=pl.DataFrame({"user_id": [1]}))
    assert connection.sql("select table_name from duckdb_tables()").fetchall() == []
    assert connection.sql("select view_name from duckdb_views() where not internal").fetchall() == []  # fmt: skip


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_conditions_that_can_never_hold_are_told_beforehand(to_duckdb, engine):
    log = as_frame(some_rows(random.Random(3))).with_columns(pl.lit(value=True).alias("paid"))
    asks = [ek.Match("make", status=1), ek.Match("make", size=["1", 2]), ek.Match("make", size=True), ek.Match("make", paid=1), ek.Match("make", status="x", size=1.0, paid=False)]  # fmt: skip
    definition = ek.Definition(signup="signup", activation=asks, core="make")
    with pytest.raises(ColumnError) as error:
        ek.rollup(log if engine == "polars" else to_duckdb(log), definition)
    assert "4 faults" in str(error.value)
    for part in ("asks for 1, but 'status' holds String", "asks for '1', but 'size' holds Int64", "asks for True", "asks for 1, but 'paid'"):  # fmt: skip
        assert part in str(error.value)


def test_a_users_table_may_lie_there_too(to_duckdb, way):
    rows = some_rows(random.Random(9), most=200)
    people = people_frame(some_people(random.Random(9), rows, sign_ups="instants"), sign_ups="instants")  # fmt: skip
    log = as_frame(rows)
    assert_same(ek.rollup(to_duckdb(log), MAKE, users=to_duckdb(people)), ek.rollup(log, MAKE, users=people))  # fmt: skip


def test_an_unknown_engine_is_named():
    class DataFrame: ...

    DataFrame.__module__ = "dask.dataframe.core"
    with pytest.raises(EventLogError, match=r"dask DataFrame.*DuckDB relation.*rollup_sql"):
        ek.rollup(DataFrame(), MAKE)
    with pytest.raises(EventLogError, match="is a list"):
        ek.rollup([1, 2], MAKE)


def test_an_ibis_backend_that_is_not_known_is_named():
    ibis = pytest.importorskip("ibis")
    from engagekit.rollups.sql_dialects import dialect_of

    with pytest.raises(EventLogError, match=r"lies in sqlite; known are 'duckdb'.*to_polars"):
        dialect_of("sqlite")
    assert dialect_of(ibis.duckdb.connect().name) == "duckdb"
