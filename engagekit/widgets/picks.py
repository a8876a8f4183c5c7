"""What picking an event does to a definition: what was not touched stays, windows set by hand included."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from typing import TYPE_CHECKING, Any

from engagekit._base import plain
from engagekit.definition import Step
from engagekit.errors import ParameterError
from engagekit.matchers import event_names, label

if TYPE_CHECKING:
    from engagekit.definition import Definition

ROLES = {
    "signup": "Sign-up",
    "activation": "Activation",
    "core": "Core action",
    "advanced": "Advanced",
    "advocacy": "Advocacy",
}
SINGLE = {"signup", "activation"}
FIRST_EVENT = ""  # sign-up: each user's first event
# Windows that follow from how often the core action is done, and how they are called.
WINDOWS = {
    "habit_days": "days allowed to come back",
    "depth_days": "days allowed to go deeper",
    "depth_within_days": "days between two uses",
    "outcome_days": "outcome window",
    "usage_interval_days": "usage interval",
}


def picked(definition: Definition) -> dict[str, list[str]]:
    """List the events of each role; sign-up without an event is `FIRST_EVENT`."""
    found = {role: _names(getattr(definition, role)) for role in ROLES}
    return found | {"signup": found["signup"] or [FIRST_EVENT]}


def _names(value: Any) -> list[str]:
    items = value if isinstance(value, tuple) else [value] if value is not None else []
    return list(dict.fromkeys(name for item in items for name in event_names(item)))


def changed(
    definition: Definition, role: str, event: str, *, ticked: bool, measured: float | None = None
) -> Definition:
    """Give an event a role, or take it away.

    `measured` is the usage interval that was measured in the log, if it is known: another one was set by hand.

    Raises
    ------
    ParameterError
        The role needs an event.
    """
    if role not in ROLES:
        raise ParameterError(f"{role!r} is no role of an event.")
    now = picked(definition)[role]
    if (event in now) == ticked and (role not in SINGLE or len(now) == 1):
        return definition
    value = _with(definition, role, event) if ticked else _without(definition, role, event)
    changes: dict[str, Any] = {role: value}
    if role == "core":
        changes |= dict.fromkeys(set(WINDOWS) - by_hand(definition, measured=measured))
    return dataclasses.replace(definition, **changes)


def _with(definition: Definition, role: str, event: str) -> Any:
    now = getattr(definition, role)
    if role in SINGLE:
        return event or None
    items = _items(now)
    return [*items, event] if role != "core" or items else event


def _without(definition: Definition, role: str, event: str) -> Any:
    left = [rest for item in _items(getattr(definition, role)) if (rest := _less(item, event))]
    if not left and role in {"activation", "core"}:
        raise ParameterError(f"{ROLES[role]} needs an event: tick another one first.")
    if role in {"core", "activation"}:
        return left[0] if len(left) == 1 else left
    return left or (None if role == "signup" else [])


def _less(item: Any, event: str) -> Any:
    """Take an event out of a matcher; of several that mean the same, the others stay."""
    if event not in event_names(item):
        return item
    rest = [one for one in item if event not in event_names(one)] if isinstance(item, list) else []
    return rest[0] if len(rest) == 1 else rest


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def by_hand(definition: Definition, *, measured: float | None = None) -> set[str]:
    """Name the windows that do not follow from the definition's own usage interval: somebody set them."""
    interval = definition.usage_interval_days
    follow = [name for name in WINDOWS if name != "usage_interval_days"]
    given = {name for name in follow if getattr(definition, name) is not None}
    if interval is None:
        return given
    alone = _left_open(definition, *follow).resolved(interval)
    found = set()
    for name in given:
        beside = _left_open(definition, name).resolved(interval)
        if getattr(definition, name) not in {getattr(alone, name), getattr(beside, name)}:
            found.add(name)
    return found | (
        {"usage_interval_days"} if measured is not None and interval != measured else set()
    )


