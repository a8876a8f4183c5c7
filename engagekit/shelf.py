"""Journeys that memory would not hold: their tables written part by part into a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.errors import StoredFileError
from engagekit.journeys import TABLES

if TYPE_CHECKING:
    from pathlib import Path


def names(tag: str) -> dict[str, str]:
    """Name the folder of parts of each table."""
    return {table: f"{table}-{tag}.parquet" for table in TABLES}


def put(tables: dict[str, pl.DataFrame], folder: Path, tag: str, number: int) -> None:
    """Write one part of each table."""
    try:
        for table, name in names(tag).items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            tables[table].write_parquet(folder / name / f"{number:05d}.parquet")
    except OSError as error:
        raise StoredFileError(
            f"The journeys could not be written to {str(folder)!r} ({error}); what was there is unchanged."
        ) from error


def tables_in(folder: Path, tag: str) -> dict[str, pl.LazyFrame]:
    """Open the tables as they lie."""
    return {table: pl.scan_parquet(folder / name) for table, name in names(tag).items()}
