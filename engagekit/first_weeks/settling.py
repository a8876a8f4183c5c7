"""The test that would settle whether an action leads to staying: who is offered it, how many users, and how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import (
    as_html,
    is_number,
    many,
    percent,
    plain_fields,
)
from engagekit.errors import ParameterError, nearest
from engagekit.instants import AT, days
from engagekit.intervals import users_for

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

TAKE_UP = 0.5
RECENT_WEEKS = 8
LONGEST_DAYS = 730  # beyond two years no test is of use
CLAIMS = ("more in retained", "more in churned")


@dataclass(frozen=True)
class LeverTest:
    """The test of one action.

    `offered` says who is offered what; `take_up` of those who would not do it by themselves (or, of an action more
    common among churned users, of those who meet it) are moved. `rate` are retained without it, `goal` with it, if
    the adjusted ratio is what the action does. `users_per_arm` sign-ups are needed in each of two halves; they come in
    `weeks` at `signups_per_week`, and the last of them is judged `window_days` later, so it takes `days` in all (null
    where no users come or it would be more than two years). `sentence` can be read aloud.
    """

    action: str
    at_least: int
    offered: str
    take_up: float
    rate: float
    goal: float
    users_per_arm: int | None
    signups_per_week: float
    weeks: int | None
    window_days: int
    days: int | None
    sentence: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence

    def __repr__(self) -> str:
        """Say which action is tested, and how large the test is, in a line."""
        arms = (
            "no test of use"
            if self.users_per_arm is None
            else f"{self.users_per_arm} users per arm"
        )
        return f"<LeverTest: {self.action!r}, {arms}{'' if self.days is None else f', {self.days} days'}>"

    def _repr_html_(self) -> str:
        return as_html(self.sentence)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values that JSON can hold."""
        return plain_fields(self)


def lever_test(
    journeys: Journeys,
    compared: pl.DataFrame,
    action: str,
    *,
    take_up: float = TAKE_UP,
    signups_per_week: float | None = None,
) -> LeverTest:
    """Say which test would settle whether an action leads to staying.

    ``goal = rate + take_up · (1 - reach) · retention_not · (R - 1)`` with R the adjusted ratio, or, for an action more common among
    churned users, ``rate + take_up · reach · retention_did · (1/R - 1)``; users per arm as in `engagekit.intervals.users_for`.

    Parameters
    ----------
    journeys
        What `compared` was made from.
    compared
        What `compare_first_weeks` or `strongest` returned.
    action
        One of the actions named there.
    take_up
        Share of those who would not do it by themselves who do it when it is offered.
    signups_per_week
        Expected rate of sign-ups per week. Default: that of the last eight weeks of the data.

    Returns
    -------
    LeverTest
        Who is offered what, the rate now and the goal (shares of sign-ups), users per arm, weeks and days it takes, and a
        sentence.

    Raises
    ------
    ParameterError
        The action is not named there, belongs to the definition, or a number means nothing.

    Notes
    -----
    Everybody who signs up counts in the half they were put into, whether they took the offer or not: only so are the
    halves alike. Where take-up is small, nearly everybody is counted without being moved, and the test grows large.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=2000, seed=1, telling={"tour_taken": (0.8, 0.2)})
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> test = lever_test(journeys, ek.compare_first_weeks(journeys), "tour_taken")
    >>> test.offered
    "half of the new sign-ups, drawn by lot, are led to 'tour_taken'; the others are left as they are"
    >>> round(test.rate, 2), round(test.goal, 2)
    (0.37, 0.4)
    """
    faults = []
    if not _number(take_up, most=1.0):
        faults.append(f"take_up is {take_up!r}; it takes a number above 0, up to 1.")
    if signups_per_week is not None and not _number(signups_per_week):
        faults.append(f"signups_per_week is {signups_per_week!r}; it takes a number above 0.")
    pooled = compared.filter(pl.col("scope") == "all") if "scope" in compared.columns else compared
    row = next((r for r in pooled.iter_rows(named=True) if r["action"] == action), None)
    if row is None:
        faults.append(
            f"{action!r} is no action there.{nearest(str(action), pooled['action'].to_list())}"
        )
    elif not is_lever(row):
        faults.append(
            f"{action!r} is not named there ({row['verdict']}), so there is nothing to settle."
        )
    if faults or row is None:
        raise ParameterError.from_faults("No test can be planned", faults)
    per_week = pace(journeys) if signups_per_week is None else float(signups_per_week)
    return settling(row, waiting_days(journeys), per_week, take_up)


