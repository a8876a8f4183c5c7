"""What may be handed on about groups: none so small that somebody could be recognized, and none that follows from the rest.

Totals are shown, so whatever is hidden can be had as total less what is shown. Therefore at least two groups are hidden,
and together they have at least as many users as a group that may be shown; the same for every cell of judged users.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import Remark, many
from engagekit.definition import LINKS
from engagekit.journeys import MIN_GROUP
from engagekit.priority import ELSEWHERE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from engagekit.priority import Priority

    Row = dict[str, Any]

COUNTED = (
    "n",
    "of",
    "rate",
    "low",
    "high",
)  # of a cell of the loop: what follows from its own count
JUDGED = ("verdict", "named", "changed")  # of a quarter
OF_SOME = (
    "n",
    "share",
    "low",
    "high",
    "could_show",
    "share_of_those",
    "note",
    "went_quiet",
    "going",
    "per_28_days",
    "per_28_days_low",
    "per_28_days_high",
)  # of a row of the diagnosis
OF_GOING = ("went_quiet", "going", "per_28_days", "per_28_days_low", "per_28_days_high", "note")
BLOCKS = (("vanished", "plateau", "drift", "healthy"), ("stalled", "friction", "never_started"))


@dataclass(frozen=True)
class HandedOn:
    """Answers without small groups, and a remark on what is missing from them."""

    priority: Priority
    diagnosis: pl.DataFrame  # empty, where none was given


def hidden(counts: Sequence[int], least: int, also: Collection[int] = ()) -> set[int]:
    """Choose the cells of one total that are not shown.

    Parameters
    ----------
    counts
        Of each cell, how many users it is over.
    least
        Cells over fewer are not shown; those over nobody say nothing about anybody.
    also
        Places of cells that are not shown whatever they are over.

    Returns
    -------
    set of int
        Their places. If there are any, either two or more cells with at least `least` users together, or all cells:
        the smallest are added first.
    """
    out = {place for place, n in enumerate(counts) if 0 < n < least} | set(also)
    rest = [place for place in range(len(counts)) if place not in out]
    for place in sorted(rest, key=lambda place: (counts[place] == 0, counts[place])):
        some = [counts[each] for each in out if counts[each]]
        if not out or not any(counts) or (len(some) > 1 and sum(some) >= least):
            break
        out.add(place)
    return out


def hand_on(
    priority: Priority,
    *,
    by: str | None = None,
    diagnosis: pl.DataFrame | None = None,
    least: int = MIN_GROUP,
) -> HandedOn:
    """Leave out of answers what they say about groups and cells of few users, and what it follows from.

    Parameters
    ----------
    priority
        What `prioritize` returned, with the same `by`.
    by
        The property it was split by, if it was.
    diagnosis
        What `diagnose` returned, with the same `by`.
    least
        How many judged users a group or a cell needs, to be shown.
    """
    priority = dataclasses.replace(priority, by_quarter=quarters(priority.by_quarter, least))
    if by is None or priority.segments is None:
        return HandedOn(priority, pl.DataFrame() if diagnosis is None else diagnosis)
    table = priority.segments
    judged = {row[by]: [row["users"], 0] for row in table.iter_rows(named=True)}
    if diagnosis is not None:
        for row in diagnosis.drop_nulls("of").unique(by).iter_rows(named=True):
            judged.setdefault(row[by], [0, 0])[1] = row["of"]
    names, counts = list(judged), [list(each) for each in zip(*judged.values(), strict=True)]
    counts = counts if diagnosis is not None else counts[:1]
    small = {place for place in range(len(names)) if min(each[place] for each in counts) < least}
    gone = {names[place] for place in together(counts, least, small)}
    segments, withheld = _segments(table, by, gone, least)
    remarks = [r for r in priority.remarks if r.kind != ELSEWHERE or r.about[0] not in withheld]
    told = _told(by, len(small), len(gone) - len(small), segments, least)
    return HandedOn(
        dataclasses.replace(priority, segments=segments, remarks=(*remarks, *told)),
        pl.DataFrame() if diagnosis is None else _diagnosis(diagnosis, by, gone, least),
    )


def together(counts: Sequence[Sequence[int]], least: int, also: Collection[int] = ()) -> set[int]:
    """Choose the places that are hidden in several counts alike, so that no one of them gives a place away."""
    before: set[int] | None = None
    out = set(also)
    while out != before:
        before = out
        for each in counts:
            out = out | hidden(each, least, out)
    return out


def _segments(
    table: pl.DataFrame, by: str, gone: Collection[Any], least: int
) -> tuple[pl.DataFrame, set[Any]]:
    """Leave groups and cells out of the loop by group; name the groups whose verdict is not shown."""
    rows = table.to_dicts()
    away = {place for place, row in enumerate(rows) if row[by] in gone}
    empty = {link: hidden([row[f"{link}_of"] for row in rows], least, away) for link in LINKS}
    withheld = set(gone)
    for place, row in enumerate(rows):
        cut = [link for link in LINKS if place in empty[link]]
        for link in cut:
            row.update({f"{link}_rate": None, f"{link}_of": None})
        # What is worked out of cells gives them away, more or less exactly: all but the word of an undecided case.
        counts = {by, "users", *(f"{link}_{c}" for link in LINKS for c in ("rate", "of"))}
        if any(link in cut for link in _behind(row["link"])):
            withheld.add(row[by])
            kept = counts | ({"verdict"} if row["link"] is None else set())
            row.update(dict.fromkeys(row.keys() - kept))
    shown = [row for place, row in enumerate(rows) if place not in away]
    return pl.DataFrame(shown, schema=table.schema), withheld


def _behind(link: str | None) -> Sequence[str]:
    """List the links whose counts decide that one is named, or that none is."""
    return LINKS if link is None else LINKS[: LINKS.index(link) + 1]


def _diagnosis(table: pl.DataFrame, by: str, gone: Collection[Any], least: int) -> pl.DataFrame:
    """Leave groups out of the diagnosis by group, and of the others the rows that are about few of them.

    The rows of users who activated, and of those who did not, are left out of a group as a whole: of single ones, each
    would follow from the rest of its group.
    """
    rows = table.to_dicts()
    names = list(dict.fromkeys(row[by] for row in rows))
    could = {(row[by], row["label"]): row["could_show"] or 0 for row in rows}
    away = {place for place, name in enumerate(names) if name in gone}
    for labels in BLOCKS:
        counts = [[could.get((name, label), 0) for name in names] for label in labels]
        empty = {names[place] for place in together(counts, least, away)}
        for row in rows:
            if row[by] in empty and row["label"] in labels:
                row.update(dict.fromkeys(OF_SOME))
    # How fast users go quiet is over those still going, who may be few where the rest is many.
    for label in dict.fromkeys(row["label"] for row in rows):
        mine = [row for row in rows if row["label"] == label]
        for place in hidden([row["going"] or 0 for row in mine], least, away):
            mine[place].update(dict.fromkeys(OF_GOING))
    return pl.DataFrame([row for row in rows if row[by] not in gone], schema=table.schema)


def quarters(table: pl.DataFrame, least: int = MIN_GROUP) -> pl.DataFrame:
    """Leave quarters of few sign-ups out of the loop by quarter, and cells of few users of the rest."""
    rows = table.to_dicts()
    of = {(row["quarter"], row["link"]): row["of"] or 0 for row in rows}
    names = list(dict.fromkeys(row["quarter"] for row in rows))
    first = [of.get((name, LINKS[0]), 0) for name in names]
    away = hidden(first, least, {place for place, n in enumerate(first) if n < least})
    empty = {
        (names[place], link)
        for link in LINKS
        for place in hidden([of.get((name, link), 0) for name in names], least, away)
    }
    partly = {name for name, _ in empty}
    for row in rows:
        if row["quarter"] in partly:  # all else is made from several cells
            row.update(dict.fromkeys(row.keys() - {"quarter", "link", *JUDGED, *COUNTED}))
        if row["named"] and any((row["quarter"], link) in empty for link in _behind(row["named"])):
            row.update(dict.fromkeys(JUDGED))
        if (row["quarter"], row["link"]) in empty:
            row.update(dict.fromkeys(COUNTED))
    gone = {names[place] for place in away}
    return pl.DataFrame([row for row in rows if row["quarter"] not in gone], schema=table.schema)


def cohorts(curves: pl.DataFrame, least: int = MIN_GROUP) -> pl.DataFrame:
    """Leave cohorts of few users out of cohort curves that are not split by anything else."""
    sizes = curves.filter(pl.col("period") == pl.col("period").min()).sort("cohort")
    gone = hidden(sizes["of"].to_list(), least)
    kept = [cohort for place, cohort in enumerate(sizes["cohort"]) if place not in gone]
    return curves.filter(pl.col("cohort").is_in(kept))


def curves_by(pooled: pl.DataFrame, groups: Sequence[str], least: int = MIN_GROUP) -> pl.DataFrame:
    """Leave cells of few users out of pooled curves by group."""
    rows = pooled.to_dicts()
    kept: list[Row] = []
    for period in pooled["period"].unique(maintain_order=True):
        mine = [row for row in rows if row["period"] == period]
        gone = hidden([row["of"] or 0 for row in mine], least)
        kept += [row for place, row in enumerate(mine) if place not in gone]
    return pl.DataFrame(kept, schema=pooled.schema).sort(*groups, "period")


def _told(by: str, small: int, more: int, segments: pl.DataFrame, least: int) -> Iterable[Remark]:
    said = []
    if small:
        also = (
            f"; {many(more, 'more', 'more')} neither, or the total would give them away"
            if more
            else ""
        )
        said.append(
            f"{many(small, 'group')} of {by!r} with fewer than {least} users not shown (counted are those who can be judged){also}."
        )
    if any(segments[f"{link}_of"].null_count() for link in LINKS):
        said.append(
            f"Shares of fewer than {least} users are left out of the groups of {by!r}, and others from which they would follow."
        )
    return [Remark("small groups hidden", (by,), text) for text in said]
