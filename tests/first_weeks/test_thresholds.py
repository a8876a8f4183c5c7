from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import oracle_first_weeks as oracle
import polars as pl
import pytest
from planted_weeks import noisy, planted
from test_first_weeks import DEFINITION, SIGNUP, random_log

import engagekit as ek
from engagekit.errors import ColumnError, ParameterError, TooFewUsersError
from engagekit.first_weeks.activity_strata import halves
from engagekit.strata import association, benjamini_hochberg

AS_OF = SIGNUP + timedelta(days=60)


@pytest.fixture(scope="module")
def small():
    signed_up, events = random_log(11, 150)
    log = pl.DataFrame(events, schema=["user_id", "event", "at"], orient="row")
    return signed_up, events, log, ek.rollup(log, DEFINITION, as_of=AS_OF)


def reported(signed_up, events):
    """Users of the half that does not choose, and whether they were retained."""
    retained = oracle.judged(signed_up, events, AS_OF, "work", (28, 42))
    split = dict(zip(retained, halves(pl.Series(list(retained))), strict=True))
    return {user: kept for user, kept in retained.items() if not split[user]}


@pytest.mark.parametrize("unit", ["days", "times"])
def test_every_cell_agrees_with_plain_python(small, unit):
    signed_up, events, log, journeys = small
    told = reported(signed_up, events)
    grid = ek.find_threshold(
        journeys, thresholds=(1, 2, 4), within=(3, 14), events=log if unit == "times" else None
    )
    assert set(grid["unit"]) == {unit}
    for row in grid.filter(pl.col("action").is_in(["a", "b"])).iter_rows(named=True):
        did = oracle.early(
            signed_up, [e for e in events if e[1] == row["action"]], told, row["within_days"]
        )
        place = 0 if unit == "times" else 1
        size = {u: (acts[row["action"]][place] if acts else 0) for u, acts in did.items()}
        reached = {
            u
            for u, n in size.items()
            if (n if unit == "times" else len(n or ())) >= row["at_least"]
        }
        a = sum(told[u] for u in reached)
        b, c = len(reached) - a, sum(told.values()) - a
        d = len(told) - len(reached) - c
        assert (row["n"], row["of"]) == (a + b, len(told))
        if not reached:
            assert row["precision"] is None
            continue
        plain = association(a, b, c, d)
        wanted = {
            "precision": plain.ppv, "base_rate": plain.base_rate, "lift": plain.lift, "npv": plain.npv, "reach": plain.reach,
            "sensitivity": plain.sensitivity, "specificity": plain.specificity, "phi": plain.phi,
        }  # fmt: skip
        for name, value in wanted.items():
            assert row[name] is None or row[name] == pytest.approx(value), name


def test_days_that_cannot_be_are_not_asked_for(small):
    grid = ek.find_threshold(small[3], actions="a", thresholds=(1, 2, 5), within=(1, 3))
    cells = grid.filter(action="a").select("at_least", "within_days").rows()
    assert sorted(cells) == [(1, 1), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("first_days", "within"),
    [(1, [1]), (7, [1, 3, 7]), (14, [1, 3, 7, 14]), (20, [1, 3, 7, 14, 20])],
)
def test_the_grid_reaches_as_far_as_the_first_days(small, first_days, within):
    definition = dataclasses.replace(DEFINITION, first_days=first_days)
    grid = ek.find_threshold(ek.rollup(small[2], definition, as_of=AS_OF), thresholds=(1,))
    assert grid["within_days"].unique().sort().to_list() == within


@pytest.mark.thorough
def test_what_is_chosen_by_noise_is_told_by_the_other_half():
    inside, outside = [], []
    for seed in range(12):
        made = planted(seed, users=600, actions=25, true=0, driven=False).journeys
        grid = ek.find_threshold(made).filter(pl.col("chosen"), pl.col("action") != "(active days)")
        assert grid["action"].is_unique().all()
        inside.append(grid["phi_choosing"].head(1).item())
        outside.append(grid["phi"].head(1).item())
    # The best of 25 actions looks like something on the half that chose it, and is nothing.
    assert np.mean(inside) > 0.06
    assert abs(np.mean(outside)) < 0.05


