"""From an event log and a definition to journeys: the one heavy step."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.errors import (
    ColumnError,
    EventLogError,
    ParameterError,
    check_choice,
    listing,
    nearest,
)
from engagekit.instants import AT, Instant, days, local_day
from engagekit.journeys import DAYS, LEFT_OUT, STEPS, USERS, Journeys, landed
from engagekit.log import as_lazy, end_of, open_log, utc
from engagekit.matchers import matches

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.log import Frame

FALLBACK_INTERVAL = 7.0  # days; used when no user has two core days


def rollup(
    events: Any,
    definition: Definition,
    *,
    users: Frame | None = None,
    unit: Literal["user", "account"] = "user",
    as_of: Instant | None = None,
    progress: bool = False,
) -> Journeys:
    """Reduce an event log to journeys: what each user did, as far as the answers need it."""
    if faults := check_choice("unit", unit, ["user", "account"]):
        raise ParameterError(faults[0])
    log, dates_only = open_log(events, needs=definition.property_names())
    zone = "UTC" if dates_only else definition.timezone
    log = log.select(
        "user_id",
        "event",
        "at",
        *[c for c in definition.property_names() if c not in ("user_id", "event", "at")],
    )
    people = None if users is None else _people(users, log.collect_schema()["user_id"], dates_only)
    if unit == "account":
        log, people = _as_accounts(log, people)
    end = end_of(log, as_of, dates_only=dates_only, timezone=definition.timezone)
    log = log.filter(pl.col("at") < end)
    start = log.select(pl.col("at").min()).collect().item()
    if start is None:
        raise EventLogError(f"The log holds no event before as_of ({end:%Y-%m-%d %H:%M}).")
    signups, left_out = _signups(log, people, definition, start, end, zone)
    known = log.join(signups.lazy().select("user_id", "signed_up_at"), on="user_id", how="inner")
    early_birds = (
        known.filter(pl.col("at") < pl.col("signed_up_at"))
        .select(pl.len(), pl.col("user_id").n_unique().alias("users"))
        .collect()
    )
    left_out += [("events before their user's sign-up", early_birds["len"][0], "events")]
    known = known.filter(pl.col("at") >= pl.col("signed_up_at"))
    day_table = _days(known, definition, zone)
    return Journeys(
        users=landed(_users(known, signups, definition, zone), "users"),
        steps=landed(_steps(known, signups, definition), "steps"),
        early=landed(_early(known, definition.first_days), "early"),
        days=landed(day_table, "days"),
        definition=definition.resolved(usage_interval_of(day_table)),
        as_of=end,
        log_start=start,
        dates_only=dates_only,
        left_out=pl.DataFrame([r for r in left_out if r[1]], schema=LEFT_OUT, orient="row"),
        unit=unit,
    )


def _people(users: Frame, id_type: pl.DataType, dates_only: bool) -> pl.DataFrame:  # noqa: FBT001
    frame = as_lazy(users, what="The users table").collect()
    faults = (
        []
        if "user_id" in frame.columns
        else [f"there is no column 'user_id'.{nearest('user_id', frame.columns)}"]
    )
    ours = [c for c in frame.columns if c in USERS and c != "signed_up_at"]
    if ours:
        faults.append(f"{listing(ours)} are names engagekit uses itself; rename them.")
    if not faults:
        doubled = frame.filter(pl.col("user_id").is_duplicated())["user_id"].unique()
        if doubled.len():
            faults.append(
                f"{doubled.len()} users stand in more than one row, such as {doubled[0]!r}; keep one row for each."
            )
        if frame.schema["user_id"] != id_type:
            faults.append(
                f"'user_id' holds {frame.schema['user_id']}, the log's holds {id_type}; cast one to the other."
            )
    at = frame.schema.get("signed_up_at")
    if at is not None and not isinstance(at, (pl.Datetime, pl.Date)):
        faults.append(f"'signed_up_at' holds {at}; it takes times or dates.")
    if faults:
        raise ColumnError.from_faults("The users table cannot be used", faults)
    if at is not None:
        frame = frame.with_columns(utc(pl.col("signed_up_at"), at))
        if dates_only:
            frame = frame.with_columns(pl.col("signed_up_at").dt.truncate("1d"))
    return frame.drop_nulls("user_id")


def _as_accounts(
    log: pl.LazyFrame, people: pl.DataFrame | None
) -> tuple[pl.LazyFrame, pl.DataFrame]:
    if people is None or "account_id" not in people.columns:
        raise ColumnError(
            "unit='account' needs a users table with the column 'account_id'; give users=."
        )
    owners = people.lazy().select("user_id", "account_id").drop_nulls()
    log = (
        log.join(owners, on="user_id", how="inner")
        .drop("user_id")
        .rename({"account_id": "user_id"})
    )
    kept = [c for c in people.columns if c not in ("user_id", "account_id", "signed_up_at")]
    # An account keeps a property only where all its members agree.
    same = [pl.when(pl.col(c).n_unique() == 1).then(pl.col(c).first()).alias(c) for c in kept]
    first = [pl.col("signed_up_at").min()] if "signed_up_at" in people.columns else []
    accounts = people.drop_nulls("account_id").group_by("account_id").agg(*first, *same)
    return log, accounts.rename({"account_id": "user_id"})


def _signups(
    log: pl.LazyFrame,
    people: pl.DataFrame | None,
    definition: Definition,
    start: datetime,
    end: datetime,
    zone: str,
) -> tuple[pl.DataFrame, list[tuple[str, int, str]]]:
    """Find each user's sign-up; count who is left out, and why."""
    chosen = log if definition.signup is None else log.filter(matches(definition.signup))
    seen = log.group_by("user_id").agg(pl.col("at").min().alias("first_at"))
    signed = chosen.group_by("user_id").agg(pl.col("at").min().alias("_event_at"))
    table = seen.join(signed, on="user_id", how="left").collect()
    from_users = people is not None and "signed_up_at" in people.columns
    if people is not None:
        table = table.join(people, on="user_id", how="full", coalesce=True)
    at = pl.coalesce("signed_up_at", "_event_at") if from_users else pl.col("_event_at")
    table = table.with_columns(at.alias("signed_up_at"))
    first_day = local_day(pl.lit(start, AT), zone)
    burn_in = (
        definition.resolved(FALLBACK_INTERVAL).burn_in_days if definition.signup is None else None
    )
    burnt = pl.lit(value=False)
    if burn_in is not None:
        given = (
            pl.col("user_id").is_in(
                people.filter(pl.col("signed_up_at").is_not_null())["user_id"].implode()
            )
            if from_users and people is not None
            else pl.lit(value=False)
        )
        burnt = ~given & (pl.col("signed_up_at") < start + timedelta(days=burn_in))
    reason = (
        pl.when(pl.col("signed_up_at").is_null())
        .then(pl.lit("no sign-up in the data"))
        .when(pl.col("signed_up_at") >= end)
        .then(pl.lit("signed up at or after as_of"))
        .when(local_day(pl.col("signed_up_at"), zone) < first_day)
        .then(pl.lit("signed up before the log starts"))
        .when(burnt)
        .then(pl.lit(f"first seen in the first {burn_in} days"))
    )
    table = table.with_columns(reason.alias("_reason"))
    counts = table.drop_nulls("_reason").group_by("_reason").len().sort("_reason")
    kept = (
        table.filter(pl.col("_reason").is_null())
        .drop("_reason", "_event_at", "first_at")
        .sort("user_id")
    )
    return kept, [(r, n, "users") for r, n in counts.iter_rows()]


