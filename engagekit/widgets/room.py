"""For the room: a masked vote, the play card, and what the team agrees on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import LINK_NAMES, many, plain
from engagekit.definition import LINKS
from engagekit.playbook import PLAYS
from engagekit.priority import SOONER, later, plan
from engagekit.widgets.panel import Panel, Shown, button, choice, lines, secret, slider, text

if TYPE_CHECKING:
    from datetime import date

    from engagekit.priority import Plan, Priority
    from engagekit.workshop import Session

REVEALED = "votes revealed"
NOBODY = "not named yet"
MOST_WEEKS = 52
# What can be voted for: the word stored, and how it is called.
CHOICES = {**LINK_NAMES, "none": "None is broken", "undecided": "We cannot tell"}
HOW_TO_VOTE = ", ".join(f"{number} {name}" for number, name in enumerate(CHOICES.values(), 1))


def ballot(session: Session) -> Panel:
    """Make the ballot: the facilitator types a name and the number of a choice, which shows as a dot until revealed."""
    controls = {
        "name": text("Name", placeholder="who votes"),
        "choice": secret("Number of their choice", placeholder="typed unseen"),
    }

    def answer(_: dict[str, Any]) -> Shown:
        votes = session.part("votes")
        return Shown(dict(votes), tally(votes, revealed=revealed(session)))

    def cast() -> None:
        name, picked = controls["name"].value.strip(), picked_choice(controls["choice"].value)
        if name and picked:
            session.vote(name, picked)
        for control in controls.values():
            control.value = ""
        panel.refresh()
        if not (name and picked):
            panel.say("A vote needs a name, and the number of a choice.")

    def reveal() -> None:
        session.set(REVEALED, value=True)
        panel.refresh()

    def again() -> None:
        session.reset("votes")
        session.set(REVEALED, value=False)
        panel.refresh()

    buttons = [
        button("Cast the vote", cast),
        button("Reveal the votes", reveal),
        button("Start over", again),
    ]
    heading = "Vote: which link breaks earliest?"
    panel = Panel(
        heading, controls, answer, session, buttons=buttons, help=f"{HOW_TO_VOTE}.", pictured=False
    )
    return panel


def revealed(session: Session) -> bool:
    """Say whether the votes are revealed."""
    return bool(session.get(REVEALED, default=False))


def picked_choice(typed: str) -> str | None:
    """Read a choice from its number or its word; None if it is neither."""
    typed = typed.strip().lower()
    numbered = {str(number): choice for number, choice in enumerate(CHOICES, 1)}
    return numbered.get(typed, typed if typed in CHOICES else None)


def tally(votes: dict[str, str], *, revealed: bool) -> str:
    """Say who has voted, and once revealed, what."""
    if not votes:
        return "No votes yet."
    if not revealed:
        return (
            f"{many(len(votes), 'vote')} in, masked until revealed: {', '.join(map(plain, votes))}."
        )
    told = [
        f"{plain(name)}: {CHOICES.get(choice, plain(choice))}" for name, choice in votes.items()
    ]
    return "\n".join([f"{many(len(votes), 'vote')}:", *told])


def card(session: Session, priority: Priority, *, today: Any) -> Panel:
    """Make the play card; every change writes the session's plan."""
    rates = {r["link"]: r["rate"] for r in priority.table.to_dicts()}
    open_links = [link for link in LINKS if rates[link] is not None and rates[link] < 1]
    heading = "The play card"
    if not open_links:
        none = Shown(None, "No link can be mended yet: nobody's time is over, or all users pass.")
        return Panel(heading, {}, lambda _: none, session, pictured=False)
    first = priority.link if priority.link in open_links else open_links[0]
    names = [p.name for p in PLAYS]
    controls = {
        "link": choice("Link to mend", [(LINK_NAMES[link], link) for link in open_links], first),
        "play": choice("Play", names, priority.play if priority.play in names else _play_of(first)),
        "owner": text("Owner", placeholder="who answers for it"),
        "more": slider("Improvement aimed at (points)", _points_missing(priority, first), 1, 30),
        "start": text("The play starts on", str(today), placeholder="2026-03-01"),
        "doubt": text("What would change our mind", placeholder="write it down now"),
    }

    def follow(change: dict[str, Any]) -> None:
        controls["play"].value = _play_of(change["new"])

    controls["link"].observe(follow, "value")

    def answer(state: dict[str, Any]) -> Shown:
        goal = min(0.99, rates[state["link"]] + state["more"] / 100)
        made = plan(
            priority,
            link=state["link"],
            play=state["play"],
            goal=goal,
            today=state["start"].strip(),
        )
        written = {
            "verdict": priority.verdict, "link": state["link"], "probability": priority.probability, "sentence": priority.sentence,
            "problem": made.problem, "play": made.play, "owner": state["owner"].strip() or NOBODY, "partners": list(made.partners),
            "metric": ", ".join(made.metrics), "baseline": made.rate, "target": made.goal, "weeks": made.weeks,
            "users_needed": made.users_needed, "starts_on": str(made.starts_on), "change_our_mind": state["doubt"].strip(),
            "look_again": str(_look_again(made)),
        }  # fmt: skip
        written = {k: v for k, v in written.items() if v not in (None, "")}
        if session.part("plan") != written:
            session.replace("plan", written)
        return Shown(made, card_text(written, made))

    return Panel(heading, controls, answer, session, "play card", pictured=False)


