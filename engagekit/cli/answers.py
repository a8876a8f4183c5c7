"""What `engagekit diagnose` puts beside the verdict, leaves out of it, and writes as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engagekit as ek
from engagekit._base import as_plain
from engagekit.definition import schema_path
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


def answers(journeys: ek.Journeys, notes: pl.DataFrame, found: Answered) -> dict[str, Any]:
    """Write all answers as plain values for machines; `diagnose.schema.json` says what each of them is."""
    about = journeys.to_dict()
    return {
        "engagekit": ek.__version__,
        "product": journeys.definition.name,
        **{name: about[name] for name in ("as_of", "users", "left_out")},
        "data_notes": as_plain(notes.drop("example")),
        "priority": found.priority.to_dict(),
        "diagnosis": as_plain(found.diagnosis),
        "first_weeks": as_plain(ek.compare_first_weeks(journeys)),
        "metrics": as_plain(ek.metrics(journeys)),
        "definition": about["definition"],
        "change": as_plain(found.change),
        "suggested_targets": as_plain(found.suggested),
    }


def in_json(answer: dict[str, Any], *, indent: int | None = 1) -> str:
    """Write an answer as JSON that every reader takes; what is no number is null."""
    return json.dumps(as_plain(answer), indent=indent, allow_nan=False)


def schema_of(what: str) -> dict[str, Any]:
    """Read the JSON Schema of a definition's file, or of what a command prints with ``--json``; it needs no other file."""
    known = {"definition": schema_path()}
    known |= {name: Path(__file__).with_name(f"{name}.schema.json") for name in ("diagnose", "experiment")}  # fmt: skip
    read = {name: json.loads(known[name].read_text(encoding="utf-8")) for name in {what, "definition"}}  # fmt: skip
    found: dict[str, Any] = read[what]
    if what == "diagnose":
        inner = {k: v for k, v in read["definition"].items() if k not in {"$schema", "$defs"}}
        found["$defs"] |= {"definition": inner} | read["definition"]["$defs"]
    return found


def rows_of(table: pl.DataFrame | None) -> list[dict[str, Any]] | None:
    """Write a table as rows; nothing where there is none."""
    return None if table is None else table.to_dicts()
