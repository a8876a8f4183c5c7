"""First weeks in plain Python: one loop per question, from the raw events, written from the contract."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from datetime import timedelta
from fractions import Fraction
from math import comb, floor

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


def volumes(signed_up, events, users, first_days=14):
    """User to how many events on each own early day."""
    found = {user: [0] * first_days for user in users}
    for user, _, at in events:
        if user in found and timedelta(0) <= at - signed_up[user] < first_days * DAY:
            found[user][(at - signed_up[user]) // DAY] += 1
    return found


def middle_part(values, parts):
    """Value to its part: where the middle of those who share it lies among all, in `parts` equal parts."""
    counts, below, found = Counter(values), 0, {}
    for value in sorted(counts):
        rank = Fraction(2 * below + counts[value], 2 * len(values))
        found[value] = min(floor(rank * parts), parts - 1)
        below += counts[value]
    return found


def classes_before(before):
    """Days active before: exact up to 10, in six classes, in four."""
    six = next(
        i
        for i, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (3, 4), (5, 7), (8, 99)])
        if a <= before <= b
    )
    four = next(i for i, (a, b) in enumerate([(0, 0), (1, 2), (3, 7), (8, 99)]) if a <= before <= b)
    return min(before, 10), six, four


def classes_since(since):
    """Days since the last active one: exact up to 7, and none, 1, 2-3, 4 and more."""
    return min(since, 7), 0 if since == 0 else 1 if since == 1 else 2 if since <= 3 else 3


def calendar(signed_up, users):
    """User to ``(quarter, sixteenth, fortnight)`` of the sign-up range, counted from its start."""
    first, last = min(signed_up[u] for u in users), max(signed_up[u] for u in users)
    whole = (last - first) / DAY
    slots = max(1, min(round(whole / 4 / 14), len(users) // 4 // 500))
    wide = math.ceil(slots / 4) if slots > 4 else slots
    found = {}
    for user in users:
        through = ((signed_up[user] - first) / DAY) / max(whole, 1e-9) * 4
        quarter = min(int(through), 3)
        slot = min(int((through - quarter) * slots), slots - 1)
        found[user] = (quarter, (quarter, slot // wide), (quarter, slot))
    return found


def before_that_day(signed_up, volume, volume_parts):
    """``(user, day)`` to what was known of users active that day: before, since, part and third of volume, calendar."""
    when = calendar(signed_up, volume)
    found = {}
    for day in range(len(next(iter(volume.values())))):
        active = [u for u, each in volume.items() if each[day]]
        known = {}
        for user in active:
            days = [d for d in range(day) if volume[user][d]]
            known[user] = (len(days), day - days[-1] if days else 0, sum(volume[user][:day]))
        alike = defaultdict(list)
        for user in active:
            alike[min(known[user][0], 10)].append(known[user][2])
        parts = {n: middle_part(values, volume_parts) for n, values in alike.items()}
        for user in active:
            before, since, total = known[user]
            part = parts[min(before, 10)][total]
            found[user, day] = (before, since, part, part * 3 // volume_parts, when[user])
    return found


def trial_levels(known, day, alike=None):
    """The strata of a user-day, from fine to coarse."""
    before, since, part, third, (quarter, sixteenth, fortnight) = known
    exact, six, four = classes_before(before)
    days_since, few_since = classes_since(since)
    base = (day, quarter, alike)
    return [
        (*base, four, six, third, few_since, sixteenth, fortnight, part, exact, days_since),
        (*base, four, six, third, few_since, sixteenth, fortnight, part),
        (*base, four, six, third, few_since, sixteenth, fortnight),
        (*base, four, six, third, few_since, sixteenth),
        (*base, four, six, third, few_since),
        (*base, four, six, third),
        (*base, four, six),
        (*base, four),
        base,
    ]  # fmt: skip


def same_day_levels(known, day, part, parts, alike=None):
    """The strata of a user-day whose volume lies in `part` (None: no other event), from fine to coarse."""
    before, since, _, third, (quarter, sixteenth, _) = known
    _, six, four = classes_before(before)
    few_since = classes_since(since)[1]
    base = (day, quarter, alike, part is None)
    wide = None if part is None else part * 3 // parts
    return [
        (*base, wide, four, part, six, few_since, third, sixteenth),
        (*base, wide, four, part, six, few_since, third),
        (*base, wide, four, part, six, few_since),
        (*base, wide, four, part, six),
        (*base, wide, four, part),
        (*base, wide, four),
        (*base, wide),
        base,
    ]


def trial_rows(volume, did, k):
    """Every user-day open to the trial "the k-th day": ``user, day, exposed``."""
    for user, each in volume.items():
        for day, events in enumerate(each):
            before = sum(1 for d in did.get(user, ()) if d < day)
            if events and before == k - 1:
                yield user, day, day in did.get(user, ())


def coarsened(rows):
    """Tables ``a, b, c, d`` of strata; rows are ``(levels, exposed, retained, weight)``, joined upwards until they compare."""
    tables, left = [], list(rows)
    for level in range(max((len(levels) for levels, *_ in left), default=0)):
        strata = defaultdict(list)
        for row in left:
            strata[row[0][level]].append(row)
        left = []
        for members in strata.values():
            if {exposed for _, exposed, *_ in members} == {True, False}:
                cells = [
                    sum(1 for _, e, r in members if (e, r) == want)
                    for want in ((True, True), (True, False), (False, True), (False, False))
                ]
                tables.append(tuple(cells))
            else:
                left += members
    return tables, sum(exposed for _, exposed, _ in left)


def trial_tables(signed_up, volume, retained, did, k, *, volume_parts, alike=None):
    """Tables of the sequence of trials, and how many exposed found no comparison."""
    known = before_that_day(signed_up, volume, volume_parts)
    rows = [
        (trial_levels(known[u, d], d, alike and alike[u]), exposed, retained[u])
        for u, d, exposed in trial_rows(volume, did, k)
    ]
    return coarsened(rows)


def same_day_tables(signed_up, volume, retained, did, own, k, *, volume_parts, day_parts, moved=0):
    """Tables of trials among equally full days; the exposed stand without their own events, `moved` events up."""
    known = before_that_day(signed_up, volume, volume_parts)
    there = {
        day: [each[day] for each in volume.values() if each[day]]
        for day in range(len(next(iter(volume.values()))))
    }
    rows = []
    for user, day, exposed in trial_rows(volume, did, k):
        events = volume[user][day]
        if exposed:
            events = max(0, events - own[user]) + moved
        part = None if events == 0 else part_of(there[day], events, day_parts)
        rows.append(
            (same_day_levels(known[user, day], day, part, day_parts), exposed, retained[user])
        )
    return coarsened(rows)


def part_of(values, events, parts):
    """The part of a volume that perhaps nobody has: by how many have less, and half of those who have as much."""
    events = min(events, max(values))
    below, same = sum(v < events for v in values), sum(v == events for v in values)
    return min(floor(Fraction(2 * below + same, 2 * len(values)) * parts), parts - 1)


def sums(tables):
    """Excess, variance, both sides of the Mantel-Haenszel ratio, and how many exposed."""
    excess = variance = did = others = Fraction(0)
    exposed = 0
    for a, b, c, d in tables:
        n = a + b + c + d
        excess += a - Fraction((a + b) * (a + c), n)
        if n > 1:
            variance += Fraction((a + b) * (c + d) * (a + c) * (b + d), n * n * (n - 1))
        did += Fraction(a * (c + d), n)
        others += Fraction(c * (a + b), n)
        exposed += a + b
    return float(excess), float(variance), float(did), float(others), exposed


def moments(strata_tables):
    """Excess, variance and third central moment of the hypergeometric counts, summed over strata."""
    excess = variance = third = 0.0
    for a, b, c, d in strata_tables:
        n, drawn, marked = a + b + c + d, a + b, a + c
        # The distribution written out, however long it takes.
        weights = Counter()
        for hit in range(max(0, drawn + marked - n), min(drawn, marked) + 1):
            weights[hit] = comb(marked, hit) * comb(n - marked, drawn - hit)
        whole = sum(weights.values())
        mean = sum(hit * w for hit, w in weights.items()) / whole
        excess += a - mean
        variance += sum((hit - mean) ** 2 * w for hit, w in weights.items()) / whole
        third += sum((hit - mean) ** 3 * w for hit, w in weights.items()) / whole
    return excess, variance, third


def chance(strata_tables):
    """The two-sided chance of the excess, by a law with the same three moments."""
    from scipy.stats import norm, pearson3

    excess, variance, third = moments(strata_tables)
    if variance <= 1e-12:
        return None
    z, skew = excess / variance**0.5, third / variance**1.5
    law = norm if abs(skew) < 1e-4 else pearson3(skew)
    return min(1.0, 2 * min(float(law.sf(z)), float(law.cdf(z))))
