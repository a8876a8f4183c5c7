"""Names of events in one normal form, and names that nobody did: is the definition about this log at all."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import polars as pl

from engagekit._base import Remark
from engagekit.errors import DefinitionError, ParameterError, listing, nearest
from engagekit.matchers import Not, as_matches, event_names, goals, label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from engagekit.definition import Definition
    from engagekit.matchers import Match

Missing: TypeAlias = Literal["refuse", "allow"]
MISSING_CHOICES: tuple[Missing, ...] = ("refuse", "allow")
MISSING, UNKNOWN = "missing event", "unknown name"  # kinds of remarks
NEEDED = (
    "signup",
    "activation",
    "core",
    "advanced",
    "step",
)  # without these no answer means anything
MOST_VALUES = 200


@dataclass(frozen=True)
class Occurrences:
    """What a log's events are: their names, whether any event is meant by a matcher, and which values a property has."""

    names: Sequence[str]
    any_of: Callable[[Match], bool]
    values: Callable[[str, str], Sequence[object]]


def normal_form(name: str) -> str:
    r"""Write a name as it is compared: composed, and without characters that nobody sees.

    Examples
    --------
    >>> normal_form("publie\u0301\u200b") == "publi\u00e9"
    True
    """
    if name.isascii():
        return name
    composed = unicodedata.normalize("NFC", name)
    return "".join(c for c in composed if unicodedata.category(c) != "Cf")


def respelt(names: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Say how to write names of a log that only look alike: as the definition does, else in their normal form.

    Returns
    -------
    dict
        Name to the spelling that stands for it, for those that change.
    """
    spelling = {normal_form(name): name for name in wanted}
    found = {name: spelling.get(normal_form(name), normal_form(name)) for name in names}
    return {name: other for name, other in found.items() if name != other}


def missing_events(definition: Definition, log: Occurrences, *, allow: bool) -> list[Remark]:
    """Refuse a definition whose events nobody did, or say so in remarks.

    Parameters
    ----------
    definition
        Whose names are as the log writes them.
    log
        What there is.
    allow
        Let it pass.

    Raises
    ------
    DefinitionError
        Sign-up, activation, core action, a step or an advanced action occurs nowhere: all of them, with near names.
    """
    refused: list[str] = []
    remarks: list[Remark] = []
    if not log.names:
        return remarks  # nothing is there at all
    for role, matcher in definition.matchers().items():
        absent = [m for m in as_matches(matcher) if not _occurs(m, log)]
        if not absent:
            continue
        told = " ".join(dict.fromkeys(_told(match, log) for match in absent))
        if any(_reachable(parts, absent) for parts in goals(matcher)):
            remarks.append(Remark(UNKNOWN, (role, label(matcher)), f"{_called(role)}: {told}"))
        elif not allow and role.startswith(NEEDED):
            refused.append(f"{_called(role)}: {told}")
        else:
            text = f"{_called(role)}: {told} It counts as never done, so no verdict can rest on it."
            remarks.append(Remark(MISSING, (role, label(matcher)), text, share=1.0))
    if refused:
        raise DefinitionError.from_faults(
            "The definition names events that nobody did (missing='allow' lets them pass)", refused
        )
    return remarks


def _reachable(parts: Sequence[tuple[Sequence[Match], int]], absent: Sequence[Match]) -> bool:
    """Say whether each part of a goal has a match that somebody did."""
    return all(any(match not in absent for match in part) for part, _ in parts)


def _occurs(match: Match, log: Occurrences) -> bool:
    return match.event in log.names and (not match.where or log.any_of(match))


def _told(match: Match, log: Occurrences) -> str:
    if match.event not in log.names:
        near = (
            nearest(match.event, log.names) or f" Events there are: {listing(sorted(log.names))}."
        )
        return f"{match.event!r} is in no event.{near}"
    hints = []
    for column, condition in match.where:
        known = [v for v in log.values(match.event, column) if v is not None][:MOST_VALUES]
        if isinstance(condition, Not):
            hints.append(f" {column!r} has {listing(known[:6])}." if known else "")
        elif not set(condition) & set(known):
            near = nearest(str(condition[0]), map(str, known))
            hints.append(
                near or f" {column!r} has {listing(known[:6])}."
                if known
                else f" {column!r} is always empty."
            )
    return f"{match.event!r} occurs, but never with {label(match).partition(' (')[2].rstrip(')')}.{''.join(hints)}"


def _called(role: str) -> str:
    return role.replace(":", " action ", 1) if role.startswith("advanced:") else role


def in_known_names(
    log: pl.LazyFrame, asked: Mapping[str, object], *, missing: Missing, heading: str
) -> pl.LazyFrame:
    """See to it that events of each matcher are in a log, whose names are written as the matchers write them.

    Parameters
    ----------
    log
        All of it, whatever part of it is asked about.
    asked
        What each matcher is called in the question, and the matcher; expressions and None are passed over.
    missing
        Whether to refuse what is in no event, or to let it pass.
    heading
        How a refusal begins.

    Raises
    ------
    ParameterError
        A matcher names events of which none is in the log: all of them, with near names.
    """
    named = {
        what: event_names(matcher)
        for what, matcher in asked.items()
        if matcher is not None and not isinstance(matcher, pl.Expr)
    }
    unseen = {name for names in named.values() for name in names if not _has(log, name)}
    if not unseen:
        return log
    found = log.select(pl.col("event").cast(pl.String).unique()).collect(engine="streaming")
    spelling = respelt(found["event"].to_list(), unseen)
    known = {spelling.get(name, name) for name in found["event"]}
    faults = [
        f"{what} matches nothing: no event is named {name!r}.{nearest(name, known) or f' There are {listing(sorted(known))}.'}"
        for what, names in named.items()
        if known and known.isdisjoint(names)
        for name in names
    ]
    if faults and missing == "refuse":
        raise ParameterError.from_faults(heading, faults)
    spelling = {name: other for name, other in spelling.items() if other in unseen}
    event = pl.col("event").cast(pl.String).replace(spelling)
    return log.with_columns(event) if spelling else log


def _has(log: pl.LazyFrame, name: str) -> bool:
    found = log.filter(pl.col("event").cast(pl.String) == name).select("event").head(1)
    return found.collect(engine="streaming").height > 0
