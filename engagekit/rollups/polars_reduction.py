"""The reduction in polars: from events to the four tables of journeys, each event read as seldom as possible.

Names become small numbers once; then every table is one grouping by one packed whole number
(user x event, user x role x day, ...), all of them fed by one shared scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT, local_day
from engagekit.log import by_day
from engagekit.matchers import Match, as_matches, goals, is_goal, matches
from engagekit.rollups.acting import acting
from engagekit.rollups.population import OUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engagekit.definition import Definition
    from engagekit.matchers import Goal, Matcher
    from engagekit.rollups.population import Extent

DAY_US = 86_400_000_000
BITS = pl.Series([2**k for k in range(32)], dtype=pl.UInt32)


@dataclass(frozen=True)
class Codes:
    """The whole numbers that stand for names: event names, roles and sides of steps by their place in these lists."""

    events: list[str]
    roles: dict[str, Matcher]
    sides: dict[str, Goal]
    first_day: int  # days since 1970
    span: int  # how many days the log has
    users: int  # how many units there are
    wheres: dict[Match, str]  # matchers with conditions -> the column that holds whether they hold


def codes_of(definition: Definition, events: list[str], extent: Extent, users: int) -> Codes:
    """Give a number to everything that a reduction tells apart."""
    sides: dict[str, Goal] = {"activation": definition.activation}
    for position, step in enumerate(definition.steps):
        for side, matcher in (("reached", step.reached), ("completed", step.completed)):
            if matcher is not None:
                sides[f"{position} {side}"] = matcher
    days = pl.select(
        local_day(
            pl.lit(pl.Series([extent.start, extent.end], dtype=AT)), extent.zone
        ).to_physical()
    ).to_series()
    conditional = [
        m for each in definition.matchers().values() for m in as_matches(each) if m.where
    ]
    return Codes(
        events=sorted(events),
        roles=dict(sorted(definition.roles().items())),
        sides=sides,
        # Where clocks go back across midnight, a later instant can lie on the day before.
        first_day=days[0] - 1,
        span=days[1] - days[0] + 3,
        users=users,
        wheres={match: f"_where_{n}" for n, match in enumerate(dict.fromkeys(conditional))},
    )


def first_signups(
    log: pl.LazyFrame, definition: Definition, *, where: pl.Expr | None
) -> pl.LazyFrame:
    """Find the first sign-up event of each user who has one: ``user_id, event_at``."""
    ups = log if definition.signup is None else log.filter(matches(definition.signup))
    ups = ups if where is None else ups.filter(where)
    return ups.group_by("user_id").agg(pl.col("at").min().alias("event_at"))


def first_look(log: pl.LazyFrame) -> list[pl.LazyFrame]:
    """Ask what must be known beforehand: events by day, and the names of events."""
    return [by_day(log), log.select(pl.col("event").unique())]


def reduced(
    log: pl.LazyFrame, owners: pl.DataFrame, definition: Definition, codes: Codes, extent: Extent
) -> dict[str, pl.DataFrame]:
    """Group a log's events by packed keys; besides the four tables count ``too_soon`` events, and find ``late`` units and ``strangers``."""
    events = _coded(log, owners, definition, codes, extent).collect(engine="streaming")
    inside = events.lazy().filter(pl.col("u") < OUT)
    known = inside.filter(pl.col("age").is_not_null())
    queries = {
        "too_soon": inside.filter(pl.col("age").is_null()).select(pl.len()),
        "late": inside.filter(pl.col("age").is_null(), _telling(definition, codes)).select(
            pl.col("u").unique()
        ),
        "sides": _sides(known, codes),
        "early": _early(known, definition.first_days, codes),
        "days": _days(known, codes),
    }
    if events["u"].null_count():  # rarely; so ids need not be kept in memory
        unknown = log.filter(extent.holds).join(owners.lazy(), on="user_id", how="anti")
        queries["strangers"] = unknown.select(pl.col("user_id").unique())
    if is_goal(definition.activation):
        queries["activated"] = _activated(known, definition, codes)
    found = {name: query.collect(engine="streaming") for name, query in queries.items()}
    outreach = definition.outreach
    # A condition on what an event does not carry is not met.
    received = (
        pl.lit(value=False) if outreach is None else _hits(outreach, codes).fill_null(value=False)
    )
    acted = acting(events, aside(definition, codes), received, codes, definition.first_days)
    return found | {"acting": acted}


