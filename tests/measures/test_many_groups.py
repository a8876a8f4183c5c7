"""Metrics of groups: each has the rows it has by itself, however many there are."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import engagekit as ek

MADE = ek.simulate(users=500, seed=9, errors=True, feedback=True)
OF_ALL = ["since", "until"]  # the sign-ups counted are those of the whole answer


def journeys_of(**columns):
    users = MADE.users.with_columns(**columns)
    return ek.rollup(MADE.events, MADE.definition, users=users, as_of=MADE.as_of)


@pytest.mark.parametrize("accounts", [False, True])
def test_each_group_has_the_rows_it_has_by_itself(accounts):
    place = pl.int_range(pl.len())
    more = {"account_id": pl.format("a{}", place % 90)} if accounts else {}
    journeys = journeys_of(city=pl.when(place % 7 < 6).then(place % 7), **more)
    found = ek.metrics(journeys, by="city", recent=None)
    assert found["city"].unique().sort().to_list() == [None, 0, 1, 2, 3, 4, 5]
    for city in [None, 0, 3]:
        alone = journeys.where(users=pl.col("city").eq_missing(pl.lit(city)))
        mine = found.filter(pl.col("city").eq_missing(pl.lit(city))).drop("city", *OF_ALL)
        assert_frame_equal(mine, ek.metrics(alone, recent=None).drop(OF_ALL))


def test_of_nobody_there_are_no_groups_and_rows_without_value():
    journeys = journeys_of(account_id=pl.lit("one")).where(users=pl.lit(value=False))
    assert ek.metrics(journeys, by="plan").is_empty()
    assert ek.metrics(journeys, by="plan").columns[0] == "plan"
    assert ek.metrics(journeys)["value"].null_count() == ek.metrics(journeys).height


def test_each_of_many_steps_has_a_row_in_the_order_of_the_definition():
    steps = [ek.Step(f"Step {k}", f"to {k}", f"through {k}") for k in range(300)]
    rows = [(user, "join", 0) for user in range(40)]
    rows += [(user, f"to {k}", 1) for user in range(40) for k in range(user)]
    rows += [(user, f"through {k}", 2) for user in range(40) for k in range(user // 2)]
    log = pl.DataFrame(rows, schema=["user_id", "event", "day"], orient="row").select(
        "user_id", "event", at=pl.date(2026, 1, 1) + pl.duration(days=pl.col("day"))
    )
    definition = ek.Definition(signup="join", activation="make", core="make", steps=steps)
    found = ek.metrics(ek.rollup(log, definition, as_of="2026-03-01", missing="allow"))
    drop = found.filter(pl.col("metric") == "step drop-off")
    assert drop["reading"].to_list() == [step.name for step in steps]
    of = [sum(user > k for user in range(40)) for k in range(300)]
    done = [sum(user // 2 > k for user in range(40)) for k in range(300)]
    assert drop["of"].to_list() == of
    assert drop["n"].to_list() == [a - b for a, b in zip(of, done, strict=True)]
    assert drop["note"].null_count() == 39
