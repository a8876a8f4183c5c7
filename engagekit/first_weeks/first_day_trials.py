"""Trials of how soon and how often: whether the retained do an action more on a day than others alike until then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from engagekit.first_weeks.accounts import account_effects
from engagekit.first_weeks.contingency_tables import LEAST_USERS
from engagekit.first_weeks.same_day import same_day, same_day_each
from engagekit.first_weeks.trial_strata import pasts, same_day_strata, trial_strata
from engagekit.first_weeks.trials import EXCESS, KEPT, SUMS, trials
from engagekit.first_weeks.verdicts import Alike, careful, drawn, reached

if TYPE_CHECKING:
    from engagekit.first_weeks.trial_strata import Ints, UserDays
    from engagekit.first_weeks.trials import Acts, Numbers


@dataclass(frozen=True)
class Chances:
    """How many times as likely the retained are to do each action on a day, and whether that is chance.

    `ratio`, `same_day`: not-a-number where nothing was compared; `p`: the larger chance of the two.
    """

    ratio: Numbers
    same_day: Numbers
    p: Numbers


def chances(known: UserDays, acts: Acts, *, often: bool, account: Ints | None = None) -> Chances:
    """Compare on each early day the retained with the churned who were active on it and alike until then.

    ``Σ a·m0/N / Σ b·m1/N``: a of m1 retained and b of m0 churned do the action that day.

    Parameters
    ----------
    known, acts
        The users, taken as one group, and who did what.
    often
        Every day counts, among users who had done it on as many days before; else only the first one.
    account
        A number per user; users of one account are alike.
    """
    trial, beside = np.zeros((acts.actions, SUMS)), np.zeros((acts.actions, SUMS))
    alike = Alike.nobody(acts.actions)
    before = [range(done, done + 1) for done in range(known.days if often else 1)]
    for rows, users, pool in drawn(known, acts):
        some = acts.only(rows.tolist())
        mine, some = (known, some) if users is None else (known.only(users), some.among(users))
        past = pasts(mine)
        strata = replace(trial_strata(mine, past), pool=pool)
        trial[rows] = trials(strata.of_groups(mine.days), some, before)[:, :, 0].sum(axis=1)
        if account is not None:
            who, first = (account if users is None else account[users]), np.ones(len(rows), int)
            effect, freedom = account_effects(strata, mine, some, first, who)
            alike.effect[rows], alike.freedom[rows] = effect, freedom
        days = same_day_strata(mine, past, strata.cell)
        days = replace(days, strata=replace(days.strata, pool=pool))
        excess = trial[rows, EXCESS]
        if often:
            beside[rows] = same_day_each(days, mine, some, before, excess)[:, 0]
        else:
            beside[rows] = same_day(days, mine, some, np.ones(len(rows), int), excess)[:, 0]
    did, of = reached(acts, known.users, [1])
    enough = np.minimum(did[:, 0], of - did[:, 0]) >= LEAST_USERS
    p, _ = careful(trial, beside, np.ones(acts.actions, np.int64), alike)
    return Chances(_ratio(trial, enough), _ratio(beside, enough), np.where(enough, p, np.nan))


def _ratio(sums: Numbers, enough: Ints) -> Numbers:
    """Return the retained's chance over the churned's."""
    retained, churned = sums[:, KEPT], sums[:, KEPT] - sums[:, EXCESS]
    known = enough & (churned > 1e-9)
    return np.where(known, retained / np.where(known, churned, 1.0), np.nan)
