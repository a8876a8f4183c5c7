"""Rewriting a large log once, bucket by bucket of users, so that later work needs little memory."""

from __future__ import annotations

import json
import logging
import math
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from polars.exceptions import PolarsError

from engagekit._base import flush, ticking, write_whole, writing
from engagekit.errors import ColumnError, EventLogError, StoredFileError, nearest
from engagekit.ingest import EVERY, definition_of, find_files, is_path, kept_names, scan_events
from engagekit.log import COLUMNS, as_lazy, open_log, unused
from engagekit.rollups.prepared_log import (
    BEGUN,
    DONE,
    SCHEMA_VERSION,
    days_as_lists,
    open_prepared,
    read_manifest,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from engagekit._base import Progress
    from engagekit.definition import Definition
    from engagekit.ingest import Keep

_LOGGER = logging.getLogger(__name__)
BUCKET = 1_000_000  # events in one bucket, about
MOST_BUCKETS = 256
SLICE = 10_000_000  # events split at a time, of a log of few columns
PIECES = "split"
LOCK = ".preparing.lock"
BUSY = (
    "{!r} is being filled with a prepared log by another call right now, and this one has stopped. Nothing is wrong with "
    "the log: wait for the other to end, then the same call returns at once, or give a folder of its own."
)


def prepare_events(
    source: Any,
    folder: str | os.PathLike[str],
    *,
    definition: Definition | str | os.PathLike[str] | None = None,
    keep: Keep | None = None,
    progress: Progress = True,
) -> Path:
    """Rewrite a log once so that `rollup` needs little memory for it, however large it is.

    Parameters
    ----------
    source
        A path that `scan_events` reads with its defaults, or a frame: what `scan_events` returned (say there
        which columns are which).
    folder
        Where to write; new or empty, or where this very call was interrupted. It needs somewhat more disk
        than the log as parquet.
    definition
        A definition, or the path of its file: only the properties it asks for are kept.
    keep
        Properties to keep, or these besides what `definition` asks for. With neither, all columns are kept, so that any
        definition can be used later; it needs the more disk.
    progress
        Show how far it is: True (a bar, on a terminal), False, or a function of ``done, total``.

    Returns
    -------
    Path
        The folder, for `rollup`: ``ek.rollup(folder, definition)``.

    Raises
    ------
    StoredFileError
        The folder holds something else, or a log prepared from another source or by another version of engagekit;
        or another call prepares it right now; or it cannot be written to, or the disk is full: with room made, the same call goes on.
    EventLogError
        The log holds no events.

    Notes
    -----
    Memory is bounded by a slice of the log (some hundred megabytes), disk is not.
    It can be interrupted at any time, also by force: nothing counts before it is whole, and the same call goes on
    from the last whole piece (splitting a lazy frame, whose rows have no fixed order, starts anew). When all is done
    already, the call does nothing; when the source has changed since, it says so and changes nothing.
    A user's events lie in one bucket, by a hash of the id, in the order of the log.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import date
    >>> import engagekit as ek
    >>> log = pl.DataFrame({
    ...     "user_id": [2, 1, 1], "event": ["signup", "signup", "publish"], "at": [date(2026, 1, d) for d in (1, 2, 3)],
    ... })
    >>> folder = prepare_events(log, tempfile.mkdtemp(), progress=False)
    >>> made = ek.rollup(folder, ek.Definition(signup="signup", activation="publish", core="publish"))
    >>> made.users["user_id"].to_list()
    [1, 2]
    """
    folder = Path(folder)
    done = read_manifest(folder, DONE)
    _LOGGER.info("prepared log: %s", "to be made" if done is None else "there already")
    definition = None if definition is None else definition_of(definition)
    files = _files_of(source, definition, keep)
    if done is None or files is None or done.get("files") != files:
        raw = _opened(source, definition, keep)
        plan = _plan(raw, files)
        if done is None:
            by_slices = not isinstance(source, pl.LazyFrame)
            with writing(str(folder)), alone(folder):
                done = read_manifest(folder, DONE)  # it may have been written meanwhile
                if done is None:
                    _begin(folder, plan)
                    _split(raw, plan, folder, by_slices=by_slices, progress=progress)
                    _finish(plan, folder)
        if done is not None and not _same(plan, done):
            raise _other_source(folder)
    open_prepared(folder)  # broken ones are refused here, not later
    _tidy(folder)
    with suppress(OSError):  # of a process that was killed; nobody has work left to do here
        (folder / LOCK).unlink(missing_ok=True)
    return folder


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others from preparing a log in the same folder meanwhile."""
    from filelock import FileLock, Timeout

    ours = any((folder / name).exists() for name in (BEGUN, DONE))
    if folder.exists() and not ours and not _is_empty(folder):
        raise StoredFileError(
            f"{str(folder)!r} holds something else already; give a new or an empty folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / LOCK
    held = FileLock(lock, timeout=0)
    with suppress(NotImplementedError):  # a file system without locks
        try:
            held.acquire()
        except Timeout:
            raise StoredFileError(BUSY.format(str(folder))) from None
    try:
        yield
    except (FileNotFoundError, PolarsError) as error:
        # What this call wrote is there until somebody else takes it away.
        if _is_gone(error, folder):
            raise StoredFileError(BUSY.format(str(folder))) from error
        raise
    finally:
        with suppress(OSError):
            lock.unlink(missing_ok=True)
        held.release()


def _is_gone(error: Exception, folder: Path) -> bool:
    told = f"{getattr(error, 'filename', '')} {error}"
    missing = isinstance(error, FileNotFoundError) or "(os error 2)" in told
    return missing and str(folder) in told


@contextmanager
def _kept(places: Sequence[Path], folder: Path) -> Iterator[None]:
    """Say it as it is where somebody else took away what is being written: polars does not always name the file."""
    try:
        yield
    except (FileNotFoundError, PolarsError) as error:
        if not all(place.exists() for place in places):
            raise StoredFileError(BUSY.format(str(folder))) from error
        raise


def _opened(source: Any, definition: Definition | None, keep: Keep | None) -> pl.LazyFrame:
    everything = definition is None and keep is None
    if is_path(source):
        kept = EVERY if everything else () if keep is None else keep
        return scan_events(source, definition=definition, keep=kept)
    log = as_lazy(source)
    if everything or keep == EVERY:
        return log
    schema, named = log.collect_schema(), kept_names(() if keep is None else keep)
    faults = [
        f"there is no property {name!r} to keep.{nearest(name, schema.names())}"
        for name in named.values()
        if name not in schema
    ]
    if faults:
        raise ColumnError.from_faults("The event log cannot be prepared", faults)
    asked = () if definition is None else definition.asked_properties()
    rest = [
        name for name in dict.fromkeys([*COLUMNS, *asked]) if name in schema and name not in named
    ]
    return log.select(*rest, *[pl.col(name).alias(new) for new, name in named.items()])


def _files_of(
    source: Any, definition: Definition | None, keep: Keep | None
) -> list[list[Any]] | None:
    """Write down which files a log comes from, and what is kept of them, to know it again."""
    if not is_path(source):
        return None
    stats = [(str(path.resolve()), path.stat()) for path in find_files(source)]
    files: list[list[Any]] = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    if definition is None and keep is None:
        return files
    asked = [] if definition is None else [*definition.asked_properties()]
    named = [[new, name] for new, name in kept_names(() if keep is None else keep).items()]
    return [*files, ["kept", asked, named]]


def _plan(raw: pl.LazyFrame, files: list[list[Any]] | None) -> dict[str, Any]:
    """Take a first look at the log: what it holds, by which to know it again, and how to cut it."""
    log, dates_only = open_log(raw)
    schema = raw.collect_schema()
    count = raw.select(pl.len()).collect().item()
    facts = facts_of(log)
    known = sum(facts["days"]["len"])
    if not known:
        raise EventLogError("The event log holds no events, so there is nothing to prepare.")
    return {
        "schema_version": SCHEMA_VERSION,
        "polars": pl.__version__,  # its hashes decide who goes where
        "files": files,
        "columns": {name: str(dtype) for name, dtype in schema.items()},
        "rows": count,
        "lacking": count - known,
        **facts,
        "nobody": _nobody(raw),
        "dates_only": dates_only,
        "count": max(
            1, min(MOST_BUCKETS, math.ceil(count / BUCKET)), math.ceil(count / BUCKET / 4)
        ),
        "slice": max(SLICE // 20, SLICE * 3 // len(schema)),
    }


def facts_of(log: pl.LazyFrame) -> dict[str, Any]:
    """Look a log over in one pass: its days, its events by name, and sums by which to know its users again."""
    at = pl.col("at")
    found = (
        log.group_by(at.dt.date().alias("day"), pl.col("event").cast(pl.String))
        .agg(
            pl.len().cast(pl.Int64),
            at.min().alias("first"),
            at.max().alias("last"),
            pl.col("user_id").hash().sum().alias("users"),
        )
        .collect(engine="streaming")
    )
    days = found.group_by("day").agg(
        pl.col("len").sum(), pl.col("first").min(), pl.col("last").max()
    )
    names = found.group_by("event").agg(pl.col("len", "users").sum()).sort("event")
    return {
        "days": days_as_lists(days),
        "names": names["event"].to_list(),
        "times": names["len"].to_list(),
        "users": [str(n) for n in names["users"]],
    }


def _nobody(raw: pl.LazyFrame) -> dict[str, int]:
    """Count by name the events that no user is named for; none is kept, but it has to be said."""
    lost = raw.filter(pl.col("user_id").is_null(), pl.col("event").is_not_null())
    counts = lost.group_by(pl.col("event").cast(pl.String)).len().sort("event")
    return dict(counts.collect(engine="streaming").iter_rows())


def _same(plan: dict[str, Any], known: dict[str, Any]) -> bool:
    told = ["columns", "rows", "lacking", "days", "names", "times"]
    if plan["polars"] == known.get("polars"):
        told.append("users")
    return all(plan[key] == known.get(key) for key in told)


def _other_source(folder: Path) -> StoredFileError:
    return StoredFileError(
        f"{str(folder)!r} holds a log prepared from another source, or the source has changed since. "
        "Nothing was touched. Give a new folder, or delete that one."
    )


def _begin(folder: Path, plan: dict[str, Any]) -> None:
    """Claim the folder, or find in it what was begun from the same source."""
    begun = read_manifest(folder, BEGUN)
    if begun is not None and not _same(plan, begun):
        raise _other_source(folder)
    if begun is not None and any(begun[key] != plan[key] for key in ("polars", "count", "slice")):
        _tidy(folder, but=())  # pieces that were cut otherwise do not fit
    write_whole(folder / BEGUN, json.dumps(plan).encode())


def _is_empty(folder: Path) -> bool:
    # A manifest that was being written when the process was killed is nobody's.
    return folder.is_dir() and all(
        each.name == LOCK or each.match(f".{BEGUN}.*.part") for each in folder.iterdir()
    )


def _split(
    raw: pl.LazyFrame, plan: dict[str, Any], folder: Path, *, by_slices: bool, progress: Progress
) -> None:
    """Cut the log into pieces by bucket, a slice at a time; what is whole already stays."""
    if (folder / "buckets").is_dir():
        return
    step = plan["slice"] if by_slices else plan["rows"]
    for number in ticking(
        range(math.ceil(plan["rows"] / step)), progress=progress, what="Splitting"
    ):
        place = folder / PIECES / f"{number:06d}"
        if place.is_dir():
            continue
        part = place.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        log, _ = open_log(raw.slice(number * step, step) if by_slices else raw)
        key = unused("bucket", log.collect_schema())
        bucket = (pl.col("user_id").hash() % plan["count"]).cast(pl.UInt32).alias(key)
        kind = pl.Enum(plan["names"])
        at = pl.col("at").dt.date() if plan["dates_only"] else pl.col("at")
        with _kept([part], folder):
            log.with_columns(pl.col("event").cast(kind), at, bucket).sink_parquet(
                pl.PartitionBy(part, key=key, include_key=False),
                compression="zstd",
                compression_level=1,
                statistics=False,
            )
            part.rename(place)


def _finish(plan: dict[str, Any], folder: Path) -> None:
    """See the pieces on the disk, and put them side by side, each named by its bucket; sorting them would gain nothing."""
    place = folder / "buckets"
    place.mkdir(exist_ok=True)
    pieces = sorted((folder / PIECES).glob("*/bucket*=*/*.parquet"))
    with _kept([place, *pieces], folder):
        for piece in pieces:
            flush(piece)
            piece.replace(place / _name_of(piece))
        flush(place)
        rows = {path.name: _rows_in(path) for path in sorted(place.glob("*.parquet"))}
    if sum(rows.values()) != plan["rows"] - plan["lacking"]:
        raise StoredFileError(
            f"{str(folder)!r} came out with {sum(rows.values())} of {plan['rows'] - plan['lacking']} events: the source "
            "changed while it was read. Delete the folder and prepare the log again."
        )
    write_whole(folder / DONE, json.dumps(plan | {"buckets": rows}).encode())


def _name_of(piece: Path) -> str:
    bucket = int(piece.parent.name.rpartition("=")[2])
    return f"{bucket:05d}-{piece.parent.parent.name}-{piece.name}"


def _rows_in(path: Path) -> int:
    return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())


def _tidy(folder: Path, *, but: tuple[str, ...] = ("buckets",)) -> None:
    for name in {PIECES, "buckets"} - set(but):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / BEGUN).unlink(missing_ok=True)  # last: it says whose the rest is
