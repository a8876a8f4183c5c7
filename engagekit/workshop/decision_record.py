"""The decision record: what a team leaves the room with, as Markdown and HTML, for people who were not in the room."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagekit._base import LINK_NAMES, in_markdown, many, percent, plain, write_whole
from engagekit.errors import EngagekitError
from engagekit.workshop import ballots
from engagekit.workshop.drafts import entry_of, is_decided
from engagekit.workshop.plan_card import card_words
from engagekit.workshop.plan_rows import (
    REVIEWED,
    decided_line,
    definition_rows,
    loop_rows,
    meanings,
    plan_rows,
    verdict_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.workshop.session import Session

MARKDOWN, HTML = "decision-record.md", "decision-record.html"
DRAWN, DECIDED = "loop-draft.svg", "loop-decided.svg"  # the picture of the loop, as it was then
STYLE = (
    ":root{color-scheme:light dark;--ink:#1b1f24;--page:#fff;--line:#d0d7de;--mute:#57606a}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--page:#0d1117;--line:#3d444d;--mute:#9aa4af}}"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:46rem;margin:2rem auto;padding:0 1rem;"
    "overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .6rem;"
    "border-bottom:1px solid var(--line)}th{width:16rem;font-weight:600}h1{font-size:1.7rem}h2{margin-top:2rem}"
    ".state{border-left:4px solid #0072B2;padding:.4rem .8rem;font-weight:600}.draft{border-left-style:dashed}"
    "img{max-width:100%;background:#fff;padding:8px;box-sizing:border-box;border-radius:4px}.scroll{overflow-x:auto}"
)
LOOP = (
    "Users get from one link to the next. Each share is of those who passed the link before and whose time to pass this one is "
    "over; nobody too new is judged."
)
MOST_ROWS = 12  # of more votes, each choice is a row
Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """One part of the record: a heading, sentences, and a table whose rows begin with their heading."""

    heading: str
    rows: Sequence[Sequence[str]] = ()
    said: Sequence[str] = ()
    columns: Sequence[str] = ()
    picture: str | None = None
    pictured: str = ""  # the same in words


@dataclass(frozen=True)
class Record:
    """The whole record, as it is written in either form."""

    title: str
    state: str
    decided: bool
    said: Sequence[str]
    sections: Sequence[Section]


def record(session: Session) -> Record:
    """Gather the record as it stands in the session now."""
    plan = session.part("plan")
    found = [
        Section("Decision", plan_rows(plan) if plan else []),
        *(_grounds(session, plan) if plan else []),
        Section("Who voted what", vote_rows(session), said=_masked(session)),
        Section("What the team agreed on", agreement_rows(session)),
        Section("Notes", [(name, str(text)) for name, text in session.part("notes").items()]),
        *_beside(session, plan),
    ]
    product = f"{plain(plan['product'])}, " if plan.get("product") else ""
    return Record(
        f"Decision record: {product}{session.team}",
        decided_line(plan),
        is_decided(plan),
        card_words(plan) if plan else [],
        [each for each in found if each.rows or each.said],
    )


def _grounds(session: Session, plan: dict[str, Any]) -> list[Section]:
    """Show what the plan stands on: the verdict, the loop, and what success means."""
    name = DECIDED if is_decided(plan) else DRAWN
    picture = name if (session.folder / name).is_file() else None
    loop = loop_rows(plan)
    return [
        Section("What the log says", verdict_rows(plan)),
        Section(
            "The loop",
            loop,
            said=[LOOP] if loop else [],
            columns=("Link", "Passed", "Share", "95% interval", "Target of the team"),
            picture=picture,
            pictured="; ".join(f"{row[0]} {row[2]}" for row in loop),
        ),
        Section("What the links mean", meanings(plan)),
        Section(
            "What success means here",
            definition_rows(plan.get("definition")),
            said=_moved_on(session, plan),
        ),
    ]


def _moved_on(session: Session, plan: dict[str, Any]) -> list[str]:
    """Say where the team has changed its definition since."""
    try:
        now = session.definition
    except EngagekitError:
        return []
    then = dict(definition_rows(plan.get("definition")))
    then.pop("Guess", None)
    changed = [name for name, text in definition_rows(now) if then.get(name, text) != text]
    return [f"Changed since in the team's definition: {', '.join(changed)}."] * bool(changed)


def vote_rows(session: Session) -> Rows:
    """Say who voted for what, late votes as such; nothing before the votes are revealed, unless the plan is decided."""
    if not votes_are_open(session):
        return []
    rows = _by_choice(session) if len(session.votes()) > MOST_ROWS else _by_name(session)
    if session.revealed(ballots.TARGETS):
        late = session.late(ballots.TARGETS)
        rows += [
            (f"{name}, on targets", _targets(given) + (" (late)" if name in late else ""))
            for name, given in session.votes(ballots.TARGETS).items()
        ]
    return rows


def _by_name(session: Session) -> Rows:
    late = session.late()
    return [
        (name, _choice(choice) + (" (late, after the reveal)" if name in late else ""))
        for name, choice in session.votes().items()
    ]


def _by_choice(session: Session) -> Rows:
    late = session.late()
    names: dict[str, list[str]] = {}
    for name, choice in session.votes().items():
        names.setdefault(_choice(choice), []).append(name + (" (late)" if name in late else ""))
    return [(choice, ", ".join(each)) for choice, each in names.items()]


def votes_are_open(session: Session) -> bool:
    """Tell whether what was voted may be shown."""
    return session.revealed() or is_decided(session.part("plan"))


def _masked(session: Session) -> list[str]:
    votes = session.votes()
    if not votes:
        return []
    if not votes_are_open(session):
        return [f"{many(len(votes), 'vote')}, not revealed yet."]
    counted = Counter(_choice(choice) for choice in votes.values()).most_common()
    return [", ".join(f"{choice}: {number}" for choice, number in counted) + "."]


def _choice(choice: Any) -> str:
    return CHOICES.get(str(choice), str(choice))


CHOICES = {**LINK_NAMES, "none": "None is broken", "undecided": "We cannot tell"}


def _targets(given: Any) -> str:
    each = given if isinstance(given, list) else [given]
    return ", ".join(percent(rate) if isinstance(rate, (int, float)) else "none" for rate in each)


def agreement_rows(session: Session) -> Rows:
    """Say what the team agreed on, on which day; drafts as drafts."""
    rows = []
    for question, stored in session.part("decisions").items():
        entry = entry_of(stored)
        answer = entry["answer"]
        text = ", ".join(map(str, answer)) if isinstance(answer, list) else str(answer)
        marks = ["draft, not agreed yet"] * bool(entry.get("draft")) + [entry.get("on")]
        marked = ", ".join(str(mark) for mark in marks if mark)
        text = f"{text} ({marked})" if marked else text
        if entry.get("instead"):
            text += f". Draft of another answer, not agreed yet: {entry['instead']}"
        rows.append((question, text))
    return rows


def _beside(session: Session, plan: dict[str, Any]) -> list[Section]:
    """Show the draft of another plan, and the decisions before this one."""
    draft, earlier = session.part("draft"), plan.get("earlier", [])
    tables = (
        [each for each in earlier if isinstance(each, dict)] if isinstance(earlier, list) else []
    )
    told = [(decided_line(each), " ".join(card_words(each))) for each in tables]
    beside = Section(
        "A draft of another plan, not decided", said=card_words(draft) if draft else []
    )
    return [beside, Section("Decisions before this one", told)]


def planned(session: Session) -> list[str]:
    """Write what a review looks at of the plan, line by line; none where nothing is planned."""
    plan = session.part("plan")
    lines = [f"{heading}: {text}" for heading, text in plan_rows(plan) if heading in REVIEWED]
    return lines or ["No play is planned yet: notebook 07."]


def as_markdown(session: Session) -> str:
    """Write the record as Markdown; what people typed is inert."""
    found = record(session)
    parts = [f"# {_mark(found.title)}", f"**{_mark(found.state)}**", *map(_mark, found.said)]
    for section in found.sections:
        parts += [f"## {section.heading}", *map(_mark, section.said)]
        if section.picture:
            parts.append(f"![The loop, drawn: {_mark(section.pictured)}]({section.picture})")
        if section.rows:
            columns = section.columns or [""] * len(section.rows[0])
            lines = [columns, ["---"] * len(columns), *(map(_mark, row) for row in section.rows)]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _mark(value: str) -> str:
    return in_markdown(_flat(value)).replace("&amp; ", "& ")  # before a blank it begins no entity


def _flat(text: str) -> str:
    return " / ".join(part for part in text.splitlines() if part.strip())


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # What people typed is inert: escaped by the template, and without signs that hide or turn text.
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    ).get_template("record.html.jinja")


def as_html(session: Session) -> str:
    """Write the record as one page that needs nothing from outside; what people typed is inert."""
    found = record(session)
    pictures = {
        each.picture: base64.b64encode((session.folder / each.picture).read_bytes()).decode()
        for each in found.sections
        if each.picture
    }
    return str(_template().render(record=found, pictures=pictures, style=STYLE, flat=_flat))


def export(session: Session) -> tuple[Path, Path]:
    """Write the record beside the session, as Markdown and HTML; return both paths."""
    paths = session.folder / MARKDOWN, session.folder / HTML
    write_whole(paths[0], as_markdown(session).encode())
    write_whole(paths[1], as_html(session).encode())
    return paths
