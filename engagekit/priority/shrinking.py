"""Shrinking: what other groups say about the rate of one, as far as groups are alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def shrunk(
    n: np.ndarray[Any, np.dtype[np.float64]],
    of: np.ndarray[Any, np.dtype[np.float64]],
    effect: np.ndarray[Any, np.dtype[np.float64]],
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Add to each group's counts what all the others say about it: as much as groups are alike.

    With ``ρ`` the likeness within groups (beta-binomial, by moments) and ``M`` the users of the others, both divided
    by design effects, a group gets ``s = 1 / (1/S + 1/M)`` more users at the others' rate, ``S = 1/ρ - 1``. Groups that do
    not differ beyond chance so have the counts of the whole, and one group that holds everybody keeps its own.

    Parameters
    ----------
    n, of, effect
        Counts and design effects, of shape (groups, links).

    Returns
    -------
    tuple
        ``(n, of)`` divided by the design effects, with what was added.

    References
    ----------
    Kleinman (1973), Journal of the American Statistical Association 68, 46-54, for the moments.

    Examples
    --------
    >>> n, of = np.array([[30.0], [30.0]]), np.array([[100.0], [100.0]])
    >>> [each.round(3).tolist() for each in shrunk(n, of, np.ones((2, 1)))]
    [[[60.0], [60.0]], [[200.0], [200.0]]]
    """
    x, m = n / effect, of / effect
    users, total = m.sum(axis=0), x.sum(axis=0)
    others, theirs = users - m, total - x
    strength = np.array([strength_of(x[:, k], m[:, k]) for k in range(x.shape[1])])
    with np.errstate(divide="ignore", invalid="ignore"):
        added = np.where(others > 0, 1 / (1 / strength + 1 / others), 0.0)
        rate = np.where(others > 0, theirs / others, 0.0)
    return x + added * rate, m + added


def strength_of(
    x: np.ndarray[Any, np.dtype[np.float64]], m: np.ndarray[Any, np.dtype[np.float64]]
) -> float:
    """Say how many users at the common rate are worth as much as a group's own to know its rate: infinite for equal groups.

    ``S = 1/ρ - 1`` with ``ρ`` the likeness within groups, from
    ``Σ m_i (p_i - p)² = p(1-p) [(1-ρ)(k-1) + ρ (M - Σm²/M)]``.

    Examples
    --------
    >>> strength_of(np.array([30.0, 30.0]), np.array([100.0, 100.0]))
    inf
    >>> round(strength_of(np.array([20.0, 45.0, 75.0]), np.array([150.0, 150.0, 150.0])), 1)
    5.6
    """
    x, m = x[m > 0], m[m > 0]
    users, groups = float(m.sum()), len(m)
    if groups < 2:
        return math.inf
    mean = float(x.sum()) / users
    noise = mean * (1 - mean)
    if noise <= 0:
        return math.inf
    spread = float((m * (x / m - mean) ** 2).sum())
    room = users - float((m * m).sum()) / users
    free = groups - 1
    likeness = (spread / noise - free) / (room - free) if room > free else 0.0
    if likeness <= 0:
        return math.inf
    return max(1 / min(likeness, 1.0) - 1, 1e-9)
