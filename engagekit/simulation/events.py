"""The events that simulated users leave behind, vectorised: every function returns chunks of (user, name, time)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from engagekit.simulation.experiments import EXPOSED, Lot
from engagekit.simulation.users import ADVANCED, CLASSES, STEPS, VANISHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engagekit.simulation.users import Fates, Flags, Floats, Whole

Chunk: TypeAlias = "tuple[Whole, str, Floats]"
MINUTE = 1 / 1440

STEP_NAMES = ("Profile", "Connect data", "Template", "First draft")
STEP_EVENTS = (
    ("profile_opened", "profile_saved"),
    ("connect_started", "connect_done"),
    ("templates_opened", "template_chosen"),
    ("draft_started", "draft_saved"),
)
ADVANCED_EVENTS = ("automation_run", "report_scheduled", "dashboard_embedded")
LATE_EVENT = "assistant_asked"
NULL_EVENTS = (
    "theme_changed",
    "help_opened",
    "search_used",
    "avatar_changed",
    "shortcut_pressed",
    "filter_saved",
)


@dataclass(frozen=True)
class Visits:
    """Visits after activation, and the activation itself as visit 0: whose, which one, when."""

    user: Whole
    number: Whole
    at: Floats

    def of(self, chosen: Flags) -> Visits:
        """Keep some of the visits."""
        return Visits(self.user[chosen], self.number[chosen], self.at[chosen])


def same_day(at: Floats, offset: Floats) -> Floats:
    """Move times on by an offset, but never past their local midnight."""
    return np.minimum(at + offset, np.floor(at) + 1 - MINUTE / 6)


def office_hours(rng: np.random.Generator, size: int) -> Floats:
    """Draw times of day around early afternoon, as shares of a day."""
    return np.clip(rng.normal(0.57, 0.15, size), 0.02, 0.97)


def draw_visits(
    rng: np.random.Generator, fates: Fates, end: float, habit_days: float, weekend: Flags | None
) -> tuple[Visits, Floats]:
    """Draw everybody's visits before the end, and since when each drifter has been missing (else infinite)."""
    who = np.flatnonzero(fates.returns & (fates.activated < end))
    room = end - fates.activated[who]
    count = np.ceil(1.6 * room / fates.cadence[who]).astype(np.int64) + 16
    user = np.repeat(who, count)
    first = np.cumsum(count) - count
    number = np.arange(user.size) - np.repeat(first, count)
    gap = rng.gamma(2.0, fates.cadence[user] / 2)
    gap = np.clip(gap, 1.05, habit_days * 0.85) if fates.in_time else np.maximum(gap, 0.02)
    gap[first] = 0.0
    total = np.cumsum(gap)
    at = fates.activated[user] + total - np.repeat(total[first], count)
    at = _retimed(rng, at, number, fates.activated[user], None if fates.in_time else weekend)
    missing = np.full(fates.signed.size, np.inf)
    stops = number == fates.stop[user]
    missing[user[stops]] = at[stops]
    once = np.flatnonzero((fates.planted == VANISHED) & (fates.activated < end))
    back = Visits(user, number, at).of((number < fates.stop[user]) & (at < end))
    return Visits(
        np.concatenate([once, back.user]),
        np.concatenate([np.zeros(once.size, np.int64), back.number]),
        np.concatenate([fates.activated[once], back.at]),
    ), missing


def _retimed(
    rng: np.random.Generator, at: Floats, number: Whole, activated: Floats, weekend: Flags | None
) -> Floats:
    """Put visits of later days into waking hours, and some weekend visits off to the next week."""
    day = np.floor(at)
    if weekend is not None:
        put_off = (number > 0) & (rng.random(at.size) < 0.6) & _falls_on(weekend, day)
        for _ in range(2):
            day = np.where(put_off & _falls_on(weekend, day), day + 1, day)
        day = np.where(put_off, day + rng.integers(0, 4, at.size), day)
    later = day > np.floor(activated)
    return np.where(later, day + office_hours(rng, at.size), at)


def _falls_on(weekend: Flags, day: Floats) -> Flags:
    return weekend[np.minimum(day.astype(np.int64), weekend.size - 1)]


