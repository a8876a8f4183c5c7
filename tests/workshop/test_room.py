"""Sentences of the pages that depend on the log: each verdict, and what the log has or lacks."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.workshop import Session


@pytest.fixture(scope="module")
def made():
    return ek.simulate(users=1500, seed=4)


@pytest.fixture(scope="module")
def journeys(made):
    return ek.rollup(made.events, made.definition, users=made.users)


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path / "team")


def under(journeys, **targets):
    """Judge under targets that lie so many points above the rates."""
    rates = dict(ek.prioritize(journeys, targets={}).table.select("link", "rate").iter_rows())
    return ek.prioritize(journeys, targets={link: rates[link] + more for link, more in targets.items()})  # fmt: skip


VERDICTS = {
    "named": ({"habit": 0.2}, "earliest link that is very probably more than 2 points below", "The trap: "),
    "undecided": ({"activation": 0.02}, "Undecided is a result", "no play starts yet"),
    "none broken": ({"activation": -0.2}, "there is nothing to mend now", "there is nothing to mend now"),
    "no targets": ({}, "No targets are set, so no bar can be called too short", "no play is chosen"),
}  # fmt: skip


@pytest.mark.parametrize("verdict", VERDICTS)
def test_each_verdict_has_its_own_words_and_no_others(journeys, verdict):
    targets, read, first = VERDICTS[verdict]
    priority = under(journeys, **targets)
    assert priority.verdict == verdict
    text = str(ek.room.how_to_read(priority))
    assert read in text
    assert first in str(ek.room.first_play(priority))
    for other, (_, said, _) in VERDICTS.items():
        assert (said in text) == (other == verdict)
    assert ("A tick is the target" in text) == (verdict != "no targets")


def test_a_plan_is_introduced_by_what_stands_behind_it(journeys):
    assert "| Play |" in str(ek.room.plan_first(under(journeys, habit=0.2)))
    assert "team's choice, not the verdict's" in str(
        ek.room.plan_first(under(journeys, activation=0.02))
    )
    assert "No link is broken" in str(ek.room.plan_first(under(journeys, activation=-0.2)))
    assert "set them first" in str(ek.room.plan_first(under(journeys)))
    open_between = dataclasses.replace(under(journeys, activation=0.2), play=None, problem_candidates=("Friction", "Progress"))  # fmt: skip
    assert "Friction or Progress is open" in str(ek.room.plan_first(open_between))
    unknown = dataclasses.replace(open_between, problem_candidates=())
    assert "look first at who signs up" in str(ek.room.plan_first(unknown))


def test_what_the_log_lacks_is_said_and_nothing_else(made, journeys):
    bare = dataclasses.replace(made.definition, steps=(), advanced=(), advocacy=(), targets={})
    less = ek.rollup(made.events, bare)
    read = str(ek.room.how_to_read(ek.prioritize(less)))
    assert "Depth and Advocacy cannot be judged: the definition names no events for them." in read
    assert "cannot be judged" not in str(ek.room.how_to_read(ek.prioritize(journeys)))
    assert "No steps are defined" in str(ek.room.problem(ek.diagnose(less), definition=bare))
    assert "No steps" not in str(ek.room.problem(ek.diagnose(journeys), ek.prioritize(journeys)))
    assert "No steps are defined" in str(ek.room.steps(less, ek.step_drop_off(less)))
    assert ek.room.steps(journeys, ek.step_drop_off(journeys)).to_dict()["usermeta"]
    assert "Advocacy is named only" not in str(ek.room.broken_if(bare))
    assert "Advocacy is named only" in str(ek.room.broken_if(made.definition))
    wide = dataclasses.replace(made.definition, margin=0.035, recent_days=28)
    assert "more than 3.5 points" in str(ek.room.broken_if(wide))
    assert "last 28 days" in str(ek.room.broken_if(wide))
    assert str(ek.room.left_out(journeys)).startswith("Nobody is left out")


def test_the_problem_gives_no_verdict_away_before_the_vote(journeys):
    diagnosis, priority = ek.diagnose(journeys), ek.prioritize(journeys)
    assert "notebook 06" in str(ek.room.problem(diagnosis, definition=journeys.definition))
    days = journeys.definition.depth_days + journeys.definition.recent_days
    assert f"over the latest {days} days of sign-ups" in str(ek.room.problem(diagnosis, priority))
    assert "days of sign-ups" not in str(ek.room.problem(diagnosis))
    told = str(ek.room.problem(diagnosis, priority))
    common = diagnosis.drop_nulls("play").sort("n").row(-1, named=True)["problem"]
    assert ("The loop points the same way" in told) == (common == priority.problem)
    assert "no link is named" in str(ek.room.problem(diagnosis, under(journeys)))


def test_the_first_page_says_whose_log_it_is(session, journeys):
    priority = ek.prioritize(journeys)
    assert "a made-up product" in str(ek.room.answer(session, journeys, priority))
    assert "engagekit start" in str(ek.room.own_log(session))
    session.update("about", {"events": "../log"})
    own = str(ek.room.answer(session, journeys, priority))
    assert "your own" in own
    assert "guess" not in own
    assert "engagekit refresh" in str(ek.room.own_log(session))
    guessed = dataclasses.replace(journeys, definition=dataclasses.replace(journeys.definition, guessed=True))  # fmt: skip
    assert "is a guess from the log" in str(ek.room.answer(session, guessed, priority))


def test_watched_users_are_counted_in_words(journeys):
    now = ek.watch_list(journeys)
    assert str(ek.room.watched(now)).startswith(f"> {now.height} users are silent")
    assert str(ek.room.watched(now.head(1))).startswith("> 1 user is silent")
    assert str(ek.room.watched(now.clear(), now)).endswith(f"A week before: {now.height}.")


def test_a_review_says_whether_its_day_has_come(session, journeys):
    assert "Nothing is planned" in str(ek.room.due(session, journeys))
    until = (journeys.as_of - timedelta(microseconds=1)).date()
    session.update("plan", {"link": "habit", "look_again": str(until)})
    assert f"the day to look again, {until}, has come" in str(ek.room.due(session, journeys))
    session.update("plan", {"look_again": str(until + timedelta(days=1)), "draft": True})
    told = str(ek.room.due(session, journeys))
    assert "is a first look" in told
    assert "The plan is a draft" in told


def test_the_verdict_is_held_against_the_plan(session, journeys):
    named = under(journeys, activation=0.2)
    assert "plan" not in str(ek.room.verdict_now(session, named)).lower()
    assert "no test to size" in str(ek.room.trial_size(session, under(journeys)))
    session.update("plan", {"link": "activation", "target": 0.4})
    assert "little is left for a test to show" in str(ek.room.trial_size(session, named))
    session.update("plan", {"target": 0.9})
    assert "the goal is 90%" in str(ek.room.trial_size(session, named))
    session.update("plan", {"play": "Repeat Value"})
    assert str(ek.room.trial_size(session, named)).startswith("> Play: Repeat Value")
    session.replace("plan", {"link": "activation"})
    assert "That is the link of the plan, Activation." in str(ek.room.verdict_now(session, named))
    session.update("plan", {"link": "habit"})
    assert "the verdict now names Activation" in str(ek.room.verdict_now(session, named))
    assert "now names no link" in str(ek.room.verdict_now(session, under(journeys)))
    assert "A test takes" in str(ek.room.trial_size(session, under(journeys)))


def test_without_a_test_or_a_play_that_is_said(journeys):
    assert "No test is set up" in str(ek.room.tested(journeys, None))
    assert "No play is followed" in str(ek.room.change_since(journeys, None))
    checks = ek.check_events(ek.simulate(users=50, seed=1).events, journeys.definition)
    assert str(ek.room.faults(checks.filter(count=0))) == "> No check found anything."
    assert "No action stands out" in str(ek.room.worth_testing(ek.strongest(journeys).clear()))


def test_reviews_keep_one_row_per_day_of_the_data(session, journeys):
    before = journeys.at(journeys.as_of - timedelta(days=28))
    for seen in (before, journeys, journeys):
        told = ek.room.reviews(session, seen, ek.prioritize(seen), review="monthly")
    kept = session.get("reviews")
    assert [key.split(" ")[1] for key in kept] == ["monthly", "monthly"]
    loop = dict(ek.prioritize(before).table.select("link", pl.concat_list("n", "of")).iter_rows())
    first = next(iter(kept.values()))
    assert first["loop"]["activation"] == list(loop["activation"])
    assert first["play"] is None
    lines = str(told).splitlines()
    assert len(lines) == 4
    n, of = loop["activation"]
    assert f"| {n / of:.0%} of {of:,} |" in lines[2]


def test_whatever_a_session_holds_as_reviews_is_inert(session, journeys):
    session.set("reviews", {"2020-01-01 weekly": {"verdict": "<script>|x|", "loop": {"habit": "no"}, "link": 3}, "odd": 7})  # fmt: skip
    told = str(ek.room.reviews(session, journeys, ek.prioritize(journeys), review="weekly"))
    assert "<script>" not in told
    assert "\\|x\\|" in told
    assert len(session.get("reviews")) == 2
