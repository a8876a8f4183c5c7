"""Text read once, in bounded memory, into one parquet file; its faults are raised here, with rows and examples."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit import columns, damage, fields
from engagekit.columns import ALIAS, FILE, RAW
from engagekit.errors import EngagekitError, EventLogError, listing
from engagekit.sources import LogFile, open_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engagekit.columns import Reading
    from engagekit.times import Form

HEADING = "The event log cannot be read"


@dataclass(frozen=True)
class Group:
    """Files of one format and one set of columns, which are read in one go."""

    files: tuple[LogFile, ...]
    rows: pl.LazyFrame
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name the files for a message."""
        return listing([file.shown for file in self.files], most=3)


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
    except damage.BAD as error:
        if not damage.no_room(error):
            raise EventLogError(f"{HEADING}: {damage.plainly('the text', error)}") from None
        raise EventLogError(
            f"There is no room to keep the log in {str(target.parent.parent)!r}; nothing was changed. Make room, or say another folder: cache='...'."
        ) from None


def _write_log(
    paths: Sequence[Path], reading: Reading, *, encoding: str, target: Path, workdir: Path
) -> None:
    files = open_files(paths, preset=reading.preset, encoding=encoding, workdir=workdir)
    groups, faults = _grouped(files, reading)
    for group in groups:
        faults += columns.missing(group.schema, reading, group.name)
        faults += _doubled(group, reading)
    groups = [g for g in groups if fields.first_of(g.schema, reading.places["at"]) is not None]
    forms, parts = [], []
    for number, group in enumerate(groups):
        groups[number], form, found = _form(group, reading)
        forms.append(form)
        faults += found
    _raise(faults)
    for number, form in enumerate(forms):
        part = workdir / f"part-{number:05}.parquet"
        groups[number], found = _sink(groups[number], form, reading, part)
        faults += found
        parts.append(part)
    _raise(faults)
    _finish(parts, groups, forms, reading, target)


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
            key = (file.kind, file.separator, file.header, _columns(file, reading))
        except damage.BAD as error:
            faults.append(damage.explain(file, error))
            continue
        found.setdefault(key, []).append(file)
    groups = [
        Group(tuple(members), _scan(members, dict(schema)), dict(schema))
        for (*_, schema), members in found.items()
    ]
    return groups, faults


def _columns(file: LogFile, reading: Reading) -> tuple[tuple[str, Any], ...]:
    if file.kind == "parquet":
        return tuple(pl.read_parquet_schema(file.path).items())
    if file.kind == "ndjson":
        wanted = [*reading.places.values(), *reading.keep.values(), reading.aliases]
        pairs = reading.preset.pairs if reading.preset else ()
        return tuple(fields.schema_for([p for ps in wanted for p in ps], pairs=pairs).items())
    if reading.preset and reading.preset.columns:
        return tuple((name, pl.String()) for name in reading.preset.columns)
    scan = pl.scan_csv(file.path, separator=file.separator, infer_schema=False, glob=False)
    return tuple(scan.collect_schema().items())


def _scan(files: Sequence[LogFile], schema: dict[str, Any]) -> pl.LazyFrame:
    paths, file = [each.path for each in files], files[0]
    path_column = FILE if len(files) > 1 else None
    if file.kind == "parquet":
        return pl.scan_parquet(paths, include_file_paths=path_column, glob=False)
    if file.kind == "ndjson":
        return pl.scan_ndjson(paths, schema=schema, include_file_paths=path_column)
    return pl.scan_csv(
        paths,
        separator=file.separator,
        has_header=file.header,
        quote_char='"' if file.quoted else None,
        schema=schema,
        include_file_paths=path_column,
        glob=False,
    )


def _doubled(group: Group, reading: Reading) -> list[str]:
    # polars calls the second column of a name so; taking the first in silence might be wrong.
    used = {p[0] for ps in (*reading.places.values(), *reading.keep.values()) for p in ps}
    twice = [
        name for name in group.schema if name in used and f"{name}_duplicated_0" in group.schema
    ]
    return [
        f"{group.name} has the column {name!r} twice; give each its own name." for name in twice
    ]


def _form(group: Group, reading: Reading) -> tuple[Group, Form | None, list[str]]:
    at = fields.first_of(group.schema, reading.places["at"])
    if at is not None and columns.dtype_of(group.rows, at).is_temporal():
        return group, None, []
    try:
        form, sample = columns.first_form(group.rows, group.schema, reading)
    except damage.BAD as error:
        faults = _explained(group, error)
        if not faults:
            return _form(_loosely(group), reading)
        return group, None, faults
    return (
        group,
        form,
        []
        if form
        else columns.faults_of_sample(sample, reading, group.name, alone=len(group.files) == 1),
    )


def _sink(group: Group, form: Form | None, reading: Reading, part: Path) -> tuple[Group, list[str]]:
    log = columns.as_log(group.rows, group.schema, reading, form)
    log = log.with_columns(pl.col("user_id").cast(pl.String))
    try:
        log.sink_parquet(part, compression="zstd", compression_level=1)
    except damage.BAD as error:
        faults = _explained(group, error)
        return (group, faults) if faults else _sink(_loosely(group), form, reading, part)
    return group, []


def _explained(group: Group, error: BaseException) -> list[str]:
    """Find what is wrong with a group's files; nothing, if JSON is sound and only its shapes differ."""
    if damage.no_room(error):
        raise error
    found = [damage.find(file) for file in group.files]
    if faults := [fault for fault in found if fault]:
        return faults
    uneven = group.files[0].kind == "ndjson" and any(
        not isinstance(dtype, pl.String) for dtype in group.schema.values()
    )
    return [] if uneven else [damage.plainly(group.name, error)]


