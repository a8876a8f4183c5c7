from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_logs import LINKS

from engagekit.errors import ParameterError
from engagekit.priority.earliest import (
    Evidence,
    below,
    chances,
    extra_users,
    holds_between,
    judge,
    range_to_settle,
    sure_enough,
    times_to_settle,
)
from engagekit.priority.verdict import earliest_broken


def test_published_case(shared):
    case = json.loads((shared / "cases" / "golden.json").read_text())["earliest_broken_link"]
    p_earliest, p_none = earliest_broken(case["passed"], case["eligible"], case["target"])
    assert p_earliest == pytest.approx(case["p_earliest_broken"], abs=case["tolerance"])
    assert p_none == pytest.approx(case["p_none"], abs=case["tolerance"])
    each = below(case["passed"], case["eligible"], case["target"])
    assert each.tolist() == pytest.approx(case["p_below_target_jeffreys"], abs=case["tolerance"])
    rates = [n / of for n, of in zip(case["passed"], case["eligible"], strict=True)]
    lifted = extra_users(rates, case["target"], case["eligible"][0])
    assert [row["extra_users"] for row in lifted] == pytest.approx(
        case["extra_users_at_end_if_link_lifted_to_target"]
    )
    to_depth = extra_users(rates[:3], case["target"][:3], case["eligible"][0])
    assert to_depth[1]["extra_users"] == pytest.approx(case["extra_at_depth_if_repeat_lifted"])


def test_a_link_without_a_target_cannot_be_named():
    assert earliest_broken([1, 1], [100, 100], [None, 0.5])[0][0] == 0
    assert earliest_broken([1, 1], [100, 100], [None, 0.5]) == (
        [0.0, pytest.approx(1)], pytest.approx(0, abs=1e-9),
    )  # fmt: skip
    assert earliest_broken([1, 1], [100, 100], [None, None]) == ([0.0, 0.0], 1.0)


def test_one_number_per_link():
    with pytest.raises(ParameterError, match="passed has 2 links, eligible 1, targets 2"):
        earliest_broken([1, 2], [3], [0.5, 0.5])


def test_what_is_no_share_is_refused_at_once():
    with pytest.raises(ParameterError, match="5 faults") as refused:
        earliest_broken([5, -1, "1", float("nan")], [1, 1, 1, 1], [0.5, 0.5, 0.5, 1.5])
    assert "5 of 1 passed" in str(refused.value)
    assert "a target is 1.5" in str(refused.value)


def test_agrees_with_drawing_rates():
    """Draw each rate from its Beta many times, and count which link is the first below its target."""
    passed, eligible, targets = [33, 14, 6], [100, 33, 14], [0.32, 0.5, 0.4]
    draw = random.Random(4)
    counts, draws = [0, 0, 0, 0], 40_000
    for _ in range(draws):
        rates = [
            draw.betavariate(n + 0.5, of - n + 0.5) for n, of in zip(passed, eligible, strict=True)
        ]
        counts[next((k for k in range(3) if rates[k] < targets[k]), 3)] += 1
    p_earliest, p_none = earliest_broken(passed, eligible, targets)
    assert [*p_earliest, p_none] == pytest.approx([c / draws for c in counts], abs=0.01)


counts = st.tuples(st.integers(0, 400), st.floats(0, 1)).map(
    lambda pair: (round(pair[0] * pair[1]), pair[0])
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(counts, min_size=4, max_size=4),
    st.lists(st.none() | st.floats(0.01, 0.99), min_size=4, max_size=4),
)
def test_probabilities_sum_to_one_and_the_verdict_follows_them(pairs, targets):
    n, of = zip(*pairs, strict=True)
    p_earliest, p_none = earliest_broken(n, of, targets)
    assert sum(p_earliest) + p_none == pytest.approx(1)
    assert min([*p_earliest, p_none]) >= 0
    judged = judge(Evidence(n, of, tuple(targets)))
    assert [p or 0.0 for p in judged.p_earliest] == pytest.approx(p_earliest)
    assert judged.p_none == pytest.approx(p_none)
    top = max([*p_earliest, p_none])
    unseen = any(m is not None and o == 0 for m, o in zip(targets, of, strict=True))
    if judged.verdict == "named":
        assert p_earliest[LINKS.index(judged.link)] == pytest.approx(top)
        assert top >= 0.8 - 1e-12
        assert targets[LINKS.index(judged.link)] is not None
    elif judged.verdict == "none broken":
        assert p_none >= 0.8 - 1e-12
        assert not unseen
        assert targets.count(None) < len(targets)
    elif targets.count(None) == len(targets):
        assert (judged.candidates, judged.probability) == ((), 0)
    else:
        assert top < 0.8 + 1e-12 or unseen
        assert len(judged.candidates) == 2


def with_chance(chance: float) -> Evidence:
    """Evidence of one link that is broken with a chosen probability: the target lies at that quantile."""
    from scipy.special import betaincinv

    target = float(betaincinv(40.5, 60.5, chance))
    return Evidence((40.0, 0, 0, 0), (100.0, 0, 0, 0), (target, None, None, None))


@pytest.mark.parametrize(
    ("chance", "verdict"),
    [(0.8001, "named"), (0.7999, "undecided"), (0.2001, "undecided"), (0.1999, "none broken")],
)
def test_named_at_eight_tenths(chance, verdict):
    judged = judge(with_chance(chance))
    assert judged.verdict == verdict
    assert judged.link == ("activation" if verdict == "named" else None)
    assert judged.probability == pytest.approx(max(chance, 1 - chance))
    assert judged.candidates == (
        () if verdict != "undecided"
        else ("activation", "none broken") if chance > 0.5 else ("none broken", "activation")
    )  # fmt: skip


