"""A first definition guessed from a log, for a team to correct: which event may be the sign-up, which the core action."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from engagekit.definition import Definition
from engagekit.errors import EventLogError
from engagekit.log import open_log

if TYPE_CHECKING:
    from typing import Any

SIGNUP = re.compile(
    r"sign.?up|signed.?up|regist|account.?created|created.?account|user.?created|joined",
    re.IGNORECASE,
)
# Presence, not progress: such events are never proposed as the core action.
PRESENCE = re.compile(
    r"log(ged)?.?(in|out)|sign(ed)?.?in|page|view|screen|session|opened|^open|visit|app.?start|heartbeat|identify|autocapture|\$",
    re.IGNORECASE,
)
ADVOCACY = re.compile(r"invit|refer|share|review|recommend", re.IGNORECASE)
OUTREACH = re.compile(
    r"email|push|newsletter|campaign|notification.?sent|message.?sent", re.IGNORECASE
)


def event_table(events: Any) -> pl.DataFrame:
    """Say what is in a log: for each event, how many users do it, how many repeat it on another day, how often.

    Parameters
    ----------
    events
        A log with `user_id`, `event`, `at`: a frame, lazy or eager, or what `scan_events` returns.

    Returns
    -------
    polars.DataFrame
        `event`, `users`, `repeating` (users with it on two or more days), `times`, `first_of` (users who
        begin with it, alone or with others at the same instant); most users first.

    Examples
    --------
    >>> from datetime import datetime
    >>> rows = [("a", "join", datetime(2026, 1, 1)), ("a", "make", datetime(2026, 1, 2))]
    >>> event_table(pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")).select("event", "first_of").rows()
    [('join', 1), ('make', 0)]
    """
    log, _ = open_log(events)
    log = log.select("user_id", pl.col("event").cast(pl.String), "at")
    done = log.group_by("user_id", "event").agg(
        pl.col("at").dt.date().n_unique().alias("days"),
        pl.len().alias("times"),
        pl.col("at").min().alias("first"),
    )
    begun = pl.col("first") == pl.col("first").min().over("user_id")
    counts = (
        done.with_columns(begun.alias("begun"))
        .group_by("event")
        .agg(
            pl.len().cast(pl.Int64).alias("users"),
            (pl.col("days") > 1).sum().cast(pl.Int64).alias("repeating"),
            pl.col("times").sum().cast(pl.Int64),
            pl.col("begun").sum().cast(pl.Int64).alias("first_of"),
        )
    )
    return counts.sort("users", "event", descending=[True, False]).collect()


def starter_definition(
    table: pl.DataFrame, *, name: str = "this product", timezone: str = "UTC"
) -> Definition:
    """Guess a definition from an `event_table`: a start for the team, never an answer.

    The sign-up is, of the events so named, the one that most users begin with; the core action is the event that is kept up
    most, presence (logins, views) aside: by many on another day too, and by a large share of those who do it. A step at which
    users are stuck is tried again by many, but by few of all who come to it. The core action stands for activation too.

    Raises
    ------
    EventLogError
        No event could be an action.
    """
    rows = table.to_dicts()
    names = [r["event"] for r in rows]
    signups = [r for r in rows if SIGNUP.search(r["event"])]
    signup = max(signups, key=lambda r: (r["first_of"], r["users"]))["event"] if signups else None
    special = [n for n in names if n == signup or PRESENCE.search(n) or OUTREACH.search(n)]
    actions = [r for r in rows if r["event"] not in special] or [
        r for r in rows if r["event"] != signup
    ]
    if not actions:
        raise EventLogError(
            "The log has no event beside the sign-up, so no core action can be proposed; check what is tracked."
        )
    core = max(actions, key=lambda r: (_kept_up(r), r["users"], r["event"]))["event"]
    advocacy = [n for n in names if n not in {core, signup} and ADVOCACY.search(n)]
    outreach = [n for n in names if n not in {core, signup, *advocacy} and OUTREACH.search(n)]
    return Definition(
        name=name,
        signup=signup,
        activation=core,
        core=core,
        advocacy=advocacy,
        outreach=outreach or None,
        timezone=timezone,
    )


def _kept_up(row: dict[str, Any]) -> float:
    """Say how many users do an event on another day too, weighed with their share of all who do it."""
    return float(row["repeating"] ** 2 / row["users"])
