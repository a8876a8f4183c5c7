"""Which properties a source has of its own, to keep all of them where nobody says which are needed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EngagekitError
from engagekit.ingest.file_errors import BAD
from engagekit.ingest.files import find_files, head_of, is_path, open_files
from engagekit.ingest.typed_tables import is_parquet
from engagekit.log import COLUMNS, as_lazy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engagekit.ingest.files import LogFile

LINES = 200  # of each file of JSON lines, whose names are nowhere declared


def own_columns(source: Any, roles: Sequence[str], *, encoding: str) -> list[str]:
    """List the columns of a source that are no column of the log: `roles` are its user, event and time.

    Of lines of JSON, the names in the first lines of each file, those within objects with a dot. What cannot be read
    has none here; reading it says why.
    """
    try:
        names = _of_files(source, encoding) if is_path(source) else _of_table(source)
    except (EngagekitError, *BAD):
        return []
    taken = {*roles, *COLUMNS}
    return [name for name in dict.fromkeys(names) if name and name not in taken]


def _of_table(source: Any) -> list[str]:
    if hasattr(source, "columns") and not hasattr(source, "collect_schema"):
        return [str(name) for name in source.columns]
    return as_lazy(source).collect_schema().names()


def _of_files(source: Any, encoding: str) -> list[str]:
    paths = find_files(source)
    if all(map(is_parquet, paths)):
        return [name for path in paths for name in pl.read_parquet_schema(path)]
    with tempfile.TemporaryDirectory(prefix="engagekit-") as folder:
        files, _ = open_files(paths, preset=None, encoding=encoding, workdir=Path(folder))
        return [name for file in files for name in _of_file(file)]


def _of_file(file: LogFile) -> Iterator[str]:
    if file.kind == "parquet":
        yield from pl.read_parquet_schema(file.path)
    elif file.kind == "csv":
        scan = pl.scan_csv(file.path, separator=file.separator, infer_schema=False, glob=False)
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
