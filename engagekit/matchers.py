"""Matchers: which events are meant, written so that every engine can run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from engagekit._base import is_whole
from engagekit.errors import DefinitionError, listing

if TYPE_CHECKING:
    from collections.abc import Iterable

Value: TypeAlias = str | int | float | bool
VALUE_TYPES = (str, int, float, bool)
MOST_TIMES = 10_000


@dataclass(frozen=True, init=False)
class Not:
    """Any value of a property but these; null is another value, unless None is among them.

    Parameters
    ----------
    *values
        Texts, numbers, true/false, or None for null.

    Examples
    --------
    >>> Match("order", status=Not("test"))
    Match('order', status=Not('test'))
    """

    values: tuple[Value | None, ...]

    def __init__(self, *values: Value | None) -> None:
        """Check and freeze the values."""
        if not values or not all(map(_is_value, values)):
            raise DefinitionError(
                f"ek.Not takes texts, numbers, true/false or None, not {values!r}."
            )
        object.__setattr__(self, "values", tuple(values))

    def __repr__(self) -> str:
        """Write the condition as it is made."""
        return f"Not({', '.join(map(repr, self.values))})"


Condition: TypeAlias = tuple[Value | None, ...] | Not


@dataclass(frozen=True, init=False)
class Match:
    """Events of one name whose properties have given values.

    Parameters
    ----------
    event
        The event's name.
    times
        For activation only: it is reached with the event of this number, such as the third. (A property that is
        called ``times`` goes into the table form: ``{"event": "order", "where": {"times": 3}}``.)
    **where
        Property and value, or property and a list of values (any of them); None means null, and `Not` any other value.

    Examples
    --------
    >>> Match("order", status=["paid", "shipped"])
    Match('order', status=['paid', 'shipped'])
    >>> Match("report", times=3)
    Match('report', times=3)
    """

    event: str
    where: tuple[tuple[str, Condition], ...]
    times: int

    def __init__(
        self, event: str, /, times: int = 1, **where: Value | Sequence[Value | None] | Not | None
    ) -> None:
        """Check and freeze the conditions."""
        _settle(self, event, where, times)

    def __repr__(self) -> str:
        """Write the matcher as it is made."""
        if any(c == "times" for c, _ in self.where):
            return repr(to_plain(self))
        where = "".join(f", {c}={_as_given(v)!r}" for c, v in self.where)
        times = f", times={self.times}" if self.times > 1 else ""
        return f"Match({self.event!r}{times}{where})"


def _settle(match: Match, event: object, where: Mapping[str, Any], times: object) -> None:
    faults = (
        [] if isinstance(event, str) and event else [f"an event name is a text, not {event!r}."]
    )
    if not is_whole(times, most=MOST_TIMES):
        faults.append(
            f"times is {times!r}; it takes a whole number from 1 to {MOST_TIMES:,}. "
            "(A property of that name goes into the table where: {'event': …, 'where': {'times': …}}.)"
        )
    conditions: list[tuple[str, Condition]] = []
    for column, value in where.items():
        values = value if isinstance(value, Not) else (value,) if _is_value(value) else value
        if not isinstance(values, Not) and (
            not isinstance(values, Sequence) or not values or not all(map(_is_value, values))
        ):
            faults.append(
                f"where {column!r} is {value!r}; it takes a text, number, true/false, None (null), a list of them, "
                "or ek.Not(value) (and nothing equals NaN)."
            )
            continue
        conditions.append((column, values if isinstance(values, Not) else tuple(values)))
    if faults:
        raise DefinitionError.from_faults("This matcher cannot be used", faults)
    object.__setattr__(match, "event", event)
    object.__setattr__(match, "where", tuple(conditions))
    object.__setattr__(match, "times", times)


def _is_value(value: object) -> bool:
    return value is None or (isinstance(value, VALUE_TYPES) and value == value)


def _as_given(condition: Condition) -> Any:
    if isinstance(condition, Not):
        return condition
    return condition[0] if len(condition) == 1 else list(condition)


@dataclass(frozen=True, init=False)
class All:
    """Several events, each once, in any order: an activation that is reached with the last of them.

    Parameters
    ----------
    *parts
        Matchers; a list among them means any of its events, and ``Match(…, times=3)`` the third.

    Examples
    --------
    >>> All("watched", Match("filter", kind="date"))
    All('watched', Match('filter', kind='date'))
    """

    parts: tuple[Any, ...]

    def __init__(self, *parts: Any) -> None:
        """Check and freeze the parts."""
        if len(parts) < 2:
            raise DefinitionError(
                "ek.All takes two matchers or more: ek.All('watched', 'filtered')."
            )
        settled = []
        for part in parts:
            if isinstance(part, All) or (isinstance(part, Mapping) and "all" in part):
                raise DefinitionError("ek.All holds matchers, no further ek.All.")
            found = as_matches(part)
            if len(found) > 1 and any(match.times > 1 for match in found):
                raise DefinitionError(
                    f"{part!r} lists events, so that any of them counts; times stands with a single one."
                )
            settled.append(tuple(part) if isinstance(part, list) else part)
        object.__setattr__(self, "parts", tuple(settled))

    def __repr__(self) -> str:
        """Write the matcher as it is made."""
        return f"All({', '.join(map(repr, self.parts))})"


Matcher: TypeAlias = str | Match | Sequence[str | Match]
Goal: TypeAlias = Matcher | All


def as_matches(matcher: object) -> tuple[Match, ...]:
    """Turn any way of writing a matcher into a tuple of `Match`; of `All` all events that it looks at."""
    if isinstance(matcher, str):
        return (Match(matcher),)
    if isinstance(matcher, Match):
        return (matcher,)
    if isinstance(matcher, All):
        return tuple(match for part in matcher.parts for match in as_matches(part))
    if isinstance(matcher, Mapping):
        return as_matches(match_of(matcher))
    if isinstance(matcher, Sequence) and matcher:
        if any(isinstance(m, All) or (isinstance(m, Mapping) and "all" in m) for m in matcher):
            raise DefinitionError("ek.All stands alone, not in a list of matchers.")
        return tuple(match for each in matcher for match in as_matches(each))
    raise DefinitionError(
        f"{matcher!r} names no event: give an event name, a list of names, or ek.Match(name, property=value)."
    )


def match_of(table: Mapping[Any, Any]) -> Match | All:
    """Take a matcher as a TOML file holds it."""
    if set(table) == {"all"}:
        parts = table["all"]
        if not isinstance(parts, Sequence) or isinstance(parts, str):
            raise DefinitionError(f"all is {parts!r}; it takes a list of matchers.")
        return All(*parts)
    unknown = [key for key in table if key not in {"event", "where", "times"}]
    where = table.get("where", {})
    if unknown or "event" not in table or not isinstance(where, Mapping):
        raise DefinitionError(
            f"A matcher table has the key 'event' and, if wanted, the table 'where'; found {listing(table) or 'nothing'}. "
            'Write {event = "order", where = {status = "paid"}}; for activation also {event = "report", times = 3} or '
            '{all = ["watched", "filtered"]}.'
        )
    match = object.__new__(Match)
    conditions = {str(k): _condition_from(v) for k, v in where.items()}
    _settle(match, table["event"], conditions, table.get("times", 1))
    return match


def _condition_from(value: Any) -> Any:
    """Read what TOML writes in place of null: ``{null = true}``, ``{any = ["a"], null = true}``, ``{not = "a"}``."""
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"not"}:
        inner = _condition_from(value["not"])
        lone = inner is None or isinstance(inner, (*VALUE_TYPES, Mapping, Not))
        return Not(*([inner] if lone else inner))
    several = value.get("any", [])
    if value and set(value) <= {"any", "null"} and value.get("null", True) is True:
        listed = [several] if isinstance(several, VALUE_TYPES) else list(several)
        found = listed + ([None] if "null" in value else [])
        return found[0] if len(found) == 1 else found
    raise DefinitionError(
        f'{dict(value)!r} is no condition; write {{null = true}}, {{any = ["a"], null = true}} or {{not = "a"}}.'
    )


def is_goal(matcher: object) -> bool:
    """Tell whether a matcher asks for more than one event, which activation alone may."""
    found = as_matches(matcher)  # refuses what is none
    several = isinstance(matcher, All) or (isinstance(matcher, Mapping) and "all" in matcher)
    return several or any(match.times > 1 for match in found)


def goals(activation: object) -> tuple[tuple[tuple[tuple[Match, ...], int], ...], ...]:
    """Take an activation apart: any of these alternatives, all parts of it, each part's event this often.

    Examples
    --------
    >>> goals(All("a", Match("b", times=2)))
    ((((Match('a'),), 1), ((Match('b', times=2),), 2)),)
    """
    if isinstance(activation, Mapping):
        activation = match_of(activation)
    if isinstance(activation, All):
        parts = [as_matches(part) for part in activation.parts]
        return (tuple((part, max(m.times for m in part)) for part in parts),)
    found = as_matches(activation)
    once = tuple(match for match in found if match.times == 1)
    several = tuple((((match,), match.times),) for match in found if match.times > 1)
    return ((((once, 1),),) if once else ()) + several


def at_once_faults(roles: Mapping[str, Goal], signup: Matcher | None) -> list[str]:
    """Name the roles that everybody has by signing up, since they are the sign-up event itself."""
    return [
        f"{name} is the sign-up event itself ({label(signup)}), so everybody who signs up would have done it; "
        "name what users reach after signing up."
        for name, matcher in roles.items()
        if signup is not None and _met_by(matcher, signup)
    ]


def sent_faults(roles: Mapping[str, Goal], outreach: Matcher | None) -> list[str]:
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


def _met_by(matcher: Goal, other: Matcher) -> bool:
    """Say whether a single event, any that another matcher means, is enough for a matcher."""
    return any(
        all(times == 1 and _covers(part, as_matches(other)) for part, times in parts)
        for parts in goals(matcher)
    )


def _covers(mine: Sequence[Match], others: Sequence[Match]) -> bool:
    """Say whether matches mean all events that others mean."""
    return all(any(_includes(each, other) for each in mine) for other in others)


def _includes(match: Match, other: Match) -> bool:
    return match.event == other.event and all(_asks(other, c, v) for c, v in match.where)


def _asks(match: Match, column: str, wanted: Condition) -> bool:
    return any(c == column and _implies(held, wanted) for c, held in match.where)


def _implies(held: Condition, wanted: Condition) -> bool:
    if isinstance(held, Not):
        return isinstance(wanted, Not) and set(wanted.values) <= set(held.values)
    if isinstance(wanted, Not):
        return not set(held) & set(wanted.values)
    return set(held) <= set(wanted)


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
    if isinstance(matcher, Mapping):
        matcher = match_of(matcher)
    if isinstance(matcher, All):
        return " and ".join(map(label, matcher.parts))
    parts = []
    for match in as_matches(matcher):
        said = [f"{match.times} times"] if match.times > 1 else []
        said += [f"{c}: {_in_words(v)}" for c, v in match.where]
        parts.append(f"{match.event} ({', '.join(said)})" if said else match.event)
    return " or ".join(parts)


def _in_words(condition: Condition) -> str:
    if isinstance(condition, Not):
        return f"not {_in_words(condition.values)}"
    return " or ".join("null" if v is None else str(v) for v in condition)


def to_plain(matcher: object) -> Any:
    """Write a matcher as plain values, as a TOML file or JSON holds it."""
    if isinstance(matcher, Mapping):
        matcher = match_of(matcher)
    if isinstance(matcher, All):
        return {"all": [to_plain(part) for part in matcher.parts]}
    plain = [
        match.event
        if not match.where and match.times == 1
        else {"event": match.event}
        | ({"times": match.times} if match.times > 1 else {})
        | ({"where": {c: _plainly(v) for c, v in match.where}} if match.where else {})
        for match in as_matches(matcher)
    ]
    return plain[0] if len(plain) == 1 else plain


def _plainly(condition: Condition) -> Any:
    if isinstance(condition, Not):
        return {"not": _plainly(condition.values)}
    if None not in condition:
        return _as_given(condition)
    others = [v for v in condition if v is not None]
    return ({"any": others} if others else {}) | {"null": True}


def matches(matcher: object, *, event: str = "event", any_part: bool = False) -> pl.Expr:
    """Build the polars expression that is true on the events meant, and never null.

    Raises
    ------
    DefinitionError
        The matcher asks for several events, and not `any_part` of it is meant: only activation can be that.
    """
    if not any_part and is_goal(matcher):
        raise DefinitionError(
            f"{label(matcher)!r} asks for more than one event; only activation can, here a single event is meant."
        )
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


def holds(match: Match) -> pl.Expr:
    """Build the expression that is true where a match's conditions hold, whatever the event; never null."""
    parts = [_holds(column, condition) for column, condition in match.where]
    return pl.all_horizontal(parts or [pl.lit(value=True)]).fill_null(value=False)


