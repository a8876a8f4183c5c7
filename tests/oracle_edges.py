"""The edges of a log once more in plain Python, slow and obvious, from the rule as it is written."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise


def longest_gap(days, near, most=91):
    """The longest run of days without an event among days with some, begun within so many days of one of them."""
    found = 0
    for one, other in pairwise(days):
        nearest = min(abs((one - near).days), abs((other - near).days))
        if nearest <= most:
            found = max(found, (other - one).days - 1)
    return found


def little(outside, rows):
    events, users = len(outside), {user for user, _ in outside}
    everybody = {user for user, _ in rows}
    few_events = events < 0.01 * len(rows) or (events <= 3 and 20 * events <= len(rows) - events)
    return few_events and len(users) < max(4, 0.01 * len(everybody))


def body(rows):
    """Take ``(user, at)`` pairs; give those inside the body, those before it and those behind it."""
    days = sorted({at.date() for _, at in rows})
    fitting = []
    for i, first in enumerate(days):
        for j, last in enumerate(days[i:], i):
            inside = days[i : j + 1]
            before = [r for r in rows if r[1].date() < first]
            after = [r for r in rows if r[1].date() > last]
            if before:
                gap = (first - days[i - 1]).days - 1
                if not (gap > 3 and gap > 3 * longest_gap(inside, first) and little(before, rows)):
                    continue
            if after:
                gap = (days[j + 1] - last).days - 1
                if not (gap > 3 and gap > 3 * longest_gap(inside, last) and little(after, rows)):
                    continue
            fitting.append(((last - first).days, first, last))
    _, first, last = min(fitting)
    last = without_tail([r for r in rows if first <= r[1].date() <= last], last)
    inside = [r for r in rows if first <= r[1].date() <= last]
    return inside, [r for r in rows if r[1].date() < first], [r for r in rows if r[1].date() > last]


def without_tail(rows, last):
    days = sorted({at.date() for _, at in rows})
    for length in range((last - days[0]).days, 3, -1):
        edge = last - timedelta(days=length)
        left = [d for d in days if d <= edge]
        if not left or length <= 3 * longest_gap(left, left[-1]):
            continue
        tail = {user for user, at in rows if at.date() > edge}
        far = edge - timedelta(days=min(length, 91))
        before = {user for user, at in rows if far < at.date() <= edge}
        if len(tail) <= 3 and len(before) >= 20 * len(tail):
            return left[-1]
    return last
