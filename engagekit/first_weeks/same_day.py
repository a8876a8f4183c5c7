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

from engagekit.first_weeks.trials import SUMS, counted, of_times, summed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engagekit.first_weeks.trial_strata import Ints, SameDay, Strata, UserDays
    from engagekit.first_weeks.trials import Acts, Numbers

# Events come together: a day's volume is about half again as uneven as chance alone would have it.
CLUMP = 1.5
FARTHEST = 3 * CLUMP  # events by which a day is taken as fuller, at most
LEAST_TOLD = 0.25  # of the unevenness of volume, what at least says how busy users were
MANY_ACTIONS = 5  # from which on they say what comes with all


@dataclass(frozen=True)
class Exposed:
    """Days on which users did an action: one row each."""

    action: Ints
    day: Ints
    others: Ints  # the day's events less those of the action itself
    rest: Ints  # of their keys, without what the volume adds
    retained: Ints
    before: Ints  # how often they had done it

    def only(self, kept: Any) -> Exposed:
        """Narrow to some."""
        parts = (self.action, self.day, self.others, self.rest, self.retained, self.before)
        return Exposed(*(part[kept] for part in parts))


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
    asked = []
    for k in np.unique(times):
        mine = np.flatnonzero(times == k)
        asked.append(_asked(days, known, acts.only(mine.tolist()), int(k), known.days, mine))
    return _over(days, known, asked, excess)


def same_day_within(
    days: SameDay, known: UserDays, acts: Acts, k: Ints, within: Ints, excess: Numbers
) -> Numbers:
    """Sum those who do each action for the k-th time within some days, see `same_day`; k 0 leaves an action out.

    Where times are counted: who reach k times, among users who had done it equally often before.
    """
    asked = []
    for often, most in sorted(set(zip(k.tolist(), within.tolist(), strict=True))):
        mine = np.flatnonzero((k == often) & (within == most))
        if often:
            asked.append(_asked(days, known, acts.only(mine.tolist()), often, most, mine))
    return _over(days, known, asked, excess)


def same_day_each(
    days: SameDay, known: UserDays, acts: Acts, before: Sequence[range], excess: Numbers
) -> Numbers:
    """Sum those who do an action on a day, among users who had done it on as many days before, see `same_day`."""
    every = np.arange(acts.actions)
    return _over(
        days, known, [_Asked(every, acts, before, None, lambda a: _each(days, a, known))], excess
    )


@dataclass(frozen=True)
class _Asked:
    """Some actions, which trials they take part in, and how to find the exposed."""

    mine: Ints
    acts: Acts
    before: Sequence[range]
    times: int | None
    exposed: Callable[[Acts], Exposed]


def _asked(days: SameDay, known: UserDays, acts: Acts, k: int, within: int, mine: Ints) -> _Asked:
    timed = acts.done is not None
    before = of_times(k) if timed else [range(1)] if k == 1 else [range(1), range(k - 1, k)]
    return _Asked(
        mine, acts, before, k if timed else None, lambda a: _kth(days, a, known, k, within)
    )


def _over(days: SameDay, known: UserDays, asked: Sequence[_Asked], excess: Numbers) -> Numbers:
    """Say first how much busier days all actions tell of, then sum over the trials that the exposed belong to."""
    strata = days.strata.of_groups(known.days)
    found = np.zeros((len(excess), strata.blocks, SUMS))
    told = np.full((3, len(excess)), np.nan)
    for each in asked:
        for mine, rows, states in _chunks(strata, each):
            told[:, mine] = _fuller(days, rows, np.sum(list(states.values()), axis=0))
    shift = np.where(excess > 0, _shifts(*told), 0.0)
    for each in asked:
        for mine, rows, states in _chunks(strata, each):
            for done, others in states.items():
                here = rows.only(rows.before == done)
                found[mine] += _moved(days, strata, here, others, shift[mine])
    return found


def _chunks(strata: Strata, asked: _Asked) -> Iterator[tuple[Ints, Exposed, dict[int, Ints]]]:
    """Take some actions at a time: which, their exposed, and the others by how often they had done it."""
    for counts in counted(strata, asked.acts, asked.before, asked.times):
        rows = asked.exposed(asked.acts.only(counts.actions))
        here = {int(done) for done in np.unique(rows.before)}
        pairs = zip(asked.before, counts.others, strict=True)
        states = {times.start: others for times, others in pairs if times.start in here}
        if states:
            yield asked.mine[counts.actions.start : counts.actions.stop], rows, states


def _kth(days: SameDay, acts: Acts, known: UserDays, k: int, within: int) -> Exposed:
    """Find the day on which users did each action for the k-th time, where they could."""
    if acts.done is None:
        left = acts.days.astype(np.int64)
        for _ in range(k - 1):
            left &= left - 1  # without the first day left
        day = np.where(left > 0, np.bitwise_count((left & -left) - 1).astype(np.int64), -1)
    else:
        reached = acts.done[1:] >= k
        day = np.where(reached[-1], reached.argmax(axis=0), -1)
    rows = np.flatnonzero((day >= 0) & (day < within))
    day = day[rows]
    before = np.full(len(rows), k - 1) if acts.done is None else acts.done[day, rows]
    return _rows(days, acts, known, rows, day, before)


