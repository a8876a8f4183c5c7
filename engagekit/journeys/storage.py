"""Journeys on disk: their tables whole, or part by part where memory would not hold them.

Each writing has a tag of its own in the names of its files, and a lock on it while it lasts, which the system takes
away from a process that dies. The list of what counts comes last, so the last to finish wins, whole.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import A_DAY, flush, write_whole, writing
from engagekit.errors import StoredFileError
from engagekit.journeys.kept import FACTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

SCHEMA_VERSION = 2
FILE = "journeys.json"
LISTED = ("schema_version", "tables", "parts")  # what the list says of the files
NAMES = ("users", "steps", "early", "days", "late")
BESIDE = ("facts",)  # made from them when first asked for
# Names of tables on disk; nothing else is ever read or cleared away.
OURS = re.compile(rf"({'|'.join((*NAMES, *BESIDE))})-([0-9a-f]{{12}})\.parquet")
REPLACED = (
    "The journeys that were read from {!r} are no longer there: others were written into that folder since, or files were "
    "removed. Open them again: ek.Journeys.load({!r}, lazy=True)."
)
INCOMPLETE = (
    "The journeys in {!r} are not complete: {}. Copy the folder again as a whole, or make them anew: "
    "ek.rollup(log, definition, into={!r})."
)
SWEPT = (
    "The journeys could not be kept in {!r}: {}, while they were being written. What counted there before still does. "
    "Give them a folder of their own."
)


@dataclass(frozen=True)
class Stored:
    """Where the tables of journeys lie: for each its parts, by their place in the folder, and the rows of each."""

    folder: Path
    parts: Mapping[str, Mapping[str, int]]

    def paths(self, table: str) -> list[Path]:
        """List the parts of a table; all parts of a number hold the same users."""
        return [self.folder / part for part in self.parts[table]]

    def check(self, table: str) -> None:
        """Refuse to read a table whose files have gone since it was opened.

        Raises
        ------
        StoredFileError
            They have.
        """
        if not all(path.is_file() for path in self.paths(table)):
            raise StoredFileError(REPLACED.format(str(self.folder), str(self.folder)))

    def faults(self) -> list[str]:
        """Say which parts are missing or do not hold the rows they should."""
        found = []
        for parts in self.parts.values():
            for part, rows in parts.items():
                have = _rows_of(self.folder / part)
                if have is None:
                    found.append(f"{part!r} is missing or cannot be read")
                elif have != rows:
                    found.append(f"{part!r} has {have:,} of {rows:,} rows")
        return found


def _rows_of(path: Path) -> int | None:
    try:
        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError):
        return None


def _told(faults: list[str]) -> str:
    more = f", and {len(faults) - 3} more like these" if len(faults) > 3 else ""
    return ", ".join(faults[:3]) + more


def put(tables: Mapping[str, pl.DataFrame], folder: Path, tag: str, number: int) -> Stored:
    """Write one part of each table."""
    with writing(str(folder)):
        parts = {}
        for table, name in _names(tag).items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            part = f"{name}/{number:05d}.parquet"
            # Engines that spread work may do a piece of it twice at once.
            begun = folder / f"{part}.{secrets.token_hex(6)}"
            tables[table].write_parquet(begun)
            begun.replace(folder / part)
            parts[table] = {part: tables[table].height}
    return Stored(folder, parts)


def put_whole(tables: Mapping[str, pl.LazyFrame], folder: Path, tag: str) -> Stored:
    """Write each table as one file, as it streams."""
    with writing(str(folder)):
        for table, name in _names(tag).items():
            tables[table].sink_parquet(folder / name)
    parts = {table: {name: _rows_of(folder / name) or 0} for table, name in _names(tag).items()}
    return Stored(folder, parts)


def joined(parts: list[Stored]) -> Stored:
    """Take parts written one after another as one whole."""
    both = {table: {k: v for each in parts for k, v in each.parts[table].items()} for table in NAMES}  # fmt: skip
    return Stored(parts[0].folder, both)


def _names(tag: str) -> dict[str, str]:
    return {table: f"{table}-{tag}.parquet" for table in NAMES}


def renamed(part: str, tag: str) -> str:
    """Name a part as another writing would."""
    table = part[: part.index("-")]
    return part.replace(part.split("/", maxsplit=1)[0], _names(tag)[table], 1)


def tables_in(stored: Stored) -> dict[str, pl.LazyFrame]:
    """Open the tables as they lie."""
    return {table: pl.scan_parquet(stored.paths(table), glob=False) for table in NAMES}


def pieces_in(stored: Stored) -> tuple[dict[str, Any], ...]:
    """Open the tables part by part, and say where the facts of each lie or will; a whole file is no part."""
    if any("/" not in part for part in stored.parts["users"]):
        return ()
    paths = [stored.paths(table) for table in NAMES]
    facts = [stored.folder / part.replace("users", *BESIDE, 1) for part in stored.parts["users"]]
    return tuple(
        {t: pl.scan_parquet(path, glob=False) for t, path in zip(NAMES, part, strict=True)}
        | {FACTS_FILE: place}
        for *part, place in zip(*paths, facts, strict=True)
    )


@contextmanager
def claimed(folder: Path) -> Iterator[str]:
    """Lend a tag for writing into a folder, and clear it all away again if the writing comes to nothing.

    Raises
    ------
    StoredFileError
        A newer engagekit wrote what is there, or the folder cannot be written to.
    """
    _refuse_newer(folder, _readable(folder))
    tag = secrets.token_hex(6)
    made = not folder.exists()
    try:
        with writing(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            held = _hold(_lock_of(folder, tag))
        try:
            yield tag
        except BaseException:
            _clear(folder, tag)
            raise
        finally:
            held.release()
            _lock_of(folder, tag).unlink(missing_ok=True)
            tidy(folder)
    except BaseException:
        if made:
            with suppress(OSError):  # something else may have come to lie there
                folder.rmdir()
        raise


def check_unswept(stored: Stored) -> None:
    """Refuse to go on where somebody else took away what was just written.

    Raises
    ------
    StoredFileError
        Parts are missing, or hold other rows.
    """
    if faults := stored.faults():
        raise StoredFileError(SWEPT.format(str(stored.folder), _told(faults)))


def settle(about: Mapping[str, Any], stored: Stored) -> None:
    """Make tables that lie in a folder the ones that count, once they are on the disk.

    Raises
    ------
    StoredFileError
        Some of them are no longer there, or the disk is full.
    """
    folder = stored.folder
    with writing(str(folder)):
        for table in NAMES:
            paths = stored.paths(table)
            for path in [*paths, *{path.parent for path in paths}]:
                if path.exists():
                    flush(path)
    check_unswept(stored)
    tables = {table: next(iter(parts)).split("/")[0] for table, parts in stored.parts.items()}
    known = {"schema_version": SCHEMA_VERSION, "tables": tables, "parts": stored.parts}
    known |= dict(about)
    write_whole(folder / FILE, json.dumps(known, indent=1).encode())


def open_stored(folder: Path) -> tuple[dict[str, Any], Stored]:
    """Read which tables count, and check that each part is there with all its rows.

    Raises
    ------
    StoredFileError
        There are no journeys; they are broken or not complete; or another version of engagekit wrote them.
    """
    for _ in range(5):  # where others are written meanwhile, those count
        known = manifest(folder)
        if known is None:
            raise StoredFileError(
                f"{str(folder)!r} holds no journeys ({FILE} is missing); write them with journeys.save(folder)."
            )
        _refuse_newer(folder, known)
        _refuse_older(folder, known)
        stored = Stored(folder, {table: _checked(known["parts"][table], table) for table in NAMES})
        if not (faults := stored.faults()):
            return known, stored
        if manifest(folder) == known:
            break
    raise StoredFileError(INCOMPLETE.format(str(folder), _told(faults), str(folder)))


def _checked(parts: Any, table: str) -> dict[str, int]:
    """Take the list of a table's parts only if all of them are files of ours inside the folder."""
    for part, rows in parts.items():
        name, *inside = part.split("/")
        found = OURS.fullmatch(name)
        known = found is not None and found[1] == table
        if not (known and all(re.fullmatch(r"\d+\.parquet", each) for each in inside)):
            raise ValueError(f"{part!r} is no part of {table}")
        if not isinstance(rows, int):
            raise TypeError(f"{part!r} has {rows!r} rows")
    return dict(parts)


