"""Text read once, in bounded memory, into one parquet file; its faults are raised here, with rows and examples."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EngagekitError, EventLogError, listing, shape
from engagekit.ingest import column_mapping, file_errors, nested_fields, timestamps
from engagekit.ingest.column_mapping import ALIAS, ALL_OF_IT, FILE, MORE, RAW
from engagekit.ingest.file_heads import refuse_garbled_header
from engagekit.ingest.files import LogFile, open_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engagekit.ingest.column_mapping import Reading
    from engagekit.ingest.timestamps import Form

HEADING = "The event log cannot be read"
FIELDS_BEYOND = 3  # separators at the end of a row, as some exports write them, cut nothing


@dataclass(frozen=True)
class Group:
    """Files of one format and one set of columns, which are read in one go."""

    files: tuple[LogFile, ...]
    rows: pl.LazyFrame
    schema: Mapping[str, Any]
    own: Mapping[str, Any] | None = None  # the columns of the files themselves

    @property
    def name(self) -> str:
        """Name the files for a message."""
        return listing([file.shown for file in self.files], most=3)


@dataclass(frozen=True)
class Part:
    """What was read of a group, and the form of its times."""

    path: Path
    group: Group
    form: Form | None


def write_log(
    paths: Sequence[Path], reading: Reading, *, encoding: str, target: Path, workdir: Path
) -> None:
    """Read files of text into the parquet file `target`.

    Raises
    ------
    EventLogError
        Every fault found: files that cannot be read, missing columns, times that cannot be read; or there
        is no room to write.
    """
    try:
        _write_log(paths, reading, encoding=encoding, target=target, workdir=workdir)
    except EngagekitError:
        raise
    except file_errors.BAD as error:
        if not file_errors.no_room(error):
            raise EventLogError(f"{HEADING}: {file_errors.plainly('the text', error)}") from None
        raise EventLogError(
            f"There is no room to keep the log in {str(target.parent.parent)!r}; nothing was changed. Make room, or say another folder: cache='...'."
        ) from None


def _write_log(
    paths: Sequence[Path], reading: Reading, *, encoding: str, target: Path, workdir: Path
) -> None:
    def opened(*, together: bool) -> tuple[list[LogFile], list[str]]:
        return open_files(
            paths,
            preset=reading.preset,
            encoding=encoding,
            workdir=workdir,
            columns=bool(reading.columns),
            skip=reading.skip,
            member=reading.member,
            together=together,
            names=[place[0] for places in reading.places.values() for place in places],
        )

    files, faults = opened(together=True)
    if any(file.joined for file in files):
        try:
            _read_opened(files, faults, reading, target, workdir)
        except (EngagekitError, *file_errors.BAD) as error:
            if file_errors.no_room(error):
                raise
            # What is wrong is told by file and row, so the files of archives are read one by one then.
            for left in workdir.glob("part-*.parquet"):
                left.unlink()
            files, faults = opened(together=False)
        else:
            return
    _read_opened(files, faults, reading, target, workdir)


def _read_opened(
    files: Sequence[LogFile], faults: list[str], reading: Reading, target: Path, workdir: Path
) -> None:
    groups, found = _grouped(files, reading)
    faults = faults + found
    if groups:
        every = listing([file.shown for g in groups for file in g.files], most=3)
        faults += column_mapping.unkept([group.schema for group in groups], reading, every)
    parts: list[Part] = []
    # What is sound is read to its end also where something else is not: so all faults are told at once.
    for number, group in enumerate(groups):
        found = column_mapping.missing(group.schema, reading, group.name) + _doubled(group, reading)
        sound = not found
        if nested_fields.first_of(group.schema, reading.places["at"]) is not None:
            rest, form, more = _form(group, reading)
            found += more
            if rest is not None and sound:
                part, more = _sink(rest, form, reading, workdir / f"part-{number:05}.parquet")
                found += more
                parts += [part] if part is not None else []
        faults += found
    if not parts:
        _raise(faults)
    _finish(parts, reading, target, faults)


def read_into_memory(paths: Sequence[Path], reading: Reading, *, encoding: str) -> pl.LazyFrame:
    """Read files of text into memory, leaving nothing on disk."""
    with tempfile.TemporaryDirectory(prefix="engagekit-") as folder:
        target = Path(folder) / "log.parquet"
        workdir = Path(folder) / "reading"
        workdir.mkdir()
        write_log(paths, reading, encoding=encoding, target=target, workdir=workdir)
        return pl.read_parquet(target, glob=False, memory_map=False).lazy()


def _raise(faults: list[str]) -> None:
    if faults:
        raise EventLogError.from_faults(HEADING, faults)


def _grouped(files: Sequence[LogFile], reading: Reading) -> tuple[list[Group], list[str]]:
    found: dict[Any, list[LogFile]] = {}
    faults = []
    for file in files:
        try:
            table = _table_of(file, reading)
            key = (
                file.kind,
                file.separator,
                file.header,
                file.skip,
                file.hive,
                table,
                _columns(file, reading),
            )
        except file_errors.BAD as error:
            faults.append(file_errors.explain(file, error))
            continue
        found.setdefault(key, []).append(file)
    groups = [
        _group(tuple(members), dict(schema), reading) for (*_, schema), members in found.items()
    ]
    return groups, faults


def _group(members: tuple[LogFile, ...], schema: dict[str, Any], reading: Reading) -> Group:
    """Scan files of one set of columns; the keys of their folder, if it has any, are columns too."""
    keys = {key: value for key, value in members[0].hive if key not in schema}
    table = _table_of(members[0], reading)
    if table and nested_fields.first_of(schema, reading.places["event"]) is None:
        keys["event"] = table
    rows = _scan(members, schema).with_columns(pl.lit(v).alias(k) for k, v in keys.items())
    rows, long = column_mapping.unpivoted(rows, schema | dict.fromkeys(keys, pl.String()), reading)
    return Group(members, rows, long, schema)


def _table_of(file: LogFile, reading: Reading) -> str:
    """Name the table that a file holds, where that can be the event's name: one for pages, one for identifies."""
    named = reading.preset is not None and reading.preset.table and file.kind == "csv"
    return Path(file.shown.rsplit("!")[-1]).name.split(".")[0] if named else ""


