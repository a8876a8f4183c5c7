"""Planted tests and plays: the reading finds what was planted."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.simulation import PlantedPlay, PlantedTest


def made(**more: object) -> tuple[ek.Journeys, object]:
    found = ek.simulate(users=6000, days=200, seed=3, **more)  # type: ignore[arg-type]
    return ek.rollup(found.events, found.definition, users=found.users, as_of=found.as_of), found


def test_an_effect_is_planted_and_found() -> None:
    journeys, found = made(experiment=PlantedTest(effect=0.10))
    read = ek.experiment(journeys, link="activation")
    assert read.verdict == "better"
    assert read.low < 0.10 < read.high
    assert found.arms["moved"].sum() > 100


def test_no_effect_stays_untold_at_every_look() -> None:
    journeys, _ = made(experiment=PlantedTest())
    for day in ("2025-09-15", "2025-10-15", "2025-11-15", "2025-12-15"):
        assert ek.experiment(journeys.at(day), link="activation").verdict == "cannot tell yet"


def test_a_lost_share_of_one_arm_stops_the_reading() -> None:
    journeys, found = made(experiment=PlantedTest(effect=0.10, lost=0.15))
    assert ek.experiment(journeys, link="activation").verdict == "stop: the split is off"
    assert found.arms["lost"].sum() > 300


def test_spill_over_between_arms_of_one_account() -> None:
    whole, _ = made(accounts=4, experiment=PlantedTest(effect=0.15, by_account=True))
    spilt, _ = made(accounts=4, experiment=PlantedTest(effect=0.15, spill=0.8))
    apart, mixed = ek.experiment(whole, link="activation"), ek.experiment(spilt, link="activation")
    assert "spill-over" in {remark.kind for remark in mixed.remarks}
    assert "spill-over" not in {remark.kind for remark in apart.remarks}
    assert mixed.difference < apart.difference - 0.04


def test_a_play_that_begins_at_a_date() -> None:
    begins = datetime(2025, 11, 15, tzinfo=UTC)
    before, _ = made()
    after, _ = made(play_begins=PlantedPlay(begins, 0.15))
    rise = [ek.track(j, since=begins, link="activation").difference for j in (before, after)]
    assert rise[1] - rise[0] == pytest.approx(0.15, abs=0.04)
    early = pl.col("signed_up_at") < begins
    assert after.users.filter(early)["activated_at"].equals(
        before.users.filter(early)["activated_at"]
    )


def test_what_cannot_be_planted_is_refused() -> None:
    with pytest.raises(ek.EngagekitError, match=r"(?s)link is.*effect is"):
        PlantedTest(effect=-0.1, link="habits")
