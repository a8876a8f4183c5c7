"""A plan, what it stands on, and what its words mean, row by row: for the record, the comparison and the reviews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit._base import count, many, percent, plain, sure
from engagekit.definition import Definition
from engagekit.errors import EngagekitError
from engagekit.matchers import label
from engagekit.playbook import PLAYS
from engagekit.workshop.drafts import is_decided
from engagekit.workshop.plan_card import NOBODY, after, counted, name_of, number

if TYPE_CHECKING:
    from collections.abc import Mapping

Rows = list[tuple[str, str]]
# What a review looks at, of the rows of a plan.
REVIEWED = {
    "State",
    "Link to mend first",
    "Play",
    "Owner",
    "Today",
    "Goal of the play",
    "The play starts on",
    "Look again on",
    "What would change our mind",
}
VERDICTS = {
    "undecided": "The log cannot tell which link it is.",
    "none broken": "The log finds no broken link.",
    "no targets": "No targets are set, so the log names no link.",
}
DEFINED = {
    "signup": "Sign-up",
    "activation": "Activation",
    "core": "Core action",
    "advanced": "Advanced actions",
    "advocacy": "Advocacy event",
}
GUESSED = "This definition is a guess from the log; nobody has confirmed it."


def decided_line(plan: Mapping[str, Any]) -> str:
    """Say whether the plan is decided, by whom and on which day.

    Examples
    --------
    >>> decided_line({"link": "habit", "decided_on": "2026-07-01", "decided_by": "Dana"})
    'Decided on 2026-07-01 by Dana.'
    >>> decided_line({})
    'Nothing is decided yet.'
    """
    if not plan:
        return "Nothing is decided yet."
    if not is_decided(plan):
        return "Draft: nobody has decided this yet."
    on = f" on {plain(plan['decided_on'])}" if plan.get("decided_on") else ""
    by = f" by {plain(plan['decided_by'])}" if plan.get("decided_by") else ""
    return f"Decided{on}{by}."


def plan_rows(plan: Mapping[str, Any]) -> Rows:
    """Write what was decided, or is drafted: one row per heading, those that the plan has."""
    if not plan:
        return []
    facts = dict(plan)
    state = decided_line(plan) if plan.get("draft") or plan.get("decided_on") else ""
    rows = [
        ("State", state.rstrip(".")),
        ("Link to mend first", name_of(facts["link"]) if facts.get("link") else ("none yet" if "verdict" in facts else "")),
        ("How sure", _how_sure(facts)),
        ("The log says otherwise", _against(facts)),
        ("Problem", _text(facts, "problem")),
        ("Play", _text(facts, "play")),
        ("It works when", _working(facts)),
        ("Owner", _text(facts, "owner")),
        ("Partners", _text(facts, "partners")),
        ("Metric", _text(facts, "metric")),
        ("Today", counted(facts) or _text(facts, "baseline")),
        ("Goal of the play", _rate(facts, "target")),
        ("The play starts on", _text(facts, "starts_on")),
        ("Look again on", _look_again(facts)),
        ("Sign-ups needed to see it", _signups(facts)),
        ("Users to be judged", _judged(facts)),
        ("What would change our mind", _text(facts, "change_our_mind")),
    ]  # fmt: skip
    return [(heading, text) for heading, text in rows if text]


def _text(facts: Mapping[str, Any], key: str) -> str:
    value = facts.get(key, "")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _working(facts: Mapping[str, Any]) -> str:
    """Say for those who do not know the playbook when this play works."""
    return next((play.working_when for play in PLAYS if play.name == facts.get("play")), "")


def _rate(facts: Mapping[str, Any], key: str) -> str:
    found = number(facts.get(key))
    return _text(facts, key) if found is None else percent(found)


def _how_sure(facts: Mapping[str, Any]) -> str:
    """Say how probable it is that the chosen link is the earliest broken one, which is not the verdict's own probability."""
    if not facts.get("link"):
        return ""
    found = number(facts.get("probability"))
    if found is None:
        return "" if "probability" in facts or "loop" not in facts else "the log does not say"
    return f"{sure(found)} that {name_of(facts['link'])} is the earliest broken link"


