"""Whose value counts where a property varies within a user: that of the entry, of the first or of the last touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import Calendar, period_index, period_start
from engagekit.funnels.parameters import ENTERED, expression
from engagekit.instants import AT

if TYPE_CHECKING:
    from datetime import datetime

    from engagekit.funnels.attempts import Outcomes
    from engagekit.funnels.parameters import Asked


def attributed(
    log: pl.LazyFrame, outcomes: Outcomes, units: pl.DataFrame, asked: Asked, end: datetime
) -> pl.DataFrame:
    """Say of each unit (`_unit, user_id`) which group it is in: the columns of `by`, and the period of its entry.

    ``"start"`` takes the value of the event that opened the attempt; ``"first"`` the first value of the user's events that
    is not null; ``"last"`` the last such value not after the step that the attempt got to. Of several events of one instant
    the smallest value counts, null last.
    """
    entered = pl.DataFrame({"_unit": outcomes.unit, "_entered": outcomes.at[0]}).with_columns(
        pl.Series("_until", outcomes.at[outcomes.level, range(outcomes.level.size)]),
    )
    same = asked.values if asked.attribution == "same" else ()  # these stand in `units` already
    known = units.select("_unit", "user_id", *same).join(entered, on="_unit")
    for name in asked.values if not same else ():
        values = _values(log, known, name, asked, end)
        known = known.join(values, on="_unit", how="left")
    if asked.entered is not None:
        calendar = Calendar(asked.entered)
        start = period_start(period_index(pl.col("_entered").cast(AT), calendar), calendar)
        known = known.with_columns(start.alias(ENTERED))
    return known.drop("_entered", "_until")


def _values(
    log: pl.LazyFrame, known: pl.DataFrame, name: str, asked: Asked, end: datetime
) -> pl.DataFrame:
    # Only what is needed: the log's columns may bear any name, those of the units too.
    steps = asked.steps if asked.order == "any" else asked.steps[:1]
    opening = pl.any_horizontal(*[expression(step) for step in steps]).alias("opening")
    events = log.filter(pl.col("at") < end)
    events = events.select("user_id", "at", pl.col(name).alias("value"), opening)
    places = known.lazy().select("_unit", "user_id", "_entered", "_until")
    mine = events.join(places, on="user_id")
    at, value = pl.col("at").to_physical(), pl.col("value")
    if asked.attribution == "start":
        mine = mine.filter("opening", at == pl.col("_entered"))
        found = mine.group_by("_unit").agg(value.sort(nulls_last=True).first())
    elif asked.attribution == "first":
        mine = mine.filter(value.is_not_null()).sort("at", "value")
        found = mine.group_by("_unit", maintain_order=True).agg(value.first())
    else:
        mine = mine.filter(value.is_not_null(), at <= pl.col("_until"))
        order = pl.struct(at.alias("at"), value.rank("dense", descending=True).alias("place"))
        found = mine.group_by("_unit").agg(value.sort_by(order).last())
    return found.rename({"value": name}).collect()
