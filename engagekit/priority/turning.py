"""A rate that changed within the recent sign-ups: what those since then say for themselves.

Sign-ups of a quarter are judged together. Where a link broke, or was mended, in the middle of them, their mean is the rate of
nobody, and a verdict on it is about a product that is no longer there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.definition import LINKS
from engagekit.priority.counts import SIGNED, WEEK, recent_cells, totals
from engagekit.priority.earliest import judge
from engagekit.priority.loop_table import evidence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.priority.counts import LoopCounts
    from engagekit.priority.earliest import Judgment
    from engagekit.priority.loop_table import Marks

CLEAR = 4.0  # standard errors, as the day of the change is sought among many
LONGEST = 91  # days; who asks about more asks about the past
LEAST, LEAST_WEEKS = 30, 2  # judged users, and weeks of sign-ups, before and since


@dataclass(frozen=True)
class Turn:
    """A link whose rate changed with the sign-ups of a day, `since`: who passed and who was judged before and from then on.

    `judgment` is that of the loop with the sign-ups since the change alone, wherever a rate changed.
    """

    link: str
    since: datetime
    before: tuple[int, int]
    after: tuple[int, int]
    judgment: Judgment


def turn_of(counts: LoopCounts, marks: Marks) -> Turn | None:
    """Find the change within the recent sign-ups that is clearest, and judge those since.

    For each link with a target, sign-up weeks are parted in two wherever that can be done; ``z`` is the difference of
    the two rates over its standard error, widened by how much weeks differ within the parts, and accounts. A change is
    one of at least 4, and of no less than the margin. Who asks about more than 91 days of sign-ups asks about the past too.
    """
    if counts.width is None or counts.width > LONGEST:
        return None
    cells = recent_cells(counts)
    alike = dict(totals(cells).select("link", "accounts_effect").iter_rows())
    found: list[tuple[float, int, str, datetime, list[tuple[int, int]]]] = []
    for link in LINKS:
        until = counts.spans[link].until
        if link in marks.targets and link in marks.defined and until is not None:
            weeks = _weeks(cells.filter(pl.col("link") == link))
            clear, cut = _clearest(weeks, alike[link], marks.margin)
            if clear >= CLEAR:
                found.append((clear, cut, link, until - timedelta(days=7 * cut), weeks))
    if not found:
        return None
    kept = [(pl.col("link") != link) | (pl.col(SIGNED) < 7 * cut) for _, cut, link, *_ in found]
    judgment = judge(evidence(totals(cells.filter(*kept)), marks))
    _, cut, link, since, weeks = max(found, key=lambda each: each[0])
    return Turn(link, since, _sum(weeks[cut:]), _sum(weeks[:cut]), judgment)


def _weeks(cells: pl.DataFrame) -> list[tuple[int, int]]:
    """Count who passed and who was judged by week of sign-up, the latest first."""
    by_week = cells.group_by(WEEK).agg(pl.col("n", "of").sum()).sort(WEEK)
    known = {week: (n, of) for week, n, of in by_week.iter_rows()}
    return [known.get(week, (0, 0)) for week in range(max(known, default=-1) + 1)]


def _sum(weeks: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(n for n, _ in weeks), sum(of for _, of in weeks)


def _clearest(weeks: Sequence[tuple[int, int]], alike: float, margin: float) -> tuple[float, int]:
    """Find after how many weeks, counted back, the rate changed most clearly, and how clearly."""
    found = []
    for cut in range(LEAST_WEEKS, len(weeks) - LEAST_WEEKS + 1):
        (n1, of1), (n2, of2) = _sum(weeks[:cut]), _sum(weeks[cut:])
        if min(of1, of2) < LEAST or abs(n1 / of1 - n2 / of2) < margin:
            continue
        share = (n1 + n2) / (of1 + of2)
        effect = max(1.0, alike, _spread((weeks[:cut], weeks[cut:])))
        error = math.sqrt(effect * share * (1 - share) * (1 / of1 + 1 / of2))
        found.append((abs(n1 / of1 - n2 / of2) / error, cut))
    return max(found, default=(0.0, 0))


def _spread(parts: Sequence[Sequence[tuple[int, int]]]) -> float:
    """Say by how much weeks differ within parts: chi-square of their rates over its degrees of freedom."""
    chi2, free = 0.0, 0
    for weeks in parts:
        seen = [(n, of) for n, of in weeks if of]
        share = sum(n for n, _ in seen) / sum(of for _, of in seen)
        free += len(seen) - 1
        if 0 < share < 1:
            chi2 += sum((n - of * share) ** 2 / (of * share * (1 - share)) for n, of in seen)
    return chi2 / free if free else 1.0
