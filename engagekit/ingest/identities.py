"""Who is who: several ids of one person joined, and staff, tests and bots left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import ColumnError, EventLogError, listing, nearest, private
from engagekit.ingest.column_mapping import ALIAS
from engagekit.log import as_lazy
from engagekit.matchers import Match, condition_faults, matches, property_names

if TYPE_CHECKING:
    from collections.abc import Mapping

LEFT_OUT = "engagekit:left out"


def seen_together(log: pl.LazyFrame) -> pl.DataFrame:
    """Learn from the log which visitor ids stand beside one user's id, and only that user's."""
    user = pl.col("user_id").cast(pl.String)
    pairs = (
        log.filter(user != pl.col(ALIAS))
        .group_by(pl.col(ALIAS).alias("alias"))
        .agg(user.first().alias("user_id"), user.n_unique().alias("users"))
    )
    return pairs.filter(pl.col("users") == 1).select("alias", "user_id").sort("alias").collect()


def join_identities(log: pl.LazyFrame, identities: Any) -> pl.LazyFrame:
    """Put each alias's user in its place; chains are followed to their end.

    Raises
    ------
    ColumnError
        `identities` lacks a column.
    EventLogError
        An alias stands for two users, aliases run in a circle, or an id is missing: all of them.
    """
    pairs = _pairs(identities)
    dtype = log.collect_schema()["user_id"]
    if dtype.is_integer():
        # Numbers and text name the same user by their digits.
        log = log.with_columns(pl.col("user_id").cast(pl.String))
    if pairs.is_empty():
        return log
    user = pl.col("user_id").cast(pl.String)
    return log.with_columns(user.replace(pairs["alias"], pairs["user_id"]).alias("user_id"))


def as_id(column: pl.Expr, dtype: Any) -> pl.Expr:
    """Write ids as the text a log has them in: whole numbers that pandas made decimals, for want of a null, as whole."""
    if dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        return pl.when(column == whole).then(whole.cast(pl.String)).otherwise(column.fill_nan(None))
    return column.cast(pl.String)


def _frame(value: Any, name: str, takes: str) -> pl.LazyFrame:
    try:
        return as_lazy(value)
    except EventLogError:
        raise ColumnError(f"{name} is a {type(value).__name__}; it takes {takes}.") from None


def _pairs(identities: Any) -> pl.DataFrame:
    frame = _frame(identities, "identities", "a frame with 'alias' and 'user_id'").collect()
    absent = [name for name in ("alias", "user_id") if name not in frame.columns]
    if absent:
        raise ColumnError.from_faults(
            f"identities (columns {', '.join(map(repr, frame.columns))}) cannot be used",
            [f"there is no column {name!r}.{nearest(name, frame.columns)}" for name in absent],
        )
    pairs = frame.select(
        as_id(pl.col(name), frame.schema[name]) for name in ("alias", "user_id")
    ).unique(maintain_order=True)
    faults = []
    if nulls := pairs.filter(pl.any_horizontal(pl.all().is_null())).height:
        faults.append(f"{nulls} rows lack the alias or the user_id.")
    pairs = pairs.drop_nulls().filter(pl.col("alias") != pl.col("user_id"))
    twice = pairs.filter(pl.col("alias").is_duplicated())["alias"].unique(maintain_order=True)
    if not twice.is_empty():
        faults.append(
            f"{twice.len()} aliases stand for two users: {private(listing(twice.head(3)), '(ids)')}. Give each alias one user."
        )
        pairs = pairs.unique("alias", keep="first", maintain_order=True)
    pairs, circle = _followed(pairs)
    if circle:
        faults.append(
            f"aliases run in a circle: {private(listing(circle), '(ids)')}. End each chain at the id that stays."
        )
    if faults:
        raise EventLogError.from_faults("identities cannot be used", faults)
    return pairs


def _followed(pairs: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    # Each round doubles the length of chain that is followed, so n rounds follow 2^n links.
    further = pairs.rename({"alias": "user_id", "user_id": "end"})
    for _ in range(max(1, pairs.height).bit_length() + 1):
        joined = pairs.join(further, on="user_id", how="left", maintain_order="left")
        if joined["end"].null_count() == joined.height:
            return pairs, []
        pairs = joined.select("alias", user_id=pl.coalesce("end", "user_id"))
        further = pairs.rename({"alias": "user_id", "user_id": "end"})
    still = pairs.join(further, on="user_id", how="semi")["alias"]
    return pairs, sorted(still.head(5).to_list())


def excluded(exclude: Any, schema: Mapping[str, pl.DataType]) -> pl.Expr | pl.LazyFrame:
    """Tell what to leave out: an expression on events for a matcher, a frame of ids for a frame.

    Raises
    ------
    ColumnError
        It is neither, or asks for what no event of a log with this schema can have.
    """
    if isinstance(exclude, (str, Match, list, tuple, dict)):
        faults = [
            f"exclude looks at {name!r}, which the log does not have.{nearest(name, schema)}"
            for name in property_names(exclude)
            if name not in schema
        ]
        if faults := faults + condition_faults(schema, [exclude]):
            raise ColumnError.from_faults("exclude cannot be used", faults)
        return matches(exclude)
    takes = (
        "a matcher (an event name, a list of names, ek.Match), or a frame with a column 'user_id'"
    )
    ids = _frame(exclude, "exclude", takes)
    names = ids.collect_schema().names()
    column = "user_id" if "user_id" in names else names[0] if len(names) == 1 else None
    if column is None:
        raise ColumnError(
            f"exclude has the columns {listing(names)}; it takes a matcher, or a frame with a column 'user_id'.{nearest('user_id', names)}"
        )
    dtype = ids.collect_schema()[column]
    return ids.select(as_id(pl.col(column), dtype).alias(LEFT_OUT)).drop_nulls().unique()


def leave_out(log: pl.LazyFrame, exclude: Any) -> pl.LazyFrame:
    """Leave out the events a matcher means, or all events of the users a frame lists."""
    what = excluded(exclude, log.collect_schema())
    if isinstance(what, pl.Expr):
        return log.filter(~what)
    user = pl.col("user_id").cast(pl.String)
    return log.join(what, left_on=user, right_on=LEFT_OUT, how="anti", maintain_order="left")
