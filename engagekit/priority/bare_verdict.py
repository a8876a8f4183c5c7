"""The verdict alone, for who asks for many: what `prioritize` names, without the rest of what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engagekit.journeys import basis
from engagekit.priority.counts import count_links
from engagekit.priority.reference_targets import team_marks
from engagekit.priority.verdict import judged, prioritize
from engagekit.priority.withheld import MOST
from engagekit.rollups import TRACKING

if TYPE_CHECKING:
    from engagekit.journeys import Journeys


def bare_verdict(journeys: Journeys) -> tuple[str, str | None, float]:
    """Give the verdict of `prioritize`, the link it names and the probability.

    Where a remark could bend it, all that `prioritize` looks at is asked.
    """
    shares = ((r.kind, r.share) for r in basis(journeys).remarks if r.share is not None)
    if any(kind == TRACKING or share > MOST for kind, share in shares):
        found = prioritize(journeys)
        return found.verdict, found.link, found.probability
    definition = journeys.definition
    counts = count_links(journeys, recent=definition.recent_days)
    judgment = judged(counts, definition, team_marks(None, definition))[0].judgment
    return judgment.verdict, judgment.link, judgment.probability
