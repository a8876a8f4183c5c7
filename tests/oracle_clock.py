"""Product time, own intervals and gaps in plain Python, written from the contract: slow and obvious."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from statistics import median

DAY = timedelta(days=1)


class Clock:
    """``w(d) = (a(d) + 3) / (ā(d) + 3)``, kept as whole millionths; `days` are those of each user's core actions."""

    def __init__(self, days, first, last):
        self.first, self.last = first, max(first, last)
        self.active = Counter(day for mine in days for day in mine)
        count = (self.last - self.first).days + 1
        self.weights = [self.weight(self.first + k * DAY) for k in range(count)]

    def expected(self, day):
        around = [day + k * DAY for k in range(-45, 46)]
        covered = [d for d in around if self.first <= d <= self.last]
        return Fraction(sum(self.active[d] for d in covered), len(covered))

    def weight(self, day):
        exact = Fraction(self.active[day] + 3) / (self.expected(day) + 3)
        return Fraction(math.floor(exact * 1_000_000 + Fraction(1, 2)), 1_000_000)

    def between(self, early, late):
        """The product time of the days after the one, up to the other."""
        a, b = (min(max((d - self.first).days + 1, 0), len(self.weights)) for d in (early, late))
        return sum(self.weights[a:b], Fraction(0))


def own_interval(days):
    """The smallest gap such that gaps no longer than it hold a quarter of the days from the first to the last."""
    gaps = [(b - a).days for a, b in pairwise(sorted(set(days)))]
    if not gaps:
        return None
    return min(g for g in gaps if 4 * sum(h for h in gaps if h <= g) >= sum(gaps))


def gaps_of(days, clock):
    return [clock.between(a, b) for a, b in pairwise(sorted(set(days)))]


def usual_gap(days, clock, usage_interval):
    gaps = gaps_of(days, clock)
    return median(gaps) if len(gaps) >= 3 else Fraction(usage_interval)


def has_drifted(days, clock, last, usage_interval, habit_days):
    """Whether a user who came back has drifted by the end of the day `last`."""
    silence, gaps = clock.between(max(days), last), gaps_of(days, clock)
    usual = usual_gap(days, clock, usage_interval)
    longest = max(gaps) if len(gaps) >= 3 else -1
    return silence >= 3 * usual and silence > longest and silence >= habit_days
