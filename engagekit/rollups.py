"""From an event log and a definition to journeys: the one heavy step."""

from __future__ import annotations

import math
import uuid
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit import shelf
from engagekit.buckets import is_prepared, open_prepared
from engagekit.errors import EngagekitWarning, EventLogError, ParameterError, check_choice
from engagekit.instants import Instant, instant
from engagekit.journeys import LEFT_OUT, TABLES, Journeys, landed, refuse_newer, settle
from engagekit.log import as_lazy, end_after, open_log
from engagekit.members import NO_ACCOUNT, NO_SIGNUP, Extent, members, open_people
from engagekit.progress import ticking
from engagekit.reduction import codes_of, first_look, first_signups, reduced
from engagekit.unpacking import unpacked
from engagekit.windows import interval_of, median_gaps

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from engagekit.definition import Definition
    from engagekit.log import Frame
    from engagekit.progress import Progress

TOO_SOON = "events before their user's sign-up"
LACKING = "rows without a user, an event name or a time"
WHAT = "Rolling up"
UNPREPARED = (
    "The log has {:,} events, so it is read several times. To read it once, in little memory, prepare it: "
    "ek.prepare_events(source, folder), then ek.rollup(folder, definition)."
)
LARGE = 20_000_000  # events that are reduced in one go; more are taken in several parts
PART = 10_000_000


def rollup(
    events: Any,
    definition: Definition,
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
        UTC; or dates) and the properties that the definition looks at. Or the folder of a log that `prepare_events`
        wrote.
    definition
        Which events mean what. Its windows that are None are resolved here, from the whole log.
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
    task = _opened(events, definition, users, unit, as_of)
    folder, tag = None if into is None else Path(into), uuid.uuid4().hex[:12]
    if folder is not None:
        refuse_newer(folder)
    left_out, gaps, kept = task.left_out.copy(), [], []
    for number, part in enumerate(_parts(task, progress)):
        tables, left = _reduced(part)
        left_out.update(left)
        gaps.append(median_gaps(tables["days"]))
        whole: dict[str, Any] = {name: landed(table, name) for name, table in tables.items()}
        if folder is None:
            kept.append(whole)
        else:
            shelf.put(whole, folder, tag, number)
    found: Mapping[str, Any]
    if folder is None:
        found = {name: pl.concat([part[name] for part in kept]) for name in TABLES}
    else:
        found = shelf.tables_in(folder, tag)
    journeys = Journeys(
        **found,
        definition=definition.resolved(interval_of(pl.concat(gaps))),
        as_of=task.extent.end,
        log_start=task.extent.start,
        dates_only=task.extent.dates_only,
        left_out=_as_frame(left_out),
        unit=unit,
    )
    if folder is not None:
        settle(journeys, folder, shelf.names(tag))
    return journeys


@dataclass(frozen=True)
class _Task:
    """A log to reduce, or a part of it, and what must be known of the whole."""

    log: pl.LazyFrame
    people: pl.DataFrame | None
    definition: Definition
    unit: str
    extent: Extent
    names: list[str]
    rows: int
    left_out: Counter[tuple[str, str]]
    signups: pl.DataFrame | None = None  # first sign-up events, where they are known already
    buckets: tuple[Path, ...] = ()


def _opened(
    events: Any, definition: Definition, users: Frame | None, unit: str, as_of: Instant | None
) -> _Task:
    """Check everything, and take what must be known beforehand in one pass over the log."""
    prepared = open_prepared(events) if is_prepared(events) else None
    raw = as_lazy(events) if prepared is None else prepared.log
    log, dates_only = _columns(raw, definition)
    people = None
    if users is not None or unit == "account":
        id_type = log.collect_schema()["user_id"]
        users = pl.DataFrame(schema={"user_id": id_type}) if users is None else users
        people = open_people(
            users, id_type=id_type, unit=unit, dates_only=dates_only, timezone=definition.timezone
        )
    zone = "UTC" if dates_only else definition.timezone
    end = None if as_of is None else instant(as_of, timezone=zone)
    signups = None
    if prepared is None:
        rows = raw.select(pl.len()).collect().item()
        asked = first_look(log)
        if rows <= LARGE:
            asked.append(first_signups(log, definition, before=end))
        counts, named, *more = pl.collect_all(asked, engine="streaming")
        names, signups = named["event"].cast(pl.String).to_list(), more[0] if more else None
    else:
        rows, counts, names = prepared.rows, prepared.days, prepared.names
    return _Task(
        log,
        people,
        definition,
        unit,
        _extent(counts, end, dates_only=dates_only, zone=zone),
        names,
        rows,
        Counter({(LACKING, "events"): rows - counts["len"].sum()}),
        signups,
        () if prepared is None else tuple(prepared.buckets),
    )


