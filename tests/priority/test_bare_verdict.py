"""The verdict alone is the one that the whole answer gives."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from link_logs import found_in, going_as_far_as, rolled

import engagekit as ek
from engagekit.priority import bare_verdict


@pytest.mark.thorough
@pytest.mark.parametrize("mix", ["balanced", "friction", "repeat_value", "healthy", "discovery"])
def test_it_is_the_verdict_of_the_whole_answer(mix: str) -> None:
    made = ek.simulate(users=1500, days=240, seed=8, mix=mix)
    journeys = ek.rollup(made.events, made.definition, users=made.users, as_of=made.as_of)
    for some in (
        journeys,
        journeys.at("2025-10-15"),
        journeys.where(signed_up=(None, "2025-09-01")),
    ):
        whole = ek.prioritize(some)
        assert bare_verdict(some) == (whole.verdict, whole.link, whole.probability)


@pytest.mark.parametrize("targets", [{}, {"habit": 0.5}, {"activation": 0.9, "habit": 0.5}])
def test_without_targets_and_with_some(targets: dict[str, float]) -> None:
    whole = found_in(going_as_far_as(400, 300, 110, 60), targets=targets)
    definition = dataclasses.replace(whole.definition, targets=targets)
    journeys = rolled(going_as_far_as(400, 300, 110, 60), definition)
    asked = ek.prioritize(journeys)
    assert bare_verdict(journeys) == (asked.verdict, asked.link, asked.probability)


def test_what_a_remark_bends_is_withheld_here_too() -> None:
    made = ek.simulate(users=1500, days=240, seed=8, mix="repeat_value")
    lost = made.events.with_row_index().with_columns(
        user_id=pl.when(pl.col("index") % 5 > 0).then("user_id")
    )
    journeys = ek.rollup(lost.drop("index"), made.definition, users=made.users, as_of=made.as_of)
    whole = ek.prioritize(journeys)
    assert whole.verdict == "undecided"
    assert bare_verdict(journeys) == (whole.verdict, whole.link, whole.probability)
