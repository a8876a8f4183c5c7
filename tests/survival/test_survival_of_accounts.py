from __future__ import annotations

import dataclasses
import math
import random
from datetime import datetime, timedelta

import polars as pl
import pytest

import engagekit as ek


def of_accounts(seed: int, *, alike: float, accounts: int = 80, size: int = 15):
    """Users whose time to going quiet is half their account's; the plan is the account's too, and means nothing."""
    draw = random.Random(seed)
    rows, people = [], []
    for account in range(accounts):
        plan = draw.choice(["a", "b"])
        own = draw.gauss(0, 1)
        for member in range(size):
            user = account * size + member
            days = round(math.exp(2.2 + alike * own + (1 - alike**2) ** 0.5 * draw.gauss(0, 1)))
            start = datetime(2026, 1, 1) + timedelta(days=draw.randrange(30))
            rows.append((user, "start", start))
            rows += [(user, "work", start + timedelta(days=d)) for d in {1, days} if d < 120]
            people.append((user, f"acc {account}", plan))
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    users = pl.DataFrame(people, schema=["user_id", "account_id", "plan"], orient="row")
    definition = ek.Definition(signup="start", activation="work", core="work")
    return ek.rollup(log, definition, users=users, as_of="2026-06-01")


@pytest.mark.slow
def test_groups_of_alike_accounts_are_not_told_apart_by_chance():
    """Users of an account alike, compared by a property of the account that means nothing: p < 0.05 in one of twenty."""
    found = [
        ek.compare_survival(of_accounts(seed, alike=0.6), quiet_days=21, by="plan")
        for seed in range(120)
    ]
    effects = [row["design_effect"][0] for row in found]
    assert 3 < sum(effects) / len(effects) < 8
    assert sum(row["p"][0] < 0.05 for row in found) <= 13
    naive = [row["chi2"][0] * row["design_effect"][0] > 3.84 for row in found]
    assert sum(naive) > 30


def test_accounts_of_strangers_change_nothing():
    row = ek.compare_survival(of_accounts(3, alike=0.0), quiet_days=21, by="plan").row(
        0, named=True
    )
    assert row["design_effect"] < 1.4
    journeys = of_accounts(3, alike=0.6)
    alone = dataclasses.replace(journeys, users=journeys.users.drop("account_id"))
    plain, clustered = (
        ek.compare_survival(j, quiet_days=21, by="plan").row(0, named=True)
        for j in (alone, journeys)
    )
    assert plain["design_effect"] == 1
    assert clustered["chi2"] == pytest.approx(plain["chi2"] / clustered["design_effect"])
    assert clustered["rmst"] == plain["rmst"]
    ratio = (clustered["high"] - clustered["rmst"]) / (plain["high"] - plain["rmst"])
    assert ratio == pytest.approx(clustered["design_effect"] ** 0.5)
    by_account = ek.compare_survival(journeys, quiet_days=21, by="account_id")
    assert by_account["design_effect"][0] == 1


def test_users_without_an_account_are_accounts_of_one():
    from engagekit.survival.clusters import accounts_effect

    counts = pl.DataFrame(
        {
            "plan": ["a", "a", "b", "b"],
            "account": [None] * 4,
            "time": [1.0, 9.0, 1.0, 9.0],
            "events": [5] * 4,
            "left": [0] * 4,
        },
        schema_overrides={"account": pl.Int64},
    )
    assert accounts_effect(counts, ["plan"], "account") == pytest.approx(20 / 19)
    assert accounts_effect(counts.with_columns(events=0), ["plan"], "account") == 1
    assert accounts_effect(counts.clear(), ["plan"], "account") == 1
