"""Returns beyond chance after outreach: each user's hours after a message against the same hours of their other days.

Within each user from their first message on, and among the same weekdays on which they had been silent for equally long,
the 72 hours after a message stand against days without any. On the day of a message only what follows it counts, and only if the user had not come
before it that day; the days beside it are held to the same hours and the same condition. So a message that goes to the
silent, or by the hour, gets no credit for it. Days are weighed by what the users without a message did on them, so
that a newsletter on Tuesdays does not get the credit for Tuesdays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT, last_day, local_day
from engagekit.intervals import z_of
from engagekit.journeys import gathered, on_days

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

PROMPT_HOURS = 72  # a return this soon after outreach may have been prompted
EXACT = 14  # days of silence told apart one by one; longer ones in bands
FOLLOWED = (
    91  # up to here days of a band are held to the pace of returns at their own length of silence
)
BANDS = ((15, 21), (22, 28), (29, 42), (43, 63), (64, FOLLOWED))
SMOOTH = 7  # days of silence over which that pace is told
FEWEST = 10  # users with days of both kinds; of fewer nothing is told
AROUND = 45  # days on either side that say what is usual for a day
STANDS_OUT = 4  # standard errors from what is usual for the weekday
PRIOR = 3  # users, as for the product's clock
LEAST_FREE = 0.2  # of a day's users: so many without a message say what the day was like
TINY = 1e-9  # weight that is none
WHOLE_DAY = 86_400_000_000  # microseconds
UNITS = {
    "user_id": None, "day": pl.Date, "alike": pl.UInt32, "low": pl.Int64, "high": pl.Int64, "weight": pl.Float64,
    "came": pl.Boolean, "own": pl.Float64, "other": pl.Float64, "other_came": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True)
class Prompted:
    """Returns in the 72 hours after outreach, against the same users' other days.

    `prompted` of all `returns` came in those hours; `ratio` (with `low`, `high`) is how many times as often users came
    then as on their other days, None where there is nothing to compare with. `users` have days of both kinds.
    """

    returns: int
    prompted: int
    users: int
    ratio: float | None
    low: float | None
    high: float | None

    def excess(self, ratio: float | None) -> float | None:
        """Say which share of all returns the messages brought, if the ratio is this."""
        if ratio is None or not self.returns:
            return None
        return self.prompted / self.returns * (1 - 1 / ratio) if ratio else -math.inf


@dataclass(frozen=True)
class Returns:
    """What `prompted_of` compares.

    `returns`: ``user_id, prompted``, one row per return; `units`: stretches of days after messages, each with its
    weight, whether the user came, and the weight and returns of their own (`own`) and the other days in its stratum.
    """

    returns: pl.DataFrame
    units: pl.DataFrame

    def of(self, users: pl.DataFrame) -> Returns:
        """Keep some users."""
        kept = (part.join(users, on="user_id", how="semi") for part in (self.returns, self.units))
        return Returns(*kept)


def returns_of(journeys: Journeys) -> Returns:
    """Gather every user's returns, and the stretches of days after messages with what they are compared with."""
    came = gathered(journeys, _came).collect()
    after = gathered(journeys, _after).collect()
    days = after.select("user_id", "day").unique()
    alone = came.join(days, on=["user_id", "day"], how="anti")
    weights = _weights(journeys, days, alone)
    mailed = days.select("user_id").unique()
    gaps = gathered(journeys, _gaps).join(mailed.lazy(), on="user_id", how="semi").collect()
    begun = days.group_by("user_id").agg(pl.col("day").min().alias("begun"))
    gaps = gaps.join(begun, on="user_id")
    after_one, without = (_placed(rows, gaps, weights) for rows in (days, alone))
    silent = _silent_days(gaps, weights)
    pace = _pace(silent, after_one, without)
    after_one, without = (_paced(rows, pace) for rows in (after_one, without))
    units = _units(after, came, after_one, _free_days(silent, pace, after_one), without)
    hours = pl.col("at").is_between("low", "high", closed="left")
    soon = came.join(after, on=["user_id", "day"]).filter(hours).select("user_id", "day").unique()
    told = came.join(soon.with_columns(prompted=True), on=["user_id", "day"], how="left")
    return Returns(
        told.select("user_id", pl.col("prompted").fill_null(value=False)),
        units.filter(pl.col("own") > 0, pl.col("other") > 0),
    )


