"""Forgetting a user: out of prepared logs, journeys, users tables of workshops and the cache, file by whole file.

A new file takes its place beside the old one, then the list of what counts names the new one, then the old one goes. Cut
short at any moment, what counts is whole; the same call then goes on, and clears away what the old list had named.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import flush, write_whole, writing
from engagekit.errors import ParameterError, StoredFileError
from engagekit.ingest import ALIAS, text_cache
from engagekit.journeys import storage
from engagekit.rollups import BEGUN, DONE, alone, facts_of, open_prepared, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = "users.parquet"  # of a workshop, beside its log
PREPARED, JOURNEYS, TABLES, CACHED = "prepared log", "journeys", "users table", "cached file"
OF_ACCOUNTS = (
    "journeys of accounts"  # which hold what their members did together, and no member's own
)


def forget(
    user: str, folder: str | os.PathLike[str], *, cache: str | os.PathLike[str] | None = None
) -> Counter[str]:
    """Remove a user from all that engagekit wrote in a folder, and from the cache.

    Parameters
    ----------
    user
        The id, as the log has it.
    folder
        A prepared log, journeys, a workshop, a cache, or a folder with some of these anywhere in it.
    cache
        Where text files once read are kept; None: as `scan_events` finds it.

    Returns
    -------
    collections.Counter
        From how many of each kind (prepared log, journeys, journeys of accounts, users table, cached file) the user was
        removed; of each kind that was looked through there is a count, if only 0.

    Raises
    ------
    ParameterError
        The folder is none, or holds nothing that engagekit wrote.
    StoredFileError
        Some of it is unfinished, broken, of another version, or cannot be written: all of these, after the rest is done.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ParameterError(f"There is no folder {str(folder)!r} to remove anybody from.")
    places = list(_places(folder))
    if not places:
        raise ParameterError(
            f"{str(folder)!r} holds nothing that engagekit wrote: no prepared log, no journeys, no cache."
        )
    kept = text_cache.cache_folder(cache)
    if kept.is_dir() and not kept.resolve().is_relative_to(folder.resolve()):
        places += [(CACHED, path) for path in _entries(kept)]
    removed, faults = Counter(dict.fromkeys((kind for kind, _ in places), 0)), []
    for kind, path in places:
        try:
            removed[kind] += REMOVE[kind](path, user)
        except (OSError, ValueError, TypeError, KeyError, pl.exceptions.PolarsError) as error:
            said = str(error) if isinstance(error, StoredFileError) else type(error).__name__
            faults.append(f"{str(path)!r}: {said}")
    if faults:
        raise StoredFileError.from_faults(
            "The user is removed from the rest, but may still be in", faults
        )
    return removed


def _places(folder: Path) -> Iterator[tuple[str, Path]]:
    """Find all that engagekit wrote and that may hold a user."""
    for place, _, names in os.walk(folder):
        here = Path(place)
        if {DONE, BEGUN} & set(names):
            yield PREPARED, here
            if (here.parent / USERS).is_file():
                yield TABLES, here.parent / USERS
        if storage.FILE in names:
            yield OF_ACCOUNTS if _are_of_accounts(here) else JOURNEYS, here
        yield from ((CACHED, path) for path in _entries(here))


def _are_of_accounts(folder: Path) -> bool:
    try:
        return (storage.manifest(folder) or {}).get("unit") == "account"
    except (OSError, ValueError, TypeError):
        return False  # what is wrong with it is said where it is opened


def _entries(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and text_cache.ENTRY.fullmatch(p.name))


def _is(user: str) -> pl.Expr:
    """Tell the user's rows: ids are text, or whole numbers."""
    return pl.col("user_id").cast(pl.String).eq_missing(pl.lit(user))


def _has(rows: pl.LazyFrame, user: str) -> bool:
    return rows.filter(_is(user)).head(1).collect().height > 0


