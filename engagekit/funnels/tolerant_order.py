"""Steps whose clocks may differ: an event that its clock puts a little before the step before it still counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


def tolerant_order(
    flags: NDArray[np.unsignedinteger],
    starts: Integers,
    unit: Integers,
    at: Integers,
    entries: Integers,
    ends: Integers,
    *,
    steps: int,
    tolerance: int,
) -> tuple[Integers, Integers]:
    """Follow attempts, each step by the earliest event left that lies at most `tolerance` before all steps so far.

    Parameters
    ----------
    flags
        Per event, in order of unit and time, the steps it can fill, as bits; higher bits are ignored.
    starts
        The first event of each instant.
    unit, at
        Of each instant, and of a last one that no attempt can reach.
    entries, ends
        The instants at which attempts begin, and until when they last.
    steps
        How many steps there are.
    tolerance
        In the unit of `at`.

    Returns
    -------
    tuple of arrays
        The furthest step of each attempt, and the instant of each of its steps (a row per step).
    """
    count = starts.size
    instant_of = np.append(np.repeat(np.arange(count), np.diff(starts, append=flags.size)), count)
    flags = flags & flags.dtype.type((1 << steps) - 1)
    # Of one instant, an event that fits few steps is used before one that could be needed for another step.
    flags = flags[np.lexsort((np.bitwise_count(flags), instant_of[:-1]))]
    soonest = _soonest(unit[:-1], at[:-1], tolerance)
    level = np.zeros(entries.size, np.int64)
    instants = np.full((steps, entries.size), -1)
    used = np.full((steps, entries.size), -1)
    instants[0], latest, alive = entries, entries.copy(), np.arange(entries.size)
    opening = np.flatnonzero(flags & 1)
    used[0] = opening[np.searchsorted(opening, starts[entries])] if entries.size else 0
    for step in range(1, steps):
        having = np.append(np.flatnonzero(flags >> flags.dtype.type(step) & 1), flags.size)
        place = np.searchsorted(having, starts[soonest[latest[alive]]])
        found = having[place]
        while (taken := (used[:step, alive] == found).any(axis=0)).any():
            place = place + taken
            found = having[place]
        there = instant_of[found]
        inside = (at[there] <= ends[alive]) & (unit[there] == unit[entries[alive]])
        inside &= there < count
        alive, there = alive[inside], there[inside]
        level[alive], instants[step, alive], used[step, alive] = step, there, found[inside]
        latest[alive] = np.maximum(latest[alive], there)
    return level, instants


def _soonest(unit: Integers, at: Integers, tolerance: int) -> Integers:
    """Find, for each instant, the first one of the same unit that lies at most `tolerance` before it."""
    times, rank = np.unique(at, return_inverse=True)
    of_unit = np.cumsum(np.append(0, unit[1:] != unit[:-1]))[: unit.size] * (times.size + 1)
    found: Integers = np.searchsorted(of_unit + rank, of_unit + np.searchsorted(times, at - tolerance))  # fmt: skip
    return found
