"""Rhythm: who comes, stays away and comes back from period to period, and in how many periods users come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import (
    Calendar,
    calendar_faults,
    calendar_for,
    last_index,
    period_index,
    period_table,
    since_index,
    whole_faults,
)
from engagekit.cohorts import (
    chosen,
    columns_of,
    matcher_faults,
    moment_faults,
    try_expression,
)
from engagekit.engagement.usage_intervals import engagement_matrix, usage_interval
from engagekit.errors import ParameterError, check_choice
from engagekit.ingest import MISSING_CHOICES, Missing, body_of, in_known_names
from engagekit.instants import beside_log, clock_time
from engagekit.intervals import wilson_columns
from engagekit.log import open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from engagekit._base import Period, WeekStart
    from engagekit.instants import Instant
    from engagekit.matchers import Matcher

__all__ = ["engagement_matrix", "lifecycle", "stickiness", "usage_interval"]

STATES = ("new", "returning", "resurrecting", "dormant")


@dataclass(frozen=True)
class _Activity:
    """Who was active when: `periods` has `user_id, index, times`; rows run from period `first` to `last`."""

    periods: pl.LazyFrame
    calendar: Calendar
    first: int
    last: int
    end: datetime


def lifecycle(
    events: Any,
    *,
    event: Matcher | pl.Expr | None = None,
    period: Period = "week",
    since: Instant | None = None,
    as_of: Instant | None = None,
    timezone: str = "UTC",
    week_start: WeekStart = "monday",
    by: str | Sequence[str] | None = None,
    people: bool = False,
    missing: Missing = "refuse",
) -> pl.DataFrame:
    """Say, period by period, how many users are new, keep coming, come back after a pause, or have gone quiet.

    ``active = new + returning + resurrecting``, ``pulse = (new + resurrecting) / dormant``.

    Parameters
    ----------
    events
        The log as a polars frame, eager or lazy: ``user_id, event, at`` and properties.
    event
        Matcher or boolean polars expression of the events that make a user active; None: any event.
    period
        ``"hour"``, ``"day"``, ``"week"``, ``"month"`` or ``"quarter"``, as the clock of `timezone` shows them.
    since, as_of
        The first row is the period that holds `since` (None: the first matching event); events at or after `as_of`
        are not looked at (None: just after the last event). Without an offset they are local to `timezone`.
    timezone, week_start
        Where periods lie, and on which day weeks start: ``"monday"``, ``"sunday"`` or any other.
    by
        A column, or a list of them, to split by; its columns stand first. Each value is answered for by itself, from the
        events that carry it, over the periods of the whole log; null is a value of its own.
    people
        Return the users themselves.
    missing
        What becomes of events asked for of which there are none: ``"refuse"`` names the nearest names, ``"allow"`` lets
        them count as never done.

    Returns
    -------
    DataFrame
        A row per period, empty ones included:

        - `period_start`: its first local day; for hours its naive local time;
        - `new`: active for the first time; `returning`: active in the period before too; `resurrecting`: active
          before, but not in the period before; `dormant`: active in the period before, and not in this one;
        - `active`: the sum of the first three;
        - `pulse`: users won over users lost; null where nobody is dormant;
        - `complete`: whether the period is over by `as_of`; until then the first three can still grow and
          `dormant` can shrink.

        With ``people=True`` a row per user, period and state: `period_start, state, user_id`.

    Raises
    ------
    ParameterError
        A parameter means nothing, with every fault found.
    ColumnError
        The log lacks a column.

    Notes
    -----
    Every user of the log counts, whether or not a sign-up is known. What happened before `since` still decides who
    is new, returning or dormant.

    References
    ----------
    The states are those of PostHog's lifecycle; the pulse is Amplitude's.

    Examples
    --------
    >>> log = pl.DataFrame({
    ...     "user_id": [1, 1, 1, 2],
    ...     "event": "visit",
    ...     "at": ["2026-01-01", "2026-01-02", "2026-01-04", "2026-01-02"],
    ... }).with_columns(pl.col("at").str.to_date())
    >>> for row in lifecycle(log, period="day").drop("complete").rows():
    ...     print(row[0].day, row[1:])
    1 (1, 0, 0, 0, 1, None)
    2 (1, 1, 0, 0, 2, None)
    3 (0, 0, 0, 2, 0, 0.0)
    4 (0, 0, 1, 0, 1, None)
    """
    faults = calendar_faults(period, timezone, week_start) + matcher_faults("event", event)
    faults += moment_faults("since", since) + moment_faults("as_of", as_of)
    faults += check_choice("missing", missing, MISSING_CHOICES)
    _refuse("lifecycle", faults)
    calendar = Calendar(period, timezone, week_start)
    names = _by(
        "lifecycle", by, taken=("period_start", *STATES, "active", "pulse", "complete", "state")
    )
    whole = _activity(events, event, calendar, since, as_of, missing, names)
    return _split(whole, names, lambda activity: _lifecycle(activity, people=people))


def _lifecycle(activity: _Activity, *, people: bool) -> pl.DataFrame:
    states = _states(activity)
    table = period_table(activity.first, activity.last, activity.calendar)
    if people:
        placed = states.join(table.select("index", period_start="start"), on="index")
        order = pl.col("state").cast(pl.Enum(STATES))
        return placed.select("period_start", "state", "user_id").sort(
            "period_start", order, "user_id"
        )
    counts = states.group_by("index").agg(
        (pl.col("state") == state).sum().cast(pl.Int64).alias(state) for state in STATES
    )
    active = pl.sum_horizontal(STATES[:3])
    won, lost = pl.col("new") + pl.col("resurrecting"), pl.col("dormant")
    return (
        table.join(counts, on="index", how="left")
        .sort("index")
        .with_columns(pl.col(STATES).fill_null(0))
        .select(
            pl.col("start").alias("period_start"),
            *STATES,
            active.alias("active"),
            (won / pl.when(lost > 0).then(lost)).alias("pulse"),
            (pl.col("ends_at") <= activity.end).alias("complete"),
        )
    )


def stickiness(
    events: Any,
    *,
    event: Matcher | pl.Expr | None = None,
    period: Period = "day",
    since: Instant | None = None,
    as_of: Instant | None = None,
    timezone: str = "UTC",
    week_start: WeekStart = "monday",
    group: int = 1,
    at_least: int | None = None,
    at_most: int | None = None,
    cumulative: bool = False,
    by: str | Sequence[str] | None = None,
    people: bool = False,
    missing: Missing = "refuse",
) -> pl.DataFrame:
    """Say in how many intervals of the time looked at users are active: once only, or nearly always.

    ``share = users active in so many intervals / users active in any``.

    Parameters
    ----------
    events
        The log as a polars frame, eager or lazy: ``user_id, event, at`` and properties.
    event
        Matcher or boolean polars expression of the events that make a user active; None: any event.
    period
        ``"hour"``, ``"day"``, ``"week"``, ``"month"`` or ``"quarter"``, as the clock of `timezone` shows them.
    since, as_of
        Counted is from the period that holds `since` (None: the first matching event) to the one that holds the
        last instant before `as_of` (None: just after the last event). Without an offset they are local to `timezone`.
    timezone, week_start
        Where periods lie, and on which day weeks start: ``"monday"``, ``"sunday"`` or any other.
    group
        How many periods, counted from `since`, make an interval; the last interval may be shorter.
    at_least, at_most
        How many events an interval needs, and may have, to count for a user.
    cumulative
        Count users active in so many intervals or more.
    by
        A column, or a list of them, to split by; its columns stand first. Each value is answered for by itself, from the
        events that carry it, over the periods of the whole log; null is a value of its own.
    people
        Return the users themselves.
    missing
        What becomes of events asked for of which there are none: ``"refuse"`` names the nearest names, ``"allow"`` lets
        them count as never done.

    Returns
    -------
    DataFrame
        A row per number of intervals, from 1 to all of them:

        - `intervals` (Int64);
        - `users` active in exactly so many (or so many or more), and their `share` with its 95 % interval `low`, `high`;
        - `of`: users active in any interval; with 0, the share is null.

        With ``people=True`` a row per user of `users`: `intervals, user_id`.

    Raises
    ------
    ParameterError
        A parameter means nothing, with every fault found.
    ColumnError
        The log lacks a column.

    Notes
    -----
    Users without an interval that counts are absent, so `of` is not everyone of the log. The power-user curve (L28)
    is ``period="day"`` over 28 days: `since` 28 days before `as_of`, with `event` the core action.

    References
    ----------
    Andreessen Horowitz, The Power User Curve (a16z.com/the-power-user-curve).

    Examples
    --------
    >>> log = pl.DataFrame({
    ...     "user_id": [1, 1, 1, 2],
    ...     "event": "visit",
    ...     "at": ["2026-01-01", "2026-01-02", "2026-01-04", "2026-01-02"],
    ... }).with_columns(pl.col("at").str.to_date())
    >>> stickiness(log).select("intervals", "users", "share").rows()
    [(1, 1, 0.5), (2, 0, 0.0), (3, 1, 0.5), (4, 0, 0.0)]
    >>> stickiness(log, group=2, cumulative=True).select("intervals", "users").rows()
    [(1, 2), (2, 1)]
    """
    faults = calendar_faults(period, timezone, week_start) + matcher_faults("event", event)
    faults += whole_faults("group", group) + _bound_faults(at_least, at_most)
    faults += moment_faults("since", since) + moment_faults("as_of", as_of)
    faults += check_choice("missing", missing, MISSING_CHOICES)
    _refuse("stickiness", faults)
    calendar = Calendar(period, timezone, week_start)
    names = _by("stickiness", by, taken=("intervals", "users", "share", "of", "low", "high"))
    whole = _activity(events, event, calendar, since, as_of, missing, names)
    bounds = (group, at_least, at_most)
    return _split(
        whole, names, lambda one: _stickiness(one, *bounds, cumulative=cumulative, people=people)
    )


def _stickiness(
    activity: _Activity,
    group: int,
    at_least: int | None,
    at_most: int | None,
    *,
    cumulative: bool,
    people: bool,
) -> pl.DataFrame:
    users = _intervals(activity, group, at_least, at_most)
    if people:
        up_to = pl.int_ranges(1, pl.col("intervals") + 1).alias("intervals")
        users = users.with_columns(up_to).explode("intervals") if cumulative else users
        return users.select("intervals", "user_id").sort("intervals", "user_id")
    most = -(-(activity.last - activity.first + 1) // group)
    # `of` is no literal: polars divides by one by multiplying, and 3 of 5 becomes 0.6000000000000001.
    table = pl.DataFrame(
        {"intervals": range(1, most + 1), "of": [users.height] * most},
        schema={"intervals": pl.Int64, "of": pl.Int64},
    )
    counts = users.group_by("intervals").agg(pl.len().cast(pl.Int64).alias("users"))
    count = pl.col("users").fill_null(0)
    return (
        table.join(counts, on="intervals", how="left")
        .sort("intervals")
        .with_columns(count.cum_sum(reverse=True) if cumulative else count)
        .with_columns(*wilson_columns("users"))
        .select("intervals", "users", pl.col("rate").alias("share"), "of", "low", "high")
    )


def _by(what: str, by: object, *, taken: Sequence[str]) -> list[str]:
    names = [by] if isinstance(by, str) else [] if by is None else by
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        _refuse(what, [f"by is {by!r}; it takes a column name or a list of them."])
        return []
    own = {*taken, "user_id", "event", "at", "index", "times"}
    _refuse(what, [f"by holds {n!r}, which this answer has for its own; rename the property." for n in names if n in own])  # fmt: skip
    _refuse(what, ["by names a column twice."] if len(set(names)) < len(names) else [])
    return list(names)


def _split(
    whole: _Activity, names: list[str], answer: Callable[[_Activity], pl.DataFrame]
) -> pl.DataFrame:
    """Answer for each value of `by` over the same periods; its columns stand first."""
    if not names:
        return answer(whole)
    periods = whole.periods.collect(engine="streaming")
    kinds = {name: periods.schema[name] for name in names}
    parts = []
    for value in periods.select(names).unique().sort(names, nulls_last=True).iter_rows():
        key = pl.DataFrame([value], schema=kinds, orient="row")
        mine = periods.join(key, on=names, how="semi", nulls_equal=True).drop(names).lazy()
        found = answer(replace(whole, periods=mine))
        parts.append(key.join(found, how="cross", maintain_order="left_right"))
    empty = answer(replace(whole, periods=periods.drop(names).clear().lazy())).clear()
    return pl.concat(parts) if parts else pl.DataFrame(schema=kinds | dict(empty.schema))


def _refuse(what: str, faults: list[str]) -> None:
    if faults:
        raise ParameterError.from_faults(f"This {what} cannot be computed", faults)


def _bound_faults(at_least: object, at_most: object) -> list[str]:
    given = {"at_least": at_least, "at_most": at_most}
    faults = [
        f for name, bound in given.items() if bound is not None for f in whole_faults(name, bound)
    ]
    if not faults and isinstance(at_least, int) and isinstance(at_most, int) and at_most < at_least:
        faults.append(
            f"at_most is {at_most}, less than at_least, {at_least}; no interval has both."
        )
    return faults


def _activity(
    events: Any,
    event: Matcher | pl.Expr | None,
    calendar: Calendar,
    since: Instant | None,
    as_of: Instant | None,
    missing: Missing,
    by: Sequence[str] = (),
) -> _Activity:
    """Find who was active in which period, and which periods are looked at."""
    log, dates_only = open_log(events, needs=[*columns_of(event), *by])
    local, calendar = calendar.timezone, calendar_for(calendar, dates_only=dates_only)
    try_expression(log, "event", event)
    log = in_known_names(
        log, {"event": event}, missing=missing, heading="Nobody can be found active"
    )
    end = None
    if as_of is not None:
        end = beside_log(as_of, timezone=local, dates_only=dates_only)
    if since is not None and dates_only:
        since = clock_time(since, local)
    known, end = body_of(log, since=since, as_of=end, dates_only=dates_only)
    meant = known.filter(chosen(event))
    periods = meant.group_by(*by, "user_id", period_index(pl.col("at"), calendar).alias("index"))
    counted = periods.agg(pl.len().alias("times"))
    last = last_index(end, calendar)
    if since is None:
        begun = meant.select(period_index(pl.col("at").min(), calendar))
        first = begun.collect(engine="streaming").item()
    else:
        first = since_index(since, calendar)
        if first > last:
            raise ParameterError(
                f"since is {since!s}, but the data end at {end:%Y-%m-%d %H:%M} (UTC); give an earlier since, or a later as_of."
            )
    return _Activity(counted, calendar, last + 1 if first is None else first, last, end)


def _states(activity: _Activity) -> pl.DataFrame:
    """Name each user's state in each period that has one, shown or not: `index, state, user_id`."""
    index, user = pl.col("index"), pl.col("user_id")
    before = pl.when(user == user.shift(1)).then(index.shift(1))
    after = pl.when(user == user.shift(-1)).then(index.shift(-1))
    state = (
        pl.when(before.is_null())
        .then(pl.lit("new"))
        .when(before == index - 1)
        .then(pl.lit("returning"))
        .otherwise(pl.lit("resurrecting"))
    )
    periods = activity.periods.select("user_id", "index").collect(engine="streaming")
    active = periods.sort("user_id", "index").with_columns(
        state.alias("state"), (after == index + 1).fill_null(value=False).alias("comes_again")
    )
    quiet = active.filter(~pl.col("comes_again")).with_columns(
        index + 1, pl.lit("dormant").alias("state")
    )
    return pl.concat([active, quiet]).select("index", "state", "user_id")


def _intervals(
    activity: _Activity, group: int, at_least: int | None, at_most: int | None
) -> pl.DataFrame:
    """Count for each user the intervals that count: `user_id, intervals`."""
    since = pl.col("index") - activity.first
    times = activity.periods.filter(since >= 0)
    if group > 1:  # else each row is an interval already
        times = times.group_by("user_id", (since // group)).agg(pl.col("times").sum())
    enough = pl.col("times").is_between(at_least or 1, at_most or pl.col("times"))
    if at_least is not None or at_most is not None:
        times = times.filter(enough)
    counts = times.group_by("user_id").agg(pl.len().cast(pl.Int64).alias("intervals"))
    return counts.collect(engine="streaming")
