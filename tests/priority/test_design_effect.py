from __future__ import annotations

import random
from statistics import fmean

import polars as pl
import pytest

from engagekit.design_effect import design_effect
from engagekit.intervals import wilson
from engagekit.priority.counts import COUNTS, link_counts


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


def test_counting_by_account_changes_no_count():
    draw = random.Random(3)
    rows = [(u, u % 7 if u % 5 else None, u % 2 == 0, draw.random() < 0.5) for u in range(100)]
    flags = pl.LazyFrame(rows, schema=["user_id", "account_id", "odd", "flag"], orient="row")
    for link in ("activation", "habit", "depth", "advocacy"):
        flags = flags.with_columns(*[pl.col("flag").alias(f"{link}_{c}") for c in COUNTS])
    plain = link_counts(flags, keys=["odd"])
    by_account = link_counts(flags, keys=["odd"], accounts="account_id")
    assert by_account.select(plain.columns[:6]).equals(plain.select(plain.columns[:6]))
    assert plain["design_effect"].to_list() == [1.0] * 8
    # Users without an account stand for themselves: 10 more of them per group beside 7 accounts.
    ones = flags.filter(pl.col("account_id").is_null()).select("user_id").collect().height
    assert ones == 20


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
