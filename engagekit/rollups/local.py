"""Rolling up a log that polars reads, here: in one go, in parts, or bucket by bucket."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import ticking
from engagekit.errors import EngagekitWarning
from engagekit.instants import Instant, beside_log
from engagekit.log import APART, as_lazy, open_log
from engagekit.rollups.assignment import assignments, check_people, with_arms
from engagekit.rollups.polars_reduction import codes_of, first_look, first_signups, reduced
from engagekit.rollups.population import (
    LACKING,
    NO_ACCOUNT,
    NO_SIGNUP,
    TOO_SOON,
    Extent,
    Opened,
    check_conditions,
    extent_of,
    members,
    people_of,
    zone_of,
)
from engagekit.rollups.prepared_log import is_prepared, open_prepared
from engagekit.rollups.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engagekit._base import Progress
    from engagekit.definition import Definition
    from engagekit.log import Frame

WHAT = "Rolling up"
UNPREPARED = (
    "The log has {:,} events, so it is read several times. To read it once, in little memory, prepare it: "
    "ek.prepare_events(source, folder), then ek.rollup(folder, definition)."
)
STRANGERS = (
    "None of the {:,} users of the users table is in the log; the table has {!r}, the log {!r}. They count as users "
    "without an event. If they are the same people, write their ids alike in both."
)
MANY_STRANGERS = 10  # fewer may well have done nothing yet
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
    signups: pl.DataFrame | None = None  # first sign-up events, where they are known already
    buckets: tuple[Path, ...] = ()


def opened(
    events: Any,
    definition: Definition,
    users: Frame | None,
    unit: str,
    as_of: Instant | None,
    progress: Progress,
) -> Opened:
    """Check everything, and take what must be known beforehand in one pass over the log."""
    prepared = open_prepared(events) if is_prepared(events) else None
    raw = as_lazy(events) if prepared is None else prepared.log
    log, dates_only = _columns(raw, definition)
    check_conditions(log.collect_schema(), definition)
    zone = zone_of(definition, dates_only=dates_only)
    end = None
    if as_of is not None:
        end = beside_log(as_of, timezone=definition.timezone, dates_only=dates_only)
    people = people_of(
        users, log.collect_schema()["user_id"], definition, unit, dates_only=dates_only
    )
    if people is not None:
        check_people(people.columns, definition)
        _warn_of_strangers(log, people)
    signups = None
    if prepared is None:
        rows = raw.select(pl.len()).collect().item()
        asked = first_look(log)
        if rows <= LARGE:
            asked.append(first_signups(log, definition, before=end))
        at_once = pl.QueryOptFlags() if rows <= LARGE else APART
        counts, named, *more = pl.collect_all(asked, engine="streaming", optimizations=at_once)
        names, signups = named["event"].cast(pl.String).to_list(), more[0] if more else None
    else:
        rows, counts, names = prepared.rows, prepared.days, prepared.names
    task = _Task(
        log,
        people,
        definition,
        unit,
        extent_of(counts, end, dates_only=dates_only, zone=zone),
        names,
        rows,
        signups,
        () if prepared is None else tuple(prepared.buckets),
    )
    left_out = Counter({(LACKING, "events"): rows - int(counts["len"].sum())})
    return Opened(task.extent, left_out, map(_reduced, _parts(task, progress)))


def _warn_of_strangers(log: pl.LazyFrame, people: pl.DataFrame) -> None:
    """Say so where no user of the table is in the log: ids are written differently, or one of the two is another's."""
    ids = people.lazy().select("user_id")
    known = log.select("user_id").join(ids, on="user_id", how="semi").head(1)
    if people.height < MANY_STRANGERS or known.collect(engine="streaming").height:
        return
    seen = log.select("user_id").head(1).collect()["user_id"].to_list()
    warnings.warn(
        STRANGERS.format(people.height, people["user_id"][0], *seen or [None]),
        EngagekitWarning,
        stacklevel=4,
    )


