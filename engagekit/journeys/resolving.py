"""What follows once from a whole log: its windows, the product's clock, who is set apart, and what to bear in mind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import Remark, many
from engagekit.instants import AT, day_of, last_day, local_day
from engagekit.journeys.clock import activity, clock_of
from engagekit.journeys.gaps import interval_of, intervals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from engagekit.definition import Definition
    from engagekit.log import Frame

BEFORE = "signed up before the log starts"
TIMES = 4  # a log shorter than so many usage intervals says little about them
SHORT_LOG, LONG_RHYTHM, LATE_ENTRY = (
    "log too short for the rhythm",
    "rhythm beyond the habit window",
    "late entry",
)  # kinds of remarks


@dataclass(frozen=True)
class Counts:
    """What is counted in each part of a log, and added up: users by own interval, users active per day, the late."""

    intervals: pl.DataFrame
    active: pl.DataFrame
    late: int


def counts_of(tables: Mapping[str, Frame]) -> Counts:
    """Count in one part of the journeys' tables, the late set apart."""
    late = tables["late"].lazy().select(pl.len()).collect().item()
    return Counts(intervals(tables["days"]), activity(tables["days"]), late)


def set_apart(tables: Mapping[str, Frame], log_start: datetime, zone: str) -> dict[str, Frame]:
    """Put users whose sign-up lies before the log into a table of their own, `late`; their days stay with all days.

    What they did before the log nobody knows: neither whether they activated in time nor what their first weeks held.
    """
    at, start = pl.col("signed_up_at"), pl.lit(log_start, AT)
    early = (at < start) & (local_day(at, zone) < local_day(start, zone))
    users = tables["users"].lazy()
    late = users.filter(early)
    frames = {"users": users.filter(~early), "late": late}
    if not late.select(pl.len()).collect().item():
        frames["users"] = users
    else:
        ids = late.select("user_id")
        for name in ("steps", "early"):
            frames[name] = tables[name].lazy().join(ids, on="user_id", how="anti")
    lazy = {n: isinstance(f, pl.LazyFrame) for n, f in tables.items()} | {
        "late": isinstance(tables["users"], pl.LazyFrame)
    }
    made = {n: f if lazy[n] else f.collect() for n, f in frames.items()}
    return dict(tables) | made


def resolved(
    parts: Sequence[Counts],
    definition: Definition,
    *,
    as_of: datetime,
    log_start: datetime,
    zone: str,
    unit: str,
) -> dict[str, Any]:
    """Say what all parts of a log settle together: `definition`, `clock`, and the `remarks` that follow."""
    counts = pl.concat([part.intervals for part in parts])
    found = definition.resolved(interval_of(counts))
    first, last = day_of(log_start, zone), last_day(as_of, zone)
    late = sum(part.late for part in parts)
    known = bool(counts.height) or definition.usage_interval_days is not None
    remarks = [
        *(_of_rhythm(found, (last - first).days + 1) if known else []),
        *([_of_late(late, unit)] if late else []),
    ]
    clock = clock_of([part.active for part in parts], first, max(first, last))
    return {"definition": found, "clock": clock, "remarks": tuple(remarks)}


def late_counted(parts: Sequence[Counts], unit: str) -> Counter[tuple[str, str]]:
    """Count the late among what is left out of links, labels, cohorts and comparisons."""
    return Counter({(BEFORE, f"{unit}s"): sum(part.late for part in parts)})


def _of_rhythm(definition: Definition, covered: int) -> list[Remark]:
    interval, habit = definition.usage_interval_days or 0, definition.habit_days or 0
    found = []
    if covered < TIMES * interval:
        text = (
            f"The log covers {many(covered, 'day')}, less than {TIMES} times the usage interval of {interval:g} days. "
            f"Longer pauses could not show in it, so the true interval may be longer, and the habit window of "
            f"{habit} days too short."
        )
        found.append(Remark(SHORT_LOG, ("habit",), text))
    if interval >= habit:
        text = (
            f"Users usually pause for {interval:g} days between core days, and the habit window of {habit} days has ended by "
            "then: many who keep their rhythm count as not having come back. Set habit_days above their rhythm."
        )
        found.append(Remark(LONG_RHYTHM, ("habit",), text))
    return found


def _of_late(late: int, unit: str) -> Remark:
    text = (
        f"{many(late, unit)} signed up before the log starts: counted in the engagement rate, engagement depth, usage "
        "interval and product clock where the log can judge them, left out of links, labels, cohorts and comparisons."
    )
    return Remark(LATE_ENTRY, ("signed_up_at",), text, users=late)
