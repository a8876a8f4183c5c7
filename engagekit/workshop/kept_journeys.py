"""Journeys that a session keeps beside its log, so that the next notebook opens them instead of rolling the log up again."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import StoredFileError
from engagekit.journeys import ONLY_JUDGED_BY, Journeys, storage
from engagekit.rollups import DONE, read_manifest, rollup

if TYPE_CHECKING:
    from engagekit._base import Progress
    from engagekit.definition import Definition

FOLDER = "journeys"  # inside the prepared log, so that what clears the log away, or a user out of it, finds them
MOST = 8  # so many are kept beside one log: each team's definition, and a few before it


def rolled_up(
    log: pl.LazyFrame | Path,
    definition: Definition,
    *,
    users: pl.DataFrame | None,
    as_of: str | None,
    progress: Progress,
) -> Journeys:
    """Roll a session's log up, or open what was kept of it: what `rollup` gives for the same log, definition and end.

    Kept are journeys of a prepared log, in its folder ``journeys``, named by a digest of the prepared log, the definition
    (its targets, margin and recent days aside), the users table, the end of the data and the version. Where they cannot
    be read they are made anew, and where they cannot be written nothing is kept.
    """
    known = read_manifest(log, DONE) if isinstance(log, Path) else None
    if known is None or not isinstance(log, Path):
        return rollup(log, definition, users=users, as_of=as_of, progress=progress)
    place = log / FOLDER / _digest(known, definition, users, as_of)
    with suppress(StoredFileError):
        found = Journeys.load(place)
        with suppress(OSError):
            os.utime(place)  # opened last: cleared away last
        judged = {name: getattr(definition, name) for name in ONLY_JUDGED_BY}
        return dataclasses.replace(
            found, definition=dataclasses.replace(found.definition, **judged)
        )
    made = rollup(log, definition, users=users, as_of=as_of, progress=progress)
    with suppress(
        StoredFileError, OSError
    ):  # a full disk, or a folder that only others may write to
        made.save(place)
        _clear_away(place.parent)
    return made


def _digest(
    log: dict[str, Any], definition: Definition, users: pl.DataFrame | None, as_of: str | None
) -> str:
    version = importlib.import_module("engagekit").__version__  # another may roll up otherwise
    table = {k: v for k, v in definition.to_table().items() if k not in ONLY_JUDGED_BY}
    told = [log, table, as_of, version, pl.__version__, storage.SCHEMA_VERSION]
    found = hashlib.blake2b(json.dumps(told, default=str, sort_keys=True).encode(), digest_size=10)
    if users is not None:
        found.update(str(users.schema).encode())
        found.update(users.hash_rows(seed=1).to_numpy().tobytes())
    return found.hexdigest()


def _clear_away(folder: Path) -> None:
    """Keep the journeys that were opened last."""
    there = [path for path in folder.iterdir() if (path / storage.FILE).is_file()]
    for path in sorted(there, key=lambda each: each.stat().st_mtime, reverse=True)[MOST:]:
        shutil.rmtree(path, ignore_errors=True)
