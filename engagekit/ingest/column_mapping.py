"""From a table's own columns to the log's: user, event, time and the properties asked for, with every fault found."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from engagekit.errors import ColumnError, listing, nearest
from engagekit.ingest import nested_fields, timestamps
from engagekit.ingest.presets import likely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from engagekit.ingest import presets
    from engagekit.ingest.timestamps import Form

# What other logs call these columns, to suggest when a name is missing: whole names, the likeliest first, and words in them.
OFTEN = {
    "user": ["user_id", "userid", "uid", "user", "distinct_id", "customer_id", "client_id", "visitor_id", "person_id", "member_id", "account_id", "id"],
    "event": ["event", "event_name", "event_type", "eventname", "name", "action", "action_name", "activity", "verb", "type"],
    "at": ["at", "timestamp", "event_timestamp", "event_time", "eventtime", "time", "ts", "occurred_at", "created_at", "datetime", "date"],
}  # fmt: skip
WORDS = {
    "user": {"user", "uid", "customer", "client", "visitor", "person", "member"},
    "event": {"event", "action", "activity"},
    "at": {"time", "timestamp", "datetime", "date", "at", "ts"},
}
LEAST_LETTERS = 3  # of a name for which another can be near; "data" is not near to "at"
ROLES = {"user": "user", "event": "event's name", "at": "event's time"}
WHOLE, DECIMAL = r"^-?(0|[1-9]\d{0,17})$", r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"
# Columns beside those of the log while it is read, by names that no log has.
RAW, FILE, ROW, ALIAS, MORE, EVENT, TIME = (
    f"engagekit:{name}" for name in ("raw", "file", "row", "alias", "more", "event", "time")
)
ALL_OF_IT = "engagekit:all"  # a hash of the whole row as the source has it
SAMPLE = 1000
MOST_FORMS = 8
# Says where rows that meet a condition stand, with their times: "row 3: 'yesterday'".
Where: TypeAlias = "Callable[[pl.LazyFrame, pl.Expr, int], str]"


@dataclass(frozen=True)
class Reading:
    """How a log is read: where its columns lie, what its times mean, which properties are kept."""

    places: Mapping[str, tuple[presets.Path, ...]]
    keep: Mapping[str, tuple[presets.Path, ...]]
    form: Form | None
    timezone: str
    preset: presets.Preset | None = None
    drop_bad_times: bool = False
    aliases: tuple[presets.Path, ...] = ()
    perhaps: tuple[str, ...] = ()  # properties that a log may lack
    columns: tuple[str, ...] = ()  # the names of a file without a header
    skip: int = 0
    member: str | None = None
    unpivot: tuple[str, ...] = ()  # columns that are events, each holding its time
    assumed: bool = False  # whether the form is the preset's, which connectors may have rewritten
    can_drop: bool = True  # whether events whose time cannot be read may be left out
    whole: bool = False  # whether rows are to be told apart by all their columns

    def called(self, role: str) -> str:
        """Name a role's columns as the person wrote them."""
        shown = [
            ".".join(place).replace(nested_fields.JOINED, " and ") for place in self.places[role]
        ]
        return " or ".join(map(repr, shown))


def missing(schema: Mapping[str, Any], reading: Reading, where: str) -> list[str]:
    """List the columns that a table lacks, with the nearest names."""
    known = list(schema)
    faults = [
        f"{where} has no column {reading.called(role)} for the {meaning}; say which it is: {role}='...'.{suggested(role, reading, known)}"
        for role, meaning in ROLES.items()
        if nested_fields.first_of(schema, reading.places[role]) is None
    ]
    if faults:
        faults[-1] += f" Its columns are {listing(known)}.{preset_hint(known, reading)}"
    return faults


def unkept(schemas: Sequence[Mapping[str, Any]], reading: Reading, where: str) -> list[str]:
    """List the properties to keep that no file has; one that begins on a later day is in some."""
    known = list(dict.fromkeys(name for schema in schemas for name in schema))
    faults = [
        f"{where} has no property {name!r} to keep.{near_property(name, known)}"
        for name, places in reading.keep.items()
        if name not in reading.perhaps
        and all(nested_fields.first_of(schema, places) is None for schema in schemas)
    ]
    if faults:
        faults[-1] += f" Its columns are {listing(known)}.{preset_hint(known, reading)}"
    return faults


def lacked(reading: Reading, schemas: Iterable[Mapping[str, Any]]) -> set[str]:
    """List the properties that no table has, of those that a log may lack."""
    known = list(schemas)
    return {
        name
        for name in reading.perhaps
        if not any(
            nested_fields.first_of(schema, reading.keep[name]) is not None for schema in known
        )
    }


