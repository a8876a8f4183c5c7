"""Pages of the playbook as Markdown, for notebooks: lists, the play card, a review's agenda, a plain table."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from engagekit._base import count, day, in_markdown, many, percent
from engagekit.errors import EngagekitError
from engagekit.playbook.guidance import REVIEWS, Item
from engagekit.playbook.plays import card_rows, play_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import polars as pl

MOST_ROWS = 60


@dataclass(frozen=True, repr=False)
class Handout:
    """A text that a notebook shows as Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __str__(self) -> str:
        """Return the Markdown."""
        return self.text

    def __repr__(self) -> str:
        """Return the Markdown, which reads well as plain text too."""
        return self.text


def bullets(lines: Iterable[Any]) -> Handout:
    """Write lines as a list.

    Examples
    --------
    >>> print(bullets(["one", "two"]))
    - one
    - two
    """
    return Handout("\n".join(f"- {_text(line)}" for line in lines))


def said(*sentences: Any) -> Handout:
    r"""Write sentences that are to be read aloud, one paragraph each; names from the log are inert.

    Examples
    --------
    >>> print(said("It is *habit*.", "Bear in mind."))
    > It is \*habit\*.
    >
    > Bear in mind.
    """
    return Handout("\n>\n".join(f"> {in_markdown(sentence)}" for sentence in sentences))


def or_why(ask: Callable[[], Any]) -> Any:
    """Ask, and where the log cannot answer, say why instead of stopping the notebook.

    Examples
    --------
    >>> from engagekit.errors import TooFewUsersError
    >>> def ask():
    ...     raise TooFewUsersError("Nobody can be judged yet.")
    >>> print(or_why(ask))
    > This cannot be answered: Nobody can be judged yet.
    """
    try:
        found = ask()
    except EngagekitError as error:
        return said(f"This cannot be answered: {error}")
    drawn = getattr(found, "chart", found)  # of a chart whose marks open
    written = getattr(drawn, "usermeta", None)
    if isinstance(written, dict) and not written["engagekit"]["rows"]:
        return said(f"{' '.join(drawn.title.text)}.")  # a chart of nothing: its title says why
    return found


def facts(rows: Iterable[Any], *columns: str) -> Handout:
    """Write rows of a playbook table as a Markdown table of some of its columns."""
    headings = [c.replace("_", " ").capitalize() for c in columns]
    lines = [_row(headings), "|" + ":---|" * len(columns)]
    lines += [_row([_text(getattr(row, c)) for c in columns]) for row in rows]
    return Handout("\n".join(lines))


def card(name: str | None) -> Handout:
    """Write a play as a card: when to use it, what users feel, the trap, who leads it, what to watch."""
    if name is None:
        return Handout("No play is named by this verdict.")
    play = play_named(name)
    lines = [_row(["Play", play.name]), "|:---|:---|"]
    return Handout("\n".join([*lines, *[_row([f"**{a}**", b]) for a, b in card_rows(play)]]))


def agenda(review: str) -> Handout:
    """Write the agenda of the weekly or monthly review."""
    found = next(r for r in REVIEWS if r.name == review)
    parts = [
        f"**{found.question}** {found.purpose}",
        "",
        *[f"- {i.text}" for i in found.look_at],
        "",
        "Sanity checks:",
        "",
    ]
    return Handout(
        "\n".join([*parts, *[f"- {i.text}" for i in found.sanity_checks], "", found.ends_with])
    )


def table(frame: pl.DataFrame, *, most: int = MOST_ROWS) -> Handout:
    """Write a small frame as a Markdown table: shares as percentages, differences as points; names from the log are inert.

    Examples
    --------
    >>> import polars as pl
    >>> print(table(pl.DataFrame({"link": ["habit"], "of": [3676], "rate": [0.381]})))
    | link | of | rate |
    |:---|---:|---:|
    | habit | 3,676 | 38% |
    """
    lines = [_row([c.replace("_", " ") for c in frame.columns])]
    lines.append("|" + "".join("---:|" if t.is_numeric() else ":---|" for t in frame.dtypes))
    writers = [_writer(name, frame.columns) for name in frame.columns]
    lines += [
        _row([write(value) for write, value in zip(writers, row, strict=True)])
        for row in frame.head(most).iter_rows()
    ]
    left = frame.height - most
    more = ["", f"and {many(left, 'more row', 'more rows')}"] if left > 0 else []
    return Handout("\n".join([*lines, *more]))


def _writer(name: str, columns: Sequence[str]) -> Callable[[Any], str]:
    """Choose how a column is written: `low` and `high` are shares where they stand beside one."""
    if name.startswith("difference"):
        return _points
    interval = name in {"low", "high"} and any(_is_share(other) for other in columns)
    return _share if interval or _is_share(name) else _cell


def _is_share(name: str) -> bool:
    return name.startswith(("rate", "share", "retention")) or name in {
        "overall",
        "reached",
        "target",
    }


def _share(value: Any) -> str:
    return percent(value) if isinstance(value, float) else _cell(value)


def _points(value: Any) -> str:
    if not isinstance(value, float):
        return _cell(value)
    written = f"{round(100 * value):+d}"  # never "-0"
    return f"{written} point" if written in {"+1", "-1"} else f"{written} points"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return count(value)
    if isinstance(value, date):
        return day(value)
    return in_markdown(value)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(value: Any) -> str:
    if isinstance(value, Item):
        return value.text
    if isinstance(value, tuple):
        return "; ".join(_text(part) for part in value)
    if dataclasses.is_dataclass(value):
        return "; ".join(_text(getattr(value, f.name)) for f in dataclasses.fields(value))
    return "–" if value is None else str(value)
