"""Reading tables that have their types: parquet files, and frames of polars, pandas, Arrow or DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import ColumnError, EngagekitError, EventLogError, faults_of, listing
from engagekit.ingest import column_mapping, file_errors, nested_fields, timestamps
from engagekit.ingest.column_mapping import FILE, Reading
from engagekit.ingest.files import hive_of
from engagekit.log import as_lazy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LARGEST_WHOLE = 2**53  # beyond it, decimals no longer tell whole numbers apart
HEADING = "The event log cannot be read"


def is_parquet(path: Path) -> bool:
    """Tell a parquet file by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise EventLogError(f"{str(path)!r} cannot be opened: {error.strerror}.") from None


def from_parquet(paths: Sequence[Path], reading: Reading) -> pl.LazyFrame:
    """Read parquet files where they lie; files of different columns or types are brought together."""
    groups: dict[Any, list[Path]] = {}
    faults = []
    for path in paths:
        try:
            keys = dict(hive_of(path))
            own = pl.read_parquet_schema(path)
            hive = tuple((k, v) for k, v in keys.items() if k not in own)
            groups.setdefault((tuple(own.items()), hive), []).append(path)
        except file_errors.BAD as error:
            reason = str(error).strip().split("\n")[0][:200]
            faults.append(f"{str(path)!r} is a damaged parquet file, or a part of one: {reason}.")
    logs = []
    wholes = {key: dict(key[0]) | dict.fromkeys(dict(key[1]), pl.String()) for key in groups}
    everywhere = ", ".join(repr(str(path)) for path in paths[:3])
    faults += column_mapping.unkept(list(wholes.values()), reading, everywhere) if wholes else []
    for key, members in groups.items():
        rows = pl.scan_parquet(
            members,
            glob=False,
            hive_partitioning=False,
            include_file_paths=FILE if len(members) > 1 else None,
        ).with_columns(pl.lit(value).alias(name) for name, value in key[1])
        schema = wholes[key]
        name = ", ".join(repr(str(path)) for path in members[:3])
        try:
            logs.append(_read_table(rows, schema, reading, name))
        except file_errors.BAD as error:
            faults += _faults(error, name)
    faults += _mixed_files({tuple(wholes[k].items()): m for k, m in groups.items()}, reading)
    if faults:
        raise EventLogError.from_faults(HEADING, faults)
    return _joined(logs).drop(column_mapping.lacked(reading, wholes.values()))


