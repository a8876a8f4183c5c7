"""From what a reduction found to the declared tables of journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engagekit.instants import AT
from engagekit.journeys import STEPS, DayArrays
from engagekit.rollups.block_reduction import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.definition import Definition
    from engagekit.rollups.block_reduction import Found
    from engagekit.rollups.id_lookup import Numbers
    from engagekit.rollups.meanings import Meanings


def unpacked(
    base: pl.DataFrame, found: Found, definition: Definition, meanings: Meanings
) -> tuple[dict[str, pl.DataFrame], DayArrays]:
    """Name what a reduction found: the four tables, sorted, and the days once more, as arrays."""
    ids, days = base["user_id"], found.days.taken()
    tables = {
        "users": _users_table(base, found),
        "steps": _steps_table(base, found, definition, meanings),
        "early": _early_table(ids, found, meanings),
        "days": _days_table(ids, days, meanings),
    }
    return tables, _day_arrays(days, meanings)


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
    rows = pl.DataFrame(dict(zip(("u", "side", "first_at", "last_at"), found.sides.taken(), strict=True)))  # fmt: skip
    number = {name: n for n, name in enumerate(meanings.sides.names)}
    named = [(number.get(f"{k} reached"), number.get(f"{k} completed")) for k in range(len(definition.steps))]  # fmt: skip
    whole = _of_both_sides(rows, named)
    before = pl.DataFrame({
        "u": np.arange(base.height, dtype=np.int32), "first_at": base["signed_up_at"].to_physical(),
        "last_at": base["signed_up_at"].to_physical(),
    })  # fmt: skip
    parts = [whole]
    for position, (reached, completed) in enumerate(named):
        if reached is not None and completed is not None:
            continue
        if position:
            last = parts[-1] if None in named[position - 1] else whole
            ended = last.filter(pl.col("step") == position - 1).drop_nulls("completed_at")
            before = ended.select("u", first_at="completed_at", last_at="completed_at")
        come = before if reached is None else rows.filter(pl.col("side") == reached).drop("side")
        done = come if completed is None else rows.filter(pl.col("side") == completed).drop("side")
        step = pl.lit(position, pl.Int32).alias("step")
        parts.append(_step(come.with_columns(step), done.with_columns(step)))
    table = pl.concat(parts).sort("u", "step")
    times = [pl.col(c).cast(AT) for c in ("reached_at", "last_reached_at", "completed_at")]
    return table.select(base["user_id"].gather(table["u"]), "step", *times)


def _of_both_sides(
    rows: pl.DataFrame, named: Sequence[tuple[int | None, int | None]]
) -> pl.DataFrame:
    """Put together the steps of which both sides are named: all at once, as there may be thousands."""
    sides = []
    for end in (0, 1):
        place = {pair[end]: step for step, pair in enumerate(named) if None not in pair}
        known = pl.DataFrame(
            {"side": list(place), "step": list(place.values())},
            schema={"side": rows.schema["side"], "step": pl.Int32},
        )
        sides.append(rows.join(known, on="side", how="inner").drop("side"))
    return _step(*sides)


def _step(reached: pl.DataFrame, done: pl.DataFrame) -> pl.DataFrame:
    part = reached.select("u", "step", reached_at="first_at", last_reached_at="last_at").join(
        done.select("u", "step", completed_at="first_at"),
        on=["u", "step"],
        how="full",
        coalesce=True,
    )
    return part.with_columns(
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


def _days_table(ids: pl.Series, days: Sequence[Numbers], meanings: Meanings) -> pl.DataFrame:
    u, role, day, first_at, last_at, times = days
    return pl.DataFrame({
        "user_id": ids.gather(u), "day": pl.Series(day).cast(pl.Date), "role": _named(meanings.roles.names, role),
        "first_at": pl.Series(first_at).cast(AT), "last_at": pl.Series(last_at).cast(AT), "times": times,
    })  # fmt: skip


def _day_arrays(days: Sequence[Numbers], meanings: Meanings) -> DayArrays:
    """Take the days as `day_arrays` would from their table; of the roles those that occur."""
    user, role, day, first, last, times = days
    there = np.bincount(role, minlength=len(meanings.roles.names)) > 0
    place = (np.cumsum(there) - 1).astype(np.int16)
    roles = tuple(name for name, occurs in zip(meanings.roles.names, there, strict=True) if occurs)
    columns = {"user": user, "role": place[role], "day": day, "first": first, "last": last}
    return DayArrays(columns | {"times": times}, roles)


def _named(names: list[str], places: Numbers) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(places)
