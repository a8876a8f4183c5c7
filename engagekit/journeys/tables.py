"""Journeys: four small tables about each user, from which every answer is computed."""

from __future__ import annotations

import dataclasses
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import many, writing
from engagekit.definition import Definition
from engagekit.errors import ColumnError, ParameterError, StoredFileError, listing, nearest
from engagekit.instants import AT, beside_log, instant, last_before, local_day, times_before, zone
from engagekit.journeys.assigned import assigned_before
from engagekit.journeys.gaps import interval_of, median_gaps
from engagekit.journeys.storage import FILE, names, pieces_in, refuse_newer, settle, tables_in, tidy

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from engagekit.instants import Instant
    from engagekit.log import Frame

# What each table holds; `user_id` has the log's own type, `users` has the properties behind these columns.
USERS: dict[str, Any] = {
    "signed_up_at": AT,
    "activated_at": AT,  # first activation event at or after sign-up
    "first_action_at": AT,  # first event after sign-up that is neither the sign-up nor outreach
    "last_core_at": AT,
    "last_seen_at": AT,  # last event of any kind, the sign-up included
    "core_days": pl.UInt32,  # distinct local days with the core action
    "active_days": pl.UInt32,  # distinct local days with any event
}
STEPS: dict[str, Any] = {
    "step": pl.Int32,  # position in the definition, from 0
    "reached_at": AT,
    "last_reached_at": AT,
    "completed_at": AT,
}
EARLY: dict[str, Any] = {
    "event": pl.String,
    "first_at": AT,
    "times": pl.UInt32,
    "days": pl.UInt32,  # bit k: done on the user's own day k since sign-up
}
DAYS: dict[str, Any] = {
    "day": pl.Date,  # local calendar day
    "role": pl.String,  # core, advanced:<action>, advocacy, outreach, feedback_asked, feedback_given, errors, support
    "first_at": AT,
    "last_at": AT,
    "times": pl.UInt32,
}
TABLES = {"users": USERS, "steps": STEPS, "early": EARLY, "days": DAYS}
LEFT_OUT = {"reason": pl.String, "count": pl.Int64, "unit": pl.String}


