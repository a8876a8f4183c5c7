"""All answers as plain values, for machines."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from engagekit.first_weeks import compare_first_weeks
from engagekit.measures import metrics

if TYPE_CHECKING:
    import polars as pl

    from engagekit.journeys import Journeys
    from engagekit.priority import Priority


def answers(
    journeys: Journeys, notes: pl.DataFrame, priority: Priority, diagnosis: pl.DataFrame
) -> dict[str, Any]:
    """Put all answers of a diagnosis into plain values."""
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
        "engagekit": version(),
        "product": journeys.definition.name,
        "as_of": journeys.as_of,
        "users": journeys.users.lazy().select("user_id").collect().height,
        "left_out": journeys.left_out.to_dicts(),
        "data_notes": notes.drop("example").to_dicts(),
        "priority": {name: getattr(priority, name) for name in plain_fields}
        | {"warnings": list(priority.warnings)}
        | {name: _rows(getattr(priority, name)) for name in tables},
        "diagnosis": diagnosis.to_dicts(),
        "first_weeks": compare_first_weeks(journeys).to_dicts(),
        "metrics": metrics(journeys).to_dicts(),
        "definition": journeys.definition.to_table(),
    }


def _rows(table: pl.DataFrame | None) -> list[dict[str, Any]] | None:
    return None if table is None else table.to_dicts()


def plain_value(value: object) -> object:
    """Write what JSON has no form for."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (set, tuple)):
        return list(value)
    return str(value)


def version() -> str:
    """Say which engagekit this is."""
    import engagekit

    return engagekit.__version__
