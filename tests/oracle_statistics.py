"""Slow, obvious versions of the plain statistics, one loop per formula."""

from __future__ import annotations

import math
from itertools import pairwise


def kaplan_meier(time, event):
    rows, share = [], 1.0
    for t in sorted(set(time)):
        at_risk = sum(1 for x in time if x >= t)
        ended = sum(1 for x, e in zip(time, event, strict=True) if x == t and e)
        share *= 1 - ended / at_risk
        rows.append((t, share, at_risk, ended))
    return rows


def restricted_mean(time, event, tau):
    # Slices of the step function, each as high as the curve is within it.
    edges = sorted({0.0, float(tau), *[float(t) for t in time if t < tau]})
    rows = kaplan_meier(time, event)
    total = 0.0
    for start, end in pairwise(edges):
        height = min([share for t, share, _, _ in rows if t <= start], default=1.0)
        total += height * (end - start)
    return total


def mantel_haenszel(tables):
    top = bottom = risk_top = risk_bottom = excess = spread = 0.0
    for (a, b), (c, d) in tables:
        n = a + b + c + d
        if n == 0:
            continue
        top, bottom = top + a * d / n, bottom + b * c / n
        risk_top, risk_bottom = risk_top + a * (c + d) / n, risk_bottom + c * (a + b) / n
        excess += a - (a + b) * (a + c) / n
        if n > 1:
            spread += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
    return (
        top / bottom if bottom else math.nan,
        risk_top / risk_bottom if risk_bottom else math.nan,
        excess**2 / spread if spread else math.nan,
    )


def breslow_day(tables, odds):
    """Find each expected count by halving the interval it must lie in."""
    total = 0.0
    for (a, b), (c, d) in tables:
        n1, n0, m1 = a + b, c + d, a + c
        low, high = max(0, m1 - n0), min(n1, m1)
        for _ in range(200):
            x = (low + high) / 2
            if x * (n0 - m1 + x) < odds * (m1 - x) * (n1 - x):
                low = x
            else:
                high = x
        cells = [x, m1 - x, n1 - x, n0 - m1 + x]
        total += (a - x) ** 2 * sum(1 / cell for cell in cells)
    return total


def beta_geometric_log_likelihood(active, alpha, beta):
    """From the model's own closed form, with Beta functions."""

    def log_beta(x, y):
        return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)

    total = 0.0
    for t in range(1, len(active)):
        leaving = log_beta(alpha + 1, beta + t - 1) - log_beta(alpha, beta)
        total += (active[t - 1] - active[t]) * leaving
    return total + active[-1] * (log_beta(alpha, beta + len(active) - 1) - log_beta(alpha, beta))


def going_quiet(users, quiet_days, end):
    """Users as (sign-up day, last core day or None); share still going on day t or later, for each t."""
    durations = []
    for signed_up, last_core in users:
        came = 0 if last_core is None else last_core - signed_up
        followed = end - signed_up - quiet_days
        if followed >= 0:
            durations.append((min(came, followed), came <= followed, followed))
    furthest = max((f for _, _, f in durations), default=-1)
    shares, share = {}, 1.0
    for t in range(furthest + 1):
        shares[t] = share
        if share is None:
            continue
        at_risk = sum(1 for x, _, _ in durations if x >= t)
        ended = sum(1 for x, e, _ in durations if x == t and e)
        if at_risk:
            share *= 1 - ended / at_risk
        elif share > 0:
            share = None
    return {t: s for t, s in shares.items() if s is not None}
