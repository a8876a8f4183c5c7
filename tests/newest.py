"""Run the fast tests with the newest Python that pyproject.toml names, where uv can get it: python -m tests.newest

Where it cannot be had (no network, no build for this machine), that is said, and nothing has been shown.
"""

from __future__ import annotations

import re
import subprocess
import sys

from tests.oldest import PYTEST, ROOT, UV, run_in


def newest() -> str:
    """Read the newest Python off the classifiers."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', text)
    return f"3.{max(map(int, found))}"


def main(arguments: list[str]) -> int:
    version = newest()
    there = [*UV, "python", "find", version]
    if subprocess.run(there, cwd=ROOT, check=False, capture_output=True).returncode:
        got = [*UV, "python", "install", "--quiet", version]
        if subprocess.run(got, cwd=ROOT, check=False, capture_output=True, timeout=600).returncode:
            print(f"Python {version} cannot be had here; nothing was tried with it.")
            return 0
    return run_in(version, [], [*PYTEST, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
