"""Cohort curves: of those who started together, how many come back, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit._base import Calendar, calendar_for, since_index
from engagekit.cohorts.attribution import ATTRIBUTIONS, attributed
from engagekit.cohorts.grid import added_up, answer
from engagekit.cohorts.parameters import (
    TAKEN,
    Anchor,
    Cohorts,
    Granularity,
    Mode,
    PeriodZero,
    Terms,
    Window,
    by_names,
    hour_faults,
    matcher_faults,
    moment_faults,
    period_zero_faults,
    refuse,
    terms_faults,
)
from engagekit.cohorts.pooled import pooled_curve
from engagekit.cohorts.returns import hits, hits_at_once, returns
from engagekit.cohorts.returns_of_journeys import core_hits, first_signup, sign_ups
from engagekit.cohorts.starts import (
    check_limit,
    check_since,
    chosen,
    columns_of,
    first_cohort,
    in_groups,
    starts,
    try_expression,
)
from engagekit.errors import check_choice
from engagekit.ingest import MISSING_CHOICES, Missing, body_of, in_known_names
from engagekit.instants import clock_time, instant
from engagekit.journeys import names_and_faults
from engagekit.log import open_log

__all__ = [
    "chosen",
    "cohort_curves",
    "columns_of",
    "matcher_faults",
    "moment_faults",
    "pooled_curve",
    "refuse",
    "retention",
    "try_expression",
]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit._base import Period, WeekStart
    from engagekit.instants import Instant
    from engagekit.journeys import Journeys
    from engagekit.matchers import Matcher


def retention(
    events: Any,
    *,
    start: Matcher | pl.Expr | None,
    back: Matcher | pl.Expr | None = None,
    period: Period = "week",
    periods: int = 12,
    cohorts: Cohorts = "first",
    window: Window = "calendar",
    anchor: Anchor = "first",
    granularity: Granularity = "exact",
    mode: Mode = "on",
    brackets: Sequence[int] | None = None,
    min_times: int = 1,
    since: Instant | None = None,
    as_of: Instant | None = None,
    timezone: str = "UTC",
    week_start: WeekStart = "monday",
    by: str | Sequence[str] | None = None,
    attribution: Literal["start", "first", "last", "same"] = "same",
    limit: int | None = None,
    period_zero: PeriodZero = "started",
    people: bool = False,
    missing: Missing = "refuse",
) -> pl.DataFrame:
    """Say how many of the users who started in the same period came back in each period after it.

    ``rate = n / of``: users of the cohort who returned in that period, of all users of the cohort.

    Parameters
    ----------
    events
        The log: ``user_id, event, at`` and any properties.
    start, back
        Which events start a user and which are a return: an event name, a list of names, an `ek.Match`, or a
        boolean polars expression; ``pl.lit(True)`` is any event. `back` None is the same as `start`.
    period
        ``"hour"``, ``"day"``, ``"week"``, ``"month"`` or ``"quarter"``.
    periods
        How many periods, the start's own (0) included; with `brackets`, those say it instead.
    cohorts
        ``"first"``: each user once, where their first start lies. ``"first_ever"``: only users whose first event
        of that name is itself a start (for an expression: of any name that starts bear). ``"each"``: a user is in
        the cohort of every period with a start.
    window
        ``"calendar"``: local hours, days, weeks and months. ``"rolling"``: 1 h, 24 h, 7 d or 30 d from the start.
    anchor
        Rolling windows only. ``"first"``: one per user, from the first start at or after `since`. ``"each"``: one
        per start, so that one return may count in several periods; needs ``cohorts="each"``.
    granularity
        Rolling windows only. ``"truncated"`` cuts times to the local hour (to the day for weeks and months).
    mode
        ``"on"``: returned in that very period. ``"on_or_after"``: in it or any later one, also beyond the last
        shown.
    brackets
        Sizes, in periods, of the groups of periods after period 0: ``[4, 10, 3]`` is 1-4, 5-14, 15-17.
    min_times
        Returning events needed within one period (or rolling window), never within a bracket or in total.
    since, as_of
        First and last (exclusive) instant: a datetime, a date or ISO text, local to `timezone` if without offset.
        `since` is floored to its period; None is the first start. `as_of` None is just after the last event.
    timezone, week_start
        Where local periods lie, and on which day weeks start: ``"monday"``, ``"sunday"`` or any other.
    by
        Columns to split by; null is a group of its own.
    attribution
        Whose value counts where it varies within a user: ``"same"``: start and return must carry the same one;
        ``"start"``: that of the user's first start, whatever the return carries (not with ``cohorts="each"``);
        ``"first"``, ``"last"``: of all the user's events before `as_of`, the first or last that is not null.
    limit
        Keep so many groups, those with most starting users (ties by name); the rest is ``"Other"``.
    period_zero
        What stands in period 0. ``"started"``: everybody who started. ``"returned"``: those who returned within the
        period of their start, at or after it; what starts a user is no return, so that `back` mostly is another event.
        Not with ``anchor="each"``.
    people
        Return the users instead of their numbers.
    missing
        What becomes of events asked for of which there are none: ``"refuse"`` names the nearest names, ``"allow"`` lets
        them count as never done.

    Returns
    -------
    DataFrame
        One row per group, cohort and period, sorted so. The columns of `by`; `cohort` (local date, naive local
        time for hours); `period` (from 0, or the bracket's position); with `brackets`: `from_period`,
        `to_period`; `n` users who returned (period 0: as `period_zero` says; null before the period begins), `of`
        the cohort's size; `rate`, `low`, `high` (Wilson, 95 %; null until complete); `complete` whether the
        period has fully passed; for ``"on_or_after"``: `followed_until`, up to when returns were seen, as
        all its cells can still grow; for ``cohorts="each"``: `users_effect`, how much less all complete cells of the
        period tell than so many users would, as one user counts in several (`pooled_curve` divides by it).

        With ``people=True`` the columns of `by`, `cohort`, `period` and `user_id`: one row for each user counted.

    Raises
    ------
    ColumnError
        A column is missing, or holds another kind of value than a matcher asks for.
    ParameterError
        Parameters mean nothing or exclude each other: all of them.
    EventLogError
        The log is empty, or its last events look like those of a wrong clock and `as_of` is not given.

    Notes
    -----
    The log is read as it stands: nobody is left out for being too new, but cells say whether they can be known.
    A calendar cell is complete when its period has passed; a rolling one when the window of the latest possible
    start in its cohort has. Starts before `since` still decide who is first, and get no row. Cohorts without a
    user are rows too. An hour that the clock runs through twice is one period.

    References
    ----------
    Definitions of PostHog, Amplitude and Mixpanel, as published in their documentation and tests.

    Examples
    --------
    >>> from datetime import date
    >>> log = pl.DataFrame({
    ...     "user_id": ["a", "a", "b", "b"],
    ...     "event": ["join", "work", "join", "work"],
    ...     "at": [date(2026, 3, 2), date(2026, 3, 9), date(2026, 3, 3), date(2026, 3, 20)],
    ... })
    >>> retention(log, start="join", back="work", periods=3).head(3).select("period", "n", "of", "complete").rows()
    [(0, 2, 2, True), (1, 1, 2, True), (2, 1, 2, False)]
    """
    names, faults = by_names(by)
    calendar = Calendar(period, timezone, week_start)
    given: dict[str, Any] = {
        "periods": periods,
        "cohorts": cohorts,
        "window": window,
        "anchor": anchor,
        "granularity": granularity,
        "mode": mode,
        "brackets": brackets,
        "min_times": min_times,
        "period_zero": period_zero,
    }
    faults += matcher_faults("start", start) + matcher_faults("back", back)
    faults += check_choice("missing", missing, MISSING_CHOICES)
    asked = given | {"limit": limit, "by": names, "since": since, "as_of": as_of}
    faults += check_choice("attribution", attribution, ATTRIBUTIONS)
    if attribution == "start" and cohorts == "each":
        faults.append("attribution='start' needs one start per user; with cohorts='each' take 'first', 'last' or 'same'.")  # fmt: skip
    refuse("Retention", faults + terms_faults(calendar, **asked))
    back = start if back is None else back
    whole, dates_only = open_log(events, needs=[*names, *columns_of(start), *columns_of(back)])
    check_limit(whole, names, limit)
    try_expression(whole, "start", start)
    try_expression(whole, "back", back)
    asked_for = {"start": start} | ({} if back is start else {"back": back})
    whole = in_known_names(
        whole, asked_for, missing=missing, heading="Retention cannot be computed so"
    )
    if dates_only:
        since = None if since is None else clock_time(since, timezone)
        as_of = None if as_of is None else clock_time(as_of, timezone)
    given |= {"brackets": tuple(brackets) if brackets else None, "dates_only": dates_only}
    terms = Terms(calendar_for(calendar, dates_only=dates_only), **given)
    end = None if as_of is None else instant(as_of, timezone=terms.calendar.timezone)
    log, end = body_of(whole, since=since, as_of=end, dates_only=dates_only)
    log = attributed(log, start, names, attribution)
    first = None if since is None else since_index(since, terms.calendar)
    begun = starts(log, start, names, terms, since=first)
    check_since(since, end, terms)
    first = first_cohort(log, start, begun, terms) if first is None else first
    begun, groups = in_groups(begun, names, limit)
    found = hits(returns(log, back, names, groups), begun.drop("begun_at", strict=False), terms)
    if period_zero == "returned":
        marked = returns(log, back, names, groups, [chosen(start).alias("starts")])
        found = pl.concat([found, hits_at_once(marked, begun, terms)])
    return answer(found, begun, groups, terms, first, end, people=people)


def cohort_curves(
    journeys: Journeys,
    *,
    period: Literal["day", "week", "month"] = "week",
    periods: int = 12,
    window: Window = "rolling",
    mode: Mode = "on",
    by: str | Sequence[str] | None = None,
    period_zero: PeriodZero = "started",
    people: bool = False,
) -> pl.DataFrame:
    """Say how many of the users who signed up in the same period did the core action in each period after it.

    ``rate = n / of``: users of the cohort with a core action in that period, of all users of the cohort.

    Parameters
    ----------
    journeys
        What `rollup` made of a log.
    period
        ``"day"``, ``"week"`` or ``"month"``; journeys know no hours.
    periods
        How many periods, that of the sign-up (0) included.
    window
        ``"rolling"``: 24 hours, 7 or 30 days from each sign-up, so that everybody has the same time.
        ``"calendar"``: local days, weeks and months.
    mode
        ``"on"``: a core action in that very period. ``"on_or_after"``: in it or any later one.
    by
        Properties of users to split by.
    period_zero
        What stands in period 0. ``"started"``: everybody who signed up. ``"returned"``: those with a core action in it;
        for this the sign-up must be an event of its own.
    people
        Return the users instead of their numbers.

    Returns
    -------
    DataFrame
        One row per group, cohort and period, sorted so. The properties of `by`; `cohort` the local date on which
        the cohort's period starts; `period` from 0; `n` users with a core action in the period (period 0: as
        `period_zero` says; null before the period begins), `of` the cohort's size; `rate`, `low`, `high` (Wilson,
        95 %; null until complete); `complete` whether the period has fully passed for the whole cohort; for
        ``"on_or_after"``: `followed_until`, up to when core actions were seen.

        With ``people=True`` the properties of `by`, `cohort`, `period` and `user_id`: one row for each user counted.

    Raises
    ------
    ParameterError
        Parameters mean nothing, or `by` names no property: all of them.

    Notes
    -----
    In the denominator: every user of the journeys. Who signed up before the log starts, or never in the data,
    stands in `journeys.left_out`.

    Journeys keep the first and last core action of each local day. A window of 24 hours or more begins and ends at
    the clock time of the sign-up, so that at most one boundary falls into a day, and those two times decide it
    exactly. Only the day of 25 hours can hold two boundaries, for who signed up in its first hour's clock time;
    if they acted before the first, after the second and at least once more, that is taken to lie between.

    Examples
    --------
    >>> from datetime import date
    >>> import engagekit as ek
    >>> log = pl.DataFrame({
    ...     "user_id": ["a", "a", "b", "b"],
    ...     "event": ["join", "work", "join", "work"],
    ...     "at": [date(2026, 3, 2), date(2026, 3, 9), date(2026, 3, 3), date(2026, 3, 20)],
    ... })
    >>> journeys = ek.rollup(log, ek.Definition(signup="join", activation="work", core="work"))
    >>> cohort_curves(journeys, periods=3).head(3).select("period", "n", "of", "complete").rows()
    [(0, 2, 2, True), (1, 1, 2, False), (2, 1, 2, False)]
    """
    names, faults = names_and_faults(journeys, by, taken=TAKEN)
    calendar = Calendar(period, journeys.timezone, journeys.definition.week_start)
    faults += terms_faults(
        calendar, periods=periods, window=window, mode=mode, period_zero=period_zero
    )
    faults += hour_faults(period) + period_zero_faults(period_zero, journeys.definition)
    refuse("Cohort curves", faults)
    terms = Terms(
        calendar, periods, window=window, mode=mode, period_zero=period_zero, dates_only=journeys.dates_only
    )  # fmt: skip
    first = first_signup(journeys, terms)

    def table(part: Journeys) -> pl.DataFrame:
        begun, groups = in_groups(sign_ups(part, names, terms), names, None)
        found = core_hits(part, begun, terms)
        return answer(found, begun, groups, terms, first, part.as_of, people=people)

    tables = [table(part) for part in journeys.parts()]
    return tables[0] if len(tables) == 1 else added_up(tables, names, people=people)
