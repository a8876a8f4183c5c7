"""From verdict to plan: the play, who leads it, what to watch, and when its effect could be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engagekit._base import (
    as_html,
    count,
    day,
    is_number,
    is_share,
    many,
    percent,
    plain_fields,
)
from engagekit.definition import LINKS
from engagekit.diagnosis import span_days
from engagekit.errors import ParameterError, check_choice
from engagekit.instants import day_of, instant
from engagekit.intervals import users_for
from engagekit.playbook import PLAYS
from engagekit.priority.instead import USEFUL_WEEKS, instead, later
from engagekit.priority.trial import Trial, trial, users_before
from engagekit.priority.verdict import Priority, rate_of

if TYPE_CHECKING:
    from datetime import date

    from engagekit.instants import Instant
    from engagekit.playbook import Play

LEAST_WEEKS = 4  # of sign-ups since a start, before anything is said of it: fewer do not show how weeks differ
SOONER = "aim higher, mend a link that more users reach, or agree to decide without a measurement"


@dataclass(frozen=True)
class Plan:
    """What the team commits to, and when it will know.

    `verdict` is the one planned for. `play`, `lead`, `partners`, `review_trigger`, `watch_for` and `metrics` come from
    the playbook (null or empty where a problem has no play). `link` is the one to mend, `rate`, `low`, `high` (with `n`
    of `of`) its present value, `goal` the rate aimed at. `users_needed` must be judged on the link, before and again
    after, to see that improvement; `signups_needed` bring them, in `weeks` at `signups_per_week`; with the
    `window_days` each user needs, the effect can be seen on `visible_on`. These are null where no users come or the
    wait is longer than any useful time (two years); the date is null too where the log has judged too few users
    before the start. `test` plans an experiment in its place. `look_again` is the day to come back to it:
    `visible_on`, or, where no link is named, the day on which the verdict can be another; `sentence` then says what
    to do instead, and everything about a link is null. `sentence` can be read aloud.
    """

    verdict: str
    play: str | None
    problem: str | None
    lead: str | None
    partners: tuple[str, ...]
    review_trigger: str | None
    watch_for: str | None
    metrics: tuple[str, ...]
    link: str | None
    n: int | None
    of: int | None
    rate: float | None
    low: float | None
    high: float | None
    goal: float | None
    users_needed: int | None
    signups_needed: int | None
    signups_per_week: float
    weeks: int | None
    window_days: int | None
    starts_on: date
    visible_on: date | None
    look_again: date | None
    sentence: str
    test: Trial | None = None

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence

    def __repr__(self) -> str:
        """Say what is planned in a line."""
        what = self.play or self.link or "nothing to mend"
        return f"<Plan: {what}, look again {self.look_again or 'on no date'}>"

    def _repr_html_(self) -> str:
        return as_html(self.sentence)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values that JSON can hold."""
        return plain_fields(self)


