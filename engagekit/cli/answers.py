"""What `engagekit diagnose` puts beside the verdict, leaves out of it, and writes as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import engagekit as ek
from engagekit.journeys import MIN_GROUP

if TYPE_CHECKING:
    import polars as pl


def beside(
    journeys: ek.Journeys, priority: ek.Priority, since: str | None, by: str | None
) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
    """Say what changed, where that is asked for or no target is set; and then which targets to start from."""
    from engagekit.priority import what_changed_lately

    bare = priority.verdict == "no targets"
    if since is not None:
        change: pl.DataFrame | None = ek.explain_change(journeys, since=since, by=by)
    else:
        change = what_changed_lately(journeys, by=by) if bare else None
    return change, ek.suggest_targets(journeys) if bare else None


@dataclass(frozen=True)
class Answered:
    """The answers to one log, as they may be handed on."""

    priority: ek.Priority
    diagnosis: pl.DataFrame
    change: pl.DataFrame | None
    suggested: pl.DataFrame | None


def answered(
    journeys: ek.Journeys, *, by: str | None, since: str | None, least: int = MIN_GROUP
) -> Answered:
    """Answer, and leave out what is about few users."""
    from engagekit.reporting import hand_on

    priority = ek.prioritize(journeys, by=by)
    change, suggested = beside(journeys, priority, since, by)
    handed = hand_on(priority, by=by, diagnosis=ek.diagnose(journeys, by=by), least=least)
    return Answered(handed.priority, handed.diagnosis, change, suggested)


def answers(
    journeys: ek.Journeys, notes: pl.DataFrame, priority: ek.Priority, diagnosis: pl.DataFrame
) -> dict[str, Any]:
    """Write all answers as one table for machines."""
    plain_fields = ("verdict", "link", "problem", "play", "p_problem", "problem_candidates", "probability", "holds_from", "holds_to", "sentence")  # fmt: skip
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
        | {"remarks": [remark.to_dict() for remark in priority.remarks]}
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
