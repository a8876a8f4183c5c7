"""A test of a play, planned: users per arm, days, and the smallest effect that could be seen in time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import as_html, count, day, many, percent, plain_fields
from engagekit.priority.instead import USEFUL_WEEKS
from engagekit.sequential import smallest_any_time, users_any_time

if TYPE_CHECKING:
    from engagekit.priority.verdict import Priority

QUARTER_WEEKS = 13


@dataclass(frozen=True)
class Trial:
    """A test with two equal arms, counted in sign-ups that are assigned when they sign up.

    `users_per_arm` show a rise of the link to the plan's goal in 80 % of tests, in an interval that holds however often
    one looks; `users_for_margin` show a rise by the margin. `rate` is the share of all sign-ups that pass the link
    now, `goal` the one at the goal. `days` is how long it takes to assign them and to wait for the last, until
    `ends_on`; both are null where nobody signs up, or beyond two years. `smallest_effect` is the least rise (of the
    share of all sign-ups) that the sign-ups of 13 weeks would show, null where they show none.
    """

    rate: float
    goal: float
    users_per_arm: int | None
    users_for_margin: int | None
    days: int | None
    ends_on: date | None
    smallest_effect: float | None
    sentence: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence

    def __repr__(self) -> str:
        """Say how large the test is in a line."""
        return f"<Trial: {self.users_per_arm} users per arm, until {self.ends_on}>"

    def _repr_html_(self) -> str:
        return as_html(self.sentence)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values that JSON can hold."""
        return plain_fields(self)


def trial(
    row: dict[str, Any],
    goal: float,
    share: float,
    per_week: float,
    window: int,
    start: date,
    margin: float,
) -> Trial:
    """Plan a test of a play on the link of `row`, which `share` of the sign-ups come to."""
    if share == 0:
        told = "No test can be planned: nobody gets that far lately."
        return Trial(0.0, 0.0, None, None, None, None, None, told)
    rate, aim, effect = share * row["rate"], share * goal, row["design_effect"]
    arm = math.ceil(users_any_time(rate, aim, margin=margin, effect=effect))
    room = rate + margin < 1
    for_margin = (
        math.ceil(users_any_time(rate, rate + margin, margin=margin, effect=effect))
        if room
        else None
    )
    weeks = 2 * arm / per_week if per_week > 0 else math.inf
    days = math.ceil(7 * weeks) + window if weeks <= USEFUL_WEEKS else None
    ends = None if days is None else start + timedelta(days=days)
    least = smallest_any_time(rate, per_week * QUARTER_WEEKS / 2, margin=margin, effect=effect)
    need = f"A test takes {many(arm, 'user')} in either arm, to be seen however often one looks ({percent(rate)} to {percent(aim)} of all sign-ups)"
    if per_week <= 0:
        told = f"{need}, but nobody signed up lately, so no date can be given."
    elif ends is None or days is None:
        monthly = count(per_week * 365.25 / 12 / 7)
        told = f"{need}: not within two years, as {monthly} sign up a month."
    else:
        told = f"{need}: {many(days, 'day')}, until {day(ends)}."
    if least is not None:
        told += f" The sign-ups of a quarter show a rise of {100 * least:.1f} points or more."
    return Trial(rate, aim, arm, for_margin, days, ends, least, told)


def users_before(priority: Priority, link: str) -> int:
    """Count the users the log has judged on a link, over all quarters of sign-up."""
    table = priority.by_quarter.filter(pl.col("link") == link)
    return int(table["of"].sum() or 0)
