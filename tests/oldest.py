"""Run the fast and thorough tests with the oldest versions that pyproject.toml allows, in an environment of their own: python -m tests.oldest"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = [sys.executable, "-m", "uv"]
# Properties of long sequences do not depend on versions; what does is touched by a few examples of each.
PYTEST = ["-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", "--hypothesis-profile", "few", "-m", "not slow and not browser and not spark"]  # fmt: skip


def run_in(interpreter: str, how: list[str], then: list[str]) -> int:
    """Install the project into an environment of its own, and run something there."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        commands = [
            [*UV, "venv", "--quiet", "--clear", "--python", interpreter, folder],
            [*UV, "pip", "install", "--quiet", "--python", str(python), *how, "--editable", ".[lab,duckdb,ibis]", "--group", "test"],
            [*UV, "pip", "list", "--quiet", "--python", str(python)],
            [str(python), *then],
        ]  # fmt: skip
        # Under `uv run` the variable names the project's own environment, which IPython then asks for packages.
        inside = os.environ | {"VIRTUAL_ENV": folder}
        for command in commands:
            code = subprocess.run(command, cwd=ROOT, check=False, env=inside).returncode
            if code:
                return code
    return 0


def main(arguments: list[str]) -> int:
    return run_in(sys.executable, ["--resolution", "lowest-direct"], [*PYTEST, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
