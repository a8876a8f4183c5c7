"""A workshop folder: the log prepared once, and beside it a folder for each team with notebooks, definition and session."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagekit._base import (
    day,
    flush,
    in_html,
    in_markdown,
    many,
    sweep,
    write_whole,
    writing,
)
from engagekit.errors import ParameterError, listing
from engagekit.workshop.alternatives import activation_candidates, compare_activations
from engagekit.workshop.ballots import LINK, TARGETS, known_as, readable
from engagekit.workshop.decision_record import CHOICES, STYLE, agreement_rows, votes_are_open
from engagekit.workshop.draft import Draft, draft
from engagekit.workshop.draft_columns import found_columns
from engagekit.workshop.drafts import entry_of, is_decided
from engagekit.workshop.drawn import coming_and_going, steps
from engagekit.workshop.forgetting import OF_ACCOUNTS, forget
from engagekit.workshop.plan_card import NOBODY, card_facts, card_words, likelier_first
from engagekit.workshop.plan_rows import GUESSED, decided_line, definition_rows, plan_rows
from engagekit.workshop.refreshing import (
    Refreshed,
    asked_of,
    finish,
    held_by,
    lacking_said,
    lacking_users,
    refresh,
    refuse_ignored,
)
from engagekit.workshop.session import DEFINITION_FILE, MEASURED, Session, is_team
from engagekit.workshop.session import FILE as SESSION_FILE
from engagekit.workshop.starter import event_table
from engagekit.workshop.teams import LOG, USERS, sessions_in, teams_in

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from engagekit._base import Progress
    from engagekit.definition import Definition

__all__ = [
    "CHOICES",
    "DEFINITION_FILE",
    "GUESSED",
    "LINK",
    "LOG",
    "MEASURED",
    "NOBODY",
    "OF_ACCOUNTS",
    "SESSION_FILE",
    "TARGETS",
    "USERS",
    "Draft",
    "Refreshed",
    "Session",
    "activation_candidates",
    "asked_of",
    "card_facts",
    "card_words",
    "coming_and_going",
    "compare",
    "compare_activations",
    "decided_line",
    "draft",
    "entry_of",
    "event_table",
    "forget",
    "found_columns",
    "is_decided",
    "is_team",
    "known_as",
    "likelier_first",
    "readable",
    "refresh",
    "start",
    "steps",
    "teams_in",
    "unmatched",
]

COMPARED = "compare.html"
# Names that a team's folder cannot have: taken in the workshop folder, or (whatever follows a dot) by Windows for devices.
TAKEN = {LOG, USERS, COMPARED, "readme.md"}
DEVICES = {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(10)}
TEAM_README = """# Workshop: {team}

Open the notebooks in their order, beginning with `00-start-here.ipynb`; run each from the top.

- `definition.toml` says what success is; notebook 01 changes it.
- `session.json` keeps what you set, voted and decided, whole after every change; notebooks show it again.
- `decision-record.md` and `.html` say what was decided and on what it stands; they are written anew at every change.

Everything stays in this folder; nothing is sent anywhere.
"""
FOLDER_README = """# Workshop folder

- {log}
- beside it a folder for each team: notebooks, definition, session

Open it with `engagekit lab FOLDER`. When the teams are done, `engagekit compare FOLDER` puts their decisions on one page.
The folder can be moved as a whole. Another team joins with `engagekit start FOLDER --team NAME`; nothing is overwritten.
Weeks later, `engagekit refresh FOLDER --events LOG` brings newer data; decisions, votes and plans stay.
"""
OWN_LOG = f"`{LOG}/`: the event log, prepared once for all teams"
SAMPLE_LOG = "no log of its own: the teams work on the bundled sample"


def notebooks_folder() -> Path:
    """Find the course's notebooks: beside the package in a checkout, inside it once installed."""
    inside = Path(__file__).parents[1] / "_notebooks"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "notebooks"


