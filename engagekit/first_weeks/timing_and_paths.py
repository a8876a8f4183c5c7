"""The first days, beyond yes or no: how soon, how often, in which order, and day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import percent
from engagekit.errors import ParameterError
from engagekit.first_weeks.activity_strata import Early, early_of, launches
from engagekit.first_weeks.contingency_tables import all_exposed, exposures, only_exposed
from engagekit.first_weeks.rank_tests import rank_compare
from engagekit.first_weeks.retained import defining, judged_users
from engagekit.first_weeks.sentences import late_said
from engagekit.instants import AT
from engagekit.intervals import RATE, newcombe_columns, wilson_columns, z_of
from engagekit.matchers import event_names
from engagekit.strata import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys
    from engagekit.log import Frame

ANYTHING, START, NOTHING_NEW = "(anything)", "(sign-up)", "(nothing new)"
GROUPS = ("retained", "churned")
_PAIRS: dict[str, Any] = {
    "n_retained": pl.Int64,
    "n_churned": pl.Int64,
    "did_retained": pl.Int64,
    "did_churned": pl.Int64,
}
_TEST: dict[str, Any] = {
    "rank_biserial": pl.Float64,
    "adjusted_rank_biserial": pl.Float64,
    "p": pl.Float64,
    "q": pl.Float64,
    "part_of_definition": pl.Boolean,
    "launched_at": AT,
    "sentence": pl.String,
}
SOON: dict[str, Any] = (
    {"action": pl.String} | _PAIRS | {f"median_days_{g}": pl.Float64 for g in GROUPS} | _TEST
)
OFTEN: dict[str, Any] = (
    {"action": pl.String} | _PAIRS | {f"mean_times_{g}": pl.Float64 for g in GROUPS} | _TEST
)
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
DAILY: dict[str, Any] = {"group": pl.String, "action": pl.String, "day": pl.Int64} | RATE


def how_soon(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    core_days: int = 1,
) -> pl.DataFrame:
    """Say whether retained users did each action sooner after sign-up than churned users.

    Mann-Whitney on the time to the first one, never being later than any time; see `engagekit.first_weeks.rank_tests.rank_compare`.

    Parameters
    ----------
    journeys, outcome, among, core_days
        As for `engagekit.first_weeks.compare_first_weeks`.

    Returns
    -------
    DataFrame
        One row per action, soonest among the retained first: `action`; `n_retained`, `n_churned` users compared;
        `did_retained`, `did_churned`; `median_days_retained`, `median_days_churned` of those who did; `rank_biserial` from
        -1 to 1, above 0 where the retained are sooner; `adjusted_rank_biserial`, the same among equally active users, with
        its `p` and `q` over actions; `part_of_definition`: the action defines the outcome, and `q` does not count it; `launched_at`: the action was launched late and only users who signed up later are
        compared; `sentence`.

    Raises
    ------
    ColumnError
        `outcome` or `among` lacks a column.

    Notes
    -----
    Times are compared by the hour. Whoever is active early does everything early; the adjusted figure allows for it.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=800, seed=1)
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> how_soon(journeys).columns[:3]
    ['action', 'n_retained', 'n_churned']
    """
    early, late = _exposed(journeys, _early(journeys, outcome, among, core_days))
    since = (pl.col("first_at") - pl.col("signed_up_at")).dt.total_hours()
    # Turned round, so that sooner is larger, and never the smallest of all.
    table = _compared(early, late, -1 - since, nothing=-(10**6))
    days = (pl.col("first_at") - pl.col("signed_up_at")).dt.total_seconds() / 86_400
    table = table.join(_per_group(early, days.median(), "median_days"), on="event", how="left")
    core = defining(journeys, outcome)
    return _told(table, SOON, core, "median_days_retained", _soon_said)


def how_often(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    core_days: int = 1,
) -> pl.DataFrame:
    """Say whether retained users did each action more often in their first days than churned users.

    Mann-Whitney on how often, those who never did counting as 0; see `engagekit.first_weeks.rank_tests.rank_compare`.

    Parameters
    ----------
    journeys, outcome, among, core_days
        As for `engagekit.first_weeks.compare_first_weeks`.

    Returns
    -------
    DataFrame
        One row per action, the largest adjusted figure first: `action`; `n_retained`, `n_churned` users compared;
        `did_retained`, `did_churned`; `mean_times_retained`, `mean_times_churned` over all users of the group;
        `rank_biserial` from -1 to 1, above 0 where the retained do it more often; `adjusted_rank_biserial`, the same among
        equally active users, with its `p` and `q` over actions; `part_of_definition`: the action defines the outcome, and `q` does not count it; `launched_at`: the action was launched late and only users who signed up later are
        compared; `sentence`.

    Raises
    ------
    ColumnError
        `outcome` or `among` lacks a column.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=800, seed=1)
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> how_often(journeys)["mean_times_retained"].min() >= 0
    True
    """
    early, late = _exposed(journeys, _early(journeys, outcome, among, core_days))
    table = _compared(early, late, pl.col("times").cast(pl.Int64), nothing=0)
    sums = _per_group(early, pl.col("times").cast(pl.Int64).sum(), "times")
    means = [
        (pl.col(f"times_{g}").fill_null(0) / pl.when(pl.col(f"n_{g}") > 0).then(f"n_{g}")).alias(
            f"mean_times_{g}"
        )
        for g in GROUPS
    ]
    table = table.join(sums, on="event", how="left").with_columns(means)
    core = defining(journeys, outcome)
    return _told(table, OFTEN, core, "adjusted_rank_biserial", _often_said, descending=True)


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
    Only the first time of each action counts. Actions first done in the same instant follow upon all of the instant
    before and none of each other, so shares can add up to more than 1; in a log of days that is often so.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=800, seed=1)
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> first_paths(journeys).filter(action="(sign-up)").height > 1
    True
    """
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise ParameterError(f"most is {most!r}; it takes a whole number of at least 1.")
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
        ``group, action, day, n, of, rate, low, high``: both groups (``"retained"``, ``"churned"``), every action and
        ``(anything)``, every day from 0, those with nobody included (without a rate where the group is empty); days are each user's own 24 hours since sign-up.

    Raises
    ------
    ColumnError
        `outcome` or `among` lacks a column.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=800, seed=1)
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> day_by_day(journeys).filter(group="retained", action="(anything)", day=0)["rate"].to_list()
    [1.0]
    """
    early = _early(journeys, outcome, among, core_days)
    group = pl.when("retained").then(pl.lit("retained")).otherwise(pl.lit("churned")).alias("group")
    people = early.people.lazy().with_columns(group)
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
    first = pl.col("group") != "retained"
    return (
        grid.with_columns(wilson_columns())
        .sort(first, pl.col("action") != ANYTHING, "action", "day")
        .select([pl.col(c).cast(t) for c, t in DAILY.items()])
    )


def _early(journeys: Journeys, outcome: Frame | None, among: Frame | None, core_days: int) -> Early:
    users = judged_users(journeys, outcome=outcome, among=among, core_days=core_days)
    return early_of(journeys, users)


def _exposed(journeys: Journeys, early: Early) -> tuple[Early, pl.DataFrame]:
    """Leave out what users did of actions launched after they signed up; and those launches, in their order."""
    late = exposures(launches(journeys, early))
    did = only_exposed(early.did, early.people["signed_up_at"], late)
    return Early(early.people, (did.lazy(),)), late


def _both(name: str) -> list[pl.Expr]:
    retained = pl.col("retained")
    return [
        retained.sum().cast(pl.Int64).alias(f"{name}_retained"),
        (~retained).sum().cast(pl.Int64).alias(f"{name}_churned"),
    ]


def _per_group(early: Early, measure: pl.Expr, name: str) -> pl.DataFrame:
    """Take a measure over those who did each action, for each group: ``event, <name>_retained, <name>_churned``."""
    rows = early.did.lazy().join(
        early.people.lazy().select("person", "retained", "signed_up_at"), on="person"
    )
    sides = [
        rows.filter(pl.col("retained") == side).group_by("event").agg(measure.alias(f"{name}_{g}"))
        for g, side in zip(GROUPS, (True, False), strict=True)
    ]
    return sides[0].join(sides[1], on="event", how="full", coalesce=True).collect()


def _compared(early: Early, late: pl.DataFrame, value: pl.Expr, *, nothing: int) -> pl.DataFrame:
    """Compare the groups by rank, plainly and within strata; users without the action have the value `nothing`."""
    people = early.people.lazy().select("person", "signed_up_at", "retained", "stratum")
    rows = early.did.lazy().join(people, on="person").with_columns(value.alias("value"))
    did = rows.group_by("event", "stratum", "value").agg(_both("did"))
    reached = did.group_by("event", "stratum").agg(pl.col("did_retained", "did_churned").sum())
    # Whoever signed up before a late launch could not do it, and is not compared.
    sides = early.people.select("signed_up_at", "retained", "half", "stratum")
    sizes = (
        all_exposed(sides, late)
        .lazy()
        .group_by("exposure", "stratum")
        .agg(pl.col("m1").sum().alias("n_retained"), pl.col("m0").sum().alias("n_churned"))
    )
    events = (
        early.did.lazy()
        .select(pl.col("event").unique())
        .join(late.lazy(), on="event", how="left")
        .with_columns(pl.col("exposure").fill_null(0))
    )
    rest = (
        events.join(sizes, on="exposure")
        .join(reached, on=["event", "stratum"], how="left")
        .select(
            "event",
            "stratum",
            pl.lit(nothing, pl.Int64).alias("value"),
            (pl.col("n_retained") - pl.col("did_retained").fill_null(0)).alias("r"),
            (pl.col("n_churned") - pl.col("did_churned").fill_null(0)).alias("c"),
        )
    )
    some = did.select(
        "event", "stratum", pl.col("value").cast(pl.Int64), r="did_retained", c="did_churned"
    )
    counts = pl.concat([some, rest]).collect()
    plain = rank_compare(counts.with_columns(stratum=pl.lit(0)), ["event"]).drop("p")
    fair = rank_compare(counts, ["event"]).rename({"rank_biserial": "adjusted_rank_biserial"})
    totals = reached.group_by("event").agg(pl.col("did_retained", "did_churned").sum())
    able = sizes.group_by("exposure").agg(pl.col("n_retained", "n_churned").sum())
    return (
        totals.join(events, on="event")
        .join(able, on="exposure")
        .collect()
        .join(plain, on="event", how="left")
        .join(fair, on="event", how="left")
    )


def _told(
    table: pl.DataFrame,
    schema: dict[str, Any],
    core: Sequence[str],
    order: str,
    say: Any,
    *,
    descending: bool = False,
) -> pl.DataFrame:
    name = pl.col("event").cast(pl.String)
    table = table.with_columns(name.alias("action"), part_of_definition=name.is_in(list(core)))
    # What defines the outcome is sure to differ, and would make the rest look surer.
    family = table.select(pl.when(~pl.col("part_of_definition")).then("p"))["p"].to_list()
    q = pl.Series("q", benjamini_hochberg(family), dtype=pl.Float64).fill_nan(None)
    table = table.with_columns(q)
    table = table.sort(order, "action", descending=[descending, False], nulls_last=True)
    told = pl.Series("sentence", [say(row) for row in table.iter_rows(named=True)], dtype=pl.String)
    return table.with_columns(told).select([pl.col(c).cast(t) for c, t in schema.items()])


def _soon_said(row: dict[str, Any]) -> str:
    times = [row["median_days_retained"], row["median_days_churned"]]
    after = [f"after {t:.1f} days" if t is not None else "never" for t in times]
    shares = [_share(row, g) for g in GROUPS]
    return (
        f"{row['action']!r}: {shares[0]} of the retained did it, half of those {after[0]}; "
        f"{shares[1]} of the churned, {after[1]}. {_verdict(row, 'sooner', 'later')}{late_said(row)}"
    )


def _often_said(row: dict[str, Any]) -> str:
    means = [row["mean_times_retained"], row["mean_times_churned"]]
    written = ["–" if m is None else f"{m:.2f}" for m in means]
    return (
        f"{row['action']!r}: {written[0]} times per retained and {written[1]} per churned user. "
        f"{_verdict(row, 'more often', 'less often')}{late_said(row)}"
    )


def _share(row: dict[str, Any], group: str) -> str:
    of = row[f"n_{group}"]
    return percent(row[f"did_{group}"] / of if of else None)


def _verdict(row: dict[str, Any], more: str, less: str) -> str:
    if row["part_of_definition"]:
        return "It is part of what counts as retained, so it says little about what to change."
    if row["q"] is None or row["q"] > 0.05:
        return "Among equally active users no difference is clear."
    way = more if row["adjusted_rank_biserial"] > 0 else less
    return f"Among equally active users, too, the retained did it {way}; that says nothing about causes."
