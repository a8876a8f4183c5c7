"""All answers of `engagekit diagnose` as one table for machines."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import engagekit as ek

if TYPE_CHECKING:
    import polars as pl


def answers(
    journeys: ek.Journeys, notes: pl.DataFrame, priority: ek.Priority, diagnosis: pl.DataFrame
) -> dict[str, Any]:
    """Write all answers as one table for machines."""
    plain_fields = (
        "verdict",
        "link",
        "problem",
        "play",
        "probability",
        "holds_from",
        "holds_to",
        "sentence",
    )
    tables = ("table", "by_quarter", "segments")
    return {
        "engagekit": ek.__version__,
        "product": journeys.definition.name,
        "as_of": journeys.as_of,
        "users": journeys.users.lazy().select("user_id").collect().height,
        "left_out": journeys.left_out.to_dicts(),
        "data_notes": notes.drop("example").to_dicts(),
        "priority": {name: getattr(priority, name) for name in plain_fields}
        | {"warnings": list(priority.warnings)}
        | {name: rows_of(getattr(priority, name)) for name in tables},
        "diagnosis": diagnosis.to_dicts(),
        "first_weeks": ek.compare_first_weeks(journeys).to_dicts(),
        "metrics": ek.metrics(journeys).to_dicts(),
        "definition": journeys.definition.to_table(),
    }


def rows_of(table: pl.DataFrame | None) -> list[dict[str, Any]] | None:
    """Write a table as rows; nothing where there is none."""
    return None if table is None else table.to_dicts()


def plain_value(value: object) -> object:
    """Write what JSON has no word for."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (set, tuple)):
        return list(value)
    return str(value)
