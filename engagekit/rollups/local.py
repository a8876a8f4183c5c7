"""Rolling up a log that polars reads, here: in one go, in parts, or bucket by bucket."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit._base import ticking
from engagekit.definition import microseconds_of
from engagekit.errors import EngagekitWarning
from engagekit.ingest import Occurrences, forms_of, missing_events, normal_form, outskirts, respelt
from engagekit.instants import Instant, beside_log
from engagekit.log import APART, as_lazy, by_day, open_log, unused
from engagekit.matchers import matches
from engagekit.rollups import coded_log
from engagekit.rollups.assignment import assignments, check_people, with_arms
from engagekit.rollups.block_reduction import Units, reduced
from engagekit.rollups.findings import Overlap, of_null_ids, of_overlap
from engagekit.rollups.meanings import meanings_of
from engagekit.rollups.owned_events import Collision, owned
from engagekit.rollups.population import (
    LACKING,
    NO_ACCOUNT,
    NO_SIGNUP,
    TOO_SOON,
    Extent,
    Opened,
    Part,
    check_conditions,
    columns_of_users,
    extent_of,
    members,
    people_of,
    with_properties,
    zone_of,
)
from engagekit.rollups.prepared_log import is_prepared, open_prepared
from engagekit.rollups.unpacking import unpacked
from engagekit.rollups.user_properties import first_values, own_properties, with_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from engagekit._base import Progress
    from engagekit.definition import Definition
    from engagekit.ingest import Outskirts
    from engagekit.log import Frame
    from engagekit.matchers import Match
    from engagekit.rollups.block_reduction import Found
    from engagekit.rollups.coded_log import Coded
    from engagekit.rollups.id_lookup import Keys, Numbers
    from engagekit.rollups.meanings import Meanings
    from engagekit.rollups.population import Members
    from engagekit.rollups.prepared_log import Prepared

WHAT = "Rolling up"
UNPREPARED = (
    "The log has {:,} events, so it is read several times. To read it once, in little memory, prepare it: "
    "ek.prepare_events(source, folder), then ek.rollup(folder, definition)."
)
SOME = 50_000  # users whose ids are compared where there are more
LARGE = 20_000_000  # events that are reduced in one go; more are taken in several parts
PART = 10_000_000


@dataclass(frozen=True)
class _Task:
    """A log to reduce, or a part of it, and what must be known of the whole."""

    log: pl.LazyFrame
    people: pl.DataFrame | None
    definition: Definition
    unit: str
    extent: Extent
    rows: int
    own: list[str]  # properties to take from events
    coded: list[Coded] = field(default_factory=list)  # the log, where it has been read already
    buckets: tuple[list[Path], ...] = ()
    spelling: Mapping[str, str] = field(
        default_factory=dict
    )  # names of events that are written otherwise


@dataclass(frozen=True)
class _Look:
    """What a first look at a log shows, or its manifest knows."""

    rows: int
    counts: pl.DataFrame  # events by day
    names: list[str]
    coded: Coded | None = None  # all of it, if it is not too large for that


def opened(
    events: Any,
    definition: Definition,
    users: Frame | None,
    unit: str,
    as_of: Instant | None,
    progress: Progress,
    missing: str,
) -> Opened:
    """Check everything, and take what must be known beforehand in one pass over the log."""
    prepared = open_prepared(events) if is_prepared(events) else None
    raw = as_lazy(events) if prepared is None else prepared.log
    own = own_properties(definition, columns_of_users(users))
    log, dates_only = _columns(raw, definition, own)
    check_conditions(log.collect_schema(), definition, own)
    zone = zone_of(definition, dates_only=dates_only)
    end = None
    if as_of is not None:
        end = beside_log(as_of, timezone=definition.timezone, dates_only=dates_only)
    people = people_of(
        users, log.collect_schema()["user_id"], definition, unit, dates_only=dates_only
    )
    if people is not None:
        check_people(people.columns, definition)
    look = _look(raw, log, definition) if prepared is None else _known(prepared)
    coded = look.coded
    spelling = respelt(look.names, definition.event_names()) if coded is None else coded.spelling
    log = _respelt(log, spelling)
    names = sorted({spelling.get(name, name) for name in look.names})
    occurs = _occurrences(log, names, coded)
    remarks = missing_events(definition, occurs, allow=missing == "allow")
    if people is not None and users is not None:
        remarks += of_overlap(_overlap(log, people), people, unit)
    if coded is not None:
        ask = coded_log.outskirts_of(coded)
    else:
        ask = outskirts(log) if prepared is None else _outskirts_of(prepared, log)
    extent = extent_of(look.counts, end, ask, dates_only=dates_only, zone=zone)
    task = _Task(
        log,
        people,
        definition,
        unit,
        extent,
        look.rows,
        own,
        [] if coded is None else [coded],
        () if prepared is None else tuple(prepared.buckets),
        spelling,
    )
    lacking = Counter({(LACKING, "events"): look.rows - int(look.counts["len"].sum())})
    if lacking.total():
        counts = _without_user(raw, definition) if prepared is None else _lost(prepared, definition)
        remarks += of_null_ids(*counts)
    parts = map(_reduced, _parts(task, progress))
    return Opened(extent, lacking + extent.stray, parts, look.counts, people, remarks)


def _look(raw: pl.LazyFrame, log: pl.LazyFrame, definition: Definition) -> _Look:
    """Take a first look at a log: read it whole, if it is not too large for that."""
    rows = raw.select(pl.len()).collect().item()
    if rows <= LARGE:
        coded = coded_log.read(log, definition, rows)
        return _Look(rows, coded_log.days_of(coded), coded.names, coded)
    asked = [by_day(log), log.select(pl.col("event").unique())]
    counts, named = pl.collect_all(asked, engine="streaming", optimizations=APART)
    return _Look(rows, counts, named["event"].cast(pl.String).to_list())


def _known(prepared: Prepared) -> _Look:
    return _Look(prepared.rows, prepared.days, prepared.names)


def _occurrences(log: pl.LazyFrame, names: list[str], coded: Coded | None) -> Occurrences:
    def any_of(match: Match) -> bool:
        if coded is not None:
            return coded.occurs(match)
        return (
            log.filter(matches(match, any_part=True)).head(1).collect(engine="streaming").height > 0
        )

    def values(event: str, column: str) -> list[object]:
        found = log.filter(pl.col("event") == event).select(pl.col(column).unique())
        return found.collect(engine="streaming")[column].to_list()

    return Occurrences(names, any_of, values)


def _respelt(log: pl.LazyFrame, spelling: Mapping[str, str]) -> pl.LazyFrame:
    return (
        log.with_columns(pl.col("event").cast(pl.String).replace(dict(spelling)))
        if spelling
        else log
    )


def _outskirts_of(prepared: Prepared, log: pl.LazyFrame) -> Outskirts:
    """Ask a prepared log who was there; that many were, the first buckets mostly show."""
    whole = outskirts(log)

    def crowded(since: date, until: date) -> bool:
        some = (
            outskirts(open_log(pl.scan_parquet(bucket, glob=False))[0])
            for bucket in prepared.buckets
        )
        return any(bucket.crowded(since, until) for bucket in some) or whole.crowded(since, until)

    return replace(whole, crowded=crowded)


def _overlap(log: pl.LazyFrame, people: pl.DataFrame) -> Overlap:
    """Compare the ids of the log and of the users table; of many users, some that their hash picks."""
    people = people.unique("user_id")  # who is in several accounts has several rows
    times = math.ceil(people.height / SOME)
    some = pl.col("user_id").hash() % times == 0
    seen = log.filter(some).select(pl.col("user_id").unique()).collect(engine="streaming")
    told = people.filter(some).select("user_id")
    return Overlap(
        table=people.height,
        idle=told.join(seen, on="user_id", how="anti").height * times,
        log=seen.height * times,
        untold=seen.join(told, on="user_id", how="anti").height * times,
    )


def _without_user(raw: pl.LazyFrame, definition: Definition) -> tuple[int, int]:
    """Count the events of the definition, and those of them that nobody is named for."""
    if not raw.select(pl.col("user_id").null_count()).collect(engine="streaming").item():
        return 0, 0
    meant = [matches(matcher, any_part=True) for matcher in definition.matchers().values()]
    told = raw.with_columns(pl.col("event").cast(pl.String)).filter(pl.any_horizontal(*meant))
    counts = told.select(pl.col("user_id").null_count(), n=pl.len()).collect(engine="streaming")
    nobody, every = counts.row(0)
    return int(nobody), int(every)


def _lost(prepared: Prepared, definition: Definition) -> tuple[int, int]:
    """Say the same of a prepared log, which knows it by the names of events alone."""
    named = {normal_form(name) for name in definition.event_names()}
    nobody, known = (
        sum(times for name, times in each.items() if normal_form(name) in named)
        for each in (prepared.nobody, prepared.times)
    )
    return nobody, nobody + known


def _columns(
    raw: pl.LazyFrame, definition: Definition, own: Sequence[str]
) -> tuple[pl.LazyFrame, bool]:
    needs = [*definition.property_names(), *own]
    log, dates_only = open_log(raw, needs=needs)
    log = log.select(*dict.fromkeys(["user_id", "event", "at", *needs]))
    return log.with_columns(_as_names("user_id", log), _as_names("event", log)), dates_only


def _parts(task: _Task, progress: Progress) -> Iterator[_Task]:
    """Cut a large log by users, so that memory holds each part."""
    if task.buckets and task.unit == "user":
        where = None if task.people is None else _buckets_of(task)
        for number in ticking(range(len(task.buckets)), progress=progress, what=WHAT):
            raw = pl.scan_parquet(task.buckets[number], glob=False)
            log, _ = _columns(raw, task.definition, task.own)
            log, rows = _respelt(log, task.spelling), raw.select(pl.len()).collect().item()
            yield replace(task, log=log, rows=rows, people=None if where is None else where[number])
    elif task.rows <= LARGE:
        yield task
    else:
        if not task.buckets:
            warnings.warn(UNPREPARED.format(task.rows), EngagekitWarning, stacklevel=4)
        count = math.ceil(task.rows / PART)
        for number in ticking(range(count), progress=progress, what=WHAT):
            yield _part(task, number, count)


def _buckets_of(task: _Task) -> list[pl.DataFrame] | None:
    """Cut the users table as the buckets are; those without events go with the first."""
    if task.people is None:
        return None
    bucket = unused("bucket", task.people.columns)
    found = [
        pl.scan_parquet(path, glob=False).select(
            pl.col("user_id").unique(), pl.lit(number).alias(bucket)
        )
        for number, path in enumerate(task.buckets)
    ]
    where = pl.concat(found).with_columns(pl.col("user_id").cast(task.people.schema["user_id"]))
    people = task.people.lazy().join(where, on="user_id", how="left")
    cut = people.with_columns(pl.col(bucket).fill_null(0)).collect(engine="streaming")
    return [cut.filter(pl.col(bucket) == n).drop(bucket) for n in range(len(task.buckets))]


def _part(task: _Task, number: int, count: int) -> _Task:
    people = task.people
    if task.unit == "user" or people is None:
        mine = pl.col("user_id").hash() % count == number
        log = task.log.filter(mine)
    else:  # members of an account must stay together
        mine = pl.col("account_id").hash() % count == number
        users = people.lazy().filter(mine).select("user_id").unique()
        log = task.log.join(users, on="user_id", how="semi")
        if number == 0:  # and who is in none
            log = pl.concat([log, task.log.join(people.lazy(), on="user_id", how="anti")])
    people = None if people is None else people.filter(mine)
    here = log.collect(engine="streaming")
    return replace(task, log=here.lazy(), rows=here.height, people=people)


@dataclass(frozen=True)
class _Swept:
    """What came of going through a log's events; they themselves need no longer be held."""

    who: Members
    found: Found
    meanings: Meanings
    left_out: Counter[tuple[str, str]]
    late: Numbers  # units that did what is telling before their sign-up
    strangers: pl.DataFrame
    unannounced: tuple[int, int]