def from_remote(source: str | Sequence[str], reading: Reading) -> pl.LazyFrame:
    """Read parquet at an address: the one request this package ever makes, made by polars at the user's word.

    Raises
    ------
    EventLogError
        It cannot be fetched, or is no parquet.
    """
    addresses = [source] if isinstance(source, str) else list(source)
    try:
        rows = pl.scan_parquet(addresses)
        schema = dict(rows.collect_schema())
    except (*file_errors.BAD, ImportError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise EventLogError(f"{addresses[0]!r} cannot be fetched: {reason}") from None
    if faults := column_mapping.unkept([schema], reading, addresses[0]):
        raise ColumnError.from_faults(HEADING, faults)
    log = _read_table(rows, schema, reading, repr(addresses[0]))
    return log.drop(column_mapping.lacked(reading, [schema]))


def _mixed_files(groups: Mapping[Any, list[Path]], reading: Reading) -> list[str]:
    found = {}
    for schema, members in groups.items():
        at = nested_fields.first_of(dict(schema), reading.places["at"])
        dtype = (
            None if at is None else column_mapping.dtype_of(pl.LazyFrame(schema=dict(schema)), at)
        )
        if isinstance(dtype, pl.Datetime) and (kind := column_mapping.kind_of(dtype, None)):
            found[kind] = f"in {str(members[0])!r}"
    return [timestamps.mixed(reading.called("at"), list(found.items()))] if len(found) > 1 else []


def _faults(error: BaseException, name: str) -> list[str]:
    return (
        faults_of(error)
        if isinstance(error, EngagekitError)
        else [file_errors.plainly(name, error)]
    )


def _joined(logs: list[pl.LazyFrame]) -> pl.LazyFrame:
    if len(logs) == 1:
        return logs[0]
    schemas = [log.collect_schema() for log in logs]
    days = [isinstance(schema["at"], pl.Date) for schema in schemas]
    if any(days) and not all(days):
        raise EventLogError(
            "The event log cannot be read: some files hold dates in the column of times, others times. Write it in one form in all files."
        )
    if len({str(schema["user_id"]) for schema in schemas}) > 1:
        # Ids that are numbers in one file and text in another are the same ids by their digits.
        logs = [log.with_columns(pl.col("user_id").cast(pl.String)) for log in logs]
    return pl.concat(logs, how="vertical_relaxed")


def _as_table(source: Any) -> pl.LazyFrame:
    try:
        if type(source).__module__.split(".")[0] == "pandas" and hasattr(source, "columns"):
            return pl.from_pandas(source).lazy()
        if hasattr(source, "to_arrow_table"):
            return pl.DataFrame(source.to_arrow_table()).lazy()
        return as_lazy(source)
    except ImportError as error:
        raise EventLogError(
            f"A {type(source).__name__} is read with the help of pyarrow, which is not installed ({error}). Install pyarrow."
        ) from None
    except (*file_errors.BAD, TypeError) as error:
        raise EventLogError.from_faults(HEADING, _faults(error, _culprits(source))) from None


def _culprits(source: Any) -> str:
    """Name the columns of a pandas table that hold values of several types."""
    if not hasattr(source, "columns") or not hasattr(source, "dtypes"):
        return "the table"
    mixed = [
        str(name)
        for name, dtype in zip(source.columns, source.dtypes, strict=True)
        if str(dtype) == "object" and source[name].dropna().map(type).nunique() > 1
    ]
    many = f" (mixed types in {listing(mixed)}: make each one type, such as with astype(str))"
    return f"the table{many if mixed else ''}"


def from_table(source: Any, reading: Reading) -> pl.LazyFrame:
    """Read a table in memory, or a lazy one."""
    rows = _as_table(source)
    if faults := column_mapping.unkept([rows.collect_schema()], reading, "the table"):
        raise ColumnError.from_faults(HEADING, column_mapping.missing(rows.collect_schema(), reading, "the table") + faults)  # fmt: skip
    # A naive column in a table is UTC by contract; only text in it may be local.
    try:
        schema = dict(rows.collect_schema())
        log = _read_table(rows, schema, reading, "the table", naive="UTC")
        return log.drop(column_mapping.lacked(reading, [schema]))
    except pl.exceptions.PolarsError as error:
        raise EventLogError.from_faults(HEADING, _faults(error, "the table")) from None


def _read_table(
    rows: pl.LazyFrame,
    schema: Mapping[str, Any],
    reading: Reading,
    name: str,
    naive: str | None = None,
) -> pl.LazyFrame:
    rows, schema = column_mapping.unpivoted(rows, schema, reading)
    faults = column_mapping.missing(schema, reading, name)
    if faults:
        raise ColumnError.from_faults(HEADING, faults)
    at = nested_fields.first_of(schema, reading.places["at"])
    dtype = column_mapping.dtype_of(rows, at) if at is not None else None
    form, sample = None, None
    if isinstance(dtype, (pl.Datetime, pl.Date)):
        reading = column_mapping.in_timezone(reading, naive or reading.timezone)
    elif dtype is not None and not (dtype.is_numeric() or dtype in (pl.String, pl.Null)):
        faults.append(f"{reading.called('at')} holds {dtype}; it takes times, dates or text.")
    else:
        form, sample = column_mapping.first_form(rows, schema, reading)
        faults += [] if form else column_mapping.faults_of_sample(sample, reading, name)
    faults += _type_faults(rows, schema, reading)
    if faults:
        raise ColumnError.from_faults(HEADING, faults)
    # Properties out of JSON text or of key and value are text whatever they are; own columns have their type.
    derived = [
        name for name, places in reading.keep.items() if (name,) not in places or name not in schema
    ]
    kind = column_mapping.kind_of(dtype, form)
    return _checked(column_mapping.as_log(rows, schema, reading, form), kind, reading, derived)


def _type_faults(rows: pl.LazyFrame, schema: Mapping[str, Any], reading: Reading) -> list[str]:
    faults = []
    texts = (pl.String, pl.Categorical, pl.Enum, pl.Null)
    for role in ("user", "event"):
        value = nested_fields.first_of(schema, reading.places[role])
        dtype = column_mapping.dtype_of(rows, value) if value is not None else pl.Null()
        whole = role == "user" and dtype.is_numeric()
        if not (whole or isinstance(dtype, texts)):
            takes = "text or whole numbers" if role == "user" else "names (text)"
            faults.append(f"{reading.called(role)} holds {dtype}; it takes {takes}. {_instead(role, reading, dtype)}")  # fmt: skip
    return faults


def _instead(role: str, reading: Reading, dtype: Any) -> str:
    """Say what to do about a column of a kind that holds neither ids nor names."""
    if isinstance(dtype, pl.Struct):
        within = ".".join(reading.places[role][0])
        fields = [f"{role}='{within}.{field.name}'" for field in dtype.fields]
        return f"Say the field inside it, such as {fields[0]}."
    return "Write the column as text in the source."


def _checked(
    log: pl.LazyFrame, kind: str | None, reading: Reading, derived: Sequence[str]
) -> pl.LazyFrame:
    forms, faults = column_mapping.settle_times(log, kind, reading, column_mapping.rows_of({}))
    schema = log.collect_schema()
    at, user = pl.col("at"), pl.col("user_id")
    facts = log.select(
        pl.len().alias("rows"),
        # Asking for nulls makes polars unpack the column, so that a damaged page shows now, not later.
        pl.col("user_id").null_count().alias("no user"),
        pl.col("event").null_count().alias("no event"),
        _beyond(at, schema["at"]).sum().alias("beyond"),
        _is_no_id(user, schema["user_id"]).sum().alias("broken ids"),
        *column_mapping.type_facts(log, derived),
    )
    found = facts.collect().row(0, named=True)
    if found["beyond"] and not reading.drop_bad_times:
        where = column_mapping.rows_of({})(log, _beyond(at, schema["at"]), 3)
        faults.append(
            f"{reading.called('at')} holds {found['beyond']:,} times outside the years {timestamps.EARLIEST.year} to {timestamps.LATEST.year - 1} ({where}), from a wrong unit or a wrong clock. Mend or remove them, or pass bad_times='null' to leave such events out, counted."
        )
    if found["broken ids"]:
        faults.append(
            f"{reading.called('user')} holds {found['broken ids']:,} numbers that are not whole; ids are text or whole numbers."
        )
    if faults:
        raise EventLogError.from_faults(HEADING, faults)
    log = column_mapping.settled(log, forms, reading).with_columns(
        column_mapping.narrowed(found, derived)
    )
    if found["beyond"]:
        log = log.with_columns(at=pl.when(~_beyond(at, schema["at"])).then(at))
    if schema["user_id"].is_float():
        log = log.with_columns(user.fill_nan(None).cast(pl.Int64))
    if schema["user_id"].is_decimal():
        log = log.with_columns(user.cast(pl.Int64))
    if isinstance(schema["user_id"], (pl.Categorical, pl.Enum, pl.Null)):
        log = log.with_columns(user.cast(pl.String))
    return log


def _is_no_id(user: pl.Expr, dtype: Any) -> pl.Expr:
    # Whole numbers that pandas or a warehouse made decimals are ids; others are not.
    if dtype.is_decimal():
        whole = user.cast(pl.Int64, strict=False)
        return user.is_not_null() & (whole.is_null() | (whole.cast(dtype, strict=False) != user))
    if not dtype.is_float():
        return pl.lit(value=False)
    return ((user != user.round()) | (user.abs() >= LARGEST_WHOLE)) & user.is_not_nan()


def _beyond(at: pl.Expr, dtype: Any) -> pl.Expr:
    low, high = timestamps.EARLIEST, timestamps.LATEST
    if isinstance(dtype, pl.Date):
        return ~at.is_between(low.date(), high.date(), closed="left")
    return ~at.is_between(low, high, closed="left")
