"""The top of a page: who is counted, whether the definition is a guess, and whether the page is older than it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.journeys import basis
from engagekit.widgets.form import Form, Message, Reply
from engagekit.widgets.panel import Panel, Shown
from engagekit.workshop import GUESSED

if TYPE_CHECKING:
    from engagekit.journeys import Journeys
    from engagekit.workshop import Session


def standing(session: Session, journeys: Journeys) -> Panel:
    """Make the panel that says what the answers of this page stand on; it looks again whenever the page is looked at."""

    def answer(_: dict[str, Any]) -> Shown:
        guess = [f"{GUESSED} Notebook 01 is the place to do so."] * session.definition.guessed
        return Shown(
            journeys,
            str(basis(journeys)),
            warning="\n".join([*stale(session), *guess]),
        )

    def handle(_: Message) -> Reply:
        panel.tell()
        return Reply()

    panel = Panel("", {}, answer, session, form=Form([], [], handle, watches=True), pictured=False)
    return panel


def stale(session: Session) -> list[str]:
    """Say that the answers of this page are of an older definition or older data, where they are."""
    if not session.outdated:
        return []
    return [
        "The answers on this page are of an older definition, or of older data. Run it again from the top "
        "(menu Run, Run All Cells)."
    ]
