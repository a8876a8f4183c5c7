from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_logs import LINKS

from engagekit.errors import ParameterError
from engagekit.priority.earliest import (
    Evidence,
    below,
    extra_users,
    holds_between,
    judge,
    times_to_settle,
)
from engagekit.priority.verdict import earliest_broken


def test_published_case(shared):
    case = json.loads((shared / "cases" / "golden.json").read_text())["earliest_broken_link"]
    p_earliest, p_none = earliest_broken(case["passed"], case["eligible"], case["target"])
    assert p_earliest == pytest.approx(case["p_earliest_broken"], abs=case["tolerance"])
    assert p_none == pytest.approx(case["p_none"], abs=case["tolerance"])
    each = [
        below(*row) for row in zip(case["passed"], case["eligible"], case["target"], strict=True)
    ]
    assert each == pytest.approx(case["p_below_target_jeffreys"], abs=case["tolerance"])
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
    judged = judge(Evidence(n, of, tuple(targets), lost=False))
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
    return Evidence((40.0, 0, 0, 0), (100.0, 0, 0, 0), (target, None, None, None), lost=False)


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
    monkeypatch.setattr("engagekit.priority.earliest.below", lambda n, of, mark: mark and chance)
    assert judge(with_chance(0.5)).verdict == verdict


def test_a_link_nobody_can_be_judged_on_is_neither_broken_nor_sound():
    """A target of 0.95 would be missed by most rates one could guess, but a guess is no evidence."""
    empty = Evidence((90.0, 0, 0, 0), (100.0, 0, 0, 0), (0.8, 0.95, None, None), lost=False)
    assert below(0, 0, 0.95) > 0.8
    judged = judge(empty)
    assert (judged.verdict, judged.link) == ("undecided", None)
    low = Evidence((90.0, 0, 0, 0), (100.0, 0, 0, 0), (0.8, 0.01, None, None), lost=False)
    assert judge(low).p_none > 0.8
    assert judge(low).verdict == "undecided"
    broken_before = Evidence((10.0, 0, 0, 0), (100.0, 0, 0, 0), (0.8, 0.95, None, None), lost=False)
    assert judge(broken_before).link == "activation"
    assert low.unseen() == ["habit"]


def test_getting_that_far_never_becomes_likelier_along_the_loop():
    """Old sign-ups alone are known as far as depth; were they luckier, P must not fall on the way."""
    seen = Evidence((40, 40, 40, 0), (100, 100, 60, 0), (0.5, 0.5, 0.5, None), lost=True)
    broken = seen.p_broken()
    assert broken[2] == broken[1] >= broken[0]
    assert seen.p_earliest()[0][2] == 0
    gap = Evidence((40, 0, 10, 0), (100, 0, 100, 0), (0.5, None, 0.5, None), lost=True)
    assert gap.p_broken()[1] is None
    assert sum(p for p in gap.p_earliest()[0] if p) + gap.p_earliest()[1] == pytest.approx(1)


def test_without_targets_the_mark_of_one_half_could_move_both_ways():
    seen = Evidence((300, 160, 10, 0), (400, 400, 400, 0), (0.5, 0.5, 0.5, None), lost=True)
    low, high = holds_between(seen, "habit")
    assert 0.4 < low < 0.45
    assert 0.7 < high < 0.75
    for mark, link in (
        (low + 0.001, "habit"),
        (high - 0.001, "habit"),
        (low - 0.001, None),
        (high + 0.001, None),
    ):
        assert judge(seen.marked(1, mark)).link == link
    assert (
        holds_between(
            Evidence((100,) * 4, (400,) * 4, (0.5, 0.5, 0.5, None), lost=True), "activation"
        )[1]
        == 1
    )


@pytest.mark.parametrize(
    ("number", "said"), [(0.2, 1), (7.2, 8), (99.5, 100), (101, 110), (1234, 1300)]
)
def test_more_users_are_rounded_up_to_two_digits(number, said):
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
