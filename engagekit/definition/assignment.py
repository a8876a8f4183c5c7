"""Which test of a play runs: the event that puts a user into an arm, and the property that names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engagekit._base import is_share
from engagekit.errors import DefinitionError, listing
from engagekit.matchers import Matcher, as_matches, match_of, to_plain


@dataclass(frozen=True)
class Assignment:
    """Which event says that a user was put into an arm of a test, and which property of it says into which.

    Parameters
    ----------
    event
        Matcher of the event, such as the first exposure.
    property
        The event's property with the arm's name.
    control
        The arm without the play; None: the one named control, off, baseline, holdout or a, else the first by name.
    shares
        The share of users meant for each arm, such as ``{"control": 0.9, "new": 0.1}``; None: equal ones.

    Raises
    ------
    DefinitionError
        With every fault found.

    Examples
    --------
    >>> Assignment("exposed", property="arm").property
    'arm'
    """

    event: Matcher
    property: str = "variant"
    control: str | None = None
    shares: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Check everything at once."""
        faults = []
        try:
            as_matches(self.event)
        except DefinitionError as error:
            faults.append(f"event: {error}")
        if not isinstance(self.property, str) or not self.property:
            faults.append(f"property is {self.property!r}; it takes the name of a property.")
        elif self.property in {"user_id", "event", "at"}:
            faults.append(f"property is {self.property!r}, which is a column of every event; name the arm's property.")  # fmt: skip
        if self.control is not None and not isinstance(self.control, str):
            faults.append(f"control is {self.control!r}; it takes the name of an arm.")
        if self.shares is not None:
            faults += share_faults(self.shares)
        if faults:
            raise DefinitionError.from_faults("The experiment cannot be read", faults)
        if isinstance(self.event, Mapping):  # as a TOML file holds it
            object.__setattr__(self, "event", match_of(self.event))

    def to_table(self) -> dict[str, Any]:
        """Write the assignment as plain values, as a TOML file holds it."""
        table = {"event": to_plain(self.event), "property": self.property, "control": self.control}
        told = {key: value for key, value in table.items() if value is not None}
        return told if self.shares is None else told | {"shares": dict(self.shares)}

    @classmethod
    def from_table(cls, table: object) -> Assignment:
        """Take an assignment from plain values.

        Raises
        ------
        DefinitionError
            It is no table, or a key is unknown or missing.
        """
        known = ("event", "property", "control", "shares")
        if isinstance(table, Assignment):
            return table
        if not isinstance(table, Mapping) or "event" not in table:
            raise DefinitionError(
                f"experiment is {table!r}; it takes the keys {listing(known)}, event at least, "
                'such as {event = "exposed", property = "variant"}.'
            )
        if unknown := [key for key in table if key not in known]:
            raise DefinitionError(
                f"experiment has the keys {listing(unknown)}; it knows {listing(known)}."
            )
        return cls(**table)


def assignment_of(table: object, faults: list[str]) -> Assignment | None:
    """Take a definition's experiment, if it has one; what is wrong with it joins the faults."""
    try:
        return None if table is None else Assignment.from_table(table)
    except DefinitionError as error:
        faults.append(str(error))
        return None


def share_faults(shares: object) -> list[str]:
    """Return what is wrong with the intended shares of a test's arms."""
    sound = isinstance(shares, Mapping) and all(is_share(s) for s in shares.values())
    if sound and isinstance(shares, Mapping) and abs(sum(shares.values()) - 1) < 1e-6:
        return []
    return [f"shares is {shares!r}; it takes each arm with its share, above 0 and 1 in all."]
