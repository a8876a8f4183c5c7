"""Reading event logs: formats, sources, times, kept properties, identities, exclusions, the cache, pseudonyms."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from fuzz_loader import blank
from hypothesis import given, settings
from hypothesis import strategies as st

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
TEXT = FRAME.with_columns(pl.col("at").dt.to_string("%Y-%m-%dT%H:%M:%SZ"))


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))


def scan(source, **options):
    return ek.scan_events(source, **options).collect()


def write(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    writers = {
        "csv": TEXT.write_csv,
        "tsv": lambda p: TEXT.write_csv(p, separator="\t"),
        "ndjson": TEXT.write_ndjson,
        "jsonl": TEXT.write_ndjson,
        "parquet": FRAME.write_parquet,
    }
    writers[kind](path)
    return path


@pytest.mark.parametrize("packing", ["", ".gz", ".zst", ".zip"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "ndjson", "jsonl", "parquet"])
def test_every_format_in_every_packing(tmp_path, kind, packing):
    path = write(tmp_path / "log" / f"events.{kind}", kind)
    if packing and not (kind == "parquet" and packing != ".zip"):
        packed = path.with_name(path.name + packing)
        if packing == ".gz":
            packed.write_bytes(gzip.compress(path.read_bytes()))
        elif packing == ".zip":
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(path, path.name)
        else:
            subprocess.run([sys.executable, "-c", ZSTD, str(path), str(packed)], check=True)
        path = packed
    assert scan(path, keep="n").rows() == ROWS


ZSTD = "import sys, pyarrow as pa; out = pa.output_stream(sys.argv[2], compression='zstd'); out.write(open(sys.argv[1], 'rb').read()); out.close()"


def test_lists_globs_and_folders(tmp_path):
    for number in (1, 2, 10):
        write(tmp_path / "log" / f"part-{number:02}.csv", "csv")
    (tmp_path / "log" / "_SUCCESS").write_text("")
    (tmp_path / "log" / ".hidden").write_text("x")
    for source in (
        tmp_path / "log",
        str(tmp_path / "log" / "*.csv"),
        sorted((tmp_path / "log").glob("p*.csv")),
    ):
        assert scan(source, keep="n").rows() == ROWS * 3


def test_folders_are_searched_to_the_bottom_and_may_mix_formats(tmp_path):
    write(tmp_path / "log" / "a" / "1.csv", "csv")
    write(tmp_path / "log" / "b" / "2.ndjson", "ndjson")
    write(tmp_path / "log" / "b" / "3.parquet", "parquet")
    assert scan(tmp_path / "log", keep="n").rows() == ROWS * 3


def test_files_with_columns_in_another_order_are_read_by_name(tmp_path):
    write(tmp_path / "log" / "1.csv", "csv")
    TEXT.select("n", "at", "event", "user_id").write_csv(tmp_path / "log" / "2.csv")
    TEXT.with_columns(extra=1).write_csv(tmp_path / "log" / "3.csv", separator=";")
    assert scan(tmp_path / "log", keep="n").rows() == ROWS * 3


def test_frames_of_other_libraries():
    pandas = FRAME.to_pandas()
    for table in (
        FRAME,
        FRAME.lazy(),
        pandas,
        pa.Table.from_pandas(pandas),
        FRAME.to_arrow(),
        duckdb.sql("select * from pandas"),
    ):
        assert scan(table, keep="n").rows() == ROWS


def test_columns_under_other_names_and_others_named_like_ours():
    theirs = FRAME.rename({"user_id": "uid", "event": "name", "at": "ts"}).with_columns(
        user_id=pl.lit("x"), event=pl.lit("y"), at=pl.lit("z")
    )
    log = scan(theirs, user="uid", event="name", at="ts", keep={"their_at": "at", "n": "n"})
    assert log.drop("their_at").rows() == ROWS
    assert log["their_at"].to_list() == ["z"] * 3
    with pytest.raises(ek.EngagekitError, match=r"keep=\{'its_at': 'at'\}"):
        scan(theirs, user="uid", event="name", at="ts", keep=["at"])


def test_nothing_is_kept_that_was_not_asked_for(tmp_path):
    assert scan(FRAME).columns == ["user_id", "event", "at"]
    assert scan(write(tmp_path / "a.csv", "csv")).columns == ["user_id", "event", "at"]


names = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=12)


@pytest.mark.thorough
@settings(max_examples=60)
@given(
    st.lists(st.tuples(names, names), min_size=1, max_size=6),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(",;\t|"),
)
def test_csv_of_any_text_is_read_as_python_reads_it(tmp_path_factory, rows, quoting, end, mark):
    folder = tmp_path_factory.mktemp("csv")
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=quoting, lineterminator=end, delimiter=mark)
        writer.writerow(["user_id", "event", "at"])
        writer.writerows([user, event, "2026-03-01"] for user, event in rows)
    expected = [tuple(map(blank, row)) for row in rows]
    if all(user is None for user, _ in expected) or all(event is None for _, event in expected):
        with pytest.raises(ek.EngagekitError, match="holds anything"):
            scan(folder, cache=False)
    else:
        assert scan(folder, cache=False).select("user_id", "event").rows() == expected


@pytest.mark.thorough
@settings(max_examples=60)
@given(st.lists(st.tuples(names, names), min_size=1, max_size=6), st.booleans())
def test_json_of_any_text_is_read_as_python_reads_it(tmp_path_factory, rows, ascii_only):
    folder = tmp_path_factory.mktemp("json")
    lines = [
        json.dumps(
            {"user_id": "u" + user, "event": "e" + event, "at": "2026-03-01", "d": {event: user}},
            ensure_ascii=ascii_only,
        )
        for user, event in rows
    ]
    (folder / "a.ndjson").write_text("\n".join(lines), encoding="utf-8")
    log = scan(folder, cache=False)
    assert log.select("user_id", "event").rows() == [
        ("u" + user, "e" + event) for user, event in rows
    ]


# Times


def text_log(*times, **others):
    return pl.DataFrame(
        {"user_id": ["u"] * len(times), "event": ["e"] * len(times), "at": list(times), **others}
    )


def as_csv(tmp_path, *times):
    text_log(*times).write_csv(tmp_path / "times.csv")
    return tmp_path / "times.csv"


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T09:30:00Z", "2026-03-01 09:30:00Z", "2026-03-01T09:30:00.000Z", "2026-03-01T10:30:00+01:00", "2026-03-01 10:30:00+0100",
        "2026-03-01 10:30:00.000000+01", "2026-03-01 09:30:00 UTC", "2026-03-01 09:30:00.000 +00:00", "2026-03-01T09:30:00", "2026-03-01 09:30",
        "2026/03/01 09:30:00", "2026-03-01T09:30+00:00", " 2026-03-01 09:30:00.000000000 ",
    ],
)  # fmt: skip
def test_unmistakable_times_are_read(tmp_path, text):
    assert scan(as_csv(tmp_path, text, text))["at"].to_list() == [NINE, NINE]
    assert scan(text_log(text))["at"].item() == NINE


def test_several_forms_of_one_kind_may_stand_in_one_column(tmp_path):
    texts = ["2026-03-01T09:30:00Z"] * 1500 + [
        "2026-03-01 10:30:00+01:00",
        "2026-03-01T04:30-05:00",
        "2026-03-01 09:30:00 UTC",
    ]
    assert set(scan(as_csv(tmp_path, *texts))["at"]) == {NINE}
    assert set(scan(text_log(*texts))["at"]) == {NINE}
    late = [None] * 1500 + ["2026-03-01 09:30"]  # the first times are missing
    assert scan(text_log(*late))["at"].drop_nulls().to_list() == [NINE]
    assert scan(as_csv(tmp_path, *late))["at"].drop_nulls().to_list() == [NINE]


def test_dates_stay_dates(tmp_path):
    assert scan(as_csv(tmp_path, "2026-03-01", "2026-03-02"))["at"].to_list() == [
        date(2026, 3, 1),
        date(2026, 3, 2),
    ]
    assert scan(FRAME.with_columns(pl.col("at").dt.date())).schema["at"] == pl.Date
    assert scan(as_csv(tmp_path, "2026-03-01"), timezone="Asia/Tokyo")["at"].item() == date(
        2026, 3, 1
    )


def test_naive_times_are_local_in_files_and_utc_in_frames(tmp_path):
    naive = FRAME.with_columns(pl.col("at").dt.replace_time_zone(None))
    assert scan(naive, timezone="Asia/Tokyo")["at"].to_list() == FRAME["at"].to_list()
    naive.write_parquet(tmp_path / "a.parquet")
    tokyo = [at.replace(tzinfo=ZoneInfo("Asia/Tokyo")).astimezone(UTC) for at in FRAME["at"]]
    assert scan(tmp_path / "a.parquet", timezone="Asia/Tokyo")["at"].to_list() == tokyo
    assert (
        scan(as_csv(tmp_path, "2026-03-01 09:30:00"), timezone="Asia/Tokyo")["at"].item()
        == tokyo[0]
    )


def test_hours_that_come_twice_or_never(tmp_path):
    # Berlin: 29 March 2026, 02:00 does not exist; 25 October 2026, 02:30 comes twice. The first is meant, and the
    # skipped one is read with the offset before the change, as Python's fold=0 does.
    texts = [
        "2026-03-29 01:59:00",
        "2026-03-29 02:30:00",
        "2026-03-29 03:00:00",
        "2026-10-25 02:30:00",
    ]
    found = scan(as_csv(tmp_path, *texts), timezone="Europe/Berlin")["at"].to_list()
    expected = [
        datetime.fromisoformat(t).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
        for t in texts
    ]
    assert found == expected


@settings(max_examples=40)
@given(
    st.datetimes(datetime(1990, 1, 3), datetime(2099, 12, 29)),
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
    ),
)
def test_local_times_mean_what_python_says(moment, zone):
    wall = moment.replace(second=0, microsecond=0)
    found = scan(text_log(wall.isoformat(sep=" ")), timezone=zone)["at"].item()
    assert found == wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_epochs_with_their_unit(tmp_path, unit, scale):
    number = int(NINE.timestamp() * scale)
    assert scan(text_log(number), at_format=unit)["at"].item() == NINE
    assert scan(as_csv(tmp_path, number), at_format=unit)["at"].item() == NINE
    with pytest.raises(ek.EngagekitError, match=f"at_format='{unit}'"):
        scan(text_log(number))
    with pytest.raises(ek.EngagekitError, match=f"at_format='{unit}'"):
        scan(as_csv(tmp_path, number))


def test_fractions_of_epochs():
    assert scan(text_log(1772357400.25), at_format="s")["at"].item() == NINE + timedelta(
        milliseconds=250
    )


def test_stated_patterns(tmp_path):
    assert (
        scan(as_csv(tmp_path, "01/03/2026 09:30"), at_format="%d/%m/%Y %H:%M")["at"].item() == NINE
    )
    assert scan(as_csv(tmp_path, "03/01/2026"), at_format="%m/%d/%Y")["at"].item() == date(
        2026, 3, 1
    )
    assert scan(as_csv(tmp_path, "20260301"), at_format="%Y%m%d")["at"].item() == date(2026, 3, 1)
    assert (
        scan(as_csv(tmp_path, "Mar 1, 2026 9:30:00 AM"), at_format="%b %d, %Y %I:%M:%S %p")[
            "at"
        ].item()
        == NINE
    )
    with pytest.raises(ek.EngagekitError, match="at_format is 'days'"):
        scan(FRAME, at_format="days")


def test_bad_times_can_be_left_out_and_counted(tmp_path):
    path = as_csv(
        tmp_path, "2026-03-01 09:30:00", "never", "2199-01-01 00:00:00", "1970-01-01 00:00:00"
    )
    with pytest.raises(ek.EngagekitError, match="bad_times='null'"):
        scan(path)
    log = scan(path, bad_times="null")
    assert log["at"].to_list() == [NINE, None, None, None]
    assert ek.check_events(log).filter(check="null at")["count"].item() == 3


# Properties


def test_text_takes_the_narrowest_type_all_its_values_have(tmp_path):
    rows = (
        "user_id,event,at,i,f,b,z,t\nu,e,2026-03-01,1,1.5,true,007,1\nu,e,2026-03-01,,2,False,1,x\n"
    )
    (tmp_path / "a.csv").write_text(rows)
    log = scan(tmp_path / "a.csv", keep=["i", "f", "b", "z", "t"])
    assert log.schema == {
        "user_id": pl.String,
        "event": pl.String,
        "at": pl.Date,
        "i": pl.Int64,
        "f": pl.Float64,
        "b": pl.Boolean,
        "z": pl.String,
        "t": pl.String,
    }
    assert log.select("i", "f", "b", "z", "t").rows() == [
        (1, 1.5, True, "007", "1"),
        (None, 2.0, False, "1", "x"),
    ]


def test_json_and_csv_give_properties_the_same_types(tmp_path):
    (tmp_path / "a.ndjson").write_text(
        '{"user_id":1,"event":"e","at":"2026-03-01","i":5,"b":true,"s":"x","d":{"k":[1]}}\n'
    )
    log = scan(tmp_path / "a.ndjson", keep=["i", "b", "s", "d.k"])
    assert log.row(0)[3:] == (5, True, "x", "[1]")


# Who is who


def ids(log):
    return log["user_id"].to_list()


def test_identities_follow_chains():
    log = text_log(*["2026-03-01"] * 4).with_columns(user_id=pl.Series(["a", "b", "c", "d"]))
    pairs = pl.DataFrame({"alias": ["a", "b", "d"], "user_id": ["b", "c", "d"]})
    assert ids(scan(log, identities=pairs)) == ["c", "c", "c", "d"]
    chain = pl.DataFrame(
        {"alias": [f"x{n}" for n in range(100)], "user_id": [f"x{n + 1}" for n in range(100)]}
    )
    assert (
        ids(
            scan(
                log.with_columns(user_id=pl.Series(["x0", "x50", "x99", "x100"])), identities=chain
            )
        )
        == ["x100"] * 4
    )


def test_identities_join_numbers_and_text_by_their_digits():
    numbers = FRAME.with_columns(user_id=pl.Series([1, 2, 3]))
    pairs = pl.DataFrame({"alias": [2], "user_id": ["x"]})
    assert ids(scan(numbers, identities=pairs)) == ["1", "x", "3"]


def test_identities_refuse_all_that_is_in_doubt():
    pairs = pl.DataFrame(
        {"alias": ["a", "a", "p", "q", None, "r"], "user_id": ["b", "c", "q", "p", "z", "p"]}
    )
    with pytest.raises(ek.EngagekitError) as error:
        scan(FRAME, identities=pairs)
    assert "3 faults" in str(error.value)
    assert "two users: 'a'" in error.value.with_ids
    assert "circle: 'p', 'q' and 'r'" in error.value.with_ids
    assert "'a'" not in str(error.value)
    with pytest.raises(ek.EngagekitError, match=r"no column 'alias'.*Did you mean 'aliases'"):
        scan(FRAME, identities=pairs.rename({"alias": "aliases"}))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=8))
def test_identities_agree_with_following_by_hand(links):
    known = {str(a): str(b) for a, b in links if a != b}
    pairs = pl.DataFrame(
        {"alias": list(known), "user_id": list(known.values())},
        schema={"alias": pl.String, "user_id": pl.String},
    )

    def end(name):
        for _ in range(20):
            if name not in known:
                return name
            name = known[name]
        return None

    names = [str(n) for n in range(9)]
    log = text_log(*["2026-03-01"] * 9).with_columns(user_id=pl.Series(names))
    ends = [end(name) for name in names]
    if None in ends:
        with pytest.raises(ek.EngagekitError, match="circle"):
            scan(log, identities=pairs)
    else:
        assert ids(scan(log, identities=pairs)) == ends


def test_exclude_events_or_users_and_count_them():
    assert scan(FRAME, exclude="save").rows() == [r[:3] for r in ROWS[:1]]
    assert scan(FRAME, exclude=[ek.Match("save", n=2), "close"], keep="n").rows() == [
        ROWS[0],
        ROWS[2],
    ]
    assert scan(FRAME, exclude=ek.Match("save", n=3)).columns == ["user_id", "event", "at"]
    assert ids(scan(FRAME, exclude=pl.DataFrame({"user_id": ["ann"]}))) == ["bob"]
    assert ids(scan(FRAME, exclude=pl.DataFrame({"staff": ["ann", None]}))) == ["bob"]
    numbers = FRAME.with_columns(user_id=pl.Series([1, 2, 1]))
    assert ids(scan(numbers, exclude=pl.DataFrame({"user_id": ["1"]}))) == [2]
    counted = ek.check_events(FRAME, exclude=pl.DataFrame({"user_id": ["ann"]})).filter(
        check="left out"
    )
    assert counted.select("count", "example").row(0) == (2, "2 events of 1 users")
    with pytest.raises(ek.EngagekitError, match="'user_id'"):
        scan(FRAME, exclude=FRAME.select("event", "n"))


def test_exact_duplicates_are_kept_unless_told():
    twice = pl.concat([FRAME, FRAME.head(1)])
    assert scan(twice).height == 4
    assert sorted(scan(twice, dedupe=True).rows()) == sorted(r[:3] for r in ROWS)
    # Another value of a kept property is another event.
    assert scan(twice.with_columns(n=pl.int_range(4)), dedupe=True, keep="n").height == 4


def test_what_stands_for_nothing_is_null(tmp_path):
    (tmp_path / "a.csv").write_text(
        "user_id,event,at\n,open,2026-03-01\nnull,open,2026-03-01\n  ,open,2026-03-01\nann,,2026-03-01\nann,open,NULL\n\n\n"
    )
    log = scan(tmp_path / "a.csv")
    assert log.rows() == [(None, "open", date(2026, 3, 1))] * 3 + [
        ("ann", None, date(2026, 3, 1)),
        ("ann", "open", None),
    ]
    counts = ek.check_events(log).head(3)
    assert counts["count"].to_list() == [3, 1, 1]
    assert "row 1: 'open', 2026-03-01" in counts["example"][0]


# Tables of other engines


def test_tables_that_rollup_reduces_where_they_lie_are_handed_back():
    class Table:
        columns = ("user_id", "event", "at")

    Table.__module__ = "ibis.expr.types"
    table = Table()
    assert ek.scan_events(table) is table
    with pytest.raises(ek.EngagekitError, match="dedupe is not done in ibis"):
        ek.scan_events(table, dedupe=True)
    table.columns = ("user_id", "event", "time")
    with pytest.raises(ek.EngagekitError, match="no column 'at'"):
        ek.scan_events(table)


def test_json_whose_keys_hold_now_an_object_now_a_list(tmp_path):
    # PHP writes an empty object as an empty list.
    rows = [
        {
            "event": "a",
            "properties": {"distinct_id": "u", "time": 1772357400, "plan": {"name": "pro"}},
        },
        {"event": "b", "properties": {"distinct_id": "u", "time": 1772357400, "plan": []}},
        {"event": "c", "properties": []},
    ]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    text = "\n".join(json.dumps(row) for row in rows) + "\n\n"
    (tmp_path / "a" / "1.ndjson").write_text(text)
    (tmp_path / "b" / "1.ndjson").write_text(text)
    (tmp_path / "b" / "2.ndjson").write_text(text)
    for folder, times in (("a", 1), ("b", 2)):
        log = scan(tmp_path / folder, preset="mixpanel", keep=["plan.name"])
        assert (
            log.rows()
            == [("u", "a", NINE, "pro"), ("u", "b", NINE, None), (None, "c", None, None)] * times
        )
