"""What outreach brings, in plain Python over raw events: silences not contacted, and days beside days. Slow and obvious."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MICRO = timedelta(microseconds=1)


class Reader:
    """One user as the comparisons see them: activation, core times and messages (of each local day the first and last)."""

    def __init__(self, user, activated, core, mails, zone, as_of):
        self.user, self.activated, self.as_of = user, activated, as_of
        self.zone = ZoneInfo(zone)
        self.core = sorted(core)
        on = defaultdict(list)
        for at in sorted(mails):
            on[self.day(at)].append(at)
        self.mails = sorted({at for times in on.values() for at in (times[0], times[-1])})

    def day(self, at):
        return at.astimezone(self.zone).date()

    def time_of_day(self, at):
        local = at.astimezone(self.zone)
        return (
            (local.hour * 60 + local.minute) * 60_000_000
            + local.second * 1_000_000
            + local.microsecond
        )

    def silences(self, habit):
        """(start, ripe, end or None, first contact in it or None) of every silence as long as the habit window."""
        if self.activated is None:
            return
        starts = [self.activated, *[t for t in self.core if t >= self.activated]]
        for start in sorted(set(starts)):
            end = min((t for t in self.core if t > start), default=None)
            ripe = start + habit * DAY
            last = end or self.as_of
            if ripe <= last:
                contact = min((m for m in self.mails if ripe <= m <= last), default=None)
                yield start, ripe, end, contact


def product_time(clock, reader, at):
    """Product days from the log's first day to an instant, a day passing evenly."""
    day = reader.day(at)
    before = clock.between(clock.first - DAY, day - DAY)
    today = clock.between(clock.first - DAY, day) - before
    return float(before) + float(today) * reader.time_of_day(at) / 86_400_000_000


def edges(habit):
    return [habit + k for k in range(28)] + [habit + 28 + 7 * k for k in range(53)]


def pieces(start, begins, ends, habit):
    """The stretches of silence that a span lies in: (number, from, to)."""
    limits = edges(habit)
    for number, (low, high) in enumerate(pairwise(limits)):
        a, b = max(begins, start + low * DAY), min(ends, start + high * DAY)
        if b > a:
            yield number, a, b


def expected_returns(readers, clock, habit, as_of):
    """(contacted, compared, mean expected, mean difference), the last two None where fewer than ten can be compared."""
    spent, came, at_risk = defaultdict(float), defaultdict(int), defaultdict(int)
    contacts = []
    for one in readers:
        found = list(one.silences(habit))
        first = min((c for *_, c in found if c is not None), default=None)
        for start, ripe, end, contact in found:
            if first is not None and ripe > first:
                continue
            over = min(t for t in (end, first, as_of) if t is not None)
            returned = end is not None and end <= over and contact is None
            for number, a, b in pieces(start, ripe, over, habit):
                spent[number] += product_time(clock, one, b) - product_time(clock, one, a)
                at_risk[number] += 1
                came[number] += returned and b == over and b - start <= edges(habit)[-1] * DAY
            if contact == first is not None and contact + 7 * DAY <= as_of:
                contacts.append((one, start, contact))
    least = max(10, 0.1 * max(at_risk.values(), default=0))
    known = {k for k in at_risk if at_risk[k] >= least and spent[k] > 0}
    told = []
    for one, start, contact in contacts:
        cut = list(pieces(start, contact, contact + 7 * DAY, habit))
        if cut and all(k in known for k, *_ in cut):
            total = sum(
                came[k] / spent[k] * (product_time(clock, one, b) - product_time(clock, one, a))
                for k, a, b in cut
            )
            back = any(contact <= t < contact + 7 * DAY for t in one.core)
            told.append((1 - math.exp(-total), back))
    if len(told) < 10:
        return len(contacts), len(told), None, None
    without = sum(e for e, _ in told) / len(told)
    return len(contacts), len(told), without, sum(b for _, b in told) / len(told) - without


ALIKE = [*range(1, 15), 15, 22, 29, 43, 64, 92]


def band(silence):
    return max(k for k, low in enumerate(ALIKE) if silence >= low)


