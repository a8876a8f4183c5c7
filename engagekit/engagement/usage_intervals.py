"""Cadence: how often the core action is done, and how many users do which action how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import days
from engagekit.intervals import RATE, wilson_columns
from engagekit.journeys import check_journeys, own_intervals
from engagekit.matchers import as_matches

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

INTERVAL = {"days": pl.Int32} | RATE | {"usage_interval_days": pl.Float64}
MATRIX: dict[str, Any] = {"event": pl.String} | RATE
MATRIX |= {
    "days": pl.Float64,
    "times": pl.Float64,
    "median_rate": pl.Float64,
    "median_days": pl.Float64,
    "quadrant": pl.String,
    "core": pl.Boolean,
}


def usage_interval(journeys: Journeys, *, people: bool = False) -> pl.DataFrame:
    """Say how long users pause between two days with the core action, and so which period suits this product.

    A user's own interval is the smallest gap between core days such that gaps no longer than it hold a quarter of the
    days from the first to the last core day; the product's is the 80th percentile of these. Days count, not gaps: who
    comes on three days in a row once a month has an interval of a month.

    Parameters
    ----------
    journeys
        From `rollup`.
    people
        Return the users themselves.

    Returns
    -------
    DataFrame
        A row per day, from 1 to the longest interval; none if no user has two core days:

        - `days` (Int32);
        - `n` users whose own interval is at most so many days, `of` users with two core days or more, `rate` with
          its 95 % interval `low`, `high`: the cumulative distribution;
        - `usage_interval_days`: the product's interval, the same on every row.

        With ``people=True`` a row per user of `of`: `user_id, interval` (their own, in days), `core_days`.

    Raises
    ------
    ParameterError
        These are no journeys.

    Notes
    -----
    In the denominator are users with at least two core days by `as_of`, those who signed up before the log among
    them; who came once only has no interval. Days are calendar days. The definition of the journeys keeps the interval
    that `rollup` found, or that the team set; this one is computed from the users at hand. It is as long as the log
    lets it be: a log shorter than four intervals gets a remark.

    References
    ----------
    Amplitude's usage interval report shows each user's median return time cumulatively; the median gap is 1 day for
    whoever comes on some days in a row, however long they pause then, so days are weighed here, not gaps.

    Examples
    --------
    >>> from datetime import date
    >>> from engagekit import Definition, rollup
    >>> log = pl.DataFrame({
    ...     "user_id": [1, 1, 1, 2, 2, 3],
    ...     "event": "edit",
    ...     "at": [date(2026, 1, day) for day in (1, 2, 5, 1, 4, 1)],
    ... })
    >>> journeys = rollup(log, Definition(activation="edit", core="edit", burn_in_days=0))
    >>> usage_interval(journeys).select("days", "n", "of", "usage_interval_days").rows()
    [(1, 1, 2, 2.6), (2, 1, 2, 2.6), (3, 2, 2, 2.6)]
    """
    check_journeys(journeys)
    own = own_intervals(journeys.days).sort("user_id").collect()
    if people:
        return own
    whole = pl.col("interval").cast(pl.Int32).alias("days")
    counts = own.group_by(whole).agg(pl.len().cast(pl.Int64).alias("n"))
    longest = counts.select(pl.col("days").max().fill_null(0)).item()
    # `of` is no literal: polars divides by one by multiplying, and 3 of 5 becomes 0.6000000000000001.
    table = pl.DataFrame(
        {"days": range(1, longest + 1), "of": [own.height] * longest},
        schema={"days": pl.Int32, "of": pl.Int64},
    )
    return (
        table.join(counts, on="days", how="left")
        .sort("days")
        .with_columns(
            pl.col("n").fill_null(0).cum_sum(),
            pl.lit(own["interval"].quantile(0.8, "linear"), pl.Float64).alias(
                "usage_interval_days"
            ),
        )
        .with_columns(*wilson_columns())
        .select(*INTERVAL)
    )


def engagement_matrix(journeys: Journeys, *, people: bool = False) -> pl.DataFrame:
    """Say which actions many users do often in their first days, and which few do, or rarely.

    ``rate = users who did it / users judged``, ``days = mean number of their first days on which they did it``.

    Parameters
    ----------
    journeys
        From `rollup`. Journeys keep every event of a user's first days only (`first_days` of the definition), so this
        is the matrix of those days.
    people
        Return the users themselves.

    Returns
    -------
    DataFrame
        A row per event, the most widely done first:

        - `event`;
        - `n` users who did it in their first days, `of` users judged, `rate` with its 95 % interval `low`, `high`;
        - `days` (mean number of own days on which its users did it) and `times` (mean number of times);
        - `median_rate`, `median_days`: the medians over all events, where the quadrants meet;
        - `quadrant`: ``"many, often"``, ``"many, rarely"``, ``"few, often"`` or ``"few, rarely"``; at the median counts
          as many and as often, on one day only never;
        - `core`: whether the event is the definition's core action, or one of those that are.

        With ``people=True`` a row per event and user of `n`: `event, user_id, days, times`.

    Raises
    ------
    ParameterError
        These are no journeys.

    Notes
    -----
    In the denominator are all users whose first days are over by `as_of`. Every event of the log is there, also the
    sign-up and what is done to users (outreach); leave those rows out where they say nothing.

    References
    ----------
    Amplitude's engagement matrix: breadth against frequency, quadrants at the median.

    Examples
    --------
    >>> from datetime import date
    >>> from engagekit import Definition, rollup
    >>> log = pl.DataFrame({
    ...     "user_id": [1, 1, 1, 2, 2],
    ...     "event": ["join", "edit", "edit", "join", "share"],
    ...     "at": [date(2026, 1, day) for day in (1, 2, 5, 1, 4)],
    ... })
    >>> journeys = rollup(log, Definition(signup="join", activation="edit", core="edit"), as_of="2026-03-01")
    >>> engagement_matrix(journeys).select("event", "n", "of", "days", "quadrant").rows()
    [('join', 2, 2, 1.0, 'many, rarely'), ('edit', 1, 2, 2.0, 'many, often'), ('share', 1, 2, 1.0, 'many, rarely')]
    """
    check_journeys(journeys)
    over = pl.col("signed_up_at") + days(journeys.definition.first_days) <= journeys.as_of
    judged = journeys.users.lazy().filter(over).select("user_id")
    done = (
        journeys.early.lazy()
        .join(judged, on="user_id", how="semi")
        .select(
            pl.col("event").cast(pl.String),
            "user_id",
            pl.col("days").bitwise_count_ones().alias("days"),
            "times",
        )
    )
    if people:
        return done.sort("event", "user_id").collect()
    counts = done.group_by("event").agg(
        pl.len().cast(pl.Int64).alias("n"), pl.col("days", "times").mean()
    )
    core = sorted({match.event for match in as_matches(journeys.definition.core)})
    everyone = judged.select(pl.len().cast(pl.Int64).alias("of"))
    table = counts.join(everyone, how="cross").collect().with_columns(*wilson_columns())
    many = pl.col("rate") >= pl.col("rate").median()
    # One day is the least anybody can have, so nobody is there often for it, whatever the median.
    often = (pl.col("days") >= pl.col("days").median()) & (pl.col("days") > 1)
    quadrant = pl.format(
        "{}, {}",
        pl.when(many).then(pl.lit("many")).otherwise(pl.lit("few")),
        pl.when(often).then(pl.lit("often")).otherwise(pl.lit("rarely")),
    )
    return (
        table.with_columns(
            pl.col("rate").median().alias("median_rate"),
            pl.col("days").median().alias("median_days"),
            quadrant.alias("quadrant"),
            pl.col("event").is_in(core).alias("core"),
        )
        .select(*MATRIX)
        .sort("rate", "event", descending=[True, False])
    )
