"""Journeys: small tables about each user, from which every answer is computed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import Remark, as_html, as_plain, many
from engagekit.definition import Definition
from engagekit.errors import ColumnError, ParameterError, StoredFileError, listing, nearest
from engagekit.instants import (
    AT,
    beside_log,
    instant,
    last_day,
    local_day,
    zone,
)
from engagekit.journeys.clock import ACTIVITY, clock_from, clock_of
from engagekit.journeys.earlier import active_before, days_begun, tables_before
from engagekit.journeys.kept import (
    FACTS_FILE,
    FACTS_KEPT,
    WIDER_FACTS,
    WIDER_FILE,
    Keeps,
    kept_of,
)
from engagekit.journeys.resolving import counts_of, late_counted, resolved, set_apart
from engagekit.journeys.schema import (
    EARLY_EVENTS,
    LEFT_OUT,
    TABLES,
    USERS,
    as_before,
    cast_to,
    landed,
)
from engagekit.journeys.storage import claimed, open_stored, pieces_in, put_whole, settle, tables_in

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from engagekit.instants import Instant
    from engagekit.journeys.storage import Stored
    from engagekit.log import Frame


@dataclass(frozen=True)
class Journeys(Keeps):
    """What each user did, as far as the answers need it.

    Five tables, each a DataFrame, or a LazyFrame where they lie on disk:

    - `users`: one row per user; see `USERS`; then the properties given at `rollup`.
    - `steps`: one row per user and step reached; see `STEPS`.
    - `early`: one row per user and event of the first days; see `EARLY`.
    - `days`: one row per user, local day and role; see `DAYS`.
    - `late`: one row per user whose sign-up is known and lies before the log, with the columns of `users`. They have
      rows in `days` only; answers about engagement count them, links, labels, cohorts and comparisons do not.

    Beside them the product's `clock` (see `product_clock`), made from all users of the log; the resolved `definition`, `as_of` (exclusive, UTC), `log_start`, whether the log only knows
    the day (`dates_only`), `left_out`: ``reason, count, unit`` of what is not counted, and `remarks`: what about
    the log, its ids and its users table every answer from these journeys has to bear in mind.
    """

    users: Frame
    steps: Frame
    early: Frame
    days: Frame
    late: Frame
    definition: Definition
    as_of: datetime
    log_start: datetime
    dates_only: bool
    left_out: pl.DataFrame
    clock: pl.DataFrame
    unit: str = "user"
    remarks: tuple[Remark, ...] = ()
    pieces: tuple[
        Mapping[str, Any], ...
    ] = ()  # the same tables, some users at a time; where their facts lie
    stored: Stored | None = None  # the files that the tables are read from, where they lie on disk

    if not TYPE_CHECKING:

        def __getattribute__(self, name: str) -> Any:
            """Take a part; a table on disk only if its files are still those that were opened."""
            stored = object.__getattribute__(self, "stored") if name in TABLES else None
            if stored is not None:
                stored.check(name)
            return object.__getattribute__(self, name)

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
        remarks: Sequence[Remark] = (),
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
        remarks
            What every answer has to bear in mind.

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
        known = {
            "as_of": instant(as_of, timezone=definition.timezone),
            "log_start": instant(log_start, timezone=definition.timezone, name="log_start"),
        }
        place = "UTC" if dates_only else definition.timezone
        whole = set_apart(landed_ones, known["log_start"], place)
        counts = [counts_of(whole)]
        found = resolved(counts, definition, zone=place, unit=unit, **known)
        left: Counter[tuple[str, str]] = Counter()
        if left_out is not None:
            rows = left_out.lazy().select(*LEFT_OUT).collect().iter_rows()
            left.update({(reason, what): int(count) for reason, count, what in rows})
        return cls(
            **whole | found | known | {"remarks": (*remarks, *found["remarks"])},
            dates_only=dates_only,
            left_out=left_out_of(left + late_counted(counts, unit)),
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

    def _repr_html_(self) -> str:
        return as_html(repr(self), self.remarks)

    def to_dict(self) -> dict[str, Any]:
        """Return what they stand on as plain values that JSON can hold: the definition and counts, nothing of one user."""
        facts = ("unit", "as_of", "log_start", "dates_only", "definition", "left_out", "remarks")
        users = self.users.lazy().select(pl.len()).collect().item()
        return {"users": users} | {name: as_plain(getattr(self, name)) for name in facts}

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
            tables: dict[str, Any] = {name: piece[name] for name in TABLES}
            part = dataclasses.replace(self, **tables, pieces=())
            facts = {name: piece[name] for name in piece.keys() - TABLES.keys()}
            kept_of(part).update(facts)
            yield part

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
        chosen = {"users": self.users.lazy().filter(*keep), "late": self._late_where(keep)}
        whole = self._narrowed(**chosen)
        if FACTS_KEPT in kept_of(self):
            kept_of(whole)[WIDER_FACTS] = kept_of(self)[FACTS_KEPT]  # facts are of one user each
        if not self.pieces:
            return whole
        # A condition may look at all users, so each part is told who is left.
        left = {n: f.select("user_id").collect().lazy() for n, f in chosen.items()}
        parts: list[dict[str, Any]] = []
        for part in self.parts():
            tables = {n: getattr(part, n).lazy() for n in left}
            mine = {n: t.join(left[n], on="user_id", how="semi") for n, t in tables.items()}
            kept = kept_of(part)
            wider = {WIDER_FILE: kept.get(FACTS_FILE) or kept.get(WIDER_FILE)}
            parts.append(_tables(part._narrowed(**mine)) | wider)  # noqa: SLF001
        return dataclasses.replace(whole, pieces=tuple(parts))

    def _late_where(self, keep: list[pl.Expr]) -> pl.LazyFrame:
        late = late_of(self)
        if not late.select(pl.len()).collect().item():
            return self.late.lazy()
        own = pl.col(*self.late.lazy().collect_schema().names())
        return late.filter(*keep).select(own)

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
        have = {n: tables.get(n, getattr(self, n).lazy()) for n in TABLES}
        ids, late = users.select("user_id"), have["late"].select("user_id")
        keep = {"steps": ids, "early": ids, "days": pl.concat([ids, late])}
        rest = {n: have[n].join(some, on="user_id", how="semi") for n, some in keep.items()}
        frames = {"users": users, "late": have["late"]} | rest
        narrowed: dict[str, Any] = {n: as_before(f, getattr(self, n)) for n, f in frames.items()}
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
        early = days_begun(moment, self.definition.first_days).alias(EARLY_EVENTS)
        cut = tables_before({name: getattr(self, name) for name in TABLES}, moment, early)
        active = active_before(self.days, self.clock.select(*ACTIVITY), moment)
        first = self.clock["day"][0]
        clock = clock_of([active], first, max(first, last_day(moment, self.timezone)))
        return dataclasses.replace(self._narrowed(**cut), as_of=moment, clock=clock)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the journeys into a folder, whole or not at all: what was there stays readable until the end."""
        folder = Path(folder)
        with claimed(folder) as tag:
            settle(about(self), put_whole(_tables(self), folder, tag))

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
            known, stored = open_stored(folder)
            tables: dict[str, Any] = dict(tables_in(stored))
            if not lazy:
                tables = {name: table.collect() for name, table in tables.items()}
            return cls(
                **tables,
                definition=Definition.from_table(known["definition"], source=str(folder)),
                as_of=datetime.fromisoformat(known["as_of"]).astimezone(UTC),
                log_start=datetime.fromisoformat(known["log_start"]).astimezone(UTC),
                dates_only=known["dates_only"],
                left_out=pl.DataFrame(known["left_out"], schema=LEFT_OUT),
                clock=clock_from(
                    date.fromisoformat(known["active"]["first"]), known["active"]["users"]
                ),
                unit=known["unit"],
                remarks=tuple(map(Remark.from_dict, known.get("remarks", ()))),
                pieces=pieces_in(stored) if lazy else (),
                stored=stored if lazy else None,
            )
        except FileNotFoundError:  # others were written while these were being read
            return cls.load(folder, lazy=lazy)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            pl.exceptions.PolarsError,
        ) as error:
            if isinstance(error, StoredFileError):
                raise
            raise StoredFileError(
                f"The journeys in {str(folder)!r} cannot be read ({type(error).__name__}: {error}); make them anew: "
                f"ek.rollup(log, definition, into={str(folder)!r})."
            ) from None


