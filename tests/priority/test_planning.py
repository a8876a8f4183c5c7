from __future__ import annotations

import dataclasses
import math
import random
from datetime import date

import polars as pl
import pytest
from link_logs import found_in, going_as_far_as

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.playbook.plays import PLAYS
from engagekit.priority.planning import users_for

# 400 sign-ups on one day, 75% activate, 37% of those come back (target 50%), 60 days known.
BROKEN_HABIT = going_as_far_as(400, 300, 110, 60)


@pytest.mark.parametrize(
    ("rate", "goal", "users"),
    [(0.50, 0.60, 388), (0.60, 0.70, 356), (0.10, 0.15, 686), (0.05, 0.10, 435)],
)
def test_users_needed_as_in_the_tables(rate, goal, users):
    """Two proportions, 95% two-sided, 80% power, without continuity correction."""
    assert users_for(rate, goal) == users


def test_so_many_users_see_the_improvement_in_eight_of_ten_plays():
    rate, goal = 0.4, 0.55
    size = users_for(rate, goal)
    draw = random.Random(7)
    seen = 0
    for _ in range(1500):
        before = sum(draw.random() < rate for _ in range(size))
        after = sum(draw.random() < goal for _ in range(size))
        mean = (before + after) / (2 * size)
        seen += abs(after - before) / size > 1.96 * math.sqrt(2 * mean * (1 - mean) / size)
    assert seen / 1500 == pytest.approx(0.8, abs=0.03)


def test_more_power_and_more_confidence_need_more_users():
    assert users_for(0.4, 0.5, power=0.9) > users_for(0.4, 0.5)
    assert users_for(0.4, 0.5, level=0.99) > users_for(0.4, 0.5)
    assert users_for(0.4, 0.41) > 90 * users_for(0.4, 0.5)


def test_a_plan_says_who_does_what_until_when():
    found = found_in(BROKEN_HABIT)
    made = ek.plan(found, today="2026-06-01", signups_per_week=50)
    play = next(p for p in PLAYS if p.name == "Repeat Value")
    assert (made.play, made.problem, made.lead, made.partners) == (
        "Repeat Value", "Repeat value", play.primary_lead, play.key_partners,
    )  # fmt: skip
    assert (made.watch_for, made.review_trigger, made.metrics) == (
        play.watch_for, play.review_trigger, play.metrics,
    )  # fmt: skip
    assert (made.link, made.n, made.of, made.goal) == ("habit", 110, 300, 0.5)
    assert made.rate == pytest.approx(110 / 300)
    assert made.users_needed == users_for(110 / 300, 0.5)
    assert made.signups_needed == math.ceil(made.users_needed / 0.75)  # three of four get to habit
    assert made.weeks == math.ceil(made.signups_needed / 50)
    assert made.window_days == 5  # three days to activate, two to come back
    assert made.starts_on == date(2026, 6, 1)
    assert (made.visible_on - made.starts_on).days == 7 * made.weeks + 5
    assert made.sentence == (
        f"Play: Repeat Value, led by Product with CS and Customer Marketing. Watch for: {play.watch_for}. "
        f"Habit stands at 37% (110 of 300); the goal is 50%. To see that takes {made.users_needed} judged users before "
        f"and as many after the start: {made.signups_needed} sign-ups, {made.weeks} weeks at 50 a week, and 5 days until "
        f"the last can be judged. Look again on {made.visible_on}."
    )
    assert str(made) == made.sentence


def test_the_goal_can_be_chosen():
    found = found_in(BROKEN_HABIT)
    assert ek.plan(found, goal=0.4).users_needed == users_for(110 / 300, 0.4)
    for goal in (0.3, 110 / 300, 1, 1.2, True, "0.5"):
        with pytest.raises(ParameterError, match=r"goal is .*above the present 0.367 of habit"):
            ek.plan(found, goal=goal)


def test_without_a_missed_target_the_goal_is_five_points_more():
    found = found_in(BROKEN_HABIT)
    assert ek.plan(found, link="activation").goal == pytest.approx(
        0.80
    )  # 75% stands above its target
    no_targets = found_in(BROKEN_HABIT, targets={})
    assert ek.plan(no_targets, link="habit").goal == pytest.approx(110 / 300 + 0.05)
    nearly_all = found_in(going_as_far_as(100, 96, 90, 80))
    assert ek.plan(nearly_all, link="activation").goal == pytest.approx(0.98)
    at_target = found_in(BROKEN_HABIT, targets={"activation": 0.75})
    assert ek.plan(at_target, link="activation").goal == pytest.approx(0.80)


