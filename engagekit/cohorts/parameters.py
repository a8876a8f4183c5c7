"""What is meant by retention this time: the parameters, checked together, all faults at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from engagekit._base import (
    Calendar,
    calendar_faults,
    whole_faults,
)
from engagekit.errors import EngagekitError, ParameterError, check_choice, listing
from engagekit.instants import instant
from engagekit.matchers import as_matches, event_names

if TYPE_CHECKING:
    from engagekit.definition import Definition

Cohorts: TypeAlias = Literal["first", "first_ever", "each"]
Window: TypeAlias = Literal["calendar", "rolling"]
Anchor: TypeAlias = Literal["first", "each"]
Granularity: TypeAlias = Literal["exact", "truncated"]
Mode: TypeAlias = Literal["on", "on_or_after"]
PeriodZero: TypeAlias = Literal["started", "returned"]

CHOICES: dict[str, tuple[str, ...]] = {
    "cohorts": ("first", "first_ever", "each"),
    "window": ("calendar", "rolling"),
    "anchor": ("first", "each"),
    "granularity": ("exact", "truncated"),
    "mode": ("on", "on_or_after"),
    "period_zero": ("started", "returned"),
}
# Columns of the answers; a column to split by cannot have one of these names.
TAKEN = (
    "cohort", "period", "from_period", "to_period", "n", "of", "rate", "low", "high", "complete",
    "followed_until", "users_effect", "user_id",
)  # fmt: skip


@dataclass(frozen=True)
class Terms:
    """The parameters of one retention question, checked."""

    calendar: Calendar
    periods: int = 12
    cohorts: Cohorts = "first"
    window: Window = "calendar"
    anchor: Anchor = "first"
    granularity: Granularity = "exact"
    mode: Mode = "on"
    brackets: tuple[int, ...] | None = None
    min_times: int = 1
    period_zero: PeriodZero = "started"
    dates_only: bool = False

    @property
    def rolling(self) -> bool:
        """Whether windows run from each start instead of along the calendar."""
        return self.window == "rolling"

    @property
    def last(self) -> int:
        """The last base period that is shown."""
        return sum(self.brackets) if self.brackets else self.periods - 1


def terms_faults(calendar: Calendar, **given: Any) -> list[str]:
    """List what is wrong with the parameters, each for itself and together."""
    faults = calendar_faults(calendar.period, calendar.timezone, calendar.week_start)
    for name, choices in CHOICES.items():
        faults += check_choice(name, given.get(name, choices[0]), choices)
    for name in ("periods", "min_times"):
        faults += whole_faults(name, given.get(name, 1))
    for name in ("since", "as_of"):
        faults += moment_faults(name, given.get(name))
    return faults + _bracket_faults(given.get("brackets")) + _joint_faults(given)


def moment_faults(name: str, moment: object) -> list[str]:
    """Return the fault of what should be a datetime, a date or ISO text; None is none."""
    if moment is None:
        return []
    try:
        # Read in UTC: whether it can be read does not hang on the time zone, which may be wrong too.
        instant(moment, name=name)  # type: ignore[arg-type]  # whatever was given is read
    except ParameterError as error:
        return [str(error)]
    return []


def _bracket_faults(brackets: object) -> list[str]:
    if brackets is None:
        return []
    if not isinstance(brackets, Sequence) or isinstance(brackets, str) or not brackets:
        return [f"brackets is {brackets!r}; it takes a list of sizes, such as [4, 10, 3]."]
    return [
        fault
        for number, size in enumerate(brackets, 1)
        for fault in whole_faults(f"the size of bracket {number}", size)
    ]


def _joint_faults(given: dict[str, Any]) -> list[str]:
    faults = []
    if given.get("window") == "calendar":
        faults += [
            f"{name} is {given[name]!r}, which means nothing with calendar windows; take window='rolling' or leave it out."
            for name, default in (("anchor", "first"), ("granularity", "exact"))
            if given.get(name, default) != default
        ]
    elif given.get("anchor") == "each" and given.get("cohorts") in ("first", "first_ever"):
        faults.append(
            f"anchor is 'each', but with cohorts={given['cohorts']!r} a user has only one start; take cohorts='each'."
        )
    if given.get("period_zero") == "returned" and given.get("anchor") == "each":
        faults.append(
            "period_zero is 'returned', which needs one start per user or period; take anchor='first'."
        )
    if given.get("limit") is not None:
        faults += whole_faults("limit", given["limit"])
        if not given.get("by"):
            faults.append("limit says how many groups to keep, but there is no by=; name a column.")
    return faults


def hour_faults(period: object) -> list[str]:
    """Return the fault of asking journeys for hours."""
    if period != "hour":
        return []
    return ["period is 'hour', but journeys only keep days; use ek.retention on the log."]


def period_zero_faults(period_zero: object, definition: Definition) -> list[str]:
    """Return the fault of asking who came back at once where a sign-up itself may be the core action."""
    core = event_names(definition.core)
    own = definition.signup is not None and not {*event_names(definition.signup)} & {*core}
    if period_zero != "returned" or own:
        return []
    return ["period_zero is 'returned', but here a sign-up may itself be the core action, and journeys cannot tell; use ek.retention on the log."]  # fmt: skip


def by_names(by: str | Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Take the columns to split by as a list, with what is wrong with them."""
    if by is not None and (
        not isinstance(by, Sequence) or not all(isinstance(name, str) for name in by)
    ):
        return [], [f"by is {by!r}; it takes a column name or a list of them."]
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    faults = [
        f"by names {name!r}, which is a column of this answer; rename the log's."
        for name in dict.fromkeys(names)
        if name in TAKEN
    ]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        faults.append(f"by names {listing(twice)} twice.")
    return names, faults


def matcher_faults(name: str, matcher: object) -> list[str]:
    """Return what is wrong with a matcher or expression, or an empty list."""
    if matcher is None or isinstance(matcher, pl.Expr):
        return []
    try:
        as_matches(matcher)
    except EngagekitError as error:
        return [f"{name}: {error}"]
    return []


def refuse(what: str, faults: Sequence[str]) -> None:
    """Raise all faults as one error, if there are any.

    Raises
    ------
    ParameterError
        There are faults.
    """
    if faults:
        raise ParameterError.from_faults(f"{what} cannot be computed so", faults)
