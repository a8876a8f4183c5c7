"""Controls over time: up to when the data are complete, and since when a play runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import LINK_NAMES, many
from engagekit.definition import LINKS
from engagekit.diagnosis import span_days
from engagekit.instants import day_of, instant, zone
from engagekit.priority import later
from engagekit.review import track
from engagekit.widgets.panel import Panel, Shown, choice, text

if TYPE_CHECKING:
    from datetime import datetime

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
    """Make the panel that follows a play: since which day, on which link; `.value` is the `Tracked`.

    Only a play with a recorded start is judged: that of a decided plan, or one that is typed here.
    """
    from engagekit import charts

    plan = session.part("plan")
    links = [link for link in LINKS if link in _judged(journeys)]
    link = plan.get("link") if plan.get("link") in links else links[0]
    began = "" if plan.get("draft") else str(plan.get("starts_on") or "")
    controls = {
        "since": text("The play runs since", began, placeholder="the day it really began"),
        "link": choice("Link it is to mend", [(LINK_NAMES[name], name) for name in links], link),
    }

    def answer(state: dict[str, Any]) -> Shown:
        since = state["since"].strip()
        if waiting := _not_yet(since, state["link"], plan, journeys):
            return Shown(None, waiting)
        goal = _goal(plan) if state["link"] == plan.get("link") else None
        found = track(journeys, since=since, link=state["link"], goal=goal)
        return Shown(found, found.sentence, charts.track(found))

    # A decided plan says when it began; what was once typed without one must not stand in its way.
    return Panel(
        "Did the play work?", controls, answer, session, None if began else "play followed"
    )


def _not_yet(since: str, link: str, plan: dict[str, Any], journeys: Journeys) -> str | None:
    """Say why there is nothing to judge yet; None where there is."""
    if not since and plan.get("draft"):
        return "The plan is a draft, and no start is recorded, so nothing is judged. Decide it in notebook 07, or type the day the play began."
    if not since:
        return "No play with a recorded start, so nothing is judged. Type the day one began, to follow it."
    start = instant(since, timezone=journeys.timezone, name="since")
    days = span_days(journeys.definition, link)
    if not _came_since(journeys, start):
        return f"Nobody has signed up since {since} in these data, so the play cannot be judged."
    if journeys.as_of - start > timedelta(days=days):
        return None
    reach = later(day_of(start, journeys.timezone), days)
    return (
        f"The play runs since {since}, and the data reach to {_written(journeys.as_of, journeys)}: nobody who signed up since can be "
        f"judged on {LINK_NAMES[link]} yet. That takes {many(days, 'day')} from sign-up: data beyond {reach or 'the end of the calendar'}."
    )


def _came_since(journeys: Journeys, start: datetime) -> int:
    inside = pl.col("signed_up_at").is_between(start, journeys.as_of, closed="left")
    return int(journeys.users.lazy().filter(inside).select(pl.len()).collect().item())


def _judged(journeys: Journeys) -> tuple[str, ...]:
    from engagekit.diagnosis import defined_links

    return tuple(defined_links(journeys.definition))


def _goal(plan: dict[str, Any]) -> float | None:
    """Take the rate the plan aims at; a session's file can hold anything."""
    aim = plan.get("target")
    return aim if isinstance(aim, float) and 0 < aim < 1 else None