def test_the_present_rate_of_sign_ups_and_the_data_end_are_the_defaults():
    found = found_in(BROKEN_HABIT, as_of=30)
    made = ek.plan(found)
    assert made.signups_per_week == pytest.approx(400 / (30 / 7))
    assert made.starts_on == date(2026, 4, 26)
    ended = ek.plan(dataclasses.replace(found, signups_per_week=0.0))
    assert (ended.weeks, ended.visible_on) == (None, None)
    assert "nobody signed up lately" in ended.sentence


@pytest.mark.parametrize(
    ("pace", "said"),
    [
        (3.45, "at 3.5 a week"),
        (9.9, "at 9.9 a week"),
        (10, "at 10 a week"),
        (1234, "at 1,234 a week"),
    ],
)
def test_the_pace_is_written_as_finely_as_it_needs(pace, said):
    assert said in ek.plan(found_in(BROKEN_HABIT), signups_per_week=pace).sentence


def test_another_play_or_link_can_be_planned():
    found = found_in(BROKEN_HABIT)
    assert ek.plan(found, play="Re-engagement").lead == "Customer marketing"
    assert ek.plan(found, link="depth").play == "Feature Discovery"
    with pytest.raises(
        ParameterError, match=r"(?s)2 faults.*Did you mean 'habit'.*Did you mean 'Repeat Value'"
    ):
        ek.plan(found, link="habbit", play="Repeat Valu")


def test_without_a_named_link_one_must_be_said():
    sound = found_in(going_as_far_as(300, 280, 260, 240))
    with pytest.raises(ParameterError, match="'none broken', so no link is named"):
        ek.plan(sound)
    assert ek.plan(sound, link="habit").play == "Repeat Value"


def test_a_problem_without_a_play_has_a_plan_without_one():
    lost = found_in(going_as_far_as(400, 40, 30, 20))
    made = ek.plan(lost)
    assert (made.play, made.problem, made.lead, made.partners) == (
        None,
        "acquisition or tracking",
        None,
        (),
    )
    assert made.sentence.startswith("No play mends this; find out first")


def test_a_plan_for_advocacy_says_that_no_play_makes_it():
    made = ek.plan(found_in(going_as_far_as(40, 30, 20, 20, 5)), link="advocacy")
    assert made.play is None
    assert made.sentence.startswith(
        "No play mends this: advocacy validates what comes before it. Advocacy stands at 25%"
    )


def test_leads_of_a_play_are_joined_in_words():
    made = ek.plan(found_in(going_as_far_as(40, 30, 20, 10)), link="depth")
    assert "led by Product and Product Marketing with Customer Marketing" in made.sentence


def test_what_no_plan_can_be_made_of_is_refused():
    found = found_in(going_as_far_as(40, 30, 20, 10))
    for per_week in (-1, math.nan, "5"):
        with pytest.raises(ParameterError, match="signups_per_week is"):
            ek.plan(found, link="habit", signups_per_week=per_week)
    with pytest.raises(ParameterError, match="priority is a DataFrame; it takes what"):
        ek.plan(found.table, link="habit")


def test_where_everyone_passes_there_is_nothing_to_plan():
    found = found_in(going_as_far_as(40, 40, 20, 10))
    with pytest.raises(ParameterError, match="Everyone who is judged passes activation"):
        ek.plan(found, link="activation")


def test_a_link_nobody_can_be_judged_on_has_no_plan():
    early = found_in(going_as_far_as(100, 90, 85), as_of=4)
    with pytest.raises(ParameterError, match="Nobody can be judged on depth yet"):
        ek.plan(early, link="depth")


def test_alike_users_of_an_account_count_for_less():
    rows = going_as_far_as(400, 300, 110, 60)
    users = pl.DataFrame({"user_id": range(400), "account_id": [u // 10 for u in range(400)]})
    found = found_in(rows, users=users)
    effect = found.table["design_effect"][1]
    assert effect > 5
    made = ek.plan(found, link="habit", goal=0.5)
    assert made.users_needed == math.ceil(users_for(110 / 300, 0.5) * effect)
