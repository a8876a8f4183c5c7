"""A workshop folder: the log prepared once, and beside it a folder for each team with notebooks, definition and session."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagekit.definition import Definition, write_whole
from engagekit.errors import ParameterError, listing
from engagekit.record import PLAN
from engagekit.session import DEFINITION_FILE, FILE, Session
from engagekit.wording import LINK_NAMES, in_html, in_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG, USERS = "log", "users.parquet"
COMPARED = "compare.html"
TEAM_README = """# Workshop: {team}

Open the notebooks in their order, beginning with `00-start-here.ipynb`; run each from the top.

- `definition.toml` says what success is; notebook 01 changes it.
- `session.json` keeps what you set, voted and decided, whole after every change; notebooks show it again.
- `decision-record.md` and `.html` appear when you export the decision in notebook 07.

Everything stays in this folder; nothing is sent anywhere.
"""
FOLDER_README = """# Workshop folder

- `{log}/`: the event log, prepared once for all teams{note}
- {teams}

Open it with `engagekit lab FOLDER`. When the teams are done, `engagekit compare FOLDER` puts their decisions on one page.
"""


def notebooks_folder() -> Path:
    """Find the course's notebooks: beside the package in a checkout, inside it once installed."""
    inside = Path(__file__).parent / "_notebooks"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "notebooks"


def start(
    folder: str | os.PathLike[str],
    *,
    events: Any = None,
    users: Any = None,
    definition: Definition | None = None,
    teams: Sequence[str] = (),
    as_of: str | None = None,
    progress: bool = False,
) -> list[Path]:
    """Make a workshop folder; what is already there stays as it is.

    Parameters
    ----------
    folder
        Where; made if missing.
    events
        Event log (a frame or a path that `scan_events` reads); None: the teams work on the bundled sample.
    users
        Users table (a frame), or None.
    definition
        Definition every team starts from; None: guessed from the log, to be corrected in notebook 01.
    teams
        Names of the teams; none: one folder named ``team``.
    as_of
        Up to when the data are complete, if it has to be said.
    progress
        Show progress while the log is prepared.

    Returns
    -------
    list of Path
        The teams' folders.

    Raises
    ------
    ParameterError
        A team's name makes no folder name, or two make the same.
    """
    folder = Path(folder)
    names = _folder_names(teams or ("team",))
    folder.mkdir(parents=True, exist_ok=True)
    own = _own_data(folder, events, users, progress=progress)
    shared = definition
    if events is not None:
        shared = _with_windows(folder, definition, users, as_of)
    made = []
    for team, name in names.items():
        path = folder / name
        _copy_notebooks(path)
        session = Session(path)
        if not (path / FILE).exists():
            session.update(
                "about",
                {"team": team} | own | ({"as_of": as_of} if as_of and events is not None else {}),
            )
        if shared is not None and not (path / DEFINITION_FILE).exists():
            session.define(shared)
        _write_once(path / "README.md", TEAM_README.format(team=in_markdown(team)))
        made.append(path)
    listed = ", ".join(f"`{name}/`: {in_markdown(team)}" for team, name in names.items())
    note = "" if events is not None else " (none: the teams work on the bundled sample)"
    _write_once(folder / "README.md", FOLDER_README.format(log=LOG, note=note, teams=listed))
    return made


def _folder_names(teams: Sequence[str]) -> dict[str, str]:
    names = {team: re.sub(r"[^\w.-]+", "-", team).strip("-. ")[:60] for team in teams}
    faults = [
        f"{team!r} makes no folder name; use letters or digits."
        for team, name in names.items()
        if not name
    ]
    taken = [n for n in names.values() if n]
    twice = sorted({n for n in taken if [m.casefold() for m in taken].count(n.casefold()) > 1})
    faults += (
        [f"{listing(twice)} would be the folder of two teams; give them different names."]
        if twice
        else []
    )
    faults += [
        f"{n!r} is the name of the folder for the log." for n in taken if n.casefold() == LOG
    ]
    if faults:
        raise ParameterError(
            str(ParameterError.from_faults("The teams cannot have folders", faults))
        )
    return names


def _own_data(folder: Path, events: Any, users: Any, *, progress: bool) -> dict[str, str]:
    if events is None:
        return {}
    from engagekit.prepare import prepare_events

    prepare_events(events, folder / LOG, progress=progress)
    own = {"events": f"../{LOG}"}
    if users is not None:
        if not (folder / USERS).exists():
            part = folder / f".{USERS}.part"
            users.lazy().collect().write_parquet(part)
            part.replace(folder / USERS)
        own["users"] = f"../{USERS}"
    return own


def _with_windows(
    folder: Path, definition: Definition | None, users: Any, as_of: str | None
) -> Definition:
    from engagekit.rollups import rollup

    if definition is None:
        from engagekit.prepare import scan_prepared
        from engagekit.starter import event_table, starter_definition

        definition = starter_definition(event_table(scan_prepared(folder / LOG)))
    resolved = rollup(folder / LOG, definition, users=users, as_of=as_of).definition
    return dataclasses.replace(
        resolved, usage_interval_days=round(resolved.usage_interval_days or 0, 2) or None
    )


def _copy_notebooks(path: Path) -> None:
    path.mkdir(exist_ok=True)
    for notebook in sorted(notebooks_folder().glob("*.ipynb")):
        if not (path / notebook.name).exists():
            shutil.copy(notebook, path / notebook.name)


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        write_whole(path, text.encode())


def teams_in(folder: str | os.PathLike[str]) -> list[Session]:
    """Find the teams' sessions in a workshop folder.

    Raises
    ------
    ParameterError
        There is none.
    """
    found = [Session(path.parent) for path in sorted(Path(folder).glob(f"*/{FILE}"))]
    if not found:
        raise ParameterError(
            f"{os.fspath(folder)!r} holds no team's session; make a workshop with 'engagekit start FOLDER'."
        )
    return found


def compare(folder: str | os.PathLike[str]) -> Path:
    """Put all teams' decisions side by side on one page, ``compare.html``; return its path.

    Raises
    ------
    ParameterError
        The folder holds no team.
    """
    from engagekit.record import STYLE, record

    teams = teams_in(folder)
    decided = [dict(record(t)["Decision"]) for t in teams]
    head = "".join(f"<th scope=col>{in_html(t.team)}</th>" for t in teams)
    rows = []
    for _, heading, _ in PLAN:
        if any(heading in d for d in decided):
            rows.append(_row(heading, [d.get(heading, "–") for d in decided]))
    rows.append(_row("Votes", [_tally(t) for t in teams]))
    links = {t.part("plan").get("link") for t in teams}
    same = (
        "All teams chose the same link."
        if len(links) == 1 and None not in links
        else "The teams differ, or have not all decided."
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Decisions compared</title><style>{STYLE}'
        f"body{{max-width:80rem}}</style></head><body><h1>Decisions compared</h1><p>{same}</p>"
        f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table></body></html>"
    )
    path = Path(folder) / COMPARED
    write_whole(path, page.encode())
    return path


def _row(heading: str, cells: Sequence[str]) -> str:
    return (
        f"<tr><th scope=row>{heading}</th>"
        + "".join(f"<td>{in_html(c)}</td>" for c in cells)
        + "</tr>"
    )


def _tally(session: Session) -> str:
    choices = list(session.part("votes").values())
    counted = {c: choices.count(c) for c in sorted(set(map(str, choices)))}
    return ", ".join(f"{LINK_NAMES.get(c, c)}: {n}" for c, n in counted.items()) or "–"
