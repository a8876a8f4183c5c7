from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagekit.errors import ParameterError
from engagekit.intervals import newcombe, newcombe_columns, wilson, wilson_columns, z_of

counts = st.integers(0, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@given(counts, st.floats(0.5, 0.999))
def test_wilson_agrees_with_scipy_and_with_its_own_expression(count, level):
    stats = pytest.importorskip("scipy.stats")
    n, of = count
    low, high = wilson(n, of, level=level)
    frame = pl.DataFrame({"n": [n], "of": [of]}).select(wilson_columns(level=level))
    if of == 0:
        assert (low, high) == (0, 1)
        assert frame.row(0) == (None, None, None)
        return
    theirs = stats.binomtest(n, of).proportion_ci(level, method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert frame.row(0) == pytest.approx((n / of, low, high), abs=1e-12)
    assert 0 <= low <= n / of <= high <= 1


@given(counts, counts)
def test_newcombe_holds_the_difference_and_turns_with_it(first, second):
    difference, low, high = newcombe(*first, *second)
    if first[1] == 0 or second[1] == 0:
        assert math.isnan(difference)
        assert (low, high) == (-1, 1)
        return
    assert -1 - 1e-12 <= low <= difference <= high <= 1 + 1e-12
    back = newcombe(*second, *first)
    assert back == pytest.approx((-difference, -high, -low), abs=1e-12)


@given(counts, counts, st.floats(0.5, 0.999))
def test_newcombe_agrees_with_its_own_expression(first, second, level):
    names = [pl.lit(x, pl.Int64) for x in (*first, *second)]
    found = pl.select(newcombe_columns(*names, z=z_of(level))).row(0)
    if first[1] == 0 or second[1] == 0:
        assert found == (None, None, None)
    else:
        assert found == pytest.approx(newcombe(*first, *second, level=level), abs=1e-12)


@pytest.mark.parametrize(
    "count", [(5, 3), (-1, 3), (1, -3), (math.nan, 3), (1, math.nan), (1, math.inf)]
)
def test_what_is_no_share_is_refused(count):
    with pytest.raises(ParameterError, match="from 0 to all of them"):
        wilson(*count)
    with pytest.raises(ParameterError, match="from 0 to all of them"):
        newcombe(1, 2, *count)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, math.nan])
def test_a_level_that_is_no_share_is_refused(level):
    for asked in (wilson, wilson_columns):
        with pytest.raises(ParameterError, match="level is"):
            asked(*((1, 2) if asked is wilson else ()), level=level)
