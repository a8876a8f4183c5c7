"""The pooled curve is as sure as its cohorts and its users let it be."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

import engagekit as ek
from engagekit.intervals import wilson

SCHEMA = {
    "cohort": pl.Int64,
    "period": pl.Int64,
    "n": pl.Int64,
    "of": pl.Int64,
    "complete": pl.Boolean,
}


def curves(*counts: tuple[int, int]) -> pl.DataFrame:
    rows = [(c, 1, n, of, True) for c, (n, of) in enumerate(counts)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_cohorts_that_differ_widen_the_interval():
    """r = 30/100, Σ (n - of·r)² = 0 + 36 + 36; times 3/2 over 100 · 0.21."""
    row = ek.pooled_curve(curves((12, 40), (15, 30), (3, 30))).row(0, named=True)
    effect = 1.5 * 72 / 21
    assert row["design_effect"] == pytest.approx(effect)
    assert row["rate"] == 0.3
    z = 4.302653  # Student's, two degrees of freedom
    p, m = 0.3, 100 / effect
    half = z / (1 + z * z / m) * (p * (1 - p) / m + z * z / (4 * m * m)) ** 0.5
    middle = (p + z * z / (2 * m)) / (1 + z * z / m)
    assert (row["low"], row["high"]) == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_cohorts_alike_one_alone_and_rates_of_all_or_none_stay_wilsons():
    for counts in (
        [(12, 40), (12, 40), (12, 40)],
        [(12, 40)],
        [(0, 40), (0, 30)],
        [(40, 40), (30, 30)],
    ):
        row = ek.pooled_curve(curves(*counts)).row(0, named=True)
        assert row["design_effect"] == 1
        assert (row["low"], row["high"]) == pytest.approx(wilson(row["n"], row["of"]))
    mean = ek.pooled_curve(curves((12, 40), (30, 40)), average="mean").row(0, named=True)
    assert (mean["low"], mean["design_effect"]) == (None, None)


@pytest.mark.parametrize("size", [50, 1000])
@pytest.mark.parametrize("spread", [0.0, 0.02, 0.04, 0.08])
def test_ninety_five_of_a_hundred_hold(size, spread):
    draw = np.random.default_rng(int(1000 * spread) + size)
    rate = np.clip(0.3 + draw.normal(0, spread, (1500, 12)), 0, 1)
    n = draw.binomial(size, rate)
    log, cohort = (each.ravel() for each in np.indices(n.shape))
    table = pl.DataFrame({"log": log, "cohort": cohort, "n": n.ravel()}).with_columns(
        period=pl.lit(1), of=pl.lit(size), complete=pl.lit(value=True)
    )
    curve = ek.pooled_curve(table)
    held = ((curve["low"] <= 0.3) & (curve["high"] >= 0.3)).mean()
    assert 0.935 <= held <= 0.98
    if spread == 0.08 and size == 1000:
        naive = [wilson(x, of) for x, of in curve.select("n", "of").iter_rows()]
        assert np.mean([low <= 0.3 <= high for low, high in naive]) < 0.4


MONDAY = date(2026, 1, 5)


def regulars() -> pl.DataFrame:
    """Ten users who work every week for thirty weeks, and ten who did so once and never came back."""
    rows = [(u, MONDAY + timedelta(weeks=w)) for u in range(10) for w in range(30)]
    rows += [(10 + u, MONDAY + timedelta(weeks=u)) for u in range(10)]
    return pl.DataFrame(rows, schema=["user_id", "at"], orient="row").with_columns(
        event=pl.lit("work")
    )


def test_a_user_who_counts_in_many_cohorts_is_one_user():
    """280 of 290 starts came back a week later; there are twenty people, half of whom never did."""
    curves = ek.retention(
        regulars(), start="work", cohorts="each", periods=2, as_of=MONDAY + timedelta(weeks=30)
    )
    row = ek.pooled_curve(curves).filter(period=1).row(0, named=True)
    assert (row["n"], row["of"]) == (290, 300)
    x = np.array(
        [29] * 10 + [0] * 10
    )  # starts that were followed, and those that came back, per user
    m = np.array([29] * 10 + [1] * 10)
    p = x.sum() / m.sum()
    effect = 20 / 19 * ((x - p * m) ** 2).sum() / (m.sum() * p * (1 - p))
    assert (row["n"], row["of"]) == (x.sum(), m.sum())
    assert row["design_effect"] == pytest.approx(effect)
    assert (
        row["high"] - row["low"] > wilson(row["n"], row["of"])[1] - wilson(row["n"], row["of"])[0]
    )


def test_users_are_clusters_within_their_own_group():
    log = regulars().with_columns(
        plan=pl.when(pl.col("user_id") < 5).then(pl.lit("a")).otherwise(pl.lit("b"))
    )
    asked = {
        "start": "work",
        "cohorts": "each",
        "periods": 2,
        "as_of": MONDAY + timedelta(weeks=30),
    }
    by_plan = ek.pooled_curve(ek.retention(log, by="plan", **asked)).filter(period=1)
    for plan in "ab":
        alone = ek.pooled_curve(ek.retention(log.filter(plan=plan), **asked)).filter(period=1)
        assert by_plan.filter(plan=plan).drop("plan").equals(alone)
    assert "users_effect" not in ek.retention(log, start="work", as_of=asked["as_of"]).columns
