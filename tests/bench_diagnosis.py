"""How often labels and the named link are right on planted logs. Run by hand: python tests/bench_diagnosis.py [runs]

Prints, for seven mixes of 2,000 users: accuracy over judged users, each class's recall, the largest error of a share,
and the confusion matrix of all of them. Then how often the planted link is named, beside "lowest rate" and "largest
loss", which always name something.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import polars as pl

import engagekit as ek
from engagekit.diagnosis.links import LOSABLE

MIXES = (
    "balanced",
    "friction",
    "progress",
    "repeat_value",
    "discovery",
    "re_engagement",
    "healthy",
)
TARGETS = {"activation": 0.32, "habit": 0.50, "depth": 0.40}
ABOVE = {link: 1.1 * target for link, target in TARGETS.items()}


def journeys_of(**settings) -> tuple[ek.Journeys, object]:
    log = ek.simulate(**settings)
    return ek.rollup(log.events, log.definition, users=log.users, as_of=log.as_of), log


def judged(journeys: ek.Journeys, truth: pl.DataFrame) -> pl.DataFrame:
    """Put label and truth side by side, for the users who are judged."""
    labels = ek.label_users(journeys).join(truth.select("user_id", "true_class"), on="user_id")
    return labels.filter(pl.col("label") != "too_early").select("label", "true_class")


def scores(pairs: pl.DataFrame) -> tuple[float, dict[str, float], float]:
    """Give accuracy, each class's recall, and the largest error of a share."""
    right = pl.col("label") == pl.col("true_class")
    recall = dict(pairs.group_by("true_class").agg(right.mean()).rows())
    shares = [
        pairs.group_by(c)
        .len()
        .select(pl.col(c).alias("c"), (pl.col("len") / pairs.height).alias(c))
        for c in pairs.columns
    ]
    both = shares[0].join(shares[1], on="c", how="full", coalesce=True).fill_null(0.0)
    worst = both.select((pl.col("label") - pl.col("true_class")).abs().max()).item()
    return pairs.select(right.mean()).item(), recall, worst


def labels(seeds: int) -> None:
    everyone = []
    print(
        f"labels, 2,000 users, {seeds} seeds per mix: accuracy, lowest recall, largest error of a share"
    )
    for mix in MIXES:
        found = [judged(*_with_truth(mix, seed)) for seed in range(seeds)]
        accuracy, recall, _ = scores(pl.concat(found))
        worst = max(scores(each)[2] for each in found)
        low = min(recall, key=recall.get)
        print(f"  {mix:<14} {accuracy:.3f}  {recall[low]:.3f} ({low})  {100 * worst:.1f} points")
        everyone += found
    both = pl.concat(everyone)
    accuracy, recall, _ = scores(both)
    print(
        f"  all            {accuracy:.3f}  recalls "
        + ", ".join(f"{k} {v:.3f}" for k, v in sorted(recall.items()))
    )
    print(
        both.pivot("label", index="true_class", values="label", aggregate_function=pl.len())
        .fill_null(0)
        .sort("true_class")
    )


def _with_truth(mix: str, seed: int) -> tuple[ek.Journeys, pl.DataFrame]:
    journeys, log = journeys_of(users=2000, mix=mix, seed=seed)
    return journeys, log.truth


def lowest_rate(table: pl.DataFrame) -> str:
    return table.filter(pl.col("link").is_in(LOSABLE)).sort("rate")["link"][0]


def largest_loss(table: pl.DataFrame) -> str:
    lost = pl.col("of") - pl.col("n")
    return table.filter(pl.col("link").is_in(LOSABLE)).sort(lost, descending=True)["link"][0]


def links(title: str, runs: int, truth: str | None, **settings) -> None:
    named, lowest, largest = Counter(), Counter(), Counter()
    for seed in range(runs):
        journeys, _ = journeys_of(seed=seed, targets=TARGETS, **settings)
        found = ek.prioritize(journeys)
        named[found.link or found.verdict] += 1
        lowest[lowest_rate(found.table)] += 1
        largest[largest_loss(found.table)] += 1
    print(
        f"  {title:<34} named {dict(named)}; lowest rate {dict(lowest)}; largest loss {dict(largest)}; truth {truth}",
        flush=True,
    )


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    started = time.process_time()
    labels(max(2, runs // 10))
    print(f"links, {runs} runs each")
    # Links that are not planted lie 15 % above their targets; in the hard case, 10 %.
    for link, rate in (("habit", 0.40), ("activation", 0.25), ("depth", 0.28)):
        links(f"{link} {rate}, 2,000 users", runs, link, users=2000, rates={link: rate})
    links("habit 0.4, 300 users", 2 * runs, "habit", users=300, rates={"habit": 0.40})
    links("the same, hard", 2 * runs, "habit", users=300, rates={**ABOVE, "habit": 0.40})
    links("all 10 % above target, 2,000 users", runs, None, users=2000, rates=ABOVE)
    print(f"{time.process_time() - started:.0f} s")
