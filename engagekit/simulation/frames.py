"""A simulated log and its truth as frames: from chunks of (user, name, time) to rows with instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engagekit.instants import AT, instant
from engagekit.simulation.events import STEP_EVENTS, STEP_NAMES
from engagekit.simulation.users import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.simulation.events import Chunk, Visits
    from engagekit.simulation.users import Fates, Flags, Floats, Whole

DEVICES = ("web", "ios", "android")


@dataclass(frozen=True)
class Span:
    """The days a log covers: its first local midnight (wall clock), how many days, and where they lie."""

    midnight: datetime
    days: int
    timezone: str

    @property
    def end(self) -> datetime:
        """Return the data end as an instant."""
        return instant(self.midnight + timedelta(days=self.days), timezone=self.timezone)

    def on_weekend(self, room: int = 400) -> Flags:
        """Mark the weekend days of the span and of some days beyond."""
        marks: Flags = (np.arange(self.days + room) + self.midnight.weekday()) % 7 >= 5
        return marks

    def instants(self, at: pl.Expr) -> pl.Expr:
        """Turn days since the first midnight into instants; a clock time that does not exist is an hour later."""
        micro = (at * 86_400_000_000).floor().cast(pl.Int64)
        local = pl.lit(self.midnight, pl.Datetime("us")) + pl.duration(microseconds=micro)
        here, next_hour = (
            moment.dt.replace_time_zone(self.timezone, ambiguous="earliest", non_existent="null")
            for moment in (local, local + timedelta(hours=1))
        )
        return pl.coalesce(here, next_hour).dt.convert_time_zone("UTC").cast(AT)


def log_of(
    chunks: Sequence[Chunk],
    ids: pl.Series,
    span: Span,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Gather the chunks into one log by time, up to the end of the span."""
    names = sorted({name for _, name, _ in chunks})
    code = {name: number for number, name in enumerate(names)}
    user = np.concatenate([u for u, _, _ in chunks])
    at = np.concatenate([t for _, _, t in chunks])
    event = np.concatenate([np.full(u.size, code[name]) for u, name, _ in chunks])
    kept = at < span.days
    user, at, event = user[kept], at[kept], event[kept]
    usual = rng.choice(len(DEVICES), ids.len(), p=(0.6, 0.22, 0.18))
    device = np.where(rng.random(user.size) < 0.1, 0, usual[user])
    frame = pl.DataFrame({"user": user, "event": event, "at": at, "device": device})
    return (
        frame.lazy()
        .sort("at", "user", "event")
        .select(
            pl.lit(ids).gather(pl.col("user")).alias("user_id"),
            pl.lit(pl.Series(names)).gather(pl.col("event")).alias("event"),
            span.instants(pl.col("at")).alias("at"),
            pl.lit(pl.Series(DEVICES)).gather(pl.col("device")).alias("device"),
        )
        .sort("at", maintain_order=True)
        .collect()
    )


def truth_of(
    fates: Fates,
    visits: Visits,
    missing: Floats,
    chunks: Sequence[Chunk],
    deep: Sequence[Chunk],
    ids: pl.Series,
    span: Span,
) -> pl.DataFrame:
    """Say per user what was planted, what is true at the end of the span, and when things happened."""
    days = span.days
    deepened = _second_days(deep, fates.signed.size, days)
    returned = np.full(fates.signed.size, np.inf)
    later = visits.of(np.floor(visits.at) > np.floor(fates.activated[visits.user]))
    np.minimum.at(returned, later.user, later.at)
    steps = np.array([_first(chunks, r, fates.signed.size) < days for r, _ in STEP_EVENTS])
    stuck = (fates.planted == 1) & steps[fates.hot_step, np.arange(fates.signed.size)]
    active = fates.activated < days
    code = np.select(
        [
            ~active & ~steps.any(axis=0),
            ~active & stuck,
            ~active,
            returned >= days,
            missing < days,
            deepened < days,
        ],
        [CLASSES.index(c) for c in ("never_started", "friction", "stalled", "vanished", "drift", "healthy")],
        CLASSES.index("plateau"),
    )  # fmt: skip
    times = {
        "signed_up_at": fates.signed,
        "activated_at": fates.activated,
        "returned_at": returned,
        "deepened_at": deepened,
        "missing_since": missing,
    }
    frame = pl.DataFrame({"planted": fates.planted, "code": code, "hot": fates.hot_step} | times)
    named = pl.lit(pl.Series(CLASSES))
    return (
        frame.with_columns(ids, cadence_days=pl.Series(fates.cadence))
        .select(
            "user_id",
            named.gather(pl.col("planted")).alias("planted"),
            named.gather(pl.col("code")).alias("true_class"),
            pl.when(pl.col("code") == 1)
            .then(pl.lit(pl.Series(STEP_NAMES)).gather(pl.col("hot")))
            .alias("step"),
            *[span.instants(pl.when(pl.col(c) < days).then(c)).alias(c) for c in times],
            "cadence_days",
        )
        .sort("user_id")
    )


def _first(chunks: Sequence[Chunk], name: str, users: int) -> Floats:
    found = np.full(users, np.inf)
    for user, event, at in chunks:
        if event == name:
            np.minimum.at(found, user, at)
    return found


def _second_days(deep: Sequence[Chunk], users: int, days: int) -> Floats:
    """Find when each user first uses one advanced action on a second day."""
    found = np.full(users, np.inf)
    for user, _, at in deep:
        order = np.argsort(at, kind="stable")
        order = order[at[order] < days]
        key = user[order] * 100_000 + np.floor(at[order]).astype(np.int64)
        _, first = np.unique(key, return_index=True)
        who, when = user[order][first], at[order][first]
        second = np.flatnonzero(np.r_[False, who[1:] == who[:-1]] & ~_again(who))
        np.minimum.at(found, who[second], when[second])
    return found


def _again(who: Whole) -> Flags:
    """Mark rows that are at least their user's third."""
    marks: Flags = np.r_[np.zeros(min(2, who.size), bool), who[2:] == who[:-2]]
    return marks
