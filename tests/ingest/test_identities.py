"""Who is left out and who is who: ids of frames as pandas brings them, and conditions no event can meet."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

import engagekit as ek

LOG = pl.DataFrame({"user_id": ["1", "2"], "event": ["e"] * 2, "at": [date(2026, 3, 1)] * 2, "plan": ["x", "y"]})  # fmt: skip


def left(**options):
    return ek.scan_events(LOG, keep="plan", **options).collect()["user_id"].to_list()


def test_whole_ids_that_pandas_made_decimals_are_found():
    assert left(exclude=pl.DataFrame({"user_id": [1.0, None]})) == ["2"]
    found = ek.check_events(LOG, exclude=pl.DataFrame({"user_id": [1.0, None]}))
    assert found.filter(check="left out")["count"].item() == 1
    assert left(identities=pl.DataFrame({"alias": [1.0], "user_id": [7.0]})) == ["7", "2"]
    assert left(exclude=pl.DataFrame({"user_id": [1.5, float("nan")]})) == ["1", "2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exclude": ek.Match("e", plan=3)}, "asks for 3, but 'plan' holds String"),
        ({"exclude": pl.col("plan") == "x"}, "exclude is a Expr; it takes a matcher"),
        ({"exclude": 3}, "exclude is a int; it takes a matcher"),
        ({"identities": {"a": "b"}}, "identities is a dict; it takes a frame"),
    ],
)
def test_what_cannot_be_left_out_or_joined_is_refused_before_anything_is_read(options, words):
    with pytest.raises(ek.EngagekitError, match=words):
        ek.scan_events(LOG, keep="plan", **options)


def test_checks_refuse_to_count_what_the_log_lacks():
    with pytest.raises(ek.EngagekitError, match=r"'plann'.*Did you mean 'plan'"):
        ek.check_events(LOG, exclude=ek.Match("e", plann="x"))
