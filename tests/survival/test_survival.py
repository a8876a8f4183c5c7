from __future__ import annotations

import math
import subprocess
import sys
import warnings
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
import oracle_statistics as oracle
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engagekit as ek
from engagekit.errors import ColumnError, ParameterError, TooFewUsersError
from engagekit.survival import (
    fit_sbg,
    flattening,
    kaplan_meier,
    log_rank,
    project_curve,
    rmst,
)

durations = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=25)


@given(durations)
def test_kaplan_meier_agrees_with_the_product_written_out(pairs):
    time, event = [t for t, _ in pairs], [e for _, e in pairs]
    curve = kaplan_meier(time, event)
    for row, (t, share, at_risk, ended) in zip(
        curve.iter_rows(named=True), oracle.kaplan_meier(time, event), strict=True
    ):
        assert (row["time"], row["at_risk"], row["events"]) == (t, at_risk, ended)
        assert row["survival"] == pytest.approx(share)
        if row["low"] is not None:
            assert 0 <= row["low"] <= row["survival"] <= row["high"] <= 1
        assert (row["low"] is None) == (not 0 < row["survival"] < 1)


@settings(max_examples=40)
@given(durations)
def test_intervals_agree_with_scipy(pairs):
    stats = pytest.importorskip("scipy.stats")
    time, event = np.array([t for t, _ in pairs], float), np.array([e for _, e in pairs])
    theirs = stats.ecdf(stats.CensoredData.right_censored(time, ~event)).sf
    ours = kaplan_meier(time, event)
    assert ours["survival"].to_numpy() == pytest.approx(theirs.evaluate(ours["time"].to_numpy()))
    with warnings.catch_warnings(action="ignore"):
        bounds = theirs.confidence_interval(method="log-log")
    for side, name in ((bounds.low, "low"), (bounds.high, "high")):
        at = side.evaluate(ours["time"].to_numpy())
        known = ours[name].is_not_null().to_numpy()
        assert ours[name].to_numpy()[known] == pytest.approx(at[known], abs=1e-9)


@given(durations, st.integers(1, 12))
def test_restricted_mean_is_the_area_up_to_tau_or_not_a_number(pairs, tau):
    time, event = [t for t, _ in pairs], [e for _, e in pairs]
    mean, low, high = rmst(time, event, tau=tau)
    last = oracle.kaplan_meier(time, event)[-1]
    if tau > last[0] and last[1] > 0:
        assert math.isnan(mean)
        return
    assert mean == pytest.approx(oracle.restricted_mean(time, event, tau))
    assert 0 <= low <= mean <= high <= tau + 1e-9


@settings(max_examples=40)
@given(durations, durations)
def test_log_rank_of_two_groups_agrees_with_scipy(first, second):
    stats = pytest.importorskip("scipy.stats")
    groups = [([t for t, _ in g], [e for _, e in g]) for g in (first, second)]
    chi2, p = log_rank(groups)
    assert 0 <= p <= 1
    with warnings.catch_warnings(action="ignore"):
        theirs = stats.logrank(
            *[stats.CensoredData.right_censored(t, ~np.array(e)) for t, e in groups]
        )
    if math.isnan(theirs.statistic):
        assert (chi2, p) == (0, 1)
    else:
        assert chi2 == pytest.approx(theirs.statistic**2, abs=1e-9)
    assert log_rank(groups[::-1]) == pytest.approx((chi2, p), abs=1e-9)


def test_published_log_rank_of_freireich():
    # Freireich et al. (1963), weeks of remission: chi-square 16.79, p 4.17e-5.
    treated = (
        [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35],
        [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0],
    )
    placebo = (
        [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23],
        [1] * 21,
    )
    chi2, p = log_rank([treated, placebo])
    assert chi2 == pytest.approx(16.79, abs=0.005)
    assert p == pytest.approx(4.17e-5, abs=1e-7)


def test_three_groups_of_which_two_are_alike():
    long, short = ([8, 9, 10, 11, 12] * 6, [1] * 30), ([1, 2, 3, 4, 5] * 6, [1] * 30)
    chi2, p = log_rank([long, long, short])
    assert p < 1e-9
    assert chi2 > log_rank([long, long])[0] == pytest.approx(0, abs=1e-9)
    # A group that is gone before anything ends has nothing to compare.
    assert log_rank([long, short, ([0, 0], [0, 0])]) == pytest.approx(log_rank([long, short]))


def test_nothing_ending_speaks_against_nothing():
    assert log_rank([([1, 2], [0, 0]), ([3, 4], [0, 0])]) == (0, 1)
    assert kaplan_meier([], []).is_empty()
    assert kaplan_meier([2, 2], [0, 0])["survival"].to_list() == [1.0]
    assert all(math.isnan(x) for x in rmst([], [], tau=3))


