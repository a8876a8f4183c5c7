"""Groups: each judged with what the others show, and named where it breaks elsewhere."""

from __future__ import annotations

import random

import polars as pl
import pytest
from link_logs import WITH_TARGETS, found_in, going_as_far_as


def segmented(**plans):
    rows, owners = [], []
    for number, (plan, how_far) in enumerate(plans.items()):
        rows += going_as_far_as(*how_far, first=1000 * number)
        owners += [(1000 * number + user, plan) for user in range(how_far[0])]
    users = pl.DataFrame(owners, schema=["user_id", "plan"], orient="row")
    return found_in(rows, users=users, by="plan")


def test_segments_that_break_elsewhere_are_named():
    found = segmented(free=(400, 300, 40, 20), pro=(100, 10, 8, 7), team=(100, 80, 9, 4))
    assert found.link == "habit"
    assert found.segments.select(
        "plan", "users", "verdict", "link", "problem", "elsewhere"
    ).rows() == [
        ("free", 400, "named", "habit", "Repeat value", False),
        ("pro", 100, "named", "activation", "acquisition or tracking", True),
        ("team", 100, "named", "habit", "Repeat value", False),
    ]
    assert found.segments.row(1, named=True)["activation_rate"] == 0.1
    assert found.warnings == (
        "For plan pro, momentum breaks at activation; for all users together at habit.",
    )
    assert found_in(going_as_far_as(20, 10)).segments is None


def test_groups_against_the_total():
    """Two groups that each break may make a total that is undecided."""
    both = segmented(free=(400, 398, 120, 100), pro=(400, 145, 143, 120))
    assert both.verdict == "undecided"
    assert set(both.segments["link"]) == {"habit", "activation"}
    assert "No group breaks where all users together do" in both.warnings[-1]


def test_small_groups_lean_on_the_others():
    """Four groups of six that do not differ are one product; each breaks where all do."""
    few = segmented(a=(6, 5, 1), b=(6, 5, 1), c=(6, 5, 2), d=(6, 5, 1))
    assert few.link == "habit"
    assert few.segments["link"].to_list() == ["habit"] * 4
    assert few.warnings == ()


@pytest.mark.thorough
def test_equal_groups_are_hardly_ever_said_to_break_elsewhere():
    """Twenty countries of one product: unshrunk, some of them would break elsewhere by chance."""
    false = 0
    for seed in range(6):
        draw = random.Random(seed)
        rows, users = [], []
        for user in range(2000):
            far = 1 + (draw.random() < 0.56) + 0
            far += far == 2 and draw.random() < 0.42
            rows += going_as_far_as(*[1] * far, first=user, day=7 * (user % 8))
            users.append((user, f"country {user % 20}"))
        frame = pl.DataFrame(users, schema=["user_id", "country"], orient="row")
        found = found_in(rows, as_of=80, users=frame, by="country", targets={"activation": 0.5, "habit": 0.5})  # fmt: skip
        assert found.link == "habit"
        false += found.segments["elsewhere"].sum()
    assert false <= 1


def test_a_group_that_breaks_where_all_do_needs_no_warning():
    found = segmented(free=(400, 300, 40, 20), pro=(3, 3, 3, 3))
    assert found.segments["link"].to_list() == ["habit", None]
    assert found.warnings == ()


def test_everything_can_be_written_as_json():
    import json

    found = segmented(free=(400, 300, 40, 20), pro=(100, 10, 8, 7))
    table = json.loads(json.dumps(found.to_dict()))
    assert (table["verdict"], table["link"]) == ("named", found.link)
    assert table["table"][0]["until"] == found.table["until"][0].isoformat()
    assert table["warnings"] == list(found.warnings)
    assert table["definition"]["targets"] == WITH_TARGETS.targets
    assert len(table["segments"]) == 2
    assert repr(found) == f"<Priority: named {found.link}, probability {found.probability:.2f}>"
