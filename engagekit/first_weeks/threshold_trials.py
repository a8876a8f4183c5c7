"""Trials over a grid of how often within how many days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from engagekit.first_weeks.accounts import account_effects
from engagekit.first_weeks.contingency_tables import LEAST_USERS
from engagekit.first_weeks.same_day import same_day_within
from engagekit.first_weeks.trial_strata import pasts, same_day_strata, trial_strata
from engagekit.first_weeks.trials import EXCESS, SUMS, reaching, trials
from engagekit.first_weeks.verdicts import Alike, careful, drawn, two_sided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.first_weeks.trial_strata import Ints, Strata, UserDays
    from engagekit.first_weeks.trials import Acts, Numbers

    Grid = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Cells:
    """What one half of the users says of every action and cell of the grid.

    `did`: actions x cells x (churned, retained) who reached it, `of`: actions x (churned, retained) who could; `sums` of
    the trials, and their two-sided `chance`.
    """

    did: Ints
    of: Ints
    sums: Numbers
    chance: Numbers

    def table(self, action: int, place: int) -> tuple[int, int, int, int]:
        """Return a cell's table: did and retained, did not retained, not did retained, neither."""
        b, a = (int(n) for n in self.did[action, place])
        n0, n1 = (int(n) for n in self.of[action])
        return a, b, n1 - a, n0 - b

    def best(self) -> Ints:
        """Choose each action's cell: where those who reached it were most surely retained more often; -1 for none."""
        did, of = self.did.sum(axis=2), self.of.sum(axis=1)
        enough = np.minimum(did, of[:, None] - did) >= LEAST_USERS
        usable = enough & np.isfinite(self.chance) & (self.sums[..., EXCESS] > 0)
        chance = np.where(usable, self.chance, np.inf)
        return np.where(usable.any(axis=1), chance.argmin(axis=1), -1)


def cells(known: UserDays, acts: Acts, grid: Grid) -> Cells:
    """Sum trials over the days of each cell."""
    sums = np.zeros((acts.actions, len(grid), SUMS))
    for rows, users, pool in drawn(known, acts):
        mine, some = (
            (known, acts.only(rows.tolist()))
            if users is None
            else (known.only(users), acts.only(rows.tolist()).among(users))
        )
        strata = replace(trial_strata(mine, pasts(mine)), pool=pool)
        for k in sorted({k for k, _ in grid}):
            by_day = np.cumsum(_one(strata, some, k), axis=1)
            for place, (often, within) in enumerate(grid):
                if often == k:
                    sums[rows, place] = by_day[:, within - 1]
    did, of = _counts(known, acts, grid)
    return Cells(did, of, sums, two_sided(sums, Alike.nobody(1)))


def _one(strata: Strata, acts: Acts, k: int) -> Numbers:
    """Sum the trials of one number of times: actions x days x sums."""
    if acts.done is not None:
        return reaching(strata, acts, k)
    before = [range(1)] if k == 1 else [range(1), range(k - 1, k)]
    return trials(strata, acts, before)[:, -1]


def _counts(known: UserDays, acts: Acts, grid: Grid) -> tuple[Ints, Ints]:
    """Count who reached each cell, and who could, churned and retained."""
    of = np.repeat(np.bincount(known.retained, minlength=2)[None, :], acts.actions, axis=0)
    for place, able in acts.able.items():
        of[place] = np.bincount(known.retained[able], minlength=2)
    action = np.repeat(np.arange(acts.actions), np.diff(acts.starts))
    kind = action * 2 + known.retained[acts.user]
    did = np.zeros((acts.actions, len(grid), 2), np.int64)
    for place, (k, d) in enumerate(grid):
        bits = np.bitwise_count(acts.days & np.uint32((1 << d) - 1))
        rows = (bits if acts.done is None else acts.done[d]) >= k
        did[:, place] = np.bincount(kind[rows], minlength=2 * acts.actions).reshape(-1, 2)
    return did, of


def chosen_sums(
    known: UserDays, acts: Acts, grid: Grid, best: Ints, telling: Cells, account: Ints | None
) -> tuple[Numbers, Numbers, Numbers, Alike]:
    """Weigh the chosen cells on the half that did not choose: the trials' sums, those of equally full days, the chance that both stand out."""
    every = np.arange(acts.actions)
    trial = telling.sums[every, np.maximum(best, 0)]
    beside, alike = np.zeros((acts.actions, SUMS)), Alike.nobody(acts.actions)
    for rows, users, pool in drawn(known, acts):
        some = acts.only(rows.tolist())
        mine, some = (known, some) if users is None else (known.only(users), some.among(users))
        past = pasts(mine)
        if account is not None and acts.done is None:
            strata = replace(trial_strata(mine, past), pool=pool)
            times = np.array([grid[place][0] if place >= 0 else 1 for place in best[rows]])
            who = account if users is None else account[users]
            alike.effect[rows], alike.freedom[rows] = account_effects(
                strata, mine, some, times, who
            )
        days = same_day_strata(mine, past)
        days = replace(days, strata=replace(days.strata, pool=pool))
        chosen = best[rows]
        often, within = (
            np.array([grid[place][side] if place >= 0 else 0 for place in chosen], np.int64)
            for side in (0, 1)
        )
        beside[rows] = same_day_within(days, mine, some, often, within, trial[rows, EXCESS])[:, 0]
    p, _ = careful(trial, beside, np.ones(acts.actions, np.int64), alike)
    return trial, beside, np.where(best >= 0, p, np.nan), alike
