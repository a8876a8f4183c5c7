"""A sheet: what an answer says, written out once as title, subtitle and cells, for its chart and its table alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import LINK_NAMES, percent, plain
from engagekit.errors import ColumnError, ParameterError, listing, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A picture or a table of more rows than this is not read but searched.
MOST_ROWS = 4000
MOST_GROUPS = 200
LONGEST = 400_000  # rows of an answer of which the latest are shown
UNKNOWN = ""  # not observable yet, or nobody to judge: blank, never 0
LINK_WORDS = LINK_NAMES | {"habit": "Habit (repeat value)"}


@dataclass(frozen=True)
class Sheet:
    """What one answer says: the finding, what it stands on, and its numbers as they are written.

    `title` states the finding, `subtitle` denominators and intervals, `headers` and `rows` the numbers, of whose
    columns the first `texts` are words. `picture` says what kind of drawing shows it.
    """

    picture: str
    title: str
    subtitle: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1


def sheet(
    picture: str,
    title: str,
    subtitle: str,
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: int = 1,
) -> Sheet:
    """Make a sheet of lists."""
    return Sheet(picture, title, subtitle, tuple(headers), tuple(tuple(row) for row in rows), texts)


def spoken(sheet: Sheet, *, most: int = 12) -> str:
    """Write a sheet as the sentences a screen reader gives: kind of picture, finding, basis, numbers."""
    lines = [
        ", ".join(
            cell if number < sheet.texts or not header else f"{header} {cell}"
            for number, (header, cell) in enumerate(zip(sheet.headers, row, strict=True))
            if cell
        )
        for row in sheet.rows[:most]
    ]
    if len(sheet.rows) > most:
        lines.append(f"and {len(sheet.rows) - most} more rows")
    head = f"{sheet.picture}: {ended(sheet.title)} {ended(sheet.subtitle)}".strip()
    return f"{head} {ended('; '.join(lines))}" if lines else head


def joined_sentences(*sentences: str) -> str:
    """Put sentences that are there one after the other."""
    return " ".join(part for part in sentences if part)


def ended(sentence: str) -> str:
    """End a sentence with a full stop unless it has its end."""
    return sentence if not sentence or sentence[-1] in ".?!" else f"{sentence}."


def checked(
    frame: pl.DataFrame | pl.LazyFrame,
    columns: Sequence[str],
    answer: str,
    *,
    most: int = MOST_ROWS,
) -> pl.DataFrame:
    """Return the frame in memory, or say which columns of the answer it lacks and what is too much to show."""
    if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
        raise ParameterError(
            f"this shows what {answer} returns, a polars frame; found {type(frame).__name__}"
        )
    found = frame.lazy().collect()
    missing = [name for name in columns if name not in found.columns]
    faults = [f"column {name!r} is missing.{nearest(name, found.columns)}" for name in missing]
    if missing:
        faults.append(f"the columns found are {listing(found.columns)}")
    if found.height > most:
        faults.append(
            f"it has {found.height:,} rows, and at most {most:,} can be shown; give the answer itself, "
            "not users or events, or filter it"
        )
    if faults:
        raise ColumnError.from_faults(f"this is not what {answer} returns", faults)
    return found


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Give each row of an answer its number as ``_mark``: so a mark of a picture says which row it shows."""
    return frame.with_columns(pl.int_range(pl.len()).alias("_mark"))


def latest(frame: pl.DataFrame, column: str, most: int, *, noun: str) -> tuple[pl.DataFrame, str]:
    """Keep the rows of the latest values of a column, and say so where that leaves some out."""
    values = frame[column].unique().sort()
    if values.len() <= most:
        return frame, ""
    kept = frame.filter(pl.col(column) >= values[-most])
    return kept, f"The latest {most} of {values.len():,} {noun}. "


def group_columns(frame: pl.DataFrame, own: Sequence[str]) -> list[str]:
    """Name the properties an answer is split by: they stand before its own columns."""
    first = min(frame.columns.index(name) for name in own if name in frame.columns)
    return frame.columns[:first]


