"""What retained and churned users did in their first weeks: the plain comparison and the honest one, side by side."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import ParameterError
from engagekit.first_weeks.activity_strata import ACTIVE_DAYS, Early, early_of, launches
from engagekit.first_weeks.contingency_tables import MOST_TIMES, Tally, numbers, tally, weighed
from engagekit.first_weeks.retained import defining, judged_users, stand_ins
from engagekit.first_weeks.sentences import question, sentence
from engagekit.first_weeks.verdicts import (
    CHURNED,
    NOT_CLEAR,
    RETAINED,
    TOO_FEW,
    best_marks,
    disagreement,
    guarded,
    held_out,
    judged,
    opposed,
    shown,
)
from engagekit.instants import AT
from engagekit.journeys import group_names

if TYPE_CHECKING:
    from engagekit.journeys import Journeys
    from engagekit.log import Frame

COLUMNS: dict[str, Any] = {
    "action": pl.String,
    "at_least": pl.Int64,
    "n_retained": pl.Int64,
    "n_churned": pl.Int64,
    "did_retained": pl.Int64,
    "did_churned": pl.Int64,
    "share_retained": pl.Float64,
    "share_churned": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "retention_did": pl.Float64,
    "retention_not": pl.Float64,
    "risk_ratio": pl.Float64,
    "adjusted_risk_ratio": pl.Float64,
    "adjusted_low": pl.Float64,
    "adjusted_high": pl.Float64,
    "adjusted_difference": pl.Float64,
    "adjusted_difference_low": pl.Float64,
    "adjusted_difference_high": pl.Float64,
    "phi": pl.Float64,
    "phi_holdout": pl.Float64,
    "reach": pl.Float64,
    "tried": pl.Int64,
    "p": pl.Float64,
    "q": pl.Float64,
    "strata_p": pl.Float64,
    "part_of_definition": pl.Boolean,
    "launched_at": AT,
    "verdict": pl.String,
    "sentence": pl.String,
    "question": pl.String,
}
GROUPED: dict[str, Any] = {"scope": pl.String, "opposite": pl.Boolean}
DEFAULT_THRESHOLDS = (1, 2, 3, 5, 10)


def compare_first_weeks(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    by: str | Sequence[str] | None = None,
    thresholds: Sequence[int] = DEFAULT_THRESHOLDS,
    q: float = 0.05,
    core_days: int = 1,
) -> pl.DataFrame:
    """Say what retained users did in their first days that churned users did not, beyond being more active.

    ``difference = did_retained/n_retained - did_churned/n_churned``; ``risk_ratio = retention_did / retention_not``;
    adjusted: the Mantel-Haenszel risk ratio over strata of early activity (see `engagekit.strata.mantel_haenszel`).

    Parameters
    ----------
    journeys
        Rolled-up journeys.
    outcome
        A frame ``user_id, retained`` in place of the rule of `outcomes`.
    among
        A frame with `user_id`: only these users, such as those who reached a landmark.
    by
        Property or properties of users: every action also within each of their values.
    thresholds
        Doing it at least this often counts as doing it; each is tried.
    q
        Share of false discoveries accepted among the actions named.
    core_days
        How many different days with the core action in the outcome window make a user retained.

    Returns
    -------
    DataFrame
        One row per action at its best threshold, and one for ``(active days)``: named actions first, strongest first.

        `action`, `at_least`; `n_retained`, `n_churned` users compared; `did_retained`, `did_churned` of them who did it;
        `share_retained`, `share_churned`, their `difference` with `low`, `high`; `retention_did`, `retention_not`: share
        retained of those who did and did not, `risk_ratio` their ratio; `adjusted_risk_ratio`, `adjusted_low`,
        `adjusted_high` and `adjusted_difference`, `adjusted_difference_low`, `adjusted_difference_high`: the same among
        equally active users; `phi`; `phi_holdout`: on one half of the users, at the threshold best on the other;
        `reach`: share of all who did it; `tried`: thresholds tried; `p`: the smallest over thresholds, times `tried`;
        `q`: Benjamini-Hochberg over actions; `strata_p`: chance (Breslow-Day) that more and less active users differ no
        more than they do; `part_of_definition`: the action defines the outcome; `launched_at`: the action was launched
        late and only users who signed up later are compared; `verdict`: ``"more in retained"``, ``"more in churned"``,
        ``"not clear"`` or ``"too few"``; `sentence`; `question`: what the row asks of onboarding.

        With `by`, its columns stand first (null in the pooled row), `scope` is ``"all"`` or ``"group"``, and `opposite` is
        true where pooled and within-group differences clearly point in opposite directions.

    Raises
    ------
    ParameterError
        `thresholds`, `q` or `by` means nothing.
    ColumnError
        `outcome` or `among` lacks a column.

    Notes
    -----
    Compared are users whose outcome is known (see `outcomes`). Whoever quits early has less time to do anything, so
    most actions look retaining; therefore users are compared only with users of exactly as many early active days and
    a like volume of early events, and the adjusted figures decide. An action needs 10 users who did it and 10 who did
    not. Where no threshold stands out, the one that the most users reached is shown. An action counts as more in churned
    only if that holds, too, with its own count taken out of the volume: at equal volume, who does one thing more does
    others less. Intervals are at level 1 - 0.05 / `tried`; chances follow the lean of small counts. Active days, which
    nothing is left to adjust for, and the actions that define the outcome are shown, but not named, and `q` does not
    count them. Outreach is done to users, not by them, and left out. Nothing here shows a cause.

    References
    ----------
    Mantel and Haenszel (1959); Greenland and Robins (1985); Newcombe (1998); Benjamini and Hochberg (1995).

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=2000, seed=1, telling={"tour_taken": (0.8, 0.2)})
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> compare_first_weeks(journeys).select("action", "verdict").row(0)
    ('tour_taken', 'more in retained')
    """
    _check(thresholds, q)
    keys = group_names(journeys, by, taken=[*COLUMNS, *GROUPED])
    ladder = sorted(set(thresholds))
    early, counts = _counted(journeys, outcome, among, core_days, ladder, keys)
    pooled = weighed(numbers(counts))
    best = best_marks(pooled, ladder, defining(journeys, outcome), q)
    table = guarded(shown(pooled, best), early, counts)
    table = table.join(disagreement(counts, table), on="event", how="left")
    table = table.join(held_out(counts), on="event", how="left")
    if keys:
        table = _with_groups(table, best, early, counts, q)
    return _finished(table, counts, journeys.definition.first_days, keys)


def strongest(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    thresholds: Sequence[int] = DEFAULT_THRESHOLDS,
    q: float = 0.05,
    core_days: int = 1,
) -> pl.DataFrame:
    """Say which actions stand out on one half of the users, and show what the other half says of them.

    The actions with q at most `q` on the first half, each at its best threshold there.

    Parameters
    ----------
    journeys, outcome, among, thresholds, q, core_days
        As for `compare_first_weeks`.

    Returns
    -------
    DataFrame
        The columns of `compare_first_weeks`, with `p`, `q` and `verdict` from the half that chose and every other number from
        the half that did not, intervals at 95 %. Actions that define the outcome and active days are not in it.

    Raises
    ------
    ParameterError, ColumnError
        As for `compare_first_weeks`.

    Notes
    -----
    Whatever is chosen because it looks strong looks stronger than it is. The halves are fixed by a hash of the user id.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=2000, seed=1, telling={"tour_taken": (0.8, 0.2)})
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> "tour_taken" in strongest(journeys)["action"]
    True
    """
    _check(thresholds, q)
    ladder = sorted(set(thresholds))
    early, counts = _counted(journeys, outcome, among, core_days, ladder, [])
    best = best_marks(weighed(numbers(counts, half=True)), ladder, defining(journeys, outcome), q)
    choosing = guarded(
        best,
        dataclasses.replace(early, people=early.people.filter("half")),
        counts.of_half(half=True),
    )
    named = choosing.filter(pl.col("verdict").is_in([RETAINED, CHURNED]))
    table = shown(
        weighed(numbers(counts, half=False)), named.with_columns(tried=pl.lit(1, pl.Int64))
    )
    table = table.join(disagreement(counts.of_half(half=False), table), on="event", how="left")
    table = table.drop("tried").join(named.select("event", "tried"), on="event", how="left")
    return _finished(
        table.with_columns(phi_holdout=pl.col("phi")), counts, journeys.definition.first_days
    )


def _check(thresholds: Sequence[int], q: float) -> None:
    faults = []
    whole = isinstance(thresholds, Sequence) and all(
        isinstance(k, int) and not isinstance(k, bool) and 1 <= k <= MOST_TIMES for k in thresholds
    )
    if not whole or not thresholds:
        faults.append(
            f"thresholds is {thresholds!r}; it takes whole numbers of at least 1, up to a billion."
        )
    if isinstance(q, bool) or not isinstance(q, (int, float)) or not 0 < q < 1:
        faults.append(f"q is {q!r}; it takes a share between 0 and 1.")
    if faults:
        raise ParameterError.from_faults("The first weeks cannot be compared", faults)


def _counted(
    journeys: Journeys,
    outcome: Frame | None,
    among: Frame | None,
    core_days: int,
    ladder: Sequence[int],
    keys: Sequence[str],
) -> tuple[Early, Tally]:
    users = judged_users(journeys, outcome=outcome, among=among, core_days=core_days, keys=keys)
    early = early_of(journeys, users)
    marks = [pl.col("times") >= k for k in ladder]
    return early, tally(early, marks, launches(journeys, early), keys=stand_ins(keys))


def _with_groups(
    table: pl.DataFrame, best: pl.DataFrame, early: Early, counts: Tally, q: float
) -> pl.DataFrame:
    """Add each action's rows within groups, at the threshold chosen for all, and whether they point both ways."""
    keys = list(counts.keys)
    each = weighed(numbers(counts, keys=keys)).join(
        best.select("event", "mark", "at_least", "tried", "part_of_definition"),
        on=["event", "mark"],
    )
    each = each.with_columns(
        pl.when("enough").then((pl.col("chance") * pl.col("tried")).clip(0, 1)).alias("p")
    )
    verdicts = pl.concat([judged(g, q) for g in _split(each, keys)])
    figures = shown(each.drop("at_least", "tried", "part_of_definition", "p"), verdicts, keys)
    parts = []
    for group in _split(figures, keys):
        if not (group["verdict"] == CHURNED).any():
            parts.append(group)
            continue
        own = [pl.col(k).eq_missing(pl.lit(group[k][0], group.schema[k])) for k in keys]
        of_group = Early(early.people.filter(*own), early.pieces)
        parts.append(guarded(group, of_group, counts.only(*own)))
    groups = pl.concat(parts).with_columns(pl.lit("group").alias("scope"))
    both_ways = opposed(table, groups)
    return pl.concat(
        [table.with_columns(pl.lit("all").alias("scope")), groups], how="diagonal"
    ).join(both_ways, on="event", how="left")


