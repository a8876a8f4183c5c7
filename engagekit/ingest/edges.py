"""The edges of a log: where its body begins and ends, told by users and gaps, never by single events."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import Remark, many
from engagekit.errors import EngagekitWarning, EventLogError
from engagekit.log import daily

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STRAY = "stray events"  # the kind of remark
GAP = 3  # days without any event; a longer gap can cut something off
TIMES = 3  # so many times the longest gap inside it must be
NEAR = 91  # days from an edge within which gaps inside are looked at
FEW_EVENTS, FEW_USERS, SHARE = 3, 3, 0.01  # what may lie outside: so many, or less than the share
THIN = 20  # a body has so many times what is cut off for being few, as have the days before a thin tail


@dataclass(frozen=True)
class Stray:
    """What lies outside at one end: its events, of how many users, from when to when, beyond how many empty days."""

    events: int
    users: int
    first: datetime
    last: datetime
    gap: int  # 0: a thin tail that no gap cuts off


@dataclass(frozen=True)
class Edges:
    """The body of a log, and what lies outside it."""

    start: datetime  # its first instant
    last: datetime  # its last instant
    gap: int  # the longest gap inside within 91 days of its end, in days
    before: Stray | None = None
    after: Stray | None = None

    def end(self, *, dates_only: bool) -> datetime:
        """Give the instant just after the last event; of a log of dates the end of that day."""
        return end_after(self.last, dates_only=dates_only)

    def silence(self, as_of: datetime, *, dates_only: bool) -> int:
        """Count the days from the body's end to an `as_of` that lies too far behind it; 0 where it does not."""
        away = as_of - self.end(dates_only=dates_only)
        return (
            math.ceil(away / timedelta(days=1))
            if away > timedelta(days=max(GAP, TIMES * self.gap))
            else 0
        )


@dataclass(frozen=True)
class Outskirts:
    """How an engine tells who did anything on its days.

    `seen` gives the distinct ``day, user_id`` from one UTC day to another, both included; `crowded` says whether more
    than a few users did so, as cheaply as it can; `users` counts all users.
    """

    seen: Callable[[date, date], pl.DataFrame]
    crowded: Callable[[date, date], bool]
    users: Callable[[], int]


def edges_of(counts: pl.DataFrame, ask: Outskirts) -> Edges:
    """Find the body of a log: its shortest stretch such that little, of few users, lies outside beyond a long gap.

    Outside may lie fewer than 1 % of the events, or at most 3 (where the body has 20 times as many), of fewer than
    4 users or 1 % of them; the gap has more than 3 days, and more than 3 times as many as the longest inside within
    91 days of that edge. Behind the last gap also a thin tail is cut off, which at most 3 users leave, where 20 times
    as many were there in as many days before.

    Parameters
    ----------
    counts
        The events by UTC day: ``day, len, first, last``.
    ask
        How to find out who was there on its outermost days.

    Raises
    ------
    EventLogError
        There are no events.
    """
    if not counts.height:
        raise EventLogError("The event log holds no events, so nothing can be said from it.")
    counts = counts.sort("day")
    days = counts["day"].to_list()
    start, gap_end = _between_gaps(days, counts["len"].to_list(), ask)
    end = _before_tail(days[start : gap_end + 1], ask) + start
    return Edges(
        start=counts["first"][start],
        last=counts["last"][end],
        gap=_longest(days[start : end + 1], back=True),
        before=_stray(counts[:start], _gap_behind(days, start - 1), ask),
        after=_stray(counts[end + 1 :], _gap_behind(days, end) if end == gap_end else 0, ask),
    )


def _stray(outside: pl.DataFrame, gap: int, ask: Outskirts) -> Stray | None:
    if not outside.height:
        return None
    users = ask.seen(outside["day"][0], outside["day"][-1])["user_id"].n_unique()
    return Stray(int(outside["len"].sum()), users, outside["first"][0], outside["last"][-1], gap)


def _gap_behind(days: Sequence[date], place: int) -> int:
    """Count the empty days behind a day; 0 behind the last."""
    return (days[place + 1] - days[place]).days - 1 if 0 <= place < len(days) - 1 else 0


def _longest(days: Sequence[date], *, back: bool) -> int:
    """Find the longest gap near the first day, or near the last one."""
    found = 0
    for one, other in pairwise(days):
        away = (days[-1] - other).days if back else (one - days[0]).days
        if away <= NEAR:
            found = max(found, (other - one).days - 1)
    return found


