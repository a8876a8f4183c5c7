"""From counts and sums to verdicts: each action's number of days, its figures, and whether it stands out."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    from collections.abc import Sequence

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
    return np.minimum(1.0, 2 * np.minimum(above, below))


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
    `same_day` figure, for all users or, with groups, for each group; `p` and `alone` as `careful` gives them.
    """

    place: Ints
    tried: Ints
    judged: NDArray[np.bool_]
    trial: Numbers
    same_day: Numbers
    alike: Alike
    p: Numbers
    alone: Numbers


def weighed(
    known: UserDays,
    acts: Acts,
    days: Sequence[int],
    did: Ints,
    of: Ints,
    *,
    account: Ints | None = None,
    place: Ints | None = None,
) -> Weighed:
    """Weigh each action at its best number of days, or at a given one.

    Parameters
    ----------
    known, acts
        The users, taken as one group, and who did what.
    days
        On at least so many days.
    did, of
        How many did each action on so many days (actions x days), and how many could (actions).
    account
        A number per user; users of one account are alike.
    place
        Which of `days` to take for each action, in place of the best.
    """
    enough = np.minimum(did, of[:, None] - did).max(axis=1, initial=0) >= LEAST_USERS
    rows, before = np.flatnonzero(enough), [range(1), *(range(k - 1, k) for k in days if k > 1)]
    some, places = (
        acts.only(rows.tolist()),
        [0 if k == 1 else before.index(range(k - 1, k)) for k in days],
    )
    sums = np.zeros((acts.actions, len(days), SUMS))
    past = pasts(known)
    strata = trial_strata(known, past)
    sums[rows] = trials(strata.of_groups(known.days), some, before)[:, places, 0]
    best, tried, judged = best_days(sums, did, of)
    if place is not None:
        best, tried = place, np.ones_like(place)
        judged = best_days(
            sums[np.arange(len(place)), place][:, None],
            did[np.arange(len(place)), place][:, None],
            of,
        )[2]
    chosen = sums[np.arange(acts.actions), best]
    times = np.array(days, np.int64)[best]
    alike = Alike.nobody(acts.actions)
    if account is not None:
        alike.effect[rows], alike.freedom[rows] = account_effects(
            strata, known, some, times[rows], account
        )
    beside, space = np.zeros((acts.actions, SUMS)), strata.cell
    del strata
    fuller = same_day(
        same_day_strata(known, past, space), known, some, times[rows], chosen[rows, EXCESS]
    )
    beside[rows] = fuller[:, 0]
    return Weighed(
        best, tried, judged, chosen, beside, alike, *careful(chosen, beside, tried, alike)
    )


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
    ways = (row["risk_ratio"], row["adjusted_risk_ratio"], row["same_day_risk_ratio"])
    # No ratio means that nobody without the action was retained: more than any number.
    sizes = [math.inf if way is None else way for way in ways]
    if row["sign"] > 0 and min(sizes) > 1:
        return RETAINED
    return CHURNED if row["sign"] < 0 and max(sizes) < 1 else NOT_CLEAR
