"""Users of one account are alike: how much less trials tell for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engagekit.first_weeks.trials import SPREAD, counted, summed

if TYPE_CHECKING:
    from engagekit.first_weeks.trial_strata import Ints, Strata, UserDays
    from engagekit.first_weeks.trials import Acts, Numbers


def account_effects(
    strata: Strata, known: UserDays, acts: Acts, times: Ints, account: Ints
) -> tuple[Numbers, Numbers]:
    """Say by how much accounts inflate the variance of each action's score, and on how many degrees of freedom it rests.

    ``D = max(1, Σ_accounts (Σ f·(x - e)(y - r))² / V)``: x whether exposed, e the share exposed in the stratum, y whether retained,
    r the share retained, ``f² = 1/(1 - Σ share²)`` for what the stratum's accounts lose by its own means, V the variance where users
    are not alike. Degrees of freedom: ``(Σ T²)²/ΣT⁴ - 1`` of the accounts' sums T.

    Parameters
    ----------
    strata, known, acts
        Of all user-days, the users, and who did what.
    times
        Per action, for the how manieth time.
    account
        A number per user; users of one account share it.
    """
    effect, freedom = np.ones(acts.actions), np.full(acts.actions, np.inf)
    spread_out = [
        1 / np.maximum(1 - shares, 1e-9) * (shares < 1 - 1e-9)
        for shares in _shares(strata, account)
    ]
    for action in range(acts.actions):
        alone, k = acts.only([action]), int(times[action])
        before = [range(1)] if k == 1 else [range(1), range(k - 1, k)]
        (counts,) = counted(strata, alone, before)
        exposed, others = counts.exposed[-1], counts.others[-1]
        share, rate, factor = _means(strata, exposed[0], others[0], spread_out)
        sums = _sums(strata, known, alone, k, account, share, rate, factor)
        spread = summed(strata, [exposed], others)[0, :, SPREAD].sum()
        squares = float((sums**2).sum())
        if spread > 0 and squares > 0:
            effect[action] = max(1.0, squares / spread)
            freedom[action] = max(1.0, squares**2 / float((sums**4).sum()) - 1)
    return effect, freedom


def _shares(strata: Strata, account: Ints) -> list[Numbers]:
    """Sum, per level, the squares of the accounts' shares of each stratum."""
    most = int(account.max(initial=0)) + 1
    keys, counts = [], []
    for day in strata.cell:
        here = day < strata.nowhere
        key, count = np.unique(day[here] // 2 * most + account[here], return_counts=True)
        keys.append(key)
        counts.append(count)
    stratum, each = _merged(np.concatenate(keys), np.concatenate(counts))
    found = []
    for level in range(len(strata.keys)):
        place = stratum // most
        size = np.bincount(place, each, len(strata.keys[level]))
        squares = np.bincount(place, each.astype(np.float64) ** 2, len(size))
        found.append(squares / np.maximum(size, 1) ** 2)
        if level < len(strata.runs):
            begins = np.zeros(len(size), np.int64)
            begins[strata.runs[level]] = 1
            parent = np.cumsum(begins) - 1
            stratum, each = _merged(parent[place] * most + stratum % most, each)
    return found


def _merged(keys: Ints, counts: Ints) -> tuple[Ints, Ints]:
    found, place = np.unique(keys, return_inverse=True)
    return found, np.bincount(place, counts).astype(np.int64)


def _means(
    strata: Strata, exposed: Ints, others: Ints, spread_out: list[Numbers]
) -> tuple[Numbers, Numbers, Numbers]:
    """Find, for each finest stratum, the shares exposed and retained where it found its comparison, and the factor there."""
    parts = [exposed[1::2], exposed[0::2], others[1::2], others[0::2]]
    parts = [part.astype(np.float64) for part in parts]
    place = np.arange(strata.size)
    open_ = np.ones(strata.size, np.bool_)
    share, rate, factor = np.zeros(strata.size), np.zeros(strata.size), np.zeros(strata.size)
    for level in range(len(strata.keys)):
        a, b, c, d = parts
        size = a + b + c + d
        here = (a + b > 0) & (c + d > 0)
        mine = open_ & here[place]
        at = place[mine]
        share[mine], rate[mine] = ((a + b)[at] / size[at], (a + c)[at] / size[at])
        factor[mine] = np.sqrt(spread_out[level][at])
        open_ &= ~mine
        if level == len(strata.runs):
            break
        parts = [np.add.reduceat(np.where(here, 0, part), strata.runs[level]) for part in parts]
        begins = np.zeros(len(size), np.int64)
        begins[strata.runs[level]] = 1
        place = (np.cumsum(begins) - 1)[place]
    return share, rate, factor


def _sums(
    strata: Strata, known: UserDays, acts: Acts, k: int, account: Ints,
    share: Numbers, rate: Numbers, factor: Numbers,
) -> Numbers:  # fmt: skip
    """Add up the score of each account."""
    days = np.zeros(known.users, np.uint32)
    days[acts.user] = acts.days
    able = acts.able.get(0, np.ones(known.users, np.bool_))
    found = np.zeros(int(account.max(initial=0)) + 1)
    for day, cell in enumerate(strata.cell):
        before = np.bitwise_count(days & np.uint32((1 << day) - 1))
        open_ = (cell < strata.nowhere) & (before == k - 1) & able
        if strata.pool is not None:
            open_ &= strata.pool | (days >> np.uint32(day) & np.uint32(1) > 0)
        who = np.flatnonzero(open_)
        stratum = cell[who] // 2
        did = (days[who] >> np.uint32(day)) & np.uint32(1)
        score = (did - share[stratum]) * (known.retained[who] - rate[stratum]) * factor[stratum]
        found += np.bincount(account[who], score, len(found))
    return found