def part_of(
    log: pl.DataFrame,
    definition: Definition,
    extent: Extent,
    own: list[str],
    spelling: Mapping[str, str],
) -> Part:
    """Reduce all events of some users, of a log of which the extent and the spelling of names are known."""
    whole, _ = _columns(log.lazy(), definition, own)
    task = _Task(_respelt(whole, spelling), None, definition, "user", extent, log.height, own)
    return _reduced(task)


def _reduced(task: _Task) -> Part:
    swept = _swept(task)
    owners = swept.who.owners
    base = swept.who.base
    tables, days = unpacked(base, swept.found, task.definition, swept.meanings)
    tables["users"] = _with_columns(task, tables["users"], owners)
    late = tables["users"]["activated_at"].gather(swept.late).null_count()
    ids = [owners.select("user_id").unique(), swept.strangers]
    forms = forms_of(pl.concat(ids, how="vertical_relaxed"))
    alike = tables["users"]["user_id"].equals(base["user_id"])  # whom the arrays are numbered by
    return Part(
        tables, swept.left_out, late, forms, swept.unannounced, days if alike else None
    )  # fmt: skip


def _swept(task: _Task) -> _Swept:
    def read(keys: Keys | None = None) -> Coded:
        return coded_log.read(task.log, task.definition, task.rows, keys=keys, spelling={})

    coded = task.coded.pop() if task.coded else read()
    try:
        return _gone_through(task, coded)
    except Collision:
        # Two texts have one hash of 64 bits: they are told apart by a list of all, which costs more.
        return _gone_through(task, read(coded.keys.exact()))


