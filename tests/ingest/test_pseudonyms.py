"""Pseudonyms: keyed, stable, the same for numbers and text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek

NINE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ROWS = [
    ("ann", "open", NINE, 1),
    ("bob", "save", NINE + timedelta(hours=1), 2),
    ("ann", "save", NINE + timedelta(days=1), 3),
]
FRAME = pl.DataFrame(ROWS, schema=["user_id", "event", "at", "n"], orient="row").cast(
    {"at": pl.Datetime("us", "UTC")}
)


def test_pseudonyms_are_stable_and_keyed():
    key = "a secret of our team"
    hidden = ek.pseudonymize(FRAME, key=key).collect()
    assert hidden.drop("user_id").rows() == [r[1:] for r in ROWS]
    assert hidden["user_id"][0] == hidden["user_id"][2] != hidden["user_id"][1]
    # Keyed BLAKE2b with a digest of 16 bytes, worked out once and written down: it must never change.
    assert hidden["user_id"][0] == PSEUDONYM_OF_ANN
    assert ek.pseudonymize(FRAME.lazy(), key=key.encode()).collect().rows() == hidden.rows()
    assert ek.pseudonymize(FRAME, key=key + "!").collect()["user_id"][0] != hidden["user_id"][0]
    assert len(ek.pseudonymize(FRAME, key="x" * 100).collect()["user_id"][0]) == 32


PSEUDONYM_OF_ANN = "623b9b1b526e95d5b31fa982830a903c"


def test_pseudonyms_of_numbers_nulls_and_tables_of_users():
    key = "a secret of our team"
    numbers = pl.DataFrame({"user_id": [7, None]})
    text = pl.DataFrame({"user_id": ["7", None]})
    assert (
        ek.pseudonymize(numbers, key=key).collect().rows()
        == ek.pseudonymize(text, key=key).collect().rows()
    )
    assert ek.pseudonymize(text, key=key).collect()["user_id"][1] is None
    assert ek.pseudonymize(text.clear(), key=key).collect().height == 0
    with pytest.raises(ek.EngagekitError, match="at least 16"):
        ek.pseudonymize(text, key="short")
    with pytest.raises(ek.EngagekitError, match="Did you mean 'userid'"):
        ek.pseudonymize(text.rename({"user_id": "userid"}), key=key)


def test_pseudonyms_work_in_streams(tmp_path):
    many = pl.DataFrame({"user_id": [str(n % 1000) for n in range(50_000)]})
    many.write_parquet(tmp_path / "many.parquet")
    hidden = ek.pseudonymize(pl.scan_parquet(tmp_path / "many.parquet"), key="a secret of our team")
    assert hidden.collect(engine="streaming")["user_id"].n_unique() == 1000
