"""Flip every comparison of a module, one at a time, and see whether its tests notice. Run by hand:

    python tests/mutate.py [diagnosis priority.verdict ...]

Each comparison is turned round (``<`` to ``>=``, ``==`` to ``!=``, ``in`` to ``not in``) and, where it has an edge,
moved by it (``<`` to ``<=``). Prints the mutants that no test killed, and the score. Works on a copy.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = {
    "diagnosis": ["test_diagnosis", "test_priority"],
    "diagnosis.user_state": ["test_diagnosis", "test_links"],
    "diagnosis.links": ["test_links"],
    "priority.verdict": ["test_priority", "test_planning"],
    "priority.earliest": ["test_earliest", "test_priority"],
    "priority.reference_targets": ["test_references", "test_priority"],
    "priority.loop_table": ["test_priority", "test_references"],
    "priority.counts": ["test_priority", "test_design_effect"],
    "priority.breakdowns": ["test_priority"],
    "priority.sentences": ["test_priority"],
    "design_effect": ["test_design_effect"],
    "priority.planning": ["test_planning"],
    "review.tracking": ["test_review"],
    "journeys.groups": ["test_diagnosis"],
    "journeys.coverage": ["test_basis"],
}
TURNED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
MOVED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}


def mutants(source: str):
    """Yield (line, what was done, mutated source) for each comparison."""
    spots = [
        (node, place)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        for place in range(len(node.ops))
    ]
    for number in range(len(spots)):
        for how, swap in (("turned", TURNED), ("moved", MOVED)):
            tree = ast.parse(source)
            found = [n for n in ast.walk(tree) if isinstance(n, ast.Compare)]
            node, place = [(n, p) for n in found for p in range(len(n.ops))][number]
            if type(node.ops[place]) not in swap:
                continue
            if "TYPE_CHECKING" in ast.unparse(node):
                continue
            was = ast.unparse(node)
            node.ops[place] = swap[type(node.ops[place])]()
            yield node.lineno, f"{how}: {was}  ->  {ast.unparse(node)}", ast.unparse(tree)


def survives(copy: Path, tests: list[str]) -> bool:
    paths = [str(path) for name in tests for path in (copy / "tests").rglob(f"{name}.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *paths]
    return subprocess.run(command, cwd=copy, capture_output=True, check=False).returncode == 0


def main(modules: list[str]) -> None:
    killed = total = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("engagekit", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for module in modules:
            path = (copy / "engagekit").joinpath(*module.split(".")).with_suffix(".py")
            if not path.exists():
                path = path.with_suffix("") / "__init__.py"
            source = path.read_text(encoding="utf-8")
            if not survives(copy, TESTS[module]):
                sys.exit(f"{module}: its tests fail before anything is changed")
            mine = list(mutants(source))
            alive = []
            for line, what, mutated in mine:
                path.write_text(mutated, encoding="utf-8")
                if survives(copy, TESTS[module]):
                    alive.append(f"    line {line}  {what}")
            path.write_text(source, encoding="utf-8")
            killed, total = killed + len(mine) - len(alive), total + len(mine)
            print(
                f"{module}: {len(mine) - len(alive)} of {len(mine)} killed",
                *alive,
                sep="\n",
                flush=True,
            )
    print(f"all: {killed} of {total} killed")


if __name__ == "__main__":
    main(sys.argv[1:] or list(TESTS))