def _number(value: object, *, most: float = math.inf) -> bool:
    return is_number(value) and 0 < value <= most


def is_lever(row: dict[str, Any]) -> bool:
    """Say whether an action is named, and no part of the definition or of the controls."""
    aside = row["part_of_definition"] or row["belongs_to"] is not None or row["control"]
    return row["verdict"] in CLAIMS and not aside


def waiting_days(journeys: Journeys) -> int:
    """Return how many days after sign-up the last users can be judged."""
    window = journeys.definition.outcome_days
    return journeys.definition.first_days if window is None else window[1]


def pace(journeys: Journeys) -> float:
    """Return the sign-ups per week over the last eight weeks of the data."""
    known = (journeys.as_of - journeys.log_start).total_seconds() / 86_400
    span = min(7.0 * RECENT_WEEKS, known)
    recent = pl.col("signed_up_at") >= pl.lit(journeys.as_of, AT) - days(span)
    count = journeys.users.lazy().select(recent.sum()).collect().item()
    return float(count / (span / 7)) if span > 0 else 0.0


def settling(
    row: dict[str, Any], window_days: int, per_week: float, take_up: float = TAKE_UP
) -> LeverTest:
    """Plan the test of one named row."""
    users = row["n_retained"] + row["n_churned"]
    rate = row["n_retained"] / users
    ratio = row["adjusted_risk_ratio"]
    often = "" if row["at_least"] == 1 else f" on {row['at_least']} days"
    if row["verdict"] == CLAIMS[0]:
        ratio = row["adjusted_low"] if ratio is None else ratio
        goal = rate + take_up * (1 - row["reach"]) * (row["retention_not"] or 0.0) * (ratio - 1)
        if not row["retention_not"]:  # nobody without it was retained
            goal = rate + take_up * (1 - row["reach"]) * row["retention_did"]
        offered = f"half of the new sign-ups, drawn by lot, are led to {row['action']!r}{often}; the others are left as they are"
    else:
        ratio = ratio or row["adjusted_high"] or 1.0
        goal = rate + take_up * row["reach"] * max(row["retention_did"], rate) * (1 / ratio - 1)
        offered = (
            f"half of the new sign-ups, drawn by lot, are spared {row['action']!r} or offered another way; the others are left as "
            "they are"
        )
    goal = min(goal, (1 + rate) / 2)
    needed = users_for(rate, goal) if goal - rate > 1e-6 else None
    weeks = math.ceil(2 * needed / per_week) if needed and per_week > 0 else None
    long = None if weeks is None else 7 * weeks + window_days
    long = long if long is not None and long <= LONGEST_DAYS else None
    said = _said(offered, take_up, rate, goal, needed, weeks, window_days, long)
    return LeverTest(
        row["action"], row["at_least"], offered, take_up, rate, goal, needed, per_week,
        weeks if long is not None else None, window_days, long, said,
    )  # fmt: skip


def _said(
    offered: str,
    take_up: float,
    rate: float,
    goal: float,
    needed: int | None,
    weeks: int | None,
    window_days: int,
    long: int | None,
) -> str:
    who = offered[0].upper() + offered[1:]
    if needed is None:
        return f"{who}. The difference would be too small for any test to show."
    aim = f"If {percent(take_up)} of those it could move are moved, retention goes from {percent(rate, digits=1)} to {percent(goal, digits=1)}"
    need = f"seeing that takes {many(needed, 'sign-up')} in each half"
    if weeks is None:
        return f"{who}. {aim}; {need}, but nobody signed up lately."
    if long is None:
        return f"{who}. {aim}; {need}, more than come in any useful time: try it where more users are moved."
    return (
        f"{who}. {aim}; {need}: {many(weeks, 'week')} of sign-ups, and {many(window_days, 'day')} until the last can be judged, "
        f"{many(long, 'day')} in all."
    )
