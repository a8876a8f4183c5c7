"""Columns told by what they hold: times as seconds, pandas tables, columns of nothing and of other kinds."""

from __future__ import annotations

import polars as pl
import pytest

from engagekit.workshop import found_columns

ROWS = {
    "a": [f"u{k % 7}" for k in range(60)],
    "b": [("open", "save", "share")[k % 3] for k in range(60)],
    "at": [1_760_000_000 + 3600 * k for k in range(60)],
    "nothing": [None] * 60,
    "share": [k / 60 for k in range(60)],
    "yes": [k % 2 == 0 for k in range(60)],
}


@pytest.mark.parametrize("carry", ["polars", "pandas"])
def test_columns_are_found_in_tables(carry):
    frame = pl.DataFrame(ROWS, schema_overrides={"nothing": pl.String}).rename(
        {"a": "user_id", "b": "event"}
    )
    given = frame.to_pandas() if carry == "pandas" else frame
    read, _ = found_columns(given, {})
    assert (read.user or "user_id", read.event or "event", read.at or "at") == (
        "user_id",
        "event",
        "at",
    )
