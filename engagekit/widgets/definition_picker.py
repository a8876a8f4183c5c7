"""The definition picker: which events mean sign-up, activation, core action, depth and advocacy, with live counts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import count, percent, plain
from engagekit.matchers import event_names
from engagekit.widgets.panel import Panel, Shown, choice, several
from engagekit.workshop import event_table

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.workshop import Session

NOTHING = ""
# Windows that were resolved from the old core action do not fit a new one.
DEPEND_ON_CORE = (
    "habit_days",
    "depth_days",
    "depth_within_days",
    "outcome_days",
    "usage_interval_days",
)


def picker(session: Session) -> Panel:
    """Make the panel; every change writes the session's definition, which keeps the state."""
    log = session.events()
    table = event_table(log)
    users = int(log.lazy().select(pl.col("user_id").n_unique()).collect().item())
    rows = {r["event"]: r for r in table.to_dicts()}
    names = [
        (f"{plain(r['event'])} ({count(r['users'])} users)", r["event"]) for r in rows.values()
    ]
    now = session.definition
    controls = {
        "signup": choice(
            "Sign-up", [("(the first event)", NOTHING), *names], _first(now.signup, rows) or NOTHING
        ),
        "activation": choice(
            "Activation: first value", names, _first(now.activation, rows) or names[0][1]
        ),
        "core": several(
            "Core action: ongoing value", names, _known(now.core, rows) or [names[0][1]]
        ),
        "advanced": several(
            "Advanced actions: depth", names, [n for m in now.advanced for n in _known(m, rows)]
        ),
        "advocacy": several("Advocacy", names, [n for m in now.advocacy for n in _known(m, rows)]),
    }

    def answer(state: dict[str, Any]) -> Shown:
        made = changed(session.definition, state)
        if made != session.definition:
            session.define(made)
        return Shown(made, counts(made, rows, users))

    return Panel(
        "Pick what success is",
        controls,
        answer,
        session,
        help="Hold Ctrl or Cmd to choose several.",
        pictured=False,
    )


def _known(matcher: Any, rows: dict[str, Any]) -> list[str]:
    return [] if matcher is None else [n for n in event_names(matcher) if n in rows]


def _first(matcher: Any, rows: dict[str, Any]) -> str | None:
    return next(iter(_known(matcher, rows)), None)


def changed(definition: Definition, state: dict[str, Any]) -> Definition:
    """Put the picked events into a definition; what was not touched stays, conditions on properties included."""
    picked: dict[str, Any] = {}
    for name in ("signup", "activation"):
        before = getattr(definition, name)
        if (before is None) != (state[name] == NOTHING) or (
            before is not None and state[name] not in event_names(before)
        ):
            picked[name] = state[name] or None
    for name in ("core", "advanced", "advocacy"):
        before = getattr(definition, name)
        mentioned = event_names(before) if before else ()
        if set(state[name]) != set(mentioned) and (state[name] or name != "core"):
            picked[name] = (
                list(state[name]) if name != "core" or len(state[name]) > 1 else state[name][0]
            )
    if "core" in picked:
        picked |= dict.fromkeys(DEPEND_ON_CORE)
    return dataclasses.replace(definition, **picked) if picked else definition


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
        picked = ", ".join(_who(matcher, rows) for matcher in matchers)
        lines.append(f"{heading}: {picked or 'nothing picked, so this link cannot be judged'}.")
    both = set(event_names(definition.core)) & {
        n for m in definition.advanced for n in event_names(m)
    }
    if both:
        names = ", ".join(map(plain, sorted(both)))
        lines.append(f"{names} is both core and advanced: depth would then only repeat the habit.")
    return "\n".join(lines)


def _who(matcher: Any, rows: dict[str, Any]) -> str:
    """Name an event (or several) with how many users do it."""
    return " or ".join(
        f"{plain(name)} ({count(rows[name]['users'])} users)"
        if name in rows
        else f"{plain(name)} (nobody)"
        for name in event_names(matcher)
    )
