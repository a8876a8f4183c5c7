"""The cells of a cohort table: which there are, whether each can be known yet, and who stands in it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import last_index, period_start, period_table, turns_at
from engagekit.cohorts.rolling_windows import day_of_tick, in_days, instant_of_tick, span, ticks
from engagekit.instants import AT
from engagekit.intervals import design_effect, wilson_columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from engagekit.cohorts.parameters import Terms

RATES = ("rate", "low", "high")


def shown_periods(terms: Terms) -> pl.DataFrame:
    """List the periods shown: ``period, from_period, to_period``; those differ only in brackets."""
    sizes = [1, *terms.brackets] if terms.brackets else [1] * terms.periods
    size = pl.Series("size", sizes, dtype=pl.Int64)
    ends = size.cum_sum() - 1
    number = pl.int_range(0, len(sizes), dtype=pl.Int64, eager=True)
    return pl.DataFrame({"period": number, "from_period": ends - size + 1, "to_period": ends})


def grid(terms: Terms, first: int, last: int, as_of: datetime) -> pl.DataFrame:
    """List every cell from the cohort `first` to the cohort `last`, and how far it can be known.

    Returns
    -------
    DataFrame
        `cohort` (its number), `period`, `from_period`, `to_period`; `begun` and `complete` (true or false).
    """
    bounds = _rolling_bounds if terms.rolling else _calendar_bounds
    moment = pl.lit(as_of, AT)
    complete = pl.col("closes_at") <= moment
    return bounds(terms, first, last, shown_periods(terms)).with_columns(
        # An hour that the clock skips ends as it begins.
        ((pl.col("opens_at") < moment) | complete).alias("begun"),
        complete.alias("complete"),
    )


def _calendar_bounds(terms: Terms, first: int, last: int, shown: pl.DataFrame) -> pl.DataFrame:
    table = period_table(first, last + terms.last, terms.calendar).select(
        "index", "begins_at", "ends_at"
    )
    cohorts = table.filter(pl.col("index") <= last).select(pl.col("index").alias("cohort"))
    cross = cohorts.join(shown, how="cross").with_columns(
        (pl.col("cohort") + pl.col(f"{side}_period")).cast(pl.Int32).alias(side)
        for side in ("from", "to")
    )
    opens = table.select(pl.col("index").alias("from"), pl.col("begins_at").alias("opens_at"))
    closes = table.select(pl.col("index").alias("to"), pl.col("ends_at").alias("closes_at"))
    return cross.join(opens, on="from", how="left").join(closes, on="to", how="left")


def _rolling_bounds(terms: Terms, first: int, last: int, shown: pl.DataFrame) -> pl.DataFrame:
    """Open a cell with the window of its cohort's earliest possible start, close it with that of the latest."""
    table = period_table(first, last, terms.calendar)
    resolution = timedelta(days=1) if terms.dates_only else timedelta(microseconds=1)
    earliest, latest = pl.col("begins_at"), pl.col("ends_at") - resolution
    cohorts = table.select(
        pl.col("index").alias("cohort"),
        ticks(earliest, terms).alias("earliest"),
        ticks(latest, terms).alias("latest"),
    )
    cross = cohorts.join(shown, how="cross").with_columns(
        (pl.col("earliest") + pl.col("from_period") * span(terms)).alias("opens_at"),
        (pl.col("latest") + (pl.col("to_period") + 1) * span(terms)).alias("closes_at"),
    )
    if not in_days(terms):
        return cross.with_columns(instant_of_tick(cross[c]) for c in ("opens_at", "closes_at"))
    zone = terms.calendar.timezone
    return cross.with_columns(
        turns_at(day_of_tick(cross["opens_at"]), zone, side="begin").alias("opens_at"),
        turns_at(day_of_tick(cross["closes_at"]), zone, side="end").alias("closes_at"),
    )


def appearances(hits: pl.LazyFrame, begun: pl.DataFrame, terms: Terms) -> pl.LazyFrame:
    """List who stands in which cell, each once: `user_id`, `_group` where split, `cohort`, `period`."""
    keys = _keys(begun)
    back = _up_to_the_latest(hits, keys, terms) if terms.mode == "on_or_after" else hits
    if terms.mode == "on" and terms.brackets:
        back = _in_brackets(hits, terms).unique()
    back = back.select(*keys, pl.col("k").alias("period"))
    return back if terms.period_zero == "returned" else pl.concat([members(begun), back])


def members(begun: pl.DataFrame) -> pl.LazyFrame:
    """List who belongs to which cohort, each once, as standing in its period 0."""
    everybody = begun.lazy().select(_keys(begun)).unique()
    return everybody.with_columns(pl.lit(0, pl.Int64).alias("period"))


