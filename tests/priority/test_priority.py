from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
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
    # All signed up on one day: how much weeks differ cannot be seen, and users count half.
    p_earliest, p_none = earliest_broken(
        [150, 55, 1, 0], [200, 150, 55, 1], [0.5, 0.5, 0.5, None], margin=0.02
    )
    assert table["p_earliest"].to_list()[:3] == pytest.approx(p_earliest[:3])
    assert table["p_earliest"][3] is None
    assert found.probability == pytest.approx(p_earliest[1])
    assert found.p_none == pytest.approx(p_none)
    for n, of, low, high in table.select("n", "of", "low", "high").rows():
        assert (low, high) == pytest.approx(wilson(n / 2, of / 2))
    assert table["reached"].to_list() == pytest.approx([0.75, 110 / 400, 2 / 400, 0])


def test_columns_are_those_of_the_contract():
    found = found_in(going_as_far_as(20, 10, 5))
    assert found.table.columns[:15] == [
        "link", "n", "of", "rate", "low", "high", "reached", "target", "target_from", "p_broken", "p_earliest", "extra_users",
        "design_effect", "since", "until",
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
        ({"friction": 34, "stalled": 20, "never_started": 20}, "Friction", "Contextual Guidance"),
        ({"friction": 20, "stalled": 34, "never_started": 20}, "Progress", "Progress & Momentum"),
        ({"friction": 20, "stalled": 20, "never_started": 34}, "acquisition or tracking", None),
    ],
)
def test_within_activation_the_largest_group_gives_the_problem(kinds, problem, play):
    """Users stopped at a step, between steps, or before any: each asks for something else."""
    found = stopped(**kinds)
    assert (found.link, found.problem, found.play) == ("activation", problem, play)
    assert 0.8 <= found.p_problem < 1
    assert found.problem_candidates == ()
    assert problem in found.sentence


def stopped(definition=WITH_TARGETS, **kinds: int) -> ek.Priority:
    did = {"friction": ("open", 1), "stalled": ("done", 1), "never_started": ("look", 1)}
    kinds = [kind for kind, size in kinds.items() for _ in range(size)]
    rows = [
        row for user, kind in enumerate(kinds) for row in log_of(("join", 0), did[kind], user=user)
    ]
    return found_in(rows + going_as_far_as(9, 9, 9, first=1000), definition=definition)


def test_no_play_from_a_plurality():
    """34 against 33: two users the other way, and it would be another play."""
    found = stopped(friction=34, stalled=33, never_started=12)
    assert (found.link, found.problem, found.play) == ("activation", None, None)
    assert found.p_problem == pytest.approx(0.549, abs=0.001)
    assert found.problem_candidates == ("Friction", "Progress")
    assert (
        "The problem there is Friction or Progress: of those who never activated 34 abandoned a step and 33 stalled "
        "between steps, too close to tell (55% sure); whichever leads among the next sign-ups names the play."
    ) in found.sentence


def test_the_probability_of_the_largest_problem_is_that_of_dirichlet():
    from engagekit.priority.problems import largest

    draw = np.random.default_rng(5)
    for counts in ([34, 33, 12], [5, 0, 1], [0, 0, 0], [20, 30, 26]):
        shares = draw.dirichlet(np.array(counts) + 0.5, 40_000)
        drawn = np.bincount(shares.argmax(axis=1), minlength=3) / 40_000
        assert largest(counts) == pytest.approx(drawn.tolist(), abs=0.012)


def test_without_steps_friction_and_progress_stay_one():
    bare = dataclasses.replace(WITH_TARGETS, steps=())
    found = stopped(bare, friction=40, stalled=20, never_started=0)
    assert (found.problem, found.play, found.problem_candidates) == (None, None, ("Progress", "Friction"))  # fmt: skip
    assert "no steps are defined, so they cannot be told apart" in found.sentence


def test_only_recent_sign_ups_name_the_problem():
    """A year ago everybody stuck at a step; lately they stall between steps."""
    long_ago = [r for user in range(300) for r in log_of(("join", 0), ("open", 1), user=user)]
    lately = [
        r for user in range(300, 360) for r in log_of(("join", 350), ("done", 351), user=user)
    ]
    # Others reach and complete the step all year long, so that its tracking is not in doubt.
    others = [
        row
        for day in range(2, 345, 4)
        for row in log_of(("join", day), ("open", day + 1), ("done", day + 1), user=5000 + day)
    ]
    rows = long_ago + lately + others + going_as_far_as(9, 9, 9, first=1000, day=350)
    rows += going_as_far_as(200, 0, first=2000, day=350)
    found = found_in(rows, as_of=400, recent=60)
    assert found.problem == "acquisition or tracking"
    assert stopped(friction=300, stalled=60).problem == "Friction"


