"""What to do instead of a play where no link is named, and when to look again."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import day, many, percent
from engagekit.definition import LINKS
from engagekit.diagnosis import span_days
from engagekit.instants import day_of
from engagekit.priority.earliest import NONE_BROKEN
from engagekit.priority.verdict import ENOUGH_TO_SAY

if TYPE_CHECKING:
    from engagekit.priority.verdict import Priority

USEFUL_WEEKS = 104  # who would wait longer for a number decides without it
FRESH_DAYS = 28  # so many days of new sign-ups make a second look worth it


def later(start: date, days: float) -> date | None:
    """Take a day so many days later; None where it lies beyond any useful time, or beyond the calendar."""
    if not days <= 7 * USEFUL_WEEKS:
        return None
    try:
        return start + timedelta(days=math.ceil(days))
    except OverflowError:
        return None


def instead(priority: Priority, start: date, per_week: float) -> tuple[str, date | None]:
    """Say what to do where the verdict names no link, and on which day to look again, if on any."""
    if priority.verdict == NONE_BROKEN:
        return _nothing_to_mend(priority, start)
    if priority.changed_at is not None:
        on = day(day_of(priority.changed_at, priority.basis.timezone))
        told = f"A rate changed with the sign-ups of {on}, so no play starts yet. Find out what was changed then, in the product or in who signs up."
        last = [link for link in LINKS if link in priority.candidates] or LINKS[:1]
        return _again(priority, told, start, last[-1])
    if priority.verdict == "undecided":
        return _undecided(priority, start, per_week)
    told = (
        "No targets are set, so no link can be called broken and no play is chosen. Agree on a target for each link "
        "first, and write it into the definition; then ask again, with the same data."
    )
    return told, start


def _nothing_to_mend(priority: Priority, start: date) -> tuple[str, date | None]:
    judged = priority.table.filter(pl.col("p_broken").is_not_null(), pl.col("of") > 0)
    watched = "the loop"
    if judged.height:
        row = judged.sort("p_broken", descending=True, maintain_order=True).row(0, named=True)
        watched = f"{row['link']}, the nearest to its mark ({_against(row)})"
    last = judged["link"][-1] if judged.height else LINKS[0]
    told = f"No link is broken, so there is nothing to mend now. Change nothing for the loop's sake, and watch {watched}."
    return _again(priority, told, start, last)


def _against(row: dict[str, Any]) -> str:
    if row["target"] is None:
        return f"{percent(row['reached'])} get that far"
    return f"{percent(row['rate'])} against {percent(row['target'])}"


def _again(priority: Priority, told: str, start: date, link: str) -> tuple[str, date | None]:
    """Look again once four weeks of new sign-ups can be judged on a link."""
    when = later(start, FRESH_DAYS + span_days(priority.definition, link))
    if when is None:
        return f"{told} New sign-ups cannot be judged on {link} within any useful time.", None
    return (
        f"{told} Look again on {day(when)}, when the sign-ups of the next four weeks can be judged on {link}.",
        when,
    )


def _undecided(priority: Priority, start: date, per_week: float) -> tuple[str, date | None]:
    judged = priority.table.filter(pl.col("of") > 0)
    if judged.is_empty():
        return _nobody_yet(priority, start)
    links = [link for link in LINKS if link in priority.candidates]
    if not links and judged["p_broken"].drop_nulls().len():
        return (
            "The data are in doubt, so no play is chosen. Mend first what the verdict says; then ask again, with the "
            "mended data.",
            start,
        )
    if not links:
        return (
            "No link that has a target can be judged, so no play is chosen. Name the events of these links in the "
            "definition, or set targets for the others; then ask again, with the same data.",
            start,
        )
    which = (
        f"which link to mend, {links[0]} or {links[1]}"
        if len(links) > 1
        else f"whether {links[0]} needs mending"
    )
    told = f"It is undecided {which}, so no play starts yet. Talk to users lost at {links[0]} meanwhile."
    more = priority.more_users
    if more is None and _few(priority, links):
        return _again(
            priority,
            f"{told} Too few are judged yet to say how many more would settle it.",
            start,
            links[-1],
        )
    if more is None:
        told = f"{told} More sign-ups alone would hardly settle it; targets that lie further from the rates would."
        return _again(priority, told, start, links[-1])
    if not per_week:
        return (
            f"{told} About {many(more, 'more sign-up')} would settle it, but nobody signed up lately.",
            None,
        )
    weeks, window = more / per_week, span_days(priority.definition, links[-1])
    when = later(start, 7 * weeks + window)
    if when is None:
        return (
            f"{told} About {many(more, 'more sign-up')} would settle it: not within any useful time at the present pace; "
            "agree on targets that lie further from the rates, or choose by what users say.",
            None,
        )
    return (
        f"{told} About {many(more, 'more sign-up')} would settle it: look again on {day(when)}, when so many can be judged.",
        when,
    )


def _few(priority: Priority, links: list[str]) -> bool:
    judged = priority.table.filter(pl.col("link").is_in(links))["of"]
    return any(of < ENOUGH_TO_SAY for of in judged)


def _nobody_yet(priority: Priority, start: date) -> tuple[str, date | None]:
    last, window = priority.basis.signed_up_to, span_days(priority.definition, LINKS[0])
    told = "Nobody can be judged yet, so no play is chosen."
    if last is None:
        return f"{told} Nobody signed up in these data; look again once somebody has.", None
    when = later(max(start, last), window)
    if when is None:
        return f"{told} Their {many(window, 'day')} are not over within any useful time.", None
    return (
        f"{told} Look again on {day(when)}, when the {many(window, 'day')} of all who signed up so far are over.",
        when,
    )
