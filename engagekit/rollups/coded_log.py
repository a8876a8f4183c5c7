"""A log as columns of small whole numbers, read once; whatever else must be known of it is worked out from these.

The kind of an event is its name and which conditions of the definition it meets, so a look-up in a short list says all
that an event means.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engagekit.ingest import FEW_USERS, Outskirts, respelt
from engagekit.instants import AT
from engagekit.log import by_day
from engagekit.matchers import as_matches, holds
from engagekit.rollups.id_lookup import SLICE, Columns, Keys, slices, text_list, texts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from engagekit.definition import Definition
    from engagekit.matchers import Goal, Match
    from engagekit.rollups.id_lookup import Numbers
    from engagekit.rollups.population import Extent

DAY_US = 86_400_000_000
WORD = 32  # conditions in one column, a bit for each
TABLE = 1 << 22  # codes up to so many are listed in a table


@dataclass(frozen=True)
class Coded:
    """A log's events, one place in each column: whose, of which kind, when.

    `ids` and `check` are what `Keys` makes of ``user_id``, `kinds` places in `events` (the place in `names` of each
    kind's name) and in the columns of `flags` (whether each of `wheres` holds), `at` microseconds since 1970.
    """

    keys: Keys
    ids: Numbers
    check: Numbers | None
    kinds: Numbers
    at: Numbers
    names: list[str]  # sorted
    events: Numbers
    wheres: tuple[Match, ...]
    flags: Numbers
    spelling: Mapping[str, str]  # names that are written otherwise in the log

    @property
    def whole(self) -> bool:
        """Whether ids go by themselves."""
        return not self.keys.hashed and self.keys.listed is None

    @cached_property
    def place(self) -> dict[str, int]:
        """The place of each name."""
        return {name: place for place, name in enumerate(self.names)}

    def hits(self, matcher: Goal) -> Numbers:
        """Tell of each kind whether it is meant."""
        found = np.zeros(len(self.events), np.bool_)
        for match in as_matches(matcher):
            if match.event in self.place:
                mine = self.events == self.place[match.event]
                found |= mine & self.flags[self.wheres.index(match)] if match.where else mine
        return found

    def occurs(self, match: Match) -> bool:
        """Tell whether an event is in the log."""
        return bool(self.hits(match).any())


def read(
    log: pl.LazyFrame,
    definition: Definition,
    most: int,
    *,
    keys: Keys | None = None,
    spelling: Mapping[str, str] | None = None,
) -> Coded:
    """Read a log of at most so many events once, batch by batch; `keys` and `spelling` where they are known already."""
    schema = log.collect_schema()
    keys = Keys(schema["user_id"]) if keys is None else keys
    conditional = [m for each in definition.matchers().values() for m in as_matches(each)]
    wheres = tuple(dict.fromkeys(match for match in conditional if match.where))
    kind, listed = schema["event"], text_list()
    event = pl.col("event") if isinstance(kind, pl.Enum) else pl.col("event").cast(listed.dtype)  # fmt: skip
    words = [_word(wheres[n : n + WORD]) for n in range(0, len(wheres), WORD)]
    columns = [keys.key(), pl.col("at").to_physical(), event.to_physical().cast(pl.UInt32), *words]
    columns += [keys.check()] if keys.hashed else []
    ids, at, codes, *more = _gathered(log, columns, "i8 i8" + " u4" * (len(columns) - 2), most)
    texts = kind.categories if isinstance(kind, pl.Enum) else texts_of(listed)
    used = _used(codes, len(texts))
    given = [texts[int(code)] for code in used]
    if spelling is None:
        spelling = respelt(given, definition.event_names())
    names = sorted({spelling.get(name, name) for name in given})
    place = {name: number for number, name in enumerate(names)}
    table = np.zeros(len(texts) + 1, _smallest(len(names)))
    table[used] = [place[spelling.get(name, name)] for name in given]
    kinds, events, flags = _kinds(_looked_up(table, codes), more[: len(words)], wheres, place)
    check = more[-1] if keys.hashed else None
    return Coded(keys, ids, check, kinds, at, names, events, wheres, flags, spelling)


def _word(wheres: Sequence[Match]) -> pl.Expr:
    bits = [holds(match).cast(pl.UInt32) * pl.lit(1 << n, pl.UInt32) for n, match in enumerate(wheres)]  # fmt: skip
    return reduce(or_, bits).cast(pl.UInt32)


def _gathered(log: pl.LazyFrame, columns: list[pl.Expr], kinds: str, most: int) -> list[Numbers]:
    """Collect columns of numbers, of which nothing lies in memory twice."""
    found = Columns(kinds, most)
    numbered = [column.alias(str(number)) for number, column in enumerate(columns)]
    for batch in log.select(numbered).collect_batches(engine="streaming"):
        found.add(*[column.to_numpy() for column in batch])
    return found.taken()


def _used(codes: Numbers, count: int) -> Numbers:
    """List the codes that occur."""
    there = np.zeros(count, np.bool_)
    for start, stop in slices(len(codes), SLICE):
        there[codes[start:stop]] = True
    return np.flatnonzero(there)


def _looked_up(table: Numbers, codes: Numbers) -> Numbers:
    found = np.empty(len(codes), table.dtype)
    for start, stop in slices(len(codes), SLICE):
        found[start:stop] = table[codes[start:stop]]
    return found


def _kinds(
    codes: Numbers, words: list[Numbers], wheres: Sequence[Match], place: Mapping[str, int]
) -> tuple[Numbers, Numbers, Numbers]:
    """Give the kinds of events that there are numbers: the kind of each event, and of each kind its name and conditions."""
    events, kinds = np.arange(len(place)), codes
    told: list[Numbers] = []
    for number, word in enumerate(words):
        mine = wheres[number * WORD : (number + 1) * WORD]
        asked = np.zeros(
            max(1, len(place)), np.uint32
        )  # what an event of a name is asked for at all
        for bit, match in enumerate(mine):
            if match.event in place:
                asked[place[match.event]] |= np.uint32(1 << bit)
        bits = np.int64(len(mine))
        packed = kinds.astype(np.int64) << bits | (word & asked[codes])
        values, kinds = _dense(packed, len(events) << int(bits))
        before = values >> bits
        events, told = events[before], [each[before] for each in told]
        told += [(values >> bit & 1).astype(np.bool_) for bit in range(len(mine))]
    flags = np.array(told, np.bool_).reshape(len(wheres), len(events))
    return kinds.astype(_smallest(len(events)), copy=False), events, flags


def _dense(codes: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Close the gaps among whole numbers: give those there are, and the place of each among them."""
    if size > TABLE:
        values, places = np.unique(codes, return_inverse=True)
        return values, places
    there = np.zeros(max(1, size), np.bool_)
    there[codes] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]


