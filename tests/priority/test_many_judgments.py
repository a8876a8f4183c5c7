"""Groups judged all at once are judged as one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagekit.priority.earliest import Evidence, judge
from engagekit.priority.many_judgments import judge_each

LINK = st.tuples(st.integers(0, 300), st.integers(0, 300), st.none() | st.floats(0.01, 0.99))
GROUP = st.tuples(LINK, LINK, LINK, LINK, st.sampled_from([0.8, 0.95, 0.999]))


@pytest.mark.thorough
@given(st.lists(GROUP, min_size=1, max_size=8))
def test_many_are_judged_as_each_by_itself(groups):
    n = np.array([[min(a, b) for a, b, _ in g[:4]] for g in groups], float)
    of = np.array([[max(a, b) for a, b, _ in g[:4]] for g in groups], float)
    marks = [[m for _, _, m in g[:4]] for g in groups]
    table = np.array([[math.nan if m is None else m for m in each] for each in marks], float)
    found = judge_each(n, of, table, np.array([g[4] for g in groups]))
    for row, mine, of_mine, at, group in zip(
        found.iter_rows(named=True), n, of, marks, groups, strict=True
    ):
        alone = judge(Evidence(tuple(mine), tuple(of_mine), tuple(at), group[4]))
        assert (row["verdict"], row["link"]) == (alone.verdict, alone.link)
        assert row["probability"] == pytest.approx(alone.probability, abs=1e-15)
        assert tuple(row["candidates"]) == alone.candidates


def test_of_no_groups_nothing_is_said():
    nothing = np.empty((0, 4))
    assert judge_each(nothing, nothing, np.array([[0.5] * 4]), np.array([0.8])).is_empty()
