"""What lies where in a workshop folder: the log, the users table, and the teams' sessions beside them."""

from __future__ import annotations

import os
from pathlib import Path

from engagekit.errors import ParameterError
from engagekit.workshop.session import FILE, Session

LOG, USERS = "log", "users.parquet"


def sessions_in(folder: str | os.PathLike[str]) -> list[Session]:
    """Open the session of each team of a workshop folder."""
    return [Session(path.parent) for path in sorted(Path(folder).glob(f"[!.]*/{FILE}"))]


def teams_in(folder: str | os.PathLike[str]) -> list[Session]:
    """Find the teams' sessions in a workshop folder.

    Raises
    ------
    ParameterError
        There is none.
    """
    found = sessions_in(folder)
    if not found:
        raise ParameterError(
            f"{os.fspath(folder)!r} holds no team's session; make a workshop with 'engagekit start FOLDER'."
        )
    return found
