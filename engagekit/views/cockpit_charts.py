"""Pictures of the cockpit: the loops of groups beside each other, and what would reach each link if one rose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.definition import LINKS
from engagekit.intervals import newcombe
from engagekit.journeys import MIN_GROUP
from engagekit.views.marks import dots
from engagekit.views.sheet import LINK_WORDS, between, joined, labels, points, rated, sheet, whole
from engagekit.views.theme import finished, tips

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engagekit.priority import Priority
    from engagekit.views.sheet import Sheet

HEADERS = ("Link", "Group", "Passed", "Of", "Rate", "95% interval")
REACH_HEADERS = ("Link", "Now", "95% interval", "Then", "95% interval", "More, points", "95% interval")  # fmt: skip


def loops(found: Mapping[str, Priority]) -> Any:
    """Draw the loops of groups beside each other: per link one dot with its interval per group.

    Parameters
    ----------
    found
        Name of a group -> what `engagekit.prioritize` returns for its journeys; the first two are compared in words.

    Returns
    -------
    altair chart
        Four links below each other, the groups within each; links that hardly anybody is judged on are left out.
    """
    rows = [
        {
            "name": LINK_WORDS[row["link"]],
            "group": name,
            "value": row["rate"],
            "low": row["low"],
            "high": row["high"],
            "text": f"{rated(row['rate'])} of {whole(row['of'])}",
            "interval": between(row["low"], row["high"]),
            "count": f"{whole(row['n'])} of {whole(row['of'])}",
        }
        for link in LINKS
        for name, row in _rows(found, link)
    ]
    shown = tips(name="Link", group="Group", count="Passed", interval="95% interval")
    return finished(dots(rows, title="Users who pass the link", tips=shown), loops_sheet(found))


def _rows(found: Mapping[str, Priority], link: str) -> list[tuple[str, dict[str, Any]]]:
    names = labels(list(found), most=40)
    rows = [
        (name, row)
        for name, priority in zip(names, found.values(), strict=True)
        for row in priority.table.to_dicts()
    ]
    return [(n, r) for n, r in rows if r["link"] == link and r["rate"] is not None and r["of"] >= MIN_GROUP]  # fmt: skip


def loops_sheet(found: Mapping[str, Priority]) -> Sheet:
    """Write out the loops of groups."""
    rows = [
        (LINK_WORDS[link], name, whole(r["n"]), whole(r["of"]), rated(r["rate"]), between(r["low"], r["high"]))
        for link in LINKS
        for name, r in _rows(found, link)
    ]  # fmt: skip
    subtitle = (
        "Share that passes each link in time, of those judged; lines: 95% interval. A difference between groups is an "
        "association, not a cause."
    )
    return sheet("Dot chart", loops_title(found), subtitle, HEADERS, rows, texts=2)


def loops_title(found: Mapping[str, Priority]) -> str:
    """Name the link at which the first two groups clearly differ most, or say that none does."""
    apart = []
    for link in LINKS:
        both = _rows(found, link)[:2]
        if len(both) == 2:
            (name, one), (other, two) = both
            gap, low, high = newcombe(*_free(one), *_free(two))
            if low > 0 or high < 0:
                apart.append((abs(gap), link, name, one, other, two, low, high))
    if not apart:
        enough = any(len(_rows(found, link)) > 1 for link in LINKS)
        return (
            "No link differs clearly between the groups"
            if enough
            else "No two groups can be compared yet"
        )
    _, link, name, one, other, two, low, high = max(apart, key=lambda a: a[0])
    return (
        f"{LINK_WORDS[link]} differs most: {name} {rated(one['rate'])}, {other} {rated(two['rate'])} "
        f"({points(low)} to {points(high)} points)"
    )


def _free(row: dict[str, Any]) -> tuple[float, float]:
    """Count as many users as there would be if they came one by one: weeks and accounts stick together."""
    spread = row["design_effect"] or 1.0
    return row["n"] / spread, row["of"] / spread


def reaching(table: pl.DataFrame, link: str, rate: float) -> Any:
    """Draw what `what_if` returns: how many reach each link now, and then.

    Parameters
    ----------
    table
        What `engagekit.priority.what_if` returns.
    link, rate
        Which link was supposed to rise, and to what.

    Returns
    -------
    altair chart
        One dot with its interval per link, now and then.
    """
    groups = {"now": "as it is", "then": f"with {LINK_WORDS[link]} at {rated(rate)}"}
    rows = [
        {
            "name": LINK_WORDS[row["link"]],
            "group": word,
            "value": row[side],
            "low": row[f"{side}_low"],
            "high": row[f"{side}_high"],
            "text": joined(rated(row[side]), between(row[f"{side}_low"], row[f"{side}_high"])),
        }
        for row in table.to_dicts()
        for side, word in groups.items()
    ]
    shown = tips(name="Reach", group="When", text="Share of sign-ups")
    return finished(dots(rows, title="Share of sign-ups that get that far", tips=shown), reach_sheet(table, link, rate))  # fmt: skip


def reach_sheet(table: pl.DataFrame, link: str, rate: float) -> Sheet:
    """Write out what would reach each link."""
    rows = [
        (
            LINK_WORDS[r["link"]], rated(r["now"]), between(r["now_low"], r["now_high"]), rated(r["then"]),
            between(r["then_low"], r["then_high"]), points(r["more"]), f"{points(r['more_low'])} to {points(r['more_high'])}",
        )
        for r in table.to_dicts()
    ]  # fmt: skip
    subtitle = "The links around it held: whom a better link brings on may be less keen, so this is the most to hope for."
    return sheet("Dot chart", reach_said(table, link, rate), subtitle, REACH_HEADERS, rows)


def reach_said(table: pl.DataFrame, link: str, rate: float) -> str:
    """Say what would reach the end, with its interval."""
    end = table.row(-1, named=True)
    return (
        f"With {LINK_WORDS[link]} at {rated(rate)}, {rated(end['then'])} of sign-ups would get to "
        f"{LINK_WORDS[end['link']]} ({between(end['then_low'], end['then_high'])}), where {rated(end['now'])} do"
    )
