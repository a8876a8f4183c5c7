"""Strata of user-days: who was like whom on an early day, by what was known of them before it.

A stratum's key reads from coarse to fine, so that a coarser stratum is a run of finer ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt, prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.integer[Any]]

FORTNIGHT, LEAST_SIGNED_UP = (
    14.0,
    500,
)  # sign-ups are cut into fortnights, or as long as so many users sign up
EXACT = (
    11  # volumes before are compared among users with as many active days before, up to this many
)
# Days active before in classes: 0, 1-2, 3-7, 8 and more; inside these 1, 2 and 3-4, 5-7; inside these exact, up to 10.
FEW_BEFORE = np.array([0, 1, 1, 2, 2, 2, 2, 2, *[3] * 24])
MORE_BEFORE = np.array([0, 0, 1, 0, 0, 1, 1, 1, *[0] * 24])
ALL_BEFORE = np.array([0, 0, 0, 0, 1, 0, 1, 2, 0, 1, *[2] * 22])
# Days since the last of them: none, 1, 2-3, 4 and more; inside these exact, up to 7.
SINCE = np.array([0, 1, 2, 2, *[3] * 28])
ALL_SINCE = np.array([0, 0, 0, 1, 0, 1, 2, *[3] * 25])
LOOKED_UP = 1 << 24  # keys up to this range are numbered by a table, larger ones by sorting
EXACT_VOLUME, PER_DOUBLING = 2048, 128  # larger volumes are told apart by these steps only


@dataclass(frozen=True)
class UserDays:
    """What is known of each judged user, one place for each.

    - `volume`: days x users, how many events on each own early day; `retained`: what became of them.
    - `signed_up`: in days; `alike`: which values they have of the properties that comparisons keep apart;
      `group`: which of the groups that sums are taken for; `lot`: a number drawn for each, always the same.
    """

    volume: NDArray[np.uint16]
    retained: NDArray[np.bool_]
    signed_up: NDArray[np.float64]
    alike: Ints
    group: Ints
    lot: Ints

    @property
    def users(self) -> int:
        """How many users there are."""
        return int(self.volume.shape[1])

    @property
    def days(self) -> int:
        """How many early days there are."""
        return int(self.volume.shape[0])

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max(initial=0)) + 1

    @cached_property
    def active(self) -> list[Ints]:
        """Who was active, day by day."""
        return [np.flatnonzero(today) for today in self.volume]

    def only(self, kept: NDArray[np.bool_]) -> UserDays:
        """Narrow to some users."""
        return UserDays(
            self.volume[:, kept], self.retained[kept], self.signed_up[kept], self.alike[kept],
            self.group[kept], self.lot[kept],
        )  # fmt: skip

    def together(self) -> UserDays:
        """Take all users as one group."""
        return replace(self, group=np.zeros_like(self.group))


@dataclass(frozen=True)
class Past:
    """What was known of the users active on one early day before it.

    `before`: days active before, up to 31; `since`: days since the last of them, 0 for none; `part`: which part of the
    volume before, among those with as many days before.
    """

    before: NDArray[np.uint8]
    since: NDArray[np.uint8]
    part: NDArray[np.uint8]


@dataclass(frozen=True)
class Strata:
    """Strata of all user-days, and how they grow coarser.

    - `cell`: days x users, twice the stratum plus whether retained; `nowhere` for days without events.
    - `keys`: per level, from the finest to the coarsest, the sorted keys of its strata, and `divisors` that make
      keys of a level from those of the finest.
    - `runs`: per level but the last, where the runs of its strata that make one of the next begin.
    - `block`: per level, which of the `blocks` (group x day) each stratum belongs to.
    - `whole`: no key is larger; `pool`: which users the exposed are compared with, None for all.
    """

    cell: NDArray[np.int32]
    keys: tuple[Ints, ...]
    divisors: tuple[int, ...]
    runs: tuple[Ints, ...]
    block: tuple[Ints, ...]
    blocks: int
    whole: int
    pool: NDArray[np.bool_] | None = None

    @property
    def size(self) -> int:
        """How many strata the finest level has."""
        return len(self.keys[0])

    @cached_property
    def _places(self) -> list[Ints]:
        """Per level, the stratum of every key, -1 where there is none."""
        found: list[Ints] = []
        for known, divisor in zip(self.keys, self.divisors, strict=True):
            table = np.full(self.whole // divisor + 1, -1, np.int32)
            table[known] = np.arange(len(known), dtype=np.int32)
            found.append(table)
        return found

    @property
    def nowhere(self) -> int:
        """The cell of days without events."""
        return 2 * self.size

    def of_groups(self, days: int) -> Strata:
        """Take sums per group, over all days."""
        merged = tuple(block // days for block in self.block)
        return replace(self, block=merged, blocks=self.blocks // days)

    @cached_property
    def base(self) -> Ints:
        """Count all user-days in each cell, those of the pool where there is one."""
        return self.counted(None)

    def counted(self, users: NDArray[np.bool_] | None) -> Ints:
        """Count the user-days of some users in each cell, of those in the pool."""
        counts = np.zeros(self.nowhere + 1, np.int64)
        if users is None or self.pool is None:
            users = self.pool if users is None else users
        else:
            users = users & self.pool
        for day in self.cell:
            mine = day if users is None else day[users]
            counts += np.bincount(mine, minlength=self.nowhere + 1)
        return counts[:-1]

    def placed(self, level: int, keys: Ints) -> Ints:
        """Find the strata of keys at a level, -1 where there is none."""
        known, asked = self.keys[level], keys // self.divisors[level]
        if not len(known):
            return np.full(len(asked), -1)
        if self.whole <= LOOKED_UP:
            return self._places[level].take(asked)
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        return np.where(known[at] == asked, at, -1)


@dataclass(frozen=True)
class SameDay:
    """Strata of user-days by the volume of the day itself, and how to place a day as if it had another volume.

    `added`: days x volume, what the volume adds to the key;
    `volume`, `square`: per stratum the mean volume of its user-days, and the mean of its square.
    """

    strata: Strata
    added: Ints
    volume: NDArray[np.float64]
    square: NDArray[np.float64]
    behind: int  # what divides keys into days and classes of days active before, and how many classes there are
    classes: int
    per_block: int

    def like_of(self, keys: Ints) -> Ints:
        """Return the day and the class of days active before of keys."""
        found: Ints = keys // self.per_block * self.classes + keys // self.behind % self.classes
        return found

    def rest(self, day: Ints, user: Ints, volume: Ints) -> Ints:
        """Return the keys of user-days without what their volume adds."""
        stratum = np.minimum(self.strata.cell[day, user] // 2, self.strata.size - 1)  # nowhere: any
        found: Ints = self.strata.keys[0][stratum] - self.added[day, _binned(volume)]
        return found

    def keys(self, rest: Ints, day: Ints, volume: Ints) -> Ints:
        """Return the keys of user-days with a given `rest` as if they had these volumes."""
        found: Ints = rest + self.added[day, _binned(volume, self.added.shape[1])]
        return found


def volume_parts(users: int) -> int:
    """Say into how many parts the volume before is cut: six, more with more users, up to 21.

    A multiple of three, as parts are joined to thirds. Parts too wide leave the busiest of a part unlike the rest,
    which shows as soon as users are many enough.
    """
    return 3 * min(7, max(2, isqrt(users // 500)))


def same_day_parts(users: int) -> int:
    """Say into how many parts the volume of the day itself is cut: nine, more with more users, up to 36."""
    return 3 * min(12, max(3, isqrt(users // 150)))


def pasts(known: UserDays) -> list[Past]:
    """Tell for each day what was known of the users active on it."""
    parts = volume_parts(known.users)
    count, last = np.zeros(known.users, np.uint8), np.full(known.users, -1, np.int8)
    volume, found = np.zeros(known.users, np.uint32), []
    for day, today in enumerate(known.volume):
        on = known.active[day]
        before, seen = count[on], last[on]
        since = np.where(seen < 0, 0, day - seen).astype(np.uint8)
        binned = _binned(volume[on])
        width = 1 + int(binned.max(initial=0))
        exact = np.minimum(before, EXACT - 1) * np.int32(width) + binned
        histogram = np.bincount(exact, minlength=EXACT * width).reshape(EXACT, width)
        part = _parts(histogram, parts).astype(np.uint8).ravel()[exact]
        found.append(Past(before, since, part))
        count[on] += 1
        last[on] = day
        volume += today
    return found


def trial_strata(known: UserDays, past: Sequence[Past]) -> Strata:
    """Put each active user-day into a stratum of what came before it.

    From fine to coarse: group and day x quarter of the sign-up range x the properties kept alike x days active
    before x days since the last of them x parts of the volume before x fortnights of sign-up; then days before and
    since in classes, the volume in thirds, fortnights in sixteenths of the range and in its quarters; then without days
    since, without volume, with fewer classes of days before, and without these.
    """
    quarter, sixteenth, fortnight = _calendar(known.signed_up)
    third = volume_parts(known.users) // 3
    radices = [
        [known.groups * known.days, 4, _most(known.alike)],
        [4], [2], [3], [4], [_most(sixteenth)], [_most(fortnight)], [third], [3, 4],
    ]  # fmt: skip
    spread, kind = _strides(radices), _kind(radices)
    # What belongs to a user on every day, and what to a number of days before or since, is added up once.
    always: Ints = (
        known.group * known.days * spread[0] + quarter * spread[1] + known.alike * spread[2]
        + sixteenth * spread[7] + fortnight * spread[8]
    ).astype(kind)  # fmt: skip
    before = FEW_BEFORE * spread[3] + MORE_BEFORE * spread[4] + ALL_BEFORE * spread[10]
    since = SINCE * spread[6] + ALL_SINCE * spread[11]
    part = np.arange(3 * third)
    part = part // third * spread[5] + part % third * spread[9]
    tables: list[Ints] = [table.astype(kind) for table in (before, since, part)]
    return _strata(known, _keys(known, past, always, tables, spread[0]), radices)


def _keys(
    known: UserDays, past: Sequence[Past], always: Ints, tables: Sequence[Ints], each_day: int
) -> Iterator[Ints]:
    """Add up the keys of the users active on each day."""
    for day, then in enumerate(past):
        key = always[known.active[day]]
        key += always.dtype.type(day * each_day)
        for table, column in zip(tables, (then.before, then.since, then.part), strict=True):
            key += table[column]
        yield key


def same_day_strata(
    known: UserDays, past: Sequence[Past], space: NDArray[np.int32] | None = None
) -> SameDay:
    """Put each active user-day into a stratum that also tells how much its user did on that very day.

    From fine to coarse: group and day x quarter x the properties kept alike x parts of that day's volume x
    classes of days active before x days since x thirds of the volume before x sixteenths of the range; then
    without the last of them, one after the other, parts in thirds between, and whether anything else was done. `space` is overwritten, if given.
    """
    quarter, sixteenth, _ = _calendar(known.signed_up)
    third = same_day_parts(known.users) // 3
    # A day on which nothing else was done stands alone: nobody active is like it.
    radices = [
        [known.groups * known.days, 4, _most(known.alike), 2],
        [3], [4], [third], [2], [4], [3], [_most(sixteenth)],
    ]  # fmt: skip
    spread, kind = _strides(radices), _kind(radices)
    always: Ints = (
        known.group * known.days * spread[0] + quarter * spread[1] + known.alike * spread[2]
        + sixteenth * spread[10]
    ).astype(kind)  # fmt: skip
    tables = [
        (FEW_BEFORE * spread[5] + MORE_BEFORE * spread[7]).astype(kind),
        (SINCE * spread[8]).astype(kind),
        (np.arange(256) * 3 // volume_parts(known.users) * spread[9]).astype(kind),
    ]
    bins = 1 + int(_binned(known.volume.max(initial=0)))
    added = np.zeros((known.days, bins), kind)
    for day, today in enumerate(known.volume):
        histogram = np.bincount(_binned(today[known.active[day]]), minlength=bins)
        parts = _parts(histogram[None, :], 3 * third)[0]
        parts = spread[3] + parts // third * spread[4] + parts % third * spread[6]
        added[day] = np.where(np.arange(bins) > 0, parts, 0)
    rest = _keys(known, past, always, tables, spread[0])
    keys = (
        key + added[day][_binned(known.volume[day][known.active[day]])]
        for day, key in enumerate(rest)
    )
    strata = _strata(known, keys, radices, space)
    of_day = strata.block[0] % known.days
    part = strata.keys[0] * strata.divisors[0]
    part = part // spread[4] % 3 * third + part // spread[6] % third
    mean, square = (each[of_day, part] for each in _volumes(known, added, spread, third))
    return SameDay(strata, added, mean, square, spread[5], 4, spread[0])


def _volumes(
    known: UserDays, added: Ints, spread: Sequence[int], third: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean volume of each day's parts, and of its square."""
    shape = known.days, 3 * third
    mean, square = np.zeros(shape), np.zeros(shape)
    for day, today in enumerate(known.volume):
        value, times = np.unique(today[known.active[day]], return_counts=True)
        key = added[day, _binned(value)]
        part = key // spread[4] % 3 * third + key // spread[6] % third
        count = np.maximum(np.bincount(part, times, 3 * third), 1)
        mean[day] = np.bincount(part, times * value.astype(float), 3 * third) / count
        square[day] = np.bincount(part, times * value.astype(float) ** 2, 3 * third) / count
    return mean, square