def unpivoted(
    rows: pl.LazyFrame, schema: Mapping[str, Any], reading: Reading
) -> tuple[pl.LazyFrame, dict[str, Any]]:
    """Make one row per event of a table with one column per event; where nothing happened there is no row.

    Raises
    ------
    ColumnError
        A column is not there.
    """
    if not reading.unpivot:
        return rows, dict(schema)
    known = [name for name in schema if not name.startswith("engagekit:")]
    faults = [f"there is no column {c!r} to unpivot.{nearest(c, known)}" for c in reading.unpivot if c not in schema]  # fmt: skip
    if faults:
        raise ColumnError.from_faults("The event log cannot be read", faults)
    others = [n for n in rows.collect_schema().names() if n not in reading.unpivot]
    rows = rows.unpivot(
        on=list(reading.unpivot), index=others, variable_name=EVENT, value_name=TIME
    ).filter(pl.col(TIME).is_not_null())
    long = {name: dtype for name, dtype in schema.items() if name not in reading.unpivot}
    return rows, long | {EVENT: pl.String(), TIME: schema[reading.unpivot[0]]}


def preset_hint(known: list[str], reading: Reading) -> str:
    """Name the preset that the columns look like, if none was said."""
    preset = likely(known) if reading.preset is None else None
    return f" They look like what preset={preset!r} reads." if preset else ""


def suggested(role: str, reading: Reading, known: list[str]) -> str:
    """Suggest the columns that may be meant: of the same name but for case and marks, of a name often used, of a near name."""
    name = reading.places[role][0][-1]
    known = [each for each in known if each != name]  # it is there, but holds nothing
    known = [each for each in known if not any(other.startswith(f"{each}.") for other in known)]
    if same := [each for each in known if _plain(each) == _plain(name)]:
        return f" Did you mean {listing(same[:3], last='or')}?"
    near = nearest(name, known) if len(name) >= LEAST_LETTERS else ""
    usual, others = _often(role, known)
    if near and name != OFTEN[role][0]:
        return near  # what somebody wrote is rather misspelt than meant otherwise
    hint = f" Is it {listing((usual or others)[:3], last='or')}?" if usual or others else ""
    return hint if usual or not near else near


def _often(role: str, known: list[str]) -> tuple[list[str], list[str]]:
    """List the columns whose name is often used for this, the likeliest first, and those with a word in it that is."""
    plain = {each: _plain(each.split(".")[-1]) for each in known}
    usual = [each for name in OFTEN[role] for each in known if plain[each] == name]
    words = [each for each in known if WORDS[role] & {*plain[each].split("_")}]
    return usual, [each for each in words if each not in usual]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def near_property(name: str, known: list[str]) -> str:
    """Suggest the properties that may be meant, by their whole name or by its last part."""
    return nearest(name, dict.fromkeys([*known, *(each.split(".")[-1] for each in known)]))


def as_log(
    rows: pl.LazyFrame, schema: Mapping[str, Any], reading: Reading, form: Form | None
) -> pl.LazyFrame:
    """Select the log's columns; where a time could not be read, its text stays beside it."""
    user, event, at = (_required(schema, reading, role) for role in ROLES)
    dtype, event_dtype = dtype_of(rows, at), dtype_of(rows, event)
    known = isinstance(dtype, (pl.Datetime, pl.Date))
    kept = [_kept(schema, places).alias(name) for name, places in reading.keep.items()]
    prefix = reading.preset.prefix if reading.preset else ""
    if prefix and dtype_of(rows, user) == pl.String:
        user = user.str.strip_prefix(prefix)
    log = rows.select(
        user.alias("user_id"),
        nested_fields.as_text(event, event_dtype).alias("event"),
        at.alias("at") if known else text_of_time(at).alias("at"),
        *kept,
        *_alias(rows, schema, reading),
        *_whole(schema, reading),
        *(name for name in (FILE, MORE) if name in rows.collect_schema()),
    )
    nothing = pl.lit(None, dtype=pl.String).alias(RAW)
    if isinstance(dtype, pl.Datetime):
        return log.with_columns(known_time(pl.col("at"), dtype, reading.timezone), nothing)
    if known:
        return log.with_columns(nothing)
    # In steps, so that each time is parsed once.
    read = (
        timestamps.parsed(pl.col(RAW), form, timezone=reading.timezone)
        if form
        else pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    )
    log = log.with_columns(pl.col("at").alias(RAW)).with_columns(read.alias("at"))
    return log.with_columns(pl.when(pl.col("at").is_null()).then(RAW).alias(RAW))


def _whole(schema: Mapping[str, Any], reading: Reading) -> list[pl.Expr]:
    if not reading.whole:
        return []
    return [
        pl.struct(c for c, dtype in schema.items() if dtype != pl.Object).hash().alias(ALL_OF_IT)
    ]


