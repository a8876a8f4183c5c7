"""A sequence of trials: on each early day, those who did an action on it against those who did not, alike before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from engagekit.first_weeks.trial_strata import Ints, Strata

    Numbers = NDArray[np.float64]
    _Told = Callable[[int, Ints], Ints]

SHORT = 16  # so many early days are looked up at once
PAIRS, CELLS = 1 << 15, 1 << 19  # users' actions, and counts, that are worked on at a time
EXCESS, SPREAD, LEAN, DID, NOT, RISK_SPREAD, COMPARED, DID_SQUARES, NOT_SQUARES, KEPT = range(10)
SUMS = 10
FARTHEST = 3.0  # the volume of a day is moved by at most this many of its usual clumps of events


@dataclass(frozen=True)
class Acts:
    """Who did which action on which early days, one row per user and action, sorted by action.

    - `user`, `days` (bit k: on day k), `own`: how many of such a day's events are the action's own;
    - `starts`: where each action's rows begin, and the end;
    - `able`: of actions launched late, which users came after the launch;
    - `done`: days and one more x rows, how often they had done it before each day, where times are counted.
    """

    user: NDArray[np.int32]
    days: NDArray[np.uint32]
    own: NDArray[np.uint16]
    starts: Ints
    able: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    done: Ints | None = None

    @property
    def actions(self) -> int:
        """How many actions there are."""
        return len(self.starts) - 1

    def of(self, action: int) -> slice:
        """Say where the rows of an action are."""
        return slice(int(self.starts[action]), int(self.starts[action + 1]))

    def only(self, actions: Sequence[int]) -> Acts:
        """Narrow to some actions, in this order."""
        if list(actions) == list(range(self.actions)):
            return self
        rows = [self.of(action) for action in actions]

        def some(whole: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([whole[..., :0], *(whole[..., row] for row in rows)], axis=-1)

        return Acts(
            some(self.user), some(self.days), some(self.own),
            np.cumsum([0, *(row.stop - row.start for row in rows)]),
            {place: self.able[a] for place, a in enumerate(actions) if a in self.able},
            None if self.done is None else some(self.done),
        )  # fmt: skip

    def within(self, able: dict[int, NDArray[np.bool_]]) -> Acts:
        """Keep, of actions launched late, what those did who came after the launch."""
        action = np.repeat(np.arange(self.actions), np.diff(self.starts))
        kept = np.ones(len(self.user), np.bool_)
        for place, could in able.items():
            kept &= (action != place) | could[self.user]
        starts = np.searchsorted(action[kept], np.arange(self.actions + 1))
        return Acts(self.user[kept], self.days[kept], self.own[kept], starts, able)

    def among(self, kept: NDArray[np.bool_]) -> Acts:
        """Narrow to some users, who are numbered anew."""
        rows = np.flatnonzero(kept[self.user])
        number = (np.cumsum(kept) - 1).astype(np.int32)
        return Acts(
            number[self.user[rows]], self.days[rows], self.own[rows],
            np.searchsorted(rows, self.starts),
            {place: able[kept] for place, able in self.able.items()},
            None if self.done is None else self.done[:, rows],
        )  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Exposed and other user-days of some actions, for each of several trials: actions x cells."""

    actions: range
    exposed: list[Ints]
    others: list[Ints]


def trials(strata: Strata, acts: Acts, before: Sequence[range]) -> Numbers:
    """Sum over strata what sets apart those who did an action on a day from those who did not.

    Parameters
    ----------
    strata
        Of all user-days.
    acts
        Who did what.
    before
        How often users had done the action before; each range is a trial of its own, the first is ``range(1)``.

    Returns
    -------
    ndarray
        Actions x `before` x blocks x sums, the last in the order of the constants above: the excess of the retained
        among the exposed, its variance and third moment, the two sides and the spread of the risk ratio, how many
        exposed found a comparison, two sums for effective sizes, and the retained exposed times the share not retained.
    """
    found = np.zeros((acts.actions, len(before), strata.blocks, SUMS))
    for counts in counted(strata, acts, before):
        rows = slice(counts.actions.start, counts.actions.stop)
        for place, (exposed, others) in enumerate(zip(counts.exposed, counts.others, strict=True)):
            found[rows, place] = summed(strata, [exposed], others)
    return found