def plan(
    priority: Priority,
    *,
    goal: float | None = None,
    play: str | None = None,
    link: str | None = None,
    today: Instant | None = None,
    signups_per_week: float | None = None,
    experiment: bool = False,
) -> Plan:
    """Turn a verdict into a plan: the play, its owner, and how long until its effect can be seen.

    ``users per group = (z₁ sqrt(2 p̄ q̄) + z₂ sqrt(p q + p' q'))² / (p' - p)²`` with ``p`` the present rate, ``p'``
    the goal, ``p̄`` their mean, ``z₁`` for 95 % two-sided and ``z₂`` for 80 % power, times the design effect of
    accounts.

    Parameters
    ----------
    priority
        What `prioritize` said.
    goal
        The rate aimed at, above the present one. Default: the link's target if it is missed, else 5 points more
        (or half of what is missing to 100 %, where that is less).
    play
        Name of another play than the verdict's.
    link
        The link to mend, where it is another than the verdict's or the verdict names none.
    today
        Local day the play starts. Default: the day the data end.
    signups_per_week
        Expected rate of sign-ups. Default: that of the last eight weeks of the data.
    experiment
        Plan a test with two arms in place of a comparison with the time before: `test` then holds it, see
        `engagekit.priority.Trial`.

    Returns
    -------
    Plan
        `verdict`, `play`, `problem`, `lead`, `partners`, `review_trigger`, `watch_for`, `metrics`, `link`, `n`, `of`,
        `rate`, `low`, `high`, `goal`, `users_needed`, `signups_needed`, `signups_per_week`, `weeks`, `window_days`,
        `starts_on`, `visible_on`, `look_again`, `sentence`, `test`. Where the verdict names no link and none is given:
        what to do instead, and when to look again.

    Raises
    ------
    ParameterError
        The link has no rate yet or is passed by all, the goal is not above it or too near to it, `signups_per_week` is no number of
        them, or `goal` or `play` is given where no link is named and none given.

    Notes
    -----
    As many users are compared before and after the start, so the log must reach that far back too. Where less than four
    weeks of sign-ups would bring them, four are planned: `track` says nothing of fewer, as weeks differ. The number of
    sign-ups behind one user judged on the link is taken from the links before it, as they are now.

    References
    ----------
    Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, chapter 4 (without correction).

    Examples
    --------
    >>> users_for(0.40, 0.50)
    388
    """
    if not isinstance(priority, Priority):
        raise ParameterError(
            f"priority is a {type(priority).__name__}; it takes what ek.prioritize(journeys) gives."
        )
    per_week = _pace_of(priority, signups_per_week)
    zone = priority.basis.timezone
    start = day_of(
        priority.basis.as_of if today is None else instant(today, timezone=zone, name="today"), zone
    )
    if link is None and priority.link is None and goal is None and play is None:
        told, again = instead(priority, start, per_week)
        return _without_link(priority, start, per_week, told, again)
    chosen, playbook = _choices(priority, play, link, goal)
    row = rate_of(priority, chosen)
    aim = _aim(row, chosen, goal)
    needed = _needed(row, aim, goal)
    signups = _signups(priority, chosen, needed)
    weeks = _weeks(signups, per_week)
    window = span_days(priority.definition, chosen)
    had = users_before(priority, chosen)
    test = None
    if experiment:
        share = _share_before(priority, chosen)
        test = trial(row, aim, share, per_week, window, start, priority.definition.margin)
        visible = test.ends_on
    else:
        carried = weeks is not None and needed <= had
        weeks = None if weeks is None else max(LEAST_WEEKS, weeks)
        visible = later(start, 7 * weeks + window) if carried and weeks is not None else None
    open_between = priority.problem_candidates if chosen == priority.link else ()
    told = _sentence(
        chosen, playbook, open_between, row, aim, needed, signups, per_week, weeks, window, visible, had, test,
    )  # fmt: skip
    return Plan(
        verdict=priority.verdict,
        **_of_play(playbook, priority.problem),
        link=chosen,
        **{name: row[name] for name in ("n", "of", "rate", "low", "high")},
        goal=float(aim),
        users_needed=needed,
        signups_needed=signups,
        signups_per_week=per_week,
        weeks=weeks,
        window_days=window,
        starts_on=start,
        visible_on=visible,
        look_again=visible,
        sentence=told,
        test=test,
    )


def _of_play(play: Play | None, problem: str | None) -> dict[str, Any]:
    """Take over what the playbook says of the play; without one only the problem is known."""
    if play is None:
        return {"play": None, "problem": problem, "lead": None, "partners": (), "review_trigger": None, "watch_for": None, "metrics": ()}  # fmt: skip
    return {
        "play": play.name,
        "problem": play.problem,
        "lead": play.primary_lead,
        "partners": play.key_partners,
        "review_trigger": play.review_trigger,
        "watch_for": play.watch_for,
        "metrics": play.metrics,
    }


def _without_link(
    priority: Priority, start: date, per_week: float, told: str, again: date | None
) -> Plan:
    of_a_play = ("play", "problem", "lead", "review_trigger", "watch_for")
    of_a_link = ("link", "n", "of", "rate", "low", "high", "goal", "users_needed", "signups_needed")
    nothing: dict[str, Any] = dict.fromkeys(
        [*of_a_play, *of_a_link, "weeks", "window_days", "visible_on"]
    )
    return Plan(
        **nothing,
        verdict=priority.verdict,
        partners=(),
        metrics=(),
        signups_per_week=per_week,
        starts_on=start,
        look_again=again,
        sentence=told,
    )


def _pace_of(priority: Priority, given: float | None) -> float:
    per_week = priority.signups_per_week if given is None else given
    if not is_number(per_week) or per_week < 0:
        raise ParameterError(f"signups_per_week is {per_week!r}; it takes a number, 0 or more.")
    return float(per_week)


def _aim(row: dict[str, Any], link: str, goal: float | None) -> float:
    p = row["rate"]
    if p >= 1:
        raise ParameterError(f"Everyone who is judged passes {link}: there is nothing to improve.")
    aim = _goal(row) if goal is None else goal
    if not is_share(aim) or aim <= p:
        raise ParameterError(
            f"goal is {goal!r}; it takes a rate above the present {p:.3f} of {link}, and below 1."
        )
    return aim


