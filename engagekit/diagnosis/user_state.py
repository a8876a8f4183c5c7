"""Where each user stands at `as_of`: the facts that labels are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.diagnosis.links import meets_depth_rule
from engagekit.instants import AT, days, last_day, local_day
from engagekit.journeys import MILLION, on_advanced_days, on_days, silence_days, up_to, windows_of

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

GAPS_NEEDED = 3  # with fewer, a user has no rhythm of their own yet


def standing(journeys: Journeys, *, silent_for: float) -> pl.LazyFrame:
    """Gather the facts about each user, one row per user.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    silent_for
        Product days of silence from which on a user's own rhythm is looked up; below, it is null.

    Returns
    -------
    LazyFrame
        `user_id`, `activated`, `started` (reached a step; where the definition has none,
        did anything after sign-up, outreach aside), `open_step` (name of the latest step reached and not
        completed), `returned` (core action on a later local day than activation), `deep` (depth rule met),
        `activation_over`, `habit_over`, `depth_over` (the window has passed), `silence_days` (local days since the
        last core day), and in product time, by which they are compared: `silence` (the same), `usual_gap` (the user's
        median gap between core days, or the product's usage interval where they have fewer than 3 gaps),
        `longest_gap` (the longest they came back from; -1 with fewer than 3 gaps) and `habit_window`, all in
        millionths of a product day.
    """
    definition = journeys.definition
    zone = journeys.timezone
    windows = windows_of(definition)
    end = pl.lit(journeys.as_of, AT)
    signed, activated = pl.col("signed_up_at"), pl.col("activated_at")
    returned = local_day(pl.col("last_core_at"), zone) > local_day(activated, zone)
    users = journeys.users.lazy().select(
        "user_id",
        activated.is_not_null().alias("activated"),
        pl.col("first_action_at").is_not_null().alias("_acted"),
        returned.fill_null(value=False).alias("returned"),
        (signed + days(windows["activation"]) <= end).alias("activation_over"),
        (activated + days(windows["habit"]) <= end).fill_null(value=False).alias("habit_over"),
        (activated + days(windows["depth"]) <= end).fill_null(value=False).alias("depth_over"),
        silence_days(journeys).alias("silence_days"),
        silence_of(journeys).alias("silence"),
        pl.col("core_days").cast(pl.Int64),
        pl.lit(windows["habit"] * MILLION, pl.Int64).alias("habit_window"),
    )
    quiet = users.filter("returned", pl.col("silence") >= silent_for * MILLION)
    for part in (_own_gaps(journeys, quiet), _steps(journeys, users), _deep(journeys, users)):
        users = users.join(part, on="user_id", how="left", maintain_order="left")
    started = pl.col("_reached").fill_null(value=False) if definition.steps else pl.col("_acted")
    return users.with_columns(started.alias("started"), pl.col("deep").fill_null(value=False)).drop(
        "_acted", "_reached", "core_days"
    )


def silence_of(journeys: Journeys) -> pl.Expr:
    """Measure the time from a user's last core day to the last day before `as_of`, in millionths of a product day."""
    final = pl.lit(last_day(journeys.as_of, journeys.timezone), pl.Date)
    last = local_day(pl.col("last_core_at"), journeys.timezone)
    return up_to(journeys.clock, final) - up_to(journeys.clock, last)


def gaps_of(journeys: Journeys, users: pl.LazyFrame) -> pl.LazyFrame:
    """List the gaps between core days of some users: `user_id, gap` in millionths of a product day."""
    core = on_days(journeys, "core").select("user_id", "day")
    spent = core.join(users.select("user_id"), on="user_id", how="semi").select(
        "user_id", up_to(journeys.clock, pl.col("day")).alias("_at")
    )
    same = pl.col("user_id") == pl.col("user_id").shift(1)
    gap = pl.when(same).then(pl.col("_at") - pl.col("_at").shift(1))
    return spent.sort("user_id", "_at").select("user_id", gap.alias("gap")).drop_nulls("gap")


def _own_gaps(journeys: Journeys, quiet: pl.LazyFrame) -> pl.LazyFrame:
    has_rhythm = pl.col("core_days") > GAPS_NEEDED
    own = gaps_of(journeys, quiet.filter(has_rhythm)).group_by("user_id")
    gaps = own.agg(pl.col("gap").median(), pl.col("gap").max().alias("longest"))
    interval = (journeys.definition.usage_interval_days or 0) * MILLION
    return quiet.join(gaps, on="user_id", how="left").select(
        "user_id",
        pl.when(has_rhythm).then("gap").otherwise(interval).cast(pl.Float64).alias("usual_gap"),
        pl.col("longest").fill_null(-1).alias("longest_gap"),
    )


def _steps(journeys: Journeys, users: pl.LazyFrame) -> pl.LazyFrame:
    names = dict(enumerate(step.name for step in journeys.definition.steps))
    mine = journeys.steps.lazy().join(
        users.filter(~pl.col("activated")).select("user_id"), on="user_id", how="semi"
    )
    is_open = pl.col("completed_at").is_null()
    latest = (
        pl.col("step")
        .filter(is_open)
        .sort_by(pl.col("last_reached_at").filter(is_open), pl.col("step").filter(is_open))
        .last()
    )
    return (
        mine.group_by("user_id")
        .agg(latest.alias("open_step"))
        .select(
            "user_id",
            pl.lit(value=True).alias("_reached"),
            pl.col("open_step").replace_strict(names, default=None, return_dtype=pl.String),
        )
    )


def _deep(journeys: Journeys, users: pl.LazyFrame) -> pl.LazyFrame:
    returned = users.filter("returned").select("user_id")
    uses = on_advanced_days(journeys).join(returned, on="user_id", how="semi")
    deep = meets_depth_rule(uses, journeys.definition)
    return deep.select("user_id", pl.lit(value=True).alias("deep")).unique()