def _columns(raw: pl.LazyFrame, definition: Definition) -> tuple[pl.LazyFrame, bool]:
    log, dates_only = open_log(raw, needs=definition.property_names())
    log = log.select(*dict.fromkeys(["user_id", "event", "at", *definition.property_names()]))
    return log.with_columns(_as_names("user_id", log), _as_names("event", log)), dates_only


def _parts(task: _Task, progress: Progress) -> Iterator[_Task]:
    """Cut a large log by users, so that memory holds each part."""
    if task.buckets and task.unit == "user":
        where = None if task.people is None else _buckets_of(task)
        for number in ticking(range(len(task.buckets)), progress=progress, what=WHAT):
            log, _ = _columns(pl.scan_parquet(task.buckets[number], glob=False), task.definition)
            people = None if where is None else where.filter(pl.col("_bucket") == number)
            people = None if people is None else people.drop("_bucket")
            yield replace(task, log=log, people=people)
    elif task.rows <= LARGE:
        yield task
    else:
        if not task.buckets:
            warnings.warn(UNPREPARED.format(task.rows), EngagekitWarning, stacklevel=4)
        count = math.ceil(task.rows / PART)
        for number in ticking(range(count), progress=progress, what=WHAT):
            yield _part(task, number, count)


def _buckets_of(task: _Task) -> pl.DataFrame | None:
    """Find the bucket of each user in the users table; those without events go with the first."""
    if task.people is None:
        return None
    found = [
        pl.scan_parquet(path, glob=False).select(pl.col("user_id").unique(), _bucket=number)
        for number, path in enumerate(task.buckets)
    ]
    where = pl.concat(found).with_columns(pl.col("user_id").cast(task.people.schema["user_id"]))
    people = task.people.lazy().join(where, on="user_id", how="left")
    return people.with_columns(pl.col("_bucket").fill_null(0)).collect(engine="streaming")


def _part(task: _Task, number: int, count: int) -> _Task:
    people = task.people
    if task.unit == "user" or people is None:
        mine = pl.col("user_id").hash() % count == number
        log = task.log.filter(mine)
    else:  # members of an account must stay together
        mine = pl.col("account_id").hash() % count == number
        owners = people.lazy().select("user_id", "account_id")
        log = task.log.join(owners, on="user_id", how="left").filter(mine).drop("account_id")
    people = None if people is None else people.filter(mine)
    return replace(task, log=log.collect(engine="streaming").lazy(), people=people)


def _reduced(task: _Task) -> tuple[dict[str, pl.DataFrame], Counter[tuple[str, str]]]:
    signups = task.signups
    if signups is None:
        asked = first_signups(task.log, task.definition, before=task.extent.end)
        signups = asked.collect(engine="streaming")
    who = members(signups, task.people, task.definition, task.extent, unit=task.unit)
    codes = codes_of(task.definition, task.names, task.extent, who.base.height)
    found = reduced(task.log, who.owners, task.definition, codes, task.extent)
    left_out = who.left_out.copy()
    left_out[TOO_SOON, "events"] += found["too_soon"].item()
    if "strangers" in found:
        stranger = NO_SIGNUP if task.unit == "user" else NO_ACCOUNT
        left_out[stranger, "users"] += found["strangers"].item()
    tables = unpacked(who.base, found, task.definition, codes)
    if (test := task.definition.experiment) is not None:
        asked = assignments(task.log, who.owners, test, before=task.extent.end)
        arms = asked.collect(engine="streaming")
        places = tables["users"].with_row_index("u")
        tables["users"] = with_arms(places, arms, on="u").drop("u")
    return tables, left_out


def _as_names(column: str, log: pl.LazyFrame) -> pl.Expr:
    """Take numbers and enums as they are, categories as text."""
    kind = log.collect_schema()[column]
    keep = kind.is_integer() or (column == "event" and isinstance(kind, pl.Enum))
    return pl.col(column) if keep else pl.col(column).cast(pl.String)
