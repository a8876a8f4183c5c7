"""How numbers and foreign names are written: the same in terminal, report, tables and exported records."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

LINK_NAMES = {
    "activation": "Activation",
    "habit": "Habit",
    "depth": "Depth",
    "advocacy": "Advocacy",
}
# What starts a formula, also in the wide form of East Asian keyboards, behind whatever a spreadsheet skips: at the start of
# a cell, and behind a semicolon, tab or line break, at which a spreadsheet of another country may cut it.
_SKIPPED = r"""[\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"']*"""
_FORMULA = re.compile(
    rf"\A(?=[\t\r\n]|{_SKIPPED}[=+\-@＝＋－＠])|(?<=[;\t\r\n])(?={_SKIPPED}[=+\-@＝＋－＠])"
)


def percent(share: float | None, *, digits: int = 0) -> str:
    """Write a share as a percentage, an unknown one as a dash; what is not none is not 0%, what is not all not 100%.

    Examples
    --------
    >>> percent(0.314), percent(0.0042), percent(0.0001), percent(None)
    ('31%', '0.4%', 'under 0.1%', '–')
    >>> percent(0.996), percent(0.9999), percent(1.0)
    ('99.6%', 'over 99.9%', '100%')
    """
    if share is None or share != share:
        return "–"
    value = 100 * share
    if 0 < value < 0.1:
        return "under 0.1%"
    if 99.9 < value < 100:
        return "over 99.9%"
    if digits == 0 and (0 < abs(value) < 1 or 99 < value < 100):
        digits = 1
    return f"{value:.{digits}f}%"


def sure(probability: float | None) -> str:
    """Write a probability without ever claiming certainty.

    Examples
    --------
    >>> sure(0.99999), sure(0.83), sure(0.001)
    ('over 99%', '83%', 'under 1%')
    """
    if probability is None:
        return "–"
    if probability > 0.99:
        return "over 99%"
    return "under 1%" if probability < 0.01 else percent(probability)


def count(number: float | None) -> str:
    """Write a whole number with separators.

    Examples
    --------
    >>> count(12345)
    '12,345'
    """
    return "–" if number is None else f"{round(number):,d}"


def many(number: int, one: str, more: str | None = None) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> many(1, "user"), many(2500, "user"), many(2, "person", "people")
    ('1 user', '2,500 users', '2 people')
    """
    return f"{count(number)} {one if number == 1 else more or one + 's'}"


def times_as_often(ratio: float | None, low: float | None, high: float | None) -> str:
    """Write a ratio with its interval; a bound or a ratio that does not exist is left out and said in words.

    Examples
    --------
    >>> times_as_often(2.1, 1.8, 2.5), times_as_often(2.1, 1.8, None), times_as_often(0.0, None, 0.4)
    ('2.10× (1.80 – 2.50)', '2.10× (at least 1.80)', '0.00× (at most 0.40)')
    >>> times_as_often(None, 3.1, None), times_as_often(2.1, None, None), times_as_often(None, None, None)
    ('at least 3.10×', '2.10×', '–')
    """
    ratio, low, high = (
        v if v is not None and math.isfinite(v) else None for v in (ratio, low, high)
    )
    times = "×" if ratio is None else ""
    if low is not None and high is not None:
        span = f"{low:.2f}{times} – {high:.2f}{times}"
    elif low is not None:
        span = f"at least {low:.2f}{times}"
    else:
        span = "" if high is None else f"at most {high:.2f}{times}"
    if ratio is None:
        return span or "–"
    return f"{ratio:.2f}×" + (f" ({span})" if span else "")


def day(moment: datetime | date) -> str:
    """Write a day as 2026-03-01."""
    return moment.strftime("%Y-%m-%d")


def plain(text: object) -> str:
    r"""Make a foreign text safe for a terminal: control and direction-changing characters show as codes.

    Examples
    --------
    >>> print(plain("red" + chr(27) + "[31m"))
    red\x1b[31m
    """
    unsafe = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return "".join(
        c.encode("unicode_escape", "backslashreplace").decode()
        if unicodedata.category(c) in unsafe
        else c
        for c in str(text)
    )


def group(value: object) -> str:
    """Write the value of a property that splits an answer, null as ``(none)``.

    Examples
    --------
    >>> group("pro"), group(None)
    ('pro', '(none)')
    """
    return "(none)" if value is None else plain(value)


def in_html(text: object) -> str:
    """Make a foreign text inert in HTML."""
    return html.escape(plain(text), quote=True)


def in_markdown(text: object) -> str:
    r"""Make a foreign text inert in Markdown: no markup, no HTML, no link.

    Examples
    --------
    >>> print(in_markdown("a|b <i>"))
    a\|b &lt;i&gt;
    """
    escaped = re.sub(r"([\\`*_{}\[\]#|!~])", r"\\\1", html.escape(plain(text), quote=False))
    return escaped.replace("://", "&#58;//")


def in_spreadsheet(text: object) -> str:
    """Make a foreign text inert in a spreadsheet: what would run as a formula gets an apostrophe in front.

    Examples
    --------
    >>> in_spreadsheet("=1+1"), in_spreadsheet("a;=1+1"), in_spreadsheet("well-known")
    ("'=1+1", "a;'=1+1", 'well-known')
    """
    return _FORMULA.sub("'", str(text))
