"""What a page may not say beside its numbers: pairs of words and of the numbers that speak against them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import engagekit as ek
from engagekit.diagnosis import defined_links

if TYPE_CHECKING:
    from collections.abc import Callable

    from course_pages import Said

LINKS = ("activation", "habit", "depth", "advocacy")
FEW = 30


@dataclass(frozen=True)
class Facts:
    """What the log and the answers say, read off their fields, never off sentences."""

    own: bool = False
    verdict: str = "named"
    link: str | None = "habit"
    problem: str | None = "Repeat value"
    play: str | None = "Repeat Value"
    targets: bool = True
    steps: bool = True
    test: bool = False
    defined: frozenset[str] = frozenset(LINKS)
    left_out: int = 0
    margin: float = 2.0
    recent: int | None = 91
    widened: bool = False
    most_common: str | None = "Repeat value"
    until: str = "2026-01-01"
    sentence: str = field(default="", compare=False)


def facts_of(session: ek.Session, journeys: ek.Journeys) -> Facts:
    definition, found = journeys.definition, ek.prioritize(journeys, targets=session.targets())
    labels = ek.diagnose(journeys).drop_nulls("play")
    common = labels.sort("n", descending=True, maintain_order=True).row(0, named=True)
    spans = [
        (row["until"] - row["since"]).days
        for row in found.table.to_dicts()
        if row["since"] is not None and row["until"] is not None and row["of"]
    ]
    return Facts(
        own="events" in session.part("about"),
        verdict=found.verdict,
        link=found.link,
        problem=found.problem,
        play=found.play,
        targets=found.table["target"].drop_nulls().len() > 0,
        steps=bool(definition.steps),
        test=definition.experiment is not None,
        defined=frozenset(defined_links(definition)),
        left_out=journeys.left_out.height,
        margin=100 * definition.margin,
        recent=definition.recent_days,
        widened=bool(definition.recent_days)
        and any(days > definition.recent_days for days in spans),
        most_common=common["problem"] if common["n"] else None,
        until=str(
            (journeys.as_of - timedelta(microseconds=1))
            .astimezone(ZoneInfo(journeys.timezone))
            .date()
        ),
        sentence=found.sentence,
    )


@dataclass(frozen=True)
class Pair:
    """Words, the numbers they do not go with, and an example of both together."""

    says: str
    against: Callable[[re.Match[str], Facts], bool]
    example: str
    facts: Facts
    but: str = ""  # what the same page may say to make it right


def _links(words: str) -> set[str]:
    return {link for link in LINKS if link in words.lower()}


PAIRS = [
    Pair(r"a made-up product|[Uu]ntil you bring (your own|a log)", lambda m, f: f.own, "Until you bring a log of your own, it stands on Trailhead", Facts(own=True)),
    Pair(r"(is|on) your own( log)?\b,", lambda m, f: not f.own, "The log is your own, *Trailhead*", Facts(own=False)),
    Pair(r"tick is the target", lambda m, f: not f.targets, "The tick is the target the team set", Facts(targets=False)),
    Pair(r"No targets are set", lambda m, f: f.targets, "No targets are set, so", Facts(targets=True, verdict="none broken", link=None)),
    Pair(r"Momentum breaks earliest at (\w+)|(Activation|Habit|Depth|Advocacy)[\w ()]* is the earliest broken link|(Activation|Habit|Depth|Advocacy) breaks first", lambda m, f: next(filter(None, m.groups())).lower() != f.link, "Momentum breaks earliest at depth", Facts()),
    Pair(r"start with the play ([\w &-]+?)\.", lambda m, f: m[1] != f.play, "start with the play Repeat Value.", Facts(verdict="undecided", link=None, play=None)),
    Pair(r"\| Play \| ([\w &-]+) \|", lambda m, f: m[1] != f.play, "| Play | Contextual Guidance |", Facts()),
    Pair(r"earliest link that is very probably|not the largest loss|nor the largest loss", lambda m, f: f.verdict != "named", "It is the earliest link that is very probably more than two points below", Facts(verdict="no targets", link=None, targets=False)),
    Pair(r"nothing to mend now|No link is broken\b(?! by)", lambda m, f: f.verdict != "none broken", "there is nothing to mend now", Facts()),
    Pair(r"Undecided is a result|It is undecided|Undecided which", lambda m, f: f.verdict != "undecided", "It is undecided whether", Facts()),
    Pair(r"no link is named", lambda m, f: f.link is not None, "by the loop, no link is named", Facts()),
    Pair(r"this is the link, and", lambda m, f: f.link is None, "**Agree on:** this is the link, and these are the targets.", Facts(verdict="undecided", link=None)),
    Pair(r"look first at who signs up|look at who signs up", lambda m, f: f.problem != "acquisition or tracking", "No play fits: look at who signs up, and at the tracking, first.", Facts(verdict="undecided", link=None, problem=None)),
    Pair(r"No steps are defined", lambda m, f: f.steps, "No steps are defined", Facts()),
    Pair(r"One step far above|stands out: [\d.]+% of those who reach it|reached a step, those who did not", lambda m, f: not f.steps, "One step far above the others is worth watching", Facts(steps=False)),
    Pair(r"No step has been reached", lambda m, f: not f.steps, "No step has been reached by anyone", Facts(steps=False)),
    Pair(r"At ([\w ,]+) nobody can be judged", lambda m, f: not _links(m[1]) <= f.defined, "At Advocacy nobody can be judged yet", Facts(defined=frozenset(LINKS[:3]))),
    Pair(r"([\w ,]+) cannot be judged: the definition names no events", lambda m, f: bool(_links(m[1]) & f.defined), "Depth cannot be judged: the definition names no events for it", Facts()),
    Pair(r"Advocacy is named only if", lambda m, f: "advocacy" not in f.defined, "Advocacy is named only if you set a target", Facts(defined=frozenset(LINKS[:3]))),
    Pair(r"Nobody is left out", lambda m, f: f.left_out > 0, "Nobody is left out", Facts(left_out=1)),
    Pair(r"more than (\w+) points? below", lambda m, f: {"one": 1.0, "two": 2.0}.get(m[1], float(m[1]) if m[1][0].isdigit() else -1) != f.margin, "more than two points below", Facts(margin=3.0)),
    Pair(r"the last (\d+) days\b", lambda m, f: int(m[1]) != f.recent, "of the last 91 days", Facts(recent=28)),
    Pair(r"the last (\d+) days\b", lambda m, f: f.widened, "among the sign-ups of the last 91 days that can be judged", Facts(widened=True), but="or of more days"),
    Pair(r"No test is set up", lambda m, f: f.test, "No test is set up", Facts(test=True)),
    Pair(r"The loop points the same way", lambda m, f: f.problem != f.most_common, "The loop points the same way", Facts(most_common="Friction")),
    Pair(r"The loop names (\w+)", lambda m, f: m[1].lower() != f.link, "The loop names Depth", Facts()),
    Pair(r"(\d+)% came back in \w+ \d+[^(]*\(([\d,]+) of ([\d,]+)", lambda m, f: int(m[3].replace(",", "")) < FEW, "100% came back in week 11 (1 of 1 users", Facts()),
    Pair(r"day to look again, (\S+), has come", lambda m, f: m[1] > f.until, "the day to look again, 2027-01-01, has come", Facts()),
    Pair(r"the day to look again is (\d[\d-]+)", lambda m, f: m[1] <= f.until, "the day to look again is 2025-01-01, so", Facts()),
    Pair(r"(?<![\d,.])1 (users|events|days|weeks|sign-ups|votes|points) ", lambda m, f: True, "1 users are much quieter", Facts()),
    Pair(r"(?m)^\|[^\n]*\|\n\|:?-[^\n]*\|\s*\Z", lambda m, f: True, "| reason | count |\n|:---|---:|\n", Facts()),
    Pair(r"last third of the (log|data) stands in", lambda m, f: True, "the last third of the log stands in", Facts()),
]  # fmt: skip

# What only a programmer understands.
CODE = re.compile(
    r"Traceback|\bek\.\w|\bpl\.\w|\b\w+(Error|Warning)\b|=(True|False|None)\b|\b[a-z_]{2,}=['\[\d]|\bNone\b(?! is broken)|\bNaN\b|DataFrame|LazyFrame|\bStep\(|object at 0x|group_by|<class|__\w+__|signups\\?_per\\?_week|\bsay [a-z]+="
)


def contradictions(page: list[Said], facts: Facts) -> list[str]:
    """List what the cells say against the numbers: notebook, cell, and the words."""
    found = []
    for said in page:
        for pair in PAIRS:
            for match in re.finditer(pair.says, said.text):
                excused = pair.but and pair.but in said.text
                if not excused and pair.against(match, facts):
                    found.append(f"{said.notebook} [{said.cell}] says {match[0]!r}")
    return found


def in_code(page: list[Said]) -> list[str]:
    """List the outputs that speak to a programmer."""
    return [
        f"{said.notebook} [{said.cell}] says {said.text[max(0, match.start() - 40) : match.end() + 40]!r}"
        for said in page
        if said.kind == "code"
        for match in CODE.finditer(said.text)
    ]
