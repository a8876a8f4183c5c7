"""Print the house in figures: python -m tests.layout_figures [FOLDER]

Rooms at first sight, arrows between rooms (those to the ground floor aside), files and lines, modules at the top that only
one other module imports, and names that only one other module uses.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

GROUND = {"errors", "instants", "_base"}


def modules_in(package: Path) -> dict[str, ast.Module]:
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports_in(modules: dict[str, ast.Module]) -> list[tuple[str, str, str]]:
    """List who imports which name from where, also for type checkers and inside functions."""
    rows = []
    for module, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engagekit"):
                base = (node.module or "").removeprefix("engagekit").removeprefix(".")
                for alias in node.names:
                    whole = f"{base}.{alias.name}".removeprefix(".")
                    rows.append(
                        (module, whole, "") if whole in modules else (module, base, alias.name)
                    )
    return [row for row in rows if row[1] in modules and row[1] != row[0]]


def figures(package: Path) -> dict[str, int]:
    modules = modules_in(package)
    rows = [row for row in imports_in(modules) if row[0] != "__init__"]
    room = {name: name.split(".")[0] for name in modules}
    arrows = {
        (room[a], room[b]) for a, b, _ in rows if room[a] != room[b] and room[b] not in GROUND
    }
    importers = defaultdict(set)
    for a, b, _ in rows:
        importers[b].add(a)
    top = [m for m in modules if "." not in m and not m.startswith("__")]
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in package.rglob("*.py"))
    first = {p.name for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    alone = [
        m for m in top if (package / f"{m}.py").exists() and len(importers[m]) == 1 and m != "cli"
    ]
    return {
        "rooms at first sight": len(first - {"__init__.py"}),
        "arrows between rooms": len(arrows),
        "files": len(modules),
        "lines": lines,
        "modules at the top with one importer": len(alone),
        "names used by one other module only": sum(
            len(by) == 1 for by in users_of(modules, rows).values()
        ),
    }


def users_of(
    modules: dict[str, ast.Module], rows: list[tuple[str, str, str]]
) -> dict[tuple[str, str], set[str]]:
    """Say which modules use a name of another; what a room hands out counts for whoever takes it at the door."""
    homes = {(a, name): (b, name) for a, b, name in rows if name and b.startswith(f"{a}.")}
    users = defaultdict(set)
    for user, at, name in rows:
        found = (at, name)
        while found in homes:
            found = homes[found]
        handed_on = found[0].startswith(f"{user}.") and not _uses(modules[user], name)
        if name and not handed_on:
            users[found].add(user)
    return users


def _uses(tree: ast.Module, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "engagekit"
    for what, number in figures(folder).items():
        print(f"{number:7,}  {what}")
