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
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]

STAGES = {
    "format": [sys.executable, "-m", "ruff", "format", "--check"],
    "lint": [sys.executable, "-m", "ruff", "check"],
    "types": [sys.executable, "-m", "mypy"],
    "fast": [*PYTEST],
    "slow": [*PYTEST, "-m", "slow and not browser and not spark"],
    "spark": [*PYTEST, "-m", "spark"],
    "notebooks": [sys.executable, "-m", "tests.notebooks"],
    "browser": [*PYTEST, "-m", "browser"],
}


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in STAGES]
    if unknown:
        print(f"unknown stage {', '.join(unknown)}; stages are {', '.join(STAGES)}")
        return 2
    failed = []
    for name in wanted or STAGES:
        print(f"== {name}: {' '.join(STAGES[name][1:])}", flush=True)
        start = time.monotonic()
        code = subprocess.run(
            STAGES[name], cwd=ROOT, check=False, env=os.environ | {"TZ": "UTC"}
        ).returncode
        print(
            f"== {name}: {'passed' if code == 0 else f'failed ({code})'} in {time.monotonic() - start:.0f} s\n",
            flush=True,
        )
        failed += [name] if code else []
    print("all stages passed" if not failed else f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