def before_activation(rng: np.random.Generator, fates: Fates) -> Iterator[Chunk]:
    """Sign up, look around, and go through the steps as far as each user gets."""
    n = fates.signed.size
    everyone = np.arange(n)
    yield everyone, "signed_up", fates.signed
    looks = np.repeat(everyone, rng.poisson(1.2, n))
    yield looks, "opened", fates.signed[looks] + rng.exponential(0.6, looks.size) + MINUTE
    friction, stalled = (fates.planted == CLASSES.index(c) for c in ("friction", "stalled"))
    activates = fates.planted >= VANISHED
    completes = np.where(activates, STEPS, np.where(friction | stalled, fates.hot_step, 0))
    opens = np.where(friction | fates.peeks, completes + 1, completes)
    for step, (reached, completed) in enumerate(STEP_EVENTS):
        begin = fates.signed + fates.pace * (step + rng.uniform(0.1, 0.4, n)) / STEPS
        close = fates.signed + fates.pace * (step + rng.uniform(0.5, 0.9, n)) / STEPS
        yield everyone[opens > step], reached, begin[opens > step]
        yield everyone[completes > step], completed, close[completes > step]
        stuck = everyone[friction & (fates.hot_step == step)]
        again = np.repeat(stuck, rng.poisson(1.2, stuck.size))
        yield again, reached, begin[again] + rng.exponential(2.0, again.size) + MINUTE


def at_visits(rng: np.random.Generator, visits: Visits) -> Iterator[Chunk]:
    """Do the core action at every visit, with repeats in the same sitting; visit 0 is the activation."""
    first = visits.of(visits.number == 0)
    yield first.user, "first_project", first.at
    yield visits.user, "project_published", same_day(visits.at, np.full(visits.at.size, MINUTE))
    yield visits.user, "opened", visits.at - 2 * MINUTE * rng.random(visits.at.size)
    repeats = np.repeat(np.arange(visits.at.size), rng.poisson(0.5, visits.at.size))
    later = same_day(visits.at[repeats], rng.uniform(3, 40, repeats.size) * MINUTE)
    yield visits.user[repeats], "project_published", later
    strays = np.repeat(np.arange(first.at.size), rng.poisson(1.0, first.at.size))
    yield (
        first.user[strays],
        "opened",
        first.at[strays] + 0.1 + rng.exponential(9.0, strays.size),
    )


def going_deep(
    rng: np.random.Generator, fates: Fates, visits: Visits, launch: float | None, tries: float
) -> Iterator[Chunk]:
    """Use advanced actions: adopted ones again and again, tried ones once and never again."""
    n = fates.signed.size
    main = rng.integers(0, ADVANCED, n)
    has = rng.random((n, ADVANCED)) < 0.6
    has[np.arange(n), main] = True
    tried = np.where(rng.random(n) < tries, rng.integers(0, ADVANCED, n), -1)
    tried_at = rng.integers(1, 9, n)
    since = visits.number - fates.adopt[visits.user]
    adopted = fates.deepens[visits.user] & (since >= 0)
    for action, name in enumerate(ADVANCED_EVENTS):
        uses = rng.random(visits.at.size) < 0.45
        if fates.in_time:
            uses |= (main[visits.user] == action) & (since < 2)
        once = ~fates.deepens[visits.user] & (tried[visits.user] == action)
        once &= visits.number == tried_at[visits.user]
        chosen = (adopted & has[visits.user, action] & uses) | once
        at = same_day(visits.at[chosen], rng.uniform(2, 30, chosen.sum()) * MINUTE)
        yield visits.user[chosen], name, at
    if launch is not None:
        chosen = adopted & (visits.at >= launch) & (rng.random(visits.at.size) < 0.3)
        yield (
            visits.user[chosen],
            LATE_EVENT,
            same_day(visits.at[chosen], np.full(chosen.sum(), MINUTE)),
        )


def speaking_for_it(rng: np.random.Generator, fates: Fates, visits: Visits) -> Iterator[Chunk]:
    """Invite others: advocates at one of their first visits and now and then."""
    number = rng.integers(1, 4, fates.signed.size)
    first = visits.number == number[visits.user]
    now_and_then = (visits.number > 3) & (rng.random(visits.at.size) < 0.04)
    chosen = fates.advocates[visits.user] & (first | now_and_then)
    yield (
        visits.user[chosen],
        "invite_sent",
        same_day(visits.at[chosen], np.full(chosen.sum(), 0.01)),
    )


def noise_at_visits(
    rng: np.random.Generator, fates: Fates, visits: Visits, names: tuple[str, ...]
) -> Iterator[Chunk]:
    """Do things that mean nothing: at any visit with one chance for all, so that only exposure differs."""
    everyone = np.arange(fates.signed.size)
    for name in names:
        chosen = rng.random(visits.at.size) < 0.12
        yield visits.user[chosen], name, visits.at[chosen] + MINUTE
        early = everyone[rng.random(everyone.size) < 0.05]
        yield early, name, fates.signed[early] + rng.exponential(0.5, early.size) + MINUTE