def _split(frame: pl.DataFrame, keys: Sequence[str]) -> list[pl.DataFrame]:
    # Where nobody is judged there is no group; the empty frame still has the columns.
    return frame.partition_by(keys, maintain_order=True) or [frame]


def _finished(
    table: pl.DataFrame, counts: Tally, first_days: int, names: Sequence[str] = ()
) -> pl.DataFrame:
    """Name, rank and describe the rows: claims first, strongest first, each action's groups below it."""
    keys = list(counts.keys)
    table = table.join(counts.events.select("event", "launched_at"), on="event", how="left")
    table = table.with_columns(pl.col("event").cast(pl.String).alias("action"))
    ranked = _ranked(table, keys)
    words = [
        (sentence(row, first_days), question(row))
        for row in ranked.with_columns(_group_said(keys, names)).iter_rows(named=True)
    ]
    told = pl.DataFrame(words, schema={"sentence": pl.String, "question": pl.String}, orient="row")
    columns: dict[str, Any] = (GROUPED if keys else {}) | COLUMNS
    return pl.concat([ranked, told], how="horizontal").select(
        *[pl.col(key).alias(name) for key, name in zip(keys, names, strict=True)],
        *[pl.col(c).cast(t) for c, t in columns.items()],
    )


def _group_said(keys: Sequence[str], names: Sequence[str]) -> pl.Expr:
    if not keys:
        return pl.lit(None, pl.String).alias("group")
    parts = [
        pl.format("{}: {}", pl.lit(name), pl.col(key).cast(pl.String).fill_null("none"))
        for key, name in zip(keys, names, strict=True)
    ]
    return (
        pl.when(pl.col("scope") == "group")
        .then(pl.concat_str(parts, separator=", "))
        .alias("group")
    )


def _ranked(table: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    apart = pl.col("part_of_definition") | (pl.col("action") == ACTIVE_DAYS)
    order = {RETAINED: 0, CHURNED: 1, NOT_CLEAR: 3, TOO_FEW: 4}
    tier = pl.col("verdict").replace_strict(order, return_dtype=pl.Int32)
    tier = pl.when(apart & (pl.col("verdict") != TOO_FEW)).then(2).otherwise(tier)
    # A claim without a ratio is the strongest: of those who did not, nobody comparable was retained.
    strength = -pl.col("adjusted_risk_ratio").log().abs().fill_null(math.inf)
    pooled = table.filter(pl.col("scope") == "all") if keys else table
    ranks = (
        pooled.with_columns(
            tier.alias("tier"), pl.when(tier < 2).then(strength).otherwise("p").alias("place")
        )
        .sort("tier", "place", "action", nulls_last=True)
        .select("action")
        .with_row_index("rank")
    )
    inside = ["scope", *keys] if keys else []
    return table.join(ranks, on="action").sort("rank", *inside, nulls_last=True)
