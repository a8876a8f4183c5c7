"""The steps on the way to activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engagekit.errors import listing, nearest
from engagekit.matchers import to_plain

if TYPE_CHECKING:
    from engagekit.matchers import Matcher


@dataclass(frozen=True)
class Step:
    """One step on the way to activation.

    Parameters
    ----------
    name
        What the team calls it.
    reached
        Matcher of the event that shows a user came to it; None: by completing the step before it
        (the first: by signing up).
    completed
        Matcher of the event that shows a user got through; None: by reaching it.
    """

    name: str
    reached: Matcher | None = None
    completed: Matcher | None = None

    def to_table(self) -> dict[str, Any]:
        """Return the step as plain values, as a TOML file holds it."""
        sides = {"reached": self.reached, "completed": self.completed}
        return {"name": self.name} | {
            side: to_plain(matcher) for side, matcher in sides.items() if matcher is not None
        }


def step_faults(steps: Sequence[object]) -> list[str]:
    """Name what is wrong with steps: no `Step`, no name in words, a name given twice."""
    faults = [
        f"steps holds {step!r}; each step is an ek.Step."
        for step in steps
        if not isinstance(step, Step)
    ]
    names = [step.name for step in steps if isinstance(step, Step)]
    faults += [
        f"a step has the name {n!r}; each needs one in words."
        for n in names
        if not isinstance(n, str) or not n.strip()
    ]
    twice = sorted({str(n) for n in names if names.count(n) > 1})
    return faults + (
        [f"steps are named twice: {listing(twice)}; give each its own name."] if twice else []
    )


def steps_from(value: object) -> tuple[list[Step], list[str]]:
    """Take the ``[[steps]]`` of a file, and the faults in them."""
    steps, faults = [], []
    if not isinstance(value, Sequence) or isinstance(value, str):
        return [], [f"steps is {value!r}; write each step as a [[steps]] table."]
    for number, table in enumerate(value, 1):
        if isinstance(table, Step):
            steps.append(table)
            continue
        keys = ("name", "reached", "completed")
        if not isinstance(table, Mapping):
            faults.append(f"step {number} is {table!r}; write each step as a [[steps]] table.")
            continue
        faults += [
            f"step {number} has the key {key!r}.{nearest(str(key), keys)} A step has {listing(keys)}."
            for key in table
            if key not in keys
        ]
        if "name" not in table:
            faults.append(f"step {number} has no name.")
        steps.append(
            Step(table.get("name", f"step {number}"), table.get("reached"), table.get("completed"))
        )
    return steps, faults
