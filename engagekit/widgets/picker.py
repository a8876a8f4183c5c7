"""The definition picker: which events mean sign-up, activation, core action, depth and advocacy, with live counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import polars as pl
import traitlets

from engagekit._base import count, percent, plain
from engagekit.definition import Definition
from engagekit.errors import EngagekitError
from engagekit.matchers import event_names, label
from engagekit.widgets.form import Message, Reply, Sender, script
from engagekit.widgets.page import stale
from engagekit.widgets.panel import Panel, Shown
from engagekit.widgets.picks import (  # fmt: skip
    FIRST_EVENT,
    ROLES,
    SINGLE,
    changed,
    conditions,
    moved_windows,
    picked,
    step_words,
    twice,
    undone,
    with_step,
    without_step,
)
from engagekit.workshop import GUESSED, MEASURED, event_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from engagekit.workshop import Session

MAKES = ("pick", "add step", "drop step")
UNDO, MOST_STEPS = "definition undo", 20
CONFIRMED = "Is the definition ours, and no longer a guess?"


class Picker(Sender, anywidget.AnyWidget):
    """A table of events and roles to tick, with a search; each tick is one message."""

    _esm = script("picker.js")
    _css = Path(__file__).parent / "form.css"

    rows: Any = traitlets.List().tag(sync=True)
    roles: Any = traitlets.List().tag(sync=True)
    picked: Any = traitlets.Dict().tag(sync=True)
    steps: Any = traitlets.List().tag(sync=True)
    undoable = traitlets.Int(0).tag(sync=True)
    guessed = traitlets.Bool(default_value=False).tag(sync=True)

    def __init__(self, rows: list[dict[str, Any]], handle: Callable[[Message], Reply]) -> None:
        roles = [{"name": n, "label": text, "single": n in SINGLE} for n, text in ROLES.items()]
        super().__init__(rows=rows, roles=roles)
        self.listen(handle)


def picker(session: Session) -> Panel:
    """Make the panel; every tick writes the session's definition, which keeps the state, and can be undone."""
    log = session.events()
    table = event_table(log)
    users = int(log.lazy().select(pl.col("user_id").n_unique()).collect().item())
    rows = {r["event"]: r for r in table.to_dicts()}

    def answer(_: dict[str, Any]) -> Shown:
        made = session.definition
        return Shown(made, counts(made, rows, users), warning="\n".join(_warnings(session, made)))

    def handle(message: Message) -> Reply:
        now = session.definition
        if message.act == "undo" and (steps := _steps(session)):
            was, made = steps.pop()
            session.define(undone(now, was, made))
            _keep(session, steps)
        if message.act == "confirm":
            made = dataclasses.replace(now, guessed=False)
            session.define(made)
            _keep(session, [*_steps(session), (now, made)])
            session.decide(CONFIRMED, in_a_line(now), today=message.on)
        said = ""
        if message.act in MAKES:
            made = _picked(session, now, message)
            if made != now:
                session.define(made)
                _keep(session, [*_steps(session), (now, made)])
                said = moved_windows(now, made)
        show()
        panel.tell()
        return Reply(said)

    def show() -> None:
        made = session.definition
        form.picked, form.guessed = picked(made), made.guessed
        form.undoable, form.steps = len(_steps(session)), step_words(made)

    form = Picker(_rows(rows), handle)
    show()
    panel = Panel("Pick what success is", {}, answer, session, form=form, pictured=False)
    return panel


def _steps(session: Session) -> list[tuple[Definition, Definition]]:
    """Read what Undo can take back, each as it was before and after; a session's file can hold anything."""
    stored = session.get(UNDO)
    try:
        return [
            (Definition.from_table(was), Definition.from_table(made))
            for was, made in (stored if isinstance(stored, list) else [])
        ]
    except (EngagekitError, ValueError, TypeError):
        return []


def _keep(session: Session, steps: list[tuple[Definition, Definition]]) -> None:
    """Store what Undo can take back, so that it survives the kernel."""
    session.set(UNDO, [[was.to_table(), made.to_table()] for was, made in steps[-MOST_STEPS:]])


def _picked(session: Session, now: Definition, message: Message) -> Definition:
    asked = message.values
    if message.act == "add step":
        return with_step(now, str(asked.get("reached", "")), str(asked.get("completed", "")))
    if message.act == "drop step":
        return without_step(now, str(asked.get("name", "")))
    return changed(
        now,
        str(asked.get("role", "")),
        str(asked.get("event", "")),
        ticked=asked.get("ticked") is True,
        measured=session.get(MEASURED),
    )


def _rows(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Describe what the table shows: each event, its users, and how many of them do it again on another day."""
    first = {"event": FIRST_EVENT, "shown": "(each user's first event)", "users": None, "again": ""}
    return [
        first,
        *(
            {
                "event": r["event"],
                "shown": plain(r["event"]),
                "users": r["users"],
                "again": percent(r["repeating"] / r["users"]),
            }
            for r in rows.values()
        ),
    ]


def _warnings(session: Session, made: Definition) -> list[str]:
    told = [f"{GUESSED} Look at each row, and press 'We confirm this definition'."] * made.guessed
    return told + stale(session)


def in_a_line(definition: Definition) -> str:
    """Write what a team confirms: the events that mean activation and the core action."""
    return (
        f"activation is {label(definition.activation)}, the core action is {label(definition.core)}"
    )


def counts(definition: Definition, rows: dict[str, Any], users: int) -> str:
    """Say how many users do what was picked, and how many repeat the core action on another day."""
    signup = "Sign-up: each user's first event."
    if definition.signup is not None:
        signup = f"Sign-up: {_who(definition.signup, rows)}."
    activation = event_names(definition.activation)[0]
    share = (
        f" ({percent(rows[activation]['users'] / users)} of all users with an event)"
        if activation in rows
        else ""
    )
    lines = [signup, f"Activation: {_who(definition.activation, rows)}{share}."]
    for name in event_names(definition.core):
        if name in rows:
            again = percent(rows[name]["repeating"] / rows[name]["users"])
            lines.append(f"Core action: {_who(name, rows)}, {again} of them on more than one day.")
    for heading, matchers in (("Advanced", definition.advanced), ("Advocacy", definition.advocacy)):
        chosen = ", ".join(_who(matcher, rows) for matcher in matchers)
        lines.append(f"{heading}: {chosen or 'nothing picked, so this link cannot be judged'}.")
    return "\n".join([*lines, *conditions(definition), *twice(definition)])


def _who(matcher: Any, rows: dict[str, Any]) -> str:
    """Name an event (or several) with how many users do it."""
    return " or ".join(
        f"{plain(name)} ({count(rows[name]['users'])} users)"
        if name in rows
        else f"{plain(name)} (nobody)"
        for name in event_names(matcher)
    )
