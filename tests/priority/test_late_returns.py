"""Who missed habit and came back all the same: told where most did, and only there."""

from __future__ import annotations

import dataclasses
import random
from datetime import datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.priority.late_returns import BACK_LATER

WEEKLY = ek.Definition(signup="join", activation="make", core="make", habit_days=7)


def rolled(*, gone: float, users: int = 300, definition: ek.Definition = WEEKLY) -> ek.Journeys:
    """Users who come twice in a fortnight, on days of their own; a share never comes back."""
    chance, rows = random.Random(3), []
    for user in range(users):
        begun = datetime(2026, 1, 5) + timedelta(user % 60)
        rows += [(user, "join", begun), (user, "make", begun + timedelta(minutes=1))]
        days = [14 * k + d for k in range(6) for d in sorted(chance.sample(range(14), 2))]
        if chance.random() >= gone:
            rows += [(user, "make", begun + timedelta(1 + day)) for day in days]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    return ek.rollup(log, definition, as_of="2026-06-01")


def told(journeys: ek.Journeys, **more: object) -> list[ek.Remark]:
    return [r for r in ek.prioritize(journeys, **more).remarks if r.kind == BACK_LATER]


def test_who_comes_more_slowly_than_the_window_is_not_lost():
    journeys = rolled(gone=0)
    (remark,) = told(journeys, recent=None)
    habit = ek.prioritize(journeys, recent=None).table.row(1, named=True)
    missed = habit["of"] - habit["n"]
    assert missed > 30
    assert remark.users == missed  # they all came back
    assert f"Of {missed} who did not come back within the habit window of 7 days" in remark.text
    assert f"{missed} (100%)" in remark.text


@pytest.mark.parametrize("gone", [0.4, 0.7, 1])
def test_where_many_never_came_back_nothing_is_excused(gone):
    assert told(rolled(gone=gone), recent=None) == []


def test_a_handful_of_users_says_nothing():
    assert told(rolled(gone=0, users=40), recent=None) == []


def test_it_stands_on_the_sign_ups_that_habit_is_judged_on():
    whole = rolled(gone=0, users=900)
    (remark,) = told(whole, recent=None)
    recent = told(whole, recent=30)
    judged = ek.prioritize(whole, recent=30).table.row(1, named=True)
    assert recent
    assert recent[0].users == judged["of"] - judged["n"] < remark.users


def test_a_window_with_room_leaves_nothing_to_say():
    assert (
        told(rolled(gone=0, definition=dataclasses.replace(WEEKLY, habit_days=31)), recent=None)
        == []
    )
