"""How often labels and the named link are right on planted products. Run by hand: python tests/bench_diagnosis.py [runs]

The products come from `true_logs`, which shares no code with `ek.simulate`. Prints, for seven of them at 2,000 users:
accuracy over judged users, the lowest recall of a class and the largest error of a share; then how often the planted link is
named, beside "lowest rate" and "largest loss", which always name something.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import polars as pl
from true_logs import BROKEN, WORLD, WORLDS, product_log

import engagekit as ek
from engagekit.diagnosis.links import LOSABLE

USERS = 2_000


def journeys_of(world: str, seed: int, users: int = USERS) -> tuple[ek.Journeys, dict[int, str]]:
    made = product_log(world, users=users, seed=seed)
    return ek.rollup(made.events, WORLD, as_of=made.as_of), made.truth


def judged(journeys: ek.Journeys, truth: dict[int, str]) -> pl.DataFrame:
    """Put label and truth side by side, for the users who are judged."""
    true = pl.DataFrame({"user_id": list(truth), "true": list(truth.values())})
    labels = ek.label_users(journeys).join(true, on="user_id")
    return labels.filter(pl.col("label") != "too_early").select("label", "true")


def scores(pairs: pl.DataFrame) -> tuple[float, dict[str, float], float]:
    """Give accuracy, each class's recall, and the largest error of a share."""
    right = pl.col("label") == pl.col("true")
    recall = dict(pairs.group_by("true").agg(right.mean()).rows())
    shares = [dict(pairs.group_by(c).len().rows()) for c in ("label", "true")]
    worst = max(abs(shares[0].get(k, 0) - shares[1].get(k, 0)) for k in {*shares[0], *shares[1]})
    return pairs.select(right.mean()).item(), recall, worst / pairs.height


def lowest_rate(table: pl.DataFrame) -> str:
    return table.filter(pl.col("link").is_in(LOSABLE)).sort("rate")["link"][0]


def largest_loss(table: pl.DataFrame) -> str:
    lost = pl.col("of") - pl.col("n")
    return table.filter(pl.col("link").is_in(LOSABLE)).sort(lost, descending=True)["link"][0]


def planted(world: str, runs: int) -> tuple[list[pl.DataFrame], Counter, Counter, Counter]:
    """Run one kind of product: the pairs of labels, and what was named, by the verdict and by two rules of thumb."""
    pairs, named, lowest, largest = [], Counter(), Counter(), Counter()
    for seed in range(runs):
        journeys, truth = journeys_of(world, seed)
        pairs.append(judged(journeys, truth))
        found = ek.prioritize(journeys)
        named[found.link or found.verdict] += 1
        lowest[lowest_rate(found.table)] += 1
        largest[largest_loss(found.table)] += 1
    return pairs, named, lowest, largest


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    started = time.process_time()
    everyone = []
    print(
        f"{USERS} users, {runs} products each: accuracy, lowest recall, largest error of a share; what is named"
    )
    for world in WORLDS:
        pairs, named, lowest, largest = planted(world, runs)
        accuracy, recall, _ = scores(pl.concat(pairs))
        worst = max(scores(each)[2] for each in pairs)
        low = min(recall, key=recall.get)
        print(
            f"  {world:<14} {accuracy:.3f}  {recall[low]:.3f} ({low})  {100 * worst:.1f} points  planted {BROKEN[world]}: "
            f"named {dict(named)}; lowest rate {dict(lowest)}; largest loss {dict(largest)}",
            flush=True,
        )
        everyone += pairs
    both = pl.concat(everyone)
    accuracy, recall, _ = scores(both)
    print(
        f"  all            {accuracy:.3f}  recalls "
        + ", ".join(f"{k} {v:.3f}" for k, v in sorted(recall.items()))
    )
    print(
        both.pivot("label", index="true", values="label", aggregate_function=pl.len())
        .fill_null(0)
        .sort("true")
    )
    print(f"{time.process_time() - started:.0f} s")