def _columns(file: LogFile, reading: Reading) -> tuple[tuple[str, Any], ...]:
    if file.kind == "parquet":
        return tuple(pl.read_parquet_schema(file.path).items())
    if file.kind == "ndjson":
        wanted = [*reading.places.values(), *reading.keep.values(), reading.aliases]
        wanted.append(tuple((name,) for name in reading.unpivot))
        pairs = reading.preset.pairs if reading.preset else ()
        return tuple(
            nested_fields.schema_for([p for ps in wanted for p in ps], pairs=pairs).items()
        )
    if reading.columns:
        return tuple((name, pl.String()) for name in reading.columns)
    if reading.preset and reading.preset.columns and not (file.header and file.quoted):
        return tuple((name, pl.String()) for name in reading.preset.columns)
    refuse_garbled_header(file.path)
    scan = pl.scan_csv(
        file.path, separator=file.separator, infer_schema=False, glob=False, skip_lines=file.skip
    )
    return tuple(scan.collect_schema().items())


def _scan(files: Sequence[LogFile], schema: Mapping[str, Any]) -> pl.LazyFrame:
    paths, file = [each.path for each in files], files[0]
    path_column = FILE if len(files) > 1 else None
    if file.kind == "parquet":
        return pl.scan_parquet(paths, include_file_paths=path_column, glob=False)
    if file.kind == "ndjson":
        return pl.scan_ndjson(paths, schema=dict(schema), include_file_paths=path_column)
    # polars tells rows of too many fields only if it reads all columns, so the first fields too many are read.
    more = [f"{MORE} {number}" for number in range(FIELDS_BEYOND)]
    rows = pl.scan_csv(
        paths,
        separator=file.separator,
        has_header=file.header,
        quote_char='"' if file.quoted else None,
        schema={**schema, **dict.fromkeys(more, pl.String())},
        missing_columns="insert",
        skip_lines=file.skip,
        include_file_paths=path_column,
        glob=False,
    )
    return rows.with_columns(pl.coalesce(more).alias(MORE)).drop(more)


def _doubled(group: Group, reading: Reading) -> list[str]:
    # polars calls the second column of a name so; taking the first in silence might be wrong.
    used = {p[0] for ps in (*reading.places.values(), *reading.keep.values()) for p in ps}
    twice = [
        name for name in group.schema if name in used and f"{name}_duplicated_0" in group.schema
    ]
    return [
        f"{group.name} has the column {name!r} twice; give each its own name." for name in twice
    ]


