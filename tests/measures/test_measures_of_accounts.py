from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.intervals import wilson


def test_users_of_one_account_widen_shares_and_means():
    """Forty accounts of five: all of an account activate or none does, and all do the core action as often."""
    rows, people = [], []
    for user in range(200):
        account = user // 5
        rows.append((user, "join", 0.0))
        if account % 2:
            rows += [(user, "make", 0.5 + 0.1 * k) for k in range(1 + account % 5)]
        people.append((user, f"acc {account}"))
    users = pl.DataFrame(people, schema=["user_id", "account_id"], orient="row")
    log = pl.DataFrame(rows, schema=["user_id", "event", "day"], orient="row").select(
        "user_id",
        "event",
        (pl.lit(datetime(2026, 1, 1)) + pl.duration(minutes=pl.col("day") * 1440)).alias("at"),
    )
    definition = ek.Definition(
        signup="join", activation="make", core="make", habit_days=7, activation_days=7
    )
    asked = {"definition": definition, "as_of": "2026-01-20"}
    alone = ek.metrics(ek.rollup(log, **asked))
    clustered = ek.metrics(ek.rollup(log, users=users, **asked))
    same = ["metric", "reading", "n", "of", "value"]
    assert alone.select(same).equals(clustered.select(same))
    rate = pl.col("metric") == "activation rate"
    row = clustered.filter(rate).row(0, named=True)
    assert row["design_effect"] == pytest.approx(5 * 40 / 39)
    assert (row["low"], row["high"]) == pytest.approx(
        wilson(100 / row["design_effect"], 200 / row["design_effect"])
    )
    assert alone.filter(rate)["design_effect"].to_list() == [None]
    depth = pl.col("reading") == "mean, last 28 days"
    mean, plain = (t.filter(depth).row(0, named=True) for t in (clustered, alone))
    assert mean["design_effect"] == pytest.approx(5 * 20 / 19)
    ratio = (mean["high"] - mean["value"]) / (plain["high"] - plain["value"])
    assert ratio == pytest.approx(mean["design_effect"] ** 0.5)
    by_account = ek.metrics(ek.rollup(log, users=users, **asked), by="account_id")
    assert by_account["design_effect"].null_count() == by_account.height
    half = users.with_columns(
        plan=pl.when(pl.col("user_id") < 100).then(pl.lit("a")).otherwise(pl.lit("b"))
    )
    by_plan = ek.metrics(ek.rollup(log, users=half, **asked), by="plan").filter(rate)
    assert by_plan["design_effect"].to_list() == pytest.approx([5 * 20 / 19] * 2)