def test_the_sentence_says_what_it_stands_on():
    found = found_in(going_as_far_as(400, 300, 110, 2))
    assert found.sentence == (
        "Momentum breaks earliest at habit: 37% (110 of 300) came back on a later day within 2 days of activating, "
        "against a target of 50% (over 99% sure). The problem is Repeat value; start with the play Repeat Value. "
        "It stays habit for any target from 42% up. "
        "That speaks of sign-ups of 1 week alone; how much weeks differ cannot be seen yet. "
        "It stands on sign-ups of 2026-03-27; data complete up to the end of 2026-05-25."
    )
    assert str(found) == found.sentence


def test_without_targets_no_link_is_called_broken():
    """75% activate, 46% come back: half are gone by habit, though depth has the lowest rate."""
    found = found_in(going_as_far_as(400, 300, 160, 10), targets={})
    assert (found.verdict, found.link, found.problem, found.play) == (
        "no targets",
        None,
        None,
        None,
    )
    assert (found.probability, found.holds_from, found.more_users) == (0.0, None, None)
    assert found.sentence.startswith(
        "No targets are set, so no link can be called broken; of the recent sign-ups, half are gone by habit: 40% get "
        "that far. There are too few earlier quarters to say whether a link has fallen. "
        "Set targets, and the verdict follows."
    )
    for column in ("target", "target_from", "p_broken", "p_earliest", "extra_users"):
        assert found.table[column].to_list() == [None] * 4
    assert set(found.by_quarter["verdict"]) == {"no targets"}
    far = found_in(going_as_far_as(300, 280, 260, 240, 200), targets={})
    assert "more than half get as far as advocacy: 67%." in far.sentence
    assert loop_title(far) == "No targets are set. More than half get as far as Advocacy: 67% get that far"  # fmt: skip
    nobody = found_in(going_as_far_as(40, 30), targets={}, as_of=2)
    assert nobody.verdict == "undecided"


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
    with pytest.raises(ParameterError, match="Did you mean 'own past'"):
        found_in(rows, targets="own pats")


def test_a_named_link_stays_named_from_holds_from_to_holds_to():
    found = found_in(going_as_far_as(400, 300, 110, 2))
    assert 110 / 300 < found.holds_from < 0.5
    assert found.holds_to == 1
    rows = going_as_far_as(400, 300, 110, 2)
    assert found_in(rows, targets=TARGETS | {"habit": found.holds_from + 0.001}).link == "habit"
    assert found_in(rows, targets=TARGETS | {"habit": found.holds_from - 0.001}).link is None
    assert found_in(rows, targets=TARGETS | {"habit": 0.999}).link == "habit"


def test_an_undecided_case_says_how_many_more_users_would_settle_it():
    found = found_in(going_as_far_as(200, 160, 72, 60))
    assert (found.verdict, found.link, found.play) == ("undecided", None, None)
    assert found.candidates == ("habit", "none broken")
    assert found.probability == pytest.approx(found.table["p_earliest"][1])
    seen = Evidence((80, 36, 30, 0), (100, 80, 36, 0), (0.48, 0.48, 0.48, None))
    times = times_to_settle(seen)
    assert judge(seen.times(times)).verdict == "named"
    assert judge(seen.times(times * 0.999)).verdict == "undecided"
    exact = (times - 1) * 200
    assert exact <= found.more_users < 2 * exact
    assert len(str(found.more_users).rstrip("0")) == 1
    assert found.more_users_low <= found.more_users
    assert (
        f"About {found.more_users:,} more sign-ups at the present rates would settle it ({found.more_users_low:,} "
        in found.sentence
    )
    assert found.sentence.startswith(
        "It is undecided whether momentum breaks earliest at habit or at no link (70% and 30% sure)."
    )


