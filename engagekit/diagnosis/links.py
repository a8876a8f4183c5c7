"""The loop's four links per user: who is judged on each, who passed it, and who got that far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.definition import LINKS
from engagekit.instants import AT, days
from engagekit.journeys import users_with, windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.definition import Definition
    from engagekit.journeys import Journeys

# Without a target for it, advocacy only validates; these three decide where most users are lost.
LOSABLE = LINKS[:3]
FLAGS = [
    *(f"{link}_{c}" for link in LINKS for c in ("of", "n", "reached_of", "reached_n")),
    "habit_late",
]


def defined_links(definition: Definition) -> tuple[str, ...]:
    """Name the links that a definition can judge: depth needs advanced actions, advocacy depth and its events.

    Examples
    --------
    >>> from engagekit import Definition
    >>> defined_links(Definition(activation="first_project", core="publish", advanced=["report"]))
    ('activation', 'habit', 'depth')
    """
    if not definition.advanced:
        return LINKS[:2]
    return LINKS if definition.advocacy else LOSABLE


def span_days(definition: Definition, link: str) -> int:
    """Take the longest time in days from sign-up until it is known whether a user passed every link up to this one.

    Examples
    --------
    >>> from engagekit import Definition
    >>> span_days(Definition(activation="first_project", core="publish").resolved(5), "depth")
    49
    """
    windows = windows_of(definition)
    since = [windows[each] for each in LINKS[1 : LINKS.index(link) + 1]]
    return windows["activation"] + max(since, default=0)


def link_flags(journeys: Journeys, *, keep: Sequence[str] = ()) -> pl.LazyFrame:
    """Say for each user which links they are judged on, and which they passed in time.

    A link judges those who passed the one before and whose window has fully passed by ``as_of``:
    ``signed_up_at + activation_days``, ``activated_at + habit_days``, ``activated_at + depth_days``,
    ``activated_at + advocacy_days``.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    keep
        Properties to carry along.

    Returns
    -------
    LazyFrame
        One row per user: `user_id`, `signed_up_at`, the properties kept, and for each link ``<link>_of`` (judged),
        ``<link>_n`` (passed), ``<link>_reached_of`` (the whole span from sign-up to this link is over) and
        ``<link>_reached_n`` (of those, passed every link up to this one). A link that the definition cannot
        judge is false throughout. ``habit_late``: judged on habit, not passed, and came back after its window.

    Notes
    -----
    A core action counts for habit on a later local day than the activation. Advanced actions and advocacy
    count from the activation on.
    """
    definition = journeys.definition
    end = pl.lit(journeys.as_of, AT)
    signed, activated = pl.col("signed_up_at"), pl.col("activated_at")
    window = {link: days(count) for link, count in windows_of(definition).items()}
    in_time = {
        "activation": activated < signed + window["activation"],
        "habit": pl.col("returned_at") < activated + window["habit"],
        "depth": pl.col("deepened"),
        "advocacy": pl.col("advocated"),
    }
    flags: list[pl.Expr] = []
    passed = pl.lit(value=True)
    for link in LINKS:
        defined = pl.lit(link in defined_links(definition))
        start = signed if link == "activation" else activated
        judged = defined & passed & (start + window[link] <= end).fill_null(value=False)
        passed = judged & in_time[link].fill_null(value=False)
        known = defined & (signed + days(span_days(definition, link)) <= end)
        flags += [
            judged.alias(f"{link}_of"),
            passed.alias(f"{link}_n"),
            known.alias(f"{link}_reached_of"),
            (known & passed).alias(f"{link}_reached_n"),
        ]
    kept = [pl.col(f"by:{name}").alias(name) for name in keep]
    late = pl.col("habit_of") & ~pl.col("habit_n") & pl.col("returned_at").is_not_null()
    found = users_with(journeys, keep).with_columns(*flags).with_columns(habit_late=late)
    return found.select("user_id", "signed_up_at", *kept, *FLAGS)


def meets_depth_rule(uses: pl.LazyFrame, definition: Definition) -> pl.LazyFrame:
    """Keep the days on which the depth rule is met: the same action on enough different days, near enough.

    Parameters
    ----------
    uses
        One row per user, action and local day of use: `user_id`, `action`, `day`, ...
    definition
        Gives `depth_uses` and `depth_within_days`.
    """
    others = definition.depth_uses - 1
    ago = [pl.col(c).shift(others) for c in ("user_id", "action", "day")]
    return uses.sort("user_id", "action", "day").filter(
        pl.col("user_id") == ago[0],
        pl.col("action") == ago[1],
        (pl.col("day") - ago[2]).dt.total_days() <= windows_of(definition)["depth_within"],
    )
