from __future__ import annotations

import dataclasses
import json
import math
import random
from datetime import date

import polars as pl
import pytest
import test_links
from hypothesis import given, settings
from hypothesis import strategies as st
from test_links import log_of

import engagekit as ek
from engagekit.earliest import (
    Evidence,
    below,
    extra_users,
    holds_between,
    judge,
    times_to_settle,
)
from engagekit.errors import ParameterError
from engagekit.intervals import wilson
from engagekit.priority import earliest_broken
from engagekit.references import best_shrunk

LINKS = ("activation", "habit", "depth", "advocacy")
TARGETS = {"activation": 0.5, "habit": 0.5, "depth": 0.5}
DEFINITION = dataclasses.replace(test_links.DEFINITION, timezone="UTC", targets=TARGETS)


def going_as_far_as(*counts: int, first: int = 0, day: float = 0, lost: str = "look") -> list:
    """Rows of users who sign up, activate, come back, go deep and invite: so many of each."""
    more = [
        [("join", 0)], [("make", 0.1)], [("make", 1)], [("report", 1), ("report", 2)], [("invite", 3)],
    ]  # fmt: skip
    rows = []
    for user in range(counts[0]):
        events = [
            event
            for stage, count in zip(more, counts, strict=False)
            if user < count
            for event in stage
        ]
        events += [(lost, 0.2)] if len(counts) > 1 and user >= counts[1] else []
        rows += log_of(*[(name, day + at) for name, at in events], user=first + user)
    return rows


def found_in(rows, *, definition=DEFINITION, as_of: float = 60, users=None, **more) -> ek.Priority:
    return ek.prioritize(test_links.rolled(rows, definition, as_of, users=users), **more)


# ---- the closed form -------------------------------------------------------------------------------------------


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
    else:
        assert top < 0.8 + 1e-12 or unseen
        assert len(judged.candidates) == 2


# ---- the verdict -----------------------------------------------------------------------------------------------


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


def test_eight_tenths_itself_is_enough():
    """With one user of one, P(rate < 0.9) and the like are round; here the mark is found to the last bit."""
    seen = with_chance(0.8)
    assert (judge(seen).verdict == "named") == (below(40.0, 100.0, seen.marks[0]) >= 0.8)


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


def test_the_earliest_is_named_not_the_worst():
    """Habit misses its target by a little, depth by far; mending depth first would mend what few reach."""
    rows = going_as_far_as(400, 300, 110, 2)
    found = found_in(rows)
    assert (found.verdict, found.link, found.problem, found.play) == (
        "named", "habit", "Repeat value", "Repeat Value",
    )  # fmt: skip
    table = found.table
    assert table.select("link", "n", "of").rows() == [
        ("activation", 300, 400), ("habit", 110, 300), ("depth", 2, 110), ("advocacy", 0, 2),
    ]  # fmt: skip
    assert table["target_from"].to_list() == ["team"] * 3 + [None]
    p_earliest, p_none = earliest_broken(
        [300, 110, 2, 0], [400, 300, 110, 2], [0.5, 0.5, 0.5, None]
    )
    assert table["p_earliest"].to_list()[:3] == pytest.approx(p_earliest[:3])
    assert table["p_earliest"][3] is None
    assert found.probability == pytest.approx(p_earliest[1])
    assert found.p_none == pytest.approx(p_none)
    for n, of, low, high in table.select("n", "of", "low", "high").rows():
        assert (low, high) == pytest.approx(wilson(n, of))
    assert table["reached"].to_list() == pytest.approx([0.75, 110 / 400, 2 / 400, 0])


def test_columns_are_those_of_the_contract():
    found = found_in(going_as_far_as(20, 10, 5))
    assert found.table.columns[:12] == [
        "link", "n", "of", "rate", "low", "high", "reached", "target", "target_from", "p_broken", "p_earliest", "extra_users",
    ]  # fmt: skip
    assert [f.name for f in dataclasses.fields(found)][:8] == [
        "verdict", "link", "problem", "play", "probability", "holds_from", "holds_to", "sentence",
    ]  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.link = "depth"