@dataclass(frozen=True)
class Journeys:
    """What each user did, as far as the answers need it.

    Four tables, each a DataFrame, or a LazyFrame where they lie on disk:

    - `users`: one row per user; see `USERS`; then the properties given at `rollup`.
    - `steps`: one row per user and step reached; see `STEPS`.
    - `early`: one row per user and event of the first days; see `EARLY`.
    - `days`: one row per user, local day and role; see `DAYS`.

    Beside them the resolved `definition`, `as_of` (exclusive, UTC), `log_start`, whether the log only knows
    the day (`dates_only`), and `left_out`: ``reason, count, unit`` of what is not counted.
    """

    users: Frame
    steps: Frame
    early: Frame
    days: Frame
    definition: Definition
    as_of: datetime
    log_start: datetime
    dates_only: bool
    left_out: pl.DataFrame
    unit: str = "user"
    pieces: tuple[Mapping[str, pl.LazyFrame], ...] = ()  # the same tables, some users at a time

    @classmethod
    def from_frames(
        cls,
        users: Frame,
        steps: Frame,
        early: Frame,
        days: Frame,
        *,
        definition: Definition,
        as_of: Instant | None = None,
        log_start: Instant | None = None,
        about: Frame | None = None,
        dates_only: bool = False,
        left_out: Frame | None = None,
        unit: str = "user",
    ) -> Journeys:
        """Take the four tables as another engine computed them, checked and cast to the declared columns.

        Parameters
        ----------
        users, steps, early, days
            The tables, such as the queries of `rollup_sql` give them; naive instants are UTC.
        definition
            What they were made by; its windows that are None are resolved from `days`.
        as_of, log_start
            The end of the data (exclusive), and the log's first instant.
        about
            One row with both, in place of them.
        left_out
            ``reason, count, unit`` of what is not counted.
        dates_only, unit
            Whether the log only knows the day, and whether the units are users or accounts.

        Raises
        ------
        ColumnError
            A table lacks a column.
        ParameterError
            `as_of` or `log_start` is missing.
        """
        if about is not None:
            row = (
                about.lazy().select(*[_instant(about, c) for c in ("as_of", "log_start")]).collect()
            )
            as_of, log_start = row.row(0)
        if as_of is None or log_start is None:
            raise ParameterError("Journeys need as_of= and log_start=, or about= with both.")
        tables = {"users": users, "steps": steps, "early": early, "days": days}
        landed_ones: dict[str, Any] = {name: landed(frame, name) for name, frame in tables.items()}
        reasons = pl.DataFrame(schema=LEFT_OUT) if left_out is None else left_out.lazy().collect()
        return cls(
            **landed_ones,
            definition=definition.resolved(interval_of(median_gaps(landed_ones["days"]))),
            as_of=instant(as_of, timezone=definition.timezone),
            log_start=instant(log_start, timezone=definition.timezone, name="log_start"),
            dates_only=dates_only,
            left_out=reasons.select(pl.col(c).cast(kind) for c, kind in LEFT_OUT.items()).sort(
                "reason"
            ),
            unit=unit,
        )

    def __repr__(self) -> str:
        """Say which users these are, and up to when."""
        signed = local_day(pl.col("signed_up_at"), self.timezone)
        span = self.users.lazy().select(
            pl.len(), signed.min().alias("first"), signed.max().alias("last")
        )
        n, first, last = span.collect().row(0)
        when = f" who signed up {first} to {last}" if n else ""
        end = self.as_of.astimezone(zone(self.timezone))
        return f"Journeys of {many(n, self.unit)}{when}; data complete up to {end:%Y-%m-%d %H:%M} ({self.timezone})"

    @property
    def timezone(self) -> str:
        """Where local days lie; a log of dates has only its own days."""
        return "UTC" if self.dates_only else self.definition.timezone

    def _instant(self, value: Instant, name: str) -> datetime:
        zone_name = self.definition.timezone
        return beside_log(value, timezone=zone_name, dates_only=self.dates_only, name=name)

    @property
    def properties(self) -> list[str]:
        """Name the properties of users, usable as ``by=``."""
        return [
            c
            for c in self.users.lazy().collect_schema().names()
            if c not in {"user_id", "assigned_at", "variants_seen"} and c not in USERS
        ]

    def parts(self) -> Iterator[Journeys]:
        """Take the users part by part, as they lie on disk; in memory they are one part."""
        if not self.pieces:
            yield self
        for piece in self.pieces:
            tables: dict[str, Any] = dict(piece)
            yield dataclasses.replace(self, **tables, pieces=())

    def where(
        self,
        *,
        users: pl.Expr | None = None,
        signed_up: tuple[Instant | None, Instant | None] | None = None,
    ) -> Journeys:
        """Narrow to some users.

        Parameters
        ----------
        users
            A boolean expression over the columns of `users`.
        signed_up
            ``(since, until)``, `until` exclusive; None leaves that side open.

        Raises
        ------
        ColumnError
            `users` asks for a column that the users do not have.
        ParameterError
            `users` is no condition, or compares what cannot be; `signed_up` is no pair, or a bound of it is no instant.
        """
        keep = [] if users is None else [self._known(users)]
        for bound, name in zip(_pair(signed_up), ("since", "until"), strict=True):
            if bound is not None:
                moment = self._instant(bound, name)
                column = pl.col("signed_up_at")
                keep.append(column >= moment if name == "since" else column < moment)
        if not keep:
            return self
        whole = self._narrowed(self.users.lazy().filter(*keep))
        if not self.pieces:
            return whole
        # A condition may look at all users, so each part is told who is left.
        ids = whole.users.lazy().select("user_id").collect().lazy()
        parts = [
            part._narrowed(part.users.lazy().join(ids, on="user_id", how="semi"))  # noqa: SLF001
            for part in self.parts()
        ]
        return dataclasses.replace(whole, pieces=tuple(map(_tables, parts)))

    def _known(self, expression: pl.Expr) -> pl.Expr:
        said = f"users={expression!s} cannot narrow the users; give a condition such as pl.col('plan') == 'pro'"
        if not isinstance(expression, pl.Expr):
            raise ParameterError(f"{said}.")
        try:
            # One row is computed: what cannot be compared shows only then.
            kinds = self.users.lazy().head(1).select(expression).collect().dtypes
        except pl.exceptions.ColumnNotFoundError:
            columns = self.users.lazy().collect_schema().names()
            missing = sorted(set(expression.meta.root_names()) - set(columns))
            raise ColumnError.from_faults(
                f"The users (columns {listing(columns)}) cannot be narrowed so",
                [f"there is no column {name!r}.{nearest(name, columns)}" for name in missing],
            ) from None
        except pl.exceptions.PolarsError as error:
            raise ParameterError(f"{said}: {str(error).splitlines()[0]}.") from None
        if kinds != [pl.Boolean]:
            raise ParameterError(f"{said}; this one gives {listing(map(str, kinds))}.")
        return expression

    def _narrowed(self, users: pl.LazyFrame, **tables: pl.LazyFrame) -> Journeys:
        ids = users.select("user_id")
        rest = {
            n: tables.get(n, getattr(self, n).lazy()).join(ids, on="user_id", how="semi")
            for n in ("steps", "early", "days")
        }
        frames = {"users": users} | rest
        narrowed: dict[str, Any] = {n: _as_before(f, getattr(self, n)) for n, f in frames.items()}
        return dataclasses.replace(self, **narrowed)

    def at(self, as_of: Instant) -> Journeys:
        """Return what would have been known at an earlier instant, with the same definition and windows.

        ``last_seen_at`` and ``active_days`` are null for users seen at or after that instant: they are not kept
        day by day, and no answer needs them. A day that the instant cuts in two keeps what came before it: exact for
        one or two actions of a kind, while of more those between the first and the last are taken as evenly spread.

        Raises
        ------
        ParameterError
            `as_of` lies after the data end.
        """
        moment = self._instant(as_of, "as_of")
        if moment > self.as_of:
            raise ParameterError(
                f"as_of is {moment:%Y-%m-%d %H:%M}, but the data end at {self.as_of:%Y-%m-%d %H:%M}; nothing is known beyond."
            )
        whole = self._at(moment)
        pieces = tuple(_tables(part._at(moment)) for part in self.parts()) if self.pieces else ()  # noqa: SLF001
        return dataclasses.replace(whole, pieces=pieces)

    def _at(self, moment: datetime) -> Journeys:
        days = self.days.lazy().filter(pl.col("first_at") < moment)
        days = days.with_columns(last_before(moment), times_before(moment).cast(pl.UInt32))
        core = (
            days.filter(pl.col("role") == "core")
            .group_by("user_id")
            .agg(
                pl.col("last_at").max().alias("_core_at"),
                pl.len().cast(pl.UInt32).alias("_core_days"),
            )
        )
        seen_later = pl.col("last_seen_at") >= moment
        users = (
            self.users.lazy()
            .filter(pl.col("signed_up_at") < moment)
            .join(core, on="user_id", how="left", maintain_order="left")
            .with_columns(
                *[
                    pl.when(pl.col(c) < moment).then(c).alias(c)
                    for c in ("activated_at", "first_action_at")
                ],
                pl.when(pl.col("last_core_at") < moment)
                .then("last_core_at")
                .otherwise("_core_at")
                .alias("last_core_at"),
                pl.col("_core_days").fill_null(0).alias("core_days"),
                *[pl.when(~seen_later).then(c).alias(c) for c in ("last_seen_at", "active_days")],
            )
            .drop("_core_at", "_core_days")
            .pipe(assigned_before, moment)
        )
        steps = (
            self.steps.lazy()
            .filter(pl.col("reached_at") < moment)
            .with_columns(
                # Of a step reached again later, only the first time is known to lie before.
                pl.when(pl.col("last_reached_at") < moment)
                .then("last_reached_at")
                .otherwise("reached_at")
                .alias("last_reached_at"),
                pl.when(pl.col("completed_at") < moment).then("completed_at").alias("completed_at"),
            )
        )
        return dataclasses.replace(
            self._narrowed(users, steps=steps, days=days, early=self._early_before(moment)),
            as_of=moment,
        )

    def _early_before(self, moment: datetime) -> pl.LazyFrame:
        # Only users inside their first days at that instant change; nobody judges them, so counts stay as they are.
        return self.early.lazy().filter(pl.col("first_at") < moment)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the journeys into a folder, whole or not at all: what was there stays readable until the end."""
        folder = Path(folder)
        refuse_newer(folder)
        files = names(uuid.uuid4().hex[:12])
        try:
            with writing(str(folder)):
                folder.mkdir(parents=True, exist_ok=True)
                for name, file in files.items():
                    getattr(self, name).lazy().sink_parquet(folder / file)
            settle(about(self), folder, files)
        finally:
            tidy(folder)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, lazy: bool = False) -> Journeys:
        """Read journeys that `save` wrote; ``lazy=True`` leaves the tables on disk.

        Raises
        ------
        StoredFileError
            The folder holds no journeys, they are broken, or a newer engagekit wrote them.
        """
        folder = Path(folder)
        try:
            known = json.loads((folder / FILE).read_text(encoding="utf-8"))
            refuse_newer(folder)
            files = {name: known["tables"][name] for name in TABLES}
            tables: dict[str, Any] = tables_in(folder, files)
            if not lazy:
                tables = {name: pl.read_parquet(folder / file) for name, file in files.items()}
            return cls(
                **tables,
                definition=Definition.from_table(known["definition"], source=str(folder)),
                as_of=datetime.fromisoformat(known["as_of"]).astimezone(UTC),
                log_start=datetime.fromisoformat(known["log_start"]).astimezone(UTC),
                dates_only=known["dates_only"],
                left_out=pl.DataFrame(known["left_out"], schema=LEFT_OUT),
                unit=known["unit"],
                pieces=pieces_in(folder, files) if lazy else (),
            )
        except FileNotFoundError as error:
            raise StoredFileError(
                f"{str(folder)!r} holds no journeys ({error.filename} is missing); write them with journeys.save(folder)."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            if isinstance(error, StoredFileError):
                raise
            raise StoredFileError(
                f"The journeys in {str(folder)!r} cannot be read ({type(error).__name__}: {error}); roll the log up again."
            ) from None


def about(journeys: Journeys) -> dict[str, Any]:
    """Say what stands beside the tables, as a JSON file holds it."""
    return {
        "definition": journeys.definition.to_table(),
        "as_of": journeys.as_of.isoformat(),
        "log_start": journeys.log_start.isoformat(),
        "dates_only": journeys.dates_only,
        "unit": journeys.unit,
        "left_out": journeys.left_out.to_dicts(),
    }


def gathered(journeys: Journeys, question: Callable[[Journeys], pl.LazyFrame]) -> pl.LazyFrame:
    """Ask about users part by part, so that memory holds the answers and one part of the journeys."""
    if not getattr(
        journeys, "pieces", ()
    ):  # whoever gave something else is told so by the question
        return question(journeys)
    return pl.concat([question(part).collect() for part in journeys.parts()], rechunk=False).lazy()


def _tables(journeys: Journeys) -> dict[str, pl.LazyFrame]:
    return {name: getattr(journeys, name).lazy() for name in TABLES}


def _pair(signed_up: object) -> Sequence[Instant | None]:
    if signed_up is None:
        return (None, None)
    if not isinstance(signed_up, tuple | list) or len(signed_up) != 2:
        raise ParameterError(
            f"signed_up is {signed_up!r}; give a pair (since, until), with None for a side left open."
        )
    return signed_up


def _as_before(frame: pl.LazyFrame, before: Frame) -> Frame:
    return frame if isinstance(before, pl.LazyFrame) else frame.collect()


def landed(frame: Frame, name: str) -> Frame:
    """Cast a table to its declared columns, in their order; `users` keeps its properties behind them."""
    lazy = frame.lazy()
    have = lazy.collect_schema()
    declared = TABLES[name]
    missing = [c for c in ("user_id", *declared) if c not in have]
    if missing:
        raise ColumnError.from_faults(
            f"The table {name!r} cannot be used",
            [f"there is no column {c!r}.{nearest(c, have.names())}" for c in missing],
        )
    columns = [pl.col("user_id")] + [_cast(c, have[c], dtype) for c, dtype in declared.items()]
    if name == "users":
        columns += [pl.col(c) for c in have.names() if c != "user_id" and c not in declared]
    found = lazy.select(columns)
    if name == "users" and "assigned_at" in have:
        seen = pl.col("variants_seen").fill_null(0).cast(pl.UInt32)
        found = found.with_columns(_cast("assigned_at", have["assigned_at"], AT), seen)
    return _as_before(found, frame)


def _cast(column: str, have: pl.DataType, want: Any) -> pl.Expr:
    expression = pl.col(column)
    if want == AT and isinstance(have, pl.Datetime):
        expression = (
            expression.dt.convert_time_zone("UTC")
            if have.time_zone
            else expression.dt.replace_time_zone("UTC")
        )
        return expression.dt.cast_time_unit("us")
    return expression.cast(want)


def _instant(frame: Frame, column: str) -> pl.Expr:
    return _cast(column, frame.lazy().collect_schema()[column], AT)


def on_days(journeys: Journeys, role: str) -> pl.LazyFrame:
    """Take the days of one role: ``user_id, day, first_at, last_at, times``."""
    return journeys.days.lazy().filter(pl.col("role") == role).drop("role")


def on_advanced_days(journeys: Journeys) -> pl.LazyFrame:
    """Take the days of advanced actions: ``user_id, action, day, first_at, last_at, times``."""
    advanced = journeys.days.lazy().filter(
        pl.col("role").cast(pl.String).str.starts_with("advanced:")
    )
    return advanced.select(
        "user_id",
        pl.col("role").cast(pl.String).str.strip_prefix("advanced:").alias("action"),
        "day",
        "first_at",
        "last_at",
        "times",
    )


def silence_days(journeys: Journeys) -> pl.Expr:
    """Count the local days from a user's last core day to the last day before `as_of`."""
    end = pl.lit(journeys.as_of, AT) - pl.duration(microseconds=1)
    return (
        local_day(end, journeys.timezone) - local_day(pl.col("last_core_at"), journeys.timezone)
    ).dt.total_days()
