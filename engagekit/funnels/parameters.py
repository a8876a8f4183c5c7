"""The parameters of a funnel: checked, all faults at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from engagekit._base import (
    is_whole,
    span_of,
)
from engagekit.errors import ColumnError, EngagekitError, ParameterError, check_choice
from engagekit.ingest import MISSING_CHOICES, Missing, in_known_names
from engagekit.instants import AT, instant
from engagekit.intervals import RATE
from engagekit.matchers import condition_faults, matches, property_names

if TYPE_CHECKING:
    from datetime import datetime

    from engagekit._base import Span
    from engagekit.matchers import Matcher

    Condition: TypeAlias = Matcher | pl.Expr
    Exclusion: TypeAlias = tuple[Condition, int, int]

ORDERS = ("ordered", "strict", "any")
ENTRIES = ("best", "first")
EXCLUSIONS = ("drop", "stop")
ATTRIBUTIONS = ("start", "first", "last", "same")
ENTERED, ENTERED_BY = "entered", ("day", "week", "month", "quarter")
COUNTS = {"step": pl.Int32, "event": pl.String} | RATE
COUNTS |= {
    "overall": pl.Float64,
    "overall_low": pl.Float64,
    "overall_high": pl.Float64,
    "median_seconds": pl.Float64,
    "mean_seconds": pl.Float64,
    "median_seconds_from_entry": pl.Float64,
    "open": pl.Int64,
    "waiting": pl.Int64,
}
PEOPLE = {
    "step": pl.Int32,
    "event": pl.String,
    "entered_at": AT,
    "at": AT,
    "seconds": pl.Float64,
    "open": pl.Boolean,
    "waiting": pl.Boolean,
}
MOST_FLAGS = 62  # each step and exclusion is a bit of one number
HEADING = "This funnel cannot be computed"
_SHAPE = "it takes a list of (event, from_step, to_step), such as [('refund', 0, 2)]."


@dataclass(frozen=True)
class Asked:
    """The parameters of a funnel, checked."""

    steps: tuple[Condition, ...]
    exclude: tuple[Exclusion, ...]
    within: Span
    order: Literal["ordered", "strict", "any"]
    entry: Literal["best", "first"]
    exclusion: Literal["drop", "stop"]
    since: datetime | None
    as_of: datetime | None
    by: tuple[str, ...]
    values: tuple[str, ...] = ()  # the columns of `by` that the log has
    attribution: str = "same"
    entered: Any = None
    only_closed: bool = False
    tolerance: int = 0  # microseconds


def asked_of(
    steps: Any,
    exclude: Any,
    by: Any,
    *,
    within: Any,
    order: Any,
    entry: Any,
    exclusion: Any,
    since: Any,
    as_of: Any,
    attribution: Any = "same",
    entered: Any = None,
    only_closed: Any = False,
    tolerance: Any = None,
) -> Asked:
    """Check what a funnel was given.

    Raises
    ------
    ParameterError
        With every fault found.
    """
    faults = check_choice("order", order, ORDERS) + check_choice("entry", entry, ENTRIES)
    faults += check_choice("exclusion", exclusion, EXCLUSIONS)
    faults += check_choice("attribution", attribution, ATTRIBUTIONS)
    faults += [] if entered is None else check_choice("entered", entered, ENTERED_BY)
    if not isinstance(only_closed, bool):
        faults.append(f"only_closed is {only_closed!r}; it takes True or False.")
    steps, wrong_steps = _steps(steps)
    exclusions, wrong_exclusions = _exclusions(exclude, len(steps))
    span, wrong_span = _tried(lambda: span_of(within))
    lag, wrong_lag = _lag(tolerance, order)
    moments, wrong_moments = _moments(since, as_of)
    names, wrong_names = _names(by)
    faults += wrong_steps + wrong_exclusions + wrong_span + wrong_lag + wrong_moments + wrong_names
    if faults:
        raise ParameterError.from_faults(HEADING, faults)
    if entered is not None and ENTERED in names:
        raise ParameterError.from_faults(HEADING, [f"by holds {ENTERED!r}, which entered= gives."])
    whole = (*names, ENTERED) if entered is not None else names
    asked = Asked(steps, exclusions, span, order, entry, exclusion, *moments, whole)
    return replace(
        asked,
        values=names,
        attribution=attribution,
        entered=entered,
        only_closed=only_closed,
        tolerance=lag,
    )


def _tried(read: Any) -> tuple[Any, list[str]]:
    try:
        return read(), []
    except EngagekitError as error:
        return None, [str(error)]


def _lag(tolerance: Any, order: Any) -> tuple[int, list[str]]:
    if tolerance is None:
        return 0, []
    span, faults = _tried(lambda: span_of(tolerance, name="tolerance"))
    if isinstance(span, str):
        faults.append(f"tolerance is {tolerance!r}; months and longer have no fixed length, give a span such as '2s'.")  # fmt: skip
    if order != "ordered":
        faults.append(f"tolerance lets steps be out of order by a little, and order={order!r} asks for another thing; leave it out, or order by 'ordered'.")  # fmt: skip
    return (0, faults) if faults else (span, [])


def _steps(steps: Any) -> tuple[tuple[Condition, ...], list[str]]:
    if isinstance(steps, str) or not isinstance(steps, Sequence) or not steps:
        return (), [f"steps is {steps!r}; it takes a list of event names or other matchers."]
    faults = [
        f"step {place}: {fault}"
        for place, step in enumerate(steps)
        for fault in _tried(lambda step=step: expression(step))[1]
    ]
    return tuple(steps), faults


def _exclusions(exclude: Any, steps: int) -> tuple[tuple[Exclusion, ...], list[str]]:
    exclude = () if exclude is None else exclude
    if not isinstance(exclude, Sequence) or isinstance(exclude, str):
        return (), [f"exclude is {exclude!r}; {_SHAPE}"]
    faults = [fault for each in exclude for fault in _exclusion_faults(each, steps)]
    if steps + len(exclude) > MOST_FLAGS:
        faults.append(f"{steps} steps and {len(exclude)} exclusions are more than {MOST_FLAGS}.")
    return tuple(tuple(each) for each in exclude) if not faults else (), faults


def _exclusion_faults(each: Any, steps: int) -> list[str]:
    if not isinstance(each, Sequence) or isinstance(each, str) or len(each) != 3:
        return [f"exclude holds {each!r}; {_SHAPE}"]
    event, begin, end = each
    faults = _tried(lambda: expression(event))[1]
    whole = all(is_whole(k, least=0) for k in (begin, end))
    if not whole or (steps and not 0 <= begin < end < steps):
        faults.append(
            f"exclude holds {each!r}; from_step comes before to_step, and the steps are numbered 0 to {steps - 1}."
        )
    return faults


def _moments(since: Any, as_of: Any) -> tuple[tuple[datetime | None, datetime | None], list[str]]:
    given = {"since": since, "as_of": as_of}
    tried = [
        _tried(lambda name=name, value=value: None if value is None else instant(value, name=name))
        for name, value in given.items()
    ]
    (begin, wrong_begin), (end, wrong_end) = tried
    faults = wrong_begin + wrong_end
    if begin and end and end <= begin:
        faults.append(
            f"since ({begin:%Y-%m-%d %H:%M}) is not before as_of ({end:%Y-%m-%d %H:%M}), so no event lies between them."
        )
    return (begin, end), faults


def _names(by: Any) -> tuple[tuple[str, ...], list[str]]:
    by = [by] if isinstance(by, str) else [] if by is None else by
    if not isinstance(by, Sequence) or not all(isinstance(name, str) for name in by):
        return (), [f"by is {by!r}; it takes a column name or a list of them."]
    names = tuple(by)
    faults = [
        f"by holds {name!r}, which the log or this answer has for its own; rename the property."
        for name in names
        if name in {*COUNTS, *PEOPLE, "user_id"} or name.startswith("_")
    ]
    return names, faults + (["by names a column twice."] if len(set(names)) < len(names) else [])


def expression(condition: Condition) -> pl.Expr:
    """Write a matcher, or take an expression, as one that is true on the events meant and never null."""
    if isinstance(condition, pl.Expr):
        return condition.fill_null(value=False)
    return matches(condition)


def check_conditions(log: pl.LazyFrame, asked: Asked) -> None:
    """Refuse conditions that no value can meet, and expressions that are not true or false.

    Raises
    ------
    ColumnError
        With every fault, if a column holds another kind of value than a matcher asks for.
    ParameterError
        With every expression that is at fault.
    """
    conditions = [condition for _, condition in _named(asked)]
    matchers = [each for each in conditions if not isinstance(each, pl.Expr)]
    unmet = condition_faults(log.collect_schema(), matchers)
    faults = [
        f"{name} gives {dtype}; it takes an expression that is true or false on each event."
        for name, condition in _named(asked)
        if isinstance(condition, pl.Expr)
        and (dtype := log.select(condition.alias("x")).collect_schema()["x"]) != pl.Boolean
    ]
    if unmet or faults:
        kind = ColumnError if unmet else ParameterError
        raise kind.from_faults(HEADING, unmet + faults)


def with_known_names(log: pl.LazyFrame, asked: Asked, missing: Missing) -> pl.LazyFrame:
    """Refuse steps and exclusions that no event can fill; see `in_known_names`."""
    if faults := check_choice("missing", missing, MISSING_CHOICES):
        raise ParameterError.from_faults(HEADING, faults)
    return in_known_names(log, dict(_named(asked)), missing=missing, heading=HEADING)


def _named(asked: Asked) -> list[tuple[str, Condition]]:
    named = [(f"step {place}", step) for place, step in enumerate(asked.steps)]
    return named + [
        (f"exclusion {place}", event) for place, (event, _, _) in enumerate(asked.exclude)
    ]


def needs_of(asked: Asked) -> list[str]:
    """List the columns a log must have for what is asked."""
    conditions = [*asked.steps, *[event for event, _, _ in asked.exclude]]
    needs = [
        name
        for condition in conditions
        for name in (
            condition.meta.root_names()
            if isinstance(condition, pl.Expr)
            else property_names(condition)
        )
    ]
    return [*needs, *asked.values]