def test_none_broken_is_an_answer():
    found = found_in(going_as_far_as(300, 280, 260, 240))
    assert (found.verdict, found.link, found.problem, found.play, found.holds_from, found.more_users) == (
        "none broken", None, None, None, None, None,
    )  # fmt: skip
    assert found.sentence.startswith(
        "No link is broken: activation and habit and depth meet what was set"
    )


def test_advocacy_is_named_only_with_a_target():
    rows = going_as_far_as(300, 290, 280, 270, 3)
    assert found_in(rows).verdict == "none broken"
    with_target = found_in(rows, targets={"advocacy": 0.3})
    assert (with_target.link, with_target.problem, with_target.play) == (
        "advocacy",
        "advocacy",
        None,
    )
    assert "no play is named" in with_target.sentence
    assert with_target.table["target_from"].to_list() == [None, None, None, "given"]
    assert with_target.table["p_earliest"].to_list()[:3] == [None] * 3


@pytest.mark.parametrize(
    ("kinds", "problem", "play"),
    [
        ({"friction": 30, "stalled": 20, "never_started": 20}, "Friction", "Contextual Guidance"),
        ({"friction": 20, "stalled": 30, "never_started": 20}, "Progress", "Progress & Momentum"),
        ({"friction": 20, "stalled": 20, "never_started": 30}, "acquisition or tracking", None),
        ({"friction": 20, "stalled": 20, "never_started": 20}, "Friction", "Contextual Guidance"),
    ],
)
def test_within_activation_the_largest_group_gives_the_problem(kinds, problem, play):
    """Users stopped at a step, between steps, or before any: each asks for something else."""
    did = {"friction": ("open", 1), "stalled": ("done", 1), "never_started": ("look", 1)}
    kinds = [kind for kind, size in kinds.items() for _ in range(size)]
    rows = [
        row for user, kind in enumerate(kinds) for row in log_of(("join", 0), did[kind], user=user)
    ]
    found = found_in(rows + going_as_far_as(9, 9, 9, first=1000))
    assert (found.link, found.problem, found.play) == ("activation", problem, play)
    assert problem in found.sentence


def test_the_sentence_says_what_it_stands_on():
    found = found_in(going_as_far_as(400, 300, 110, 2))
    assert found.sentence == (
        "Momentum breaks earliest at habit: 37% (110 of 300) came back on a later day within 2 days of activating, "
        "against a target of 50% (over 99% sure). The problem is Repeat value; start with the play Repeat Value. "
        "It stays habit for any target from 39% up. "
        "400 users who signed up 2026-03-27 to 2026-03-27; data complete up to the end of 2026-05-25."
    )
    assert str(found) == found.sentence


# ---- without targets -------------------------------------------------------------------------------------------


def test_without_targets_the_link_that_loses_most_users_is_named():
    """75% activate, 46% come back: more than half are lost by habit, though depth has the lowest rate."""
    found = found_in(going_as_far_as(400, 300, 160, 10), targets={})
    assert (found.verdict, found.link) == ("named", "habit")
    assert found.sentence.startswith(
        "Most users are lost by habit: 40% get that far (160 of 400 sign-ups; over 99% sure)."
    )
    p = [below(n, 400, 0.5) for n in (300, 160, 10)]
    assert found.table["p_broken"].to_list()[:3] == pytest.approx(p)
    assert found.table["p_earliest"].to_list()[:3] == pytest.approx(
        [p[0], p[1] - p[0], p[2] - p[1]]
    )
    assert (
        found.table["p_broken"][3] is found.table["p_earliest"][3] is None
    )  # advocacy takes no part
    assert found.table["extra_users"].to_list() == [None] * 4
    assert found.p_none == pytest.approx(1 - p[2])


def test_no_link_that_loses_most_is_an_answer_too():
    found = found_in(going_as_far_as(300, 280, 260, 240, 10), targets={})
    assert found.verdict == "none broken"
    assert found.sentence.startswith("No link loses most users: 80% get as far as depth")


def test_getting_that_far_never_becomes_likelier_along_the_loop():
    """Old sign-ups alone are known as far as depth; were they luckier, P must not fall on the way."""
    seen = Evidence((40, 40, 40, 0), (100, 100, 60, 0), (0.5, 0.5, 0.5, None), lost=True)
    broken = seen.p_broken()
    assert broken[2] == broken[1] >= broken[0]
    assert seen.p_earliest()[0][2] == 0
    gap = Evidence((40, 0, 10, 0), (100, 0, 100, 0), (0.5, None, 0.5, None), lost=True)
    assert gap.p_broken()[1] is None
    assert sum(p for p in gap.p_earliest()[0] if p) + gap.p_earliest()[1] == pytest.approx(1)


