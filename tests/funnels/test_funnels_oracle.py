"""Funnels against a brute-force oracle: all parameters together, on small random logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import oracle_funnel
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engagekit as ek

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTES = st.integers(0, 6)
NAMES = "ABCx"
PROPERTIES = [None, "p", "q"]
event = st.tuples(st.integers(0, 2), st.sampled_from(NAMES), MINUTES, st.sampled_from(PROPERTIES))
STEPS = {
    "A": ("A", lambda e: e[0] == "A"),
    "B": ("B", lambda e: e[0] == "B"),
    "C": ("C", lambda e: e[0] == "C"),
    "A or B": (["A", "B"], lambda e: e[0] in "AB"),
    "A of p": (ek.Match("A", prop="p"), lambda e: e[0] == "A" and e[1] == "p"),
    "any of q": (pl.col("prop") == "q", lambda e: e[1] == "q"),
}
asked_of_all = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["ordered", "strict", "any"]),
        "entry": st.sampled_from(["best", "first"]),
        "exclusion": st.sampled_from(["drop", "stop"]),
        "within": st.sampled_from([1, 2, 3, 10]),
        "since": st.sampled_from([None, None, 1, 2]),
        "as_of": st.sampled_from([4, 6, 20]),
        "by": st.sampled_from([None, None, "prop"]),
    }
)


@st.composite
def exclusions(draw, steps):
    if steps < 2:
        return []
    pairs = st.tuples(st.integers(0, steps - 1), st.integers(0, steps - 1)).filter(
        lambda p: p[0] < p[1]
    )
    return draw(st.lists(st.tuples(st.sampled_from("xxCB"), pairs), max_size=2))


@st.composite
def asked_funnels(draw):
    log = draw(st.lists(event, max_size=9))
    steps = draw(st.lists(st.sampled_from([*"AABBC", *STEPS]), min_size=1, max_size=4))
    return log, steps, draw(exclusions(len(steps))), draw(asked_of_all)


def minutes(count):
    return BEGIN + timedelta(minutes=count)


def expected_of(log, steps, exclude, asked):
    """Ask the oracle, group by group."""
    known = [e for e in log if e[2] < asked["as_of"]]
    groups = sorted({e[3] for e in known}, key=lambda g: (g is None, g)) if asked["by"] else [...]
    rows, people = {}, []
    for group in groups:
        units = {}
        for user, name, at, prop in known:
            if group is ... or prop == group:
                fills = [k for k, step in enumerate(steps) if STEPS[step][1]((name, prop))]
                excluded = [k for k, (x, _) in enumerate(exclude) if x == name]
                units.setdefault(user, []).append((at * 60, fills, excluded))
        found, whom = oracle_funnel.funnel(
            units,
            len(steps),
            within=lambda begun: begun + asked["within"] * 60,
            order=asked["order"],
            entry=asked["entry"],
            exclude=[pair for _, pair in exclude],
            exclusion=asked["exclusion"],
            since=None if asked["since"] is None else asked["since"] * 60,
            as_of=asked["as_of"] * 60,
        )
        if group is ... or found[0]["n"]:
            rows[group] = found
        people += [(group, *row) for row in whom]
    return rows, people


@settings(max_examples=200)
@given(asked_funnels())
def test_the_oracle_agrees(asked_funnel):
    assert_the_oracle_agrees(*asked_funnel)


@pytest.mark.slow
@settings(max_examples=2000)
@given(asked_funnels())
def test_the_oracle_agrees_widely(asked_funnel):
    assert_the_oracle_agrees(*asked_funnel)


def assert_the_oracle_agrees(log, steps, exclude, asked):
    frame = pl.DataFrame(
        [(u, e, minutes(at), p) for u, e, at, p in log],
        schema={
            "user_id": pl.Int64,
            "event": pl.String,
            "at": pl.Datetime("us", "UTC"),
            "prop": pl.String,
        },
        orient="row",
    )
    parameters = {
        "within": timedelta(minutes=asked["within"]),
        "order": asked["order"],
        "entry": asked["entry"],
        "exclude": [(x, *pair) for x, pair in exclude],
        "exclusion": asked["exclusion"],
        "since": None if asked["since"] is None else minutes(asked["since"]),
        "as_of": minutes(asked["as_of"]),
        "by": asked["by"],
    }
    matchers = [STEPS[step][0] for step in steps]
    found = ek.funnel(frame, matchers, missing="allow", **parameters)
    rows, people = expected_of(log, steps, exclude, asked)
    assert [
        {
            c: r[c]
            for c in ("n", "of", "overall", "median_seconds", "mean_seconds", "open", "waiting")
        }
        for r in found.to_dicts()
    ] == [pytest.approx(row) for group in rows.values() for row in group]
    if asked["by"]:
        assert found["prop"].to_list() == [group for group in rows for _ in steps]
    listed = ek.funnel(frame, matchers, missing="allow", **parameters, people=True)
    group = [pl.col("prop")] if asked["by"] else []
    seconds = [((pl.col(c) - BEGIN).dt.total_seconds()).alias(c) for c in ("entered_at", "at")]
    got = listed.select(*group, "step", "user_id", *seconds).rows()
    assert sorted(got, key=str) == sorted(
        (row if asked["by"] else row[1:] for row in people), key=str
    )
