"""Facts about each user: one row each, made once and kept with the journeys, for every answer to read.

No target, margin or span of recent sign-ups changes them, so that another of these is arithmetic on counts. They hold what
was, in the windows of the definition, and no judgment: links and labels are expressions over them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import AT, local_day
from engagekit.journeys.clock import product_times
from engagekit.journeys.day_arrays import (
    NEVER,
    DayArrays,
    day_arrays,
    everybody,
    first_rows,
    instants,
    places,
    users_in_order,
)
from engagekit.journeys.days import silence_days
from engagekit.journeys.kept import (
    FACTS_FILE,
    FACTS_KEPT,
    WIDER_FACTS,
    WIDER_FILE,
    kept_of,
    once,
    read_facts,
    write_facts,
)
from engagekit.journeys.recent_days import recent_counts
from engagekit.journeys.rhythm import own_gaps, silence_of
from engagekit.journeys.schema import DAY_US
from engagekit.journeys.windows import windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engagekit.definition import Definition
    from engagekit.journeys.day_arrays import Flags, Ints
    from engagekit.journeys.tables import Journeys

ANSWER_DAYS = 14  # who is asked for feedback has so long to give it
FACTS: dict[str, Any] = {
    "late": pl.Boolean,  # signed up before the log starts
    "signed_up_at": AT,
    "activated_at": AT,
    "acted": pl.Boolean,  # did anything after sign-up, outreach aside
    "returned": pl.Boolean,  # core action on a later local day than activation
    "returned_at": AT,  # the first such
    "core_days": pl.UInt32,
    "silence_days": pl.Int64,  # local days since the last core day
    "silence": pl.Int64,  # the same in millionths of a product day
    "median_gap": pl.Float64,  # between core days, in millionths of a product day; null without any
    "longest_gap": pl.Int64,
    "reached": pl.Boolean,  # any step
    "open_step": pl.Int32,  # the latest step reached and not completed
    "stepped_at": AT,  # last came to a step or through it
    "deep": pl.Boolean,  # depth rule ever met
    "deepened": pl.Boolean,  # depth rule met within the depth window of activation
    "advocated": pl.Boolean,  # within the advocacy window of activation
    "outcome_days": pl.UInt32,  # core days that reach into the outcome window
    "asked_at": AT,  # first asked for feedback
    "gave": pl.Boolean,  # gave it in time
    "core_actions": pl.UInt32,  # these five in the last 28 days, as is `present`
    "advanced_actions": pl.UInt32,
    "beyond_core": pl.UInt32,  # advanced and not core
    "errors": pl.UInt32,
    "support": pl.UInt32,
    "present": pl.Boolean,
}


def facts_of(journeys: Journeys) -> pl.DataFrame:
    """Take the facts about each user, made once.

    Returns
    -------
    DataFrame
        One row for each of `users` and, after them, of `late`, in their order: `user_id`, the columns of `FACTS`, and
        ``adopted_<i>`` for each advanced action: its depth rule met within the depth window of activation.

    Notes
    -----
    Of journeys on disk, ask part by part (see `gathered`).
    """
    return once(journeys, FACTS_KEPT, _facts)


def users_with(journeys: Journeys, properties: Sequence[str] = ()) -> pl.LazyFrame:
    """Take the facts about the users, the late left out, with some of their properties as ``by:<name>``."""
    facts = facts_of(journeys)
    users = facts.head(facts.height - int(facts["late"].sum())) if facts["late"].any() else facts
    named = [pl.col(name).alias(f"by:{name}") for name in dict.fromkeys(properties)]
    return users.hstack(users_in_order(journeys)[0].select(named)).lazy()


def properties_of(journeys: Journeys, names: Sequence[str]) -> pl.DataFrame:
    """Take properties of everybody in the order of `facts_of`; the late have those that are known of them."""
    numbered = [pl.col(name).alias(str(place)) for place, name in enumerate(names)]
    return pl.concat([table.select(numbered) for table in users_in_order(journeys)])


def outcome_days_of(journeys: Journeys) -> pl.LazyFrame:
    """Take the core days in the outcome window of each of the users: `user_id, outcome_days`; without the other facts if need be."""
    if kept_of(journeys).keys() & {FACTS_KEPT, FACTS_FILE, WIDER_FACTS, WIDER_FILE}:
        return users_with(journeys).select("user_id", "outcome_days")
    both = [table.select("user_id", "signed_up_at") for table in users_in_order(journeys)]
    signed_up = instants(pl.concat(both)["signed_up_at"])
    count = _outcome_days(day_arrays(journeys).of("core"), signed_up, journeys.definition)
    return both[0].select("user_id", outcome_days=pl.Series(count[: both[0].height])).lazy()


def _facts(journeys: Journeys) -> pl.DataFrame:
    kept = kept_of(journeys)
    ids, path = everybody(journeys), kept.get(FACTS_FILE)
    found = read_facts(journeys, path)
    if found is not None and found["user_id"].equals(ids):
        return found
    wider = kept.get(WIDER_FACTS)
    wider = read_facts(journeys, kept.get(WIDER_FILE)) if wider is None else wider
    if wider is not None:
        mine = ids.to_frame("user_id").join(wider, on="user_id", how="left", maintain_order="left")
        if not mine["late"].has_nulls():
            return mine
    found = _made(journeys)
    if path is not None:
        write_facts(journeys, found, path)
    return found


def _made(journeys: Journeys) -> pl.DataFrame:
    people = _people(journeys)
    activated = instants(people["activated_at"])
    days = day_arrays(journeys)
    core = days.of("core")
    size, definition = people.height, journeys.definition
    columns: dict[str, Any] = {
        "returned_at": _returned_at(core, people, size),
        **own_gaps(core, product_times(journeys.clock), size),
        **_steps(journeys, people["user_id"]),
        **depth_facts(days.advanced(), activated, definition, size),
        "advocated": _advocated(days, activated, definition, size),
        "outcome_days": _outcome_days(core, instants(people["signed_up_at"]), definition),
        **_feedback(days, size),
        **recent_counts(days, journeys, size),
    }
    made = people.with_columns(pl.Series(name, column) for name, column in columns.items())
    never = [c for c, kind in FACTS.items() if kind == AT and c in columns] + ["longest_gap"]
    return made.with_columns(
        *[pl.when(pl.col(c) != NEVER).then(c) for c in never],
        pl.col("median_gap").fill_nan(None),
        pl.when(pl.col("open_step") >= 0).then("open_step"),
    ).select("user_id", *[pl.col(c).cast(kind) for c, kind in FACTS.items()], "^adopted_.*$")


def _people(journeys: Journeys) -> pl.DataFrame:
    zone = journeys.timezone
    activated_day = local_day(pl.col("activated_at"), zone)
    returned = local_day(pl.col("last_core_at"), zone) > activated_day
    columns = (
        "user_id",
        "signed_up_at",
        "activated_at",
        pl.col("first_action_at").is_not_null().alias("acted"),
        returned.fill_null(value=False).alias("returned"),
        "core_days",
        silence_days(journeys).alias("silence_days"),
        silence_of(journeys).alias("silence"),
        activated_day.alias("activated_day"),
    )
    both = [
        table.lazy().select(*columns, pl.lit(late).alias("late"))
        for table, late in zip(users_in_order(journeys), (False, True), strict=True)
    ]
    return pl.concat(both).collect().rechunk()


def _returned_at(core: DayArrays, people: pl.DataFrame, size: int) -> Ints:
    """Find the first core action on a later local day than the activation's."""
    import numpy as np

    far = np.iinfo(np.int32).max  # the day of who never activated, which none is later than
    activated_day = people["activated_day"].to_physical().fill_null(far).to_numpy()
    later = np.flatnonzero(core.day > activated_day[core.user])
    return least(core.user[later], core.first[later], size)