def _gone_through(task: _Task, coded: Coded) -> _Swept:
    definition, extent = task.definition, task.extent
    within = coded_log.inside(coded, extent)
    signups = _signups(task, coded, within)
    who = members(signups, task.people, definition, extent, unit=task.unit)
    meanings = meanings_of(definition, coded)
    signed_up = who.base["signed_up_at"].to_physical().to_numpy()
    since = signed_up - microseconds_of(definition.clock_tolerance)
    mine = owned(coded, who.owners, since, meanings.telling, within)
    strangers = _strangers(task, coded, mine.strangers)
    left_out = who.left_out.copy()
    left_out[TOO_SOON, "events"] += mine.too_soon
    left_out[NO_SIGNUP if task.unit == "user" else NO_ACCOUNT, "users"] += strangers.height
    units = Units(signed_up, who.base["given"].to_numpy())
    found = reduced(coded, mine.order, mine.bits, units, meanings, definition, extent.zone)
    new = _unannounced(task, coded, within, mine.strangers, who.nameless)
    return _Swept(who, found, meanings, left_out, mine.late, strangers, new)


def _unannounced(
    task: _Task,
    coded: Coded,
    within: Numbers | None,
    strangers: Numbers,
    nameless: pl.DataFrame,
) -> tuple[int, int]:
    """Count the users without a sign-up by when they were first seen; see `Part`."""
    if task.unit == "account" or not (len(strangers) or nameless.height):
        return 0, 0
    known = nameless.select(key=coded.keys.key()).to_series().to_numpy()
    keys = np.concatenate([strangers, known])
    later, last = coded_log.first_seen(coded, keys, within, task.extent.quarters)
    return later - last, last