def prompted_of(found: Returns) -> Prompted:
    """Compare: Mantel and Haenszel's rate ratio within users, its interval by user and by day.

    The messages of one day share that day's chances, so its residuals are one cluster, as a user's are.
    """
    returns, prompted = found.returns.height, int(found.returns["prompted"].sum())
    share = pl.col("other") / (pl.col("own") + pl.col("other"))
    expected = pl.col("weight") * pl.col("other_came") / pl.col("other")
    units = found.units.with_columns(a=share * pl.col("came"), b=share * expected)
    after, chance = (math.fsum(units[c]) for c in ("a", "b"))
    users = units["user_id"].n_unique()
    if users < FEWEST or not after or not chance:
        return Prompted(returns, prompted, users, None, None, None)
    ratio = after / chance
    left = units.with_columns(left=pl.col("a") - ratio * pl.col("b"))

    def squares(*keys: str) -> float:
        return math.fsum(x * x for x in left.group_by(keys).agg(pl.col("left").sum())["left"])

    by_user = squares("user_id")
    both = by_user + squares("day") - squares("user_id", "day")
    spread = math.exp(z_of(0.95) * math.sqrt(max(by_user, both)) / after)
    return Prompted(returns, prompted, users, ratio, ratio / spread, ratio * spread)


def _followed(journeys: Journeys) -> pl.LazyFrame:
    """Say from which local day on a user can return: the one after the activation's."""
    since = local_day(pl.col("activated_at"), journeys.timezone)
    users = journeys.users.lazy().drop_nulls("activated_at")
    return users.select("user_id", since.alias("since"))


def _came(journeys: Journeys) -> pl.LazyFrame:
    """List returns: `user_id, day` and the time of day `at`."""
    core = on_days(journeys, "core").join(_followed(journeys), on="user_id")
    at = _time_of_day("first_at", journeys).alias("at")
    return core.filter(pl.col("day") > pl.col("since")).select("user_id", "day", at)


def _after(journeys: Journeys) -> pl.LazyFrame:
    """List the local days in the 72 hours after messages: `user_id, day`, from when (`low`) to when (`high`)."""
    mails, zone = on_days(journeys, "outreach"), journeys.timezone
    # A day's first and last message suffice: whatever lies between them is as close to a return as its first.
    both = [mails.select("user_id", pl.col(c).alias("sent")) for c in ("first_at", "last_at")]
    sent = pl.concat(both).unique().sort("user_id", "sent")
    same = pl.col("user_id") == pl.col("user_id").shift(-1)
    over = pl.min_horizontal(
        pl.col("sent") + pl.duration(hours=PROMPT_HOURS),
        pl.when(same).then(pl.col("sent").shift(-1)),
        pl.lit(journeys.as_of, AT),
    )
    spans = sent.with_columns(over.alias("over")).with_columns(
        local_day(pl.col("sent"), zone).alias("first"),
        local_day(pl.col("over"), zone).alias("last"),
    )
    begins = pl.when(pl.col("day") == pl.col("first")).then(_time_of_day("sent", journeys))
    ends = pl.when(pl.col("day") == pl.col("last")).then(_time_of_day("over", journeys))
    return (
        spans.with_columns(pl.date_ranges("first", "last").alias("day"))
        .explode("day")
        .join(_followed(journeys), on="user_id")
        .filter(pl.col("day") > pl.col("since"))
        .select("user_id", "day", begins.otherwise(0).alias("low"), ends.otherwise(WHOLE_DAY).alias("high"))
        .filter(pl.col("low") < pl.col("high"))
    )  # fmt: skip


