"""Planted tests and plays: the reading finds what was planted."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.simulation import PlantedTest


def made(**more: object) -> tuple[ek.Journeys, object]:
    found = ek.simulate(users=6000, days=200, seed=3, **more)  # type: ignore[arg-type]
    return ek.rollup(found.events, found.definition, users=found.users, as_of=found.as_of), found


def activated(found: object) -> dict[str, float]:
    """Take from the truth the share of each arm that was to activate."""
    lost = ("never_started", "friction", "stalled")
    active = (~pl.col("planted").is_in(lost)).mean()
    return dict(found.truth.group_by("variant").agg(active).iter_rows())


@pytest.mark.thorough
def test_a_lift_is_planted_and_found() -> None:
    journeys, found = made(experiment=PlantedTest(lift=0.10))
    read = ek.experiment(journeys, link="activation")
    assert read.verdict == "better"
    assert (read.control, read.variant) == ("control", "checklist")
    assert read.low < 0.10 < read.high
    rates = activated(found)
    assert rates["checklist"] - rates["control"] == pytest.approx(0.10, abs=0.035)


@pytest.mark.thorough
def test_no_lift_stays_untold_at_every_look() -> None:
    journeys, _ = made(experiment=PlantedTest())
    for day in ("2025-09-15", "2025-10-15", "2025-11-15", "2025-12-15"):
        assert ek.experiment(journeys.at(day), link="activation").verdict == "cannot tell yet"


def test_a_lost_share_of_one_arm_stops_the_reading() -> None:
    journeys, found = made(experiment=PlantedTest(lift=0.10, lost=0.15))
    assert ek.experiment(journeys, link="activation").verdict == "stop: the split is off"
    told = found.events.filter(event="exposed")["user_id"]
    unsaid = found.truth.filter(~pl.col("user_id").is_in(told.implode()))
    assert set(unsaid["variant"]) == {"checklist"}
    assert 300 < unsaid.height < 600


def test_an_uneven_split_that_was_meant_is_no_alarm() -> None:
    journeys, _ = made(experiment=PlantedTest(share=0.1))
    meant = ek.experiment(journeys, link="activation", shares={"control": 0.9, "checklist": 0.1})
    assert meant.verdict == "cannot tell yet"
    assert ek.experiment(journeys, link="activation").verdict == "stop: the split is off"


def test_spill_over_between_arms_of_one_account() -> None:
    whole, _ = made(accounts=4, experiment=PlantedTest(lift=0.15, by_account=True))
    spilt, _ = made(accounts=4, experiment=PlantedTest(lift=0.15, spill=0.8))
    apart, mixed = ek.experiment(whole, link="activation"), ek.experiment(spilt, link="activation")
    assert "spill-over" in {remark.kind for remark in mixed.remarks}
    assert "spill-over" not in {remark.kind for remark in apart.remarks}
    assert mixed.difference < apart.difference - 0.04


@pytest.mark.thorough
def test_a_play_that_begins_on_a_day() -> None:
    begins = datetime(2025, 11, 15, tzinfo=UTC)
    before, plain = made()
    day = (begins - datetime(2025, 7, 1, tzinfo=UTC)).days
    raised = {"activation": plain.rates["activation"] + 0.15}
    after, _ = made(changes=[(day, raised)])
    rise = [ek.track(j, since=begins, link="activation").difference for j in (before, after)]
    assert rise[1] - rise[0] == pytest.approx(0.15, abs=0.05)


def test_what_cannot_be_planted_is_refused() -> None:
    with pytest.raises(ek.EngagekitError, match=r"(?s)link is.*lift is.*share is"):
        PlantedTest("habits", -1.1, share=2)
    with pytest.raises(ek.EngagekitError, match="need accounts="):
        ek.simulate(users=50, experiment=PlantedTest(by_account=True))
