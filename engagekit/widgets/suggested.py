"""Before any verdict: a masked vote on targets, what changed, and whether another activation would change the answer."""

from __future__ import annotations

import dataclasses
import re
from statistics import median
from typing import TYPE_CHECKING, Any

from engagekit._base import LINK_NAMES, many, percent, plain
from engagekit.diagnosis import LOSABLE, defined_links
from engagekit.priority import explain_change, suggest_targets, what_changed_lately
from engagekit.views import change_title, moved, targets_title
from engagekit.widgets.ballots import ballot_key, handle_vote, vote_actions
from engagekit.widgets.form import Form, Message, Reply, action, line
from engagekit.widgets.panel import Panel, Shown, choice, text
from engagekit.widgets.targets import COVERED, comparable
from engagekit.workshop import TARGETS, activation_candidates, compare_activations, event_table

if TYPE_CHECKING:
    from engagekit.journeys import Journeys
    from engagekit.workshop import Session

NO_TARGET = "-"


def target_vote(session: Session, journeys: Journeys) -> Panel:
    """Make the vote on targets: each types a name and one percentage per link, which shows as dots until revealed."""
    from engagekit import charts

    links = [link for link in LOSABLE if link in defined_links(journeys.definition)]
    order = ", ".join(LINK_NAMES[link].lower() for link in links)
    needed = (
        f"A vote needs a name, and {many(len(links), 'percentage')}: {order}; {NO_TARGET} for none."
    )
    picture = charts.targets(suggest_targets(journeys))

    def answer(_: dict[str, Any]) -> Shown:
        votes, shown = session.votes(TARGETS), session.revealed(TARGETS)
        agreed = medians(votes, links) if shown else {}
        return Shown(
            agreed, tally(votes, links, revealed=shown, late=session.late(TARGETS)), picture
        )

    def handle(message: Message) -> Reply:
        if message.act == "take":
            return Reply(_taken(session, links))
        return handle_vote(
            session, TARGETS, message, lambda typed: read_targets(typed, links), needed, panel
        )

    typed = line("choice", f"Their targets in %: {order}", placeholder="typed unseen, such as 45 40 55", secret=True)  # fmt: skip
    cast, reveal, again = vote_actions(needed)
    form = Form(
        [line("name", "Name", placeholder="who votes"), typed],
        [cast, reveal, action("take", "Set the medians as targets", defines=True), again],
        handle,
        key=ballot_key(session, TARGETS),
    )
    heading = "Vote: at which rate would you stop worrying?"
    panel = Panel(heading, {}, answer, session, form=form)
    return panel


def _taken(session: Session, links: list[str]) -> str:
    """Make the medians of the votes the targets of the definition, once they are revealed; say so."""
    agreed = medians(session.votes(TARGETS), links)
    if not agreed or not session.revealed(TARGETS):
        return "Reveal the votes first."
    session.define(dataclasses.replace(session.definition, targets=agreed))
    said = ", ".join(f"{LINK_NAMES[link].lower()} {percent(rate)}" for link, rate in agreed.items())
    return f"Written to definition.toml: {said}. Run the notebook again from the top, and every answer stands on them."


def read_targets(typed: str, links: list[str]) -> list[float | None] | None:
    """Read one percentage per link, or None if it is no such list; ``-`` is no target.

    Examples
    --------
    >>> read_targets("45, 40 -", ["activation", "habit", "depth"])
    [0.45, 0.4, None]
    >>> read_targets("45", ["activation", "habit"]) is None, read_targets("450 3", ["activation", "habit"]) is None
    (True, True)
    """
    parts = re.split(r"[\s,;%]+", typed.strip().strip("%"))
    if len(parts) != len(links):
        return None
    found: list[float | None] = []
    for part in parts:
        if part == NO_TARGET:
            found.append(None)
        elif re.fullmatch(r"\d{1,2}(\.\d+)?", part) and 0 < float(part) < 100:
            found.append(float(part) / 100)
        else:
            return None
    return found


def medians(votes: dict[str, Any], links: list[str]) -> dict[str, float]:
    """Take per link the median of the targets voted for; a link for which most want none has none."""
    found = {}
    for place, link in enumerate(links):
        given = [v[place] for v in votes.values() if len(v) == len(links) and v[place] is not None]
        if given and 2 * len(given) > len(votes):
            found[link] = round(median(given), 4)
    return found


