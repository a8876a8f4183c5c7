"""The playbook's tables as frames."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.playbook.guidance import Item

if TYPE_CHECKING:
    from collections.abc import Iterable


def as_table(rows: Iterable[Any]) -> pl.DataFrame:
    """Show rows of the playbook as a table.

    Parameters
    ----------
    rows
        Any of the playbook's tables, such as `PLAYS`, `METRICS` or ``REVIEWS[0].look_at``.

    Returns
    -------
    DataFrame
        One row each, one column per field; a list stands in one cell, its parts apart by ``"; "``.

    Examples
    --------
    >>> from engagekit.playbook import BENCHMARKS
    >>> as_table(BENCHMARKS).select("metric", "value").rows()
    [('activation rate', 0.32), ('time to value', 38.0)]
    """
    return pl.DataFrame(
        [
            {f.name: _cell(getattr(row, f.name)) for f in dataclasses.fields(row)}
            if dataclasses.is_dataclass(row)
            else {"name": row}
            for row in rows
        ],
        infer_schema_length=None,
    )


def _cell(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    return "; ".join(part.text if isinstance(part, Item) else str(part) for part in value)
