"""Matchers: which events are meant, written so that every engine can run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from engagekit.errors import DefinitionError, listing

if TYPE_CHECKING:
    from collections.abc import Iterable

Value: TypeAlias = str | int | float | bool
VALUE_TYPES = (str, int, float, bool)


@dataclass(frozen=True, init=False)
class Match:
    """Events of one name whose properties have given values.

    Parameters
    ----------
    event
        The event's name.
    **where
        Property and value, or property and a list of values (any of them).

    Examples
    --------
    >>> Match("order", status=["paid", "shipped"])
    Match('order', status=['paid', 'shipped'])
    """

    event: str
    where: tuple[tuple[str, tuple[Value, ...]], ...]

    def __init__(self, event: str, /, **where: Value | Sequence[Value]) -> None:
        """Check and freeze the conditions."""
        faults = (
            [] if isinstance(event, str) and event else [f"an event name is a text, not {event!r}."]
        )
        conditions = []
        for column, value in where.items():
            values = (value,) if isinstance(value, VALUE_TYPES) else value
            if (
                not isinstance(values, Sequence)
                or not values
                or not all(isinstance(v, VALUE_TYPES) and v == v for v in values)
            ):
                faults.append(
                    f"where {column!r} is {value!r}; it takes a text, number, true/false, or a list of them (and nothing equals NaN)."
                )
                continue
            conditions.append((column, tuple(values)))
        if faults:
            raise DefinitionError.from_faults("This matcher cannot be used", faults)
        object.__setattr__(self, "event", event)
        object.__setattr__(self, "where", tuple(conditions))

    def __repr__(self) -> str:
        """Write the matcher as it is made."""
        where = "".join(
            f", {c}={v[0]!r}" if len(v) == 1 else f", {c}={list(v)!r}" for c, v in self.where
        )
        return f"Match({self.event!r}{where})"


Matcher: TypeAlias = str | Match | Sequence[str | Match]


@dataclass(frozen=True)
class Assignment:
    """Which event says that a user was put into an arm of a test, and which property of it says into which.

    Parameters
    ----------
    event
        Matcher of the event, such as the first exposure.
    property
        The event's property with the arm's name.
    control
        The arm without the play; None: the one named control, off, baseline, holdout or a, else the first by name.
    shares
        The share of users meant for each arm, such as ``{"control": 0.9, "new": 0.1}``; None: equal ones.

    Raises
    ------
    DefinitionError
        With every fault found.

    Examples
    --------
    >>> Assignment("exposed", property="arm").property
    'arm'
    """

    event: Matcher
    property: str = "variant"
    control: str | None = None
    shares: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Check everything at once."""
        faults = []
        try:
            as_matches(self.event)
        except DefinitionError as error:
            faults.append(f"event: {error}")
        if not isinstance(self.property, str) or not self.property:
            faults.append(f"property is {self.property!r}; it takes the name of a property.")
        elif self.property in {"user_id", "event", "at"}:
            faults.append(f"property is {self.property!r}, which is a column of every event; name the arm's property.")  # fmt: skip
        if self.control is not None and not isinstance(self.control, str):
            faults.append(f"control is {self.control!r}; it takes the name of an arm.")
        if self.shares is not None:
            faults += share_faults(self.shares)
        if faults:
            raise DefinitionError.from_faults("The experiment cannot be read", faults)
        if isinstance(self.event, Mapping):  # as a TOML file holds it
            object.__setattr__(self, "event", _from_mapping(self.event))

    def to_table(self) -> dict[str, Any]:
        """Write the assignment as plain values, as a TOML file holds it."""
        table = {"event": to_plain(self.event), "property": self.property, "control": self.control}
        told = {key: value for key, value in table.items() if value is not None}
        return told if self.shares is None else told | {"shares": dict(self.shares)}

    @classmethod
    def from_table(cls, table: object) -> Assignment:
        """Take an assignment from plain values.

        Raises
        ------
        DefinitionError
            It is no table, or a key is unknown or missing.
        """
        known = ("event", "property", "control", "shares")
        if isinstance(table, Assignment):
            return table
        if not isinstance(table, Mapping) or "event" not in table:
            raise DefinitionError(
                f"experiment is {table!r}; it takes the keys {listing(known)}, event at least, "
                'such as {event = "exposed", property = "variant"}.'
            )
        if unknown := [key for key in table if key not in known]:
            raise DefinitionError(
                f"experiment has the keys {listing(unknown)}; it knows {listing(known)}."
            )
        return cls(**table)


def assignment_of(table: object, faults: list[str]) -> Assignment | None:
    """Take a definition's experiment, if it has one; what is wrong with it joins the faults."""
    try:
        return None if table is None else Assignment.from_table(table)
    except DefinitionError as error:
        faults.append(str(error))
        return None


def share_faults(shares: object) -> list[str]:
    """Return what is wrong with the intended shares of a test's arms."""
    sound = isinstance(shares, Mapping) and all(
        isinstance(s, (int, float)) and not isinstance(s, bool) and 0 < s < 1
        for s in shares.values()
    )
    if sound and isinstance(shares, Mapping) and abs(sum(shares.values()) - 1) < 1e-6:
        return []
    return [f"shares is {shares!r}; it takes each arm with its share, above 0 and 1 in all."]


