from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import EventLogError
from engagekit.people import READERS

ROWS = pl.DataFrame({"user_id": [1, 2], "plan": ["pro", None], "signed_up_at": [datetime(2026, 3, 29, 1, 30), None]})  # fmt: skip
WRITERS = {".csv": "write_csv", ".parquet": "write_parquet", ".ndjson": "write_ndjson", ".jsonl": "write_ndjson"}  # fmt: skip


@pytest.mark.parametrize("ending", [e for e in READERS if e in WRITERS])
def test_each_kind_of_file_is_read(tmp_path, ending):
    path = tmp_path / f"users{ending.upper()}"
    getattr(ROWS.select("user_id", "plan"), WRITERS[ending])(path)
    assert ek.read_users(path).rows() == [(1, "pro"), (2, None)]


def test_ids_become_those_of_the_log(tmp_path):
    ROWS.write_csv(tmp_path / "users.csv")
    assert ek.read_users(tmp_path / "users.csv", ids=pl.String())["user_id"].to_list() == ["1", "2"]
    found = ek.read_users(tmp_path / "users.csv", ids=pl.UInt32())
    assert found.schema["user_id"] == pl.UInt32
    # An enumeration of the log's ids is joined as text, not cast: it may lack users without events.
    assert ek.read_users(tmp_path / "users.csv", ids=pl.Enum(["1"])).schema["user_id"] == pl.Int64


def test_sign_ups_without_a_zone_are_local(tmp_path):
    ROWS.write_parquet(tmp_path / "users.parquet")
    found = ek.read_users(tmp_path / "users.parquet", timezone="Europe/Berlin")
    assert found["signed_up_at"].to_list() == [datetime(2026, 3, 29, 0, 30, tzinfo=UTC), None]


def test_sign_ups_with_a_zone_and_dates_stay(tmp_path):
    for at in (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), date(2026, 3, 29)):
        pl.DataFrame({"user_id": ["a"], "signed_up_at": [at]}).write_parquet(tmp_path / "u.parquet")
        assert ek.read_users(tmp_path / "u.parquet", timezone="Asia/Tokyo")["signed_up_at"].to_list() == [at]  # fmt: skip


def test_what_is_no_users_table_is_refused_in_words(tmp_path):
    (tmp_path / "users.xlsx").write_bytes(b"PK")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "ids.csv").write_text("userid,plan\na,pro\n", encoding="utf-8")
    for name, words in (
        ("users.xlsx", "is of no known kind; it takes '.parquet'"),
        ("missing.csv", "There is no users table"),
        ("cut.parquet", "cannot be read:"),
        ("ids.csv", "Did you mean 'userid'"),
    ):
        with pytest.raises(EventLogError, match=words):
            ek.read_users(tmp_path / name)
