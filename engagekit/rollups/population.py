"""Who is in: the users table, sign-ups, and users or accounts that are left out, counted by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.errors import ColumnError, EventLogError, listing, nearest, private
from engagekit.ingest import edges_of
from engagekit.instants import AT, local_day
from engagekit.journeys import USERS
from engagekit.log import as_lazy, utc
from engagekit.matchers import condition_faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from engagekit._base import Remark
    from engagekit.definition import Definition
    from engagekit.ingest import Edges, Outskirts
    from engagekit.journeys import DayArrays
    from engagekit.log import Frame
    from engagekit.rollups.spark_parts import Spread

TOO_SOON = "events before their user's sign-up"
LACKING = "rows without a user, an event name or a time"
NO_SIGNUP, NO_ACCOUNT = "no sign-up in the data", "no account in the users table"
TOO_LATE = "signed up at or after as_of"
EARLY, LATE = "stray events before the log begins", "stray events after it ends"
OUT = 2**32 - 1  # the place of users who are known but left out


@dataclass(frozen=True)
class Extent:
    """What is known of a log before anybody is looked at: its first instant, its end, and how it keeps time."""

    edges: Edges
    end: datetime
    dates_only: bool
    zone: str  # where local days lie
    asked: bool  # whether the end was given

    @property
    def start(self) -> datetime:
        """The first instant of the log's body."""
        return self.edges.start

    @property
    def holds(self) -> pl.Expr:
        """Whether an event counts: it lies in the log's body, or up to the end that was given."""
        at = pl.col("at")
        return at < self.end if self.edges.before is None else (at >= self.start) & (at < self.end)

    @property
    def quarters(self) -> tuple[datetime, datetime]:
        """The instants at which the third and the last quarter of the log begin."""
        length = self.end - self.start
        return self.start + length / 2, self.start + length * 3 / 4

    @property
    def stray(self) -> Counter[tuple[str, str]]:
        """How many events are left out at either end; those before an `as_of` that was given are vouched for."""
        found = {EARLY: self.edges.before, LATE: None if self.asked else self.edges.after}
        return Counter({(reason, "events"): s.events for reason, s in found.items() if s})


@dataclass(frozen=True)
class Part:
    """What came of some users of a log: the four tables, what was left out, and what is odd about them.

    `late` counts the units that did the activation or the core action before their sign-up and did not activate after
    it, `forms` is what `id_forms.forms_of` makes of the ids, and `unannounced` says how many users without a sign-up
    were first seen in the third and in the last quarter of the log.
    """

    tables: dict[str, pl.DataFrame]
    left_out: Counter[tuple[str, str]]
    late: int
    forms: pl.DataFrame
    unannounced: tuple[int, int] = (0, 0)
    days: DayArrays | None = None  # the days table once more, where it was made here


@dataclass(frozen=True)
class Opened:
    """A log whose columns and extent are known: what is left out of it so far, and the four tables part by part."""

    extent: Extent
    left_out: Counter[tuple[str, str]]
    parts: Iterable[Part] | Spread
    counts: pl.DataFrame  # its events by day
    people: pl.DataFrame | None  # the users table
    remarks: Sequence[Remark] = ()  # what could be said before any part was reduced


@dataclass(frozen=True)
class Members:
    """Who is in: `base` has a row per kept unit, `owners` one per known user, with the place of its unit in `base`."""

    base: (
        pl.DataFrame
    )  # user_id (the unit's), signed_up_at, given (by the users table), properties; sorted
    owners: pl.DataFrame  # user_id (as in the log), u (OUT: left out), signed_up_at, given
    left_out: Counter[tuple[str, str]]  # (reason, "users" | "accounts" | "events") -> how many
    nameless: pl.DataFrame  # user_id of units in the users table without a sign-up


def check_conditions(
    schema: Mapping[str, pl.DataType], definition: Definition, own: Sequence[str] = ()
) -> None:
    """Refuse conditions on properties that can never hold, and properties that make no groups."""
    faults = condition_faults(schema, definition.matchers().values())
    faults += [
        f"the property {name!r} holds {schema[name]}; a property of users takes text, numbers, true/false or dates."
        for name in own
        if not makes_groups(schema[name])
    ]
    if faults:
        raise ColumnError.from_faults("The definition does not fit the log", faults)


def makes_groups(kind: pl.DataType) -> bool:
    """Say whether users can be split by values of this kind."""
    texts = (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Date, pl.Null)
    return isinstance(kind, texts) or kind.is_numeric()


def columns_of_users(users: Frame | None) -> list[str]:
    """Name the columns of the users table, if there is one."""
    return [] if users is None else as_lazy(users, what="The users table").collect_schema().names()


def zone_of(definition: Definition, *, dates_only: bool) -> str:
    """Say where local days lie; a log of dates has only its own."""
    return "UTC" if dates_only else definition.timezone


def extent_of(
    counts: pl.DataFrame, end: datetime | None, ask: Outskirts, *, dates_only: bool, zone: str
) -> Extent:
    """Find the log's body from its events by day, and its end, unless that is given.

    Raises
    ------
    EventLogError
        There is nothing before the end.
    """
    if end is None:
        edges = edges_of(counts, ask)
        return Extent(edges, edges.end(dates_only=dates_only), dates_only, zone, asked=False)
    known = counts.filter(pl.col("first") < end)
    if not known.height:
        raise EventLogError(f"The log holds no event before as_of ({end:%Y-%m-%d %H:%M}).")
    until = pl.lit(end - timedelta(microseconds=1), AT)
    known = known.with_columns(pl.min_horizontal("last", until).alias("last"))
    return Extent(edges_of(known, ask), end, dates_only, zone, asked=True)