def start(
    folder: str | os.PathLike[str],
    *,
    events: Any = None,
    users: Any = None,
    definition: Definition | None = None,
    teams: Sequence[str] = (),
    as_of: str | None = None,
    progress: Progress = False,
) -> list[Path]:
    """Make a workshop folder; what is already there stays as it is.

    Parameters
    ----------
    folder
        Where; made if missing.
    events
        Event log (a frame of `scan_events`); None: the one the folder has, else the bundled sample.
    users
        Users table (a frame), or None.
    definition
        Definition every team starts from; None: the sample's, or drafted from the log and marked
        as guessed, for notebook 01 to correct.
    teams
        Names of the teams; none: one folder named ``team``.
    as_of
        Up to when the data are complete, if it has to be said.
    progress
        Show how far the preparing of the log is: True, False, or a function of ``done, total``.

    Returns
    -------
    list of Path
        The teams' folders.

    Raises
    ------
    ParameterError
        A team's name makes no folder name, or two make the same; users or an end were given for the sample, or others
        than the folder has.
    StoredFileError
        The folder has a log prepared from another source, cannot be written to, or the disk is full.
    """
    folder = Path(folder)
    names = _folder_names(teams or ("team",))
    own_log = events is not None or (folder / LOG).exists()
    if not own_log and (users is not None or as_of is not None):
        raise ParameterError(
            "Users and an end of the data belong to a log of your own; give its events too."
        )
    refuse_ignored(folder, users, as_of)
    with writing(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        finish(folder)
        about = _about(folder, events, users, as_of, progress=progress) if own_log else {}
        shared = _with_windows(folder, definition, about)
        for team, name in names.items():
            _team_folder(folder / name, team, about, shared)
        log = OWN_LOG if own_log else SAMPLE_LOG
        _write_once(folder / "README.md", FOLDER_README.format(log=log))
    return [folder / name for name in names.values()]


def _folder_names(teams: Sequence[str]) -> dict[str, str]:
    names = {team: re.sub(r"[^\w.-]+", "-", team).strip("-. ")[:60].rstrip("-. ") for team in teams}
    faults = [
        f"{team!r} makes no folder name; use letters or digits."
        for team, name in names.items()
        if not name
    ]
    made = [n for n in names.values() if n]
    folded = [n.casefold() for n in made]
    if twice := sorted({n for n in made if folded.count(n.casefold()) > 1}):
        faults.append(f"{listing(twice)} would be the folder of two teams; name them differently.")
    faults += [
        f"{n!r} cannot be the name of a team's folder; name the team differently."
        for n in made
        if n.casefold() in TAKEN or n.casefold().split(".")[0] in DEVICES
    ]
    if faults:
        raise ParameterError.from_faults("The teams cannot have folders", faults)
    return names


def _about(
    folder: Path, events: Any, users: Any, as_of: str | None, *, progress: Progress
) -> dict[str, str]:
    """Prepare the log once, and say where it and the users lie, seen from a team's folder."""
    from engagekit.rollups import prepare_events

    if events is not None:
        prepare_events(events, folder / LOG, progress=progress)
    if users is not None and not (folder / USERS).exists():
        part = folder / f".{USERS}.part"
        users.lazy().collect().write_parquet(part)
        flush(part)
        part.replace(folder / USERS)
    about = {"events": f"../{LOG}"}
    if (folder / USERS).exists():
        about["users"] = f"../{USERS}"
    end = as_of or next((t.part("about").get("as_of") for t in sessions_in(folder)), None)
    return about | ({"as_of": end} if end else {})


def _with_windows(folder: Path, definition: Definition | None, about: dict[str, str]) -> Definition:
    """Resolve the windows once for all teams, so that they stand in every team's definition."""
    from engagekit.rollups import rollup

    with tempfile.TemporaryDirectory(dir=folder, prefix=".windows-") as beside:
        sweep(".windows-*", Path(beside))
        session = Session(beside)
        session.update("about", about)
        if definition is None and about:
            definition = draft(session.events()).definition
        if definition is not None:
            session.define(definition)
        log, people, as_of = session.data()  # not kept: they are of a definition that no team has
        return rollup(log, session.definition, users=people, as_of=as_of).definition


def _team_folder(path: Path, team: str, about: dict[str, str], definition: Definition) -> None:
    """Fill a team's folder with what it does not have yet."""
    _copy_notebooks(path)
    session = Session(path)
    if not (path / SESSION_FILE).exists():
        session.update("about", {"team": team} | about)
    if not (path / DEFINITION_FILE).exists():
        session.define(definition)
        session.set(MEASURED, definition.usage_interval_days)
    _write_once(path / "README.md", TEAM_README.format(team=in_markdown(team)))


def _copy_notebooks(path: Path) -> None:
    """Copy the notebooks without their outputs: those are of the sample, not of this log."""
    path.mkdir(exist_ok=True)
    for notebook in sorted(notebooks_folder().glob("*.ipynb")):
        if not (path / notebook.name).exists():
            content = json.loads(notebook.read_text(encoding="utf-8"))
            for cell in content["cells"]:
                if cell["cell_type"] == "code":
                    cell |= {"outputs": [], "execution_count": None}
            text = json.dumps(content, indent=1, ensure_ascii=False)
            write_whole(path / notebook.name, f"{text}\n".encode())


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        write_whole(path, text.encode())


def unmatched(folder: str | os.PathLike[str]) -> list[str]:
    """Say where a workshop's log and what lies beside it do not match: users the table lacks, an end before the log's."""
    log, table = Path(folder) / LOG, Path(folder) / USERS
    if not log.exists():
        return []
    teams = sessions_in(folder)
    held = held_by(log, teams)
    users = lacking_said(lacking_users(log, table), held.users)
    ends = [(t.team, str(t.part("about").get("as_of") or "")) for t in teams]
    return ([users] if users else []) + [
        f"{team} judges up to {end}, though the log goes on until {day(held.last)}: engagekit refresh {folder} --as-of DAY"
        for team, end in ends
        if end and end[:10] < str(held.last)
    ]


def compare(folder: str | os.PathLike[str]) -> Path:
    """Put all teams' decisions side by side on one page, ``compare.html``; return its path.

    Raises
    ------
    ParameterError
        The folder holds no team.
    """
    teams = teams_in(folder)
    head = "".join(f"<th scope=col>{in_html(t.team)}</th>" for t in teams)
    parts = [
        ("Decisions", [_decision(t) for t in teams]),
        ("Votes", [_tally(t) for t in teams]),
        ("What success means to each", [dict(definition_rows(t.definition)) for t in teams]),
        ("What each agreed on", [dict(agreement_rows(t)) for t in teams]),
    ]
    tables = [
        f"<h2>{title}</h2><table><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
        for title, columns in parts
        if (rows := _rows(columns))
    ]
    style = f"{STYLE}body{{max-width:80rem}}thead th{{width:auto;border-bottom:2px solid}}"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Decisions compared</title>'
        f"<style>{style}</style></head><body><main><h1>Decisions compared</h1><p>{_agreement(teams)}</p>"
        f"{''.join(tables)}</main></body></html>"
    )
    path = Path(folder) / COMPARED
    write_whole(path, page.encode())
    return path


