"""The course run cell by cell in one process, and what each cell says to whoever reads the page."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import real_logs

import engagekit as ek
from engagekit.views import offline
from engagekit.workshop import start

if TYPE_CHECKING:
    from collections.abc import Iterator

COURSE = [
    "00-start-here", "01-define-success", "02-check-the-log", "03-cohort-curves", "04-diagnose", "05-first-two-weeks",
    "06-prioritize", "07-plan", "08-weekly-review", "09-monthly-review", "facilitator-guide",
]  # fmt: skip
LOGS = ("sample", "gcc", "travelse", "oulad", "thirty users", "bare", "no sign-up", "undecided")
EXAMPLE = "bundled example"  # notebook 06 shows it to everyone; what follows this cell is about the sample
REAL = {"gcc", "travelse", "oulad"}


@dataclass(frozen=True)
class Said:
    """What one cell shows: Markdown as it stands, or the outputs of code as text."""

    notebook: str
    cell: int
    kind: str
    text: str


def workshop(log: str, folder: Path, shared: Path | None) -> Path:
    """Make a team's folder on one of the eight logs."""
    if log == "sample":
        (team,) = start(folder)
        return team
    events, users, definition = _made(log) if log not in REAL else _read(log, shared)
    (team,) = start(folder, events=events, users=users, definition=definition)
    return team


def _read(log: str, shared: Path | None) -> tuple[Any, Any, ek.Definition]:
    assert shared is not None
    users = real_logs.users(shared, log)
    if log == "travelse":
        users = users.drop("signup", "last_seen")
    return real_logs.events(shared, log), users, real_logs.definition(log)


def _made(log: str) -> tuple[Any, Any, ek.Definition]:
    made = ek.simulate(users=30 if log == "thirty users" else 1500, seed=4)
    definition = made.definition
    if log == "bare":
        return (
            made.events,
            None,
            dataclasses.replace(definition, steps=(), targets={}, advanced=(), advocacy=()),
        )
    if log == "no sign-up":
        events = made.events.lazy().filter(pl.col("event") != definition.signup)
        return events, made.users, dataclasses.replace(definition, signup=None, steps=())
    if log == "undecided":
        loop = ek.prioritize(ek.rollup(made.events, definition, users=made.users)).table
        rates = dict(loop.select("link", "rate").iter_rows())
        targets = {
            "activation": rates["activation"] + definition.margin,
            "habit": rates["habit"] + 0.01,
        }
        return made.events, made.users, dataclasses.replace(definition, targets=targets)
    return made.events, made.users, definition


def own_pages(page: list[Said]) -> list[Said]:
    """Leave out the cells of notebook 06 that show the bundled example, as the page says."""
    begins = [s.cell for s in page if s.notebook == "06-prioritize" and s.kind == "markdown" and EXAMPLE in s.text]  # fmt: skip
    return [s for s in page if s.notebook != "06-prioritize" or not begins or s.cell < begins[0]]


def walked(team: Path, names: list[str] = COURSE) -> list[Said]:
    """Run the notebooks of a team's folder from the top, one after the other, as a room would."""
    found = []
    with _in_folder(team), _shell() as shell:
        for name in names:
            shell.reset(new_session=False)
            content = json.loads((team / f"{name}.ipynb").read_text(encoding="utf-8"))
            for number, cell in enumerate(content["cells"]):
                source = "".join(cell["source"])
                text = source if cell["cell_type"] == "markdown" else _ran(shell, source)
                found.append(Said(name, number, cell["cell_type"], text))
    return found


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _shell() -> Iterator[Any]:
    """Give the one shell of this process; charts hand over their words and numbers, undrawn: others test the drawing."""
    from IPython.core.interactiveshell import InteractiveShell

    main = sys.modules["__main__"]  # which the shell puts its own in place of
    shell = InteractiveShell.instance()
    drawn, offline.mimebundle = offline.mimebundle, _undrawn
    try:
        yield shell
    finally:
        offline.mimebundle = drawn
        InteractiveShell.clear_instance()
        sys.modules["__main__"] = main


def _undrawn(spec: Any, **_: Any) -> dict[str, str]:
    rows = "".join(map(offline.table_html, offline._tables(spec)))
    return {"text/html": f"<p>{html.escape(offline.description(spec))}</p>{rows}", "text/plain": ""}


def _ran(shell: Any, source: str) -> str:
    from IPython.utils.capture import capture_output

    last: list[dict[str, Any]] = []
    shell.displayhook.write_output_prompt = lambda: None
    shell.displayhook.write_format_data = lambda data, *_: last.append(data)
    with capture_output() as caught:
        result = shell.run_cell(source, store_history=False)
    error = result.error_before_exec or result.error_in_exec
    shown = [*(output.data for output in caught.outputs), *last]
    parts = [caught.stdout, caught.stderr, *map(_read_aloud, shown)]
    parts += [f"Traceback: {type(error).__name__}: {error}"] if error else []
    return "\n".join(part.strip() for part in parts if part.strip())


def _read_aloud(data: dict[str, Any]) -> str:
    """Take an output as the page shows it: Markdown, else HTML without its tags, else text."""
    if "text/markdown" in data:
        return data["text/markdown"]
    if "text/html" in data:
        bare = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", data["text/html"])
        bare = re.sub(r"</(p|tr|div|h\d|caption)>|<br>", "\n", bare)
        return html.unescape(re.sub(r"<[^>]+>", " ", bare))
    return str(data.get("text/plain", ""))
