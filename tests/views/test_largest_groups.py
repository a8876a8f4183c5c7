"""Of more groups than anybody reads, the largest are shown, and it is said."""

from __future__ import annotations

import polars as pl
import pytest

import engagekit as ek
from engagekit.reporting import terminal
from engagekit.views import largest_groups
from engagekit.views.sheet import MOST_GROUPS

OWN = ("users", "verdict")


def frame(groups, rows=1):
    return pl.DataFrame(
        [(f"g{k}", k, "undecided") for k in range(groups) for _ in range(rows)],
        schema=["city", "users", "verdict"], orient="row",
    )  # fmt: skip


def test_up_to_the_most_all_are_shown_in_their_order():
    whole = frame(MOST_GROUPS)
    some, said = largest_groups(whole, OWN, "users")
    assert some.equals(whole)
    assert said == ""


@pytest.mark.parametrize(
    ("groups", "rows", "most"), [(201, 1, 200), (1000, 1, 200), (300, 40, 100)]
)
def test_beyond_it_those_with_most_users_are_and_it_is_said(groups, rows, most):
    some, said = largest_groups(frame(groups, rows), OWN, "users")
    assert some["users"].unique().sort().to_list() == list(range(groups - most, groups))
    assert some["users"].is_sorted()
    assert said == f"Shown are the {most} largest of {groups:,} groups."


def test_a_missing_group_is_a_group():
    whole = pl.concat([frame(250), pl.DataFrame({"city": [None], "users": [999], "verdict": ["undecided"]}, schema=frame(1).schema)])  # fmt: skip
    some, _ = largest_groups(whole, OWN, "users")
    assert some["city"].null_count() == 1
    assert some.height == 200


def test_what_is_no_answer_is_left_for_others_to_refuse():
    for other in (None, 3, pl.DataFrame({"a": [1]}), frame(500).select("users", "verdict")):
        assert largest_groups(other, OWN, "users")[1] == ""


def test_charts_tables_and_the_screen_show_the_largest_and_say_so():
    made = ek.simulate(users=1500, seed=4)
    users = made.users.with_columns(city=pl.format("city {}", pl.int_range(pl.len()) % 300))
    journeys = ek.rollup(made.events, made.definition, users=users, as_of=made.as_of)
    found = ek.prioritize(journeys, by="city")
    said = f"Shown are the 200 largest of {found.segments.height} groups."
    assert found.segments.height > 200
    assert said in terminal.segments(found)
    all_of_them = (
        "Shown are the 200 largest of 300 groups."  # nobody need be judged to have a row here
    )
    assert all_of_them in terminal.problems(ek.diagnose(journeys, by="city"))
    spec = ek.charts.segments(found).to_dict()
    assert said in str(spec["title"])
    assert len({row["name"] for rows in spec["datasets"].values() for row in rows if "name" in row}) == 200  # fmt: skip
