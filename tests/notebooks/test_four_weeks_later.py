"""The monthly review before and after newer data came in: the plan first, the picture with the goal, a history."""

from __future__ import annotations

import re

import pytest
from contradictions import in_code
from course_pages import walked
from four_weeks import APRIL, DEFINITION, MAY, log_of, users_of

from engagekit.workshop import Session, refresh, start

pytestmark = pytest.mark.slow
PLAN = {
    "link": "activation", "play": "Progress & Momentum", "owner": "Dana", "baseline": 0.42, "target": 0.6, "starts_on": "2026-04-15",
    "look_again": "2026-05-20", "change_our_mind": "fewer than ten sign-ups a day",
}  # fmt: skip


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """Walk notebook 09 in April, bring May in, and walk 08 and 09 again."""
    folder = tmp_path_factory.mktemp("weeks") / "ws"
    (team,) = start(folder, events=log_of(APRIL), users=users_of(APRIL), definition=DEFINITION)
    Session(team).replace("plan", PLAN)
    before = walked(team, ["09-monthly-review"])
    refresh(folder, events=log_of(MAY), users=users_of(MAY))
    return before, walked(team, ["09-monthly-review"]), walked(team, ["08-weekly-review"])


def texts(page) -> list[str]:
    return [said.text for said in page if said.kind == "code"]


def test_before_newer_data_nothing_is_judged_and_it_is_said(reviews):
    page = "\n".join(texts(reviews[0]))
    assert "the day to look again is 2026-05-20, so what stands below is a first look" in page
    assert "nobody who signed up since can be judged on Activation yet" in page
    assert "No play is followed, so no change is split." in page


@pytest.mark.parametrize("number", [1, 2])
def test_a_review_begins_with_the_plan_and_the_picture(reviews, number):
    _, top, plan, due, tracker, *_ = texts(reviews[number])
    assert "1,740 users" in top
    for said in ("Owner: Dana", "Look again on: 2026-05-20", "fewer than ten sign-ups a day"):
        assert said in plan
    assert re.search(r"(Target|Goal)[^:]*: 60%", plan)
    assert "the day to look again, 2026-05-20, has come" in due
    assert re.search(r"83% against 4[12]% before; the goal of 60% is reached", tracker)
    assert "Since it began" in tracker
    assert "The goal" in tracker


def test_the_history_says_what_the_last_review_saw(reviews):
    (kept,) = [text for text in texts(reviews[1]) if text.startswith("| Data until")]
    april, may = kept.splitlines()[2:]
    assert april.startswith("| 2026-04-14 | monthly |")
    assert may.startswith("| 2026-05-29 | monthly |")
    assert april.split("|")[4].strip().startswith("42% of")
    assert float(may.split("|")[4].strip().split("%")[0]) > 50


def test_no_review_speaks_to_a_programmer(reviews):
    assert [said for page in reviews for said in in_code(page)] == []
