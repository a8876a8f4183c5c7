"""Journeys held against other rules say what they would say had they been rolled up under them."""

from __future__ import annotations

import dataclasses

import pytest
from polars.testing import assert_frame_equal

import engagekit as ek
from engagekit.journeys import Journeys, facts_of, made, under_other_rules


@pytest.fixture(scope="module")
def made_log():
    return ek.simulate(users=600, seed=11)


@pytest.fixture(scope="module")
def journeys(made_log):
    return ek.rollup(made_log.events, made_log.definition, users=made_log.users, as_of=made_log.as_of)  # fmt: skip


@pytest.mark.parametrize(
    "rules",
    [
        {"activation_days": 3},
        {"habit_days": 30},
        {"depth_days": 21, "depth_uses": 1},
        {"activation_days": 2, "habit_days": 5, "depth_days": 90, "depth_uses": 3},
        {"advocacy_days": 7},
        {},
    ],
)
def test_facts_and_answers_are_those_of_journeys_made_anew(journeys, rules):
    changed = under_other_rules(journeys, **rules)
    anew = dataclasses.replace(
        journeys, definition=dataclasses.replace(journeys.definition, **rules)
    )
    assert_frame_equal(facts_of(changed), facts_of(anew))
    assert_frame_equal(ek.diagnose(changed), ek.diagnose(anew))
    assert ek.prioritize(changed).sentence == ek.prioritize(anew).sentence


def test_what_it_was_made_from_stays_as_it_was(journeys):
    before, facts = ek.diagnose(journeys), facts_of(journeys).clone()
    changed = under_other_rules(journeys, depth_days=10, depth_uses=1)
    assert changed.definition.depth_days == 10
    assert not ek.diagnose(changed).equals(before)
    assert facts_of(journeys).equals(facts)
    assert ek.diagnose(journeys).equals(before)


def test_journeys_on_disk_are_asked_part_by_part(journeys, made_log, tmp_path):
    ek.prepare_events(made_log.events, tmp_path / "log", definition=made_log.definition)
    whole = ek.rollup(tmp_path / "log", made_log.definition, users=made_log.users, as_of=made_log.as_of, into=tmp_path / "kept")  # fmt: skip
    assert isinstance(whole, Journeys)
    changed = under_other_rules(whole, depth_days=21, depth_uses=1)
    assert not made(changed, "facts")
    assert_frame_equal(ek.diagnose(changed), ek.diagnose(under_other_rules(journeys, depth_days=21, depth_uses=1)))  # fmt: skip
