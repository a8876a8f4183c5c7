"""Dirt as real logs have it, added on request to a simulated one; the facts about its users stay as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import numpy as np

STAFF = "staff-01"


def soiled(rng: np.random.Generator, events: pl.DataFrame, share: float) -> pl.DataFrame:
    """Add duplicates, early events, rows without user, odd names and one busy member of staff; shuffle all."""
    count = max(1, round(share * events.height))
    few = max(1, count // 5)

    def some(size: int, frame: pl.DataFrame = events) -> pl.DataFrame:
        return frame[rng.integers(0, frame.height, size)] if frame.height else frame

    before = some(few, events.filter(pl.col("event") == "signed_up")).with_columns(
        event=pl.lit("opened"), at=pl.col("at") - timedelta(hours=7)
    )
    odd = some(few, events.filter(pl.col("event") == "opened"))
    odd = odd.with_columns(
        pl.Series("event", rng.choice(["Opened", "opened ", "OPENED"], odd.height), pl.String)
    )
    nobody = some(few).with_columns(user_id=pl.lit(None, pl.String))
    staff = some(2 * count, events.filter(pl.col("event") != "signed_up")).with_columns(
        user_id=pl.lit(STAFF)
    )
    whole = pl.concat([events, some(count), before, odd, nobody, staff])
    return whole[rng.permutation(whole.height)]