def least(user: NDArray[Any], moments: Ints, size: int) -> Ints:
    """Take each user's earliest moment, from rows sorted by user."""
    import numpy as np

    found = np.full(size, NEVER)
    begins = first_rows(user)
    if len(begins):
        found[user[begins]] = np.minimum.reduceat(moments, begins)
    return found


def flagged(user: NDArray[Any], size: int) -> Flags:
    """Flag the users who are in a list."""
    import numpy as np

    flags: Flags = np.zeros(size, np.bool_)
    flags[user] = True
    return flags


def _within(days: DayArrays, activated: Ints, window: float) -> DayArrays:
    """Keep the days that reach into a window of so many days from the activation on."""
    at = activated[days.user]
    inside = (at != NEVER) & (days.last >= at) & (days.first < at + round(window * DAY_US))
    return days.among(inside)


def _met(uses: DayArrays, definition: Definition) -> DayArrays:
    """Keep the days on which the depth rule is met: the same action on enough different days, near enough."""
    import numpy as np

    others = definition.depth_uses - 1
    met: Flags = np.zeros(len(uses.user), np.bool_)
    now, ago = slice(others, None), slice(0, max(0, len(uses.user) - others))
    met[now] = (
        (uses.user[now] == uses.user[ago])
        & (uses.role[now] == uses.role[ago])
        & (uses.day[now] - uses.day[ago] <= windows_of(definition)["depth_within"])
    )
    return uses.among(met)


