"""Spans of time as people write them: ``"14d"``, ``"1h30m"``, ``"1mo"`` or a timedelta."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from engagekit.errors import ParameterError
from engagekit.instants import AT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A span of fixed length in microseconds, or the text of one that the calendar stretches ("1mo").
Span: TypeAlias = int | str

_PART = re.compile(r"(\d+)(ns|us|µs|ms|mo|s|m|h|d|w|q|y)")
_FIXED = {
    "ns": 0.001,
    "us": 1,
    "µs": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 7 * 86_400_000_000,
}
_CALENDAR = {"mo": 31 * 86_400_000_000, "q": 92 * 86_400_000_000, "y": 366 * 86_400_000_000}
# A time plus this still fits 64 bits, whatever the time.
_LONGEST = 10**17


def span_of(value: timedelta | str, *, name: str = "within") -> Span:
    """Read a span from a polars duration text or a timedelta.

    Parameters
    ----------
    value
        Such as ``"14d"``, ``"1h30m"``, ``"1mo"`` or ``timedelta(days=14)``; days and weeks are 24 and 168 hours.
    name
        The parameter's name, for the error.

    Returns
    -------
    int or str
        Microseconds, or the text itself where months, quarters or years are in it.

    Raises
    ------
    ParameterError
        It is no span, is not longer than nothing, or is longer than three thousand years.

    Examples
    --------
    >>> span_of("1h30m"), span_of(timedelta(seconds=1)), span_of("1mo")
    (5400000000, 1000000, '1mo')
    """
    if isinstance(value, timedelta):
        return _checked(value // timedelta(microseconds=1), value, name)
    if not isinstance(value, str) or not re.fullmatch(f"(?:{_PART.pattern})+", value.strip()):
        raise ParameterError(
            f"{name} is {value!r}; write a span like '14d', '1h30m' or '2w', or give a timedelta."
        )
    text = value.strip()
    parts = [(int(count), unit) for count, unit in _PART.findall(text)]
    length = _checked(
        int(sum(count * (_FIXED | _CALENDAR)[unit] for count, unit in parts)), value, name
    )
    return text if any(count and unit in _CALENDAR for count, unit in parts) else length


def _checked(microseconds: int, value: object, name: str) -> int:
    if microseconds <= 0:
        raise ParameterError(f"{name} is {value!r}; it must be longer than nothing.")
    if microseconds > _LONGEST:
        raise ParameterError(f"{name} is {value!r}, which is longer than any log.")
    return microseconds


def later(at: NDArray[np.int64], span: Span) -> NDArray[np.int64]:
    """Add a span to times given as UTC microseconds."""
    if isinstance(span, int):
        return at + span
    found: NDArray[np.int64] = pl.Series(at).cast(AT).dt.offset_by(span).to_physical().to_numpy()
    return found
