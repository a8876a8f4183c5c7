"""Controls over time: up to when the data are complete, and since when a play runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engagekit._base import LINK_NAMES
from engagekit.definition import LINKS
from engagekit.errors import ParameterError
from engagekit.instants import day_of, instant, zone
from engagekit.review import track
from engagekit.widgets.panel import Panel, Shown, choice, text

if TYPE_CHECKING:
    from datetime import date, datetime

    from engagekit.journeys import Journeys
    from engagekit.workshop import Session


def complete_until(session: Session, journeys: Journeys) -> Panel:
    """Make the line that says up to when the data are complete; the session keeps it for every notebook."""
    given = str(session.part("about").get("as_of", ""))
    line = text("Complete up to (exclusive)", given, placeholder="2026-03-01; empty: as it is now")

    def answer(state: dict[str, Any]) -> Shown:
        typed = state["as_of"].strip()
        end = instant(typed, timezone=journeys.timezone) if typed else journeys.as_of
        if typed != session.part("about").get("as_of", ""):
            session.update("about", {"as_of": typed})
        now = f"Judged as of {_written(journeys.as_of, journeys)}."
        if end == journeys.as_of:
            return Shown(end, now)
        return Shown(end, f"{now} Run this notebook again from the top to judge as of {typed}.")

    heading = "Up to when are the data complete?"
    return Panel(heading, {"as_of": line}, answer, session, pictured=False)


def _written(moment: datetime, journeys: Journeys) -> str:
    return f"{moment.astimezone(zone(journeys.timezone)):%Y-%m-%d %H:%M} ({journeys.timezone})"


def since_when(session: Session, journeys: Journeys) -> Panel:
    """Make the panel that follows a play: since which day, on which link; `.value` is the `Tracked`."""
    plan = session.part("plan")
    links = [link for link in LINKS if link in _judged(journeys)]
    link = plan.get("link") if plan.get("link") in links else links[0]
    controls = {
        "since": text("The play runs since", str(_start(plan.get("starts_on"), journeys))),
        "link": choice("Link it is to mend", [(LINK_NAMES[name], name) for name in links], link),
    }

    def answer(state: dict[str, Any]) -> Shown:
        goal = _goal(plan) if state["link"] == plan.get("link") else None
        found = track(journeys, since=state["since"].strip(), link=state["link"], goal=goal)
        return Shown(found, found.sentence)

    return Panel("Did the play work?", controls, answer, session, "play followed", pictured=False)


def _judged(journeys: Journeys) -> tuple[str, ...]:
    from engagekit.diagnosis import defined_links

    return tuple(defined_links(journeys.definition))


def _goal(plan: dict[str, Any]) -> float | None:
    """Take the rate the plan aims at; a session's file can hold anything."""
    aim = plan.get("target")
    return aim if isinstance(aim, float) and 0 < aim < 1 else None


def _start(planned: str | None, journeys: Journeys) -> date:
    """Take the planned day if the data reach past it, else the last third of the data, to see the picture."""
    with suppress(ParameterError):  # a session's file can hold anything
        start = instant(planned or "", timezone=journeys.timezone)
        if journeys.log_start < start < journeys.as_of:
            return day_of(start, journeys.timezone)
    third = (journeys.as_of - journeys.log_start) / 3
    return day_of(journeys.as_of - third, journeys.timezone)