@pytest.mark.parametrize(
    ("time", "event", "said"),
    [
        ([1, 2], [1], "2 values, event 1"),
        ([1, -2], [1, 0], "negative"),
        ([1, None], [1, 0], "missing"),
        ([1, 2], [1, 2], "other than True"),
        (["a"], [1], "numbers"),
        ([1, "a"], [1, 1], "numbers"),
        ([1, math.nan], [1, 0], "missing"),
        ([1, math.inf], [1, 0], "infinite"),
        (pl.Series([1.0, math.nan]), [1, 0], "missing"),
        (5, [1], "numbers"),
    ],
)
def test_durations_that_mean_nothing_are_refused(time, event, said):
    with pytest.raises(ParameterError, match=said):
        kaplan_meier(time, event)


def test_whole_numbers_and_fractions_may_stand_in_one_list():
    """A published table has times such as 1, 2.5 and 4; polars alone would take the list for whole numbers."""
    mixed, plain = (
        kaplan_meier([1, 2.5, 4], [True, 0, 1.0]),
        kaplan_meier([1.0, 2.5, 4.0], [1, 0, 1]),
    )
    assert mixed.equals(plain)
    assert mixed["time"].to_list() == [1.0, 2.5, 4.0]
    assert kaplan_meier([np.int64(1), 2.5, 4], [1, 0, 1]).equals(plain)
    pairs = [([1, 2.5, 4], [1, 1, 0]), ([2, 3.5, 6.25], [0, 1, 1])]
    as_floats = [([float(x) for x in time], event) for time, event in pairs]
    assert log_rank(pairs) == log_rank(as_floats)


def test_what_is_wrong_in_any_group_is_said_at_once():
    with pytest.raises(ParameterError) as error:
        log_rank([([1, -1], [1, 1]), ([1, 2], [1, 3]), (1, 2, 3)])  # type: ignore[list-item]
    assert len(error.value.faults) == 3
    assert "group 2: event has values other" in str(error.value)


# The shifted-beta-geometric model

HIGH_END = [1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394]


def test_published_high_end_cohort():
    # Fader and Hardie (2007): beta 3.806, log-likelihood -1611.158; alpha 0.668 (their text misprints 0.688).
    alpha, beta, log_likelihood = fit_sbg(HIGH_END[:8])
    assert alpha == pytest.approx(0.668, abs=0.002)
    assert beta == pytest.approx(3.806, abs=0.01)
    assert log_likelihood == pytest.approx(-1611.158, abs=0.001)


@pytest.mark.thorough
@settings(max_examples=40)
@given(st.lists(st.integers(1, 300), min_size=4, max_size=9, unique=True))
def test_the_fit_is_the_best_point_near_it(counts):
    active = sorted(counts, reverse=True)
    alpha, beta, log_likelihood = fit_sbg(active)
    assert log_likelihood == pytest.approx(
        oracle.beta_geometric_log_likelihood(active, alpha, beta), rel=1e-6
    )
    for a, b in ((1.05, 1), (0.95, 1), (1, 1.05), (1, 0.95), (1.05, 1.05), (0.95, 0.95)):
        inside = 1.3e-4 < alpha * a + beta * b < math.exp(11.9)
        if inside:
            near = oracle.beta_geometric_log_likelihood(active, alpha * a, beta * b)
            assert near <= log_likelihood + 1e-6


def curve_of(active):
    lost = [a - b for a, b in pairwise(active)]
    return pl.DataFrame(
        {
            "time": range(len(active)),
            "survival": [n / active[0] for n in active],
            "at_risk": active,
            "events": [*lost, None],
        }
    )


def test_projection_of_the_high_end_cohort():
    found = project_curve(curve_of(HIGH_END[:8]), periods=5)
    assert found["kind"].to_list() == ["fitted"] * 8 + ["projected"] * 5
    assert found["observed"].null_count() == 5
    came = [0.468, 0.445, 0.427, 0.409, 0.394]  # a share that stays for good fits better than none
    assert found["survival"].to_list()[8:] == pytest.approx(came, abs=0.03)
    for row, share in zip(found.tail(5).to_dicts(), came, strict=True):
        assert row["low"] <= share <= row["high"]


@pytest.mark.parametrize(
    ("active", "error", "said"),
    [
        ([100, 50, 40], TooFewUsersError, "at least 4"),
        ([100, 100, 100, 100], TooFewUsersError, "Nobody left"),
        ([100, 0, 0, 0], TooFewUsersError, "Nobody stayed"),
        ([100, 60, 65, 50], ParameterError, "absorbing|rises"),
        ([1000, 990, 900, 600, 200, 20], ParameterError, "slow down"),
    ],
)
def test_a_projection_is_refused_with_the_reason(active, error, said):
    with pytest.raises(error, match=said):
        project_curve(curve_of(active), periods=3)


