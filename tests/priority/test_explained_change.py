"""What changed between two spans of sign-ups: exact sums, the planted link, the mix, and what cannot be asked."""

from __future__ import annotations

import dataclasses
import math
import random
from datetime import timedelta

import polars as pl
import pytest
from link_logs import START, WITH_TARGETS, going_as_far_as, rolled
from test_references import FALLEN, STEADY, weekly

import engagekit as ek
from engagekit.errors import ParameterError, TooFewUsersError

NO_ADVOCACY = dataclasses.replace(WITH_TARGETS, advocacy=())


def at(day: float):
    return START + timedelta(days=day)


def test_the_contributions_add_up_and_are_those_of_the_logarithmic_mean():
    rows = weekly([STEADY, FALLEN], per_week=40, seed=1)
    found = ek.explain_change(rolled(rows, NO_ADVOCACY, 13 * 7 * 2), since=at(91))
    assert found["link"].to_list() == ["activation", "habit", "depth"]
    before, after = found["before"].to_list(), found["after"].to_list()
    old, new = math.prod(before), math.prod(after)
    assert found["contribution"].sum() == pytest.approx(new - old)
    mean = (new - old) / math.log(new / old)
    by_hand = [mean * math.log(b / a) for a, b in zip(before, after, strict=True)]
    assert found["contribution"].to_list() == pytest.approx(by_hand)
    top = found.sort("p_largest").row(-1, named=True)
    assert (top["link"], top["p_largest"] > 0.95) == ("habit", True)
    assert top["low"] <= top["contribution"] <= top["high"] < 0
    assert found["p_largest"].sum() == pytest.approx(1)


def test_both_spans_end_where_the_last_link_can_be_judged():
    rows = weekly([STEADY, FALLEN], per_week=40, seed=1)
    journeys = rolled(rows, NO_ADVOCACY, 13 * 7 * 2)
    row = ek.explain_change(journeys, since=at(91)).row(0, named=True)
    assert (row["after_since"], row["after_until"]) == (
        at(91),
        at(182 - 9),
    )  # depth takes nine days
    assert (row["before_since"], row["before_until"]) == (at(91 - (182 - 9 - 91)), at(91))
    signed = journeys.users["signed_up_at"]
    assert row["of_before"] == signed.is_between(row["before_since"], at(91), closed="left").sum()
    assert row["of_after"] == signed.is_between(at(91), row["after_until"]).sum()
    given = ek.explain_change(journeys, since=at(91), before=at(50)).row(0, named=True)
    assert given["before_since"] == at(50)
    early = ek.explain_change(journeys, since=at(60)).row(0, named=True)
    assert early["before_since"] == journeys.log_start


def test_links_that_cannot_be_judged_since_are_left_out():
    rows = weekly([STEADY, FALLEN], per_week=40, seed=1)
    journeys = rolled(rows, NO_ADVOCACY, 182)
    assert ek.explain_change(journeys, since=at(175))["link"].to_list() == ["activation", "habit"]
    with pytest.raises(TooFewUsersError, match="can be judged yet"):
        ek.explain_change(journeys, since=at(180))
    nobody_deep = weekly([(0.7, 0.6, 0.5)], per_week=20, seed=2) + going_as_far_as(40, 30, 0, first=9000, day=100)  # fmt: skip
    assert ek.explain_change(rolled(nobody_deep, NO_ADVOCACY, 182), since=at(91))["link"].to_list() == ["activation", "habit"]  # fmt: skip


def test_advocacy_takes_part_only_with_a_target():
    rows = weekly([STEADY, STEADY], per_week=40, seed=3)
    assert ek.explain_change(rolled(rows, WITH_TARGETS, 182), since=at(91)).height == 3
    asked = dataclasses.replace(WITH_TARGETS, targets={"advocacy": 0.2})
    journeys = rolled(rows + going_as_far_as(4, 4, 4, 4, 4, first=90_000, day=100), asked, 182)
    assert ek.explain_change(journeys, since=at(91)).height == 4


def mixed(shares, rates, *, users=4000, seed=0):
    """Two spans of 13 weeks; `shares` of plan b in each, `rates` per plan and span."""
    draw = random.Random(seed)
    rows, plans = [], []
    for user in range(users):
        late = user >= users // 2
        plan = "b" if draw.random() < shares[late] else "a"
        far = 1
        for rate in rates[plan][late]:
            if draw.random() >= rate:
                break
            far += 1
        rows += going_as_far_as(*[1] * far, first=user, day=182 * user / users)
        plans.append((user, plan))
    frame = pl.DataFrame(plans, schema=["user_id", "plan"], orient="row")
    return rolled(rows, NO_ADVOCACY, 182, users=frame)


