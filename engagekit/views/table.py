"""A sheet as a table: in a notebook as HTML, anywhere else as plain text; the same every time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import in_html
from engagekit.errors import ParameterError

if TYPE_CHECKING:
    from engagekit.views.sheet import Sheet

MOST_ROWS = 200  # of a page; a longer table says how many more there are


@dataclass(frozen=True)
class Table:
    """What a chart shows, as a table: `name` is the chart's, `sheet` its words and numbers.

    A notebook shows it as HTML; `print` writes it as plain text; `great_table()` gives it to style further.
    """

    name: str
    sheet: Sheet

    def __str__(self) -> str:
        """Write the table as plain text."""
        return as_text(self.sheet)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Show the table in a notebook; as preformatted text where great_tables is not installed."""
        try:
            page: str = as_great_table(self.sheet, self.name).as_raw_html()
        except ImportError:
            return f"<pre>{in_html(as_text(self.sheet))}</pre>"
        return page

    def great_table(self) -> Any:
        """Return the table as great_tables has it, all names inert, its id the same every time.

        Raises
        ------
        ParameterError
            great_tables is not installed.
        """
        try:
            return as_great_table(self.sheet, self.name)
        except ImportError:
            raise ParameterError(
                "great_tables is not installed; install it with: pip install 'engagekit[tables]'. Without it, a notebook shows the table as text."
            ) from None

    @property
    def frame(self) -> pl.DataFrame:
        """The written cells as a frame of strings."""
        return as_frame(self.sheet)


def as_frame(sheet: Sheet) -> pl.DataFrame:
    """Return the written cells under headers that are all different."""
    names = [header or " " * (place + 1) for place, header in enumerate(sheet.headers)]
    columns = list(zip(*sheet.rows, strict=True)) or [()] * len(names)
    return pl.DataFrame(
        {
            name: pl.Series(cells, dtype=pl.String)
            for name, cells in zip(names, columns, strict=True)
        }
    )


def as_text(sheet: Sheet) -> str:
    """Write a sheet as plain text: title, subtitle, aligned columns."""
    cells = [list(sheet.headers), *[list(row) for row in sheet.rows[:MOST_ROWS]]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(sheet.headers))]
    lines = [_line(row, widths, sheet.texts) for row in cells]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([sheet.title, sheet.subtitle, "", lines[0], rule, *lines[1:], *_more(sheet)])


def _line(row: list[str], widths: list[int], texts: int) -> str:
    written = [
        cell.ljust(width) if place < texts else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(written).rstrip()


def _more(sheet: Sheet) -> list[str]:
    left = len(sheet.rows) - MOST_ROWS
    return [f"and {left} more rows"] if left > 0 else []


def as_great_table(sheet: Sheet, name: str) -> Any:
    """Make a great table: columns by number, so that no name can be taken for markup or for a column."""
    import great_tables as gt

    keys = [f"c{place}" for place in range(len(sheet.headers))]
    schema = dict.fromkeys(keys, pl.String)
    frame = pl.DataFrame(sheet.rows[:MOST_ROWS], schema=schema, orient="row")
    table = gt.GT(frame, id=identity(sheet, name)).fmt(inert, columns=keys)
    title, subtitle = gt.html(inert(sheet.title)), gt.html(inert(sheet.subtitle))
    table = table.tab_header(title=title, subtitle=subtitle)
    headers: dict[str, Any] = {
        key: gt.html(inert(h)) for key, h in zip(keys, sheet.headers, strict=True)
    }
    table = table.cols_label(headers).cols_align("left", columns=keys[: sheet.texts])
    table = table.cols_align("right", columns=keys[sheet.texts :])
    for line in _more(sheet):
        table = table.tab_source_note(line)
    return table


def inert(text: str) -> str:
    """Make a text inert in a great table, which would also read braces as units."""
    return in_html(text).replace("{", "&#123;").replace("}", "&#125;")


def identity(sheet: Sheet, name: str) -> str:
    """Return an id that is the same for the same table."""
    digest = hashlib.sha256(repr(sheet).encode()).hexdigest()[:10]
    return f"engagekit-{name.replace('_', '-')}-{digest}"
