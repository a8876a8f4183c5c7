"""Ballots: who voted for what. One person is one name, whatever its case and blanks; what comes after the reveal is late."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from engagekit.errors import ParameterError, check_choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    State = dict[str, dict[str, Any]]

LINK, TARGETS = "votes", "target votes"
BALLOTS = (LINK, TARGETS)
LONGEST_NAME = 60


def person(name: str) -> str:
    """Say who a name means: case, blanks and ways of writing the same letters make nobody else.

    Examples
    --------
    >>> person(" Ada  Byron ") == person("ada byron") == person("ADA BYRON")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def readable(name: str) -> str:
    """Take a name as it was typed, without blanks to spare.

    Raises
    ------
    ParameterError
        It is empty, or too long for a name.
    """
    shown = " ".join(name.split())
    if not person(name):
        raise ParameterError("A vote needs the name of who casts it.")
    if len(shown) > LONGEST_NAME:
        raise ParameterError(
            f"A name takes at most {LONGEST_NAME} characters, but this one has {len(shown)}."
        )
    return shown


def known_as(name: str, votes: Mapping[str, Any]) -> str | None:
    """Find the name under which this person has voted already.

    Examples
    --------
    >>> known_as("ada ", {"Ben": "habit", "Ada": "depth"})
    'Ada'
    """
    who = person(name)
    return next((voter for voter in votes if person(voter) == who), None)


def _check(ballot: str) -> None:
    if faults := check_choice("ballot", ballot, BALLOTS):
        raise ParameterError.from_faults("There is no such ballot", faults)


def votes_in(state: State, ballot: str) -> dict[str, Any]:
    """Take the votes of a ballot, name to choice; a session's file can hold anything."""
    _check(ballot)
    found = state["votes"] if ballot == LINK else state["controls"].get(ballot, {})
    return dict(found) if isinstance(found, dict) else {}


def is_revealed(state: State, ballot: str) -> bool:
    """Tell whether the votes of a ballot are revealed."""
    _check(ballot)
    return bool(state["controls"].get(f"{ballot} revealed"))


def reveal(state: State, ballot: str) -> None:
    """Reveal the votes of a ballot; those cast from now on are late."""
    _check(ballot)
    state["controls"][f"{ballot} revealed"] = True


def late_in(state: State, ballot: str) -> list[str]:
    """Name those whose votes came after the reveal."""
    found = state["late"].get(ballot, [])
    return list(map(str, found)) if isinstance(found, list) else []


def cast(state: State, ballot: str, name: str, choice: Any, *, replace: bool) -> bool:
    """Put a vote into the state; None takes it back. Without `replace`, a person's first vote stands, and False comes back."""
    shown, votes, late = readable(name), votes_in(state, ballot), set(late_in(state, ballot))
    before = known_as(name, votes)
    if before is not None and not replace:
        return False
    votes.pop(before or shown, None)
    late.discard(before or shown)
    if choice is not None:
        votes[shown] = choice
        if is_revealed(state, ballot):
            late.add(shown)
    _keep(state, ballot, votes, late)
    return True


def start_over(state: State, ballot: str) -> None:
    """Forget the votes of a ballot, and cover it again."""
    _keep(state, ballot, {}, set())
    state["controls"][f"{ballot} revealed"] = False


def _keep(state: State, ballot: str, votes: dict[str, Any], late: set[str]) -> None:
    if ballot == LINK:
        state["votes"] = votes
    else:
        state["controls"][ballot] = votes
    if late:
        state["late"][ballot] = sorted(late)
    else:
        state["late"].pop(ballot, None)
