"""A first definition, drafted from the log and explained, for a team to confirm or correct."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit._base import as_text_html, many, plain_fields, write_whole
from engagekit.definition import Definition
from engagekit.errors import EngagekitError
from engagekit.ingest import is_path, scan_events
from engagekit.log import open_log
from engagekit.matchers import goals
from engagekit.priority import suggest_targets
from engagekit.rollups import is_prepared, open_prepared, rollup
from engagekit.workshop import draft_roles as roles
from engagekit.workshop.draft_columns import found_columns
from engagekit.workshop.draft_text import in_words, toml_of
from engagekit.workshop.event_profiles import profiled
from engagekit.workshop.starter import event_table

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from engagekit.definition import Read
    from engagekit.journeys import Journeys


@dataclass(frozen=True)
class Draft:
    """A drafted definition: `definition`, the `events` it was drafted from, the `choices` with reasons, `targets`, and `notes`.

    `targets` is what `suggest_targets` proposes under this definition, or None where that cannot be told: they are shown, and
    left to the team to set.

    ``str()`` shows it; `save` writes it as a TOML file that explains every choice.
    """

    definition: Definition
    events: pl.DataFrame
    choices: tuple[roles.Choice, ...]
    notes: tuple[str, ...]
    targets: pl.DataFrame | None = None

    def __str__(self) -> str:
        """Show the events and what is proposed."""
        return in_words(self)

    def __repr__(self) -> str:
        """Say what is proposed in a line."""
        return f"<Draft: {self.definition!r}, {many(len(self.choices), 'choice')} explained>"

    def _repr_html_(self) -> str:
        return as_text_html(str(self))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values that JSON can hold."""
        return plain_fields(self)

    def toml(self) -> str:
        """Return the definition as TOML, each choice explained in a comment."""
        return toml_of(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the explained definition, whole or not at all."""
        write_whole(Path(path), self.toml().encode())


def draft(
    events: Any,
    *,
    name: str = "this product",
    timezone: str = "UTC",
    user: str | None = None,
    event: str | Sequence[str] | None = None,
    at: str | Sequence[str] | None = None,
    preset: str | None = None,
    read: Read | None = None,
    cache: str | os.PathLike[str] | Literal[False] | None = None,
) -> Draft:
    """Draft a definition from a log: what may be sign-up, core action, activation, steps and advanced actions, and why.

    ``core = argmax share of its users who repeat it · Σ min(further days with it, 5)`` over actions; ``activation = argmax phi(did it early, came back)`` over
    those that equally active users who did them came back more often after.

    Parameters
    ----------
    events
        A path, as for `scan_events`; the folder of a prepared log; or a table. Its columns are found by their names and by
        what they hold.
    name, timezone
        For the definition.
    user, event, at, preset
        Columns, or the export, that are known; they are not searched for.
    read
        What else is known of how the log is read: an `ek.Read`.
    cache
        Folder for text once read, as in `scan_events`.

    Returns
    -------
    Draft
        `definition`, marked as guessed; `events`: ``event, users, repeating, times, first_of``; `choices`, each with
        ``role, value, why, others``; `targets`, as `suggest_targets` proposes them; `notes`. It is a start for the team, never an answer.

    Raises
    ------
    ParameterError
        A column is ambiguous or not to be found: what to say.
    EventLogError
        The log cannot be read, or holds no action.

    Notes
    -----
    Logins, views and what the product does itself are told by their names (in several languages), and without a name by
    how they come: before everything else on most days (presence); often alone on a day, hardly ever the first of a fuller
    one, and never anybody's first (system). Users whose outcome is not known yet do not count for activation.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=1500, seed=2)
    >>> drafted = draft(made.events)
    >>> drafted.definition.signup, drafted.definition.activation, drafted.definition.core
    ('signed_up', 'first_project', 'project_published')
    """
    named = {"user": user, "event": event, "at": at, "preset": preset}
    given = ({} if read is None else read.options()) | {
        k: v for k, v in named.items() if v is not None
    }
    log, found, notes = _opened(events, given, timezone, cache)
    plain, _ = open_log(log)
    rows = plain.select("user_id", pl.col("event").cast(pl.String), "at").collect(
        engine="streaming"
    )
    table, users = profiled(log), rows["user_id"].n_unique()
    signup = roles.signup_of(table, users)
    core = roles.core_of(table, signup.value)
    base = Definition(name=name, signup=signup.value, activation=core.value, core=core.value, timezone=timezone, read=found)  # fmt: skip
    choices = [signup, core]
    journeys = _journeys(log, base, notes)
    activation = (
        roles.activation_of(journeys, table, core.value)
        if journeys is not None
        else roles.Choice("activation", core.value, "too little is known yet to compare")
    )
    base = dataclasses.replace(base, activation=activation.value)
    steps = roles.steps_of(rows, table, base)
    base = dataclasses.replace(base, steps=steps.value)
    advanced = roles.advanced_of(rows, table, base, users)
    base = dataclasses.replace(base, advanced=advanced.value)
    choices += [activation, steps, advanced]
    taken = {m.event for parts in goals(base.activation) for part, _ in parts for m in part}
    taken |= {str(base.signup), str(base.core), *map(str, base.advanced)}
    taken |= {str(side) for s in base.steps for side in (s.reached, s.completed)}
    for choice in roles.named_of(table, taken):
        base = dataclasses.replace(base, **{choice.role: choice.value})
        choices.append(choice)
    if journeys is not None:
        base = _with_windows(base, journeys)
    base = dataclasses.replace(base, guessed=True)
    targets = _targets(log, base)
    return Draft(base, event_table(log), tuple(choices), tuple(notes), targets)


def _opened(
    events: Any, given: dict[str, Any], timezone: str, cache: Any
) -> tuple[pl.LazyFrame, Read | None, list[str]]:
    if is_path(events) and is_prepared(events):
        return open_prepared(events).log, None, []
    read, notes = found_columns(events, given)
    options = {"timezone": timezone} | read.options()
    log = scan_events(events, cache=cache, **options)
    return log, (read if read.options() else None), notes


def _journeys(log: pl.LazyFrame, definition: Definition, notes: list[str]) -> Journeys | None:
    """Roll up for the comparison; a log too young or too odd for it still gets a draft."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the draft's own definition is not the user's concern
            return rollup(log, definition)
    except EngagekitError as error:
        notes.append(f"Activation could not be compared: {error}")
        return None


def _targets(log: pl.LazyFrame, definition: Definition) -> pl.DataFrame | None:
    """Suggest where the team's targets could start; None where the log cannot be judged under the draft."""
    journeys = _journeys(log, definition, [])
    return None if journeys is None else suggest_targets(journeys)


def _with_windows(definition: Definition, journeys: Journeys) -> Definition:
    told = journeys.definition
    return dataclasses.replace(
        definition,
        usage_interval_days=told.usage_interval_days,
        habit_days=told.habit_days,
        depth_days=told.depth_days,
        depth_within_days=told.depth_within_days,
        outcome_days=told.outcome_days,
        burn_in_days=told.burn_in_days,
    )
