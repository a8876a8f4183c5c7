"""How Ibis says times and local days in each SQL dialect: always by way of whole microseconds since 1970."""

from __future__ import annotations

from functools import cache
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, Literal

from engagekit.errors import EngagekitError, EventLogError, listing
from engagekit.rollups.user_properties import hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_US = 86_400_000_000
DIALECTS = ("duckdb", "snowflake", "bigquery", "databricks", "spark")
Kind = Literal["instant", "naive", "date"]


def ibis() -> Any:
    """Load Ibis, or say how to get it."""
    try:
        import ibis as loaded
    except ModuleNotFoundError:
        raise EngagekitError(
            "This needs Ibis, which is not installed: pip install 'engagekit[ibis]'."
        ) from None
    return loaded


def dialect_in(table: Any) -> str:
    """Name the dialect of the engine that an Ibis table lies in.

    Raises
    ------
    EventLogError
        It lies in none, or in one that is not known.
    """
    try:
        backend = str(table.get_backend().name)
    except ibis().common.exceptions.IbisError as error:
        raise EventLogError(
            f"The Ibis table belongs to no engine ({error}). Take it from a connection, such as ibis.duckdb.connect(...)."
        ) from None
    return dialect_of(backend)


def dialect_of(backend: str) -> str:
    """Name the dialect of an Ibis backend.

    Raises
    ------
    EventLogError
        It has none that is known.
    """
    dialect = "spark" if backend == "pyspark" else backend
    if dialect not in DIALECTS:
        raise EventLogError(
            f"The Ibis table lies in {backend}; known are {listing(DIALECTS)}. "
            "Bring it over: ek.rollup(table.to_polars(), definition)."
        )
    return dialect


def shaped(log: Any, dialect: str, kind: Kind, zone: str, properties: Sequence[str]) -> Any:
    """Bring a log to ``user_id, event, t, day`` and its properties."""
    if kind == "naive" and dialect in {"spark", "databricks"} and is_instant(log["at"]):
        kind = "instant"
    whole = log.filter(log.user_id.notnull(), log.event.notnull(), log["at"].notnull())
    t = micros(whole["at"], dialect, kind)
    named = {hidden(name): whole[name] for name in properties}
    columns = whole.select("user_id", "event", t=t, day="at", **named)
    return columns if kind == "date" else columns.mutate(day=local_day(columns.t, dialect, zone))


def dated(frame: Any, dialect: str, zone: str) -> Any:
    """Tell the local ``day`` of ``t`` anew where ``moved`` is 1."""
    anew = local_day(frame.t, dialect, zone)
    return frame.mutate(day=(frame.moved == 1).ifelse(anew, frame.day))


def is_instant(at: Any) -> bool:
    """Say whether Spark's times are instants: Ibis takes those for naive, and their parts are of the session's zone."""
    kinds = at.as_table().limit(1).select(kind=_call("typeof", "string", at)).to_pyarrow()
    return bool(kinds.column("kind").to_pylist() == ["timestamp"])


def micros(at: Any, dialect: str, kind: Kind) -> Any:
    """Turn an instant (a naive one is UTC) or a date into microseconds since 1970."""
    if kind == "date":
        if dialect in {"bigquery", "spark", "databricks"}:
            return _call("unix_date", "int64", at) * DAY_US
        at = at.cast("timestamp")
    if dialect == "duckdb":
        return _call("epoch_us", "int64", at)
    if dialect == "snowflake":
        return _call("date_part", "int64", "epoch_microsecond", at)
    if dialect == "bigquery" or kind != "naive":
        return _call("unix_micros", "int64", at)
    # Spark reads a naive time in the session's zone; its parts do not depend on that.
    day = _call("unix_date", "int64", at.date())
    hour, minute, second = (
        _call(part, "int32", at).cast("int64") for part in ("hour", "minute", "second")
    )  # whole ones
    seconds = (hour * 60 + minute) * 60 + second
    micro = _call("date_format", "string", at, "SSSSSS").cast("int64")
    return day * DAY_US + seconds * 1_000_000 + micro


def local_day(t: Any, dialect: str, zone: str) -> Any:
    """Take the local calendar day of an instant in microseconds."""
    if dialect == "duckdb":
        utc = _call("timezone", "timestamp('UTC')", "UTC", _call("make_timestamp", "timestamp", t))
        return _call("timezone", "timestamp", zone, utc).date()
    if dialect == "snowflake":
        utc = _call("to_timestamp_ntz", "timestamp", t, 6)
        return _call("to_date", "date", _call("convert_timezone", "timestamp", "UTC", zone, utc))
    if dialect == "bigquery":
        return _call("date", "date", _call("timestamp_micros", "timestamp('UTC')", t), zone)
    # Spark and Databricks: shifted by the zone's offset, and cut to days by counting, so that no session's zone is asked.
    utc = _call("timestamp_micros", "timestamp('UTC')", t)
    shifted = _call("from_utc_timestamp", "timestamp('UTC')", utc, zone)
    local = _call("unix_micros", "int64", shifted)
    passed = ((local - _call("pmod", "int64", local, DAY_US)) / DAY_US).cast("int32")
    return _call("date_from_unix_date", "date", passed)


def instant(t: Any, dialect: str) -> Any:
    """Turn microseconds since 1970 back into the engine's timestamp in UTC."""
    if dialect == "duckdb":
        return _call("make_timestamp", "timestamp", t)
    if dialect == "snowflake":
        return _call("to_timestamp_ntz", "timestamp", t, 6)
    return _call("timestamp_micros", "timestamp('UTC')", t)


def _call(name: str, returns: str, *values: Any) -> Any:
    """Call a function of the engine's own."""
    typed = [v if hasattr(v, "type") else ibis().literal(v) for v in values]
    return _function(name, returns, tuple(v.type() for v in typed))(*typed)


@cache
def _function(name: str, returns: str, kinds: tuple[Any, ...]) -> Any:
    def named() -> None: ...

    arguments = [Parameter(f"a{n}", Parameter.POSITIONAL_ONLY) for n in range(len(kinds))]
    named.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    named.__name__ = name
    builtin = ibis().udf.scalar.builtin
    return builtin(named, name=name, signature=(kinds, ibis().dtype(returns)))
