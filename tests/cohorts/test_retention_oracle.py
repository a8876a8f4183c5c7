"""Retention agrees with a slow, obvious oracle under every meaningful combination of parameters."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import oracle_retention
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retention_questions import MATCHERS, SLOW, asked, log_of, questions, refused

from engagekit.intervals import wilson


def expected(events, given_, *, dates_only=False):
    terms = dict(given_)
    last = max(e["at"] for e in events)
    terms["as_of"] = given_["as_of"] or last + (
        timedelta(days=1) if dates_only else oracle_retention.TICK
    )
    terms["dates_only"] = dates_only
    terms["timezone"] = zone = "UTC" if dates_only else given_["timezone"]
    _, terms["start"], terms["start_names"] = MATCHERS[given_["start"]]
    terms["back"] = MATCHERS[given_["back"] or given_["start"]][1]
    by = given_["by"]
    terms["by"] = [] if by is None else [by] if isinstance(by, str) else by
    if given_["since"]:
        terms["since"] = oracle_retention.floor(
            given_["since"], given_["period"], zone, given_["week_start"]
        )
    return oracle_retention.retention(events, **terms)


def agrees(frame, events, given_, *, dates_only=False):
    by = given_["by"]
    names = [] if by is None else [by] if isinstance(by, str) else by
    rows, people = expected(events, given_, dates_only=dates_only)
    answer = asked(frame, given_)
    found = [
        (
            tuple(r[name] for name in names),
            *(r[c] for c in ("cohort", "period", "n", "of", "complete")),
        )
        for r in answer.to_dicts()
    ]
    assert sorted(found, key=repr) == sorted(rows, key=repr)
    for row in answer.to_dicts():
        if row["complete"] and row["of"]:
            low, high = wilson(row["n"], row["of"])
            assert row["rate"] == row["n"] / row["of"]
            assert row["low"] == pytest.approx(low)
            assert row["high"] == pytest.approx(high)
        else:
            assert row["rate"] is row["low"] is row["high"] is None
    who = asked(frame, given_, people=True)
    assert who.columns == [*names, "cohort", "period", "user_id"]
    listed = [(row[: len(names)], *row[len(names) :]) for row in who.rows()]
    assert sorted(listed, key=repr) == sorted(people, key=repr)


@pytest.mark.thorough
@settings(SLOW, max_examples=150)
@given(questions())
def test_agrees_with_the_oracle(question):
    events, given_ = question
    if refused(events, given_):
        return
    agrees(log_of(events), events, given_)


@pytest.mark.slow
@settings(SLOW)
@given(questions())
def test_agrees_with_the_oracle_at_length(question):
    events, given_ = question
    if refused(events, given_):
        return
    agrees(log_of(events), events, given_)


@pytest.mark.thorough
@settings(SLOW, max_examples=40)
@given(questions(), st.data())
def test_a_log_that_only_knows_days_agrees_with_the_oracle(question, data):
    events, given_ = question
    given_["period"] = data.draw(st.sampled_from(["day", "week", "month"]))
    given_ |= {"since": None, "as_of": None}
    for event in events:
        event["at"] = datetime.combine(event["at"].date(), time(), tzinfo=UTC)
    frame = log_of(events).with_columns(pl.col("at").dt.date())
    agrees(frame, events, given_, dates_only=True)
