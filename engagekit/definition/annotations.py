"""What happened to a product on a day: a release, a campaign, an outage; shown where time runs along a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from engagekit.errors import DefinitionError, EngagekitError, faults_of, nearest

LONGEST = 60  # letters that stand beside a line


@dataclass(frozen=True)
class Note:
    """Say what happened on a day: a release, a campaign, an outage.

    Parameters
    ----------
    on
        The local day, as a date or ISO text.
    text
        What happened, in at most 60 letters.

    Raises
    ------
    DefinitionError
        With every fault found.

    Examples
    --------
    >>> Note("2026-03-01", "new editor").on
    datetime.date(2026, 3, 1)
    """

    on: date
    text: str

    def __init__(self, on: date | str, text: str) -> None:
        """Read the day and check everything at once."""
        faults = []
        day = _day(on)
        if day is None:
            faults.append(f"on is {on!r}; it takes a day, such as 2026-03-01.")
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
            faults.append(
                f"text is {text!r}; it takes what happened, in at most {LONGEST} letters."
            )
        if faults:
            raise DefinitionError.from_faults("The annotation does not hold together", faults)
        object.__setattr__(self, "on", day)
        object.__setattr__(self, "text", text.strip())

    def to_table(self) -> dict[str, str]:
        """Return it as plain values, as a TOML file holds them."""
        return {"on": self.on.isoformat(), "text": self.text}


def _day(value: object) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def notes_of(given: Any, faults: list[str]) -> tuple[Note, ...]:
    """Take annotations as they are written, in order of their days; what is wrong goes to `faults`."""
    items = [given] if isinstance(given, Note | Mapping) else given
    if not isinstance(items, Sequence) or isinstance(items, str):
        faults.append(f"annotations is {given!r}; it takes a list of ek.Note(day, text).")
        return ()
    found = []
    for number, item in enumerate(items, 1):
        try:
            found.append(item if isinstance(item, Note) else _note(item))
        except EngagekitError as error:
            faults += [f"annotation {number}: {fault}" for fault in faults_of(error)]
    return tuple(sorted(found, key=lambda note: (note.on, note.text)))


def _note(item: Any) -> Note:
    if not isinstance(item, Mapping):
        raise DefinitionError(f"{item!r} is no annotation; give ek.Note(day, text).")
    known = ("on", "text")
    wrong = [f"{key!r} is no key of an annotation.{nearest(str(key), known)}" for key in item if key not in known]  # fmt: skip
    if wrong:
        raise DefinitionError.from_faults("The annotation does not hold together", wrong)
    return Note(item.get("on"), item.get("text"))  # type: ignore[arg-type]
