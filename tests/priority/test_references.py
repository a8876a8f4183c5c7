from __future__ import annotations

import math
import random

import polars as pl
import pytest
from link_logs import WITH_TARGETS, found_in, going_as_far_as, rolled

import engagekit as ek
from engagekit.errors import ParameterError


def weekly(quarters, *, per_week: int = 12, seed: int = 0, spread: float = 0.0) -> list:
    """Rows of sign-ups by week; each quarter of 13 weeks has (activation, habit, depth) rates of its own."""
    draw = random.Random(seed)
    rows, first = [], 0
    for week in range(13 * len(quarters)):
        rates = [min(0.98, max(0.02, r + draw.gauss(0, spread))) for r in quarters[week // 13]]
        for user in range(per_week):
            far = 1
            for rate in rates:
                if draw.random() >= rate:
                    break
                far += 1
            rows += going_as_far_as(*[1] * far, first=first, day=7 * week + user * 7 / per_week)
            first += 1
    return rows


STEADY = (0.75, 0.65, 0.7)
FALLEN = (0.75, 0.3, 0.7)


@pytest.mark.parametrize("kind", ["previous quarter", "best cohort"])
def test_what_is_gone_names_what_replaces_it(kind):
    rows = going_as_far_as(20, 10, 5)
    with pytest.raises(ParameterError) as refused:
        found_in(rows, targets=kind)
    for name in ("is gone", "'own past'", "ek.suggest_targets", "ek.explain_change"):
        assert name in str(refused.value)


def test_a_link_that_fell_below_its_own_past_is_named_without_targets():
    rows = weekly([STEADY] * 5 + [FALLEN], per_week=40)
    found = found_in(rows, as_of=13 * 7 * 6 + 9, targets={})
    assert (found.verdict, found.link, found.play) == ("named", "habit", "Repeat Value")
    assert found.probability >= 0.95
    row = found.table.row(1, named=True)
    assert row["target_from"] == "own past"
    assert row["rate"] < row["target"] - 0.02
    assert found.sentence.startswith(f"Habit has fallen: {100 * row['rate']:.0f}% (")
    assert "where its own quarters ran from" in found.sentence
    assert "No targets are set." in found.sentence
    asked = found_in(rows, as_of=13 * 7 * 6 + 9, targets="own past")
    assert asked.sentence == found.sentence
    assert asked.table.equals(found.table)
    # The definition's targets come first; to ask for the own past beside them takes the word.
    assert found_in(rows, as_of=13 * 7 * 6 + 9).table["target_from"].to_list()[:3] == ["team"] * 3


def test_where_nothing_fell_no_link_is_named():
    rows = weekly([STEADY] * 6, per_week=20, seed=1)
    for targets in ({}, "own past"):
        found = found_in(rows, as_of=13 * 7 * 6 + 9, targets=targets)
        assert (found.verdict, found.link, found.probability) == ("no targets", None, 0.0)
        assert "No link has fallen below its own past." in found.sentence
        assert found.table["target"].to_list() == [None] * 4


def test_the_mark_is_that_of_the_contract():
    """mark = m - 1.645 · sqrt(v + m(1-m)/M) - margin over the quarters before the recent one, counted here by hand."""
    rows = weekly([(0.75, 0.8, 0.5), (0.75, 0.6, 0.5)] * 3 + [(0.4, 0.5, 0.5)], per_week=16, seed=2)
    as_of = 13 * 7 * 7 + 9
    journeys = rolled(rows, WITH_TARGETS, as_of)
    found = ek.prioritize(journeys, targets="own past")
    assert found.link == "activation"
    row = found.table.row(0, named=True)
    signed = journeys.users.select("signed_up_at", "activated_at")
    ago = (pl.lit(row["since"]) - pl.col("signed_up_at")).dt.total_seconds() / (91 * 86_400)
    counted = (
        signed.with_columns(quarter=ago.ceil().cast(pl.Int64) - 1)
        .filter(pl.col("quarter") >= 0)
        .group_by("quarter")
        .agg(pl.len().alias("of"), pl.col("activated_at").count().alias("n"))
        .filter(pl.col("of") >= 50)
    )
    assert counted.height >= 4
    n, of = counted["n"].to_list(), counted["of"].to_list()
    users = sum(of)
    m = sum(n) / users
    spread = sum(o * (x / o - m) ** 2 for x, o in zip(n, of, strict=True))
    v = (spread - (len(of) - 1) * m * (1 - m)) / (users - sum(o * o for o in of) / users)
    mark = m - 1.645 * math.sqrt(max(0, v) + m * (1 - m) / users) - 0.02
    assert row["target"] - 0.02 == pytest.approx(mark)


def test_a_past_takes_four_quarters_of_fifty():
    short = weekly([STEADY] * 4, per_week=12)
    few = weekly([STEADY] * 6, per_week=3)
    for rows, quarters in ((short, 4), (few, 6)):
        as_of = 13 * 7 * quarters + 9
        found = found_in(rows, as_of=as_of, targets={})
        assert found.verdict == "no targets"
        assert "too few earlier quarters to say whether a link has fallen" in found.sentence
        with pytest.raises(ParameterError, match="no link has four quarters before"):
            found_in(rows, as_of=as_of, targets="own past")
    enough = weekly([STEADY] * 6, per_week=12)
    assert found_in(enough, as_of=13 * 7 * 6 + 9, targets="own past").verdict == "no targets"
    with pytest.raises(ParameterError, match="no link has four quarters"):
        found_in(enough, as_of=13 * 7 * 6 + 9, targets="own past", recent=None)


def test_a_link_that_hardly_anybody_passes_has_no_mark_to_fall_below():
    rows = weekly([(0.03, 0.5, 0.5)] * 5 + [(0.0, 0.5, 0.5)], per_week=20, seed=3)
    found = found_in(rows, as_of=13 * 7 * 6 + 9, targets={})
    assert found.verdict == "no targets"


def test_a_group_is_held_against_its_own_past():
    """Plan b was always at 30 %: it has not fallen, though it lies far below the whole."""
    rows = weekly([STEADY] * 6, per_week=16, seed=4)
    low = [(u + 100_000, e, at) for u, e, at in weekly([FALLEN] * 6, per_week=16, seed=5)]
    fell = [(u + 200_000, e, at) for u, e, at in weekly([(0.97, 0.65, 0.7)] * 5 + [(0.97, 0.15, 0.7)], per_week=60, seed=6)]  # fmt: skip
    ids = sorted({u for u, _, _ in rows + low + fell})
    users = pl.DataFrame({"user_id": ids, "plan": ["abc"[u // 100_000] for u in ids]})
    found = found_in(rows + low + fell, as_of=13 * 7 * 6 + 9, targets={}, users=users, by="plan")
    assert found.segments.select("plan", "verdict", "link").rows() == [
        ("a", "no targets", None),
        ("b", "no targets", None),
        ("c", "named", "habit"),
    ]