def _smallest(count: int) -> type[np.unsignedinteger]:
    return np.uint8 if count < 1 << 8 else np.uint16 if count < 1 << 16 else np.uint32


def days_of(coded: Coded) -> pl.DataFrame:
    """Count the events by UTC day, as `engagekit.log.daily` does: ``day, len, first, last``."""
    if not len(coded.at):
        nothing = pl.LazyFrame(schema={"at": AT})
        return by_day(nothing).collect()
    low = int(coded.at.min()) // DAY_US
    span = int(coded.at.max()) // DAY_US - low + 1
    counts, first, last = np.zeros(span, np.int64), np.full(span, 2**62), np.full(span, -(2**62))
    for start, stop in slices(len(coded.at), SLICE):
        at = coded.at[start:stop]
        day = at // DAY_US - low
        counts += np.bincount(day, minlength=span)
        np.minimum.at(first, day, at)
        np.maximum.at(last, day, at)
    there = np.flatnonzero(counts)
    return pl.DataFrame({
        "day": pl.Series(there + low).cast(pl.Int32).cast(pl.Date), "len": counts[there],
        "first": pl.Series(first[there]).cast(AT), "last": pl.Series(last[there]).cast(AT),
    })  # fmt: skip


def outskirts_of(coded: Coded) -> Outskirts:
    """Ask a coded log who was there on its outermost days."""

    def on(since: date, until: date) -> Numbers:
        first, last = (day.toordinal() - 719_163 for day in (since, until))
        return np.flatnonzero((coded.at >= first * DAY_US) & (coded.at < (last + 1) * DAY_US))

    def whose(rows: Numbers | slice) -> Numbers:
        ids = coded.ids[rows]  # where two texts may have one hash, the second one tells them apart
        return ids if coded.check is None else ids ^ (coded.check[rows].astype(np.int64) << 32)

    def seen(since: date, until: date) -> pl.DataFrame:
        rows = on(since, until)
        day = pl.Series(coded.at[rows] // DAY_US).cast(pl.Int32).cast(pl.Date)
        return pl.DataFrame({"day": day, "user_id": whose(rows)}).unique()

    def crowded(since: date, until: date) -> bool:
        return len(np.unique(whose(on(since, until)))) > FEW_USERS

    def users() -> int:
        return int(pl.Series(whose(slice(None))).n_unique())

    return Outskirts(seen, crowded, users)


def inside(coded: Coded, extent: Extent) -> Numbers | None:
    """Tell which events lie in a log's body; None where all do."""
    at, end = coded.at, _micros(extent.end)
    start = None if extent.edges.before is None else _micros(extent.start)
    if not len(at) or (int(at.max()) < end and (start is None or int(at.min()) >= start)):
        return None
    return at < end if start is None else (at < end) & (at >= start)


def _micros(moment: datetime) -> int:
    found: int = pl.select(pl.lit(moment, AT).to_physical()).item()
    return found


def first_seen(
    coded: Coded, keys: Numbers, within: Numbers | None, since: tuple[datetime, ...]
) -> list[int]:
    """Count the users of these keys whose first event of the log's body lies at or after some instants."""
    rows = pl.LazyFrame({"key": coded.ids, "at": coded.at})
    rows = rows if within is None else rows.filter(pl.Series(within))
    mine = rows.join(pl.LazyFrame({"key": keys}), on="key", how="semi")
    at = mine.group_by("key").agg(pl.col("at").min()).collect()["at"]
    return [int((at >= _micros(moment)).sum()) for moment in since]


def ids_from(coded: Coded, keys: Numbers) -> pl.DataFrame:
    """Write keys that are ids as the log has them."""
    kind, numbers = coded.keys.kind, pl.Series("user_id", keys)
    signed = numbers.reinterpret(signed=False) if kind == pl.UInt64 else numbers
    return signed.cast(kind).to_frame()


def events_of(coded: Coded, matcher: Goal | None, within: Numbers | None) -> pl.DataFrame:
    """Take the events of the log's body that are meant, or all: ``user_id, at``."""
    ids, at = coded.ids, coded.at
    mine = None if matcher is None else coded.hits(matcher)[coded.kinds]
    rows = within if mine is None else mine if within is None else mine & within
    if rows is not None:
        ids, at = ids[rows], at[rows]
    return ids_from(coded, ids).with_columns(pl.Series("at", at).cast(AT))