HIGH, LOW = (0.8, 0.7, 0.6), (0.5, 0.4, 0.6)


def test_a_pure_change_of_mix_is_called_that():
    journeys = mixed((0.2, 0.7), {"a": (HIGH, HIGH), "b": (LOW, LOW)})
    alone = ek.explain_change(journeys, since=at(91))
    assert (
        alone.filter(pl.col("high") < 0).height >= 2
    )  # without the mix, links seem to have fallen
    found = ek.explain_change(journeys, since=at(91), by="plan")
    assert found["link"].to_list() == ["activation", "habit", "depth", "(mix)"]
    mix = found.row(-1, named=True)
    assert (mix["before"], mix["after"]) == (None, None)
    assert mix["p_largest"] > 0.95
    assert mix["high"] < 0
    assert found["contribution"][:3].abs().max() < 0.3 * abs(mix["contribution"])
    assert found["contribution"].sum() == pytest.approx(alone["contribution"].sum())
    assert ek.tables.change(found).sheet.title.startswith("Another mix of users explains most")


def test_a_link_that_fell_in_every_group_is_no_mix():
    fell = (0.8, 0.45, 0.6)
    journeys = mixed((0.4, 0.4), {"a": (HIGH, fell), "b": (LOW, (0.5, 0.2, 0.6))}, seed=4)
    found = ek.explain_change(journeys, since=at(91), by="plan")
    top = found.sort("p_largest").row(-1, named=True)
    assert (top["link"], top["p_largest"] > 0.95) == ("habit", True)
    mix = found.row(-1, named=True)
    assert mix["low"] < 0 < mix["high"]


def test_one_group_changes_nothing_and_has_no_mix():
    rows = weekly([STEADY, FALLEN], per_week=30, seed=6)
    users = pl.DataFrame({"user_id": sorted({r[0] for r in rows})}).with_columns(plan=pl.lit("all"))
    journeys = rolled(rows, NO_ADVOCACY, 182, users=users)
    alone, by_plan = (ek.explain_change(journeys, since=at(91), by=by) for by in (None, "plan"))
    assert by_plan["contribution"].to_list()[:3] == pytest.approx(alone["contribution"].to_list())
    assert by_plan["contribution"][3] == pytest.approx(0)
    assert by_plan["p_largest"][3] == 0


def test_a_group_that_is_only_there_on_one_side_is_mix():
    journeys = mixed((0.0, 0.5), {"a": (HIGH, HIGH), "b": (LOW, LOW)}, seed=7)
    found = ek.explain_change(journeys, since=at(91), by="plan")
    assert found.sort("p_largest")["link"][-1] == "(mix)"
    assert not found["contribution"].has_nulls()


def test_the_answer_is_the_same_every_time():
    journeys = rolled(weekly([STEADY, FALLEN], per_week=20, seed=1), NO_ADVOCACY, 182)
    assert ek.explain_change(journeys, since=at(91)).equals(ek.explain_change(journeys, since=at(91)))  # fmt: skip


def test_what_cannot_be_asked_is_refused():
    journeys = rolled(weekly([STEADY], per_week=10), NO_ADVOCACY, 91)
    with pytest.raises(ParameterError, match="2 faults"):
        ek.explain_change(journeys, since=at(200), before=at(300))
    with pytest.raises(ParameterError, match="no property"):
        ek.explain_change(journeys, since=at(40), by="plan")
    with pytest.raises(ParameterError, match=r"it takes what ek\.rollup"):
        ek.explain_change("x", since=at(40))
    gap = rolled(going_as_far_as(5, 5, 5) + going_as_far_as(5, 5, 5, first=50, day=60), NO_ADVOCACY, 91)  # fmt: skip
    with pytest.raises(TooFewUsersError, match="the span before can be judged"):
        ek.explain_change(gap, since=at(50), before=at(40))


@pytest.mark.parametrize(
    ("row", "title"),
    [
        ((-0.02, -0.03, -0.01, 0.9), "Habit (repeat value) explains most of the change: −2 points"),
        ((-0.02, -0.03, 0.01, 0.9), "Nothing has surely changed"),
        ((-0.02, -0.03, -0.01, 0.7), "Something has changed, but not clearly one link more than the others"),
    ],
)  # fmt: skip
def test_titles_say_no_more_than_is_known(row, title):
    contribution, low, high, p = row
    frame = pl.DataFrame(
        [
            {"link": "activation", "before": 0.5, "after": 0.5, "contribution": 0.0, "low": -0.01, "high": 0.01, "p_largest": 1 - p},
            {"link": "habit", "before": 0.5, "after": 0.46, "contribution": contribution, "low": low, "high": high, "p_largest": p},
        ]
    )  # fmt: skip
    assert ek.tables.change(frame).sheet.title == title