def _from_prepared(folder: Path, user: str) -> bool:
    known = read_manifest(folder, DONE)
    if known is None:
        raise StoredFileError(
            "it is not fully prepared; finish it with ek.prepare_events and the same source, or delete the folder."
        )
    place = folder / "buckets"
    with writing(str(folder)), alone(folder):
        prepared = open_prepared(folder)
        mine = [path for path in prepared.files if _has(pl.scan_parquet(path, glob=False), user)]
        if mine:
            buckets = {path.name: known["buckets"][path.name] for path in prepared.files}
            for path in mine:
                rest = pl.read_parquet(path, glob=False).filter(~_is(user))
                del buckets[path.name]
                if rest.height:
                    new = path.with_name(f"{path.stem[:5]}-{secrets.token_hex(6)}.parquet")
                    rest.write_parquet(new, compression="zstd", compression_level=1)
                    flush(new)
                    buckets[new.name] = rest.height
            buckets = dict(sorted(buckets.items()))
            gone = sum(known["buckets"].values()) - sum(buckets.values())
            left = pl.scan_parquet([place / name for name in buckets], glob=False)
            facts = facts_of(left if buckets else prepared.log.head(0))
            told = known | facts | {"rows": known["rows"] - gone, "buckets": buckets}
            write_whole(folder / DONE, json.dumps(told).encode())
        counted = read_manifest(folder, DONE) or known
        for path in place.iterdir():  # those before, also of a call that was cut short
            if path.name not in counted["buckets"]:
                path.unlink()
    return bool(mine)


def _from_journeys(folder: Path, user: str) -> bool:
    _, stored = storage.open_stored(folder)
    mine = {
        part
        for table, parts in stored.parts.items()
        for part in parts
        if _has(pl.scan_parquet(stored.folder / part, glob=False), user)
    }
    if mine:
        with storage.claimed(folder) as tag:
            known, stored = storage.open_stored(folder)
            moved = storage.Stored(
                folder,
                {
                    table: dict(
                        _moved(folder, part, rows, tag, user) for part, rows in parts.items()
                    )
                    for table, parts in stored.parts.items()
                },
            )
            storage.settle({k: v for k, v in known.items() if k not in storage.LISTED}, moved)
    else:
        storage.tidy(folder)  # what a call that was cut short left
    return bool(mine)


def _moved(folder: Path, part: str, rows: int, tag: str, user: str) -> tuple[str, int]:
    """Write one part under another tag without the user; what does not hold the user stays the same file."""
    name = storage.renamed(part, tag)
    old, new = folder / part, folder / name
    new.parent.mkdir(exist_ok=True)
    table = pl.scan_parquet(old, glob=False)
    if _has(table, user):
        rest = table.filter(~_is(user)).collect()
        rest.write_parquet(new)
        return name, rest.height
    try:
        os.link(old, new)
    except OSError:  # a file system without links
        shutil.copyfile(old, new)
    return name, rows


def _from_table(path: Path, user: str) -> bool:
    table = pl.read_parquet(path, glob=False)
    rest = table.filter(~_is(user))
    if rest.height == table.height:
        return False
    held = io.BytesIO()
    rest.write_parquet(held)
    write_whole(path, held.getvalue())
    return True


def _from_cache(path: Path, user: str) -> bool:
    rows = pl.scan_parquet(path, glob=False)
    mine = _is(user)
    if ALIAS in rows.collect_schema():
        mine = mine | pl.col(ALIAS).cast(pl.String).eq_missing(pl.lit(user))
    if not rows.filter(mine).head(1).collect().height:
        return False
    with writing(str(path)), text_cache.working_folder(path.parent) as workdir:
        made = workdir / "made.parquet"
        rows.filter(~mine).sink_parquet(made, compression="zstd", compression_level=1)
        text_cache.put(made, path)
    return True


REMOVE: dict[str, Any] = {
    PREPARED: _from_prepared,
    JOURNEYS: _from_journeys,
    OF_ACCOUNTS: _from_journeys,
    TABLES: _from_table,
    CACHED: _from_cache,
}