def reaching(strata: Strata, acts: Acts, times: int) -> Numbers:
    """Sum as `trials` does over those who had done an action fewer times, exposed if they reach so many times that day.

    Users are compared with others who had done it exactly as often before: actions x blocks x sums.
    """
    found = np.zeros((acts.actions, strata.blocks, SUMS))
    for counts in counted(strata, acts, of_times(times), times):
        rows = slice(counts.actions.start, counts.actions.stop)
        for exposed, others in zip(counts.exposed, counts.others, strict=True):
            found[rows] += summed(strata, [exposed], others)
    return found


def of_times(times: int) -> list[range]:
    """Tell apart how often an action was done before so many times are reached."""
    return [range(done, done + 1) for done in range(times)]


def counted(
    strata: Strata, acts: Acts, before: Sequence[range], times: int | None = None
) -> Iterator[Counts]:
    """Count exposed and other user-days in each cell, some actions at a time; see `trials` and `reaching`."""
    width, kinds, told = strata.nowhere + 1, len(before), _told(strata, acts, before, times)
    for actions in _some(acts, width * (2 * kinds + 1)):
        block = len(actions) * width
        keys = _keys(strata, acts, actions, told, times)
        table = np.bincount(keys, minlength=(2 * kinds + 1) * block)
        table = table.reshape(2 * kinds + 1, len(actions), width)[:, :, :-1]
        whole = np.stack(
            [strata.counted(acts.able[a]) if a in acts.able else strata.base for a in actions]
        )
        exposed = [table[0], *(table[2 * place + 2] for place in range(1, kinds))]
        others = [whole - table.sum(axis=0), *(table[2 * place + 1] for place in range(1, kinds))]
        yield Counts(actions, exposed, others)


def _keys(
    strata: Strata, acts: Acts, actions: range, told: _Told | None, times: int | None
) -> Ints:
    """Give a number to what happened on the first day of an action and on each active day after it.

    Rows of the table to count: the first time; then, for each trial but the first, others and exposed of it. Whoever
    had done it before, and belongs to none of these, is no longer open to the first trial.
    """
    rows = slice(int(acts.starts[actions.start]), int(acts.starts[actions.stop]))
    days = acts.days[rows].astype(np.int64)
    first = np.bitwise_count((days & -days) - 1)
    order = np.argsort(first, kind="stable")
    user, days, when = acts.user[rows].astype(np.int64)[order], days[order], first[order]
    sizes = np.diff(acts.starts[actions.start : actions.stop + 1])
    width = strata.nowhere + 1
    offset = np.repeat(np.arange(len(actions)) * width, sizes)[order]
    begun = np.searchsorted(when, np.arange(len(strata.cell)))  # rows begun before each day
    ends = np.cumsum([len(user), *begun[1:]])
    keys = np.empty(int(ends[-1]), np.int64)
    np.add(offset, strata.cell[when, user], out=keys[: len(user)])
    block = len(actions) * width
    done = None if acts.done is None else acts.done[:, rows][:, order]
    if done is not None and times is not None:  # who does not reach it on the first day stays open
        keys[: len(user)][done[when + 1, np.arange(len(user))] < times] = strata.nowhere
    for day in range(1, len(strata.cell)):
        some, mine = slice(0, int(begun[day])), keys[ends[day - 1] : ends[day]]
        np.add(offset[some], strata.cell[day].take(user[some]), out=mine)
        if told is not None:
            mine += told(day, days[some]) * block
        elif done is None or times is None:
            mine += block
        else:
            open_, reached = done[day, some] < times, done[day + 1, some] >= times
            mine += np.where(open_, done[day, some] * 2 + reached + 1, 1) * block
        if strata.pool is not None:  # who is in no pool is compared with, but never compared to
            today = days[some] >> day & 1 if done is None else done[day + 1, some] > done[day, some]
            aside = ~strata.pool[user[some]] & (today == 0)
            mine[aside] = strata.nowhere
    return keys


