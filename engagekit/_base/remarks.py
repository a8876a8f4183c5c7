"""Remarks: what to bear in mind about an answer, as records that travel with it; nobody has to read their sentences."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


@dataclass(frozen=True)
class Remark:
    """One thing to bear in mind about an answer.

    Attributes
    ----------
    kind
        What sort of thing it is, a short name such as ``"ids alike"``: what code tells remarks apart by.
    about
        What it is about, as values: an event, a column, a role of the definition, or the values of a group in the
        order of ``by``.
    text
        The sentence for people. It is never read back as data.
    users
        How many users it bends the answer for; None where that is not counted.
    share
        The same as a share (0 to 1) of the users it could bend.
    """

    kind: str
    about: tuple[Hashable, ...]
    text: str
    users: int | None = None
    share: float | None = None

    def __str__(self) -> str:
        """Return the sentence."""
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Write the remark as JSON can hold it, where its `about` can be."""
        return asdict(self) | {"about": list(self.about)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Remark:
        """Read what `to_dict` wrote.

        Raises
        ------
        KeyError, TypeError
            It is no such table.
        """
        return cls(
            kind=str(table["kind"]),
            about=tuple(table["about"]),
            text=str(table["text"]),
            users=table.get("users"),
            share=table.get("share"),
        )
