"""The first rows of a file of any kind, with all their columns: to see what it holds before it is read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EventLogError
from engagekit.ingest import file_errors
from engagekit.ingest.file_heads import refuse_garbled_header
from engagekit.ingest.files import find_files, open_files

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_FILES = 3


def sample_of(
    source: Any,
    *,
    most: int,
    encoding: str = "utf-8",
    skip: int = 0,
    columns: Sequence[str] = (),
    member: str | None = None,
) -> pl.DataFrame:
    """Read the first rows of the first files of a log; csv as text, the others with their types.

    Parameters
    ----------
    source
        A path, as for `scan_events`.
    most
        How many rows.
    encoding, skip, columns, member
        What is known of the files, as for `scan_events`.

    Raises
    ------
    EventLogError
        There are no files, or none that can be read: all faults.
    """
    paths = find_files(source)[:MOST_FILES]
    with tempfile.TemporaryDirectory(prefix="engagekit-") as workdir:
        files, faults = open_files(
            paths, preset=None, encoding=encoding, workdir=Path(workdir), columns=bool(columns), skip=skip, member=member
        )  # fmt: skip
        for file in files:
            try:
                if file.kind == "parquet":
                    return pl.scan_parquet(file.path, glob=False).head(most).collect()
                if file.kind == "ndjson":
                    return fields_out(
                        pl.scan_ndjson(file.path, infer_schema_length=most).head(most).collect()
                    )
                refuse_garbled_header(file.path)
                rows = pl.scan_csv(
                    file.path,
                    separator=file.separator,
                    has_header=file.header,
                    new_columns=list(columns) or None,
                    infer_schema=False,
                    glob=False,
                    skip_lines=file.skip,
                    truncate_ragged_lines=True,
                )
                return rows.head(most).collect()
            except file_errors.BAD as error:
                faults.append(file_errors.explain(file, error))
    raise EventLogError.from_faults("The event log cannot be read", faults)


def fields_out(rows: pl.DataFrame) -> pl.DataFrame:
    """Bring the fields of records out, by their names with dots."""
    for name, dtype in rows.schema.items():
        if isinstance(dtype, pl.Struct):
            fields = [
                pl.col(name).struct.field(f.name).alias(f"{name}.{f.name}") for f in dtype.fields
            ]
            rows = rows.with_columns(fields)
    return rows
