"""What follows from journeys alone is made once and kept with them; of parts on disk, the facts lie beside the tables."""

from __future__ import annotations

import hashlib
import json
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engagekit.journeys.tables import Journeys

T = TypeVar("T")
FACTS_KEPT = "facts"
WIDER_FACTS = "facts of more users"  # of journeys that these were narrowed from
FACTS_FILE = "facts file"  # where those of a part on disk lie, once they are made
WIDER_FILE = "facts file of more users"
KEY = "engagekit"
FORMAT = 1  # raised where the same tables give other facts
# What of a definition changes neither tables nor facts, only what is held against them.
ONLY_JUDGED_BY = ("targets", "margin", "recent_days")


class Keeps:
    """Room for what was made of journeys, which is no part of them: neither shown, compared, copied nor pickled."""

    __slots__ = ("_kept",)
    _kept: dict[Any, Any]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made anew."""
        return self.__dict__


def kept_of(journeys: Journeys) -> dict[Any, Any]:
    """Take what is kept with journeys."""
    try:
        return journeys._kept  # noqa: SLF001
    except AttributeError:
        object.__setattr__(
            journeys, "_kept", {}
        )  # frozen are the journeys, not what follows from them
        return journeys._kept  # noqa: SLF001


def once(journeys: Journeys, what: Any, make: Callable[[Journeys], T]) -> T:
    """Make what follows from journeys and from nothing else, and keep it with them: they never change."""
    kept = kept_of(journeys)
    if what not in kept:
        kept[what] = make(journeys)
    found: T = kept[what]
    return found


def made(journeys: Journeys, what: Any) -> bool:
    """Say whether something is kept with journeys already."""
    return what in kept_of(journeys)


def made_by(journeys: Journeys) -> str:
    """Say in a digest what facts follow from beside the tables: the definition, the end of the data, the clock."""
    table = {k: v for k, v in journeys.definition.to_table().items() if k not in ONLY_JUDGED_BY}
    told = [FORMAT, table, journeys.as_of, journeys.dates_only, journeys.clock["active"].to_list()]
    return hashlib.sha256(json.dumps(told, default=str, sort_keys=True).encode()).hexdigest()


def read_facts(journeys: Journeys, path: Path | None) -> pl.DataFrame | None:
    """Read facts that were kept on disk; None where there are none, or they were made by other rules."""
    if path is None or not path.is_file():
        return None
    try:
        if pl.read_parquet_metadata(path).get(KEY) != made_by(journeys):
            return None
        return pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        return None


def write_facts(journeys: Journeys, facts: pl.DataFrame, path: Path) -> None:
    """Keep facts on disk, whole or not at all; where that cannot be, they are made anew each time."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with suppress(OSError, pl.exceptions.PolarsError):
        path.parent.mkdir(exist_ok=True)
        try:
            facts.write_parquet(part, metadata={KEY: made_by(journeys)})
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
