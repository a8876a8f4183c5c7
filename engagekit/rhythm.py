"""Rhythm: who comes, goes and returns, how often people are active, and what they do widely or often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import ParameterError
from engagekit.instants import AT, days, instant
from engagekit.journeys import on_days
from engagekit.log import end_of, open_log
from engagekit.matchers import event_names, matches, property_names
from engagekit.periods import (
    Calendar,
    calendar_faults,
    calendar_for,
    last_index,
    period_index,
    period_start,
    period_table,
    since_index,
    start_dtype,
)

if TYPE_CHECKING:
    from engagekit.instants import Instant
    from engagekit.journeys import Journeys
    from engagekit.log import Frame
    from engagekit.matchers import Matcher
    from engagekit.periods import Period, WeekStart

STATES = ("new", "returning", "resurrecting", "dormant")


def lifecycle(
    events: Frame,
    *,
    event: Matcher | pl.Expr | None = None,
    period: Period = "week",
    since: Instant | None = None,
    as_of: Instant | None = None,
    timezone: str = "UTC",
    week_start: WeekStart = "monday",
    people: bool = False,
) -> pl.DataFrame:
    """Say, period by period, who is new, still coming, back after a pause, or gone quiet.

    ``active = new + returning + resurrecting``; ``pulse = (new + resurrecting) / dormant``.

    Parameters
    ----------
    events
        Event log: ``user_id, event, at``.
    event
        Matcher, or boolean expression, of what counts as activity; None: any event.
    period
        ``"hour"``, ``"day"``, ``"week"`` or ``"month"``, on the local calendar.
    since
        First period shown; floored to its period. Earlier events still decide who is new. None: the first
        matching event's.
    as_of
        Up to when the data are complete (exclusive); default: just after the last event.
    timezone, week_start
        Where local periods lie, and whether weeks start on Monday or Sunday.
    people
        Return the users behind each count instead: ``period_start, state, user_id``.

    Returns
    -------
    polars.DataFrame
        One row per period, empty ones included: `period_start` (local date, or naive local time for hours),
        `new` (first activity ever), `returning` (active in the period before too), `resurrecting` (active, not in
        the period before, but earlier), `dormant` (active in the period before, not in this one; positive),
        `active`, `pulse` (null where nobody went dormant), `complete` (the period has fully passed).

    Raises
    ------
    ParameterError
        A parameter has no such value, or hours are asked of a log of days.

    Notes
    -----
    New means the first event in the log, not the creation of an account. A period that has begun but not ended
    still grows, and its dormant users may yet come: `complete` is false.

    Examples
    --------
    >>> from datetime import datetime
    >>> at = [datetime(2026, 1, d) for d in (5, 6, 12, 26)]
    >>> log = pl.DataFrame({"user_id": [1, 2, 1, 2], "event": "do", "at": at})
    >>> lifecycle(log).select("new", "returning", "resurrecting", "dormant").rows()
    [(2, 0, 0, 0), (0, 1, 0, 1), (0, 0, 0, 1), (0, 0, 1, 0)]
    """
    calendar, log, end = _opened(events, event, Calendar(period, timezone, week_start), as_of)
    first, last = _span(log, calendar, since, end)
    active = (
        log.select("user_id", period_index(pl.col("at"), calendar).alias("index"))
        .unique()
        .sort("user_id", "index")
    )
    mine = pl.col("user_id") == pl.col("user_id").shift(1)
    before = pl.when(mine).then(pl.col("index").shift(1))
    theirs = pl.col("user_id") == pl.col("user_id").shift(-1)
    after = pl.when(theirs).then(pl.col("index").shift(-1))
    state = (
        pl.when(before.is_null())
        .then(pl.lit("new"))
        .when(before == pl.col("index") - 1)
        .then(pl.lit("returning"))
    )
    came = active.select(
        "user_id",
        "index",
        state.otherwise(pl.lit("resurrecting")).alias("state"),
        after.alias("next"),
    )
    gone = came.filter(pl.col("next").is_null() | (pl.col("next") > pl.col("index") + 1))
    gone = gone.select("user_id", pl.col("index") + 1, pl.lit("dormant").alias("state"))
    states = pl.concat([came.drop("next"), gone]).filter(pl.col("index").is_between(first, last))
    if people:
        return (
            states.select(
                period_start(pl.col("index"), calendar).alias("period_start"), "state", "user_id"
            )
            .sort(pl.all())
            .collect()
        )
    return _lifecycle_counts(states, first, last, calendar, end)


def _lifecycle_counts(
    states: pl.LazyFrame, first: int, last: int, calendar: Calendar, end: Any
) -> pl.DataFrame:
    counts = states.group_by("index").agg(
        *[(pl.col("state") == s).sum().cast(pl.Int64).alias(s) for s in STATES]
    )
    if last < first:
        rows = pl.DataFrame(
            schema={"index": pl.Int32, "start": start_dtype(calendar), "ends_at": AT}
        )
    else:
        rows = period_table(first, last, calendar).select("index", "start", "ends_at")
    dormant = pl.when(pl.col("dormant") > 0).then(pl.col("dormant"))
    return (
        rows.lazy()
        .join(counts, on="index", how="left")
        .with_columns(pl.col(*STATES).fill_null(0))
        .sort("index")
        .select(
            pl.col("start").alias("period_start"),
            *STATES,
            (pl.col("new") + pl.col("returning") + pl.col("resurrecting")).alias("active"),
            ((pl.col("new") + pl.col("resurrecting")) / dormant).alias("pulse"),
            (pl.col("ends_at") <= end).alias("complete"),
        )
        .collect()
    )


def stickiness(
    events: Frame,
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
    people: bool = False,
) -> pl.DataFrame:
    """Say in how many periods users were active: the power-user curve.

    ``share = users / users active in at least one interval``.

    Parameters
    ----------
    events
        Event log: ``user_id, event, at``.
    event
        Matcher, or boolean expression, of what counts as activity; None: any event.
    period, timezone, week_start
        Local periods, as for `lifecycle`.
    since
        The period counting begins with; floored to its period. None: the first matching event's.
    as_of
        Up to when the data are complete (exclusive); default: just after the last event.
    group
        How many periods make one interval, counted from the first.
    at_least, at_most
        How many matching events an interval needs to count, and may have at most.
    cumulative
        Count users with so many intervals or more.
    people
        Return the users behind each count instead: ``intervals, user_id``.

    Returns
    -------
    polars.DataFrame
        One row per number of intervals, from 1 to all there are: `intervals`, `users`, `share`. Users with none are
        absent.

    Raises
    ------
    ParameterError
        A parameter has no such value, or bounds exclude each other.

    Notes
    -----
    Over 28 days with ``period="day"`` this is the L28 curve; the last interval may not have fully passed.

    Examples
    --------
    >>> from datetime import datetime
    >>> at = [datetime(2026, 1, d) for d in (5, 6, 7, 6)]
    >>> log = pl.DataFrame({"user_id": [1, 1, 1, 2], "event": "do", "at": at})
    >>> stickiness(log).rows()
    [(1, 1, 0.5), (2, 0, 0.0), (3, 1, 0.5)]
    """
    _check_bounds(group, at_least, at_most)
    calendar, log, end = _opened(events, event, Calendar(period, timezone, week_start), as_of)
    first, last = _span(log, calendar, since, end)
    index = period_index(pl.col("at"), calendar)
    intervals = log.select("user_id", index.alias("index")).filter(
        pl.col("index").is_between(first, last)
    )
    times = intervals.group_by(
        "user_id", ((pl.col("index") - first) // group).alias("interval")
    ).len()
    times = times.filter(
        pl.col("len") >= (at_least or 1), *([] if at_most is None else [pl.col("len") <= at_most])
    )
    per_user = times.group_by("user_id").agg(pl.len().cast(pl.Int64).alias("intervals"))
    if cumulative:
        per_user = per_user.select(
            "user_id", pl.int_ranges(1, pl.col("intervals") + 1).alias("intervals")
        ).explode("intervals")
    if people:
        return per_user.select("intervals", "user_id").sort("intervals", "user_id").collect()
    counts = per_user.group_by("intervals").agg(pl.len().cast(pl.Int64).alias("users")).collect()
    everybody = (
        counts["users"].sum()
        if not cumulative
        else counts.filter(pl.col("intervals") == 1)["users"].sum()
    )
    most = (last - first) // group + 1 if last >= first else 0
    rows = pl.DataFrame({"intervals": range(1, most + 1)}, schema={"intervals": pl.Int64}).join(
        counts, on="intervals", how="left"
    )
    users = pl.col("users").fill_null(0)
    share = users / everybody if everybody else pl.lit(None, pl.Float64)
    return rows.select("intervals", users, share.cast(pl.Float64).alias("share")).sort("intervals")


def _check_bounds(group: object, at_least: object, at_most: object) -> None:
    faults = []
    for name, value, needed in (
        ("group", group, True),
        ("at_least", at_least, False),
        ("at_most", at_most, False),
    ):
        if (value is not None or needed) and (
            not isinstance(value, int) or isinstance(value, bool) or value < 1
        ):
            faults.append(f"{name} is {value!r}; it takes a whole number of at least 1.")
    if not faults and isinstance(at_least, int) and isinstance(at_most, int) and at_least > at_most:
        faults.append(f"at_least is {at_least} and at_most {at_most}; no interval can have both.")
    if faults:
        raise ParameterError(
            str(ParameterError.from_faults("Stickiness cannot be counted so", faults))
        )


def _opened(
    events: Frame, event: Matcher | pl.Expr | None, calendar: Calendar, as_of: Instant | None
) -> tuple[Calendar, pl.LazyFrame, Any]:
    """Open the log: the settled calendar, the matching events before the end, and the end."""
    faults = calendar_faults(calendar.period, calendar.timezone, calendar.week_start)
    if faults:
        raise ParameterError(
            str(ParameterError.from_faults("These periods cannot be used", faults))
        )
    is_expression = isinstance(event, pl.Expr)
    needs = () if event is None or is_expression else property_names(event)
    log, dates_only = open_log(events, needs=needs)
    calendar = calendar_for(calendar, dates_only=dates_only)
    end = end_of(log, as_of, dates_only=dates_only, timezone=calendar.timezone)
    if event is not None:
        chosen = event.fill_null(value=False) if isinstance(event, pl.Expr) else matches(event)
        log = log.filter(chosen)
    return calendar, log.filter(pl.col("at") < end).select("user_id", "at"), end


def _span(
    log: pl.LazyFrame, calendar: Calendar, since: Instant | None, end: Any
) -> tuple[int, int]:
    """Find the numbers of the first and the last period to show; the last lies before where there is none."""
    last = last_index(end, calendar)
    if since is not None:
        instant(since, timezone=calendar.timezone, name="since")
        return since_index(since, calendar), last
    first = log.select(period_index(pl.col("at").min(), calendar)).collect().item()
    return (last + 1, last) if first is None else (first, last)


def usage_interval(journeys: Journeys) -> pl.DataFrame:
    """Say how long users usually pause between core days, and so what "coming back" can mean.

    ``share(d) = users whose median gap between core days is at most d / users with two or more core days``.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.

    Returns
    -------
    polars.DataFrame
        One row per whole number of days, from 1 up to the longest median gap (at most 366): `days`, `n`, `of`, `share`,
        `interval_days` (the product's usage interval: the 80th percentile, the same in every row). No row where
        nobody has two core days.

    Raises
    ------
    ColumnError
        The journeys lack a column.

    Notes
    -----
    Users with one core day have no gap yet and are in neither number; so the interval speaks of users who repeat.

    References
    ----------
    The 80th percentile of users' median gaps follows the usage-interval chart of product analytics.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=400, seed=1)
    >>> curve = usage_interval(ek.rollup(made.events, made.definition))
    >>> curve.columns
    ['days', 'n', 'of', 'share', 'interval_days']
    """
    core = on_days(journeys, "core").sort("user_id", "day")
    same = pl.col("user_id") == pl.col("user_id").shift(1)
    gap = pl.when(same).then((pl.col("day") - pl.col("day").shift(1)).dt.total_days())
    medians = (
        core.select("user_id", gap.alias("gap"))
        .drop_nulls()
        .group_by("user_id")
        .agg(pl.col("gap").median())
        .select("gap")
        .collect()
    )
    schema = {
        "days": pl.Int64,
        "n": pl.Int64,
        "of": pl.Int64,
        "share": pl.Float64,
        "interval_days": pl.Float64,
    }
    if medians.height == 0:
        return pl.DataFrame(schema=schema)
    whole = (
        medians.select(pl.col("gap").ceil().cast(pl.Int64).clip(1, 366).alias("days"))
        .group_by("days")
        .len()
    )
    rows = pl.DataFrame(
        {"days": range(1, max(whole["days"].to_list()) + 1)}, schema={"days": pl.Int64}
    ).join(whole, on="days", how="left")
    so_far = pl.col("len").fill_null(0).cum_sum().cast(pl.Int64)
    interval = journeys.definition.usage_interval_days
    return rows.sort("days").select(
        "days",
        so_far.alias("n"),
        pl.lit(medians.height, pl.Int64).alias("of"),
        (so_far / medians.height).alias("share"),
        pl.lit(interval, pl.Float64).alias("interval_days"),
    )


def engagement_matrix(journeys: Journeys) -> pl.DataFrame:
    """Say which actions many users do, which few do often, and which neither: in users' first days.

    ``share = users who did it / active users``; ``times_per_user = times / users who did it``. Quadrants at the medians.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.

    Returns
    -------
    polars.DataFrame
        One row per event other than the sign-up, widest first: `event`, `n` (users who did it in their first
        days), `of` (users active in them), `share`, `times_per_user`, `days_per_user` (mean per user who did it),
        `quadrant`: ``core`` (wide and often), ``wide`` (wide, seldom), ``deep`` (few, often), ``niche``.

    Raises
    ------
    ColumnError
        The journeys lack a column.

    Notes
    -----
    Counted over the users' own first days, for users whose first days are over; journeys keep no later day of an
    event that has no role. A value equal to the median counts as above it.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=400, seed=1)
    >>> engagement_matrix(ek.rollup(made.events, made.definition)).columns
    ['event', 'n', 'of', 'share', 'times_per_user', 'days_per_user', 'quadrant']
    """
    definition = journeys.definition
    over = pl.col("signed_up_at") + days(definition.first_days) <= pl.lit(journeys.as_of, AT)
    known = journeys.users.lazy().filter(over).select("user_id")
    signup = [] if definition.signup is None else list(event_names(definition.signup))
    did = (
        journeys.early.lazy()
        .join(known, on="user_id", how="semi")
        .filter(~pl.col("event").cast(pl.String).is_in(signup))
    )
    of = did.select(pl.col("user_id").n_unique()).collect().item()
    table = did.group_by(pl.col("event").cast(pl.String)).agg(
        pl.len().cast(pl.Int64).alias("n"),
        pl.lit(of, pl.Int64).alias("of"),
        (pl.len() / of).alias("share"),
        pl.col("times").cast(pl.Float64).mean().alias("times_per_user"),
        pl.col("days").bitwise_count_ones().cast(pl.Float64).mean().alias("days_per_user"),
    )
    wide, often = (pl.col(c) >= pl.col(c).median() for c in ("share", "times_per_user"))
    quadrant = (
        pl.when(wide & often)
        .then(pl.lit("core"))
        .when(wide)
        .then(pl.lit("wide"))
        .when(often)
        .then(pl.lit("deep"))
    )
    return (
        table.with_columns(quadrant.otherwise(pl.lit("niche")).alias("quadrant"))
        .sort("n", "event", descending=[True, False])
        .collect()
    )
