"""The play card as plain values, taken at the moment it is drawn, and the words in which it is read aloud."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import LINK_NAMES, count, many, percent, plain
from engagekit.priority import SOONER, at_least, later

if TYPE_CHECKING:
    from datetime import date

    from engagekit.priority import Plan, Priority

NOBODY = "not named yet"
MOST_WEEKS = 52  # a team that would wait longer looks again after so many
LOOP_COLUMNS = ("link", "n", "of", "rate", "low", "high", "target", "p_earliest")


def card_facts(priority: Priority, made: Plan, *, owner: str, doubt: str) -> dict[str, Any]:
    """Take what a decision says and what it stands on: the plan, the verdict, the data, the loop, the definition.

    `probability` is that of the chosen link to be the earliest broken one, null where the verdict says none.
    """
    rows = priority.table.select(LOOP_COLUMNS).to_dicts()
    chosen: dict[str, Any] = next((row for row in rows if row["link"] == made.link), {})
    again = _look_again(made)
    return _without_nulls(
        {
            "link": made.link, "probability": chosen.get("p_earliest"), "play": made.play, "problem": made.problem,
            "owner": owner.strip() or NOBODY, "partners": list(made.partners), "metric": ", ".join(made.metrics),
            "n": made.n, "of": made.of, "baseline": made.rate, "low": made.low, "high": made.high, "target": made.goal,
            "users_needed": made.users_needed, "signups_needed": made.signups_needed,
            "signups_per_week": made.signups_per_week, "signup_weeks": made.weeks, "window_days": made.window_days,
            "starts_on": str(made.starts_on) if made.link else None, "look_again": None if again is None else str(again),
            "seen_on": None if made.visible_on is None else str(made.visible_on),
            "weeks": None if again is None or made.link is None else math.ceil((again - made.starts_on).days / 7),
            "instead": None if made.link else made.sentence, "change_our_mind": doubt.strip(),
            "verdict": priority.verdict, "verdict_link": priority.link, "verdict_probability": priority.probability,
            "sentence": priority.sentence, "remarks": list(priority.warnings), "product": priority.definition.name,
            "data": str(priority.basis), "loop": [_without_nulls(row) for row in rows],
            "definition": priority.definition.to_table(),
        }
    )  # fmt: skip


def _without_nulls(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value not in (None, "")}


def _look_again(made: Plan) -> date | None:
    """Take the day on which the effect can be seen; a team that would wait longer than a year looks after one."""
    if (
        made.link is None
    ):  # no play starts; on the same day means: as soon as the team has done its part
        return None if made.look_again == made.starts_on else made.look_again
    latest = later(made.starts_on, 7 * MOST_WEEKS) or made.starts_on  # the calendar itself ends
    return latest if made.visible_on is None else min(made.visible_on, latest)


def likelier_first(priority: Priority, links: list[str]) -> list[str]:
    """Put first the links that are likelier to be the earliest broken one; where nothing is said, as they come."""
    said = dict(priority.table.select("link", pl.col("p_earliest").fill_null(-1.0)).iter_rows())
    return sorted(links, key=lambda link: -said.get(link, -1.0))


def card_words(facts: dict[str, Any]) -> list[str]:
    """Write the card as it can be read aloud; a session's file can hold any of it, or none.

    Examples
    --------
    >>> card_words({"link": "habit", "play": "Repeat Value", "owner": "Dana"})
    ['We mend Habit with Repeat Value; Dana answers for it.']
    """
    said = [_first(facts)]
    if facts.get("link"):
        said += [words for words in (_aim(facts), _how_long(facts)) if words]
    if facts.get("change_our_mind"):
        said.append(f"What would change our mind: {plain(facts['change_our_mind'])}")
    return said


def _first(facts: dict[str, Any]) -> str:
    owner = facts.get("owner", NOBODY)
    who = "name who answers for it" if owner == NOBODY else f"{plain(owner)} answers for it"
    if not facts.get("link"):
        seen = "" if owner == NOBODY else f" {plain(owner)} sees to it."
        if facts.get("verdict") == "no targets":
            told = "No targets are set, so the log names no link: agree on targets first, in notebook 01 or 06."
        else:
            told = plain(facts.get("instead", "The log names none."))
        return f"We mend no link yet. {told}{seen}"
    return f"We mend {name_of(facts['link'])}{_with(facts)}; {who}."


def _with(facts: dict[str, Any]) -> str:
    return (
        f" with {plain(facts['play'])}" if facts.get("play") else " (no play yet: find out first)"
    )


def name_of(link: Any) -> str:
    """Name a link as people say it."""
    return LINK_NAMES.get(str(link), plain(link))


def counted(facts: dict[str, Any]) -> str:
    """Write a rate with its counts: ``40% (332 of 837)``."""
    rate, n, of = (number(facts.get(key)) for key in ("baseline", "n", "of"))
    if rate is None:
        return ""
    return percent(rate) + (f" ({count(n)} of {count(of)})" if None not in (n, of) else "")


def number(value: Any) -> float | None:
    """Take a value as a number, if it is one: a session's file can hold anything."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12
    return value if fits else None


def _aim(facts: dict[str, Any]) -> str:
    goal = number(facts.get("target"))
    now = counted(facts)
    if not now or goal is None:
        return ""
    return f"{name_of(facts['link'])} stands at {now}; the goal is {percent(goal)}."


def _how_long(facts: dict[str, Any]) -> str:
    needed, signups = number(facts.get("users_needed")), number(facts.get("signups_needed"))
    again = facts.get("look_again")
    if needed is None or not again:
        return ""
    need = (
        f"To see that takes {many(int(needed), 'judged user')} before the start and as many after"
    )
    link = name_of(facts["link"]).lower()
    if signups is None:
        return f"{need}, but nobody gets as far as {link} lately. We look again on {plain(again)} at the latest."
    pace = number(facts.get("signups_per_week")) or 0
    if not pace:
        return (
            f"{need}, but nobody signed up lately. We look again on {plain(again)} at the latest."
        )
    flow = f"{need}: {many(int(signups), 'sign-up')} at {count(pace) if pace >= 1 else 'under 1'} a week"
    seen, weeks = facts.get("seen_on"), number(facts.get("signup_weeks"))
    if seen == again:
        window = many(int(number(facts.get("window_days")) or 0), "day")
        least = int(weeks or 0)
        time = at_least(least) if signups <= pace * (least - 1) else many(least, "week")
        return (
            f"{flow}, {time}, and {window} until the last can be judged. "
            f"We look again on {plain(again)}, {after(facts)}."
        )
    if seen is None and weeks is not None and weeks <= MOST_WEEKS:
        why = "The log has too few users before the start, so no date can be given: we look again"
        return f"{flow}. {why} on {plain(again)} at the latest, or run a test with two arms."
    return f"{flow}. That is too long to wait, so we look again on {plain(again)} at the latest: {SOONER}."


def after(facts: dict[str, Any]) -> str:
    """Say how long after the start the day to look again lies."""
    weeks = number(facts.get("weeks"))
    return "" if weeks is None else f"{many(int(weeks), 'week')} after the start"
