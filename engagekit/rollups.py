"""From an event log and a definition to journeys: the one heavy step."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.errors import EventLogError, ParameterError, check_choice
from engagekit.instants import Instant, instant
from engagekit.journeys import LEFT_OUT, Journeys, landed
from engagekit.log import as_lazy, daily, end_after, open_log
from engagekit.members import Extent, members, open_people
from engagekit.reduction import (
    days_table,
    early_table,
    first_signups,
    since_signup,
    steps_table,
    users_table,
)

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.log import Frame

LACKING = "rows without a user, an event name or a time"
FALLBACK_INTERVAL = 7.0  # days; used when no user has two core days


def rollup(
    events: Any,
    definition: Definition,
    *,
    users: Frame | None = None,
    unit: Literal["user", "account"] = "user",
    as_of: Instant | None = None,
    progress: bool = False,
) -> Journeys:
    """Reduce an event log to journeys: what each user did, as far as the answers need it.

    signed_up_at = users.signed_up_at, else the first sign-up event;
    counted are the events with signed_up_at <= at < as_of.

    Parameters
    ----------
    events
        One row per event: ``user_id`` (text or whole numbers), ``event`` (text), ``at`` (instants; naive ones are
        UTC; or dates) and the properties that the definition looks at.
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
        Show how far it is, where the log is prepared in buckets.

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

    Notes
    -----
    Left out, and counted in ``left_out``: users without a sign-up in the data, who signed up before the log starts,
    or at or after `as_of`; with ``signup=None``, users first seen in the first ``burn_in_days`` (some returning users
    may remain among the rest; ``signed_up_at`` in `users` cures it); events before their user's sign-up. Exact
    duplicates count twice in ``times``. The order of rows never matters.

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
    log, dates_only = open_log(events, needs=definition.property_names())
    log = log.select(*dict.fromkeys(["user_id", "event", "at", *definition.property_names()]))
    log = log.with_columns(pl.col("event").cast(pl.String), as_text(pl.col("user_id"), log))
    id_type = log.collect_schema()["user_id"]
    people = None
    if users is not None or unit == "account":
        people = open_people(
            pl.DataFrame(schema={"user_id": id_type}) if users is None else users,
            id_type=id_type,
            unit=unit,
            dates_only=dates_only,
            timezone=definition.timezone,
        )
    counts = daily(log)
    extent = _extent(counts, definition, as_of, dates_only=dates_only)
    rows = as_lazy(events).select(pl.len()).collect().item()
    lacking = (LACKING, rows - counts["len"].sum(), "events")
    log = log.filter(pl.col("at") < extent.end)
    who = members(first_signups(log, definition), people, definition, extent, unit=unit)
    known = since_signup(log, who)
    early_birds = (
        known.filter(pl.col("at") < pl.col("signed_up_at")).select(pl.len()).collect().item()
    )
    left_out = [
        lacking,
        *who.left_out,
        ("events before their user's sign-up", early_birds, "events"),
    ]
    known = known.filter(pl.col("at") >= pl.col("signed_up_at"))
    day_table = days_table(known, definition, extent.zone)
    return Journeys(
        users=landed(users_table(known, who.base, definition, extent.zone), "users"),
        steps=landed(steps_table(known, who.base, definition), "steps"),
        early=landed(early_table(known, definition), "early"),
        days=landed(day_table, "days"),
        definition=definition.resolved(usage_interval_of(day_table)),
        as_of=extent.end,
        log_start=extent.start,
        dates_only=dates_only,
        left_out=pl.DataFrame([r for r in left_out if r[1]], schema=LEFT_OUT, orient="row"),
        unit=unit,
    )


def as_text(column: pl.Expr, log: pl.LazyFrame) -> pl.Expr:
    """Take names of any kind (categories too) as text, and numbers as they are."""
    name = column.meta.output_name()
    return column if log.collect_schema()[name].is_integer() else column.cast(pl.String)


def _extent(
    counts: pl.DataFrame, definition: Definition, as_of: Instant | None, *, dates_only: bool
) -> Extent:
    zone = "UTC" if dates_only else definition.timezone
    if as_of is None:
        end = end_after(counts, dates_only=dates_only)
    else:
        end = instant(as_of, timezone=zone)
    start = counts["first"].min()
    if not isinstance(start, datetime) or start >= end:
        raise EventLogError(f"The log holds no event before as_of ({end:%Y-%m-%d %H:%M}).")
    return Extent(start, end, dates_only, zone)


def usage_interval_of(day_table: Frame) -> float:
    """Say how often the core action is done: 80th percentile of users' median gap between core days, in days."""
    gaps = (
        day_table.lazy()
        .filter(pl.col("role") == "core")
        .sort("user_id", "day")
        .select(
            "user_id",
            (pl.col("day") - pl.col("day").shift(1).over("user_id")).dt.total_days().alias("gap"),
        )
        .drop_nulls()
        .group_by("user_id")
        .agg(pl.col("gap").median())
    )
    found = gaps.select(pl.col("gap").quantile(0.8, "linear")).collect().item()
    return FALLBACK_INTERVAL if found is None else float(found)
