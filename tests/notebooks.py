"""Run the notebooks: python -m tests.notebooks [--store | --thrice] [NAME ...]

Without options, each notebook runs once under strict nbval, on a copy, with a fresh session, and its outputs must be
the stored ones. --thrice does so with three hash seeds. --store runs them and stores what they put out, and draws
README's picture anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import engagekit as ek
from engagekit.views import offline

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
PICTURES = NOTEBOOKS / "pictures"
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"


def copies(names: list[str], folder: Path) -> list[Path]:
    """Copy each notebook into a folder of its own, so that each begins with an empty session."""
    found = []
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not names or path.stem in names:
            own = folder / path.stem
            own.mkdir()
            found.append(Path(shutil.copy(path, own)))
    return found


def environment(home: Path, *, seed: str) -> dict[str, str]:
    apart = {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    return os.environ | apart | {"PYTHONHASHSEED": seed, "TZ": "UTC", "COLUMNS": "100"}


def check(names: list[str], seed: str) -> int:
    """Compare every output with the stored one."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        paths = copies(names, home)
        command = [
            sys.executable, "-m", "pytest", "-c", str(home / "pytest.ini"), "-q", "-p", "no:cacheprovider", "--durations=5",
            "--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", f"--nbval-sanitize-with={SANITIZE}", *map(str, paths),
        ]  # fmt: skip
        return subprocess.run(
            command, cwd=home, env=environment(home, seed=seed), check=False
        ).returncode


def store(names: list[str]) -> int:
    """Run the notebooks and store their outputs, without what differs from run to run."""
    import nbformat
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(environment(Path(folder), seed="0"))
        for path in copies(names, Path(folder)):
            notebook = nbformat.read(path, as_version=4)
            NotebookClient(
                notebook,
                timeout=120,
                kernel_name="python3",
                resources={"metadata": {"path": str(path.parent)}},
            ).execute()
            for number, cell in enumerate(notebook.cells):
                cell.id = f"cell-{number}"
                cell.metadata.pop("execution", None)
                if cell.cell_type == "code":
                    cell.outputs = stored(cell)
            notebook.metadata.pop("widgets", None)
            notebook.metadata["language_info"] = {"name": "python"}
            notebook.metadata["kernelspec"] = {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            }
            nbformat.write(notebook, NOTEBOOKS / path.name)
            print(f"stored {path.name}", flush=True)
    store_picture()
    return 0


def store_picture() -> None:
    """Draw README's picture: the loop of the bundled sample, with its verdict."""
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "loop.png").write_bytes(offline.png(loop_of_the_sample()))
    print("stored pictures/loop.png", flush=True)


def loop_of_the_sample() -> dict[str, Any]:
    """Return the specification of README's picture."""
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    return ek.charts.loop(ek.prioritize(journeys)).to_dict()


def stored(cell) -> list:
    """Keep of a cell's outputs what is the same on every run: no drawing scripts, no ids of controls."""
    if "nbval-ignore-output" in cell.metadata.get("tags", []):
        return []
    for output in cell.outputs:
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return cell.outputs


def main(arguments: list[str]) -> int:
    names = [a for a in arguments if not a.startswith("-")]
    if "--store" in arguments:
        return store(names)
    seeds = ["1", "2", "3"] if "--thrice" in arguments else ["1"]
    return max(check(names, seed) for seed in seeds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
