"""Attempts: how far each entry into a funnel gets, and when; on arrays, one entry beside the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from engagekit._base import later
from engagekit.funnels.any_order import any_order
from engagekit.funnels.simultaneous_events import Ties, ties_of
from engagekit.funnels.tolerant_order import tolerant_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from numpy.typing import NDArray

    from engagekit._base import Span

    Integers: TypeAlias = NDArray[np.int64]
    Truths: TypeAlias = NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
NOWHERE = -1
BLOCK = 1 << 16  # events worked on at a time


@dataclass(frozen=True)
class Rules:
    """What is asked of an attempt; an exclusion is ``(flag bit, from_step, to_step)``."""

    steps: int
    within: Span
    order: Literal["ordered", "strict", "any"]
    entry: Literal["best", "first"]
    exclusions: tuple[tuple[int, int, int], ...]
    exclusion: Literal["drop", "stop"]
    closed_by: int | None = None  # attempts whose window reaches to this instant are not considered
    tolerance: int = 0  # by so much may the clock of a step lag behind that of the steps before it


@dataclass(frozen=True)
class Trail:
    """Events by unit and time, and the instants they make: one for all events of a unit at the same time.

    `event_flags` holds one row per event; `starts` the first event of each instant; `unit`, `at` and `flags` (what
    its events could fill, together) one row per instant and a last one that no attempt can reach.
    """

    event_flags: NDArray[np.unsignedinteger]
    starts: Integers
    unit: Integers
    at: Integers
    flags: NDArray[np.unsignedinteger]
    steps: int

    @property
    def count(self) -> int:
        """Number the instants."""
        return self.starts.size

    @cached_property
    def ties(self) -> Ties:
        """Say how far instants with several events carry."""
        return ties_of(self.event_flags, self.starts, steps=self.steps)

    @cached_property
    def has_ties(self) -> bool:
        """Whether any instant has several events."""
        return self.starts.size < self.event_flags.size

    def has(self, bits: int) -> Truths:
        """Mark the instants with an event that has any of some flags."""
        found: Truths = (self.flags[:-1] & self.flags.dtype.type(bits)) != 0
        return found

    def after(self, bit: int, instants: Integers) -> Integers:
        """Give the first instant after each of some that has a flag, else the last row."""
        has = self.has(1 << bit)
        having = np.append(np.flatnonzero(has), self.count)
        if instants.size * 64 < self.count:
            passed = np.searchsorted(having, instants, side="right")
        else:  # counting along is quicker than searching for each
            passed = np.cumsum(has, dtype=np.intp).take(instants)
        found: Integers = having.take(passed)
        return found

    def carried(self, instants: Integers, level: Integers) -> Integers:
        """Say which step an attempt at `level` has filled after one more instant."""
        step = (level + 1).astype(self.flags.dtype)
        fills = ((self.flags[instants] >> step) & 1).astype(bool)
        pattern = self.ties.pattern[instants]
        several = self.ties.reach[pattern, level + 1]
        carried: Integers = np.where(pattern == 0, level + fills, several)
        return carried

    def sizes(self, instants: Integers) -> Integers:
        """Count the events of some instants."""
        ends = np.append(self.starts, self.event_flags.size)
        found: Integers = ends[instants + 1] - ends[instants]
        return found


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of each unit: its furthest step, when the window of its last attempt ends, and the times of the steps.

    `at` has a row per step; beyond `level` its values mean nothing.
    """

    unit: Integers
    level: Integers
    ends: Integers
    at: Integers


@dataclass(frozen=True)
class Attempts:
    """One attempt per row: its entry, its window's end, the furthest step, and the instant of each step.

    `instants` has a row per step; where a step was not reached, its value means nothing. Of the attempt that counts for
    a unit, `ends` is the end of the unit's last one.
    """

    entries: Integers
    ends: Integers
    level: Integers
    instants: Integers

    def only(self, chosen: Integers | Truths) -> Attempts:
        """Keep some of the attempts."""
        return Attempts(
            self.entries[chosen], self.ends[chosen], self.level[chosen], self.instants[:, chosen]
        )


def furthest_attempts(events: pl.DataFrame, rules: Rules) -> Outcomes:
    """Follow the attempts that `entry` considers and keep one per unit: the one that gets furthest, of equals the earliest.

    Parameters
    ----------
    events
        A row per event, in any order: `_unit`, whose it is (Int64); `_at` in UTC microseconds; `_flags`, the steps it
        can fill and behind them the exclusions it is, as bits of an unsigned number.
    rules
        What is asked.
    """
    at, flags = events["_at"].to_numpy(), events["_flags"].to_numpy()
    keys = _keys(events["_unit"], at)
    found = []
    for begin, end in _blocks(keys):
        rows = keys.rows(begin, end)
        trail = _trail(
            keys.key[begin:end] >> keys.bits, at.take(rows), flags.take(rows), rules.steps
        )
        found.append(_outcomes(trail, _chosen(trail, rules)))
    joined = Outcomes(
        *[np.concatenate([getattr(o, name) for o in found], axis=-1) for name in Outcomes.__slots__]
    )
    return replace(joined, unit=keys.unit(joined.unit))


