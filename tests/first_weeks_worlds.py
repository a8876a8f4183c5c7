"""Made logs whose truth about first weeks is known, by code that shares nothing with the package.

Every world has users with an intent that nobody sees. Intent decides how often they come, how much they do on a day,
and whether they are retained; so nearly every action looks retaining. Thirty actions are logged: some of the kind that
the world is about, which mean nothing, some that act directly on being retained, and the rest, done on one active day as
on another. The kinds of actions that mean nothing:

- ``per day``: done with some chance on each active day;
- ``passive``: clicks in proportion to how much is done that day;
- ``second week``: possible only on days 7 to 13;
- ``returns``: a coin tossed on day 0 that brings people back;
- ``fills``: a coin tossed on day 0 that makes the day fuller;
- ``roll-out``: rolled out in steps of the calendar, while retention moves in steps, too;
- ``channel``: done more by users of one channel, who are retained more for other reasons;
- ``account``: switched on for whole accounts, whose users are alike;
- ``rival``: in a log of three kinds of actions, doing the one is not doing the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

import engagekit as ek

DAYS = 14
EPOCH, START = datetime(1970, 1, 1, tzinfo=UTC), datetime(2025, 1, 6, tzinfo=UTC)
SPAN = 168  # days over which users sign up
KINDS = (
    "per day", "passive", "second week", "returns", "fills", "roll-out", "channel", "account", "rival",
)  # fmt: skip


@dataclass
class World:
    """Who did what on which of the first days, who was retained, and what is true.

    - `counts`: users x days x actions, how often; `other`: users x days, events of no action looked at.
    - `kinds`: what each action is, in the order of `counts`; ``"direct"`` acts on being retained.
    - `ratios`: for direct actions the ratio a sequence of trials aims at, from the chances that made the log.
    """

    signed_up: np.ndarray  # days since the first sign-up, sorted
    counts: np.ndarray
    other: np.ndarray
    retained: np.ndarray
    kinds: list[str]
    names: list[str]
    ratios: dict[str, float] = field(default_factory=dict)
    channel: np.ndarray | None = None
    account: np.ndarray | None = None

    def log(self, seed: int = 0) -> pl.DataFrame:
        """Write the world down as an event log: sign-ups, actions, views, and a core action of the retained."""
        random = np.random.default_rng(seed)
        kinds = [*self.names, "view"]
        counts = np.concatenate([self.counts, self.other[:, :, None]], axis=2)
        who, day, what = np.nonzero(counts)
        times = counts[who, day, what]
        who, day, what = (np.repeat(each, times) for each in (who, day, what))
        stay = np.flatnonzero(self.retained)
        parts = [
            (
                who,
                np.array(kinds, object)[what],
                self.signed_up[who] + day + random.random(len(who)) * 0.999,
            ),
            (
                np.arange(len(self.signed_up)),
                np.full(len(self.signed_up), "signed_up", object),
                self.signed_up,
            ),
            (
                stay,
                np.full(len(stay), "core", object),
                self.signed_up[stay] + 28.5 + 13 * random.random(len(stay)),
            ),
        ]
        at = pl.from_epoch(
            pl.Series(np.concatenate([p[2] for p in parts]) * 86_400e6).cast(pl.Int64), "us"
        )
        return pl.DataFrame(
            {
                "user_id": np.concatenate([p[0] for p in parts]),
                "event": pl.Series(np.concatenate([p[1] for p in parts]).tolist(), dtype=pl.String),
                "at": at.dt.offset_by(f"{(START - EPOCH).days}d").dt.replace_time_zone("UTC"),
            }
        )

    def users(self) -> pl.DataFrame | None:
        """What is known of users beside the log."""
        told = {"channel": self.channel, "account_id": self.account}
        told = {name: value for name, value in told.items() if value is not None}
        return pl.DataFrame({"user_id": np.arange(len(self.signed_up))} | told) if told else None

    def journeys(self, seed: int = 0) -> ek.Journeys:
        """Roll the log up."""
        definition = ek.Definition(
            signup="signed_up", activation="core", core="core", outcome_days=(28, 42), habit_days=7
        )
        end = START + timedelta(days=SPAN + 60)
        return ek.rollup(self.log(seed), definition, users=self.users(), as_of=end)


def squash(x):
    return 1 / (1 + np.exp(-x))


def world(
    seed: int,
    kind: str = "per day",
    *,
    users: int = 2000,
    of_kind: int = 10,
    direct: int = 5,
    actions: int = 30,
    effect: float = 0.6,
    base: float = 0.4,
    shape: str = "steady",
    heavy: float = 0.5,
    volume: float = 3.0,
) -> World:
    """Make a world with `of_kind` null actions of one kind, `direct` ones that act, and plain ones up to `actions`.

    ``shape="quitting"`` lets users leave for good, and retained are those who have not; ``"steady"`` has every user come
    at a rhythm of their own. `heavy` is how unequal days are in volume.
    """
    random = np.random.default_rng([seed, KINDS.index(kind), users])
    n = users
    intent = random.normal(size=n)
    signed_up = np.sort(random.uniform(0, SPAN, n))
    shift = np.zeros(n)
    channel = account = None
    if kind == "account":
        size = int(random.choice([10, 30]))
        account = random.permutation(n) // size
        alike = random.normal(size=account.max() + 1) * (1.0 if size == 10 else 1.5)
        shift = alike[account]
        start = random.uniform(0, SPAN - 20, account.max() + 1)
        signed_up = start[account] + random.exponential(4, n).clip(0, 19)
    if kind == "channel":
        channel = (random.random(n) < 0.4).astype(int)
        shift = 1.0 * (channel - 0.4)
    if kind == "roll-out":
        steps = np.sort(random.uniform(0.1, 0.9, 2)) * SPAN
        shift = 0.7 * (np.searchsorted(steps, signed_up) - 1) * random.choice([-1, 1])
    if kind == "rival":
        return _rivals(random, intent, signed_up, base)

    come = squash(-1.1 + 0.7 * intent)[:, None] * np.ones(DAYS)
    alive = np.ones((n, DAYS), bool)
    if shape == "quitting":
        life = random.exponential(25 * np.exp(0.8 * intent))
        alive = np.arange(DAYS)[None, :] < life[:, None]
        come = squash(-0.3 + 0.4 * intent)[:, None] * np.ones(DAYS)

    plain = actions - of_kind - direct
    kinds = [kind] * of_kind + ["direct"] * direct + ["per day"] * plain
    tossed = random.random((n, of_kind)) < random.uniform(0.2, 0.5, of_kind)
    if kind == "returns":
        hour = random.uniform(0.05, 0.3, of_kind) / np.sqrt(of_kind)
        come = 1 - (1 - come) * np.prod(1 - tossed * hour * 1.5, axis=1)[:, None]
    active = (random.random((n, DAYS)) < come) & alive
    active[:, 0] = True

    level = np.exp(heavy * intent[:, None] + heavy * random.normal(size=(n, DAYS)))
    other = random.poisson(volume * level) + 1
    if kind == "fills":
        other[:, 0] += (random.poisson(2.5, (n, of_kind)) * tossed).sum(axis=1) // max(
            1, of_kind // 3
        )
    other = other * active

    counts = np.zeros((n, DAYS, actions), np.int32)
    for place, what in enumerate(kinds):
        chance = np.full((n, DAYS), random.uniform(0.04, 0.12))
        if what == "direct":
            chance[:] = random.uniform(0.07, 0.13)
            if kind == "returns":  # on day 0 alone, so that coming back does not act through it
                chance[:, 0], chance[:, 1:] = random.uniform(0.2, 0.4), 0
        elif what == "passive":
            # Some follow what was done that day, some the mood behind it, some are a part of what was done.
            rate = random.uniform(0.01, 0.06)
            moods = [other, (volume + 1) * level]
            if place % 3 < 2:
                counts[:, :, place] = random.poisson(rate * moods[place % 3] * active)
            else:
                counts[:, :, place] = random.binomial(other, rate)
                other = other - counts[:, :, place]
            continue
        elif what == "second week":
            chance[:, :7] = 0
            chance[:, 7:] = random.uniform(0.1, 0.3)
        elif what in ("returns", "fills"):
            counts[:, 0, place] = tossed[:, place]
            continue
        elif what == "roll-out":
            at = np.sort(random.uniform(0.1, 0.9, 2)) * SPAN
            grown = np.searchsorted(at, signed_up) * random.uniform(0.08, 0.15) + 0.03
            if random.random() < 0.3:
                grown = grown[::-1]  # rolled back
            chance = np.broadcast_to(grown[:, None], (n, DAYS))
        elif what == "channel":
            chance = np.broadcast_to(
                np.where(channel == 1, 2.5, 1.0)[:, None] * chance[:, :1], (n, DAYS)
            )
        elif what == "account":
            switched = random.random(account.max() + 1) < random.uniform(0.2, 0.6)
            chance = np.where(switched[account], 0.6, 0.0)[:, None] * np.ones(DAYS)
        counts[:, :, place] = (
            active * (random.random((n, DAYS)) < chance) * random.geometric(0.6, (n, DAYS))
        )

    logit = 0.9 * intent + shift
    did = counts.sum(axis=1) > 0
    acting = [place for place, what in enumerate(kinds) if what == "direct"]
    if shape == "quitting":
        # Whoever is still there and comes by in a later week; direct actions lengthen the stay.
        stay = life * np.exp(effect * (did[:, acting] - 0.3).sum(axis=1))
        chance = squash(1.2 + 0.5 * intent + shift) * (stay > 28)
    else:
        pull = effect * (did[:, acting] - did[:, acting].mean(axis=0)).sum(axis=1)
        middle = _middle(logit + pull, base)
        chance = squash(middle + logit + pull)
    retained = random.random(n) < chance
    names = [f"{what.replace(' ', '_')}_{place:02d}" for place, what in enumerate(kinds)]
    made = World(signed_up, counts, other, retained, kinds, names, {}, channel, account)
    if shape == "steady":
        for place in acting:
            made.ratios[names[place]] = _aimed_at(
                counts[:, :, place], active, middle + logit + pull, did[:, place], effect
            )
    return made


def _middle(logit, base):
    """Find the constant that makes the mean chance `base`."""
    low, high = -8.0, 8.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if squash(middle + logit).mean() < base else (low, middle)
    return low


def _aimed_at(counts, active, logit, did, effect):
    """The ratio that trials aim at: chances with the action today, over those without it today but perhaps later.

    Every user and day at which the action was still open counts by the chance of being assigned either way, as a
    Mantel-Haenszel ratio weighs it. That of doing it on an active day is the same for all.
    """
    without, with_it = squash(logit - effect * did), squash(logit + effect * (~did))
    each = counts > 0
    open_on = active & (np.cumsum(each, axis=1) - each == 0)
    chance = (each & open_on).sum(axis=0) / np.maximum(open_on.sum(axis=0), 1)
    not_that_day = np.where(active, 1 - chance, 1.0)
    never = np.cumprod(not_that_day[:, ::-1], axis=1)[:, ::-1] / not_that_day  # on later days
    unexposed = never * without[:, None] + (1 - never) * with_it[:, None]
    exposed = np.broadcast_to(with_it[:, None], active.shape)
    weight = (chance * (1 - chance))[None, :] * open_on
    return float((weight * exposed).sum() / (weight * unexposed).sum())


def _rivals(random, intent, signed_up, base):
    """A log of three kinds of actions: the sign-up, one that nearly only those retained do, and a coin tossed by half.

    The coin falls on day 0, or on a day of its own on which its user may have come for nothing else.
    """
    n = len(intent)
    retained = random.random(n) < squash(_middle(0.9 * intent, base) + 0.9 * intent)
    works = np.where(retained, random.uniform(0.3, 0.9), random.choice([0.03, 0.2]))
    counts = np.zeros((n, DAYS, 3), np.int32)
    counts[:, 0, 0] = 1
    again = random.random((n, DAYS)) < squash(-1.5 + 0.8 * intent)[:, None]
    again[:, 0] = True
    counts[:, :, 1] = again * (random.random(n) < works)[:, None] * random.geometric(0.6, (n, DAYS))
    when = random.integers(0, random.choice([1, 4]), n)
    tossed = random.random(n) < 0.48
    counts[np.flatnonzero(tossed), when[tossed], 2] = 1
    kinds = ["intent", "rival"]
    nothing = np.zeros((n, DAYS), int)
    return World(signed_up, counts[:, :, 1:], nothing, retained, kinds, kinds.copy())


@dataclass
class Score:
    """How a comparison of one world came out.

    `false` of `nulls` actions of the world's kind were named; `falsely` of all `named` mean nothing; of the `direct` actions `found` were named rightly, `wrong` with the wrong sign; of `intervals` (of trials
    of one day) `covering` hold what they aim at; `aside`: the mean share of those who did an action on one day who found
    nobody to be compared with.
    """

    nulls: int = 0
    false: int = 0
    named: int = 0
    falsely: int = 0
    direct: int = 0
    found: int = 0
    wrong: int = 0
    intervals: int = 0
    covering: int = 0
    aside: float = 0.0

    @property
    def discoveries(self) -> float:
        """The share of false ones among all that was named."""
        return self.falsely / max(1, self.named)


def score(made: World, kind: str) -> Score:
    """Compare the first weeks of a world, and hold what is said against what is true."""
    table = ek.compare_first_weeks(made.journeys(), adjust="channel" if kind == "channel" else ())
    told, kinds, aside = Score(), dict(zip(made.names, made.kinds, strict=True)), []
    for row in table.iter_rows(named=True):
        what = kinds.get(row["action"])
        if what in (
            None,
            "intent",
        ):  # the loop itself, and what cannot be told from meaning to stay
            continue
        named = row["verdict"] in ("more in retained", "more in churned")
        told.named += named
        if what == "direct":
            told.direct += 1
            told.found += row["verdict"] == "more in retained"
            told.wrong += row["verdict"] == "more in churned"
            aim = made.ratios.get(row["action"])
            if aim is not None and row["at_least"] == 1 and row["adjusted_low"] is not None:
                told.intervals += 1
                told.covering += row["adjusted_low"] <= aim <= row["adjusted_high"]
        else:
            told.falsely += named
        if what == kind:
            told.nulls += 1
            told.false += named
        if row["at_least"] == 1 and row["verdict"] != "too few":
            aside.append(row["uncompared"])
    told.aside = float(np.mean(aside)) if aside else 0.0
    return told


def simple(seed: int, users: int, *, base: float, ratio: float, reach: float = 0.3) -> World:
    """A world with one direct action among twenty, done by a share `reach` and worth a ratio of retention of its own.

    The ratio is that of its doers, did they do it or not: a base rate of 0.3 becomes 0.36 at 1.2.
    """
    random = np.random.default_rng([seed, users])
    intent = random.normal(size=users)
    active = random.random((users, DAYS)) < squash(-1.1 + 0.7 * intent)[:, None]
    active[:, 0] = True
    level = np.exp(0.4 * intent[:, None] + 0.4 * random.normal(size=(users, DAYS)))
    other = (random.poisson(3 * level) + 1) * active
    counts = np.zeros((users, DAYS, 20), np.int32)
    chance = 1 - (1 - reach) ** (1 / active.sum(axis=1).mean())
    counts[:, :, 0] = active & (random.random((users, DAYS)) < chance)
    for place in range(1, 20):
        counts[:, :, place] = active & (random.random((users, DAYS)) < random.uniform(0.04, 0.12))
    did = counts[:, :, 0].any(axis=1)
    logit = _middle(0.9 * intent, base) + 0.9 * intent
    plain = squash(logit)
    wanted = ratio * plain[did].mean()
    low, high = 0.0, 5.0
    for _ in range(40):
        effect = (low + high) / 2
        low, high = (effect, high) if squash(logit + effect)[did].mean() < wanted else (low, effect)
    retained = random.random(users) < squash(logit + low * did)
    kinds = ["direct"] + ["per day"] * 19
    names = [f"{what.replace(' ', '_')}_{place:02d}" for place, what in enumerate(kinds)]
    aims = {names[0]: _aimed_at(counts[:, :, 0], active, logit + low * did, did, low)}
    signed_up = np.sort(random.uniform(0, SPAN, users))
    return World(signed_up, counts, other, retained, kinds, names, aims)
