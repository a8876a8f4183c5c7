from __future__ import annotations

from datetime import timedelta

import numpy as np
import oracle_first_weeks as oracle
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_weeks import noisy, planted
from test_first_weeks import DEFINITION, SIGNUP, at, random_log
from test_trials import AS_OF, rolled, spread_log

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.first_weeks.rank_tests import rank_compare
from engagekit.intervals import newcombe, wilson
from engagekit.strata import benjamini_hochberg


@pytest.fixture(scope="module")
def six():
    """Users 1 to 3 are retained, 4 to 6 churned."""
    rows = [(user, "signed_up", at(0)) for user in range(1, 7)]
    rows += [(user, "work", at(30)) for user in (1, 2, 3)]
    rows += [
        (1, "tour", at(0, 1)),
        (1, "invite", at(0, 2)),
        (1, "tour", at(0, 3)),
        (1, "invite", at(3)),
    ]
    rows += [(2, "tour", at(1)), (2, "invite", at(2))]
    rows += [(3, "invite", at(0, 12))]
    rows += [(4, "tour", at(0, 1)), (4, "tour", at(13))]
    rows += [(5, "tour", at(5)), (5, "invite", at(5))]  # at the same instant
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    return ek.rollup(log, DEFINITION, as_of=SIGNUP + timedelta(days=50))


def test_how_often_of_six_users(six):
    found = {row["action"]: row for row in ek.how_often(six).iter_rows(named=True)}
    invite = found["invite"]
    assert [invite[c] for c in ("n_retained", "n_churned", "did_retained", "did_churned")] == [
        3,
        3,
        3,
        1,
    ]
    # Retained 2, 1, 1 times; churned 0, 1, 0.
    assert (invite["mean_times_retained"], invite["mean_times_churned"]) == pytest.approx(
        (4 / 3, 1 / 3)
    )
    # Of 9 pairs the retained have more in 7 and as many in 2.
    assert invite["rank_biserial"] == pytest.approx(7 / 9)
    assert "1.33 times per retained and 0.33 per churned" in invite["sentence"]
    assert found["tour"]["mean_times_churned"] == pytest.approx(1)


def test_how_soon_of_six_users(six):
    found = {row["action"]: row for row in ek.how_soon(six).iter_rows(named=True)}
    tour = found["tour"]
    assert tour["median_days_retained"] == pytest.approx((1 / 24 + 1) / 2)
    assert tour["median_days_churned"] == pytest.approx((1 / 24 + 5) / 2)
    # Hours: retained 1, 24, never; churned 1, 120, never. Sooner in 1>120, 1>never, 24>120, 24>never; later: 24<1, never<1, never<120.
    assert tour["rank_biserial"] == pytest.approx((4 - 3) / 9)
    assert found["invite"]["did_churned"] == 1


def test_paths_of_six_users(six):
    rows = {(r["action"], r["next_action"]): r for r in ek.first_paths(six).iter_rows(named=True)}
    counts = {
        pair: (r["n_retained"], r["of_retained"], r["n_churned"], r["of_churned"])
        for pair, r in rows.items()
    }
    assert counts == {
        ("(sign-up)", "tour"): (2, 3, 2, 3),
        ("(sign-up)", "invite"): (1, 3, 1, 3),
        ("(sign-up)", "(nothing new)"): (0, 3, 1, 3),
        ("tour", "invite"): (2, 2, 0, 2),
        ("tour", "(nothing new)"): (0, 2, 2, 2),
        ("invite", "(nothing new)"): (3, 3, 1, 1),
    }
    assert ek.first_paths(six, most=2).height == 2
    with pytest.raises(ParameterError, match="most"):
        ek.first_paths(six, most=0)
    first = rows["tour", "invite"]
    assert (first["difference"], first["low"], first["high"]) == pytest.approx(newcombe(2, 2, 0, 2))


