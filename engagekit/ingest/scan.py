"""Event logs as people have them, brought to the contract: ``user_id``, ``event``, ``at`` and the properties asked for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.errors import ColumnError, ParameterError, nearest
from engagekit.ingest import identities, typed_tables
from engagekit.ingest.column_mapping import ALL_OF_IT
from engagekit.ingest.definition_argument import definition_of
from engagekit.ingest.files import find_files, is_path, is_remote
from engagekit.ingest.own_columns import own_columns
from engagekit.ingest.reading import (
    AS_USUAL,
    EVERY,
    MESSAGE,
    Keep,
    as_defined,
    kept_names,
    learns,
    reading_of,
)
from engagekit.log import COLUMNS, as_lazy

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from engagekit.definition import Definition
    from engagekit.ingest.column_mapping import Reading

SHORTEST_KEY = 16


def scan_events(
    source: Any,
    *,
    user: str = "user_id",
    event: str | Sequence[str] = "event",
    at: str | Sequence[str] = "at",
    preset: str | None = None,
    timezone: str | None = None,
    keep: Keep = (),
    definition: Definition | str | os.PathLike[str] | None = None,
    identities: Any = None,
    exclude: Any = None,
    dedupe: bool | str = False,
    cache: str | os.PathLike[str] | Literal[False] | None = None,
    at_format: str | None = None,
    bad_times: Literal["refuse", "null"] = "refuse",
    encoding: str = "utf-8",
    columns: Sequence[str] = (),
    skip: int = 0,
    member: str | None = None,
    unpivot: Sequence[str] = (),
) -> pl.LazyFrame:
    r"""Read an event log of any common kind into the form every function here takes.

    Text (csv, tsv, ndjson) is read once, in bounded memory, into a parquet file in the cache; the next
    scan of the unchanged files takes that. Its faults are raised when it is read.

    Parameters
    ----------
    source
        A path, a list of paths, a glob or a folder of csv, tsv, ndjson (jsonl) or parquet files, plain or
        as .gz, .bz2, .xz, .zst or .zip; JSON lists, Excel (with the extra ``excel``) and Arrow files; keys of hive
        folders are columns; or a ``s3://``, ``gs://``, ``az://`` or ``https://`` address of parquet, which polars
        fetches; or a polars, pandas, Arrow or DuckDB table (Delta and Iceberg: ``pl.scan_delta``, ``pl.scan_iceberg``). A PySpark or Ibis table is
        handed back as it is, for `rollup` to reduce where it lies.
    user, event, at
        The columns that hold the user's id, the event's name and its time; nested ones with dots. `event` and `at`
        may be lists of columns, joined by blanks (category and action, date and time), and ``event="=purchase"`` names
        the event of a log that holds one kind. A name that differs by case only is found.
    preset
        The export this is: ``"amplitude"``, ``"ga4"``, ``"matomo"`` (its visits log), ``"mixpanel"``,
        ``"mixpanel_before_2023"``, ``"posthog"``, ``"rudderstack"``, ``"segment"`` or ``"snowplow"``. It knows columns, ids, units and file shape;
        `user`, `event`, `at` and `at_format` still override it, one by one.
    timezone
        Where times without an offset in files were local (None: the definition's zone, else UTC); presets know that theirs are in UTC. A naive
        column in a frame is UTC, and dates stay dates. Of a local hour that comes twice the first is
        meant; one that a change of clocks skips is read with the offset before it.
    keep
        Properties to keep: names, or ``{new name: name}``, or ``"*"``: all columns there are. Nested ones are found by their bare name in
        the preset's places, or by dots. Text takes the narrowest type all its values have (true/false,
        whole number, number, text). Of several files some may lack a property; their events have none of it.
    definition
        A definition, or the path of its file: the properties that it looks at, and its `properties`, are kept
        without being named in `keep` (those that the log lacks are left to `rollup` to ask for), and what its `read` says
        stands wherever a parameter here has its default.
    identities
        A frame with ``alias, user_id``: events of an alias become that user's. Chains are followed.
        ``"log"`` learns them from an export (with its preset): where the id of a visitor
        or device stands beside one user's id, and never beside another's, all its events are that user's.
        Without it, what people do before they are known stays under the visitor's id.
    exclude
        A matcher of events, or a frame with ``user_id``, to leave out. `check_events` counts them if
        given the same.
    dedupe
        Whether to drop exact duplicates: rows that are the same in every column of the source (of JSON lines: in the
        fields that are read); or the name of the column with a message's id, such as ``"insert_id"``: of the events with
        the same one the first stays.
    cache
        The cache's folder; None for the usual place, False to keep nothing on disk (and all in memory).
    at_format
        The unit of an epoch (``"s"``, ``"ms"``, ``"us"``, ``"ns"``) or a strptime pattern.
    bad_times
        What becomes of times that cannot be read or lie outside 1990 to 2099: ``"refuse"``, or ``"null"``,
        which `check_events` counts and every answer leaves out.
    encoding
        The encoding of text files; those with a byte-order mark are recognised.
    columns
        The names of the columns of csv files without a header.
    skip
        How many lines stand above the header (or, with `columns`, above the first row).
    member
        Which files of a zip to read: a name or a pattern.
    unpivot
        Columns that are events, each holding its time (one row per session, say); they replace `event` and `at`.

    Returns
    -------
    LazyFrame
        ``user_id`` (text; whole numbers stay numbers where the source has them typed), ``event`` (text),
        ``at`` (``Datetime("us", "UTC")``, or ``Date``), and the properties kept.

    Raises
    ------
    EngagekitError
        Everything found wrong at once: files, columns, times, ids, with row numbers and examples.

    Notes
    -----
    Empty ids, names and times (also ``null``, ``None``, ``nan``, ``undefined``, ``\N``) become null; such
    events stay in the log for `check_events` to count, and every answer leaves them out.

    Examples
    --------
    >>> log = pl.DataFrame({"uid": ["a"], "name": ["open"], "ts": ["2026-03-01T09:30:00+01:00"]})
    >>> scan_events(log, user="uid", event="name", at="ts").collect().row(0)[:2]
    ('a', 'open')
    """
    given = {name: value for name, value in locals().items() if name in AS_USUAL}
    known = None if definition is None else definition_of(definition)
    said = as_defined(given, known)
    kept = _kept(source, keep, said, known)
    asked = () if known is None else known.asked_properties()
    perhaps = [name for name in asked if name not in kept and name not in COLUMNS]
    kept |= {name: name for name in perhaps}
    reading = reading_of(said, kept, perhaps)
    if is_remote(source):
        log = typed_tables.from_remote(source, reading)
    elif is_path(source):
        log = _from_files(source, reading, cache, said["encoding"])
    elif _stays_in_its_engine(source):
        left: pl.LazyFrame = _untouched(source, said)
        return left
    else:
        log = typed_tables.from_table(source, reading)
    there = log.collect_schema() if perhaps else kept
    return _finished(log, [n for n in kept if n not in perhaps or n in there], said)


def _kept(
    source: Any, keep: Keep, said: Mapping[str, Any], definition: Definition | None
) -> dict[str, str]:
    """Name the properties to keep; "*" stands for all the source has."""
    read = None if definition is None else definition.read
    more = {name: name for name in (read.keep if read and read.keep else ())}
    if keep != EVERY:
        return kept_names(keep) | more
    if said["preset"] is not None:
        raise ParameterError(
            f"keep={EVERY!r} keeps a source's own columns, and an export read with a preset holds its properties elsewhere; name those to keep."
        )
    return {name: name for name in own_columns(source, said)} | more


def _finished(log: pl.LazyFrame, kept: list[str], said: Mapping[str, Any]) -> pl.LazyFrame:
    ids, dedupe = said["identities"], said["dedupe"]
    if ids is not None:
        known = identities.seen_together(log) if learns(ids) else ids
        log = identities.join_identities(log, known)
    if said["exclude"] is not None:
        log = identities.leave_out(log, said["exclude"])
    if isinstance(dedupe, str):
        # What has no message id cannot be told from another.
        log = log.filter(pl.col(MESSAGE).is_null() | pl.col(MESSAGE).is_first_distinct())
    elif dedupe:
        log = log.unique(subset=[ALL_OF_IT, *COLUMNS], keep="any")
    return log.select(*COLUMNS, *kept)


def _from_files(source: Any, reading: Reading, cache: Any, encoding: str) -> pl.LazyFrame:
    from engagekit.ingest import text_cache, text_reader

    paths = find_files(source)
    if all(typed_tables.is_parquet(path) for path in paths):
        return typed_tables.from_parquet(paths, reading)
    if cache is False:
        return text_reader.read_into_memory(paths, reading, encoding=encoding)
    entry = text_cache.cached(
        paths,
        {"reading": repr(reading), "encoding": encoding},
        text_cache.cache_folder(cache),
        lambda target, workdir: text_reader.write_log(
            paths, reading, encoding=encoding, target=target, workdir=workdir
        ),
    )
    return pl.scan_parquet(entry, glob=False)


def _stays_in_its_engine(source: Any) -> bool:
    return type(source).__module__.split(".")[0] in {"pyspark", "ibis", "sqlframe"}


def _untouched(source: Any, said: Mapping[str, Any]) -> Any:
    names = list(source.columns)
    asked = [
        word
        for word, wanted in {
            "identities": said["identities"] is not None,
            "exclude": said["exclude"] is not None,
            "dedupe": bool(said["dedupe"]),
            "preset": said["preset"] is not None,
        }.items()
        if wanted
    ]
    faults = [f"there is no column {c!r}.{nearest(c, names)}" for c in COLUMNS if c not in names]
    faults += [
        f"{word} is not done in {type(source).__module__.split('.')[0]}; do it there first."
        for word in asked
    ]
    if faults:
        raise ColumnError.from_faults(
            f"A table of {type(source).__module__.split('.')[0]} is reduced where it lies, as it is (rename its columns to 'user_id', 'event' and 'at')",
            faults,
        )
    return source


def pseudonymize(events: Any, *, key: str | bytes) -> pl.LazyFrame:
    """Replace user ids by keyed hashes, so that a log can be shared without saying who is who.

    The same id and key give the same pseudonym in every log and every run (keyed BLAKE2b, 128 bits);
    without the key ids cannot be tried out. Numbers and text of the same digits are the same id.

    Parameters
    ----------
    events
        A LazyFrame or DataFrame with ``user_id``: an event log, or a table of users.
    key
        The secret, of at least 16 characters; keep it apart from the log.

    Returns
    -------
    LazyFrame
        The same rows and columns, with ``user_id`` as 32 hexadecimal digits (null stays null).

    Raises
    ------
    ColumnError
        There is no column ``user_id``.
    ParameterError
        The key is too short.

    References
    ----------
    BLAKE2 with a key as a message authentication code: RFC 7693, section 2.9.

    Examples
    --------
    >>> users = pl.DataFrame({"user_id": ["ann", "bob", "ann"]})
    >>> hidden = pseudonymize(users, key="a secret of our team").collect()
    >>> hidden["user_id"].n_unique(), hidden["user_id"].str.len_chars().unique().to_list()
    (2, [32])
    """
    secret = key.encode() if isinstance(key, str) else key
    if not isinstance(secret, bytes) or len(secret) < SHORTEST_KEY:
        raise ParameterError(
            f"key takes a secret text of at least {SHORTEST_KEY} characters, such as secrets.token_hex(32) makes."
        )
    log = as_lazy(events)
    names = log.collect_schema().names()
    if "user_id" not in names:
        raise ColumnError(f"There is no column 'user_id' to replace.{nearest('user_id', names)}")
    # BLAKE2b takes keys of up to 64 bytes; a longer one is first brought to that.
    short = secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()

    def hide(ids: pl.Series) -> pl.Series:
        known = ids.unique().drop_nulls()
        hidden = [hashlib.blake2b(i.encode(), key=short, digest_size=16).hexdigest() for i in known]
        return ids.replace_strict(known, hidden, default=None, return_dtype=pl.String)

    user = pl.col("user_id").cast(pl.String)
    return log.with_columns(user.map_batches(hide, return_dtype=pl.String, is_elementwise=True))
