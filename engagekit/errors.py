"""The errors a person can meet: each says what is wrong, what was found and what to do."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class EngagekitError(ValueError):
    """Anything engagekit refuses; the message is meant for the person who caused it."""

    faults: tuple[str, ...] = ()

    @classmethod
    def from_faults(cls, heading: str, faults: Sequence[str]) -> EngagekitError:
        """Make one error of all faults found, so that they can be mended in one go."""
        lines = "\n".join(f"  {number}. {fault}" for number, fault in enumerate(faults, 1))
        text = f" {faults[0]}" if len(faults) == 1 else f" {len(faults)} faults\n{lines}"
        error = cls(f"{heading}:{text}")
        error.faults = tuple(faults)
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


class EngagekitWarning(UserWarning):
    """Something works, but there is a better way that the person should know of."""


def faults_of(error: Exception) -> list[str]:
    """List the faults an error was made of, so that they can be told together with others."""
    return (
        list(error.faults) if isinstance(error, EngagekitError) and error.faults else [str(error)]
    )


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
