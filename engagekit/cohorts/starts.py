"""Who started when, up to when the data go, and which groups the starts fall into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import last_index, period_index, since_index
from engagekit.cohorts.rolling_windows import ticks
from engagekit.errors import ColumnError, ParameterError, nearest
from engagekit.matchers import condition_faults, event_names, matches, property_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.cohorts.parameters import Terms
    from engagekit.instants import Instant
    from engagekit.matchers import Matcher

OTHER = "Other"


def chosen(matcher: Matcher | pl.Expr | None) -> pl.Expr:
    """Build the expression that is true on the events meant; None means any event."""
    if matcher is None:
        return pl.lit(value=True)
    return matcher.fill_null(value=False) if isinstance(matcher, pl.Expr) else matches(matcher)


def columns_of(matcher: Matcher | pl.Expr | None) -> tuple[str, ...]:
    """List the properties a matcher looks at; what an expression looks at is found by trying it."""
    return () if matcher is None or isinstance(matcher, pl.Expr) else property_names(matcher)


def try_expression(log: pl.LazyFrame, name: str, matcher: object) -> None:
    """Refuse a matcher or an expression that the log cannot answer with true or false.

    Raises
    ------
    ColumnError
        An expression looks at a column that is not there, or a condition at one of another kind.
    ParameterError
        An expression gives something else than true or false.
    """
    if not isinstance(matcher, pl.Expr):
        asked = [] if matcher is None else [matcher]
        if faults := condition_faults(log.collect_schema(), asked):
            raise ColumnError.from_faults(f"{name} does not fit the log", faults)
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


def held(by: Sequence[str]) -> list[pl.Expr]:
    """Take the columns to split by under names that nothing else here has."""
    return [pl.col(name).alias(f"by:{name}") for name in by]


def check_limit(log: pl.LazyFrame, by: Sequence[str], limit: int | None) -> None:
    """Refuse to name the smaller groups "Other" where a column holds lists or structs, which have no names.

    Raises
    ------
    ColumnError
        The columns: all of them.
    """
    schema = log.collect_schema()
    nested = [name for name in by if schema[name].is_nested()]
    if limit is not None and nested:
        raise ColumnError.from_faults(
            "limit cannot be used",
            [f"{name!r} holds {schema[name]}; it takes text or numbers." for name in nested],
        )


def starts(
    log: pl.LazyFrame,
    matcher: Matcher | pl.Expr | None,
    by: Sequence[str],
    terms: Terms,
    *,
    since: int | None,
) -> pl.DataFrame:
    """Find the starts that count: `user_id`, the columns of `by` as ``by:<name>``, `cohort`, and `tick` if rolling."""
    chosen_rows = log.filter(chosen(matcher))
    if terms.cohorts == "each":
        found = _each_start(chosen_rows, by, terms, since)
    else:
        everything = log if terms.cohorts == "first" else _of_the_same_names(log, matcher)
        found = _first_starts(everything, chosen(matcher), by, terms)
    return found if since is None else found.filter(pl.col("cohort") >= since)


def _placed(at: pl.Expr, terms: Terms) -> list[pl.Expr]:
    placed = [period_index(at, terms.calendar).alias("cohort")]
    if terms.period_zero == "returned":
        placed.append(at.alias("begun_at"))
    return [*placed, ticks(at, terms).alias("tick")] if terms.rolling else placed


def _each_start(
    rows: pl.LazyFrame, by: Sequence[str], terms: Terms, since: int | None
) -> pl.DataFrame:
    if terms.rolling and terms.anchor == "first":
        if since is not None:
            rows = rows.filter(period_index(pl.col("at"), terms.calendar) >= since)
        return _first_starts(rows, pl.lit(value=True), by, terms)
    rows = rows.select("user_id", *held(by), *_placed(pl.col("at"), terms))
    if terms.period_zero == "returned":
        rows = rows.group_by("user_id", *[f"by:{name}" for name in by], "cohort").agg(
            pl.col("begun_at").min()
        )
    return rows.unique().collect(engine="streaming")


def _first_starts(
    log: pl.LazyFrame, mask: pl.Expr, by: Sequence[str], terms: Terms
) -> pl.DataFrame:
    """Find each user's first event of the log, where it is one meant; events of one instant count alike."""
    if terms.cohorts != "first_ever":
        log, mask = log.filter(mask), pl.lit(value=True)
    first = log.group_by("user_id").agg(pl.col("at").min()).collect(engine="streaming")
    if by or terms.cohorts == "first_ever":
        # One row per user is found first: one per user and group would be many times as many.
        rows = log.filter(mask).select("user_id", *held(by), "at")
        meant = rows.join(first.lazy(), on=["user_id", "at"], how="semi").unique()
        first = meant.collect(engine="streaming")
    names = [f"by:{name}" for name in by]
    return first.select("user_id", *names, *_placed(pl.col("at"), terms))


def _of_the_same_names(log: pl.LazyFrame, matcher: Matcher | pl.Expr | None) -> pl.LazyFrame:
    if matcher is None:
        return log
    if isinstance(matcher, pl.Expr):
        meant = log.filter(chosen(matcher)).select(pl.col("event").cast(pl.String).unique())
        names = meant.collect(engine="streaming")["event"].to_list()
    else:
        names = list(event_names(matcher))
    return log.filter(pl.col("event").cast(pl.String).is_in(names))


def check_since(since: Instant | None, end: datetime, terms: Terms) -> None:
    """Refuse a first cohort that begins after the data end.

    Raises
    ------
    ParameterError
        `since` is not before the end.
    """
    if since is None or since_index(since, terms.calendar) <= last_index(end, terms.calendar):
        return
    raise ParameterError(
        f"since is {since!s}, but the data end at {end:%Y-%m-%d %H:%M} (UTC); give an earlier since, or a later as_of."
    )


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
    names = [f"by:{name}" for name in by]
    groups = begun.select(names).unique().sort(names, nulls_last=True).with_row_index("_group")
    numbered = begun.join(groups, on=names, how="left", nulls_equal=True).drop(names)
    return numbered, shown_groups(numbered, groups, by, limit)


def shown_groups(
    begun: pl.DataFrame, groups: pl.DataFrame, by: Sequence[str], limit: int | None
) -> pl.DataFrame:
    """Say what each group is shown as: `_group` and its columns, `_shown` and those columns as ``shown:<name>``.

    The `limit` groups with most starting users stay (ties by name), all others are "Other".
    """
    shown = [f"shown:{name}" for name in by]
    values = [pl.col(f"by:{name}").alias(f"shown:{name}") for name in by]
    if limit is None:
        return groups.with_columns(pl.col("_group").alias("_shown"), *values)
    size = begun.group_by("_group").agg(pl.col("user_id").n_unique().alias("_size"))
    named = groups.join(size, on="_group", how="left").with_columns(
        value.cast(pl.String) for value in values
    )
    largest_first = [True, *[False] * len(by)]
    ranked = named.sort("_size", *shown, descending=largest_first, nulls_last=True)
    kept = (pl.int_range(pl.len()) < limit).alias("_kept")
    ranked = ranked.with_columns(kept).with_columns(
        pl.when("_kept").then(pl.col(name)).otherwise(pl.lit(OTHER)).alias(name) for name in shown
    )
    ordered = ranked.sort("_kept", *shown, descending=largest_first, nulls_last=True)
    labels = ordered.select(shown).unique(maintain_order=True).with_row_index("_shown")
    return ordered.join(labels, on=shown, how="left", nulls_equal=True)
