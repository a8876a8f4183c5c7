"""Who started when, and in which periods after it they returned: the machinery under cohort curves.

Starts are collected (one row per user and cohort); returns stay lazy. Both carry `_keys`: `user_id`, and `_group`
where the answer is split. Periods count from 0 at the start, so a return stands in period 1 or later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.errors import ColumnError, ParameterError, nearest
from engagekit.instants import AT, local_day
from engagekit.matchers import event_names, matches, property_names
from engagekit.periods import last_index, local_clock, period_index, since_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.instants import Instant
    from engagekit.matchers import Matcher
    from engagekit.retention_terms import Terms

OTHER = "Other"
_HOUR = 3_600_000_000  # microseconds
_HOURS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24}
_DAYS = {"week": 7, "month": 30}


def chosen(matcher: Matcher | pl.Expr | None) -> pl.Expr:
    """Build the expression that is true on the events meant; None means any event."""
    if matcher is None:
        return pl.lit(value=True)
    return matcher.fill_null(value=False) if isinstance(matcher, pl.Expr) else matches(matcher)


def columns_of(matcher: Matcher | pl.Expr | None) -> tuple[str, ...]:
    """List the properties a matcher looks at; what an expression looks at is found by trying it."""
    return () if matcher is None or isinstance(matcher, pl.Expr) else property_names(matcher)


def try_expression(log: pl.LazyFrame, name: str, matcher: object) -> None:
    """Refuse an expression that the log cannot answer with true or false.

    Raises
    ------
    ColumnError
        It looks at a column that is not there.
    ParameterError
        It gives something else than true or false.
    """
    if not isinstance(matcher, pl.Expr):
        return
    try:
        schema = log.select(matcher).collect_schema()
    except pl.exceptions.ColumnNotFoundError:
        known = log.collect_schema().names()
        missing = [c for c in matcher.meta.root_names() if c not in known]
        raise ColumnError.from_faults(
            f"The expression {name} cannot be used",
            [f"there is no column {c!r}.{nearest(c, known)}" for c in missing],
        ) from None
    if schema.dtypes() != [pl.Boolean()]:
        raise ParameterError(
            f"The expression {name} gives {', '.join(map(str, schema.dtypes()))}; it must be true or false for each event."
        )


def ticks(at: pl.Expr, terms: Terms) -> pl.Expr:
    """Write an instant as a whole number, cut as the granularity says; windows are `span` of these long.

    Microseconds, or local days where times are cut to the day.
    """
    if terms.granularity == "exact":
        return at.to_physical()
    if terms.calendar.period in _DAYS:
        return local_day(at, terms.calendar.timezone).to_physical().cast(pl.Int64)
    # The hour is that of the local clock: some zones are half an hour off.
    return at.to_physical() - local_clock(at, terms.calendar.timezone).to_physical() % _HOUR


def in_days(terms: Terms) -> bool:
    """Say whether ticks are local days."""
    return terms.granularity == "truncated" and terms.calendar.period in _DAYS


def span(terms: Terms) -> int:
    """Say how many ticks a rolling window lasts: 1 h, 24 h, 7 d or 30 d."""
    period = terms.calendar.period
    return _DAYS[period] if in_days(terms) else _HOURS[period] * _HOUR


def starts(
    log: pl.LazyFrame,
    matcher: Matcher | pl.Expr | None,
    by: Sequence[str],
    terms: Terms,
    *,
    since: int | None,
) -> pl.DataFrame:
    """Find the starts that count: ``user_id``, the columns of `by`, ``cohort``, and for rolling windows ``tick``."""
    chosen_rows = log.filter(chosen(matcher))
    if terms.cohorts == "each":
        found = _each_start(chosen_rows, by, terms, since)
    else:
        everything = log if terms.cohorts == "first" else _of_the_same_names(log, matcher)
        found = _first_starts(everything, chosen(matcher), by, terms)
    return found if since is None else found.filter(pl.col("cohort") >= since)


def _placed(at: pl.Expr, terms: Terms) -> list[pl.Expr]:
    placed = [period_index(at, terms.calendar).alias("cohort")]
    return [*placed, ticks(at, terms).alias("tick")] if terms.rolling else placed


def _each_start(
    rows: pl.LazyFrame, by: Sequence[str], terms: Terms, since: int | None
) -> pl.DataFrame:
    if terms.rolling and terms.anchor == "first":
        if since is not None:
            rows = rows.filter(period_index(pl.col("at"), terms.calendar) >= since)
        return _first_starts(rows, pl.lit(value=True), by, terms)
    rows = rows.select("user_id", *by, *_placed(pl.col("at"), terms))
    return rows.unique().collect(engine="streaming")


def _first_starts(
    log: pl.LazyFrame, mask: pl.Expr, by: Sequence[str], terms: Terms
) -> pl.DataFrame:
    """Find each user's first event of the log, where it is one meant; events of one instant count alike."""
    if terms.cohorts == "first_ever":
        times = [pl.col("at").filter(mask).min(), pl.col("at").min().alias("first")]
    else:
        log, times = log.filter(mask), [pl.col("at").min()]
    found = log.group_by("user_id", *by).agg(times).collect(engine="streaming")
    if by or "first" in found.columns:
        first = pl.col("first" if "first" in found.columns else "at").min()
        found = found.filter(pl.col("at") == first.over("user_id"))
    return found.select("user_id", *by, *_placed(pl.col("at"), terms))