@dataclass(frozen=True)
class _Keys:
    """Events by unit and time: each a sorted number of the unit's code and, in the last `bits`, the event's row.

    A code is the unit less `low`, or its place in `units`.
    """

    key: Integers
    bits: int
    low: int
    units: Integers | None

    def rows(self, begin: int, end: int) -> Integers:
        rows: Integers = self.key[begin:end] & ((1 << self.bits) - 1)
        return rows

    def unit(self, codes: Integers) -> Integers:
        return codes + self.low if self.units is None else self.units[codes]


def _keys(unit: pl.Series, at: Integers) -> _Keys:
    bits = len(unit).bit_length()
    in_time = at[1:] >= at[:-1]
    low, high = (int(bound) if len(unit) else 0 for bound in (unit.min(), unit.max()))  # type: ignore[arg-type]
    if in_time.all() and (high - low).bit_length() + bits < 64:
        # Of a log in time, only units need sorting; with the row beside it in one number that is quickest.
        return _Keys(_packed(unit, bits, low), bits, low, None)
    units = unit.to_numpy()
    order = np.arange(units.size)
    if not (unit.is_sorted() and (in_time | (units[1:] > units[:-1])).all()):
        order = np.lexsort((at, units))
        units = units[order]
    begins = _begins(units)
    code = np.repeat(np.arange(begins.size), np.diff(begins, append=units.size))
    return _Keys((code << bits) | order, bits, 0, units[begins])


def _packed(unit: pl.Series, bits: int, low: int) -> Integers:
    key = np.empty(len(unit), np.int64)
    begin = 0
    for chunk in unit.get_chunks():  # one copy less than taking them together
        part = key[begin : begin + len(chunk)]
        np.subtract(chunk.to_numpy(), low, out=part)
        part <<= bits
        part |= np.arange(begin, begin + len(chunk))
        begin += len(chunk)
    key.sort()
    return key


def _blocks(keys: _Keys) -> Iterator[tuple[int, int]]:
    """Cut the events between units into blocks that stay in the processor's cache; at least one, if empty."""
    begin, size = 0, keys.key.size
    while True:
        end = min(begin + BLOCK, size)
        if end < size:
            following = ((keys.key[end - 1] >> keys.bits) + 1) << keys.bits
            end = int(np.searchsorted(keys.key, following))
        yield begin, end
        begin = end
        if begin == size:
            return


def _trail(unit: Integers, at: Integers, flags: NDArray[np.unsignedinteger], steps: int) -> Trail:
    new = np.ones(unit.size, bool)
    np.not_equal(unit[1:], unit[:-1], out=new[1:])
    new[1:] |= at[1:] != at[:-1]
    starts = np.flatnonzero(new)
    together = flags
    if starts.size < unit.size:
        together = np.bitwise_or.reduceat(flags, starts)
        unit, at = unit[starts], at[starts]
    return Trail(
        event_flags=flags,
        starts=starts,
        unit=np.append(unit, 0),
        at=np.append(at, NEVER),
        flags=np.append(together, np.zeros(1, flags.dtype)),
        steps=steps,
    )


def _chosen(trail: Trail, rules: Rules) -> Attempts:
    entries = _entries(trail, rules)
    ends = later(trail.at.take(entries), rules.within)
    if rules.closed_by is not None:
        closed = ends < rules.closed_by
        entries, ends = entries[closed], ends[closed]
    follow = {"ordered": _ordered, "strict": _strict, "any": _any}[rules.order]
    attempts = follow(trail, entries, ends)
    if rules.tolerance:
        attempts = _tolerant(trail, attempts, rules)
    attempts = _excluded(trail, attempts, rules)
    if rules.entry == "first" or not attempts.entries.size:
        return attempts
    units = trail.unit[attempts.entries]
    begins = _begins(units)
    # One number per attempt, larger the further it gets and then the earlier it is.
    merit = attempts.level * units.size + np.arange(units.size - 1, -1, -1)
    best = attempts.only(units.size - 1 - np.maximum.reduceat(merit, begins) % units.size)
    # Whether any of a unit's attempts may still go on, its last one tells.
    return replace(best, ends=np.maximum.reduceat(attempts.ends, begins))


def _outcomes(trail: Trail, attempts: Attempts) -> Outcomes:
    return Outcomes(
        trail.unit[attempts.entries],
        attempts.level,
        attempts.ends,
        trail.at[attempts.instants],
    )


def _entries(trail: Trail, rules: Rules) -> Integers:
    opening = (1 << rules.steps) - 1 if rules.order == "any" else 1
    entries = np.flatnonzero(trail.has(opening))
    return entries[_begins(trail.unit[entries])] if rules.entry == "first" else entries


def _begins(units: Integers) -> Integers:
    """Find where each unit begins, in a sorted array."""
    if not units.size:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.append(True, units[1:] != units[:-1]))


def _within(trail: Trail, found: Integers, units: Integers, ends: Integers) -> Truths:
    inside: Truths = (trail.at.take(found) <= ends) & (trail.unit.take(found) == units)
    return inside


