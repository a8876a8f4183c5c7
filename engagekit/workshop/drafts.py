"""Draft and decision, two states: what a page or a person proposes, and what a team has decided, on which day, by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    State = dict[str, dict[str, Any]]


def is_decided(plan: Mapping[str, Any]) -> bool:
    """Tell whether a plan is decided: there is one, and it is no draft."""
    return bool(plan) and not plan.get("draft")


def propose(state: State, plan: Mapping[str, Any]) -> None:
    """Put a draft of the plan into the state; one that is decided stands, with the draft of another beside it."""
    if is_decided(state["plan"]):
        state["draft"] = dict(plan)
    else:
        state["plan"], state["draft"] = dict(plan) | {"draft": True}, {}


def settle(state: State, plan: Mapping[str, Any], *, on: date, by: str) -> None:
    """Put the plan into the state as decided; the decision before it, if there was one, is kept under ``earlier``."""
    if not by.strip():
        raise ParameterError("Say who decides: the names of those who stand behind it.")
    before = state["plan"]
    earlier = list(before.get("earlier", []))
    if is_decided(before):
        earlier.append({key: value for key, value in before.items() if key != "earlier"})
    decided = {"decided_on": on.isoformat(), "decided_by": " ".join(by.split())}
    state["plan"] = dict(plan) | decided | ({"earlier": earlier} if earlier else {})
    state["draft"] = {}


def suggest(state: State, question: str, answer: str) -> None:
    """Put a draft of what may be agreed on into the state; what is agreed stands, with the draft of another beside it."""
    entry = entry_of(state["decisions"].get(question))
    agreed = bool(entry) and not entry.get("draft")
    if agreed and answer == entry["answer"]:
        entry.pop("instead", None)
        state["decisions"][question] = entry
    elif agreed:
        state["decisions"][question] = entry | {"instead": answer}
    elif answer:
        state["decisions"][question] = {"answer": answer, "draft": True}
    else:
        state["decisions"].pop(question, None)


def entry_of(entry: Any) -> dict[str, Any]:
    """Take an agreement as a table; a session's file can hold anything.

    Examples
    --------
    >>> entry_of("publish"), entry_of(None)
    ({'answer': 'publish'}, {})
    """
    if isinstance(entry, dict):
        return {"answer": ""} | entry
    return {} if entry is None else {"answer": entry}


def as_now(state: State) -> State:
    """Read a state of an older format: those did not tell a draft from a decision, so all they hold are drafts."""
    decisions = {
        question: entry_of(entry) | {"draft": True}
        for question, entry in state["decisions"].items()
    }
    plan = state["plan"] | ({"draft": True} if state["plan"] else {})
    return state | {"decisions": decisions, "plan": plan}
