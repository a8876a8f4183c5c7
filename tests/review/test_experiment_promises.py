"""What the reading of a test promises, measured on counts drawn by numpy: error at any look, split alarms, coverage, power.

``RUNS=2000 python tests/review/test_experiment_promises.py`` prints the tables at full size; here a tenth runs.
"""

from __future__ import annotations

import math
import os

import numpy as np
import polars as pl
import pytest

from engagekit.intervals import design_effect, newcombe
from engagekit.sequential import any_time, shares_any_time, split_factor, users_any_time

RUNS = int(os.environ.get("RUNS", "200"))
DAYS = 56
pytestmark = pytest.mark.slow


def looks(
    random: np.random.Generator, per_day: int, rates: tuple[float, float], share: float = 0.5
) -> np.ndarray:
    """Draw one test, looked at daily: columns n1, of1, n2, of2, one row a day."""
    first = random.binomial(per_day, share, DAYS)
    other = per_day - first
    return np.cumsum(
        np.stack(
            [random.binomial(first, rates[0]), first, random.binomial(other, rates[1]), other],
            axis=1,
        ),
        axis=0,
    )


def called(daily: np.ndarray, truth: float = 0.0) -> tuple[bool, bool]:
    """Say whether the interval ever left the truth out, and whether it ever left 0 out."""
    left = told = False
    for n1, of1, n2, of2 in daily:
        if not of1 or not of2:
            continue
        low, high, _ = shares_any_time(n1, of1, n2, of2)
        left |= not low <= truth <= high
        told |= not low <= 0 <= high
    return left, told


def a_a() -> list[tuple[str, float]]:
    random, found = np.random.default_rng(1), []
    for per_day in (10, 100, 1000):
        for rate in (0.03, 0.15, 0.40, 0.85):
            for share in (0.5, 0.9):
                wrong = sum(
                    called(looks(random, per_day, (rate, rate), share))[0] for _ in range(RUNS)
                )
                found.append((f"{per_day} a day, rate {rate}, split {share}", wrong / RUNS))
    return found


def true_gaps() -> list[tuple[str, float]]:
    random, found = np.random.default_rng(2), []
    for rates in ((0.15, 0.10), (0.45, 0.40), (0.90, 0.80)):
        left = sum(called(looks(random, 200, rates), rates[0] - rates[1])[0] for _ in range(RUNS))
        found.append((f"200 a day, {rates[1]} to {rates[0]}", left / RUNS))
    return found


def split_alarms() -> dict[str, float]:
    """Count tests whose split alarms at any of the daily looks; 20,000 users in all."""
    random, found = np.random.default_rng(3), {}
    per_day = 20_000 // DAYS
    for name, share, meant, runs in (
        ("right 50:50", 0.5, 0.5, 10 * RUNS), ("right 90:10", 0.9, 0.9, 10 * RUNS), ("52:48", 0.52, 0.5, RUNS)
    ):  # fmt: skip
        alarms = 0
        for _ in range(runs):
            first = np.cumsum(random.binomial(per_day, share, DAYS))
            total = per_day * np.arange(1, DAYS + 1)
            alarms += any(
                split_factor([int(n), int(m - n)], [meant, 1 - meant]) >= 1000
                for n, m in zip(first, total, strict=True)
            )
        found[name] = alarms / runs
    return found


def coverage() -> list[tuple[str, float]]:
    """Say how often Newcombe's interval holds the truth on a fixed day, with alike accounts too."""
    random, found = np.random.default_rng(4), []
    runs = 5 * RUNS
    for of, rate in ((200, 0.1), (1000, 0.4), (5000, 0.4)):
        held = 0
        for _ in range(runs):
            n1, n2 = random.binomial(of, rate), random.binomial(of, rate)
            _, low, high = newcombe(n1, of, n2, of)
            held += low <= 0 <= high
        found.append((f"{of} an arm, rate {rate}", held / runs))
    for accounts, size, alike in ((60, 10, 1.0), (200, 10, 1.5), (400, 5, 1.0)):
        held = 0
        for _ in range(runs):
            sides = []
            for _ in range(2):
                members = 1 + random.poisson(size - 1, accounts)
                chance = 1 / (1 + np.exp(0.4 - random.normal(0, alike, accounts)))
                did = random.binomial(members, chance)
                effect = (
                    pl.DataFrame({"n": did, "of": members}).select(design_effect("n", "of")).item()
                )
                sides.append((did.sum() / effect, members.sum() / effect))
            _, low, high = newcombe(*sides[0], *sides[1])
            held += low <= 0 <= high
        found.append((f"{accounts} accounts of {size} an arm, alike {alike}", held / runs))
    return found


