"""How often within how many days: the grid of thresholds, chosen on one half of the users and reported on the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import percent
from engagekit.errors import ColumnError, ParameterError, TooFewUsersError, listing, nearest
from engagekit.first_weeks.activity_strata import ACTIVE_DAYS, Early, early_of, launches
from engagekit.first_weeks.contingency_tables import (
    LEAST_USERS,
    MOST_TIMES,
    numbers,
    tally,
    weighed,
)
from engagekit.first_weeks.retained import defining, judged_users, same_kind
from engagekit.first_weeks.sentences import late_said
from engagekit.ingest import normal_form
from engagekit.instants import days
from engagekit.journeys import check_journeys
from engagekit.log import open_log
from engagekit.strata import benjamini_hochberg, pooled_ratios

if TYPE_CHECKING:
    from engagekit.journeys import Journeys
    from engagekit.log import Frame

GRID: dict[str, Any] = {
    "action": pl.String,
    "at_least": pl.Int64,
    "within_days": pl.Int64,
    "unit": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "reach": pl.Float64,
    "precision": pl.Float64,
    "base_rate": pl.Float64,
    "lift": pl.Float64,
    "sensitivity": pl.Float64,
    "specificity": pl.Float64,
    "npv": pl.Float64,
    "risk_ratio": pl.Float64,
    "adjusted_risk_ratio": pl.Float64,
    "adjusted_low": pl.Float64,
    "adjusted_high": pl.Float64,
    "phi": pl.Float64,
    "phi_choosing": pl.Float64,
    "chosen": pl.Boolean,
    "p": pl.Float64,
    "q": pl.Float64,
    "part_of_definition": pl.Boolean,
    "sentence": pl.String,
}

DEFAULT_WITHIN = (1, 3, 7, 14)
ANOTHER_LOG = "give the log that they were rolled up from (of accounts: with the account in place of the user)."


def find_threshold(
    journeys: Journeys,
    *,
    actions: str | Sequence[str] | None = None,
    outcome: Frame | None = None,
    among: Frame | None = None,
    thresholds: Sequence[int] = (1, 2, 3, 5, 10),
    within: Sequence[int] | None = None,
    events: Any = None,
    core_days: int = 1,
) -> pl.DataFrame:
    """Say which "did it at least k times within d days" goes with being retained, and how well it tells.

    ``precision = retained and did / did``, ``lift = precision / base_rate``, ``sensitivity = retained and did / retained``,
    ``phi`` as in `engagekit.strata.association`.

    Parameters
    ----------
    journeys, outcome, among, core_days
        As for `engagekit.first_weeks.compare_first_weeks`.
    actions
        An event name or a list of them; None: all.
    thresholds
        The k of the grid.
    within
        The d of the grid, in days since sign-up, up to the definition's `first_days`; None: 1, 3, 7, 14 below these, and
        all of them.
    events
        The event log. Journeys know on which of the first days an action was done, not how often on each; so without
        the log k counts different days, with it every time.

    Returns
    -------
    DataFrame
        One row per action and cell of the grid, each action's chosen cell first, the strongest action first: `action`,
        `at_least`, `within_days`, `unit` (``"days"`` or ``"times"``); on the half of the users that did not choose: `n` users
        who did, of `of`; `reach`; `precision` beside `base_rate` and `lift`; `sensitivity`, `specificity`, `npv`;
        `risk_ratio`; `adjusted_risk_ratio` with `adjusted_low`, `adjusted_high` (null with fewer than 10 users on a side);
        `phi`; then `phi_choosing` on the half that chose; `chosen`; for chosen cells `p` and, over actions, `q`
        (which does not count active days, nor actions that define the outcome); `part_of_definition`; `sentence`.

    Raises
    ------
    ParameterError
        `thresholds` or `within` means nothing, or an action is not in the first days: all faults. Or `events` is not
        the log of these journeys.
    ColumnError
        `outcome`, `among` or `events` lacks a column or holds the wrong kind.
    TooFewUsersError
        Nobody can be judged yet.

    Notes
    -----
    A cell is chosen where, on the choosing half, users who reached it were most surely retained more often than equally
    active users who did not. The best of a grid flatters itself: with 300 users and 50 actions phi of pure noise is
    0.23 on the half that chose, and 0 on the other. The halves are fixed by a hash of the user id.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=2000, seed=1, telling={"tour_taken": (0.8, 0.2)})
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> found = find_threshold(journeys, actions="tour_taken", within=(7, 14))
    >>> found.filter(action="tour_taken", chosen=True).select("at_least", pl.col("lift").round(1)).rows()
    [(1, 1.9)]
    """
    check_journeys(journeys)
    span = journeys.definition.first_days
    if within is None:
        within = [*[d for d in DEFAULT_WITHIN if d < span], span]
    _check(thresholds, within, span, actions)
    unit = "days" if events is None else "times"
    grid = [
        (k, d)
        for d in sorted({*within})
        for k in sorted({*thresholds})
        if unit == "times" or k <= d
    ]
    judged = judged_users(journeys, outcome=outcome, among=among, core_days=core_days)
    if not any(part.height for part in judged):
        raise TooFewUsersError("Nobody's outcome is known yet, so no threshold can be found.")
    early = early_of(journeys, judged)
    launched = launches(journeys, early)
    early = _narrowed(early, actions)
    if events is not None:
        early = _timed(early, events, sorted({*within}))
    marks = [_mark(k, d, unit) for k, d in grid]
    counts = tally(early, marks, launched, activity=unit == "days")
    halves = [weighed(numbers(counts, half=half)) for half in (True, False)]
    return _told(_chosen(*halves), grid, unit, defining(journeys, outcome))


def _check(thresholds: Sequence[int], within: Sequence[int], span: int, actions: object) -> None:
    faults = []
    for name, values, most in (("thresholds", thresholds, None), ("within", within, span)):
        whole = isinstance(values, Sequence) and all(
            isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= MOST_TIMES for v in values
        )
        if not whole or not values:
            faults.append(
                f"{name} is {values!r}; it takes whole numbers of at least 1, up to a billion."
            )
        elif most is not None and max(values) > most:
            faults.append(
                f"{name} goes up to {max(values)}; journeys know the first {most} days (first_days)."
            )
    names = [actions] if actions is None or isinstance(actions, str) else actions
    if not isinstance(names, Sequence) or not names:
        faults.append(f"actions is {actions!r}; it takes an event name or a list of them.")
    if faults:
        raise ParameterError.from_faults("No threshold can be looked for", faults)


def _narrowed(early: Early, actions: str | Sequence[str] | None) -> Early:
    if actions is None:
        return early
    asked = [actions] if isinstance(actions, str) else list(actions)
    events = early.asked(lambda did: did.select(pl.col("event").unique()))
    known = events.unique().collect()["event"].cast(pl.String).to_list()
    names = [name if name in known else normal_form(name) for name in asked]
    if missing := [name for name in names if name not in known]:
        hints = "".join(nearest(str(name), known) for name in missing)
        raise ParameterError(
            f"Nobody judged did {listing(missing, last='or')} in the first days.{hints}"
        )
    mine = pl.col("event").cast(pl.String).is_in(names)
    return Early(early.people, tuple(piece.filter(mine) for piece in early.pieces))


def _mark(k: int, d: int, unit: str) -> pl.Expr:
    on_days: pl.Expr = (pl.col("days") & (2**d - 1)).bitwise_count_ones()
    return (pl.col(f"within_{d}") if unit == "times" else on_days) >= k


def _timed(early: Early, events: Any, within: Sequence[int]) -> Early:
    """Count every action within each number of days, from the log."""
    log, _ = open_log(events)
    ids = early.people.schema["user_id"]
    if not same_kind(log.collect_schema()["user_id"], ids):
        raise ColumnError(
            f"'user_id' of events holds {log.collect_schema()['user_id']}, the journeys' holds {ids}; {ANOTHER_LOG}"
        )
    people = early.people.lazy().select("user_id", "person", "signed_up_at")
    since = pl.col("at") - pl.col("signed_up_at")
    counted = (
        log.select(
            pl.col("user_id").cast(ids, strict=False),
            pl.col("event").cast(pl.String).cast(pl.Categorical),
            "at",
        )
        .join(people, on="user_id")
        .filter(since >= days(0), since < days(max(within)))
        .group_by("person", "event")
        .agg([(since < days(d)).sum().cast(pl.UInt32).alias(f"within_{d}") for d in within])
        .collect()
    )
    known = early.did
    did = known.join(early.people.select("person", "signed_up_at"), on="person")
    did = did.filter(pl.col("first_at") < pl.col("signed_up_at") + days(max(within)))
    found = known.join(counted, on=["person", "event"])
    if missing := did.height - found.height:
        raise ParameterError(
            f"events lacks {missing:,} of the {did.height:,} early actions that these journeys know; {ANOTHER_LOG}"
        )
    return Early(early.people, (found.lazy(),))


def _chosen(choosing: pl.DataFrame, telling: pl.DataFrame) -> pl.DataFrame:
    """Mark each action's best cell on one half, and keep the other half's figures."""
    # Active days have no excess among equally active users; there the plain association must be positive.
    more = pl.when(pl.col("_spread") > 0).then("_excess").otherwise("phi") > 0
    usable = pl.col("enough") & pl.col("chance").is_not_null() & more
    best = (
        choosing.filter(usable)
        .sort("event", "chance", "mark")
        .unique("event", keep="first", maintain_order=True)
        .select("event", "mark", pl.lit(value=True).alias("chosen"), pl.col("chance").alias("rank"))
    )
    at = ["event", "mark"]
    return (
        telling.join(choosing.select(*at, pl.col("phi").alias("phi_choosing")), on=at, how="left")
        .join(best.drop("rank"), on=at, how="left")
        .join(best.select("event", "rank"), on="event", how="left")
        .with_columns(pl.col("chosen").fill_null(value=False))
    )


def _told(
    table: pl.DataFrame, grid: Sequence[tuple[int, int]], unit: str, core: Sequence[str]
) -> pl.DataFrame:
    a, b = pl.col("did_retained"), pl.col("did_churned")
    n1, n0 = pl.col("n_retained"), pl.col("n_churned")
    c, d = n1 - a, n0 - b
    ratios = {e.meta.output_name(): e for e in pooled_ratios(1.959964)}
    some = (pl.col("did") >= LEAST_USERS) & (pl.col("not") >= LEAST_USERS)
    adjusted = {
        "adjusted_risk_ratio": "risk_ratio",
        "adjusted_low": "risk_low",
        "adjusted_high": "risk_high",
    }
    name = pl.col("event").cast(pl.String)
    sides = pl.DataFrame(
        {
            "mark": range(len(grid)),
            "at_least": [k for k, _ in grid],
            "within_days": [w for _, w in grid],
        },
        schema={"mark": pl.Int32, "at_least": pl.Int64, "within_days": pl.Int64},
    )
    table = (
        table.with_columns(
            *[
                pl.when(some & ratios[o].is_finite()).then(ratios[o]).alias(n)
                for n, o in adjusted.items()
            ]
        )
        .with_columns(
            name.alias("action"),
            (a + b).alias("n"),
            (n1 + n0).alias("of"),
            _share(a + b, n1 + n0).alias("reach"),
            _share(a, a + b).alias("precision"),
            _share(n1, n1 + n0).alias("base_rate"),
            _share(a, n1).alias("sensitivity"),
            _share(d, n0).alias("specificity"),
            _share(d, c + d).alias("npv"),
            _share(_share(a, a + b), _share(c, c + d)).alias("risk_ratio"),
            pl.when("chosen").then("chance").alias("p"),
            name.is_in(list(core)).alias("part_of_definition"),
            pl.lit(unit).alias("unit"),
        )
        .with_columns(_share(pl.col("precision"), pl.col("base_rate")).alias("lift"))
        .join(sides, on="mark")
        .sort("rank", "action", ~pl.col("chosen"), "mark", nulls_last=True)
    )
    # Active days and what defines the outcome are sure to stand out, and would make the rest look surer.
    apart = pl.col("part_of_definition") | (name == ACTIVE_DAYS)
    family = table.select(pl.when(~apart).then("p"))["p"].to_list()
    table = table.with_columns(
        pl.Series("q", benjamini_hochberg(family), dtype=pl.Float64).fill_nan(None)
    )
    said = [_said(row) for row in table.iter_rows(named=True)]
    return table.with_columns(pl.Series("sentence", said, dtype=pl.String)).select(
        [pl.col(column).cast(dtype) for column, dtype in GRID.items()]
    )


def _said(row: dict[str, Any]) -> str:
    often = (
        f"on at least {row['at_least']} days"
        if row["unit"] == "days"
        else f"at least {row['at_least']} times"
    )
    if row["at_least"] == 1:
        often = "at all"
    cell = (
        f"{row['action']!r} {often} within {row['within_days']} day{'s'[: row['within_days'] > 1]}"
    )
    if not row["n"]:
        return f"{cell}: nobody on the half that is reported."
    told = (
        f"{cell}: {percent(row['precision'])} of those who did were retained, against {percent(row['base_rate'])} of all "
        f"(lift {row['lift']:.2f}); {percent(row['sensitivity'])} of the retained did. "
        if row["lift"] is not None
        else f"{cell}: nobody was retained. "
    )
    fair = row["adjusted_risk_ratio"]
    beside = "" if fair is None else f"Among equally active users {fair:.2f} times as often. "
    return (
        f"{told}{beside}It tells who stays; that it makes them stay is not shown.{late_said(row)}"
    )


def _share(n: pl.Expr, of: pl.Expr) -> pl.Expr:
    return n / pl.when(of > 0).then(of)
