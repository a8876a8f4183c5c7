"""How far a projection would have been off: made from a log's older cohorts as they were known then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import EngagekitError
from engagekit.survival.projection import LEAST_POINTS, project_curve

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from engagekit.journeys import Journeys

HINDSIGHT: dict[str, Any] = {
    "as_of": pl.Datetime("us", "UTC"),
    "users": pl.Int64,
    "period": pl.Int64,
    "said": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "came": pl.Float64,
    "off": pl.Float64,
    "inside": pl.Boolean,
}


def hindsight(
    journeys: Journeys,
    curve: Callable[[Journeys], pl.DataFrame],
    *,
    moments: list[datetime],
    periods: int,
) -> pl.DataFrame:
    """Project the curve of the users known at each moment, and compare with what came `periods` later.

    The same users are followed: those who had signed up by then.
    """
    rows = []
    for moment in moments:
        known = curve(journeys.at(moment))
        there = known.drop_nulls("survival")
        if there.height < LEAST_POINTS:
            continue
        try:
            told = project_curve(known, periods=periods).row(-1, named=True)
        except EngagekitError:
            continue  # refused then, as it would be now
        same = journeys.where(signed_up=(None, moment))
        later = curve(same).filter(pl.col("period") == told["period"])["survival"]
        came = later[0] if later.len() else None
        said, low, high = told["survival"], told["low"], told["high"]
        users = int(there["at_risk"][0])
        found = {
            "as_of": moment,
            "users": users,
            "period": told["period"],
            "said": said,
            "low": low,
            "high": high,
        }
        rest = (None, None) if came is None else (said - came, low <= came <= high)
        rows.append(found | {"came": came} | dict(zip(("off", "inside"), rest, strict=True)))
    return pl.DataFrame(rows, schema=HINDSIGHT)


def moments_before(journeys: Journeys, days: int, most: int = 4) -> list[datetime]:
    """Take instants in the past, `days` apart, from which what came `days` later is known."""
    found: list[datetime] = []
    moment = journeys.as_of - timedelta(days=days)
    while moment > journeys.log_start and len(found) < most:
        found.append(moment)
        moment -= timedelta(days=days)
    return found[::-1]
