"""The verdict in words, fit to be read aloud."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import count, day, many, percent
from engagekit.definition import LINKS
from engagekit.diagnosis import defined_links, span_days
from engagekit.instants import day_of
from engagekit.intervals import FEW_WEEKS
from engagekit.journeys import windows_of
from engagekit.priority.earliest import NONE_BROKEN
from engagekit.priority.reference_targets import OWN_PAST

if TYPE_CHECKING:
    from datetime import date, datetime

    from engagekit.definition import Definition
    from engagekit.journeys import Basis
    from engagekit.priority.counts import Span
    from engagekit.priority.earliest import Judgment
    from engagekit.priority.loop_table import Loop
    from engagekit.priority.problems import Problem
    from engagekit.priority.turning import Turn

BEFORE, EVER = "the quarter before", "all sign-ups together"
LATER_TIMES = 3  # a later link that would bring so many times the users is mentioned


@dataclass(frozen=True)
class More:
    """How many more sign-ups would settle an undecided case: about, at the least, at the most (null: no end to see)."""

    about: int
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Told:
    """All that the sentence is made of.

    `others` are verdicts of other sign-ups than the recent ones: when, and what. `past` says of a log without targets
    between which rates the fallen link's own quarters ran, or whether there are quarters to compare with at all. `turn`:
    a change within the recent sign-ups that took the verdict back.
    """

    found: Loop
    problem: Problem | None
    holds: tuple[float, float] | None
    more: More | None
    few: bool
    drift: dict[str, Any]
    definition: Definition
    basis: Basis
    spans: dict[str, Span]
    signups: tuple[datetime | None, datetime | None]
    others: tuple[tuple[str, Judgment], ...]
    past: tuple[float, float] | bool
    turn: Turn | None = None

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Give each link's row of the table."""
        return {row["link"]: row for row in self.found.table.iter_rows(named=True)}


def sentence(told: Told) -> str:
    """Say the verdict, how sure it is, what to do first, and which sign-ups it stands on."""
    judgment = told.found.judgment
    about: list[str | None]
    if told.turn is not None:
        said, about = _turned(told, told.turn), [told.turn.link]
    elif judgment.verdict == "named":
        said, about = _named(told), [judgment.link]
    elif judgment.verdict == "no targets":
        said, about = _no_targets(told)
    elif judgment.verdict == "undecided":
        said, about = _undecided(told), [link for link in LINKS if link in judgment.candidates]
    else:
        said, about = f"{_none_broken(told)}{_drifting(told.drift)}", _held(told)
    judged = [link for link in about if link is not None and told.rows[link]["of"]]
    return " ".join(
        filter(None, [_ended(told), said, _others(told), _widened(told, judged), _few_weeks(told, judged), _stands_on(told, judged)])
    )  # fmt: skip


def _named(told: Told) -> str:
    judgment = told.found.judgment
    link, sure = judgment.link or "", _sure(judgment.probability)
    row = told.rows[link]
    did = f"{percent(row['rate'])} ({row['n']:,} of {row['of']:,}) {_did(link, told.definition)}"
    if row["target_from"] == OWN_PAST and isinstance(told.past, tuple):
        low, high = map(percent, told.past)
        ran = f"from {low} to {high}" if low != high else f"at {low}"
        first = f"{link.capitalize()} has fallen: {did}, where its own quarters ran {ran} ({sure} sure)."
        return " ".join(filter(None, [first, _what_to_do(link, told.problem), "No targets are set."]))  # fmt: skip
    first = f"Momentum breaks earliest at {link}: {did}, against a target of {percent(row['target'])} ({sure} sure)."
    return " ".join(filter(None, [first, _what_to_do(link, told.problem), _how_firm(link, told.holds), _later(told, row)]))  # fmt: skip


def _sure(probability: float | None) -> str:
    return "over 99%" if probability and probability > 0.99 else percent(probability)


def _did(link: str, definition: Definition) -> str:
    days = {name: many(count, "day") for name, count in windows_of(definition).items()}
    return {
        "activation": f"activated within {days['activation']} of signing up",
        "habit": f"came back on a later day within {days['habit']} of activating",
        "depth": f"took up an advanced action within {days['depth']} of activating",
        "advocacy": f"spoke for the product within {days['advocacy']} of activating",
    }[link]


def _what_to_do(link: str, problem: Problem | None) -> str:
    if problem is None or link == "advocacy":
        return "Advocacy validates what comes before it, so no play is named."
    if problem.candidates:
        return _open_problem(problem)
    if problem.play is None:
        return f"The largest group lost there never took a first step, so it is a question of {problem.problem}, and no play is named."
    who = " of the largest group lost there" if link == "activation" else ""
    return f"The problem{who} is {problem.problem}; start with the play {problem.play}."


DOING = {
    "friction": "abandoned a step",
    "stalled": "stalled between steps",
    "never_started": "never took a first step",
}