@pytest.mark.parametrize(("chance", "verdict"), [(0.8, "named"), (0.2, "none broken")])
def test_eight_tenths_itself_is_enough(chance, verdict, monkeypatch):
    monkeypatch.setattr(
        "engagekit.priority.earliest.below",
        lambda n, of, mark: np.where(np.isnan(mark), np.nan, chance),
    )
    assert judge(with_chance(0.5)).verdict == verdict


def test_a_link_nobody_can_be_judged_on_is_neither_broken_nor_sound():
    """A target of 0.95 would be missed by most rates one could guess, but a guess is no evidence."""
    empty = Evidence((90.0, 0, 0, 0), (100.0, 0, 0, 0), (0.8, 0.95, None, None))
    assert below(0, 0, 0.95) > 0.8
    judged = judge(empty)
    assert (judged.verdict, judged.link) == ("undecided", None)
    low = Evidence((90.0, 0, 0, 0), (100.0, 0, 0, 0), (0.8, 0.01, None, None))
    assert judge(low).p_none > 0.8
    assert judge(low).verdict == "undecided"
    broken_before = Evidence((10.0, 0, 0, 0), (100.0, 0, 0, 0), (0.8, 0.95, None, None))
    assert judge(broken_before).link == "activation"
    assert low.unseen() == ["habit"]


@pytest.mark.parametrize(
    ("number", "said"), [(0.2, 1), (7.2, 8), (99.5, 100), (101, 200), (1234, 2000), (9001, 10_000)]
)
def test_more_users_are_rounded_up_to_one_digit(number, said):
    from engagekit.priority.verdict import _roughly

    assert _roughly(number) == said


def test_extra_users_with_full_half_and_no_quality():
    """1,000 sign-ups of whom 36% activate, 40% of those return, 45% of those go deep: lifting 40% to 50%."""
    rates, targets = [0.36, 0.40, 0.45, None], [0.30, 0.50, 0.60, 0.5]
    first, habit, depth, advocacy = extra_users(rates, targets, 1000)
    assert habit["extra_passing"] == pytest.approx(36)
    assert habit["extra_users"] == pytest.approx(16.2)
    assert habit["extra_users_half"] == pytest.approx(8.1)
    assert habit["extra_users_zero"] == 0
    assert set(first.values()) == {0}  # above its target already
    assert (
        depth["extra_users"]
        == depth["extra_users_half"]
        == depth["extra_users_zero"]
        == pytest.approx(21.6)
    )
    assert set(advocacy.values()) == {None}  # nothing is known of it yet
    assert set(extra_users(rates, [None] * 4, 1000)[1].values()) == {None}
    assert extra_users([None, 0.5], [0.5, 0.6], 100)[1]["extra_users"] is None


def test_a_settled_case_needs_no_more_users():
    assert times_to_settle(with_chance(0.9)) == 1
    assert times_to_settle(with_chance(0.1)) == 1
    assert times_to_settle(with_chance(0.7)) > 1


def test_the_margin_lies_between_target_and_broken():
    """35 % against 35 %: whatever the number of users, no link is called broken for less than the margin."""
    assert earliest_broken([20_721], [60_000], [0.35])[0][0] > 0.99
    assert earliest_broken([20_721], [60_000], [0.35], margin=0.02)[0][0] < 1e-6
    # 5 points short is broken, 1.9 points short is not, 2.1 points short is, with users enough.
    for short, broken in ((0.05, True), (0.019, False), (0.021, True)):
        n = round((0.5 - short) * 10_000_000)
        p = earliest_broken([n], [10_000_000], [0.5], margin=0.02)[0][0]
        assert (p > 0.8) is broken
    # Nothing lies below a mark of 0 or less.
    assert earliest_broken([0], [1000], [0.01], margin=0.02)[0] == [0.0]
    with pytest.raises(ParameterError, match="margin is 2"):
        earliest_broken([1], [2], [0.5], margin=2)


def test_a_mark_is_held_between_the_rates_that_keep_the_verdict():
    seen = Evidence((300.0, 100.0, 0, 0), (400.0, 300.0, 0, 0), (0.6, 0.48, None, None))
    low, high = holds_between(seen, "habit")
    assert 1 / 3 < low < 0.4
    assert high == 1
    assert judge(seen.marked(1, low + 0.001)).link == "habit"
    assert judge(seen.marked(1, low - 0.001)).link is None


def test_many_cases_at_once_are_judged_like_one_by_one():
    draw = np.random.default_rng(3)
    of = draw.integers(0, 80, (200, 4)).astype(float)
    n = np.floor(of * draw.random((200, 4)))
    marks = np.where(draw.random((200, 4)) < 0.2, np.nan, draw.random((200, 4)))
    chance = chances(below(n, of, marks))
    found = sure_enough(chance, of, marks)
    for row in range(200):
        own = tuple(None if np.isnan(m) else float(m) for m in marks[row])
        one = judge(Evidence(tuple(n[row]), tuple(of[row]), own))
        names = [*LINKS, "none broken"]
        said = one.link or (one.verdict if one.verdict == "none broken" else None)
        if any(m is not None for m in own):
            assert said == (None if found[row] < 0 else names[found[row]])


def test_how_many_more_users_is_as_uncertain_as_the_rates():
    """40 of 90 against a mark of 48 %: the rate may be 38 % or 50 %, and the number of users needed differs as much."""
    seen = Evidence((40.0, 0, 0, 0), (90.0, 0, 0, 0), (0.48, None, None, None))
    assert judge(seen).verdict == "undecided"
    low, high = range_to_settle(seen)
    about = times_to_settle(seen)
    assert 1 < low < about < high
    assert range_to_settle(seen) == (low, high)  # the same every time
    settled = judge(seen.times(about * 1.01))
    assert settled.verdict == "named"
