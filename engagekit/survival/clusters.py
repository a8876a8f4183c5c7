"""How much less users tell about survival where those of one account are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence


def accounts_effect(counts: pl.DataFrame, keys: Sequence[str], account: str) -> float:
    """Say by how much accounts inflate the variance of the log-rank scores of groups.

    ``D = max(1, A/(A-1) · Σ_a S_a² / Σ_u w_u²)``: `w` is what a user adds to a group's observed less expected ends,
    ``w = ∫ (1[own group] - p(t)) dM(t)`` with the group's share `p` of those at risk and the martingale residual `M`, and
    ``S`` its sum over the users of an account; both summed over groups.

    Parameters
    ----------
    counts
        One row per group, account and time: `keys`, the account, `time`, `events` (users who ended then) and `left`
        (followed only so far). A user without an account is one of their own.
    keys
        Columns that say the group.
    account
        Column that says the account.

    Returns
    -------
    float
        1 where accounts are not alike, or nothing ended.

    References
    ----------
    Lee, Wei and Amato (1992), in Survival Analysis: State of the Art, for sums of scores over clusters; Rao and Scott
    (1981), JASA 76, 221-230, for dividing a chi-square by the mean design effect.

    Examples
    --------
    >>> alike = pl.DataFrame({"plan": ["a", "a", "b", "b"], "account": [1, 2, 3, 4], "time": [1.0, 9.0, 1.0, 9.0],
    ...     "events": [5, 5, 5, 5], "left": [0, 0, 0, 0]})
    >>> round(accounts_effect(alike, ["plan"], "account"), 2)
    6.67
    """
    import numpy as np

    coded = counts.sort(*keys, account, "time", nulls_last=True).with_columns(
        pl.struct(keys).rank("dense").alias("_group") - 1,
        pl.col("time").rank("dense").alias("_time") - 1,
    )
    group, time = (coded[c].to_numpy().astype(int) for c in ("_group", "_time"))
    events, left = (coded[c].to_numpy().astype(float) for c in ("events", "left"))
    if not len(group) or not events.sum():
        return 1.0
    shape = (group.max() + 1, time.max() + 1)
    ended, gone = np.zeros(shape), np.zeros(shape)
    np.add.at(ended, (group, time), events)
    np.add.at(gone, (group, time), events + left)
    at_risk = gone[:, ::-1].cumsum(axis=1)[:, ::-1]
    everyone = np.maximum(at_risk.sum(axis=0), 1)
    share = at_risk / everyone
    hazard = ended.sum(axis=0) / everyone
    so_far, shared = hazard.cumsum(), (share * hazard).cumsum(axis=1)
    account_of = coded[account].rank("dense").fill_null(0).to_numpy().astype(int)
    clusters = len(np.unique(account_of[account_of > 0]))
    alone = account_of == 0
    clusters += int((events + left)[alone].sum())
    between = within = 0.0
    for number in range(shape[0]):
        own = (group == number).astype(float)
        if_ended = own * (1 - so_far[time]) - share[number, time] + shared[number, time]
        if_left = shared[number, time] - own * so_far[time]
        squares = events * if_ended**2 + left * if_left**2
        sums = np.bincount(account_of, weights=events * if_ended + left * if_left)
        between += float((sums[1:] ** 2).sum() + squares[alone].sum())
        within += float(squares.sum())
    if clusters < 2 or within <= 0:
        return 1.0
    return max(1.0, round(clusters / (clusters - 1) * between / within, 10))
