from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import link_logs
import polars as pl
import pytest
from link_logs import START, going_as_far_as
from link_logs import WITH_TARGETS as DEFINITION

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.intervals import newcombe, wilson
from engagekit.review import changes


def rolled(rows, as_of: float = 60, definition=DEFINITION, **more):
    return link_logs.rolled(rows, definition, as_of, **more)


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def before_and_since(before, since):
    """Sign-ups on day 10 and, after a decision on day 30, on day 40."""
    return rolled(
        going_as_far_as(*before, day=10)
        + going_as_far_as(*since, first=5000, day=40)
        + going_as_far_as(1, first=9000)
    )


@pytest.mark.parametrize(
    ("before", "since", "verdict"),
    [
        ((200, 150, 50), (200, 150, 90), "cannot tell yet"),
        ((200, 150, 90), (200, 150, 50), "cannot tell yet"),
        ((200, 150, 60), (200, 150, 66), "cannot tell yet"),
    ],
)
def test_a_log_of_two_months_has_no_past_to_judge_a_change_by(before, since, verdict):
    """However large: how much the rate moves without a play is not known. One week a side counts half (rule 4)."""
    found = ek.track(before_and_since(before, since), since=at(30), link="habit")
    assert found.verdict == verdict
    assert (found.difference, found.low, found.high) == pytest.approx(
        newcombe(since[2] / 2, 75, before[2] / 2, 75)
    )
    assert found.a_a_share is None
    assert {remark.kind for remark in found.remarks} <= {"few weeks", "short past"}
    assert found.table.select("sign_ups", "n", "of").rows() == [
        ("before", before[2], 150), ("since", since[2], 150),
    ]  # fmt: skip
    for n, of, low, high in found.table.select("n", "of", "low", "high").rows():
        assert (low, high) == pytest.approx(wilson(n / 2, of / 2))
    assert found.priority.table["of"].to_list()[:2] == [200, 150]  # sign-ups since
    assert str(found) == found.sentence
    assert found.priority.sentence not in found.sentence  # its counts are by another rule


def test_the_sentence_can_be_read_aloud():
    found = ek.track(before_and_since((200, 150, 50), (200, 150, 90)), since=at(30), link="habit")
    assert found.sentence == (
        "Habit since 2026-04-26: cannot tell yet. 60% (90 of 150) against 33% (50 of 150) before: +27 points (+11 to +41). "
        "Fewer than 4 whole weeks of sign-ups since then can be judged."
    )


def test_the_span_before_is_as_long_as_the_one_that_can_be_judged():
    """Of 30 days since, 5 are too new for habit; 25 days before are compared with 25 days since."""
    rows = [row for day in range(60) for row in going_as_far_as(10, 8, 4, first=100 * day, day=day)]
    found = ek.track(rolled(rows), since=at(30), link="habit")
    assert found.table.select("since", "until").rows() == [(at(5), at(30)), (at(30), at(55))]
    assert found.table["of"].to_list() == [25 * 8, 25 * 8]
    first = ek.track(rolled(rows), since=at(30), link="activation")
    assert first.table.select("since", "until").rows() == [(at(3), at(30)), (at(30), at(57))]
    early = ek.track(
        rolled(rows), since=at(10), link="habit"
    )  # the log begins too late for 45 days before
    assert early.table.select("since", "until").rows() == [(at(0), at(10)), (at(10), at(55))]


def test_quick_users_alone_are_not_compared_with_everybody():
    """Who activates at once could be judged on habit early; until the slow ones can, neither counts."""
    rows = going_as_far_as(40, 30, 10, day=10) + going_as_far_as(40, 30, 30, first=500, day=56)
    journeys = rolled(rows)
    assert ek.prioritize(journeys.where(signed_up=(at(30), None)), recent=None).table["of"][1] == 30
    found = ek.track(journeys, since=at(30), link="habit")
    assert found.table["of"].to_list()[1] == 0
    assert (found.verdict, found.difference, found.low, found.high) == (
        "cannot tell yet",
        None,
        None,
        None,
    )
    assert "nobody who signed up since 2026-04-26 can be judged on it" in found.sentence


def test_nobody_before():
    found = ek.track(
        rolled(going_as_far_as(40, 30, 10, day=5) + going_as_far_as(4, first=9000)),
        since=at(1),
        link="habit",
    )
    assert found.table["of"].to_list() == [0, 30]
    assert found.verdict == "cannot tell yet"
    assert "nobody who signed up before" in found.sentence


