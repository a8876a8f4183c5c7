"""What the ten metrics need to know about each user: the facts kept with the journeys, and what came of outreach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT
from engagekit.journeys import facts_of, properties_of, recent_start
from engagekit.measures.silences import contacts_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.journeys import Journeys

CONTACTED = ("came_back", "stayed", "back_known", "stay_known")


def user_facts(
    journeys: Journeys, groups: Sequence[str], *, since: datetime | None = None
) -> pl.LazyFrame:
    """Gather the facts about each user.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    groups
        Properties to carry along, as `by_0`, `by_1` and so on, lest they bear the name of a fact.
    since
        From when on sign-ups count as recent; None: all do.

    Returns
    -------
    LazyFrame
        The facts of `facts_of`, with the groups; `recent`; `present` also where a user signed up, activated, or came to
        a step or through it in the last 28 days; and with outreach: `contacted_at` (first outreach after ``habit_days`` of
        silence), `came_back`, `stayed`, `back_known`, `stay_known`.

    Notes
    -----
    Journeys keep first and last time and count per local day. So whether anything happened in a window is exact;
    a count on the local day on which its window begins is so for one or two actions, see `times_before`.
    """
    recent = pl.lit(value=True) if since is None else pl.col("signed_up_at") >= pl.lit(since, AT)
    held = properties_of(journeys, groups)
    held.columns = [f"by_{place}" for place in range(len(groups))]
    found = facts_of(journeys).hstack(held).lazy()
    found = found.with_columns(recent.alias("recent"), _present(journeys))
    if journeys.definition.outreach is None:
        return found
    contacts = contacts_of(journeys).select("user_id", "contacted_at", *CONTACTED)
    found = found.join(contacts, on="user_id", how="left", maintain_order="left")
    return found.with_columns(pl.col(CONTACTED).fill_null(value=False))


def _present(journeys: Journeys) -> pl.Expr:
    # No role of a day tells of those who are still on their way: sign-up, steps and activation do.
    came = pl.max_horizontal("signed_up_at", "activated_at", "stepped_at")
    return (pl.col("present") | (came >= pl.lit(recent_start(journeys), AT))).alias("present")
