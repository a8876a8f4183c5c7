"""How many of the retained and of the churned did each action on so many early days: the plain counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.first_weeks.trial_strata import Ints, UserDays
    from engagekit.first_weeks.trials import Acts, Numbers

LEAST_USERS = 10  # on either side of an action, or it is not judged
LEAST_IN_HALF = 5


@dataclass(frozen=True)
class Tally:
    """Counts of users: `did` actions x numbers of days x halves x groups x (churned, retained), `of` without the days."""

    did: Ints
    of: Ints

    def whole(self) -> tuple[Ints, Ints]:
        """Return `did` and `of` over both halves and all groups: actions x days x 2, actions x 2."""
        return self.did.sum(axis=(2, 3)), self.of.sum(axis=(1, 2))

    def of_half(self, half: int) -> tuple[Ints, Ints]:
        """Return `did` and `of` of one half."""
        return self.did[:, :, half].sum(axis=2), self.of[:, half].sum(axis=1)

    def of_groups(self) -> tuple[Ints, Ints]:
        """Return `did` and `of` per group: actions x days x groups x 2, actions x groups x 2."""
        return self.did.sum(axis=2), self.of.sum(axis=1)


def tally(acts: Acts, known: UserDays, half: Ints, days: Sequence[int]) -> Tally:
    """Count who did each action on at least so many early days, of all who could."""
    kind = (half * known.groups + known.group) * 2 + known.retained
    kinds = 4 * known.groups
    # Counted by how many of the numbers of days are reached, in order, then added up from the largest.
    steps = np.searchsorted(np.sort(days), np.arange(33), side="right") * kinds
    width = (len(days) + 1) * kinds
    exact = np.zeros((acts.actions, width), np.int64)
    for action in range(acts.actions):
        rows = acts.of(action)
        place = steps[np.bitwise_count(acts.days[rows])] + kind[acts.user[rows]]
        exact[action] = np.bincount(place, minlength=width)
    by_steps = exact.reshape(acts.actions, len(days) + 1, kinds)
    did = np.cumsum(by_steps[:, ::-1], axis=1)[:, ::-1][:, 1:]
    everyone = np.bincount(kind, minlength=kinds)
    of = np.repeat(everyone[None, :], acts.actions, axis=0)
    for late, able in acts.able.items():
        of[late] = np.bincount(kind[able], minlength=kinds)
    shape = (2, known.groups, 2)
    counts = did.reshape(acts.actions, len(days), *shape)
    return Tally(counts, of.reshape(acts.actions, *shape))


def activity(known: UserDays, half: Ints, days: Sequence[int]) -> Tally:
    """Count who was active at all on so many early days, as one more action."""
    kind = (half * known.groups + known.group) * 2 + known.retained
    kinds, on = 4 * known.groups, (known.volume > 0).sum(axis=0)
    did = [np.bincount(kind[on >= least], minlength=kinds) for least in days]
    shape = (2, known.groups, 2)
    of = np.bincount(kind, minlength=kinds)
    return Tally(np.stack(did).reshape(1, len(days), *shape), of.reshape(1, *shape))


def phi(did: Ints, of: Ints) -> Numbers:
    """Correlate doing with being retained, not-a-number where nobody or everybody did or was."""
    a, b = did[..., 1].astype(np.float64), did[..., 0].astype(np.float64)
    c, d = of[..., 1] - a, of[..., 0] - b
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Numbers = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    return found


def held_out(counts: Tally) -> Numbers:
    """Take phi on one half of the users, at the number of days where it is largest on the other."""
    choosing, telling = (counts.of_half(half) for half in (1, 0))
    found = phi(choosing[0], choosing[1][:, None, :])
    did = choosing[0].sum(axis=2)
    enough = (did >= LEAST_IN_HALF) & (choosing[1].sum(axis=1)[:, None] - did >= LEAST_IN_HALF)
    size = np.where(enough & np.isfinite(found), np.abs(found), -1.0)
    best = size.argmax(axis=1)
    rows = np.arange(len(best))
    told = phi(telling[0][rows, best], telling[1])
    return np.where(size[rows, best] >= 0, told, np.nan)
