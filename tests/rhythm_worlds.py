"""Logs of products with rhythms of their own, made by code that shares nothing with the package.

A user signs up, activates within the hour, and then comes as the product's rhythm has it. Some never return; of the
others some quit for good on a day that is known; everybody else is *live*: they go on at their rhythm, however long it
pauses. So whoever is live has not left, and whoever quit has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

import engagekit as ek

START = datetime(2025, 1, 6, tzinfo=UTC)  # a Monday
SHUTDOWN = (date(2025, 12, 20), date(2026, 1, 4))  # both days are closed
FOREVER = 10**6


@dataclass(frozen=True)
class World:
    """A log, and of every user whether they ever return and the day on which they quit (null: live)."""

    events: pl.DataFrame
    truth: pl.DataFrame  # user_id, returns, quits (days since START; null: never)
    days: int

    def journeys(self, **settings):
        usual = {"signup": "signed_up", "activation": "first", "core": "work"}
        definition = ek.Definition(**usual | settings)
        return ek.rollup(self.events, definition, as_of=at(self.days))

    def standing(self, day):
        """Say of each user who ever returned whether they are live at the start of that day, or since when dead."""
        quits = pl.col("quits")
        return self.truth.filter("returns").select(
            "user_id",
            (quits.is_null() | (quits >= day)).alias("live"),
            (day - quits).alias("dead_for"),
        )


def at(day):
    return START + timedelta(days=day)


def made(
    rhythm, *, users=1500, days=480, seed=0, never=0.15, quits=0.3, sign_ups=0.6, doubling=None
):
    """Make a log: `rhythm(rng, first, last)` gives the days on which one user comes after day `first`, before `last`.

    Users sign up evenly in the first part of the log (`sign_ups`), or all the time and twice as many after every
    `doubling` days.
    """
    rng = np.random.default_rng(seed)
    joined = np.sort(rng.uniform(0, sign_ups * days, users))
    if doubling is not None:
        joined = np.sort(days + doubling * np.log2(rng.uniform(2 ** (-days / doubling), 1, users)))
    rows_user, rows_event, rows_day = [], [], []
    truth = []
    for user, since in enumerate(joined):
        returns = rng.random() >= never
        leaves = returns and rng.random() < quits
        last = float(rng.uniform(since + 30, max(since + 31, days))) if leaves else FOREVER
        came = np.empty(0)
        if returns:
            came = np.asarray(rhythm(rng, int(since), min(days, int(np.ceil(last)))), dtype=float)
            came = np.unique(came[(came > int(since)) & (came < min(days, last))])
        hours = rng.uniform(8, 18, len(came)) / 24
        rows_user += [np.full(3 + len(came), user)]
        rows_event += ["signed_up", "first", "work"] + ["work"] * len(came)
        rows_day += [np.array([since, since + 0.01, since + 0.02]), came + hours]
        truth.append((user, bool(len(came)), last if leaves else None))
    spent = np.concatenate(rows_day)
    events = pl.DataFrame(
        {"user_id": np.concatenate(rows_user), "event": rows_event, "spent": spent}
    ).filter(pl.col("spent") < days)
    at_ = pl.lit(START) + pl.duration(
        microseconds=(pl.col("spent") * 86_400_000_000).cast(pl.Int64)
    )
    return World(
        events.select("user_id", "event", at_.alias("at")),
        pl.DataFrame(truth, schema={"user_id": pl.Int64, "returns": pl.Boolean, "quits": pl.Float64}, orient="row"),
        days,
    )  # fmt: skip


def _flips(rng, chance, days):
    return days[rng.random(len(days)) < chance]


def _calendar(first, last):
    return np.arange(first, last)


def daily(rng, first, last):
    return _flips(rng, rng.uniform(0.6, 0.95), _calendar(first, last))


def weekly(rng, first, last):
    weeks = np.arange(first, last + 7, 7) + rng.integers(0, 7)
    kept = _flips(rng, 0.9, weeks)
    return kept + rng.integers(-1, 2, len(kept))


def office(rng, first, last):
    days = _calendar(first, last)
    return _flips(rng, rng.uniform(0.5, 0.9), days[days % 7 < 5])


def office_with_shutdown(rng, first, last):
    days = office(rng, first, last)
    closed = [(d - START.date()).days for d in SHUTDOWN]
    return days[(days < closed[0]) | (days > closed[1])]


def month_end(rng, first, last):
    """Books are closed on the first three days of a month: on one, two or all of them."""
    days = _calendar(first, last)
    numbers = np.array([(START + timedelta(days=int(d))).day for d in days], dtype=int)
    chosen = days[numbers <= 3]
    return _flips(rng, 0.8, chosen)


def four_on_ten_off(rng, first, last):
    days = _calendar(first, last)
    return days[(days - first - rng.integers(0, 14)) % 14 < 4]


def bursts(rng, first, last):
    """Projects of three to six days, pauses of 15 to 40."""
    found, day = [], first
    while day < last:
        length = int(rng.integers(3, 7))
        found += range(day, day + length)
        day += length + int(rng.integers(15, 41))
    return np.array(found)


def power_law(rng, first, last):
    """Gaps with a tail of exponent 1.5, at a pace of the user's own."""
    return _by_gaps(lambda _: rng.uniform(1, 4) * rng.pareto(1.5), first, last)


def power_law_rates(rng, first, last):
    """Memoryless visits at rates that differ by a power law between users."""
    mean = min(60.0, 1.5 * (1 + rng.pareto(1.2)))
    return _by_gaps(lambda _: rng.exponential(mean), first, last)