def test_a_cohort_curve_is_no_survival_curve():
    retention = pl.DataFrame({"cohort": [1], "period": [0], "n": [3], "of": [4], "rate": [0.75]})
    for ask in (flattening, lambda c: project_curve(c, periods=2)):
        with pytest.raises(ColumnError, match="no survival curve"):
            ask(retention)


# Flat, still falling, cannot tell


def weekly(loss, n, seed, weeks=12):
    random = np.random.default_rng(seed)
    active = [n]
    for _ in range(weeks):
        active.append(active[-1] - int(random.binomial(active[-1], loss)))
    return curve_of(active)


@pytest.mark.parametrize(("n", "most"), [(200, 0.02), (1000, 0.0), (5000, 0.0)])
def test_a_loss_of_two_percent_a_week_is_hardly_ever_called_flat(n, most):
    verdicts = [flattening(weekly(0.02, n, seed))["verdict"][0] for seed in range(100)]
    assert verdicts.count("flat") / 100 <= most
    if n == 5000:
        assert verdicts.count("still falling") >= 95


def test_a_flat_curve_is_seen_once_there_are_users_enough():
    assert [flattening(weekly(0.0005, 2000, s))["verdict"][0] for s in range(30)].count(
        "flat"
    ) >= 29
    few = flattening(weekly(0.0, 60, 1))
    assert few["verdict"].to_list() == ["cannot tell"]
    assert few["high"][0] > 0.01


def test_too_short_a_curve_cannot_tell():
    short = flattening(curve_of([100, 90, 90]))
    assert short.row(0, named=True)["verdict"] == "cannot tell"
    assert short["rate"].to_list() == [None]
    assert "2 complete periods" in short["sentence"][0]


# Survival of journeys

users_of = st.lists(
    st.tuples(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 25))), min_size=1, max_size=12
)
BASE = date(2026, 3, 1)


def journeys_of(users, end, properties=None):
    rows = []
    for number, (signed_up, came) in enumerate(users):
        rows.append((number, "start", BASE + timedelta(days=signed_up)))
        if came is not None:
            rows.append((number, "work", BASE + timedelta(days=min(signed_up + came, end))))
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    return ek.rollup(
        log,
        ek.Definition(signup="start", activation="work", core="work"),
        users=properties,
        as_of=BASE + timedelta(days=end + 1),
        missing="allow",
    )


@pytest.mark.thorough
@settings(max_examples=40)
@given(users_of, st.integers(1, 9), st.sampled_from(["day", "week"]))
def test_survival_agrees_with_the_oracle(users, quiet_days, period):
    end = 22
    curve = ek.survival(journeys_of(users, end), quiet_days=quiet_days, period=period)
    plain = [(s, None if c is None else min(s + c, end)) for s, c in users]
    wanted = oracle.going_quiet(plain, quiet_days, end)
    for row in curve.iter_rows(named=True):
        assert row["survival"] == (
            None if row["time"] not in wanted else pytest.approx(wanted[row["time"]])
        )
    events, exposed = curve["events"].sum(), curve["exposed"].sum()
    assert 0 <= events <= len(users)
    assert exposed >= events / 2


def test_survival_past_the_last_follow_up_is_null():
    journeys = journeys_of(
        [(0, 3), (0, 9), (14, 1)],
        20,
        pl.DataFrame({"user_id": [0, 1, 2], "plan": ["a", "a", "b"]}),
    )
    found = ek.survival(journeys, quiet_days=5, by="plan", period="day")
    b = found.filter(pl.col("plan") == "b")
    # User 2 signed up on day 14 and is followed to day 20: 6 days, less the 5 quiet ones.
    assert b["survival"].to_list() == [1.0, 1.0] + [None] * 14
    a = found.filter(pl.col("plan") == "a")
    assert a["survival"].to_list() == [1.0] * 4 + [0.5] * 6 + [0.0] * 6
    with pytest.raises(ParameterError, match="'plan'"):
        ek.survival(journeys, quiet_days=5, by="plam")
    with pytest.raises(ParameterError, match="quiet_days"):
        ek.survival(journeys, quiet_days=0)


def test_users_not_followed_long_enough_say_nothing():
    found = ek.survival(journeys_of([(18, 1)], 20), quiet_days=7)
    assert found.select("time", "survival", "at_risk").rows() == [(0, None, None)]


