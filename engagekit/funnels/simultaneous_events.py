"""Events of one instant: which steps they can fill when they may count in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ties:
    """How far each instant with several events carries a user.

    - `pattern`: per instant the row of `reach` that holds for it; 0 where it has one event only.
    - `reach`: row per pattern, column ``k``: the furthest step filled by someone whose next step is ``k``
      (``k - 1`` if none is). Row 0 is that of an instant that adds nothing.
    """

    pattern: NDArray[np.int64]
    reach: NDArray[np.int64]


def ties_of(flags: NDArray[np.unsignedinteger], starts: NDArray[np.int64], *, steps: int) -> Ties:
    """Work out `Ties` from the step flags of all events and the position where each instant starts.

    Instants whose events could fill the same steps share a pattern, so that each is worked out once.
    """
    sizes = np.diff(starts, append=flags.size)
    several = np.flatnonzero(sizes > 1)
    pattern = np.zeros(starts.size, np.int64)
    nothing = np.arange(steps + 1) - 1
    if not several.size:
        return Ties(pattern, nothing[None, :])
    rows = flags[np.repeat(sizes > 1, sizes)] & flags.dtype.type((1 << steps) - 1)
    begins = np.concatenate([[0], np.cumsum(sizes[several])[:-1]])
    kinds = [int(kind) for kind in np.unique(rows) if kind]
    counts = np.zeros((len(kinds), several.size), np.int64)
    code = np.zeros(several.size, np.int64)
    for place, kind in enumerate(kinds):
        most = kind.bit_count()  # no more events of a kind can ever be used
        counts[place] = np.minimum(np.add.reduceat(rows == kind, begins, dtype=np.int64), most)
        code = np.unique(code * (most + 1) + counts[place], return_inverse=True)[1]
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    pattern[several] = code + 1
    table = [
        furthest([k for k, n in zip(kinds, counts[:, i], strict=True) for _ in range(n)], steps)
        for i in first
    ]
    return Ties(pattern, np.array([nothing, *table], np.int64))


def furthest(events: Sequence[int], steps: int) -> list[int]:
    """Say how far events of one instant carry a user, for each step that may be next.

    Parameters
    ----------
    events
        Per event the steps it can fill, as bits.
    steps
        How many steps there are.

    Returns
    -------
    list
        For each next step 0 to `steps`, the last step filled when each event fills at most one and no step is left
        out; one less than the next step if none is.

    Examples
    --------
    >>> furthest([0b001, 0b010], 3)
    [1, 1, 1, 2]
    """
    return [_filled_from(begin, events, steps) for begin in range(steps + 1)]


def _filled_from(begin: int, events: Sequence[int], steps: int) -> int:
    holder: dict[int, int] = {}  # event -> the step it fills
    for step in range(begin, steps):
        if not _placed(step, events, holder, set()):
            return step - 1
    return steps - 1


def _placed(step: int, events: Sequence[int], holder: dict[int, int], tried: set[int]) -> bool:
    """Find an event for a step, moving others to another event where that helps."""
    for event, fills in enumerate(events):
        if fills >> step & 1 and event not in tried:
            tried.add(event)
            if event not in holder or _placed(holder[event], events, holder, tried):
                holder[event] = step
                return True
    return False