def _form(group: Group, reading: Reading) -> tuple[Group | None, Form | None, list[str]]:
    """Tell how a group's times are written; the group comes back without its broken files, or None if none can be read."""
    at = nested_fields.first_of(group.schema, reading.places["at"])
    if at is not None and column_mapping.dtype_of(group.rows, at).is_temporal():
        return group, None, []
    try:
        form, sample = column_mapping.first_form(group.rows, group.schema, reading)
    except file_errors.BAD as error:
        faults, rest = _explained(group, error, reading)
        if rest is None:
            return None, None, faults
        rest, form, more = _form(rest, reading)
        return rest, form, faults + more
    if form:
        return group, form, []
    faults = column_mapping.faults_of_sample(
        sample, reading, group.name, alone=len(group.files) == 1
    )
    return (None if faults else group), None, faults


def _sink(
    group: Group, form: Form | None, reading: Reading, part: Path
) -> tuple[Part | None, list[str]]:
    """Write a group's events; the part comes back without the group's broken files, or None if none is sound."""
    log = column_mapping.as_log(group.rows, group.schema, reading, form)
    log = log.with_columns(pl.col("user_id").cast(pl.String))
    try:
        log.sink_parquet(part, compression="zstd", compression_level=1)
    except file_errors.BAD as error:
        faults, rest = _explained(group, error, reading)
    else:
        faults, rest = _lost(group, part, reading)
        if not faults:
            return Part(part, group, form), []
    if rest is None:
        return None, faults
    # Into another file: polars may still be writing into the one that failed.
    found, more = _sink(rest, form, reading, part.with_name(f"{part.stem}-again.parquet"))
    return found, faults + more


def _lost(group: Group, part: Path, reading: Reading) -> tuple[list[str], Group | None]:
    """Find what polars passes over in silence: fields behind the last column, and lines that are no JSON to it."""
    log = pl.scan_parquet(part, glob=False)
    if MORE not in log.collect_schema():
        return [], None
    lost = log.filter(pl.col(MORE).is_not_null()).select(MORE).head(1).collect()
    if lost.is_empty():
        return [], None
    faults, rest = _broken(group, reading)
    if group.files[0].kind == "ndjson" and not faults:
        return [f"{group.name} holds what cannot be read as JSON: {shape(lost.item()[:60])}."], None
    return faults, rest


def _explained(
    group: Group, error: BaseException, reading: Reading
) -> tuple[list[str], Group | None]:
    """Find what is wrong with a group's files, and what is left to read: the sound ones, or JSON of uneven shapes."""
    if file_errors.no_room(error):
        raise error
    faults, rest = _broken(group, reading)
    if faults:
        return faults, rest
    uneven = group.files[0].kind == "ndjson" and any(
        not isinstance(dtype, pl.String) for dtype in group.schema.values()
    )
    return ([], _loosely(group)) if uneven else ([file_errors.plainly(group.name, error)], None)


def _broken(group: Group, reading: Reading) -> tuple[list[str], Group | None]:
    found = {file: file_errors.find(file) for file in group.files}
    faults = [fault for fault in found.values() if fault]
    sound = tuple(file for file, fault in found.items() if not fault)
    return faults, _group(sound, dict(group.own or group.schema), reading) if sound else None


def _loosely(group: Group) -> Group:
    """Read lines of JSON value by value: slower, but a key may hold an object here and a list there."""
    several = FILE if len(group.files) > 1 else None
    lines = pl.scan_lines([f.path for f in group.files], glob=False, include_file_paths=several)
    values = [nested_fields.from_json(pl.col("line"), [key]).alias(key) for key in group.schema]
    # A line that is no JSON to polars, if it is to Python, would give nothing but nulls.
    unread = pl.when(pl.col("line").str.json_path_match("$").is_null()).then("line").alias(MORE)
    rows = lines.filter(pl.col("line").str.strip_chars() != "").select(
        *values, unread, *([FILE] if several else [])
    )
    return Group(group.files, rows, dict.fromkeys(group.schema, pl.String()))


