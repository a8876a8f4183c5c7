"""Bands hold what came: published tables, a loyal core, and the same users later; what flat means in a year."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.survival import log_rank

TABLES = {  # Fader and Hardie (2007), table 1: percent of customers there after so many years
    "regular": [1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173],
    "high end": [1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394],
}


def curve_of(active: list[int]) -> pl.DataFrame:
    lost = [a - b for a, b in pairwise(active)]
    return pl.DataFrame(
        {
            "time": range(len(active)),
            "survival": [n / active[0] for n in active],
            "at_risk": active,
            "events": [*lost, None],
        }
    )


@pytest.mark.parametrize("points", [5, 6, 7, 8])
@pytest.mark.parametrize("name", list(TABLES))
def test_the_band_holds_the_published_tables(name: str, points: int) -> None:
    active = TABLES[name]
    found = ek.project_curve(curve_of(active[:points]), periods=13 - points)
    for came, row in zip(active[points:], found.tail(13 - points).to_dicts(), strict=True):
        assert row["low"] <= came / 1000 <= row["high"], row
        assert row["low"] <= row["survival"] <= row["high"]
    assert found.head(points)["low"].null_count() == points


@pytest.mark.slow
def test_a_loyal_core_is_in_the_band() -> None:
    held, runs, ratios = 0, 40, []
    for seed in range(runs):
        random = np.random.default_rng(seed)
        leaving = random.geometric(random.beta(0.7, 1.2, 600))
        life = np.where(random.random(600) < 0.3, 10**6, leaving)
        active = [int((life > t).sum()) for t in range(24)]
        row = ek.project_curve(curve_of(active[:8]), periods=16).row(-1, named=True)
        held += row["low"] <= active[23] / 600 <= row["high"]
        ratios.append(row["survival"] / (active[23] / 600))
    assert held / runs >= 0.875
    assert 0.85 < np.mean(ratios) < 1.15


def test_what_a_loss_comes_to_in_a_year() -> None:
    weekly = pl.DataFrame({
        "period": [0, 1, 2, 3, 4], "time": [0, 7, 14, 21, 28],
        "at_risk": [20_000, 19_850, 19_700, 19_550, 19_400], "events": [150, 150, 150, 150, None],
    })  # fmt: skip
    row = ek.flattening(weekly).row(0, named=True)
    assert row["verdict"] == "flat"
    assert row["year_high"] == pytest.approx(1 - (1 - row["high"]) ** (365.25 / 7))
    assert row["year_high"] > 0.32
    assert f"at most {row['year_high']:.0%} in a year" in row["sentence"]
    bare = ek.flattening(weekly.drop("period")).row(0, named=True)
    assert bare["year_high"] is None
    assert "year" not in bare["sentence"]


def test_an_empty_group_is_refused() -> None:
    with pytest.raises(ParameterError, match="group 2 is empty"):
        log_rank([([1, 2], [1, 0]), ([], [])])


@pytest.mark.thorough
def test_hindsight_follows_the_same_users() -> None:
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    from engagekit.survival import projection_error, survival

    found = projection_error(journeys, quiet_days=14, periods=4, period="week")
    assert found.height >= 1
    row = found.row(-1, named=True)
    same = journeys.where(signed_up=(None, row["as_of"]))
    later = survival(same, quiet_days=14, period="week").filter(period=row["period"])["survival"]
    assert row["came"] == later[0]
    assert row["off"] == pytest.approx(row["said"] - row["came"])
    told = ek.project_curve(
        survival(journeys, quiet_days=14, period="week"), periods=4, checked=found
    )
    assert "Made from older cohorts alone" in told["sentence"][0]


def test_a_tail_of_a_few_users_is_left_out() -> None:
    """One user at risk for ever would give a band of no width, far from what becomes of the others."""
    active = [1000, 631, 468, 382, 326, 289, 262, 241]
    whole = pl.DataFrame({"time": range(8), "survival": [n / 1000 for n in active], "at_risk": active,
                          "events": [369, 163, 86, 56, 37, 27, 21, None]})  # fmt: skip
    tail = pl.DataFrame({"time": range(8, 12), "survival": [0.241] * 4, "at_risk": [3, 2, 1, 1], "events": [0, 0, 0, None]})  # fmt: skip
    longer = pl.concat([whole.with_columns(pl.col("events").fill_null(0)), tail])
    assert ek.project_curve(longer, periods=5).equals(ek.project_curve(whole, periods=5))
    few = whole.with_columns(pl.Series("at_risk", [30, 19, 14, 9, 8, 7, 6, 5]), pl.Series("events", [11, 5, 5, 1, 1, 1, 1, None]))  # fmt: skip
    with pytest.raises(ek.errors.TooFewUsersError, match="Only 3 points"):
        ek.project_curve(few, periods=5)


def test_a_tail_of_a_few_users_is_neither_flat_nor_falling() -> None:
    """One of four lost says little about four, and nothing about the hundreds before them."""
    whole = pl.DataFrame({"time": range(9), "survival": [1.0] * 9, "at_risk": [900, 500, 400, 380, 370, 365, 360, 358, 357],
                          "events": [400, 100, 20, 10, 5, 5, 2, 1, None]})  # fmt: skip
    tail = pl.DataFrame({"time": range(9, 14), "survival": [0.3] * 5, "at_risk": [4, 3, 2, 1, 1], "events": [1, 1, 1, 0, 0]})  # fmt: skip
    longer = pl.concat([whole.with_columns(pl.col("events").fill_null(0)), tail])
    found = ek.flattening(longer).row(0, named=True)
    assert (found["verdict"], found["n"], found["of"]) == ("flat", 8, 1440)  # as those before
    few = ek.flattening(tail).row(0, named=True)
    assert (few["verdict"], few["rate"]) == ("cannot tell", None)
    assert "0 complete periods with 10 users or more" in few["sentence"]