def accounts_at_any_look() -> list[tuple[str, float]]:
    """Say how often the any-time interval is ever left where whole accounts, alike, arrive week by week."""
    random, found = np.random.default_rng(5), []
    for accounts, size, alike in ((160, 5, 1.0), (400, 10, 1.5)):
        left = 0
        for _ in range(RUNS):
            sides = []
            for _ in range(2):
                members = 1 + random.poisson(size - 1, accounts)
                chance = 1 / (1 + np.exp(0.4 - random.normal(0, alike, accounts)))
                sides.append((random.binomial(members, chance), members))
            wrong = False
            for upto in range(20, accounts + 1, max(1, accounts // DAYS)):
                read = []
                for did, members in sides:
                    d, m = did[:upto], members[:upto]
                    effect = pl.DataFrame({"n": d, "of": m}).select(design_effect("n", "of")).item()
                    read += [d.sum() / effect, m.sum() / effect]
                low, high, _ = shares_any_time(*read)
                wrong |= not low <= 0 <= high
            left += wrong
        found.append((f"{accounts} accounts of {size} an arm, alike {alike}", left / RUNS))
    return found


def power() -> list[tuple[str, float]]:
    """Say how often a test of the planned size shows the planned rise, read once at its end."""
    random, found = np.random.default_rng(6), []
    for rate, goal in ((0.40, 0.50), (0.40, 0.45), (0.10, 0.13), (0.80, 0.84)):
        of, runs = math.ceil(users_any_time(rate, goal, margin=0.02)), 20 * RUNS
        n1, n2 = random.binomial(of, goal, runs), random.binomial(of, rate, runs)
        seen = sum(shares_any_time(a, of, b, of)[0] > 0 for a, b in zip(n1, n2, strict=True))
        found.append((f"{rate} to {goal}, {of} an arm", seen / runs))
    return found


SLACK = 2.6 * math.sqrt(0.05 * 0.95 / RUNS)  # the sampling of a true 5 % in so many runs


def test_a_a_over_all_looks() -> None:
    assert max(share for _, share in a_a()) <= 0.05 + SLACK


def test_the_truth_stays_inside_over_all_looks() -> None:
    assert max(share for _, share in true_gaps()) <= 0.05 + SLACK
    assert max(share for _, share in accounts_at_any_look()) <= 0.05 + SLACK


def test_split_alarms() -> None:
    found = split_alarms()
    assert found["right 50:50"] <= 0.002
    assert found["right 90:10"] <= 0.002
    assert found["52:48"] >= 0.85


def test_newcombe_covers_on_a_fixed_day() -> None:
    shares = [share for _, share in coverage()]
    slack = 2.6 * math.sqrt(0.05 * 0.95 / (5 * RUNS))
    assert 0.94 - slack <= min(shares) <= max(shares) <= 0.97 + slack


def test_power_is_what_the_plan_promises() -> None:
    assert all(abs(share - 0.8) <= 0.03 for _, share in power())


def test_the_any_time_interval_of_a_mean() -> None:
    random = np.random.default_rng(8)
    wrong = 0
    for _ in range(RUNS):
        a, b = random.poisson(4, (2, DAYS * 20))
        hits = False
        for upto in range(20, len(a) + 1, 20):
            variance = (a[:upto].var(ddof=1) + b[:upto].var(ddof=1)) / upto
            low, high, _ = any_time(a[:upto].mean() - b[:upto].mean(), variance, margin=0.08)
            hits |= not low <= 0 <= high
        wrong += hits
    assert wrong / RUNS <= 0.05 + SLACK


if __name__ == "__main__":
    for title, rows in (
        ("A/A, ever called over 56 daily looks", a_a()),
        ("the truth ever left out over 56 daily looks", true_gaps()),
        ("the same, whole accounts", accounts_at_any_look()),
        ("split alarms at any daily look", list(split_alarms().items())),
        ("Newcombe covers on a fixed day", coverage()),
        ("power, promised .80", power()),
    ):
        print(title)
        for name, share in rows:
            print(f"  {name:<50} {share:.4f}")
