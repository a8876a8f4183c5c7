"""The structure of the code: arrows run one way, files stay small, names are documented, the README's map is the tree."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import engagekit as ek

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "engagekit"
MODULES = {
    path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.glob("*.py"))
}

# The road the data takes: what stands further down may import what stands above, never the other way round.
DATA = {
    "errors",
    "wording",
    "matchers",
    "instants",
    "definition",
    "log",
    "journeys",
    "events",
    "checks",
    "prepare",
    "rollups",
    "sql",
    "simulation",
}
ANSWERS = {
    "cohorts", "survival", "funnels", "rhythm", "measures", "diagnosis", "first_weeks", "thresholds", "priority", "planning", "review",
}  # fmt: skip
VIEWS = {"charts", "tables", "offline", "handout"}
SHELL = {"session", "record", "workshop", "widgets", "reporting", "terminal", "cli"}
HEAVY = {
    "altair",
    "great_tables",
    "ipywidgets",
    "IPython",
    "vl_convert",
    "narwhals",
    "scipy",
    "numpy",
    "cyclopts",
    "duckdb",
    "ibis",
    "pyspark",
    "pandas",
}


def imports_of(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "engagekit":
                found |= {f"engagekit.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def running(tree: ast.Module) -> ast.Module:
    """Leave out what is imported for type checkers only."""
    body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return ast.Module(body, [])


def ours(module: str) -> set[str]:
    """Name the modules that a module imports, also those it only imports in a function."""
    names = {
        n.split(".")[1] for n in imports_of(running(MODULES[module])) if n.startswith("engagekit.")
    }
    return names & set(MODULES)


IMPORTS = {module: ours(module) - {module} for module in MODULES if module != "__init__"}


def everything_under(module: str) -> set[str]:
    seen: set[str] = set()
    left = {module}
    while left:
        found = left.pop()
        seen.add(found)
        left |= IMPORTS.get(found, set()) - seen
    return seen - {module}


def test_arrows_run_one_way():
    forbidden = {
        "data": (DATA, ANSWERS | VIEWS | SHELL),
        "answers": (ANSWERS, VIEWS | SHELL),
        "views": (VIEWS, SHELL),
    }
    wrong = [
        f"{module} ({layer}) stands on {below}"
        for layer, (modules, never) in forbidden.items()
        for module in sorted(modules)
        for below in sorted(everything_under(module) & never)
    ]
    assert wrong == []
    assert all(name in MODULES for name in DATA | ANSWERS | VIEWS | SHELL)


def test_no_module_stands_on_itself():
    assert [
        module
        for module in IMPORTS
        if any(module in everything_under(below) for below in IMPORTS[module])
    ] == []


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("altair", ("chart", "offline", "widget", "report")),
        ("great_tables", ("table",)),
        ("ipywidgets", ("widget",)),
        ("narwhals", ("portable", "engines", "elsewhere", "sql")),
    ],
)
def test_each_heavy_package_has_its_place(package, allowed):
    users = {
        m
        for m, tree in MODULES.items()
        if any(n.split(".")[0] == package for n in imports_of(tree))
    }
    assert [m for m in users if not m.startswith(allowed)] == []


def test_importing_the_package_loads_polars_only():
    code = "import sys, polars; before = set(sys.modules); import engagekit; print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not HEAVY & set(loaded)


def test_files_are_small():
    lengths = {
        p.name: p.read_text(encoding="utf-8").count("\n")
        for p in [*PACKAGE.glob("*.py"), *(ROOT / "tests").glob("*.py")]
    }
    assert [name for name, count in lengths.items() if count > 500] == []
    assert median(lengths[p.name] for p in PACKAGE.glob("*.py")) <= 210


def test_nothing_but_the_command_line_prints():
    def prints(tree: ast.AST) -> bool:
        return any(
            isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print"
            for n in ast.walk(tree)
        )

    assert [m for m, tree in MODULES.items() if prints(tree) and not m.startswith("cli")] == []


def test_nothing_runs_text_or_reads_pickles():
    names = {"eval", "exec", "compile", "__import__"}
    found = [
        f"{module}: {node.func.id}"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]
    assert found == []
    assert [
        m
        for m, tree in MODULES.items()
        if imports_of(tree) & {"pickle", "shelve", "marshal", "dill"}
    ] == []


def test_every_open_names_its_encoding():
    wrong = []
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            given = {k.arg for k in node.keywords}
            text = {"read_text", "write_text"}
            if name in text and "encoding" not in given:
                wrong.append(f"{module}:{node.lineno} {name}")
            mode = next(
                (
                    a.value
                    for a in [*node.args[1:2], *[k.value for k in node.keywords if k.arg == "mode"]]
                    if isinstance(a, ast.Constant)
                ),
                "r",
            )
            if (
                name in {"open", "fdopen"}
                and isinstance(node.func, (ast.Name, ast.Attribute))
                and "b" not in str(mode)
                and "encoding" not in given
            ) and (isinstance(node.func, ast.Name) or name == "fdopen"):
                wrong.append(f"{module}:{node.lineno} {name}")
    assert wrong == []


def test_no_clock():
    found = [
        f"{module}:{node.lineno}"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
    ]
    assert found == []


def test_no_module_has_the_name_of_a_public_function():
    # Importing such a module would put it in the function's place; survival is made callable for that.
    assert set(MODULES) & set(ek._HOMES) == {"survival"}


PUBLIC = sorted(ek._HOMES)


def test_every_public_name_is_there_and_typed():
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    for name, home in ek._HOMES.items():
        assert getattr(ek, name) is not None
        assert f"from engagekit.{home} import {name} as {name}" in re.sub(
            r"\(\s*(\w+ as \w+),?\s*\)", r"\1", source
        )


def parameters(thing: object) -> list[str]:
    return [n for n in inspect.signature(thing).parameters if n not in {"self", "cls"}]


@pytest.mark.parametrize("name", [n for n in PUBLIC if not n.isupper()])
def test_every_public_name_is_documented(name):
    thing = getattr(ek, name)
    thing = getattr(thing, name) if inspect.ismodule(thing) else thing
    text = inspect.getdoc(thing) or ""
    assert text.split("\n")[0].endswith((".", "?")), "starts with one sentence"
    if inspect.isfunction(thing):
        for section in ("Parameters", "Returns", "Examples"):
            assert f"{section}\n---" in text, f"has a section {section}"
        missing = [
            p
            for p in parameters(thing)
            if not re.search(
                rf"(^|[\s,*]){re.escape(p)}\b",
                text.split("Parameters\n---")[1].split("Returns\n---")[0],
            )
        ]
        assert missing == []
        kinds = [p.kind for p in inspect.signature(thing).parameters.values()]
        assert inspect.Parameter.VAR_KEYWORD not in kinds


def test_readme_map_is_the_tree():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)\.py` \|", readme, flags=re.MULTILINE))
    assert listed == set(MODULES) - {"__init__"}


def test_every_module_says_what_it_is():
    assert [m for m, tree in MODULES.items() if not ast.get_docstring(tree)] == []


def test_modules_import():
    for module in MODULES:
        if module not in {"__init__", "widgets"}:
            importlib.import_module(f"engagekit.{module}")
