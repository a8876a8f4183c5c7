"""Who is in: the users table, sign-ups, and users or accounts that are left out, counted by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import ColumnError, listing, nearest
from engagekit.instants import AT, local_day
from engagekit.journeys import USERS
from engagekit.log import as_lazy, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engagekit.definition import Definition
    from engagekit.log import Frame

NO_SIGNUP, NO_ACCOUNT = "no sign-up in the data", "no account in the users table"
OUT = 2**32 - 1  # the place of users who are known but left out


@dataclass(frozen=True)
class Extent:
    """What is known of a log before anybody is looked at: its first instant, its end, and how it keeps time."""

    start: datetime
    end: datetime
    dates_only: bool
    zone: str  # where local days lie


@dataclass(frozen=True)
class Members:
    """Who is in: `base` has a row per kept unit, `owners` one per known user, with the place of its unit in `base`."""

    base: (
        pl.DataFrame
    )  # user_id (the unit's), signed_up_at, given (by the users table), properties; sorted
    owners: pl.DataFrame  # user_id (as in the log), u (OUT: left out), signed_up_at, given
    left_out: Counter[tuple[str, str]]  # (reason, "users" | "accounts" | "events") -> how many


def open_people(
    users: Frame,
    *,
    id_type: pl.DataType,
    unit: str,
    dates_only: bool,
    timezone: str,
) -> pl.DataFrame:
    """Check the users table; bring its ids to the log's type and its sign-ups to instants."""
    frame = as_lazy(users, what="The users table").collect()
    faults = list(_column_faults(frame, unit))
    if "user_id" in frame.columns:
        frame = frame.drop_nulls("user_id")
        faults += _id_faults(frame, id_type)
    if faults:
        raise ColumnError.from_faults("The users table cannot be used", faults)
    at = frame.schema.get("signed_up_at")
    if at is not None:
        frame = frame.with_columns(_signup_at(at, dates_only=dates_only, timezone=timezone))
    return frame.with_columns(pl.col("user_id").cast(id_type))


def _column_faults(frame: pl.DataFrame, unit: str) -> Iterator[str]:
    if "user_id" not in frame.columns:
        yield f"there is no column 'user_id'.{nearest('user_id', frame.columns)}"
    if unit == "account" and "account_id" not in frame.columns:
        yield f"there is no column 'account_id', which unit='account' needs.{nearest('account_id', frame.columns)}"
    ours = [c for c in frame.columns if c in USERS and c != "signed_up_at"]
    if ours:
        yield f"{listing(ours)}: engagekit uses these names itself; rename them."
    at = frame.schema.get("signed_up_at")
    if at is not None and not isinstance(at, (pl.Datetime, pl.Date)):
        yield f"'signed_up_at' holds {at}; it takes times or dates."


def _id_faults(frame: pl.DataFrame, id_type: pl.DataType) -> Iterator[str]:
    doubled = frame.filter(pl.col("user_id").is_duplicated())["user_id"].unique(maintain_order=True)
    if doubled.len():
        yield f"{doubled.len()} users stand in more than one row, such as {doubled[0]!r}; keep one row for each."
    have = frame.schema["user_id"]
    both_whole = have.is_integer() and id_type.is_integer()
    both_text = all(isinstance(t, (pl.String, pl.Categorical, pl.Enum)) for t in (have, id_type))
    if frame.height and not (both_whole or both_text):
        yield f"'user_id' holds {have}, the log's holds {id_type}; cast one to the other."


def _signup_at(dtype: pl.DataType, *, dates_only: bool, timezone: str) -> pl.Expr:
    column = pl.col("signed_up_at")
    if not dates_only:
        return _local_midnight(column, timezone) if dtype == pl.Date else utc(column, dtype)
    day = column if dtype == pl.Date else local_day(utc(column, dtype), timezone)
    return utc(day, pl.Date())


def _local_midnight(day: pl.Expr, timezone: str) -> pl.Expr:
    # Where a clock change skips midnight, the day begins an hour later; where it skips the day, with the next one.
    begins = [
        (day.cast(pl.Datetime("us")) + timedelta(hours=hours)).dt.replace_time_zone(
            timezone, ambiguous="earliest", non_existent="null"
        )
        for hours in (0, 1, 24)
    ]
    return pl.coalesce(begins).dt.convert_time_zone("UTC")


def members(
    seen: pl.DataFrame,
    people: pl.DataFrame | None,
    definition: Definition,
    extent: Extent,
    *,
    unit: str,
) -> Members:
    """Find each unit's sign-up, and who is left out and why; `seen` has ``user_id, event_at`` (first sign-up event)."""
    table = seen if people is None else seen.join(people, on="user_id", how="full", coalesce=True)
    if "signed_up_at" not in table.columns:
        table = table.with_columns(pl.lit(None, AT).alias("signed_up_at"))
    given = pl.col("signed_up_at").is_not_null()
    table = table.with_columns(
        pl.coalesce("signed_up_at", "event_at").alias("signed_up_at"), given.alias("given")
    ).drop("event_at")
    left_out: Counter[tuple[str, str]] = Counter()
    if unit == "account":
        owners, table = table.select("user_id", unit_id="account_id"), _accounts(table)
        left_out[NO_ACCOUNT, "users"] = owners["unit_id"].null_count()
    else:
        owners = table.select("user_id", unit_id="user_id")
    table = table.with_columns(_reason(definition, extent).alias("_reason"))
    counts = table.drop_nulls("_reason").group_by("_reason").len()
    left_out.update({(reason, f"{unit}s"): n for reason, n in counts.iter_rows()})
    base = table.filter(pl.col("_reason").is_null()).drop("_reason").sort("user_id")
    places = base.select(
        pl.col("user_id").alias("unit_id"),
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("u"),
        "signed_up_at",
        "given",
    )
    owners = owners.join(places, on="unit_id", how="left").with_columns(pl.col("u").fill_null(OUT))
    return Members(base, owners.drop("unit_id"), left_out)


def _accounts(table: pl.DataFrame) -> pl.DataFrame:
    properties = [
        c for c in table.columns if c not in ("user_id", "account_id", "signed_up_at", "given")
    ]
    first = pl.col("signed_up_at") == pl.col("signed_up_at").min()
    return (
        table.drop_nulls("account_id")
        .group_by("account_id")
        .agg(
            pl.col("signed_up_at").min(),
            pl.col("given").filter(first).any(),
            # An account keeps a property only where all its members agree.
            *[
                pl.when(pl.col(c).n_unique() == 1).then(pl.col(c).first()).alias(c)
                for c in properties
            ],
        )
        .rename({"account_id": "user_id"})
    )


def _reason(definition: Definition, extent: Extent) -> pl.Expr:
    at = pl.col("signed_up_at")
    reason: Any = pl.when(at.is_null()).then(pl.lit(NO_SIGNUP))
    reason = reason.when(at >= extent.end).then(pl.lit("signed up at or after as_of"))
    first_day = local_day(pl.lit(extent.start, AT), extent.zone)
    reason = reason.when(local_day(at, extent.zone) < first_day).then(
        pl.lit("signed up before the log starts")
    )
    burn_in = definition.resolved(1).burn_in_days if definition.signup is None else None
    if burn_in:
        burnt = ~pl.col("given") & (at < extent.start + timedelta(days=burn_in))
        reason = reason.when(burnt).then(pl.lit(f"first seen in the first {burn_in} days"))
    expression: pl.Expr = reason.otherwise(None)
    return expression
