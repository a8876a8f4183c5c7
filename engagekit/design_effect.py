"""Design effect: how much less users tell when those of one account, or of one week of sign-ups, are alike."""

from __future__ import annotations

import polars as pl

FEW_WEEKS = 4  # from fewer, how much weeks differ cannot be seen
OF_FEW_WEEKS = 2.0  # what is taken then at the least


def design_effect(n: str, of: str) -> pl.Expr:
    """Say by how much accounts inflate the variance of a share, as an expression over one row per account.

    ``D = max(1, A/(A-1) · Σ(x - p·m)² / (M·p·(1-p)))`` over the A accounts with users in the denominator, with
    ``x`` and ``m`` an account's counts, ``M = Σm`` and ``p = Σx / M``. Where every user did or none, or all are
    of one account, likeness cannot be estimated and is taken as complete: ``D = Σm² / M``.

    Parameters
    ----------
    n, of
        Columns with each account's users who did and who could have.

    Returns
    -------
    Expr
        One number of at least 1; null where nobody could have.

    References
    ----------
    Kish (1965), Survey Sampling; the variance is that of a ratio of totals over clusters.

    Examples
    --------
    >>> accounts = pl.DataFrame({"n": [4, 0, 4, 0], "of": [4, 4, 4, 4]})
    >>> round(accounts.select(design_effect("n", "of")).item(), 2)
    5.33
    """
    x, m = pl.col(n).cast(pl.Float64), pl.col(of).cast(pl.Float64)
    users, accounts = m.sum(), (m > 0).sum()
    share = x.sum() / users
    between = (x * x).sum() - 2 * share * (x * m).sum() + share * share * (m * m).sum()
    estimate = accounts / (accounts - 1) * between / (users * share * (1 - share))
    alike = (m * m).sum() / users
    varies = (x.sum() > 0) & (x.sum() < users) & (accounts > 1)
    effect = pl.when(varies).then(estimate).otherwise(alike)
    return pl.when(users > 0).then(pl.max_horizontal(effect, 1.0))


def weeks_effect(n: str, of: str) -> pl.Expr:
    """Say by how much differences between weeks of sign-up inflate the variance of a share, over one row per week.

    ``D = max(1, Σ (x - r·m)² / (m·r·(1-r)) / (W-1))`` over the W weeks with users in the denominator, with ``x`` and
    ``m`` a week's counts and ``r = Σx / Σm``; 1 where all or none did. With fewer than 4 weeks how much they differ
    cannot be seen, and 2 is taken at the least.

    Parameters
    ----------
    n, of
        Columns with each week's users who did and who could have.

    Returns
    -------
    Expr
        One number of at least 1; null where nobody could have.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, section 4.5: Pearson's statistic over its degrees of freedom.

    Examples
    --------
    >>> weeks = pl.DataFrame({"n": [10, 30, 10, 30], "of": [40, 40, 40, 40]})
    >>> round(weeks.select(weeks_effect("n", "of")).item(), 2)
    13.33
    """
    x, m = pl.col(n).cast(pl.Float64), pl.col(of).cast(pl.Float64)
    users, weeks = m.sum(), (m > 0).sum()
    share = x.sum() / users
    apart = pl.when(m > 0).then((x - share * m) ** 2 / (m * share * (1 - share))).sum()
    varies = (x.sum() > 0) & (x.sum() < users) & (weeks > 1)
    effect = pl.when(varies).then(pl.max_horizontal(apart / (weeks - 1), 1.0)).otherwise(1.0)
    least = pl.when(weeks < FEW_WEEKS).then(OF_FEW_WEEKS).otherwise(1.0)
    return pl.when(users > 0).then(pl.max_horizontal(effect, least))
