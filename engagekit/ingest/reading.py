"""How a log is to be read, from what is said of it and what its definition says: checked, all faults at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from engagekit._base import is_whole
from engagekit.errors import ParameterError, check_choice, listing
from engagekit.ingest import nested_fields, timestamps
from engagekit.ingest.column_mapping import EVENT, TIME, Reading
from engagekit.ingest.presets import PRESETS, preset_of
from engagekit.instants import zone
from engagekit.log import COLUMNS
from engagekit.matchers import Match, property_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engagekit.definition import Definition
    from engagekit.ingest.presets import Path, Preset

Keep: TypeAlias = "str | Sequence[str] | Mapping[str, str]"
DEFAULTS = {"user": "user_id", "event": "event", "at": "at"}
EVERY = "*"
AS_USUAL: dict[str, Any] = {
    **DEFAULTS,
    "preset": None,
    "timezone": None,
    "identities": None,
    "exclude": None,
    "dedupe": False,
    "at_format": None,
    "bad_times": "refuse",
    "encoding": "utf-8",
    "columns": (),
    "skip": 0,
    "member": None,
    "unpivot": (),
}
MESSAGE = "engagekit:message"


def as_defined(given: Mapping[str, Any], definition: Definition | None) -> dict[str, Any]:
    """Say how a log is read: as is said, and where nothing is, as its definition says."""
    said = {name: value for name, value in given.items() if not _is_usual(name, value)}
    if definition is None:
        return AS_USUAL | said
    options = {} if definition.read is None else definition.read.options()
    options.pop("keep", None)
    return AS_USUAL | {"timezone": definition.timezone} | options | said


def _is_usual(name: str, value: Any) -> bool:
    usual = AS_USUAL[name]  # frames have no plain equality
    return value is usual or (type(value) is type(usual) and bool(value == usual))


def reading_of(said: Mapping[str, Any], keep: Mapping[str, str], perhaps: Sequence[str]) -> Reading:
    """Check how a log is to be read, and find where its columns may lie.

    Parameters
    ----------
    said
        The parameters of `scan_events`, by their names.
    keep, perhaps
        The properties to keep, as ``{new name: name}``, and those among them that the log may lack.

    Raises
    ------
    ParameterError
        With every fault found.
    """
    shape = _shape(**{name: said[name] for name in ("columns", "skip", "member", "unpivot")})
    named = {role: said[role] for role in DEFAULTS}
    if shape["unpivot"]:
        named |= {"event": EVENT, "at": TIME}
    zone(said["timezone"] or "UTC")
    known = preset_of(said["preset"])
    faults = check_choice("bad_times", said["bad_times"], ["refuse", "null"])
    faults += _identity_faults(said["identities"], known) + _keep_faults(keep)
    single: dict[str, Any] = {role: _as_one(role, name, faults) for role, name in named.items()}
    faults += [
        f"{role} is {name!r}; it takes a column's name."
        for role, name in single.items()
        if not isinstance(name, str) or not name
    ]
    if faults:
        raise ParameterError.from_faults("The log cannot be read this way", faults)
    wanted = dict(keep) | {
        n: n for n in _matched_properties(said["exclude"]) if n not in keep and n not in COLUMNS
    }
    if isinstance(said["dedupe"], str):
        wanted |= {MESSAGE: said["dedupe"]}
    places = {role: _places(role, name, known) for role, name in single.items()}
    form = timestamps.form_of(said["at_format"]) if said["at_format"] is not None else None
    assumed = form is None
    if form is None and known and known.at_format and places["at"] == known.at:
        form = timestamps.Form(known.at_format, "epoch", wall_clock=known.local)
    return Reading(
        places=places,
        keep={new: nested_fields.places_of(old, known) for new, old in wanted.items()},
        form=form,
        timezone="UTC" if known and not known.local else said["timezone"] or "UTC",
        preset=known,
        assumed=assumed,
        drop_bad_times=said["bad_times"] == "null",
        aliases=known.aliases if known and learns(said["identities"]) else (),
        perhaps=tuple(perhaps),
        whole=said["dedupe"] is True,
        **shape,
    )


def _identity_faults(ids: Any, known: Preset | None) -> list[str]:
    if not isinstance(ids, str) or (learns(ids) and known and known.aliases):
        return []
    takes = [name for name, each in PRESETS.items() if each.aliases]
    return [
        f"identities is {ids!r}; it takes a frame with 'alias' and 'user_id', or 'log' with one of the presets {listing(takes, last='or')}."
    ]


def _keep_faults(keep: Mapping[str, str]) -> list[str]:
    return [
        f"keep names {name!r}, which is a column of the log itself; keep it under another name: keep={{'its_{name}': {name!r}}}."
        for name in keep
        if name in COLUMNS
    ]


def _places(role: str, name: str, known: Preset | None) -> tuple[Path, ...]:
    if known and name == DEFAULTS[role]:
        found: tuple[Path, ...] = getattr(known, role)
        return found
    if nested_fields.JOINED in name or name.startswith("="):
        return ((name,),)
    return nested_fields.places_of(name, None)


def kept_names(keep: Keep) -> dict[str, str]:
    """Take the properties to keep as ``{new name: name}``."""
    if isinstance(keep, str):
        return {keep: keep}
    pairs = dict(keep) if isinstance(keep, dict) else None
    if pairs is None:
        try:
            pairs = {name: name for name in keep}
        except TypeError:
            raise ParameterError(
                f"keep is {keep!r}; it takes names of properties, or {{new name: name}}."
            ) from None
    wrong = [n for pair in pairs.items() for n in pair if not isinstance(n, str) or not n]
    if wrong:
        raise ParameterError(f"keep holds {wrong[0]!r}; it takes names of properties.")
    return pairs


def _shape(columns: Any, skip: Any, member: Any, unpivot: Any) -> dict[str, Any]:
    faults = [
        f"{word} is {given!r}; it takes a list of names."
        for word, given in {"columns": columns, "unpivot": unpivot}.items()
        if isinstance(given, str) or not all(isinstance(n, str) and n for n in given)
    ]
    if not is_whole(skip, least=0):
        faults.append(f"skip is {skip!r}; it takes a number of lines.")
    if member is not None and not isinstance(member, str):
        faults.append(f"member is {member!r}; it takes the name of a file in an archive, or a pattern.")  # fmt: skip
    if faults:
        raise ParameterError.from_faults("The log cannot be read this way", faults)
    return {"columns": tuple(columns), "skip": skip, "member": member, "unpivot": tuple(unpivot)}


def _as_one(role: str, name: Any, faults: list[str]) -> Any:
    """Write several columns as one; an event's name and its time may lie in two."""
    if isinstance(name, str) or not isinstance(name, (list, tuple)):
        return name
    if role == "user" or not name or not all(isinstance(n, str) and n for n in name):
        faults.append(f"{role} is {name!r}; it takes a column's name{'' if role == 'user' else ', or a list of them'}.")  # fmt: skip
        return "?"
    return name[0] if len(name) == 1 else nested_fields.JOINED.join(name)


def learns(ids: Any) -> bool:
    """Say whether identities are to be learnt from the log itself."""
    return isinstance(ids, str) and ids == "log"


def _matched_properties(exclude: Any) -> tuple[str, ...]:
    return property_names(exclude) if isinstance(exclude, (Match, list, tuple, dict)) else ()
