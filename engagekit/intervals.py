"""Intervals for shares and for differences of shares, and the design effect of users who are alike; never Wald."""

from __future__ import annotations

import math
from statistics import NormalDist

import polars as pl

from engagekit.errors import ParameterError

RATE = {"n": pl.Int64, "of": pl.Int64, "rate": pl.Float64, "low": pl.Float64, "high": pl.Float64}

FEW_WEEKS = 4  # from fewer, how much weeks differ cannot be seen
OF_FEW_WEEKS = 2.0  # what is taken then at the least


def z_of(level: float) -> float:
    """Return the normal quantile of a two-sided level: 1.96 for 0.95."""
    if not 0 < level < 1:
        raise ParameterError(f"level is {level!r}; it takes a share between 0 and 1, such as 0.95.")
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(n: float, of: float, *, level: float = 0.95) -> tuple[float, float]:
    """Say between which bounds a share lies: Wilson's score interval.

    ``(p + z²/2m ± z·sqrt(p(1-p)/m + z²/4m²)) / (1 + z²/m)`` with ``p = n/of``, ``m = of``.

    Parameters
    ----------
    n
        Users who did, at most `of`. May be fractional (effective counts).
    of
        Users who could have. With 0, nothing is known and the answer is (0, 1).
    level
        Confidence, between 0 and 1.

    Returns
    -------
    tuple
        ``(low, high)``, both between 0 and 1.

    Raises
    ------
    ParameterError
        `n` is not from 0 to `of`, or `level` is not between 0 and 1.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22, 209-212.

    Examples
    --------
    >>> low, high = wilson(100, 200)
    >>> round(low, 7), round(high, 7)
    (0.4313609, 0.5686391)
    """
    # Effective counts are divided, so that `n` may exceed an equal `of` in its last digit.
    if not (0 <= n <= of * (1 + 1e-9) and math.isfinite(of)):
        raise ParameterError(f"n is {n!r} of {of!r}; it takes a count from 0 to all of them.")
    z = z_of(level)
    if of == 0:
        return 0.0, 1.0
    share, z2 = n / of, z * z / of
    middle = share + z2 / 2
    half = math.sqrt(max(0.0, share * (1 - share)) * z2 + z2 * z2 / 4)
    low = 0.0 if n <= 0 else (middle - half) / (1 + z2)
    high = 1.0 if n >= of else (middle + half) / (1 + z2)
    return max(0.0, low), min(1.0, high)


