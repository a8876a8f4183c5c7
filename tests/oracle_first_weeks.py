"""First weeks in plain Python: one loop per question, from the raw events."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

DAY = timedelta(days=1)


def judged(signed_up, events, as_of, core, window, first_days=14):
    """User to ``retained`` for users whose outcome window is over."""
    found = {}
    for user, at in signed_up.items():
        if at + window[1] * DAY <= as_of:
            start, end = at + window[0] * DAY, at + window[1] * DAY
            found[user] = any(u == user and e == core and start <= t < end for u, e, t in events)
    return found


def early(signed_up, events, users, first_days=14):
    """User to action to ``(times, set of own days)``."""
    found = {user: {} for user in users}
    for user, event, at in events:
        if user in found and timedelta(0) <= at - signed_up[user] < first_days * DAY:
            times, days = found[user].get(event, (0, frozenset()))
            found[user][event] = (times + 1, days | {(at - signed_up[user]) // DAY})
    return found


def strata(did, classes):
    """User to ``(active days, class of volume)``; users of like volume share a class."""
    volume = {u: sum(times for times, _ in acts.values()) for u, acts in did.items()}
    n = len(volume)
    placed = {}
    for user, acts in did.items():
        below = sum(1 for v in volume.values() if v < volume[user])
        same = sum(1 for v in volume.values() if v == volume[user])
        rank = below + (same + 1) / 2
        days = len(frozenset().union(*[d for _, d in acts.values()])) if acts else 0
        placed[user] = (days, int((rank - 0.5) / n * classes))
    return placed


def tables(did, retained, placed, action, at_least):
    """The two-by-two table of each stratum."""
    cells = {}
    for user, acts in did.items():
        table = cells.setdefault(placed[user], [[0, 0], [0, 0]])
        reached = acts.get(action, (0, None))[0] >= at_least
        table[0 if reached else 1][0 if retained[user] else 1] += 1
    return list(cells.values())


def moments(strata_tables):
    """Excess, variance and third central moment of the hypergeometric counts, summed over strata."""
    excess = variance = third = 0.0
    for (a, b), (c, d) in strata_tables:
        n, drawn, marked = a + b + c + d, a + b, a + c
        # The distribution written out, however long it takes.
        weights = Counter()
        for hit in range(max(0, drawn + marked - n), min(drawn, marked) + 1):
            weights[hit] = choose(marked, hit) * choose(n - marked, drawn - hit)
        whole = sum(weights.values())
        mean = sum(hit * w for hit, w in weights.items()) / whole
        excess += a - mean
        variance += sum((hit - mean) ** 2 * w for hit, w in weights.items()) / whole
        third += sum((hit - mean) ** 3 * w for hit, w in weights.items()) / whole
    return excess, variance, third


def choose(n, k):
    from math import comb

    return comb(n, k)


def chance(strata_tables):
    from scipy.stats import norm, pearson3

    excess, variance, third = moments(strata_tables)
    if variance <= 1e-12:
        return None
    z, skew = excess / variance**0.5, third / variance**1.5
    law = norm if abs(skew) < 1e-4 else pearson3(skew)
    return min(1.0, 2 * min(float(law.sf(z)), float(law.cdf(z))))
