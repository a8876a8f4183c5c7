"""Product time: a clock that runs as fast as the product is used, so that weekends, holidays and outages pass quickly.

A local day `d` weighs ``w(d) = (a(d) + 3) / (ā(d) + 3)``: `a(d)` users with a core action on that day, `ā(d)` its mean
over the 91 days around `d` that the log covers. The product time between two days is the sum of the weights of the
days after the first, up to the second. Weights are whole millionths, so that sums do not depend on their order.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from engagekit.log import Frame

PRIOR = (
    3  # users: a day nobody is active on still weighs something, and few users make no wild clock
)
AROUND = 45  # days on either side of a day that say what is usual for it
MILLION = 1_000_000
CLOCK: dict[str, Any] = {
    "day": pl.Date,
    "active": pl.Int64,
    "expected": pl.Float64,
    "weight": pl.Float64,
}
ACTIVITY: dict[str, Any] = {"day": pl.Date, "active": pl.Int64}


def activity(days: Frame) -> pl.DataFrame:
    """Count the users with a core action per day: ``day, active``; days without any are left out."""
    core = days.lazy().filter(pl.col("role") == "core")
    found = core.group_by("day").agg(pl.len().cast(pl.Int64).alias("active"))
    return found.sort("day").collect()


def clock_of(counts: Sequence[pl.DataFrame], first: date, last: date) -> pl.DataFrame:
    """Make the clock from users active per day, counted in parts or in one.

    Parameters
    ----------
    counts
        Frames of ``day, active``; of one day they are added up.
    first, last
        The days that the log covers.

    Returns
    -------
    DataFrame
        One row per day from `first` to `last`: ``day, active, expected, weight``.
    """
    every = pl.DataFrame({"day": pl.date_range(first, last, eager=True)}, schema={"day": pl.Date})
    known = (
        pl.concat([part.select(*ACTIVITY) for part in counts]).group_by("day").agg(pl.all().sum())
    )
    found = every.join(known, on="day", how="left").with_columns(pl.col("active").fill_null(0))
    return weighed(found.sort("day")["day"], found.sort("day")["active"])


def clock_from(first: date, active: Sequence[int]) -> pl.DataFrame:
    """Make the clock anew from what is kept of it on disk: its first day, and users active per day."""
    day = pl.date_range(first, first + timedelta(days=len(active) - 1), eager=True)
    return weighed(day, pl.Series("active", active, pl.Int64))


def weighed(day: pl.Series, active: pl.Series) -> pl.DataFrame:
    """Say what each of consecutive days weighs."""
    a = active.cast(pl.Int64).alias("active")
    place = pl.int_range(pl.len())
    first = (place - AROUND).clip(0)
    last = (place + AROUND).clip(None, pl.len() - 1)
    before = pl.lit(pl.concat([pl.Series([0]), a.cum_sum()]))
    around, days = before.gather(last + 1) - before.gather(first), last - first + 1
    # (a + 3) / (around / days + 3) in whole millionths, rounded half up.
    above, below = (pl.col("active") + PRIOR) * days * MILLION, around + PRIOR * days
    millionths = (2 * above + below) // (2 * below)
    return pl.DataFrame([day.alias("day"), a]).select(
        "day",
        "active",
        (around / days).cast(pl.Float64).alias("expected"),
        (millionths / MILLION).alias("weight"),
    )


def up_to(clock: pl.DataFrame, day: pl.Expr) -> pl.Expr:
    """Give the product time from the log's first day to the end of a local day, in whole millionths of a day.

    The product time between two days is the difference of theirs. Days outside the log count as its edge.
    """
    if clock.is_empty():
        return pl.lit(0, pl.Int64)
    passed = (clock["weight"] * MILLION).round().cast(pl.Int64).cum_sum()
    times = pl.lit(pl.concat([pl.Series([0]), passed]))
    place = (day - pl.lit(clock["day"][0], pl.Date)).dt.total_days() + 1
    return times.gather(place.clip(0, clock.height))
