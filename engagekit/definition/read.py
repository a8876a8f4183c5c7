"""How a log is read: the table ``[read]`` of a definition, so that columns and formats are said once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engagekit._base import is_whole
from engagekit.errors import DefinitionError, EngagekitError, nearest
from engagekit.instants import zone
from engagekit.matchers import Matcher, as_matches, to_plain

LISTED = ("event", "at")  # these may be told as several columns, joined


@dataclass(frozen=True, kw_only=True)
class Read:
    """Say how a log is read: what `scan_events` takes; what is None is as it is there.

    Parameters
    ----------
    preset
        The export this is, such as ``"amplitude"``.
    user, event, at
        The columns of the user's id, the event's name and its time; `event` and `at` also a list of columns.
    timezone
        Where times without an offset lie; None: in the definition's time zone.
    at_format
        The unit of an epoch or a strptime pattern.
    bad_times, encoding
        As in `scan_events`.
    columns, skip, member, unpivot
        The shape of the file, as in `scan_events`.
    keep
        Further properties to keep.
    identities
        ``"log"``, or None.
    exclude
        A matcher of events to leave out.
    dedupe
        True, or the name of the column that holds a message's id.

    Raises
    ------
    DefinitionError
        With every fault found.

    Examples
    --------
    >>> Read(user="Customer ID", event="Action name", at="Occurred At (UTC)").options()
    {'user': 'Customer ID', 'event': 'Action name', 'at': 'Occurred At (UTC)'}
    """

    preset: str | None = None
    user: str | None = None
    event: str | Sequence[str] | None = None
    at: str | Sequence[str] | None = None
    timezone: str | None = None
    at_format: str | None = None
    bad_times: str | None = None
    encoding: str | None = None
    columns: Sequence[str] | None = None
    skip: int | None = None
    member: str | None = None
    unpivot: Sequence[str] | None = None
    keep: Sequence[str] | None = None
    identities: str | None = None
    exclude: Matcher | None = None
    dedupe: bool | str | None = None

    def __post_init__(self) -> None:
        """Bring lists to one form and check everything at once."""
        faults = []
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, list) and each.name != "exclude":
                object.__setattr__(self, each.name, tuple(value))
            if value is None or self._sound(each.name, getattr(self, each.name)):
                continue
            faults.append(
                f"read.{each.name} is {value!r}; {TAKES.get(each.name, 'it takes a text')}."
            )
        for name, check in (("timezone", zone), ("exclude", as_matches)):
            try:
                if getattr(self, name) is not None:
                    check(getattr(self, name))
            except EngagekitError as error:
                faults.append(f"read.{name}: {error}")
        if faults:
            raise DefinitionError.from_faults("How the log is read does not hold together", faults)

    @staticmethod
    def _sound(name: str, value: Any) -> bool:
        texts = (
            isinstance(value, tuple)
            and bool(value)
            and all(isinstance(v, str) and v for v in value)
        )
        if name in {"columns", "unpivot", "keep"}:
            return texts
        if name == "skip":
            return is_whole(value, least=0)
        if name == "identities":
            return bool(value == "log")
        if name == "exclude":
            return True  # checked as a matcher
        if name == "dedupe" and isinstance(value, bool):
            return True
        return (isinstance(value, str) and bool(value)) or (name in LISTED and texts)

    def options(self) -> dict[str, Any]:
        """Return what is said, by the names of `scan_events`."""
        found = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) and name in LISTED else value
            for name, value in found.items()
            if value is not None
        }

    def to_table(self) -> dict[str, Any]:
        """Return what is said as plain values, as a TOML file holds them."""
        return {
            name: to_plain(value)
            if name == "exclude"
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in self.options().items()
        }


TAKES = {
    "columns": "it takes a list of names",
    "unpivot": "it takes a list of columns",
    "keep": "it takes a list of properties",
    "skip": "it takes a whole number of lines",
    "identities": "it takes 'log'",
    "dedupe": "it takes true, or the column of a message's id",
    "event": "it takes a column's name, or a list of them",
    "at": "it takes a column's name, or a list of them",
}


def read_from(table: object) -> Read:
    """Take the table ``[read]`` of a file.

    Raises
    ------
    DefinitionError
        A key is unknown, or a value means nothing: all faults.
    """
    if isinstance(table, Read):
        return table
    if not isinstance(table, Mapping):
        raise DefinitionError(f"read is {table!r}; write it as a [read] table.")
    known = [each.name for each in dataclasses.fields(Read)]
    faults = [
        f"{key!r} is no key of [read].{nearest(str(key), known)}"
        for key in table
        if key not in known
    ]
    if faults:
        raise DefinitionError.from_faults("How the log is read does not hold together", faults)
    return Read(**{str(k): v for k, v in table.items()})
