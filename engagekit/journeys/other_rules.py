"""The same users held against other windows and another depth rule, as fast as a slider moves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.journeys.day_arrays import DAY_ARRAYS, day_arrays, instants
from engagekit.journeys.facts import depth_facts, facts_of
from engagekit.journeys.kept import FACTS_KEPT, kept_of

if TYPE_CHECKING:
    from engagekit.journeys.tables import Journeys

# No fact about a user hangs on the first two; on the others only those of the depth rule do.
RULES = frozenset({"activation_days", "habit_days", "depth_days", "depth_uses"})
OF_TABLES = (DAY_ARRAYS, "users in order")


def under_other_rules(journeys: Journeys, **rules: Any) -> Journeys:
    """Hold journeys against other rules; what follows from the tables alone is kept, of the facts all but the depth rule's.

    `rules` are fields of the definition, among `RULES`. Journeys on disk make their facts anew, part by part.
    """
    changed = replace(journeys, definition=replace(journeys.definition, **rules))
    on_disk = getattr(journeys, "pieces", ())
    if on_disk or not rules.keys() <= RULES:
        return changed
    facts, days = facts_of(journeys), day_arrays(journeys)
    activated = instants(facts["activated_at"])
    met = depth_facts(days.advanced(), activated, changed.definition, facts.height)
    kept_of(changed).update({name: kept_of(journeys)[name] for name in OF_TABLES})
    kept_of(changed)[FACTS_KEPT] = facts.with_columns(
        pl.Series(name, column) for name, column in met.items()
    )
    return changed
