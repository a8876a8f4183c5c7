"""Intervals for shares and for differences of shares; Wilson and Newcombe, never Wald."""

from __future__ import annotations

import math
from statistics import NormalDist

import polars as pl

from engagekit.errors import ParameterError

RATE = {"n": pl.Int64, "of": pl.Int64, "rate": pl.Float64, "low": pl.Float64, "high": pl.Float64}


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
