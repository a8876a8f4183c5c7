"""Each user's rhythm in product time: how long they have been silent, and the gaps they usually leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import last_day, local_day
from engagekit.journeys.clock import up_to
from engagekit.journeys.day_arrays import NEVER, first_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from numpy.typing import NDArray

    from engagekit.journeys.day_arrays import DayArrays, Ints
    from engagekit.journeys.tables import Journeys


def silence_of(journeys: Journeys) -> pl.Expr:
    """Measure the time from a user's last core day to the last day before `as_of`, in millionths of a product day."""
    final = pl.lit(last_day(journeys.as_of, journeys.timezone), pl.Date)
    last = local_day(pl.col("last_core_at"), journeys.timezone)
    return up_to(journeys.clock, final) - up_to(journeys.clock, last)


def passed_by(times: tuple[date, pl.Series] | None, day: NDArray[Any]) -> Ints:
    """Give the product time up to the end of local days, in days since 1970; as `up_to` does for a column."""
    import numpy as np

    if times is None:
        return np.zeros(len(day), np.int64)
    first, passed = times
    since = (first - type(first)(1970, 1, 1)).days
    place = np.clip(day.astype(np.int64) - since + 1, 0, passed.len() - 1)
    found: Ints = passed.to_numpy()[place]
    return found


def own_gaps(core: DayArrays, times: tuple[date, pl.Series] | None, size: int) -> Mapping[str, Any]:
    """Say of each user which gap between core days is the median one and which the longest, in product time.

    Parameters
    ----------
    core
        Core days, sorted by user and day.
    times
        From `product_times`.
    size
        How many users there are.

    Returns
    -------
    Mapping
        `median_gap` (not-a-number without gaps) and `longest_gap` (`NEVER` without gaps).
    """
    import numpy as np

    at = passed_by(times, core.day)
    same = core.user[1:] == core.user[:-1]
    user, gap = core.user[1:][same], (at[1:] - at[:-1])[same]
    median, longest = np.full(size, np.nan), np.full(size, NEVER)
    begins = first_rows(user)
    if len(begins):
        gap = sorted_within(user, gap)
        ends = np.append(begins[1:], len(user)) - 1
        who, middle = user[begins], begins + ends
        median[who] = (gap[middle // 2] + gap[(middle + 1) // 2]) / 2
        longest[who] = gap[ends]
    return {"median_gap": median, "longest_gap": longest}


def sorted_within(group: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Put whole numbers in the order of their groups, which are numbered from 0, and within them in their own."""
    import numpy as np

    if not len(values):
        return values
    bits = max(1, int(values.max()).bit_length())
    if int(values.min()) < 0 or bits + int(group.max()).bit_length() > 62:
        return values[np.lexsort((values, group))]
    packed = (
        group.astype(np.int64) << bits
    ) | values  # numbers sort several times as fast as pairs
    packed.sort()
    ordered: NDArray[Any] = packed & ((1 << bits) - 1)
    return ordered
