"""The reduction in polars: from events to the four tables of journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import days, local_day
from engagekit.journeys import DAYS, STEPS
from engagekit.matchers import matches

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.members import Members


def first_signups(log: pl.LazyFrame, definition: Definition) -> pl.DataFrame:
    """Find each user's first sign-up event, null where there is none: ``user_id, event_at``."""
    at = (
        pl.col("at")
        if definition.signup is None
        else pl.col("at").filter(matches(definition.signup))
    )
    return log.group_by("user_id").agg(at.min().alias("event_at")).collect()


def since_signup(log: pl.LazyFrame, members: Members) -> pl.LazyFrame:
    """Bring the unit and its sign-up to every event of those who are in."""
    return log.join(members.owners.lazy(), on="user_id", how="inner").with_columns(
        pl.col("unit_id").alias("user_id")
    )


def users_table(
    known: pl.LazyFrame, base: pl.DataFrame, definition: Definition, zone: str
) -> pl.DataFrame:
    """Say of each user when it signed up, activated, acted first and last, and on how many days."""
    day = local_day(pl.col("at"), zone)
    core = matches(definition.core)
    if (
        definition.signup is None
    ):  # the first event is the sign-up, unless the users table knows better
        aside = pl.col("given") | (pl.col("at") > pl.col("signed_up_at"))
    else:
        aside = ~matches(definition.signup)
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
    table = base.lazy().drop("given").join(found, on="user_id", how="left")
    return (
        table.with_columns(pl.col("core_days", "active_days").fill_null(0))
        .sort("user_id")
        .collect()
    )


def steps_table(known: pl.LazyFrame, base: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """Say of each user and step reached when it was reached first and last, and completed."""
    parts: list[pl.DataFrame] = []
    before = base.select("user_id", pl.col("signed_up_at").alias("at"))
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
        part = reached.select("user_id", reached_at="at", last_reached_at="last").join(
            done.select("user_id", completed_at="at"), on="user_id", how="full", coalesce=True
        )
        part = part.with_columns(
            pl.lit(position, pl.Int32).alias("step"),
            # Whoever completed a step had come to it by then.
            pl.min_horizontal("reached_at", "completed_at").alias("reached_at"),
            pl.coalesce("last_reached_at", "completed_at").alias("last_reached_at"),
        )
        parts.append(part)
        before = part.drop_nulls("completed_at").select("user_id", at="completed_at")
    if not parts:
        return pl.DataFrame(schema={"user_id": base.schema["user_id"]} | STEPS)
    return pl.concat([p.select("user_id", *STEPS) for p in parts]).sort("user_id", "step")


def early_table(known: pl.LazyFrame, definition: Definition) -> pl.DataFrame:
    """Say of each user and event of the first days when first, how often, and on which days."""
    since = pl.col("at") - pl.col("signed_up_at")
    return (
        known.filter(since < days(definition.first_days))
        .with_columns((since.dt.total_microseconds() // 86_400_000_000).alias("k"))
        .group_by("user_id", "event", "k")
        .agg(pl.col("at").min().alias("first_at"), pl.len().alias("times"))
        .with_columns(pl.lit(2, pl.Int64).pow(pl.col("k")).alias("days"))
        .group_by("user_id", "event")
        .agg(pl.col("first_at").min(), pl.col("times").sum(), pl.col("days").sum())
        .sort("user_id", "event")
        .collect()
    )


def days_table(known: pl.LazyFrame, definition: Definition, zone: str) -> pl.DataFrame:
    """Say of each user, local day and role when first and last, and how often."""
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
