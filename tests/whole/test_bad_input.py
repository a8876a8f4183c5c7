"""Broken logs: each fault is named, with what was found and what to do; all of them at once; nothing silently wrong."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import re
import zipfile
from datetime import UTC, date, datetime, time, timedelta

import fuzz_loader
import pandas as pd
import polars as pl
import pytest

import engagekit as ek

GOOD = "user_id,event,at\nann,open,2026-03-01 09:30:00\nbob,open,2026-03-02 09:30:00\n"


@pytest.fixture
def refused(folder):
    """Write files, scan the one or all of them, and return the message of the refusal."""

    def run(files, **options):
        if not isinstance(files, dict):
            files = {"a.csv": files}
        for name, content in files.items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ek.EngagekitError) as error:
            ek.scan_events(
                folder if len(files) > 1 else folder / next(iter(files)), **options
            ).collect()
        return str(error.value)

    return run


def says(message, *parts):
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} not in: {message}"


# Times


def test_unreadable_times_are_told_with_rows_and_examples(refused):
    says(
        refused(GOOD + "eva,open,soon\neva,open,later\n"),
        "2 values",
        "row 3",
        "'soon'",
        "row 4",
        "'later'",
        "bad_times='null'",
    )


def test_row_numbers_are_those_of_the_file(refused):
    rows = "".join(f"u{n},open,2026-03-01 09:30:00\n" for n in range(3000))
    header = "user_id,event,at\n"
    message = refused(
        {"a.csv": header + rows, "b.csv": header + rows + "x,open,soon\n" + rows + "y,open,late\n"}
    )
    says(message, "2 values", "row 3001", "'soon'", "row 6002", "'late'", "b.csv")
    assert "a.csv" not in message


def test_epochs_need_their_unit(refused):
    says(
        refused("user_id,event,at\nann,open,1772357400\n"),
        "unit is not said",
        "2026-03-01 09:30 UTC",
        "at_format='s'",
    )
    says(refused("user_id,event,at\nann,open,1772357400123\n"), "at_format='ms'")
    says(refused("user_id,event,at\nann,open,17\n"), "every unit", "at=...")
    says(
        refused("user_id,event,at\nann,open,20260301\n"), "row 1: '20260301'", "at_format='%Y%m%d'"
    )


def test_seconds_taken_for_milliseconds_are_refused(refused):
    says(
        refused("user_id,event,at\nann,open,1772357400\n", at_format="ms"),
        "milliseconds",
        "at_format='s'",
    )
    frame = pl.DataFrame({"user_id": ["a"], "event": ["e"], "at": [1772357400]}).with_columns(
        pl.from_epoch("at", time_unit="ms")
    )
    with pytest.raises(
        ek.EngagekitError, match=r"1 times outside the years 1990 to 2099 \(row 1: '1970-01-21"
    ):
        ek.scan_events(frame)


def test_day_and_month_are_not_guessed(refused):
    says(
        refused("user_id,event,at\nann,open,03/04/2026\n"),
        "cannot be told apart",
        "at_format='%d/%m/%Y'",
        "at_format='%m/%d/%Y'",
    )
    # Where one order reads all values it is offered, and still not taken.
    says(
        refused("user_id,event,at\nann,open,03.04.2026 10:00\nann,open,23.04.2026 10:00\n"),
        "only at_format='%d.%m.%Y %H:%M'",
    )


def test_mixed_times_are_refused_with_example_rows(refused):
    naive, aware, day = "2026-03-01 09:30:00", "2026-03-02T09:30:00Z", "2026-03-03"
    both = refused(f"user_id,event,at\nann,open,{naive}\nann,open,{aware}\n")
    says(both, "mixes times without an offset", "row 1", "times with an offset", "row 2", aware)
    # What is naive is shown as the file has it, also where it was read as local to a zone.
    tokyo = refused(
        f"user_id,event,at\nann,open,{naive}\nann,open,{aware}\n", timezone="Asia/Tokyo"
    )
    says(tokyo, "row 1 of", f": '{naive}') beside times with an offset")
    says(
        refused(f"user_id,event,at\nann,open,{naive}\nann,open,{day}\n"),
        "dates without a time",
        "row 2",
        day,
    )
    files = {
        "a.csv": f"user_id,event,at\nann,open,{naive}\n",
        "b.csv": f"at,user_id,event\n{aware},ann,open\n",
    }
    says(refused(files), "mixes", "a.csv", "b.csv")
    says(
        refused(f"user_id,event,at\nann,open,{naive}\nann,open,1772357400\n"),
        "unit is not said",
        "row 2",
    )


def test_files_of_dates_and_files_of_times_do_not_mix(folder):
    log = pl.DataFrame({"user_id": ["a"], "event": ["e"], "at": [datetime(2026, 3, 1)]})
    log.write_parquet(folder / "a.parquet")
    log.with_columns(pl.col("at").dt.date()).write_parquet(folder / "b.parquet")
    with pytest.raises(ek.EngagekitError, match="some files hold dates"):
        ek.scan_events(folder)


def test_one_clock_years_ahead_is_counted(folder):
    rows = "".join(f"u{n},open,2026-03-{n % 28 + 1:02} 09:30:00\n" for n in range(2000))
    (folder / "a.csv").write_text("user_id,event,at\n" + rows + "x,open,2031-01-01 00:00:00\n")
    found = (
        ek.check_events(ek.scan_events(folder)).filter(check="times after as_of").row(0, named=True)
    )
    assert found["count"] == 1
    says(found["example"] + found["advice"], "2031-01-01", "2026-03-29 (as_of)")


# Columns


def test_missing_columns_are_told_with_the_nearest_names(refused):
    says(
        refused("Users_ID,evnt,timestamp,plan\nann,open,2026-03-01,pro\n", keep="plann"),
        "4 faults", "user='...'", "Did you mean 'Users_ID'?", "Did you mean 'evnt'?", "Is it 'timestamp'?", "Did you mean 'plan'?", "Its columns are",
    )  # fmt: skip


def test_missing_columns_of_json(refused):
    message = refused({"a.ndjson": '{"user":{"id":"ann"},"event":"open","at":"2026-03-01"}\n'})
    says(message, "'user_id'", "no row", "user='...'", "Did you mean 'user.id'")


def test_a_file_without_header_shows_what_was_taken_for_it(refused):
    says(
        refused("ann,open,2026-03-01\nbob,open,2026-03-01\n"),
        "Its columns are 'ann', 'open' and '2026-03-01'",
    )


def test_wrong_types_in_frames_are_told_together():
    frame = pl.DataFrame({"user_id": [[1]], "event": [1], "at": [True]})
    with pytest.raises(ek.EngagekitError) as error:
        ek.scan_events(frame)
    says(
        str(error.value),
        "3 faults",
        "'user_id' holds List",
        "'event' holds Int64",
        "'at' holds Boolean",
    )


ODD = {
    "i": [1, 2], "f": [1.5, None], "nan": [float("nan"), 2.0], "inf": [float("inf"), 1.0], "huge": [1e300, 1.0], "s": ["a", "b"], "b": [True, None],
    "d": [date(2026, 1, 1), None], "far": [datetime(1, 1, 1), datetime(9999, 1, 1)], "span": [timedelta(1)] * 2, "t": [time(1)] * 2, "l": [[1], [2]],
    "st": [{"a": 1}, {"a": 2}], "n": [None, None], "bin": [b"a", b"\xff"], "obj": pl.Series([object(), object()], dtype=pl.Object),
    "cat": pl.Series(["a", "b"], dtype=pl.Categorical), "enum": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])),
    "dec": pl.Series(["1.5", "2"]).cast(pl.Decimal(10, 2)), "u64": pl.Series([2**63 + 5, 1], dtype=pl.UInt64), "i128": pl.Series([1, 2]).cast(pl.Int128),
    "ns": pl.Series([datetime(2026, 1, 1)] * 2, dtype=pl.Datetime("ns")), "tz": pl.Series([datetime(2026, 1, 1)] * 2, dtype=pl.Datetime("ms", "Asia/Tokyo")),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("role", ["user_id", "event", "at", "kept"])
def test_columns_of_any_type_are_read_or_refused(role):
    read = set()
    for kind, values in ODD.items():
        good = {
            "user_id": ["a", "b"],
            "event": ["e", "f"],
            "at": [date(2026, 1, 1)] * 2,
            "kept": [1, 2],
        }
        for options in ({}, {"bad_times": "null"}, {"at_format": "ms"}, {"at_format": "%Y"}):
            with contextlib.suppress(ek.EngagekitError):
                log = ek.scan_events(pl.DataFrame(good | {role: values}), keep="kept", **options)
                ek.check_events(log.collect())
                read.add(kind)
    expected = {
        "user_id": {"i", "nan", "s", "n", "cat", "enum", "u64", "i128"},
        "event": {"s", "n", "cat", "enum"},
        "at": {"d", "far", "n", "ns", "tz"},
        "kept": set(ODD),
    }
    assert read == expected[role]


def test_a_pandas_column_of_numbers_and_text_is_refused():
    frame = pd.DataFrame(
        {"user_id": [1, "a"], "event": ["e", "e"], "at": ["2026-03-01"] * 2}, dtype=object
    )
    with pytest.raises(ek.EngagekitError, match="user_id"):
        ek.scan_events(frame)
    with pytest.raises(ek.EngagekitError, match="cannot be read"):
        ek.scan_events(pd.Series([1, 2]))


def test_a_doubled_column_name_is_refused(refused):
    says(refused("user_id,event,at,at\nann,open,2026-03-01,2026-03-02\n"), "twice", "'at'")


# Ids


def test_ids_that_change_their_form_between_files_are_refused(refused):
    files = {
        "a.csv": "user_id,event,at\n42,open,2026-03-01\n",
        "b.csv": "user_id,event,at\n42.0,open,2026-03-01\n",
    }
    says(refused(files), "'7'", "'7.0'", "b.csv", "one user may stand under two ids")


def test_ids_that_are_numbers_here_and_text_there_are_one(folder):
    for name, ids in [("a", [42]), ("b", ["42"])]:
        pl.DataFrame({"user_id": ids, "event": ["e"], "at": [date(2026, 3, 1)]}).write_parquet(
            folder / f"{name}.parquet"
        )
    assert ek.scan_events(folder).collect()["user_id"].to_list() == ["42", "42"]


def test_decimal_ids_of_pandas_become_whole_or_are_refused():
    frame = pl.DataFrame(
        {"user_id": [42.0, None], "event": ["e"] * 2, "at": [date(2026, 3, 1)] * 2}
    )
    assert ek.scan_events(frame).collect()["user_id"].to_list() == [42, None]
    with pytest.raises(ek.EngagekitError, match="not whole"):
        ek.scan_events(frame.with_columns(pl.col("user_id") + 0.5))


# Files


def test_what_is_not_there(tmp_path):
    (tmp_path / "events.csv").write_text(GOOD)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ek.EngagekitError) as error:
        ek.scan_events([tmp_path / "event.csv", tmp_path / "empty", tmp_path / "*.ndjson"])
    says(
        str(error.value),
        "3 faults",
        "Did you mean 'events.csv'?",
        "holds no files",
        "no file matches",
    )


def test_empty_files(refused):
    says(refused(b""), "is empty (0 bytes)")
    says(refused("user_id,event,at\n"), "no events, only a header")
    says(refused({"a.ndjson": "\n\n"}), "no events")
    says(refused({"a.csv": GOOD, "b.csv": b""}), "b.csv' is empty")


def test_one_broken_file_among_good_ones_is_named(refused):
    broken = {
        "quote.csv": 'user_id,event,at\nann,"open,2026-03-01\nbob,open,2026-03-02\n',
        "fields.csv": "user_id,event,at\nann,open,2026-03-01 09:30:00,what,is,this\n",
        "latin.csv": "user_id,event,at\nanné,open,2026-03-01 09:30:00\n".encode("latin-1"),
        "cut.ndjson": '{"user_id":"ann","event":"open","at":"2026-03-01 09:30:00"}\n{"user_id":"an',
        "text.ndjson": '{"user_id":"ann","event":"open","at":"2026-03-01 09:30:00"}\nError: too many requests\n',
        "cut.parquet": b"PAR1" + bytes(100),
        "cut.csv.gz": gzip.compress(random.Random(1).randbytes(2000).hex().encode())[:500],
        "list.json": "[1]",
        "page.html": "<html>Log in first</html>",
    }
    for name, content in broken.items():
        message = refused({"good.csv": GOOD, "z-" + name: content})
        says(message, "z-" + name)
        assert "good.csv" not in message, name


def test_all_broken_files_are_told_at_once(refused):
    says(refused({"a.csv": b"", "b.csv": b"", "c.csv": GOOD}), "2 faults", "a.csv", "b.csv")


def test_all_broken_lines_are_told_at_once(refused):
    says(
        refused({"a.ndjson": "x\n", "b.ndjson": "y\n"}),
        "2 faults",
        "line 1 of",
        "a.ndjson",
        "b.ndjson",
    )


def test_lines_are_named(refused):
    says(refused({"a.ndjson": '{"event":"e"}\n\n{"event":\n'}), "line 3", "no JSON")
    says(refused({"a.ndjson": '{"event":"e"}\n[1]\n'}), "line 2", "no JSON object", "[0]")
    says(refused(GOOD + "ann,open,2026-03-01 09:30:00,more\n"), "line 4", "4 fields where 3")
    says(
        refused((GOOD + "anné,open,x\n").encode("latin-1")),
        "line 4",
        "0xe9",
        "xxxé",
        "encoding='cp1252'",
    )


def test_other_encodings_are_read_when_said_or_marked(folder):
    text = "user_id,event,at\nanné,öpen,2026-03-01\n"
    for name, encoding, options in [
        ("a", "latin-1", {"encoding": "latin-1"}),
        ("b", "cp1252", {"encoding": "cp1252"}),
        ("c", "utf-8-sig", {}),
        ("d", "utf-16", {}),
    ]:
        (folder / f"{name}.csv").write_bytes(text.encode(encoding))
        assert ek.scan_events(folder / f"{name}.csv", **options).collect().rows() == [
            ("anné", "öpen", date(2026, 3, 1))
        ]
    line = '{"user_id":"anné","event":"öpen","at":"2026-03-01"}\n'
    for name, encoding in [("a", "utf-8-sig"), ("b", "utf-16")]:
        (folder / f"{name}.ndjson").write_bytes(line.encode(encoding))
        assert ek.scan_events(folder / f"{name}.ndjson").collect().height == 1
    (folder / "e.csv.gz").write_bytes(gzip.compress(text.encode("latin-1")))
    assert ek.scan_events(folder / "e.csv.gz", encoding="latin-1").collect().height == 1


def test_encodings_that_do_not_exist_or_do_not_fit(refused):
    says(refused(GOOD, encoding="latin-99"), "no known encoding")
    says(
        refused((GOOD + "é,e,2026-03-01").encode("latin-1"), encoding="ascii"),
        "not written in ascii",
    )


def test_separators_are_told_from_the_header(folder):
    for mark in ";\t|":
        (folder / "a.csv").write_text(GOOD.replace(",", mark))
        assert ek.scan_events(folder / "a.csv").collect().height == 2
    (folder / "a.csv").write_text('user_id;event;at\nann;"a;b, c";2026-03-01\n')
    assert ek.scan_events(folder / "a.csv").collect()["event"].item() == "a;b, c"


def test_line_ends(folder, refused):
    (folder / "w.csv").write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert ek.scan_events(folder / "w.csv").collect()["at"].to_list() == [
        datetime(2026, 3, d, 9, 30, tzinfo=UTC) for d in (1, 2)
    ]
    says(refused(GOOD.replace("\n", "\r")), "carriage return")


def test_damaged_parquet(folder):
    rng = random.Random(4)
    frame = pl.DataFrame(
        {
            "user_id": [str(rng.random()) for _ in range(5000)],
            "event": ["e"] * 5000,
            "at": [date(2026, 3, 1)] * 5000,
        }
    )
    frame.write_parquet(folder / "a.parquet")
    whole = (folder / "a.parquet").read_bytes()
    for content in (whole[: len(whole) // 2], whole[:3000] + bytes(20_000) + whole[23_000:]):
        (folder / "b.parquet").write_bytes(content)
        with pytest.raises(ek.EngagekitError, match=r"b\.parquet"):
            ek.scan_events(folder)


def test_archives_that_cannot_be_unpacked(refused):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a.csv", GOOD)
        zipped.writestr("b.csv", "")
    says(refused({"x.zip": archive.getvalue()}), "x.zip!b.csv' is empty")
    says(refused({"y.zip": archive.getvalue()[:60]}), "y.zip")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    says(refused({"z.zip": empty.getvalue()}), "without files")
    for _ in range(4):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w") as zipped:
            zipped.writestr("a.zip", archive.getvalue())
        archive = outer
    says(refused({"deep.zip": archive.getvalue()}), "3 deep")


def test_other_kinds_of_files_are_refused(refused):
    for name in ("a.docx", "a.feather", "a.pdf", "noname"):
        says(refused({name: b"\x89\x00\x01some bytes"}), name, "csv, tsv, ndjson")


# Arguments


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"timezone": "Europe/Berln"}, ["Did you mean 'Europe/Berlin'"]),
        ({"preset": "mixpanl"}, ["Did you mean", "'mixpanel'"]),
        ({"bad_times": "drop"}, ["bad_times", "'refuse' or 'null'"]),
        ({"user": ""}, ["user is ''"]),
        ({"user": 3, "at": None}, ["2 faults", "user is 3", "at is None"]),
        ({"keep": 3}, ["keep is 3"]),
        ({"keep": [3]}, ["keep holds 3"]),
        ({"at_format": "%Q%"}, ["at_format"]),
        ({"exclude": 3}, ["exclude"]),
        ({"exclude": []}, ["names no event"]),
        ({"identities": {"a": "b"}}, ["identities"]),
    ],
)
def test_arguments_that_mean_nothing(folder, options, parts):
    (folder / "a.csv").write_text(GOOD)
    with pytest.raises(ek.EngagekitError) as error:
        ek.scan_events(folder, **options)
    says(str(error.value), *parts)


def test_sources_that_are_none():
    for source in (None, 3, [], [1], object(), {"a": 1}):
        with pytest.raises(ek.EngagekitError):
            ek.scan_events(source)


def test_messages_end_as_sentences_and_name_no_module(refused):
    message = refused("a,b\n1,2\n")
    assert re.search(r"[.?]$", message)
    assert "polars" not in message


def test_seeds_of_the_fuzzer_are_read_or_refused(tmp_path):
    for way, content in fuzz_loader.STARTS + fuzz_loader.SEEDS:
        assert fuzz_loader.attempt(way, content, tmp_path) in {"read", "refused"}


def test_the_fuzzer_can_fail(tmp_path, monkeypatch):
    # Its comparison with plain Python sees a row that went missing.
    whole = ek.scan_events

    def short(*source, **options):
        return whole(*source, **options).head(1)

    monkeypatch.setattr(ek, "scan_events", short)
    with pytest.raises(AssertionError, match="plain Python reads"):
        fuzz_loader.attempt(0, fuzz_loader.CSV, tmp_path)


@pytest.mark.thorough
def test_a_short_campaign_finds_nothing():
    counts = fuzz_loader.campaign(2.0, seed=5)
    assert counts["read"] > 0
    assert counts["refused"] > 0