def _of_the_same_names(log: pl.LazyFrame, matcher: Matcher | pl.Expr | None) -> pl.LazyFrame:
    if matcher is None:
        return log
    if isinstance(matcher, pl.Expr):
        meant = log.filter(chosen(matcher)).select(pl.col("event").cast(pl.String).unique())
        names = meant.collect(engine="streaming")["event"].to_list()
    else:
        names = list(event_names(matcher))
    return log.filter(pl.col("event").cast(pl.String).is_in(names))


def since_cohort(since: Instant | None, end: datetime, terms: Terms) -> int | None:
    """Give the number of the first cohort asked for, which must begin before the data end.

    Raises
    ------
    ParameterError
        `since` is not before the end.
    """
    if since is None:
        return None
    first = since_index(since, terms.calendar)
    if first > last_index(end, terms.calendar):
        raise ParameterError(
            f"since is {since!s}, but the data end at {end:%Y-%m-%d %H:%M} (UTC); give an earlier since, or a later as_of."
        )
    return first


def first_cohort(
    log: pl.LazyFrame | None, matcher: Matcher | pl.Expr | None, begun: pl.DataFrame, terms: Terms
) -> int | None:
    """Give the number of the period that holds the first event meant; None if there is none."""
    found = begun.select(pl.col("cohort").min()).item()
    if log is not None and terms.cohorts == "first_ever":
        first = period_index(pl.col("at").min(), terms.calendar)
        found = log.filter(chosen(matcher)).select(first).collect(engine="streaming").item()
    return None if found is None else int(found)


def in_groups(
    begun: pl.DataFrame, by: Sequence[str], limit: int | None
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Give the groups of the starts numbers, `_group` instead of the columns of `by`, and say what each is shown as."""
    if not by:
        return begun, None
    groups = begun.select(by).unique().sort(by, nulls_last=True).with_row_index("_group")
    numbered = begun.join(groups, on=list(by), how="left", nulls_equal=True).drop(by)
    return numbered, shown_groups(numbered, groups, by, limit)


def shown_groups(
    begun: pl.DataFrame, groups: pl.DataFrame, by: Sequence[str], limit: int | None
) -> pl.DataFrame:
    """Say what each group is shown as: `_group`, its own columns, `_shown`, and those columns as ``shown:<name>``.

    The `limit` groups with most starting users stay (ties by name), all others are "Other".
    """
    shown = [f"shown:{name}" for name in by]
    if limit is None:
        return groups.with_columns(
            pl.col("_group").alias("_shown"), *[pl.col(n).alias(f"shown:{n}") for n in by]
        )
    size = begun.group_by("_group").agg(pl.col("user_id").n_unique().alias("size"))
    named = groups.join(size, on="_group", how="left").with_columns(
        pl.col(n).cast(pl.String).alias(f"shown:{n}") for n in by
    )
    largest_first = [True, *[False] * len(by)]
    ranked = named.sort("size", *shown, descending=largest_first, nulls_last=True)
    kept = (pl.int_range(pl.len()) < limit).alias("kept")
    ranked = ranked.with_columns(kept).with_columns(
        pl.when("kept").then(pl.col(name)).otherwise(pl.lit(OTHER)).alias(name) for name in shown
    )
    ordered = ranked.sort("kept", *shown, descending=largest_first, nulls_last=True)
    labels = ordered.select(shown).unique(maintain_order=True).with_row_index("_shown")
    return ordered.join(labels, on=shown, how="left", nulls_equal=True)


def returns(
    log: pl.LazyFrame,
    matcher: Matcher | pl.Expr | None,
    by: Sequence[str],
    groups: pl.DataFrame | None,
) -> pl.LazyFrame:
    """Take the returning events: `user_id`, `_group` where the answer is split, and `at`."""
    rows = log.filter(chosen(matcher)).select("user_id", *by, "at")
    if groups is None:
        return rows
    known = groups.lazy().select("_group", *by)
    return rows.join(known, on=list(by), how="inner", nulls_equal=True).drop(by)


def hits(returning: pl.LazyFrame, begun: pl.DataFrame, terms: Terms) -> pl.LazyFrame:
    """Find the periods in which users returned: their keys, ``cohort`` and ``k`` (1 or more).

    In mode "on" each once; for "on or after" at least the latest of each user and cohort.
    """
    keys = ["user_id", "_group"] if "_group" in begun.columns else ["user_id"]
    if not terms.rolling:
        return _calendar_hits(returning, begun, keys, terms)
    if terms.mode == "on_or_after" and terms.min_times == 1:
        return _last_window_hits(returning, begun, keys, terms)
    if terms.anchor == "first" or terms.mode == "on_or_after":
        return _window_hits(returning, begun, keys, terms)
    return _many_window_hits(returning, begun, keys, terms)


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


def _calendar_hits(
    returning: pl.LazyFrame, begun: pl.DataFrame, keys: list[str], terms: Terms
) -> pl.LazyFrame:
    active = returning.select(*keys, period_index(pl.col("at"), terms.calendar).alias("index"))
    active = _often_enough(active, terms)
    if terms.mode == "on_or_after":
        active = active.group_by(keys).agg(pl.col("index").max())
    pairs = active.join(begun.lazy(), on=keys, how="inner")
    k = (pl.col("index") - pl.col("cohort")).cast(pl.Int64).alias("k")
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


def day_of_tick(tick: pl.Series) -> pl.Series:
    """Turn ticks that are local days into naive local midnights."""
    return tick.cast(pl.Int32).cast(pl.Date).cast(pl.Datetime("us"))


def instant_of_tick(tick: pl.Series) -> pl.Series:
    """Turn ticks that are microseconds into instants."""
    return tick.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(AT)