def signed_up_ids(journeys: Journeys, since: datetime) -> pl.LazyFrame:
    """List who signed up at or after an instant, the late among them: `user_id`."""
    tables = (journeys.users, journeys.late)
    at = pl.col("signed_up_at")
    return pl.concat([t.lazy().filter(at >= since).select("user_id") for t in tables])


def late_of(journeys: Journeys) -> pl.LazyFrame:
    """Take the users who signed up before the log, with every column of `users`; what is not known of them is null."""
    columns = journeys.users.lazy().head(0)
    return pl.concat([columns, journeys.late.lazy()], how="diagonal")


def left_out_of(counts: Counter[tuple[str, str]]) -> pl.DataFrame:
    """Write down what is not counted: ``reason, count, unit``, sorted; `counts` go by reason and unit."""
    rows = [(reason, count, what) for (reason, what), count in sorted(counts.items()) if count]
    return pl.DataFrame(rows, schema=LEFT_OUT, orient="row")


def about(journeys: Journeys) -> dict[str, Any]:
    """Say what stands beside the tables, as a JSON file holds it."""
    return {
        "definition": journeys.definition.to_table(),
        "as_of": journeys.as_of.isoformat(),
        "log_start": journeys.log_start.isoformat(),
        "dates_only": journeys.dates_only,
        "unit": journeys.unit,
        "left_out": journeys.left_out.to_dicts(),
        "active": {
            "first": journeys.clock["day"][0].isoformat(),
            "users": journeys.clock["active"].to_list(),
        },
        "remarks": [remark.to_dict() for remark in journeys.remarks],
    }


def gathered(journeys: Journeys, question: Callable[[Journeys], pl.LazyFrame]) -> pl.LazyFrame:
    """Ask about users part by part, so that memory holds the answers and one part of the journeys."""
    if not getattr(
        journeys, "pieces", ()
    ):  # whoever gave something else is told so by the question
        return question(journeys)
    return pl.concat([question(part).collect() for part in journeys.parts()], rechunk=False).lazy()


def _tables(journeys: Journeys) -> dict[str, Any]:
    return {name: getattr(journeys, name).lazy() for name in TABLES}


def _pair(signed_up: object) -> Sequence[Instant | None]:
    if signed_up is None:
        return (None, None)
    if not isinstance(signed_up, tuple | list) or len(signed_up) != 2:
        raise ParameterError(
            f"signed_up is {signed_up!r}; give a pair (since, until), with None for a side left open."
        )
    return signed_up


def _instant(frame: Frame, column: str) -> pl.Expr:
    return cast_to(column, frame.lazy().collect_schema()[column], AT)
