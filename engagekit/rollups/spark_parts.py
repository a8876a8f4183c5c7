"""A log in Spark, reduced partition by partition where it lies: each leaves its part of the journeys in a folder.

The log moves once, so that each user's events lie together; then every partition goes through the same reduction as a
log on one machine, and only counts come to the driver.
"""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.ingest import FORMS, ROUNDED_BIT, SCHEMA, SHARED_BIT, forms_of, remarks_on_ids
from engagekit.journeys import Counts, storage
from engagekit.rollups.local import part_of
from engagekit.rollups.pieces import Piece, piece_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from engagekit._base import Remark
    from engagekit.definition import Definition
    from engagekit.rollups.population import Extent

PARTITION = 1_000_000  # events in one partition, about


@dataclass(frozen=True)
class Spread:
    """A log in Spark, and what must be known of the whole to reduce a part of it."""

    log: Any
    ids: Any  # a frame of the ids of all events that count
    definition: Definition
    extent: Extent
    rows: int
    own: list[str]
    spelling: Mapping[str, str]

    def pieces(self, keep: Callable[..., storage.Stored]) -> Iterator[Piece]:
        """Reduce all partitions where they lie; what comes back says where their tables were put, and counts."""
        count = max(1, math.ceil(self.rows / PARTITION))
        whole = self.log.select(*self._columns()).repartition(count, "user_id")
        task = replace(self, log=None, ids=None)

        def reduced(batches: Iterator[Any]) -> Iterator[Any]:
            from pyspark import TaskContext

            context = TaskContext.get()
            piece = task.piece(batches, 0 if context is None else context.partitionId(), keep)
            if piece is not None:
                yield pl.DataFrame({"piece": [_written(piece)]}).to_arrow().to_batches()[0]

        for row in _mapped(whole, reduced, "piece string").toLocalIterator():
            yield _read(row[0])

    def piece(
        self, batches: Iterator[Any], number: int, keep: Callable[..., storage.Stored]
    ) -> Piece | None:
        """Reduce one partition, and leave its tables where `keep` puts them."""
        parts = [frame for frame in map(pl.from_arrow, batches) if isinstance(frame, pl.DataFrame)]
        log = pl.concat(parts) if parts else pl.DataFrame()
        if not log.height:
            return None
        part = part_of(log, self.definition, self.extent, self.own, self.spelling)
        return piece_of(part, self.extent, number, keep)

    def _columns(self) -> list[str]:
        names = ["user_id", "event", "at", *self.definition.property_names(), *self.own]
        return [f"`{name}`" for name in dict.fromkeys(names)]

    def remarks(self) -> list[Remark]:
        """Say which ids may be one person's, from counts that Spark makes."""
        from pyspark.sql import functions as F  # noqa: N812

        def formed(batches: Iterator[Any]) -> Iterator[Any]:
            for batch in batches:
                frame = pl.from_arrow(batch)
                if isinstance(frame, pl.DataFrame):
                    forms = forms_of(frame).select(
                        pl.col("form").reinterpret(signed=True), pl.col("bits").cast(pl.Int32)
                    )
                    yield from forms.to_arrow().to_batches()

        ids = self.ids.select("user_id").distinct()
        forms = _mapped(ids, formed, "form bigint, bits int")
        bits, many = F.col("bits"), F.col("n") > 1
        flags = [(bits.bitwiseAND(bit) > 0).cast("int") for bit in (ROUNDED_BIT, SHARED_BIT)]
        groups = forms.groupBy("form").agg(
            F.count("*").alias("n"),
            F.bit_or(bits).alias("bits"),
            *[F.sum(flag).alias(name) for flag, name in zip(flags, "rs", strict=True)],
        )
        told = groups.agg(
            F.sum("n"),
            F.sum(F.when(many, F.col("n")).otherwise(0)),
            F.sum(F.when(many, 1).otherwise(0)),
            F.bit_or(F.when(many, bits).otherwise(0)),
            F.sum("r"),
            F.sum("s"),
        ).first()
        count, alike, people, how, rounded, shared = (int(number or 0) for number in told)
        if not count:
            return []
        return remarks_on_ids(
            ids=count, alike=alike, people=people, rounded=rounded, shared=shared,
            forms=[form for place, form in enumerate(FORMS) if how >> place & 1],
        )  # fmt: skip


def _mapped(frame: Any, function: Callable[[Iterator[Any]], Iterator[Any]], schema: str) -> Any:
    with warnings.catch_warnings():
        # Of pandas, which it looks for but does not use here, Spark says that a new one is not yet supported.
        warnings.simplefilter("ignore", FutureWarning)
        return frame.mapInArrow(function, schema)


def _written(piece: Piece) -> str:
    """Write down what the driver needs of a piece; what has a row for each user stays where it is."""
    stored, counts = piece.tables, piece.counts
    if not isinstance(stored, storage.Stored):
        raise TypeError("the tables of a piece were not put anywhere")
    told = {
        "folder": str(stored.folder),
        "parts": {table: dict(parts) for table, parts in stored.parts.items()},
        "intervals": counts.intervals.serialize(format="json"),
        "active": counts.active.serialize(format="json"),
        "late entries": counts.late,
        "left out": [[*reason, count] for reason, count in piece.left_out.items()],
        "late": piece.late,
        "unannounced": piece.unannounced,
    }
    return json.dumps(told)


def _read(text: str) -> Piece:
    told = json.loads(text)
    intervals, active = (
        pl.DataFrame.deserialize(StringIO(told[name]), format="json")
        for name in ("intervals", "active")
    )
    return Piece(
        storage.Stored(Path(told["folder"]), told["parts"]),
        Counts(intervals, active, told["late entries"]),
        Counter({(reason, unit): count for reason, unit, count in told["left out"]}),
        told["late"],
        pl.DataFrame(schema=SCHEMA),
        tuple(told["unannounced"]),
    )
