"""Who is behind a mark of a chart: the users its number counts, and those it does not, from the answer's own code.

A mark is the number of a row of the answer. Each opening below names its answer, its chart, and for a row the users
that are its `n` and its `of`; where these are not as many as the chart says, nobody is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit import charts
from engagekit.cohorts import cohort_curves, pooled_curve
from engagekit.diagnosis import diagnose, link_flags
from engagekit.engagement import engagement_matrix, lifecycle, stickiness, usage_interval
from engagekit.errors import ParameterError, listing, nearest
from engagekit.first_weeks import ACTIVE_DAYS, compare_first_weeks, outcomes
from engagekit.funnels import funnel, step_drop_off
from engagekit.instants import AT, days
from engagekit.priority import prioritize

if TYPE_CHECKING:
    from collections.abc import Callable

    from engagekit.journeys import Journeys
    from engagekit.log import Frame

STACK = (
    "returning",
    "new",
    "resurrecting",
    "dormant",
)  # as the chart of the lifecycle numbers its marks


@dataclass(frozen=True)
class Behind:
    """A chart, and who is behind each of its marks.

    `rows` are the answer's; `n` and `of` of a mark are counts, `who` gives its users, `everyone` those of its `of`
    (None: the chart has no such number). `said` writes a mark: what it is, for a heading and for a screen reader.
    """

    name: str
    chart: Any
    journeys: Journeys
    rows: list[dict[str, Any]]
    who: Callable[[dict[str, Any]], pl.Series]
    everyone: Callable[[dict[str, Any]], pl.Series] | None
    said: Callable[[dict[str, Any]], str]
    _kept: dict[str, pl.DataFrame] = field(default_factory=dict)

    def mark(self, number: int) -> dict[str, Any]:
        """Take the row of a mark.

        Raises
        ------
        ParameterError
            There is no such mark, or nobody can be counted there yet.
        """
        if not isinstance(number, int) or not 0 <= number < len(self.rows):
            raise ParameterError(f"The chart {self.name!r} has no mark {number!r}.")
        if self.rows[number]["n"] is None:
            raise ParameterError("How many this is cannot be known yet.")
        return self.rows[number]


def behind(
    name: str,
    journeys: Journeys,
    *,
    events: Frame | None = None,
    answer: Any = None,
    **options: Any,
) -> Behind:
    """Ask the question of a chart, and keep what it takes to open each of its marks.

    Parameters
    ----------
    name
        The chart's name, as in `engagekit.charts`.
    journeys
        From `rollup`.
    events
        The log, for charts of raw events.
    answer
        The answer, where it is known already; it must be of these journeys and options.
    options
        What the answer takes, such as `period`, or `targets`; of the heatmap also `most`, how many cohorts to draw.

    Raises
    ------
    ParameterError
        Marks of that chart stand for no users, or `events` is missing.
    """
    maker = OPENINGS.get(name)
    if maker is None:
        raise ParameterError(
            f"The marks of {name!r} cannot be opened.{nearest(name, OPENINGS)} Those of these charts can: {listing(OPENINGS)}."
        )
    if name in OF_EVENTS and events is None:
        raise ParameterError(f"The chart {name!r} is of raw events: give events=.")
    if name in BY_THE_CLOCK:
        options = {"timezone": journeys.timezone} | options
    return maker(journeys, events, answer, options)


def _ids(frame: pl.DataFrame | pl.LazyFrame) -> pl.Series:
    return frame.lazy().select(pl.col("user_id").unique().sort()).collect()["user_id"]


def _same(columns: list[str], row: dict[str, Any]) -> pl.Expr:
    return pl.all_horizontal(pl.col(c).eq_missing(pl.lit(row[c])) for c in columns)


def _loop(journeys: Journeys, _: Any, answer: Any, options: dict[str, Any]) -> Behind:
    priority = prioritize(journeys, **options) if answer is None else answer
    flags = cache(lambda: link_flags(journeys).collect())

    def judged(row: dict[str, Any]) -> pl.DataFrame:
        return flags().filter(f"{row['link']}_of", _span(row["since"], row["until"]))

    return Behind(
        "loop", charts.loop(priority), journeys, priority.table.to_dicts(),
        lambda row: _ids(judged(row).filter(f"{row['link']}_n")),
        lambda row: _ids(judged(row)),
        lambda row: f"Passed {row['link']}",
    )  # fmt: skip


def _span(since: Any, until: Any) -> pl.Expr:
    """Take the sign-ups of a span as the loop does: both of its ends are in it."""
    signed = pl.col("signed_up_at")
    after = pl.lit(value=True) if since is None else signed >= pl.lit(since, AT)
    return after & (pl.lit(value=True) if until is None else signed <= pl.lit(until, AT))


def _by_quarter(journeys: Journeys, _: Any, answer: Any, options: dict[str, Any]) -> Behind:
    priority = prioritize(journeys, **options) if answer is None else answer
    signed = pl.col("signed_up_at").dt.convert_time_zone(journeys.timezone)
    flags = cache(lambda: link_flags(journeys).with_columns(signed.dt.truncate("1q").dt.date().alias("quarter")).collect())  # fmt: skip

    def judged(row: dict[str, Any]) -> pl.DataFrame:
        return flags().filter(f"{row['link']}_of", pl.col("quarter") == row["quarter"])

    return Behind(
        "loop_by_quarter", charts.loop_by_quarter(priority, notes=journeys.definition.annotations), journeys, priority.by_quarter.to_dicts(),
        lambda row: _ids(judged(row).filter(f"{row['link']}_n")),
        lambda row: _ids(judged(row)),
        lambda row: f"Passed {row['link']}, of the sign-ups of the quarter from {row['quarter']} on",
    )  # fmt: skip


def _diagnosis(journeys: Journeys, _: Any, answer: Any, options: dict[str, Any]) -> Behind:
    table = diagnose(journeys, **options) if answer is None else answer
    people = cache(lambda: diagnose(journeys, **options, people=True))
    groups = table.columns[: table.columns.index("if_users")]
    return Behind(
        "diagnosis", charts.diagnosis(table), journeys, table.to_dicts(),
        lambda row: _ids(people().filter(_same([*groups, "label"], row))),
        lambda row: _ids(people().filter(_same(groups, row) if groups else pl.lit(value=True), pl.col("label") != "too_early")),
        lambda row: f"{row['if_users']}",
    )  # fmt: skip


def _heatmap(journeys: Journeys, _: Any, answer: Any, options: dict[str, Any]) -> Behind:
    drawn = {
        "period": options.get("period", "week"),
        "most": options.pop("most", 40),
        "notes": journeys.definition.annotations,
    }
    table = cohort_curves(journeys, **options) if answer is None else answer
    people = cache(lambda: cohort_curves(journeys, **options, people=True))
    keys = table.columns[: table.columns.index("period")]
    return Behind(
        "heatmap", charts.heatmap(table, **drawn), journeys, table.to_dicts(),
        lambda row: _ids(people().filter(_same([*keys, "period"], row))),
        lambda row: _ids(people().filter(_same(keys, row), pl.col("period") == 0)),
        lambda row: f"Came back in period {row['period']}, of the cohort of {row['cohort']}",
    )  # fmt: skip


def _curve(journeys: Journeys, _: Any, answer: Any, options: dict[str, Any]) -> Behind:
    cells = cache(lambda: cohort_curves(journeys, **options))
    people = cache(lambda: cohort_curves(journeys, **options, people=True))
    pooled = pooled_curve(cells()) if answer is None else answer
    groups = pooled.columns[: pooled.columns.index("period")]

    def of(row: dict[str, Any], period: int) -> pl.DataFrame:
        over = cells().filter("complete").select(*groups, "cohort", "period")
        here = over.filter(_same([*groups, "period"], row)).drop("period")
        then = people().filter(pl.col("period") == period)
        return then.join(here, on=[*groups, "cohort"], how="semi", nulls_equal=True)

    return Behind(
        "curve", charts.curve(pooled, period=options.get("period", "week")), journeys, pooled.to_dicts(),
        lambda row: _ids(of(row, row["period"])),
        lambda row: _ids(of(row, 0)),
        lambda row: f"Came back in period {row['period']}",
    )  # fmt: skip


def _drop_off(journeys: Journeys, _: Any, answer: Any, __: dict[str, Any]) -> Behind:
    table = step_drop_off(journeys) if answer is None else answer
    lost = cache(lambda: step_drop_off(journeys, people=True))
    over = pl.col("signed_up_at") + days(journeys.definition.activation_days) <= journeys.as_of
    judged = journeys.users.lazy().filter(over).select("user_id")
    reached = journeys.steps.lazy().join(judged, on="user_id", how="semi").select("user_id", "step")
    return Behind(
        "step_drop_off", charts.step_drop_off(table), journeys, table.to_dicts(),
        lambda row: _ids(lost().filter(pl.col("position") == row["position"])),
        lambda row: _ids(reached.filter(pl.col("step") == row["position"])),
        lambda row: f"Did not complete {row['step']}",
    )  # fmt: skip


def _matrix(journeys: Journeys, _: Any, answer: Any, __: dict[str, Any]) -> Behind:
    table = engagement_matrix(journeys) if answer is None else answer
    people = cache(lambda: engagement_matrix(journeys, people=True))
    over = pl.col("signed_up_at") + days(journeys.definition.first_days) <= journeys.as_of
    return Behind(
        "engagement_matrix", charts.engagement_matrix(table), journeys, table.to_dicts(),
        lambda row: _ids(people().filter(pl.col("event") == row["event"])),
        lambda _: _ids(journeys.users.lazy().filter(over)),
        lambda row: f"Did {row['event']} in their first days",
    )  # fmt: skip


def _interval(journeys: Journeys, _: Any, answer: Any, __: dict[str, Any]) -> Behind:
    table = usage_interval(journeys) if answer is None else answer
    people = cache(lambda: usage_interval(journeys, people=True))
    return Behind(
        "usage_interval", charts.usage_interval(table), journeys, table.to_dicts(),
        lambda row: _ids(people().filter(pl.col("interval") <= row["days"])),
        lambda _: _ids(people()),
        lambda row: f"Usually pause {row['days']} days or less",
    )  # fmt: skip


def _dumbbell(journeys: Journeys, _: Any, answer: Any, options: dict[str, Any]) -> Behind:
    table = compare_first_weeks(journeys, **options) if answer is None else answer
    among = pl.col("outcome").is_in(["retained", "churned"])
    signed = journeys.users.lazy().select("user_id", "signed_up_at")
    known = cache(
        lambda: (
            outcomes(journeys, people=True)
            .filter(among)
            .lazy()
            .join(signed, on="user_id")
            .collect()
        )
    )
    counted = cache(lambda: _early_days(journeys, known()))
    rows = [
        row | {"n": row["did_retained"] + row["did_churned"], "of": row["n_retained"] + row["n_churned"]}
        for row in table.to_dicts()
    ]  # fmt: skip
    return Behind(
        "dumbbell", charts.dumbbell(table), journeys, rows,
        lambda row: _ids(_late(counted(), row).filter(pl.col("event") == row["action"], pl.col("on") >= (row["at_least"] or 1))),
        lambda row: _ids(_late(known(), row)),
        lambda row: f"Did {row['action']} on {row['at_least']} or more of their first days",
    )  # fmt: skip


def _early_days(journeys: Journeys, known: pl.DataFrame) -> pl.DataFrame:
    """Count on how many of their early days users did each action, and anything: ``user_id, event, on, signed_up_at``."""
    each = journeys.early.lazy().select(
        "user_id", pl.col("event").cast(pl.String), pl.col("days").bitwise_count_ones().alias("on")
    )
    active = pl.col("early_events").list.eval((pl.element() > 0).cast(pl.UInt32)).list.sum()
    any_day = journeys.users.lazy().select(
        "user_id", pl.lit(ACTIVE_DAYS).alias("event"), active.alias("on")
    )
    both = pl.concat([each, any_day], how="vertical_relaxed")
    return both.join(known.lazy().select("user_id", "signed_up_at"), on="user_id").collect()


def _late(users: pl.DataFrame, row: dict[str, Any]) -> pl.DataFrame:
    """Keep the users who could do an action that was launched late."""
    since = row.get("launched_at")
    return users if since is None else users.filter(pl.col("signed_up_at") >= pl.lit(since, AT))


def _lifecycle(journeys: Journeys, events: Any, answer: Any, options: dict[str, Any]) -> Behind:
    table = lifecycle(events, **options) if answer is None else answer
    people = cache(lambda: lifecycle(events, **options, people=True))
    rows = [
        {"period_start": row["period_start"], "state": state, "n": row[state], "of": None}
        for row in table.to_dicts()
        for state in STACK
    ]
    return Behind(
        "lifecycle", charts.lifecycle(table, notes=journeys.definition.annotations), journeys, rows,
        lambda row: _ids(people().filter(_same(["period_start", "state"], row))), None,
        lambda row: f"{row['state'].capitalize()} in the period from {row['period_start']} on",
    )  # fmt: skip


def _stickiness(journeys: Journeys, events: Any, answer: Any, options: dict[str, Any]) -> Behind:
    table = stickiness(events, **options) if answer is None else answer
    people = cache(lambda: stickiness(events, **options, people=True))
    more = options.get("cumulative", False)
    column = pl.col("intervals")
    rows = [row | {"n": row["users"]} for row in table.to_dicts()]
    return Behind(
        "stickiness", charts.stickiness(table), journeys, rows,
        lambda row: _ids(people().filter(column >= row["intervals"] if more else column == row["intervals"])),
        lambda _: _ids(people()),
        lambda row: f"Active in {row['intervals']} {'or more ' if more else ''}periods",
    )  # fmt: skip


def _funnel(journeys: Journeys, events: Any, answer: Any, options: dict[str, Any]) -> Behind:
    table = funnel(events, **options) if answer is None else answer
    people = cache(lambda: funnel(events, **options, people=True))
    groups = table.columns[: table.columns.index("step")]

    def at(row: dict[str, Any], step: int) -> pl.Series:
        return _ids(people().filter(_same([*groups, "step"], row | {"step": step})))

    return Behind(
        "funnel", charts.funnel(table), journeys, table.to_dicts(),
        lambda row: at(row, row["step"]),
        lambda row: at(row, max(row["step"] - 1, 0)),
        lambda row: f"Came to step {row['step'] + 1}, {row['event']}",
    )  # fmt: skip


OPENINGS: dict[str, Callable[[Journeys, Any, Any, dict[str, Any]], Behind]] = {
    "loop": _loop,
    "loop_by_quarter": _by_quarter,
    "diagnosis": _diagnosis,
    "heatmap": _heatmap,
    "curve": _curve,
    "step_drop_off": _drop_off,
    "engagement_matrix": _matrix,
    "usage_interval": _interval,
    "dumbbell": _dumbbell,
    "lifecycle": _lifecycle,
    "stickiness": _stickiness,
    "funnel": _funnel,
}
OF_EVENTS = ("lifecycle", "stickiness", "funnel")
BY_THE_CLOCK = (
    "lifecycle",
    "stickiness",
)  # their days are those of the product, as on the rest of the page
