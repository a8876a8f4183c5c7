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
EXACT = 14  # days active before, and days since the last of them, are told apart up to this many
# Days active before in classes: 0, 1-2, 3-7, 8 and more; inside these 1, 2 and 3-4, 5-7; inside these exact.
FEW_BEFORE = np.array([0, 1, 1, 2, 2, 2, 2, 2, *[3] * 24])
MORE_BEFORE = np.array([0, 0, 1, 0, 0, 1, 1, 1, *[0] * 24])
ALL_BEFORE = np.array([0, 0, 0, 0, 1, 0, 1, 2, 0, 1, 2, 3, 4, *[5] * 19])
# Days since the last of them: none, 1, 2-3, 4 and more; inside these exact.
SINCE = np.array([0, 1, 2, 2, *[3] * 28])
ALL_SINCE = np.array([0, 0, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, *[9] * 19])
LOOKED_UP = 1 << 24  # keys up to this range are numbered by a table, larger ones by sorting
EXACT_VOLUME, PER_DOUBLING = 2048, 128  # larger volumes are told apart by these steps only


@dataclass(frozen=True)
class UserDays:
    """What is known of each judged user, one place for each.

    - `volume`: days x users, how many events on each own early day; `retained`: what became of them.
    - `signed_up`: in days; `alike`: which values they have of the properties that comparisons keep apart;
      `group`: which of the groups that sums are taken for.
    """

    volume: NDArray[np.uint32]
    retained: NDArray[np.bool_]
    signed_up: NDArray[np.float64]
    alike: Ints
    group: Ints

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

    def only(self, kept: NDArray[np.bool_]) -> UserDays:
        """Narrow to some users."""
        parts = (self.retained, self.signed_up, self.alike, self.group)
        return UserDays(self.volume[:, kept], *(part[kept] for part in parts))

    def together(self) -> UserDays:
        """Take all users as one group."""
        return replace(self, group=np.zeros_like(self.group))


@dataclass(frozen=True)
class Strata:
    """Strata of all user-days, and how they grow coarser.

    - `cell`: days x users, twice the stratum plus whether retained; `nowhere` for days without events.
    - `keys`: per level, from the finest to the coarsest, the sorted keys of its strata, and `divisors` that make
      keys of a level from those of the finest.
    - `runs`: per level but the last, where the runs of its strata that make one of the next begin.
    - `block`: per level, which of the `blocks` (group x day) each stratum belongs to.
    """

    cell: NDArray[np.int32]
    keys: tuple[Ints, ...]
    divisors: tuple[int, ...]
    runs: tuple[Ints, ...]
    block: tuple[Ints, ...]
    blocks: int

    @property
    def size(self) -> int:
        """How many strata the finest level has."""
        return len(self.keys[0])

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
        """Count all user-days in each cell."""
        return self.counted(slice(None))

    def counted(self, users: Any) -> Ints:
        """Count the user-days of some users in each cell."""
        counts = np.zeros(self.nowhere + 1, np.int64)
        for day in self.cell:
            counts += np.bincount(day[users], minlength=self.nowhere + 1)
        return counts[:-1]

    def placed(self, level: int, keys: Ints) -> Ints:
        """Find the strata of keys at a level, -1 where there is none."""
        known, asked = self.keys[level], keys // self.divisors[level]
        if not len(known):
            return np.full(len(asked), -1)
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        return np.where(known[at] == asked, at, -1)


@dataclass(frozen=True)
class SameDay:
    """Strata of user-days by the volume of the day itself, and how to place a day as if it had another volume.

    `rest`: days x users, the key without what the volume adds to it; `added`: days x volume, what it adds;
    `volume`, `square`: per stratum the mean volume of its user-days, and the mean of its square.
    """

    strata: Strata
    rest: Ints
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

    def keys(self, day: Ints, user: Ints, volume: Ints) -> Ints:
        """Return the keys of user-days as if they had these volumes."""
        found: Ints = self.rest[day, user] + self.added[day, _binned(volume, self.added.shape[1])]
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


def trial_strata(known: UserDays) -> Strata:
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
        [4], [2], [3], [4], [_most(sixteenth)], [_most(fortnight)], [third], [6, 10],
    ]  # fmt: skip
    keys = []
    for day, (on, before, since, part) in enumerate(_before(known, 3 * third)):
        columns = [
            known.group[on] * known.days + day, quarter[on], known.alike[on],
            FEW_BEFORE[before], MORE_BEFORE[before], part // third, SINCE[since], sixteenth[on],
            fortnight[on], part % third, ALL_BEFORE[before], ALL_SINCE[since],
        ]  # fmt: skip
        keys.append((on, _packed(columns, radices)))
    return _strata(known, keys, radices)