def _finish(parts: list[Part], reading: Reading, target: Path, faults: list[str]) -> None:
    """Check what was read, read what was left over, and write the one file."""
    groups = [part.group for part in parts]
    shown = {str(file.path): file.shown for group in groups for file in group.files}
    log = _together(parts)
    kinds = _kinds(parts, reading)
    where = column_mapping.rows_of(shown)
    later: list[Form] = []
    profile = _profile(log, reading)
    if not faults:  # where a file could not be read, what the others lack may stand in it
        faults = _empty_faults(profile, groups, reading)
    if len(kinds) > 1:
        faults = [*faults, timestamps.mixed(reading.called("at"), list(kinds.items()))]
    else:
        later, found = column_mapping.settle_times(log, next(iter(kinds), None), reading, where)
        faults = faults + found
    faults = faults + file_errors.id_faults(profile, log, reading, where)
    _raise(faults)
    kept = [name for name in reading.keep if name not in _lacked(profile, groups, reading)]
    casts = column_mapping.narrowed(profile, kept)
    log = column_mapping.settled(log, later, reading).with_columns(casts)
    blank = pl.all_horizontal(pl.col("user_id", "event", "at").is_null())
    whole = len(kept) == len(reading.keep)
    if len(parts) == 1 and not later and not casts and not profile["blank"] and whole:
        parts[0].path.replace(target)
    else:
        names = ["user_id", "event", "at", *kept, *([ALIAS] if reading.aliases else [])]
        names += [ALL_OF_IT] if reading.whole else []
        log.filter(~blank | pl.col(RAW).is_not_null()).select(names).sink_parquet(
            target, compression="zstd", compression_level=1
        )


def _lacked(profile: dict[str, Any], groups: list[Group], reading: Reading) -> set[str]:
    """List the properties that nothing has, of those that a log may lack; lines of JSON declare none."""
    declared = [group.schema for group in groups if group.files[0].kind != "ndjson"]
    return {n for n in column_mapping.lacked(reading, declared) if not profile[f"kept {n}"]}


def _together(parts: list[Part]) -> pl.LazyFrame:
    scans = []
    for part in parts:
        scan = pl.scan_parquet(part.path, glob=False).drop(MORE, strict=False)
        files = part.group.files
        file = pl.lit(str(files[0].path)).alias(FILE) if len(files) == 1 else pl.col(FILE)
        scans.append(scan.select(pl.exclude(FILE), file))
    return pl.concat(scans, how="vertical_relaxed") if len(scans) > 1 else scans[0]


def _kinds(parts: list[Part], reading: Reading) -> dict[str, str]:
    """List the kinds of times there are, each with files that hold it; numbers whose unit is said are instants."""
    found = {}
    for part in parts:
        at = nested_fields.first_of(part.group.schema, reading.places["at"])
        dtype = None if at is None else column_mapping.dtype_of(part.group.rows, at)
        if kind := column_mapping.kind_of(dtype, part.form):
            found[kind] = f"in {part.group.name}"
    if {"epoch", "instant"} <= set(found):
        del found["instant"]
    return found


def _profile(log: pl.LazyFrame, reading: Reading) -> dict[str, Any]:
    user = pl.col("user_id")
    parts = [
        pl.len().alias("rows"),
        user.count().alias("user"),
        pl.col("event").count().alias("event"),
        (pl.col("at").is_not_null() | pl.col(RAW).is_not_null()).sum().alias("at"),
        pl.all_horizontal(pl.col("user_id", "event", "at", RAW).is_null()).sum().alias("blank"),
        user.str.ends_with(".0").any().alias("decimal ids"),  # perhaps; patterns cost twice as much
    ]
    parts += column_mapping.type_facts(log, reading.keep)
    return log.select(parts).collect().row(0, named=True)


def _empty_faults(profile: dict[str, Any], groups: list[Group], reading: Reading) -> list[str]:
    everywhere = listing([file.shown for g in groups for file in g.files], most=3)
    if profile["rows"] == profile["blank"] and not any(
        group.files[0].kind == "ndjson" for group in groups
    ):
        return [f"{everywhere} holds no events, only a header."]
    if not profile["rows"]:
        return [f"{everywhere} holds no events."]
    if not any(profile[role] for role in column_mapping.ROLES) and (
        around := file_errors.around_lists(groups)
    ):
        return around
    known = file_errors.keys_of([file for g in groups for file in g.files])
    faults = [
        f"no row of {everywhere} holds anything in {reading.called(role)} for the {meaning}; say where it is: {role}='...'.{column_mapping.suggested(role, reading, known)}"
        for role, meaning in column_mapping.ROLES.items()
        if not profile[role]
    ]
    if faults and (hint := column_mapping.preset_hint(known, reading)):
        faults[-1] += hint.replace("They look", "The rows look")
    for name in [name for name in reading.keep if name not in reading.perhaps]:
        declared = any(group.files[0].kind == "ndjson" for group in groups)
        if not profile[f"kept {name}"] and (declared or "." in name or reading.preset):
            faults.append(
                f"no row of {everywhere} holds a property {name!r} to keep.{column_mapping.near_property(name, known)}"
            )
    return faults
