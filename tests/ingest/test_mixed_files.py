"""Logs of several files and kinds: every fault of every file is told at once, and nothing of one is read as another's."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.ingest.presets import SNOWPLOW_COLUMNS

HEADER = "user_id,event,at\n"
NINE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def refused(folder):
    def run(files, **options):
        for name, content in files.items():
            if isinstance(content, pl.DataFrame):
                content.write_parquet(folder / name)
            else:
                (folder / name).write_bytes(content.encode())
        with pytest.raises(ek.EngagekitError) as error:
            ek.scan_events(folder, **options).collect()
        return str(error.value)

    return run


def table(at, **changes):
    return pl.DataFrame({"user_id": ["ann"], "event": ["open"], "at": [at]} | changes)


def test_faults_of_every_file_are_told_whatever_is_wrong_with_the_others(refused):
    message = refused(
        {
            "empty.csv": "",
            "time.csv": HEADER + "ann,open,2026-03-01\nann,open,soon\n",
            "columns.csv": "uid,event,at\nann,open,2026-03-01\n",
            "quote.csv": HEADER + 'ann,"open,2026-03-01\n',
            "long.csv": "at,user_id,event\n2026-03-01,ann,open,now\n",
            "line.ndjson": "Error: too many requests\n",
            "cut.parquet": "PAR1" + "x" * 50,
        }
    )
    for words in (
        "empty.csv' is empty", "'soon'", "columns.csv' has no column 'user_id'", "quote.csv' has a quote", "long.csv' has 4 fields",
        "line.ndjson' is no JSON", "cut.parquet' is a damaged",
    ):  # fmt: skip
        assert words in message
    assert message.startswith("The event log cannot be read: 7 faults")


def test_damaged_parquet_is_told_beside_other_faults(refused, folder):
    table(NINE).write_parquet(folder / "a.parquet")
    whole = (folder / "a.parquet").read_bytes()
    (folder / "b.parquet").write_bytes(whole[:-30])
    message = refused({"c.parquet": "", "d.parquet": "<html>"})
    assert "3 faults" in message
    assert all(f"{name}.parquet' is" in message for name in "bcd")


@pytest.mark.parametrize(
    "files",
    [
        {"a.parquet": table(NINE), "b.csv": HEADER + "ann,open,2026-03-01\n"},
        {"a.parquet": table(date(2026, 3, 1)), "b.csv": HEADER + "ann,open,2026-03-01T09:30:00Z\n"},
        {"a.parquet": table(NINE.replace(tzinfo=None)), "b.csv": HEADER + "ann,open,2026-03-01T09:30:00Z\n"},
        {"a.parquet": table(NINE), "b.parquet": table(NINE.replace(tzinfo=None))},
    ],
)  # fmt: skip
def test_files_of_different_kinds_of_times_do_not_mix(refused, files):
    message = refused(files)
    assert "mixes" in message
    assert all(name in message for name in files)


def test_times_with_their_types_join_text_of_the_same_kind(folder):
    table(NINE).write_parquet(folder / "a.parquet")
    (folder / "b.csv").write_text(HEADER + "ann,open,1772357400\n", encoding="utf-8")
    assert ek.scan_events(folder, at_format="s").collect()["at"].to_list() == [NINE, NINE]
    (folder / "b.csv").write_text(HEADER + "ann,open,2026-03-01T10:30:00+01:00\n", encoding="utf-8")
    assert ek.scan_events(folder).collect()["at"].to_list() == [NINE, NINE]


def test_a_separator_in_a_name_does_not_cut_it_in_silence(refused):
    # Also where columns behind the name are not read.
    message = refused({"a.csv": "user_id,at,event,url,ip\nann,2026-03-01,Buy, now,/x,::1\n"})
    assert "line 2" in message
    assert "6 fields where 5 are expected" in message
    # Also where the first field too many is empty.
    message = refused({"a.csv": "user_id,at,event\nann,2026-03-01,Buy,, now\n"})
    assert "5 fields where 3 are expected" in message


def test_separators_at_the_end_of_rows_cut_nothing(folder):
    (folder / "a.csv").write_text("user_id,at,event\nann,2026-03-01,open,\n", encoding="utf-8")
    assert ek.scan_events(folder).collect().rows() == [("ann", "open", date(2026, 3, 1))]


def test_a_field_too_many_in_a_file_without_header_is_refused(refused):
    row = dict.fromkeys(SNOWPLOW_COLUMNS, "") | {
        "domain_userid": "d",
        "event_name": "open",
        "derived_tstamp": "2026-03-01 09:30:00.000",
    }
    line = "\t".join(row.values())
    message = refused({"part-0": f"{line}\n{line}\tmore\n"}, preset="snowplow")
    assert "line 2" in message
    assert "132 fields where 131 are expected" in message


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["__raw", "__file", "__row", "__alias", "__copies", "h", "rows"])
def test_properties_may_bear_any_name(folder, name):
    rows = table("2026-03-01 09:30:00", **{name: ["x"]})
    for number in range(2):
        rows.write_csv(folder / f"{number}.csv")
    (folder / "c.ndjson").write_text(json.dumps(rows.to_dicts()[0]), encoding="utf-8")
    log = ek.scan_events(folder, keep=name).collect()
    assert log[name].to_list() == ["x"] * 3
    log = pl.concat([log, log.with_columns(user_id=pl.lit(None, pl.String))])
    counts = dict(ek.check_events(log).select("check", "count").iter_rows())
    assert (counts["null user_id"], counts["exact duplicates"]) == (3, 4)
    assert ek.scan_events(rows, keep=name).collect()[name].item() == "x"


def test_all_broken_lines_of_a_file_are_counted(refused):
    good = '{"user_id":"ann","event":"open","at":"2026-03-01"}\n'
    message = refused(
        {
            "one.ndjson": good + "x\n" + good + "[1]\n",
            "many.ndjson": good + "x\n" * 7,
            "rows.csv": HEADER + "ann,open,2026-03-01,more\nann,open,2026-03-01\nbob,open,2026-03-01,more\n",
        }
    )  # fmt: skip
    assert "line 2 of" in message
    assert "So is line 4." in message
    assert "So are 6 more (3, 4, 5, 6, 7, …)." in message
    assert "So it is in line 4." in message


ROW = '{"user_id": "%s", "event": "open", "at": "2026-03-01", %s}\n'
UNEVEN = ROW % ("bob", '"p": [1]') + ROW % ("eva", '"p": {"x": 1}, "x": 1')


@pytest.mark.parametrize("value", ['"x": NaN', '"x": -Infinity', '"p": {"x": NaN}'])
@pytest.mark.parametrize("keep", [(), "x", "p.x"])
def test_events_with_numbers_that_only_python_takes_for_json_are_not_lost(refused, value, keep):
    message = refused({"a.ndjson": ROW % ("ann", value) + UNEVEN}, keep=keep)
    assert "line 1 of" in message
    assert "is no value of JSON, write null" in message


@pytest.mark.parametrize("value", ["1e999", r'"\ud83d"'])
def test_events_that_polars_alone_cannot_read_are_not_lost(refused, value):
    row = ROW % ("ann", f'"p": {{"x": {value}}}')
    message = refused({"a.ndjson": row + UNEVEN}, keep="p.x")
    assert "a.ndjson' holds what cannot be read as JSON" in message
