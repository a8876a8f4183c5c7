"""From an event log and a definition to journeys: the one heavy step."""

from __future__ import annotations

import uuid
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.definition import Definition
from engagekit.errors import ParameterError, check_choice
from engagekit.ingest import is_path, scan_events
from engagekit.journeys import (
    LEFT_OUT,
    TABLES,
    Journeys,
    about,
    interval_of,
    landed,
    median_gaps,
    storage,
)
from engagekit.rollups import local
from engagekit.rollups.engines import engine_of
from engagekit.rollups.prepare import prepare_events
from engagekit.rollups.prepared_log import is_prepared, open_prepared
from engagekit.rollups.warehouse_sql import rollup_sql

if TYPE_CHECKING:
    import os
    from collections import Counter
    from collections.abc import Mapping

    from engagekit._base import Progress
    from engagekit.instants import Instant
    from engagekit.log import Frame

__all__ = ["is_prepared", "open_prepared", "prepare_events", "rollup", "rollup_sql"]


def rollup(
    events: Any,
    definition: Definition | str | os.PathLike[str],
    *,
    users: Frame | None = None,
    unit: Literal["user", "account"] = "user",
    as_of: Instant | None = None,
    progress: Progress = False,
    into: str | os.PathLike[str] | None = None,
) -> Journeys:
    """Reduce an event log to journeys: what each user did, as far as the answers need it.

    signed_up_at = users.signed_up_at, else the first sign-up event;
    counted are the events with signed_up_at <= at < as_of.

    Parameters
    ----------
    events
        One row per event: ``user_id`` (text or whole numbers), ``event`` (text), ``at`` (instants; naive ones are
        UTC; or dates) and the properties that the definition looks at: a polars, pandas or Arrow table; a DuckDB
        relation, a PySpark frame or an Ibis table (on DuckDB, Spark, Databricks, Snowflake or BigQuery), which is
        reduced where it lies; the folder of a log that `prepare_events` wrote; or a path, which
        ``ek.scan_events(path, definition=definition)`` reads.
    definition
        Which events mean what, or the path of the file that says it. Its windows that are None are resolved here, from the whole log.
    users
        One row per ``user_id``: properties fixed at the start, usable as ``by=`` in every answer. Its
        ``signed_up_at``, where not null, is the sign-up (a date: local midnight in the definition's time zone).
        Its users without any event are users too.
    unit
        ``"account"`` makes the ``account_id`` of `users` the unit: it signs up with its first member, and what
        any member does, it does. It keeps a property only where all its members agree.
    as_of
        The instant up to which the log is complete (exclusive); without an offset, local to the definition's time
        zone. Default: just after the last event.
    progress
        Show how far it is, where a log is taken in parts: True, False, or a function of ``done, total``.
    into
        A folder to leave the journeys in, where memory would not hold them: their tables are then lazy frames.
        ``ek.Journeys.load(folder, lazy=True)`` opens them again.

    Returns
    -------
    Journeys
        `users`, sorted by ``user_id``: ``signed_up_at``, ``activated_at`` (first activation), ``first_action_at`` (first
        event that is neither the sign-up nor outreach; with ``signup=None``, after the first event), ``last_core_at``,
        ``last_seen_at``, ``core_days`` and ``active_days`` (distinct local days), then the properties.
        `steps`, by ``user_id, step``: ``reached_at``, ``last_reached_at``, ``completed_at``; a step is reached at the
        latest when it is completed. `early`, by ``user_id, event``: ``first_at``, ``times`` and ``days`` (bit k: done on
        the user's own day k) within the first days. `days`, by ``user_id, role, day``: ``first_at``, ``last_at``,
        ``times``. And ``left_out``: ``reason, count, unit``.

    Raises
    ------
    ColumnError
        The log or the users table lacks a column or holds the wrong kind: all faults at once.
    EventLogError
        The log is empty before `as_of`, or its last 0.1 % lie more than 3 empty days after the rest.
    ParameterError
        `unit` or `as_of` cannot be read.
    StoredFileError
        The prepared log is unfinished, broken or newer; or `into` cannot be written to.

    Notes
    -----
    Left out, and counted in ``left_out``: users without a sign-up in the data, who signed up before the log starts,
    or at or after `as_of`; with ``signup=None``, users first seen in the first ``burn_in_days`` (some returning users
    may remain among the rest; ``signed_up_at`` in `users` cures it); events before their user's sign-up. Exact
    duplicates count twice in ``times``. The order of rows never matters.

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
    if faults := check_choice("unit", unit, ["user", "account"]):
        raise ParameterError(faults[0])
    if isinstance(definition, (str, PathLike)):
        definition = Definition.load(definition)
    if is_path(events) and not is_prepared(events):
        events = scan_events(events, definition=definition)
    folder, tag = None if into is None else Path(into), uuid.uuid4().hex[:12]
    if folder is not None:
        storage.refuse_newer(folder)
    engine = engine_of(events)
    if engine is None:
        opened = local.opened(events, definition, users, unit, as_of, progress)
    else:
        from engagekit.rollups import remote

        opened = remote.opened(engine, events, definition, users, unit, as_of)
    left_out, gaps, kept = opened.left_out.copy(), [], []
    for number, (tables, left) in enumerate(opened.parts):
        left_out.update(left)
        gaps.append(median_gaps(tables["days"]))
        whole: dict[str, Any] = {name: landed(table, name) for name, table in tables.items()}
        if folder is None:
            kept.append(whole)
        else:
            storage.put(whole, folder, tag, number)
    found: Mapping[str, Any]
    if folder is None:
        found = {name: pl.concat([part[name] for part in kept]) for name in TABLES}
    else:
        found = storage.tables_in(folder, storage.names(tag))
    journeys = Journeys(
        **found,
        definition=definition.resolved(interval_of(pl.concat(gaps))),
        as_of=opened.extent.end,
        log_start=opened.extent.start,
        dates_only=opened.extent.dates_only,
        left_out=_as_frame(left_out),
        unit=unit,
        pieces=() if folder is None else storage.pieces_in(folder, storage.names(tag)),
    )
    if folder is not None:
        storage.settle(about(journeys), folder, storage.names(tag))
    return journeys


def _as_frame(left_out: Counter[tuple[str, str]]) -> pl.DataFrame:
    rows = [(reason, count, what) for (reason, what), count in sorted(left_out.items()) if count]
    return pl.DataFrame(rows, schema=LEFT_OUT, orient="row")
