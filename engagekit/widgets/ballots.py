"""Ballots for a room: each vote is one message of the browser, stored before anything is drawn, and masked until revealed."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from engagekit._base import many, plain
from engagekit.widgets.form import Form, Message, Reply, action, line
from engagekit.widgets.panel import Panel, Shown
from engagekit.workshop import CHOICES, LINK, known_as, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from engagekit.workshop import Session

HOW_TO_VOTE = ", ".join(f"{number} {name}" for number, name in enumerate(CHOICES.values(), 1))
MOST_LINES = 12  # of more votes, each choice is a line
NEEDED = "A vote needs a name, and the number of a choice."


def ballot(session: Session) -> Panel:
    """Make the ballot: the facilitator types a name and the number of a choice, which shows as a dot until revealed."""

    def answer(_: dict[str, Any]) -> Shown:
        votes = session.votes()
        return Shown(votes, tally(votes, revealed=session.revealed(), late=session.late()))

    def handle(message: Message) -> Reply:
        return handle_vote(session, LINK, message, picked_choice, NEEDED, panel)

    form = Form(
        [
            line("name", "Name", placeholder="who votes"),
            line("choice", "Number of their choice", placeholder="typed unseen", secret=True),
        ],
        vote_actions(NEEDED),
        handle,
        key=ballot_key(session, LINK),
    )
    heading = "Vote: which link breaks earliest?"
    panel = Panel(heading, {}, answer, session, form=form, help=f"{HOW_TO_VOTE}.", pictured=False)
    return panel


def ballot_key(session: Session, ballot: str) -> str:
    """Name a ballot among all that one browser shows, without a word about where it lies."""
    return sha256(f"{session.folder.resolve()} {ballot}".encode()).hexdigest()[:16]


def vote_actions(needed: str) -> list[dict[str, Any]]:
    """Describe the buttons that every ballot has."""
    return [
        action("cast", "Cast the vote", clears=True, needs=needed, on_enter=True),
        action("reveal", "Reveal the votes"),
        action("start over", "Start over"),
    ]


def handle_vote(
    session: Session,
    name: str,
    message: Message,
    read: Callable[[str], Any],
    needed: str,
    panel: Panel,
) -> Reply:
    """Do what a ballot was asked: store first, then tell; only a reveal and a new start reach the panels that follow."""
    if message.act == "cast":
        reply = _cast(session, name, message, read, needed)
        panel.tell()
        return reply
    if message.act == "reveal":
        session.reveal(name)
        panel.refresh()
    if message.act == "start over":
        votes = session.votes(name)
        if votes and not message.sure:
            lost = many(len(votes), "vote")
            return Reply(ask=f"Forget {lost}?", yes="Forget them, start over", no="Keep them")
        session.start_over(name)
        panel.refresh()
    return Reply()


def _cast(
    session: Session, name: str, message: Message, read: Callable[[str], Any], needed: str
) -> Reply:
    voter, choice = str(message.values.get("name", "")), read(str(message.values.get("choice", "")))
    if choice is None or not voter.strip():
        return Reply(needed, kept=False)
    if session.vote(voter, choice, ballot=name, replace=message.sure):
        return Reply()
    before = known_as(voter, session.votes(name)) or readable(voter)
    return Reply(
        ask=f"{plain(before)} has voted already. Replace that vote?",
        yes="Replace it",
        no="Keep the first one",
    )


def picked_choice(typed: str) -> str | None:
    """Read a choice from its number or its word; None if it is neither."""
    typed = typed.strip().lower()
    numbered = {str(number): choice for number, choice in enumerate(CHOICES, 1)}
    return numbered.get(typed, typed if typed in CHOICES else None)


def tally(votes: dict[str, str], *, revealed: bool, late: list[str]) -> str:
    """Say who has voted, and once revealed, what."""
    if not votes:
        return "No votes yet."
    if not revealed:
        return (
            f"{many(len(votes), 'vote')} in, masked until revealed: {', '.join(map(plain, votes))}."
        )
    marked = {name: f"{plain(name)}{' (late)' if name in late else ''}" for name in votes}
    called = {name: CHOICES.get(str(choice), plain(choice)) for name, choice in votes.items()}
    if len(votes) <= MOST_LINES:
        told = [
            f"{plain(name)}: {called[name]}{' (late)' if name in late else ''}" for name in votes
        ]
    else:
        told = [
            f"{choice}, {number}: {', '.join(marked[name] for name in votes if called[name] == choice)}."
            for choice, number in Counter(called.values()).most_common()
        ]
    return "\n".join([f"{many(len(votes), 'vote')}:", *told])
