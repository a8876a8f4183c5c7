"""Opening JupyterLab on a workshop folder."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

from engagekit.errors import ParameterError

if TYPE_CHECKING:
    from pathlib import Path


def open_lab(folder: Path, *, browser: bool, port: int) -> int:
    """Run JupyterLab until it is closed; its exit status.

    Raises
    ------
    ParameterError
        It is not installed, or there is no such folder.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise ParameterError(
            "JupyterLab is not installed; install it with: pip install 'engagekit[lab]'"
        )
    if not folder.is_dir():
        raise ParameterError(
            f"There is no folder {str(folder)!r}; make a workshop with: engagekit start {folder}"
        )
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--port={port}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if not browser:
        command.append("--no-browser")
    return subprocess.run(command, check=False).returncode  # noqa: S603
