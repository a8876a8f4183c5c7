from __future__ import annotations

import math

import numpy as np
import oracle_statistics as oracle
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engagekit.errors import ParameterError
from engagekit.strata import (
    association,
    benjamini_hochberg,
    breslow_day,
    mantel_haenszel,
    stratum_sums,
    tails,
)

cell = st.integers(0, 60)
tables = st.lists(st.tuples(st.tuples(cell, cell), st.tuples(cell, cell)), min_size=1, max_size=6)
full = st.integers(1, 60)
full_tables = st.lists(
    st.tuples(st.tuples(full, full), st.tuples(full, full)), min_size=2, max_size=6
)


def same(ours, theirs):
    return (math.isnan(ours) and math.isnan(theirs)) or ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.thorough
@given(tables)
def test_ratios_and_test_agree_with_the_sums_written_out(strata):
    found = mantel_haenszel(strata)
    odds, risk, chi2 = oracle.mantel_haenszel(strata)
    assert same(found.odds_ratio, odds)
    assert same(found.risk_ratio, risk)
    assert same(found.chi2, chi2)
    assert math.isnan(found.p) or 0 <= found.p <= 1
    if not math.isnan(found.risk_low):
        assert 0 <= found.risk_low <= found.risk_ratio * (1 + 1e-9)
        assert found.risk_ratio <= found.risk_high * (1 + 1e-9)


@pytest.mark.thorough
@settings(max_examples=40)
@given(tables)
def test_strata_in_any_order_and_empty_ones_change_nothing(strata):
    found = mantel_haenszel(strata)
    turned = mantel_haenszel([[(0, 0), (0, 0)], *reversed(strata), [(3, 4), (0, 0)]])
    for name in ("odds_ratio", "risk_ratio", "risk_difference", "chi2"):
        assert same(getattr(found, name), getattr(turned, name)), name


@pytest.mark.thorough
@settings(max_examples=40)
@given(tables)
def test_exchanging_the_groups_turns_the_ratio_over(strata):
    found = mantel_haenszel(strata)
    assume(found.risk_ratio > 0)
    turned = mantel_haenszel([(unexposed, exposed) for exposed, unexposed in strata])
    assert turned.risk_ratio == pytest.approx(1 / found.risk_ratio)
    assert turned.risk_difference == pytest.approx(-found.risk_difference)
    assert same(turned.risk_low, 1 / found.risk_high)


@pytest.mark.thorough
@settings(max_examples=40)
@given(full_tables)
def test_breslow_day_agrees_with_expected_counts_found_by_halving(strata):
    chi2, p = breslow_day(strata)
    assert chi2 == pytest.approx(
        oracle.breslow_day(strata, mantel_haenszel(strata).odds_ratio), rel=1e-6, abs=1e-9
    )
    assert 0 <= p <= 1


def test_equal_strata_do_not_disagree_and_opposite_ones_do():
    table = ((30, 20), (15, 35))
    assert breslow_day([table, table])[0] == pytest.approx(0, abs=1e-9)
    assert breslow_day([table, table[::-1]])[1] < 1e-4


@pytest.mark.parametrize(
    "strata",
    [[], [((0, 0), (0, 0))], [((3, 4), (0, 0))], [((5, 0), (4, 0))], [((1, 0), (0, 0))]],
    ids=["none", "empty", "all exposed", "all retained", "one user"],
)
def test_tables_that_compare_nothing_say_so(strata):
    found = mantel_haenszel(strata)
    assert math.isnan(found.chi2)
    assert math.isnan(found.p)
    assert all(math.isnan(x) for x in breslow_day(strata))


def test_a_reversal_between_cohorts_is_undone_by_stratifying():
    # Early cohort: 60 % and 65 % retained, late cohort: 15 % and 25 %; the action is mostly done in the early one.
    early, late = ((360, 240), (130, 70)), ((30, 170), (150, 450))
    crude = mantel_haenszel([tuple(map(lambda x, y: (x[0] + y[0], x[1] + y[1]), early, late))])
    assert crude.odds_ratio == pytest.approx(1.77, abs=0.01)
    within = mantel_haenszel([early, late])
    assert within.odds_ratio == pytest.approx(0.68, abs=0.01)
    assert (within.odds_low, within.odds_high) == pytest.approx((0.53, 0.89), abs=0.01)


def test_published_six_strata_of_admissions():
    # Berkeley admissions 1973, men against women by department. R 4 says of it, mantelhaen.test: odds ratio 0.9046968
    # (0.7719074 to 1.0603298), chi-square with correction 1.4269, p 0.2323; DescTools BreslowDayTest: 18.826, p 0.002071.
    strata = [
        ((512, 313), (89, 19)), ((353, 207), (17, 8)), ((120, 205), (202, 391)),
        ((138, 279), (131, 244)), ((53, 138), (94, 299)), ((22, 351), (24, 317)),
    ]  # fmt: skip
    found = mantel_haenszel(strata)
    assert found.odds_ratio == pytest.approx(0.9046968, abs=1e-6)
    assert (found.odds_low, found.odds_high) == pytest.approx((0.7719074, 1.0603298), abs=1e-6)
    assert found.chi2_corrected == pytest.approx(1.4269, abs=1e-4)
    assert found.p_corrected == pytest.approx(0.2323, abs=1e-4)
    assert breslow_day(strata) == pytest.approx((18.826, 0.002071), abs=1e-3)