def same_day_strata(known: UserDays) -> SameDay:
    """Put each active user-day into a stratum that also tells how much its user did on that very day.

    From fine to coarse: group and day x quarter x the properties kept alike x parts of that day's volume x
    classes of days active before x days since x thirds of the volume before x sixteenths of the range; then
    without the last of them, one after the other, parts in thirds between.
    """
    quarter, sixteenth, _ = _calendar(known.signed_up)
    third = same_day_parts(known.users) // 3
    # A day on which nothing else was done is no third: nobody active is like it.
    radices = [
        [known.groups * known.days, 4, _most(known.alike), 4],
        [4], [third], [2], [4], [3], [_most(sixteenth)],
    ]  # fmt: skip
    bins = 1 + int(_binned(known.volume.max(initial=0)))
    steps = (
        prod(r for level in radices[1:] for r in level),
        prod(r for level in radices[3:] for r in level),
    )
    rest = np.zeros(known.volume.shape, np.int64)
    added = np.zeros((known.days, bins), np.int64)
    keys = []
    for day, (on, before, since, part) in enumerate(_before(known, 3)):
        volume = _binned(known.volume[day, on])
        parts = 1 + _parts(np.bincount(volume, minlength=bins)[None, :], 3 * third)[0]
        outer = np.where(np.arange(bins) > 0, (parts - 1) // third + 1, 0)
        inner = np.where(np.arange(bins) > 0, (parts - 1) % third, 0)
        added[day] = outer * steps[0] + inner * steps[1]
        columns = [
            known.group[on] * known.days + day, quarter[on], known.alike[on], np.zeros_like(part),
            FEW_BEFORE[before], np.zeros_like(part), MORE_BEFORE[before], SINCE[since], part,
            sixteenth[on],
        ]  # fmt: skip
        rest[day, on] = _packed(columns, radices)
        keys.append((on, rest[day, on] + added[day, volume]))
    strata = _strata(known, keys, radices)
    total, square, count = (np.zeros(strata.nowhere // 2 + 1) for _ in range(3))
    for day in range(known.days):
        stratum, volume = strata.cell[day] // 2, known.volume[day].astype(np.float64)
        count += np.bincount(stratum, minlength=len(count))
        total += np.bincount(stratum, volume, len(count))
        square += np.bincount(stratum, volume * volume, len(count))
    mean, mean_square = (each[:-1] / np.maximum(count[:-1], 1) for each in (total, square))
    behind = prod(r for level in radices[2:] for r in level)
    per_block = prod(r for level in radices for r in level) // radices[0][0]
    return SameDay(strata, rest, added, mean, mean_square, behind, radices[1][0], per_block)


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


def _before(known: UserDays, parts: int) -> Iterator[tuple[Ints, Ints, Ints, Ints]]:
    """For each day the users active on it, on how many days before, how long since, and the part of their volume before."""
    count, last = np.zeros(known.users, np.int64), np.full(known.users, -1)
    volume = np.zeros(known.users, np.int64)
    for day, today in enumerate(known.volume):
        on = np.flatnonzero(today)
        before = count[on]
        since = np.where(last[on] < 0, 0, day - last[on])
        binned, width = _binned(volume[on]), 1 + int(_binned(volume.max(initial=0)))
        exact = np.minimum(before, EXACT - 1)
        histogram = np.bincount(exact * width + binned, minlength=EXACT * width)
        table = _parts(histogram.reshape(EXACT, width), parts)
        yield on, before, since, table[exact, binned]
        count[on] += 1
        last[on] = day
        volume += today


def _parts(histogram: Ints, parts: int) -> Ints:
    """Say of each value which of `parts` equal parts the middle of its users lies in, row by row."""
    whole = np.maximum(histogram.sum(axis=1, keepdims=True), 1)
    middle = np.cumsum(histogram, axis=1) - histogram / 2
    return np.minimum((middle / whole * parts).astype(np.int64), parts - 1)


def _binned(volume: Any, most: int | None = None) -> Any:
    """Tell small volumes apart exactly, large ones by ratio."""
    volume = np.asarray(volume, np.int64)
    large = volume > EXACT_VOLUME
    if large.any():
        steps = np.log2(np.maximum(volume, EXACT_VOLUME) / EXACT_VOLUME) * PER_DOUBLING
        volume = np.where(large, EXACT_VOLUME + steps.astype(np.int64), volume)
    return volume if most is None else np.minimum(volume, most - 1)


def _most(values: Ints) -> int:
    return int(values.max(initial=0)) + 1


def _packed(columns: Sequence[Ints], radices: Sequence[Sequence[int]]) -> Ints:
    key: Ints = np.zeros(len(columns[0]), np.int64)
    for column, radix in zip(columns, [r for level in radices for r in level], strict=True):
        if radix > 1:
            key = key * radix + column
    return key


def _strata(
    known: UserDays, keys: Sequence[tuple[Ints, Ints]], radices: Sequence[Sequence[int]]
) -> Strata:
    """Number the keys that occur, and say which run of each level makes one stratum of the next."""
    whole = prod(r for level in radices for r in level)
    found, numbers = _numbered([key for _, key in keys], whole)
    cell = np.full(known.volume.shape, 2 * len(found), np.int32)
    for day, ((on, _), number) in enumerate(zip(keys, numbers, strict=True)):
        cell[day, on] = 2 * number + known.retained[on]
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
    return Strata(cell, tuple(levels), tuple(divisors), tuple(runs), of_block, blocks)


def _numbered(keys: Sequence[Ints], whole: int) -> tuple[Ints, list[Ints]]:
    """Give the keys that occur numbers in their order."""
    if whole <= LOOKED_UP:
        there = np.zeros(whole, np.bool_)
        for key in keys:
            there[key] = True
        found = np.flatnonzero(there)
        number = np.zeros(whole, np.int32)
        number[found] = np.arange(len(found))
        return found, [number[key] for key in keys]
    found, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    ends = np.cumsum([len(key) for key in keys])[:-1]
    return found, np.split(inverse, ends)