def _holds(column: str, condition: Condition) -> pl.Expr:
    # Values are compared as the column holds them; true is not 1 and "1" is not 1 on any engine: see condition_faults.
    if isinstance(condition, Not):
        return ~_holds(column, condition.values)
    parts = [
        pl.col(column).is_null()
        if value is None
        else (pl.col(column) == pl.lit(value)).fill_null(value=False)
        for value in condition
    ]
    return parts[0] if len(parts) == 1 else pl.any_horizontal(*parts)


def condition_faults(schema: Mapping[str, pl.DataType], matchers: Iterable[object]) -> list[str]:
    """Name the conditions that no value of their column can meet, such as a number asked of a text."""
    faults = []
    for matcher in matchers:
        for match in as_matches(matcher):
            for column, condition in match.where:
                kind = schema.get(column)
                values = condition.values if isinstance(condition, Not) else condition
                wrong = [] if kind is None else [v for v in values if not _comparable(v, kind)]
                if wrong:
                    faults.append(
                        f"{match!r} asks for {wrong[0]!r}, but {column!r} holds {kind}; write the value as the column holds it."
                    )
    return list(dict.fromkeys(faults))


def _comparable(value: Value | None, kind: pl.DataType) -> bool:
    if value is None or kind == pl.Null:
        return True
    if isinstance(value, bool):
        return kind == pl.Boolean
    if isinstance(value, str):
        return isinstance(kind, (pl.String, pl.Categorical, pl.Enum))
    return kind.is_numeric()