def _loosely(group: Group) -> Group:
    """Read lines of JSON value by value: slower, but a key may hold an object here and a list there."""
    several = FILE if len(group.files) > 1 else None
    lines = pl.scan_lines([f.path for f in group.files], glob=False, include_file_paths=several)
    values = [fields.from_json(pl.col("line"), [key]).alias(key) for key in group.schema]
    rows = lines.filter(pl.col("line").str.strip_chars() != "").select(
        *values, *([FILE] if several else [])
    )
    return Group(group.files, rows, dict.fromkeys(group.schema, pl.String()))


def _finish(
    parts: list[Path],
    groups: list[Group],
    forms: list[Form | None],
    reading: Reading,
    target: Path,
) -> None:
    """Check what was read, read what was left over, and write the one file."""
    shown = {str(file.path): file.shown for group in groups for file in group.files}
    log = _together(parts, groups)
    kinds = {form.kind for form in forms if form}
    kind = next(iter(kinds)) if len(kinds) == 1 else None
    where = columns.rows_of(shown)
    faults = [_mixed_files(groups, forms, reading)] if len(kinds) > 1 else []
    later: list[Form] = []
    if not faults:
        later, faults = columns.settle_times(log, kind, reading, where)
    profile = _profile(log, reading)
    faults += _empty_faults(profile, groups, reading)
    faults += _id_faults(profile, log, reading, where)
    _raise(faults)
    casts = columns.narrowed(profile, reading.keep)
    log = columns.settled(log, later, reading).with_columns(casts)
    blank = pl.all_horizontal(pl.col("user_id", "event", "at").is_null())
    if len(parts) == 1 and not later and not casts and not profile["blank"]:
        parts[0].replace(target)
    else:
        names = ["user_id", "event", "at", *reading.keep, *([ALIAS] if reading.aliases else [])]
        log.filter(~blank | pl.col(RAW).is_not_null()).select(names).sink_parquet(
            target, compression="zstd", compression_level=1
        )


def _together(parts: list[Path], groups: list[Group]) -> pl.LazyFrame:
    scans = []
    for part, group in zip(parts, groups, strict=True):
        scan = pl.scan_parquet(part, glob=False)
        if len(group.files) == 1:
            scan = scan.with_columns(pl.lit(str(group.files[0].path)).alias(FILE))
        scans.append(scan)
    return pl.concat(scans, how="vertical_relaxed") if len(scans) > 1 else scans[0]


def _mixed_files(groups: list[Group], forms: list[Form | None], reading: Reading) -> str:
    from engagekit.times import mixed

    examples = {form.kind: f"in {g.name}" for g, form in zip(groups, forms, strict=True) if form}
    return mixed(reading.called("at"), list(examples.items()))


def _profile(log: pl.LazyFrame, reading: Reading) -> dict[str, Any]:
    user = pl.col("user_id")
    parts = [
        pl.len().alias("rows"),
        user.count().alias("user"),
        pl.col("event").count().alias("event"),
        (pl.col("at").is_not_null() | pl.col(RAW).is_not_null()).sum().alias("at"),
        pl.all_horizontal(pl.col("user_id", "event", "at", RAW).is_null()).sum().alias("blank"),
        user.str.contains(r"^\d+\.0$").sum().alias("decimal ids"),
        user.str.contains(r"^\d+$").sum().alias("whole ids"),
    ]
    parts += columns.type_facts(log, reading.keep)
    return log.select(parts).collect().row(0, named=True)


def _empty_faults(profile: dict[str, Any], groups: list[Group], reading: Reading) -> list[str]:
    everywhere = listing([file.shown for g in groups for file in g.files], most=3)
    if profile["rows"] == profile["blank"] and not any(
        group.files[0].kind == "ndjson" for group in groups
    ):
        return [f"{everywhere} holds no events, only a header."]
    if not profile["rows"]:
        return [f"{everywhere} holds no events."]
    known = damage.keys_of([file for g in groups for file in g.files])
    faults = [
        f"no row of {everywhere} holds anything in {reading.called(role)} for the {meaning}; say where it is: {role}='...'.{columns.suggested(role, reading, known)}"
        for role, meaning in columns.ROLES.items()
        if not profile[role]
    ]
    for name in reading.keep:
        declared = any(group.files[0].kind == "ndjson" for group in groups)
        if not profile[f"kept {name}"] and (declared or "." in name or reading.preset):
            faults.append(
                f"no row of {everywhere} holds a property {name!r} to keep.{columns.near_property(name, known)}"
            )
    return faults


def _id_faults(
    profile: dict[str, Any], log: pl.LazyFrame, reading: Reading, where: columns.Where
) -> list[str]:
    if not (profile["decimal ids"] and profile["whole ids"]):
        return []
    kinds = []
    for pattern in (r"^\d+$", r"^\d+\.0$"):
        rows = log.filter(pl.col("user_id").str.contains(pattern)).head(1)
        kinds.append(rows.select("user_id").collect().item())
    there = where(log, pl.col("user_id").str.contains(r"^\d+\.0$"), 1).rsplit(":", 1)[0]
    return [
        f"{reading.called('user')} holds whole numbers such as {kinds[0]!r} and decimals such as {kinds[1]!r} ({there}), so one user may stand under two ids. Write the ids in one form in all files."
    ]
