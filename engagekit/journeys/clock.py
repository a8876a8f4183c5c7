"""Product time: a clock that runs as fast as the product is used, so that weekends, holidays and outages pass quickly.

A local day `d` weighs ``w(d) = (a(d) + 3) / (ā(d) + 3)``: `a(d)` users with a core action on that day, `ā(d)` its mean
over the 91 days around `d` that the log covers. The product time between two days is the sum of the weights of the
days after the first, up to the second. Weights are whole millionths, so that sums do not depend on their order.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import Remark, percent
from engagekit.journeys.groups import check_journeys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from engagekit.journeys.tables import Journeys
    from engagekit.log import Frame

PRIOR = (
    3  # users: a day nobody is active on still weighs something, and few users make no wild clock
)
AROUND = 45  # days on either side of a day that say what is usual for it
MILLION = 1_000_000
QUIET_DAYS = 14  # so many days ...
QUIET_SHARE = 1 / 3  # ... that weigh less than this share of themselves: the product is quiet
PRODUCT_QUIET = "product quiet"  # kind of remark
AHEAD = 400  # days laid out into the future
TINY = 1e-7
CLOCK: dict[str, Any] = {
    "day": pl.Date,
    "active": pl.Int64,
    "expected": pl.Float64,
    "weight": pl.Float64,
}
ACTIVITY: dict[str, Any] = {"day": pl.Date, "active": pl.Int64}


def product_clock(journeys: Journeys) -> pl.DataFrame:
    """Show the product's own clock: how active each day was, and so how much it counts when users are silent.

    ``weight(d) = (active(d) + 3) / (expected(d) + 3)``, ``expected(d)`` = mean of `active` over the 91 days around `d`
    that the log covers.

    Parameters
    ----------
    journeys
        From `rollup`.

    Returns
    -------
    DataFrame
        One row per local day of the log, from the first to the last before `as_of`: `day`; `active`, users with a core
        action on it; `expected`; `weight`, in product days. A day like those around it weighs 1, a Sunday of an office
        product, a holiday or an outage hardly anything.

    Raises
    ------
    ParameterError
        These are no journeys.

    Notes
    -----
    Counted are all users of the log, those who signed up before it included; `journeys.where` does not change the
    clock, `journeys.at` makes it anew from what was known then. Silences and gaps of labels and of the watch list are
    sums of weights; windows stay calendar days. Where activity falls away for good, its days weigh little for some 45
    days, until the days around them are as quiet: then silence counts again.

    References
    ----------
    The project's contract, rule 3. The idea is operational time: Feller (1971), An Introduction to Probability
    Theory, volume II, section X.7.

    Examples
    --------
    >>> from datetime import date
    >>> import engagekit as ek
    >>> rows = [(user, "edit", date(2026, 1, day)) for user in range(30) for day in range(1, 29) if day % 7 < 5]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> journeys = ek.rollup(log, ek.Definition(activation="edit", core="edit", burn_in_days=0))
    >>> product_clock(journeys).select("day", "active", pl.col("weight").round(2)).rows()[3:6]
    [(datetime.date(2026, 1, 4), 30, 1.35), (datetime.date(2026, 1, 5), 0, 0.12), (datetime.date(2026, 1, 6), 0, 0.12)]
    """
    check_journeys(journeys)
    return journeys.clock


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
    import numpy as np

    a = active.cast(pl.Int64).to_numpy()
    place = np.arange(len(a))
    first = np.maximum(place - AROUND, 0)
    last = np.minimum(place + AROUND, len(a) - 1)
    before = np.append(0, np.cumsum(a))
    around, days = before[last + 1] - before[first], last - first + 1
    # (a + 3) / (around / days + 3) in whole millionths, rounded half up.
    above, below = (a + PRIOR) * days * MILLION, around + PRIOR * days
    millionths = (2 * above + below) // (2 * below)
    columns = {"active": a, "expected": around / days, "weight": millionths / MILLION}
    return pl.DataFrame({"day": day} | columns, schema=CLOCK)


def up_to(clock: pl.DataFrame, day: pl.Expr) -> pl.Expr:
    """Give the product time from the log's first day to the end of a local day, in whole millionths of a day.

    The product time between two days is the difference of theirs. Days outside the log count as its edge.
    """
    known = product_times(clock)
    if known is None:
        return pl.lit(0, pl.Int64)
    first, times = known
    place = (day - pl.lit(first, pl.Date)).dt.total_days() + 1
    return pl.lit(times).gather(place.clip(0, clock.height))


def product_times(clock: pl.DataFrame) -> tuple[date, pl.Series] | None:
    """Give the log's first day, and the product time before it and up to the end of each day, in whole millionths of a day."""
    if clock.is_empty():
        return None
    passed = (clock["weight"] * MILLION).round().cast(pl.Int64).cum_sum()
    return clock["day"][0], pl.concat([pl.Series([0]), passed])


