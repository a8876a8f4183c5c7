"""Rolling up a log that polars reads, here: in one go, in parts, or bucket by bucket."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import ticking
from engagekit.errors import EngagekitWarning
from engagekit.ingest import Occurrences, forms_of, missing_events, normal_form, outskirts, respelt
from engagekit.instants import Instant, beside_log
from engagekit.log import APART, as_lazy, open_log, unused
from engagekit.matchers import matches
from engagekit.rollups.assignment import assignments, check_people, with_arms
from engagekit.rollups.findings import Overlap, of_null_ids, of_overlap
from engagekit.rollups.polars_reduction import codes_of, first_look, first_signups, reduced
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
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from engagekit._base import Progress
    from engagekit.definition import Definition
    from engagekit.ingest import Outskirts
    from engagekit.log import Frame
    from engagekit.matchers import Match
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
    names: list[str]
    rows: int
    own: list[str]  # properties to take from events
    signups: pl.DataFrame | None = None  # first sign-up events, where they are known already
    buckets: tuple[list[Path], ...] = ()
    spelling: dict[str, str] = field(
        default_factory=dict
    )  # names of events that are written otherwise


@dataclass(frozen=True)
class _Look:
    """What a first look at a log shows, or its manifest knows."""

    rows: int
    counts: pl.DataFrame  # events by day
    names: list[str]
    signups: pl.DataFrame | None = None


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
    look = _look(raw, log, definition, end) if prepared is None else _known(prepared)
    spelling = respelt(look.names, definition.event_names())
    if spelling:
        look = replace(look, names=sorted({spelling.get(n, n) for n in look.names}), signups=None)
        log = _respelt(log, spelling)
    remarks = missing_events(definition, _occurrences(log, look.names), allow=missing == "allow")
    if people is not None and users is not None:
        remarks += of_overlap(_overlap(log, people), people, unit)
    ask = outskirts(log) if prepared is None else _outskirts_of(prepared, log)
    extent = extent_of(look.counts, end, ask, dates_only=dates_only, zone=zone)
    task = _Task(
        log,
        people,
        definition,
        unit,
        extent,
        look.names,
        look.rows,
        own,
        None if extent.stray else look.signups,  # they may be among the stray ones
        () if prepared is None else tuple(prepared.buckets),
        spelling,
    )
    lacking = Counter({(LACKING, "events"): look.rows - int(look.counts["len"].sum())})
    if lacking:
        counts = _without_user(raw, definition) if prepared is None else _lost(prepared, definition)
        remarks += of_null_ids(*counts)
    parts = map(_reduced, _parts(task, progress))
    return Opened(extent, lacking + extent.stray, parts, look.counts, people, remarks)


def _look(
    raw: pl.LazyFrame, log: pl.LazyFrame, definition: Definition, end: datetime | None
) -> _Look:
    """Take a first look at a log: one pass, if it is not too large for that."""
    rows = raw.select(pl.len()).collect().item()
    asked = first_look(log)
    if rows <= LARGE:
        where = None if end is None else pl.col("at") < end
        asked.append(first_signups(log, definition, where=where))
    at_once = pl.QueryOptFlags() if rows <= LARGE else APART
    counts, named, *more = pl.collect_all(asked, engine="streaming", optimizations=at_once)
    names = named["event"].cast(pl.String).to_list()
    return _Look(rows, counts, names, more[0] if more else None)


def _known(prepared: Prepared) -> _Look:
    return _Look(prepared.rows, prepared.days, prepared.names)


def _occurrences(log: pl.LazyFrame, names: list[str]) -> Occurrences:
    def any_of(match: Match) -> bool:
        return (
            log.filter(matches(match, any_part=True)).head(1).collect(engine="streaming").height > 0
        )

    def values(event: str, column: str) -> list[object]:
        found = log.filter(pl.col("event") == event).select(pl.col(column).unique())
        return found.collect(engine="streaming")[column].to_list()

    return Occurrences(names, any_of, values)


def _respelt(log: pl.LazyFrame, spelling: dict[str, str]) -> pl.LazyFrame:
    return log.with_columns(pl.col("event").cast(pl.String).replace(spelling)) if spelling else log


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
            log = _respelt(log, task.spelling)
            yield replace(task, log=log, people=None if where is None else where[number])
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
        here = people.lazy().filter(mine).select("user_id").unique()
        log = task.log.join(here, on="user_id", how="semi")
        if number == 0:  # and who is in none
            log = pl.concat([log, task.log.join(people.lazy(), on="user_id", how="anti")])
    people = None if people is None else people.filter(mine)
    return replace(task, log=log.collect(engine="streaming").lazy(), people=people)


def _reduced(task: _Task) -> Part:
    signups = task.signups
    if signups is None:
        asked = first_signups(task.log, task.definition, where=task.extent.holds)
        signups = asked.collect(engine="streaming")
    who = members(signups, task.people, task.definition, task.extent, unit=task.unit)
    codes = codes_of(task.definition, task.names, task.extent, who.base.height)
    found = reduced(task.log, who.owners, task.definition, codes, task.extent)
    left_out = who.left_out.copy()
    left_out[TOO_SOON, "events"] += found["too_soon"].item()
    ids = [who.owners.select("user_id").unique()]
    if "strangers" in found:
        stranger = NO_SIGNUP if task.unit == "user" else NO_ACCOUNT
        left_out[stranger, "users"] += found["strangers"].height
        ids.append(found["strangers"])
    tables = unpacked(who.base, found, task.definition, codes)
    if (test := task.definition.experiment) is not None:
        asked = assignments(task.log, who.owners, test, where=task.extent.holds)
        places = tables["users"].with_row_index("u")
        arms = asked.collect(engine="streaming")
        tables["users"] = with_arms(places, arms, on="u").drop("u")
    tables["users"] = with_properties(tables["users"], task.people, unit=task.unit)
    if task.own:
        values = first_values(task.log, who.owners, task.own, task.extent.end)
        tables["users"] = with_values(tables["users"], values, task.own)
    late = tables["users"]["activated_at"].gather(found["late"]["u"]).null_count()
    return Part(tables, left_out, late, forms_of(pl.concat(ids, how="vertical_relaxed")))


def _as_names(column: str, log: pl.LazyFrame) -> pl.Expr:
    """Take numbers and enums as they are, categories as text."""
    kind = log.collect_schema()[column]
    keep = kind.is_integer() or (column == "event" and isinstance(kind, pl.Enum))
    return pl.col(column) if keep else pl.col(column).cast(pl.String)
