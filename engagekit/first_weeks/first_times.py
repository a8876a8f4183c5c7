"""How soon and how often retained and churned users did each action, plainly and by trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import percent
from engagekit.first_weeks.activity_strata import Early, Logged, early_of, logged
from engagekit.first_weeks.rank_tests import rank_compare
from engagekit.first_weeks.retained import (
    account_numbers,
    account_of,
    defining,
    judged_users,
    stand_ins,
)
from engagekit.first_weeks.sentences import late_said
from engagekit.instants import AT
from engagekit.journeys import group_names
from engagekit.strata import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys
    from engagekit.log import Frame

GROUPS = ("retained", "churned")
_PAIRS: dict[str, Any] = {
    "n_retained": pl.Int64,
    "n_churned": pl.Int64,
    "did_retained": pl.Int64,
    "did_churned": pl.Int64,
}
_TEST: dict[str, Any] = {
    "rank_biserial": pl.Float64,
    "adjusted_ratio": pl.Float64,
    "same_day_ratio": pl.Float64,
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
CLEAR = 0.05


def how_soon(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    core_days: int = 1,
    adjust: str | Sequence[str] = (),
) -> pl.DataFrame:
    """Say whether retained users did each action sooner after sign-up than churned users.

    Plain: Mann-Whitney on the time to the first one, never being later than any time (see `engagekit.first_weeks.rank_tests.rank_compare`).
    Adjusted: ``Σ a·m0/N / Σ b·m1/N`` over the trials of `engagekit.first_weeks.compare_first_weeks`, with a of m1 retained and b of m0
    churned doing it that day, among users active that day who had not done it yet.

    Parameters
    ----------
    journeys, outcome, among, core_days, adjust
        As for `engagekit.first_weeks.compare_first_weeks`.

    Returns
    -------
    DataFrame
        One row per action, soonest among the retained first: `action`; `n_retained`, `n_churned` users compared;
        `did_retained`, `did_churned`; `median_days_retained`, `median_days_churned` of those who did; `rank_biserial` from
        -1 to 1, above 0 where the retained are sooner; `adjusted_ratio`: how many times as likely the retained were to do
        it on a day, among users alike until then; `same_day_ratio`: the same among users with an equally full day; `p`:
        the larger chance of the two, and `q` over actions; `part_of_definition`: the action defines the outcome, and `q`
        does not count it; `launched_at`: the action was launched late and only users who signed up later are compared;
        `sentence`.

    Raises
    ------
    ColumnError
        `outcome` or `among` lacks a column.
    ParameterError
        `adjust` means nothing.

    Notes
    -----
    Plain times are compared by the hour. Whoever is active early does everything early; the adjusted figures allow for it.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=800, seed=1)
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> how_soon(journeys).columns[:3]
    ['action', 'n_retained', 'n_churned']
    """
    early, found, account = _asked(journeys, outcome, among, core_days, adjust)
    rows = _could(early, found)
    since = (pl.col("first_at") - pl.col("signed_up_at")).dt.total_hours()
    # Turned round, so that sooner is larger, and never the smallest of all.
    table = _compared(rows, early, found, -1 - since, nothing=-(10**6))
    days = (pl.col("first_at") - pl.col("signed_up_at")).dt.total_seconds() / 86_400
    table = table.join(_per_group(rows, days.median(), "median_days"), on="event", how="left")
    table = _tried(table, early, found, account, often=False)
    return _told(table, SOON, defining(journeys, outcome), "median_days_retained", _soon_said)


def how_often(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    core_days: int = 1,
    adjust: str | Sequence[str] = (),
) -> pl.DataFrame:
    """Say whether retained users did each action more often in their first days than churned users.

    Plain: Mann-Whitney on how often, those who never did counting as 0 (see `engagekit.first_weeks.rank_tests.rank_compare`).
    Adjusted: ``Σ a·m0/N / Σ b·m1/N`` over every early day, with a of m1 retained and b of m0 churned doing it that day, among users active
    that day who had done it on as many days before and were alike until then.

    Parameters
    ----------
    journeys, outcome, among, core_days, adjust
        As for `engagekit.first_weeks.compare_first_weeks`.

    Returns
    -------
    DataFrame
        One row per action, the largest adjusted figure first: `action`; `n_retained`, `n_churned` users compared;
        `did_retained`, `did_churned`; `mean_times_retained`, `mean_times_churned` over all users of the group;
        `rank_biserial` from -1 to 1, above 0 where the retained do it more often; `adjusted_ratio`, `same_day_ratio`, `p`, `q`,
        `part_of_definition`, `launched_at`, `sentence` as for `how_soon`.

    Raises
    ------
    ColumnError
        `outcome` or `among` lacks a column.
    ParameterError
        `adjust` means nothing.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=800, seed=1)
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> how_often(journeys)["mean_times_retained"].min() >= 0
    True
    """
    early, found, account = _asked(journeys, outcome, among, core_days, adjust)
    rows = _could(early, found)
    table = _compared(rows, early, found, pl.col("times").cast(pl.Int64), nothing=0)
    sums = _per_group(rows, pl.col("times").cast(pl.Int64).sum(), "times")
    means = [
        (pl.col(f"times_{g}").fill_null(0) / pl.when(pl.col(f"n_{g}") > 0).then(f"n_{g}")).alias(
            f"mean_times_{g}"
        )
        for g in GROUPS
    ]
    table = table.join(sums, on="event", how="left").with_columns(means)
    table = _tried(table, early, found, account, often=True)
    core = defining(journeys, outcome)
    return _told(table, OFTEN, core, "adjusted_ratio", _often_said, descending=True)


def _asked(
    journeys: Journeys,
    outcome: Frame | None,
    among: Frame | None,
    core_days: int,
    adjust: str | Sequence[str],
) -> tuple[Early, Logged, Any]:
    """Take the judged users, their actions, and their accounts, where known."""
    alike, account = group_names(journeys, adjust), account_of(journeys)
    names = list(dict.fromkeys([*alike, *([account] if account else [])]))
    users = judged_users(journeys, outcome=outcome, among=among, core_days=core_days, keys=names)
    held = dict(zip(names, stand_ins(names), strict=True))
    early = early_of(journeys, users, adjust=[held[name] for name in alike])
    numbers = None if account is None else account_numbers(early.people[held[account]])
    return early, logged(journeys, early), numbers


def _could(early: Early, found: Logged) -> pl.LazyFrame:
    """Take what users did of actions that were there when they signed up."""
    launched = pl.DataFrame(
        {"event": found.names, "launched_at": found.launched},
        schema={"event": pl.String, "launched_at": AT},
    )
    rows = (
        early.did.lazy()
        .with_columns(pl.col("event").cast(pl.String))
        .join(launched.lazy(), on="event")
        .join(early.people.lazy().select("person", "retained", "signed_up_at"), on="person")
    )
    there = pl.col("launched_at").is_null() | (pl.col("signed_up_at") >= pl.col("launched_at"))
    return rows.filter(there).collect().lazy()


def _both(name: str) -> list[pl.Expr]:
    retained = pl.col("retained")
    return [
        retained.sum().cast(pl.Int64).alias(f"{name}_retained"),
        (~retained).sum().cast(pl.Int64).alias(f"{name}_churned"),
    ]


def _per_group(rows: pl.LazyFrame, measure: pl.Expr, name: str) -> pl.DataFrame:
    """Take a measure over those who did each action, for each group: ``event, <name>_retained, <name>_churned``."""
    sides = [
        rows.filter(pl.col("retained") == side).group_by("event").agg(measure.alias(f"{name}_{g}"))
        for g, side in zip(GROUPS, (True, False), strict=True)
    ]
    return sides[0].join(sides[1], on="event", how="full", coalesce=True).collect()


def _compared(
    rows: pl.LazyFrame, early: Early, found: Logged, value: pl.Expr, *, nothing: int
) -> pl.DataFrame:
    """Compare the groups plainly by rank; users without the action have the value `nothing`."""
    retained = early.known.retained
    able = [found.acts.able.get(number) for number in range(len(found.names))]
    sizes = [
        [int((retained == side).sum() if mine is None else (retained[mine] == side).sum()) for mine in able]
        for side in (True, False)
    ]  # fmt: skip
    events = pl.DataFrame(
        {
            "event": found.names,
            "launched_at": found.launched,
            "n_retained": sizes[0],
            "n_churned": sizes[1],
        },
        schema={
            "event": pl.String,
            "launched_at": AT,
            "n_retained": pl.Int64,
            "n_churned": pl.Int64,
        },
    )
    did = rows.group_by("event", value.cast(pl.Int64).alias("value")).agg(_both("did")).collect()
    reached = did.group_by("event").agg(pl.col("did_retained", "did_churned").sum())
    events = events.join(reached, on="event")
    rest = events.select(
        "event",
        pl.lit(nothing, pl.Int64).alias("value"),
        r=pl.col("n_retained") - pl.col("did_retained"),
        c=pl.col("n_churned") - pl.col("did_churned"),
    )
    counts = pl.concat([did.select("event", "value", r="did_retained", c="did_churned"), rest])
    plain = rank_compare(counts.with_columns(stratum=pl.lit(0)), ["event"]).drop("p")
    return events.join(plain, on="event", how="left")


def _tried(
    table: pl.DataFrame, early: Early, found: Logged, account: Any, *, often: bool
) -> pl.DataFrame:
    """Add what the trials say."""
    from engagekit.first_weeks.first_day_trials import chances

    told = chances(early.known, found.acts, often=often, account=account)
    columns = {"adjusted_ratio": told.ratio, "same_day_ratio": told.same_day, "p": told.p}
    frame = pl.DataFrame({"event": found.names} | columns, schema_overrides={"event": pl.String})
    return table.join(frame.with_columns(pl.col(*columns).fill_nan(None)), on="event", how="left")


def _told(
    table: pl.DataFrame,
    schema: dict[str, Any],
    core: Sequence[str],
    order: str,
    say: Any,
    *,
    descending: bool = False,
) -> pl.DataFrame:
    name = pl.col("event")
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
    ratios = [row["adjusted_ratio"], row["same_day_ratio"]]
    if row["q"] is None or row["q"] > CLEAR or None in ratios:
        return "Among users alike until then no difference is clear."
    if (ratios[0] > 1) != (ratios[1] > 1):
        return "The trials and the same-day figure point in different directions, so nothing is claimed."
    way = more if ratios[0] > 1 else less
    return (
        f"Among users alike until then, too, the retained did it {way} ({ratios[0]:.2f} times as likely on a day); "
        "that says nothing about causes."
    )
