"""Run everything that a change must pass: python -m tests [STAGE ...]

Stages run in order of cost; without names, all of them run, also after one has failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
PYTHON = [sys.executable]
TWO_AT_A_TIME = ["-n", "2", "--dist", "loadfile"]
COVERED = ["--cov=engagekit", "--cov-report="]
PLAIN = "not slow and not browser and not spark"

STAGES: dict[str, list[list[str]]] = {
    "format": [[*PYTHON, "-m", "ruff", "format", "--check"]],
    "lint": [[*PYTHON, "-m", "ruff", "check"]],
    "types": [[*PYTHON, "-m", "mypy"]],
    "fast": [[*PYTHON, *PYTEST, *TWO_AT_A_TIME, *COVERED]],
    "thorough": [
        [*PYTHON, *PYTEST, *TWO_AT_A_TIME, *COVERED, "--cov-append", "-m", f"thorough and {PLAIN}"],
        [*PYTHON, "-m", "tests.branches"],
    ],
    "slow": [[*PYTHON, *PYTEST, *TWO_AT_A_TIME, "-m", "slow and not browser and not spark"]],
    "oldest": [[*PYTHON, "-m", "tests.oldest"]],
    "newest": [[*PYTHON, "-m", "tests.newest"]],
    "spark": [[*PYTHON, *PYTEST, "-m", "spark"]],
    "notebooks": [[*PYTHON, "-m", "tests.notebooks"]],
    "site": [[*PYTHON, "-m", "tests.website"]],
    "browser": [[*PYTHON, *PYTEST, "-m", "browser"]],
}


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in STAGES]
    if unknown:
        print(f"unknown stage {', '.join(unknown)}; stages are {', '.join(STAGES)}")
        return 2
    failed = []
    for name in wanted or STAGES:
        start, environment = time.monotonic(), os.environ | {"TZ": "UTC"}
        for command in STAGES[name]:
            print(f"== {name}: {' '.join(command[1:])}", flush=True)
            code = subprocess.run(command, cwd=ROOT, check=False, env=environment).returncode
            if code:
                break
        print(
            f"== {name}: {'passed' if code == 0 else f'failed ({code})'} in {time.monotonic() - start:.0f} s\n",
            flush=True,
        )
        failed += [name] if code else []
    print("all stages passed" if not failed else f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
