"""Make the bundled sample of the made-up product Trailhead again: python data/make_sample.py [FOLDER].

The log is simulated; its planted break is the second link, habit. See README.md beside this file.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import polars as pl

from engagekit.simulation import Simulation, simulate

SEED = 20250701
MOST = {"never_started": 11, "friction": 22, "stalled": 22, "vanished": 26, "plateau": 5, "drift": 5, "healthy": 9}  # fmt: skip
ADS = {"never_started": 20, "friction": 33, "stalled": 22, "vanished": 15, "plateau": 3, "drift": 3, "healthy": 4}  # fmt: skip


def sample() -> Simulation:
    """Simulate the sample: six months, ten thousand users, everything a real export has."""
    made = simulate(
        users=10_000,
        days=184,
        seed=SEED,
        mix=MOST,
        segments={("channel", "ads"): ADS},
        targets={"activation": 0.35, "habit": 0.50, "depth": 0.40},
        start="2025-07-01",
        timezone="America/New_York",
        weekend=0.45,
        null_events=["theme_changed", "help_opened", "search_used", "avatar_changed"],
        telling={"data_imported": (0.58, 0.27), "teammate_added": (0.31, 0.17)},
        outreach=True,
        feedback=True,
        errors=True,
        accounts=2.5,
        dirt=0.002,
    )
    at = pl.col("at").dt.truncate("1s")  # exports seldom know more, and whole seconds pack better
    events = made.events.with_columns(at).sort("at", "user_id", "event", "device")
    return dataclasses.replace(made, events=events)


def write(folder: Path) -> None:
    """Write the log and the users table."""
    made = sample()
    for name, frame in (("events", made.events), ("users", made.users)):
        path = folder / f"trailhead_{name}.parquet"
        frame.write_parquet(path, compression="zstd", compression_level=19)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
