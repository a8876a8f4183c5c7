"""Opening JupyterLab on a workshop folder, at the first page, with its answers in place."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagekit._base import write_whole
from engagekit.errors import ParameterError
from engagekit.workshop import DEFINITION_FILE, LOG, SESSION_FILE, is_team

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = "00-start-here.ipynb"
RUN_SECONDS = 600  # a cell of the first page at most, on a large log
# Defaults under whatever the account has set: no question about news, and nothing asked of the network.
SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    }
}
WIDGET = "application/vnd.jupyter.widget-view+json"


def open_lab(folder: Path, *, browser: bool, port: int, say: Callable[[str], None]) -> int:
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
    pages = first_pages(folder)
    if len(pages) == 1 and is_stale(pages[0]):
        say("Filling the first page ...")
        fill(pages[0], say)
    if len(pages) > 1:
        say(f"Several teams: open one team's first page with: engagekit lab {pages[0].parent}")
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--port={port}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if len(pages) == 1:
        shown = pages[0].relative_to(folder).as_posix()
        command.append(f"--LabApp.default_url=/lab/tree/{shown}")
    if not browser:
        command.append("--no-browser")
    with tempfile.TemporaryDirectory(prefix="engagekit-lab-") as settings:
        return subprocess.run(command, check=False, env=_environment(Path(settings))).returncode  # noqa: S603


def first_pages(folder: Path) -> list[Path]:
    """Find the first page of a team's folder, or those of a workshop's teams."""
    found = [folder / FIRST] if is_team(folder) else sorted(folder.glob(f"[!.]*/{FIRST}"))
    return [page for page in found if page.is_file() and is_team(page.parent)]


def is_stale(page: Path) -> bool:
    """Say whether a page is to be filled: it has no answers yet, or they are older than what they stand on."""
    try:
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        empty = not any(cell.get("outputs") for cell in cells)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # not ours any more
    team = page.parent
    under = (team / DEFINITION_FILE, team / SESSION_FILE, team.parent / LOG / "prepared.json")
    last = max((path.stat().st_mtime for path in under if path.is_file()), default=0.0)
    return empty or page.stat().st_mtime < last


def fill(page: Path, say: Callable[[str], None]) -> None:
    """Run a page where it lies and keep its outputs, so that it opens with them; where that fails it stays as it is."""
    from nbclient import NotebookClient

    nbformat: Any = importlib.import_module("nbformat")
    try:  # whatever goes wrong in a kernel, the page can be run by hand
        notebook = nbformat.read(page, as_version=4)
        client = NotebookClient(
            notebook,
            timeout=RUN_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(page.parent)}},
        )
        client.execute(stderr=subprocess.DEVNULL)
    except Exception as error:
        said = str(error).strip().splitlines()
        say(
            f"The first page could not be filled ({said[-1] if said else type(error).__name__}); run it in JupyterLab."
        )
        return
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)  # it lives with the kernel, which is gone
    notebook.metadata.pop("widgets", None)
    write_whole(page, f"{nbformat.writes(notebook)}\n".encode())
    _trust(notebook)


def _trust(notebook: Any) -> None:
    """Sign what we ran ourselves, so that its charts are live when it is opened; without it they are pictures."""
    signing: Any = importlib.import_module("nbformat.sign")
    with suppress(Exception):
        signing.NotebookNotary().sign(notebook)


def _environment(settings: Path) -> dict[str, str]:
    place = settings / "labconfig"
    place.mkdir()
    (place / "default_setting_overrides.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    paths = [str(settings), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}
