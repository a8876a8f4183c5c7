"""Suggested targets: from the product's own months, shrunk, and never below the rate now."""

from __future__ import annotations

import polars as pl
import pytest
from link_logs import WITH_TARGETS, going_as_far_as, rolled
from test_references import FALLEN, STEADY, weekly

import engagekit as ek
from engagekit.errors import ParameterError

AS_OF = 13 * 7 * 4 + 9


def suggested(quarters, *, per_week=20, seed=0, **more) -> pl.DataFrame:
    journeys = rolled(weekly(quarters, per_week=per_week, seed=seed), WITH_TARGETS, AS_OF)
    return ek.suggest_targets(journeys, **more)


def test_a_product_that_was_better_is_shown_its_own_better_months():
    found = suggested([STEADY, STEADY, FALLEN, FALLEN])
    habit = found.row(1, named=True)
    assert habit["rate"] < 0.4 < 0.55 < habit["quartile"] < 0.7
    assert habit["suggested"] == pytest.approx(habit["quartile"], abs=0.01)
    assert habit["suggested"] >= habit["quartile"]
    assert habit["source"] == "own months"
    # Its own recent sign-ups, held against it, break there.
    journeys = rolled(weekly([STEADY, STEADY, FALLEN, FALLEN], per_week=20), WITH_TARGETS, AS_OF)
    assert ek.prioritize(journeys, targets={"habit": habit["suggested"]}).link == "habit"


def test_never_below_the_rate_now():
    found = suggested([FALLEN, FALLEN, FALLEN, STEADY])
    assert (found["quartile"] >= found["rate"]).all()
    assert (found["suggested"].drop_nulls() >= found["rate"][:3]).all()


def test_equal_months_are_taken_for_one():
    """Months of forty sign-ups spread over 7 points by chance alone; shrunk, the quartile stays near the mean."""
    found = suggested([STEADY] * 4, per_week=10, seed=4)
    row = found.row(0, named=True)
    assert row["quartile"] < 0.75 + 0.04


def test_columns_sources_and_the_benchmark():
    found = suggested([STEADY] * 4)
    assert found.columns == ["link", "n", "of", "rate", "quartile", "benchmark", "suggested", "source"]  # fmt: skip
    assert found["benchmark"].to_list() == [0.32, None, None, None]
    assert found["suggested"][3] is None  # advocacy validates what comes before it
    young = rolled(weekly([(0.1, 0.5, 0.5)], per_week=20, seed=1), WITH_TARGETS, 60)
    few = ek.suggest_targets(young)
    assert few["quartile"].to_list() == [None] * 4
    assert few["source"].to_list()[:2] == ["benchmark", "rate now"]
    assert few["suggested"][0] == 0.32
    assert few["suggested"][1] >= few["rate"][1]
    nobody = ek.suggest_targets(rolled(going_as_far_as(3, 1), WITH_TARGETS, 2))
    assert nobody.select("rate", "suggested", "source").row(0) == (None, None, None)
    assert ek.tables.targets(nobody).sheet.title.startswith("No target can be suggested")


def test_groups_count_month_by_month():
    rows = weekly([STEADY] * 4, per_week=20, seed=2)
    better = [(u + 100_000, e, at) for u, e, at in weekly([(0.95, 0.65, 0.7)] * 4, per_week=20, seed=3)]  # fmt: skip
    ids = sorted({u for u, _, _ in rows + better})
    users = pl.DataFrame({"user_id": ids, "plan": ["ab"[u >= 100_000] for u in ids]})
    journeys = rolled(rows + better, WITH_TARGETS, AS_OF, users=users)
    whole, by_plan = (ek.suggest_targets(journeys, by=by) for by in (None, "plan"))
    assert whole["suggested"][0] < 0.9 < by_plan["suggested"][0]
    assert by_plan["source"][0] == "own months and groups"
    assert whole.select("n", "of", "rate").equals(by_plan.select("n", "of", "rate"))
    with pytest.raises(ParameterError, match="no property"):
        ek.suggest_targets(journeys, by="colour")


def test_what_it_says_is_marked_as_a_start():
    page = ek.tables.targets(suggested([STEADY] * 4)).sheet
    assert page.title.startswith("Suggested targets to start from: Activation")
    assert "A start for your decision, not a verdict." in page.subtitle
