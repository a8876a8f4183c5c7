from __future__ import annotations

import dataclasses
import math
from datetime import date

import polars as pl
import pytest
from link_logs import TARGETS, WITH_TARGETS, found_in, going_as_far_as, log_of, rolled

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.intervals import wilson
from engagekit.priority.earliest import Evidence, below, judge, times_to_settle
from engagekit.priority.verdict import earliest_broken
from engagekit.views.diagnosis_table import loop_title


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
        "No link is broken: activation, habit and depth meet what was set for them"
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
        "400 users who signed up on 2026-03-27; data complete up to the end of 2026-05-25."
    )
    assert str(found) == found.sentence


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


def test_definition_targets_hold_unless_others_are_given():
    rows = going_as_far_as(400, 300, 160, 10)
    bare = dataclasses.replace(WITH_TARGETS, targets={})
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


def test_a_named_link_stays_named_from_holds_from_to_holds_to():
    found = found_in(going_as_far_as(400, 300, 110, 2))
    assert 110 / 300 < found.holds_from < 0.5
    assert found.holds_to == 1
    rows = going_as_far_as(400, 300, 110, 2)
    assert found_in(rows, targets=TARGETS | {"habit": found.holds_from + 0.001}).link == "habit"
    assert found_in(rows, targets=TARGETS | {"habit": found.holds_from - 0.001}).link is None
    assert found_in(rows, targets=TARGETS | {"habit": 0.999}).link == "habit"


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


def test_without_targets_the_sentence_says_how_far_most_could_be_drawn():
    habit = found_in(going_as_far_as(400, 300, 160, 10), targets={})
    assert (
        "it stays habit wherever 'most' is drawn from 42% to 73% instead of at one half."
        in habit.sentence
    )
    first = found_in(going_as_far_as(400, 100, 60, 10), targets={})
    assert (
        "it stays activation wherever 'most' is drawn from 27% up instead of at one half."
        in first.sentence
    )


def test_one_target_alone_is_met():
    found = found_in(going_as_far_as(300, 280, 260, 240), targets={"habit": 0.5})
    assert found.sentence.startswith(
        "No link is broken: habit meets what was set for it (over 99% sure)."
    )


def test_nothing_is_said_to_be_wholly_sure():
    from engagekit.priority.sentences import _sure

    assert [_sure(p) for p in (0.8, 0.99, 0.9901, 1.0, None)] == [
        "80%",
        "99%",
        "over 99%",
        "over 99%",
        "–",
    ]


def test_no_link_is_said_last():
    found = found_in(going_as_far_as(100, 80, 43, 36))
    assert found.candidates == ("none broken", "habit")
    assert "earliest at habit or at no link (25% and 75% sure)" in found.sentence


def test_rates_at_their_targets_are_never_settled_by_more_users():
    seen = Evidence((80, 40, 0, 0), (100, 80, 0, 0), (0.5, 0.5, None, None), lost=False)
    assert judge(seen).verdict == "undecided"
    assert times_to_settle(seen) is None
    found = found_in(going_as_far_as(100, 80, 40), targets={"habit": 0.5})
    assert found.more_users is None
    assert "more users would hardly settle it" in found.sentence


def test_links_nobody_reached_yet_are_waited_for():
    found = found_in(going_as_far_as(100, 90, 85), as_of=4)  # depth takes six days
    assert found.verdict == "undecided"
    assert found.more_users is None
    assert "Nobody's time for depth is over yet; wait for that." in found.sentence
    assert found.table.row(2, named=True)["rate"] is None
    assert found.table.row(2, named=True)["low"] is None


def test_links_nobody_got_to_need_more_users_not_more_time():
    targets = {"activation": 0.5, "habit": 0.3, "depth": 0.5}
    found = found_in(going_as_far_as(8, 3, 0), targets=targets)  # nobody came back
    assert (found.verdict, found.candidates) == ("undecided", ("activation", "habit"))
    assert found.more_users is not None
    assert "more sign-ups at the present rates would settle it" in found.sentence
    only = found_in(going_as_far_as(8, 3, 0), targets={"depth": 0.5})
    assert only.more_users is None
    assert "Nobody got as far as depth yet, so it cannot be judged." in only.sentence
    early = found_in(going_as_far_as(8, 3, 0), targets={"habit": 0.5}, as_of=2)
    assert "Nobody's time for habit is over yet; wait for that." in early.sentence


def test_what_a_link_is_held_against_is_said():
    rows = going_as_far_as(200, 150, 120) + going_as_far_as(200, 60, 40, first=200, day=100)
    before = found_in(rows, as_of=160, targets="previous quarter").sentence
    assert "against the 69% that the quarter before leaves plausible at the least (over" in before
    best = found_in(rows, as_of=160, targets="best cohort").sentence
    assert "against 75% in the best cohort, shrunk towards the mean (over 99% sure)" in best


