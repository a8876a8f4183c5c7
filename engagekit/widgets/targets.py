"""The verdict under the team's own targets: sliders, and what follows from them by quarter and by group."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from engagekit._base import LINK_NAMES, group, many, percent
from engagekit.definition import LINKS
from engagekit.widgets.behind import behind
from engagekit.widgets.panel import Panel, Shown, choice, slider

if TYPE_CHECKING:
    import polars as pl

    from engagekit.journeys import Journeys
    from engagekit.priority import Priority
    from engagekit.workshop import Session

COVERED = "Covered until the votes are revealed."
MOST_GROUPS = 6  # a picture of more is none


def sliders(session: Session, journeys: Journeys, *, after: Panel | None) -> Panel:
    """Make the target sliders; covered until the votes of the panel `after` are revealed."""
    from engagekit.priority import loop_facts, priority_of

    facts = cache(partial(loop_facts, journeys))  # another target is arithmetic on these counts
    given = journeys.definition.targets
    controls = {
        link: slider(f"{LINK_NAMES[link]}, in % (0: none)", round(100 * given.get(link, 0)), 0, 95)
        for link in LINKS
    }

    def answer(state: dict[str, Any]) -> Shown:
        if after is not None and not session.revealed():
            return Shown(None, COVERED)
        found = priority_of(facts(), targets=shares(state))
        opened = behind("loop", journeys, answer=found)
        said = f"{_set(state)}\n{verdict_text(found)}"
        return Shown(found, said, opened.chart, opens=opened)

    return Panel("Set the targets", controls, answer, session, "targets", follows=after, opens=True)


def _set(state: dict[str, int]) -> str:
    targets = [f"{LINK_NAMES[link]} {value}%" for link, value in state.items() if value]
    return f"Targets: {', '.join(targets)}." if targets else "No targets are set."


def shares(state: dict[str, int]) -> dict[str, float]:
    """Turn percentages into targets; 0 is none."""
    return {link: value / 100 for link, value in state.items() if value}


def verdict_text(found: Priority) -> str:
    """Write the verdict and the range over which it holds, as it can be read aloud."""
    return "\n".join([found.sentence, *found.warnings])


def quarters(session: Session, targets: Panel) -> Panel:
    """Make the panel of the loop per quarter, under the targets that the other panel shows."""
    from engagekit.reporting import hand_on

    def answer(_: dict[str, Any]) -> Shown:
        loop = targets.shown.opens
        if loop is None:
            return Shown(None, COVERED)
        found = hand_on(targets.value).priority
        opened = behind("loop_by_quarter", loop.journeys, answer=found)
        return Shown(found.by_quarter, _over_time(found.by_quarter), opened.chart, opens=opened)

    return Panel("By quarter of sign-up", {}, answer, session, follows=targets, opens=True)


def _over_time(table: pl.DataFrame) -> str:
    rows = table.unique("quarter", keep="first", maintain_order=True).to_dicts()
    named = list(dict.fromkeys(row["named"] for row in rows if row["named"]))
    span = f"{many(len(rows), 'quarter')} of sign-ups"
    if not named:
        return f"{span}: none of them, taken alone, names a link."
    if len(named) > 1:
        return f"{span}: the named link changes, {' then '.join(LINK_NAMES[n] for n in named)}."
    held = sum(row["named"] == named[0] for row in rows)
    return f"{span}: {LINK_NAMES[named[0]]} is named in {'all' if held == len(rows) else held} of them, no other link in any."


def groups(session: Session, journeys: Journeys, targets: Panel) -> Panel:
    """Make the panel of the verdict per group, under the targets that the other panel shows."""
    from engagekit import charts
    from engagekit.priority import loop_facts, priority_of
    from engagekit.reporting import hand_on

    facts = cache(lambda by: loop_facts(journeys, by=by))
    known = comparable(journeys)
    controls = {"by": choice("Compare by", known, known[0])} if known else {}

    def answer(state: dict[str, Any]) -> Shown:
        if targets.value is None:
            return Shown(None, COVERED)
        if not known:
            return Shown(None, "No property of the users divides them into a few groups.")
        found = priority_of(facts(state["by"]), targets=shares(targets.state))
        found = hand_on(found, by=state["by"]).priority
        return Shown(found.segments, _by_group(found.segments, state["by"]), charts.segments(found))

    return Panel("By group of users", controls, answer, session, "groups", follows=targets)


def comparable(journeys: Journeys) -> list[str]:
    """List the properties that divide the users into a few groups."""
    counted = journeys.users.lazy().select(journeys.properties).collect()
    return [p for p in journeys.properties if 2 <= counted[p].n_unique() <= MOST_GROUPS]


def _by_group(table: pl.DataFrame | None, by: str) -> str:
    rows = [] if table is None else table.to_dicts()
    elsewhere = [row for row in rows if row["elsewhere"]]
    if not elsewhere:
        return f"No group of {by} breaks at another link than all users together."
    return "\n".join(
        f"{group(row[by])}: {LINK_NAMES[row['link']]} is named, {percent(row['probability'])} sure."
        for row in elsewhere
    )
