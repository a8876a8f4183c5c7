"""Small logs of users who go as far along the loop as a test needs, and what is rolled up from them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import polars as pl

import engagekit as ek
from engagekit.ingest.event_forms import MISSING
from engagekit.rollups.findings import AS_OF

LINKS = ("activation", "habit", "depth", "advocacy")
START = datetime(2026, 3, 27, tzinfo=UTC)  # two nights before Berlin's clocks go forward
TARGETS = {"activation": 0.5, "habit": 0.5, "depth": 0.5}
BERLIN = ek.Definition(
    signup="join", activation="make", core="make", advanced=["report", "share"], advocacy=["invite"],
    steps=[ek.Step("Open", reached="open", completed="done"), ek.Step("Pick", reached="pick"), ek.Step("Load", completed="load")],
    outreach="mail", activation_days=3, habit_days=2, depth_days=6, advocacy_days=7,
    depth_uses=2, depth_within_days=2, usage_interval_days=1.5, timezone="Europe/Berlin",
)  # fmt: skip
PLAIN = dataclasses.replace(BERLIN, timezone="UTC")
WITH_TARGETS = dataclasses.replace(PLAIN, targets=TARGETS)


def log_of(*events: tuple[str, float], user: int = 1) -> list[tuple[int, str, datetime]]:
    """Write (event, days after the start) as rows of one user."""
    return [(user, event, START + timedelta(days=day)) for event, day in events]


def rolled(rows, definition=PLAIN, as_of: float | None = 30, **more) -> ek.Journeys:
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    end = as_of and START + timedelta(days=as_of)
    made = ek.rollup(log, definition, as_of=end, **({"missing": "allow"} | more))
    # What nobody does in these small logs could have been done, and they are complete up to `as_of`.
    meant = tuple(r for r in made.remarks if r.kind not in (MISSING, AS_OF))
    return dataclasses.replace(made, remarks=meant)


def steady(journeys: ek.Journeys) -> ek.Journeys:
    """Let every day weigh the same, so that product days are days: a log of one user has a clock of its own."""
    clock = journeys.clock.with_columns(weight=pl.lit(1.0))
    return dataclasses.replace(journeys, clock=clock)


def visits(*days: float) -> list[tuple[str, float]]:
    """Sign up, activate on day 0 and do the core action on these days."""
    return [("join", 0), ("make", 0), *[("make", day) for day in days]]


def going_as_far_as(*counts: int, first: int = 0, day: float = 0) -> list:
    """Rows of users who sign up, activate, come back, go deep and invite: so many of each."""
    more = [
        [("join", 0)], [("make", 0.1)], [("make", 1)], [("report", 1), ("report", 2)], [("invite", 3)],
    ]  # fmt: skip
    rows = []
    for user in range(counts[0]):
        events = [
            event
            for stage, count in zip(more, counts, strict=False)
            if user < count
            for event in stage
        ]
        rows += log_of(*[(name, day + at) for name, at in events], user=first + user)
    return rows


def found_in(
    rows, *, definition=WITH_TARGETS, as_of: float = 60, users=None, **more
) -> ek.Priority:
    return ek.prioritize(rolled(rows, definition, as_of, users=users), **more)
