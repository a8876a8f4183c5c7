"""Core days of arms whose users sit in accounts: users of one account who go alike count for less than so many users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

import engagekit as ek

MAKE = ek.Definition(signup="join", activation="make", core="make")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def made(alike: bool) -> ek.Journeys:
    """Make 40 accounts of 5 users: core days are the account's, or each user's own."""
    rows, people = [], []
    for k in range(200):
        account = k // 5
        days = 1 + (account * 7 if alike else k * 7) % 6
        rows.append((k, "join", BEGIN))
        rows += [(k, "make", BEGIN + timedelta(days=1 + 3 * d)) for d in range(days)]
        people.append((k, f"acme {account}", ("a", "b")[account % 2]))
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    users = pl.DataFrame(people, schema=["user_id", "account_id", "arm"], orient="row")
    return ek.rollup(log, MAKE, users=users, as_of="2026-04-01")


def width(journeys: ek.Journeys) -> float:
    table = ek.experiment(journeys, variant="arm", link="core_days", control="a").table
    row = table.filter(pl.col("low").is_not_null()).tail(1)
    return float((row["high"] - row["low"]).item())


def test_users_who_go_alike_widen_the_interval():
    assert width(made(alike=True)) > 1.5 * width(made(alike=False))