def test_definition_targets_hold_unless_others_are_given():
    rows = going_as_far_as(400, 300, 160, 10)
    bare = dataclasses.replace(DEFINITION, targets={})
    assert found_in(rows, definition=bare).table.equals(found_in(rows, targets={}).table)
    assert found_in(rows, targets={"activation": None}).table.equals(
        found_in(rows, targets={}).table
    )
    assert (
        found_in(rows, targets=TARGETS)
        .table.drop("target_from")
        .equals(found_in(rows).table.drop("target_from"))
    )


def test_targets_that_mean_nothing_are_refused_together():
    rows = going_as_far_as(20, 10)
    with pytest.raises(
        ParameterError, match=r"(?s)'habbit' is no link. Did you mean 'habit'.*depth is 40"
    ):
        found_in(rows, targets={"habbit": 0.5, "depth": 40})
    for rate in (0, 1, True, "0.4"):
        with pytest.raises(ParameterError, match="takes a share between 0 and 1"):
            found_in(rows, targets={"habit": rate})
    with pytest.raises(ParameterError, match="it takes link names with rates"):
        found_in(rows, targets=0.4)
    with pytest.raises(ParameterError, match="Did you mean 'previous quarter'"):
        found_in(rows, targets="previous quater")


# ---- how firm --------------------------------------------------------------------------------------------------


def test_a_named_link_stays_named_from_holds_from_to_holds_to():
    found = found_in(going_as_far_as(400, 300, 110, 2))
    assert 110 / 300 < found.holds_from < 0.5
    assert found.holds_to == 1
    rows = going_as_far_as(400, 300, 110, 2)
    assert found_in(rows, targets=TARGETS | {"habit": found.holds_from + 0.001}).link == "habit"
    assert found_in(rows, targets=TARGETS | {"habit": found.holds_from - 0.001}).link is None
    assert found_in(rows, targets=TARGETS | {"habit": 0.999}).link == "habit"


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


def test_an_undecided_case_says_how_many_more_users_would_settle_it():
    found = found_in(going_as_far_as(100, 80, 39, 30))
    assert (found.verdict, found.link, found.play) == ("undecided", None, None)
    assert found.candidates == ("habit", "none broken")
    assert found.probability == pytest.approx(found.table["p_earliest"][1])
    seen = Evidence((80, 39, 30, 0), (100, 80, 39, 0), (0.5, 0.5, 0.5, None), lost=False)
    times = times_to_settle(seen)
    assert judge(seen.times(times)).verdict == "named"
    assert judge(seen.times(times * 0.999)).verdict == "undecided"
    assert found.more_users == math.ceil((times - 1) * 100 / 100) * 100
    assert (
        f"About {found.more_users:,} more sign-ups at the present rates would settle it."
        in found.sentence
    )
    assert found.sentence.startswith(
        "It is undecided whether momentum breaks earliest at habit or at no link (59% and 41% sure)."
    )


def test_rates_at_their_targets_are_never_settled_by_more_users():
    seen = Evidence((80, 40, 0, 0), (100, 80, 0, 0), (0.5, 0.5, None, None), lost=False)
    assert judge(seen).verdict == "undecided"
    assert times_to_settle(seen) is None
    found = found_in(going_as_far_as(100, 80, 40), targets={"habit": 0.5})
    assert found.more_users is None
    assert "more users would hardly settle it" in found.sentence
    assert times_to_settle(with_chance(0.9)) == 1


def test_links_nobody_reached_yet_are_waited_for():
    found = found_in(going_as_far_as(100, 90, 85), as_of=4)  # depth takes six days
    assert found.verdict == "undecided"
    assert found.more_users is None
    assert "Nobody's time for depth is over yet; wait for that." in found.sentence
    assert found.table.row(2, named=True)["rate"] is None
    assert found.table.row(2, named=True)["low"] is None


@pytest.mark.parametrize(
    ("number", "said"), [(0.2, 1), (7.2, 8), (99.5, 100), (101, 110), (1234, 1300)]
)
def test_more_users_are_rounded_up_to_two_digits(number, said):
    from engagekit.priority import _roughly

    assert _roughly(number) == said


