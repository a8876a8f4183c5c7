"""Journeys on disk: their tables whole, or part by part where memory would not hold them."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import flush, write_whole, writing
from engagekit.errors import StoredFileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

SCHEMA_VERSION = 2  # 2: events per early day
FILE = "journeys.json"
NAMES = ("users", "steps", "early", "days")
OURS = rf"({'|'.join(NAMES)})-[0-9a-f]{{12}}\.parquet"  # names of tables on disk; nothing else is ever cleared away


def names(tag: str) -> dict[str, str]:
    """Name the file of each table, or the folder of its parts."""
    return {table: f"{table}-{tag}.parquet" for table in NAMES}


def put(tables: Mapping[str, pl.DataFrame], folder: Path, tag: str, number: int) -> None:
    """Write one part of each table; all parts of a number hold the same users."""
    with writing(str(folder)):
        for table, name in names(tag).items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            tables[table].write_parquet(folder / name / f"{number:05d}.parquet")


def tables_in(folder: Path, files: Mapping[str, str]) -> dict[str, pl.LazyFrame]:
    """Open the tables as they lie."""
    return {table: pl.scan_parquet(folder / name) for table, name in files.items()}


def pieces_in(folder: Path, files: Mapping[str, str]) -> tuple[dict[str, pl.LazyFrame], ...]:
    """Open the tables part by part; whole files are no parts."""
    parts = sorted(path.name for path in (folder / files["users"]).glob("*.parquet"))
    return tuple(
        {table: pl.scan_parquet(folder / name / part, glob=False) for table, name in files.items()}
        for part in parts
    )


def settle(about: Mapping[str, Any], folder: Path, files: Mapping[str, str]) -> None:
    """Make tables that lie in a folder already the ones that count, and clear away those before."""
    with writing(str(folder)):
        for name in files.values():
            for file in [folder / name, *(folder / name).glob("*.parquet")]:
                flush(file)
    known = {"schema_version": SCHEMA_VERSION, "tables": dict(files)} | dict(about)
    write_whole(folder / FILE, json.dumps(known, indent=1).encode())
    tidy(folder)


def tidy(folder: Path) -> None:
    """Clear away tables that do not count: those before, and those of writing that came to nothing."""
    try:
        used = json.loads((folder / FILE).read_text(encoding="utf-8"))["tables"].values()
    except FileNotFoundError:
        used = ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    for old in [*folder.glob("*-????????????.parquet")]:
        if old.name in used or not re.fullmatch(OURS, old.name):
            continue
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with suppress(OSError):  # open elsewhere, on Windows: the next time clears it away
                old.unlink()


def refuse_older(folder: Path, version: object) -> None:
    """Refuse what an older engagekit wrote: it lacks what the answers stand on now.

    Raises
    ------
    StoredFileError
        It is that.
    """
    if isinstance(version, int) and version < SCHEMA_VERSION:
        raise StoredFileError(
            f"{str(folder)!r} was written by an older engagekit (schema {version}, now {SCHEMA_VERSION}), which did not "
            "keep how much each user did on each early day; roll the log up again: "
            f"ek.rollup(events, definition).save({str(folder)!r})."
        )


def refuse_newer(folder: Path) -> None:
    """Leave alone what a newer engagekit wrote.

    Raises
    ------
    StoredFileError
        It is that.
    """
    try:
        version = json.loads((folder / FILE).read_text(encoding="utf-8"))["schema_version"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing there, or nothing that could be newer
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoredFileError(
            f"{str(folder)!r} was written by a newer engagekit (schema {version}); install that one."
        )
