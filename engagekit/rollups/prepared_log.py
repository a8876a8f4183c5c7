"""A prepared log on disk: each user's events whole in one bucket, and what is known of all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import StoredFileError

if TYPE_CHECKING:
    import os

SCHEMA_VERSION = 3
DONE, BEGUN = "prepared.json", "preparing.json"
DAYS: dict[str, Any] = {
    "day": pl.Date,
    "len": pl.Int64,
    "first": pl.Datetime("us", "UTC"),
    "last": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True)
class Prepared:
    """A log that `prepare_events` wrote."""

    folder: Path
    rows: int  # of the source, those left out included
    lacking: int  # left out for want of a user, an event name or a time
    days: pl.DataFrame  # day, len, first, last
    names: list[str]
    dates_only: bool
    files: list[Path]  # a bucket's begin with its number
    times: dict[str, int]  # how often each event was done
    nobody: dict[str, int]  # how many of each have no user, and are left out

    @property
    def log(self) -> pl.LazyFrame:
        """The whole log, bucket after bucket."""
        return pl.scan_parquet(self.files, glob=False)

    @property
    def buckets(self) -> list[list[Path]]:
        """The files of each bucket; all events of a user lie in one."""
        by_number = groupby(sorted(self.files), key=lambda path: path.name[:5])
        return [list(files) for _, files in by_number]


def is_prepared(source: Any) -> bool:
    """Say whether a source names a folder that `prepare_events` wrote, or began to write."""
    if not isinstance(source, (str, Path)):
        return False
    return any((Path(source) / name).is_file() for name in (DONE, BEGUN))


def open_prepared(folder: str | os.PathLike[str]) -> Prepared:
    """Open a prepared log.

    Raises
    ------
    StoredFileError
        It is unfinished, broken, or a newer engagekit wrote it.
    """
    folder = Path(folder)
    known = read_manifest(folder, DONE)
    if known is None:
        raise StoredFileError(
            f"Preparing {str(folder)!r} was interrupted; call ek.prepare_events again with the same source to finish it."
        )
    try:
        if any(Path(name).name != name for name in known["buckets"]):
            raise ValueError("a part of it lies elsewhere")
        rows = {folder / "buckets" / name: count for name, count in known["buckets"].items()}
        found = {path: _rows_of(path) for path in rows}
        prepared = Prepared(
            folder=folder,
            rows=known["rows"],
            lacking=known["lacking"],
            days=days_from(known["days"]),
            names=list(known["names"]),
            dates_only=known["dates_only"],
            files=list(rows),
            times=dict(zip(known["names"], known["times"], strict=True)),
            nobody=dict(known.get("nobody", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError, pl.exceptions.PolarsError) as error:
        raise _broken(folder, f"{type(error).__name__}: {error}") from None
    for path, count in found.items():
        if count != rows[path]:
            raise _broken(folder, f"{path.name} has {count} of {rows[path]} events")
    return prepared


def _rows_of(path: Path) -> int | None:
    try:
        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError):
        return None


def _broken(folder: Path, what: str) -> StoredFileError:
    return StoredFileError(
        f"The prepared log in {str(folder)!r} is broken ({what}); delete the folder and prepare the log again."
    )


def read_manifest(folder: Path, name: str) -> dict[str, Any] | None:
    """Read what a folder says of itself; None if it says nothing.

    Raises
    ------
    StoredFileError
        It cannot be read, or another version of engagekit wrote it.
    """
    try:
        known = json.loads((folder / name).read_text(encoding="utf-8"))
        version = known["schema_version"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(folder, f"{name}: {type(error).__name__}: {error}") from None
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise StoredFileError(
            f"{str(folder)!r} was written by a newer engagekit (schema {version}); install that one."
        )
    if version < SCHEMA_VERSION:
        raise StoredFileError(
            f"The log in {str(folder)!r} was prepared by an older engagekit (format {version}; this one reads {SCHEMA_VERSION}). "
            f"Delete the folder and prepare the log anew: ek.prepare_events(source, {str(folder)!r}), or on the command line "
            f"engagekit prepare SOURCE {folder}."
        )
    found: dict[str, Any] = known
    return found


def days_as_lists(days: pl.DataFrame) -> dict[str, list[int]]:
    """Write the counts by day as JSON can hold them."""
    return days.sort("day").select(pl.col(*DAYS).to_physical()).to_dict(as_series=False)


def days_from(lists: dict[str, list[int]]) -> pl.DataFrame:
    """Read the counts by day."""
    plain = pl.DataFrame({"day": lists["day"]} | {c: lists[c] for c in ("len", "first", "last")})
    return plain.select(pl.col("day").cast(pl.Int32).cast(pl.Date), *[pl.col(c).cast(pl.Int64).cast(DAYS[c]) for c in ("len", "first", "last")])  # fmt: skip
