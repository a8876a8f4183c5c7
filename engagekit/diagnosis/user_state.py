"""Where each user stands at `as_of`: the terms that labels are made of, from the facts about each user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT, days
from engagekit.journeys import MILLION, on_days, up_to, users_with, windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys

GAPS_NEEDED = 3  # with fewer, a user has no rhythm of their own yet


def standing(journeys: Journeys, *, silent_for: float, keep: Sequence[str] = ()) -> pl.LazyFrame:
    """Gather the terms of each user, one row per user.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    silent_for
        Product days of silence from which on a user's own rhythm is looked up; below, it is null.
    keep
        Properties to carry along, as ``by:<name>``.

    Returns
    -------
    LazyFrame
        `user_id`, `signed_up_at`, `activated`, `started` (reached a step; where the definition has none,
        did anything after sign-up, outreach aside), `open_step` (place of the latest step reached and not
        completed), `returned` (core action on a later local day than activation), `deep` (depth rule met),
        `activation_over`, `habit_over`, `depth_over` (the window has passed), `silence_days` (local days since the
        last core day), and in product time, by which they are compared: `silence` (the same), `usual_gap` (the user's
        median gap between core days, or the product's usage interval where they have fewer than 3 gaps),
        `longest_gap` (the longest they came back from; -1 with fewer than 3 gaps) and `habit_window`, all in
        millionths of a product day.
    """
    definition, end = journeys.definition, pl.lit(journeys.as_of, AT)
    windows = windows_of(definition)
    signed, activated = pl.col("signed_up_at"), pl.col("activated_at")
    quiet = pl.col("returned") & (pl.col("silence") >= silent_for * MILLION)
    return users_with(journeys, keep).select(
        "user_id",
        signed,
        activated.is_not_null().alias("activated"),
        pl.col("reached" if definition.steps else "acted").alias("started"),
        "open_step",
        "returned",
        "deep",
        (signed + days(windows["activation"]) <= end).alias("activation_over"),
        (activated + days(windows["habit"]) <= end).fill_null(value=False).alias("habit_over"),
        (activated + days(windows["depth"]) <= end).fill_null(value=False).alias("depth_over"),
        "silence_days",
        "silence",
        *[pl.when(quiet).then(e) for e in own_rhythm(definition.usage_interval_days)],
        pl.lit(windows["habit"] * MILLION, pl.Int64).alias("habit_window"),
        *[f"by:{name}" for name in dict.fromkeys(keep)],
    )


def own_rhythm(usage_interval: float | None) -> tuple[pl.Expr, pl.Expr]:
    """Say which gap is usual for a user and which the longest, where `median_gap`, `longest_gap`, `core_days` are known."""
    has_rhythm = pl.col("core_days") > GAPS_NEEDED
    interval = (usage_interval or 0) * MILLION
    usual = pl.when(has_rhythm).then("median_gap").otherwise(interval).cast(pl.Float64)
    longest = pl.when(has_rhythm).then("longest_gap").fill_null(-1)
    return usual.alias("usual_gap"), longest.alias("longest_gap")


def gaps_of(journeys: Journeys, users: pl.LazyFrame) -> pl.LazyFrame:
    """List the gaps between core days of some users: `user_id, gap` in millionths of a product day."""
    core = on_days(journeys, "core").select("user_id", "day")
    spent = core.join(users.select("user_id"), on="user_id", how="semi").select(
        "user_id", up_to(journeys.clock, pl.col("day")).alias("_at")
    )
    same = pl.col("user_id") == pl.col("user_id").shift(1)
    gap = pl.when(same).then(pl.col("_at") - pl.col("_at").shift(1))
    return spent.sort("user_id", "_at").select("user_id", gap.alias("gap")).drop_nulls("gap")
