"""Rates that move over the days of sign-up, and the truth that is written down beside them."""

from __future__ import annotations

import polars as pl
import pytest
from test_simulation import ACTIVE, rolled

import engagekit as ek
from engagekit.definition import LINKS
from engagekit.errors import ParameterError
from engagekit.simulation import PlantedTest
from engagekit.simulation.users import CLASSES, MIXES


def passed_by(log, link: str, of, n) -> pl.DataFrame:
    """Per 13 weeks of sign-up, the share of planted users that pass a link, from the truth alone."""
    start = log.truth["signed_up_at"].min()
    table = log.truth.with_columns(
        span=((pl.col("signed_up_at") - start).dt.total_days() // 91).cast(pl.Int64),
        of=pl.col("planted").is_in(of),
        n=pl.col("planted").is_in(n),
    )
    return table.group_by("span").agg(pl.col("of", "n").sum()).sort("span")


@pytest.mark.thorough
def test_a_link_is_mended_midway_and_another_breaks_late():
    log = ek.simulate(
        users=40_000, days=455, seed=1, rates={"activation": 0.25},
        changes=[(182, {"activation": 0.45}), (364, {"habit": 0.3})],
    )  # fmt: skip
    first = passed_by(log, "activation", CLASSES, ACTIVE)
    for row, rate in zip(first.to_dicts(), (0.25, 0.25, 0.45, 0.45, 0.45), strict=True):
        assert row["n"] / row["of"] == pytest.approx(rate, abs=0.02)
    habit = passed_by(log, "habit", ACTIVE, ACTIVE[1:]).to_dicts()
    assert habit[3]["n"] / habit[3]["of"] == pytest.approx(0.575, abs=0.04)
    assert habit[4]["n"] / habit[4]["of"] == pytest.approx(0.3, abs=0.03)
    assert log.planted_link == "habit"  # of the last 91 days; before, it was activation
    assert log.rates["activation"] == pytest.approx(0.45)
    at = dict(log.course.filter(link="activation").select("day", "rate").iter_rows())
    days = sorted(at)
    assert (at[days[181]], at[days[182]]) == (pytest.approx(0.25), pytest.approx(0.45))
    assert len(days) == 455


def test_drift_and_seasons_are_lines_and_waves_and_weeks_differ_as_asked():
    log = ek.simulate(
        users=100, days=730, seed=2, rates={"habit": 0.5}, start="2024-01-01", drift={"habit": -0.1},
        yearly_season={"activation": 0.05}, weekly_season={"activation": 0.02}, week_spread={"depth": 0.08},
    )  # fmt: skip
    by_link = {link: log.course.filter(link=link).sort("day") for link in LINKS}
    habit = by_link["habit"]["rate"]
    assert (habit[0], habit[-1]) == (pytest.approx(0.5), pytest.approx(0.4))
    assert habit[365] == pytest.approx(0.45, abs=0.001)
    first = by_link["activation"].with_columns(pl.col("day").dt.weekday().alias("weekday"))
    weekly = first.group_by("weekday").agg(pl.col("rate").mean()).sort("weekday")["rate"]
    assert weekly.arg_max() == 2  # Wednesday
    assert weekly.max() - weekly.min() == pytest.approx(0.038, abs=0.003)
    months = first.group_by(pl.col("day").dt.month()).agg(pl.col("rate").mean()).sort("day")["rate"]
    assert months[0] - months[6] == pytest.approx(0.1, abs=0.005)
    depth = by_link["depth"].with_columns((pl.col("drawn") - pl.col("rate")).alias("apart"))
    weeks = depth["apart"].to_numpy()[: 104 * 7].reshape(104, 7)
    assert (weeks == weeks[:, :1]).all()
    assert weeks[:, 0].std() == pytest.approx(0.08, abs=0.02)
    assert by_link["advocacy"].select((pl.col("drawn") == pl.col("rate")).all()).item()


def test_weeks_that_differ_show_as_a_design_effect():
    asked = {"users": 12_000, "days": 182, "seed": 3, "rates": {"habit": 0.4}}
    calm, wild = (
        ek.prioritize(rolled(ek.simulate(**asked, week_spread=s)), recent=None).table["design_effect"][0]
        for s in (0.0, 0.06)
    )  # fmt: skip
    assert calm < 1.8 < 4 < wild


def test_how_alike_accounts_are_can_be_set():
    def agreement(alike):
        log = ek.simulate(users=4000, seed=4, accounts=4, alike=alike)
        members = log.users.join(log.truth, on="user_id").select("user_id", "account_id", "planted")
        pairs = members.join(members, on="account_id").filter(
            pl.col("user_id") < pl.col("user_id_right")
        )
        return pairs.select((pl.col("planted") == pl.col("planted_right")).mean()).item()

    chance = sum(w * w for w in MIXES["balanced"][0])
    assert agreement(0.0) == pytest.approx(chance, abs=0.03)
    assert agreement(1.0) == 1


def test_an_experiment_is_a_coin_and_lifts_one_link():
    trial = PlantedTest(first=40, last=120, link="activation", lift=0.15)
    log = ek.simulate(users=12_000, days=160, seed=5, rates={"activation": 0.3}, experiment=trial)
    told = log.events.filter(event="exposed")
    assert (
        log.events.filter(pl.col("event") != "exposed")["variant"].null_count()
        == log.events.height - told.height
    )
    assert told["user_id"].is_unique().all()
    start = log.truth["signed_up_at"].min().replace(hour=0, minute=0, second=0, microsecond=0)
    day = (pl.col("signed_up_at") - start).dt.total_days()
    inside = log.truth.filter(day >= 40, day < 120)
    assert set(inside["variant"].unique()) == {"control", "checklist"}
    assert log.truth.filter(pl.col("variant").is_not_null()).height == inside.height
    rates = dict(inside.group_by("variant").agg(pl.col("planted").is_in(ACTIVE).mean()).iter_rows())
    assert rates["control"] == pytest.approx(0.3, abs=0.025)
    assert rates["checklist"] == pytest.approx(0.45, abs=0.025)
    assert dict(told.select("user_id", "variant").iter_rows()) == dict(
        inside.select("user_id", "variant").iter_rows()
    )
    plain = ek.simulate(users=50, seed=5)
    assert "variant" not in plain.events.columns


def test_options_that_plant_nothing_change_nothing():
    plain = ek.simulate(users=300, seed=2)
    same = ek.simulate(users=300, seed=2, changes=[], drift={}, weekly_season={}, week_spread=0.0)
    assert same.events.equals(plain.events)
    assert plain.course.filter(pl.col("rate") != pl.col("drawn")).height == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"changes": [(999, {"habit": 0.4})]}, ["day 999"]),
        (
            {"changes": [(10, {"habbit": 0.4})], "drift": {"depth": 2}},
            ["habit", "drift has 2 for depth"],
        ),
        ({"changes": [30]}, ["changes holds 30"]),
        ({"alike": 2}, ["alike lies outside"]),
        ({"week_spread": {"x": 0.1}}, ["week_spread names 'x'"]),
    ],
)
def test_a_course_that_means_nothing_is_refused(wrong, words):
    with pytest.raises(ParameterError) as caught:
        ek.simulate(**wrong)
    assert [w for w in words if w not in str(caught.value)] == []
