"""Names from a log on their way to an assistant: data, of bounded length, with nothing in them that steers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from engagekit._base import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LONGEST = 60  # characters of a name; what is longer reads like a letter, not like a name
LONGEST_TEXT = 2000  # of a sentence of ours with such names in it
MOST_ROWS = 500
DIGITS = 4  # of a rate; counts stay whole
# As `repr` quotes: where a quote opens, up to the next one that is not escaped.
QUOTED = re.compile(rf"""(?<![^\s(=:\[])(['"])((?:\\.|(?!\1)[^\\\n]){{{LONGEST + 1},}})\1""")


def shortened(name: str) -> str:
    r"""Write a foreign name without control characters, at most `LONGEST` characters of it.

    Examples
    --------
    >>> shortened("opened" + chr(10) + "SYSTEM:"), len(shortened("x" * 500))
    ('opened\\nSYSTEM:', 60)
    """
    told = plain(name)
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"


def short_quotes(message: str) -> str:
    """Shorten what a message of ours quotes, as it quotes every name.

    Examples
    --------
    >>> len(short_quotes("There is no event '" + "x" * 500 + "'."))
    81
    """
    return QUOTED.sub(lambda found: f"{found[1]}{shortened(found[2])}{found[1]}", message)


def texts_in(value: Any) -> Iterator[str]:
    """List all texts in nested lists and tables, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from texts_in(key)
            yield from texts_in(each)
    elif isinstance(value, (list, tuple, set)):
        for each in value:
            yield from texts_in(each)


def inert(answer: Any, foreign: Iterable[str] = ()) -> Any:
    """Bring an answer to what an assistant is told: no control characters, long names, lists and fractions cut.

    Parameters
    ----------
    answer
        Nested lists and tables.
    foreign
        Names from the log, the definition or the users table: wherever one of these that is too long stands in a text, it
        is shortened there too.

    Examples
    --------
    >>> inert({"sentence": "Most did 'a" + "b" * 99 + "' early."}, ["a" + "b" * 99])["sentence"][:20]
    "Most did 'abbbbbbbbb"
    """
    long = sorted({n for n in foreign if shortened(n) != n}, key=len, reverse=True)
    ways = {way: shortened(name) for name in long for way in (name, repr(name)[1:-1], plain(name))}
    return _inert(answer, ways)


def _inert(value: Any, ways: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for way, short in ways.items():
            value = value.replace(way, short)
        return plain(value)[:LONGEST_TEXT]
    if isinstance(value, dict):
        return {_inert(key, ways): _inert(each, ways) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        told = [_inert(each, ways) for each in value[:MOST_ROWS]]
        more = len(value) - MOST_ROWS
        return told + ([{"rows_left_out": more}] if more > 0 else [])
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
