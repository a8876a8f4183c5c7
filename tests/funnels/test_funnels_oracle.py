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
    lag = {"tolerance": asked["tolerance"] * 60} if "tolerance" in asked else {}
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
            **lag,
        )
        if group is ... or found[0]["n"]:
            rows[group] = found
        people += [(group, *row) for row in whom]
    return rows, people


@pytest.mark.thorough
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
        "attribution": "same",
        "tolerance": timedelta(minutes=asked["tolerance"]) if "tolerance" in asked else None,
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


@st.composite
def tolerant_funnels(draw):
    """Steps that no event can fill two of, unless they are the same."""
    log = draw(st.lists(event, max_size=9))
    steps = draw(st.lists(st.sampled_from("ABC"), min_size=1, max_size=4))
    asked = draw(asked_of_all) | {"order": "ordered", "tolerance": draw(st.integers(1, 4))}
    return log, steps, draw(exclusions(len(steps))), asked


@pytest.mark.thorough
@settings(max_examples=200)
@given(tolerant_funnels())
def test_steps_of_clocks_that_differ_agree_with_the_oracle(asked_funnel):
    assert_the_oracle_agrees(*asked_funnel)


@pytest.mark.thorough
@settings(max_examples=100)
@given(asked_funnels(), st.integers(1, 4))
def test_a_tolerance_never_takes_a_step_away(asked_funnel, tolerance):
    log, steps, _, asked = asked_funnel
    frame = pl.DataFrame(
        [(u, e, minutes(at), p) for u, e, at, p in log],
        schema={"user_id": pl.Int64, "event": pl.String, "at": pl.Datetime("us", "UTC"), "prop": pl.String}, orient="row",
    )  # fmt: skip
    ask = {"within": timedelta(minutes=asked["within"]), "entry": asked["entry"], "as_of": minutes(asked["as_of"]), "missing": "allow"}  # fmt: skip
    matchers = [STEPS[step][0] for step in steps]
    plain = ek.funnel(frame, matchers, **ask)["n"]
    assert (
        ek.funnel(frame, matchers, **ask, tolerance=timedelta(minutes=tolerance))["n"] >= plain
    ).all()


@pytest.mark.thorough
@settings(max_examples=200)
@given(asked_funnels(), st.sampled_from(["start", "first", "last"]), st.booleans())
def test_attribution_and_closed_windows_agree_with_the_oracle(
    asked_funnel, attribution, only_closed
):
    """Each user counts once, by the attempt that counts without any split; its value is looked up afterwards."""
    log, steps, exclude, asked = asked_funnel
    known = [e for e in log if e[2] < asked["as_of"]]
    begun = lambda at: at + asked["within"] * 60  # noqa: E731
    expected = []
    for user in sorted({e[0] for e in known}):
        mine = [e for e in known if e[0] == user]
        fills = [(at * 60, [k for k, step in enumerate(steps) if STEPS[step][1]((name, prop))], [k for k, (x, _) in enumerate(exclude) if x == name]) for _, name, at, prop in mine]  # fmt: skip
        found = counting(fills, len(steps), only_closed, asked, exclude, begun)
        if found is None:
            continue
        level, times, _ = found
        opening = [
            e
            for e, f in zip(mine, fills, strict=True)
            if f[0] == times[0] and (f[1] if asked["order"] == "any" else 0 in f[1])
        ]
        values = [e[3] for e in opening]
        if attribution == "first":
            values = [e[3] for e in sorted(mine, key=lambda e: (e[2], str(e[3]))) if e[3]][:1] or [
                None
            ]
        elif attribution == "last":
            before = [e for e in mine if e[3] and e[2] * 60 <= times[level]]
            latest = max((e[2] for e in before), default=None)
            values = [e[3] for e in before if e[2] == latest] or [None]
        value = min((v for v in values if v), default=None)
        expected += [(value, step, user) for step in range(level + 1)]
    frame = pl.DataFrame(
        [(u, e, minutes(at), p) for u, e, at, p in log],
        schema={"user_id": pl.Int64, "event": pl.String, "at": pl.Datetime("us", "UTC"), "prop": pl.String}, orient="row",
    )  # fmt: skip
    people = ek.funnel(
        frame, [STEPS[step][0] for step in steps], within=timedelta(minutes=asked["within"]), order=asked["order"],
        entry=asked["entry"], exclude=[(x, *pair) for x, pair in exclude], exclusion=asked["exclusion"],
        since=None if asked["since"] is None else minutes(asked["since"]), as_of=minutes(asked["as_of"]),
        by="prop", attribution=attribution, only_closed=only_closed, people=True, missing="allow",
    )  # fmt: skip
    assert sorted(people.select("prop", "step", "user_id").rows(), key=str) == sorted(
        expected, key=str
    )


def counting(events, steps, only_closed, asked, exclude, begun):
    """The attempt of one user that counts, of all or of those whose window is over."""
    results, dropped = oracle_funnel.attempts(
        events, steps, within=begun, order=asked["order"], entry=asked["entry"], exclude=[pair for _, pair in exclude],
        exclusion=asked["exclusion"], since=None if asked["since"] is None else asked["since"] * 60,
    )  # fmt: skip
    if only_closed:
        if dropped:
            # Dropped is who has an excluded attempt among those considered: ask again of the closed ones alone.
            dropped = any_dropped(events, steps, asked, exclude, begun)
        results = [r for r in results if r[2] < asked["as_of"] * 60]
    if dropped or not results:
        return None
    return max(results, key=lambda result: (result[0], -result[1][0]))


def any_dropped(events, steps, asked, exclude, begun):
    """Whether a closed attempt is excluded: told by what stopping it would change."""
    follow = {
        "ordered": oracle_funnel.furthest_ordered,
        "strict": oracle_funnel.furthest_strict,
        "any": oracle_funnel.furthest_any,
    }[asked["order"]]
    since = None if asked["since"] is None else asked["since"] * 60
    events = [e for e in events if since is None or e[0] >= since]
    opening = sorted(
        {at for at, fills, _ in events if (fills if asked["order"] == "any" else 0 in fills)}
    )
    opening = opening[:1] if asked["entry"] == "first" else opening
    for at in opening:
        until = begun(at)
        if until >= asked["as_of"] * 60:
            continue
        times = follow([e[:2] for e in events], steps, at, until)
        level = len(times) - 1
        for number, (_, (begin, end)) in enumerate(exclude):
            if level >= begin and any(
                number in x
                and times[begin] < t
                and (t < times[end] if level >= end else t <= until)
                for t, _, x in events
            ):
                return True
    return False
