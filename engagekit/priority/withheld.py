"""Where a remark bends a verdict for too many users, no link is named, and the reason is said instead."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import percent
from engagekit.definition import LINKS
from engagekit.ingest import MISSING
from engagekit.rollups import (
    AT_ONCE,
    SURVIVORS,
    TRACKING,
    WINDOW_OF,
    share_at_once,
    share_of_survivors,
    users_bent,
)

if TYPE_CHECKING:
    from engagekit._base import Remark
    from engagekit.journeys import Journeys
    from engagekit.priority.verdict import Priority

MOST = 0.1  # of the users may be bent; where more are, nothing is named


def withheld(priority: Priority, journeys: Journeys) -> Priority:
    """Turn a verdict that rests on what a remark bends for more than a tenth of the users into an undecided one.

    A link rests on what decides it and the links before it; that none is broken, on all links that were judged.
    """
    judged = priority.table.filter(pl.col("p_broken").is_not_null())["link"].to_list()
    last = LINKS.index(priority.link or (judged or LINKS[:1])[-1])
    shares = {remark: _share(remark, priority, journeys) for remark in priority.remarks}
    bending = [r for r, share in shares.items() if share > MOST and _first_link(r) <= last]
    if not bending:
        return priority
    worst = max(bending, key=lambda remark: shares[remark])
    how = (
        f"That bends {percent(shares[worst])} of the users it could"
        if worst.users
        else "The verdict rests on it"
    )
    nothing, undecided = pl.lit(None, pl.String), pl.lit("undecided").alias("verdict")
    quarters, segments = priority.by_quarter, priority.segments
    if segments is not None:
        segments = segments.with_columns(
            undecided,
            nothing.alias("link"),
            nothing.alias("problem"),
            pl.lit(0.0).alias("probability"),
            pl.lit([], pl.List(pl.String)).alias("candidates"),
            pl.lit(value=False).alias("elsewhere"),
        )
    return dataclasses.replace(
        priority,
        verdict="undecided",
        link=None,
        problem=None,
        play=None,
        p_problem=None,
        problem_candidates=(),
        probability=0.0,
        holds_from=None,
        holds_to=None,
        candidates=(),
        more_users=None,
        more_users_low=None,
        more_users_high=None,
        by_quarter=quarters.with_columns(
            undecided, nothing.alias("named"), pl.lit(value=False).alias("changed")
        ),
        segments=segments,
        sentence=f"No link is named: {worst.text} {how}, so mend that first. {priority.basis}",
    )


def _first_link(remark: Remark) -> int:
    """Say from which link on verdicts rest on what a remark is about; none does on what no link looks at."""
    if remark.kind not in (MISSING, TRACKING):
        return 0
    role = str(remark.about[0]).split(":")[0].split(" ")[0] if remark.about else ""
    return LINKS.index(WINDOW_OF[role]) if role in WINDOW_OF else len(LINKS)


def _share(remark: Remark, priority: Priority, journeys: Journeys) -> float:
    """Say for which share of the users a verdict stands on a remark bends it."""
    dated = remark.kind in (TRACKING, AT_ONCE, SURVIVORS) and remark.share is not None
    if not dated or "since" not in priority.table.columns:
        return remark.share or 0.0
    row = priority.table.row(by_predicate=pl.col("link") == LINKS[_first_link(remark)], named=True)
    if row["since"] is None or (remark.kind == TRACKING and remark.about[0] == "signup"):
        return remark.share or 0.0
    mine = journeys.where(signed_up=(row["since"], row["until"] + timedelta(microseconds=1)))
    if remark.kind == AT_ONCE:
        return share_at_once(remark, mine)
    if remark.kind == SURVIVORS:
        return share_of_survivors(remark, mine)
    role, since, until = map(str, remark.about)
    days = date.fromisoformat(since), date.fromisoformat(until)
    users, of = users_bent(mine, role.split(":")[0].split(" ")[0], *days)
    return (users or 0) / of if of else 0.0
