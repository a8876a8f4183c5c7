"""Which properties a source has of its own, to keep all of them where nobody says which are needed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EngagekitError
from engagekit.ingest.file_errors import BAD
from engagekit.ingest.file_heads import head_of
from engagekit.ingest.files import find_files, hive_of, is_path, is_remote, open_files
from engagekit.ingest.typed_tables import is_parquet
from engagekit.log import COLUMNS, as_lazy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engagekit.ingest.files import LogFile

LINES = 200  # of each file of JSON lines, whose names are nowhere declared


def own_columns(source: Any, said: Mapping[str, Any]) -> list[str]:
    """List the columns of a source that are no column of the log; `said` are the parameters of `scan_events`, by name.

    Of lines of JSON, the names in the first lines of each file, those within objects with a dot. What cannot be read
    has none here; reading it says why.
    """
    try:
        names = list(dict.fromkeys(_names(source, said)))
    except (EngagekitError, *BAD):
        return []
    taken = {*COLUMNS, *said["unpivot"]}
    for role in ("user", "event", "at"):
        taken |= {said[role]} if isinstance(said[role], str) else {*said[role]}
    capitals = {name.casefold() for name in taken.difference(names)}  # found whatever their case
    return [n for n in names if n and n not in taken and n.casefold() not in capitals]


def _names(source: Any, said: Mapping[str, Any]) -> list[str]:
    if is_remote(source):
        return pl.scan_parquet(source).collect_schema().names()
    if not is_path(source):
        return _of_table(source)
    return _of_files(source, said)


def _of_table(source: Any) -> list[str]:
    if hasattr(source, "columns") and not hasattr(source, "collect_schema"):
        return [str(name) for name in source.columns]
    return as_lazy(source).collect_schema().names()


def _of_files(source: Any, said: Mapping[str, Any]) -> list[str]:
    paths = find_files(source)
    keys = [key for path in paths for key, _ in hive_of(path)]
    if all(map(is_parquet, paths)):
        return [name for path in paths for name in pl.read_parquet_schema(path)] + keys
    with tempfile.TemporaryDirectory(prefix="engagekit-") as folder:
        files, _ = open_files(
            paths,
            preset=None,
            encoding=said["encoding"],
            workdir=Path(folder),
            columns=bool(said["columns"]),
            skip=said["skip"],
            member=said["member"],
        )
        return [name for file in files for name in _of_file(file, said["columns"])] + keys


def _of_file(file: LogFile, columns: Sequence[str]) -> Iterator[str]:
    if file.kind == "parquet":
        yield from pl.read_parquet_schema(file.path)
    elif file.kind == "csv" and columns:
        yield from columns
    elif file.kind == "csv":
        scan = pl.scan_csv(
            file.path,
            separator=file.separator,
            infer_schema=False,
            glob=False,
            skip_lines=file.skip,
        )
        yield from scan.collect_schema().names()
    else:
        for line in head_of(file.path).splitlines()[:LINES]:
            yield from _keys(line)


def _keys(line: bytes) -> Iterator[str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return
    for key, value in row.items() if isinstance(row, dict) else ():
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield key