def _open_problem(problem: Problem) -> str:
    one, other = (rule.problem for rule in problem.candidates)
    if len(problem.counts) == 1:
        return f"The problem there is {one} or {other}: no steps are defined, so they cannot be told apart; define steps, and one play follows."
    said = " and ".join(f"{count(n)} {DOING[label]}" for label, n in problem.counts)
    return (
        f"The problem there is {one} or {other}: of those who never activated {said}, too close to tell "
        f"({_sure(problem.probability)} sure); whichever leads among the next sign-ups names the play."
    )


def _how_firm(link: str, holds: tuple[float, float] | None) -> str:
    return "" if holds is None else f"It stays {link} for any target from {percent(holds[0])} up."


def _later(told: Told, row: dict[str, Any]) -> str:
    place, mine = LINKS.index(row["link"]), row["extra_users"] or 0.0
    later = [told.rows[link] for link in LINKS[place + 1 :]]
    larger = [
        r for r in later if (r["extra_users"] or 0.0) >= max(1.0, LATER_TIMES * mine) and r["target"]
    ]  # fmt: skip
    if not larger:
        return ""
    most = max(larger, key=lambda r: r["extra_users"])
    return (
        f"{most['link'].capitalize()} at its target would bring {many(most['extra_users'], 'more user')} to the end, "
        f"{row['link']} {count(mine)}: weigh that, though it comes later."
    )


def _no_targets(told: Told) -> tuple[str, list[str | None]]:
    known = [link for link in LINKS if told.rows[link]["reached"] is not None]
    gone = next((link for link in known if told.rows[link]["reached"] < 0.5), None)
    last = gone or known[-1]
    far = percent(told.rows[last]["reached"])
    where = (
        f"half are gone by {gone}: {far} get that far"
        if gone
        else f"more than half get as far as {last}: {far}"
    )
    fallen = (
        "No link has fallen below its own past."
        if told.past
        else "There are too few earlier quarters to say whether a link has fallen."
    )
    first = f"No targets are set, so no link can be called broken; of the recent sign-ups, {where}. {fallen}"
    return f"{first} Set targets, and the verdict follows.", list(known[: known.index(last) + 1])


def _undecided(told: Told) -> str:
    judgment, seen = told.found.judgment, told.found.seen
    if not told.rows["activation"]["of"]:
        return "Nothing can be said yet: nobody's time to activate is over."
    if not judgment.candidates:
        return f"No link can be judged against a target: the definition names no events for {_all(_set_for(told))}."
    names = sorted(judgment.candidates, key=[*LINKS, NONE_BROKEN].index)  # "no link" last
    one, other = ("at no link" if name == NONE_BROKEN else f"at {name}" for name in names)
    chances = dict(zip(LINKS, judgment.p_earliest, strict=True)) | {NONE_BROKEN: judgment.p_none}
    sure = " and ".join(_sure(chances[name]) for name in names)
    first = f"It is undecided whether momentum breaks earliest {one} or {other} ({sure} sure)."
    if told.few:
        return f"{first} Too few are judged yet to say how many more would settle it."
    if told.more is not None:
        return f"{first} {_more(told.more)}"
    if unseen := seen.unseen():
        return f"{first} {_waiting(told, unseen)}"
    return f"{first} The rates lie so near their marks that more users would hardly settle it."


def _turned(told: Told, turn: Turn) -> str:
    (n1, of1), (n2, of2) = turn.before, turn.after
    on = day(_day(told, turn.since))
    since = _sure(turn.judgment.p_none if turn.judgment.link is None else turn.judgment.probability)
    what = f"{turn.judgment.link} breaks" if turn.judgment.link else "no link is broken"
    return (
        f"No link is named, as {turn.link} changed on the way: {percent(n1 / of1)} ({n1:,} of {of1:,}) of the recent sign-ups before {on} passed it, "
        f"{percent(n2 / of2)} ({n2:,} of {of2:,}) since. Taken together they speak of neither; by those since then {what} "
        f"({since} sure). Find out what changed around {on}: if it stays, that is the answer."
    )


def _more(more: More) -> str:
    about = many(more.about, "more sign-up", "more sign-ups")
    if more.low is None:
        return f"About {about} at the present rates would settle it; how many really, cannot be seen yet."
    span = f"{count(more.low)} or more" if more.high is None else f"{count(more.low)} to {count(more.high)}"  # fmt: skip
    if more.about == more.high:  # at just these rates it would take yet more
        return f"{span} more sign-ups would likely settle it; how many, hangs on rates that are not known exactly."
    return f"About {about} at the present rates would settle it ({span}, as the rates are not known exactly)."


