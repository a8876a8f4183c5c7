"""For the room: the play card, what the team agrees on, and notes; each a draft until the team says that it is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import LINK_NAMES, plain
from engagekit.definition import LINKS
from engagekit.errors import ParameterError
from engagekit.instants import day_of, instant
from engagekit.playbook import PLAYS
from engagekit.priority import Plan, plan
from engagekit.widgets.form import Form, Message, Reply, action, line
from engagekit.widgets.panel import Panel, Shown, choice, lines, slider, text
from engagekit.workshop import (
    card_facts,
    card_words,
    decided_line,
    entry_of,
    is_decided,
    likelier_first,
)

if TYPE_CHECKING:
    from engagekit.priority import Priority
    from engagekit.workshop import Session

NO_LINK = NO_PLAY = ""
DECIDE = "We decide this"
AGREE = "We agree on this"
WHO_DECIDES = "who decides"  # the names typed beside the button, kept as a draft


def card(session: Session, priority: Priority, *, today: Any) -> Panel:
    """Make the play card: a draft that follows every change, until the team says that it decides this."""
    from engagekit import charts

    rates = {r["link"]: r["rate"] for r in priority.table.to_dicts()}
    open_links = [link for link in LINKS if rates[link] is not None and rates[link] < 1]
    heading = "The play card"
    if not open_links:
        none = Shown(None, "No link can be mended yet: nobody's time is over, or all users pass.")
        return Panel(heading, {}, lambda _: none, session, pictured=False)
    controls = _card_controls(priority, open_links, today)

    def made_from(state: dict[str, Any]) -> tuple[Plan, dict[str, Any]]:
        made = _plan_of(priority, state)
        facts = card_facts(priority, made, owner=state["owner"], doubt=state["doubt"])
        return made, facts | ({"points": state["more"]} if made.link else {})

    def answer(state: dict[str, Any]) -> Shown:
        made, facts = made_from(state)
        _keep_draft(session, facts, touched=session.get("play card") == state)
        return Shown(made, card_text(session, facts))

    def handle(message: Message) -> Reply:
        who = str(message.values.get("by", "")).strip()
        session.set(WHO_DECIDES, who)
        if message.act == "decide":
            panel.take(message.values)
            _decide(session, priority, made_from(panel.state)[1], message, who)
            session.set("play card", panel.state)
        panel.tell()
        return Reply()

    by = line("by", "Decided by", value=str(session.get(WHO_DECIDES, "")), placeholder="names")
    needed = "Say who decides: the names of those who stand behind it."
    form = Form([by], [action("decide", DECIDE, needs=needed)], handle, reads=controls, drafts=True)
    if not is_decided(session.part("plan")):
        session.picture(charts.svg(charts.loop(priority)), decided=False)
    panel = Panel(heading, controls, answer, session, "play card", form=form, pictured=False)
    return panel


def unplayed(priority: Priority) -> bool:
    """Say whether a link is named whose problem no play of the book mends."""
    return priority.link is not None and priority.play is None


def _card_controls(priority: Priority, open_links: list[str], today: Any) -> dict[str, Any]:
    first = priority.link if priority.link in open_links else NO_LINK
    ordered = open_links if first else likelier_first(priority, open_links)
    links = [(LINK_NAMES[link], link) for link in ordered]
    names = [(p.name, p.name) for p in PLAYS]
    if unplayed(priority):
        names.append(("none: find out first", NO_PLAY))

    def play_of(link: str) -> str:
        return (priority.play or NO_PLAY) if link == priority.link else _play_of(link)

    controls = {
        "link": choice("Link to mend", [*links, ("none yet", NO_LINK)], first),
        "play": choice("Play", names, play_of(first or ordered[0])),
        "owner": text("Owner", placeholder="who answers for it"),
        "more": slider("Improvement aimed at (points)", _points_missing(priority, first), 1, 30),
        "start": text("The play starts on", str(today), placeholder="2026-03-01"),
        "doubt": text("What would change our mind", placeholder="write it down now"),
    }

    def follow(change: dict[str, Any]) -> None:
        if change["new"] != NO_LINK:
            controls["play"].value = play_of(change["new"])

    controls["link"].observe(follow, "value")
    return controls


def _plan_of(priority: Priority, state: dict[str, Any]) -> Plan:
    zone = priority.basis.timezone
    start = day_of(
        instant(state["start"].strip(), timezone=zone, name="the start of the play"), zone
    )
    if state["link"] == NO_LINK and priority.link is None:
        return plan(priority, today=start)
    if state["link"] == NO_LINK:
        raise ParameterError(
            f"The log names {LINK_NAMES[priority.link or '']}. Choose the link to mend, or note in the agreement below why none."
        )
    if state["play"] == NO_PLAY and state["link"] != priority.link:
        raise ParameterError(f"Choose a play for {LINK_NAMES[state['link']]}.")
    goal = _goal(priority, state["link"], state["more"])
    return plan(priority, link=state["link"], play=state["play"] or None, goal=goal, today=start)


def _goal(priority: Priority, link: str, points: int) -> float:
    """Add points to a link's rate; where its target lies no further off than whole points can say, that is the goal."""
    row = priority.table.row(by_predicate=pl.col("link") == link, named=True)
    aimed, target = row["rate"] + points / 100, row["target"]
    meant = target is not None and abs(target - aimed) <= 0.005
    return float(min(0.99, target if meant else aimed))


