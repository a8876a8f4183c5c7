"""One user's days: each thing done stands there once, in order, and the rows that the label rests on are marked."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from link_logs import BERLIN, PLAIN, START, log_of, rolled, steady, visits

import engagekit as ek
from engagekit.errors import ParameterError


def days_of(done, definition=PLAIN, as_of: float = 30, **more):
    return ek.timeline(steady(rolled(log_of(*done), definition, as_of)), 1, **more)


def decided(days):
    kept = days.filter("decides", pl.col("kind") != "label")
    return kept.select("kind", "what", "days_in").rows()


EVENTS = [("join", 0), ("open", 0.2), ("done", 0.4), ("make", 1), ("make", 1.5), ("report", 1.6), ("mail", 4)]  # fmt: skip


def test_everything_stands_once_in_order_with_its_day_and_count():
    found = days_of(EVENTS)
    assert found.filter(pl.col("kind") != "event").select("kind", "what", "days_in", "times").rows() == [
        ("sign-up", "sign-up", 0, 1),
        ("step reached", "Open", 0, 1),
        ("step completed", "Open", 0, 1),
        ("activation", "activation", 1, 1),
        ("core", "core", 1, 2),
        ("advanced", "report", 1, 1),
        ("outreach", "outreach", 4, 1),
        ("label", "vanished", 29, None),
    ]  # fmt: skip
    assert found.filter(kind="event").select("what", "times").rows() == [
        ("join", 1), ("open", 1), ("done", 1), ("make", 2), ("report", 1), ("mail", 1),
    ]  # fmt: skip
    core = found.filter(kind="core").row(0, named=True)
    assert (core["at"], core["until"]) == (START + timedelta(days=1), START + timedelta(days=1.5))
    assert found["at"].is_sorted()


def test_an_event_of_the_first_days_says_on_which_of_them():
    found = days_of([*EVENTS, ("make", 3.1)]).filter(what="make").row(0, named=True)
    assert (found["times"], found["until"], found["note"]) == (
        3,
        None,
        "on days 1, 3 since sign-up",
    )


def test_with_the_log_every_event_stands_in_place_of_the_first_days():
    rows = [("look", -1), *EVENTS, ("look", 20), ("look", 31)]
    log = pl.DataFrame(log_of(*rows), schema=["user_id", "event", "at"], orient="row")
    other = pl.DataFrame(log_of(("look", 2), user=2), schema=log.schema, orient="row")
    found = days_of(rows, events=pl.concat([log, other])).filter(kind="event")
    assert found.select("what", "days_in").rows() == [
        ("look", -1), ("join", 0), ("open", 0), ("done", 0), ("make", 1), ("make", 1), ("report", 1), ("mail", 4), ("look", 20),
    ]  # fmt: skip
    assert found["note"][0] == "before the sign-up: not counted"
    assert found["note"].null_count() == 8


def test_days_are_local():
    # 23:30 in UTC is the next day in Berlin.
    events = [("join", 0), ("make", 0.98)]
    assert days_of(events, BERLIN).filter(kind="core")["day"][0] == date(2026, 3, 28)
    assert days_of(events, PLAIN).filter(kind="core")["day"][0] == date(2026, 3, 27)


ACTIVATED = ("activation", "activation", 0)
SAID = {
    "vanished": (visits(), 30, [ACTIVATED], "activated on 2026-03-27, and no core action on a later day, 2 days having passed"),
    "stalled": ([("join", 0), ("open", 1), ("done", 2)], 30, [("step completed", "Open", 2)], "completed 1 step and opened no other"),
    "friction": ([("join", 0), ("open", 1)], 30, [("step reached", "Open", 1)], "reached 'Open' and did not complete it"),
    "never_started": ([("join", 0)], 30, [("sign-up", "sign-up", 0)], "not activated, 3 days having passed, and no step reached"),
    "plateau": (visits(1, 2, 3, 4, 5), 6, [("core", "core", 5)], "last on 2026-04-01; no advanced action on 2 days within 2 days"),
    "drift": (visits(2, 4, 6), 13, [("core", "core", 6)], "for 6 days (6.0 in product time), 3.0 times the usual gap of 2.0, and longer than the longest they came back from, 2.0"),
    "healthy": ([*visits(1), ("report", 0.2), ("share", 1.1), ("share", 2.2), ("report", 9)], 10, [("advanced", "share", 1), ("advanced", "share", 2)], "'share' on 2 days, 1 day apart, by 2026-03-29"),
    "too_early": (visits(1, 2), 4, [ACTIVATED], "the 6 days for depth are over on 2026-04-02"),
}  # fmt: skip


@pytest.mark.parametrize("label", SAID)
def test_the_rule_is_said_and_what_it_looks_at_is_marked(label):
    events, as_of, rows, words = SAID[label]
    if label == "healthy":
        events = [*events, ("make", 9)]
    found = days_of(events, as_of=as_of)
    assert found["what"][-1] == label
    assert decided(found) == rows
    assert words in found["note"][-1]


@pytest.mark.parametrize(
    ("events", "as_of", "link"),
    [([("join", 0)], 1, "activation"), (visits(), 1, "habit"), (visits(1), 2, "depth")],
)
def test_too_early_says_until_when(events, as_of, link):
    days = {"activation": 3, "habit": 2, "depth": 6}[link]
    over = (START + timedelta(days=days)).date()
    note = days_of(events, as_of=as_of)["note"][-1]
    assert note == f"Are too new to judge: the {days} days for {link} are over on {over}."


def test_the_label_is_that_of_label_users_for_every_user():
    made = ek.simulate(users=120, seed=4)
    journeys = ek.rollup(made.events, made.definition, users=made.users, as_of=made.as_of)
    labels = ek.label_users(journeys)
    for user, label in labels.select("user_id", "label").rows():
        found = ek.timeline(journeys, user)
        assert found["what"][-1] == label
        assert decided(found), "a rule looks at something"
        assert user not in str(found.rows())
        mine = journeys.days.filter(user_id=user)
        kinds = found.filter(~pl.col("kind").is_in(["label", "event", "sign-up", "activation", "step reached", "step completed"]))  # fmt: skip
        assert kinds["times"].sum() == mine["times"].sum()


def test_who_signed_up_before_the_log_is_shown_and_not_labelled():
    rows = log_of(("make", 5), ("make", 9), user=2) + log_of(*visits(1))
    people = pl.DataFrame({"user_id": [1, 2], "signed_up_at": [START, START - timedelta(days=40)]})
    journeys = rolled(rows, dataclasses.replace(PLAIN, signup=None), users=people)
    assert journeys.late.height == 1
    found = ek.timeline(journeys, 2)
    assert found.filter(kind="core")["days_in"].to_list() == [45, 49]
    assert found["what"][-1] == "not labelled"


def test_a_log_of_dates_has_days_only():
    rows = [("a", e, date(2026, 1, d)) for e, d in [("join", 1), ("make", 2), ("make", 5)]]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = dataclasses.replace(PLAIN, steps=(), advanced=(), advocacy=(), outreach=None, timezone="America/New_York")  # fmt: skip
    found = ek.timeline(ek.rollup(log, definition, as_of="2026-01-09"), "a")
    assert found.filter(kind="core")["day"].to_list() == [date(2026, 1, 2), date(2026, 1, 5)]
    assert found.filter(kind="core")["days_in"].to_list() == [1, 4]
    assert found["day"][-1] == date(2026, 1, 8)


def test_journeys_on_disk_say_the_same(tmp_path):
    journeys = rolled(log_of(*EVENTS) + log_of(*visits(2), user=2))
    journeys.save(tmp_path / "j")
    lazy = ek.Journeys.load(tmp_path / "j", lazy=True)
    assert ek.timeline(lazy, 1).equals(ek.timeline(journeys, 1))


@pytest.mark.parametrize(
    "user",
    ["jane@secret.example", None, 7.5, "1", 99, -1, True, [1], datetime(2026, 1, 1, tzinfo=UTC)],
)
def test_nobody_is_refused_without_their_id(user):
    journeys = rolled(log_of(*EVENTS))
    with pytest.raises(ParameterError, match="these journeys") as error:
        ek.timeline(journeys, user)
    assert "jane" not in str(error.value)


def test_only_journeys_have_users():
    with pytest.raises(ParameterError, match="journeys"):
        ek.timeline(pl.DataFrame({"user_id": [1]}), 1)
