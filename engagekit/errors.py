"""The errors a person can meet: each says what is wrong, what was found and what to do."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# Around what names a person, and what to say in its place: signs that no text from outside keeps (see `private`).
_PRIVATE = re.compile("\ue000(.*?)\ue001(.*?)\ue002", re.DOTALL)


def private(value: object, instead: str = "(an id)") -> str:
    """Write into a message what names a person: errors and warnings say `instead`, and keep the rest in ``with_ids``."""
    told = value if isinstance(value, str) else repr(value)
    return f"\ue000{_bare(told)}\ue001{_bare(instead)}\ue002"


def _bare(text: str) -> str:
    return re.sub("[\ue000-\ue002]", "", text)


def _told(message: str, *, ids: bool) -> str:
    return _PRIVATE.sub(lambda found: found[1] if ids else found[2], message)


def shape(text: str) -> str:
    """Quote an id or a piece of a file by its shape, as it may name a person: ``'Xxx,00-00-0000'``."""
    seen = text
    for kind, sign in (("[0-9]", "0"), ("[a-z]", "x"), ("[A-Z]", "X")):
        seen = re.sub(kind, sign, seen)
    return private(repr(text), repr(seen))


class _ToldError(Exception):
    """A message that names nobody; ``with_ids`` is the same with the ids that it is about."""

    _marked: tuple[str, ...] = ()

    def __init__(self, message: object = "") -> None:
        self._marked = (str(message),)
        self.with_ids = _told(str(message), ids=True)
        super().__init__(_told(str(message), ids=False))


class EngagekitError(_ToldError, ValueError):
    """Anything engagekit refuses; the message is meant for the person who caused it.

    It names no user: which ids it is about stands in ``with_ids``.
    """

    faults: tuple[str, ...] = ()

    @classmethod
    def from_faults(cls, heading: str, faults: Sequence[str]) -> EngagekitError:
        """Make one error of all faults found, so that they can be mended in one go."""
        lines = "\n".join(f"  {number}. {fault}" for number, fault in enumerate(faults, 1))
        text = f" {faults[0]}" if len(faults) == 1 else f" {len(faults)} faults\n{lines}"
        error = cls(f"{heading}:{text}")
        error.faults = tuple(_told(fault, ids=False) for fault in faults)
        error._marked = tuple(faults)
        return error


class ColumnError(EngagekitError):
    """A column is missing, doubled or of the wrong kind."""


class EventLogError(EngagekitError):
    """The event log cannot be read as one."""


class DefinitionError(EngagekitError):
    """The definition of success does not hold together."""


class ParameterError(EngagekitError):
    """An argument has a value that means nothing, or two that exclude each other."""


class TooFewUsersError(EngagekitError):
    """There are too few users to answer at all."""


class StoredFileError(EngagekitError):
    """A file of engagekit's cannot be read back (broken, foreign or newer) or cannot be written."""


class EngagekitWarning(_ToldError, UserWarning):  # noqa: N818
    """Something works, but there is a better way that the person should know of; ``with_ids`` says of whom."""


def show_ids(error: _ToldError) -> None:
    """Let a message name the ids that it is about."""
    error.args = (error.with_ids,)


def faults_of(error: Exception) -> list[str]:
    """List the faults an error was made of, so that they can be told together with others."""
    return list(error._marked) if isinstance(error, EngagekitError) else [str(error)]  # noqa: SLF001


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Name what a misspelt name may have meant: ``Did you mean 'signup'?``, or nothing."""
    known = [str(each) for each in known]
    near = [each for each in known if _words(each) == _words(name)]  # in another order
    for form in (_folded, _words):
        folded = {form(each): each for each in known}
        close = difflib.get_close_matches(form(name), folded, most, 0.6)
        near = list(dict.fromkeys([*near, *(folded[each] for each in close)]))[:most]
        if near:
            break
    return f" Did you mean {listing(near, last='or')}?" if near else ""


def _folded(name: str) -> str:
    return name.casefold().strip().removesuffix(".0")


def _words(name: str) -> str:
    """Sort the words of a name: ``project_created`` is near ``create_project``."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(sorted(re.findall(r"\w+?(?=_|\b)", parted.casefold().replace("_", " "))))


def listing(names: Iterable[object], *, last: str = "and", most: int = 12) -> str:
    """Write names as a sentence does: ``'a', 'b' and 'c'``; long lists are cut and counted."""
    quoted = [repr(str(name)) for name in names]
    if len(quoted) > most:
        return ", ".join(quoted[:most]) + f" {last} {len(quoted) - most} more"
    return f" {last} ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def check_choice(name: str, value: object, choices: Sequence[object]) -> list[str]:
    """Return the fault of a value that is not among its choices, or an empty list."""
    if value in choices:
        return []
    found = nearest(value, [str(c) for c in choices]) if isinstance(value, str) else ""
    return [f"{name} is {value!r}; it takes {listing(choices, last='or')}.{found}"]
