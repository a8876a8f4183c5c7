from __future__ import annotations

import random
from statistics import fmean

import polars as pl
import pytest

from engagekit.intervals import design_effect, weeks_effect, wilson
from engagekit.priority.counts import totals


def effect(*accounts: tuple[int, int]) -> float | None:
    frame = pl.DataFrame(accounts, schema={"n": pl.Int64, "of": pl.Int64}, orient="row")
    return frame.select(design_effect("n", "of")).item()


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ([(1, 1), (0, 1)] * 50, 100 / 99),  # one user each: nothing to divide by
        (
            [(4, 4), (0, 4), (4, 4), (0, 4)],
            16 / 3,
        ),  # alike within: four accounts, not sixteen users
        ([(2, 4), (2, 4), (2, 4)], 1),  # more even than chance: never below 1
        ([(4, 4), (4, 4)], 4),  # all did: how alike they are cannot be seen, so wholly
        ([(0, 4), (0, 2)], 20 / 6),
        ([(3, 6)], 6),  # one account says as much as one user
        ([(3, 6), (0, 0)], 6),  # an account without anybody judged is none
        ([(0, 0)], None),
    ],
)
def test_small_cases(accounts, expected):
    assert effect(*accounts) == (expected if expected is None else pytest.approx(expected))


def test_two_accounts_by_hand():
    """p = 5/10; Σ(x - p·m)² = (4-2)² + (1-3)² = 8; 2/1 · 8 / (10 · 0.25) = 6.4."""
    assert effect((4, 4), (1, 6)) == pytest.approx(6.4)


def of_weeks(*weeks: tuple[int, int]) -> float | None:
    frame = pl.DataFrame(weeks, schema={"n": pl.Int64, "of": pl.Int64}, orient="row")
    return frame.select(weeks_effect("n", "of")).item()


@pytest.mark.parametrize(
    ("weeks", "expected"),
    [
        # r = 80/160; each week (x - 20)²/(40 · ¼) = 10; four of them over three.
        ([(10, 40), (30, 40), (10, 40), (30, 40)], 40 / 3),
        ([(20, 40), (20, 40), (20, 40), (20, 40)], 1),  # more even than chance: never below 1
        ([(10, 40), (30, 40), (0, 0), (0, 0)], 20),  # weeks without anybody are none: two weeks
        ([(20, 40), (20, 40), (20, 40)], 2),  # three weeks cannot show how much weeks differ
        ([(3, 6)], 2),
        ([(40, 40)] * 5, 1),  # all did
        ([(0, 40)] * 5, 1),  # none did
        ([(0, 40)] * 3, 2),
        ([(0, 0)], None),
    ],
)
def test_weeks_by_hand(weeks, expected):
    assert of_weeks(*weeks) == (expected if expected is None else pytest.approx(expected))


def test_unequal_weeks_by_hand():
    """r = 30/100: (10 - 3)²/2.1 + (5 - 6)²/4.2 + (9 - 9)²/6.3 + (6 - 12)²/8.4, over three."""
    expected = (49 / 2.1 + 1 / 4.2 + 0 + 36 / 8.4) / 3
    assert of_weeks((10, 10), (5, 20), (9, 30), (6, 40)) == pytest.approx(expected)


def cells_of(rows) -> pl.DataFrame:
    schema = {"odd": pl.Boolean, "link": pl.String, "_week": pl.Int32, "_account": pl.String, "n": pl.Int64, "of": pl.Int64}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_larger_effect_counts_and_no_count_changes():
    draw = random.Random(3)
    rows = []
    for user in range(400):
        account = f"account {user % 40}"
        own = 0.1 if user % 40 < 20 else 0.9
        rows.append((user % 2 == 0, "habit", user // 40, account, draw.random() < own, 1))
    plain = totals(cells_of(rows).drop("_account"), ["odd"])
    by_account = totals(cells_of(rows), ["odd"])
    assert plain["link"].to_list() == ["activation", "habit", "depth", "advocacy"] * 2
    counts = ["odd", "link", "n", "of", "weeks"]
    assert plain.select(counts).equals(by_account.select(counts))
    assert plain["accounts_effect"].to_list() == [1.0] * 8
    for row in by_account.filter(link="habit").to_dicts():
        assert row["design_effect"] == max(row["weeks_effect"], row["accounts_effect"])
        assert row["accounts_effect"] > 3
    nobody = by_account.filter(link="depth").row(0, named=True)
    assert (nobody["n"], nobody["of"], nobody["design_effect"]) == (0, 0, 1.0)


def coverage(
    size: int, likeness: float, accounts: int, runs: int = 600, rate: float = 0.4
) -> tuple[float, float]:
    """How often the interval holds the truth, with and without the design effect, where accounts are alike."""
    draw = random.Random(size * 1000 + accounts)
    held, naive = [], []
    strength = 1 / likeness - 1
    for _ in range(runs):
        counts = []
        for _ in range(accounts):
            own = draw.betavariate(rate * strength, (1 - rate) * strength)
            m = draw.randint(1, 2 * size - 1)
            counts.append((sum(draw.random() < own for _ in range(m)), m))
        n, of, scale = sum(c[0] for c in counts), sum(c[1] for c in counts), effect(*counts)
        low, high = wilson(n / scale, of / scale)
        held.append(low <= rate <= high)
        low, high = wilson(n, of)
        naive.append(low <= rate <= high)
    return fmean(held), fmean(naive)


@pytest.mark.parametrize(("size", "likeness", "accounts"), [(5, 0.3, 60), (10, 0.3, 40)])
def test_intervals_over_clustered_users_hold_their_95_percent(size, likeness, accounts):
    held, naive = coverage(size, likeness, accounts)
    assert 0.925 <= held <= 0.98
    assert naive < 0.85
