"""A planned test and honest dates: what it takes, what a quarter shows, and no date that cannot be kept."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.sequential import users_any_time

START = datetime(2025, 1, 1, tzinfo=UTC)


def product(users: int, days: float, every: int = 3, target: float = 0.5) -> ek.Priority:
    rows = []
    for u in range(users):
        at = START + timedelta(days=days * u / users)
        rows.append((u, "join", at))
        if u % every == 0:
            rows.append((u, "make", at + timedelta(hours=1)))
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(
        signup="join", activation="make", core="make", habit_days=7, targets={"activation": target}
    )
    return ek.prioritize(ek.rollup(log, definition, as_of=START + timedelta(days=days)))


def test_a_test_is_planned_from_the_products_own_sign_ups() -> None:
    priority = product(6000, 300)
    found = ek.plan(priority, experiment=True, goal=0.40)
    row = priority.table.row(0, named=True)
    assert found.test is not None
    assert found.test.users_per_arm == pytest.approx(
        users_any_time(row["rate"], 0.40, margin=0.02, effect=row["design_effect"]), abs=1
    )
    assert found.test.days == pytest.approx(
        7 * 2 * found.test.users_per_arm / found.signups_per_week + 14, abs=1
    )
    assert found.visible_on == found.test.ends_on
    assert found.test.users_for_margin > found.test.users_per_arm
    assert 0 < found.test.smallest_effect < 0.3
    assert "in either arm" in found.sentence


def test_no_date_beyond_two_years() -> None:
    slow = product(400, 380)
    found = ek.plan(slow, goal=0.345)
    assert found.visible_on is None
    assert "not within two years" in found.sentence
    test = ek.plan(slow, goal=0.345, experiment=True)
    assert (test.visible_on, test.test.days) == (None, None)
    assert "not within two years" in test.sentence


def test_no_date_that_the_time_before_cannot_carry() -> None:
    found = ek.plan(product(700, 70), goal=0.38)
    assert found.users_needed > 700
    assert found.visible_on is None
    assert "no date can be given" in found.sentence
    assert ek.plan(product(7000, 300), goal=0.42).visible_on is not None


def test_what_needs_more_users_than_there_are_days_does_not_overflow() -> None:
    found = ek.plan(product(3000, 100, every=3), goal=0.3345)
    assert found.visible_on is None
    assert ek.plan(product(3000, 100), goal=0.3345, experiment=True).test.ends_on is None
    nobody = ek.plan(product(3000, 100), signups_per_week=0, experiment=True)
    assert nobody.test.days is None
    assert "nobody signed up lately" in nobody.sentence


def test_a_link_that_nobody_reaches_has_no_test() -> None:
    priority = product(600, 60)
    gone = pl.when(pl.col("link") != "activation").then("rate").otherwise(0.0)
    nobody = dataclasses.replace(priority, table=priority.table.with_columns(rate=gone))
    found = ek.plan(nobody, link="habit", experiment=True)
    assert (found.test.users_per_arm, found.test.ends_on, found.visible_on) == (None, None, None)
    assert "nobody gets that far" in found.sentence
