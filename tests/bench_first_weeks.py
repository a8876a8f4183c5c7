"""How honest is the comparison of first weeks? Run by hand: ``python tests/bench_first_weeks.py [logs] [of many users]``.

Prints, for each kind of action that means nothing (see `first_weeks_worlds`), how often such an action is named, the share
of false ones among all that is named, how often true effects are found, found with the wrong sign, and covered by their
intervals; then the power at a risk ratio of 1.2, and the users needed for 0.8; then what is named on the real logs.
"""

from __future__ import annotations

import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
from first_weeks_worlds import KINDS, Score, score, simple, world

import engagekit as ek

HEAD = f"  {'kind':12s} {'false':>7s} {'FDR':>7s} {'wrong':>7s} {'power':>7s} {'cover':>7s} {'aside':>7s}"


def added(scores: list[Score]) -> str:
    whole = Score(**{f.name: sum(getattr(each, f.name) for each in scores) for f in fields(Score)})
    share = lambda n, of: f"{n / of:7.4f}" if of else "      –"  # noqa: E731
    return " ".join([
        share(whole.false, whole.nulls), f"{np.mean([each.discoveries for each in scores]):7.4f}",
        share(whole.wrong, whole.direct), share(whole.found, whole.direct),
        share(whole.covering, whole.intervals), f"{np.mean([each.aside for each in scores]):7.4f}",
    ])  # fmt: skip


def worlds(users: int, logs: int, **settings: object) -> None:
    print(f"{users:,} users, {logs} logs a kind {settings or ''}\n{HEAD}", flush=True)
    for kind in KINDS:
        started = time.process_time()
        scores = [score(world(seed, kind, users=users, **settings), kind) for seed in range(logs)]
        print(f"  {kind:12s} {added(scores)}   {time.process_time() - started:.0f} s", flush=True)


def power(logs: int) -> None:
    print("power at a risk ratio of 1.2 for an action of 30 % of users, 20 actions")
    for base in (0.2, 0.3, 0.5):
        found = {users: _power(base, users, logs) for users in (2000, 4000, 8000, 16000)}
        needed = _needed(found)
        told = ", ".join(f"{users:,}: {share:.2f}" for users, share in found.items())
        print(f"  base rate {base}: {told}; for 0.8 some {needed:,.0f} users", flush=True)


def _power(base: float, users: int, logs: int) -> float:
    scores = [score(simple(seed, users, base=base, ratio=1.2), "per day") for seed in range(logs)]
    return float(np.mean([each.found for each in scores]))


def _needed(found: dict[int, float]) -> float:
    """Where the straight line of normal scores over the root of users crosses 0.8."""
    from scipy.special import ndtri

    points = [(users**0.5, ndtri(share)) for users, share in found.items() if 0.02 < share < 0.98]
    slope, start = np.polyfit(*zip(*points, strict=True), 1)
    return float(((ndtri(0.8) - start) / slope) ** 2)


def real() -> None:
    import real_logs

    shared = Path(__file__).parents[2] / "shared"
    if not shared.exists():
        return
    for name in ("travelse", "oulad", "gcc"):
        table = ek.compare_first_weeks(real_logs.journeys(shared, name))
        named = table.filter(table["verdict"].is_in(["more in retained", "more in churned"]))
        print(f"{name}: {named.height} of {table.height} named")
        for row in named.iter_rows(named=True):
            print(
                f"  {row['action'][:34]:34s} {row['at_least']}+ {row['verdict'][8:]:9s} plain {row['risk_ratio']:.2f}, "
                f"alike {row['adjusted_risk_ratio']:.2f}, same day {row['same_day_risk_ratio']:.2f}, q {row['q']:.4f}"
            )


def main(small: int, large: int) -> None:
    worlds(2000, small)
    worlds(10_000, large)
    worlds(2000, small // 4, shape="quitting")
    power(large)
    real()


if __name__ == "__main__":
    main(*[int(each) for each in sys.argv[1:]] or (200, 60))
