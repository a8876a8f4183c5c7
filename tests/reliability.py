"""Gather the figures of README's section on reliability from the tests themselves: python -m tests.reliability

The kills, cases and engines are counted where the tests name them; inputs tried and comparisons flipped come from
the records kept of runs by hand (fuzz_runs.txt, mutation_score.txt); planted logs are simulated anew.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import test_crashes  # noqa: E402

import engagekit as ek  # noqa: E402
from engagekit.rollups.sql_dialects import DIALECTS  # noqa: E402
from engagekit.simulation.users import MIXES  # noqa: E402

CASES = HERE.parent.parent / "shared" / "cases"
SEEDS, USERS = range(5), 3000


def fuzzed() -> str:
    rows = [line.split() for line in _lines("fuzz_runs.txt")]
    inputs = Counter()
    for target, _, _, tried, _ in rows:
        inputs[target] += int(tried)
    broke = sum(int(row[-1]) for row in rows)
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(inputs.items()))
    return f"{sum(inputs.values()):,} ({told}); the {broke} that brought a foreign error are mended and kept as tests"


def killed() -> str:
    session = int(re.search(r"for number in range\((\d+)\):\n\s+kill_while", _source("test_session"))[1])  # fmt: skip
    kills = test_crashes.KILLS | {"sessions": test_crashes.KILLS["sessions"] + session}
    return f"{sum(kills.values())} on every run ({', '.join(f'{n} {what}' for what, n in kills.items())}); none lost or half"  # fmt: skip


def engines() -> str:
    found = _source("test_parity")
    tables = re.search(r'"engine", \[("pandas".*?)\]', found)[1].replace('"', "")
    return (
        f"polars with DuckDB, Spark, Ibis and tables of {tables}; SQL in {len(DIALECTS)} dialects"
    )


def published() -> str:
    if not CASES.is_dir():
        return "not here"
    platforms = json.loads((CASES / "platforms.json").read_text(encoding="utf-8"))["cases"]
    golden = json.loads((CASES / "golden.json").read_text(encoding="utf-8"))
    return f"{len(platforms)} tables of PostHog, Mixpanel and Amplitude, {len(golden) - 1} sets of published statistics"


def planted() -> str:
    found = Counter()
    for mix in MIXES:
        for seed in SEEDS:
            log = ek.simulate(users=USERS, seed=seed, mix=mix)
            priority = ek.prioritize(ek.rollup(log.events, log.definition, users=log.users))
            right = priority.link == log.planted_link
            found[
                "right" if right else "wrong" if priority.verdict == "named" else "undecided"
            ] += 1
    return (
        f"{found.total()} simulated logs of {USERS:,} users: {found['right']} verdicts right, "
        f"{found['undecided']} undecided, {found['wrong']} wrong"
    )


def flipped() -> str:
    counts = [re.match(r"(\w+) +(\d+) of (\d+)", line) for line in _lines("mutation_score.txt")]
    rows = {found[1]: (int(found[2]), int(found[3])) for found in counts if found}
    told = [f"{rows[name][0]} of {rows[name][1]} in {name}" for name in ("diagnosis", "priority")]
    all_killed, of = (sum(row[i] for row in rows.values()) for i in (0, 1))
    return f"{' and '.join(told)} ({all_killed} of {of} with what they stand on)"


def _lines(name: str) -> list[str]:
    text = (HERE / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _source(name: str) -> str:
    return (HERE / f"{name}.py").read_text(encoding="utf-8")


FIGURES = {
    "broken or hostile inputs tried by fuzzing": fuzzed,
    "processes killed while they wrote": killed,
    "engines whose results are the same to the last count": engines,
    "published cases reproduced": published,
    "logs with a planted broken link": planted,
    "flipped comparisons that a test noticed": flipped,
}


def main() -> None:
    print("| what | how much |\n|---|---|")
    for name, figure in FIGURES.items():
        print(f"| {name} | {figure()} |", flush=True)


if __name__ == "__main__":
    main()
