"""The first rows of a file of any kind, with all their columns: to see what it holds before it is read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from engagekit.errors import EventLogError
from engagekit.ingest import file_errors
from engagekit.ingest.files import find_files, open_files

MOST_FILES = 3


def sample_of(source: Any, *, most: int) -> pl.DataFrame:
    """Read the first rows of the first files of a log; csv as text, the others with their types.

    Raises
    ------
    EventLogError
        There are no files, or none that can be read: all faults.
    """
    paths = find_files(source)[:MOST_FILES]
    with tempfile.TemporaryDirectory(prefix="engagekit-") as workdir:
        files, faults = open_files(paths, preset=None, encoding="utf-8", workdir=Path(workdir))
        for file in files:
            try:
                if file.kind == "parquet":
                    return pl.scan_parquet(file.path, glob=False).head(most).collect()
                if file.kind == "ndjson":
                    return _flat(
                        pl.scan_ndjson(file.path, infer_schema_length=most).head(most).collect()
                    )
                return (
                    pl.scan_csv(
                        file.path,
                        separator=file.separator,
                        infer_schema=False,
                        glob=False,
                        truncate_ragged_lines=True,
                    )
                    .head(most)
                    .collect()
                )
            except file_errors.BAD as error:
                faults.append(file_errors.explain(file, error))
    raise EventLogError.from_faults("The event log cannot be read", faults)


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    """Bring the fields of records out, by their names with dots."""
    for name, dtype in rows.schema.items():
        if isinstance(dtype, pl.Struct):
            fields = [
                pl.col(name).struct.field(f.name).alias(f"{name}.{f.name}") for f in dtype.fields
            ]
            rows = rows.with_columns(fields)
    return rows