def largest_groups(frame: Any, own: Sequence[str], size: str) -> tuple[Any, str]:
    """Keep the groups with the most users, and say so where that leaves some out.

    Parameters
    ----------
    frame
        An answer; what is none is left for `checked` to refuse.
    own
        The answer's own columns, which the properties stand before.
    size
        The column that says of how many users a row is.
    """
    if not isinstance(frame, pl.DataFrame) or not {size, *own} <= set(frame.columns):
        return frame, ""
    keys = group_columns(frame, own)
    if not keys or frame.is_empty():
        return frame, ""
    sizes = frame.group_by(keys, maintain_order=True).agg(
        pl.col(size).max().alias("_users"), pl.len().alias("_rows")
    )
    rows = int(sizes.select(pl.col("_rows").max()).item())
    most = max(1, min(MOST_GROUPS, MOST_ROWS // rows))
    if sizes.height <= most:
        return frame, ""
    ranked = sizes.sort("_users", descending=True, nulls_last=True, maintain_order=True)
    some = frame.join(
        ranked.head(most), on=keys, how="semi", nulls_equal=True, maintain_order="left"
    )
    return some, f"Shown are the {most} largest of {sizes.height:,} groups."


def group_labels(frame: pl.DataFrame, groups: Sequence[str], *, most: int = 26) -> list[str]:
    """Write each row's group: ``pro · DE``; nothing where the answer is not split."""
    if not groups:
        return [""] * frame.height
    return labels(frame.select(groups).rows(), most=most)


def written(value: object) -> str:
    """Write a value of a property, or of several: safe, on one line, null as ``(none)``."""
    if isinstance(value, tuple):
        return joined(*[written(part) for part in value])
    if value is None:
        return "(none)"
    if isinstance(value, datetime | date):
        return moment(value)
    text = " ".join(plain(str(value).replace("\n", " ").replace("\t", " ")).split())
    return text or "(blank)"


def labels(values: Sequence[object], *, most: int = 26) -> list[str]:
    """Write names short enough for an axis, different names always differently.

    Examples
    --------
    >>> labels(["order", "order", "a" * 40, "a" * 41], most=8)
    ['order', 'order', 'aaaaaaa…', 'aaaaaaa… (2)']
    """
    short: dict[object, str] = {}
    for value in dict.fromkeys(values):
        text = written(value)
        base = text if len(text) <= most else text[: most - 1].rstrip() + "…"
        label, number = base, 2
        while label in short.values():
            label, number = f"{base} ({number})", number + 1
        short[value] = label
    return [short[value] for value in values]


def joined(*parts: str) -> str:
    """Join the parts of a label that are there."""
    return " · ".join(part for part in parts if part)


def moment(value: date | datetime) -> str:
    """Write a local date, with its time where it has one.

    Examples
    --------
    >>> moment(date(2026, 3, 1)), moment(datetime(2026, 3, 1, 14))
    ('2026-03-01', '2026-03-01 14:00')
    """
    return value.strftime("%Y-%m-%d %H:%M" if isinstance(value, datetime) else "%Y-%m-%d")


def rated(share: float | None) -> str:
    """Write a share, blank where it is not known.

    Examples
    --------
    >>> rated(0.314), rated(0.996), rated(0.00001), rated(None)
    ('31%', '99.6%', 'under 0.1%', '')
    """
    return UNKNOWN if share is None or share != share else percent(share)


def between(low: float | None, high: float | None) -> str:
    """Write an interval of shares; a bound next to none or all is rounded outwards, to it.

    Examples
    --------
    >>> between(0.28, 0.344), between(0.0002, 0.9999), between(None, None)
    ('28–34%', '0–100%', '')
    """
    if low is None or high is None:
        return UNKNOWN
    low, high = 0 if low < 0.001 else low, 1 if high > 0.999 else high
    return f"{percent(low).removesuffix('%')}–{percent(high)}"


def points(difference: float | None) -> str:
    """Write a difference of shares in percentage points, with its sign.

    Examples
    --------
    >>> points(0.34), points(-0.021), points(0.0), points(None)
    ('+34', '−2', '0', '')
    """
    if difference is None or difference != difference:
        return UNKNOWN
    digits = 1 if 0 < abs(difference) < 0.01 else 0
    text = f"{100 * abs(difference):.{digits}f}"
    sign = "" if not text.strip("0.") else "+" if difference > 0 else "−"
    return f"{sign}{text}" if sign else "0"


def decimals(value: float | None, digits: int = 2) -> str:
    """Write a plain number, blank where it is not known."""
    return UNKNOWN if value is None or value != value else f"{value:.{digits}f}"


def whole(number: float | None) -> str:
    """Write a count, blank where it is not known."""
    return UNKNOWN if number is None else f"{round(number):,d}"


def known(rows: Iterable[dict[str, Any]], column: str = "rate") -> list[dict[str, Any]]:
    """Keep the rows that can be judged."""
    return [row for row in rows if row[column] is not None and row[column] == row[column]]