def test_days_of_six_users(six):
    found = ek.day_by_day(six)
    assert found.height == 2 * 4 * 14  # groups, actions with (anything) and sign-up, days
    tour = found.filter(action="tour", group="churned")
    assert dict(tour.filter(pl.col("n") > 0).select("day", "n").iter_rows()) == {0: 1, 5: 1, 13: 1}
    low, high = wilson(1, 3)
    # All three were active on the day of their sign-up.
    assert tour.row(0)[3:] == pytest.approx((1, 3, 1 / 3, low, high, 3, 1 / 3))
    assert tour.row(5)[3:5] + tour.row(5)[8:] == (1, 3, 1, 1.0)
    anything = found.filter(action="(anything)", group="retained")
    assert dict(anything.filter(pl.col("n") > 0).select("day", "n").iter_rows()) == {
        0: 3,
        1: 1,
        2: 1,
        3: 1,
    }
    assert found["group"][0] == "retained"
    assert found["action"][0] == "(anything)"


@settings(max_examples=6)
@given(st.integers(0, 10**6))
def test_days_agree_with_plain_python(seed):
    signed_up, events = random_log(seed, 60)
    as_of = SIGNUP + timedelta(days=52)
    log = pl.DataFrame(events, schema=["user_id", "event", "at"], orient="row")
    found = ek.day_by_day(ek.rollup(log, DEFINITION, as_of=as_of))
    retained = oracle.judged(signed_up, events, as_of, "work", (28, 42))
    did = oracle.early(signed_up, events, retained)
    for row in found.iter_rows(named=True):
        side = [u for u, kept in retained.items() if kept == (row["group"] == "retained")]
        acts = [
            did[u].values()
            if row["action"] == "(anything)"
            else [did[u].get(row["action"], (0, ()))]
            for u in side
        ]
        assert row["of"] == len(side)
        assert row["n"] == sum(any(row["day"] in days for _, days in each) for each in acts)


values = st.lists(st.integers(0, 4), min_size=1, max_size=30)


def counts_of(first, second, stratum=0):
    return pl.DataFrame(
        {
            "stratum": [stratum] * (len(first) + len(second)),
            "value": first + second,
            "r": [1] * len(first) + [0] * len(second),
            "c": [0] * len(first) + [1] * len(second),
        }
    )


@settings(max_examples=40)
@given(values, values)
def test_ranks_agree_with_scipy(first, second):
    stats = pytest.importorskip("scipy.stats")
    found = rank_compare(counts_of(first, second), []).row(0, named=True)
    theirs = stats.mannwhitneyu(first, second, use_continuity=False, method="asymptotic")
    pairs = len(first) * len(second)
    assert found["rank_biserial"] == pytest.approx(2 * theirs.statistic / pairs - 1, abs=1e-9)
    if len({*first, *second}) > 1:
        assert found["p"] == pytest.approx(theirs.pvalue, rel=1e-6)
    else:
        assert found["p"] is None


@settings(max_examples=20)
@given(values, values)
def test_a_stratum_twice_over_is_surer_and_says_the_same(first, second):
    once = counts_of(first, second)
    twice = pl.concat([once, counts_of(first, second, stratum=1), counts_of(first, [], stratum=2)])
    one, two = (rank_compare(c, []).row(0, named=True) for c in (once, twice))
    assert two["rank_biserial"] == pytest.approx(one["rank_biserial"])
    if one["p"] is not None:
        assert two["p"] <= one["p"] + 1e-12


def test_among_users_alike_until_then_noise_is_done_neither_sooner_nor_more_often():
    for ask in (ek.how_often, ek.how_soon):
        rows = [
            ask(noisy(seed, users=5000)).filter(action="noise").row(0, named=True)
            for seed in range(4)
        ]
        assert min(row["rank_biserial"] for row in rows) > 0.05
        assert np.mean([row["adjusted_ratio"] for row in rows]) == pytest.approx(1, abs=0.06)
        assert sum(row["q"] <= 0.05 for row in rows) <= 1
        assert sum("no difference is clear" in row["sentence"] for row in rows) >= 3


