"""Statistics of a test that is looked at while it runs: plain functions on counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engagekit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

ALPHA = 0.05
SPLIT_ALARM = 1000.0  # Bayes factor at which a split is off; by Ville's inequality 1 of 1,000 right ones ever gets there
SPLIT_WEIGHT = 2000.0  # Beta(1000, 1000) around an intended half
LEAST_EACH = 10.0  # of those who did, and of those who did not, expected in the smaller arm, before a bound is given


def mixture_rho(best_at: float, *, alpha: float = ALPHA) -> float:
    """Choose the mixture that makes an any-time bound tightest at a given amount of information.

    ``rho = v / (2 log(1/α) + log(1 + 2 log(1/α)))``, within a thousandth of the tightest.

    Parameters
    ----------
    best_at
        The information (1 / variance of the difference) at which the bound should be tightest.
    alpha
        Chance that the bound is ever left, over all looks.

    Returns
    -------
    float
        `rho`, in the unit of `best_at`.

    References
    ----------
    Howard, Ramdas, McAuliffe and Sekhon (2021), Annals of Statistics 49, 1055-1080, section 3.5.

    Examples
    --------
    >>> round(mixture_rho(100.0), 5)
    12.60056
    """
    width = 2 * math.log(1 / alpha)
    return best_at / (width + math.log1p(width))


def mixture_bound(information: float, *, rho: float, alpha: float = ALPHA) -> float:
    """Bound the sum of differences, over all looks at once: the two-sided normal mixture.

    ``sqrt((v + rho) · log((v + rho) / (rho α²)))`` with v the information. Divided by v it bounds their mean.

    Parameters
    ----------
    information
        v, 1 / variance of the difference.
    rho
        See `mixture_rho`.
    alpha
        Chance that the bound is ever left.

    Returns
    -------
    float
        The bound on ``v · difference``.

    References
    ----------
    Robbins (1970), Annals of Mathematical Statistics 41, 1397-1409; Howard et al. (2021).

    Examples
    --------
    >>> round(mixture_bound(100.0, rho=mixture_rho(100.0)), 5)
    30.35209
    """
    v = information
    return math.sqrt((v + rho) * math.log((v + rho) / (rho * alpha**2)))


def any_time(
    difference: float, variance: float, *, margin: float, alpha: float = ALPHA
) -> tuple[float, float, float]:
    """Give the interval of a difference that holds at every look at once, and the p-value that does.

    ``difference ± mixture_bound(v) / v`` with ``v = 1 / variance``; tightest where a difference of twice the margin
    can just be told. The p-value is 1 over the mixture's likelihood ratio, at most 1.

    Parameters
    ----------
    difference, variance
        The estimate and the variance of it.
    margin
        The difference that matters.
    alpha
        Chance that the truth is ever left out, over all looks.

    Returns
    -------
    tuple
        ``(low, high, p)``.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52, 2613-2640; Johari, Koomen,
    Pekelis and Walsh (2022), Operations Research 70, 1806-1821.

    Examples
    --------
    >>> low, high, p = any_time(0.10, 0.0004, margin=0.02)
    >>> round(low, 3), round(high, 3), round(p, 4)
    (0.035, 0.165, 0.0004)
    """
    v, rho = 1 / variance, mixture_rho(best_at(margin))
    half = mixture_bound(v, rho=rho, alpha=alpha) / v
    log_ratio = 0.5 * math.log(rho / (v + rho)) + (v * difference) ** 2 / (2 * (v + rho))
    return difference - half, difference + half, min(1.0, math.exp(-log_ratio))


def best_at(margin: float) -> float:
    """Say at which information the any-time bound is tightest: where twice the margin is seen with 80 % power."""
    return 15 / (2 * margin) ** 2


def variance_of(n1: float, of1: float, n2: float, of2: float) -> float | None:
    """Take the variance of a difference of two shares, one added to each cell; None where too little is known.

    Few who did, or few who did not, make the variance as uncertain as the difference, and a bound that rests on it
    would be left too often.

    Examples
    --------
    >>> round(variance_of(50, 100, 50, 100), 5), variance_of(1, 100, 2, 100)
    (0.0049, None)
    """
    rarer = min(n1 + n2, of1 + of2 - n1 - n2) / max(of1 + of2, 1)
    if min(of1, of2) * rarer < LEAST_EACH:
        return None
    shares = [(n + 1) / (of + 2) for n, of in ((n1, of1), (n2, of2))]
    return sum(p * (1 - p) / (of + 2) for p, of in zip(shares, (of1, of2), strict=True))


def shares_any_time(
    n1: float, of1: float, n2: float, of2: float, *, margin: float = 0.02, alpha: float = ALPHA
) -> tuple[float, float, float]:
    """Give the any-time interval of a difference of two shares, first minus second; see `any_time`.

    Parameters
    ----------
    n1, of1, n2, of2
        Users who did and who could have; may be fractional (effective counts of accounts).
    margin, alpha
        As in `any_time`.

    Returns
    -------
    tuple
        ``(low, high, p)``; ``(-1, 1, 1)`` until 10 users who did and 10 who did not are to be expected in the smaller arm.

    Examples
    --------
    >>> [round(x, 3) for x in shares_any_time(560, 1000, 480, 1000)]
    [0.006, 0.154, 0.028]
    """
    variance = variance_of(n1, of1, n2, of2)
    if variance is None:
        return -1.0, 1.0, 1.0
    low, high, p = any_time(n1 / of1 - n2 / of2, variance, margin=margin, alpha=alpha)
    return max(-1.0, low), min(1.0, high), p


def split_factor(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Weigh how far the split of users is from the one meant: a Bayes factor, valid at any look.

    ``B = E[Π (sᵢ/θᵢ)^nᵢ]`` with s Dirichlet(2000 θ): for two equal arms Beta(1000, 1000) around the half. Where the
    split is right, ``P(B ever reaches b) <= 1/b``.

    Parameters
    ----------
    counts
        Users (or accounts, where they are what was split) per arm.
    shares
        The intended share of each; they add up to 1.

    Returns
    -------
    float
        The factor; 1,000 is the alarm.

    Raises
    ------
    ParameterError
        The two do not fit together.

    References
    ----------
    Lindon and Malek (2022), Anytime-valid inference for multinomial count data, NeurIPS 35; Ville (1939).

    Examples
    --------
    >>> round(split_factor([5000, 5000], [0.5, 0.5]), 2), split_factor([10_700, 9_300], [0.5, 0.5]) > 1000
    (0.41, True)
    """
    if len(counts) != len(shares) or any(not 0 < s < 1 for s in shares) or abs(sum(shares) - 1) > 1e-6:  # fmt: skip
        raise ParameterError(
            f"shares are {list(shares)!r} for {len(counts)} arms; they take one share above 0 for each, 1 in all."
        )
    total = sum(counts)
    log_factor = math.lgamma(SPLIT_WEIGHT) - math.lgamma(SPLIT_WEIGHT + total)
    for n, share in zip(counts, shares, strict=True):
        prior = SPLIT_WEIGHT * share
        log_factor += math.lgamma(prior + n) - math.lgamma(prior) - n * math.log(share)
    return math.exp(min(log_factor, 700.0))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for how many there are: Holm's step-down.

    ``p̃₍ᵢ₎ = max over j <= i of (m - j + 1) · p₍ⱼ₎``, at most 1.

    Parameters
    ----------
    p_values
        One per comparison.

    Returns
    -------
    list
        The adjusted ones, in the same order.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found, worst = [0.0] * len(p_values), 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - place) * p_values[i]))
        found[i] = worst
    return found