def newcombe(
    n1: float, of1: float, n2: float, of2: float, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Say how far two shares are apart: Newcombe's hybrid score interval (his method 10).

    ``low = d - sqrt((p1-l1)² + (u2-p2)²)``, ``high = d + sqrt((u1-p1)² + (p2-l2)²)``,
    with ``l, u`` the Wilson bounds of each share.

    Parameters
    ----------
    n1, of1
        Users who did and who could have, first group.
    n2, of2
        The same of the second group.
    level
        Confidence, between 0 and 1.

    Returns
    -------
    tuple
        ``(difference, low, high)`` of first minus second, each between -1 and 1;
        not-a-number with the widest interval where a group is empty.

    Raises
    ------
    ParameterError
        As `wilson`, of either group.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890.

    Examples
    --------
    >>> [round(x, 4) for x in newcombe(56, 70, 48, 80)]
    [0.2, 0.0524, 0.3339]
    """
    (l1, u1), (l2, u2) = wilson(n1, of1, level=level), wilson(n2, of2, level=level)
    if of1 == 0 or of2 == 0:
        return math.nan, -1.0, 1.0
    p1, p2 = n1 / of1, n2 / of2
    difference = p1 - p2
    return (
        difference,
        difference - math.hypot(p1 - l1, u2 - p2),
        difference + math.hypot(u1 - p1, p2 - l2),
    )


def koopman(
    n1: float, of1: float, n2: float, of2: float, *, level: float = 0.95
) -> tuple[float | None, float | None]:
    """Say between which bounds the ratio of two shares lies: Koopman's score interval.

    The ratios R at which ``(n1/of1 - R·n2/of2)² / (p1(1-p1)/of1 + R²·p2(1-p2)/of2)`` does not exceed the chi-square
    quantile, with ``p1 = R·p2`` the shares that fit best under R.

    Parameters
    ----------
    n1, of1, n2, of2
        Users who did and who could have, of the first and of the second group. May be fractional (effective counts).
    level
        Confidence, between 0 and 1.

    Returns
    -------
    tuple
        ``(low, high)``; None where there is no such bound: no lower one where nobody of the first group did, no upper
        one where nobody of the second did.

    Raises
    ------
    ParameterError
        As `wilson`, of either group.

    References
    ----------
    Koopman (1984), Biometrics 40, 513-517.

    Examples
    --------
    >>> low, high = koopman(36, 40, 16, 80)
    >>> round(low, 2), round(high, 2)
    (2.94, 7.15)
    """
    for n, of in ((n1, of1), (n2, of2)):
        wilson(n, of, level=level)
    if of1 == 0 or of2 == 0:
        return None, None
    quantile = z_of(level) ** 2
    middle = math.log(max(n1, 0.5) / of1 * of2 / max(n2, 0.5))

    def bound(way: float) -> float:
        inside, outside = middle, middle + way
        while _koopman(n1, of1, n2, of2, math.exp(outside)) < quantile and abs(outside) < 60:
            inside, outside = outside, outside + way
        for _ in range(60):
            half = (inside + outside) / 2
            within = _koopman(n1, of1, n2, of2, math.exp(half)) < quantile
            inside, outside = (half, outside) if within else (inside, half)
        return math.exp(inside)

    return bound(-1.0) if n1 > 0 else None, bound(1.0) if n2 > 0 else None


def _koopman(n1: float, of1: float, n2: float, of2: float, ratio: float) -> float:
    """Return the score chi-square of a ratio."""
    a = ratio * (of1 + of2)
    b = ratio * (of1 + n2) + n1 + of2
    p2 = 2 * (n1 + n2) / (b + math.sqrt(max(0.0, b * b - 4 * a * (n1 + n2))))
    p1 = min(1.0, ratio * p2)
    spread = p1 * (1 - p1) / of1 + ratio * ratio * p2 * (1 - p2) / of2
    gap = n1 / of1 - ratio * n2 / of2
    return gap * gap / spread if spread > 0 else (0.0 if gap == 0 else math.inf)


def users_for(rate: float, goal: float, *, level: float = 0.95, power: float = 0.8) -> int:
    """Say how many users each of two groups needs, to see a rate rise to a goal.

    Parameters
    ----------
    rate, goal
        Shares between 0 and 1.
    level, power
        Two-sided confidence, and the chance to see a difference that is there.

    Returns
    -------
    int
        Users per group.

    References
    ----------
    Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, chapter 4 (without correction).

    Examples
    --------
    >>> users_for(0.60, 0.70)
    356
    """
    mean = (rate + goal) / 2
    apart = z_of(level) * math.sqrt(2 * mean * (1 - mean))
    seen = z_of(2 * power - 1) * math.sqrt(rate * (1 - rate) + goal * (1 - goal))
    return math.ceil(((apart + seen) / (goal - rate)) ** 2)


def wilson_columns(
    n: str = "n",
    of: str = "of",
    *,
    level: float = 0.95,
    z: pl.Expr | None = None,
    effect: pl.Expr | None = None,
) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Build ``rate, low, high`` as expressions over two count columns; null where `of` is 0 or null.

    `z` replaces the normal quantile of `level`; counts count for so many times fewer as `effect` says.
    """
    z = pl.lit(z_of(level)) if z is None else z
    m = pl.col(of).cast(pl.Float64)
    m = pl.when(m > 0).then(m)
    share = pl.col(n) / m
    m = m if effect is None else m / effect
    z2 = z * z / m
    half = ((share * (1 - share)).clip(0) * z2 + z2 * z2 / 4).sqrt()
    low = (
        pl.when(pl.col(n) <= 0)
        .then(m * 0)
        .otherwise(((share + z2 / 2 - half) / (1 + z2)).clip(0, 1))
    )
    high = (
        pl.when(share >= 1)
        .then(m * 0 + 1)
        .otherwise(((share + z2 / 2 + half) / (1 + z2)).clip(0, 1))
    )
    return share.alias("rate"), low.alias("low"), high.alias("high")


def newcombe_columns(
    n1: pl.Expr, of1: pl.Expr, n2: pl.Expr, of2: pl.Expr, *, z: float | pl.Expr
) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Build ``difference, low, high`` as expressions over counts; null where a group is empty. See `newcombe`."""
    p1, low1, high1 = _score(n1, of1, z)
    p2, low2, high2 = _score(n2, of2, z)
    difference = p1 - p2
    down = ((p1 - low1).pow(2) + (high2 - p2).pow(2)).sqrt()
    up = ((high1 - p1).pow(2) + (p2 - low2).pow(2)).sqrt()
    return (
        difference.alias("difference"),
        (difference - down).alias("low"),
        (difference + up).alias("high"),
    )


def _score(n: pl.Expr, of: pl.Expr, z: float | pl.Expr) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    m = pl.when(of > 0).then(of.cast(pl.Float64))
    share, z2 = n / m, z * z / m
    half = ((share * (1 - share)).clip(0) * z2 + z2 * z2 / 4).sqrt()
    low, high = ((share + z2 / 2 + sign * half) / (1 + z2) for sign in (-1, 1))
    return share, low.clip(0, 1), high.clip(0, 1)


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