def _told(strata: Strata, acts: Acts, before: Sequence[range], times: int | None) -> _Told | None:
    """Say in which row of the table a day belongs, by the days on which its user did the action.

    None where all days belong in one, or where times are counted.
    """
    if acts.done is not None if times is not None else len(before) == 1:
        return None
    first_days = len(strata.cell)
    kind = np.zeros(1 + max(first_days, *(each.stop for each in before)), np.int64)
    for place, each in enumerate(before):
        kind[each.start : each.stop] = place

    def placed(day: int, bits: Ints) -> Ints:
        done = np.bitwise_count(bits & ((1 << day) - 1))
        found: Ints = kind[done] * 2 + (bits >> day & 1) + 1
        return found

    if first_days > SHORT:
        return placed
    every = [placed(day, np.arange(1 << first_days)) for day in range(first_days)]
    return lambda day, bits: every[day].take(bits)


def _some(acts: Acts, cells: int) -> Iterator[range]:
    """Take as many actions at a time as stay near the processor."""
    begin = 0
    while begin < acts.actions:
        end = int(np.searchsorted(acts.starts, acts.starts[begin] + PAIRS, side="right")) - 1
        end = min(max(begin + 1, end), begin + max(1, CELLS // cells), acts.actions)
        yield range(begin, end)
        begin = end


def summed(strata: Strata, exposed: Sequence[Ints], others: Ints) -> Numbers:
    """Add up the tables of all strata, those without a comparison joined to coarser ones: actions x blocks x sums.

    `exposed` are the counts of the finest level, then those that have their place at coarser ones only.
    """
    found = np.zeros((len(others), strata.blocks, SUMS))
    parts = [
        np.ascontiguousarray(counts[:, side::2], np.float64)
        for counts in (exposed[0], others)
        for side in (1, 0)
    ]
    for level, block in enumerate(strata.block):
        if 0 < level < len(exposed):
            for place, side in enumerate((1, 0)):
                parts[place] += exposed[level][:, side::2]
        here = np.flatnonzero((parts[0] + parts[1] > 0) & (parts[2] + parts[3] > 0))
        if len(here):
            cells = [part.ravel()[here] for part in parts]
            action, stratum = np.divmod(here, len(block))
            _add(found, action * strata.blocks + block[stratum], cells)
        if level == len(strata.runs):
            break
        for part in parts:
            part.ravel()[here] = 0
        parts = [np.add.reduceat(part, strata.runs[level], axis=1) for part in parts]
    return found


def _add(found: Numbers, place: Ints, cells: Sequence[Numbers]) -> None:
    """Add the terms of tables to the sums of their places, which stand in order."""
    a, b, c, d = cells
    did, size = a + b, a + b + c + d
    kept = a + c
    share = did / size  # of the exposed
    pairs = did * (1 - share)
    rate = kept / size
    spread = pairs * rate * (1 - rate) * size / np.maximum(size - 1, 1)
    lean = spread * (1 - 2 * share) * (1 - 2 * rate) * size / np.maximum(size - 2, 1)
    terms = np.stack([
        a - did * rate, spread, np.where(size > 2, lean, 0), a * (1 - share), c * share,
        rate * pairs - a * c / size, did, pairs * (1 - share), pairs * share, a * (1 - rate),
    ])  # fmt: skip
    begins = np.flatnonzero(np.diff(place, prepend=-1))
    found.reshape(-1, SUMS)[place[begins]] += np.add.reduceat(terms, begins, axis=1).T
