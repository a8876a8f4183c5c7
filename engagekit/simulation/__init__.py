"""Simulated logs: a made-up product with a planted broken link, and the truth about every user."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit._base import as_html, many, plain_fields
from engagekit.definition import LINKS, Assignment, Definition, Step
from engagekit.errors import ParameterError, check_choice
from engagekit.instants import instant, zone
from engagekit.simulation import events as play
from engagekit.simulation.course import course, rates_now, weights_of
from engagekit.simulation.course import planted as planted_course
from engagekit.simulation.dirt import soiled
from engagekit.simulation.experiments import (
    EXPOSED,
    VARIANT,
    PlantedTest,
    drawn,
    lifted,
    with_variant,
)
from engagekit.simulation.frames import Span, log_of, truth_of
from engagekit.simulation.samples import load_sample
from engagekit.simulation.users import draw_fates, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engagekit.instants import Instant
    from engagekit.simulation.events import Chunk, Visits
    from engagekit.simulation.users import Fates, Floats, Mix, Spec, Whole

__all__ = ["PlantedTest", "load_sample", "simulate"]

MIX_TARGETS = {"activation": 0.70, "habit": 0.70, "depth": 0.50}
RATE_TARGETS = {"activation": 0.32, "habit": 0.50, "depth": 0.40}
PROPERTIES = {
    "plan": (("free", "pro", "team"), (0.62, 0.26, 0.12)),
    "channel": (("search", "referral", "ads", "social"), (0.40, 0.24, 0.22, 0.14)),
    "country": (("US", "DE", "IN", "BR", "JP"), (0.38, 0.22, 0.18, 0.13, 0.09)),
}
# Each part has a stream of random numbers of its own, so that switching one on leaves the others as they are.
STREAMS = (
    "signups", "users", "fates", "paths", "visits", "outreach", "core", "depth", "advocacy", "noise", "telling",
    "feedback", "errors", "devices", "dirt", "weeks", "experiment",
)  # fmt: skip


@dataclass(frozen=True)
class Simulation:
    """A simulated log and what is true about it.

    - `events`: ``user_id, event, at, device``, by time; with an experiment also ``variant``, of its event only.
    - `users`: ``user_id, plan, channel, country``, and ``account_id`` on request.
    - `truth`: one row per user: ``user_id``; ``planted``, the class drawn; ``true_class``, the class the user
      really is in at the data end; ``step``, where friction sits; ``signed_up_at``, ``activated_at``, ``returned_at``,
      ``deepened_at`` (second day with the same advanced action) and ``missing_since`` (the first visit a drifter
      did not make), null where not before the data end; ``cadence_days``; with an experiment ``variant``.
    - `definition` with targets, `as_of`, the planted pass `rates` of the links (where they move: of the last 91 days of
      sign-ups), and `planted_link`, the earliest whose rate lies below its target (None: no link is broken).
    - `course`: ``day, link, rate, drawn``: per day of sign-up the planted pass rate, and the one drawn for its week.
    """

    events: pl.DataFrame
    users: pl.DataFrame
    truth: pl.DataFrame
    definition: Definition
    as_of: datetime
    rates: Mapping[str, float]
    planted_link: str | None
    course: pl.DataFrame

    def __repr__(self) -> str:
        """Say how large the log is, and what is planted."""
        size = f"{many(self.events.height, 'event')} of {many(self.users.height, 'user')}"
        return f"<Simulation: {size}, broken link planted: {self.planted_link or 'none'}>"

    def _repr_html_(self) -> str:
        return as_html(repr(self))

    def to_dict(self) -> dict[str, Any]:
        """Return what is planted as plain values that JSON can hold, without the tables of events and users."""
        return plain_fields(self, without=["events", "users", "truth"])


def simulate(
    *,
    users: int = 2000,
    days: int = 180,
    seed: int = 0,
    mix: Mix = "balanced",
    rates: Mapping[str, float] | None = None,
    targets: Mapping[str, float] | None = None,
    start: Instant = "2025-07-01",
    timezone: str = "UTC",
    cadence_days: float = 4.0,
    cadence_spread: float = 0.7,
    noise: float = 0.06,
    hot_step: str = "Connect data",
    tries: float = 0.3,
    weekend: float = 1.0,
    later: tuple[int, Mix] | None = None,
    segments: Mapping[tuple[str, str], Mix] | None = None,
    null_events: int | Sequence[str] = 0,
    telling: Mapping[str, tuple[float, float]] | None = None,
    late_feature: int | None = None,
    advocacy: bool = True,
    outreach: bool = False,
    feedback: bool = False,
    errors: bool = False,
    accounts: float | None = None,
    alike: float = 0.5,
    changes: Sequence[tuple[int, Mapping[str, float]]] = (),
    drift: Mapping[str, float] | None = None,
    weekly_season: Mapping[str, float] | None = None,
    yearly_season: Mapping[str, float] | None = None,
    week_spread: float | Mapping[str, float] = 0.0,
    experiment: PlantedTest | None = None,
    dirt: float = 0.0,
) -> Simulation:
    """Make an event log with a planted broken link, and the truth about every user.

    ``class ~ mix``; time to activation lognormal; gaps between visits ``Gamma(2, cadence / 2)`` with each user's own
    ``cadence ~ lognormal(cadence_days, cadence_spread)``.

    Parameters
    ----------
    users
        How many sign up, uniformly over the span, so that the last ones are too new to judge.
    days
        Span of the log in local days; data end with the last of them.
    seed
        The same seed gives the same log; options below only add rows to it, where not said otherwise.
    mix
        ``"balanced"``, ``"friction"``, ``"progress"``, ``"repeat_value"``, ``"discovery"``, ``"re_engagement"``,
        ``"healthy"``, or weights of the classes never_started, friction, stalled, vanished, plateau, drift, healthy.
    rates
        Pass rates of links to plant instead of a mix, such as ``{"habit": 0.40}``: exact, as every link that is
        passed is passed within its window. Links not named lie 15 % above their targets.
    targets
        Targets of the definition; by default those that the mix "healthy" meets, or with `rates` 0.32, 0.50, 0.40.
    start
        First local day.
    timezone
        Where local days lie.
    cadence_days, cadence_spread
        Median over users of the mean gap between visits, in days, and the spread of its logarithm.
    noise
        Share of the stalled who open one step more, and of the stuck who are stuck at a random step.
    hot_step
        Where the others are stuck: Profile, Connect data, Template or First draft.
    tries
        Share of users who try one advanced action once, and never again unless they go deep.
    weekend
        Share of usual sign-ups on a weekend day; below 1, many weekend visits wait for the next week too.
    later
        ``(day, mix)``: who signs up from that day on has another mix, or other pass rates.
    segments
        ``{("channel", "ads"): mix}``: users with that property have another mix, or other pass rates.
    null_events
        How many events that mean nothing, or their names.
    telling
        Event to ``(share of lasting users, share of others)`` who do it once in their first days.
    late_feature
        Day on which one more advanced action, ``assistant_asked``, is launched.
    advocacy
        Whether half of those who go deep invite others.
    outreach
        Whether new and silent users get mails; some drifters return by them (which changes the truth about those).
    feedback, errors
        Whether surveys are shown and answered; whether errors and support tickets occur.
    accounts
        Mean number of users per account, whose members tend to share their fate; None: no accounts.
    alike
        How likely a member shares the account's fate; the others have one of their own.
    changes
        ``(day, rates)``: who signs up from that day on passes these links at these rates: a play that mends a link is
        ``(220, {"activation": 0.41})``, one that breaks late ``(400, {"habit": 0.3})``.
    drift
        Link to how far its rate has moved by the last day, a straight line.
    weekly_season, yearly_season
        Link to how much higher its rate is on the best day (Wednesday; mid-January), a wave.
    week_spread
        Standard deviation between weeks of sign-up, of activation, habit and depth, or per link.
    experiment
        `engagekit.simulation.PlantedTest`: a lot at sign-up, told by the event ``exposed`` with its property
        ``variant``; the definition then names it.
    dirt
        Share of rows to soil: exact duplicates, events before sign-up, rows without user, names that differ by
        case or blanks, one member of staff who does everything; and all rows out of order.

    Returns
    -------
    Simulation
        `events`, `users`, `truth`, `definition`, `as_of`, `rates`, `planted_link`, `course`.

    Raises
    ------
    ParameterError
        With every parameter that cannot be used.

    Notes
    -----
    The truth is as of the data end: who will stop, but has not yet missed a visit, has not drifted; who will go
    deep, but has not yet, is on a plateau; who will come back, but has not yet, has vanished so far. Whether that can be seen from the log is another matter.

    Examples
    --------
    >>> log = simulate(users=200, seed=1, mix="repeat_value")
    >>> log.planted_link, log.events.columns, log.truth.height
    ('habit', ['user_id', 'event', 'at', 'device'], 200)
    """
    shares = {
        "noise": noise, "tries": tries, "weekend": weekend, "alike": alike, "dirt": 2 * dirt,
    }  # fmt: skip
    _check(users, days, seed, cadence_days, cadence_spread, shares, hot_step, accounts, later)
    goals = dict(targets if targets is not None else RATE_TARGETS if rates else MIX_TARGETS)
    definition = _definition(
        timezone, cadence_days, goals, late_feature, advocacy, outreach, feedback, errors
    )
    fallback = {k: min(0.95, 1.15 * goals.get(k, 0.5)) for k in LINKS} | dict(rates or {})
    first, *others = _specs(mix, rates, fallback, later, segments)
    stream = dict(zip(STREAMS, np.random.default_rng(seed).spawn(len(STREAMS)), strict=True))
    span = _span(start, days, timezone)
    signed = _signups(stream["signups"], users, span, weekend)
    people, luck = _people(stream["users"], users, accounts, alike)
    moves = course(
        stream["weeks"], span.midnight, days, first.rates, changes=changes, drift=drift or {},
        weekly=weekly_season or {}, yearly=yearly_season or {}, week_spread=week_spread,
    )  # fmt: skip
    members = people["account_id"] if "account_id" in people.columns else None
    lot = drawn(stream["experiment"], signed, members, experiment)
    moved = lifted(moves.drawn[signed.astype(np.int64)], lot, experiment)
    habit = float(definition.habit_days or 14)
    longest = habit / 3 if rates is not None else 40.0
    planted_at = weights_of([first, *others], _spec_index(people, signed, later, segments), moved)
    fates = draw_fates(
        stream["fates"], *planted_at, signed, luck, cadence_days=cadence_days, cadence_spread=cadence_spread, noise=noise,
        hot_step=play.STEP_NAMES.index(hot_step), in_time=rates is not None, longest_cadence=longest,
    )  # fmt: skip
    ids = _ids(stream["users"], users)
    quiet = span.on_weekend() if weekend < 1 else None
    visits, missing = play.draw_visits(stream["visits"], fates, days, habit, quiet)
    mails: list[Chunk] = []
    if outreach:
        visits, missing, mails = play.outreach(stream["outreach"], fates, visits, missing, habit)
    deep = list(play.going_deep(stream["depth"], fates, visits, late_feature, tries))
    asked = {"advocacy": advocacy, "feedback": feedback, "errors": errors}
    chunks = [
        *play.before_activation(stream["paths"], fates), *mails, *play.at_visits(stream["core"], visits), *deep,
        *_along(stream, fates, visits, _names(null_events), telling or {}, asked),
        *(play.exposure(fates, lot) if experiment else ()),
    ]  # fmt: skip
    events = log_of(chunks, ids, span, stream["devices"])
    told = truth_of(fates, visits, missing, chunks, deep, ids, span)
    if experiment:
        events, told = with_variant(events, told, ids, lot)
        definition = dataclasses.replace(definition, experiment=Assignment(EXPOSED, property=VARIANT))  # fmt: skip
    along = planted_course(moves, first.rates, span.midnight)
    planted = rates_now(along) if moves.moves else first.rates
    return Simulation(
        events=soiled(stream["dirt"], events, dirt) if dirt else events,
        users=people.with_columns(ids).select("user_id", pl.exclude("user_id")).sort("user_id"),
        truth=told,
        definition=definition,
        as_of=span.end,
        rates=planted,
        planted_link=next((k for k in LINKS if k in goals and planted[k] < goals[k]), None),
        course=along,
    )


def _along(
    stream: Mapping[str, np.random.Generator],
    fates: Fates,
    visits: Visits,
    nulls: tuple[str, ...],
    telling: Mapping[str, tuple[float, float]],
    asked: Mapping[str, bool],
) -> Iterator[Chunk]:
    """Make what happens along the way: advocacy, events that mean nothing, telling ones, surveys, errors."""
    if asked["advocacy"]:
        yield from play.speaking_for_it(stream["advocacy"], fates, visits)
    yield from play.noise_at_visits(stream["noise"], fates, visits, nulls)
    yield from play.telling_early(stream["telling"], fates, telling)
    if asked["feedback"]:
        yield from play.feedback(stream["feedback"], fates, visits)
    if asked["errors"]:
        yield from play.errors(stream["errors"], fates, visits)


def _check(
    users: int,
    days: int,
    seed: int,
    cadence_days: float,
    cadence_spread: float,
    shares: Mapping[str, float],
    hot_step: str,
    accounts: float | None,
    later: tuple[int, Mix] | None,
) -> None:
    whole = {"users": (users, 1), "days": (days, 1), "seed": (seed, 0)}
    faults = [
        f"{name} is {value!r}; it takes a whole number of at least {least}."
        for name, (value, least) in whole.items()
        if not isinstance(value, int) or value < least
    ]
    faults += [
        f"{name} lies outside its bounds; it takes a share from 0 to {'0.5' if name == 'dirt' else '1'}."
        for name, value in shares.items()
        if not 0 <= value <= 1
    ]
    faults += check_choice("hot_step", hot_step, play.STEP_NAMES)
    if cadence_days <= 0 or cadence_spread < 0:
        faults.append("cadence_days must lie above 0, and cadence_spread not below it.")
    if accounts is not None and accounts < 1:
        faults.append(f"accounts is {accounts!r}; an account has at least 1 user.")
    if later is not None and not (isinstance(later, tuple) and len(later) == 2):
        faults.append(f"later is {later!r}; it takes a day and a mix, such as (90, 'healthy').")
    if faults:
        raise ParameterError.from_faults("The log cannot be simulated", faults)


def _definition(
    timezone: str,
    cadence_days: float,
    targets: Mapping[str, float],
    late_feature: int | None,
    advocacy: bool,  # noqa: FBT001
    outreach: bool,  # noqa: FBT001
    feedback: bool,  # noqa: FBT001
    errors: bool,  # noqa: FBT001
) -> Definition:
    names = zip(play.STEP_NAMES, play.STEP_EVENTS, strict=True)
    return Definition(
        name="Trailhead",
        signup="signed_up",
        activation="first_project",
        core="project_published",
        steps=[Step(name, reached=r, completed=c) for name, (r, c) in names],
        advanced=[*play.ADVANCED_EVENTS, *([] if late_feature is None else [play.LATE_EVENT])],
        advocacy=["invite_sent"] if advocacy else [],
        outreach="email_sent" if outreach else None,
        feedback_asked="survey_shown" if feedback else None,
        feedback_given="survey_answered" if feedback else None,
        errors="error_shown" if errors else None,
        support="ticket_opened" if errors else None,
        timezone=timezone,
        habit_days=next((d for d in (7, 14, 28) if d >= 2.5 * cadence_days), 28),
        targets=targets,
    )


def _specs(
    mix: Mix,
    rates: Mapping[str, float] | None,
    fallback: Mapping[str, float],
    later: tuple[int, Mix] | None,
    segments: Mapping[tuple[str, str], Mix] | None,
) -> list[Spec]:
    specs = [spec_of(rates, fallback, name="rates") if rates else spec_of(mix, fallback)]
    specs += [spec_of(later[1], fallback, name="later")] if later else []
    for (column, value), other in (segments or {}).items():
        if value not in PROPERTIES.get(column, ((), ()))[0]:
            raise ParameterError(f"segments names {column!r} = {value!r}; no user has that.")
        specs.append(spec_of(other, fallback, name=f"the mix of {column} {value}"))
    return specs


def _spec_index(
    people: pl.DataFrame,
    signed: Floats,
    later: tuple[int, Mix] | None,
    segments: Mapping[tuple[str, str], Mix] | None,
) -> Whole:
    index = np.zeros(signed.size, np.int64)
    if later is not None:
        index[signed >= later[0]] = 1
    for place, (column, value) in enumerate(segments or {}, 1 + (later is not None)):
        index[(people[column] == value).to_numpy()] = place
    return index


def _span(start: Instant, days: int, timezone: str) -> Span:
    local = instant(start, timezone=timezone, name="start").astimezone(zone(timezone))
    midnight = datetime(local.year, local.month, local.day)  # noqa: DTZ001 - wall clock of `timezone`
    return Span(midnight, days, timezone)


def _signups(rng: np.random.Generator, users: int, span: Span, weekend: float) -> Floats:
    weights = np.where(span.on_weekend(0), weekend, 1.0)
    if not weights.sum():
        weights = np.ones_like(weights)
    day = rng.choice(weights.size, users, p=weights / weights.sum())
    return day + play.office_hours(rng, users)


def _people(
    rng: np.random.Generator, users: int, accounts: float | None, alike: float
) -> tuple[pl.DataFrame, Floats]:
    drawn = {
        name: np.array(values)[rng.choice(len(values), users, p=weights)]
        for name, (values, weights) in PROPERTIES.items()
    }
    luck = rng.random(users)
    if accounts is None:
        return pl.DataFrame(drawn), luck
    sizes = 1 + rng.poisson(accounts - 1, users)
    account = np.repeat(np.arange(users), sizes)[:users]
    shared = rng.random(users) < alike
    luck = np.where(shared, rng.random(users)[account], luck)
    drawn["plan"] = drawn["plan"][np.searchsorted(account, account)]
    names = "a" + pl.Series(account).cast(pl.String).str.zfill(5)
    return pl.DataFrame(drawn).with_columns(names.alias("account_id")), luck


def _ids(rng: np.random.Generator, users: int) -> pl.Series:
    return ("u" + pl.Series("user_id", rng.permutation(users)).cast(pl.String).str.zfill(6)).alias(
        "user_id"
    )


def _names(null_events: int | Sequence[str]) -> tuple[str, ...]:
    if not isinstance(null_events, int):
        return tuple(null_events)
    more = [f"noise_{k}" for k in range(len(play.NULL_EVENTS) + 1, null_events + 1)]
    return (*play.NULL_EVENTS, *more)[:null_events]
