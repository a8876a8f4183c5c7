from __future__ import annotations

import gzip
from datetime import UTC, date, datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import EventLogError
from engagekit.ingest.users_table import READERS

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
    (tmp_path / "users.txt").write_text("user_id")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    (tmp_path / "ids.csv").write_text("userid,plan\na,pro\n", encoding="utf-8")
    for name, words in (
        ("users.xlsx", r"workbook of a spreadsheet.*users=pl\.read_excel"),
        ("users.ods", "workbook of a spreadsheet"),
        ("users.txt", r"is of no known kind; it takes '\.parquet'"),
        ("missing.csv", "There is no users table"),
        ("cut.parquet", "cannot be read:"),
        ("ids.csv", "Did you mean 'userid'"),
    ):
        with pytest.raises(EventLogError, match=words):
            ek.read_users(tmp_path / name)


@pytest.fixture
def users(tmp_path):
    """Write a users table and read it as one of a log whose ids are text."""

    def run(content: str | bytes, name: str = "users.csv", **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return ek.read_users(path, **{"ids": pl.String(), **options})

    return run


def test_ids_keep_the_zeros_in_front(users):
    log = pl.DataFrame({"user_id": ["007", "7"], "event": ["in"] * 2, "at": [date(2026, 3, 1)] * 2})
    found = users("user_id,zip,seats\n007,01234,1\n7,99999,2\n")
    assert found["user_id"].to_list() == ["007", "7"]
    assert found["zip"].to_list() == ["01234", "99999"]
    assert found["seats"].to_list() == [1, 2]
    definition = ek.Definition(activation="in", core="in", burn_in_days=0)
    journeys = ek.rollup(log, definition, users=found, missing="allow")
    assert journeys.users.lazy().collect()["zip"].to_list() == ["01234", "99999"]


def test_day_and_month_of_a_sign_up_are_not_guessed(users):
    table = "user_id,signed_up_at\na,03/04/2026\nb,05/04/2026\n"
    with pytest.raises(EventLogError, match=r"cannot be told apart \(row 1: '03/04/2026'; row 2"):
        users(table)
    assert users(table, at_format="%d/%m/%Y")["signed_up_at"].to_list() == [
        date(2026, 4, 3),
        date(2026, 4, 5),
    ]


def test_sign_ups_need_their_unit_and_are_told_with_their_rows(users):
    epoch = "user_id,signed_up_at\na,1772357400\n"
    with pytest.raises(EventLogError, match="at_format='s'"):
        users(epoch)
    at = [datetime(2026, 3, 1, 9, 30, tzinfo=UTC)]
    assert users(epoch, at_format="s")["signed_up_at"].to_list() == at
    with pytest.raises(EventLogError, match="row 2: 'soon'") as error:
        users("user_id,signed_up_at\na,2026-03-01 10:00:00\nb,soon\n")
    assert "bad_times" not in str(error.value)
    with pytest.raises(EventLogError, match=r"mixes times without an offset .row 1.* .row 2"):
        users("user_id,signed_up_at\na,2026-03-01 10:00:00\nb,2026-03-01T10:00:00Z\n")
    with pytest.raises(EventLogError, match="2 faults"):
        users("user_id,signed_up_at\nx,soon\n", ids=pl.Int64())
    # What is said of the log's times does no harm where the table's are plain.
    plain = "user_id,signed_up_at\na,2026-03-01T09:30:00Z\nb,\n"
    assert users(plain, at_format="s")["signed_up_at"].to_list() == [*at, None]


def test_sign_ups_of_json_are_read_and_one_in_a_skipped_hour_is_not_lost(users):
    row = '{"user_id":"a","signed_up_at":"2026-03-29 02:30:00"}\n'
    for content, name in (
        (row, "u.ndjson"),
        ("user_id,signed_up_at\na,2026-03-29 02:30:00\n", "u.csv"),
    ):
        found = users(content, name, timezone="Europe/Berlin")["signed_up_at"].to_list()
        assert found == [datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]


def test_tables_as_spreadsheets_write_them(users):
    assert users("\ufeffuser_id;plan\r\na;pro\r\n").rows() == [("a", "pro")]
    assert users("user_id,plan\na,café\n".encode("cp1252"), encoding="cp1252")["plan"].item() == "café"  # fmt: skip
    with pytest.raises(EventLogError, match=r"line 2 holds the byte 0xe9.*encoding='cp1252'"):
        users("user_id,plan\na,café\n".encode("cp1252"))
    assert users(gzip.compress(b"user_id,plan\na,pro\n"), "users.csv.gz").rows() == [("a", "pro")]
    with pytest.raises(EventLogError, match=r"line 2 of .*has 3 fields where 2 are expected"):
        users("user_id,plan\na,pro,x\n")


def test_ids_that_are_none_of_the_logs_kind_are_not_dropped(users):
    with pytest.raises(EventLogError, match=r"1 of the ids .*such as 'x'"):
        users("user_id,plan\nx,pro\n1,free\n", ids=pl.Int64())
    assert users("user_id,plan\nnull,pro\n1,free\n", ids=pl.Int64())["user_id"].to_list() == [
        None,
        1,
    ]


def test_decimal_ids_of_pandas_become_whole(tmp_path):
    pl.DataFrame({"user_id": [42.0, None]}).write_parquet(tmp_path / "u.parquet")
    assert ek.read_users(tmp_path / "u.parquet", ids=pl.String())["user_id"].to_list() == [
        "42",
        None,
    ]


def test_a_table_of_other_people_is_remarked_on():
    log = pl.DataFrame(
        {
            "user_id": ["u1", "u2", "u3", "u4"],
            "event": ["join"] * 3 + ["make"],
            "at": [date(2026, 1, 1)] * 4,
        }
    )
    definition = ek.Definition(signup=["join", "make"], activation="make", core="make")
    strangers = pl.DataFrame({"user_id": [f"n{n}" for n in range(10)], "plan": "free"})
    journeys = ek.rollup(log, definition, users=strangers)
    assert journeys.users["plan"].to_list() == [None] * 4
    (remark,) = journeys.remarks
    assert (remark.kind, remark.users, remark.share) == ("users table in part", 4, None)
    assert (
        "of 10 users in the table 10 are in no event, and of 4 in the log 4 are not in the table"
        in remark.text
    )
    with_signups = strangers.with_columns(signed_up_at=date(2026, 1, 1))
    assert ek.rollup(log, definition, users=with_signups).remarks[0].share == 1.0
    # Users who did nothing, and users the table lacks, are usual; only both together are odd.
    all_of_them = pl.DataFrame({"user_id": ["u1", "u2", "u3", "u4", "idle", "idler", "idlest"]})
    assert ek.rollup(log, definition, users=all_of_them).remarks == ()
    assert ek.rollup(log, definition, users=all_of_them.head(1)).remarks == ()


def test_ids_too_large_for_the_logs_are_refused_without_showing_them():
    log = pl.DataFrame({"user_id": [1, 2], "event": ["join"] * 2, "at": [date(2026, 3, 1)] * 2}, schema_overrides={"user_id": pl.Int16})  # fmt: skip
    users = pl.DataFrame({"user_id": [1, 70_001, 70_002], "plan": ["a", "b", "c"]})
    definition = ek.Definition(signup="join", activation="make", core="make")
    with pytest.raises(ek.EngagekitError, match=r"2 ids do not fit into the log's Int16; cast 'user_id' of the log to Int64") as error:  # fmt: skip
        ek.rollup(log, definition, users=users, missing="allow")
    assert "70" not in str(error.value)
    wide = log.with_columns(pl.col("user_id").cast(pl.Int64))
    assert ek.rollup(wide, definition, users=users, missing="allow").users.height == 2
    assert ek.rollup(log, definition, users=users.head(1), missing="allow").users.height == 2
