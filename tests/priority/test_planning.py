from __future__ import annotations

import dataclasses
import math
import random
from datetime import date, timedelta

import polars as pl
import pytest
from link_logs import PLAIN, found_in, going_as_far_as, log_of

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.intervals import users_for
from engagekit.playbook.plays import PLAYS

# 800 sign-ups on one day, 75% activate, 37% of those come back (target 50%), 60 days known.
BROKEN_HABIT = going_as_far_as(800, 600, 220, 120)


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


def test_a_plan_waits_until_tracking_may_speak():
    found = found_in(BROKEN_HABIT)
    for pace, weeks in ((10_000, 4), (300, 4), (50, None)):
        made = ek.plan(found, today="2026-06-01", signups_per_week=pace)
        assert made.weeks == (weeks or math.ceil(made.signups_needed / pace))
        assert (made.visible_on - made.starts_on).days == 7 * made.weeks + made.window_days
        at_least = "4 weeks of them at the least, as weeks differ, and 5 days" in made.sentence
        assert at_least == (made.signups_needed <= 3 * pace)
    sure = ek.plan(found, today="2026-06-01", signups_per_week=10_000, experiment=True)
    assert sure.test is not None
    assert sure.weeks < 4  # a test has a plan of its own


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
    assert (made.link, made.n, made.of, made.goal) == ("habit", 220, 600, 0.5)
    assert made.rate == pytest.approx(110 / 300)
    # All signed up on one day, so how much weeks differ cannot be seen: users count half.
    assert made.users_needed == 2 * users_for(110 / 300, 0.5)
    assert made.signups_needed == math.ceil(made.users_needed / 0.75)  # three of four get to habit
    assert made.weeks == math.ceil(made.signups_needed / 50)
    assert made.window_days == 5  # three days to activate, two to come back
    assert made.starts_on == date(2026, 6, 1)
    assert (made.visible_on - made.starts_on).days == 7 * made.weeks + 5
    assert made.sentence == (
        f"Play: Repeat Value, led by Product with CS and Customer Marketing. Watch for: {play.watch_for}. "
        f"Habit stands at 37% (220 of 600); the goal is 50%. To see that takes {made.users_needed} judged users before "
        f"and as many after the start: {made.signups_needed} sign-ups, {made.weeks} weeks at 50 a week, and 5 days until "
        f"the last can be judged. Look again on {made.visible_on}."
    )
    assert str(made) == made.sentence


def test_the_goal_can_be_chosen():
    found = found_in(BROKEN_HABIT)
    assert ek.plan(found, goal=0.4).users_needed == 2 * users_for(110 / 300, 0.4)
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
    assert made.signups_per_week == pytest.approx(800 / (30 / 7))
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


NO_LINK = (
    "play", "lead", "link", "n", "of", "rate", "goal", "users_needed", "signups_needed", "weeks", "window_days", "visible_on",
)  # fmt: skip


def answered(found, **more):
    """Plan without a link, and hold that nothing is said of one."""
    made = ek.plan(found, **more)
    assert {name: getattr(made, name) for name in NO_LINK} == dict.fromkeys(NO_LINK)
    assert (made.verdict, made.partners, made.metrics) == (found.verdict, (), ())
    return made


def test_where_no_link_is_broken_the_plan_says_what_to_watch_and_when_to_look_again():
    sound = found_in(going_as_far_as(300, 280, 200, 240))
    made = answered(sound, today="2026-06-01")
    # Habit stands nearest to its target; depth, the last with one, needs 3 and 6 days of each of 28 days' sign-ups.
    assert made.look_again == date(2026, 6, 1) + timedelta(days=28 + 9)
    assert made.sentence == (
        "No link is broken, so there is nothing to mend now. Change nothing for the loop's sake, and watch habit, the "
        "nearest to its mark (71% against 50%). Look again on 2026-07-08, when the sign-ups of the next four weeks can "
        "be judged on depth."
    )
    assert ek.plan(sound, link="habit").play == "Repeat Value"


def test_an_undecided_verdict_is_looked_at_again_once_enough_users_can_be_judged():
    found = found_in(going_as_far_as(180, 144, 72, 30))
    assert (found.verdict, found.candidates) == ("undecided", ("depth", "habit"))
    made = answered(found, today="2026-06-01", signups_per_week=20)
    days = math.ceil(7 * found.more_users / 20 + 9)  # 9: the windows of the later candidate, depth
    assert made.look_again == date(2026, 6, 1) + timedelta(days=days)
    assert f"look again on {made.look_again}" in made.sentence
    assert "which link to mend, habit or depth" in made.sentence
    slow = answered(found, signups_per_week=0.5)
    assert slow.look_again is None
    assert "not within any useful time" in slow.sentence
    ended = answered(found, signups_per_week=0)
    assert ended.look_again is None
    assert "nobody signed up lately" in ended.sentence