def _signups(task: _Task, coded: Coded, within: Numbers | None) -> pl.DataFrame:
    """Find the first sign-up event of each user who has one: ``user_id, event_at``."""
    signup, event_at = task.definition.signup, pl.col("at").min().alias("event_at")
    if coded.whole:  # ids are in memory as they are
        return coded_log.events_of(coded, signup, within).group_by("user_id").agg(event_at)
    ups = task.log if signup is None else task.log.filter(matches(signup))
    ups = ups.filter(task.extent.holds)
    return ups.group_by("user_id").agg(event_at).collect(engine="streaming")


def _strangers(task: _Task, coded: Coded, keys: Numbers) -> pl.DataFrame:
    """List the users of these keys."""
    if coded.whole or not len(keys):
        return coded_log.ids_from(coded, keys)
    wanted = pl.LazyFrame({"key": keys})
    log = task.log.filter(task.extent.holds).select("user_id", coded.keys.key().alias("key"))
    found = log.join(wanted, on="key", how="semi").select(pl.col("user_id").unique())
    return found.collect(engine="streaming")


def _with_columns(task: _Task, users: pl.DataFrame, owners: pl.DataFrame) -> pl.DataFrame:
    """Put what is told of users beside what they did: their arm of a test, and their properties."""
    if (test := task.definition.experiment) is not None:
        asked = assignments(task.log, owners, test, where=task.extent.holds)
        arms = asked.collect(engine="streaming")
        users = with_arms(users.with_row_index("u"), arms, on="u").drop("u")
    users = with_properties(users, task.people, unit=task.unit)
    if task.own:
        values = first_values(task.log, owners, task.own, task.extent.end, task.definition)
        users = with_values(users, values, task.own)
    return users


def _as_names(column: str, log: pl.LazyFrame) -> pl.Expr:
    """Take numbers and enums as they are, categories as text."""
    kind = log.collect_schema()[column]
    keep = kind.is_integer() or (column == "event" and isinstance(kind, pl.Enum))
    return pl.col(column) if keep else pl.col(column).cast(pl.String)