def tally(votes: dict[str, Any], links: list[str], *, revealed: bool, late: list[str]) -> str:
    """Say who has voted, and once revealed, what."""
    if not votes:
        return "No votes yet."
    names = ", ".join(map(plain, votes))
    if not revealed:
        return f"{many(len(votes), 'vote')} in, masked until revealed: {names}."
    agreed = medians(votes, links)
    lines = [f"{many(len(votes), 'vote')}: {names}."]
    if late:
        lines.append(f"Late, after the reveal: {', '.join(map(plain, sorted(late)))}.")
    for place, link in enumerate(links):
        given = sorted(
            v[place] for v in votes.values() if len(v) == len(links) and v[place] is not None
        )
        told = ", ".join(percent(rate) for rate in given) or "nobody wants a target"
        middle = f"; the median is {percent(agreed[link])}" if link in agreed else ""
        lines.append(f"{LINK_NAMES[link]}: {told}{middle}.")
    return "\n".join(lines)


def suggestions(session: Session, journeys: Journeys, *, after: Panel | None) -> Panel:
    """Make the picture of suggested targets; covered until the votes of the panel `after` are revealed."""
    from engagekit import charts

    def answer(_: dict[str, Any]) -> Shown:
        if after is not None and not session.revealed():
            return Shown(None, COVERED)
        found = suggest_targets(journeys)
        return Shown(found, f"{targets_title(found.to_dicts())}.", charts.targets(found))

    return Panel("What has this product reached itself?", {}, answer, session, follows=after)


def changed_since(session: Session, journeys: Journeys, *, after: Panel | None) -> Panel:
    """Make the panel that says what changed with the sign-ups from a day on; covered as `suggestions`."""
    from engagekit import charts

    lately = what_changed_lately(journeys)
    start = "" if lately is None else str(lately["after_since"][0].date())
    groups = [("nothing", ""), *((p, p) for p in comparable(journeys))]
    controls = {
        "since": text("Sign-ups from this day on", start, placeholder="2026-03-01"),
        "by": choice("Set apart the mix of", groups, ""),
    }

    def answer(state: dict[str, Any]) -> Shown:
        if after is not None and not session.revealed():
            return Shown(None, COVERED)
        since = state["since"].strip()
        if not since:
            return Shown(None, "Type a day: its sign-ups are compared with as many days before.")
        found = explain_change(journeys, since=since, by=state["by"] or None)
        rows = found.to_dicts()
        return Shown(found, f"{change_title(rows)}. {moved(rows)}", charts.change(found))

    return Panel("What changed?", controls, answer, session, "what changed", follows=after)


def other_activations(session: Session) -> Panel:
    """Make the panel that shows the loop and the verdict of three candidates for the activation."""
    from engagekit import charts

    table = event_table(session.events())
    _, *others = activation_candidates(table, session.definition)
    names = [(plain(event), event) for event in table["event"]]
    controls = {
        f"candidate {number}": choice(f"Candidate {number}", names, event)
        for number, event in enumerate(others, 2)
    }
    tried: dict[str, Any] = {}  # one roll-up per event, however often the choice moves
    under = [session.definition]  # which the picker may change meanwhile

    def asked(event: str, own: str) -> Any:
        if event not in tried:
            log, users, as_of = session.data()
            matcher = under[0].activation if event == own else event
            tried[event] = compare_activations(
                log, under[0], {event: matcher}, users=users, as_of=as_of
            )
        return tried[event]

    def answer(state: dict[str, Any]) -> Shown:
        import polars as pl

        if session.definition != under[0]:
            tried.clear()
            under[0] = session.definition
        own, *_ = activation_candidates(table, under[0])
        events = list(dict.fromkeys([own, *state.values()]))
        found = pl.concat([asked(event, own) for event in events])
        first = pl.struct("verdict", "link")
        found = found.with_columns(
            pl.when(pl.col("verdict").is_not_null()).then(first == first.first()).alias("same")
        )
        return Shown(found, told(found.to_dicts()), charts.activations(found))

    return Panel(
        "Would another activation change the answer?",
        controls,
        answer,
        session,
        "other activations",
    )


def told(rows: list[dict[str, Any]]) -> str:
    """Say which candidates give another verdict."""
    lines = []
    for row in rows[1:]:
        name = plain(row["candidate"])
        if row["verdict"] is None:
            lines.append(f"{name}: {row['sentence']}")
        elif row["same"]:
            lines.append(f"With {name} the verdict stays the same.")
        else:
            what = LINK_NAMES[row["link"]] if row["link"] else row["verdict"]
            lines.append(f"With {name} the verdict is another: {what}.")
    return "\n".join(lines) or "There is no other candidate in the log."