def depth_facts(
    uses: DayArrays, activated: Ints, definition: Definition, size: int
) -> dict[str, Flags]:
    """Flag who ever met the depth rule, who did so in the depth window, and by which advanced action."""
    met = _met(_within(uses, activated, windows_of(definition)["depth"]), definition)
    found = {
        "deep": flagged(_met(uses, definition).user, size),
        "deepened": flagged(met.user, size),
    }
    for place, role in enumerate(advanced_roles(definition)):
        found[f"adopted_{place}"] = flagged(met.of(role).user, size)
    return found


def advanced_roles(definition: Definition) -> list[str]:
    """Name the roles of advanced actions, as the days table does, in the definition's order."""
    return [role for role in definition.roles() if role.startswith("advanced:")]


def _advocated(days: DayArrays, activated: Ints, definition: Definition, size: int) -> Flags:
    window = windows_of(definition)["advocacy"]
    return flagged(_within(days.of("advocacy"), activated, window).user, size)


def _outcome_days(core: DayArrays, signed_up: Ints, definition: Definition) -> Ints:
    """Count the core days whose actions reach into the outcome window."""
    import numpy as np

    start, end = definition.outcome_days or (0, 0)
    since = signed_up[core.user]
    inside = (core.last >= since + round(start * DAY_US)) & (
        core.first < since + round(end * DAY_US)
    )
    return np.bincount(core.user[inside], minlength=len(signed_up))


def _feedback(days: DayArrays, size: int) -> dict[str, Any]:
    asked_at = least((asked := days.of("feedback_asked")).user, asked.first, size)
    given = days.of("feedback_given")
    asked_of = asked_at[given.user]
    soon = asked_of + int(timedelta(days=ANSWER_DAYS).total_seconds()) * 1_000_000
    in_time = (asked_of != NEVER) & (given.last >= asked_of) & (given.first < soon)
    return {"asked_at": asked_at, "gave": flagged(given.user[in_time], size)}


def _steps(journeys: Journeys, ids: pl.Series) -> dict[str, Any]:
    """Say of each user whether any step was reached, which open one last, and when they last came to or through one."""
    import numpy as np

    steps = (
        journeys.steps.lazy().select("user_id", "step", "last_reached_at", "completed_at").collect()
    )
    user, known = places(steps["user_id"], ids)
    step = steps["step"].fill_null(-1).to_numpy()
    reached, completed = (instants(steps[c]) for c in ("last_reached_at", "completed_at"))
    user, step, reached, completed = (each[known] for each in (user, step, reached, completed))
    still = np.flatnonzero(completed == NEVER)
    still = still[np.lexsort((step[still], reached[still]))]
    open_step = np.full(len(ids), -1, np.int32)
    open_step[user[still]] = step[still]  # of several for one user, the last counts
    stepped = np.full(len(ids), NEVER)
    np.maximum.at(stepped, user, np.maximum(reached, completed))
    return {"reached": flagged(user, len(ids)), "open_step": open_step, "stepped_at": stepped}