def test_where_too_few_are_judged_nobody_says_how_many_more_it_takes():
    few = found_in(going_as_far_as(36, 29, 13, 10))
    assert few.verdict == "undecided"
    assert "Too few are judged yet to say how many more would settle it." in answered(few).sentence


def test_no_play_is_chosen_where_the_problem_is_open():
    did = {"friction": [("join", 0), ("open", 1)], "stalled": [("join", 0), ("done", 1)]}
    rows = [
        r
        for user in range(80)
        for r in log_of(*did["friction" if user % 2 else "stalled"], user=user)
    ]
    found = found_in(rows)
    assert (found.link, found.play) == ("activation", None)
    made = ek.plan(found, goal=0.3, link="activation")
    assert made.play is None
    assert made.sentence.startswith(
        "Whether the problem is Friction or Progress is open, so no play is chosen yet"
    )


def test_rates_at_their_targets_are_no_matter_of_waiting():
    at_target = found_in(going_as_far_as(400, 300, 150, 75), targets={"habit": 0.52})
    assert (at_target.verdict, at_target.more_users) == ("undecided", None)
    made = answered(at_target, today="2026-06-01")
    assert "whether habit needs mending" in made.sentence
    assert "targets that lie further from the rates" in made.sentence
    assert made.look_again == date(2026, 6, 1) + timedelta(days=28 + 5)


def test_before_anybody_can_be_judged_the_first_look_has_a_day():
    early = found_in(going_as_far_as(40, 30, 20), as_of=2)
    made = answered(early)
    assert made.look_again == date(2026, 3, 29) + timedelta(days=3)
    assert "Nobody can be judged yet" in made.sentence


def test_links_that_cannot_be_judged_for_want_of_events_are_a_matter_of_the_definition():
    bare = dataclasses.replace(PLAIN, advanced=(), advocacy=())
    found = found_in(going_as_far_as(40, 30, 20), definition=bare, targets={"depth": 0.4})
    made = answered(found, today="2026-06-01")
    assert "Name the events of these links" in made.sentence
    assert made.look_again == date(2026, 6, 1)


def test_without_targets_the_plan_is_to_agree_on_them():
    found = found_in(BROKEN_HABIT, targets={})
    made = answered(dataclasses.replace(found, verdict="no targets", link=None, play=None))
    assert "Agree on a target for each link first" in made.sentence
    assert made.look_again == made.starts_on


def test_a_goal_or_a_play_without_a_link_is_refused():
    sound = found_in(going_as_far_as(300, 280, 260, 240))
    with pytest.raises(ParameterError, match="goal given, but the verdict is 'none broken'"):
        ek.plan(sound, goal=0.99)
    with pytest.raises(ParameterError, match="goal and play given, but"):
        ek.plan(sound, goal=0.99, play="Re-engagement")


@pytest.mark.parametrize("pace", [1e-300, 5e-324, 1e-9, 0.1])
def test_a_wait_without_end_is_said_and_no_date_is_made_up(pace):
    made = ek.plan(found_in(BROKEN_HABIT), signups_per_week=pace)
    assert (made.visible_on, made.look_again) == (None, None)
    assert "not within two years" in made.sentence
    assert "a week" in made.sentence


def test_a_start_at_the_end_of_the_calendar_has_no_date_either():
    for found in (found_in(BROKEN_HABIT), found_in(going_as_far_as(300, 280, 260, 240))):
        made = ek.plan(found, today="9999-12-31", signups_per_week=1000)
        assert made.look_again is None
        assert "within any useful time" in made.sentence


def test_a_late_link_that_few_reach_needs_more_than_anybody_waits_for():
    made = ek.plan(found_in(going_as_far_as(3000, 300, 100, 9, 1)), link="advocacy", goal=0.112, signups_per_week=20)  # fmt: skip
    assert made.users_needed > 10_000
    assert made.signups_needed > 100 * made.users_needed
    assert (made.visible_on, made.look_again) == (None, None)
    assert "not within two years" in made.sentence


def test_a_link_that_nobody_reaches_lately_brings_no_number_of_sign_ups():
    found = found_in(BROKEN_HABIT)
    rates = pl.when(pl.col("link") != "activation").then("rate")
    for gone in (rates, rates.fill_null(0.0)):
        made = ek.plan(
            dataclasses.replace(found, table=found.table.with_columns(gone.alias("rate")))
        )
        assert (made.signups_needed, made.weeks, made.visible_on) == (None, None, None)
        assert "nobody gets as far as habit lately" in made.sentence


def test_a_goal_that_nothing_could_tell_apart_is_refused():
    none = found_in(going_as_far_as(40, 30, 0))
    with pytest.raises(ParameterError, match="so near to the present rate"):
        ek.plan(none, link="habit", goal=1e-320)


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
