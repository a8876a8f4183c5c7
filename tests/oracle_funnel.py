"""Funnels the slow way: every attempt, every order of events of one instant, every choice of which event fills which step."""

from __future__ import annotations

import itertools
from statistics import fmean, median


def furthest_ordered(events, steps, begun, until):
    """The best chain of an attempt: events are (at, fills), `fills` the steps each can fill; earliest times of the longest."""
    found = []

    def go_on(used, times):
        found.append(times)
        if len(times) == steps:
            return
        for i, (at, fills) in enumerate(events):
            if i not in used and len(times) in fills and times[-1] <= at <= until:
                go_on(used | {i}, (*times, at))

    for i, (at, fills) in enumerate(events):
        if at == begun and 0 in fills:
            go_on({i}, (at,))
    return longest_then_earliest(found)


def furthest_strict(events, steps, begun, until):
    """The best run of neighbours over all orders of events of one instant."""
    groups = [
        list(g) for _, g in itertools.groupby(sorted(events, key=lambda e: e[0]), lambda e: e[0])
    ]
    found = []
    for order in itertools.product(*[itertools.permutations(group) for group in groups]):
        line = [event for group in order for event in group]
        for first, (at, fills) in enumerate(line):
            if at != begun or 0 not in fills:
                continue
            times = []
            for step, (at, fills) in enumerate(line[first : first + steps]):
                if step not in fills or at > until:
                    break
                times.append(at)
            found.append(tuple(times))
    return longest_then_earliest(found)


def furthest_tolerant(tolerance):
    """The best chain whose every event lies at most `tolerance` before any event of the steps before it."""

    def furthest(events, steps, begun, until):
        found = []

        def go_on(used, times):
            found.append(times)
            if len(times) == steps:
                return
            for i, (at, fills) in enumerate(events):
                fits = i not in used and len(times) in fills
                if fits and max(times) - tolerance <= at <= until:
                    go_on(used | {i}, (*times, at))

        for i, (at, fills) in enumerate(events):
            if at == begun and 0 in fills:
                go_on({i}, (at,))
        # Of the longest the one whose steps come earliest, one after the other.
        most = max(map(len, found))
        return min(times for times in found if len(times) == most)

    return furthest


def furthest_any(events, steps, begun, until):
    """When 1, 2, 3 ... different steps are filled, over all ways of giving each event a step or none."""
    inside = sorted((at, fills) for at, fills in events if begun <= at <= until)
    found = []
    for given in itertools.product(*[[None, *fills] for _, fills in inside]):
        filled = [step for step in given if step is not None]
        if len(set(filled)) == len(filled) and filled:
            found.append(
                tuple(at for (at, _), step in zip(inside, given, strict=True) if step is not None)
            )
    # A step too many never hurts: the k-th time is the earliest at which any way has filled k.
    most = max(map(len, found))
    return tuple(min(times[k] for times in found if len(times) > k) for k in range(most))


def longest_then_earliest(found):
    most = max(map(len, found))
    best = [times for times in found if len(times) == most]
    earliest = tuple(min(times[k] for times in best) for k in range(most))
    assert earliest in best, "one chain is earliest at every step"
    return earliest


def attempts(events, steps, *, within, order, entry, exclude, exclusion, since, tolerance=None):
    """All attempts of one unit as (level, times, window's end), and whether it is dropped; events are (at, fills, excluded)."""
    follow = {"ordered": furthest_ordered, "strict": furthest_strict, "any": furthest_any}[order]
    follow = follow if tolerance is None else furthest_tolerant(tolerance)
    events = [event for event in events if since is None or event[0] >= since]
    opening = sorted({at for at, fills, _ in events if (fills if order == "any" else 0 in fills)})
    if entry == "first":
        opening = opening[:1]
    results, dropped = [], False
    for begun in opening:
        until = within(begun)
        times = follow([event[:2] for event in events], steps, begun, until)
        level = len(times) - 1
        ends_at = level
        for number, (begin, end) in enumerate(exclude):
            if level < begin:
                continue
            hit = any(
                number in excluded
                and times[begin] < at
                and (at < times[end] if level >= end else at <= until)
                for at, _, excluded in events
            )
            dropped |= hit and exclusion == "drop"
            if hit and exclusion == "stop":
                ends_at = min(ends_at, begin)
        results.append((ends_at, times[: ends_at + 1], until))
    return results, dropped


def chosen(events, steps, **asked):
    """The attempt of a unit that counts, or None."""
    results, dropped = attempts(events, steps, **asked)
    if dropped or not results:
        return None
    return max(results, key=lambda result: (result[0], -result[1][0]))


def funnel(units, steps, *, as_of, **asked):
    """Rows (n, of, overall, median, mean, open, waiting), and the people (step, unit) behind them; `units` maps to events."""
    best, still = {}, {}
    for unit, events in units.items():
        if found := chosen(events, steps, **asked):
            best[unit] = found
            still[unit] = any(until >= as_of for _, _, until in attempts(events, steps, **asked)[0])
    rows, people = [], []
    for step in range(steps):
        here = {unit: found for unit, found in best.items() if found[0] >= step}
        people += [(step, unit, found[1][0], found[1][step]) for unit, found in here.items()]
        seconds = [max(0, times[step] - times[step - 1]) for _, times, _ in here.values() if step]
        rows.append(
            {
                "n": len(here),
                "of": rows[-1]["n"] if step else None,
                "overall": len(here) / len(best) if best else None,
                "median_seconds": median(seconds) if seconds else None,
                "mean_seconds": fmean(seconds) if seconds else None,
                "open": sum(still[unit] for unit in here),
                "waiting": sum(
                    still[unit] and level == step < steps - 1
                    for unit, (level, _, _) in here.items()
                ),
            }
        )
    return rows, sorted(people)
