"""What each user did in the last 28 days before the data end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from engagekit.matchers import as_matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.definition import Definition
    from engagekit.journeys.day_arrays import DayArrays, Ints
    from engagekit.journeys.tables import Journeys

RECENT_DAYS = 28  # the window of engagement rate and depth, before `as_of`
PASSIVE = ("outreach", "feedback_asked")  # done to users, not by them


def recent_start(journeys: Journeys) -> datetime:
    """Say when the last 28 days before the data end begin."""
    return journeys.as_of - timedelta(days=RECENT_DAYS)


def recent_counts(days: DayArrays, journeys: Journeys, size: int) -> dict[str, Any]:
    """Count what each user did in the last 28 days, and say who did anything that the definition names.

    Whether anything happened is exact; a count on the local day on which the window begins is so for one or two actions,
    see `times_before`.
    """
    import numpy as np

    start = microseconds(recent_start(journeys))
    recent = days.among(np.flatnonzero(days.last >= start))
    times = recent.times - times_done_before(recent, start)
    beyond = set(beyond_core(journeys.definition))
    chosen: dict[str, list[bool]] = {
        "core_actions": [role == "core" for role in days.roles],
        "advanced_actions": [role.startswith("advanced:") for role in days.roles],
        "beyond_core": [role in beyond for role in days.roles],
        "errors": [role == "errors" for role in days.roles],
        "support": [role == "support" for role in days.roles],
    }

    def counted(roles: Sequence[bool]) -> Ints:
        rows = recent.among_roles(list(roles))
        counts = np.bincount(recent.user[rows], weights=times[rows], minlength=size)
        return counts.astype(np.int64)

    acts = recent.among_roles([role not in PASSIVE for role in days.roles])
    present = np.zeros(size, np.bool_)
    present[recent.user[acts]] = True
    return {name: counted(roles) for name, roles in chosen.items()} | {"present": present}


def microseconds(moment: datetime) -> int:
    """Give an instant in microseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def times_done_before(days: DayArrays, moment: int) -> Ints:
    """Count how often a day's action was done before an instant, as `times_before` does."""
    import numpy as np

    found = np.zeros(len(days.user), np.int64)
    cut = np.flatnonzero(days.first < moment)
    first, last, times = days.first[cut], days.last[cut], days.times[cut]
    span = last - first
    between = ((moment - first) * (times - 1) + span - 1) // np.maximum(span, 1)
    found[cut] = np.where(last < moment, times, between)
    return found


def beyond_core(definition: Definition) -> list[str]:
    """List the advanced roles that are not core anyway, lest one event counts as two actions."""
    core = as_matches(definition.core)
    plain = {match.event for match in core if not match.where}
    return [
        role
        for role, matcher in definition.roles().items()
        if role.startswith("advanced:")
        and not all(match in core or match.event in plain for match in as_matches(matcher))
    ]