def rate_ratio(readers, first, as_of):
    """(returns, prompted, users with both kinds of days, rate ratio or None)."""
    readers = [one for one in readers if one.activated is not None]
    if not readers:
        return 0, 0, 0, None
    last = readers[0].day(as_of - MICRO)
    every = [first + k * DAY for k in range((last - first).days + 1)]
    stretches, returns = {}, {}
    for one in readers:
        since = one.day(one.activated)
        mine = returns[one.user] = {}
        for at in one.core:
            if one.day(at) > since:
                mine.setdefault(one.day(at), one.time_of_day(at))
        hours = stretches[one.user] = defaultdict(list)
        for sent, following in zip(one.mails, [*one.mails[1:], None], strict=False):
            over = min(t for t in (sent + 3 * DAY, following, as_of) if t is not None)
            for day in [d for d in every if one.day(sent) <= d <= one.day(over) and d > since]:
                low = one.time_of_day(sent) if day == one.day(sent) else 0
                high = one.time_of_day(over) if day == one.day(over) else 86_400_000_000
                if low < high:
                    hours[day].append((low, high))
    weights = day_weights(readers, every, stretches, returns)
    told, prompted, placed = [], 0, []
    for one in readers:
        mine, hours = returns[one.user], stretches[one.user]
        prompted += sum(
            any(low <= at < high for low, high in hours.get(day, [])) for day, at in mine.items()
        )
        begun = min(hours, default=None)
        since = one.day(one.activated)
        for day in every:
            if begun is None or day < begun or day <= since or not weights[day]:
                continue
            silent = min(92, (day - max([since, *[d for d in mine if d < day]])).days)
            placed.append((one, day, silent, hours.get(day, []), mine.get(day)))
    # How fast users return at each length of silence on days without a message, over seven days of it.
    free_days, free_back = defaultdict(float), defaultdict(int)
    for _, day, silent, stretch, at in placed:
        if not stretch:
            free_days[silent] += weights[day]
            free_back[silent] += at is not None
    pace = {}
    for k in range(1, 93):
        near = [n for n in range(k - 3, k + 4) if 15 <= n <= 91]
        days, back = sum(free_days[n] for n in near), sum(free_back[n] for n in near)
        pace[k] = (back / days if days > 1e-9 else 0.0) if 15 <= k <= 91 else 1.0
    free, after = defaultdict(list), defaultdict(list)
    for one, day, silent, stretch, at in placed:
        kind, weight = (one.user, band(silent), day.weekday()), weights[day] * pace[silent]
        if not weight:
            continue
        if not stretch:
            free[kind].append((weight, at))
        for low, high in stretch:
            if at is None or at >= low:
                after[kind, low, high].append((weight, at is not None and at < high))
    for (kind, low, high), units in after.items():
        still = [(w, at) for w, at in free[kind] if at is None or at >= low]
        other, own = sum(w for w, _ in still), sum(w for w, _ in units)
        if other > 1e-9:
            others = sum(at is not None and at < high for _, at in still)
            hits = sum(c for _, c in units)
            told.append((kind[0], hits * other / (own + other), others * own / (own + other)))
    total = sum(len(mine) for mine in returns.values())
    a, b = sum(x for _, x, _ in told), sum(x for *_, x in told)
    users = len({u for u, *_ in told})
    return total, prompted, users, (a / b if users >= 10 and a and b else None)


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def day_weights(readers, every, stretches, returns):
    """What each day weighs: as its weekday around it, or as itself where it stands out by four standard errors."""
    there, free, alone, active = {}, {}, {}, {}
    for day in every:
        present = [one.user for one in readers if one.day(one.activated) < day]
        without = [u for u in present if day not in stretches[u]]
        there[day], free[day] = len(present), len(without)
        alone[day] = sum(day in returns[u] for u in without)
        enough = free[day] >= max(0.2 * there[day], 3)
        active[day] = alone[day] * there[day] / free[day] if enough else None
    profile = {d: mean(active.get(d + 7 * k * DAY) for k in range(-6, 7)) for d in every}
    usual = {d: mean(profile.get(d + k * DAY) for k in range(-45, 46)) for d in every}
    found = {}
    for day in every:
        if usual[day] is None or profile[day] is None:
            found[day] = 0.0
            continue
        awaited = profile[day] * free[day] / there[day] if there[day] else None
        stands_out = (
            awaited is not None
            and active[day] is not None
            and abs(alone[day] - awaited) > 4 * math.sqrt(awaited + 1)
        )
        taken = active[day] if stands_out else profile[day]
        found[day] = (taken + 3) / (usual[day] + 3)
    return found