def _coded(
    log: pl.LazyFrame, owners: pl.DataFrame, definition: Definition, codes: Codes, extent: Extent
) -> pl.LazyFrame:
    """Bring every event down to small numbers, so that a log fits in memory at some 20 bytes an event.

    ``u``: the place of its user (`OUT`: left out, null: a stranger), ``e``: its name, ``at``, ``day``: since the
    log's first day, ``age``: in days since sign-up (null: before it), and, where the first event is the sign-up,
    whether the sign-up was ``given`` and the event ``opening``: at the very instant of it.
    """
    at, since = pl.col("at"), pl.col("at") - pl.col("signed_up_at")
    event = pl.col("event").cast(pl.Enum(codes.events)).to_physical()
    wheres = [matches(match, any_part=True).alias(name) for match, name in codes.wheres.items()]
    day = local_day(at, extent.zone).to_physical() - codes.first_day
    opening = [pl.col("given"), (since == timedelta()).alias("opening")]
    age = pl.when(since >= timedelta()).then((since.to_physical() // DAY_US).clip(0, 2**15))
    return (
        log.filter(extent.holds)
        .select("user_id", event.alias("e"), "at", *wheres)
        .join(owners.lazy(), on="user_id", how="left")
        .select(
            "u",
            "e",
            at.to_physical(),
            day.cast(pl.Int32).alias("day"),
            age.cast(pl.UInt16).alias("age"),
            *(opening if definition.signup is None else []),
            *codes.wheres.values(),
        )
    )


def _u() -> pl.Expr:
    return pl.col("u").cast(pl.Int64)


def aside(definition: Definition, codes: Codes) -> pl.Expr:
    """Tell which events are no action of the user: the sign-up, and outreach."""
    if (
        definition.signup is None
    ):  # the first event is the sign-up, unless the users table knows better
        expression = ~pl.col("given") & pl.col("opening")
    else:
        expression = _hits(definition.signup, codes)
    return (
        expression
        if definition.outreach is None
        else expression | _hits(definition.outreach, codes)
    )


def _hits(matcher: Goal, codes: Codes) -> pl.Expr:
    """Tell whether a coded event is meant."""
    plain, where = _split(matcher, codes)
    return pl.any_horizontal(pl.col("e").is_in(plain), *where)


def _telling(definition: Definition, codes: Codes) -> pl.Expr:
    """Tell which events can hardly come before a sign-up: activation, and the core action."""
    return _hits(definition.activation, codes) | _hits(definition.core, codes)


def _split(matcher: Goal, codes: Codes) -> tuple[list[int], list[pl.Expr]]:
    parts = as_matches(matcher)
    plain = {m.event for m in parts if not m.where}
    numbers = [n for n, name in enumerate(codes.events) if name in plain]
    return numbers, [pl.col(codes.wheres[m]) for m in parts if m.where]


def _tagged(known: pl.LazyFrame, tags: Mapping[str, Goal], codes: Codes) -> pl.LazyFrame:
    """Give every event once for each tag that it bears, with the tag's number."""
    of_event: list[list[int]] = [[] for _ in codes.events]
    parts = []
    for tag, matcher in enumerate(tags.values()):
        plain, where = _split(matcher, codes)
        for event in plain:
            of_event[event].append(tag)
        if where:
            rest = known.filter(pl.any_horizontal(*where), ~pl.col("e").is_in(plain))
            parts.append(rest.with_columns(pl.lit(tag, pl.Int64).alias("tag")))
    for slot in range(max(map(len, of_event), default=0)):
        table = pl.Series([t[slot] if slot < len(t) else None for t in of_event], dtype=pl.Int64)
        tag_of = pl.lit(table).gather(pl.col("e")).alias("tag")
        parts.append(known.with_columns(tag_of).filter(pl.col("tag").is_not_null()))
    nothing = known.filter(pl.lit(value=False)).with_columns(pl.lit(0, pl.Int64).alias("tag"))
    return pl.concat(parts or [nothing])


def _sides(known: pl.LazyFrame, codes: Codes) -> pl.LazyFrame:
    key = _u() * len(codes.sides) + pl.col("tag")
    tagged = _tagged(known, codes.sides, codes).select(key.alias("key"), "at")
    return tagged.group_by("key").agg(
        pl.col("at").min().alias("first_at"), pl.col("at").max().alias("last_at")
    )


def _activated(known: pl.LazyFrame, definition: Definition, codes: Codes) -> pl.LazyFrame:
    """Find the first instant at which any alternative of an activation of several events is complete: ``u, first_at``."""
    at, ways = pl.col("at"), []
    for parts in goals(definition.activation):
        reached = [
            known.filter(_hits(part, codes))
            .group_by("u")
            .agg(at.bottom_k(times).max().alias("at"), pl.len().alias("times"))
            .filter(pl.col("times") >= times)
            for part, times in parts
        ]
        whole = pl.concat(reached).group_by("u").agg(at.max(), pl.len().alias("parts"))
        ways.append(whole.filter(pl.col("parts") == len(parts)).select("u", "at"))
    return pl.concat(ways).group_by("u").agg(at.min().alias("first_at"))


def _early(known: pl.LazyFrame, first_days: int, codes: Codes) -> pl.LazyFrame:
    soon = known.filter(pl.col("age") < first_days).select(
        (_u() * len(codes.events) + pl.col("e")).alias("key"),
        "at",
        pl.lit(BITS).gather(pl.col("age")).alias("days"),
    )
    return soon.group_by("key").agg(
        pl.col("at").min().alias("first_at"), pl.len().alias("times"), pl.col("days").bitwise_or()
    )


def _days(known: pl.LazyFrame, codes: Codes) -> pl.LazyFrame:
    key = (_u() * len(codes.roles) + pl.col("tag")) * codes.span + pl.col("day")
    tagged = _tagged(known, codes.roles, codes).select(key.alias("key"), "at")
    return tagged.group_by("key").agg(
        pl.col("at").min().alias("first_at"),
        pl.col("at").max().alias("last_at"),
        pl.len().alias("times"),
    )
