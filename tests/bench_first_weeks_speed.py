"""How long the comparison of first weeks takes, each size in a process of its own: ``python tests/bench_first_weeks_speed.py``."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from planted_weeks import DAY, SPAN, journeys_of

import engagekit as ek

SIZES = {
    "500,000 users, 30 actions": (500_000, 30, 8),
    "1,000,000 users, 500 actions": (1_000_000, 500, 14),
}


def wide(users: int, actions: int, each: int) -> ek.Journeys:
    random = np.random.default_rng(1)
    level = random.gamma(1.5, 1 / 1.5, users)
    count = np.minimum(random.poisson(each * level), actions - 1) + 1
    who = np.repeat(np.arange(users), count)
    weight = 1 / np.arange(1, actions + 1) ** 0.7
    what = random.choice(actions, len(who), p=weight / weight.sum())
    pairs = np.unique(who * actions + what)
    who, what = pairs // actions, pairs % actions
    days = random.integers(1, 2**14, len(who)) & random.integers(1, 2**14, len(who))
    days |= 1 << random.integers(0, 14, len(who))
    names = np.array([f"action_{number:03d}" for number in range(actions)])
    retained = random.random(users) < level / (1 + level)
    return journeys_of(
        random.integers(0, SPAN * DAY, users),
        who,
        names[what],
        random.geometric(0.4, len(who)),
        days,
        retained,
    )


def once(folder: str) -> None:
    journeys = ek.Journeys.load(folder)
    ek.compare_first_weeks(journeys.at(journeys.log_start))  # loads what loads once
    before, wall, cpu = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        time.time(),
        time.process_time(),
    )
    table = ek.compare_first_weeks(journeys)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"  {table.height} rows: {time.time() - wall:.1f} s, {time.process_time() - cpu:.1f} s CPU, "
        f"peak {peak / 1e6:.2f} GB ({before / 1e6:.2f} with the journeys loaded)"
    )


def main() -> None:
    # The log is made in another process: what that one held would count as the peak of its children.
    for name in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            print(name, flush=True)
            subprocess.run([sys.executable, __file__, folder, name], check=True)
            subprocess.run([sys.executable, __file__, folder], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        wide(*SIZES[sys.argv[2]]).save(sys.argv[1])
    elif len(sys.argv) > 1:
        once(sys.argv[1])
    else:
        main()
