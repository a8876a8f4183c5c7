"""Lifecycle and stickiness split by a property: each value as if it were a log of its own."""

from __future__ import annotations

import oracle_rhythm
import polars as pl
import pytest
from hypothesis import given, settings
from test_rhythm import asked_rhythms, bounds, days_of, frame_of, since_is_late

import engagekit as ek
from engagekit.errors import EngagekitError


@pytest.mark.thorough
@settings(max_examples=60)
@given(asked_rhythms(), bounds)
def test_each_value_of_a_property_is_answered_for_by_itself(asked_rhythm, more):
    events, asked = asked_rhythm
    if since_is_late(asked) or not events:
        return
    # Every third event is of the value a, the others of b or of none.
    log = frame_of(events).with_columns(
        plan=pl.Series([["a", "b", None][k % 3] for k in range(len(events))])
    )
    for function, options in ((ek.lifecycle, asked), (ek.stickiness, asked | more)):
        whole = function(log, **options)
        found = function(log, **options, by="plan")
        assert found.columns == ["plan", *whole.columns]
        known = log.filter(pl.col("at") < asked["as_of"])
        assert set(found["plan"]) == set(known["plan"])
        for value in set(known["plan"]):
            mine = [e for k, e in enumerate(events) if ["a", "b", None][k % 3] == value]
            part = found.filter(pl.col("plan").eq_missing(pl.lit(value, pl.String))).drop("plan")
            if function is ek.lifecycle:
                expected = oracle_rhythm.lifecycle(mine, **asked)
                rows = {
                    start: [len(users[s]) for s in oracle_rhythm.STATES]
                    for start, users in expected.items()
                }
                # The periods are those of the whole log, so there may be more of them, with nobody.
                assert part["period_start"].to_list() == whole["period_start"].to_list()
                got = {
                    r[0]: list(r[1:])
                    for r in part.select("period_start", *oracle_rhythm.STATES).rows()
                }
                assert {k: v for k, v in got.items() if any(v)} == {
                    k: v for k, v in rows.items() if any(v)
                }
            elif asked["since"] is not None:  # counted from the same period then
                expected = oracle_rhythm.stickiness(mine, **asked, **more)
                assert dict(part.select("intervals", "users").rows()) == {
                    k: len(u) for k, u in expected.items()
                }
        people = function(log, **options, by="plan", people=True)
        assert people.columns[0] == "plan"
        if function is ek.lifecycle:
            assert (
                people.height == found.select(pl.sum_horizontal(oracle_rhythm.STATES).sum()).item()
            )


@pytest.mark.parametrize("by", [3, [1], "user_id", ["plan", "plan"], "nil"])
def test_by_must_name_a_property(by):
    log = days_of(a="1 2").with_columns(plan=pl.lit("x"))
    for function in (ek.lifecycle, ek.stickiness):
        with pytest.raises(EngagekitError):
            function(log, by=by)
