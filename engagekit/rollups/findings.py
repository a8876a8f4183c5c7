"""What `rollup` found out about a log that its answers have to bear in mind, as remarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import Remark, many
from engagekit.diagnosis import windows_of
from engagekit.ingest import stray_remarks
from engagekit.instants import AT, days

if TYPE_CHECKING:
    from engagekit.journeys import Journeys
    from engagekit.rollups.population import Extent

AS_OF = "as_of beyond the log"  # kinds of remarks


def of_edges(extent: Extent, journeys: Journeys) -> list[Remark]:
    """Say what lies outside the log's body, and whether the end that was given lies far behind it."""
    found = stray_remarks(extent.edges)
    if not extent.asked:
        return found
    found = [remark for remark in found if remark.about == ("start",)]
    silent = extent.edges.silence(extent.end, dates_only=extent.dates_only)
    if not silent:
        return found
    last = extent.edges.end(dates_only=extent.dates_only)
    bent, of = _judged_in(journeys, last)
    text = (
        f"as_of lies {many(silent, 'day')} behind the log, which ends on {extent.edges.last:%Y-%m-%d}. If no data came in "
        f"since, {many(bent, journeys.unit)} {'is' if bent == 1 else 'are'} judged by days nobody recorded; give the as_of up to which the data are complete."
    )
    return [*found, Remark(AS_OF, ("as_of",), text, bent, bent / of if of else None)]


def _judged_in(journeys: Journeys, last: object) -> tuple[int, int]:
    """Count the users whose time for activation or habit was not over at an instant, and all of them."""
    windows = windows_of(journeys.definition)
    signed, activated, end = pl.col("signed_up_at"), pl.col("activated_at"), pl.lit(last, AT)
    waiting = (
        pl.when(activated.is_null())
        .then(signed + days(windows["activation"]) > end)
        .otherwise(activated + days(windows["habit"]) > end)
    )
    row = journeys.users.lazy().select(waiting.sum(), n=pl.len()).collect().row(0)
    return int(row[0] or 0), int(row[1])
