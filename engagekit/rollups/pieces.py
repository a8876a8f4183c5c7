"""What becomes of one part of a log: its tables as journeys declare them, kept in memory or on disk, and what is counted in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engagekit.journeys import counts_of, landed, set_apart

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    import polars as pl

    from engagekit.journeys import Counts, DayArrays, storage
    from engagekit.rollups.population import Extent, Part


@dataclass(frozen=True)
class Piece:
    """One part of the journeys, and all that answers need of it besides its tables; see `Part`."""

    tables: Mapping[str, Any] | storage.Stored
    counts: Counts
    left_out: Counter[tuple[str, str]]
    late: int
    forms: pl.DataFrame
    unannounced: tuple[int, int] = (0, 0)
    days: DayArrays | None = None


def piece_of(
    part: Part, extent: Extent, number: int, keep: Callable[..., storage.Stored] | None
) -> Piece:
    """Bring a part's tables to their declared form, and put them where `keep` does."""
    typed = {name: landed(table, name) for name, table in part.tables.items()}
    whole: dict[str, Any] = set_apart(typed, extent.start, extent.zone)
    tables = whole if keep is None else keep(whole, number=number)
    counts = counts_of(whole)
    # Where some are set apart, the users are numbered otherwise.
    days = part.days if keep is None and not counts.late else None
    return Piece(tables, counts, part.left_out, part.late, part.forms, part.unannounced, days)