def test_a_late_launch_is_said_where_it_narrows_the_users():
    grid = ek.find_threshold(noisy(300, users=6000, launched=0.6), thresholds=(1,), within=(14,))
    rows = {row["action"]: row for row in grid.iter_rows(named=True)}
    assert rows["noise"]["of"] < rows["other_1"]["of"] / 2
    assert "Launched late: only users who signed up from" in rows["noise"]["sentence"]
    assert "Launched late" not in rows["other_1"]["sentence"]


def test_a_true_action_comes_first_and_is_said_with_the_base_rate():
    made = planted(4, users=5000, actions=10, true=1, effect=1.5)
    grid = ek.find_threshold(made.journeys, within=(14,))
    first = grid.filter(pl.col("action") != "(active days)").row(0, named=True)
    assert first["action"] in made.true
    assert first["chosen"]
    assert first["q"] < 0.05
    assert first["precision"] > first["base_rate"]
    assert first["adjusted_low"] > 1
    base = f"{first['base_rate']:.0%}"
    assert f"against {base} of all (lift {first['lift']:.2f})" in first["sentence"]
    assert "is not shown" in first["sentence"]


def test_actions_that_define_the_outcome_are_marked_and_outside_the_family(small):
    grid = ek.find_threshold(small[3])
    work = grid.filter(action="work")
    assert work["part_of_definition"].all()
    assert work["q"].null_count() == work.height
    assert not grid.filter(pl.col("action") != "work")["part_of_definition"].any()


def test_active_days_do_not_make_other_actions_look_surer():
    made = planted(5, users=1500, actions=10, true=0).journeys
    grid = ek.find_threshold(made).filter("chosen")
    active = pl.col("action") == "(active days)"
    days = grid.filter(active).row(0, named=True)
    assert days["p"] < 1e-6
    assert days["q"] is None
    others = grid.filter(~active, ~pl.col("part_of_definition"))
    assert others["q"].to_list() == pytest.approx(benjamini_hochberg(others["p"]))


def test_retained_may_take_more_core_days(small):
    base = ek.find_threshold(small[3], actions="a")["base_rate"].max()
    assert ek.find_threshold(small[3], actions="a", core_days=4)["base_rate"].max() < base


def test_a_log_that_is_not_that_of_the_journeys_is_refused(small):
    _, _, log, journeys = small
    with pytest.raises(ParameterError, match=r"events lacks .* early actions"):
        ek.find_threshold(journeys, events=log.filter(pl.col("event") != "a"))
    ek.find_threshold(journeys, actions="b", events=log.filter(event="b"))  # all that is asked for
    with pytest.raises(ColumnError, match="holds String"):
        ek.find_threshold(journeys, events=log.with_columns(pl.col("user_id").cast(pl.String)))
    # Accounts whose log speaks of users would find nobody, or somebody else.
    users = log.select("user_id").unique().with_columns(account_id=pl.col("user_id") // 2 + 1000)
    accounts = ek.rollup(log, DEFINITION, users=users, unit="account", as_of=AS_OF)
    with pytest.raises(ParameterError, match="with the account in place of the user"):
        ek.find_threshold(accounts, events=log)
    renamed = log.with_columns(pl.col("user_id") // 2 + 1000)
    wanted = ek.find_threshold(ek.rollup(renamed, DEFINITION, as_of=AS_OF), events=renamed)
    assert ek.find_threshold(accounts, events=renamed).equals(wanted)
    narrow = renamed.with_columns(pl.col("user_id").cast(pl.Int32))
    assert ek.find_threshold(accounts, events=narrow).equals(wanted)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"thresholds": (0,)}, "thresholds"),
        ({"thresholds": (1, 10**30)}, "up to a billion"),
        ({"within": (3, 15)}, "first 14 days"),
        ({"within": ()}, "within"),
        ({"actions": ["a", "bb"]}, "'bb'"),
        ({"thresholds": 3, "within": (99,)}, "2 faults"),
        ({"actions": 5}, "actions is 5"),
        ({"actions": [], "within": ()}, "2 faults"),
    ],
)
def test_questions_that_mean_nothing_are_refused(small, settings, said):
    with pytest.raises(ParameterError, match=said):
        ek.find_threshold(small[3], **settings)


def test_without_anybody_to_judge_there_is_no_threshold(small):
    young = small[3].at(datetime(2026, 1, 20, tzinfo=UTC))
    with pytest.raises(TooFewUsersError, match="Nobody's outcome"):
        ek.find_threshold(young)
