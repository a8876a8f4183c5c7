"""The definition: what success looks like in one product, shared as a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from engagekit._base import WeekStart, as_plain, as_text_html, write_whole
from engagekit.definition.annotations import Note, notes_of
from engagekit.definition.assignment import Assignment, assignment_of, share_faults
from engagekit.definition.checks import (
    OUR_COLUMNS,
    SCHEMA_VERSION,
    day_faults,
    listed,
    microseconds_of,
    outcome_faults,
    property_faults,
    refuse_newer,
    target_faults,
    tolerance_faults,
)
from engagekit.definition.read import Read, read_from
from engagekit.definition.steps import Step, step_faults, steps_from
from engagekit.errors import (
    DefinitionError,
    EngagekitError,
    StoredFileError,
    check_choice,
    faults_of,
    nearest,
)
from engagekit.instants import zone
from engagekit.matchers import (
    All,
    Goal,
    Match,
    Matcher,
    at_once_faults,
    event_names,
    is_goal,
    label,
    property_names,
    sent_faults,
    to_plain,
)

if TYPE_CHECKING:
    import os

__all__ = [
    "LINKS",
    "OUR_COLUMNS",
    "Assignment",
    "Definition",
    "Note",
    "Read",
    "Step",
    "microseconds_of",
    "property_faults",
    "schema_path",
    "share_faults",
]

LINKS = ("activation", "habit", "depth", "advocacy")
ONE_MATCHER = (
    "signup", "activation", "core", "feedback_asked", "feedback_given", "outreach", "errors", "support",
)  # fmt: skip
WHOLE_DAYS = (
    "activation_days", "habit_days", "depth_days", "advocacy_days", "depth_within_days", "burn_in_days", "recent_days",
)  # fmt: skip
# The habit window in days: the first of these that leaves room above the usage interval, as half of all pauses are longer than
# that. Who comes on any one day of each week pauses for 3 to 11 days, and from one month's end to the next it is 28 to 33.
HABIT_LADDER = (7, 14, 31, 61, 91)
HABIT_ROOM = 1.2  # times the usage interval


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Say what success is in a product: its events, windows and targets.

    Parameters
    ----------
    name
        The product's name.
    signup, activation, core
        Matchers: sign-up (None: a user's first event), first meaningful outcome, the repeatable
        action that carries ongoing value. Activation may ask for more than one event: ``Match("report", times=3)``
        is the third, ``All("watched", "filtered")`` each once, at the instant of the last.
    steps
        The steps between sign-up and activation, in order.
    advanced, advocacy
        Lists of matchers; each advanced one is an action of its own.
    feedback_asked, feedback_given, outreach, errors, support
        Matchers of events that some metrics need; None where the log has none.
    timezone, week_start
        Where local days lie, and on which day weeks start.
    burn_in_days
        With ``signup=None``: users first seen in this many first days are left out (default 90).
    activation_days, habit_days, depth_days, advocacy_days, depth_within_days, first_days
        Windows in days of 24 hours; a None is resolved once, by `rollup`.
    depth_uses
        On how many different days the same advanced action makes depth.
    outcome_days
        Start and end of the outcome window, in days since sign-up.
    usage_interval_days
        The product's usual pause between core days, in calendar days.
    targets
        Link name to target rate between 0 and 1; any link may be missing.
    properties
        Event properties to keep as the user's, usable as ``by=``: of each, the first value that is not null among the
        user's events of the first 24 hours after sign-up. A column of that name in the users table stands instead.
    margin
        How far below its target a link must lie to count as broken: 0.02 is 2 points.
    recent_days
        How many days of sign-ups an answer about "now" stands on.
    clock_tolerance
        By how much clocks may differ: what a user does by so little before the sign-up counts as done at the sign-up.
        A span such as ``"5s"``, at most ``"1h"``; ``"0s"`` allows for nothing.
    experiment
        The test of a play: an `Assignment`; `rollup` then reads each user's arm.
    read
        How the log is read: an `ek.Read`, in TOML the table ``[read]``; None: its columns have the usual names.
    annotations
        What happened on which day, as ``ek.Note("2026-03-01", "new editor")``: shown on time axes.
    guessed
        Whether it was drafted from a log and nobody has confirmed it.

    Raises
    ------
    DefinitionError
        With every fault found.

    Examples
    --------
    >>> Definition(name="Trailhead", activation="first_project", core="project_published").activation_days
    14
    """

    name: str = "this product"
    signup: Matcher | None = None
    activation: Goal
    core: Matcher
    steps: Sequence[Step] = ()
    advanced: Sequence[Matcher] = ()
    advocacy: Sequence[str | Match] = ()
    feedback_asked: Matcher | None = None
    feedback_given: Matcher | None = None
    outreach: Matcher | None = None
    errors: Matcher | None = None
    support: Matcher | None = None
    timezone: str = "UTC"
    week_start: WeekStart = "monday"
    burn_in_days: int | None = None
    activation_days: int = 14
    habit_days: int | None = None
    depth_days: int | None = None
    advocacy_days: int = 90
    depth_uses: int = 2
    depth_within_days: int | None = None
    first_days: int = 14
    outcome_days: tuple[int, int] | None = None
    usage_interval_days: float | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    properties: Sequence[str] = ()
    margin: float = 0.02
    recent_days: int = 91
    clock_tolerance: str = "5s"
    experiment: Assignment | None = None
    read: Read | None = None
    annotations: Sequence[Note] = ()
    guessed: bool = False

    def __post_init__(self) -> None:
        """Normalise lists to tuples and check everything at once."""
        faults: list[str] = []
        for name in ("steps", "advanced", "advocacy"):
            value = getattr(self, name)
            lone = value is not None and (isinstance(value, (str, Match, All, Step, Mapping)))
            items = (value,) if lone else tuple(value) if isinstance(value, Sequence) else None
            if items is None:
                faults.append(f"{name} is {value!r}; it takes a list.")
                items = ()
            object.__setattr__(self, name, items)
        object.__setattr__(self, "properties", listed(self.properties))
        object.__setattr__(self, "experiment", assignment_of(self.experiment, faults))
        object.__setattr__(self, "annotations", notes_of(self.annotations, faults))
        if isinstance(self.outcome_days, list):
            object.__setattr__(self, "outcome_days", tuple(self.outcome_days))
        faults += (
            self._matcher_faults()
            + step_faults(self.steps)
            + self._window_faults()
            + tolerance_faults(self.clock_tolerance)
            + target_faults(self.targets, self.margin, LINKS)
            + property_faults(self.properties, assigned=self.experiment is not None)
        )
        faults += self._meaning_faults() if not faults else []
        try:
            object.__setattr__(self, "read", None if self.read is None else read_from(self.read))
        except EngagekitError as error:
            faults += faults_of(error)
        if faults:
            raise DefinitionError.from_faults("The definition does not hold together", faults)
        object.__setattr__(
            self, "targets", {k: float(self.targets[k]) for k in LINKS if k in self.targets}
        )

    def _matcher_faults(self) -> list[str]:
        wanted: list[tuple[str, object]] = []
        faults = []
        for name in ONE_MATCHER:
            value = getattr(self, name)
            if value is None and name in {"activation", "core"}:
                faults.append(f"{name} is missing; name the event that means it.")
            elif value is not None:
                wanted.append((name, value))
        wanted += [("advanced", item) for item in self.advanced] + [
            ("advocacy", item) for item in self.advocacy
        ]
        for step in self.steps:
            if isinstance(step, Step):
                wanted += [
                    (f"step {step.name!r}", side)
                    for side in (step.reached, step.completed)
                    if side is not None
                ]
        for name, value in wanted:
            try:
                if is_goal(value) and name != "activation":
                    faults.append(
                        f"{name}: {label(value)!r} asks for more than one event; only activation can."
                    )
            except EngagekitError as error:
                faults.append(f"{name}: {error}")
        return faults

    def _meaning_faults(self) -> list[str]:
        roles = {"activation": self.activation, "core": self.core}
        advanced = {f"advanced action {label(each)!r}": each for each in self.advanced}
        return at_once_faults(roles, self.signup) + sent_faults(roles | advanced, self.outreach)

    def _window_faults(self) -> list[str]:
        faults = (
            []
            if isinstance(self.name, str) and self.name
            else [f"name is {self.name!r}; it takes a text."]
        )
        try:
            zone(self.timezone)
        except EngagekitError as error:
            faults.append(str(error))
        if not isinstance(self.guessed, bool):
            faults.append(f"guessed is {self.guessed!r}; it takes true or false.")
        faults += check_choice("week_start", self.week_start, get_args(WeekStart))
        faults += day_faults({name: getattr(self, name) for name in (*WHOLE_DAYS, "depth_uses", "first_days")}, self.usage_interval_days)  # fmt: skip
        return faults + outcome_faults(self.outcome_days, self.first_days)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Definition:
        """Read a definition from a TOML file.

        Raises
        ------
        DefinitionError
            The file is missing, is no TOML, or does not hold together: all faults, with the path.
        StoredFileError
            A newer engagekit wrote it.
        """
        path = Path(path)
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise DefinitionError(
                f"There is no definition file {str(path)!r}. Write one, or make one with 'engagekit start'."
            ) from None
        except (
            OSError,
            UnicodeDecodeError,
            tomllib.TOMLDecodeError,
            RecursionError,
            ValueError,
        ) as error:
            raise DefinitionError(
                f"The definition file {str(path)!r} cannot be read as TOML (in UTF-8): {error}."
            ) from None
        return cls.from_table(table, source=str(path))

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, source: str = "the definition") -> Definition:
        """Build a definition from plain values, as a TOML file holds them."""
        table = dict(table)
        version = table.pop("schema_version", SCHEMA_VERSION)
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise StoredFileError(
                f"{source} has schema_version {version!r}; this engagekit reads up to {SCHEMA_VERSION}. Install a newer engagekit."
            )
        known = [f.name for f in dataclasses.fields(cls)]
        faults = [
            f"{key!r} is no key of a definition.{nearest(str(key), known)}"
            for key in table
            if key not in known
        ]
        faults += [
            f"{key} is missing; name the event that means it."
            for key in ("activation", "core")
            if key not in table
        ]
        steps, found = steps_from(table.get("steps", []))
        faults += found
        values = {k: v for k, v in table.items() if k in known} | {"steps": steps}
        try:
            made = cls(**({"activation": "?", "core": "?"} | values))
        except EngagekitError as error:
            faults += faults_of(error)
        if faults:
            raise DefinitionError.from_faults(f"{source} is no sound definition", faults)
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the definition as TOML, whole or not at all.

        Raises
        ------
        StoredFileError
            A newer engagekit wrote the file that is there, or the disk is full; it is left as it is.
        DefinitionError
            A name holds what no file can.
        """
        import tomli_w

        refuse_newer(Path(path))
        try:
            content = tomli_w.dumps(self.to_table()).encode()
        except (UnicodeError, TypeError) as error:
            raise DefinitionError(f"The definition cannot be written as TOML: {error}.") from None
        write_whole(path, content)

    def to_table(self) -> dict[str, Any]:
        """Return the definition as plain values, as a TOML file holds them; what is None is left out."""
        table: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if value is None or each.name in ("steps", "targets", "experiment", "read", "annotations"):  # fmt: skip
                continue
            if each.name in {"guessed", "properties"} and not value:
                continue
            if each.name in ONE_MATCHER:
                value = to_plain(value)
            elif each.name in {"advanced", "advocacy"}:
                value = [to_plain(item) for item in value]
            elif each.name in {"outcome_days", "properties"}:
                value = list(value)
            table[each.name] = value
        parts: dict[str, Any] = {
            "steps": [step.to_table() for step in self.steps],
            "targets": dict(self.targets),
            "annotations": [note.to_table() for note in self.annotations],
            "experiment": self.experiment.to_table() if self.experiment else None,
            "read": self.read.to_table() if self.read and self.read.options() else None,
        }
        return table | {name: part for name, part in parts.items() if part}

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values that JSON can hold; `from_table` takes it back."""
        return {name: as_plain(value) for name, value in self.to_table().items()}

    def __repr__(self) -> str:
        """Name the product and what counts in it."""
        return f"<Definition: {self.name!r}, activation {self.activation!r}, core {self.core!r}>"

    def _repr_html_(self) -> str:
        import tomli_w

        return as_text_html(tomli_w.dumps(self.to_table()))

    def resolved(self, usage_interval_days: float) -> Definition:
        """Fill the windows that are None from the product's usage interval (days)."""
        interval = self.usage_interval_days or usage_interval_days
        fits = [d for d in HABIT_LADDER if d > HABIT_ROOM * interval] or HABIT_LADDER[-1:]
        habit = self.habit_days or fits[0]
        burn_in = 90 if self.burn_in_days is None and self.signup is None else self.burn_in_days
        return dataclasses.replace(
            self,
            usage_interval_days=interval,
            burn_in_days=burn_in,
            habit_days=habit,
            depth_days=self.depth_days or min(max(35, 5 * habit), max(140, 2 * habit)),
            depth_within_days=self.depth_within_days or max(30, 2 * habit),
            outcome_days=self.outcome_days
            or (max(28, 2 * habit, self.first_days), max(42, 3 * habit, self.first_days + 14)),
        )

    def roles(self) -> dict[str, Matcher]:
        """Name the roles that events can have after sign-up; advanced actions are ``advanced:<action>``."""
        found: dict[str, Matcher] = {"core": self.core}
        found |= {f"advanced:{label(action)}": action for action in self.advanced}
        if self.advocacy:
            found["advocacy"] = list(self.advocacy)
        for name in ("outreach", "feedback_asked", "feedback_given", "errors", "support"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        return found

    def matchers(self) -> dict[str, Goal]:
        """Name every matcher of the definition, for checks: sign-up, activation, roles and both sides of steps."""
        found: dict[str, Goal] = {} if self.signup is None else {"signup": self.signup}
        found["activation"] = self.activation
        found |= self.roles()
        for step in self.steps:
            found |= {
                f"step {step.name!r} {side}": m
                for side, m in (("reached", step.reached), ("completed", step.completed))
                if m is not None
            }
        found |= {"experiment": self.experiment.event} if self.experiment else {}
        return found

    def event_names(self) -> tuple[str, ...]:
        """List every event name the definition mentions, each once."""
        return tuple(
            dict.fromkeys(
                name for matcher in self.matchers().values() for name in event_names(matcher)
            )
        )

    def property_names(self) -> tuple[str, ...]:
        """List every event property the definition looks at, each once."""
        found = [p for matcher in self.matchers().values() for p in property_names(matcher)]
        return tuple(dict.fromkeys(found + ([self.experiment.property] if self.experiment else [])))

    def asked_properties(self) -> tuple[str, ...]:
        """List every event property a log must keep for this definition: looked at, or kept as the user's."""
        return tuple(dict.fromkeys([*self.property_names(), *self.properties]))


def schema_path() -> Path:
    """Say where the JSON Schema of a definition's file lies, by which editors complete it."""
    return Path(__file__).with_name("definition.schema.json")
