"""Make the bundled sample of the made-up product Trailhead again: python data/make_sample.py [FOLDER].

The log is simulated; its planted break is the second link, habit, and earlier it was the first. See README.md beside
this file.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import polars as pl

from engagekit.simulation import PlantedTest, Simulation, simulate

SEED = 20250701
# At the start, activation is broken: 31 % of sign-ups activate at all, 13 % of those that come from ads.
MOST = {"never_started": 13.8, "friction": 27.6, "stalled": 27.6, "vanished": 21.4, "plateau": 2.5, "drift": 2.5, "healthy": 4.6}  # fmt: skip
ADS = {"never_started": 25, "friction": 37, "stalled": 25, "vanished": 9, "plateau": 1.1, "drift": 1.1, "healthy": 1.8}  # fmt: skip
MENDED = 153  # 2025-03-03: a guided setup mends activation
PLAY = 349  # 2025-09-15: a play for habit starts
EXPERIMENT = (244, 335)  # 2025-06-02 to 2025-08-31: a coin decides who gets a checklist


def sample() -> Simulation:
    """Simulate the sample: fifteen months, ten thousand users, everything a real export has."""
    made = simulate(
        users=10_000,
        days=457,
        seed=SEED,
        mix=MOST,
        segments={("channel", "ads"): ADS},
        targets={"activation": 0.35, "habit": 0.50, "depth": 0.40},
        start="2024-10-01",
        timezone="America/New_York",
        weekend=0.45,
        null_events=["theme_changed", "help_opened", "search_used", "avatar_changed"],
        telling={"data_imported": (0.58, 0.27), "teammate_added": (0.31, 0.17)},
        outreach=True,
        feedback=True,
        errors=True,
        accounts=2.5,
        changes=[(MENDED, {"activation": 0.47}), (PLAY, {"habit": 0.43})],
        week_spread=0.02,
        experiment=PlantedTest("activation", 0.13, *EXPERIMENT),
        dirt=0.002,
    )
    at = pl.col("at").dt.truncate("1s")  # exports seldom know more, and whole seconds pack better
    order = ["at", "user_id", "event", "device"]
    events = made.events.with_columns(at).sort(order)
    return dataclasses.replace(made, events=events)


def write(folder: Path) -> None:
    """Write the log and the users table."""
    made = sample()
    for name, frame in (("events", made.events), ("users", made.users)):
        path = folder / f"trailhead_{name}.parquet"
        frame.write_parquet(path, compression="zstd", compression_level=19)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