def cuped(sums: Sequence[tuple[float, ...]]) -> tuple[float, float, float]:
    """Take what a covariate from before explains off the difference of two arms' means: CUPED.

    ``difference - θ (x̄₁ - x̄₂)``, ``θ = Σ cov(y, x) / Σ var(x)`` within the arms; the variance falls to its
    ``1 - r²``th part.

    Parameters
    ----------
    sums
        For either arm ``(m, Σy, Σx, Σyy, Σxx, Σxy)``; the treated one first.

    Returns
    -------
    tuple
        ``(adjusted difference, variance before, variance after)``.

    References
    ----------
    Deng, Xu, Kohavi and Walker (2013), Improving the sensitivity of online controlled experiments, WSDM, 123-132.

    Examples
    --------
    >>> cuped([(4, 2, 6, 2, 14, 5), (4, 1, 6, 1, 14, 3)])[0]
    0.25
    """
    yy, xx, xy = (
        [row[k] - row[a] * row[b] / row[0] for row in sums]
        for k, a, b in ((3, 1, 1), (4, 2, 2), (5, 1, 2))
    )
    theta = sum(xy) / sum(xx) if sum(xx) > 0 else 0.0
    y1, y2 = (row[1] / row[0] for row in sums)
    x1, x2 = (row[2] / row[0] for row in sums)
    spread = [s / (row[0] - 1) / row[0] for s, row in zip(yy, sums, strict=True)]
    kept = [
        max(0.0, a - 2 * theta * c + theta**2 * b) / (row[0] - 1) / row[0]
        for a, b, c, row in zip(yy, xx, xy, sums, strict=True)
    ]
    return y1 - y2 - theta * (x1 - x2), sum(spread), sum(kept)


def users_any_time(
    rate: float, goal: float, *, margin: float, effect: float = 1.0, power: float = 0.8
) -> float:
    """Say how many users either arm needs until the any-time interval tells a rise from a rate to a goal.

    The information v at which ``mixture_bound(v) / v + z(power) / sqrt(v) = goal - rate``, times the variance of one
    pair of users, times the design effect.

    Parameters
    ----------
    rate, goal
        Shares between 0 and 1.
    margin
        See `any_time`.
    effect
        Design effect of accounts.
    power
        Chance that the interval leaves 0 out at the end, where the rise is there.

    Returns
    -------
    float
        Users per arm.

    Examples
    --------
    >>> round(users_any_time(0.40, 0.50, margin=0.02))
    877
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    rho, gap = mixture_rho(best_at(margin)), abs(goal - rate)
    z = float(norm.ppf(power))

    def short(log_v: float) -> float:
        v = math.exp(log_v)
        return mixture_bound(v, rho=rho) / v + z / math.sqrt(v) - gap

    v = math.exp(brentq(short, math.log(1e-3), math.log(1e30)))
    return effect * v * (rate * (1 - rate) + goal * (1 - goal))


def smallest_any_time(
    rate: float, users: float, *, margin: float, effect: float = 1.0, power: float = 0.8
) -> float | None:
    """Say the smallest rise above a rate that so many users per arm would show; None where even the largest would not.

    Examples
    --------
    >>> round(smallest_any_time(0.40, 877, margin=0.02), 3)
    0.1
    """
    from scipy.optimize import brentq

    room = 1 - rate
    if users <= 0 or room <= 0:
        return None

    def short(gap: float) -> float:
        return users_any_time(rate, rate + gap, margin=margin, effect=effect, power=power) - users

    least, most = room * 1e-4, room * (1 - 1e-6)
    return None if short(most) > 0 else float(brentq(short, least, most))
