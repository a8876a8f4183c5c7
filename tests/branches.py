"""Say which branches of engagekit the tests just run have not taken, and fail below the least share: python -m tests.branches"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LEAST = 0.95


def measured() -> dict[str, dict]:
    """Read what `coverage run` left behind: per module, and the totals under an empty name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        subprocess.run(
            [sys.executable, "-m", "coverage", "json", "-q", "-o", str(path)], check=True
        )
        found = json.loads(path.read_text(encoding="utf-8"))
    return {name: each["summary"] for name, each in found["files"].items()} | {"": found["totals"]}


def main() -> int:
    summaries = measured()
    total = summaries.pop("")
    for name, each in sorted(summaries.items(), key=lambda item: -item[1]["missing_branches"]):
        if each["missing_branches"]:
            print(f"{each['covered_branches']:5} of {each['num_branches']:4} branches  {name}")
    share = total["covered_branches"] / total["num_branches"]
    print(f"{share:.1%} of {total['num_branches']} branches taken, at least {LEAST:.0%} wanted")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