def people_of(
    users: Frame | None,
    id_type: pl.DataType,
    definition: Definition,
    unit: str,
    *,
    dates_only: bool,
) -> pl.DataFrame | None:
    """Open the users table, if there is one or must be."""
    if users is None and unit == "user":
        return None
    return open_people(
        pl.DataFrame(schema={"user_id": id_type}) if users is None else users,
        id_type=id_type,
        unit=unit,
        dates_only=dates_only,
        timezone=definition.timezone,
    )


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
        frame = _with_account(frame.drop_nulls("user_id"), unit)
        faults += _id_faults(frame, id_type, unit)
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


def _with_account(frame: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Let a row without an account say nothing about a user who has one in another row."""
    if unit == "user" or "account_id" not in frame.columns:
        return frame
    account = pl.col("account_id")
    return frame.filter(account.is_not_null() | account.is_null().all().over("user_id"))


def _id_faults(frame: pl.DataFrame, id_type: pl.DataType, unit: str) -> Iterator[str]:
    several = unit == "account" and "account_id" in frame.columns  # a user may be in several
    keys = ["user_id", "account_id"] if several else ["user_id"]
    again = pl.struct(keys).is_duplicated()
    doubled = frame.filter(again)["user_id"].unique(maintain_order=True)
    if doubled.len():
        each = "each of their accounts" if several else "each"
        yield f"{doubled.len()} users stand in more than one row, such as {private(repr(doubled[0]))}; keep one row for {each}."
    have = frame.schema["user_id"]
    both_whole = have.is_integer() and id_type.is_integer()
    both_text = all(isinstance(t, (pl.String, pl.Categorical, pl.Enum)) for t in (have, id_type))
    if frame.height and not (both_whole or both_text):
        yield f"'user_id' holds {have}, the log's holds {id_type}; cast one to the other."
    elif both_whole:
        beyond = frame["user_id"].cast(id_type, strict=False).null_count()
        if beyond:
            yield f"{beyond:,} ids do not fit into the log's {id_type}; cast 'user_id' of the log to Int64."


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
    table = seen
    if people is not None:
        # Its properties come last, as they may be called like any column made on the way.
        needed = [c for c in ("user_id", "signed_up_at", "account_id") if c in people.columns]
        table = seen.join(people.select(needed), on="user_id", how="full", coalesce=True)
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
    kept = table.filter(pl.col("_reason").is_null())
    base = kept.select("user_id", "signed_up_at", "given").sort("user_id")
    places = base.select(
        pl.col("user_id").alias("unit_id"),
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("u"),
        "signed_up_at",
        "given",
    )
    owners = owners.join(places, on="unit_id", how="left").with_columns(pl.col("u").fill_null(OUT))
    nameless = table.filter(pl.col("_reason") == NO_SIGNUP).select("user_id")
    return Members(base, owners.drop("unit_id"), left_out, nameless)


def with_properties(users: pl.DataFrame, people: pl.DataFrame | None, *, unit: str) -> pl.DataFrame:
    """Put what the users table says of each unit behind what was found of it."""
    if people is None:
        return users
    told = properties_of(people, unit=unit)
    return users.join(told, on="user_id", how="left", maintain_order="left")


def _accounts(table: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("signed_up_at") == pl.col("signed_up_at").min()
    signed = table.drop_nulls("account_id").group_by("account_id")
    found = signed.agg(pl.col("signed_up_at").min(), pl.col("given").filter(first).any())
    return found.rename({"account_id": "user_id"})


def properties_of(people: pl.DataFrame, *, unit: str) -> pl.DataFrame:
    """Take what the users table says of each unit, besides its sign-up."""
    if unit == "user":
        return people.drop("signed_up_at", strict=False)
    names = [c for c in people.columns if c not in ("user_id", "account_id", "signed_up_at")]
    # An account keeps a property only where all its members agree.
    agreed = [pl.when(pl.col(c).n_unique() == 1).then(pl.col(c).first()).alias(c) for c in names]
    accounts = people.drop_nulls("account_id").group_by("account_id").agg(*agreed)
    return accounts.rename({"account_id": "user_id"})


def _reason(definition: Definition, extent: Extent) -> pl.Expr:
    at, given = pl.col("signed_up_at"), pl.col("given")
    reason: Any = pl.when(at.is_null()).then(pl.lit(NO_SIGNUP))
    reason = reason.when(at >= extent.end).then(pl.lit(TOO_LATE))
    burn_in = burn_in_of(definition)
    if burn_in:
        burnt = ~given & (at < extent.start + timedelta(days=burn_in))
        reason = reason.when(burnt).then(pl.lit(burnt_in(burn_in)))
    expression: pl.Expr = reason.otherwise(None)
    return expression


def burn_in_of(definition: Definition) -> int:
    """Say for how many first days of the log a first event is no sign-up."""
    days = definition.resolved(1).burn_in_days if definition.signup is None else 0
    return days or 0


def burnt_in(days: int) -> str:
    """Name the reason for leaving out whoever was seen in them."""
    return f"first seen in the first {days} days"
