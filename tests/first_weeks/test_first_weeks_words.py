from __future__ import annotations

import pytest

from engagekit.first_weeks.sentences import question, sentence

ROW = {
    "action": "invite", "at_least": 2, "n_retained": 1200, "n_churned": 3000, "share_retained": 0.4,
    "share_churned": 0.2, "adjusted_risk_ratio": 1.3, "adjusted_low": 1.1, "adjusted_high": 1.5,
    "adjusted_difference": 0.1, "part_of_definition": False, "launched_at": None, "verdict": "more in retained",
    "strata_p": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {},
            "'invite' at least 2 times in the first 14 days: 40% of 1,200 retained and 20% of 3,000 churned users.",
        ),
        (
            {},
            "1.30 times as often (1.10 to 1.50). They go together; whether one leads to the other only an experiment",
        ),
        ({"at_least": 1}, "'invite' in the first 14 days"),
        ({"strata_p": 0.001}, "Users of different activity differ in this."),
        ({"verdict": "not clear"}, "which may be chance"),
        ({"verdict": "not clear", "withdrawn": True}, "so nothing is claimed"),
        ({"verdict": "too few"}, "Too few did it, or did not"),
        (
            {"n_churned": 0, "share_churned": None, "verdict": "not clear"},
            "– of 0 churned users. Nobody churned, so there is nothing to compare.",
        ),
        ({"n_retained": 0, "share_retained": None}, "Nobody was retained, so there is nothing"),
        ({"part_of_definition": True}, "part of what counts as retained"),
        ({"adjusted_risk_ratio": None}, "10 points more often"),
        ({"adjusted_risk_ratio": None, "adjusted_difference": None}, "too few to compare"),
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
        ({}, "Can every new user reach 'invite' at least 2 times in week one?"),
        (
            {"at_least": 1, "verdict": "more in churned"},
            "What are new users looking for when they turn to 'invite'?",
        ),
        ({"verdict": "not clear"}, None),
        ({"verdict": "too few"}, None),
    ],
)
def test_questions(change, asked):
    assert question(ROW | change) == asked
