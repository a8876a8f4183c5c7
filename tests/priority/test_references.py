from __future__ import annotations

import random

import pytest
from link_logs import found_in, going_as_far_as

from engagekit.errors import ParameterError
from engagekit.intervals import wilson
from engagekit.priority.reference_targets import best_shrunk, differ


def test_against_the_quarter_before():
    """Habit fell from 80% to 40%; no target says so, the quarter before does."""
    rows = going_as_far_as(200, 150, 120, 60) + going_as_far_as(200, 150, 60, 30, first=500, day=91)
    found = found_in(rows, as_of=150, targets="previous quarter")
    assert found.link == "habit"
    row = found.table.row(1, named=True)
    assert (row["n"], row["of"], row["target_from"]) == (60, 150, "previous quarter")
    assert row["target"] == pytest.approx(wilson(120, 150)[0])
    assert found.table["target"][3] is None
    same = going_as_far_as(200, 150, 100, 60) + going_as_far_as(
        200, 150, 100, 60, first=500, day=91
    )
    assert found_in(same, as_of=150, targets="previous quarter").verdict == "none broken"
    with pytest.raises(ParameterError, match="no sign-ups of an earlier quarter"):
        found_in(going_as_far_as(200, 150, 60, 30), targets="previous quarter")


def test_the_last_91_days_are_the_quarter():
    """The 91 days end with the latest sign-up that can be judged; who signed up exactly 91 days before is before."""
    rows = (
        going_as_far_as(10, 8, 4)
        + going_as_far_as(20, 8, 4, first=500, day=1)
        + going_as_far_as(40, 30, 20, first=900, day=91)
    )
    table = found_in(rows, as_of=150, targets="previous quarter").table
    assert table["of"][0] == 60
    rows += going_as_far_as(80, 30, 20, first=2000, day=182)
    table = found_in(rows, as_of=240, targets="previous quarter").table
    assert (table["of"][0], table["target"][0]) == (80, pytest.approx(wilson(38, 60)[0]))


def test_against_the_best_cohort():
    months = [(100, 80, 40, 20), (100, 80, 60, 20), (100, 80, 20, 20)]
    rows = [
        r for k, m in enumerate(months) for r in going_as_far_as(*m, first=1000 * k, day=31 * k)
    ]
    found = found_in(rows, as_of=150, targets="best cohort")
    target = found.table["target"][1]
    assert 0.5 < target < 60 / 80
    assert target == pytest.approx(best_shrunk([40, 60, 20], [80, 80, 80]))
    # Activation is the same in every month: there is no better one to be held against.
    assert found.table["target_from"].to_list() == [None, "best cohort", "best cohort", None]
    assert found.link == "habit"
    with pytest.raises(ParameterError, match="do not differ beyond chance"):
        found_in(going_as_far_as(20, 10, 5), targets="best cohort")


def test_best_of_equal_cohorts_is_hardly_above_the_mean():
    """Twelve cohorts of 150 at 30%: the raw best shows 36%, the shrunk one stays near 30%."""
    draw = random.Random(1)
    raw, shrunk = [], []
    for _ in range(200):
        n = [sum(draw.random() < 0.3 for _ in range(150)) for _ in range(12)]
        raw.append(max(n) / 150)
        shrunk.append(best_shrunk(n, [150] * 12))
    assert sum(raw) / 200 == pytest.approx(0.361, abs=0.01)
    assert sum(shrunk) / 200 == pytest.approx(0.308, abs=0.01)


def test_best_shrunk_at_its_edges():
    assert best_shrunk([0, 0], [50, 80]) == 0
    assert best_shrunk([10, 0], [10, 10]) == pytest.approx(1)  # nothing but likeness
    assert best_shrunk([3], [10]) == 0.3
    assert best_shrunk([1, 1], [1, 1]) == 1
    # Chance alone lets two cohorts differ so much: 8 (1/8)² + 8 (1/8)² = 1/4, the noise of one share.
    assert best_shrunk([5, 3], [8, 8]) == 0.5


def test_cohorts_that_are_one_or_all_alike_do_not_differ():
    assert not differ([5], [10])
    assert not differ([10, 10], [10, 10])
    assert differ([1, 9], [10, 10])


def test_what_no_rate_can_fall_below_or_all_must_reach_is_no_reference():
    """Nobody came back in the quarter before: no rate lies below that. All of one month did: that is no target."""
    rows = going_as_far_as(200, 150, 0) + going_as_far_as(200, 100, 60, 30, first=500, day=91)
    table = found_in(rows, as_of=150, targets="previous quarter").table
    assert table["target"].to_list()[1:] == [None] * 3
    rows = going_as_far_as(20, 20, 20) + going_as_far_as(20, 20, 0, first=500, day=40)
    with pytest.raises(ParameterError, match="give targets such as"):
        found_in(rows, as_of=150, targets="best cohort")
