"""What a parameter may be: whole numbers, numbers and shares, with the words for what is none of them."""

from __future__ import annotations

import math
from numbers import Real
from typing import TypeGuard


def is_whole(value: object, *, least: float = 1, most: float = math.inf) -> TypeGuard[int]:
    """Say whether a value is a whole number in reach; True and 1.0 are none.

    Examples
    --------
    >>> is_whole(3), is_whole(0), is_whole(True), is_whole(3.0), is_whole(9, most=8)
    (True, False, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object) -> TypeGuard[float]:
    """Say whether a value is a number that can be counted with: not-a-number, infinity and True are none.

    Examples
    --------
    >>> is_number(0.5), is_number(2), is_number(True), is_number("2"), is_number(float("nan"))
    (True, True, False, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_share(value: object) -> TypeGuard[float]:
    """Say whether a value is a share above 0 and below 1.

    Examples
    --------
    >>> is_share(0.35), is_share(35), is_share(1.0)
    (True, False, False)
    """
    return is_number(value) and 0 < value < 1


def whole_faults(name: str, value: object, of: str = "") -> list[str]:
    """Return the fault of what should be a whole number of at least 1.

    Examples
    --------
    >>> whole_faults("periods", 0), whole_faults("quiet_days", 28, "days")
    (['periods is 0; it takes a whole number of at least 1.'], [])
    """
    kind = f" of {of}" if of else ""
    return (
        []
        if is_whole(value)
        else [f"{name} is {value!r}; it takes a whole number{kind} of at least 1."]
    )


def share_faults(name: str, value: object, example: str = "") -> list[str]:
    """Return the fault of what should be a share above 0 and below 1.

    Examples
    --------
    >>> share_faults("goal", 45, "such as 0.45")
    ['goal is 45; it takes a share between 0 and 1, such as 0.45.']
    """
    such = f", {example}" if example else ""
    return (
        [] if is_share(value) else [f"{name} is {value!r}; it takes a share between 0 and 1{such}."]
    )
