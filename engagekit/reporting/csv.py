"""Answers as CSV for spreadsheets: whole files, in which nothing that came with the log can run."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagekit._base import in_spreadsheet, write_whole

if TYPE_CHECKING:
    import os

    import polars as pl


def to_csv(frame: pl.DataFrame | pl.LazyFrame, path: str | os.PathLike[str]) -> Path:
    """Write an answer as a CSV file that a spreadsheet opens without running anything in it.

    Parameters
    ----------
    frame
        What any function here returned.
    path
        Where the file goes; written whole or not at all.

    Returns
    -------
    pathlib.Path
        The file: UTF-8 with a mark that spreadsheets know it by, commas, a first line with the names of the columns.

    Raises
    ------
    StoredFileError
        The file cannot be written.

    Notes
    -----
    Event names and properties come from users of the product, and one that begins with ``=``, ``+``, ``-`` or ``@``
    would run as a formula: such a text gets an apostrophe in front. Numbers, days and instants stay as they are;
    a list becomes one text with commas; what is unknown stays empty.

    References
    ----------
    OWASP, "CSV Injection": which characters begin a formula.

    Examples
    --------
    >>> import tempfile
    >>> import polars as pl
    >>> answer = pl.DataFrame({"action": ["=1+1", "share"], "difference": [-0.5, None]})
    >>> to_csv(answer, tempfile.mkdtemp() + "/answer.csv").read_text(encoding="utf-8-sig").split()
    ['action,difference', "'=1+1,-0.5", 'share,']
    """
    write_whole(path, as_csv(frame).encode("utf-8-sig"))
    return Path(path)


def as_csv(frame: pl.DataFrame | pl.LazyFrame) -> str:
    """Write an answer as CSV text in which nothing can run."""
    table = frame.lazy().collect()
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([in_spreadsheet(name) for name in table.columns])
    writer.writerows([_cell(value) for value in row] for row in table.iter_rows())
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, date, time)):
        return value.isoformat(" ") if isinstance(value, datetime) else str(value)
    if isinstance(value, (list, tuple)):
        return in_spreadsheet(", ".join("" if each is None else str(each) for each in value))
    return in_spreadsheet(value)
