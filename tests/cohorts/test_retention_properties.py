"""What must not change a cohort table: the order of rows, splitting, whole weeks, and what is learned later."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from retention_questions import SLOW, asked, log_of, questions, refused

import engagekit as ek

FEW = settings(SLOW, max_examples=25)
KEYS = ["cohort", "period"]


@pytest.mark.thorough
@FEW
@given(questions(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(question, random):
    events, given_ = question
    assume(not refused(events, given_))
    shuffled = random.sample(events, len(events))
    assert_frame_equal(asked(log_of(events), given_), asked(log_of(shuffled), given_))


@pytest.mark.thorough
@FEW
@given(questions())
def test_groups_fixed_for_a_user_add_up_to_the_whole(question):
    events, given_ = question
    # The first rows of the whole and of the groups must be the same: say them.
    given_ |= {"since": given_["since"] or min(e["at"] for e in events)}
    assume(not refused(events, given_))
    whole = asked(log_of(events), given_, by=None, limit=None).filter(pl.col("of") > 0)
    for limit in (None, 1):
        split = asked(log_of(events), given_, by="land", limit=limit)
        added = split.group_by(KEYS).agg(
            pl.when(pl.col("n").is_not_null().all()).then(pl.col("n").sum()).alias("n"),
            pl.col("of").sum(),
            pl.col("complete").all(),
        )
        added = added.filter(pl.col("of") > 0).sort(KEYS)
        assert_frame_equal(added, whole.select(added.columns))


@pytest.mark.thorough
@FEW
@given(questions(), st.integers(-30, 30))
def test_whole_weeks_later_the_table_is_the_same(question, weeks):
    events, given_ = question
    given_ |= {"timezone": "UTC"}
    assume(given_["period"] != "month")
    assume(not refused(events, given_))
    by_weeks = timedelta(weeks=weeks)
    moved = {k: given_[k] and given_[k] + by_weeks for k in ("since", "as_of")}
    later = asked(log_of([e | {"at": e["at"] + by_weeks} for e in events]), given_ | moved)
    back = [pl.col(c) - by_weeks for c in ("cohort", "followed_until") if c in later.columns]
    assert_frame_equal(asked(log_of(events), given_), later.with_columns(back))


@pytest.mark.thorough
@FEW
@given(questions(), st.integers(1, 60))
def test_what_is_learned_later_changes_no_complete_cell(question, ticks):
    events, given_ = question
    given_ |= {"mode": "on", "limit": None}
    assume(given_["as_of"] is not None)
    # The names that starts of an expression bear are themselves learned from the log.
    assume(given_["cohorts"] != "first_ever" or given_["start"] not in ("any", "planned"))
    assume(not refused(events, given_))
    log = log_of(events)
    known = asked(log, given_).filter("complete")
    wait = timedelta(hours=ticks)
    later = asked(log, given_ | {"as_of": given_["as_of"] + wait})
    keys = [c for c in known.columns if c in ("land", "plan", *KEYS)]
    same = later.join(known.select(keys), on=keys, how="semi", nulls_equal=True)
    per_cell = pl.exclude("users_effect")  # this is of all complete cells of a period together
    assert_frame_equal(known.select(per_cell), same.select(per_cell))


@pytest.mark.thorough
@FEW
@given(questions())
def test_users_are_as_many_as_counted(question):
    events, given_ = question
    assume(not refused(events, given_))
    log = log_of(events)
    table, people = asked(log, given_), asked(log, given_, people=True)
    keys = [c for c in table.columns if c in ("land", "plan", *KEYS)]
    counted = people.group_by(keys).agg(pl.col("user_id").n_unique().cast(pl.Int64).alias("n"))
    assert people.is_duplicated().sum() == 0
    assert_frame_equal(
        table.filter(pl.col("n") > 0).select(*keys, "n"), counted, check_row_order=False
    )


@pytest.mark.thorough
@pytest.mark.parametrize("average", ["pooled", "mean"])
@FEW
@given(questions())
def test_pooled_curves_stand_on_complete_cells_only(average, question):
    events, given_ = question
    assume(not refused(events, given_))
    table = asked(log_of(events), given_, by=None, limit=None)
    curve = ek.pooled_curve(table, average=average)
    whole = table.filter(pl.col("complete") & (pl.col("of") > 0))
    for row in curve.to_dicts():
        cells = whole.filter(pl.col("period") == row["period"])
        assert row["cohorts"] == cells.height > 0
        assert (row["n"], row["of"]) == (cells["n"].sum(), cells["of"].sum())
        expected = cells["rate"].mean() if average == "mean" else row["n"] / row["of"]
        assert row["rate"] == pytest.approx(expected)
    assert curve["period"].to_list() == sorted(whole["period"].unique())