def manifest(folder: Path) -> dict[str, Any] | None:
    """Read what a folder says of its journeys; None if it says nothing.

    Raises
    ------
    ValueError, OSError
        It cannot be read.
    """
    try:
        known = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not isinstance(known, dict):
        raise TypeError(f"{FILE} holds no table")
    return known


def _readable(folder: Path) -> dict[str, Any] | None:
    """Read what a folder says of its journeys; None also where it cannot be read."""
    try:
        return manifest(folder)
    except (OSError, ValueError, TypeError):
        return None


def _refuse_newer(folder: Path, known: Mapping[str, Any] | None) -> None:
    version = None if known is None else known.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoredFileError(
            f"{str(folder)!r} was written by a newer engagekit (format {version}); install that one."
        )


def _refuse_older(folder: Path, known: Mapping[str, Any]) -> None:
    if known["schema_version"] < SCHEMA_VERSION:
        raise StoredFileError(
            f"The journeys in {str(folder)!r} were written by an older engagekit (format {known['schema_version']}; this one "
            f"reads {SCHEMA_VERSION}). Make them anew: ek.rollup(log, definition, into={str(folder)!r})."
        )


def _lock_of(folder: Path, tag: str) -> Path:
    return folder / f".writing-{tag}.lock"


def _hold(lock: Path) -> Any:
    """Lock a writing's tag for as long as this process lives or the lock is released."""
    from filelock import FileLock

    held = FileLock(lock)
    try:
        held.acquire()
    except NotImplementedError:  # a file system without locks: the file says it by being there
        lock.touch()
    return held


