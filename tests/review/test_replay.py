"""The record of our own claims: each row against the answer asked for itself, and planted changes that must show."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
import real_logs

import engagekit as ek

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=UTC)


def product(months: int = 20, mended: int | None = None) -> ek.Journeys:
    """Ten sign-ups a day; of ten, two are activated (six once it is mended); half of those come back weekly."""
    rows = []
    for day in range(30 * months):
        for u in range(10):
            user, at = 10 * day + u, START + timedelta(days=day, minutes=u)
            rows.append((user, "join", at))
            if u < (6 if mended is not None and day >= mended else 2):
                rows.append((user, "make", at + timedelta(hours=1)))
                rows += [
                    (user, "make", at + timedelta(days=7 * k))
                    for k in range(1, 40)
                    if u % 2 == 0 and day + 7 * k < 30 * months
                ]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(signup="join", activation="make", core="make", habit_days=14, depth_days=35,
                               targets={"activation": 0.4, "habit": 0.3})  # fmt: skip
    return ek.rollup(log, definition, as_of=START + timedelta(days=30 * months))


@pytest.mark.thorough
def test_a_verdict_that_stands_and_one_that_is_mended() -> None:
    steady = ek.replay(product()).filter(claim="verdict")
    assert set(steady["said"]) == {"named activation"}
    assert steady["came_out"].drop_nulls().all()
    assert steady["came_out"].null_count() in {3, 4}  # what came of the last quarter is not known
    mended = ek.replay(product(mended=300)).filter(claim="verdict")
    assert not mended["came_out"].drop_nulls().all()
    assert mended["said"][-1] == "none broken"


@pytest.mark.thorough
def test_what_was_said_is_what_would_have_been_said_then() -> None:
    journeys = product(12)
    found = ek.replay(journeys).filter(claim="verdict")
    end = found["as_of"][5]
    days = 14 + 14 + 182
    then = journeys.at(end).where(signed_up=(end - timedelta(days=days), None))
    assert found["rate"][5] == pytest.approx(ek.prioritize(then).probability)


@pytest.mark.thorough
def test_ends_are_local_months_and_since_cuts_them() -> None:
    journeys = product(12)
    found = ek.replay(journeys).filter(claim="track")
    assert all((at.day, at.hour) == (1, 0) for at in found["as_of"])
    later = ek.replay(journeys, since="2024-06-15").filter(claim="track")
    assert later["as_of"][0] == datetime(2024, 7, 1, tzinfo=UTC)
    quarters = ek.replay(journeys, every="quarter").filter(claim="track")
    assert {at.month % 3 for at in quarters["as_of"]} == {1}


@pytest.mark.thorough
def test_drift_counts_who_came_back() -> None:
    found = ek.replay(product()).filter(pl.col("claim") == "drift").drop_nulls("n")
    assert (found["n"] <= found["of"]).all()
    for row in found.to_dicts():
        assert row["rate"] == pytest.approx(row["n"] / row["of"])
        assert row["came_out"] == (row["rate"] < 0.5)


def test_refusals() -> None:
    with pytest.raises(ek.EngagekitError, match="every is 'week'"):
        ek.replay(product(3), every="week")  # type: ignore[arg-type]
    with pytest.raises(ek.EngagekitError, match="must lie inside the log"):
        ek.replay(product(3), since="2030-01-01")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["travelse", "gcc"])
def test_24_month_ends_of_a_real_log(shared: Path, name: str) -> None:
    journeys = real_logs.journeys(shared, name)
    begun = time.process_time()
    (
        ek.prioritize(journeys),
        ek.diagnose(journeys),
        ek.compare_first_weeks(journeys),
        ek.metrics(journeys),
    )
    one = time.process_time() - begun
    begun = time.process_time()
    found = ek.replay(journeys)
    many = time.process_time() - begun
    assert found.filter(claim="verdict").height == 24
    assert many < 20 * max(one, 0.2), (one, many)