def _agreement(teams: Sequence[Session]) -> str:
    plans = [t.part("plan") for t in teams]
    open_ = [plan for plan in plans if not is_decided(plan)]
    decided = {plan.get("link") for plan in plans if is_decided(plan)}
    if len(decided) > 1:
        return "The teams chose different links: compare what success means to each."
    if open_:
        drafts = " What stands below of theirs is a draft." if any(open_) else ""
        return f"{len(open_)} of {many(len(teams), 'team')} not decided yet.{drafts}"
    return "All teams chose the same link." if any(decided) else "No team mends a link yet."


def _rows(columns: Sequence[dict[str, str]]) -> str:
    """Write one row per heading that any team has, in the order in which they first come."""
    headings = dict.fromkeys(heading for column in columns for heading in column)
    return "".join(
        f"<tr><th scope=row>{in_html(heading)}</th>"
        + "".join(f"<td>{in_html(column.get(heading, '–'))}</td>" for column in columns)
        + "</tr>"
        for heading in headings
    )


def _decision(session: Session) -> dict[str, str]:
    plan = session.part("plan")
    rows = dict(plan_rows(plan))
    return (
        rows
        if is_decided(plan)
        else {
            heading: f"{text} (draft)" if heading != "State" else text
            for heading, text in rows.items()
        }
    )


def _tally(session: Session) -> dict[str, str]:
    votes = session.votes()
    if votes and not votes_are_open(session):
        return {"Not revealed yet": str(len(votes))}
    counted = Counter(map(str, votes.values()))
    return {CHOICES.get(choice, choice): str(n) for choice, n in sorted(counted.items())}