def test_extra_users_stand_in_the_table():
    table = found_in(going_as_far_as(400, 300, 110, 60, 30)).table
    row = table.row(1, named=True)
    assert row["extra_passing"] == pytest.approx(400 * 0.75 * (0.5 - 110 / 300))
    assert row["extra_users"] == pytest.approx(row["extra_passing"] * (60 / 110) * 0.5)
    assert row["extra_users_half"] == pytest.approx(row["extra_users"] / 2)


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
    row = lost.table.row(1, named=True)
    assert row["p_broken"] == pytest.approx(p)
    effect = row["reached_design_effect"]  # what decided is shown
    span = wilson(row["reached_n"] / effect, row["reached_of"] / effect)
    assert (row["reached_low"], row["reached_high"]) == pytest.approx(span)
    assert effect == pytest.approx(120 / 11)
    assert below(row["reached_n"] / effect, row["reached_of"] / effect, 0.5) == row["p_broken"]


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
    silent = dataclasses.replace(WITH_TARGETS, advocacy=(), targets={"advocacy": 0.2, "habit": 0.5})
    assert found_in(going_as_far_as(20, 10, 5), definition=silent).warnings == (
        "advocacy has a target, but the definition names no advanced actions or no advocacy events, so it cannot be judged.",
    )
    assert found_in(going_as_far_as(20, 10, 5)).warnings == ()


def test_a_target_that_cannot_be_judged_is_never_said_to_be_met():
    bare = ek.Definition(
        signup=None, activation="make", core="make", burn_in_days=0, activation_days=3, habit_days=2,
        depth_days=6, usage_interval_days=1, targets={"depth": 0.5},
    )  # fmt: skip
    found = found_in(going_as_far_as(20, 10, 5), definition=bare)
    assert (found.verdict, found.link, found.candidates) == ("undecided", None, ())
    assert (found.probability, found.more_users) == (0, None)
    assert set(found.by_quarter["verdict"]) == {"undecided"}
    assert loop_title(found) == "No link can be judged against a target"
    alone = found.sentence
    assert alone.startswith(
        "No link can be judged against a target: the definition names no events for depth."
    )
    both = dataclasses.replace(bare, targets={"depth": 0.5, "activation": 0.01})
    beside = found_in(going_as_far_as(20, 10, 5), definition=both).sentence
    assert beside.startswith("No link is broken: activation meets what was set for it")
    assert (
        "Depth has a target too, but cannot be judged: the definition names no events for it."
        in beside
    )
    more = dataclasses.replace(both, targets=both.targets | {"advocacy": 0.1})
    assert (
        "Depth and advocacy have targets too, but cannot be judged: the definition names no events for them."
        in found_in(going_as_far_as(20, 10, 5), definition=more).sentence
    )


def test_the_present_rate_of_sign_ups_is_that_of_eight_weeks():
    rows = going_as_far_as(30, 10) + going_as_far_as(16, 10, first=100, day=44)
    assert found_in(rows, as_of=100).signups_per_week == 2  # day 44 is 56 days before the end
    assert found_in(rows, as_of=100.5).signups_per_week == 0
    journeys = rolled(going_as_far_as(30, 10), as_of=21)
    assert ek.prioritize(journeys).signups_per_week == 10  # only three weeks are known
    assert ek.prioritize(journeys.at(journeys.log_start)).signups_per_week == 0  # nothing is


def test_no_users_at_all():
    journeys = rolled(going_as_far_as(5, 3), WITH_TARGETS).where(users=pl.col("user_id") < 0)
    found = ek.prioritize(journeys)
    assert (found.verdict, found.table["of"].to_list()) == ("undecided", [0, 0, 0, 0])
    assert found.by_quarter.height == 0
    assert found.sentence == (
        "Nothing can be said yet: nobody's time to activate is over. "
        "No user signed up; data complete up to the end of 2026-04-25."
    )


def test_accounts_as_the_unit():
    rows = going_as_far_as(120, 120, 50)
    users = pl.DataFrame({"user_id": range(120), "account_id": [u // 10 for u in range(120)]})
    journeys = rolled(rows, WITH_TARGETS, 60, users=users, unit="account")
    found = ek.prioritize(journeys)
    assert found.table.select("n", "of", "design_effect").rows()[1] == (5, 12, 1.0)
    assert "12 accounts that signed up" in found.sentence


@pytest.mark.parametrize("name", ["n", "of", "reached_n", "design_effect", "link"])
def test_a_property_with_a_name_of_the_answer_is_refused(name):
    users = pl.DataFrame({"user_id": [0, 1], name: ["a", "b"]})
    with pytest.raises(ParameterError, match=repr(name)):
        found_in(going_as_far_as(2, 1, 0), users=users, by=name)