def _answers_for(owner: str) -> str:
    return "name who answers for it" if owner == NOBODY else f"{plain(owner)} answers for it"


def _points_missing(priority: Priority, link: str) -> int:
    """Count the points up to the link's target; where there is none above, 5."""
    row = priority.table.row(by_predicate=pl.col("link") == link, named=True)
    missing = round(100 * ((row["target"] or 0) - row["rate"]))
    return min(30, missing) if missing > 0 else 5


def _play_of(link: str) -> str:
    return next((p.name for p in PLAYS if p.link == link), PLAYS[0].name)


def _look_again(made: Plan) -> date:
    """Take the day on which the effect can be seen; a team that would wait longer than a year looks after one."""
    latest = later(made.starts_on, 7 * MOST_WEEKS) or made.starts_on  # the calendar itself ends
    return latest if made.visible_on is None else min(made.visible_on, latest)


def card_text(written: dict[str, Any], made: Plan) -> str:
    """Write the card as it can be read aloud."""
    lines = [
        f"We mend {LINK_NAMES[written['link']]} with {written['play']}; {_answers_for(written['owner'])}.",
        made.sentence,
    ]
    if made.visible_on is None or str(made.visible_on) > written["look_again"]:
        short = made.weeks is not None and made.weeks <= MOST_WEEKS and made.visible_on is None
        why = "No date can be given" if short else "That is too long to wait"
        lines.append(
            f"{why}, so we look again on {written['look_again']} at the latest"
            + ("." if made.visible_on is None else f": {SOONER}.")
        )
    if written.get("change_our_mind"):
        lines.append(f"What would change our mind: {plain(written['change_our_mind'])}")
    return "\n".join(lines)


def agreed(session: Session, question: str) -> Panel:
    """Make the line on which a team writes what it agrees on; the session keeps it as a decision."""

    def said() -> str:
        return str(session.part("decisions").get(question, {}).get("answer", ""))

    def answer(state: dict[str, Any]) -> Shown:
        now = state["answer"].strip()
        if now != said():
            session.decide(question, now or None)
        return Shown(now, f"Agreed: {plain(now)}" if now else "Not agreed yet.")

    controls = {"answer": text("We agree that", said(), placeholder="one sentence")}
    return Panel(question, controls, answer, session, pictured=False)


def noted(session: Session, section: str) -> Panel:
    """Make the box for notes on a section; the session keeps them."""

    def answer(state: dict[str, Any]) -> Shown:
        now = state["note"].strip()
        if now != session.part("notes").get(section, ""):
            session.note(section, now)
        return Shown(now, now or "No notes yet.")

    box = lines("Notes", str(session.part("notes").get(section, "")))
    return Panel(section, {"note": box}, answer, session, pictured=False)
