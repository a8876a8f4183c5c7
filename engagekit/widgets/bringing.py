"""Bringing a log of one's own without a terminal: look at a file, then make notebooks that stand on it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from engagekit._base import many, plain
from engagekit.definition import Definition
from engagekit.ingest import scan_events
from engagekit.widgets.panel import Panel, Shown, choice, text
from engagekit.workshop import DEFINITION_FILE, draft, start

if TYPE_CHECKING:
    from pathlib import Path

    from engagekit.workshop import Draft, Session

OWN = "own-log"  # the folder made beside the notebooks
LOOK, MAKE = "say what is in it", "make notebooks on it"
HOW = "Type the name of a file that lies in the list on the left."


def own_log(session: Session) -> Panel:
    """Make the panel: a file's name, and whether to look at it or to make the notebooks."""
    controls = {
        "file": text("Your log", placeholder="events.csv, beside this notebook; or its whole path"),
        "team": text("Name of your team", "team"),
        "then": choice("What to do with it", [LOOK, MAKE], LOOK),
    }

    def answer(state: dict[str, Any]) -> Shown:
        named = state["file"].strip()
        if not named:
            return Shown(None, HOW)
        log = session.folder.joinpath(named)  # a whole path stays itself
        if state["then"] == LOOK:
            return Shown(None, found_in(draft(log)))
        return Shown(None, made_from(log, session.folder / OWN, state["team"].strip() or "team"))

    return Panel("Bring your own log", controls, answer, session, pictured=False)


def found_in(drafted: Draft) -> str:
    """Say what a log holds and what may be what, choice by choice."""
    events = drafted.events
    users = max((int(n) for n in events["users"]), default=0)
    lines = [
        f"{many(events.height, 'event')}, each done by up to {many(users, 'user')}.",
        *drafted.notes,
    ]
    lines += [
        f"{each.role.capitalize()}: {_words(each.value)} ({each.why})."
        for each in drafted.choices
        if each.value
    ]
    return "\n".join([*lines, "All of it is a guess; notebook 01 is the place to correct it."])


def _words(value: Any) -> str:
    each = value if isinstance(value, (list, tuple)) else [value]
    return ", ".join(plain(getattr(one, "name", one)) for one in each)


def made_from(log: Path, folder: Path, team: str) -> str:
    """Draft a definition, make a workshop folder on the log, and say where its notebooks lie."""
    drafted = draft(log)
    events = scan_events(log, definition=drafted.definition)
    (made,) = start(folder, events=events, definition=drafted.definition, teams=[team])
    defined = made / DEFINITION_FILE
    if Definition.load(defined).guessed:
        dataclasses.replace(drafted, definition=Definition.load(defined)).save(defined)
    return (
        f"Ready: open {folder.name}/{made.name}/00-start-here.ipynb in the list on the left. Its definition is a guess; "
        "notebook 01 is the place to correct it."
    )