def at_instant(journeys: Journeys, at: pl.Expr) -> pl.Expr:
    """Give the product time from the log's first day to an instant, in product days; a day passes evenly."""
    zone = journeys.timezone
    local = at if zone == "UTC" else at.dt.convert_time_zone(zone)
    day = local.dt.date()
    seconds = local.dt.hour().cast(pl.Int64) * 3600 + local.dt.minute().cast(pl.Int64) * 60
    passed = (seconds + local.dt.second() + local.dt.microsecond() / MILLION) / 86_400
    before = up_to(journeys.clock, day - pl.duration(days=1))
    return (before + passed * (up_to(journeys.clock, day) - before)) / MILLION


def quiet_product(clock: pl.DataFrame) -> Remark | None:
    """Remark on it where the whole product has fallen quiet: two weeks that weigh less than any two before.

    While that is so, silence hardly counts, so nobody drifts by it; 45 days on, the quiet is what is usual.
    """
    weeks = clock["weight"].rolling_sum(QUIET_DAYS)
    if weeks.len() < 2 * QUIET_DAYS:
        return None
    now, before = weeks[-1], weeks[QUIET_DAYS - 1 : -QUIET_DAYS]
    lightest = before.tail(365).min()
    if now > QUIET_DAYS * QUIET_SHARE or not isinstance(lightest, float) or now > lightest / 2:
        return None
    active, expected = (float(clock[c].tail(QUIET_DAYS).sum()) for c in ("active", "expected"))
    text = (
        f"Core activity over the last {QUIET_DAYS} days is {percent(active / expected if expected else 0.0)} of what "
        "is usual for the product. While all of it is quiet, silence hardly counts, so nobody drifts by it: see "
        "whether this is a holiday, an outage, tracking that stopped, or users leaving all at once."
    )
    return Remark(PRODUCT_QUIET, ("core",), text)


def days_until(clock: pl.DataFrame, left: pl.Series, *, after: date) -> pl.Series:
    """Say on which day so much more product time will have passed, if the weeks go on as the last thirteen.

    Parameters
    ----------
    clock
        The product's clock.
    left
        Product days still to pass.
    after
        The last day that has passed.
    """
    recent = clock.tail(2 * AROUND + 1)
    ahead = pl.DataFrame({"day": pl.date_range(after, after + timedelta(days=AHEAD), eager=True)})
    weekday = pl.col("day").dt.weekday().alias("weekday")
    usual = recent.group_by(weekday).agg(pl.col("weight").mean())
    ahead = ahead.slice(1).with_columns(weekday).join(usual, on="weekday", how="left").sort("day")
    passed = ahead["weight"].fill_null(1.0).cum_sum()
    # Beyond what is laid out, a day is a day.
    place = passed.search_sorted(left - TINY, side="left")
    beyond = (left - passed[-1]).clip(0).ceil()
    return (
        pl.Series("day", [after]).new_from_index(0, left.len())
        + pl.select(
            pl.duration(days=pl.lit((place + 1).clip(None, AHEAD) + beyond).cast(pl.Int64))
        ).to_series()
    )