def _needed(row: dict[str, Any], aim: float, goal: float | None) -> int:
    try:
        needed: int = math.ceil(users_for(row["rate"], aim) * row["design_effect"])
    except (OverflowError, ZeroDivisionError):
        raise ParameterError(
            f"goal is {goal!r}, so near to the present rate that no number of users could tell them apart."
        ) from None
    return needed


def _signups(priority: Priority, link: str, needed: int) -> int | None:
    """Count the sign-ups that bring so many users to a link; None where, at present, nobody gets there."""
    share = _share_before(priority, link)
    return math.ceil(needed / share) if share > 0 else None


def _share_before(priority: Priority, link: str) -> float:
    before = priority.table["rate"].to_list()[: LINKS.index(link)]
    return math.prod(rate or 0.0 for rate in before)


def _weeks(signups: int | None, per_week: float) -> int | None:
    if signups is None or per_week == 0:
        return None
    weeks = signups / per_week
    return math.ceil(weeks) if math.isfinite(weeks) else None


def _choices(
    priority: Priority, play: str | None, link: str | None, goal: float | None
) -> tuple[str, Play | None]:
    faults = [] if link is None else check_choice("link", link, LINKS)
    faults += [] if play is None else check_choice("play", play, [p.name for p in PLAYS])
    if link is None and priority.link is None:
        given = " and ".join(n for n, v in (("goal", goal), ("play", play)) if v is not None)
        faults.append(
            f"{given} given, but the verdict is {priority.verdict!r}, so no link is named; say which one to mend, such as link='habit'."
        )
    if faults:
        raise ParameterError.from_faults("No plan can be made", faults)
    chosen = link or priority.link or ""
    if play is None and chosen == priority.link:
        play = priority.play
    elif play is None:
        play = next((p.name for p in PLAYS if p.link == chosen), None)
    return chosen, next((p for p in PLAYS if p.name == play), None)


def _goal(row: dict[str, Any]) -> float:
    target, rate = row["target"], row["rate"]
    if target is not None and target > rate:
        return float(target)
    return float(rate + min(0.05, (1 - rate) / 2))


def _sentence(
    link: str,
    play: Play | None,
    open_between: tuple[str, ...],
    row: dict[str, Any],
    goal: float,
    needed: int,
    signups: int | None,
    per_week: float,
    weeks: int | None,
    window: int,
    visible: date | None,
    had: int,
    test: Trial | None,
) -> str:
    who = (
        f"Play: {play.name}, led by {play.primary_lead.replace(', ', ' and ')} with {' and '.join(play.key_partners)}. Watch for: {play.watch_for}."
        if play
        else "No play mends this: advocacy validates what comes before it."
        if link == "advocacy"
        else f"Whether the problem is {' or '.join(open_between)} is open, so no play is chosen yet; settle that first."
        if open_between
        else "No play mends this; find out first where these users come from and whether their steps are tracked."
    )
    now = f"{link.capitalize()} stands at {percent(row['rate'])} ({count(row['n'])} of {count(row['of'])}); the goal is {percent(goal)}."
    if test is not None:
        return f"{who} {now} {test.sentence}"
    need = f"To see that takes {many(needed, 'judged user')} before and as many after the start"
    if signups is None:
        return f"{who} {now} {need}, but nobody gets as far as {link} lately."
    if per_week == 0:
        return f"{who} {now} {need}, but nobody signed up lately, so no effect could be seen."
    flow = f"{who} {now} {need}: {many(signups, 'sign-up')} at {_pace(per_week)} a week"
    if weeks is None or 7 * weeks + window > 7 * USEFUL_WEEKS:
        return f"{flow}, so not within two years. {SOONER.capitalize()}."
    if needed > had:
        return f"{who} {now} {need}; the log has {count(had)} before it, so no date can be given. Aim higher, or run a test."
    if visible is None:
        return f"{flow}, so not within any useful time. {SOONER.capitalize()}."
    takes = f"{many(signups, 'sign-up')}, {many(weeks, 'week')} at {_pace(per_week)} a week"
    if signups <= per_week * (weeks - 1):
        takes = f"{many(signups, 'sign-up')} at {_pace(per_week)} a week, {at_least(weeks)}"
    return f"{who} {now} {need}: {takes}, and {many(window, 'day')} until the last can be judged. Look again on {day(visible)}."


def at_least(weeks: int) -> str:
    """Say that a change is watched for so many weeks even where fewer bring the users."""
    return f"{many(weeks, 'week')} of them at the least, as weeks differ"


def _pace(per_week: float) -> str:
    if 0 < per_week < 0.05:
        return "under 0.1"
    return f"{per_week:,.1f}" if per_week < 10 else f"{per_week:,.0f}"