@pytest.mark.parametrize(
    "wrong", [[[1, 2, 3, 4]], [[[1, 2], [3]]], [[[1, -2], [3, 4]]], [[["a", 2], [3, 4]]], 7]
)
def test_other_shapes_are_refused(wrong):
    with pytest.raises(ParameterError, match="tables"):
        mantel_haenszel(wrong)


@given(cell, cell, cell, cell)
def test_association_is_within_bounds_and_turns_with_the_outcome(a, b, c, d):
    found, turned = association(a, b, c, d), association(b, a, d, c)
    assert same(found.phi, -turned.phi)
    assert math.isnan(found.phi) or -1 <= found.phi <= 1 + 1e-12
    assert same(found.reach, turned.reach)
    assert found.odds_ratio == pytest.approx(1 / turned.odds_ratio)
    if a + b and a + c:
        assert found.lift == pytest.approx(found.ppv / found.base_rate)


@pytest.mark.parametrize("count", [-1, None, math.nan, math.inf, "5"])
def test_association_of_what_is_no_count_is_refused(count):
    with pytest.raises(ParameterError, match="negative or missing"):
        association(1, 2, count, 4)


def test_association_of_nobody_says_nothing():
    found = association(0, 0, 0, 0)
    assert math.isnan(found.base_rate)
    assert math.isnan(found.phi)
    assert found.odds_ratio == 1
    with pytest.raises(ParameterError, match="negative"):
        association(-1, 2, 3, 4)


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=30))
def test_q_agrees_with_scipy_and_passes_over_tests_not_made(p):
    stats = pytest.importorskip("scipy.stats")
    found = benjamini_hochberg(p)
    if p:
        assert found == pytest.approx(list(stats.false_discovery_control(p)), abs=1e-12)
    mixed = benjamini_hochberg([None, *p, math.nan])
    assert mixed[1:-1] == found
    assert math.isnan(mixed[0])
    assert math.isnan(mixed[-1])


def test_q_of_a_chance_outside_its_bounds_is_refused():
    with pytest.raises(ParameterError, match=r"1\.2"):
        benjamini_hochberg([0.1, 1.2])


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(20, 60), st.floats(0.05, 0.5), st.floats(0.05, 0.5)),
        min_size=1,
        max_size=4,
    ),
    st.floats(0.001, 0.2),
)
def test_chances_of_leaning_counts_follow_the_exact_distribution(strata, tail):
    stats = pytest.importorskip("scipy.stats")
    exact, cells, mean = np.array([1.0]), [], 0.0
    for n, marked, drawn in strata:
        k, size = max(1, round(n * marked)), max(1, round(n * drawn))
        exact = np.convolve(exact, stats.hypergeom(n, k, size).pmf(np.arange(size + 1)))
        mean += k * size / n
        # A table with this size and these margins; only the margins matter.
        cells.append(
            (k * size / n, size - k * size / n, k - k * size / n, n - k - size + k * size / n)
        )
    above = np.cumsum(exact[::-1])[::-1]
    at = int(np.argmax(above <= tail))
    assume(at > mean + 0.5)
    assume(exact[at] > 0)
    # Nothing is claimed of an action that fewer than ten users did; with as few retained, a chance is one big step.
    margins = [(a + b, a + c) for a, b, c, _ in cells]
    assume(min(map(sum, zip(*margins, strict=True))) >= 10)
    sums = pl.DataFrame(cells, schema=list("abcd"), orient="row").select(stratum_sums())
    found = tails([at - mean], sums["_spread"], sums["_lean"])[0][0]
    middle = above[at] - exact[at] / 2
    assert found == pytest.approx(middle, rel=0.35, abs=0.004)


def test_far_out_the_chance_is_not_the_chi_squares():
    # 20 of 1,000 did, 25 were retained, 6 did and were. Exactly that has 4 chances in a million; the chi-square says 2 in
    # a thousand million million. Where only half a user is expected, the gamma law errs tenfold to the careful side.
    sums = pl.DataFrame({"a": [6], "b": [14], "c": [19], "d": [961]}).select(stratum_sums())
    found = 2 * tails(sums["_excess"], sums["_spread"], sums["_lean"])[0][0]
    stats = pytest.importorskip("scipy.stats")
    exact = stats.hypergeom(1000, 25, 20)
    middle = 2 * (exact.sf(6) + exact.pmf(6) / 2)
    assert middle <= found <= 12 * middle
    assert mantel_haenszel([((6, 14), (19, 961))]).p < middle / 1000
    assert np.isnan(tails([1.0], [0.0], [0.0])).all()
