"""Which sign-ups an answer stands on, and that a group is judged like the whole."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_logs import START, WITH_TARGETS, found_in, going_as_far_as, rolled
from test_references import FALLEN, STEADY, weekly

import engagekit as ek
from engagekit.errors import ParameterError

WINDOWS = {
    "activation": 3,
    "habit": 5,
    "depth": 9,
    "advocacy": 10,
}  # days from sign-up, by WITH_TARGETS


def at(day: float):
    return START + timedelta(days=day)


def spans(found: ek.Priority) -> dict[str, tuple]:
    return {row["link"]: (row["since"], row["until"]) for row in found.table.to_dicts()}


def test_each_link_ends_with_the_latest_sign_up_that_can_be_judged_there():
    rows = weekly([STEADY] * 3, per_week=40)
    found = found_in(rows, as_of=13 * 7 * 3)
    for link, (since, until) in spans(found).items():
        assert until == at(13 * 7 * 3 - WINDOWS[link])
        doubled = (until - since) / timedelta(days=91)
        assert doubled == (
            2 if link == "advocacy" else 1
        )  # 13 weeks have 520 · ¾ · 0.65 · 0.7 = 177 deep ones


def test_counts_are_those_of_the_span():
    """What `since` and `until` say can be counted again from the users."""
    journeys = rolled(weekly([STEADY, FALLEN, STEADY], per_week=40, seed=3), WITH_TARGETS, 273)
    row = ek.prioritize(journeys).table.row(0, named=True)
    signed = pl.col("signed_up_at")
    inside = journeys.users.filter(signed >= row["since"], signed <= row["until"])
    passed = inside.filter(pl.col("activated_at") < signed + timedelta(days=3))
    assert (passed.height, inside.height) == (row["n"], row["of"])


def test_a_span_is_doubled_for_one_link_alone_and_at_most_twice():
    rows = weekly([(0.9, 0.9, 0.05)] * 10, per_week=30, seed=2)
    found = found_in(rows, as_of=13 * 7 * 10 + 20)
    wide = {k: (until - since).days for k, (since, until) in spans(found).items()}
    assert wide == {"activation": 91, "habit": 91, "depth": 91, "advocacy": 364}
    thin = found_in(weekly([(0.9, 0.5, 0.5)] * 10, per_week=6, seed=2), as_of=13 * 7 * 10 + 20)
    wide = {k: (until - since).days for k, (since, until) in spans(thin).items()}
    assert wide == {"activation": 364, "habit": 364, "depth": 364, "advocacy": 364}
    assert thin.table["of"][0] in (6 * 52, 6 * 52 + 1)  # both ends of the span count
    named = found_in(weekly([(0.9, 0.2, 0.5)] * 10, per_week=12, seed=2), as_of=13 * 7 * 10 + 20)
    assert named.link == "habit"
    assert "As few can be judged on habit, its sign-ups are those of 182 days." in named.sentence


def test_doubling_stops_where_the_log_begins():
    found = found_in(weekly([STEADY], per_week=10), as_of=13 * 7 + 9)
    assert [(until - since).days for since, until in spans(found).values()] == [91] * 4
    assert "As few" not in found.sentence


def test_weeks_alone_are_spoken_of_where_they_are_few():
    found = found_in(going_as_far_as(400, 300, 40, 20))
    assert found.table["design_effect"].to_list() == [2.0] * 4
    assert "speaks of sign-ups of 1 week alone" in found.sentence
    more = going_as_far_as(100, 75, 10, 5)
    for week in range(1, 4):
        more += going_as_far_as(100, 75, 10, 5, first=1000 * week, day=7 * week)
    four = found_in(more, as_of=100)
    assert four.table["design_effect"].to_list()[:3] == [1.0] * 3
    assert "week alone" not in four.sentence


def test_recent_can_be_chosen_and_switched_off():
    rows = weekly([FALLEN, FALLEN, STEADY, STEADY], per_week=60, seed=4)
    journeys = rolled(rows, WITH_TARGETS, 13 * 7 * 4 + 9)
    assert ek.prioritize(journeys).verdict == "none broken"
    everybody = ek.prioritize(journeys, recent=None)
    assert everybody.link == "habit"
    assert everybody.table["of"][0] == 60 * 52
    month = ek.prioritize(journeys, recent=28)
    assert (month.table["until"][0] - month.table["since"][0]).days == 28
    wider = dataclasses.replace(WITH_TARGETS, recent_days=364)
    assert ek.prioritize(rolled(rows, wider, 13 * 7 * 4 + 9)).link == "habit"
    for wrong in (0, True, 1.5, "91"):
        with pytest.raises(ParameterError, match="recent is"):
            ek.prioritize(journeys, recent=wrong)
        with pytest.raises(ParameterError, match="recent is"):
            ek.diagnose(journeys, recent=wrong)
        with pytest.raises(ParameterError, match="recent is"):
            ek.metrics(journeys, recent=wrong)


def test_another_verdict_of_the_quarter_before_or_of_all_sign_ups_is_said():
    long_ago = [FALLEN] * 4 + [STEADY] * 4
    mended = found_in(weekly(long_ago, per_week=60, seed=5), as_of=13 * 7 * 8 + 9)
    assert mended.verdict == "none broken"
    assert "All sign-ups together say habit (over 99% sure)." in mended.sentence
    just = found_in(weekly([FALLEN] * 4 + [STEADY], per_week=60, seed=6), as_of=13 * 7 * 5 + 9)
    assert just.verdict == "none broken"
    assert (
        "The quarter before and all sign-ups together say habit (over 99% sure)." in just.sentence
    )
    same = found_in(weekly([FALLEN] * 4, per_week=60, seed=7), as_of=13 * 7 * 4 + 9)
    assert same.link == "habit"
    assert " say " not in same.sentence
    slow = [(0.75, 0.54, 0.7)] * 3  # near enough to the target that all together stay undecided
    late = found_in(weekly([*slow, STEADY, FALLEN], per_week=60, seed=8), as_of=13 * 7 * 5 + 9)
    assert late.link == "habit"
    assert "The quarter before says that no link is broken." in late.sentence


def test_where_sign_ups_ended_the_sentence_begins_with_that():
    rows = weekly([FALLEN] * 2, per_week=60, seed=9)
    found = found_in(rows, as_of=13 * 7 * 2 + 200)
    assert found.sentence.startswith("Nobody has signed up since 2026-09-")
    assert "The last sign-up that can be judged on habit was on 2026-09-" in found.sentence
    assert found.sentence.count("The last sign-up that can be judged on") == 1
    assert found.table["until"][0] == max(at for _, e, at in rows if e == "join")
    assert found.link == "habit"


def test_a_gap_in_the_sign_ups_is_bridged():
    """Nobody signed up for half a year, then a few did this week: the latest who can be judged are those before."""
    rows = weekly([FALLEN] * 2, per_week=60, seed=9)
    rows += going_as_far_as(10, 5, first=90_000, day=400)
    found = found_in(rows, as_of=401)
    assert found.link == "habit"
    assert found.table["until"][0] < at(13 * 7 * 2)
    assert not found.sentence.startswith("Nobody has signed up since")


def test_diagnose_counts_recent_sign_ups_and_all_on_request():
    journeys = rolled(weekly([STEADY] * 4, per_week=10), WITH_TARGETS, 13 * 7 * 4)
    counted = ek.diagnose(journeys)
    everyone = ek.diagnose(journeys, recent=None)
    since = at(13 * 7 * 4 - (6 + 91))
    recent = journeys.users.filter(pl.col("signed_up_at") >= since).height
    assert counted["n"].sum() == recent < everyone["n"].sum() == 10 * 52
    rate = pl.col("metric") == "activation rate"
    assert ek.metrics(journeys).filter(rate)["of"][0] < ek.metrics(journeys, recent=None).filter(rate)["of"][0]  # fmt: skip


def test_a_log_of_days_has_spans_of_days():
    rows = [(u, e, t.date()) for u, e, t in weekly([STEADY] * 2, per_week=21)]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    journeys = ek.rollup(log, WITH_TARGETS, as_of=at(13 * 7 * 2), missing="allow")
    row = ek.prioritize(journeys).table.row(0, named=True)
    day = pl.col("signed_up_at").dt.date()
    inside = journeys.users.filter(day >= row["since"].date(), day <= row["until"].date())
    assert row["of"] == inside.height == 92 * 3
    assert row["weeks"] == 14  # the day on which the span begins is one of a fourteenth


KINDS = (None, {}, "own past", {"habit": 0.7}, {"activation": 0.8, "habit": 0.5, "depth": 0.6, "advocacy": 0.3})  # fmt: skip


@pytest.mark.thorough
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    targets=st.sampled_from(KINDS),
    accounts=st.booleans(),
    rates=st.lists(st.floats(0.1, 0.9), min_size=3, max_size=3),
    recent=st.sampled_from([91, 30, None]),
)
def test_one_group_that_holds_everybody_equals_the_whole(seed, targets, accounts, rates, recent):
    rows = weekly([STEADY] * 5 + [tuple(rates)], per_week=8, seed=seed, spread=0.1)
    ids = sorted({u for u, _, _ in rows})
    users = pl.DataFrame({"user_id": ids, "plan": ["all"] * len(ids)})
    if accounts:
        users = users.with_columns(account_id=pl.col("user_id") // 3)
    if targets == "own past" and recent is None:
        targets = {}
    found = found_in(rows, as_of=13 * 7 * 6 + 9, targets=targets, users=users, by="plan", recent=recent)  # fmt: skip
    only = found.segments.row(0, named=True)
    assert found.segments.height == 1
    assert (only["verdict"], only["link"], only["problem"]) == (found.verdict, found.link, found.problem)  # fmt: skip
    assert only["probability"] == found.probability
    assert only["candidates"] == list(found.candidates)
    assert not only["elsewhere"]
    assert only["users"] == found.table["of"][0]
    for row in found.table.to_dicts():
        assert only[f"{row['link']}_of"] == row["of"]
        assert only[f"{row['link']}_rate"] == row["rate"]