def test_no_users_at_all():
    journeys = test_links.rolled(going_as_far_as(5, 3), DEFINITION).where(
        users=pl.col("user_id") < 0
    )
    found = ek.prioritize(journeys)
    assert (found.verdict, found.table["of"].to_list()) == ("undecided", [0, 0, 0, 0])
    assert found.by_quarter.height == 0
    assert found.sentence == (
        "Nothing can be said yet: nobody's time to activate is over. "
        "No user signed up; data complete up to the end of 2026-04-25."
    )


# ---- what lifting brings -----------------------------------------------------------------------------------------


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


def test_extra_users_stand_in_the_table():
    table = found_in(going_as_far_as(400, 300, 110, 60, 30)).table
    row = table.row(1, named=True)
    assert row["extra_passing"] == pytest.approx(400 * 0.75 * (0.5 - 110 / 300))
    assert row["extra_users"] == pytest.approx(row["extra_passing"] * (60 / 110) * 0.5)
    assert row["extra_users_half"] == pytest.approx(row["extra_users"] / 2)


# ---- quarters, segments, drift, accounts --------------------------------------------------------------------------


def test_each_quarter_is_judged_and_the_change_is_marked():
    """In the first quarter nobody comes back, in the second few activate; the third is too new."""
    rows = going_as_far_as(200, 150, 20, 5)  # 27 March
    rows += going_as_far_as(200, 150, 20, 5, first=1000, day=10)  # 6 April
    rows += going_as_far_as(200, 40, 35, 30, first=2000, day=100)  # 5 July
    rows += going_as_far_as(50, 10, first=3000, day=199)  # 12 October
    table = found_in(rows, as_of=200).by_quarter
    firsts = table.unique("quarter", keep="first", maintain_order=True)
    assert firsts.select("quarter", "verdict", "named", "changed").rows() == [
        (date(2026, 1, 1), "named", "habit", False),
        (date(2026, 4, 1), "named", "habit", False),
        (date(2026, 7, 1), "named", "activation", True),
        (date(2026, 10, 1), "undecided", None, False),
    ]
    assert table.filter(quarter=date(2026, 7, 1)).select("link", "n", "of").row(0) == (
        "activation",
        40,
        200,
    )
    assert table.filter(quarter=date(2026, 10, 1))["of"].to_list() == [0, 0, 0, 0]
    back = going_as_far_as(200, 150, 20, 5, first=5000, day=199)
    table = found_in(rows + back, as_of=260).by_quarter
    assert table.filter(quarter=date(2026, 10, 1))["changed"].all()


def segmented(**plans):
    rows, owners = [], []
    for number, (plan, how_far) in enumerate(plans.items()):
        rows += going_as_far_as(*how_far, first=1000 * number)
        owners += [(1000 * number + user, plan) for user in range(how_far[0])]
    users = pl.DataFrame(owners, schema=["user_id", "plan"], orient="row")
    return found_in(rows, users=users, by="plan")


def test_segments_that_break_elsewhere_are_named():
    found = segmented(free=(400, 300, 40, 20), pro=(100, 10, 8, 7), team=(100, 80, 9, 4))
    assert found.link == "habit"
    assert found.segments.select(
        "plan", "users", "verdict", "link", "problem", "elsewhere"
    ).rows() == [
        ("free", 400, "named", "habit", "Repeat value", False),
        ("pro", 100, "named", "activation", "acquisition or tracking", True),
        ("team", 100, "named", "habit", "Repeat value", False),
    ]
    assert found.segments.row(1, named=True)["activation_rate"] == 0.1
    assert found.warnings == (
        "For plan pro, momentum breaks at activation; for all users together at habit.",
    )
    assert found_in(going_as_far_as(20, 10)).segments is None


def test_groups_against_the_total():
    """Two groups that each break may make a total that is undecided, and a broken total groups that are not."""
    both = segmented(free=(200, 199, 60, 50), pro=(200, 70, 69, 60))
    assert both.verdict == "undecided"
    assert set(both.segments["link"]) == {"habit", "activation"}
    assert "No group breaks where all users together do" in both.warnings[-1]
    few = segmented(a=(6, 5, 2), b=(6, 5, 2), c=(6, 5, 2), d=(6, 5, 2))
    assert few.link == "habit"
    assert few.segments["link"].to_list() == [None] * 4
    assert few.warnings == (
        "All users together break at habit, but no group by itself surely does.",
    )