def _keys(begun: pl.DataFrame) -> list[str]:
    return [c for c in begun.columns if c not in ("tick", "begun_at")]


def _up_to_the_latest(hits: pl.LazyFrame, keys: Sequence[str], terms: Terms) -> pl.LazyFrame:
    reached = pl.col("k").clip(0, terms.last)
    if terms.brackets:
        begins = shown_periods(terms)["from_period"].to_list()[1:]
        reached = pl.sum_horizontal([(pl.col("k") >= begin).cast(pl.Int64) for begin in begins])
    latest = hits.group_by(keys).agg(pl.col("k").max()).with_columns(reached.alias("k"))
    first = 0 if terms.period_zero == "returned" else 1
    periods = latest.with_columns(pl.int_ranges(first, pl.col("k") + 1, dtype=pl.Int64).alias("k"))
    return periods.explode("k", empty_as_null=False, keep_nulls=False)


def _in_brackets(hits: pl.LazyFrame, terms: Terms) -> pl.LazyFrame:
    base = shown_periods(terms).with_columns(
        pl.int_ranges("from_period", pl.col("to_period") + 1).alias("k")
    )
    return (
        hits.join(base.explode("k").lazy().select("k", "period"), on="k", how="inner")
        .drop("k")
        .rename({"period": "k"})
    )


def answer(
    hits: pl.LazyFrame,
    begun: pl.DataFrame,
    groups: pl.DataFrame | None,
    terms: Terms,
    first: int | None,
    end: datetime,
    *,
    people: bool,
) -> pl.DataFrame:
    """Put the users who came back into their cells, and count them unless they themselves are asked for."""
    if groups is not None:
        hits, begun = _as_shown(hits, groups), _as_shown(begun.lazy(), groups).collect()
    labels = None if groups is None else _labels(groups)
    present = appearances(hits, begun, terms)
    if people:
        return _people(present.collect(engine="streaming"), labels, terms)
    keys = ["cohort", "period"] if labels is None else ["_group", "cohort", "period"]
    last = last_index(end, terms.calendar)
    # Without any start there is no first cohort, and so no row.
    cells = grid(terms, 0, 0, end).clear() if first is None else grid(terms, first, last, end)
    cells = cells.sort("cohort", "period")
    n = _counted(present, cells, labels)
    of = _counted(members(begun), cells, labels) if terms.period_zero == "returned" else n
    table = _table(n, of, cells, labels, terms, end)
    if terms.cohorts != "each":
        return table
    effects = _users_effects(present, members(begun), cells, keys[:-2])
    if labels is not None:
        effects = effects.join(labels, on="_group", how="left").select(*_named(labels), *effects.columns[1:])  # fmt: skip
    on = [c for c in effects.columns if c != "users_effect"]
    return table.join(effects, on=on, how="left", nulls_equal=True, maintain_order="left")


def _users_effects(
    present: pl.LazyFrame, everybody: pl.LazyFrame, cells: pl.DataFrame, groups: list[str]
) -> pl.DataFrame:
    """Say per period how much less the complete cells tell because a user counts in several of them.

    Returns
    -------
    DataFrame
        `_group` where split, `period`, `users_effect`: the design effect with each user a cluster.
    """
    known = cells.lazy().filter("complete").select("cohort", "period")
    member = everybody.drop("period")
    could = member.join(known, on="cohort").group_by(*groups, "user_id", "period").agg(pl.len().alias("m"))  # fmt: skip
    did = present.join(known, on=["cohort", "period"]).group_by(*groups, "user_id", "period").agg(pl.len().alias("x"))  # fmt: skip
    both = could.join(did, on=[*groups, "user_id", "period"], how="left").with_columns(pl.col("x").fill_null(0))  # fmt: skip
    return (
        both.sort(*groups, "period", "user_id")
        .group_by(*groups, "period", maintain_order=True)
        .agg(design_effect("x", "m").round_sig_figs(12).alias("users_effect"))
        .collect(engine="streaming")
    )


def added_up(tables: Sequence[pl.DataFrame], by: Sequence[str], *, people: bool) -> pl.DataFrame:
    """Put together the tables of users who were taken part by part, all from the same first cohort on."""
    places = [*by, "cohort", "period"]
    both = pl.concat(tables)
    if people:
        return both.sort(*places, "user_id", nulls_last=True)
    same = [pl.col(c).first() for c in both.columns if c not in (*places, "n", "of", *RATES)]
    begun = pl.col("n").is_not_null().all()
    summed = both.group_by(places).agg(
        pl.when(begun).then(pl.col("n").sum()), pl.col("of").sum(), *same
    )
    rates = [
        pl.when("complete").then(e).alias(n) for n, e in zip(RATES, wilson_columns(), strict=True)
    ]
    return summed.with_columns(rates).sort(places, nulls_last=True).select(both.columns)


