"""The first days, beyond yes or no: which actions follow which, and what happens day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import whole_faults
from engagekit.errors import ParameterError
from engagekit.first_weeks.activity_strata import Early, early_of
from engagekit.first_weeks.retained import judged_users
from engagekit.intervals import RATE, newcombe_columns, wilson_columns, z_of
from engagekit.matchers import event_names

if TYPE_CHECKING:
    from engagekit.journeys import Journeys
    from engagekit.log import Frame

ANYTHING, START, NOTHING_NEW = "(anything)", "(sign-up)", "(nothing new)"
GROUPS = ("retained", "churned")
PATHS: dict[str, Any] = {
    "action": pl.String,
    "next_action": pl.String,
    "n_retained": pl.Int64,
    "of_retained": pl.Int64,
    "share_retained": pl.Float64,
    "n_churned": pl.Int64,
    "of_churned": pl.Int64,
    "share_churned": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}
DAILY: dict[str, Any] = (
    {"group": pl.String, "action": pl.String, "day": pl.Int64}
    | RATE
    | {"active": pl.Int64, "rate_of_active": pl.Float64}
)


def first_paths(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    most: int = 200,
    core_days: int = 1,
) -> pl.DataFrame:
    """Say which first actions lead to which next ones, for retained against churned users.

    ``share = users whose next new action it was / users of the group who did the action before``.

    Parameters
    ----------
    journeys, outcome, among, core_days
        As for `engagekit.first_weeks.compare_first_weeks`.
    most
        How many pairs to return, those with the most users.

    Returns
    -------
    DataFrame
        One row per pair, by users: `action` (``(sign-up)``: all users), `next_action` (``(nothing new)``: none followed
        in the first days); ``n_retained, of_retained, share_retained, n_churned, of_churned, share_churned``;
        `difference` of the shares with `low` and `high`.

    Raises
    ------
    ColumnError
        `outcome` or `among` lacks a column.
    ParameterError
        `most` means nothing.

    Notes
    -----
    Nothing is adjusted: whoever stays longer follows more paths. Only the first time of each action counts. Actions first done in the same instant follow upon all of the instant
    before and none of each other, so shares can add up to more than 1; in a log of days that is often so.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=800, seed=1)
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> first_paths(journeys).filter(action="(sign-up)").height > 1
    True
    """
    if faults := whole_faults("most", most):
        raise ParameterError(*faults)
    early = _early(journeys, outcome, among, core_days)
    signing = [] if journeys.definition.signup is None else event_names(journeys.definition.signup)
    acts = early.did.lazy().select("person", pl.col("event").cast(pl.String), "first_at")
    acts = acts.filter(~pl.col("event").is_in(list(signing))).with_columns(
        pl.col("first_at").rank("dense").over("person").cast(pl.Int64).alias("place")
    )
    people = early.people.lazy().select("person", "retained")
    starts = people.select("person", event=pl.lit(START), place=pl.lit(0, pl.Int64))
    steps = pl.concat([starts, acts.select("person", "event", "place")])
    following = acts.select(
        "person", pl.col("event").alias("next_action"), (pl.col("place") - 1).alias("place")
    )
    pairs = (
        steps.join(following, on=["person", "place"], how="left")
        .with_columns(pl.col("next_action").fill_null(NOTHING_NEW))
        .join(people, on="person")
    )
    of = steps.join(people, on="person").group_by("event").agg(_both("of"))
    counts = pairs.group_by("event", "next_action").agg(_both("n")).join(of, on="event").collect()
    n1, of1, n2, of2 = (pl.col(c) for c in ("n_retained", "of_retained", "n_churned", "of_churned"))
    total = (n1 + n2).alias("total")
    return (
        counts.rename({"event": "action"})
        .with_columns(
            (n1 / pl.when(of1 > 0).then(of1)).alias("share_retained"),
            (n2 / pl.when(of2 > 0).then(of2)).alias("share_churned"),
            *newcombe_columns(n1, of1, n2, of2, z=z_of(0.95)),
            total,
        )
        .sort("total", "action", "next_action", descending=[True, False, False])
        .head(most)
        .select([pl.col(c).cast(t) for c, t in PATHS.items()])
    )


def day_by_day(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    core_days: int = 1,
) -> pl.DataFrame:
    """Say what share of retained and of churned users did each action on each of their first days.

    ``rate = users of the group who did it on that day / users of the group``.

    Parameters
    ----------
    journeys, outcome, among, core_days
        As for `engagekit.first_weeks.compare_first_weeks`.

    Returns
    -------
    DataFrame
        ``group, action, day, n, of, rate, low, high, active, rate_of_active``: both groups (``"retained"``, ``"churned"``), every
        action and ``(anything)``, every day from 0, those with nobody included (without a rate where the group is empty); days
        are each user's own 24 hours since sign-up. `active` of the group did anything that day, `rate_of_active` of them did
        this.

    Raises
    ------
    ColumnError
        `outcome` or `among` lacks a column.

    Notes
    -----
    `rate` falls wherever users stop coming, whatever the action; `rate_of_active` says whether those who came did it more.
    Nothing is adjusted: see `engagekit.first_weeks.compare_first_weeks`.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=800, seed=1)
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> day_by_day(journeys).filter(group="retained", action="(anything)", day=0)["rate"].to_list()
    [1.0]
    """
    import numpy as np

    early = _early(journeys, outcome, among, core_days)
    group = pl.when("retained").then(pl.lit("retained")).otherwise(pl.lit("churned")).alias("group")
    bits = (early.known.volume > 0).T @ (1 << np.arange(early.known.days))
    people = early.people.with_columns(group, pl.Series("on_days", bits, dtype=pl.UInt32)).lazy()
    acts = early.did.lazy().select(
        "person", pl.col("event").cast(pl.String).alias("action"), "days"
    )
    anything = people.select("person", action=pl.lit(ANYTHING), days=pl.col("on_days"))
    # Users with the same action on the same days are counted together before their days are told apart.
    masks = (
        pl.concat([acts, anything])
        .join(people.select("person", "group"), on="person")
        .group_by("group", "action", "days")
        .agg(pl.len().cast(pl.Int64).alias("n"))
        .collect()
    )
    span = range(journeys.definition.first_days)
    counts = pl.concat(
        [
            masks.group_by("group", "action").agg(
                pl.col("n").filter((pl.col("days") // 2**day) % 2 == 1).sum().cast(pl.Int64),
                pl.lit(day, pl.Int64).alias("day"),
            )
            for day in span
        ]
    )
    sizes = people.group_by("group").agg(pl.len().cast(pl.Int64).alias("of")).collect()
    both = pl.DataFrame({"group": GROUPS}).join(sizes, on="group", how="left")
    grid = (
        both.with_columns(pl.col("of").fill_null(0))
        .join(masks.select("action").unique(), how="cross")
        .join(pl.DataFrame({"day": list(span)}, schema={"day": pl.Int64}), how="cross")
        .join(counts, on=["group", "action", "day"], how="left")
        .with_columns(pl.col("n").fill_null(0))
    )
    came = counts.filter(action=ANYTHING).select("group", "day", active="n")
    of_active = pl.col("n") / pl.when(pl.col("active") > 0).then("active")
    first = pl.col("group") != "retained"
    return (
        grid.join(came, on=["group", "day"], how="left")
        .with_columns(pl.col("active").fill_null(0))
        .with_columns(wilson_columns())
        .with_columns(of_active.alias("rate_of_active"))
        .sort(first, pl.col("action") != ANYTHING, "action", "day")
        .select([pl.col(c).cast(t) for c, t in DAILY.items()])
    )


def _early(journeys: Journeys, outcome: Frame | None, among: Frame | None, core_days: int) -> Early:
    users = judged_users(journeys, outcome=outcome, among=among, core_days=core_days)
    return early_of(journeys, users)


def _both(name: str) -> list[pl.Expr]:
    retained = pl.col("retained")
    return [
        retained.sum().cast(pl.Int64).alias(f"{name}_retained"),
        (~retained).sum().cast(pl.Int64).alias(f"{name}_churned"),
    ]
