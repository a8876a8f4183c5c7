"""For the room: a masked vote, the play card, and what the team agrees on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.definition import LINKS
from engagekit.planning import plan
from engagekit.playbook import PLAYS
from engagekit.widget_panel import Panel, Shown, button, choice, slider, text
from engagekit.wording import LINK_NAMES, count, many, percent, plain

if TYPE_CHECKING:
    from engagekit.priority import Priority
    from engagekit.session import Session

REVEALED = "votes revealed"
CHOICES = [
    *[(LINK_NAMES[link], link) for link in LINKS],
    ("None is broken", "none"),
    ("We cannot tell", "undecided"),
]


def ballot(session: Session) -> Panel:
    """Make the ballot: the facilitator types a name and a choice; choices stay masked until they are revealed."""
    controls = {
        "name": text("Name", placeholder="who votes"),
        "choice": choice("Their choice", CHOICES, "activation"),
    }

    def answer(_: dict[str, Any]) -> Shown:
        votes = session.part("votes")
        return Shown(dict(votes), tally(votes, revealed=bool(session.get(REVEALED, False))))

    def cast() -> None:
        if controls["name"].value.strip():
            session.vote(controls["name"].value, controls["choice"].value)
            controls["name"].value = ""
        panel.refresh()

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
    panel = Panel(
        "Vote: which link breaks earliest?", controls, answer, session, "ballot", extra=buttons
    )
    return panel


def tally(votes: dict[str, str], *, revealed: bool) -> str:
    """Say who has voted, and once revealed, what."""
    if not votes:
        return "No votes yet."
    if not revealed:
        return (
            f"{many(len(votes), 'vote')} in, masked until revealed: {', '.join(map(plain, votes))}."
        )
    words = {value: name for name, value in CHOICES}
    lines = [f"{plain(name)}: {words.get(choice, plain(choice))}" for name, choice in votes.items()]
    return "\n".join([f"{many(len(votes), 'vote')}:", *lines])


def card(session: Session, priority: Priority, *, today: Any) -> Panel:
    """Make the play card; every change writes the session's plan."""
    rates = {r["link"]: r["rate"] for r in priority.table.to_dicts()}
    open_links = [link for link in LINKS if rates[link] is not None and rates[link] < 1]
    first = priority.link if priority.link in open_links else open_links[0]
    names = [p.name for p in PLAYS]
    controls = {
        "link": choice("Link to mend", [(LINK_NAMES[link], link) for link in open_links], first),
        "play": choice("Play", names, priority.play if priority.play in names else _play_of(first)),
        "owner": text("Owner", placeholder="who answers for it"),
        "more": slider("Improvement aimed at (points)", 5, 1, 30),
        "doubt": text("What would change our mind", placeholder="write it down now"),
    }

    def answer(state: dict[str, Any]) -> Shown:
        goal = min(0.99, rates[state["link"]] + state["more"] / 100)
        made = plan(priority, link=state["link"], play=state["play"], goal=goal, today=today)
        written = {
            "verdict": priority.verdict, "link": state["link"], "probability": priority.probability, "sentence": priority.sentence,
            "problem": made.problem, "play": made.play, "owner": state["owner"].strip() or made.lead, "partners": list(made.partners),
            "metric": ", ".join(made.metrics), "baseline": made.rate, "target": made.goal, "weeks": made.weeks,
            "users_needed": made.users_needed, "change_our_mind": state["doubt"].strip(),
            "look_again": None if made.visible_on is None else str(made.visible_on),
        }  # fmt: skip
        written = {k: v for k, v in written.items() if v not in (None, "")}
        if session.part("plan") != written:
            session.replace("plan", written)
        return Shown(made, card_text(written, made.sentence))

    return Panel("The play card", controls, answer, session, "play card")


def _play_of(link: str) -> str:
    return next((p.name for p in PLAYS if p.link == link), PLAYS[0].name)


def card_text(written: dict[str, Any], sentence: str) -> str:
    """Write the card as it can be read aloud."""
    when = written.get("look_again")
    lines = [
        f"We mend {LINK_NAMES[written['link']]} with {written['play']}; {plain(written['owner'])} answers for it.",
        f"From {percent(written['baseline'])} to {percent(written['target'])}, seen in: {written['metric']}.",
        sentence,
    ]
    if when:
        lines.append(f"We look again on {when} (about {count(written.get('weeks'))} weeks).")
    return "\n".join(lines)


def agreed(session: Session, question: str) -> Panel:
    """Make the line on which a team writes what it agrees on."""
    controls = {"answer": text("We agree that", placeholder="one sentence")}

    def answer(state: dict[str, Any]) -> Shown:
        said = state["answer"].strip()
        if session.part("decisions").get(question, {}).get("answer") != (said or None):
            session.decide(question, said or None)
        return Shown(said, f"Agreed: {plain(said)}" if said else "Not agreed yet.")

    return Panel(question, controls, answer, session, f"agreement: {question}")
