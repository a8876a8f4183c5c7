"""Journeys that memory would not hold: their tables written part by part into a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.journeys import TABLES
from engagekit.whole import writing

if TYPE_CHECKING:
    from pathlib import Path


def names(tag: str) -> dict[str, str]:
    """Name the folder of parts of each table."""
    return {table: f"{table}-{tag}.parquet" for table in TABLES}


def put(tables: dict[str, pl.DataFrame], folder: Path, tag: str, number: int) -> None:
    """Write one part of each table."""
    with writing(str(folder)):
        for table, name in names(tag).items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            tables[table].write_parquet(folder / name / f"{number:05d}.parquet")


def tables_in(folder: Path, tag: str) -> dict[str, pl.LazyFrame]:
    """Open the tables as they lie."""
    return {table: pl.scan_parquet(folder / name) for table, name in names(tag).items()}