def _alias(rows: pl.LazyFrame, schema: Mapping[str, Any], reading: Reading) -> list[pl.Expr]:
    value = nested_fields.first_of(schema, reading.aliases)
    if not reading.aliases:
        return []
    if value is None:
        return [pl.lit(None, dtype=pl.String).alias(ALIAS)]
    return [nested_fields.as_text(value, dtype_of(rows, value)).alias(ALIAS)]


def _required(schema: Mapping[str, Any], reading: Reading, role: str) -> pl.Expr:
    places = reading.places[role]
    known = [place for place in places if nested_fields.value_at(schema, place) is not None]
    # What stands for nothing is taken out of times anyhow, where they are written as text.
    value = nested_fields.first_of(schema, known, blanks=role == "at" and len(known) == 1)
    if value is None:
        raise KeyError(role)  # never: missing columns are refused before
    return value


def _kept(schema: Mapping[str, Any], places: tuple[presets.Path, ...]) -> pl.Expr:
    value = nested_fields.first_of(schema, places, blanks=True)
    return (
        pl.lit(None) if value is None else value
    )  # of no type, so that it takes that of other files


def dtype_of(rows: pl.LazyFrame, value: pl.Expr) -> Any:
    """Tell the type of an expression without running it."""
    return rows.select(value.alias("value")).collect_schema()["value"]


def known_time(at: pl.Expr, dtype: pl.Datetime, timezone: str) -> pl.Expr:
    """Bring typed times to UTC microseconds; naive ones are local to `timezone`."""
    if dtype.time_zone is None:
        return timestamps.localized(at, timezone)
    return at.dt.convert_time_zone("UTC").dt.cast_time_unit("us")


def first_form(
    rows: pl.LazyFrame, schema: Mapping[str, Any], reading: Reading
) -> tuple[Form | None, pl.Series]:
    """Tell from a log's first times how they are written; also returns those times, as text."""
    at = _required(schema, reading, "at")
    sample = rows.select(text_of_time(at).alias("at")).head(SAMPLE).collect().to_series()
    form = reading.form
    if reading.assumed and not sample.drop_nulls().head(20).str.contains(timestamps.NUMBER).any():
        form = None
    return form or timestamps.choose(sample), sample


def text_of_time(at: pl.Expr) -> pl.Expr:
    """Write times of any type as text; what stands for nothing is null."""
    text = at.cast(pl.String).str.strip_chars()
    return pl.when(~text.is_in(nested_fields.NOTHING)).then(text)


def kind_of(dtype: Any, form: Form | None) -> str | None:
    """Name the kind of a column of times: instants, local times, days or numbers."""
    if isinstance(dtype, pl.Date):
        return "day"
    if isinstance(dtype, pl.Datetime):
        return "local" if dtype.time_zone is None else "instant"
    return form.kind if form else None


def settle_times(
    log: pl.LazyFrame, kind: str | None, reading: Reading, where: Where
) -> tuple[list[Form], list[str]]:
    """Find the further forms in which the times left over are written, and the faults of those that fit none."""
    forms: list[Form] = []
    candidates = (reading.form,) if reading.form else timestamps.FORMS
    if reading.form and reading.assumed:
        candidates = (reading.form, *timestamps.FORMS)
    while True:
        unread = pl.col(RAW).is_not_null()
        if forms:
            unread &= timestamps.reading(
                forms, timezone=reading.timezone, raw=pl.col(RAW)
            ).is_null()
        rest = log.filter(unread).select(RAW)
        sample = rest.head(SAMPLE).collect().to_series()
        if sample.is_empty():
            return forms, []
        form = timestamps.choose(sample, candidates)
        if form is None or len(forms) == MOST_FORMS:
            if reading.drop_bad_times and kind is not None:
                return forms, []
            return forms, _unreadable(log, unread, sample, reading, where)
        if kind is not None and form.kind != kind:
            return forms, [_mixed(log, forms, unread, kind, form, reading, where)]
        kind = form.kind
        forms.append(form)


def _unreadable(
    log: pl.LazyFrame, unread: pl.Expr, sample: pl.Series, reading: Reading, where: Where
) -> list[str]:
    count = log.filter(unread).select(pl.len()).collect().item()
    sorts: dict[str, list[str]] = {}
    for value in sample:
        sorts.setdefault(timestamps.fault_sort(value), []).append(value)
    faults = []
    for values in sorts.values():
        known = len(values) if count <= SAMPLE else None
        stands = where(log, unread & pl.col(RAW).is_in(values[:3]), 3)
        faults.append(
            timestamps.unreadable(
                reading.called("at"),
                values,
                count=count if len(sorts) == 1 else known,
                where=stands,
                stated=reading.form,
                can_drop=reading.can_drop,
            )
        )
    return faults


