"""Steps in any order: when the first, second, third different step of an attempt is filled."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def any_order(
    flags: NDArray[np.unsignedinteger],
    starts: NDArray[np.int64],
    entries: NDArray[np.int64],
    *,
    steps: int,
) -> NDArray[np.int64]:
    """Find the instant at which each entry has filled 1, 2, 3 ... different steps, each by an event of its own.

    By König's theorem the events so far fill j of the m steps of a family exactly when every set S of its steps is
    touched by at least ``j - m + |S|`` of them; so the j-th is filled when the last of these sets has enough.

    Parameters
    ----------
    flags
        Per event, in order of unit and time, the steps it can fill, as bits; higher bits are ignored.
    starts
        The first event of each instant.
    entries
        The instants at which attempts begin.
    steps
        How many steps there are.

    Returns
    -------
    array
        A row per number of steps, a column per entry; the number of instants stands for never. Units and windows
        are not looked at.
    """
    flags = flags & flags.dtype.type((1 << steps) - 1)
    first = starts[entries]
    instant_of = np.repeat(np.arange(starts.size), np.diff(starts, append=flags.size))
    found = np.empty((steps, entries.size), np.int64)
    row = 0
    for classes in _families({int(kind) for kind in np.unique(flags)}, steps):
        size = sum(bits.bit_count() for bits in classes)
        family = np.zeros((size, entries.size), np.int64)
        for touched in _unions(classes):
            _raise_to(family, _touching(flags, touched), first, instant_of, touched.bit_count())
        found[row : row + size] = family
        row += size
    found.sort(axis=0)
    return found


def _touching(flags: NDArray[np.unsignedinteger], steps: int) -> NDArray[np.int64]:
    return np.flatnonzero(flags & flags.dtype.type(steps))


def _raise_to(
    family: NDArray[np.int64],
    events: NDArray[np.int64],
    first: NDArray[np.int64],
    instant_of: NDArray[np.int64],
    size: int,
) -> None:
    """Put each row off until a set of `size` steps is touched by as many events as that row needs."""
    never = int(instant_of[-1]) + 1 if instant_of.size else 0
    when = np.append(instant_of[events], never)
    before = np.searchsorted(events, first)
    for nth in range(size):
        row = len(family) - size + nth
        np.maximum(family[row], when[np.minimum(before + nth, events.size)], out=family[row])


def _families(kinds: set[int], steps: int) -> Iterator[list[int]]:
    """Group the steps: those that events cannot tell apart make a class, classes that share an event a family."""
    classes: dict[tuple[int, ...], int] = {}
    for step in range(steps):
        sign = tuple(sorted(kind for kind in kinds if kind >> step & 1))
        sign = sign or (-step - 1,)  # a step that no event fills is alone
        classes[sign] = classes.get(sign, 0) | 1 << step
    left = list(classes.values())
    while left:
        family = joined = [left.pop(0)]
        while joined:
            reach = 0
            for kind in kinds:
                reach |= kind if any(kind & bits for bits in family) else 0
            joined = [bits for bits in left if bits & reach]
            left = [bits for bits in left if not bits & reach]
            family = family + joined
        yield family


def _unions(classes: list[int]) -> Iterator[int]:
    for count in range(1, len(classes) + 1):
        for some in combinations(classes, count):
            yield sum(some)
