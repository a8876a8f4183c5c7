"""Funnels: how many users get from step to step, how fast, and which step of onboarding loses most."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.funnels.drop_off import step_drop_off
from engagekit.funnels.parameters import (
    Asked,
    asked_of,
    check_conditions,
    expression,
    needs_of,
    with_known_names,
)
from engagekit.ingest import body_of
from engagekit.log import open_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.funnels.attempts import Outcomes
    from engagekit.funnels.parameters import Condition, Exclusion
    from engagekit.ingest import Missing
    from engagekit.instants import Instant

__all__ = ["funnel", "step_drop_off"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def funnel(
    events: Any,
    steps: Sequence[Condition],
    *,
    within: str | timedelta = "14d",
    order: Literal["ordered", "strict", "any"] = "ordered",
    entry: Literal["best", "first"] = "best",
    exclude: Sequence[Exclusion] | None = None,
    exclusion: Literal["drop", "stop"] = "drop",
    since: Instant | None = None,
    as_of: Instant | None = None,
    by: str | Sequence[str] | None = None,
    attribution: Literal["start", "first", "last", "same"] = "start",
    entered: Literal["day", "week", "month", "quarter"] | None = None,
    only_closed: bool = False,
    tolerance: str | timedelta | None = None,
    people: bool = False,
    missing: Missing = "refuse",
) -> pl.DataFrame:
    """Say how many of the users who begin get to each step, and how long each step takes them.

    ``rate = users at the step / users at the step before``, ``overall = users at the step / users at step 0``.

    An event of step 0 opens an attempt, which lasts for `within`, its last instant included, and takes each
    further step as early as it comes. One event fills at most one step, also when a step repeats; events of one
    instant count in whichever order carries the user furthest, whatever order their rows are in.

    Parameters
    ----------
    events
        The log as a polars frame, eager or lazy: ``user_id, event, at`` and properties.
    steps
        Two or more matchers in order (a name, a list of names, ``ek.Match``) or boolean polars expressions.
    within
        How long an attempt lasts: a polars duration text such as ``"14d"`` or ``"1h30m"``, or a timedelta.
    order
        ``"ordered"``: other events may lie between the steps. ``"strict"``: no other event of the user may.
        ``"any"``: the steps may come in any order; every step event opens an attempt, and step k holds users
        who did at least ``k + 1`` different steps.
    entry
        ``"best"``: of a user's attempts the one that gets furthest counts, of equals the earliest.
        ``"first"``: only the first attempt counts.
    exclude
        List of ``(matcher, from_step, to_step)``: such an event strictly between the times of these two steps
        excludes, or up to the end of the window if `to_step` was not reached. In any order the k-th step is
        the k-th that the user did.
    exclusion
        ``"drop"``: a user with any excluded attempt among those that `entry` considers is left out.
        ``"stop"``: the excluded attempt ends at `from_step`.
    since, as_of
        Attempts opened before `since` and events at or after `as_of` are not looked at; without an offset they
        are UTC. None: from the first event on; just after the last one.
    by
        A column, or a list of them, to split by; null is a value of its own.
    attribution
        Whose value counts where it varies within a user: ``"start"`` that of the event which opened the attempt that
        counts, ``"first"`` the user's first that is not null, ``"last"`` the last such one not after the step that the
        attempt got to; a user counts once. With ``"same"`` each value is answered for by itself, from the events that
        carry it, so a user whose value varies counts in each.
    entered
        Split by the period (UTC) in which the attempt that counts was opened, as the column ``entered``.
    only_closed
        Consider only attempts whose window is over by `as_of`.
    tolerance
        For steps whose clocks differ (a phone's, a server's), in order: by how much, such as ``"2s"``, a step may lie
        before the steps before it and still count as after them, also before the entry. It then took 0 seconds.
    people
        Return the users themselves.
    missing
        What becomes of events asked for of which there are none: ``"refuse"`` names the nearest names, ``"allow"`` lets
        them count as never done.

    Returns
    -------
    DataFrame
        A row per step, those of a group (`by`) together:

        - `step` (Int32, from 0) and `event` (its name; in any order, how many steps);
        - `n` users at the step, `of` users at the step before, `rate` with its 95 % interval `low`, `high`;
          `of` to `high` are null for the first step, and `rate` to `high` where `of` is 0;
        - `overall`: share of the users at step 0, with its 95 % interval `overall_low`, `overall_high`;
        - `median_seconds`, `mean_seconds` from the step before, and `median_seconds_from_entry` from step 0; null for
          the first step;
        - `open`: how many of `n` have an attempt, whichever, whose window is not over by `as_of`;
        - `waiting`: how many of these have not gone on, and still may.

        With ``people=True`` a row per step and user of `n`: the columns of `by`, `step, event, user_id,
        entered_at, at` (of the step), `seconds` (from the step before), `open, waiting`.

    Raises
    ------
    ParameterError
        A parameter means nothing, or a step or exclusion has a name that is not in the log, but near one that is;
        with every fault found.
    ColumnError
        The log lacks a column, or one holds another kind of value than a matcher asks for.

    Notes
    -----
    Everyone with an attempt from `since` on counts, also those whose window is not over. Among users of whose
    attempts none is open, the rate of a step is ``(n - open) / (of - open of the step before)``.

    References
    ----------
    The published tests of PostHog and documentation of Mixpanel, which this function reproduces.

    Examples
    --------
    >>> log = pl.DataFrame({
    ...     "user_id": [1, 1, 2, 2, 3],
    ...     "event": ["visit", "buy", "buy", "visit", "visit"],
    ...     "at": [f"2026-01-0{day}T09:00" for day in (1, 2, 1, 2, 1)],
    ... }).with_columns(pl.col("at").str.to_datetime())
    >>> funnel(log, ["visit", "buy"], within="3d").select("event", "n", "of", "rate", "mean_seconds", "open").rows()
    [('visit', 3, None, None, None, 3), ('buy', 1, 3, 0.3333333333333333, 86400.0, 1)]
    >>> funnel(log, ["visit", "buy"], order="any", people=True).select("event", "user_id").rows()
    [('any 1 of 2', 1), ('any 1 of 2', 2), ('any 1 of 2', 3), ('any 2 of 2', 1), ('any 2 of 2', 2)]
    """
    asked = asked_of(
        steps,
        exclude,
        by,
        within=within,
        order=order,
        entry=entry,
        exclusion=exclusion,
        since=since,
        as_of=as_of,
        attribution=attribution,
        entered=entered,
        only_closed=only_closed,
        tolerance=tolerance,
    )
    log, dates_only = open_log(events, needs=needs_of(asked))
    check_conditions(log, asked)
    log = with_known_names(log, asked, missing)
    log, end = body_of(log, since=asked.since, as_of=asked.as_of, dates_only=dates_only)
    apart = bool(asked.by) and (attribution != "same" or entered is not None)
    together = asked.values if attribution == "same" else ()
    rows, units = _rows(log, replace(asked, by=together) if apart else asked)
    outcomes = _outcomes(rows, asked, end)
    # numpy loads with these, so that importing this module stays light.
    from engagekit.funnels.results import counted, listed

    if not people and not apart:
        return counted(outcomes, units, end, asked)
    if units is None:
        ids = pl.Series(outcomes.unit)
        units = pl.DataFrame({"_unit": ids, "user_id": ids.cast(log.collect_schema()["user_id"])})
    if apart:
        from engagekit.funnels.attribution import attributed

        units = attributed(log, outcomes, units, asked, end)
    if not people:
        return counted(outcomes, units, end, asked)
    return listed(outcomes, units, end, asked)


def _rows(log: pl.LazyFrame, asked: Asked) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Collect ``_unit, _at, _flags``: what each event can fill or exclude; and who the units are, if not plain numbers."""
    if asked.since is not None:
        log = log.filter(pl.col("at") >= asked.since)
    conditions = [expression(each) for each in (*asked.steps, *[e for e, _, _ in asked.exclude])]
    keys = [*asked.by, "user_id"]
    id_type = log.collect_schema()["user_id"]
    if asked.order == "strict":
        entrants = log.filter(conditions[0]).select(keys).unique()
        log = log.join(entrants, on=keys, how="semi", nulls_equal=True)
    else:
        log = log.filter(pl.any_horizontal(*conditions))
    number = not asked.by and id_type.is_integer() and id_type not in (pl.UInt64, pl.Int128)
    rows = log.select(
        *([pl.col("user_id").cast(pl.Int64).alias("_unit")] if number else keys),
        pl.col("at").to_physical().alias("_at"),
        _flags(conditions).alias("_flags"),
    ).collect(engine="streaming")
    if number:
        return rows, None
    units = (
        rows.select(keys)
        .unique()
        .with_row_index("_unit")
        .with_columns(pl.col("_unit").cast(pl.Int64))
    )
    joined = rows.join(units, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return joined.select("_unit", "_at", "_flags"), units


def _flags(conditions: Sequence[pl.Expr]) -> pl.Expr:
    small = ((8, pl.UInt8), (16, pl.UInt16), (32, pl.UInt32), (64, pl.UInt64))
    kind = next(kind for bits, kind in small if len(conditions) <= bits)
    parts = [
        pl.when(condition).then(pl.lit(1 << place, kind)).otherwise(pl.lit(0, kind))
        for place, condition in enumerate(conditions)
    ]
    flags = parts[0]
    for part in parts[1:]:
        flags = flags | part
    return flags


def _outcomes(rows: pl.DataFrame, asked: Asked, end: datetime) -> Outcomes:
    from engagekit.funnels.attempts import Rules, furthest_attempts

    count = len(asked.steps)
    rules = Rules(
        steps=count,
        within=asked.within,
        order=asked.order,
        entry=asked.entry,
        exclusions=tuple((count + i, b, e) for i, (_, b, e) in enumerate(asked.exclude)),
        exclusion=asked.exclusion,
        tolerance=asked.tolerance,
        closed_by=(end - EPOCH) // timedelta(microseconds=1) if asked.only_closed else None,
    )
    return furthest_attempts(rows, rules)
