"""Groups: which properties an answer is split by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engagekit.definition import Definition
from engagekit.errors import ParameterError, listing, nearest

if TYPE_CHECKING:
    from engagekit.journeys.tables import Journeys


MIN_GROUP = 10  # judged users; smaller groups could be recognized


def group_names(
    journeys: Journeys, by: str | Sequence[str] | None, *, taken: Sequence[str] = ()
) -> list[str]:
    """Check the properties to split by, and return them as a list.

    Parameters
    ----------
    journeys
        Whose users have the properties.
    by
        A property, a list of them, or None.
    taken
        Columns of the answer, which no property may have as its name.

    Raises
    ------
    ParameterError
        A name is no property, stands twice, or is a column of the answer: all of them. Or these are no journeys.
    """
    names, faults = names_and_faults(journeys, by, taken=taken)
    if faults:
        raise ParameterError.from_faults(f"by={by!r} cannot be used", faults)
    return names


def names_and_faults(
    journeys: Journeys, by: str | Sequence[str] | None, *, taken: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """List the properties to split by, and what is wrong with them; see `group_names`."""
    check_journeys(journeys)
    names = [] if by is None else [by] if isinstance(by, str) else by
    if not isinstance(names, Sequence):
        return [], [f"by is {by!r}; it takes a property or a list of them."]
    known = journeys.properties
    faults = [
        f"{name!r} is no property of the users.{nearest(str(name), known) or _known(known)}"
        for name in names
        if name not in known
    ]
    faults += [
        f"{name!r} is a column of this answer; rename the property."
        for name in names
        if name in taken
    ]
    faults += [
        f"{name!r} begins like the columns that are made while counting; rename the property."
        for name in names
        if str(name).startswith("_") and name in known
    ]
    if len(set(map(str, names))) < len(names):
        faults.append("a property stands twice.")
    return list(names), faults


def check_journeys(journeys: object) -> None:
    """Refuse what is no journeys: most often a log that has not been rolled up.

    Raises
    ------
    ParameterError
        It is something else.
    """
    # Told by their definition, as journeys themselves stand on modules that stand on this one.
    if not isinstance(getattr(journeys, "definition", None), Definition):
        raise ParameterError(
            f"journeys is a {type(journeys).__name__}; it takes what ek.rollup(events, definition) gives."
        )


def _known(known: Sequence[str]) -> str:
    there = f"There {'is' if len(known) == 1 else 'are'} {listing(known) or 'none'}."
    return f" {there} Properties come from the users table, ek.rollup(..., users=), or from the events, by properties=[...] in the definition."