def test_just_decided():
    found = ek.track(rolled(going_as_far_as(40, 30, 10)), since=at(59), link="habit")
    assert found.table["of"].to_list() == [0, 0]
    assert found.table.select("since", "until").rows() == [(at(59), at(59))] * 2


def test_what_cannot_be_tracked_is_refused():
    journeys = rolled(going_as_far_as(40, 30, 10))
    with pytest.raises(
        ParameterError, match=r"(?s)2 faults.*Did you mean 'habit'.*must lie inside the log"
    ):
        ek.track(journeys, since="2027-01-01", link="habbit")
    for day in (0, 60):
        with pytest.raises(ParameterError, match="must lie inside the log"):
            ek.track(journeys, since=at(day), link="habit")
    bare = dataclasses.replace(DEFINITION, advanced=())
    with pytest.raises(ParameterError, match="link is 'depth'"):
        ek.track(rolled(going_as_far_as(40, 30, 10), definition=bare), since=at(1), link="depth")


def test_since_is_local_to_the_definition():
    berlin = dataclasses.replace(DEFINITION, timezone="Europe/Berlin")
    journeys = rolled(going_as_far_as(40, 30, 10), definition=berlin)
    found = ek.track(journeys, since="2026-04-26", link="activation")
    assert found.table["since"][1] == datetime(2026, 4, 25, 22, tzinfo=UTC)


def test_accounts_widen_the_interval():
    rows = going_as_far_as(200, 150, 50, day=10) + going_as_far_as(200, 150, 90, first=1000, day=40)
    users = pl.DataFrame({"user_id": [*range(200), *range(1000, 1200)]}).with_columns(
        (pl.col("user_id") // 25).alias("account_id")
    )
    alone = ek.track(rolled(rows), since=at(30), link="habit")
    alike = ek.track(rolled(rows, users=users), since=at(30), link="habit")
    assert alone.low > 0 > alike.low
    assert alike.difference == pytest.approx(alone.difference)


def test_reviews_compare_the_latest_days_with_those_before():
    rows = [
        row
        for day in range(60)
        for row in going_as_far_as(10, 5 if day < 50 else 9, 4, first=100 * day, day=day)
    ]
    week = changes(rolled(rows))
    # Activation takes 3 days: the latest judged 7 days of sign-ups are 50 to 56, those before 43 to 49.
    assert week.select("link", "n", "of", "n_before", "of_before", "verdict").rows()[0] == (
        "activation", 63, 70, 35, 70, "rose",
    )  # fmt: skip
    assert week.row(0)[9:12] == pytest.approx(newcombe(63, 70, 35, 70))
    assert week.row(1, named=True)["of"] == 5 * 9 + 2 * 5  # habit: sign-ups of days 48 to 54
    month = changes(rolled(rows), review="monthly")
    assert month.row(0, named=True)["of_before"] == 280
    assert week.row(3, named=True)["rate"] is None
    assert week.row(3, named=True)["verdict"] == "cannot tell yet"
    with pytest.raises(ParameterError, match="Did you mean 'weekly'"):
        changes(rolled(rows), review="weekley")


def test_a_fall_is_said_too():
    rows = [
        row
        for day in range(60)
        for row in going_as_far_as(10, 9 if day < 50 else 4, first=100 * day, day=day)
    ]
    assert changes(rolled(rows))["verdict"][0] == "fell"


def test_a_rate_that_swings_every_week_swings_within_its_usual_range():
    """Nine of ten and five of ten by turns: the interval leaves 0 out, the product's own past does not."""
    rows = [
        row
        for day in range(60)
        for row in going_as_far_as(10, 9 if day // 7 % 2 else 5, 4, first=100 * day, day=day)
    ]
    week = changes(rolled(rows)).row(0, named=True)
    assert not week["difference_low"] <= 0 <= week["difference_high"]
    assert week["a_a_share"] > 0.5
    assert week["verdict"] == "within its usual range"


def test_a_log_of_three_weeks_cannot_tell_what_is_usual():
    rows = [
        row
        for day in range(21)
        for row in going_as_far_as(10, 9 if day < 10 else 2, 1, first=100 * day, day=day)
    ]
    week = changes(rolled(rows, 21)).row(0, named=True)
    assert (week["a_a_share"], week["verdict"]) == (None, "cannot tell yet")
    assert week["difference_high"] < 0
