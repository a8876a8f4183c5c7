from __future__ import annotations

import dataclasses
from datetime import date

import polars as pl
import pytest
from link_logs import PLAIN as DEFINITION
from link_logs import log_of, rolled

import engagekit as ek
from engagekit.journeys.coverage import basis

ROWS = log_of(("join", 0)) + log_of(("join", 3.5), user=2)


def test_an_answer_says_what_it_stands_on():
    found = basis(rolled(ROWS, DEFINITION, 10))
    assert str(found) == (
        "2 users who signed up 2026-03-27 to 2026-03-30; data complete up to the end of 2026-04-05."
    )
    assert (found.users, found.signed_up_from, found.signed_up_to) == (
        2,
        date(2026, 3, 27),
        date(2026, 3, 30),
    )
    assert found.remarks == ()


def test_narrowed_journeys_stand_on_less():
    journeys = rolled(ROWS, DEFINITION, 10)
    assert "1 user who signed up on 2026-03-30" in str(
        basis(journeys.where(users=pl.col("user_id") == 2))
    )
    assert str(basis(journeys.where(users=pl.col("user_id") == 9))) == (
        "No user signed up; data complete up to the end of 2026-04-05."
    )


@pytest.mark.parametrize(
    ("as_of", "zone", "until"),
    [
        (10, "UTC", "the end of 2026-04-05"),
        (10.5, "UTC", "2026-04-06 12:00"),
        (10, "Europe/Berlin", "2026-04-06 02:00"),  # two hours ahead in summer
        (10 - 2 / 24, "Europe/Berlin", "the end of 2026-04-05"),
    ],
)
def test_the_data_end_is_written_in_local_time(as_of, zone, until):
    definition = dataclasses.replace(DEFINITION, timezone=zone)
    assert basis(rolled(ROWS, definition, as_of)).until == until


def test_sign_up_days_are_local():
    auckland = dataclasses.replace(DEFINITION, timezone="Pacific/Auckland")
    assert basis(rolled(ROWS, auckland, 10)).signed_up_to == date(2026, 3, 31)


def test_what_to_bear_in_mind():
    bare = ek.Definition(activation="make", core="make", burn_in_days=0)
    said = " ".join(map(str, basis(rolled(ROWS, bare, 10)).remarks))
    assert "some returning users may remain" in said
    assert "signed_up_at in the users table cures it" in said
    assert "Friction cannot be told from Progress" in said
    assert "depth cannot be judged" in said


def test_accounts_are_named_as_such():
    users = pl.DataFrame({"user_id": [1, 2], "account_id": ["a", "a"]})
    journeys = rolled(ROWS, DEFINITION, 10, users=users, unit="account")
    assert str(basis(journeys)).startswith("1 account that signed up on 2026-03-27")
