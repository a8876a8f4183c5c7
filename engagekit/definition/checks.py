"""What can be wrong with a definition's outcome window and its properties of users."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engagekit.errors import StoredFileError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 2  # of a definition's file; those of version 1 mean the same
MOST_DAYS = 36_500  # a hundred years: what is longer is a slip
# Columns of a log, of journeys and of a users table, which no event property can be called by.
OUR_COLUMNS = (
    "user_id", "event", "at", "account_id", "signed_up_at", "activated_at", "first_action_at", "last_core_at", "last_seen_at",
    "core_days", "active_days",
)  # fmt: skip


def listed(names: object) -> object:
    """Take one name as a list of it, and each name once; leave what is no list for `property_faults` to name."""
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, Sequence):
        return names
    return tuple(name for place, name in enumerate(names) if name not in names[:place])


def property_faults(names: object) -> list[str]:
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
            if name in OUR_COLUMNS
        ]
        + [
            f"properties holds {name!r}, which would stand for several columns; keep each property under a name of its own."
            for name in names
            if isinstance(name, str)
            and (name == "*" or (name.startswith("^") and name.endswith("$")))
        ]
    )


def outcome_faults(window: object, first_days: object) -> list[str]:
    """Name what no outcome window can be."""
    if window is None:
        return []
    if not (
        isinstance(window, tuple)
        and len(window) == 2
        and all(isinstance(d, int) and not isinstance(d, bool) for d in window)
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
