"""Rolling up a log where it lies, in DuckDB, Spark or behind Ibis: only the four small tables come over."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from engagekit.instants import AT, Instant, beside_log, local_day
from engagekit.journeys import TABLES
from engagekit.log import open_log
from engagekit.rollups.assignment import check_people, with_arms
from engagekit.rollups.engines import as_portable, brought, engine_of
from engagekit.rollups.narwhals_reduction import Source, reduction
from engagekit.rollups.population import (
    LACKING,
    TOO_SOON,
    Extent,
    Opened,
    check_conditions,
    extent_of,
    people_of,
    properties_of,
    zone_of,
)

if TYPE_CHECKING:
    from engagekit.definition import Definition
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
) -> Opened:
    """Check everything, and see where the log begins and ends."""
    native = events.to_native() if hasattr(events, "to_native") else events
    lazy = as_portable(native)
    head = brought(lazy.head(0))
    log, dates_only = open_log(head, needs=definition.property_names())
    check_conditions(head.schema, definition)
    zone = zone_of(definition, dates_only=dates_only)
    end = None
    if as_of is not None:
        end = beside_log(as_of, timezone=definition.timezone, dates_only=dates_only)
    if users is not None and engine_of(users) is not None:
        users = brought(as_portable(users))
    id_type = log.collect_schema()["user_id"]
    id_type = id_type if id_type.is_integer() else pl.String()
    people = people_of(users, id_type, definition, unit, dates_only=dates_only)
    if people is not None:
        check_people(people.columns, definition)
    shaped = as_portable(
        engine.shaped(native, head.schema["at"], zone, definition.property_names())
    )
    counts = _by_day(shaped)
    rows = int(brought(lazy.select(nw.len())).item())
    extent = extent_of(counts, end, dates_only=dates_only, zone=zone)
    left_out = Counter({(LACKING, "events"): rows - int(counts["len"].sum())})
    part = _reduced(engine, native, shaped, definition, people, extent, unit, id_type)
    return Opened(extent, left_out, [part])


def _by_day(log: Lazy) -> pl.DataFrame:
    t = nw.col("t")
    by_day = log.with_columns((t // DAY_US).cast(nw.Int64).alias("utc_day")).group_by("utc_day")
    found = brought(
        by_day.agg(nw.len().alias("len"), t.min().alias("first"), t.max().alias("last"))
    )
    first, last = (pl.col(c).cast(pl.Int64).cast(AT) for c in ("first", "last"))
    return found.select(first.dt.date().alias("day"), pl.col("len").cast(pl.Int64), first, last)


def _reduced(
    engine: Engine,
    native: Any,
    log: Lazy,
    definition: Definition,
    people: pl.DataFrame | None,
    extent: Extent,
    unit: str,
    id_type: pl.DataType,
) -> tuple[dict[str, pl.DataFrame], Counter[tuple[str, str]]]:
    start, end = ((at - START) // timedelta(microseconds=1) for at in (extent.start, extent.end))
    held: dict[str, Any] = {}

    def bounded(frame: Lazy) -> Lazy:
        return frame.with_columns(start_t=nw.lit(start, nw.Int64), end_t=nw.lit(end, nw.Int64))

    def kept(frame: Lazy) -> Lazy:
        name = f"engagekit_{uuid.uuid4().hex}"
        held[name] = engine.kept(frame.to_native(), name)
        return as_portable(held[name])

    told = None
    if people is not None:
        told = as_portable(engine.carried(native, _told(people, extent, unit)))
    try:
        found = reduction(Source(log, told, bounded, unit, kept), definition)
        tables = {name: brought(frame) for name, frame in found.items()}
    finally:
        for name, frame in held.items():
            engine.dropped(native, frame, name)
    return _landed(tables, people, unit, id_type)


def _landed(
    tables: dict[str, pl.DataFrame], people: pl.DataFrame | None, unit: str, id_type: pl.DataType
) -> tuple[dict[str, pl.DataFrame], Counter[tuple[str, str]]]:
    reasons = tables["left_out"].select("reason", "unit", "count")
    left_out = Counter({(reason, what): int(n) for reason, what, n in reasons.iter_rows()})
    left_out[TOO_SOON, "events"] = int(tables["too_soon"].item())
    if people is not None and unit == "account":
        id_type = people.schema["account_id"]
    typed = {name: _typed(tables[name], name, id_type) for name in TABLES}
    if people is not None:
        told = properties_of(people, unit=unit)
        typed["users"] = typed["users"].join(told, on="user_id", how="left", maintain_order="left")
    if "assigned" in tables:
        at = pl.col("assigned_at").cast(pl.Int64).cast(AT)
        arms = tables["assigned"].with_columns(pl.col("user_id").cast(id_type), at)
        typed["users"] = with_arms(typed["users"], arms, on="user_id")
    return typed, left_out


def _typed(table: pl.DataFrame, name: str, id_type: pl.DataType) -> pl.DataFrame:
    """Cast what an engine gave back: its numbers may be decimals, floating or of any width."""
    times = [pl.col(c).cast(pl.Int64).cast(AT) for c, kind in TABLES[name].items() if kind == AT]
    others = [pl.col(c).cast(kind) for c, kind in TABLES[name].items() if kind != AT]
    keys = ["user_id", *(c for c in ("step", "event", "role", "day") if c in TABLES[name])]
    return table.with_columns(pl.col("user_id").cast(id_type), *times, *others).sort(keys)


def _told(people: pl.DataFrame, extent: Extent, unit: str) -> pl.DataFrame:
    """Say of each user in the users table when it signed up, and whether before the log starts."""
    at = pl.col("signed_up_at") if "signed_up_at" in people.columns else pl.lit(None, AT)
    first_day = local_day(pl.lit(extent.start, AT), extent.zone)
    before = (local_day(at, extent.zone) < first_day).fill_null(value=False)
    columns = ["user_id", *(["account_id"] if unit == "account" else [])]
    return people.select(*columns, su_t=at.to_physical(), su_before=before.cast(pl.Int64))