def telling_early(
    rng: np.random.Generator, fates: Fates, telling: Mapping[str, tuple[float, float]]
) -> Iterator[Chunk]:
    """Do once in the first days what lasting users do more often than the others."""
    lasts = fates.returns & ~fates.drifts
    for name, (lasting, others) in telling.items():
        does = np.flatnonzero(rng.random(lasts.size) < np.where(lasts, lasting, others))
        yield does, name, fates.signed[does] + rng.uniform(0.01, 6.0, does.size)


def feedback(rng: np.random.Generator, fates: Fates, visits: Visits) -> Iterator[Chunk]:
    """Ask at the third visit and sometimes at the first; who went deep answers more often."""
    ask = (visits.number == 2) & (rng.random(visits.at.size) < 0.8)
    ask |= (visits.number == 0) & (rng.random(visits.at.size) < 0.2)
    asked = visits.of(ask)
    answers = rng.random(asked.at.size) < np.where(fates.deepens[asked.user], 0.5, 0.22)
    yield asked.user, "survey_shown", asked.at + 3 * MINUTE
    yield (
        asked.user[answers],
        "survey_answered",
        asked.at[answers] + rng.uniform(4, 20, answers.sum()) * MINUTE,
    )


def errors(rng: np.random.Generator, fates: Fates, visits: Visits) -> Iterator[Chunk]:
    """Meet errors at visits and where friction sits; some of them end in a ticket."""
    friction = np.flatnonzero(fates.planted == CLASSES.index("friction"))
    friction = friction[rng.random(friction.size) < 0.4]
    hit = visits.of(rng.random(visits.at.size) < 0.04)
    user = np.concatenate([friction, hit.user])
    stuck = fates.signed + fates.pace * (fates.hot_step + 0.6) / STEPS
    at = np.concatenate([stuck[friction], hit.at + 2 * MINUTE])
    yield user, "error_shown", at
    writes = rng.random(user.size) < 0.15
    yield user[writes], "ticket_opened", at[writes] + rng.uniform(5, 120, writes.sum()) * MINUTE


def outreach(
    rng: np.random.Generator, fates: Fates, visits: Visits, missing: Floats, habit_days: float
) -> tuple[Visits, Floats, list[Chunk]]:
    """Write to new users and to silent ones; some drifters return, fewer of them stay.

    Returns all visits with the returns among them, since when each drifter is missing then, and the mails sent.
    """
    n = fates.signed.size
    last = np.full(n, -np.inf)
    np.maximum.at(last, visits.user, visits.at)
    quiet = np.flatnonzero(np.isfinite(missing) | ((fates.planted == VANISHED) & np.isfinite(last)))
    sent = last[quiet] + np.maximum(habit_days + 2, 3 * fates.cadence[quiet])
    mails = [(np.arange(n), "email_sent", fates.signed + 3.0), (quiet, "email_sent", sent)]
    moved = fates.drifts[quiet] & (rng.random(quiet.size) < 0.3)
    back, since = quiet[moved], sent[moved]
    stays = rng.random(back.size) < 0.45
    count = np.where(stays, rng.integers(3, 9, back.size), 1)
    user = np.repeat(back, count + 1)
    first = np.cumsum(count + 1) - count - 1
    gap = rng.gamma(2.0, fates.cadence[user] / 2) + 0.02
    gap[first] = rng.uniform(0.2, 6.0, back.size)
    total = np.cumsum(gap)
    at = np.repeat(since, count + 1) + total - np.repeat(total[first] - gap[first], count + 1)
    last_of_all = np.zeros(user.size, bool)
    last_of_all[first + count] = True
    missing = missing.copy()
    missing[user[last_of_all]] = at[last_of_all]
    number = np.repeat(np.full(back.size, 1000), count + 1)  # later than any first visits
    more = Visits(user, number, at).of(~last_of_all)
    joined = Visits(
        np.concatenate([visits.user, more.user]),
        np.concatenate([visits.number, more.number]),
        np.concatenate([visits.at, more.at]),
    )
    return joined, missing, mails


def exposure(fates: Fates, lot: Lot) -> Iterator[Chunk]:
    """Tell who was assigned in the experiment: one event, a moment after the sign-up."""
    seen = np.flatnonzero((lot.group >= 0) & lot.told)
    yield seen, EXPOSED, fates.signed[seen] + MINUTE / 2