CHOSEN = ("link", "play", "owner", "points", "starts_on", "change_our_mind")


def _keep_draft(session: Session, facts: dict[str, Any], *, touched: bool) -> None:
    """Keep the card as a draft, unless it says what is decided: its numbers move with newer data, which decides nothing."""
    plan, draft = session.part("plan"), session.part("draft")
    if not is_decided(plan):
        if plan != facts | {"draft": True}:
            session.propose(facts)
    elif touched and any(plan.get(key) != facts.get(key) for key in CHOSEN):
        if draft != facts:
            session.propose(facts)
    elif touched and draft:
        session.reset("draft")


def _decide(
    session: Session, priority: Priority, facts: dict[str, Any], message: Message, who: str
) -> None:
    from engagekit import charts

    if message.on is None:
        raise ParameterError("The browser did not say which day it is; nothing is decided.")
    session.picture(charts.svg(charts.loop(priority)), decided=True)
    session.settle(facts, on=message.on, by=who)


def _points_missing(priority: Priority, link: str) -> int:
    """Count the points up to the link's target; where there is none above, 5."""
    if link == NO_LINK:
        return 5
    row = priority.table.row(by_predicate=pl.col("link") == link, named=True)
    missing = round(100 * ((row["target"] or 0) - row["rate"]))
    return min(30, missing) if missing > 0 else 5


def _play_of(link: str) -> str:
    return next((p.name for p in PLAYS if p.link == link), PLAYS[0].name)


def card_text(session: Session, facts: dict[str, Any]) -> str:
    """Write the card as it can be read aloud, and whether it is decided."""
    decided, draft = session.part("plan"), session.part("draft")
    if is_decided(decided) and not draft:
        return "\n".join([decided_line(decided), *card_words(decided)])
    who = str(session.get(WHO_DECIDES, "")).strip()
    told = f"Draft, not decided yet: press '{DECIDE}'" + (f" to write down that {plain(who)} did." if who else ", with the names of those who do.")  # fmt: skip
    said = [told, *card_words(facts)]
    if is_decided(decided):
        said.append(f"Until then it stands: {decided_line(decided)} {card_words(decided)[0]}")
    return "\n".join(said)


def agreed(session: Session, question: str) -> Panel:
    """Make the line on which a team writes what it agrees on: a draft, until it says that it agrees."""

    def entry() -> dict[str, Any]:
        return entry_of(session.part("decisions").get(question))

    def answer(_: dict[str, Any]) -> Shown:
        now = entry()
        return Shown(str(now.get("answer", "")), agreement_text(now))

    def handle(message: Message) -> Reply:
        said = str(message.values.get("answer", "")).strip()
        if message.act == "draft":
            session.suggest(question, said)
        elif said:
            session.decide(question, said, today=message.on)
        elif entry() and not message.sure:
            return Reply(ask="Take back what stands here?", yes="Take it back", no="Keep it")
        else:
            session.decide(question, None)
        panel.tell()
        return Reply()

    now = entry()
    written = str(now.get("instead", now.get("answer", "")))
    form = Form(
        [line("answer", "We agree that", value=written, placeholder="one sentence")],
        [action("agree", AGREE, on_enter=True)],
        handle,
        drafts=True,
    )
    panel = Panel(question, {}, answer, session, form=form, pictured=False)
    return panel


def agreement_text(entry: dict[str, Any]) -> str:
    """Say what is agreed, on which day, and what is only a draft."""
    if not entry or not str(entry["answer"]).strip():
        return "Not agreed yet."
    if entry.get("draft"):
        return f"Draft, not agreed yet: {plain(entry['answer'])}"
    on = f" on {plain(entry['on'])}" if entry.get("on") else ""
    said = [f"Agreed{on}: {plain(entry['answer'])}"]
    if "instead" in entry:
        said.append(
            f"Draft of another answer, not agreed yet: {plain(entry['instead']) or '(none)'}"
        )
    return "\n".join(said)


def noted(session: Session, section: str) -> Panel:
    """Make the box for notes on a section; the session keeps them."""

    def answer(state: dict[str, Any]) -> Shown:
        now = state["note"].strip()
        if now != session.part("notes").get(section, ""):
            session.note(section, now)
        return Shown(now, now or "No notes yet.")

    box = lines("Notes", str(session.part("notes").get(section, "")))
    return Panel(section, {"note": box}, answer, session, pictured=False)
