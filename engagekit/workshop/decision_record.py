"""The decision record: what a team leaves the room with, as Markdown and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit._base import LINK_NAMES, in_html, in_markdown, percent, sure, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engagekit.workshop.session import Session

MARKDOWN, HTML = "decision-record.md", "decision-record.html"
# What the plan part of a session holds, in the order of the record: key, heading, way of writing.
PLAN: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("draft", "State", lambda _: "draft, not decided yet"),
    ("verdict", "Verdict", str),
    ("link", "Link to mend first", lambda v: LINK_NAMES.get(str(v), str(v))),
    ("probability", "How sure", sure),
    ("sentence", "In one sentence", str),
    ("problem", "Problem", str),
    ("play", "Play", str),
    ("owner", "Owner", str),
    ("partners", "Partners", str),
    ("metric", "Metric", str),
    ("baseline", "Today", percent),
    ("target", "Target", percent),
    ("starts_on", "The play starts on", str),
    ("look_again", "Look again on", str),
    ("weeks", "Weeks until it can be seen", str),
    ("users_needed", "Sign-ups needed to see it", str),
    ("change_our_mind", "What would change our mind", str),
)
REVIEWED = {
    "draft",
    "link",
    "play",
    "owner",
    "baseline",
    "target",
    "starts_on",
    "look_again",
    "change_our_mind",
}
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .6rem;"
    "border-bottom:1px solid #d0d7de}th{width:16rem;font-weight:600}h1{font-size:1.7rem}h2{margin-top:2rem}"
)
Rows = list[tuple[str, str]]


def record(session: Session) -> dict[str, Rows]:
    """Gather the record: each section with its rows of heading and text, as they stand in the session now."""
    plan, votes = session.part("plan"), session.part("votes")
    decided = [(q, _decision(d)) for q, d in session.part("decisions").items()]
    return {
        "Decision": [
            (heading, _written(write, plan[key])) for key, heading, write in PLAN if key in plan
        ],
        "Who voted what": [
            (name, LINK_NAMES.get(str(choice), str(choice))) for name, choice in votes.items()
        ],
        "What the team agreed on": decided,
        "Notes": [(section, str(text)) for section, text in session.part("notes").items()],
    }


def planned(session: Session) -> list[str]:
    """Write what a review looks at of the plan, line by line; none where nothing is planned."""
    plan = session.part("plan")
    lines = [f"{h}: {_written(w, plan[k])}" for k, h, w in PLAN if k in REVIEWED and k in plan]
    return lines or ["No play is planned yet: notebook 07."]


def _decision(entry: Any) -> str:
    answer = entry.get("answer") if isinstance(entry, dict) else entry
    text = ", ".join(map(str, answer)) if isinstance(answer, list) else str(answer)
    told = (
        []
        if not isinstance(entry, dict)
        else ["draft"] * bool(entry.get("draft")) + [entry.get("on")]
    )
    said = ", ".join(str(each) for each in told if each)
    return f"{text} ({said})" if said else text


def _written(write: Callable[[Any], str], value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
    return write(value) if numeric or write not in (percent, sure) else str(value)


def as_markdown(session: Session) -> str:
    """Write the record as Markdown; what people typed is inert."""
    lines = [f"# Decision record: {in_markdown(session.team)}", ""]
    for section, rows in record(session).items():
        if rows:
            lines += [f"## {section}", "", "| | |", "|---|---|"]
            lines += [f"| {in_markdown(a)} | {in_markdown(_flat(b))} |" for a, b in rows] + [""]
    return "\n".join(lines)


def _flat(text: str) -> str:
    return " / ".join(part for part in text.splitlines() if part.strip())


def as_html(session: Session) -> str:
    """Write the record as one page that needs nothing from outside; what people typed is inert."""
    parts = [f"<h1>Decision record: {in_html(session.team)}</h1>"]
    for section, rows in record(session).items():
        if rows:
            cells = "".join(
                f"<tr><th scope=row>{in_html(a)}</th><td>{in_html(_flat(b))}</td></tr>"
                for a, b in rows
            )
            parts.append(f"<h2>{section}</h2><table>{cells}</table>")
    title = f"<title>Decision record: {in_html(session.team)}</title>"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{title}<style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def export(session: Session) -> tuple[Path, Path]:
    """Write the record beside the session, as Markdown and HTML; return both paths."""
    paths = session.folder / MARKDOWN, session.folder / HTML
    write_whole(paths[0], as_markdown(session).encode())
    write_whole(paths[1], as_html(session).encode())
    return paths
