"""What an answer stands on: how many users, signed up when, known up to when, and what to bear in mind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import Remark, count, day, many, percent
from engagekit.instants import AT, day_of, zone
from engagekit.journeys.clock import quiet_product

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.journeys.tables import Journeys


BY_CONSTRUCTION, MOSTLY = "activation by construction", 0.9
BY_ITSELF, A_MOMENT = "activation with the sign-up", timedelta(seconds=5)  # nobody chooses so fast
ENOUGH = 20  # fewer users are chance
FIRST_EVENT, NOT_DEFINED = "first event is sign-up", "not defined"  # kinds of remarks
GUESSED = "definition guessed"  # a kind of remark too


@dataclass(frozen=True)
class Basis:
    """The users an answer stands on: `users`, local days `signed_up_from` and `signed_up_to`, `as_of`, `unit`, `remarks`."""

    users: int
    signed_up_from: date | None
    signed_up_to: date | None
    as_of: datetime
    timezone: str
    unit: str
    remarks: tuple[Remark, ...]

    def __str__(self) -> str:
        """Write the basis as one sentence."""
        if self.signed_up_from is None or self.signed_up_to is None:
            return f"No {self.unit} signed up; data complete up to {self.until}."
        first, last = day(self.signed_up_from), day(self.signed_up_to)
        span = f"on {first}" if first == last else f"{first} to {last}"
        who = "who" if self.unit == "user" else "that"
        return f"{many(self.users, self.unit)} {who} signed up {span}; data complete up to {self.until}."

    @property
    def until(self) -> str:
        """Write `as_of`: the last complete day where it lies at midnight, else day and minute."""
        local = self.as_of.astimezone(zone(self.timezone))
        if (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0):
            return f"the end of {day(local - timedelta(days=1))}"
        return f"{local:%Y-%m-%d %H:%M}"


def basis(
    journeys: Journeys, *, since: datetime | None = None, until: datetime | None = None
) -> Basis:
    """Say what an answer from these journeys stands on, or from their sign-ups from `since` on and before `until`.

    Returns
    -------
    Basis
        Its text reads like "2,000 users who signed up 2026-01-01 to 2026-05-30; data complete up to ...".
    """
    at = pl.col("signed_up_at")
    moment = timedelta(0) if journeys.definition.signup is None else A_MOMENT
    at_once = (pl.col("activated_at") - at <= moment).sum().alias("at_once")
    span = pl.len(), at.min().alias("first"), at.max().alias("last"), at_once
    kept = [at >= pl.lit(since, AT)] if since is not None else []
    kept += [at < pl.lit(until, AT)] if until is not None else []
    users, first, last, same = journeys.users.lazy().filter(*kept).select(span).collect().row(0)
    place = journeys.timezone
    return Basis(
        users=users,
        signed_up_from=None if first is None else day_of(first, place),
        signed_up_to=None if last is None else day_of(last, place),
        as_of=journeys.as_of,
        timezone=place,
        unit=journeys.unit,
        remarks=(
            *journeys.remarks,
            *_of_now(journeys),
            *_of_definition(journeys.definition, 0 if _same_date(journeys) else same, users),
        ),
    )


def _same_date(journeys: Journeys) -> bool:
    """Say whether a sign-up and what follows on its day are one instant."""
    return journeys.dates_only and journeys.definition.signup is not None


def _of_now(journeys: Journeys) -> list[Remark]:
    quiet = quiet_product(journeys.clock)
    return [] if quiet is None else [quiet]


def _of_definition(definition: Definition, at_once: int, users: int) -> list[Remark]:
    found = []
    if definition.guessed:
        text = "The definition is guessed from the log, and nobody has confirmed it."
        found.append(Remark(GUESSED, ("definition",), text))
    if definition.signup is None:
        found.append(
            Remark(
                FIRST_EVENT,
                ("signup",),
                "Sign-up is taken to be a user's first event, so some returning users may remain among the new ones; "
                "signed_up_at in the users table cures it.",
            )
        )
        if users and at_once >= MOSTLY * users:
            text = (
                f"Activation is {percent(at_once / users)} by construction: a user's first event is taken for the sign-up, and for "
                f"{count(at_once)} of {many(users, 'user')} it is the activation itself."
            )
            found.append(Remark(BY_CONSTRUCTION, ("activation",), text, at_once))
    elif at_once >= max(ENOUGH, MOSTLY * users):
        text = (
            f"{percent(at_once / users)} of the users activate within {A_MOMENT.seconds} seconds of signing up: the product does it for them, "
            "it seems, or they come by doing it. Then activation says nothing of what they chose; name a first value that they do choose."
        )
        found.append(Remark(BY_ITSELF, ("activation",), text, at_once))
    if not definition.steps:
        found.append(
            Remark(
                NOT_DEFINED,
                ("steps",),
                "No steps are defined, so Friction cannot be told from Progress.",
            )
        )
    if not definition.advanced:
        found.append(
            Remark(
                NOT_DEFINED,
                ("advanced",),
                "No advanced actions are defined, so depth cannot be judged.",
            )
        )
    return found