def _left_open(definition: Definition, *windows: str) -> Definition:
    none: dict[str, Any] = dict.fromkeys(windows)
    return dataclasses.replace(definition, **none)


def moved_windows(before: Definition, now: Definition) -> str:
    """Say which windows are measured anew after a change, and which stay as they were set by hand; empty if none."""
    anew = [
        text
        for name, text in WINDOWS.items()
        if getattr(before, name) is not None and getattr(now, name) is None
    ]
    if not anew:
        return ""
    kept = [f"{text} ({_days(getattr(now, name))})" for name, text in WINDOWS.items() if getattr(now, name) is not None]  # fmt: skip
    stay = f" Set by hand, and kept: {', '.join(kept)}." if kept else ""
    return (
        f"They followed from the old core action, and are measured anew: {', '.join(anew)}.{stay}"
    )


def _days(value: Any) -> str:
    return f"{value[0]} to {value[1]}" if isinstance(value, tuple) else f"{value:g}"


def with_step(definition: Definition, reached: str, completed: str) -> Definition:
    """Add a step on the way to activation, called by the event that completes it; `reached` may be empty: by the step before.

    Raises
    ------
    ParameterError
        No event completes it, or there is a step of that name.
    """
    if not completed:
        raise ParameterError("A step needs the event that completes it.")
    if any(step.name == completed for step in definition.steps):
        raise ParameterError(f"There is a step {plain(completed)} already.")
    made = Step(completed, reached or None, completed)
    return dataclasses.replace(definition, steps=(*definition.steps, made))


def without_step(definition: Definition, name: str) -> Definition:
    """Take a step out, by its name."""
    left = tuple(step for step in definition.steps if step.name != name)
    return dataclasses.replace(definition, steps=left)


def step_words(definition: Definition) -> list[dict[str, str]]:
    """Say of each step how it is called and what it is."""
    return [
        {
            "name": step.name,
            "shown": f"{plain(step.name)}: from {_came(step.reached, 'the step before')} to {_came(step.completed, 'reaching it')}",
        }
        for step in definition.steps
    ]


def _came(matcher: Any, instead: str) -> str:
    return plain(label(matcher)) if matcher is not None else instead


def undone(definition: Definition, was: Definition, made: Definition) -> Definition:
    """Take back what turned one definition into another; what was changed elsewhere since stays."""
    names = [field.name for field in dataclasses.fields(was)]
    back = {n: getattr(was, n) for n in names if getattr(was, n) != getattr(made, n)}
    return dataclasses.replace(definition, **back)


WHY = {
    ("signup", "activation"): "everybody who signs up is then activated at once",
    ("signup", "core"): "signing up then counts as the first use",
    (
        "activation",
        "core",
    ): "activation then is the first core action, which is sound if it is meant",
    ("core", "advanced"): "depth would then only repeat the habit",
}


def twice(definition: Definition) -> list[str]:
    """Remark on every event that has two roles.

    Examples
    --------
    >>> from engagekit import Definition
    >>> twice(Definition(activation="start", core="edit", advanced=["edit"]))
    ['edit is both core action and advanced: depth would then only repeat the habit.']
    """
    roles = picked(definition)
    told = []
    for one, other in combinations(ROLES, 2):
        heads = ROLES[one].lower(), ROLES[other].lower()
        both = [plain(e) for e in roles[one] if e != FIRST_EVENT and e in roles[other]]
        if both:
            why = WHY.get((one, other), f"who does it for {heads[0]} passes {heads[1]} too")
            who = f"{', '.join(both[:-1])} and {both[-1]} are" if both[1:] else f"{both[0]} is"
            told.append(f"{who} both {heads[0]} and {heads[1]}: {why}.")
    return told


def conditions(definition: Definition) -> list[str]:
    """Say which roles ask for more than an event's name: a tick would drop that, so people should know."""
    return [
        f"{heading} asks for more than the event alone: {plain(label(item))}."
        for role, heading in ROLES.items()
        for item in _items(getattr(definition, role))
        if label(item) != " or ".join(event_names(item))
    ]
