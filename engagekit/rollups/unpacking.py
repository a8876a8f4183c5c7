"""From what a reduction found to the declared tables of journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engagekit.instants import AT
from engagekit.journeys import STEPS
from engagekit.rollups.block_reduction import NEVER

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.rollups.block_reduction import Found
    from engagekit.rollups.id_lookup import Numbers
    from engagekit.rollups.meanings import Meanings


def unpacked(
    base: pl.DataFrame, found: Found, definition: Definition, meanings: Meanings
) -> dict[str, pl.DataFrame]:
    """Name what a reduction found: the four tables, sorted."""
    ids = base["user_id"]
    return {
        "users": _users_table(base, found),
        "steps": _steps_table(base, found, definition, meanings),
        "early": _early_table(ids, found, meanings),
        "days": _days_table(ids, found, meanings),
    }


def _users_table(base: pl.DataFrame, found: Found) -> pl.DataFrame:
    counts = pl.Series(found.early_events, dtype=pl.Array(pl.UInt32, found.early_events.shape[1]))
    return base.drop("given").with_columns(
        _instant(found.activated).alias("activated_at"),
        _instant(found.first_action).alias("first_action_at"),
        _instant(found.last_core).alias("last_core_at"),
        _instant(found.last_seen).alias("last_seen_at"),
        pl.Series("core_days", found.core_days),
        pl.Series("active_days", found.active_days),
        counts.cast(pl.List(pl.UInt32)).alias("early_events"),
    )


def _instant(micros: Numbers) -> pl.Series:
    values = pl.Series(micros)
    return (values.replace(NEVER, None) if (micros == NEVER).any() else values).cast(AT)


def _steps_table(
    base: pl.DataFrame, found: Found, definition: Definition, meanings: Meanings
) -> pl.DataFrame:
    """Say of each step when it was reached and completed; where only one side is named, the step before tells the other."""
    if not definition.steps:
        return pl.DataFrame(schema={"user_id": base.schema["user_id"]} | STEPS)
    sides = dict(zip(("u", "side", "first_at", "last_at"), found.sides.taken(), strict=True))
    by_side = pl.DataFrame(sides).sort("side", maintain_order=True)
    ends = np.searchsorted(by_side["side"].to_numpy(), np.arange(len(meanings.sides.names) + 1))
    side_of = {
        name: by_side[ends[n] : ends[n + 1]].drop("side") for n, name in enumerate(meanings.sides.names)
    }  # fmt: skip
    signed_up = base["signed_up_at"].to_physical()
    before = pl.DataFrame({
        "u": np.arange(base.height, dtype=np.int32), "first_at": signed_up, "last_at": signed_up,
    })  # fmt: skip
    parts = []
    for position in range(len(definition.steps)):
        reached = side_of.get(f"{position} reached", before)
        part = _step(reached, side_of.get(f"{position} completed", reached), position)
        parts.append(part)
        before = part.drop_nulls("completed_at").select(
            "u", first_at="completed_at", last_at="completed_at"
        )
    table = pl.concat(parts).sort("u", "step")
    times = [pl.col(c).cast(AT) for c in ("reached_at", "last_reached_at", "completed_at")]
    return table.select(base["user_id"].gather(table["u"]), "step", *times)


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


def _early_table(ids: pl.Series, found: Found, meanings: Meanings) -> pl.DataFrame:
    u, event, first_at, times, days = found.early.taken()
    return pl.DataFrame({
        "user_id": ids.gather(u), "event": _named(meanings.names, event), "first_at": pl.Series(first_at).cast(AT),
        "times": times, "days": days,
    })  # fmt: skip


def _days_table(ids: pl.Series, found: Found, meanings: Meanings) -> pl.DataFrame:
    u, role, day, first_at, last_at, times = found.days.taken()
    return pl.DataFrame({
        "user_id": ids.gather(u), "day": pl.Series(day).cast(pl.Date), "role": _named(meanings.roles.names, role),
        "first_at": pl.Series(first_at).cast(AT), "last_at": pl.Series(last_at).cast(AT), "times": times,
    })  # fmt: skip


def _named(names: list[str], places: Numbers) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(places)