def test_a_group_that_breaks_where_all_do_needs_no_warning():
    found = segmented(free=(400, 300, 40, 20), pro=(3, 3, 3, 3))
    assert found.segments["link"].to_list() == ["habit", None]
    assert found.warnings == ()


def test_drift_stands_beside_the_loop():
    rows = going_as_far_as(30, 30, 20) + [
        r
        for u in range(100, 110)
        for r in log_of(("join", 0), ("make", 0), ("make", 57), ("make", 59), user=u)
    ]
    row = found_in(rows).drift.row(0, named=True)
    assert (row["n"], row["of"], row["rate"]) == (20, 30, pytest.approx(2 / 3))
    assert (row["low"], row["high"]) == pytest.approx(wilson(20, 30))


def test_accounts_make_users_count_for_less():
    """Twelve accounts of ten alike users tell as much as twelve users, not as 120."""
    rows = going_as_far_as(120, 120, 50)
    users = pl.DataFrame({"user_id": range(120), "account_id": [u // 10 for u in range(120)]})
    alone, clustered = found_in(rows), found_in(rows, users=users)
    assert alone.link == "habit"
    assert alone.table["design_effect"].to_list() == [1.0] * 4
    row = clustered.table.row(1, named=True)
    assert (row["n"], row["of"]) == (50, 120)
    assert row["design_effect"] == pytest.approx(
        120 / 11
    )  # 12 accounts: users x 12/11 x 10/120 apart
    assert (row["low"], row["high"]) == pytest.approx(wilson(50 * 11 / 120, 11))
    p = below(50 * 11 / 120, 11, 0.5)
    assert row["p_broken"] == pytest.approx(p)
    assert clustered.verdict == "undecided"
    lost = found_in(rows, users=users, targets={})
    assert lost.table.row(1, named=True)["p_broken"] == pytest.approx(p)


def test_accounts_as_the_unit():
    rows = going_as_far_as(120, 120, 50)
    users = pl.DataFrame({"user_id": range(120), "account_id": [u // 10 for u in range(120)]})
    journeys = test_links.rolled(rows, DEFINITION, 60, users=users, unit="account")
    found = ek.prioritize(journeys)
    assert found.table.select("n", "of", "design_effect").rows()[1] == (5, 12, 1.0)
    assert "12 accounts who signed up" in found.sentence


# ---- references -------------------------------------------------------------------------------------------------


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


# ---- what to bear in mind -----------------------------------------------------------------------------------------


def test_warnings_say_what_cannot_be_judged():
    bare = ek.Definition(
        signup=None, activation="make", core="make", burn_in_days=0, activation_days=3, habit_days=2,
        depth_days=6, usage_interval_days=1, targets={"depth": 0.5, "habit": 0.5},
    )  # fmt: skip
    found = found_in(going_as_far_as(20, 10, 5), definition=bare)
    said = " ".join(found.warnings)
    for part in (
        "first event",
        "Friction cannot be told from Progress",
        "depth cannot be judged",
        "depth has a target",
    ):
        assert part in said
    assert found.table["p_earliest"][2] is None
    silent = dataclasses.replace(DEFINITION, advocacy=(), targets={"advocacy": 0.2, "habit": 0.5})
    assert found_in(going_as_far_as(20, 10, 5), definition=silent).warnings == (
        "advocacy has a target, but the definition names no advanced actions or no advocacy events, so it cannot be judged.",
    )
    assert found_in(going_as_far_as(20, 10, 5)).warnings == ()


def test_the_present_rate_of_sign_ups_is_that_of_eight_weeks():
    rows = going_as_far_as(30, 10) + going_as_far_as(16, 10, first=100, day=44)
    assert found_in(rows, as_of=100).signups_per_week == 2  # day 44 is 56 days before the end
    assert found_in(rows, as_of=100.5).signups_per_week == 0
    assert (
        found_in(going_as_far_as(30, 10), as_of=21).signups_per_week == 10
    )  # only three weeks are known
