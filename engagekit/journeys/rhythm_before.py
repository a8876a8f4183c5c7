"""How users stood at an earlier instant, as far as their rhythm goes: what `Journeys.at` would show, without the journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import last_day, local_day
from engagekit.journeys.clock import ACTIVITY, clock_of, product_times
from engagekit.journeys.day_arrays import day_arrays
from engagekit.journeys.earlier import active_before
from engagekit.journeys.facts import facts_of
from engagekit.journeys.recent_days import microseconds
from engagekit.journeys.rhythm import own_gaps, passed_by
from engagekit.journeys.tables import signed_up_ids

if TYPE_CHECKING:
    from datetime import date, datetime

    import numpy as np
    from numpy.typing import NDArray

    from engagekit.journeys.tables import Journeys


def clock_before(
    journeys: Journeys, moment: datetime, *, since: datetime | None = None
) -> pl.DataFrame:
    """Make the product's clock as it stood at an earlier instant, as the sign-ups from `since` on knew it."""
    days = journeys.days.lazy()
    if since is not None:
        days = days.join(signed_up_ids(journeys, since), on="user_id", how="semi")
    active = active_before(days, journeys.clock.select(*ACTIVITY), moment)
    first = journeys.clock["day"][0]
    return clock_of([active], first, max(first, last_day(moment, journeys.timezone)))


def rhythm_before(
    journeys: Journeys, moment: datetime, clock: pl.DataFrame, *, silent_for: float, needed: int
) -> pl.DataFrame:
    """Say how users stood before an instant.

    Parameters
    ----------
    journeys
        Journeys in memory, or one part of those on disk.
    moment
        The instant.
    clock
        The product's clock as it stood then; see `clock_before`.
    silent_for
        Product days of silence from which on a user's own rhythm is looked up.
    needed
        Core days beyond which there is one.

    Returns
    -------
    DataFrame
        One row per row of `facts_of`: `there` (signed up by then), `activated`, `returned` (core action on a later local
        day than activation), `silence`, `core_days`, and where looked up `median_gap` and `longest_gap`.
    """
    import numpy as np

    facts = facts_of(journeys)
    size, times = facts.height, product_times(clock)
    core = day_arrays(journeys).of("core")
    core = core.among(core.first < microseconds(moment))
    known = facts.select(
        (pl.col("signed_up_at") < moment).alias("there"),
        pl.when(pl.col("activated_at") < moment)
        .then(local_day(pl.col("activated_at"), journeys.timezone))
        .alias("day"),
    )
    far = np.iinfo(np.int32).max
    activated_day = known["day"].to_physical().fill_null(far).to_numpy()
    count = np.bincount(core.user, minlength=size)
    last = np.full(size, -far, np.int32)
    last[core.user] = core.day  # sorted by day, so that the last one stays
    returned = (activated_day != far) & (last > activated_day)
    silence = _ago(last, last_day(moment, journeys.timezone), times)
    looked = returned & (count > needed) & (silence >= silent_for)
    gaps = own_gaps(core.among(looked[core.user]), times, size)
    made: dict[str, Any] = {
        "there": known["there"],
        "activated": activated_day != far,
        "returned": returned,
        "silence": silence,
        "core_days": count,
        **gaps,
    }
    return pl.DataFrame(made)


def _ago(
    day: NDArray[np.int32], now: date, times: tuple[date, pl.Series] | None
) -> NDArray[np.int64]:
    import numpy as np

    today = np.array([(now - type(now)(1970, 1, 1)).days], np.int32)
    return passed_by(times, today) - passed_by(times, day)
