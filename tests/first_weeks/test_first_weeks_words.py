from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from planted_weeks import planted

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.first_weeks.rows import held_to
from engagekit.first_weeks.sentences import question, sentence
from engagekit.first_weeks.settling import lever_test, settling
from engagekit.intervals import users_for

ROW = {
    "action": "invite", "at_least": 2, "n_retained": 1200, "n_churned": 3000, "did_retained": 480,
    "did_churned": 600, "share_retained": 0.4, "share_churned": 0.2, "retention_did": 480 / 1080,
    "retention_not": 720 / 3120, "risk_ratio": 1.35, "adjusted_risk_ratio": 1.3, "adjusted_low": 1.1,
    "adjusted_high": 1.5, "same_day_risk_ratio": 1.28, "uncompared": 0.02, "e_value": 1.92, "reach": 1080 / 4200,
    "q": 0.01, "trial_q": 0.001, "part_of_definition": False, "belongs_to": None, "control": False,
    "controls": 0, "controls_clear": 0, "launched_at": None, "verdict": "more in retained",
}  # fmt: skip
CLEAR = {"verdict": "not clear"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {},
            "'invite' on at least 2 days in the first 14 days: 40% of 1,200 retained and 20% of 3,000 churned users. "
            "Of users alike until then, those who did it were retained 1.30 times as often (1.10 to 1.50). "
            "With an equally full day it is 1.28. They go together; whether one leads to the other only an experiment",
        ),
        ({}, "something unseen would have to make both doing it and staying 1.9 times as likely"),
        ({"verdict": "more in churned"}, "both doing it and leaving 1.9 times"),
        ({"at_least": 1}, "'invite' in the first 14 days"),
        ({"risk_ratio": 2.5}, "As it is the ratio is 2.50: the rest goes with having been active"),
        ({"risk_ratio": 0.8}, "As it is the ratio is 0.80: it turns round once users are compared"),
        (
            {"risk_ratio": None, "retention_not": 0.0},
            "Nobody who never did it was retained (needed before).",
        ),
        ({"risk_ratio": 1.05}, "those who did it were not like the others before"),
        (CLEAR | {"trial_q": 0.4, "q": 0.4}, "That may be chance, with so many actions compared."),
        (CLEAR | {"q": 0.2}, "it may only mark a busy day; nothing is claimed"),
        (CLEAR | {"same_day_risk_ratio": None, "q": 1.0}, "cannot be told from coming at all"),
        (CLEAR | {"risk_ratio": 0.9}, "do not point the same way, so nothing is claimed"),
        ({"verdict": "too few", "did_retained": 3, "did_churned": 4}, "Too few did it, or did not"),
        (
            {"verdict": "too few", "uncompared": 0.62},
            "62% of those who did it found nobody alike to be compared with, which is too many.",
        ),
        (
            {"n_churned": 0, "share_churned": None} | CLEAR,
            "– of 0 churned users. Nobody churned, so there is nothing to compare.",
        ),
        ({"n_retained": 0, "share_retained": None}, "Nobody was retained, so there is nothing"),
        ({"part_of_definition": True}, "part of what counts as retained"),
        ({"belongs_to": "advocacy"}, "It belongs to the definition (advocacy): a link of the loop"),
        ({"controls": 3, "controls_clear": 1}, "Of 3 controls, 1 would have been called clear."),
        ({"control": True}, "A control, which cannot matter: it would have been called clear"),
        ({"control": True} | CLEAR, "it would not have been called clear, as it should be"),
        (
            {"adjusted_risk_ratio": None, "adjusted_low": 3.1, "adjusted_high": None},
            "Of users alike until then only they stayed: at least 3.1 × (needed before).",
        ),
        (
            {"adjusted_risk_ratio": 0.0, "adjusted_low": None, "adjusted_high": 0.42},
            "Of users alike until then none of them stayed: at most 0.42 × (an end).",
        ),
        (
            {"adjusted_risk_ratio": None, "adjusted_low": None, "adjusted_high": None} | CLEAR,
            "Nobody who did it can be compared",
        ),
        (
            {"action": "(active days)", "at_least": 3},
            "Active on at least 3 days of the first 14: 40%",
        ),
        ({"opposite": True}, "points in opposite directions"),
        ({"group": "plan: free"}, "in the first 14 days (plan: free)"),
    ],
)
def test_sentences(change, said):
    assert said in sentence(ROW | change, 14)


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({}, "Can every new user reach 'invite' on at least 2 days in week one?"),
        (
            {"at_least": 1, "verdict": "more in churned"},
            "What are new users looking for when they turn to 'invite'?",
        ),
        (CLEAR, None),
        ({"verdict": "too few"}, None),
        ({"belongs_to": "advanced action"}, None),
        ({"control": True}, None),
    ],
)
def test_questions(change, asked):
    assert question(ROW | change) == asked


@pytest.mark.parametrize(
    ("claim", "change", "kept"),
    [
        ("more in retained", {}, "more in retained"),
        ("more in churned", {}, "not clear"),
        ("more in retained", {"risk_ratio": 0.9}, "not clear"),
        ("more in retained", {"same_day_risk_ratio": 0.99}, "not clear"),
        ("more in retained", {"risk_ratio": None}, "more in retained"),
        ("more in retained", {"judged": False}, "not clear"),
        ("more in retained", {"p": 1.0}, "not clear"),
        ("more in retained", {"p": None}, "not clear"),
    ],
)
def test_a_claim_of_one_half_is_held_to_the_other(claim, change, kept):
    assert held_to(claim, ROW | {"judged": True, "sign": 1, "p": 0.3} | change) == kept


