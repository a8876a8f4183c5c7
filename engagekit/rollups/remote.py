"""Rolling up a log where it lies, in DuckDB, Spark or behind Ibis: only the four small tables come over."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from engagekit.ingest import (
    FEW_USERS,
    SCHEMA,
    Occurrences,
    Outskirts,
    forms_of,
    missing_events,
    respelt,
)
from engagekit.instants import AT, Instant, beside_log
from engagekit.journeys import REDUCED, TABLES, folded
from engagekit.log import open_log
from engagekit.rollups.assignment import check_people, with_arms
from engagekit.rollups.engines import as_portable, brought, engine_of
from engagekit.rollups.findings import Overlap, of_null_ids, of_overlap
from engagekit.rollups.narwhals_reduction import Source, hit, reduction
from engagekit.rollups.population import (
    LACKING,
    TOO_SOON,
    Extent,
    Opened,
    Part,
    check_conditions,
    columns_of_users,
    extent_of,
    people_of,
    properties_of,
    zone_of,
)
from engagekit.rollups.spark_parts import Spread
from engagekit.rollups.user_properties import hidden, kind_of, own_properties

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from engagekit.definition import Definition
    from engagekit.matchers import Match
    from engagekit.rollups.engines import Engine
    from engagekit.rollups.narwhals_reduction import Lazy

START = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000


def opened(
    engine: Engine,
    events: Any,
    definition: Definition,
    users: Any,
    unit: str,
    as_of: Instant | None,
    missing: str,
    *,
    spread: bool = False,
) -> Opened:
    """Check everything, and see where the log begins and ends; `spread` leaves the reduction to each partition."""
    native = events.to_native() if hasattr(events, "to_native") else events
    lazy = as_portable(native)
    head = brought(lazy.head(0))
    if users is not None and engine_of(users) is not None:
        users = brought(as_portable(users))
    own = own_properties(definition, columns_of_users(users))
    needs = list(dict.fromkeys([*definition.property_names(), *own]))
    log, dates_only = open_log(head, needs=needs)
    check_conditions(head.schema, definition, own)
    zone = zone_of(definition, dates_only=dates_only)
    end = None
    if as_of is not None:
        end = beside_log(as_of, timezone=definition.timezone, dates_only=dates_only)
    id_type = log.collect_schema()["user_id"]
    id_type = id_type if id_type.is_integer() else pl.String()
    people = people_of(users, id_type, definition, unit, dates_only=dates_only)
    if people is not None:
        check_people(people.columns, definition)
    shaped = as_portable(engine.shaped(native, head.schema["at"], zone, needs))
    names = _names(shaped)
    spelling = respelt(names, definition.event_names())
    if spelling:
        shaped = shaped.with_columns(_spelt(spelling).alias("event"))
        names = sorted({spelling.get(name, name) for name in names})
    remarks = missing_events(definition, _occurrences(shaped, names), allow=missing == "allow")
    counts = _by_day(shaped)
    rows = int(brought(lazy.select(nw.len())).item())
    extent = extent_of(counts, end, _outskirts(shaped), dates_only=dates_only, zone=zone)
    lacking = Counter({(LACKING, "events"): rows - int(counts["len"].sum())})
    if lacking.total():
        remarks += of_null_ids(*_without_user(lazy, definition))
    if spread:
        first, last = _bounds(extent)
        counts_in = shaped.filter(nw.col("t") >= first, nw.col("t") < last).select("user_id")
        parts = Spread(native, counts_in.to_native(), definition, extent, rows, own, spelling)
        remarks += [] if id_type.is_integer() else parts.remarks()
        return Opened(extent, lacking + extent.stray, parts, counts, None, remarks)
    ids = None if people is None and id_type.is_integer() else _ids(shaped, extent, id_type)
    if ids is not None and people is not None and users is not None:
        remarks += of_overlap(_overlap(ids, people), people, unit)
    kinds = {name: kind_of(head.schema[name]) for name in own}
    part = _reduced(
        engine, native, shaped, definition, people, extent, unit, id_type, kinds, dates_only=dates_only
    )  # fmt: skip
    part = replace(part, forms=_forms(ids, people))
    return Opened(extent, lacking + extent.stray, [part], counts, people, remarks)


def _ids(log: Lazy, extent: Extent, id_type: pl.DataType) -> pl.DataFrame:
    """Bring the ids of all users over, and whether they did anything that counts."""
    start, end = _bounds(extent)
    t = nw.col("t")
    span = log.group_by("user_id").agg(t.min().alias("first_t"), t.max().alias("last_t"))
    counts = (pl.col("last_t") >= start) & (pl.col("first_t") < end)
    return brought(span).select(pl.col("user_id").cast(id_type), counts.alias("counts"))


def _overlap(ids: pl.DataFrame, people: pl.DataFrame) -> Overlap:
    people = people.unique("user_id")  # who is in several accounts has several rows
    return Overlap(
        table=people.height,
        idle=people.join(ids, on="user_id", how="anti").height,
        log=ids.height,
        untold=ids.join(people, on="user_id", how="anti").height,
    )


def _forms(ids: pl.DataFrame | None, people: pl.DataFrame | None) -> pl.DataFrame:
    known = [] if ids is None else [ids.filter("counts").select("user_id")]
    known += [] if people is None else [people.select("user_id")]
    return forms_of(pl.concat(known or [pl.DataFrame(schema={"user_id": pl.Int64})]).unique())


def _without_user(log: Lazy, definition: Definition) -> tuple[int, int]:
    """Count the events of the definition, and those of them that nobody is named for."""
    meant = nw.lit(value=False)
    for matcher in definition.matchers().values():
        meant = meant | (nw.when(hit(matcher, str)).then(nw.lit(1)).otherwise(nw.lit(0)) == 1)
    told = log.filter(meant)
    nobody = told.filter(nw.col("user_id").is_null())
    counts = [int(brought(each.select(nw.len())).item()) for each in (nobody, told)]
    return counts[0], counts[1]


def _bounds(extent: Extent) -> tuple[int, int]:
    start, end = ((at - START) // timedelta(microseconds=1) for at in (extent.start, extent.end))
    return start, end


def _names(log: Lazy) -> list[str]:
    found = log.group_by("event").agg(nw.len().alias("times")).select("event")
    return brought(found)["event"].cast(pl.String).to_list()


def _spelt(spelling: dict[str, str]) -> nw.Expr:
    event: nw.Expr = nw.col("event")
    for name, other in spelling.items():
        event = nw.when(nw.col("event") == nw.lit(name)).then(nw.lit(other)).otherwise(event)
    return event


def _occurrences(log: Lazy, names: list[str]) -> Occurrences:
    def any_of(match: Match) -> bool:
        return brought(log.filter(hit(match)).select("event").head(1)).height > 0

    def values(event: str, column: str) -> list[object]:
        found = log.filter(nw.col("event") == event).group_by(hidden(column))
        counted = found.agg(nw.len().alias("times"))
        return brought(counted.select(hidden(column)))[hidden(column)].to_list()

    return Occurrences(names, any_of, values)


def _by_day(log: Lazy) -> pl.DataFrame:
    t = nw.col("t")
    by_day = log.with_columns((t // DAY_US).cast(nw.Int64).alias("utc_day")).group_by("utc_day")
    found = brought(
        by_day.agg(nw.len().alias("len"), t.min().alias("first"), t.max().alias("last"))
    )
    first, last = (pl.col(c).cast(pl.Int64).cast(AT) for c in ("first", "last"))
    return found.select(first.dt.date().alias("day"), pl.col("len").cast(pl.Int64), first, last)


def _outskirts(log: Lazy) -> Outskirts:
    """Ask who was there on a log's outermost days."""

    def on(since: date, until: date) -> Lazy:
        first, last = ((day - START.date()).days for day in (since, until))
        t = nw.col("t")
        return log.filter(t >= first * DAY_US, t < (last + 1) * DAY_US)

    def seen(since: date, until: date) -> pl.DataFrame:
        day = (nw.col("t") // DAY_US).cast(nw.Int64).alias("utc_day")
        pairs = on(since, until).with_columns(day).group_by("utc_day", "user_id").agg(nw.len())
        found = brought(pairs.select("utc_day", "user_id"))
        return found.select(pl.col("utc_day").cast(pl.Int32).cast(pl.Date).alias("day"), "user_id")

    def users() -> int:
        people = log.group_by("user_id").agg(nw.len().alias("times"))
        return int(brought(people.select(nw.len())).item())

    def crowded(since: date, until: date) -> bool:
        people = on(since, until).group_by("user_id").agg(nw.len().alias("times"))
        return brought(people.select("user_id").head(FEW_USERS + 1)).height > FEW_USERS

    return Outskirts(seen, crowded, users)


def _reduced(
    engine: Engine,
    native: Any,
    log: Lazy,
    definition: Definition,
    people: pl.DataFrame | None,
    extent: Extent,
    unit: str,
    id_type: pl.DataType,
    own: Mapping[str, pl.DataType],
    *,
    dates_only: bool,
) -> Part:
    start, end = _bounds(extent)
    held: dict[str, Any] = {}

    def bounded(frame: Lazy) -> Lazy:
        return frame.with_columns(start_t=nw.lit(start, nw.Int64), end_t=nw.lit(end, nw.Int64))

    def kept(frame: Lazy) -> Lazy:
        name = f"engagekit_{uuid.uuid4().hex}"
        held[name] = engine.kept(frame.to_native(), name)
        return as_portable(held[name])

    def dated(frame: Lazy) -> Lazy:
        return as_portable(engine.dated(frame.to_native(), zone_of(definition, dates_only=False)))

    told = None
    if people is not None:
        told = as_portable(engine.carried(native, _told(people, unit)))
    try:
        anew = None if dates_only else dated
        source = Source(log, told, bounded, unit, kept, tuple(own), anew)
        found = reduction(source, definition)
        tables = {name: brought(frame) for name, frame in found.items()}
    finally:
        for name, frame in held.items():
            engine.dropped(native, frame, name)
    tables["users"] = tables["users"].cast(dict(own))  # type: ignore[arg-type]
    return _landed(tables, people, unit, id_type)


def _landed(
    tables: dict[str, pl.DataFrame], people: pl.DataFrame | None, unit: str, id_type: pl.DataType
) -> Part:
    reasons = tables["left_out"].select("reason", "unit", "count")
    left_out = Counter({(reason, what): int(n) for reason, what, n in reasons.iter_rows()})
    left_out[TOO_SOON, "events"] = int(tables["too_soon"].item())
    if people is not None and unit == "account":
        id_type = people.schema["account_id"]
    typed = {name: _typed(tables[name], name, id_type) for name in REDUCED}
    if people is not None:
        told = properties_of(people, unit=unit)
        users = typed["users"]
        own = [c for c in users.columns if c not in ("user_id", *TABLES["users"])]
        joined = users.join(told, on="user_id", how="left", maintain_order="left")
        typed["users"] = joined.select(pl.exclude(own), *own)  # these come last, as everywhere
    if "assigned" in tables:
        at = pl.col("assigned_at").cast(pl.Int64).cast(AT)
        arms = tables["assigned"].with_columns(pl.col("user_id").cast(id_type), at)
        typed["users"] = with_arms(typed["users"], arms, on="user_id")
    later, last = (int(count or 0) for count in tables["unannounced"].row(0))
    new = (later - last, last) if unit == "user" else (0, 0)
    return Part(typed, left_out, int(tables["late"].item()), pl.DataFrame(schema=SCHEMA), new)


def _typed(table: pl.DataFrame, name: str, id_type: pl.DataType) -> pl.DataFrame:
    """Cast what an engine gave back: its numbers may be decimals, floating or of any width."""
    times = [pl.col(c).cast(pl.Int64).cast(AT) for c, kind in TABLES[name].items() if kind == AT]
    others = [pl.col(c).cast(kind) for c, kind in TABLES[name].items() if kind != AT]
    if name == "users":
        table = folded(table.lazy()).collect()
    keys = ["user_id", *(c for c in ("step", "event", "role", "day") if c in TABLES[name])]
    return table.with_columns(pl.col("user_id").cast(id_type), *times, *others).sort(keys)


def _told(people: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Say of each user in the users table when it signed up."""
    at = pl.col("signed_up_at") if "signed_up_at" in people.columns else pl.lit(None, AT)
    columns = ["user_id", *(["account_id"] if unit == "account" else [])]
    return people.select(*columns, su_t=at.to_physical())