def _against(facts: Mapping[str, Any]) -> str:
    named, chosen = facts.get("verdict_link"), facts.get("link")
    if "loop" not in facts or named == chosen:
        return ""
    if named:
        return f"the earliest broken link is {name_of(named)} ({sure(number(facts.get('verdict_probability')))} sure)"
    return VERDICTS.get(str(facts.get("verdict")), "") if chosen else ""


def _look_again(facts: dict[str, Any]) -> str:
    day, weeks = _text(facts, "look_again"), after(facts)
    if not facts.get(
        "link"
    ):  # no play starts; on the same day means: as soon as the team has done its part
        return "" if day == _text(facts, "starts_on") else day
    return f"{day}, {weeks}" if day and weeks and facts.get("starts_on") else day


def _signups(facts: Mapping[str, Any]) -> str:
    needed, pace = number(facts.get("signups_needed")), number(facts.get("signups_per_week"))
    if needed is None:
        return ""
    return count(needed) + (f", at {count(pace)} a week" if pace and pace >= 1 else "")


def _judged(facts: Mapping[str, Any]) -> str:
    needed = number(facts.get("users_needed"))
    return "" if needed is None else f"{count(needed)} before the start and as many after"


def verdict_rows(plan: Mapping[str, Any]) -> Rows:
    """Say what the log said when the plan was made, and on which data."""
    rows = [
        ("The verdict", _text(plan, "sentence")),
        ("Bear in mind", " ".join(map(str, plan["remarks"])) if isinstance(plan.get("remarks"), list) else ""),
        ("All links together stand on", _text(plan, "data")),
    ]  # fmt: skip
    return [(heading, text) for heading, text in rows if text]


def loop_rows(plan: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Write the loop as it was: link, how many passed, share, interval, the team's target."""
    loop = plan.get("loop")
    rows = [row for row in loop if isinstance(row, dict)] if isinstance(loop, list) else []
    return [
        (
            name_of(row.get("link", "–")),
            f"{count(number(row.get('n')))} of {count(number(row.get('of')))}",
            percent(number(row.get("rate"))),
            f"{percent(number(row.get('low')))} to {percent(number(row.get('high')))}",
            percent(number(row["target"])) if "target" in row else "none",
        )
        for row in rows
        if number(row.get("of"))
    ]


def _definition(table: Any) -> Definition | None:
    try:
        return Definition.from_table(table) if isinstance(table, dict) else None
    except EngagekitError:
        return None


def meanings(plan: Mapping[str, Any]) -> Rows:
    """Say for people who were not there what each link asks of a user."""
    found = _definition(plan.get("definition"))
    if found is None:
        return []
    days = {
        name: getattr(found, f"{name}_days")
        for name in ("activation", "habit", "depth", "advocacy")
    }
    asked = {
        "activation": "of those who signed up, who reached the first outcome{}",
        "habit": "of those, who did the core action again on a later day{}",
        "depth": f"of those, who did the same advanced action on {many(found.depth_uses, 'day')}{{}}",
        "advocacy": "of those, who told others{}",
    }
    since = {"activation": "signing up"}
    return [
        (
            name_of(link),
            text.format(
                f" within {many(days[link], 'day')} of {since.get(link, 'activating')}"
                if days[link]
                else ""
            ),
        )
        for link, text in asked.items()
    ]


def definition_rows(given: Any) -> Rows:
    """Write which events mean what, and whether that is a guess."""
    found = given if isinstance(given, Definition) else _definition(given)
    if found is None:
        return []
    rows = [("Guess", GUESSED)] if found.guessed else []
    for key, heading in DEFINED.items():
        value = getattr(found, key)
        several = value if key in {"advanced", "advocacy"} else [value] if value else []
        first = "each user's first event" if key == "signup" else "–"
        rows.append((heading, ", ".join(map(label, several)) or first))
    return [*rows, ("Steps", ", ".join(step.name for step in found.steps))] if found.steps else rows


__all__ = [
    "GUESSED",
    "NOBODY",
    "REVIEWED",
    "decided_line",
    "definition_rows",
    "loop_rows",
    "meanings",
    "plan_rows",
    "verdict_rows",
]