def test_how_many_more_is_said_from_thirty_judged_on():
    few = found_in(going_as_far_as(36, 29, 13, 10))
    assert (few.verdict, few.more_users, few.more_users_low) == ("undecided", None, None)
    assert "Too few are judged yet to say how many more would settle it." in few.sentence
    enough = found_in(going_as_far_as(37, 30, 13, 10))
    assert enough.verdict == "undecided"
    assert enough.more_users is not None


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
    found = found_in(going_as_far_as(100, 80, 42, 36))
    assert found.candidates == ("none broken", "habit")
    assert "earliest at habit or at no link (28% and 72% sure)" in found.sentence


def test_rates_at_their_targets_are_never_settled_by_more_users():
    seen = Evidence((80, 40, 0, 0), (100, 80, 0, 0), (0.5, 0.5, None, None))
    assert judge(seen).verdict == "undecided"
    assert times_to_settle(seen) is None
    found = found_in(going_as_far_as(100, 80, 40), targets={"habit": 0.52})
    assert found.more_users is None
    assert "more users would hardly settle it" in found.sentence


def test_links_nobody_reached_yet_are_waited_for():
    found = found_in(going_as_far_as(100, 90, 85), as_of=6)  # depth takes nine days
    assert found.verdict == "undecided"
    assert found.more_users is None
    assert "Nobody's time for depth is over yet; wait for that." in found.sentence
    assert found.table.row(2, named=True)["rate"] is None
    assert found.table.row(2, named=True)["low"] is None


def test_links_nobody_got_to_need_more_users_not_more_time():
    only = found_in(going_as_far_as(8, 3, 0), targets={"depth": 0.5})
    assert only.more_users is None
    assert "Nobody got as far as depth yet, so it cannot be judged." in only.sentence
    early = found_in(going_as_far_as(8, 3, 0), targets={"habit": 0.5}, as_of=4)
    assert "Nobody's time for habit is over yet; wait for that." in early.sentence


def test_a_later_link_that_would_bring_far_more_is_mentioned():
    """Activation lies 5 points short, depth 30: the first is named, and the sentence says what the other would bring."""
    rows = []
    for week in range(8):
        rows += going_as_far_as(300, 135, 120, 12, 6, first=1000 * week, day=7 * week)
    found = found_in(rows, as_of=90)
    assert found.link == "activation"
    extra = dict(found.table.select("link", "extra_users").iter_rows())
    assert extra["depth"] > 3 * extra["activation"]
    assert (
        f"Depth at its target would bring {extra['depth']:.0f} more users to the end, activation "
        f"{extra['activation']:.0f}: weigh that, though it comes later."
    ) in found.sentence


def test_a_target_within_the_margin_is_remarked_on():
    found = found_in(going_as_far_as(100, 80, 40), targets={"activation": 0.02, "habit": 0.3})
    assert [r.about for r in found.remarks if r.kind == "target within margin"] == [("activation",)]
    assert found.table["p_broken"][0] == 0


def test_the_margin_is_the_definitions():
    rows = [r for week in range(6) for r in going_as_far_as(400, 300, 144, 80, first=1000 * week, day=7 * week)]  # fmt: skip
    assert found_in(rows, as_of=90).table["p_broken"][1] < 0.6
    strict = found_in(rows, as_of=90, definition=dataclasses.replace(WITH_TARGETS, margin=0.0))
    assert strict.table["p_broken"][1] > 0.9
    assert strict.link == "habit"


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
    assert alone.table["design_effect"].to_list() == [
        2.0,
        2.0,
        2.0,
        1.0,
    ]  # one week; nobody at the last
    row = clustered.table.row(1, named=True)
    assert (row["n"], row["of"]) == (50, 120)
    assert row["design_effect"] == pytest.approx(
        120 / 11
    )  # 12 accounts: users x 12/11 x 10/120 apart
    assert (row["low"], row["high"]) == pytest.approx(wilson(50 * 11 / 120, 11))
    assert row["p_broken"] == pytest.approx(float(below(50 * 11 / 120, 11, 0.48)))
    assert clustered.verdict == "undecided"


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
    assert found.table.select("n", "of", "design_effect").rows()[1] == (5, 12, 2.0)
    assert "It stands on accounts of 2026-03-27" in found.sentence


@pytest.mark.parametrize("name", ["n", "of", "design_effect", "link", "label"])
def test_a_property_with_a_name_of_the_answer_is_refused(name):
    users = pl.DataFrame({"user_id": [0, 1], name: ["a", "b"]})
    with pytest.raises(ParameterError, match=repr(name)):
        found_in(going_as_far_as(2, 1, 0), users=users, by=name)
