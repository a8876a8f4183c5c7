"""From the packed keys of a reduction back to the declared tables of journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT
from engagekit.journeys import DAYS, EARLY, STEPS
from engagekit.rollups.acting import NEVER

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.rollups.polars_reduction import Codes


def unpacked(
    base: pl.DataFrame, found: dict[str, pl.DataFrame], definition: Definition, codes: Codes
) -> dict[str, pl.DataFrame]:
    """Name and order what a reduction found: the four tables."""
    days, early = found["days"].sort("key"), found["early"].sort("key")
    return {
        "users": _users_table(base, found["acting"], _activated(found, codes), days, codes),
        "steps": _steps_table(base, found["sides"], definition, codes),
        "early": _early_table(base, early, codes),
        "days": _days_table(base, days, codes),
    }


def _users_table(
    base: pl.DataFrame,
    acting: pl.DataFrame,
    activated: pl.DataFrame,
    days: pl.DataFrame,
    codes: Codes,
) -> pl.DataFrame:
    import numpy as np

    span = codes.span
    role = pl.col("key") // span
    core = days.select(u=role // len(codes.roles), role=role % len(codes.roles), at="last_at")
    core = core.filter(pl.col("role") == list(codes.roles).index("core"))
    users, last = core["u"].to_numpy(), np.full(codes.users, -NEVER)
    np.maximum.at(last, users, core["at"].to_numpy())
    times = {
        "activated_at": _placed(activated["u"], activated["first_at"], codes.users),
        "first_action_at": acting["first_action_at"],
        "last_core_at": pl.Series(last).replace(-NEVER, None),
        "last_seen_at": acting["last_seen_at"],
    }
    return base.drop("given").with_columns(
        *[column.cast(AT).alias(name) for name, column in times.items()],
        pl.Series("core_days", np.bincount(users, minlength=codes.users)),
        acting["active_days"],
        acting["early_events"],
    )


def _activated(found: dict[str, pl.DataFrame], codes: Codes) -> pl.DataFrame:
    """Say who activated when: ``u, first_at``."""
    if "activated" in found:
        return found["activated"]
    width = len(codes.sides)
    mine = found["sides"].filter(pl.col("key") % width == 0)
    return mine.select((pl.col("key") // width).alias("u"), "first_at")


def _placed(places: pl.Series, values: pl.Series, count: int) -> pl.Series:
    """Put values at their places among nulls."""
    return pl.Series([None], dtype=pl.Int64).new_from_index(0, count).scatter(places, values)


def _steps_table(
    base: pl.DataFrame, sides: pl.DataFrame, definition: Definition, codes: Codes
) -> pl.DataFrame:
    width, names = len(codes.sides), list(codes.sides)
    u = (pl.col("key") // width).alias("u")
    before = base.select(
        pl.int_range(pl.len()).alias("u"), pl.col("signed_up_at").to_physical().alias("first_at")
    )
    before = before.with_columns(pl.col("first_at").alias("last_at"))
    parts = []
    for position, step in enumerate(definition.steps):
        found = {
            side: sides.filter(pl.col("key") % width == names.index(f"{position} {side}")).select(
                u, "first_at", "last_at"
            )
            for side, matcher in (("reached", step.reached), ("completed", step.completed))
            if matcher is not None
        }
        reached = found.get("reached", before)
        part = _step(reached, found.get("completed", reached), position)
        parts.append(part)
        before = part.drop_nulls("completed_at").select(
            "u", first_at="completed_at", last_at="completed_at"
        )
    if not parts:
        return pl.DataFrame(schema={"user_id": base.schema["user_id"]} | STEPS)
    times = [_instant(c) for c in ("reached_at", "last_reached_at", "completed_at")]
    table = pl.concat(parts).sort("u", "step")
    return table.select(_user(base, pl.col("u")), "step", *times)


def _step(reached: pl.DataFrame, done: pl.DataFrame, position: int) -> pl.DataFrame:
    part = reached.select("u", reached_at="first_at", last_reached_at="last_at").join(
        done.select("u", completed_at="first_at"), on="u", how="full", coalesce=True
    )
    return part.with_columns(
        pl.lit(position, pl.Int32).alias("step"),
        # Whoever completed a step had come to it by then.
        pl.min_horizontal("reached_at", "completed_at").alias("reached_at"),
        pl.coalesce("last_reached_at", "completed_at").alias("last_reached_at"),
    )


def _early_table(base: pl.DataFrame, early: pl.DataFrame, codes: Codes) -> pl.DataFrame:
    width = len(codes.events)
    key, names = pl.col("key"), pl.lit(pl.Series(codes.events, dtype=pl.String))
    return early.sort("key").select(
        _user(base, key // width),
        names.gather(key % width).alias("event"),
        _instant("first_at"),
        *[pl.col(c).cast(EARLY[c]) for c in ("times", "days")],
    )


def _days_table(base: pl.DataFrame, days: pl.DataFrame, codes: Codes) -> pl.DataFrame:
    span, width = codes.span, len(codes.roles)
    key, names = pl.col("key"), pl.lit(pl.Series(list(codes.roles), dtype=pl.String))
    day = (key % span + codes.first_day).cast(pl.Int32).cast(pl.Date)
    return days.sort("key").select(
        _user(base, key // (span * width)),
        day.alias("day"),
        names.gather(key // span % width).alias("role"),
        _instant("first_at"),
        _instant("last_at"),
        pl.col("times").cast(DAYS["times"]),
    )


def _instant(column: str) -> pl.Expr:
    return pl.col(column).cast(AT)


def _user(base: pl.DataFrame, place: pl.Expr) -> pl.Expr:
    return pl.lit(base["user_id"]).gather(place).alias("user_id")
