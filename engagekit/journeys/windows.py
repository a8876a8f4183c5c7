"""Windows that the log itself suggests: how often the core action is done, and what follows from it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.definition import LINKS
from engagekit.errors import DefinitionError, listing
from engagekit.instants import AT, days
from engagekit.journeys.gaps import interval_of, intervals
from engagekit.journeys.groups import check_journeys

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.journeys.tables import Journeys

SLOW_DAYS = 14  # a usual pause beyond it leaves most weeks empty
WINDOWS = {
    "window": pl.String,
    "days": pl.Float64,
    "suggested": pl.Float64,
    "n": pl.Int64,
    "of": pl.Int64,
    "rate": pl.Float64,
}
# Window -> the instant it opens at; None where nobody waits for it to pass.
OPENS = {
    "usage_interval_days": None,
    "activation_days": "signed_up_at",
    "habit_days": "activated_at",
    "depth_days": "activated_at",
    "depth_within_days": None,
    "advocacy_days": "activated_at",
    "first_days": "signed_up_at",
    "outcome_days": "signed_up_at",
}
SUGGESTED = ("usage_interval_days", "habit_days", "depth_days", "depth_within_days", "outcome_days")


def suggest_windows(journeys: Journeys) -> pl.DataFrame:
    """Show the windows in use, those the log suggests, and whom each leaves judgeable.

    rate = users whose window has fully passed by `as_of` / users for whom it opened.

    Parameters
    ----------
    journeys
        From `rollup`.

    Returns
    -------
    DataFrame
        One row per window, in the order of the definition: ``window``; ``days`` (in use; of the outcome window, its
        end); ``suggested`` (what this log suggests, null where only the team can know); ``n``, ``of``, ``rate``: users
        judgeable by it, of those for whom it opened (at sign-up; for habit, depth and advocacy at activation).
        ``usage_interval_days`` has there the users with two core days or more, of those with one.

    Notes
    -----
    Suggested are: the 80th percentile, over users with two core days or more, of their own interval (see
    `usage_interval`); habit = the smallest of 7, 14, 31, 61, 91 above 1.2 x that, else 91; depth = 5 x habit, at least 35
    and at most max(140, 2 x habit); both depth uses within max(30, 2 x habit); outcome from max(28, 2 x habit) to
    max(42, 3 x habit). All are calendar days. A low ``rate`` means that most users are too new for that window: wait,
    or shorten it. Where the log is shorter than four intervals, or the habit window no longer than the rhythm, the
    journeys carry a remark.

    Raises
    ------
    ParameterError
        These are no journeys.

    References
    ----------
    The project's contract, section on the definition.

    Examples
    --------
    >>> from datetime import datetime
    >>> import engagekit as ek
    >>> log = pl.DataFrame({
    ...     "user_id": [1, 1, 1, 2],
    ...     "event": ["signup", "publish", "publish", "signup"],
    ...     "at": [datetime(2026, 1, d) for d in (1, 2, 13, 3)],
    ... })
    >>> made = ek.rollup(log, ek.Definition(signup="signup", activation="publish", core="publish"))
    >>> suggest_windows(made).rows()[:3]
    [('usage_interval_days', 11.0, 11.0, 1, 1, 1.0), ('activation_days', 14.0, None, 0, 2, 0.0),
     ('habit_days', 14.0, 14.0, 0, 1, 0.0)]
    """
    check_journeys(journeys)
    gaps = intervals(journeys.days)
    in_use, found = _lengths(journeys.definition), _lengths(_free(journeys.definition), gaps)
    users = journeys.users.lazy()
    end = pl.lit(journeys.as_of, AT)
    asked = []
    for window, opens in OPENS.items():
        if opens is not None:
            opened = pl.col(opens).is_not_null().sum().alias(f"{window} of")
            passed = (pl.col(opens) + days(in_use[window]) <= end).sum().alias(f"{window} n")
            asked += [opened, passed]
    counts = users.select(*asked, (pl.col("core_days") > 0).sum().alias("cores")).collect()
    known = counts.row(0, named=True) | {
        "usage_interval_days n": int(gaps["users"].sum()),
        "usage_interval_days of": counts["cores"].item(),
    }
    rows = []
    for window in OPENS:
        n, of = known.get(f"{window} n"), known.get(f"{window} of")
        suggested = found[window] if window in SUGGESTED else None
        rows.append(
            (window, in_use[window], suggested, n, of, n / of if n is not None and of else None)
        )
    return pl.DataFrame(rows, schema=WINDOWS, orient="row")


def _free(definition: Definition) -> Definition:
    nothing: Any = dict.fromkeys(SUGGESTED)
    return dataclasses.replace(definition, **nothing)


def _lengths(definition: Definition, gaps: pl.DataFrame | None = None) -> dict[str, float]:
    known = definition if gaps is None else definition.resolved(interval_of(gaps))
    lengths = {window: getattr(known, window) for window in OPENS if window != "outcome_days"}
    outcome = known.outcome_days
    return lengths | {"outcome_days": outcome[1] if outcome else 0}


def usual_period(definition: Definition) -> Literal["week", "month"]:
    """Say by which period a product's curves are best counted: by week, unless its users usually pause for longer.

    Parameters
    ----------
    definition
        The definition of journeys; its `usage_interval_days` decides.

    Returns
    -------
    str
        ``"week"`` or ``"month"``, as `cohort_curves` takes it.

    Examples
    --------
    >>> from engagekit import Definition
    >>> usual_period(Definition(activation="a", core="b", usage_interval_days=30.0))
    'month'
    """
    return "week" if (definition.usage_interval_days or 0) <= SLOW_DAYS else "month"


def windows_of(definition: Definition) -> dict[str, int]:
    """Take the window of each link in days, and of the depth rule (``depth_within``).

    Raises
    ------
    DefinitionError
        A window is None: `rollup` resolves them, a definition as the team wrote it may hold some open.

    Examples
    --------
    >>> from engagekit import Definition
    >>> windows_of(Definition(activation="first_project", core="publish").resolved(5))
    {'activation': 14, 'habit': 7, 'depth': 35, 'advocacy': 90, 'depth_within': 30}
    """
    names = (*LINKS, "depth_within")
    found = {name: getattr(definition, f"{name}_days") for name in names}
    if unset := [f"{name}_days" for name, days in found.items() if days is None]:
        raise DefinitionError(
            f"The windows {listing(unset)} of the definition are not set; ek.rollup sets them from the log, "
            "or write them into the definition: definition.resolved(usage_interval_days)."
        )
    return found
