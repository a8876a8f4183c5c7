"""What would reach the end of the loop if a link rose: products of rates, and intervals drawn elsewhere alike."""

from __future__ import annotations

import random

import chart_frames as frames
import pytest

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.priority import what_if


@pytest.fixture
def priority():
    # 60 of 100, 20 of 60, 12 of 20, and nobody who can be judged on advocacy; design effect 1.25.
    return frames.priority()


def test_rates_multiply_and_the_supposed_one_takes_its_place(priority):
    found = what_if(priority, "habit", 0.5)
    assert found["link"].to_list() == ["activation", "habit", "depth"]
    assert found["now"].to_list() == pytest.approx([0.6, 0.2, 0.12])
    assert found["then"].to_list() == pytest.approx([0.6, 0.3, 0.18])
    assert found["more"].to_list() == pytest.approx([0.0, 0.1, 0.06])


def drawn(pairs, fixed, place, spread=1.25, times=20_000):
    """Draw the end of the loop with the standard library alone."""
    dice = random.Random(7)
    ends, more = [], []
    for _ in range(times):
        rates = [dice.betavariate(n / spread + 0.5, (of - n) / spread + 0.5) for n, of in pairs]
        then = [fixed if k == place else rate for k, rate in enumerate(rates)]
        ends.append(then[0] * then[1] * then[2])
        more.append(ends[-1] - rates[0] * rates[1] * rates[2])
    return [sorted(some)[int(q * times)] for some in (ends, more) for q in (0.025, 0.975)]


@pytest.mark.parametrize(("link", "place", "rate"), [("activation", 0, 0.7), ("habit", 1, 0.5), ("depth", 2, 1.0)])  # fmt: skip
def test_intervals_are_those_of_draws(priority, link, place, rate):
    end = what_if(priority, link, rate).row(-1, named=True)
    found = [end[c] for c in ("then_low", "then_high", "more_low", "more_high")]
    assert found == pytest.approx(drawn([(60, 100), (20, 60), (12, 20)], rate, place), abs=0.01)
    assert end["then_low"] < end["then"] < end["then_high"]


def test_the_same_rate_changes_nothing_and_a_lower_one_takes_away(priority):
    assert what_if(priority, "habit", 1 / 3)["more"].to_list() == pytest.approx([0, 0, 0])
    assert what_if(priority, "habit", 0.0)["then"].to_list() == pytest.approx([0.6, 0, 0])


def test_links_before_it_stay_as_they_are(priority):
    first = what_if(priority, "depth", 0.9).row(1, named=True)
    assert [first[f"now{end}"] for end in ("", "_low", "_high")] == [first[f"then{end}"] for end in ("", "_low", "_high")]  # fmt: skip


def test_it_is_the_same_every_time(priority):
    assert what_if(priority, "habit", 0.5).equals(what_if(priority, "habit", 0.5))


@pytest.mark.parametrize(("link", "rate"), [("habbit", 0.5), ("advocacy", 0.5), ("habit", 1.2), ("habit", "half"), ("habit", True)])  # fmt: skip
def test_what_cannot_be_supposed_is_refused(priority, link, rate):
    with pytest.raises(ParameterError, match="What if cannot be asked"):
        what_if(priority, link, rate)


def test_a_link_of_a_certain_rate_needs_no_luck():
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    found = ek.prioritize(journeys)
    reached = found.table["rate"].cum_prod().to_list()
    assert what_if(found, "habit", 0.5)["now"].to_list() == pytest.approx(reached)