def _calendar(signed_up: NDArray[np.float64]) -> tuple[Ints, Ints, Ints]:
    """Cut the sign-up range into quarters, these into fourths where they are long, and all into fortnights or so."""
    if not len(signed_up):
        nothing: Ints = np.zeros(0, np.int64)
        return nothing, nothing, nothing
    first, last = float(signed_up.min()), float(signed_up.max())
    through = (signed_up - first) / max(last - first, 1e-9) * 4
    quarter = np.minimum(through.astype(np.int64), 3)
    each = max(
        1, min(round((last - first) / 4 / FORTNIGHT), len(signed_up) // 4 // LEAST_SIGNED_UP)
    )
    slot = np.minimum(((through - quarter) * each).astype(np.int64), each - 1)
    wide = max(1, -(-each // 4)) if each > 4 else each
    return quarter, slot // wide, slot % wide


def _parts(histogram: Ints, parts: int) -> Ints:
    """Say of each value which of `parts` equal parts the middle of its users lies in, row by row."""
    whole = np.maximum(histogram.sum(axis=1, keepdims=True), 1)
    middle = np.cumsum(histogram, axis=1) - histogram / 2
    found: Ints = np.minimum((middle / whole * parts).astype(np.int64), parts - 1)
    return found


def _binned(volume: Any, most: int | None = None) -> Any:
    """Tell small volumes apart exactly, large ones by ratio."""
    volume = np.asarray(volume)
    large = volume > EXACT_VOLUME
    if large.any():
        steps = np.log2(np.maximum(volume, EXACT_VOLUME) / EXACT_VOLUME) * PER_DOUBLING
        volume = np.where(large, EXACT_VOLUME + steps.astype(np.int64), volume)
    volume = volume.astype(np.int32, copy=False)
    return volume if most is None else np.minimum(volume, most - 1)


def _most(values: Ints) -> int:
    return int(values.max(initial=0)) + 1


def _strides(radices: Sequence[Sequence[int]]) -> list[int]:
    """Say what one step of each column adds to the key."""
    flat = [r for level in radices for r in level]
    return [prod(flat[place + 1 :]) for place in range(len(flat))]


def _kind(radices: Sequence[Sequence[int]]) -> type[np.int32] | type[np.int64]:
    """Take keys as small as they fit."""
    return np.int32 if prod(r for level in radices for r in level) < 1 << 31 else np.int64


def _strata(
    known: UserDays,
    keys: Iterator[Ints],
    radices: Sequence[Sequence[int]],
    space: NDArray[np.int32] | None = None,
) -> Strata:
    """Give the keys that occur numbers, and say which run of each level makes one stratum of the next."""
    whole = prod(r for level in radices for r in level)
    cell = np.empty(known.volume.shape, np.int32) if space is None else space
    found = _numbered(known, keys, whole, cell)
    levels, divisors, runs = [found], [1], []
    for level in radices[:0:-1]:
        if (width := prod(level)) == 1:
            continue
        coarser = levels[-1] // width
        begins = np.flatnonzero(np.diff(coarser, prepend=-1))
        if len(begins) == len(coarser) and len(levels) > 1:  # nothing has grown together
            levels[-1], divisors[-1] = coarser, divisors[-1] * width
            continue
        runs.append(begins)
        levels.append(coarser[begins])
        divisors.append(divisors[-1] * width)
    blocks = known.groups * known.days
    per_block = prod(r for level in radices for r in level) // blocks
    of_block = tuple(each // (per_block // d) for each, d in zip(levels, divisors, strict=True))
    return Strata(cell, tuple(levels), tuple(divisors), tuple(runs), of_block, blocks, whole)


def _numbered(known: UserDays, keys: Iterator[Ints], whole: int, cell: NDArray[np.int32]) -> Ints:
    """Give the keys that occur numbers in their order, and fill in the cells."""
    if whole > LOOKED_UP:
        every = list(keys)
        found: Ints
        found, inverse = np.unique(np.concatenate(every), return_inverse=True)
        numbers = np.split(inverse.astype(np.int32), np.cumsum([len(key) for key in every])[:-1])
        for day, number in enumerate(numbers):
            _fill(cell[day], known, day, number, len(found))
        return found
    there = np.zeros(whole, np.bool_)
    for day, key in enumerate(keys):  # kept where the numbers come to stand
        there[key] = True
        cell[day][known.active[day]] = key
    found = np.flatnonzero(there)
    place = np.zeros(whole, np.int32)
    place[found] = np.arange(len(found), dtype=np.int32)
    for day in range(known.days):
        _fill(cell[day], known, day, place[cell[day][known.active[day]]], len(found))
    return found


def _fill(
    cells: NDArray[np.int32], known: UserDays, day: int, number: NDArray[np.int32], size: int
) -> None:
    on = known.active[day]
    cells.fill(2 * size)
    cells[on] = 2 * number + known.retained[on]