def _is_written(folder: Path, tag: str) -> bool:
    """Say whether somebody is writing under a tag right now."""
    from filelock import FileLock, Timeout

    lock = _lock_of(folder, tag)
    if not lock.exists():
        return False
    probe = FileLock(lock, timeout=0)
    try:
        with probe:
            pass
    except Timeout:
        return True
    except (NotImplementedError, OSError):
        newest = max((p.stat().st_mtime for p in folder.glob("*")), default=0.0)
        return newest - lock.stat().st_mtime < A_DAY
    lock.unlink(missing_ok=True)
    return False


def tidy(folder: Path) -> None:
    """Clear away tables that do not count: those before, and those of writing that came to nothing."""
    with suppress(OSError):  # open elsewhere, on Windows: the next time clears it away
        tags = {
            f[2] for p in folder.glob("*-????????????.parquet") if (f := OURS.fullmatch(p.name))
        }
        locks = {p.name[len(".writing-") : -len(".lock")] for p in folder.glob(".writing-*.lock")}
        for tag in sorted(tags | locks):
            # In this order: what counts is written down before the lock goes.
            if not _is_written(folder, tag) and not _counts(folder, tag):
                _clear(folder, tag)


def _counts(folder: Path, tag: str) -> bool:
    """Say whether the list of what counts names a tag, or cannot be read, so that it might."""
    try:
        known = manifest(folder)
        return known is not None and any(tag in name for name in known["tables"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return True


def _clear(folder: Path, tag: str) -> None:
    for name in [*_names(tag).values(), *(f"{table}-{tag}.parquet" for table in BESIDE)]:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name, ignore_errors=True)
        else:
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
