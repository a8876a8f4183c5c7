"""The reduction: from events to the four tables of journeys, in blocks of whole users that stay near the processor.

Events are sorted once by user, as packed whole numbers. Within a block all else follows from comparing neighbours, and
from sorting what bears a name by one more packed number; every table comes out sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engagekit.definition import microseconds_of
from engagekit.instants import AT, local_day
from engagekit.rollups.id_lookup import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engagekit.definition import Definition
    from engagekit.rollups.coded_log import Coded
    from engagekit.rollups.id_lookup import Numbers
    from engagekit.rollups.meanings import Meanings

DAY_US = 86_400_000_000
NEVER = -(2**63)
ROWS = 1 << 15  # events in a block, about
WIDTH = 63  # bits that a packed number has


@dataclass(frozen=True)
class Units:
    """The units that count, by their places: when each signed up, and whether the users table said so."""

    signed_up: Numbers
    given: Numbers


@dataclass(frozen=True)
class Found:
    """What a reduction found: of each unit, and the rows of three tables.

    `sides`: unit, side, first and last instant; `early`: unit, event, first instant, times, days; `days`: unit, role,
    day, first and last instant, times.
    """

    activated: Numbers
    first_action: Numbers
    last_core: Numbers
    last_seen: Numbers
    core_days: Numbers
    active_days: Numbers
    early_events: Numbers
    sides: Columns
    early: Columns
    days: Columns


@dataclass(frozen=True)
class _Block:
    """Events of some units, sorted by unit and time: `unit` counts from 0, `places` says which units these are."""

    unit: Numbers
    at: Numbers  # since `low`
    kind: Numbers
    first: Numbers  # whether it is its unit's first event
    places: Numbers
    day: Numbers  # where clocks go back across midnight, a later event can lie on an earlier day


@dataclass(frozen=True)
class _Frame:
    """What all blocks share: the least instant, where days lie, and how many bits an instant and a kind need."""

    low: int
    at: int
    kind: int
    zone: str


def reduced(
    coded: Coded, order: Numbers, bits: int, units: Units, meanings: Meanings, definition: Definition, zone: str
) -> Found:  # fmt: skip
    """Reduce the events that count.

    Parameters
    ----------
    coded
        The log.
    order
        Its events that count, sorted: the place of the unit, and in the last `bits` the row.
    units, meanings, definition, zone
        Who and what is meant, and where local days lie.
    """
    count = len(units.signed_up)
    never, none = np.full(count, NEVER), np.zeros(count, np.uint32)
    found = Found(
        never, never.copy(), never.copy(), never.copy(), none, none.copy(),
        np.zeros((count, definition.first_days), np.uint32),
        Columns("i4 u2 i8 i8", len(order)),
        Columns("i4 u4 i8 u4 u4", len(order)),
        Columns("i4 u2 i4 i8 i8 u4", len(order)),
    )  # fmt: skip
    low, high = (int(coded.at.min()), int(coded.at.max())) if len(coded.at) else (0, 0)
    high += microseconds_of(
        definition.clock_tolerance
    )  # so much later, at the sign-up, may an event count
    frame = _Frame(low, (high - low).bit_length(), len(meanings.events).bit_length(), zone)
    for start, stop in _cuts(order, bits):
        block = _block(coded, order[start:stop], bits, frame, units)
        _seen(block, frame, units, meanings, found)
        _sides(block, frame, meanings, found)
        _early(block, frame, units, meanings, found)
        _days(block, frame, meanings, found)
    return found


def _cuts(order: Numbers, bits: int) -> Iterator[tuple[int, int]]:
    """Cut the sorted events between units."""
    start = 0
    while start < len(order):
        stop = min(start + ROWS, len(order))
        if stop < len(order):
            unit = order[stop] >> bits
            begun = int(np.searchsorted(order, unit << bits))
            stop = begun if begun > start else int(np.searchsorted(order, (unit + 1) << bits))
        yield start, stop
        start = stop


def _block(coded: Coded, order: Numbers, bits: int, frame: _Frame, units: Units) -> _Block:
    row, unit = order & ((1 << bits) - 1), order >> bits
    at = np.maximum(coded.at[row], units.signed_up[unit]) - frame.low
    kind = coded.kinds[row]
    first = _changes(unit)
    places, unit = unit[first], np.cumsum(first) - 1
    if ((at[1:] < at[:-1]) & ~first[1:]).any():
        unit, at, kind = _sorted((unit, len(places).bit_length()), (at, frame.at), (kind, frame.kind))  # fmt: skip
    return _Block(unit, at, kind, first, places, _local_days(at, frame))


def _local_days(at: Numbers, frame: _Frame) -> Numbers:
    if frame.zone == "UTC":
        since: Numbers = (at + frame.low % DAY_US) // DAY_US + frame.low // DAY_US
        return since
    instants = pl.Series("at", at + frame.low).cast(AT).to_frame()
    day = instants.select(local_day(pl.col("at"), frame.zone).to_physical()).to_series()
    return day.to_numpy().astype(np.int64)


def _changes(*columns: Numbers) -> Numbers:
    """Tell at which rows any of these columns differs from the row before; the first row is one."""
    new = np.ones(len(columns[0]), np.bool_)
    if len(new):
        np.not_equal(columns[0][1:], columns[0][:-1], out=new[1:])
        for column in columns[1:]:
            new[1:] |= column[1:] != column[:-1]
    return new


def _sorted(*columns: tuple[Numbers, int]) -> list[Numbers]:
    """Sort rows by columns of so many bits each: packed into one number, where they fit."""
    if sum(bits for _, bits in columns) > WIDTH:
        order = np.lexsort([column for column, _ in reversed(columns)])
        return [column[order] for column, _ in columns]
    packed = columns[0][0].astype(np.int64)
    for column, bits in columns[1:]:
        packed <<= bits
        packed |= column
    packed.sort()
    found: list[Numbers] = []
    for _, bits in reversed(columns[1:]):
        found.append(packed & ((1 << bits) - 1))
        packed >>= bits
    return [packed, *reversed(found)]


def _ends(starts: Numbers, count: int) -> Numbers:
    """Give the last row of each stretch that starts at one of these."""
    return np.append(starts[1:], count)[: len(starts)] - 1


def _seen(block: _Block, frame: _Frame, units: Units, meanings: Meanings, found: Found) -> None:
    """When each was first active and last seen, on how many days, and when activated where that takes several events."""
    starts = np.flatnonzero(block.first)
    found.last_seen[block.places] = block.at[_ends(starts, len(block.at))] + frame.low
    day, unit = block.day, block.unit
    if ((day[1:] < day[:-1]) & ~block.first[1:]).any():
        unit, day = _sorted((unit, 32), (day - day.min(), 31))
    new = _changes(unit, day)
    found.active_days[block.places] = np.add.reduceat(new, starts, dtype=np.int64)
    if meanings.signup is None:  # the first event, unless the users table knows better
        opening = block.at + frame.low == units.signed_up[block.places][block.unit]
        aside = opening & ~units.given[block.places][block.unit]
        aside |= meanings.outreach[block.kind]
    else:
        aside = (meanings.signup | meanings.outreach)[block.kind]
    _put_first(found.first_action, block, frame, np.flatnonzero(~aside))
    if meanings.goals:
        found.activated[block.places] = _reached(block, frame, meanings)


def _put_first(column: Numbers, block: _Block, frame: _Frame, rows: Numbers) -> None:
    unit = block.unit[rows]
    new = _changes(unit)
    column[block.places[unit[new]]] = block.at[rows[new]] + frame.low


def _reached(block: _Block, frame: _Frame, meanings: Meanings) -> Numbers:
    """Find the first instant at which any alternative of an activation of several events is complete."""
    never = np.int64(2**62)
    earliest = np.full(len(block.places), never)
    for parts in meanings.goals:
        complete = np.full(len(block.places), -never)
        for meant, times in parts:
            rows = np.flatnonzero(meant[block.kind])
            starts = np.flatnonzero(_changes(block.unit[rows]))
            enough = starts[_ends(starts, len(rows)) - starts + 1 >= times] + times - 1
            reached = np.full(len(block.places), never)
            reached[block.unit[rows[enough]]] = block.at[rows[enough]]
            complete = np.maximum(complete, reached)
        earliest = np.minimum(earliest, complete)
    return np.where(earliest == never, NEVER, earliest + frame.low)


def _grouped(block: _Block, rows: Numbers, *tags: Numbers) -> tuple[Numbers, ...]:
    """Group events by unit and tags: each row of a group's first and last event, their number, and the rows in order.

    A block's rows are sorted by unit and time already, so a row's number stands for both.
    """
    widths = [int(tag.max(initial=0)).bit_length() for tag in tags]
    columns = [(block.unit[rows], len(block.places).bit_length()), *zip(tags, widths, strict=True)]
    unit, *tags_, row = _sorted(*columns, (rows, len(block.at).bit_length()))
    starts = np.flatnonzero(_changes(unit, *tags_))
    ends = _ends(starts, len(row))
    return row[starts], row[ends], ends - starts + 1, row, starts, *[tag[starts] for tag in tags_]


def _sides(block: _Block, frame: _Frame, meanings: Meanings, found: Found) -> None:
    """When each unit was first and last on each side of a step; side 0 is activation."""
    first, last, _, _, _, side = _grouped(block, *meanings.sides.borne_by(block.kind))
    place, first_at = block.places[block.unit[first]], block.at[first] + frame.low
    if not meanings.goals:
        found.activated[place[side == 0]] = first_at[side == 0]
    found.sides.add(place, side, first_at, block.at[last] + frame.low)


def _early(block: _Block, frame: _Frame, units: Units, meanings: Meanings, found: Found) -> None:
    """Say what each did within the first days: by event, and how often on each own day, what is received left out."""
    first_days = found.early_events.shape[1]
    own = (block.at - (units.signed_up[block.places] - frame.low)[block.unit]) // DAY_US
    rows = np.flatnonzero(own < first_days)
    did = rows[~meanings.outreach[block.kind[rows]]]
    cells = np.bincount(block.unit[did] * first_days + own[did], minlength=len(block.places) * first_days)  # fmt: skip
    found.early_events[block.places] = cells.reshape(-1, first_days)
    first, _, times, row, starts, event = _grouped(block, rows, meanings.events[block.kind[rows]])
    days = np.left_shift(np.uint32(1), own[row].astype(np.uint32))
    days = np.bitwise_or.reduceat(days, starts) if len(starts) else days
    place = block.places[block.unit[first]]
    found.early.add(place, event, block.at[first] + frame.low, times, days)


def _days(block: _Block, frame: _Frame, meanings: Meanings, found: Found) -> None:
    """On which days each was active in which role, and the last and the number of the core days."""
    rows, role = meanings.roles.borne_by(block.kind)
    low = int(block.day.min())
    first, last, times, _, _, role, day = _grouped(block, rows, role, block.day[rows] - low)
    unit, last_at = block.unit[first], block.at[last] + frame.low
    core = unit[is_core := role == meanings.roles.names.index("core")]
    found.core_days[block.places] = np.bincount(core, minlength=len(block.places))
    np.maximum.at(found.last_core, block.places[core], last_at[is_core])
    place, first_at = block.places[unit], block.at[first] + frame.low
    found.days.add(place, role, day + low, first_at, last_at, times)