def _as_shown(rows: pl.LazyFrame, groups: pl.DataFrame) -> pl.LazyFrame:
    if (groups["_shown"] == groups["_group"]).all():
        return rows
    shown = rows.join(groups.lazy().select("_group", "_shown"), on="_group").drop("_group")
    return shown.rename({"_shown": "_group"}).unique()


def _labels(groups: pl.DataFrame) -> pl.DataFrame:
    shown = [name for name in groups.columns if name.startswith("shown:")]
    return groups.select(pl.col("_shown").alias("_group"), *shown).unique("_group")


def _named(labels: pl.DataFrame | None) -> list[pl.Expr]:
    shown = [] if labels is None else [name for name in labels.columns if name != "_group"]
    return [pl.col(name).alias(name.removeprefix("shown:")) for name in shown]


def _people(present: pl.DataFrame, labels: pl.DataFrame | None, terms: Terms) -> pl.DataFrame:
    keys = ["cohort", "period", "user_id"]
    found = present.sort(keys if labels is None else ["_group", *keys]).with_columns(_dated(terms))
    if labels is not None:
        found = found.join(labels, on="_group", how="left", maintain_order="left")
    return found.select(*_named(labels), *keys)


def _dated(terms: Terms) -> pl.Expr:
    return period_start(pl.col("cohort"), terms.calendar).alias("cohort")


def _counted(
    present: pl.LazyFrame, cells: pl.DataFrame, labels: pl.DataFrame | None
) -> NDArray[np.int64]:
    """Count who stands in each cell, group by group; cells stand in order of cohort and period, groups are numbered from 0."""
    import numpy as np

    groups, periods = 1 if labels is None else labels.height, cells["period"].n_unique()
    found = np.zeros(groups * cells.height, np.int64)
    if cells.is_empty():
        return found
    first, last = (cells["cohort"][place] for place in (0, -1))
    group = pl.lit(0, pl.Int64) if labels is None else pl.col("_group").cast(pl.Int64)
    cohort = pl.col("cohort").cast(pl.Int64)
    # One number for the cell: numbers are grouped twice as fast as three columns.
    cell = (group * (last - first + 1) + cohort - first) * periods + pl.col("period")
    counts = present.filter(cohort.is_between(first, last)).group_by(cell.alias("_cell")).len()
    known = counts.collect(engine="streaming")
    found[known["_cell"].to_numpy()] = known["len"].to_numpy()
    return found


def _table(
    n: NDArray[np.int64],
    of: NDArray[np.int64],
    cells: pl.DataFrame,
    labels: pl.DataFrame | None,
    terms: Terms,
    end: datetime,
) -> pl.DataFrame:
    extra = ["from_period", "to_period"] if terms.brackets else []
    periods = max(1, cells["period"].n_unique())
    cells = cells.select("cohort", "period", *extra, "begun", "complete")
    if labels is None:
        table = cells
    else:
        table = labels.sort("_group").join(cells, how="cross", maintain_order="left_right")
    of = of[::periods].repeat(periods)  # a cohort's size stands in period 0
    table = table.with_columns(
        pl.when("begun").then(pl.Series(n)).alias("n"), pl.Series(of).alias("of")
    )
    until = [pl.lit(end, AT).alias("followed_until")] if terms.mode == "on_or_after" else []
    named = [*_named(labels), _dated(terms), pl.col("period"), *map(pl.col, extra)]
    counts, rates = [pl.col("n"), pl.col("of")], _rates(table)
    return table.select(*named, *counts, *rates, pl.col("complete"), *until)


def _rates(table: pl.DataFrame) -> list[pl.Expr | pl.Series]:
    """Give the rate of each complete cell with its interval; of many small cells, those alike are computed once."""
    top = table["of"].max()
    size = 0 if not isinstance(top, int) else top + 1
    if size * size > table.height:
        return [
            pl.when("complete").then(e).alias(n)
            for n, e in zip(RATES, wilson_columns(), strict=True)
        ]
    count = pl.int_range(size, dtype=pl.Int64)
    kinds = pl.select(count.alias("of")).join(pl.select(count.alias("n")), how="cross")
    known = kinds.with_columns(pl.col("n").clip(None, pl.col("of"))).select(wilson_columns())
    at = table.select(pl.when("complete").then(pl.col("of") * size + pl.col("n"))).to_series()
    return [known[name].gather(at) for name in RATES]
