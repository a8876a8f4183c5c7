"""The bundled sample logs, found beside a checkout or inside an installed package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from engagekit._base import as_html, plain_fields
from engagekit.definition import Definition
from engagekit.errors import ParameterError, StoredFileError, listing, nearest
from engagekit.instants import instant

PACKAGE = Path(__file__).parents[1]
# Name -> has a table of users, data complete up to (local to the definition's timezone).
SAMPLES = {"trailhead": (True, "2026-01-01"), "gcc": (False, "2022-08-18")}


@dataclass(frozen=True)
class Sample:
    """A bundled log: `name`, lazy `events`, `users` (or None), `definition`, `as_of` (ISO text)."""

    name: str
    events: pl.LazyFrame
    users: pl.DataFrame | None
    definition: Definition
    as_of: str

    def __repr__(self) -> str:
        """Name the log."""
        return f"<Sample: {self.name}, data complete up to {self.as_of}>"

    def _repr_html_(self) -> str:
        return as_html(repr(self))

    def to_dict(self) -> dict[str, Any]:
        """Return what it stands on as plain values that JSON can hold, without its events and users."""
        return plain_fields(self, without=["events", "users"])


def sample_folder() -> Path:
    """Find the folder with the bundled data: inside the installed package, else beside it in a checkout.

    Raises
    ------
    StoredFileError
        Neither is there.
    """
    for folder in (PACKAGE / "_data", PACKAGE.parent / "data"):
        if (folder / "trailhead_events.parquet").is_file():
            return folder
    raise StoredFileError(
        f"The bundled data lie neither in {str(PACKAGE / '_data')!r} nor in {str(PACKAGE.parent / 'data')!r}; install engagekit again."
    )


def sample_path(name: str = "trailhead") -> Path:
    """Say where the event log of a bundled sample lies.

    Parameters
    ----------
    name
        ``"trailhead"`` (simulated, its broken link is known) or ``"gcc"`` (real).

    Returns
    -------
    Path
        A parquet file with ``user_id, event, at`` and properties.

    Raises
    ------
    ParameterError
        No such sample.

    Examples
    --------
    >>> sample_path("gcc").name
    'gcc_events.parquet'
    """
    if name not in SAMPLES:
        raise ParameterError(
            f"there is no sample {name!r}.{nearest(str(name), SAMPLES)} There are {listing(SAMPLES)}."
        )
    return sample_folder() / f"{name}_events.parquet"


def load_sample(name: str = "trailhead") -> Sample:
    """Open a bundled sample.

    Parameters
    ----------
    name
        ``"trailhead"`` (simulated, its broken link is known) or ``"gcc"`` (real).

    Returns
    -------
    Sample
        `events` (lazy), `users` (None where there is no such table), `definition`, and `as_of` for `rollup`.

    Raises
    ------
    ParameterError
        No such sample.

    Examples
    --------
    >>> sample = load_sample()
    >>> sample.definition.name, sample.users.height
    ('Trailhead', 10000)
    """
    path = sample_path(name)
    has_users, until = SAMPLES[name]
    definition = Definition.load(path.with_name(f"{name}.toml"))
    return Sample(
        name=name,
        events=pl.scan_parquet(path),
        users=pl.read_parquet(path.with_name(f"{name}_users.parquet")) if has_users else None,
        definition=definition,
        as_of=instant(until, timezone=definition.timezone).isoformat(),
    )
