"""The same-day figure: the trials once more, among users who did equally much on that very day.

Whoever does an action may simply have a busy day. So the day's other events, those of the action itself taken out, are
one more thing to be alike in. That is not enough for an action that is part of what busy days are made of, such as a
passive click: it tells of a busier day than the other events do. How much it tells shows in how many more other events
come with it; the exposed are compared with users of that much fuller days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engagekit.first_weeks.trials import SUMS, counted, summed

if TYPE_CHECKING:
    from engagekit.first_weeks.trial_strata import Ints, SameDay, Strata, UserDays
    from engagekit.first_weeks.trials import Acts, Numbers

# Events come together: a day's volume is about half again as uneven as chance alone would have it.
CLUMP = 1.5
FARTHEST = 3 * CLUMP  # events by which a day is taken as fuller, at most
LEAST_TOLD = 0.25  # of the unevenness of volume, what at least says how busy users were


@dataclass(frozen=True)
class Exposed:
    """The days on which users did an action for the k-th time: one row each."""

    action: Ints
    user: Ints
    day: Ints
    others: Ints  # the day's events less those of the action itself
    rest: Ints  # of their keys, without what the volume adds
    retained: Ints


def same_day(days: SameDay, known: UserDays, acts: Acts, times: Ints, excess: Numbers) -> Numbers:
    """Sum over strata of equally full days: actions x groups x sums, as `trials` gives them.

    Parameters
    ----------
    days, known, acts
        Strata, users and who did what.
    times
        Per action, for the how manieth time; only that trial is summed.
    excess
        Per action, the excess of the retained in the trial without the day's volume. Where it is negative, no day is
        taken as fuller: either figure is the more careful one in its direction.

    Notes
    -----
    For Poisson counts around an unseen level the shift is exact: an action in proportion to the level, seen on a day of v
    events, tells as much of the level as v + 1 events without it. In general the shift is
    ``κ·Δ / (F - κ)``: Δ how many more other events come with the action, F the variance of a day's volume over its mean,
    κ the part of F that says nothing of the level (1 for Poisson counts; taken as 1.5, as events come in clumps).
    """
    strata = days.strata.of_groups(known.days)
    found = np.zeros((acts.actions, strata.blocks, SUMS))
    for k in np.unique(times):
        chosen = np.flatnonzero(times == k)
        some = acts.only(chosen.tolist())
        before = [range(1)] if k == 1 else [range(1), range(int(k) - 1, int(k))]
        for counts in counted(strata, some, before):
            mine = chosen[counts.actions.start : counts.actions.stop]
            rows = _exposed(days, some.only(counts.actions), known, int(k))
            others = counts.others[-1]
            shift = np.where(excess[mine] > 0, _shifts(days, rows, others), 0.0)
            found[mine] = _moved(days, strata, rows, others, shift)
    return found


def _exposed(days: SameDay, acts: Acts, known: UserDays, k: int) -> Exposed:
    """Find the day on which each user did each action for the k-th time, where the user could."""
    action = np.repeat(np.arange(acts.actions), np.diff(acts.starts))
    if acts.done is not None:
        day = _kth(acts, k)
    else:
        left = acts.days.astype(np.int64)
        for _ in range(k - 1):
            left &= left - 1  # without the first day left
        day = np.where(left > 0, np.bitwise_count((left & -left) - 1).astype(np.int64), -1)
    able = day >= 0
    for place, came in acts.able.items():
        able &= (action != place) | came[acts.user]
    rows = np.flatnonzero(able)
    user, day = acts.user[rows], day[rows].astype(np.int64)
    volume = known.volume[day, user].astype(np.int64)
    active = volume > 0
    rows, user, day, volume = (part[active] for part in (rows, user, day, volume))
    others = np.maximum(volume - acts.own[rows].astype(np.int64), 0)
    retained = known.retained[user].astype(np.int64)
    return Exposed(action[rows], user, day, others, days.rest(day, user, volume), retained)


def _kth(acts: Acts, k: int) -> Ints:
    """Where times are counted: the day before which exactly k - 1 were done, and on which one more was."""
    assert acts.done is not None
    bits = np.arange(len(acts.done))[:, None]
    hit = (acts.done == k - 1) & ((acts.days[None, :] >> bits.astype(np.uint32)) & 1 > 0)
    return np.where(hit.any(axis=0), hit.argmax(axis=0), -1)


def _shifts(days: SameDay, rows: Exposed, others: Ints) -> Numbers:
    """Say, per action, how much busier a day it tells of than the day's other events do."""
    actions, likes = len(others), days.strata.blocks * days.classes
    size = (others[:, 0::2] + others[:, 1::2]).astype(np.float64)
    like = (
        np.arange(actions)[:, None] * likes
        + days.like_of(days.strata.keys[0] * days.strata.divisors[0])[None, :]
    )
    places = actions * likes

    def over(weights: Any) -> Numbers:
        counts = np.bincount(like.ravel(), weights.ravel(), places)
        return counts.reshape(actions, likes)

    n0 = over(size)
    mean0 = over(size * days.volume) / np.maximum(n0, 1)
    spread0 = np.maximum(over(size * days.square) / np.maximum(n0, 1) - mean0**2, 0)
    keys = days.keys(rows.rest, rows.day, rows.others)
    mine = rows.action * likes + days.like_of(keys)
    n1 = np.bincount(mine, minlength=places).reshape(actions, likes)
    sum1 = np.bincount(mine, rows.others, places).reshape(actions, likes)
    both = (n1 > 0) & (n0 > 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(both, n1 * n0 / (n1 + n0), 0.0)
        whole = np.maximum(weight.sum(axis=1), 1e-9)
        more = np.where(both, weight * (sum1 / n1 - mean0), 0).sum(axis=1) / whole
        uneven = np.where(both, weight * spread0 / np.maximum(mean0, 1e-9), 0).sum(axis=1) / whole
        noise = np.where(both, weight**2 * spread0 * (1 / n1 + 1 / n0), 0).sum(axis=1) / whole**2
    # What may be chance is drawn towards none.
    sure = np.maximum(0, 1 - 2 * noise / np.maximum(more**2, 1e-12))
    told = np.maximum(uneven - CLUMP, LEAST_TOLD * uneven)
    shift = CLUMP * more * sure / np.maximum(told, 1e-9)
    found: Numbers = np.clip(np.where(told > 0, shift, 0.0), 0.0, FARTHEST)
    return found


def _moved(days: SameDay, strata: Strata, rows: Exposed, others: Ints, shift: Numbers) -> Numbers:
    """Sum with the exposed among days fuller by the shift; between whole events by parts of both."""
    low = np.floor(shift).astype(np.int64)
    high = shift - low
    found = np.zeros((len(others), strata.blocks, SUMS))
    for step, part in ((0, 1 - high), (1, high)):
        if not part.any():
            continue
        found += part[:, None, None] * _summed(days, strata, rows, others, low + step)
    return found


def _summed(days: SameDay, strata: Strata, rows: Exposed, others: Ints, moved: Ints) -> Numbers:
    keys = days.keys(rows.rest, rows.day, rows.others + moved[rows.action])
    exposed = []
    left = np.ones(len(keys), np.bool_)
    for level, known in enumerate(strata.keys):
        at = strata.placed(level, keys)
        here = left & (at >= 0)
        cell = rows.action[here] * (2 * len(known)) + 2 * at[here] + rows.retained[here]
        counts = np.bincount(cell, minlength=len(others) * 2 * len(known))
        exposed.append(counts.reshape(len(others), -1))
        left &= ~here
        if not left.any():
            break
    return summed(strata, exposed, others)