# The test that would settle it


def test_the_test_of_a_lever_moves_those_who_would_not_do_it():
    found = settling(ROW, 42, 200.0)
    rate = 1200 / 4200
    goal = rate + 0.5 * (1 - 1080 / 4200) * (720 / 3120) * 0.3
    assert (found.rate, found.goal) == pytest.approx((rate, goal))
    assert found.users_per_arm == users_for(rate, goal)
    assert found.weeks == -(-2 * found.users_per_arm // 200)
    assert found.days == 7 * found.weeks + 42
    assert "half of the new sign-ups, drawn by lot, are led to 'invite' on 2 days" in found.offered
    fast = settling(ROW, 42, 1000.0, take_up=1.0)
    assert fast.users_per_arm < found.users_per_arm / 3
    assert fast.days == 7 * fast.weeks + 42
    assert f"{fast.users_per_arm:,} sign-ups in each half" in str(fast)


def test_the_test_of_what_goes_with_leaving_spares_it():
    harmful = ROW | {"verdict": "more in churned", "adjusted_risk_ratio": 0.5, "adjusted_low": 0.3}
    found = settling(harmful, 42, 500.0)
    assert found.goal > found.rate
    assert "are spared 'invite' or offered another way" in found.offered
    never = settling(
        harmful | {"adjusted_risk_ratio": 0.0, "adjusted_low": None, "adjusted_high": 0.4},
        42,
        500.0,
    )
    assert never.goal > found.rate


def test_a_needed_action_is_tested_by_those_it_would_bring():
    needed = ROW | {
        "adjusted_risk_ratio": None,
        "adjusted_low": 3.1,
        "adjusted_high": None,
        "retention_not": 0.0,
    }
    found = settling(needed, 42, 500.0)
    assert found.goal == pytest.approx(found.rate + 0.5 * (1 - ROW["reach"]) * ROW["retention_did"])


def test_no_day_beyond_any_useful_time_is_named():
    slow = settling(ROW, 42, 3.0)
    assert (slow.weeks, slow.days) == (None, None)
    assert "more than come in any useful time" in slow.sentence
    assert "nobody signed up lately" in settling(ROW, 42, 0.0).sentence


def test_each_named_action_carries_its_test():
    made = planted(2, users=3000, actions=20, true=3)
    table = ek.compare_first_weeks(made.journeys)
    named = table.filter(pl.col("verdict") != "not clear", pl.col("verdict") != "too few")
    assert named.height >= 3
    assert named["test_users_per_arm"].null_count() == 0
    others = table.filter(~pl.col("action").is_in(named["action"].to_list()))
    assert others["test_users_per_arm"].null_count() == others.height
    first = named.row(0, named=True)
    test = lever_test(made.journeys, table, first["action"], signups_per_week=175)
    assert test.users_per_arm == first["test_users_per_arm"]
    assert test.window_days == 42
    with pytest.raises(ParameterError, match="is not named there"):
        lever_test(made.journeys, table, others.filter(verdict="not clear")["action"][1])
    with pytest.raises(ParameterError, match="is no action there"):
        lever_test(made.journeys, table, "nothing")
    with pytest.raises(ParameterError, match="2 faults"):
        lever_test(made.journeys, table, "nothing", take_up=2)


def test_what_belongs_to_the_loop_is_named_and_no_lever():
    made = planted(2, users=3000, actions=20, true=3)
    true = min(made.true)
    loop = dataclasses.replace(made.journeys.definition, advocacy=[true])
    journeys = dataclasses.replace(made.journeys, definition=loop)
    row = ek.compare_first_weeks(journeys).filter(action=true).row(0, named=True)
    assert (row["verdict"], row["belongs_to"]) == ("more in retained", "advocacy")
    assert (row["question"], row["test_users_per_arm"]) == (None, None)
    assert "no lever for itself" in row["sentence"]
    assert true not in set(ek.strongest(journeys)["action"])
    assert ek.compare_first_weeks(journeys)["action"][0] != true
    with pytest.raises(ParameterError, match="is not named there"):
        lever_test(journeys, ek.compare_first_weeks(journeys), true)


def test_controls_are_shown_and_counted_and_never_named():
    made = planted(2, users=3000, actions=20, true=3)
    true = min(made.true)
    null = next(f"a{n:03d}" for n in range(20) if f"a{n:03d}" not in made.true)
    table = ek.compare_first_weeks(made.journeys, controls=[true, null])
    assert set(table["controls"].drop_nulls()) == {2}
    assert set(table["controls_clear"].drop_nulls()) == {1}
    control = table.filter(action=true).row(0, named=True)
    assert control["control"]
    assert (control["verdict"], control["question"]) == ("more in retained", None)
    other = table.filter(pl.col("test_users_per_arm").is_not_null()).row(0, named=True)
    assert "Of 2 controls, 1 would have been called clear." in other["sentence"]
    assert true not in set(ek.strongest(made.journeys, controls=true)["action"])
