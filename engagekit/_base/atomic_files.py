"""Files written whole or not at all: the new one takes the old one's place only once it is on the disk."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from polars.exceptions import PolarsError

from engagekit.errors import StoredFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

A_DAY = 86_400


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all: to a temporary neighbor, flushed, then renamed over the old.

    Raises
    ------
    StoredFileError
        The folder is missing or may not be written to, or the disk is full; the old file stays as it was.
    """
    with writing(str(path)):
        try:
            target = Path(path).resolve()  # what a link points to is replaced, not the link
            temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.part")
        except (ValueError, RuntimeError) as error:  # a null character, no name, links in a ring
            raise _refused(str(path), str(error)) from error
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            sweep(f".{escape(target.name[:40])}.????????????.part", temporary)
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        flush(target.parent)


def sweep(left_behind: str, newest: Path) -> None:
    """Clear away what killed processes left beside a new temporary file: a day old by the file system's own clock."""
    now = newest.stat().st_mtime
    for left in newest.parent.glob(left_behind):
        with suppress(OSError):
            if now - left.stat().st_mtime > A_DAY:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def flush(path: Path) -> None:
    """See a file, a folder's list of names, or all below a folder of parts on the disk, so that a power cut keeps it."""
    if path.is_file():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    elif os.name == "posix":  # elsewhere folders cannot be flushed
        with suppress(OSError):
            place = os.open(path, os.O_RDONLY)
            try:
                os.fsync(place)
            finally:
                os.close(place)


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Turn what a full disk or a locked folder raises, in Python or in polars, into one clear error."""
    try:
        yield
    except OSError as error:
        raise _refused(where, error.strerror or str(error)) from error
    except PolarsError as error:
        if "(os error " not in str(error):
            raise
        raise _refused(where, str(error).rsplit(": ", 1)[-1]) from error


def _refused(where: str, why: str) -> StoredFileError:
    return StoredFileError(
        f"{where!r} could not be written ({why}); what was there before, if anything, is unchanged. "
        "Make room or choose another place, then try again."
    )
