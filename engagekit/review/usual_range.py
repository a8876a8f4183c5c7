"""How a rate moves without any play: changes between neighbouring spans of a product's own past, week by week."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engagekit.intervals import newcombe

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_SPANS = 2.0  # independent changes in the past, below which it says nothing


@dataclass(frozen=True)
class UsualRange:
    """The changes of the past: how many were seen, the smallest, the largest, and how rare one as large as this is."""

    spans: int
    lowest: float
    highest: float
    as_large: int
    share: float


def usual_range(
    n: Sequence[int], of: Sequence[int], span: int, difference: float, error: float
) -> UsualRange | None:
    """Say how often a change as large as this came between neighbouring spans of the past.

    Of the past's weeks every pair of neighbouring spans of `span` weeks gives a change. The share is the larger of
    two: of those at least as large as this one, and the two-sided tail of Student's t around their mean, with
    ``m / span`` degrees of freedom for m overlapping changes, their spread never below the sampling error.

    Parameters
    ----------
    n, of
        Users who passed and who were judged, per week of sign-up before the play, in order.
    span
        How many weeks either side has.
    difference, error
        The change now, and the sampling error of it.

    Returns
    -------
    UsualRange or None
        None where the past holds fewer than two changes that do not overlap.

    Notes
    -----
    A trend is its own mean; seasons and slow waves are the spread. That changes overlap is why their number counts
    for a `span`-th part: the spread of m overlapping changes of white noise is as uncertain as that of m / (0.67 span)
    independent ones.

    Examples
    --------
    >>> calm = usual_range([40, 41, 39, 40, 42, 38, 40, 41, 39, 40, 40, 41], [100] * 12, 2, 0.30, 0.05)
    >>> calm.spans, calm.as_large, calm.share < 0.01
    (9, 0, True)
    """
    if span < 1 or len(n) - 2 * span + 1 < LEAST_SPANS * span:
        return None
    past = []
    for at in range(span, len(n) - span + 1):
        sides = [(sum(n[a:b]), sum(of[a:b])) for a, b in ((at, at + span), (at - span, at))]
        if all(judged for _, judged in sides):
            past.append(sides[0][0] / sides[0][1] - sides[1][0] / sides[1][1])
    freedom = len(past) / span
    if freedom < LEAST_SPANS:
        return None
    from scipy.special import stdtr

    mean = math.fsum(past) / len(past)
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in past) / (len(past) - 1))
    scale = max(spread, error) * math.sqrt(1 + 1 / freedom)
    tail = float(2 * stdtr(freedom, -abs(difference - mean) / scale)) if scale > 0 else 1.0
    as_large = sum(abs(d) >= abs(difference) for d in past)
    return UsualRange(len(past), min(past), max(past), as_large, max(as_large / len(past), tail))


def held_difference(
    before: dict[object, tuple[int, int]], after: dict[object, tuple[int, int]], effect: float
) -> tuple[float, float, float] | None:
    """Take the difference of two shares with the mix of groups held: within groups, then weighed.

    ``Σ w (p_after - p_before) / Σ w`` with Mantel and Haenszel's ``w = m₁ m₂ / (m₁ + m₂)``.

    Returns
    -------
    tuple or None
        ``(difference, low, high)``; None where no group stands on both sides.

    References
    ----------
    Mantel and Haenszel (1959); Greenland and Robins (1985) for the variance; Newcombe (1998) for a single group.

    Examples
    --------
    >>> before, after = {"organic": (120, 200), "ads": (160, 800)}, {"organic": (400, 800), "ads": (20, 200)}
    >>> [round(x, 2) for x in held_difference(before, after, 1.0)]
    [-0.1, -0.15, -0.05]
    """
    shared = [(before[k], after[k]) for k in before if k in after and before[k][1] and after[k][1]]
    if not shared:
        return None
    if len(shared) == 1:
        (n1, m1), (n2, m2) = shared[0]
        return newcombe(n2 / effect, m2 / effect, n1 / effect, m1 / effect)
    weights = [m1 * m2 / (m1 + m2) for (_, m1), (_, m2) in shared]
    gap = variance = 0.0
    for w, ((n1, m1), (n2, m2)) in zip(weights, shared, strict=True):
        gap += w * (n2 / m2 - n1 / m1)
        p1, p2 = (n1 + 1) / (m1 + 2), (n2 + 1) / (m2 + 2)
        variance += w * w * (p1 * (1 - p1) / m1 + p2 * (1 - p2) / m2)
    half = 1.959964 * math.sqrt(effect * variance) / sum(weights)
    gap /= sum(weights)
    return gap, gap - half, gap + half