def _between_gaps(days: Sequence[date], events: Sequence[int], ask: Outskirts) -> tuple[int, int]:
    """Find the places of the first and the last day between gaps that cut little off."""
    last = len(days) - 1
    fitting = [
        (days[end] - days[start], start, end)
        for start in _cuts(days, events, ask, back=False)
        for end in (last - away for away in _cuts(days, events, ask, back=True))
        if start <= end and _fits(days, start, end)
    ]
    _, start, end = min(fitting)
    return start, end


def _fits(days: Sequence[date], start: int, end: int) -> bool:
    """Say whether the gaps at both edges are long against those inside."""
    inside = days[start : end + 1]
    edges = [
        (start == 0, _gap_behind(days, start - 1), False),
        (end == len(days) - 1, _gap_behind(days, end), True),
    ]
    return all(
        whole or gap > max(GAP, TIMES * _longest(inside, back=back)) for whole, gap, back in edges
    )


def _cuts(days: Sequence[date], events: Sequence[int], ask: Outskirts, *, back: bool) -> list[int]:
    """List how many days with events could be cut off at one end: little and of few users, beyond a gap; 0 is one."""
    count, total, outside, found = len(days), sum(events), 0, []
    for cut in range(1, count):
        outside += events[-cut] if back else events[cut - 1]
        few = outside <= FEW_EVENTS and THIN * outside <= total - outside
        if not few and outside >= SHARE * total:
            break
        if _gap_behind(days, count - cut - 1 if back else cut - 1) > GAP:
            found.append(cut)
    if not found:
        return [0]
    outer = days[-found[-1] :] if back else days[: found[-1]]
    day = pl.col("day")
    at = ask.seen(outer[0], outer[-1]).group_by("user_id").agg(day.max() if back else day.min())
    far = at["day"].to_list()
    users = {c: sum(d >= days[-c] if back else d <= days[c - 1] for d in far) for c in found}
    many_users = max(users.values()) > FEW_USERS
    most = max(FEW_USERS, math.ceil(SHARE * ask.users()) - 1) if many_users else FEW_USERS
    return [0, *(cut for cut in found if users[cut] <= most)]


def _before_tail(days: Sequence[date], ask: Outskirts) -> int:
    """Find the place of the last day before a thin tail; of the last day where there is none."""
    last, whole = days[-1], len(days) - 1
    if (last - days[0]).days <= GAP or ask.crowded(_ago(last, GAP), last):
        return whole
    longest, reach = None, GAP
    while longest is None and reach < (last - days[0]).days:
        reach *= 2  # far enough for more than a few users
        longest = _thin_days(_present(ask, _ago(last, reach), last), last)
    if longest is None:
        return whole
    present = _present(ask, _ago(last, longest + min(longest, NEAR) - 1), last)
    # A tail behind a day with events holds all that any behind an empty day after it does.
    for edge in range(bisect_left(days, _ago(last, longest)), whole):
        length = (last - days[edge]).days
        if length <= max(GAP, TIMES * _longest(days[: edge + 1], back=True)):
            continue
        tail = _users_on(present, _ago(days[edge], -1), last)
        before = _users_on(present, _ago(days[edge], min(length, NEAR) - 1), days[edge])
        if len(before) >= THIN * len(tail):
            return edge
    return whole


def _ago(day: date, days: int) -> date:
    return day - timedelta(days=days)


def _present(ask: Outskirts, since: date, until: date) -> dict[date, list[object]]:
    """List who was there on each day, up to as many as could ever be asked for."""
    most = (FEW_USERS + 1) * THIN
    by_day = ask.seen(since, until).group_by("day").agg(pl.col("user_id").head(most))
    return dict(by_day.iter_rows())


def _users_on(present: dict[date, list[object]], since: date, until: date) -> set[object]:
    return {user for day, users in present.items() if since <= day <= until for user in users}


def _thin_days(present: dict[date, list[object]], last: date) -> int | None:
    """Count the last days on which no more than a few users were there; None if it was never more."""
    users: set[object] = set()
    for day in sorted(present, reverse=True):
        users |= set(present[day])
        if len(users) > FEW_USERS:
            return (last - day).days
    return None