def _waiting(told: Told, unseen: list[str]) -> str:
    before = LINKS.index(unseen[0])
    seen = told.found.seen
    if any(of > 0 and not n for n, of in zip(seen.n[:before], seen.of[:before], strict=True)):
        return f"Nobody got as far as {unseen[0]} yet, so it cannot be judged."
    return f"Nobody's time for {_all(unseen)} is over yet; wait for that."


def _none_broken(told: Told) -> str:
    sure = _sure(told.found.judgment.p_none)
    held = _held(told)
    one = len(held) == 1
    said = f"No link is broken: {_all(held)} meet{'s' if one else ''} what was set for {'it' if one else 'them'} ({sure} sure)."
    rest = [link for link in _set_for(told) if link not in held]
    if not rest:
        return said
    has, them = ("has a target", "it") if len(rest) == 1 else ("have targets", "them")
    return f"{said} {_all(rest).capitalize()} {has} too, but cannot be judged: the definition names no events for {them}."


def _held(told: Told) -> list[Any]:
    return [
        link for link, mark in zip(LINKS, told.found.seen.marks, strict=True) if mark is not None
    ]


def _set_for(told: Told) -> list[str]:
    return told.found.table.filter(pl.col("target").is_not_null())["link"].to_list()


def _all(names: list[Any]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else str(last)


def _drifting(drift: dict[str, Any]) -> str:
    # Re-engagement is no link of the loop: it is named only where no link is broken.
    if not drift["n"]:
        return ""
    return (
        f" Beside the loop, {percent(drift['rate'])} of those who came back have drifted away since "
        f"({drift['n']:,} of {drift['of']:,}); the play for that is Re-engagement."
    )


def differs(now: Judgment, other: Judgment) -> bool:
    """Say whether other sign-ups give another answer, and a sure one."""
    sure = other.verdict in ("named", NONE_BROKEN)
    return sure and (now.verdict, now.link) != (other.verdict, other.link)


def _others(told: Told) -> str:
    said: dict[str, list[str]] = {}
    for when, other in told.others:
        if differs(told.found.judgment, other):
            what = "that no link is broken"
            if other.link:
                what = f"{other.link} ({_sure(other.probability)} sure)"
            said.setdefault(what, []).append(when)
    return " ".join(
        f"{_all(whens).capitalize()} {'says' if whens == [BEFORE] else 'say'} {what}."
        for what, whens in said.items()
    )


def _ended(told: Told) -> str:
    last = told.signups[1]
    recent = told.definition.recent_days
    if last is None or told.basis.as_of - last <= timedelta(days=recent):
        return ""
    ago = (told.basis.as_of - last).days
    return f"Nobody has signed up since {day(_day(told, last))}, {many(ago, 'day')} before the data end."  # fmt: skip


def _widened(told: Told, about: list[str]) -> str:
    wider: dict[int, list[str]] = {}
    late: dict[str, list[str]] = {}
    for link in about:
        span = told.spans[link]
        if span.days is None or span.until is None:
            continue
        if span.widened:
            wider.setdefault(span.days, []).append(link)
        behind = span_days(told.definition, link) + told.definition.recent_days
        if told.basis.as_of - span.until > timedelta(days=behind):
            late.setdefault(day(_day(told, span.until)), []).append(link)
    said = [
        f"As few can be judged on {_all(links)}, {'its' if len(links) == 1 else 'their'} sign-ups are those of {days} days."
        for days, links in wider.items()
    ]
    said += [
        f"The last sign-up that can be judged on {_all(links)} was on {on}."
        for on, links in late.items()
    ]
    return " ".join(said)


def _few_weeks(told: Told, about: list[str]) -> str:
    weeks = [told.rows[link]["weeks"] for link in about]
    few = [w for w in weeks if 0 < w < FEW_WEEKS]
    if not few:
        return ""
    return f"That speaks of sign-ups of {many(min(few), 'week')} alone; how much weeks differ cannot be seen yet."


def _stands_on(told: Told, about: list[str]) -> str:
    until = f"data complete up to {told.basis.until}."
    shown = about or [link for link in defined_links(told.definition) if told.rows[link]["of"]]
    spans: dict[str, list[str]] = {}
    for link in shown:
        spans.setdefault(_span(told, told.spans[link]), []).append(link)
    if not spans:
        return str(told.basis)
    who = "sign-ups" if told.basis.unit == "user" else "accounts"
    if len(spans) == 1:
        return f"It stands on {who} of {next(iter(spans))}; {until}"
    return f"It stands on {who} of {', '.join(f'{span} ({_all(links)})' for span, links in spans.items())}; {until}"


def _span(told: Told, span: Span) -> str:
    first, last = told.signups
    if span.since is None or span.until is None or first is None or last is None:
        return "no day"
    begin, end = _day(told, max(span.since, first)), _day(told, min(span.until, last))
    return day(begin) if begin == end else f"{day(begin)} to {day(end)}"


def _day(told: Told, moment: datetime) -> date:
    return day_of(moment, told.basis.timezone)
