"""What `engagekit diagnose` puts beside the verdict, leaves out of it, and writes as JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import engagekit as ek

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


def without_small(
    journeys: ek.Journeys, by: str, priority: ek.Priority, diagnosis: pl.DataFrame
) -> tuple[ek.Priority, pl.DataFrame]:
    """Leave out groups so small that somebody could be recognized: what is printed may be handed on."""
    import dataclasses

    from engagekit._base import Remark, many
    from engagekit.journeys import MIN_GROUP, small_groups, without
    from engagekit.reporting import to_hand_on

    small = small_groups(journeys, by)
    if small.height == 0:
        return priority, diagnosis
    told = f"{many(small.height, 'group')} of {by!r} with fewer than {MIN_GROUP} users not shown."
    shown = to_hand_on(priority, by, small)
    hidden = Remark("small groups hidden", (by,), told)
    shown = dataclasses.replace(shown, remarks=(*shown.remarks, hidden))
    return shown, without(diagnosis, small)


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
