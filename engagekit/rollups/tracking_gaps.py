"""Events of the definition that stop, start or are renamed midway, while the rest of the log goes on."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from engagekit._base import Remark, many
from engagekit.instants import day_of, days, last_day, local_day
from engagekit.journeys import windows_of
from engagekit.matchers import label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engagekit.journeys import Journeys
    from engagekit.matchers import Goal

TRACKING = "tracking stops or starts"  # the kind of remark
DUE = 20  # so many events of a kind must have been due on days without any
LEAST, TIMES, NEAR = (
    3,
    3,
    91,
)  # a span of days is longer than these say, against the spans usual around it
DELAY = 0.8  # so many users do an event for the first time within the usual delay
# Which window of users an event decides, by role; from the link on, verdicts rest on it.
WINDOW_OF = {"signup": "activation", "activation": "activation", "step": "activation", "core": "habit", "advanced": "depth", "advocacy": "advocacy"}  # fmt: skip


@dataclass(frozen=True)
class _Role:
    """An event of the definition day by day: how often it was done, beside what it is held against."""

    name: str
    event: str
    times: Sequence[float]
    beside: Sequence[float]
    delay: int = 0  # days that pass from sign-up until most users who do it have done it, where these days are compared

    @property
    def later(self) -> bool:
        """Whether users come to it in the course of time, and not at the beginning."""
        return self.name.split(" ")[0] not in ("signup", "activation", "step")


class _First(NamedTuple):
    """When users did something for the first time: the delay that is usual from sign-up on, and how many by day."""

    delay: int
    times: list[float]


def of_tracking(journeys: Journeys, events: pl.DataFrame, strangers: int) -> list[Remark]:
    """Say which events of the definition were not seen for days on which, at their usual rate, 20 were due.

    Sign-ups are held against all events of the log, activation and steps against sign-ups, all others against the rest
    of the log, each within 91 days of the span. The span is longer than 3 days, and than 3 times what is usual between
    two days with the event. Of several spans of one event that is named which bends most users.

    Parameters
    ----------
    journeys
        All users.
    events
        The events of the log by day: ``day, len``.
    strangers
        How many users of the log have no sign-up.
    """
    first, last = (
        day_of(journeys.log_start, journeys.timezone),
        last_day(journeys.as_of, journeys.timezone),
    )
    last = min([last, *events["day"].sort().tail(1).to_list()])
    if (last - first).days <= LEAST:
        return []
    axis = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    signups = _firsts(journeys.users.lazy(), "signed_up_at", journeys, axis)
    found: list[Remark] = []
    for role in _roles(journeys, events, signups, axis):
        spans = [(axis[start], axis[end]) for start, end in _missing(journeys, role, signups)]
        remarks = [
            _remark(journeys, role, since, until, (axis[0], axis[-1]), strangers)
            for since, until in spans
        ]
        worst = max((r for r in remarks if r), key=lambda remark: remark.users or 0, default=None)
        found += [worst] if worst else []
        if worst and role.name == "signup":
            break  # without new users all else falls away as well
    return found


def _on(counts: pl.DataFrame, axis: Sequence[date]) -> list[float]:
    known = dict(counts.select("day", "n").iter_rows())
    return [float(known.get(day, 0)) for day in axis]


def _roles(
    journeys: Journeys, events: pl.DataFrame, signups: Sequence[float], axis: Sequence[date]
) -> list[_Role]:
    definition, users = journeys.definition, journeys.users.lazy()
    whole = _on(events.select("day", n="len"), axis)
    roles = []
    if definition.signup is not None:
        roles.append(_Role("signup", label(definition.signup), signups, whole))
    firsts: list[tuple[str, Goal, _First]] = []
    activated = _First(
        _delay(users, "activated_at"), _firsts(users, "activated_at", journeys, axis)
    )
    firsts.append(("activation", definition.activation, activated))
    by_step = _by_step(journeys, axis)
    for number, step in enumerate(definition.steps):
        for side, matcher in (("reached_at", step.reached), ("completed_at", step.completed)):
            if matcher is not None and number in by_step[side]:
                firsts.append((f"step {step.name!r}", matcher, by_step[side][number]))
    beside: dict[int, list[float]] = {}
    for name, goal, (delay, times) in firsts:
        if delay not in beside:
            beside[delay] = _rolling(signups, 1 + delay)
        roles.append(_Role(name, label(goal), times, beside[delay], delay))
    done = journeys.days.lazy().group_by("role", "day").agg(n=pl.col("times").sum()).collect()
    # The log may also hold users who are left out; those who count come in one by one.
    present = [so_far / (sum(signups) or 1) for so_far in accumulate(signups)]
    for name, matcher in definition.roles().items():
        times = _on(done.filter(pl.col("role") == name), axis)
        rest = [
            max(0.0, every - mine) * here
            for every, mine, here in zip(whole, times, present, strict=True)
        ]
        roles.append(_Role(name, label(matcher), times, rest))
    return [role for role in roles if any(role.times)]


def _by_step(journeys: Journeys, axis: Sequence[date]) -> dict[str, dict[int, _First]]:
    """Say for both sides of each step that anybody came to when users did, all steps at once."""
    sides, steps = ("reached_at", "completed_at"), len(journeys.definition.steps)
    if not steps:
        return {side: {} for side in sides}
    users = journeys.users.lazy().select("user_id", "signed_up_at")
    rows = journeys.steps.lazy().join(users, on="user_id").collect().lazy()
    asked = [
        rows.group_by("step").agg(_usual_delay(side) for side in sides),
        *[_by_day(rows, side, journeys, axis) for side in sides],
    ]
    delays, *counts = pl.collect_all(asked)
    found: dict[str, dict[int, _First]] = {}
    for side, counted in zip(sides, counts, strict=True):
        table = np.zeros((steps, len(axis)))
        table[counted["step"].to_numpy(), counted["place"].to_numpy()] = counted["n"].to_numpy()
        known = delays.select("step", side).rows()
        found[side] = {step: _First(int(delay or 0), table[step].tolist()) for step, delay in known}
    return found


def _by_day(
    rows: pl.LazyFrame, side: str, journeys: Journeys, axis: Sequence[date]
) -> pl.LazyFrame:
    place = (local_day(pl.col(side), journeys.timezone) - axis[0]).dt.total_days().alias("place")
    counted = rows.drop_nulls(side).group_by("step", place).agg(n=pl.len())
    return counted.filter(pl.col("place").is_between(0, len(axis) - 1))


def _firsts(
    frame: pl.LazyFrame, column: str, journeys: Journeys, axis: Sequence[date]
) -> list[float]:
    """Count by day how many did something for the first time."""
    day = local_day(pl.col(column), journeys.timezone).alias("day")
    return _on(frame.drop_nulls(column).group_by(day).agg(n=pl.len()).collect(), axis)


def _rolling(counts: Sequence[float], length: int) -> list[float]:
    found, held = [], 0.0
    for place, count in enumerate(counts):
        held += count - (counts[place - length] if place >= length else 0)
        found.append(held)
    return found


def _delay(frame: pl.LazyFrame, column: str) -> int:
    """Say how many days pass from sign-up until most of those who do something have done it for the first time."""
    return int(frame.select(_usual_delay(column)).collect().item() or 0)


def _usual_delay(column: str) -> pl.Expr:
    away = (pl.col(column) - pl.col("signed_up_at")).dt.total_days()
    return away.quantile(DELAY, "higher").alias(column)


def _delay_of(journeys: Journeys, role: str) -> int:
    first = (
        journeys.days.lazy()
        .filter(pl.col("role") == role)
        .group_by("user_id")
        .agg(pl.col("first_at").min())
    )
    users = journeys.users.lazy().select("user_id", "signed_up_at")
    return _delay(first.join(users, on="user_id"), "first_at")


def _missing(journeys: Journeys, role: _Role, signups: Sequence[float]) -> list[tuple[int, int]]:
    """Find the spans of places on which the event is missing though it was due."""
    seen = [place for place, times in enumerate(role.times) if times]
    usual = _usual(seen)
    spans = [(one + 1, other - 1) for one, other in pairwise(seen)]
    found = [span for span in spans if _is_due(role, *span, usual(span[1] - span[0] + 2))]
    last = (seen[-1] + 1, len(role.times) - 1)
    found += [last] if _is_due(role, *last, usual(0)) else []
    # What belongs to the first days or months of users ends when nobody signs up any more.
    found = [s for s in found if not role.later or _due_by_age(journeys, role, signups, *s) >= DUE]
    if found and role.later and role.name != "core":
        at_it = replace(role, beside=_returning(journeys, len(role.times)))
        found = [span for span in found if _due(at_it, *span) >= DUE]
    first = (0, seen[0] - 1)
    # Before the first one of all, users must have had the time to come to it.
    if _is_due(role, *first, usual(0)) and (
        not role.later or _is_due(role, _delay_of(journeys, role.name), first[1], usual(0))
    ):
        found.insert(0, first)
    return found


def _is_due(role: _Role, start: int, end: int, usual: int) -> bool:
    longer = max(LEAST, TIMES * usual, 2 * role.delay)
    return end - start + 1 > longer and _due(role, start, end) >= DUE


def _usual(seen: Sequence[int]) -> Callable[[int], int]:
    """Say, but for one span, which empty days are usual between two with an event: such and shorter ones hold half the time."""
    lengths = sorted(other - one for one, other in pairwise(seen))
    held = list(accumulate(lengths))

    def usual(but: int) -> int:
        half = ((held[-1] if held else 0) - but) / 2
        return lengths[bisect_left(held, half)] - 1 if half > 0 else 0

    return usual


def _due_by_age(
    journeys: Journeys, role: _Role, signups: Sequence[float], start: int, end: int
) -> float:
    """Say how many events were due against the users who are as new as most are when they do it."""
    users = journeys.users.lazy().select("user_id", "signed_up_at")
    done = journeys.days.lazy().filter(pl.col("role") == role.name).join(users, on="user_id")
    beside = _rolling(signups, 1 + _delay(done, "first_at"))
    return _due(replace(role, beside=beside), start, end)


def _returning(journeys: Journeys, length: int) -> list[float]:
    """Count by day the core actions of users who came back: what only they do falls away with them, as in holidays."""
    later = pl.col("day") > pl.col("day").min().over("user_id")
    core = journeys.days.lazy().filter(pl.col("role") == "core").filter(later)
    counts = core.group_by("day").agg(n=pl.col("times").sum()).collect()
    first = day_of(journeys.log_start, journeys.timezone)
    return _on(counts, [first + timedelta(days=n) for n in range(length)])


def _due(role: _Role, start: int, end: int) -> float:
    """Say how many events were due, at their rate on the days around; none where the rest does not go on either."""
    within = range(start, end + 1)
    before, after = max(0, start - NEAR), min(len(role.times), end + 1 + NEAR)
    around = [*range(before, start), *range(end + 1, after)]
    beside = sum(role.beside[place] for place in around)
    going, usual = (
        sum(role.beside[place] > 0 for place in places) / (len(places) or 1)
        for places in (within, around)
    )
    if not beside or 2 * going < usual:
        return 0.0
    rate = sum(role.times[place] for place in around) / beside
    return float(rate * sum(role.beside[place] for place in within))


def _remark(
    journeys: Journeys,
    role: _Role,
    since: date,
    until: date,
    log: tuple[date, date],
    strangers: int,
) -> Remark | None:
    kind = role.name.split(":")[0].split(" ")[0]
    users: int | None
    if kind == "signup":
        users, of = strangers, strangers + journeys.users.lazy().select(pl.len()).collect().item()
        if (
            not strangers
        ):  # nobody signed up on these days, it seems: who was there had done so before
            return None
    else:
        users, of = users_bent(journeys, kind, since, until)
    span = many((until - since).days + 1, "day")
    began, stopped = since == log[0], until == log[1]
    when = (
        f"before {until + timedelta(days=1)}"
        if began
        else f"from {since} on"
        if stopped
        else f"from {since} to {until}"
    )
    other = "" if began else _renamed(journeys, since)
    text = (
        f"{role.name.replace(':', ' action ', 1) if kind == 'advanced' else f'{role.name} ({role.event})'} is in no event {when} ({span}), though the rest of the log goes on "
        f"and at its usual rate {DUE} or more were due: its tracking may have {'begun' if began else 'stopped'} then.{other}"
    )
    about = (role.name, since.isoformat(), until.isoformat())
    return Remark(TRACKING, about, text, users, users / of if users is not None and of else None)


def users_bent(journeys: Journeys, kind: str, since: date, until: date) -> tuple[int | None, int]:
    """Count the users whose window for an event lies in part on some days, of those it could be."""
    if kind not in WINDOW_OF:
        return None, 0
    window = WINDOW_OF[kind]
    opens = pl.col("signed_up_at" if window == "activation" else "activated_at")
    length = windows_of(journeys.definition)[window]
    zone = journeys.timezone
    touched = (local_day(opens, zone) <= until) & (local_day(opens + days(length), zone) >= since)
    done = (
        pl.col("activated_at") if window == "activation" else pl.lit(None, pl.Datetime("us", "UTC"))
    )
    before = (local_day(done, zone) < since).fill_null(value=False)
    row = journeys.users.lazy().select((touched & ~before).sum(), n=opens.count()).collect().row(0)
    return int(row[0]), int(row[1])


def _renamed(journeys: Journeys, since: date) -> str:
    """Name the events that begin when another one ends."""
    first = local_day(pl.col("first_at").min(), journeys.timezone).alias("first")
    begun = journeys.early.lazy().group_by(pl.col("event").cast(pl.String)).agg(first, n=pl.len())
    near = (pl.col("first") - pl.lit(since)).dt.total_days().abs() <= LEAST
    start = day_of(journeys.log_start, journeys.timezone) + timedelta(days=LEAST)
    names = (
        begun.filter(near, pl.col("first") > start)
        .sort("n", "event", descending=[True, False])
        .head(2)
    )
    found = names.collect()["event"].to_list()
    return (
        f" {' and '.join(map(repr, found))} {'begins' if len(found) == 1 else 'begin'} then: was it renamed?"
        if found
        else ""
    )