def _users(
    known: pl.LazyFrame, signups: pl.DataFrame, definition: Definition, zone: str
) -> pl.DataFrame:
    day = local_day(pl.col("at"), zone)
    core = matches(definition.core)
    aside = (
        pl.col("at") > pl.col("signed_up_at")
        if definition.signup is None
        else ~matches(definition.signup)
    )
    if definition.outreach is not None:
        aside &= ~matches(definition.outreach)
    found = known.group_by("user_id").agg(
        pl.col("at").filter(matches(definition.activation)).min().alias("activated_at"),
        pl.col("at").filter(aside).min().alias("first_action_at"),
        pl.col("at").filter(core).max().alias("last_core_at"),
        pl.col("at").max().alias("last_seen_at"),
        day.filter(core).n_unique().alias("core_days"),
        day.n_unique().alias("active_days"),
    )
    table = (
        signups.lazy()
        .join(found, on="user_id", how="left")
        .with_columns(pl.col("core_days", "active_days").fill_null(0))
    )
    return table.sort("user_id").collect()


def _steps(known: pl.LazyFrame, signups: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    parts: list[pl.DataFrame] = []
    before = signups.select("user_id", pl.col("signed_up_at").alias("at"))
    for position, step in enumerate(definition.steps):
        sides = {}
        for name, matcher in (("reached", step.reached), ("completed", step.completed)):
            if matcher is not None:
                found = (
                    known.filter(matches(matcher))
                    .group_by("user_id")
                    .agg(pl.col("at").min(), pl.col("at").max().alias("last"))
                )
                sides[name] = found.collect()
        reached = sides.get("reached", before.with_columns(pl.col("at").alias("last")))
        done = sides.get("completed", reached)
        part = reached.select(
            "user_id", pl.col("at").alias("reached_at"), pl.col("last").alias("last_reached_at")
        ).join(
            done.select("user_id", pl.col("at").alias("completed_at")),
            on="user_id",
            how="full",
            coalesce=True,
        )
        part = part.with_columns(
            pl.lit(position, pl.Int32).alias("step"),
            *[pl.coalesce(c, "completed_at").alias(c) for c in ("reached_at", "last_reached_at")],
        )
        parts.append(part)
        before = part.drop_nulls("completed_at").select(
            "user_id", pl.col("completed_at").alias("at")
        )
    if not parts:
        return pl.DataFrame(schema={"user_id": signups.schema["user_id"]} | STEPS)
    return pl.concat([p.select("user_id", *STEPS) for p in parts]).sort("user_id", "step")


def _early(known: pl.LazyFrame, first_days: int) -> pl.DataFrame:
    since = pl.col("at") - pl.col("signed_up_at")
    return (
        known.filter(since < days(first_days))
        .with_columns((since.dt.total_microseconds() // 86_400_000_000).alias("k"))
        .group_by("user_id", "event", "k")
        .agg(pl.col("at").min().alias("first_at"), pl.len().alias("times"))
        .with_columns(pl.lit(2, pl.Int64).pow(pl.col("k")).alias("days"))
        .group_by("user_id", "event")
        .agg(pl.col("first_at").min(), pl.col("times").sum(), pl.col("days").sum())
        .sort("user_id", "event")
        .collect()
    )


def _days(known: pl.LazyFrame, definition: Definition, zone: str) -> pl.DataFrame:
    parts = [
        known.filter(matches(matcher))
        .group_by("user_id", local_day(pl.col("at"), zone).alias("day"))
        .agg(
            pl.col("at").min().alias("first_at"),
            pl.col("at").max().alias("last_at"),
            pl.len().alias("times"),
        )
        .with_columns(pl.lit(role).alias("role"))
        for role, matcher in definition.roles().items()
    ]
    return pl.concat(parts).select("user_id", *DAYS).sort("user_id", "role", "day").collect()


def usage_interval_of(day_table: Frame) -> float:
    """Say how often the core action is done: 80th percentile of users' median gap between core days, in days."""
    gaps = (
        day_table.lazy()
        .filter(pl.col("role") == "core")
        .sort("user_id", "day")
        .select(
            "user_id",
            (pl.col("day") - pl.col("day").shift(1).over("user_id")).dt.total_days().alias("gap"),
        )
        .drop_nulls()
        .group_by("user_id")
        .agg(pl.col("gap").median())
    )
    found = gaps.select(pl.col("gap").quantile(0.8, "linear")).collect().item()
    return FALLBACK_INTERVAL if found is None else float(found)
