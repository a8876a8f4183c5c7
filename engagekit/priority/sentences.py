"""The verdict in words, fit to be read aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import many, percent
from engagekit.definition import LINKS
from engagekit.diagnosis import windows_of
from engagekit.priority.earliest import NONE_BROKEN

if TYPE_CHECKING:
    from engagekit.definition import Definition
    from engagekit.diagnosis import Rule
    from engagekit.journeys import Basis
    from engagekit.priority.loop_table import Loop


def sentence(
    found: Loop,
    rule: Rule | None,
    holds: tuple[float, float] | None,
    more_users: int | None,
    drift: dict[str, Any],
    definition: Definition,
    stands_on: Basis,
) -> str:
    """Say the verdict, how sure it is, what to do first, and what it stands on."""
    rows = {row["link"]: row for row in found.table.iter_rows(named=True)}
    if found.judgment.verdict == "named":
        said = _named(found, rows[found.judgment.link], rule, holds, definition)
    elif found.judgment.verdict == "undecided":
        said = _undecided(found, more_users)
    else:
        said = f"{_none_broken(found, rows)}{_drifting(drift)}"
    return f"{said} {stands_on}"


def _named(
    found: Loop,
    row: dict[str, Any],
    rule: Rule | None,
    holds: tuple[float, float] | None,
    definition: Definition,
) -> str:
    link, sure = row["link"], _sure(found.judgment.probability)
    if found.seen.lost:
        first = (
            f"Most users are lost by {link}: {percent(row['reached'])} get that far "
            f"({row['reached_n']:,} of {row['reached_of']:,} sign-ups; {sure} sure)."
        )
    else:
        first = (
            f"Momentum breaks earliest at {link}: {percent(row['rate'])} "
            f"({row['n']:,} of {row['of']:,}) {_did(link, definition)}, against {_mark(row)} ({sure} sure)."
        )
    return " ".join(filter(None, [first, _what_to_do(link, rule), _how_firm(found, link, holds)]))


def _sure(probability: float | None) -> str:
    return "over 99%" if probability and probability > 0.99 else percent(probability)


def _mark(row: dict[str, Any]) -> str:
    target = percent(row["target"])
    return {
        "previous quarter": f"the {target} that the quarter before leaves plausible at the least",
        "best cohort": f"{target} in the best cohort, shrunk towards the mean",
    }.get(row["target_from"], f"a target of {target}")


def _did(link: str, definition: Definition) -> str:
    days = {name: many(count, "day") for name, count in windows_of(definition).items()}
    return {
        "activation": f"activated within {days['activation']} of signing up",
        "habit": f"came back on a later day within {days['habit']} of activating",
        "depth": f"took up an advanced action within {days['depth']} of activating",
        "advocacy": f"spoke for the product within {days['advocacy']} of activating",
    }[link]


def _what_to_do(link: str, rule: Rule | None) -> str:
    if rule is None:
        return "Advocacy validates what comes before it, so no play is named."
    if rule.play is None:
        return f"The largest group lost there never took a first step, so it is a question of {rule.problem}, and no play is named."
    who = " of the largest group lost there" if link == "activation" else ""
    return f"The problem{who} is {rule.problem}; start with the play {rule.play}."


def _how_firm(found: Loop, link: str, holds: tuple[float, float] | None) -> str:
    if holds is None:
        return ""
    low, high = percent(holds[0]), percent(holds[1])
    if not found.seen.lost:
        return f"It stays {link} for any target from {low} up."
    span = f"from {low} up" if holds[1] >= 1 else f"from {low} to {high}"
    return f"No targets are set; it stays {link} wherever 'most' is drawn {span} instead of at one half."


def _undecided(found: Loop, more_users: int | None) -> str:
    if not found.judgment.candidates:
        return f"No link can be judged against a target: the definition names no events for {_all(_set_for(found))}."
    if "activation" in found.seen.unseen():
        return "Nothing can be said yet: nobody's time to activate is over."
    names = sorted(found.judgment.candidates, key=[*LINKS, NONE_BROKEN].index)  # "no link" last
    one, other = ("at no link" if name == NONE_BROKEN else f"at {name}" for name in names)
    chances = dict(zip(LINKS, found.judgment.p_earliest, strict=True)) | {
        NONE_BROKEN: found.judgment.p_none
    }
    sure = " and ".join(_sure(chances[name]) for name in names)
    first = f"It is undecided whether momentum breaks earliest {one} or {other} ({sure} sure)."
    if more_users is not None:
        return f"{first} About {many(more_users, 'more sign-up', 'more sign-ups')} at the present rates would settle it."
    if unseen := found.seen.unseen():
        return f"{first} {_waiting(found, unseen)}"
    return f"{first} The rates lie so near their marks that more users would hardly settle it."


def _waiting(found: Loop, unseen: list[str]) -> str:
    before = LINKS.index(unseen[0])
    passed = zip(found.seen.n[:before], found.seen.of[:before], strict=True)
    if not found.seen.lost and any(of > 0 and not n for n, of in passed):
        return f"Nobody got as far as {unseen[0]} yet, so it cannot be judged."
    return f"Nobody's time for {_all(unseen)} is over yet; wait for that."


def _none_broken(found: Loop, rows: dict[str, dict[str, Any]]) -> str:
    sure = _sure(found.judgment.p_none)
    if found.seen.lost:
        last = [link for link in LINKS if found.seen.marks[LINKS.index(link)] is not None][-1]
        return (
            f"No link loses most users: {percent(rows[last]['reached'])} get as far as {last} "
            f"({sure} sure). Targets would set the bar higher."
        )
    held = [link for link in LINKS if found.seen.marks[LINKS.index(link)] is not None]
    one = len(held) == 1
    said = f"No link is broken: {_all(held)} meet{'s' if one else ''} what was set for {'it' if one else 'them'} ({sure} sure)."
    rest = [link for link in _set_for(found) if link not in held]
    if not rest:
        return said
    has, them = ("has a target", "it") if len(rest) == 1 else ("have targets", "them")
    return f"{said} {_all(rest).capitalize()} {has} too, but cannot be judged: the definition names no events for {them}."


def _set_for(found: Loop) -> list[str]:
    return found.table.filter(pl.col("target").is_not_null())["link"].to_list()


def _all(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _drifting(drift: dict[str, Any]) -> str:
    # Re-engagement is no link of the loop: it is named only where no link is broken.
    if not drift["n"]:
        return ""
    return (
        f" Beside the loop, {percent(drift['rate'])} of those who came back have drifted away since "
        f"({drift['n']:,} of {drift['of']:,}); the play for that is Re-engagement."
    )
