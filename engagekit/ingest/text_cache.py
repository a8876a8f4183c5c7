"""Where read text is kept: one parquet file per log and way of reading it, written whole, with names that tell nothing."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EventLogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LOGGER = logging.getLogger(__name__)
VERSION = 3  # of what lies in the cache; raised whenever the same text would be read differently
ENTRY = re.compile(
    r"[0-9a-f]{24}-[0-9a-f]{24}(?:\.(\d+))?\.parquet"
)  # formats before the third told none
GENERATIONS = 2  # of one log: the newest, and the one before, which a notebook may still be reading
A_DAY = 86_400


def cache_folder(cache: str | os.PathLike[str] | None) -> Path:
    """Find the folder of the cache: as given, ``ENGAGEKIT_CACHE``, or where the platform keeps caches."""
    if cache is not None:
        return Path(cache).expanduser()
    if os.environ.get("ENGAGEKIT_CACHE"):
        return Path(os.environ["ENGAGEKIT_CACHE"]).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("engagekit", appauthor=False)


def cached(
    paths: Sequence[Path],
    options: dict[str, Any],
    folder: Path,
    make: Callable[[Path, Path], None],
) -> Path:
    """Return the parquet file that `make(target, workdir)` wrote for these files and options, making it if need be.

    Raises
    ------
    EventLogError
        The folder cannot be written to, or the disk is full.
    """
    log, state = _key([str(path.resolve()) for path in paths], options), _key(_fingerprints(paths))
    entry = folder / f"{log}-{state}.{VERSION}.parquet"
    if _is_whole(entry):
        _for_its_owner(entry)
        _LOGGER.info("text read before, taken from the cache: %s", entry.name)
        return entry
    with working_folder(folder) as workdir:
        made = workdir / "made.parquet"
        make(made, workdir)
        put(made, entry)
    _LOGGER.info("text of %d files read into the cache: %s", len(paths), entry.name)
    _forget(folder, log, entry)
    return entry


def _fingerprints(paths: Sequence[Path]) -> list[tuple[int, int, str]]:
    found = []
    for path in paths:
        stat = path.stat()
        with path.open("rb") as file:
            ends = file.read(4096)
            file.seek(max(0, stat.st_size - 4096))
            ends += file.read(4096)
        found.append((stat.st_size, stat.st_mtime_ns, hashlib.blake2b(ends).hexdigest()))
    return found


def _key(*parts: Any) -> str:
    text = json.dumps([VERSION, pl.__version__, *parts], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _is_whole(entry: Path) -> bool:
    if not entry.is_file():
        return False
    try:
        pl.read_parquet_schema(entry)
    except (pl.exceptions.PolarsError, OSError):
        return False
    return True


@contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """Lend a folder for temporary files inside `folder`, readable by this user only, and clear it afterwards."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        workdir = Path(tempfile.mkdtemp(dir=folder, prefix=".reading-"))
    except OSError as error:
        raise EventLogError(
            f"The cache folder {str(folder)!r} cannot be written to ({error.strerror}). Say another one: cache='...', or the variable ENGAGEKIT_CACHE."
        ) from None
    _sweep(folder, workdir)
    try:
        yield workdir
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


def _sweep(folder: Path, newest: Path) -> None:
    # What a process that was killed left behind; a day old by the file system's own clock.
    now = newest.stat().st_mtime
    for left in folder.glob(".reading-*"):
        try:
            if now - left.stat().st_mtime > A_DAY:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue


def _for_its_owner(path: Path) -> None:
    """Let nobody else read a file."""
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def put(made: Path, entry: Path) -> None:
    """Put a file in an entry's place, whole, for its owner alone."""
    _for_its_owner(made)  # the folder may be anybody's
    with made.open("rb+") as file:
        os.fsync(file.fileno())
    try:
        made.replace(entry)
    except PermissionError:
        # Windows does not replace a file that another process has open; then it is there already.
        if not _is_whole(entry):
            raise


def _forget(folder: Path, log: str, entry: Path) -> None:
    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0

    older = sorted(folder.glob(f"{log}-*.{VERSION}.parquet"), key=age, reverse=True)
    unread = [path for path in folder.iterdir() if _format_of(path) < VERSION]
    for path in [*unread, *[each for each in older if each != entry][GENERATIONS - 1 :]]:
        with suppress(OSError):
            path.unlink()


def _format_of(path: Path) -> int:
    """Read an entry's format off its name; whatever else lies there is of no format of ours."""
    found = ENTRY.fullmatch(path.name)
    return VERSION if found is None else int(found[1] or 0)
