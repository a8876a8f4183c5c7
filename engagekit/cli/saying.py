"""What the command line says, and how it says that something cannot be done."""

from __future__ import annotations

import re
import sys
import traceback
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagekit import errors
from engagekit._base import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN_IDS = "Ids of users are not shown; --show-ids shows them."
FLAGS = {
    "at_format": "--at-format", "timezone": "--at-timezone", "encoding": "--encoding", "bad_times": "--bad-times", "preset": "--preset",
    "user": "--user", "event": "--event", "at": "--at",
}  # fmt: skip
SAID = re.compile(rf"(?<!such as )\b({'|'.join(FLAGS)})='(?!\.\.\.)([^']+)'")
FAULT = 70  # exit status of a fault of engagekit's own, as sysexits.h has it


def say(text: str) -> None:
    """Print, as the console can show it."""
    from engagekit.reporting import encodable

    if sys.stdout is None:
        raise OSError("standard output is closed, so nothing can be printed")
    shown = "\n".join(map(plain, text.split("\n")))  # paths too may hold what a terminal obeys
    print(encodable(shown, sys.stdout.encoding))


_QUIET = ContextVar("quiet", default=False)


def is_quiet() -> bool:
    """Tell whether only answers and refusals are wanted."""
    return _QUIET.get()


@contextmanager
def quietly(quiet: bool) -> Iterator[None]:  # noqa: FBT001 - what --quiet said
    """Say answers and refusals only, where that is wanted."""
    before = _QUIET.set(quiet or is_quiet())
    try:
        with warnings.catch_warnings():
            if quiet:
                warnings.simplefilter("ignore", errors.EngagekitWarning)
            yield
    finally:
        _QUIET.reset(before)


def note(text: str) -> None:
    """Print what is no answer: what was written, what to do next."""
    if not is_quiet():
        say(text)


@contextmanager
def ids_in_warnings() -> Iterator[None]:
    """Let warnings name the ids that they are about."""
    shown = warnings.showwarning

    def show(message: Warning | str, *args: Any, **kwargs: Any) -> None:
        if isinstance(message, errors.EngagekitWarning):
            errors.show_ids(message)
        shown(message, *args, **kwargs)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def broken(error: Exception) -> str:
    """Word that something broke that is not the user's to mend; what the error says may hold ids, so it is not shown."""
    package = Path(__file__).parents[1]
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if Path(f.filename).is_relative_to(package)]
    place = ""
    if inside:
        file = Path(inside[-1].filename).relative_to(package).as_posix()
        place = f" in {file}, line {inside[-1].lineno}"
    return f"something broke inside engagekit ({type(error).__name__}{place}). The fault is ours to mend, not yours."


def own_fault(error: Exception) -> int:
    """Say that something broke inside; the exit status that goes with it."""
    refuse(
        broken(error),
        hint="Please report it: the same command with --debug shows where; look it over first, ids of users may stand in it.",
    )
    return FAULT


def flags_for(message: str) -> str:
    """Write as flags what a message would have said in Python."""
    said = dict.fromkeys(SAID.findall(message))
    ways = [f"{FLAGS[name]} {shown(value)}" for name, value in said]
    return f"On the command line: {', or '.join(ways)}" if ways else ""


def shown(value: str) -> str:
    """Quote a value as every shell takes it."""
    return value if re.fullmatch(r"[\w./-]+", value) else f'"{value}"'


def refuse(message: str, *, hint: str = "") -> int:
    """Say why nothing was done, on standard error; the exit status that goes with it."""
    from engagekit.reporting import encodable

    if (
        sys.stderr is not None
    ):  # closed by whoever started the command: the exit status says it alone
        lines = [plain(line) for line in message.splitlines()]
        text = "engagekit: " + "\n".join([*lines, *([hint] if hint else [])])
        print(encodable(text, sys.stderr.encoding), file=sys.stderr)
    return 2
