"""Recent sign-ups: what an answer about "now" stands on."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import polars as pl

from engagekit._base import is_whole
from engagekit.errors import ParameterError
from engagekit.journeys import check_journeys, windows_of

if TYPE_CHECKING:
    from datetime import datetime

    from engagekit.definition import Definition
    from engagekit.journeys import Journeys


class Unset(Enum):
    """What a parameter is where nobody gave it: None means something else."""

    UNSET = "as the definition says"

    def __repr__(self) -> str:
        """Show in signatures what it stands for."""
        return "UNSET"


UNSET: Final = Unset.UNSET
Recent: TypeAlias = int | Literal[Unset.UNSET] | None


def recent_days(recent: Recent, definition: Definition) -> int | None:
    """Say how many days of sign-ups count as recent; None: all of them.

    Raises
    ------
    ParameterError
        `recent` is no whole number of days.
    """
    if recent is UNSET:
        return definition.recent_days
    if recent is None:
        return None
    if not is_whole(recent):
        raise ParameterError(
            f"recent is {recent!r}; it takes a whole number of days of at least 1, or None for all sign-ups."
        )
    return recent


def recent_since(journeys: Journeys, recent: Recent) -> datetime | None:
    """Say from which instant on sign-ups count as recent, those of the last ``depth_days + recent`` days; None: all do.

    Where nobody signed up in them, the days are counted back from the last sign-up instead.

    Notes
    -----
    So the first of them have had time to go deeper. With the activation window on top, as the contract had it, the span
    of a daily product is 140 days, longer than many a log: a product that never changes, with lives of 45 days, then
    differed from itself by 4.4 points in its engagement rate and 4.9 in its drift share between logs of 120 and 240 days;
    without it by 1 to 2.
    """
    check_journeys(journeys)
    width = recent_days(recent, journeys.definition)
    if width is None:
        return None
    span = timedelta(days=windows_of(journeys.definition)["depth"] + width)
    last = journeys.users.lazy().select(pl.col("signed_up_at").max()).collect().item()
    since = journeys.as_of - span
    # Without a look at where the log begins: a sign-up known from the users table may lie before it.
    return since if last is None or last >= since else last - span
