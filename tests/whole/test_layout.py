"""The structure of the code: arrows run one way, rooms are entered by their door, files stay small, names are documented."""

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


def name_of(path: Path) -> str:
    """Name a module below engagekit: `cohorts.grid`, and `cohorts` for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {
    name_of(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
PACKAGES = {name_of(path) for path in PACKAGE.glob("*/__init__.py")}

# From the top down. A room imports only rooms that stand further down.
ORDER = [
    "__main__", "cli", "agents", "widgets", "workshop", "reporting", "charts", "tables", "views", "review", "priority", "measures",
    "first_weeks", "diagnosis", "survival", "funnels", "engagement", "cohorts", "simulation", "rollups", "playbook", "ingest",
    "journeys", "strata", "sequential", "intervals", "definition", "matchers", "log", "_base", "instants", "errors",
]  # fmt: skip
FACES = {"charts", "tables"}  # the two faces of `views`, which know its rooms
HEAVY = {
    "altair",
    "great_tables",
    "anywidget",
    "ipywidgets",
    "jinja2",
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
    "mcp",
}


def imports_of(tree: ast.AST) -> set[str]:
    """Name every module that is imported, also for type checkers and inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in names if name.removeprefix("engagekit.") in MODULES}
            found |= names | (set() if names == modules else {node.module})
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


def ours(tree: ast.AST) -> set[str]:
    """Name the modules of this package that a module imports."""
    return {
        n.removeprefix("engagekit.") for n in imports_of(tree) if n.startswith("engagekit.")
    } & set(MODULES)


def room(module: str) -> str:
    return module.split(".")[0]


ARROWS = {
    (module, below)
    for module, tree in MODULES.items()
    if module != "__init__"
    for below in ours(tree) - {module}
}
RUNNING = {
    module: ours(running(tree)) - {module}
    for module, tree in MODULES.items()
    if module != "__init__"
}


def everything_under(module: str) -> set[str]:
    seen: set[str] = set()
    left = {module}
    while left:
        found = left.pop()
        seen.add(found)
        left |= RUNNING.get(found, set()) - seen
    return seen - {module}


def test_arrows_run_one_way():
    upward = [
        f"{module} stands on {below}"
        for module, below in sorted(ARROWS)
        if room(module) != room(below)
        and {room(module), room(below)} <= set(ORDER)
        and ORDER.index(room(module)) > ORDER.index(room(below))
    ]
    assert upward == []


def handed_out(package: str) -> set[str]:
    """Name what a package's ``__all__`` lists: a room may hand out one of its modules whole."""
    return {
        value
        for node in MODULES[package].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for value in ast.literal_eval(node.value)
    }


def test_a_room_is_entered_by_its_door():
    inside = [
        f"{module} reaches into {below}"
        for module, below in sorted(ARROWS)
        if "." in below
        and room(module) != room(below)
        and room(module) in ORDER
        and room(module) not in FACES
        and below.split(".")[1] not in handed_out(room(below))
    ]
    assert inside == []


def test_no_module_stands_on_itself():
    assert [
        module
        for module in RUNNING
        if any(module in everything_under(below) for below in RUNNING[module])
    ] == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("altair", ("chart", "offline", "widget", "report", "views")),
        ("great_tables", ("table", "views.table")),
        ("anywidget", ("widget",)),
        ("ipywidgets", ("widget", "_base.notebook_progress")),
        ("jinja2", ("workshop", "_base.html")),
        ("mcp", ("agents",)),
        ("narwhals", ("portable", "engines", "elsewhere", "sql", "rollups")),
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
        p: p.read_text(encoding="utf-8").count("\n")
        for p in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    }
    assert [name for name, count in lengths.items() if count > (450 if PACKAGE in name.parents else 500)] == []  # fmt: skip
    assert median(lengths[p] for p in PACKAGE.rglob("*.py")) <= 210


# Functions longer than 50 lines, docstrings aside, and why.
LONG = {
    "simulate": "the plan of a whole log: each line plants one thing, in the order of its random numbers"
}


def test_functions_are_short():
    def lines(function: ast.FunctionDef) -> int:
        first, *rest = function.body
        told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        body = rest if told else [first]
        body = [*body, *(() if told else rest)]
        return body[-1].end_lineno - body[0].lineno + 1 if body else 0

    found = {
        node.name: lines(node)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name for name, count in found.items() if count > 50} == set(LONG)


def test_no_public_name_is_left_over():
    """A name without an underscore is used by another place, handed out by the package, or by a room that people import."""
    used = {"use_offline_charts"}
    for tree in MODULES.values():
        used |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Store)}  # fmt: skip
        used |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    used |= set(dir(ek)) | {name for room in IMPORTED for name in dir(importlib.import_module(f"engagekit.{room}"))}  # fmt: skip
    texts = [p.read_text(encoding="utf-8") for p in (ROOT / "notebooks").glob("*.ipynb")]
    texts += [(ROOT / "tests" / "website.py").read_text(encoding="utf-8")]
    left = {
        f"{module}.{name}"
        for module, tree in MODULES.items()
        for name in top_level(tree)
        if name not in used and not any(re.search(rf"\b{name}\b", text) for text in texts)
    }
    assert left == set()


# Rooms whose import paths are promised, so that their names may serve others only.
IMPORTED = ("charts", "tables", "intervals", "strata", "survival", "priority", "playbook", "widgets", "workshop")  # fmt: skip


def top_level(tree: ast.Module) -> list[str]:
    """Name what a module defines for others: functions, classes and values, not what a decorator takes away."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list:
            found.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [t.id for t in targets if isinstance(t, ast.Name)]
    return [name for name in found if not name.startswith("_")]


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
    assert set(MODULES) & set(ek._HOMES) <= {"survival"}


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


def test_the_list_of_rooms_is_the_tree_in_its_order():
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    listed = [
        name.removesuffix("/").removesuffix(".py")
        for name in re.findall(r"^\| `([\w/.]+)` \|", text, flags=re.MULTILINE)
    ]
    rooms = {room(module) for module in MODULES} - {"__init__"}
    assert set(listed) == rooms
    assert [name for name in listed if name in ORDER] == [name for name in ORDER if name in rooms]


def recipes() -> dict[str, tuple[str, set[str]]]:
    """Read the recipes of engagekit/README.md: what to add, one that is there, and the files that name it."""
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    found = {}
    for item in re.split(
        r"^\d\. ", text.split("## Recipes")[1].split("\n## ")[0], flags=re.MULTILINE
    )[1:]:
        example, *files = re.findall(r"`([^`]+)`", item)
        found[re.findall(r"\*\*(.+?)\*\*", item)[0]] = (example, set(files))
    return found


@pytest.mark.parametrize("name", [*recipes()])
def test_a_recipe_names_every_file_that_changes(name):
    example, listed = recipes()[name]
    naming = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(rf"\b{re.escape(example)}\b", path.read_text(encoding="utf-8"))
    }
    assert naming == listed


def test_there_are_five_recipes():
    assert len(recipes()) == 5


def test_every_module_says_what_it_is():
    assert [m for m, tree in MODULES.items() if not ast.get_docstring(tree)] == []


def test_modules_import():
    for module in MODULES:
        if module not in {"__init__", "__main__"} and room(module) != "widgets":
            importlib.import_module(f"engagekit.{module}")
