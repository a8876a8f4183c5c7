"""What is said where the data do not carry a verdict: how many more users it takes, and what to do instead."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
from link_logs import found_in, going_as_far_as

import engagekit as ek
from engagekit.reporting import terminal


def test_rates_at_their_very_marks_do_not_ask_for_more_users_than_rates_that_may_be_true():
    """At its very mark a seen rate asks for thousands; most rates that may be the true one for far fewer."""
    marks = {"activation": 0.6, "habit": 0.47, "depth": 0.48}
    found = found_in(going_as_far_as(200, 160, 73, 60), targets=marks)  # habit .456, its mark .45
    assert found.verdict == "undecided"
    assert found.more_users == found.more_users_high
    assert found.more_users_low < found.more_users
    span = f"{found.more_users_low:,} to {found.more_users_high:,} more sign-ups would likely settle it"
    assert span in found.sentence
    assert "at the present rates" not in found.sentence


def with_a_gap():
    draw = random.Random(2)
    rows = []
    for user in range(1200):
        day = draw.uniform(0, 200)
        rows += [(user, "join", day), (user, "look", day + 0.01)]
        rows += [(user, "make", day + draw.uniform(0, 20)) for _ in range(4)]
    gone = [r for r in rows if r[2] < 200 and not (r[1] == "make" and 150 < r[2] < 180)]
    kept = [(u, e, datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day)) for u, e, day in gone]
    log = pl.DataFrame(kept, schema=["user_id", "event", "at"], orient="row")
    marks = {"activation": 0.95, "habit": 0.95}
    return ek.rollup(
        log, ek.Definition(signup="join", activation="make", core="make", targets=marks)
    )


def test_where_a_remark_withholds_the_verdict_the_data_are_to_be_mended_and_the_reason_is_said_once():
    found = ek.prioritize(with_a_gap())
    assert found.sentence.startswith("No link is named: activation (make) is in no event")
    told = ek.plan(found).sentence
    assert "Mend first what the verdict says" in told
    assert "Name the events" not in told
    screen = " ".join(terminal.verdict(found).split())
    assert screen.count("activation (make) is in no event") == 1
    assert screen.count("core (make) is in no event") == 1