def _each(days: SameDay, acts: Acts, known: UserDays) -> Exposed:
    """Find every day on which users did each action."""
    bits = (acts.days[:, None] >> np.arange(known.days, dtype=np.uint32)) & np.uint32(1)
    rows, day = np.nonzero(bits)
    return _rows(days, acts, known, rows, day, (np.cumsum(bits, axis=1) - 1)[rows, day])


def _rows(
    days: SameDay, acts: Acts, known: UserDays, rows: Ints, day: Ints, before: Ints
) -> Exposed:
    action = np.repeat(np.arange(acts.actions), np.diff(acts.starts))[rows]
    user = acts.user[rows]
    volume = known.volume[day, user].astype(np.int64)
    others = np.maximum(volume - acts.own[rows].astype(np.int64), 0)
    retained = known.retained[user].astype(np.int64)
    found = Exposed(
        action, day, others, days.rest(day, user, volume), retained, before.astype(np.int64)
    )
    return found.only(volume > 0)


def _fuller(days: SameDay, rows: Exposed, others: Ints) -> tuple[Numbers, Numbers, Numbers]:
    """Say, per action, how many more other events come with it, with which variance, and how uneven days are."""
    actions, likes = len(others), days.strata.blocks * days.classes
    size = (others[:, 0::2] + others[:, 1::2]).astype(np.float64)
    like = np.arange(actions)[:, None] * likes + days.like_of(days.strata.keys[0])[None, :]
    places = actions * likes

    def over(weights: Any) -> Numbers:
        counts = np.bincount(like.ravel(), weights.ravel(), places)
        return counts.reshape(actions, likes).astype(np.float64)

    n0 = over(size)
    mean0 = over(size * days.volume) / np.maximum(n0, 1)
    spread0 = np.maximum(over(size * days.square) / np.maximum(n0, 1) - mean0**2, 0)
    rows = rows.only(rows.others > 0)  # nobody else's active day is without events
    mine = rows.action * likes + days.like_of(days.keys(rows.rest, rows.day, rows.others))
    n1 = np.bincount(mine, minlength=places).reshape(actions, likes)
    sum1 = np.bincount(mine, rows.others, places).reshape(actions, likes)
    both = (n1 > 0) & (n0 > 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(both, n1 * n0 / (n1 + n0), 0.0)
        whole = weight.sum(axis=1)
        more = np.where(both, weight * (sum1 / n1 - mean0), 0).sum(axis=1) / whole
        uneven = np.where(both, weight * spread0 / np.maximum(mean0, 1e-9), 0).sum(axis=1) / whole
        noise = np.where(both, weight**2 * spread0 * (1 / n1 + 1 / n0), 0).sum(axis=1) / whole**2
    return more, noise, uneven


def _shifts(more: Numbers, noise: Numbers, uneven: Numbers) -> Numbers:
    """Say, per action, by how many events its days are taken as fuller.

    How many more events come with an action is drawn towards what comes with all, as far as it may be chance; of few
    actions towards none.
    """
    known = np.isfinite(more) & (noise > 0)
    seen = np.where(known, more, 0.0)
    noise = np.where(known, noise, 1.0)
    middle = between = 0.0
    if known.sum() >= MANY_ACTIONS:
        weight = known / noise
        middle = float((weight * seen).sum() / weight.sum())
        scale = weight.sum() - (weight**2).sum() / weight.sum()
        apart = float((weight * (seen - middle) ** 2).sum()) - known.sum() + 1
        between = max(0.0, apart / scale)
        weight = known / (noise + between)
        middle = float((weight * seen).sum() / weight.sum())
        sure = between / (noise + between)
    else:
        sure = np.maximum(0, 1 - 2 * noise / np.maximum(seen**2, 1e-12))
    # Fewer other events come with what takes their place: it is one of as many, and no quieter day.
    drawn = np.abs(middle + sure * (seen - middle))
    uneven = np.where(known, uneven, 0.0)
    told = np.maximum(uneven - CLUMP, LEAST_TOLD * uneven)
    shift = np.where(told > 0, CLUMP * drawn / np.maximum(told, 1e-9), 0.0)
    # Where days are hardly more uneven than chance, they cannot tell of more than one event.
    farthest = 1 + (FARTHEST - 1) * np.clip((uneven - CLUMP) / CLUMP, 0, 1)
    found: Numbers = np.clip(np.where(known, shift, 0.0), 0.0, farthest)
    return found


def _moved(days: SameDay, strata: Strata, rows: Exposed, others: Ints, shift: Numbers) -> Numbers:
    """Sum with the exposed among days fuller by the shift; between whole events by parts of both."""
    low = np.floor(shift).astype(np.int64)
    high = shift - low
    found = np.zeros((len(others), strata.blocks, SUMS))
    for step, part in ((0, 1 - high), (1, high)):
        if part.any():
            at = days.keys(rows.rest, rows.day, rows.others + low[rows.action] + step)
            found += part[:, None, None] * _summed(strata, rows, at, others)
    return found


def _summed(strata: Strata, rows: Exposed, keys: Ints, others: Ints) -> Numbers:
    """Sum with the exposed in the strata of their keys, at the finest level that has them."""
    exposed, left = [], np.ones(len(keys), np.bool_)
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
