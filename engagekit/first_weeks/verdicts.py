"""From counts and sums to verdicts: each action's number of days, its figures, and whether it stands out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engagekit.first_weeks.accounts import account_effects
from engagekit.first_weeks.contingency_tables import LEAST_USERS
from engagekit.first_weeks.same_day import same_day
from engagekit.first_weeks.trial_strata import pasts, same_day_strata, trial_strata
from engagekit.first_weeks.trials import (
    COMPARED,
    DID,
    DID_SQUARES,
    EXCESS,
    LEAN,
    NOT,
    NOT_SQUARES,
    RISK_SPREAD,
    SPREAD,
    SUMS,
    trials,
)
from engagekit.intervals import koopman, z_of
from engagekit.strata import tails

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from engagekit.first_weeks.trial_strata import Ints, UserDays
    from engagekit.first_weeks.trials import Acts, Numbers

RETAINED, CHURNED, NOT_CLEAR, TOO_FEW = (
    "more in retained",
    "more in churned",
    "not clear",
    "too few",
)
MOST_UNCOMPARED = 0.5
POOL, FEW_DRAWN = (
    100_000,
    1_000,
)  # users whom trials stand on; who did an action, of them, or all who did it count
FEW_EVENTS = (
    5.0  # retained on a side, below which the ratio's logarithm is no good guide to its bounds
)


@dataclass(frozen=True)
class Alike:
    """How alike users of one account are, per action: what the variance grows by, and the degrees of freedom."""

    effect: Numbers
    freedom: Numbers

    @classmethod
    def nobody(cls, actions: int) -> Alike:
        """Take every user by themselves."""
        return cls(np.ones(actions), np.full(actions, np.inf))


def two_sided(sums: Numbers, alike: Alike) -> Numbers:
    """Return the chance of an excess as far from none; not-a-number where nothing was compared."""
    above, below = one_sided(sums, alike)
    found: Numbers = np.minimum(1.0, 2 * np.minimum(above, below))
    return found


def one_sided(sums: Numbers, alike: Alike) -> tuple[Numbers, Numbers]:
    """Return the chances of an excess at least and at most as large."""
    from scipy.special import stdtr

    excess, spread, lean = sums[..., EXCESS], sums[..., SPREAD], sums[..., LEAN]
    above, below = tails(excess, spread, lean)
    known = np.isfinite(above)
    z = excess / np.sqrt(np.where(known, spread, 1.0) * alike.effect)
    freedom = np.where(np.isfinite(alike.freedom), alike.freedom, 1.0)
    clustered = np.isfinite(alike.freedom) & known
    above = np.where(clustered, np.maximum(above, stdtr(freedom, -z)), above)
    return above, np.where(clustered, np.maximum(below, stdtr(freedom, z)), below)


def best_days(sums: Numbers, did: Ints, of: Ints) -> tuple[Ints, Ints, Ints]:
    """Choose each action's number of days: its place, how many were tried, and whether it can be judged.

    `sums` are actions x days x sums, `did` actions x days and `of` actions users. Numbers of days that the very same
    users reach count once. Where none stands out, the one that most users reached is taken, which luck has coloured
    least.
    """
    least = np.minimum(did, of[:, None] - did)
    compared = sums[..., COMPARED] / np.maximum(did, 1)
    chance = two_sided(sums, Alike.nobody(1))
    usable = (least >= LEAST_USERS) & (compared >= 1 - MOST_UNCOMPARED) & np.isfinite(chance)
    tried = np.array([len(set(row[ok].tolist())) for row, ok in zip(did, usable, strict=True)])
    chance = np.where(usable, chance, np.inf)
    best = chance.argmin(axis=1)
    rows = np.arange(len(best))
    stands_out = chance[rows, best] <= 0.05 / np.maximum(tried, 1)
    most = np.where(usable, did, -1).argmax(axis=1)
    most = np.where(usable.any(axis=1), most, did.argmax(axis=1))
    place = np.where(stands_out, best, most)
    return place, tried, usable[rows, place]


@dataclass(frozen=True)
class Weighed:
    """What trials say of each action, at one number of days each.

    `place` of the number of days among those asked for, `tried`, whether `judged`; the sums of the `trial` and of the
    `same_day` figure; how many users were `exposed`, and `without` the action, among those whom the trials stand on;
    `alike`: of accounts; `p` and `alone` as `careful` gives them.
    """

    place: Ints
    tried: Ints
    judged: NDArray[np.bool_]
    trial: Numbers
    same_day: Numbers
    exposed: Ints
    without: Ints
    alike: Alike
    p: Numbers
    alone: Numbers


def weighed(
    known: UserDays,
    acts: Acts,
    days: Sequence[int],
    *,
    account: Ints | None = None,
    place: Ints | None = None,
) -> Weighed:
    """Weigh each action at its best number of days, or at a given one.

    Of more than `POOL` users that many are drawn by a fixed lot, whom trials stand on: their figures are as exact as
    anybody needs, and time and memory stay bounded. Those who did an action that few of these did all count, against
    the ones drawn.

    Parameters
    ----------
    known, acts
        The users, taken as one group, and who did what.
    days
        On at least so many days.
    account
        A number per user; users of one account are alike.
    place
        Which of `days` to take for each action, in place of the best.
    """
    actions = acts.actions
    found = Weighed(
        np.zeros(actions, np.int64) if place is None else place, np.zeros(actions, np.int64),
        np.zeros(actions, np.bool_), np.zeros((actions, SUMS)), np.zeros((actions, SUMS)),
        np.zeros(actions, np.int64), np.zeros(actions, np.int64), Alike.nobody(actions),
        np.full(actions, np.nan), np.full(actions, np.nan),
    )  # fmt: skip
    for rows, users, pool in drawn(known, acts):
        some = acts.only(rows.tolist())
        mine, some = (known, some) if users is None else (known.only(users), some.among(users))
        _weigh(found, rows, mine, some, days, pool,
               account if account is None or users is None else account[users],
               choose=place is None)  # fmt: skip
    p, alone = careful(found.trial, found.same_day, found.tried, found.alike)
    return replace(found, p=p, alone=alone)


def drawn(
    known: UserDays, acts: Acts
) -> Iterator[tuple[Ints, NDArray[np.bool_] | None, NDArray[np.bool_] | None]]:
    """Say which actions stand on which users, and whom these are compared with; None for all."""
    if known.users <= POOL:
        yield np.arange(acts.actions), None, None
        return
    pool = np.zeros(known.users, np.bool_)
    pool[np.argpartition(known.lot, POOL)[:POOL]] = True
    rows = [acts.of(action) for action in range(acts.actions)]
    inside = [np.count_nonzero(pool[acts.user[mine]]) for mine in rows]
    rare = np.array(inside, np.int64) < FEW_DRAWN
    yield np.flatnonzero(~rare), pool, None
    if not rare.any():
        return
    users = pool.copy()
    for action in np.flatnonzero(rare):
        users[acts.user[rows[action]]] = True
    yield np.flatnonzero(rare), users, pool[users]


def _weigh(
    found: Weighed,
    rows: Ints,
    known: UserDays,
    acts: Acts,
    days: Sequence[int],
    pool: NDArray[np.bool_] | None,
    account: Ints | None,
    *,
    choose: bool,
) -> None:
    """Weigh some actions, and write down what is found in their rows."""
    did, of = reached(acts, known.users, days)
    enough = np.minimum(did, of[:, None] - did).max(axis=1, initial=0) >= LEAST_USERS
    rows, did, of = rows[enough], did[enough], of[enough]
    acts = acts.only(np.flatnonzero(enough).tolist())
    before = [range(1), *(range(k - 1, k) for k in days if k > 1)]
    places = [0 if k == 1 else before.index(range(k - 1, k)) for k in days]
    past = pasts(known)
    strata = replace(trial_strata(known, past), pool=pool)
    sums = trials(strata.of_groups(known.days), acts, before)[:, places, 0]
    every = np.arange(len(rows))
    if choose:
        found.place[rows], found.tried[rows], found.judged[rows] = best_days(sums, did, of)
    else:
        at = found.place[rows]
        found.tried[rows] = 1
        found.judged[rows] = best_days(sums[every, at][:, None], did[every, at][:, None], of)[2]
    place = found.place[rows]
    times = np.array(days, np.int64)[place]
    found.trial[rows] = sums[every, place]
    found.exposed[rows], found.without[rows] = did[every, place], of - did[every, place]
    if account is not None:
        effect, freedom = account_effects(strata, known, acts, times, account)
        found.alike.effect[rows], found.alike.freedom[rows] = effect, freedom
    space = strata.cell
    del strata
    fuller = same_day_strata(known, past, space)
    fuller = replace(fuller, strata=replace(fuller.strata, pool=pool))
    found.same_day[rows] = same_day(fuller, known, acts, times, found.trial[rows, EXCESS])[:, 0]


def reached(acts: Acts, users: int, days: Sequence[int]) -> tuple[Ints, Ints]:
    """Count who did each action on so many days (actions x days), and who could have."""
    on = np.bitwise_count(acts.days)
    counts = [
        np.bincount(on[acts.of(a)], minlength=33)[::-1].cumsum()[::-1] for a in range(acts.actions)
    ]
    did = np.array(counts, np.int64).reshape(acts.actions, 33)[:, list(days)]
    of = np.full(acts.actions, users)
    for place, able in acts.able.items():
        of[place] = able.sum()
    return did, of


def weighed_groups(known: UserDays, acts: Acts, times: Ints) -> tuple[Numbers, Numbers]:
    """Sum trials and the same-day figure for each group of users, each action at its number of days: actions x groups x sums."""
    found = np.zeros((acts.actions, known.groups, SUMS))
    past = pasts(known)
    strata = trial_strata(known, past).of_groups(known.days)
    for k in np.unique(times):
        mine = np.flatnonzero(times == k)
        before = [range(1)] if k == 1 else [range(1), range(int(k) - 1, int(k))]
        found[mine] = trials(strata, acts.only(mine.tolist()), before)[:, -1]
    space = strata.cell
    del strata
    return found, same_day(
        same_day_strata(known, past, space), known, acts, times, found[..., EXCESS].sum(axis=1)
    )


@dataclass(frozen=True)
class Ratio:
    """A ratio with its bounds, None where there is none."""

    ratio: float | None
    low: float | None
    high: float | None


def ratio_of(
    sums: Numbers,
    effect: float = 1.0,
    freedom: float = math.inf,
    without: float = math.inf,
) -> Ratio:
    """Return the Mantel-Haenszel ratio of retention, exposed over others, at 95 %.

    Bounds are those of Greenland and Robins; where few were retained on a side Koopman's, of as many users as weigh as
    much, and at most `without` of them without the action, as one user stands in several trials. `effect` is that of
    accounts.
    """
    did, not_ = float(sums[DID]), float(sums[NOT])
    squares = float(sums[DID_SQUARES]), float(sums[NOT_SQUARES])
    weight = sum(squares)  # Σ n1·n0/N
    if weight <= 0:
        return Ratio(None, None, None)
    size1, size0 = (weight**2 / each / effect if each > 0 else 0.0 for each in squares)
    size0 = min(size0, without / effect)
    n1, n0 = min(did / weight, 1) * size1, min(not_ / weight, 1) * size0
    if min(n1, n0) >= FEW_EVENTS:
        spread = max(0.0, float(sums[RISK_SPREAD])) / (did * not_) * effect
        half = _deviations(freedom) * math.sqrt(spread)
        ratio = did / not_
        return Ratio(ratio, ratio * math.exp(-half), ratio * math.exp(half))
    low, high = koopman(n1, size1, n0, size0) if size1 and size0 else (None, None)
    return Ratio(did / not_ if not_ > 0 else None, low, high)


def _deviations(freedom: float) -> float:
    """How many standard deviations hold 95 %."""
    if not math.isfinite(freedom):
        return z_of(0.95)
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def e_value(ratio: Ratio) -> float | None:
    """Say how strongly something unseen would have to go with both doing it and being retained, to explain a ratio.

    ``R + sqrt(R(R-1))``, of 1/R where R is below 1; of the bound where the ratio has no value.

    References
    ----------
    VanderWeele and Ding (2017), Annals of Internal Medicine 167, 268-274.

    Examples
    --------
    >>> round(e_value(Ratio(3.9, 1.8, 8.7)), 2)
    7.26
    """
    value = ratio.ratio if ratio.ratio is not None else ratio.low
    if value is None or (value == 0 and ratio.high is None):
        return None
    if value == 0:
        value = ratio.high or 0.0
    value = max(value, 1 / value)
    return value + math.sqrt(value * (value - 1))


def careful(
    trial: Numbers, same_day: Numbers, tried: Ints, alike: Alike
) -> tuple[Numbers, Numbers]:
    """Return the chance that an action stands out in both figures by luck, and that in the first alone, times those tried.

    Both must stand out, so the larger of the two chances holds: that of the trial, either way, and that of the
    same-day figure in the trial's direction.
    """
    above, below = one_sided(same_day, alike)
    beside = np.where(trial[:, EXCESS] > 0, above, below)
    alone = two_sided(trial, alike)
    both = np.where(np.isfinite(beside), np.maximum(alone, beside), 1.0)
    both = np.where(np.isfinite(alone), both, np.nan)
    return np.minimum(1.0, both * tried), np.minimum(1.0, alone * tried)


def verdict(row: dict[str, Any], q: float) -> str:
    """Give the verdict of a row: named only where plain, adjusted and same-day figure point the same way."""
    if not row["judged"]:
        return TOO_FEW
    if row["q"] is None or row["q"] > q:
        return NOT_CLEAR
    return points(row)


def points(row: dict[str, Any]) -> str:
    """Say which way plain, adjusted and same-day figure of a row point, not clear where they differ."""
    ways = (row["risk_ratio"], row["adjusted_risk_ratio"], row["same_day_risk_ratio"])
    # No ratio means that nobody without the action was retained: more than any number.
    sizes = [math.inf if way is None else way for way in ways]
    if row["sign"] > 0 and min(sizes) > 1:
        return RETAINED
    return CHURNED if row["sign"] < 0 and max(sizes) < 1 else NOT_CLEAR