def slowing_down(rng, first, last):
    """Gaps that grow by a twentieth each, and never end."""
    pace = rng.uniform(1, 3)
    return _by_gaps(lambda k: rng.gamma(4, pace * 1.05**k / 4), first, last)


def monthly(rng, first, last):
    days = np.arange(first, last + 30, 30) + rng.integers(0, 30)
    return days + rng.integers(-3, 4, len(days))


def _by_gaps(gap, first, last):
    found, spent, count = [], float(first), 0
    while spent < last:
        spent += max(0.2, gap(count))
        found.append(int(spent))
        count += 1
    return np.array(found)


def groceries(rng, first, last):
    """Purchases at paces of some weeks: whoever buys usually pauses for eleven weeks or less."""
    mean = 57 * rng.lognormal(0, 0.5)
    return _by_gaps(lambda _: rng.gamma(2, mean / 2), first, last)


RHYTHMS = {
    "daily": daily,
    "weekly": weekly,
    "office days": office,
    "office, two weeks shut": office_with_shutdown,
    "month-end": month_end,
    "4 on 10 off": four_on_ten_off,
    "bursts": bursts,
    "power-law gaps": power_law,
    "power-law rates": power_law_rates,
    "slowing down": slowing_down,
    "monthly": monthly,
}


def stationary(days, *, per_day=40, life=45, seed=0):
    """A product that never changes: sign-ups at one rate, of whom three in five activate, with lives of one length.

    Whoever activates and returns comes on a third of the days until the life ends; two in five of them go deeper.
    """
    rng = np.random.default_rng(seed)
    count = rng.poisson(per_day * days)
    joined = np.sort(rng.uniform(0, days, count))
    parts = [("signed_up", np.arange(count), joined)]
    active = np.flatnonzero(rng.random(count) < 0.6)
    begun = joined[active] + rng.exponential(2, len(active))
    parts += [("first", active, begun), ("work", active, begun + 0.001)]
    returns = rng.random(len(active)) < 0.75
    user, start = active[returns], begun[returns]
    ends = np.minimum(start + rng.exponential(life, len(user)), days)
    spans = np.maximum(0, np.ceil(ends) - np.floor(start) - 1).astype(int)
    of = np.repeat(np.arange(len(user)), spans)
    day = (
        np.floor(start)[of] + 1 + (np.arange(len(of)) - np.repeat(np.cumsum(spans) - spans, spans))
    )
    kept = rng.random(len(of)) < 0.35
    parts.append(("work", user[of[kept]], day[kept] + rng.uniform(0.3, 0.7, kept.sum())))
    deep = rng.random(len(user)) < 0.4
    parts += [("report", user[deep], start[deep] + after) for after in (3, 6)]
    events = pl.concat(
        [pl.DataFrame({"user_id": u, "event": [name] * len(u), "spent": t}) for name, u, t in parts]
    ).filter(pl.col("spent") < days)
    at_ = pl.lit(START) + pl.duration(
        microseconds=(pl.col("spent") * 86_400_000_000).cast(pl.Int64)
    )
    truth = pl.DataFrame({"user_id": user, "returns": spans > 0, "quits": start + 0.0})
    return World(events.select("user_id", "event", at_.alias("at")), truth, days)


def mailed(world, *, seed=0, every=7, together=False, silent_for=None, brings=0.0, weekdays=None):
    """Add messages to a log, and the visits that they bring.

    Each user gets one `every` so many days (a pair: at random gaps between) from the sign-up on, or everybody on the
    same days (`together`), or only when silent for `silent_for` days and again `every` days; `weekdays` keeps to some
    of them. With probability `brings`, a message brings a live user back within a day and a half.
    """
    rng = np.random.default_rng(seed + 10_000)
    spent = (pl.col("at") - START).dt.total_microseconds() / 86_400_000_000
    since = dict(
        world.events.filter(pl.col("event") == "signed_up")
        .select("user_id", spent.alias("day"))
        .rows()
    )
    core = (
        world.events.filter(pl.col("event") == "work")
        .sort("user_id", "at")
        .group_by("user_id")
        .agg(spent.alias("day"))
    )
    visits = dict(core.rows())
    quits = dict(world.truth.select("user_id", pl.col("quits").fill_null(FOREVER)).rows())
    rows = []
    shared = rng.uniform(0, 14)
    for user, joined in since.items():
        gap = (lambda: every) if np.isscalar(every) else (lambda: rng.uniform(*every))
        sent, times = [], sorted(visits.get(user, []))
        day = shared if together else joined + rng.uniform(0, gap() if silent_for is None else 1)
        while day < world.days:
            noon = np.floor(day) + 0.4 + 0.05 * rng.random()
            calm = (
                silent_for is None
                or noon - max([joined, *[t for t in times if t < noon]]) >= silent_for
            )
            on_day = weekdays is None or int(np.floor(day)) % 7 in weekdays
            if noon > joined and calm and on_day:
                sent.append(noon)
                if noon < quits.get(user, FOREVER) and times and rng.random() < brings:
                    came = noon + rng.uniform(0.05, 1.5)
                    times = sorted([*times, came])
                    rows.append((user, "work", came))
            day += gap() if silent_for is None or calm else 1
        rows += [(user, "mail", t) for t in sent]
    more = pl.DataFrame(
        rows, schema={"user_id": pl.Int64, "event": pl.String, "day": pl.Float64}, orient="row"
    )
    at_ = pl.lit(START) + pl.duration(microseconds=(pl.col("day") * 86_400_000_000).cast(pl.Int64))
    more = more.filter(pl.col("day") < world.days).select("user_id", "event", at_.alias("at"))
    return World(pl.concat([world.events, more]), world.truth, world.days)
