"""What links are held against: the team's targets, or the product's own past."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

import polars as pl

from engagekit._base import share_faults
from engagekit.definition import LINKS
from engagekit.diagnosis import LOSABLE, defined_links
from engagekit.errors import ParameterError, check_choice, listing, nearest
from engagekit.priority.counts import past_quarters
from engagekit.priority.earliest import SURE_OF_A_FALL
from engagekit.priority.loop_table import Marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.definition import Definition
    from engagekit.priority.counts import LoopCounts

OWN_PAST: Literal["own past"] = "own past"
Targets: TypeAlias = Mapping[str, float | None] | Literal["own past"] | None
QUARTER_DAYS = 91
QUARTERS, JUDGED = 4, 50  # a past is known from so many quarters on, with so many judged each
BELOW = 1.645  # as seldom as 1 in 20 would a quarter lie below
GONE = ("previous quarter", "best cohort")


def team_marks(targets: Targets, definition: Definition) -> Marks:
    """Take the targets given, or else the definition's, as marks; none where they are held against their own past.

    Raises
    ------
    ParameterError
        `targets` names no link, holds no shares, or is a reference that is no more.
    """
    given = definition.targets if targets is None else targets
    source = "team" if targets is None else "given"
    found = {} if isinstance(given, str) and _named(given) else _checked(given)
    return Marks(found, source, defined_links(definition), definition.margin)


def _named(targets: str) -> bool:
    if targets in GONE:
        raise ParameterError(
            f"targets={targets!r} is gone: it named a link in most products in which nothing was broken. Take "
            f"targets={OWN_PAST!r} to ask whether a link has fallen, ek.suggest_targets(journeys) for targets to set, "
            "or ek.explain_change(journeys, since=...) for what changed."
        )
    if faults := check_choice("targets", targets, [OWN_PAST]):
        raise ParameterError(faults[0])
    return True


def _checked(targets: object) -> dict[str, float]:
    if not isinstance(targets, Mapping):
        raise ParameterError(
            f"targets is {targets!r}; it takes link names with rates such as {{'habit': 0.5}}, or {OWN_PAST!r}."
        )
    faults = []
    for link, rate in targets.items():
        if link not in LINKS:
            faults.append(
                f"{link!r} is no link.{nearest(str(link), LINKS)} Links are {listing(LINKS)}."
            )
        elif rate is not None:
            faults += share_faults(f"the target of {link}", rate)
    if faults:
        raise ParameterError.from_faults("The targets cannot be used", faults)
    return {link: float(rate) for link in LINKS if (rate := targets.get(link)) is not None}


def own_past(
    counts: LoopCounts, definition: Definition, *, groups: int = 1
) -> dict[tuple[object, ...], Marks]:
    """Say per group what each link would hardly fall below, from its own earlier quarters.

    ``mark = m - 1.645 · sqrt(v + m(1-m)/M) - margin`` with ``m`` the pooled rate of the earlier quarters, ``M`` the
    users judged in them, and ``v`` the variance between quarters beyond sampling.

    Parameters
    ----------
    counts
        With the recent spans from which quarters of 91 days are counted back.
    definition
        Gives the margin, and the links that can be judged.
    groups
        How many groups are asked about at once; the more, the surer each has to be.

    Returns
    -------
    dict
        Group to `Marks`, for groups of which a link has four earlier quarters with 50 judged each, and a mark above 0.
    """
    if counts.width is None:
        return {}
    known = [link for link in LOSABLE if link in defined_links(definition)]
    quarters = past_quarters(counts, QUARTER_DAYS).filter(pl.col("of") >= JUDGED)
    found: dict[tuple[object, ...], dict[str, float]] = {}
    for row in _pasts(quarters, counts.groups).iter_rows(named=True):
        target = row["_m"] - BELOW * math.sqrt(row["_v"] + row["_m"] * (1 - row["_m"]) / row["_M"])
        if row["link"] in known and target - definition.margin > 0:
            found.setdefault(tuple(row[g] for g in counts.groups), {})[row["link"]] = target
    sure = 1 - (1 - SURE_OF_A_FALL) / max(1, groups)
    return {
        group: Marks(marks, OWN_PAST, defined_links(definition), definition.margin, sure)
        for group, marks in found.items()
    }


def _pasts(quarters: pl.DataFrame, groups: Sequence[str]) -> pl.DataFrame:
    """Pool earlier quarters per group and link: ``_m``, ``_M``, ``_v``, where there are enough of them."""
    n, of = pl.col("n").cast(pl.Float64), pl.col("of").cast(pl.Float64)
    users, count = of.sum(), pl.len()
    mean = n.sum() / users
    apart = (of * (n / of - mean) ** 2).sum() - (count - 1) * mean * (1 - mean)
    between = (apart / (users - (of * of).sum() / users)).clip(0)
    return (
        quarters.lazy()
        .group_by(*groups, "link")
        .agg(mean.alias("_m"), users.alias("_M"), between.alias("_v"), count.alias("_quarters"))
        .filter(pl.col("_quarters") >= QUARTERS)
        .sort(*groups, "link")
        .collect()
    )


def ran_between(counts: LoopCounts, link: str) -> tuple[float, float]:
    """Say between which rates a link's own earlier quarters ran (those with 50 judged)."""
    past = past_quarters(counts, QUARTER_DAYS).filter(
        pl.col("link") == link, pl.col("of") >= JUDGED
    )
    rates = past["n"] / past["of"]
    return float(rates.min()), float(rates.max())  # type: ignore[arg-type]