@pytest.mark.parametrize("ask", [ek.how_often, ek.how_soon])
def test_what_defines_the_outcome_is_marked_and_outside_the_family(ask):
    table = ask(noisy(1, users=3000))
    core = table.filter("part_of_definition").row(0, named=True)
    assert core["action"] == "core"
    assert core["q"] is None
    assert "part of what counts as retained" in core["sentence"]
    others = table.filter(~pl.col("part_of_definition"))
    assert others["q"].to_list() == pytest.approx(benjamini_hochberg(others["p"]))
    paid = pl.DataFrame({"user_id": range(3000), "retained": [n % 2 == 0 for n in range(3000)]})
    assert not ask(noisy(1, users=3000), outcome=paid)["part_of_definition"].any()


@pytest.mark.parametrize("ask", [ek.how_often, ek.how_soon])
def test_a_late_launch_is_compared_among_later_users_only(ask):
    made = noisy(101, users=6000, launched=0.6)
    rows = {row["action"]: row for row in ask(made).iter_rows(named=True)}
    row = rows["noise"]
    later = made.users.filter(pl.col("signed_up_at") >= row["launched_at"])
    assert row["n_retained"] + row["n_churned"] == later.height
    did = made.early.filter(event="noise").join(later, on="user_id", how="semi")
    assert row["did_retained"] + row["did_churned"] == did.height
    # Later users stay less long; against everybody, noise would be done less often by the retained.
    assert row["q"] > 0.3
    assert "no difference is clear. Launched late: only users" in row["sentence"]
    assert rows["other_1"]["launched_at"] is None
    assert rows["other_1"]["n_retained"] + rows["other_1"]["n_churned"] == 6000


def test_retained_may_take_more_core_days(six):
    for ask in (ek.how_often, ek.how_soon):
        assert ask(six, core_days=2).select("n_retained", "n_churned").row(0) == (0, 6)
    daily = ek.day_by_day(six, core_days=2)
    assert set(daily.filter(group="churned")["of"]) == {6}
    nobody = daily.filter(group="retained")
    assert nobody.height == daily.height / 2
    assert nobody.select("n", "of", "rate").unique().rows() == [(0, 0, None)]
    assert ek.first_paths(six, core_days=2)["n_retained"].sum() == 0


def test_an_action_that_matters_is_done_more_often():
    made = planted(6, users=4000, actions=12, true=1, effect=1.5)
    row = ek.how_often(made.journeys).row(0, named=True)
    assert row["action"] in made.true
    assert row["q"] < 0.01
    assert "says nothing about causes" in row["sentence"]


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.booleans())
def test_how_soon_and_how_often_agree_with_plain_python(seed, often):
    signed_up, events = spread_log(seed, 120)
    ask = ek.how_often if often else ek.how_soon
    found = ask(rolled(events)).filter(action="a")
    retained = oracle.judged(signed_up, events, AS_OF, "work", (28, 42))
    volume = oracle.volumes(signed_up, events, retained)
    did = oracle.early(signed_up, events, retained)
    did = {user: each["a"][1] for user, each in did.items() if "a" in each}
    up = down = 0.0
    for k in range(1, 15) if often else (1,):
        tables, _ = oracle.trial_tables(signed_up, volume, retained, did, k, volume_parts=6)
        for a, b, c, d in tables:
            n = a + b + c + d
            up += a * (b + d) / n
            down += b * (a + c) / n
    row = found.row(0, named=True)
    if row["adjusted_ratio"] is None:
        assert min(len(did), len(retained) - len(did)) < 10 or down < 1e-9
    else:
        assert row["adjusted_ratio"] == pytest.approx(up / down)
        assert row["rank_biserial"] is not None