def _columns(raw: pl.LazyFrame, definition: Definition) -> tuple[pl.LazyFrame, bool]:
    log, dates_only = open_log(raw, needs=definition.property_names())
    log = log.select(*dict.fromkeys(["user_id", "event", "at", *definition.property_names()]))
    return log.with_columns(_as_names("user_id", log), _as_names("event", log)), dates_only


def _parts(task: _Task, progress: Progress) -> Iterator[_Task]:
    """Cut a large log by users, so that memory holds each part."""
    if task.buckets and task.unit == "user":
        where = None if task.people is None else _buckets_of(task)
        for number in ticking(range(len(task.buckets)), progress=progress, what=WHAT):
            log, _ = _columns(pl.scan_parquet(task.buckets[number], glob=False), task.definition)
            people = None if where is None else where.filter(pl.col("_bucket") == number)
            people = None if people is None else people.drop("_bucket")
            yield replace(task, log=log, people=people)
    elif task.rows <= LARGE:
        yield task
    else:
        if not task.buckets:
            warnings.warn(UNPREPARED.format(task.rows), EngagekitWarning, stacklevel=4)
        count = math.ceil(task.rows / PART)
        for number in ticking(range(count), progress=progress, what=WHAT):
            yield _part(task, number, count)


def _buckets_of(task: _Task) -> pl.DataFrame | None:
    """Find the bucket of each user in the users table; those without events go with the first."""
    if task.people is None:
        return None
    found = [
        pl.scan_parquet(path, glob=False).select(pl.col("user_id").unique(), _bucket=number)
        for number, path in enumerate(task.buckets)
    ]
    where = pl.concat(found).with_columns(pl.col("user_id").cast(task.people.schema["user_id"]))
    people = task.people.lazy().join(where, on="user_id", how="left")
    return people.with_columns(pl.col("_bucket").fill_null(0)).collect(engine="streaming")


def _part(task: _Task, number: int, count: int) -> _Task:
    people = task.people
    if task.unit == "user" or people is None:
        mine = pl.col("user_id").hash() % count == number
        log = task.log.filter(mine)
    else:  # members of an account must stay together
        mine = pl.col("account_id").hash() % count == number
        owners = people.lazy().select("user_id", "account_id")
        log = task.log.join(owners, on="user_id", how="left").filter(mine).drop("account_id")
    people = None if people is None else people.filter(mine)
    return replace(task, log=log.collect(engine="streaming").lazy(), people=people)


def _reduced(task: _Task) -> tuple[dict[str, pl.DataFrame], Counter[tuple[str, str]]]:
    signups = task.signups
    if signups is None:
        asked = first_signups(task.log, task.definition, before=task.extent.end)
        signups = asked.collect(engine="streaming")
    who = members(signups, task.people, task.definition, task.extent, unit=task.unit)
    codes = codes_of(task.definition, task.names, task.extent)
    found = reduced(task.log, who.owners, task.definition, codes, task.extent)
    left_out = who.left_out.copy()
    left_out[TOO_SOON, "events"] += found["too_soon"].item()
    if "strangers" in found:
        stranger = NO_SIGNUP if task.unit == "user" else NO_ACCOUNT
        left_out[stranger, "users"] += found["strangers"].item()
    return unpacked(who.base, found, task.definition, codes), left_out


def _as_names(column: str, log: pl.LazyFrame) -> pl.Expr:
    """Take numbers and enums as they are, categories as text."""
    kind = log.collect_schema()[column]
    keep = kind.is_integer() or (column == "event" and isinstance(kind, pl.Enum))
    return pl.col(column) if keep else pl.col(column).cast(pl.String)


def _extent(counts: pl.DataFrame, end: datetime | None, *, dates_only: bool, zone: str) -> Extent:
    end = end_after(counts.sort("day"), dates_only=dates_only) if end is None else end
    start = counts["first"].min()
    if not isinstance(start, datetime) or start >= end:
        raise EventLogError(f"The log holds no event before as_of ({end:%Y-%m-%d %H:%M}).")
    return Extent(start, end, dates_only, zone)


def _as_frame(left_out: Counter[tuple[str, str]]) -> pl.DataFrame:
    rows = [(reason, count, what) for (reason, what), count in sorted(left_out.items()) if count]
    return pl.DataFrame(rows, schema=LEFT_OUT, orient="row")