def _mixed(
    log: pl.LazyFrame,
    forms: Sequence[Form],
    unread: pl.Expr,
    kind: str,
    form: Form,
    reading: Reading,
    where: Where,
) -> str:
    read, other = [
        timestamps.reading(these, timezone=reading.timezone, raw=pl.col(RAW)).is_not_null()
        for these in (forms or [form], [form])
    ]
    first = pl.col("at").is_not_null() | read if forms else pl.col("at").is_not_null()
    if kind == "local":  # shown as the file has it: without an offset, where it was local
        wall = pl.col("at").dt.convert_time_zone(reading.timezone)
        shown = log.with_columns(wall.dt.to_string("%Y-%m-%d %H:%M:%S%.f"))
    else:
        shown = log
    return timestamps.mixed(
        reading.called("at"),
        [(kind, where(shown, first, 1)), (form.kind, where(log, unread & other, 2))],
    )


def rows_of(shown: Mapping[str, str]) -> Where:
    """Make what says where rows stand: their number in their file, called as `shown` says, and their time."""

    def where(log: pl.LazyFrame, condition: pl.Expr, most: int) -> str:
        numbered = log.with_row_index(ROW)
        value = pl.coalesce(pl.col(RAW), pl.col("at").cast(pl.String)).alias("value")
        if FILE not in log.collect_schema():
            rows = numbered.filter(condition).select(ROW, value).head(most).collect()
            return "; ".join(f"row {row + 1}: {value!r}" for row, value in rows.iter_rows())
        rows = numbered.filter(condition).select(ROW, FILE, value).head(most).collect()
        files = numbered.filter(pl.col(FILE).is_in(rows[FILE].unique().to_list()))
        first = dict(files.group_by(FILE).agg(pl.col(ROW).min()).collect().iter_rows())
        return "; ".join(
            f"row {row - first[file] + 1} of {shown.get(file, file)!r}: {value!r}"
            for row, file, value in rows.iter_rows()
        )

    return where


def settled(log: pl.LazyFrame, forms: list[Form], reading: Reading) -> pl.LazyFrame:
    """Read the times left over in further forms."""
    if not forms:
        return log
    later = timestamps.reading(forms, timezone=reading.timezone, raw=pl.col(RAW))
    if log.collect_schema()["at"] != dtype_of(log, later):
        return log.with_columns(at=later)  # the first sample held no times, so all are left over
    return log.with_columns(at=pl.coalesce("at", later))


def faults_of_sample(
    sample: pl.Series, reading: Reading, place: str, *, alone: bool = True
) -> list[str]:
    """Refuse at once a column of which not even the first times can be read, before all of it is read."""
    if sample.null_count() == len(sample) or reading.drop_bad_times:
        return []
    sorts: dict[str, dict[int, str]] = {}
    for row, value in enumerate(sample, 1):
        if value is not None:
            sorts.setdefault(timestamps.fault_sort(value), {})[row] = value
    faults = []
    for found in sorts.values():
        values = list(found.values())
        rows = "; ".join(f"row {row}: {value!r}" for row, value in list(found.items())[:3])
        where = f"{place}, {rows}" if alone else f"in {place}, such as {listing(values[:3])}"
        count = len(values) if len(sample) < SAMPLE else None
        faults.append(
            timestamps.unreadable(
                reading.called("at"), values, count=count, where=where, stated=reading.form
            )
        )
    return faults


def type_facts(log: pl.LazyFrame, names: Iterable[str]) -> list[pl.Expr]:
    """Find what properties kept as text hold: how many values, and whether all are numbers or true/false."""
    schema, facts = log.collect_schema(), []
    for name in names:
        text = pl.col(name).drop_nulls()
        facts.append(text.len().alias(f"kept {name}"))
        if schema[name] == pl.String:
            facts += [
                text.str.contains(WHOLE).all().alias(f"whole {name}"),
                text.str.contains(DECIMAL).all().alias(f"decimal {name}"),
                text.str.to_lowercase().is_in(["true", "false"]).all().alias(f"bool {name}"),
            ]
    return facts


def narrowed(facts: Mapping[str, Any], names: Iterable[str]) -> list[pl.Expr]:
    """Give properties kept as text the narrowest type that all their values have."""
    casts = []
    for name in names:
        if not facts[f"kept {name}"] or f"whole {name}" not in facts:
            continue
        if facts[f"bool {name}"]:
            casts.append((pl.col(name).str.to_lowercase() == "true").alias(name))
        elif facts[f"whole {name}"]:
            casts.append(pl.col(name).cast(pl.Int64))
        elif facts[f"decimal {name}"]:
            casts.append(pl.col(name).cast(pl.Float64))
    return casts


def in_timezone(reading: Reading, timezone: str) -> Reading:
    """Take naive times as local to another zone."""
    return replace(reading, timezone=timezone)
