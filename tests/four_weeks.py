"""A log by hand as it is in April and again in May: from the day the play starts on, twice as many users activate."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

import engagekit as ek

BEGIN = datetime(2026, 1, 5)
DEFINITION = ek.Definition(
    name="Invoices",
    signup="joined",
    activation="invoice",
    core="invoice",
    advanced=["report"],
    activation_days=7,
    habit_days=14,
    depth_days=35,
    depth_within_days=28,
    outcome_days=(28, 42),
    usage_interval_days=7,
    burn_in_days=0,
    targets={"activation": 0.6},
)
APRIL, MAY = 100, 145  # days of the log
USERS_A_DAY = 12


def log_of(days: int, *, report: str = "report", first: int = 0, ids: str = "u") -> pl.DataFrame:
    """Make a log by hand: of each day's sign-ups 5 of 12 activate, from day 100 on 10 of 12."""
    rows = []
    for user in range(days * USERS_A_DAY):
        day, place = divmod(user, USERS_A_DAY)
        if day < first:
            continue
        joined = BEGIN + timedelta(days=day, minutes=place)
        acts = [(joined, "joined")]
        if place < (5 if day < APRIL else 10):
            acts += [(joined + timedelta(days=gap, hours=1), "invoice") for gap in (0, 5, 12, 19)]
            acts += [(joined + timedelta(days=6, hours=2), report)]
        rows += [
            (f"{ids}{user:05d}", name, at) for at, name in acts if at < BEGIN + timedelta(days=days)
        ]
    return pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")


def users_of(days: int) -> pl.DataFrame:
    ids = [f"u{user:05d}" for user in range(days * USERS_A_DAY)]
    return pl.DataFrame(
        {"user_id": ids, "plan": ["free" if n % 3 else "paid" for n in range(len(ids))]}
    )
