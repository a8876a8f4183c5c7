"""Before and after a play, written out: both rates, the goal, and whether it is reached."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engagekit._base import day
from engagekit.errors import ParameterError
from engagekit.instants import day_of
from engagekit.views.sheet import (
    LINK_WORDS,
    UNKNOWN,
    Sheet,
    between,
    rated,
    sheet,
    whole,
)
from engagekit.views.table import Table

if TYPE_CHECKING:
    from datetime import datetime

    from engagekit.review import Tracked

TICK = timedelta(microseconds=1)
NAMES = {"before": "Before the play", "since": "Since it began", "goal": "The goal"}


def track(found: Tracked) -> Sheet:
    """Write out what `track` returns: before, since, and the goal."""
    if not hasattr(found, "weeks") or not hasattr(found, "goal"):
        raise ParameterError(
            f"this shows what ek.track returns, a Tracked; found {type(found).__name__}"
        )
    rows = [
        (
            NAMES[row["sign_ups"]],
            span(found, row),
            UNKNOWN if row["n"] is None else whole(row["n"]),
            UNKNOWN if row["of"] is None else whole(row["of"]),
            UNKNOWN if row["rate"] is None else rated(row["rate"]),
            UNKNOWN if row["low"] is None else between(row["low"], row["high"]),
        )
        for row in found.table.to_dicts()
    ]
    headers = ("Sign-ups", "Of which days", "Passed in time", "Of", "Rate", "95% interval")
    subtitle = (
        "Dots: weeks of sign-up, the larger the more users were judged. Lines with bands: all of them before and since, with the 95% "
        "interval. Whatever else began then is in it too."
    )
    return sheet("Dot chart", title(found), subtitle, headers, rows, texts=2)


def day_in(found: Tracked, moment: datetime) -> str:
    """Write the product's own day of a moment."""
    return day(day_of(moment, found.priority.basis.timezone))


def span(found: Tracked, row: dict[str, Any]) -> str:
    """Write the first and the last day of a side; nothing for the goal."""
    if row["since"] is None or row["until"] is None:
        return UNKNOWN
    first, last = day_in(found, row["since"]), day_in(found, row["until"] - TICK)
    return f"{first} to {last}" if row["until"] > row["since"] else UNKNOWN


def sides(found: Tracked) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take the rows before and since."""
    before, since = found.table.head(2).to_dicts()
    return before, since


def title(found: Tracked) -> str:
    """Say how the rate moved, and where it stands to the goal."""
    before, since = sides(found)
    name, began = LINK_WORDS[found.link], day_in(found, since["since"])
    if found.difference is None:
        return f"{name}: nobody who signed up {'since' if before['of'] else 'before'} {began} can be judged yet"
    now, was = rated(since["rate"]), rated(before["rate"])
    said = {
        "improved": f"{name} rose after {began}",
        "worse": f"{name} fell after {began}",
        "the mix changed": f"{name} since {began}: other users came",
        "within its usual range": f"{name} since {began}: within its usual range",
    }.get(found.verdict, f"{name} since {began}: too early to tell")
    return f"{said}, {now} against {was} before{_to_goal(found, since)}"


def _to_goal(found: Tracked, since: dict[str, Any]) -> str:
    if found.goal is None:
        return ""
    goal = rated(found.goal)
    if since["low"] is not None and since["low"] >= found.goal:
        return f"; the goal of {goal} is reached"
    if since["high"] is not None and since["high"] < found.goal:
        return f"; the goal of {goal} is not reached"
    return f"; whether the goal of {goal} is reached cannot be told yet"


def as_table(found: Tracked) -> Table:
    """Tabulate what `track` returns: the rate before, since, and the goal.

    Parameters
    ----------
    found
        What `engagekit.track` returns.

    Returns
    -------
    Table
        One row per side, and one for the goal.
    """
    return Table("track", track(found))