def outskirts(log: pl.LazyFrame) -> Outskirts:
    """Ask a polars log who was there on its outermost days."""

    def on(since: date, until: date) -> pl.LazyFrame:
        return log.filter(
            pl.col("at") >= _midnight(since), pl.col("at") < _midnight(_ago(until, -1))
        )

    def seen(since: date, until: date) -> pl.DataFrame:
        pairs = on(since, until).select(pl.col("at").dt.date().alias("day"), "user_id").unique()
        return pairs.collect(engine="streaming")

    def crowded(since: date, until: date) -> bool:
        some = on(since, until).select(pl.col("user_id").unique()).head(FEW_USERS + 1)
        return some.collect(engine="streaming").height > FEW_USERS

    def users() -> int:
        return int(log.select(pl.col("user_id").n_unique()).collect(engine="streaming").item())

    return Outskirts(seen, crowded, users)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def body_of(
    log: pl.LazyFrame, *, since: object, as_of: datetime | None, dates_only: bool
) -> tuple[pl.LazyFrame, datetime]:
    """Take the events before `as_of`, and where no such bound is given those of the log's body; also give the end.

    What lies outside the body at an end that is not given is left out with a warning.

    Raises
    ------
    EventLogError
        There are no events.
    """
    at = pl.col("at")
    log = log if as_of is None else log.filter(at < as_of)
    ends = log.select(at.min().alias("first"), at.max().alias("last"), pl.len().alias("events"))
    first, last, events = ends.collect(engine="streaming").row(0)
    if not events and as_of is None:
        raise EventLogError("The event log holds no events, so nothing can be said from it.")
    open_at = {end for end, bound in (("start", since), ("end", as_of)) if bound is None}
    if not open_at or not events or _busy_at_both_ends(log, first, last, events):
        return log, as_of or end_after(last, dates_only=dates_only)
    edges = edges_of(daily(log), outskirts(log))
    for remark in stray_remarks(edges):
        if open_at.issuperset(remark.about):
            warnings.warn(remark.text, EngagekitWarning, stacklevel=4)
    if "start" in open_at and edges.before:
        log = log.filter(at >= edges.start)
    if "end" in open_at and edges.after:
        log, last = log.filter(at <= edges.last), edges.last
    return log, as_of or end_after(last, dates_only=dates_only)


def end_after(last: datetime, *, dates_only: bool) -> datetime:
    """Give the instant just after the last event; of a log of dates the end of that day."""
    step = timedelta(days=1) if dates_only else timedelta(microseconds=1)
    return (last + step).astimezone(UTC)


def _busy_at_both_ends(log: pl.LazyFrame, first: datetime, last: datetime, events: int) -> bool:
    """Say whether the outermost days alone show that nothing can be cut off, as they mostly do."""
    reach = max(timedelta(days=2 * (GAP + 1)), (last - first) * 3 * SHARE)
    at = pl.col("at")
    outer = log.filter((at <= first + reach) | (at >= last - reach)).group_by(
        at.dt.date().alias("day")
    )
    counts = outer.agg(pl.len()).sort("day").collect(engine="streaming")
    front, back = list(counts.iter_rows()), list(counts.reverse().iter_rows())
    return (
        _busy(front, events)
        and _busy(back, events)
        and outskirts(log).crowded(_ago(last.date(), GAP), last.date())
    )


def _busy(outer: Sequence[tuple[date, int]], events: int) -> bool:
    """Say whether more than little was done from the outermost day on before the first gap."""
    done, before = 0, outer[0][0]
    for day, count in outer:
        if abs((day - before).days) - 1 > GAP:
            return False
        done, before = done + count, day
        if done > FEW_EVENTS and done >= SHARE * events:
            return True
    return False


def stray_remarks(edges: Edges) -> list[Remark]:
    """Say what lies outside the body, at each end."""
    ends = [(edges.before, "start", edges.start), (edges.after, "end", edges.last)]
    return [_remark(stray, end, edge) for stray, end, edge in ends if stray is not None]


def _remark(stray: Stray, end: str, edge: datetime) -> Remark:
    first, last = (f"{moment:%Y-%m-%d}" for moment in (stray.first, stray.last))
    span = f"on {first}" if first == last else f"from {first} to {last}"
    verb, where = ("begins", "before") if end == "start" else ("ends", "behind")
    away = f"{many(stray.gap, 'empty day')} {where} it" if stray.gap else f"few {where} many"
    text = (
        f"The log {verb} on {edge:%Y-%m-%d}: {many(stray.events, 'event')} of {many(stray.users, 'user')} {span} "
        f"{'is' if stray.events == 1 else 'are'} left out, {away}; a wrong clock or a test may have made them."
    )
    return Remark(STRAY, (end,), text, stray.users)