def _ordered(trail: Trail, entries: Integers, ends: Integers) -> Attempts:
    """Take the next event of each step as early as it comes; other events may lie between."""
    level = np.zeros(entries.size, np.int64)
    instants = np.full((trail.steps, entries.size), NOWHERE)
    instants[0] = current = entries
    alive = np.arange(entries.size)
    came = (
        np.full(entries.size, -1) if trail.has_ties else None
    )  # the level on coming to the current instant
    for step in range(1, trail.steps):
        found = trail.after(step, current)
        if came is not None:
            stays = trail.ties.reach[trail.ties.pattern[current], came + 1] >= step
            found = np.where(stays, current, found)
            came = np.where(stays, came, step - 1)
        inside = _within(trail, found, trail.unit.take(current), ends.take(alive))
        alive, current = alive[inside], found[inside]
        came = None if came is None else came[inside]
        level[alive] = step
        instants[step, alive] = current
    return Attempts(entries, ends, level, instants)


def _tolerant(trail: Trail, attempts: Attempts, rules: Rules) -> Attempts:
    """Let steps lag behind; where events of one instant that fit several steps carry further without that, they do."""
    level, instants = tolerant_order(
        trail.event_flags,
        trail.starts,
        trail.unit,
        trail.at,
        attempts.entries,
        attempts.ends,
        steps=trail.steps,
        tolerance=rules.tolerance,
    )
    better = level >= attempts.level
    return replace(
        attempts,
        level=np.where(better, level, attempts.level),
        instants=np.where(better, instants, attempts.instants),
    )


def _strict(trail: Trail, entries: Integers, ends: Integers) -> Attempts:
    """Let no other event of the unit lie between two steps.

    The events of the entry's instant may be used in part, those before the first used one coming earlier; so
    each number of steps they may fill is tried, the largest first, because it also fills every later step sooner.
    """
    level = np.full(entries.size, -1)
    instants = np.full((trail.steps, entries.size), NOWHERE)
    reach = trail.carried(entries, np.full(entries.size, -1))
    for begin in range(int(reach.max(initial=-1)), -1, -1):
        tried = np.flatnonzero(reach >= begin)
        attempts = _strict_from(trail, entries[tried], ends[tried], begin)
        better = attempts.level > level[tried]
        level[tried[better]] = attempts.level[better]
        instants[:, tried[better]] = attempts.instants[:, better]
    return Attempts(entries, ends, level, instants)


def _strict_from(trail: Trail, entries: Integers, ends: Integers, begin: int) -> Attempts:
    level = np.full(entries.size, begin)
    instants = np.full((trail.steps, entries.size), NOWHERE)
    instants[: begin + 1] = entries
    alive, current = np.arange(entries.size), entries
    while alive.size:
        following = current + 1
        goes_on = level[alive] < trail.steps - 1
        goes_on &= _within(trail, following, trail.unit[current], ends[alive])
        alive, following = alive[goes_on], following[goes_on]
        before = level[alive]
        level[alive] = trail.carried(following, before)
        for step in range(begin + 1, trail.steps):
            filled = (before < step) & (step <= level[alive])
            instants[step, alive[filled]] = following[filled]
        whole = level[alive] - before == trail.sizes(following)
        alive, current = alive[whole], following[whole]
    return Attempts(entries, ends, level, instants)


def _any(trail: Trail, entries: Integers, ends: Integers) -> Attempts:
    """Count different steps in whatever order; the k-th is filled when k different steps can be."""
    instants = any_order(trail.event_flags, trail.starts, entries, steps=trail.steps)
    reached = _within(trail, instants, trail.unit[entries], ends)
    return Attempts(entries, ends, reached.sum(axis=0) - 1, instants)


def _excluded(trail: Trail, attempts: Attempts, rules: Rules) -> Attempts:
    """Apply the exclusions to attempts as they went without any."""
    level = attempts.level
    hits = [(begin, _hit(trail, attempts, bit, begin, end)) for bit, begin, end in rules.exclusions]
    if rules.exclusion == "stop":
        for begin, hit in hits:
            level = np.where(hit, np.minimum(level, begin), level)
        return Attempts(attempts.entries, attempts.ends, level, attempts.instants)
    if not hits:
        return attempts
    units = trail.unit[attempts.entries]
    hit_units = units[np.logical_or.reduce([hit for _, hit in hits])]
    return attempts.only(~np.isin(units, hit_units))


def _hit(trail: Trail, attempts: Attempts, bit: int, begin: int, end: int) -> Truths:
    """Mark attempts with an excluded event strictly between two steps, or up to the window's end."""
    hit = np.zeros(attempts.entries.size, bool)
    on = np.flatnonzero(attempts.level >= begin)
    found = trail.after(bit, attempts.instants[begin, on])
    inside = _within(trail, found, trail.unit[attempts.entries[on]], attempts.ends[on])
    reached = attempts.level[on] >= end
    hit[on] = inside & (~reached | (found < attempts.instants[end, on]))
    return hit