def test_dating_recovers_the_planted_curve_where_quick_dating_would_not():
    # Users come every 6 days on average until a planted last day; sign-ups are spread, so many are cut off.
    random = np.random.default_rng(5)
    end, rows = 120, []
    lasting = random.exponential(60, 4000)
    for user, life in enumerate(lasting):
        start = random.uniform(0, end)
        visits = np.concatenate([[0.0], np.cumsum(random.exponential(6, 60))])
        visits = visits[visits <= life]
        rows += [(user, "start", start)] + [
            (user, "work", start + v) for v in visits if start + v < end
        ]
    log = pl.DataFrame(rows, schema=["user_id", "event", "day"], orient="row").with_columns(
        (
            pl.lit(datetime(2026, 1, 1))
            + pl.duration(microseconds=(pl.col("day") * 86_400e6).cast(pl.Int64))
        ).alias("at")
    )
    journeys = ek.rollup(
        log.drop("day"),
        ek.Definition(signup="start", activation="work", core="work"),
        as_of=datetime(2026, 1, 1) + timedelta(days=end),
        missing="allow",
    )
    curve = ek.survival(journeys, quiet_days=28)
    # Truth from the same process followed to its end.
    last = []
    for life in random.exponential(60, 20000):
        visits = np.cumsum(random.exponential(6, 80))
        visits = visits[visits <= life]
        last.append(visits[-1] if visits.size else 0.0)
    for time, share in (
        curve.filter(pl.col("time").is_in([14, 28, 56])).select("time", "survival").rows()
    ):
        assert share == pytest.approx(np.mean(np.array(last) >= time - 0.5), abs=0.025)


def test_groups_that_differ_are_told_apart():
    users = [(0, 2)] * 20 + [(0, 12)] * 20
    properties = pl.DataFrame({"user_id": range(40), "plan": ["free"] * 20 + ["paid"] * 20})
    found = ek.compare_survival(journeys_of(users, 22, properties), quiet_days=5, by="plan")
    assert found.select("plan", "users", "quiet", "until", "rmst").rows() == [
        ("free", 20, 20, 17, 2.0),
        ("paid", 20, 20, 17, 12.0),
    ]
    assert found["p"].max() < 1e-6
    assert found["expected"].sum() == pytest.approx(40)
    # All of a group lasted as long, which so few could do though some would not: up to Wilson's bound of 0 in 20.
    hidden = 3.8414588 / (20 + 3.8414588)
    for row, mean in zip(found.iter_rows(named=True), (2.0, 12.0), strict=True):
        assert row["low"] == pytest.approx(mean * (1 - hidden))
        assert row["high"] == pytest.approx(mean + (17 - mean) * hidden)
    with pytest.raises(ParameterError, match="two or more"):
        ek.compare_survival(
            journeys_of(users, 22, properties.with_columns(plan=pl.lit("x"))),
            quiet_days=5,
            by="plan",
        )


def test_projection_and_flattening_take_what_survival_returns():
    random = np.random.default_rng(2)
    users = [(0, int(min(random.geometric(p) - 1, 90)) * 7) for p in random.beta(0.8, 3, 3000)]
    journeys = journeys_of(users, 140)
    curve = ek.survival(journeys, quiet_days=21)
    found = ek.project_curve(curve, periods=4)
    assert found.height == curve.height + 4
    assert found["survival"].is_sorted(descending=True)
    # Beta(0.8, 3) still loses 3 to 4 % a week after four months.
    assert ek.flattening(curve)["verdict"].to_list() == ["still falling"]
    by_group = ek.flattening(curve.with_columns(plan=pl.lit("free")).select("plan", *curve.columns))
    assert by_group.columns[0] == "plan"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "order",
    [
        "import engagekit as ek; ek.survival; from engagekit.survival import kaplan_meier",
        "from engagekit.survival import kaplan_meier; import engagekit as ek; ek.survival",
        "import engagekit.survival as s; s.kaplan_meier; import engagekit as ek; ek.survival.kaplan_meier",
        "import engagekit as ek; ek.survival; import engagekit.survival as s; s.kaplan_meier",
        "import engagekit as ek; ek.flattening; ek.compare_survival; ek.survival.survival",
    ],
)
def test_survival_is_module_and_function_in_any_order_of_imports(order):
    check = (
        f"{order}; from inspect import signature; "
        "assert list(signature(ek.survival).parameters) == ['journeys', 'quiet_days', 'by', 'period', 'clock']; "
        "assert 'sign-up' in ek.survival.__call__.__doc__; import sys; assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_what_is_shown_of_survival_says_its_columns():
    for column in ("period", "time", "survival", "low", "high", "at_risk", "events", "exposed"):
        assert f"`{column}`" in (ek.survival.__doc__ or "")