def as_matches(matcher: object) -> tuple[Match, ...]:
    """Turn any way of writing a matcher into a tuple of `Match`, any of which may hold."""
    if isinstance(matcher, str):
        return (Match(matcher),)
    if isinstance(matcher, Match):
        return (matcher,)
    if isinstance(matcher, Mapping):
        return (_from_mapping(matcher),)
    if isinstance(matcher, Sequence) and matcher:
        return tuple(match for each in matcher for match in as_matches(each))
    raise DefinitionError(
        f"{matcher!r} names no event: give an event name, a list of names, or ek.Match(name, property=value)."
    )


def _from_mapping(table: Mapping[Any, Any]) -> Match:
    unknown = [key for key in table if key not in {"event", "where"}]
    where = table.get("where", {})
    if unknown or "event" not in table or not isinstance(where, Mapping):
        raise DefinitionError(
            f"A matcher table has the key 'event' and, if wanted, the table 'where'; found {listing(table) or 'nothing'}. "
            'Write {event = "order", where = {status = "paid"}}.'
        )
    return Match(table["event"], **{str(k): v for k, v in where.items()})


def at_once_faults(roles: Mapping[str, Matcher], signup: Matcher | None) -> list[str]:
    """Name the roles that everybody has by signing up, since they are the sign-up event itself."""
    return [
        f"{name} is the sign-up event itself ({label(signup)}), so everybody who signs up would have done it; "
        "name what users reach after signing up."
        for name, matcher in roles.items()
        if signup is not None and _covers(matcher, signup)
    ]


def sent_faults(roles: Mapping[str, Matcher], outreach: Matcher | None) -> list[str]:
    """Name the roles that take for an action of the user what the product sends."""
    return [
        f"{name} is outreach ({label(outreach)}): what the product sends is no action of a user; name what users do."
        for name, matcher in roles.items()
        if outreach is not None
        and any(
            _includes(mine, sent) or _includes(sent, mine)
            for mine in as_matches(matcher)
            for sent in as_matches(outreach)
        )
    ]


def _covers(matcher: Matcher, other: Matcher) -> bool:
    """Say whether a matcher means all events that another one means."""
    mine = as_matches(matcher)
    return all(any(_includes(each, part) for each in mine) for part in as_matches(other))


def _includes(match: Match, other: Match) -> bool:
    return match.event == other.event and all(_asks(other, c, v) for c, v in match.where)


def _asks(match: Match, column: str, values: Sequence[Value]) -> bool:
    return any(c == column and set(v) <= set(values) for c, v in match.where)


def event_names(matcher: object) -> tuple[str, ...]:
    """List the event names a matcher mentions, each once, in order."""
    return tuple(dict.fromkeys(match.event for match in as_matches(matcher)))


def property_names(matcher: object) -> tuple[str, ...]:
    """List the properties a matcher looks at, each once, in order."""
    return tuple(
        dict.fromkeys(column for match in as_matches(matcher) for column, _ in match.where)
    )


def label(matcher: object) -> str:
    """Name a matcher in words: ``order (status: paid)``."""
    parts = []
    for match in as_matches(matcher):
        where = ", ".join(f"{c}: {' or '.join(map(str, v))}" for c, v in match.where)
        parts.append(f"{match.event} ({where})" if where else match.event)
    return " or ".join(parts)


def to_plain(matcher: object) -> Any:
    """Write a matcher as plain values, as a TOML file or JSON holds it."""
    plain = [
        match.event
        if not match.where
        else {
            "event": match.event,
            "where": {c: v[0] if len(v) == 1 else list(v) for c, v in match.where},
        }
        for match in as_matches(matcher)
    ]
    return plain[0] if len(plain) == 1 else plain


def matches(matcher: object, *, event: str = "event") -> pl.Expr:
    """Build the polars expression that is true on the events meant, and never null."""
    plain = [match.event for match in as_matches(matcher) if not match.where]
    parts = (
        [pl.col(event).is_in(plain) if len(plain) > 1 else pl.col(event) == plain[0]]
        if plain
        else []
    )
    parts += [
        pl.all_horizontal(pl.col(event) == match.event, *[_holds(c, v) for c, v in match.where])
        for match in as_matches(matcher)
        if match.where
    ]
    expression = parts[0] if len(parts) == 1 else pl.any_horizontal(*parts)
    return expression.fill_null(value=False)


def _holds(column: str, values: Iterable[Value]) -> pl.Expr:
    # Values are compared as the column holds them; true is not 1 and "1" is not 1 on any engine: see condition_faults.
    parts = [pl.col(column) == pl.lit(value) for value in values]
    return parts[0] if len(parts) == 1 else pl.any_horizontal(*parts)


def condition_faults(schema: Mapping[str, pl.DataType], matchers: Iterable[object]) -> list[str]:
    """Name the conditions that no value of their column can meet, such as a number asked of a text."""
    faults = []
    for matcher in matchers:
        for match in as_matches(matcher):
            for column, values in match.where:
                kind = schema.get(column)
                wrong = [] if kind is None else [v for v in values if not _comparable(v, kind)]
                if wrong:
                    faults.append(
                        f"{match!r} asks for {wrong[0]!r}, but {column!r} holds {kind}; write the value as the column holds it."
                    )
    return list(dict.fromkeys(faults))


def _comparable(value: Value, kind: pl.DataType) -> bool:
    if kind == pl.Null:
        return True
    if isinstance(value, bool):
        return kind == pl.Boolean
    if isinstance(value, str):
        return isinstance(kind, (pl.String, pl.Categorical, pl.Enum))
    return kind.is_numeric()
