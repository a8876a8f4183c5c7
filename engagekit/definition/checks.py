"""What can be wrong with a definition's outcome window, its properties of users and its targets."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engagekit._base import is_number, is_share, is_whole, span_of
from engagekit.errors import ParameterError, StoredFileError, listing, nearest

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 2  # of a definition's file; those of version 1 mean the same
LONGEST_FIRST_DAYS = 31  # the early days of a user are kept as the bits of one 32-bit number
HOUR_US = 3_600_000_000
MOST_DAYS = 36_500  # a hundred years: what is longer is a slip
# Columns of a log, of journeys and of a users table, which no event property can be called by.
OUR_COLUMNS = (
    "user_id", "event", "at", "account_id", "signed_up_at", "activated_at", "first_action_at", "last_core_at", "last_seen_at",
    "core_days", "active_days", "early_events",
)  # fmt: skip
OF_EXPERIMENT = ("variant", "assigned_at", "variants_seen")  # what an experiment tells of a user


def listed(names: object) -> object:
    """Take one name as a list of it, and each name once; leave what is no list for `property_faults` to name."""
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, Sequence):
        return names
    return tuple(name for place, name in enumerate(names) if name not in names[:place])


def property_faults(names: object, *, assigned: bool = False) -> list[str]:
    """Name what no event property of users can be called."""
    if not isinstance(names, tuple):
        return [f"properties is {names!r}; it takes a list of names of event properties."]
    return (
        [
            f"properties holds {name!r}; it takes names of event properties."
            for name in names
            if not isinstance(name, str) or not name.strip()
        ]
        + [
            f"properties holds {name!r}, a name that engagekit uses itself; keep the property under another name."
            for name in names
            if name in (*OUR_COLUMNS, *(OF_EXPERIMENT if assigned else ()))
        ]
        + [
            f"properties holds {name!r}, which would stand for several columns; keep each property under a name of its own."
            for name in names
            if isinstance(name, str)
            and (name == "*" or (name.startswith("^") and name.endswith("$")))
        ]
    )


def microseconds_of(tolerance: str) -> int:
    """Read by how much clocks may differ; a text of noughts is nothing.

    Raises
    ------
    ParameterError
        It is no span of fixed length, or a longer one than clocks differ by.
    """
    if tolerance in ("0", "0s"):
        return 0
    span = span_of(tolerance, name="clock_tolerance")
    if isinstance(span, str) or span > HOUR_US:
        raise ParameterError(f"clock_tolerance is {tolerance!r}; clocks do not differ by more than an hour, so it takes up to '1h'. What comes earlier comes before the sign-up.")  # fmt: skip
    return span


def tolerance_faults(tolerance: object) -> list[str]:
    """Name what is wrong with a tolerance for clocks."""
    if not isinstance(tolerance, str):
        return [f"clock_tolerance is {tolerance!r}; it takes a span such as '5s'."]
    try:
        microseconds_of(tolerance)
    except ParameterError as error:
        return [str(error)]
    return []


def outcome_faults(window: object, first_days: object) -> list[str]:
    """Name what no outcome window can be."""
    if window is None:
        return []
    if not (
        isinstance(window, tuple)
        and len(window) == 2
        and all(is_whole(d, least=-math.inf) for d in window)
    ):
        return [f"outcome_days is {window!r}; it takes two whole numbers, such as [28, 42]."]
    if not window[0] < window[1]:
        return [f"outcome_days is {list(window)}; the window must end after it starts."]
    if window[1] > MOST_DAYS:
        return [f"outcome_days is {list(window)}; it ends at most on day {MOST_DAYS:,}."]
    if isinstance(first_days, int) and window[0] < first_days:
        return [
            f"outcome_days starts on day {window[0]}, inside the first {first_days} days; "
            "what users do early and how they end must not overlap. Start it later."
        ]
    return []


def target_faults(targets: object, margin: object, links: Sequence[str]) -> list[str]:
    """Name what no targets and no margin can be."""
    faults = []
    if not (is_number(margin) and 0 <= margin < 1):
        faults.append(f"margin is {margin!r}; it takes a share such as 0.02, 2 points.")
    if not isinstance(targets, Mapping):
        return [
            *faults,
            f"targets is {targets!r}; it takes link names with rates, such as activation = 0.35.",
        ]
    for name, rate in targets.items():
        if name not in links:
            faults.append(
                f"targets names {name!r}, which is no link.{nearest(str(name), links)} Links are {listing(links)}."
            )
        elif not is_share(rate):
            faults.append(
                f"the target of {name} is {rate!r}; it takes a share between 0 and 1, such as 0.35 for 35%."
            )
    return faults


def refuse_newer(path: Path) -> None:
    """Leave a file alone that a newer engagekit wrote."""
    try:
        version = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("schema_version")
    except (OSError, ValueError, RecursionError):
        return  # nothing there, or nothing that could be newer
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoredFileError(
            f"{str(path)!r} was written by a newer engagekit (schema {version}) and is left as it is; install that one."
        )


def day_faults(days: Mapping[str, object], interval: object) -> list[str]:
    """Name windows that are no whole number of days in reach, and a usage interval that is no number."""
    faults = []
    for name, value in days.items():
        least = 0 if name == "burn_in_days" else 1
        optional = name in {"habit_days", "depth_days", "depth_within_days", "burn_in_days"}
        if value is None and optional:
            continue
        if not is_whole(value, least=least, most=MOST_DAYS):
            faults.append(
                f"{name} is {value!r}; it takes a whole number of at least {least}, and at most {MOST_DAYS:,}."
            )
    first = days["first_days"]
    if isinstance(first, int) and first > LONGEST_FIRST_DAYS:
        faults.append(f"first_days is {first}; it can be at most {LONGEST_FIRST_DAYS}.")
    if interval is not None and (not (is_number(interval) and 0 < interval <= MOST_DAYS)):
        faults.append(
            f"usage_interval_days is {interval!r}; it takes a number above 0, and at most {MOST_DAYS:,}."
        )
    return faults
