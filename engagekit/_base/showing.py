"""How results show themselves: as plain values that JSON can hold, and as a few lines of HTML."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base.formatting import in_html, many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit._base.remarks import Remark


def as_plain(value: Any) -> Any:
    """Return a value as JSON can hold it: tables as lists of rows, days and instants as text, what is no number as None."""
    if isinstance(value, pl.DataFrame):
        return [as_plain(row) for row in value.to_dicts()]
    if isinstance(value, Mapping):
        return {str(name): as_plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if hasattr(value, "to_dict"):
        return as_plain(value.to_dict())
    if dataclasses.is_dataclass(value):
        return plain_fields(value)
    return value if value is None or isinstance(value, (str, int)) else str(value)


def plain_fields(result: Any, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of a result as plain values, by name."""
    names = [each.name for each in dataclasses.fields(result)]
    return {name: as_plain(getattr(result, name)) for name in names if name not in without}


def as_html(text: str, remarks: Sequence[Remark] = ()) -> str:
    """Write a sentence as HTML, and beneath it, to be unfolded, what to bear in mind."""
    said = f"<p>{in_html(text)}</p>"
    if not remarks:
        return said
    listed = "".join(f"<li>{in_html(remark.text)}</li>" for remark in remarks)
    return f"{said}<details><summary>To bear in mind: {many(len(remarks), 'remark')}</summary><ul>{listed}</ul></details>"


def as_text_html(text: str) -> str:
    """Write text whose lines and columns matter as HTML."""
    return f"<pre>{in_html(text)}</pre>"
