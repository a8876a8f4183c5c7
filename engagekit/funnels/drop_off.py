"""Step drop-off: at which step of onboarding users get stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import days
from engagekit.intervals import RATE, newcombe, wilson_columns
from engagekit.journeys import check_journeys

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

DROP_OFF = {"step": pl.String, "position": pl.Int32} | RATE
DROP_OFF |= {"hot": pl.Boolean, "too_early": pl.Int64}


def step_drop_off(journeys: Journeys, *, people: bool = False) -> pl.DataFrame:
    """Say at which step of onboarding users get stuck: of those who reached it, how many did not complete it.

    ``drop-off = (users who reached the step - users who completed it) / users who reached the step``.

    Parameters
    ----------
    journeys
        From `rollup`; the steps are those of its definition.
    people
        Return the users who reached a step and did not complete it.

    Returns
    -------
    DataFrame
        A row per step of the definition, in its order:

        - `step` (its name) and `position` (Int32, from 0);
        - `n` users who reached it and did not complete it, `of` users who reached it, `rate` (the drop-off) with
          its 95 % interval `low`, `high`; null where nobody judged reached it;
        - `hot`: whether the step stands out: its drop-off lies above that of all other steps together by more than the
          definition's `margin`, with the whole 95 % interval of the difference (Newcombe); false where there is no other;
        - `too_early`: users who reached it too, but are not judged.

        With ``people=True`` a row per step and user of `n`: `step, position, user_id, reached_at`.

    Raises
    ------
    ParameterError
        These are no journeys.

    Notes
    -----
    Judged, and so in `of`, are users whose `activation_days` since sign-up have passed by `as_of`, activated or not.
    A step counts as reached or completed whenever that happened before `as_of`. A step without `completed` in the
    definition is completed by reaching it, so that its drop-off is 0.

    References
    ----------
    The guide's equation of step-level drop-off; Wilson (1927) for the interval, Newcombe (1998) for the difference.

    Examples
    --------
    >>> from engagekit import Definition, Step, rollup
    >>> log = pl.DataFrame({
    ...     "user_id": [1, 1, 1, 2, 2],
    ...     "event": ["join", "open", "done", "join", "open"],
    ...     "at": [f"2026-01-01T0{hour}:00" for hour in (1, 2, 3, 1, 2)],
    ... }).with_columns(pl.col("at").str.to_datetime())
    >>> steps = [Step("Connect", reached="open", completed="done")]
    >>> definition = Definition(signup="join", activation="done", core="done", steps=steps)
    >>> journeys = rollup(log, definition, as_of="2026-03-01")
    >>> step_drop_off(journeys).select("step", "n", "of", "rate", "hot").rows()
    [('Connect', 1, 2, 0.5, False)]
    >>> step_drop_off(journeys, people=True)["user_id"].to_list()
    [2]
    """
    check_journeys(journeys)
    names = _step_names(journeys)
    over = pl.col("signed_up_at") + days(journeys.definition.activation_days) <= journeys.as_of
    users = journeys.users.lazy().select("user_id", over.alias("over"))
    reached = (
        journeys.steps.lazy()
        .select("user_id", pl.col("step").alias("position"), "reached_at", "completed_at")
        .join(users, on="user_id")
        .with_columns((pl.col("over") & pl.col("completed_at").is_null()).alias("lost"))
    )
    if people:
        columns = ["step", "position", "user_id", "reached_at"]
        lost = reached.filter("lost").join(names.lazy(), on="position").select(columns)
        return lost.sort("position", "user_id").collect()
    counts = reached.group_by("position").agg(
        pl.col("lost").sum().cast(pl.Int64).alias("n"),
        pl.col("over").sum().cast(pl.Int64).alias("of"),
        (~pl.col("over")).sum().cast(pl.Int64).alias("too_early"),
    )
    table = (
        names.join(counts.collect(), on="position", how="left")
        .with_columns(pl.col("n", "of", "too_early").fill_null(0))
        .with_columns(*wilson_columns())
        .sort("position")
    )
    counts_of = table.select("n", "of").rows()
    hot = pl.Series("hot", _hot(counts_of, journeys.definition.margin), pl.Boolean)
    return table.with_columns(hot).select(*DROP_OFF)


def _step_names(journeys: Journeys) -> pl.DataFrame:
    steps = journeys.definition.steps
    return pl.DataFrame(
        {"step": [step.name for step in steps], "position": range(len(steps))},
        schema={"step": pl.String, "position": pl.Int32},
    )


def _hot(counts: list[tuple[int, int]], margin: float) -> list[bool]:
    """Say which steps lose clearly more than the others together: a count over thousands makes any difference clear."""
    found = []
    for n, of in counts:
        others = sum(k for k, _ in counts) - n, sum(k for _, k in counts) - of
        low = newcombe(n, of, *others)[1] if of and others[1] else None
        found.append(low is not None and low > margin)
    return found
