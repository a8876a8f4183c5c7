"""What each review saw, kept small: so that a room knows whether last month's number was lower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit._base import LINK_NAMES, count, day, in_markdown, percent
from engagekit.definition import LINKS
from engagekit.instants import last_day
from engagekit.playbook import Handout

if TYPE_CHECKING:
    from engagekit.journeys import Journeys
    from engagekit.priority import Priority
    from engagekit.review import Tracked
    from engagekit.workshop.session import Session

KEPT = "reviews"  # the session keeps them as it keeps the state of a control
MOST = 60


def reviews(
    session: Session,
    journeys: Journeys,
    priority: Priority,
    *,
    review: str,
    tracked: Tracked | None = None,
) -> Handout:
    """Keep what this review sees, one row per last day of the data, and show all that were kept.

    Running a review again on the same data changes its row, nothing else.
    """
    until = day(last_day(journeys.as_of, journeys.timezone))
    seen = _seen(priority, tracked) | {"review": review}
    before = kept_reviews(session)
    found = dict(sorted((before | {f"{until} {review}": seen}).items())[-MOST:])
    if found != before:
        session.set(KEPT, found)
    return Handout("\n".join(_table(found)))


def kept_reviews(session: Session) -> dict[str, dict[str, Any]]:
    """Return what was kept, by last day and kind of review; a session's file can hold anything."""
    kept = session.get(KEPT, {})
    items = kept.items() if isinstance(kept, dict) else ()
    return {key: value for key, value in items if isinstance(value, dict)}


def _seen(priority: Priority, tracked: Tracked | None) -> dict[str, Any]:
    loop = {row["link"]: [row["n"], row["of"]] for row in priority.table.to_dicts() if row["of"]}
    play = None if tracked is None else tracked.verdict
    return {"verdict": priority.verdict, "link": priority.link, "loop": loop, "play": play}


def _table(found: dict[str, dict[str, Any]]) -> list[str]:
    heads = ["Data until", "Review", "Verdict", *(LINK_NAMES[link] for link in LINKS), "The play"]
    lines = [f"| {' | '.join(heads)} |", "|:---|:---|:---|---:|---:|---:|---:|:---|"]
    for key, row in found.items():
        loop = row.get("loop")
        rates = [_rate(loop.get(link) if isinstance(loop, dict) else None) for link in LINKS]
        link = LINK_NAMES.get(str(row.get("link")))
        verdict = f"{link} breaks first" if link else str(row.get("verdict", "–"))
        cells = [key.split(" ")[0], row.get("review", "–"), verdict, *rates, row.get("play") or "–"]
        lines.append(f"| {' | '.join(in_markdown(cell) for cell in cells)} |")
    return lines


def _rate(counted: Any) -> str:
    match counted:
        case [int(n), int(of)] if of > 0:
            return f"{percent(n / of)} of {count(of)}"
    return "–"