def _time_of_day(column: str, journeys: Journeys) -> pl.Expr:
    """Give the time of day in microseconds; of a log of dates all that happens on a day may come after a message."""
    if journeys.dates_only:
        return pl.lit(0, pl.Int64)
    at = pl.col(column)
    local = at if journeys.timezone == "UTC" else at.dt.convert_time_zone(journeys.timezone)
    minutes = local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute()
    return (minutes * 60 + local.dt.second()) * 1_000_000 + local.dt.microsecond()


def _gaps(journeys: Journeys) -> pl.LazyFrame:
    """List silences: `user_id, start` (the core day before it, or the activation's) and `end` (the day that ends it)."""
    start = _followed(journeys).rename({"since": "start"})
    core = _came(journeys).select("user_id", pl.col("day").alias("start"))
    same = pl.col("user_id") == pl.col("user_id").shift(-1)
    final = pl.lit(last_day(journeys.as_of, journeys.timezone), pl.Date)
    following = pl.when(same).then(pl.col("start").shift(-1)).otherwise(final).alias("end")
    ordered = pl.concat([start, core]).sort("user_id", "start").with_columns(following)
    return ordered.filter(pl.col("end") > pl.col("start"))


def _weights(journeys: Journeys, days: pl.DataFrame, alone: pl.DataFrame) -> pl.DataFrame:
    """Say what each day weighs by the users without a message: `day, weight`; 0 where nothing can be known.

    A day weighs what its weekday weighs around it, and what it was itself only where it stands out: a holiday.
    """
    since = _followed(journeys).select((pl.col("since") + pl.duration(days=1)).alias("day"))
    counts = {
        "there": since.group_by("day").agg(pl.len().alias("there")).collect(),
        "after": days.group_by("day").agg(pl.len().alias("after")),
        "alone": alone.group_by("day").agg(pl.len().alias("alone")),
    }
    daily = journeys.clock.select("day")
    for count in counts.values():
        daily = daily.join(count, on="day", how="left")
    daily = daily.sort("day").with_columns(pl.col(*counts).fill_null(0).cast(pl.Int64))
    there = pl.col("there").cum_sum()
    daily = daily.with_columns(there, free=there - pl.col("after"))
    enough = pl.col("free") >= pl.max_horizontal(LEAST_FREE * pl.col("there"), pl.lit(PRIOR))
    # As many returns as there would be if nobody had a message.
    active = pl.when(enough).then(pl.col("alone") * pl.col("there") / pl.col("free"))
    daily = daily.with_columns(active.alias("active"))
    width = 2 * AROUND + 1
    weekday = pl.col("day").dt.weekday()
    profile = pl.col("active").rolling_mean(width // 7, min_samples=1, center=True).over(weekday)
    usual = pl.col("profile").rolling_mean(width, min_samples=1, center=True)
    daily = daily.with_columns(profile.alias("profile")).with_columns(usual.alias("usual"))
    # A day's own count is noise that the returns on it share; only where it stands out does it count.
    awaited = pl.col("profile") * pl.col("free") / pl.col("there")
    stands_out = (pl.col("alone") - awaited).abs() > STANDS_OUT * (awaited + 1).sqrt()
    taken = pl.when(stands_out & enough).then("active").otherwise("profile")
    weight = (taken + PRIOR) / (pl.col("usual") + PRIOR)
    return daily.select("day", weight.fill_null(0.0).alias("weight"))


def _placed(rows: pl.DataFrame, gaps: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Say of users' days since their first message how long they had been `silent`, and what the day weighs."""
    known = rows.join(weights.filter(pl.col("weight") > 0), on="day").sort("day")
    found = known.join_asof(
        gaps.select("user_id", "start", "begun").sort("start"),
        left_on="day",
        right_on="start",
        by="user_id",
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    found = found.filter(pl.col("day") >= pl.col("begun"))
    return found.with_columns(_alike(found.select(_silent("day"))["silent"], found["day"])).drop(
        "start", "begun"
    )


def _silent(day: str) -> pl.Expr:
    return (pl.col(day) - pl.col("start")).dt.total_days().clip(None, FOLLOWED + 1).alias("silent")


def _alike(silent: pl.Series, day: pl.Series) -> list[pl.Series]:
    """Give days of silence, and one number to days that are alike: by silence, in bands beyond two weeks, and weekday."""
    bounds = pl.Series([*range(1, EXACT + 1), *(low for low, _ in BANDS), FOLLOWED + 1])
    band = bounds.search_sorted(silent, side="right").cast(pl.UInt32)
    return [silent.alias("silent"), (band * 8 + day.dt.weekday().cast(pl.UInt32)).alias("alike")]


def _silent_days(gaps: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Add up the weight of all days since the first message: `user_id, silent, alike, whole`.

    Silences longer than what is followed come in one piece for each weekday.
    """
    length = (pl.col("end") - pl.col("start")).dt.total_days()
    first = (pl.col("begun") - pl.col("start")).dt.total_days().clip(1)
    days = (
        gaps.lazy()
        .with_columns(first.alias("low"), length.clip(None, FOLLOWED).alias("high"))
        .filter(pl.col("low") <= pl.col("high"))
        .with_columns(pl.int_ranges("low", pl.col("high") + 1).alias("silent"))
        .explode("silent")
        .select("user_id", "silent", (pl.col("start") + pl.duration(days="silent")).alias("day"))
        .join(weights.lazy().filter(pl.col("weight") > 0), on="day")
        .group_by("user_id", "silent", pl.col("day").dt.weekday().alias("weekday"))
        .agg(pl.col("weight").sum().alias("whole"), pl.col("day").first())
        .collect()
    )
    short = days.with_columns(_alike(days["silent"], days["day"])).drop("weekday", "day")
    columns = ["user_id", "silent", "alike", "whole"]
    return pl.concat([short.select(columns), _long_silences(gaps, weights).select(columns)])


def _long_silences(gaps: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    weekdays = pl.DataFrame({"weekday": range(1, 8)}, schema={"weekday": pl.Int64})
    # Of each weekday, the weight up to the end of each day; one after the other.
    of = pl.when(pl.col("day").dt.weekday() == pl.col("weekday")).then("weight").otherwise(0.0)
    passed = weights.join(weekdays, how="cross").sort("weekday", "day")
    table = pl.lit(passed.select(of.cum_sum().over("weekday").alias("passed"))["passed"])

    def up_to(day: pl.Expr) -> pl.Expr:
        place = (day - pl.lit(weights["day"][0], pl.Date)).dt.total_days()
        return table.gather((pl.col("weekday") - 1) * weights.height + place)

    begins = pl.max_horizontal(
        pl.col("start") + pl.duration(days=FOLLOWED), pl.col("begun") - pl.duration(days=1)
    )
    long = gaps.with_columns(begins.alias("begins")).filter(pl.col("end") > pl.col("begins"))
    found = long.join(weekdays, how="cross").with_columns(
        (up_to(pl.col("end")) - up_to(pl.col("begins"))).alias("whole"),
        pl.lit(FOLLOWED + 1, pl.Int64).alias("silent"),
        # Any day of that weekday stands for its kind: 5 January 1970 was a Monday.
        pl.date(1970, 1, 4 + pl.col("weekday")).alias("day"),
    )
    found = found.with_columns(_alike(found["silent"], found["day"]))
    return found.group_by("user_id", "silent", "alike").agg(pl.col("whole").sum())


def _pace(silent: pl.DataFrame, after: pl.DataFrame, alone: pl.DataFrame) -> pl.DataFrame:
    """Say how fast users return at each length of silence on days without a message: `silent, pace`.

    Of the lengths told apart one by one, and of those not followed, 1: there nothing is held to it.
    """
    days = pl.DataFrame({"silent": range(1, FOLLOWED + 2)}, schema={"silent": pl.Int64})
    counts = {
        "whole": silent.group_by("silent").agg(pl.col("whole").sum()),
        "taken": after.group_by("silent").agg(pl.col("weight").sum().alias("taken")),
        "back": alone.group_by("silent").agg(pl.len().cast(pl.Float64).alias("back")),
    }
    for count in counts.values():
        days = days.join(count, on="silent", how="left")
    days = days.sort("silent").with_columns(pl.col(*counts).fill_null(0.0))
    banded = pl.col("silent").is_between(EXACT + 1, FOLLOWED)
    free, back = (
        pl.when(banded).then(e).rolling_sum(SMOOTH, min_samples=1, center=True)
        for e in ((pl.col("whole") - pl.col("taken")).clip(0), pl.col("back"))
    )
    pace = (
        pl.when(banded).then(pl.when(free > TINY).then(back / free).otherwise(0.0)).otherwise(1.0)
    )
    return days.select("silent", pace.alias("pace"))


def _paced(rows: pl.DataFrame, pace: pl.DataFrame) -> pl.DataFrame:
    found = rows.join(pace, on="silent").with_columns(pl.col("weight") * pl.col("pace"))
    return found.filter(pl.col("weight") > 0).drop("pace", "silent")


def _free_days(silent: pl.DataFrame, pace: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Add up the weight of the days without a message per user and kind of day: `user_id, alike, free`."""
    keys = ["user_id", "alike"]
    held = silent.join(pace, on="silent").select(*keys, free=pl.col("whole") * pl.col("pace"))
    whole = held.group_by(keys).agg(pl.col("free").sum())
    taken = after.group_by(keys).agg(pl.col("weight").sum().alias("taken"))
    free = (pl.col("free") - pl.col("taken").fill_null(0.0)).alias("free")
    # What differs from nothing in the last digits only is nothing.
    return whole.join(taken, on=keys, how="left").select(*keys, free).filter(pl.col("free") > TINY)


def _units(
    after: pl.DataFrame,
    came: pl.DataFrame,
    placed: pl.DataFrame,
    free: pl.DataFrame,
    alone: pl.DataFrame,
) -> pl.DataFrame:
    """Put every stretch after a message beside the user's days without one, held to the same hours."""
    at = pl.col("at")
    units = (
        after.join(placed, on=["user_id", "day"])
        .join(came, on=["user_id", "day"], how="left")
        .filter(
            at.is_null() | (at >= pl.col("low"))
        )  # who came before the message is not waited for
        .with_columns((at < pl.col("high")).fill_null(value=False).alias("came"))
        .drop("at")
    )
    keys = ["user_id", "alike"]
    hours = units.select(*keys, "low", "high").unique()
    then = hours.join(alone.select(*keys, "at", pl.col("weight").alias("of_day")), on=keys)
    inside = (at >= pl.col("low")) & (at < pl.col("high"))
    gone = pl.col("of_day").filter(at < pl.col("low")).sum()
    then = then.group_by(*keys, "low", "high").agg(
        gone.alias("gone"), inside.sum().cast(pl.Float64).alias("other_came")
    )
    strata = [*keys, "low", "high"]
    own = pl.col("weight").sum().over(strata).alias("own")
    other = (pl.col("free") - pl.col("gone").fill_null(0.0)).clip(0).alias("other")
    return (
        units.join(free, on=keys, how="left")
        .join(then, on=strata, how="left")
        .with_columns(own, other.fill_null(0.0), pl.col("other_came").fill_null(0.0))
        .select(*UNITS)
    )
