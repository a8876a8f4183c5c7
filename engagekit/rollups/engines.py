"""One small adapter per engine: a log's times and days in one form, and tables carried over and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EngagekitError, EventLogError
from engagekit.rollups.duckdb_stream import streamed
from engagekit.rollups.user_properties import hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engagekit.rollups.narwhals_reduction import Lazy

DAY_US = 86_400_000_000
LOG, PART = "_engagekit_log", "_engagekit_part"  # by these names queries call what they start from
KNOWN = "a polars, pandas or Arrow table, a DuckDB relation, a PySpark frame or an Ibis table"


@dataclass(frozen=True)
class Engine:
    """How one engine brings a log to the form of the portable reduction.

    `shaped` takes a native log, the kind of its ``at``, the time zone of local days and the properties needed;
    `dated` takes a frame in that form and tells the local ``day`` of ``t`` anew where ``moved`` is 1; `carried` takes a polars frame to where a native log lies; `kept` has the engine compute a native frame once and
    hold on to it, `dropped` (given the log too) lets it go again. `streamed` hands a log of moderate size over as a lazy
    polars frame, where that is cheaper than reducing it there; `spreads` says that each of its partitions can be reduced
    by itself.
    """

    name: str
    shaped: Callable[[Any, pl.DataType, str, Sequence[str]], Any]
    dated: Callable[[Any, str], Any]
    carried: Callable[[Any, pl.DataFrame], Any]
    kept: Callable[[Any, str], Any] = lambda frame, _: frame
    dropped: Callable[[Any, Any, str], Any] = lambda _, __, ___: None
    streamed: Callable[[Any], pl.LazyFrame | None] = lambda _: None
    spreads: bool = False


def engine_of(events: Any) -> Engine | None:
    """Find the engine a frame belongs to; None if polars takes it."""
    package, kind = type(events).__module__.split(".")[0], type(events).__name__
    if package in {"duckdb", "_duckdb"} and kind == "DuckDBPyRelation":
        return Engine(
            "DuckDB",
            _duckdb,
            _date_in_duckdb,
            _to_duckdb,
            _keep_in_duckdb,
            _drop_from_duckdb,
            streamed,
        )
    if package == "pyspark":
        return Engine(
            "PySpark",
            _spark,
            _date_in_spark,
            _to_spark,
            _keep_in_spark,
            _drop_from_spark,
            spreads=True,
        )
    if package == "ibis":
        from engagekit.rollups.sql_dialects import dialect_in

        dialect_in(events)  # before anything is asked of an engine that is not known
        return Engine("Ibis", _ibis, _date_in_ibis, _to_ibis)
    if package == "narwhals":
        return engine_of(events.to_native())
    if package in {
        "dask",
        "daft",
        "modin",
        "cudf",
        "sqlframe",
        "datafusion",
        "vaex",
        "pyflink",
        "snowflake",
        "bigframes",
    }:
        raise EventLogError(
            f"The event log is a {package} {kind}, an engine that is not known here. It takes {KNOWN}; "
            "for other warehouses, ek.rollup_sql writes the SQL."
        )
    return None


def as_portable(native: Any) -> Lazy:
    """Take a native frame as narwhals does."""
    import narwhals as nw

    lazy: Lazy = nw.from_native(native).lazy()
    return lazy


def brought(frame: Lazy) -> pl.DataFrame:
    """Bring a frame over to polars."""
    try:
        found: pl.DataFrame = frame.collect("polars").to_native()
    except ModuleNotFoundError as error:
        raise EngagekitError(
            f"Results come over as Arrow tables, which need the package {error.name!r}; install it."
        ) from None
    return found


def _plain(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _duckdb(log: Any, at: pl.DataType, zone: str, properties: Sequence[str]) -> Any:
    instant = '"at"' if getattr(at, "time_zone", None) else "\"at\"::timestamp at time zone 'UTC'"
    day = '"at"' if at == pl.Date else f"(({instant}) at time zone '{zone}')::date"
    columns = ", ".join(_text(log, p, _plain(hidden(p))) for p in properties)
    return log.filter('user_id is not null and "event" is not null and "at" is not null').project(
        f'{_text(log, "user_id", "user_id")}, "event"::varchar as "event", epoch_us({instant}) as t, {day} as "day"'
        + (f", {columns}" if columns else "")
    )


def _date_in_duckdb(frame: Any, zone: str) -> Any:
    day = f"(make_timestamp(t) at time zone 'UTC' at time zone '{zone}')::date"
    return frame.project(f'* replace (case when moved = 1 then {day} else "day" end as "day")')


def _text(log: Any, column: str, called: str) -> str:
    kind = str(dict(zip(log.columns, log.types, strict=True))[column])
    cast = "::varchar" if kind.startswith("ENUM") else ""
    return f"{_plain(column)}{cast} as {called}"


def _to_duckdb(log: Any, frame: pl.DataFrame) -> Any:
    carried = frame.to_arrow()  # the query finds it by this name
    return log.query(LOG, "select * from carried") if carried is not None else None


def _keep_in_duckdb(frame: Any, name: str) -> Any:
    frame.query(PART, f"create temp table {name} as select * from {PART}")  # noqa: S608 -- names of our own
    return frame.query(PART, f"select * from {name}")  # noqa: S608


def _drop_from_duckdb(log: Any, _frame: Any, name: str) -> None:
    # Before 2.0 DuckDB makes views of the names that relations are queried by.
    for thing in (f"table if exists {name}", f"view if exists {PART}", f"view if exists {LOG}"):
        log.query(LOG, f"drop {thing}")


def _keep_in_spark(frame: Any, _name: str) -> Any:
    return frame.persist()


def _drop_from_spark(_log: Any, frame: Any, _name: str) -> None:
    frame.unpersist()


def _spark(log: Any, at: pl.DataType, zone: str, properties: Sequence[str]) -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    # Whole microseconds and the parts of times without a zone, because all else depends on the session's zone.
    if at == pl.Date:
        t, day = f"unix_date(at) * {DAY_US}L", "at"
    else:
        seconds = "(hour(at) * 60 + minute(at)) * 60"
        parts = f"unix_date(to_date(at)) * {DAY_US}L + {seconds} * 1000000L + bigint(extract(second from at) * 1000000)"
        t = "unix_micros(at)" if getattr(at, "time_zone", None) else parts
        day = _spark_day(t, zone)
    whole = log.filter("user_id is not null and event is not null and at is not null")
    return whole.select(
        "user_id",
        "event",
        F.expr(t).alias("t"),
        F.expr(day).alias("day"),
        *(F.col(f"`{p}`").alias(hidden(p)) for p in properties),
    )


def _spark_day(t: str, zone: str) -> str:
    utc = f"timestampadd(MICROSECOND, {t}, timestamp_ntz'1970-01-01 00:00:00')"
    return f"to_date(convert_timezone('UTC', '{zone}', {utc}))"


def _date_in_spark(frame: Any, zone: str) -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    anew = F.expr(f"case when moved = 1 then {_spark_day('t', zone)} else day end")
    return frame.withColumn("day", anew)


def _to_spark(log: Any, frame: pl.DataFrame) -> Any:
    return log.sparkSession.createDataFrame(frame.to_arrow())


def _ibis(log: Any, at: pl.DataType, zone: str, properties: Sequence[str]) -> Any:
    from engagekit.rollups.sql_dialects import dialect_in, shaped

    return shaped(
        log,
        dialect_in(log),
        "date" if at == pl.Date else "instant" if getattr(at, "time_zone", None) else "naive",
        zone,
        properties,
    )


def _date_in_ibis(frame: Any, zone: str) -> Any:
    from engagekit.rollups.sql_dialects import dated, dialect_in

    return dated(frame, dialect_in(frame), zone)


def _to_ibis(_log: Any, frame: pl.DataFrame) -> Any:
    import ibis

    return ibis.memtable(frame)
