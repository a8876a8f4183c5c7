"""How honest is the comparison of first weeks, beside the naive table? Run by hand: ``python tests/bench_first_weeks.py``.

Naive: every action done at least once, retained share of those who did against those who did not, named at p < 0.05.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import polars as pl
from planted_weeks import noisy, planted

import engagekit as ek
from engagekit.strata import association, chi2_tail

CLAIMS = ["more in retained", "more in churned"]
ASIDE = ["core", "(active days)"]


def claimed(table: pl.DataFrame) -> set[str]:
    return set(
        table.filter(pl.col("verdict").is_in(CLAIMS), ~pl.col("action").is_in(ASIDE))["action"]
    )


def naive(journeys) -> set[str]:
    table = ek.compare_first_weeks(journeys, thresholds=(1,))
    found = set()
    for row in table.filter(~pl.col("action").is_in(ASIDE)).iter_rows(named=True):
        a, b = row["did_retained"], row["did_churned"]
        c, d = row["n_retained"] - a, row["n_churned"] - b
        phi = association(a, b, c, d).phi
        if phi == phi and chi2_tail((a + b + c + d) * phi**2) < 0.05:
            found.add(row["action"])
    return found


def discoveries(runs: int, **settings) -> None:
    ours, theirs = [], []
    for seed in range(runs):
        made = planted(seed, **settings)
        for found, rows in (
            (claimed(ek.compare_first_weeks(made.journeys)), ours),
            (naive(made.journeys), theirs),
        ):
            hits = len(found & made.true)
            rows.append((len(found - made.true), hits / max(1, len(made.true)), max(1, len(found))))
    for name, rows in (("honest", ours), ("naive", theirs)):
        false, power, named = (np.array(x, float) for x in zip(*rows, strict=True))
        rate = false / named
        print(
            f"  {name:7s} false discoveries {rate.mean():.3f} (se {rate.std() / runs**0.5:.3f}), power {power.mean():.2f}, "
            f"runs with a false claim {np.mean(false > 0):.2f}"
        )


def noise(runs: int) -> None:
    crude, adjusted, named, plain = [], [], 0, 0
    for seed in range(runs):
        table = ek.compare_first_weeks(noisy(seed)).filter(pl.col("action") == "noise")
        row = table.row(0, named=True)
        crude.append(row["risk_ratio"])
        adjusted.append(row["adjusted_risk_ratio"])
        named += row["verdict"] in CLAIMS
        plain += row["low"] > 0
    print(
        f"  honest  mean adjusted risk ratio {np.mean(adjusted):.4f} (sd {np.std(adjusted):.4f}), claimed in {named} of {runs}\n"
        f"  naive   mean risk ratio {np.mean(crude):.3f}, claimed in {plain} of {runs}"
    )


def late(runs: int) -> None:
    named, seen = 0, 0
    for seed in range(runs):
        table = ek.compare_first_weeks(noisy(seed, users=6000, launched=0.6))
        row = table.filter(pl.col("action") == "noise").row(0, named=True)
        named += row["verdict"] in CLAIMS
        seen += row["launched_at"] is not None
    print(f"  launch seen in {seen} of {runs}, claimed in {named} of {runs}")


def coverage(runs: int) -> None:
    """Truth: of the crude difference, a log of 300,000 users of the same product; of the adjusted ratio of null actions, 1."""
    settings = {"actions": 60, "true": 5, "product": 7}
    steps = {
        k: _differences(planted(999, users=300_000, **settings).journeys, k)
        for k in (1, 2, 3, 5, 10)
    }
    inside, adjusted = [], []
    for seed in range(runs):
        made = planted(seed, users=2000, **settings)
        table = ek.compare_first_weeks(made.journeys).filter(
            pl.col("verdict") != "too few", ~pl.col("action").is_in(ASIDE)
        )
        for row in table.iter_rows(named=True):
            inside.append(row["low"] <= steps[row["at_least"]][row["action"]] <= row["high"])
            if row["action"] not in made.true and row["adjusted_low"] is not None:
                adjusted.append(row["adjusted_low"] <= 1 <= row["adjusted_high"])
    print(
        f"  crude difference {np.mean(inside):.3f} of {len(inside)}; adjusted ratio {np.mean(adjusted):.3f} of {len(adjusted)}"
    )


def _differences(journeys, threshold: int) -> dict[str, float]:
    table = ek.compare_first_weeks(journeys, thresholds=(threshold,))
    return dict(table.select("action", "difference").iter_rows())


def main(runs: int) -> None:
    started = time.process_time()
    print("activity drives everything, 10 of 200 actions matter, 2,000 users")
    discoveries(runs)
    print("the same, every act on a day of its own")
    discoveries(runs, shape="scattered")
    print("4 of 44 actions matter, 1,200 users")
    discoveries(runs, users=1200, actions=44, true=4)
    print("nothing matters, activity drives everything")
    discoveries(runs, true=0)
    print("nothing matters at all")
    discoveries(runs, true=0, driven=False)
    print("a noise action, unequal lifetimes, 20,000 users")
    noise(max(10, runs // 4))
    print("a noise action launched late, while users stay less long")
    late(max(10, runs // 4))
    print("intervals of shown rows that hold the truth")
    coverage(max(10, runs // 4))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{runs} runs, {time.process_time() - started:.0f} s CPU, peak {peak:.2f} GB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
