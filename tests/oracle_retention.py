"""Retention in plain Python: slow, obvious, and written from the rules alone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
ROLLING = {
    "hour": timedelta(hours=1),
    "day": timedelta(hours=24),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}


def clock(at, zone):
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def floor(at, period, zone, week_start):
    """Take the naive local time at which the period of an instant starts."""
    local = clock(at, zone)
    if period == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = datetime.combine(local.date(), time())
    if period == "month":
        return day.replace(day=1)
    into = day.weekday() if week_start == "monday" else (day.weekday() + 1) % 7
    return day - timedelta(days=into) if period == "week" else day


def later(start, k, period):
    """Take the start of the period `k` periods later."""
    if period == "month":
        months = start.year * 12 + start.month - 1 + k
        return start.replace(year=months // 12, month=months % 12 + 1)
    return start + k * timedelta(
        **{"hour": {"hours": 1}, "day": {"days": 1}, "week": {"days": 7}}[period]
    )


@lru_cache(maxsize=100_000)
def first_instant(naive, zone):
    """Find the first minute at which the clock shows this time or a later one."""
    guess = naive.replace(tzinfo=UTC) - timedelta(hours=28)
    while clock(guess, zone) < naive:
        guess += MINUTE * (1 if naive - clock(guess, zone) <= timedelta(hours=3) else 60)
    return guess


@lru_cache(maxsize=100_000)
def last_instant(naive, zone):
    """Find the instant after which the clock never again shows a time before this one."""
    guess = first_instant(naive, zone)
    after = [guess + MINUTE * i for i in range(180)]
    return max([guess, *[t + MINUTE for t in after if clock(t, zone) < naive]])


def cut(at, terms):
    """Cut an instant as "truncated" asks: to the local hour, or to the local day as a date."""
    if terms["granularity"] == "exact":
        return at
    local = clock(at, terms["timezone"])
    if terms["period"] in ("week", "month"):
        return local.date()
    return at - (local - local.replace(minute=0, second=0, microsecond=0))


def window_of(start, back, terms):
    """Number the rolling window after `start` that holds `back`."""
    passed = cut(back, terms) - cut(start, terms)
    return passed // ROLLING[terms["period"]]


def as_instant(moment, zone, side):
    if not isinstance(moment, datetime):
        find = first_instant if side == "opens" else last_instant
        return find(datetime.combine(moment, time()), zone)
    return moment


def bounds(cohort, lo, hi, terms):
    """Say when the cell of a cohort over the base periods `lo` to `hi` opens and closes."""
    zone, period = terms["timezone"], terms["period"]
    if terms["window"] == "calendar":
        return (
            first_instant(later(cohort, lo, period), zone),
            last_instant(later(cohort, hi + 1, period), zone),
        )
    resolution = timedelta(days=1) if terms["dates_only"] else TICK
    earliest = first_instant(cohort, zone)
    latest = last_instant(later(cohort, 1, period), zone) - resolution
    opens = cut(earliest, terms) + lo * ROLLING[period]
    closes = cut(latest, terms) + (hi + 1) * ROLLING[period]
    return as_instant(opens, zone, "opens"), as_instant(closes, zone, "closes")


def starting_events(events, terms):
    """List the events that start each user: (user, group, start of the cohort, instant)."""
    place = lambda e: floor(e["at"], terms["period"], terms["timezone"], terms["week_start"])  # noqa: E731
    group = lambda e: tuple(e[name] for name in terms["by"])  # noqa: E731
    meant = [e for e in events if terms["start"](e)]
    found = []
    for user in sorted({e["user_id"] for e in events}):
        mine = [e for e in meant if e["user_id"] == user]
        if terms["cohorts"] == "first_ever":
            names = terms["start_names"] or {e["event"] for e in meant}
            named = [e for e in events if e["user_id"] == user and e["event"] in names]
            first = min((e["at"] for e in named), default=None)
            mine = [e for e in mine if e["at"] == first]
        if terms["cohorts"] == "first":
            mine = [e for e in mine if e["at"] == min(m["at"] for m in mine)]
        if terms["since"] is not None:
            mine = [e for e in mine if place(e) >= terms["since"]]
        if (
            terms["cohorts"] == "each"
            and terms["window"] == "rolling"
            and terms["anchor"] == "first"
        ):
            mine = [e for e in mine if e["at"] == min(m["at"] for m in mine)]
        found += [(user, group(e), place(e), e["at"]) for e in mine]
    return found, min((place(e) for e in meant), default=None)


def periods_of_return(user, group, cohort, instants, events, terms):
    """List the periods after the start in which a user came back often enough."""
    mine = [
        e["at"]
        for e in events
        if e["user_id"] == user
        and terms["back"](e)
        and tuple(e[name] for name in terms["by"]) == group
    ]
    found = set()
    if terms["window"] == "calendar":
        counts = Counter(
            floor(at, terms["period"], terms["timezone"], terms["week_start"]) for at in mine
        )
        for start, times in counts.items():
            k = 0
            while later(cohort, k, terms["period"]) < start:
                k += 1
            if times >= terms["min_times"] and start > cohort:
                found.add(k)
        if terms["period_zero"] == "returned":
            place = (terms["period"], terms["timezone"], terms["week_start"])
            inside = lambda at: floor(at, *place) == cohort  # noqa: E731
            if at_once(user, group, min(instants), inside, events, terms) >= terms["min_times"]:
                found.add(0)
    else:
        for instant in instants:
            counts = Counter(window_of(instant, at, terms) for at in mine)
            found |= {k for k, times in counts.items() if k >= 1 and times >= terms["min_times"]}
            if terms["period_zero"] == "returned":
                inside = lambda at, instant=instant: window_of(instant, at, terms) == 0  # noqa: E731
                if at_once(user, group, instant, inside, events, terms) >= terms["min_times"]:
                    found.add(0)
    return found


def at_once(user, group, instant, inside, events, terms):
    """Count the returns of a start's own period: not before it, and not what starts the user at that instant."""
    return sum(
        e["user_id"] == user
        and terms["back"](e)
        and tuple(e[name] for name in terms["by"]) == group
        and inside(e["at"])
        and (e["at"] > instant or (e["at"] == instant and not terms["start"](e)))
        for e in events
    )


