"""Lifecycle and stickiness the slow way: period by period, user by user, on the local calendar of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

STATES = ("new", "returning", "resurrecting", "dormant")


def start_of(moment, period, timezone, week_start):
    """The local start of the period that holds an instant: a date, or a naive time for hours."""
    local = moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    if period == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = local.date()
    if period == "week":
        while day.strftime("%A").lower() != week_start:
            day -= timedelta(days=1)
        return day
    if period == "quarter":
        return day.replace(
            day=1, month={1: 1, 2: 1, 3: 1, 4: 4, 5: 4, 6: 4, 7: 7, 8: 7, 9: 7}.get(day.month, 10)
        )
    return day.replace(day=1) if period == "month" else day


def next_start(start, period):
    if period == "quarter":
        for _ in range(3):
            start = next_start(start, "month")
        return start
    if period == "month":
        return (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    return (
        start
        + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[period]
    )


def is_over(start, period, timezone, as_of):
    """Whether the clock can never again show a time of this period: no instant from as_of on does."""
    following = next_start(start, period)
    if period != "hour":
        following = datetime(following.year, following.month, following.day)
    # Try every quarter of an hour from as_of on: a clock set back by an hour or two shows itself within two days.
    shown = [
        (as_of + timedelta(minutes=15 * k)).astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
        for k in range(2 * 96)
    ]
    return all(clock >= following for clock in shown)


def rows_of(events, *, period, since, as_of, timezone, week_start):
    """All period starts that get a row, and who was active when: ``{user: {start: times}}``."""
    active = {}
    for user, at in events:
        if at < as_of:
            start = start_of(at, period, timezone, week_start)
            times = active.setdefault(user, {})
            times[start] = times.get(start, 0) + 1
    starts = [start for times in active.values() for start in times]
    if since is None and not starts:
        return [], active
    first = min(starts) if since is None else start_of(since, period, timezone, week_start)
    # A clock set back can show the day before again, so the latest period is sought over the last day.
    last = max(
        start_of(
            as_of - timedelta(microseconds=1) - timedelta(minutes=15 * k),
            period,
            timezone,
            week_start,
        )
        for k in range(96)
    )
    rows = [first] if first <= last else []
    while rows and rows[-1] < last:
        rows.append(next_start(rows[-1], period))
    return rows, active


def lifecycle(events, **asked):
    """Per period start: state -> set of users."""
    rows, active = rows_of(events, **asked)
    found = {start: {state: set() for state in STATES} for start in rows}
    for start in rows:
        for user, times in active.items():
            earlier = [s for s in times if s < start]
            before = any(next_start(s, asked["period"]) == start for s in earlier)
            if start in times:
                state = "new" if not earlier else "returning" if before else "resurrecting"
            elif before:
                state = "dormant"
            else:
                continue
            found[start][state].add(user)
    return found


def stickiness(events, *, group, at_least, at_most, cumulative, **asked):
    """Number of intervals -> set of users."""
    rows, active = rows_of(events, **asked)
    intervals = [rows[k : k + group] for k in range(0, len(rows), group)]
    found = {k + 1: set() for k in range(len(intervals))}
    for user, times in active.items():
        counts = [sum(times.get(start, 0) for start in interval) for interval in intervals]
        kept = sum(
            (at_least or 1) <= n and (at_most is None or n <= at_most) and n > 0 for n in counts
        )
        for k in range(1, kept + 1):
            if k == kept or cumulative:
                found[k].add(user)
    return found


def parse(text):
    return datetime.fromisoformat(text).astimezone(UTC)
