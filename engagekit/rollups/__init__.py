"""From an event log and a definition to journeys: the one heavy step."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.errors import ParameterError, check_choice
from engagekit.ingest import definition_of, is_path, scan_events
from engagekit.journeys import (
    TABLES,
    Journeys,
    about,
    late_counted,
    left_out_of,
    resolved,
    storage,
)
from engagekit.rollups import findings, local
from engagekit.rollups.engines import engine_of
from engagekit.rollups.pieces import piece_of
from engagekit.rollups.prepare import alone, facts_of, prepare_events
from engagekit.rollups.prepared_log import BEGUN, DONE, is_prepared, open_prepared, read_manifest
from engagekit.rollups.sign_up_findings import AT_ONCE, UNANNOUNCED, share_at_once
from engagekit.rollups.spark_parts import Spread
from engagekit.rollups.survivors import SURVIVORS, share_of_survivors
from engagekit.rollups.tracking_gaps import TRACKING, WINDOW_OF, users_bent
from engagekit.rollups.warehouse_sql import rollup_sql

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from engagekit._base import Progress
    from engagekit.definition import Definition
    from engagekit.instants import Instant
    from engagekit.log import Frame
    from engagekit.rollups.pieces import Piece
    from engagekit.rollups.population import Opened

__all__ = [
    "AT_ONCE",
    "BEGUN",
    "DONE",
    "SURVIVORS",
    "TRACKING",
    "UNANNOUNCED",
    "WINDOW_OF",
    "alone",
    "facts_of",
    "is_prepared",
    "open_prepared",
    "prepare_events",
    "read_manifest",
    "rollup",
    "rollup_sql",
    "share_at_once",
    "share_of_survivors",
    "users_bent",
]

_LOGGER = logging.getLogger(__name__)


def rollup(
    events: Any,
    definition: Definition | str | os.PathLike[str],
    *,
    users: Frame | None = None,
    unit: Literal["user", "account"] = "user",
    as_of: Instant | None = None,
    progress: Progress = False,
    into: str | os.PathLike[str] | None = None,
    missing: Literal["refuse", "allow"] = "refuse",
) -> Journeys:
    """Reduce an event log to journeys: what each user did, as far as the answers need it.

    signed_up_at = users.signed_up_at, else the first sign-up event;
    counted are the events with signed_up_at <= at < as_of, and as at the sign-up those that the definition's
    ``clock_tolerance`` lets lie before it.

    Parameters
    ----------
    events
        One row per event: ``user_id`` (text or whole numbers), ``event`` (text), ``at`` (instants; naive ones are
        UTC; or dates) and the properties that the definition looks at: a polars, pandas or Arrow table; a DuckDB
        relation, a PySpark frame or an Ibis table (on DuckDB, Spark, Databricks, Snowflake or BigQuery), which is
        reduced where it lies (from DuckDB up to 20 million events stream over, which is faster); or the folder of a log that `prepare_events` wrote. Another path is read as
        ``ek.scan_events(path, definition=definition)`` reads it.
    definition
        Which events mean what: a definition, or the path of its file. Its windows that are None are resolved here, from
        the whole log.
    users
        One row per ``user_id``: properties fixed at the start, usable as ``by=`` in every answer. Its
        ``signed_up_at``, where not null, is the sign-up (a date: local midnight in the definition's time zone).
        Its users without any event are users too.
    unit
        ``"account"`` makes the ``account_id`` of `users` the unit: it signs up with its first member, and what
        any member does, it does. It keeps a property only where all its members agree. A user may be in several, with
        a row for each: all of them do what this user does.
    as_of
        The instant up to which the log is complete (exclusive); without an offset, local to the definition's time
        zone. Default: just after the last event of the log's body.
    progress
        Show how far it is, where a log is taken in parts: True, False, or a function of ``done, total``.
    into
        A folder to leave the journeys in, where memory would not hold them: their tables are then lazy frames. In Spark
        it must be one that all machines share; without a users table each leaves its parts there itself.
        ``ek.Journeys.load(folder, lazy=True)`` opens them again. Of several that write into one folder the last to
        finish counts, whole; what was opened before then says that it was replaced. One that fails leaves nothing.
    missing
        What becomes of a definition whose sign-up, activation, core action, step or advanced action is in no event:
        ``"refuse"`` names the nearest names; ``"allow"`` lets it pass, as never done, and a verdict that rests on it
        is then undecided.

    Returns
    -------
    Journeys
        `users`, sorted by ``user_id``: ``signed_up_at``, ``activated_at`` (first activation), ``first_action_at`` (first
        event that is neither the sign-up nor outreach; with ``signup=None``, after the first event), ``last_core_at``,
        ``last_seen_at``, ``core_days`` and ``active_days`` (distinct local days), ``early_events`` (how many events, outreach
        aside, on each own day of the first days), then the properties: those of the users table, and the definition's
        `properties` (of accounts: the first value of any member).
        `steps`, by ``user_id, step``: ``reached_at``, ``last_reached_at``, ``completed_at``; a step is reached at the
        latest when it is completed. `early`, by ``user_id, event``: ``first_at``, ``times`` and ``days`` (bit k: done on
        the user's own day k) within the first days. `days`, by ``user_id, role, day``: ``first_at``, ``last_at``,
        ``times``. And ``left_out``: ``reason, count, unit``.

    Raises
    ------
    ColumnError
        The log or the users table lacks a column or holds the wrong kind: all faults at once.
    EventLogError
        The log is empty before `as_of`.
    ParameterError
        `unit`, `missing` or `as_of` cannot be read, or `definition` is none.
    DefinitionError
        The definition names events that nobody did: all of them, with near names.
    StoredFileError
        The prepared log is unfinished, broken or newer; or `into` cannot be written to.

    Notes
    -----
    Left out, and counted in ``left_out``: users without a sign-up in the data, who signed up before the log starts,
    or at or after `as_of`; with ``signup=None``, users first seen in the first ``burn_in_days`` (some returning users
    may remain among the rest; ``signed_up_at`` in `users` cures it); events before their user's sign-up; stray events
    at either end of the log: its body is its shortest stretch such that fewer than 1 % of the events, or at most 3,
    lie outside beyond a long gap, and few users' (see `engagekit.ingest.edges`). Those behind it count where `as_of` is given
    and lies behind them. Exact duplicates count twice in ``times``. The order of rows never matters.

    More than 20 million events are taken in parts, a prepared log bucket by bucket; the tables are then sorted within
    each part only. Memory holds a part, and the journeys unless they go `into` a folder.

    References
    ----------
    The contract of the project, sections on journeys and on the rules that decide the numbers (1 to 3).

    Examples
    --------
    >>> from datetime import datetime
    >>> import engagekit as ek
    >>> log = pl.DataFrame({
    ...     "user_id": ["ann", "ann", "ann", "bob"],
    ...     "event": ["signup", "publish", "publish", "signup"],
    ...     "at": [datetime(2026, 1, d) for d in (1, 2, 9, 3)],
    ... })
    >>> journeys = rollup(log, ek.Definition(signup="signup", activation="publish", core="publish"))
    >>> journeys.users.select("user_id", "core_days", "active_days").rows()
    [('ann', 2, 3), ('bob', 0, 1)]
    >>> journeys.early.select("user_id", "event", "times", "days").rows()[0]
    ('ann', 'publish', 2, 258)
    """
    faults = check_choice("unit", unit, ["user", "account"])
    faults += check_choice("missing", missing, ["refuse", "allow"])
    if faults:
        raise ParameterError.from_faults("The log cannot be rolled up so", faults)
    definition = definition_of(definition)
    if is_path(events) and not is_prepared(events):
        events = scan_events(events, definition=definition)
    engine = engine_of(events)
    if engine is not None:
        native = events.to_native() if hasattr(events, "to_native") else events
        if (here := engine.streamed(native)) is not None:
            events, engine = here, None
    if engine is None:
        opened = local.opened(events, definition, users, unit, as_of, progress, missing)
    else:
        from engagekit.rollups import remote

        # With a users table, or accounts, all of it is brought together first.
        spread = engine.spreads and into is not None and users is None and unit == "user"
        opened = remote.opened(
            engine, events, definition, users, unit, as_of, missing, spread=spread
        )
    if into is None:
        return _rolled(opened, definition, unit)
    folder = Path(into)
    with storage.claimed(folder) as tag:
        # Work that is spread is done in folders of its own.
        place = folder.absolute() if isinstance(opened.parts, Spread) else folder
        journeys = _rolled(
            opened, definition, unit, keep=partial(storage.put, folder=place, tag=tag)
        )
        if journeys.stored is not None:
            storage.settle(about(journeys), journeys.stored)
    return journeys


def _rolled(
    opened: Opened,
    definition: Definition,
    unit: str,
    keep: Callable[..., storage.Stored] | None = None,
) -> Journeys:
    """Reduce a log part by part, and keep the parts in memory or where `keep` puts them."""
    extent = opened.extent
    pieces = []
    for piece in _pieces(opened, keep):
        pieces.append(piece)
        _LOGGER.info("rolled up: part %d", len(pieces))
    counts = [piece.counts for piece in pieces]
    left_out = sum((piece.left_out for piece in pieces), opened.left_out)
    put = [piece.tables for piece in pieces if isinstance(piece.tables, storage.Stored)]
    stored = storage.joined(put) if put else None
    found: Mapping[str, Any]
    if stored is None:
        kept = [p.tables for p in pieces if not isinstance(p.tables, storage.Stored)]
        found = {name: pl.concat([tables[name] for tables in kept]) for name in TABLES}
    else:
        storage.check_unswept(stored)
        found = storage.tables_in(stored)
    known: dict[str, Any] = {"as_of": extent.end, "log_start": extent.start}
    journeys = Journeys(
        **found,
        **resolved(counts, definition, zone=extent.zone, unit=unit, **known),
        **known,
        dates_only=extent.dates_only,
        left_out=left_out_of(left_out + late_counted(counts, unit)),
        unit=unit,
        pieces=() if stored is None else storage.pieces_in(stored),
        stored=stored,
    )
    forms, late = [piece.forms for piece in pieces], sum(piece.late for piece in pieces)
    unannounced = [piece.unannounced for piece in pieces]
    told = findings.of_rollup(opened, journeys, forms, late, unannounced)
    return replace(journeys, remarks=journeys.remarks + told)


def _pieces(opened: Opened, keep: Callable[..., storage.Stored] | None) -> Iterator[Piece]:
    if isinstance(opened.parts, Spread) and keep is not None:
        yield from opened.parts.pieces(keep)
    elif not isinstance(opened.parts, Spread):
        for number, part in enumerate(opened.parts):
            yield piece_of(part, opened.extent, number, keep)