def shown(terms):
    """List the periods shown as (position, first and last base period)."""
    if not terms["brackets"]:
        return [(k, k, k) for k in range(terms["periods"])]
    out, at = [(0, 0, 0)], 1
    for position, size in enumerate(terms["brackets"], 1):
        out.append((position, at, at + size - 1))
        at += size
    return out


def label(cohort, period):
    return cohort if period == "hour" else cohort.date()


def retention(events, **terms):
    """Return the rows of the answer and the set of people, as plain values.

    `start` and `back` are functions of an event, `start_names` the names a matcher mentions (None for an
    expression); `since` a naive local time on a period's start; `as_of` an instant.
    """
    events = [e for e in events if e["at"] < terms["as_of"]]
    starts, first = starting_events(events, terms)
    first = terms["since"] or first
    groups = shown_as(starts, terms)
    cells, people, members = {}, set(), set()
    for user, group, cohort in sorted({s[:3] for s in starts}, key=repr):
        instants = [s[3] for s in starts if s[:3] == (user, group, cohort)]
        back = periods_of_return(user, group, cohort, instants, events, terms)
        members.add((groups[group], label(cohort, terms["period"]), user))
        for position, lo, hi in shown(terms):
            if terms["mode"] == "on_or_after":
                there = any(k >= lo for k in back)
            else:
                there = any(lo <= k <= hi for k in back)
            if there or (position == 0 and terms["period_zero"] == "started"):
                people.add((groups[group], label(cohort, terms["period"]), position, user))
    for group, cohort, position, _ in people:
        cells[group, cohort, position] = cells.get((group, cohort, position), 0) + 1
    sizes = Counter((group, day) for group, day, _ in members)
    rows = []
    cohorts, last = [], floor_before(terms["as_of"], terms)
    while first is not None and first <= last:
        cohorts, first = [*cohorts, first], later(first, 1, terms["period"])
    for group in sorted(set(groups.values()), key=repr):
        for cohort in cohorts:
            for position, lo, hi in shown(terms):
                opens, closes = bounds(cohort, lo, hi, terms)
                day = label(cohort, terms["period"])
                begun = opens < terms["as_of"] or closes <= terms["as_of"]
                n = cells.get((group, day, position), 0) if begun else None
                size = sizes[group, day]
                rows.append((group, day, position, n, size, closes <= terms["as_of"]))
    return rows, people


def floor_before(as_of, terms):
    """Take the start of the last period that has begun."""
    place = (terms["period"], terms["timezone"], terms["week_start"])
    last = floor(as_of - TICK, *place)
    following = later(last, 1, terms["period"])
    return following if first_instant(following, terms["timezone"]) < as_of else last


def shown_as(starts, terms):
    """Say what each group is shown as: itself, or "Other"."""
    users = {} if terms["by"] else {(): set()}
    for user, group, _, _ in starts:
        users.setdefault(group, set()).add(user)
    if terms["limit"] is None:
        return {group: group for group in users}
    text = {g: tuple(None if v is None else str(v) for v in g) for g in users}
    order = sorted(users, key=lambda g: (-len(users[g]), [(v is None, v or "") for v in text[g]]))
    kept = order[: terms["limit"]]
    return {g: text[g] if g in kept else ("Other",) * len(g) for g in users}
