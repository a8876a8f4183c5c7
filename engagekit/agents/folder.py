"""The one folder that an assistant may have read: every path leads into it, links followed, or nowhere."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagekit.agents.names import shortened, texts_in
from engagekit.definition import Definition
from engagekit.errors import DefinitionError, ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]|[/\\]{2}")  # also that of a share
DRIVE = re.compile(r"[A-Za-z]:")
LARGEST_DEFINITION = 1 << 20
# Of a definition's [read]: names of columns and events, which may look like anything.
COLUMNS_OF_READ = {"user", "event", "at", "columns", "unpivot", "keep", "exclude", "dedupe", "at_format"}  # fmt: skip
ONLY = "only what lies in the folder that this server was started on is read"


def started_on(folder: str | os.PathLike[str]) -> Path:
    """Take the folder that a server is started on.

    Raises
    ------
    ParameterError
        It is no folder.
    """
    found = Path(folder).resolve()
    if not found.is_dir():
        raise ParameterError(f"There is no folder {str(folder)!r}; name the one that holds the log and the definition.")  # fmt: skip
    return found


def inside(folder: Path, given: str, *, what: str) -> Path:
    """Find the file or folder that a path names, as it lies behind links.

    Parameters
    ----------
    folder
        What `started_on` returned.
    given
        A path, relative to it.
    what
        What it is meant to be, for the refusal.

    Raises
    ------
    ParameterError
        It is an address, leads out of the folder (itself, or something in it), or there is nothing.
    """
    shown = shortened(given)
    if ADDRESS.match(given):
        raise ParameterError(f"{what} is {shown!r}, an address; {ONLY}.")
    if "\0" in given:
        raise ParameterError(f"{what} is {shown!r}, which is no path.")
    named = folder / given
    # By its words first, so that nobody learns what there is outside.
    if not Path(os.path.normpath(named)).is_relative_to(folder):
        raise _outside(what, shown)
    try:
        found = named.resolve()
        leads_out = not found.is_relative_to(folder)
        there = not leads_out and (found.is_file() or found.is_dir())
    except (OSError, RuntimeError, ValueError):
        raise ParameterError(f"{what} is {shown!r}, which cannot be opened.") from None
    if leads_out:
        raise _outside(what, shown)
    if not there:
        names = [p.name for p in found.parent.iterdir()] if found.parent.is_dir() else []
        raise ParameterError(f"{what} is {shown!r}, and there is no such file or folder.{nearest(found.name, names)}")  # fmt: skip
    if found.is_dir() and not all(_stays(each, folder) for each in _all_in(found)):
        raise ParameterError(
            f"{what} is {shown!r}, a folder from which a link leads elsewhere; {ONLY}."
        )
    return found


def _outside(what: str, shown: str) -> ParameterError:
    return ParameterError(f"{what} is {shown!r}, which leads out; {ONLY}.")


def _all_in(folder: Path) -> Iterator[Path]:
    """List everything below a folder; of links, where they are, not what is behind them."""
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            yield Path(place) / name


def _stays(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # a link to itself
        return False


def definition_inside(folder: Path, given: str) -> Path:
    """Find a definition's file, and see that nothing in it leads out of the folder.

    Raises
    ------
    ParameterError
        The path, or one in the definition's ``[read]``, leads out of the folder.
    DefinitionError
        It is no sound definition.
    """
    path = inside(folder, given, what="definition")
    if not path.is_file() or path.stat().st_size > LARGEST_DEFINITION:
        raise DefinitionError(f"definition is {shortened(given)!r}, which is no definition's file.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        # What the parser says quotes the file, which may be anything.
        raise DefinitionError(f"definition is {shortened(given)!r}, which cannot be read as TOML (in UTF-8).") from None  # fmt: skip
    _refuse_ways_out(table.get("read"))
    Definition.load(path)
    return path


def _refuse_ways_out(read: Any) -> None:
    if not isinstance(read, dict):
        return
    faults = [
        f"[read] says {shortened(str(key))} = {shortened(text)!r}, which leads out; {ONLY}."
        for key, value in read.items()
        if key not in COLUMNS_OF_READ
        for text in texts_in(value)
        if _leads_out(text)
    ]
    if faults:
        raise ParameterError.from_faults("The definition cannot be used here", faults)


def _leads_out(text: str) -> bool:
    rooted = text.startswith(("/", "\\", "~")) or DRIVE.match(text) is not None
    return rooted or ADDRESS.match(text) is not None or ".." in re.split(r"[/\\]", text)


def without(folder: Path, text: str) -> str:
    """Leave out of a message where on this machine the folder lies."""
    for shown in (str(folder), repr(str(folder))[1:-1], folder.as_posix()):
        text = text.replace(shown + os.sep, "").replace(shown + "/", "").replace(shown, ".")
    return text
