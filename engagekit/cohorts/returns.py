"""In which periods after their start users returned: the machinery under cohort curves.

Starts are collected (a row per user and cohort, or per window); returns stay lazy. Both carry `user_id`, and `_group`
where the answer is split. Periods count from 0 at the start; a return stands in period 1 or later, unless period 0 is asked about too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import period_index
from engagekit.cohorts.rolling_windows import span, ticks
from engagekit.cohorts.starts import chosen, held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.cohorts.parameters import Terms
    from engagekit.matchers import Matcher


def returns(
    log: pl.LazyFrame,
    matcher: Matcher | pl.Expr | None,
    by: Sequence[str],
    groups: pl.DataFrame | None,
    beside: Sequence[pl.Expr] = (),
) -> pl.LazyFrame:
    """Take the returning events: `user_id`, `_group` where the answer is split, `at`, and what is asked for `beside`."""
    rows = log.filter(chosen(matcher)).select("user_id", *held(by), "at", *beside)
    if groups is None:
        return rows
    names = [f"by:{name}" for name in by]
    known = groups.lazy().select("_group", *names)
    return rows.join(known, on=names, how="inner", nulls_equal=True).drop(names)


def hits(returning: pl.LazyFrame, begun: pl.DataFrame, terms: Terms) -> pl.LazyFrame:
    """Find the periods in which users returned: their keys, ``cohort`` and ``k`` (1 or more).

    In mode "on" each once; for "on or after" at least the latest of each user and cohort.
    """
    keys = ["user_id", "_group"] if "_group" in begun.columns else ["user_id"]
    if not terms.rolling:
        each = terms.cohorts == "each" and terms.mode == "on"
        return (_neighbor_hits if each else _calendar_hits)(returning, begun, keys, terms)
    if terms.mode == "on_or_after" and terms.min_times == 1:
        return _last_window_hits(returning, begun, keys, terms)
    if terms.anchor == "first" or terms.mode == "on_or_after":
        return _window_hits(returning, begun, keys, terms)
    return _many_window_hits(returning, begun, keys, terms)


def hits_at_once(returning: pl.LazyFrame, begun: pl.DataFrame, terms: Terms) -> pl.LazyFrame:
    """Find who returned in the very period of their start: their keys, `cohort` and `k`, which is 0.

    `returning` says besides of each event whether it ``starts``, `begun` the instant of each start, ``begun_at``: what
    starts a user at that instant is no return.
    """
    keys = [c for c in begun.columns if c not in ("tick", "cohort", "begun_at")]
    at, since = pl.col("at"), pl.col("begun_at")
    if terms.rolling:
        pairs = returning.join(begun.lazy(), on=keys, how="inner")
        pairs = pairs.filter((ticks(at, terms) - pl.col("tick")) // span(terms) == 0)
    else:
        placed = returning.with_columns(period_index(at, terms.calendar).alias("cohort"))
        pairs = placed.join(begun.lazy(), on=[*keys, "cohort"], how="inner")
    after = pairs.filter((at > since) | ((at == since) & ~pl.col("starts")))
    counted = after.group_by(*keys, "cohort").len().filter(pl.col("len") >= terms.min_times)
    return counted.select(*keys, "cohort", pl.lit(0, pl.Int64).alias("k"))


def _shown(terms: Terms) -> pl.Expr:
    # Returns beyond the last period shown still say up to when a user came back.
    kept = pl.col("k") >= 1
    return kept if terms.mode == "on_or_after" else kept & (pl.col("k") <= terms.last)


def _often_enough(rows: pl.LazyFrame, terms: Terms) -> pl.LazyFrame:
    """Keep each row once, of those that stand there as often as a return must be done."""
    if terms.min_times == 1:
        return rows.unique()
    names = rows.collect_schema().names()
    counted = rows.group_by(names).len()
    return counted.filter(pl.col("len") >= terms.min_times).drop("len")


def _active(returning: pl.LazyFrame, keys: list[str], terms: Terms) -> pl.LazyFrame:
    rows = returning.select(*keys, period_index(pl.col("at"), terms.calendar).alias("index"))
    return _often_enough(rows, terms)


def _neighbor_hits(
    returning: pl.LazyFrame, begun: pl.DataFrame, keys: list[str], terms: Terms
) -> pl.LazyFrame:
    """Compare each period of a user with their next ones, row by row, in a table sorted by user and period.

    Joining every start with every return of the user costs the square of their active periods.
    """
    starting = begun.lazy().select(*keys, pl.col("cohort").alias("index"), start=True, back=False)
    coming = _active(returning, keys, terms).with_columns(start=False, back=True)
    both = pl.concat([starting, coming]).group_by(*keys, "index").agg(pl.col("start", "back").any())
    table = both.collect(engine="streaming").sort(*keys, "index")
    longest = table.group_by(keys).len().select(pl.col("len").max()).item() or 0
    steps = range(1, min(longest - 1, terms.last) + 1)
    pairs = [_pairs(table, step, keys, terms) for step in steps]
    return pl.concat(pairs or [_pairs(table.clear(), 1, keys, terms)])


def _pairs(table: pl.DataFrame, step: int, keys: list[str], terms: Terms) -> pl.LazyFrame:
    same_user = pl.all_horizontal(pl.col(key) == pl.col(key).shift(-step) for key in keys)
    k = (pl.col("index").shift(-step) - pl.col("index")).cast(pl.Int64).alias("k")
    found = table.lazy().select(
        *keys,
        pl.col("index").alias("cohort"),
        k,
        (same_user & pl.col("start") & pl.col("back").shift(-step)).alias("hit"),
    )
    return found.filter("hit", pl.col("k") <= terms.last).drop("hit")


def _calendar_hits(
    returning: pl.LazyFrame, begun: pl.DataFrame, keys: list[str], terms: Terms
) -> pl.LazyFrame:
    k = (pl.col("index") - pl.col("cohort")).cast(pl.Int64).alias("k")
    index = period_index(pl.col("at"), terms.calendar).alias("index")
    if terms.mode == "on_or_after" and terms.min_times == 1:
        active = returning.group_by(keys).agg(index.max())
    elif terms.mode == "on_or_after":
        active = _active(returning, keys, terms).group_by(keys).agg(pl.col("index").max())
    else:
        # Each has one start here: joined first, the returns of others' groups are gone before they are told apart.
        pairs = returning.select(*keys, index).join(begun.lazy(), on=keys, how="inner")
        shown = pairs.select(*keys, "cohort", k).filter(_shown(terms))
        return _often_enough(shown, terms)
    pairs = active.join(begun.lazy(), on=keys, how="inner")
    return pairs.select(*keys, "cohort", k).filter(_shown(terms))


def _window_number(terms: Terms) -> pl.Expr:
    return ((pl.col("at") - pl.col("tick")) // span(terms)).alias("k")


def _window_hits(
    returning: pl.LazyFrame, begun: pl.DataFrame, keys: list[str], terms: Terms
) -> pl.LazyFrame:
    rows = returning.select(*keys, ticks(pl.col("at"), terms).alias("at"))
    pairs = rows.join(begun.lazy(), on=keys, how="inner")
    pairs = pairs.select(*keys, "cohort", "tick", _window_number(terms)).filter(_shown(terms))
    return _often_enough(pairs, terms).drop("tick")


def _last_window_hits(
    returning: pl.LazyFrame, begun: pl.DataFrame, keys: list[str], terms: Terms
) -> pl.LazyFrame:
    """Find the latest period alone: it lies between the first start of the cohort and the last return."""
    last = returning.group_by(keys).agg(ticks(pl.col("at"), terms).max().alias("at"))
    first = begun.lazy().group_by(*keys, "cohort").agg(pl.col("tick").min())
    pairs = last.join(first, on=keys, how="inner")
    return pairs.select(*keys, "cohort", _window_number(terms)).filter(_shown(terms))


def _many_window_hits(
    returning: pl.LazyFrame, begun: pl.DataFrame, keys: list[str], terms: Terms
) -> pl.LazyFrame:
    """Count the returns in each window of each start by looking up how many came before its two ends.

    Pairing every start with every return would cost their product, which one very active user makes too large.
    """
    rows = returning.select(*keys, ticks(pl.col("at"), terms).alias("at"))
    ranked = rows.collect(engine="streaming").sort("at")
    ranked = ranked.with_columns(pl.int_range(1, pl.len() + 1).over(keys).alias("before"))
    windows = begun.select(*keys, "cohort", "tick").sort("tick")
    found = []
    earlier = _come_before(ranked, windows, keys, span(terms))
    for k in range(1, terms.last + 1):
        later = _come_before(ranked, windows, keys, (k + 1) * span(terms))
        hit = windows.filter(later - earlier >= terms.min_times)
        found.append(hit.select(*keys, "cohort", pl.lit(k, pl.Int64).alias("k")))
        earlier = later
    nothing = windows.clear().select(*keys, "cohort", pl.lit(0, pl.Int64).alias("k"))
    return pl.concat([nothing, *found]).lazy().unique()


def _come_before(
    ranked: pl.DataFrame, windows: pl.DataFrame, keys: list[str], after: int
) -> pl.Series:
    """Count each start's returns before so many ticks after it."""
    found = windows.with_columns(pl.col("tick") + after).join_asof(
        ranked,
        left_on="tick",
        right_on="at",
        by=keys,
        allow_exact_matches=False,
        check_sortedness=False,
    )
    return found["before"].fill_null(0)
