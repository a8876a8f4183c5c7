"""What looks like a log and is none, or lies elsewhere, is refused with the sentence that helps."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

import engagekit as ek
from engagekit.cli import main
from engagekit.errors import EventLogError, ParameterError
from engagekit.ingest.timestamps import form_of

ROWS = pl.DataFrame(
    {"user_id": ["a", "b"], "event": ["open"] * 2, "at": [datetime(2026, 3, 1, 9)] * 2}
)


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ROWS.write_parquet(path)
    return path


def delta(root: Path, part: str = "part-0.parquet") -> Path:
    """Two versions of the same rows, of which the log of the table says that only the second counts."""
    first, second = written(root / part), written(root / part.replace("0.parquet", "1.parquet"))
    (root / "_delta_log").mkdir()
    removed = {"remove": {"path": first.name}}, {"add": {"path": second.name}}
    (root / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, removed)))
    return first


def iceberg(root: Path, part: str = "data/00000-0.parquet") -> Path:
    first = written(root / part)
    (root / "metadata").mkdir()
    (root / "metadata" / "v1.metadata.json").write_text("{}")
    return first


def hudi(root: Path, part: str = "2026/03/01/0-0-0.parquet") -> Path:
    first = written(root / part)
    (root / ".hoodie").mkdir()
    return first


TABLES = {
    "delta": (delta, r"Delta Lake table\..*pl\.scan_delta\('.*delta_scan"),
    "delta in partitions": (lambda root: delta(root, "day=1/kind=x/part-0.parquet"), "Delta Lake table"),
    "iceberg": (iceberg, r"Iceberg table\..*pl\.scan_iceberg.*iceberg_scan"),
    "iceberg in partitions": (lambda root: iceberg(root, "data/day=1/0.parquet"), "Iceberg table"),
    "hudi": (hudi, r"Hudi table.*Spark.*format\('hudi'\)"),
    "hudi flat": (lambda root: hudi(root, "0.parquet"), "Hudi table"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_lakes_are_refused_however_they_are_named(tmp_path, kind):
    make, words = TABLES[kind]
    part = make(tmp_path / "lake" / "table")
    table = tmp_path / "lake" / "table"
    ways = [
        table,
        str(table),
        part,
        part.parent,
        [part],
        tmp_path / "lake",
        f"{table}/**/*.parquet",
    ]
    for source in ways:
        for ask in (
            ek.scan_events,
            lambda s: ek.prepare_events(s, tmp_path / "out", progress=False),
            lambda s: ek.rollup(s, ek.Definition(activation="open", core="open")),
        ):
            with pytest.raises(EventLogError, match=f"(?s){words}"):
                ask(source)
    assert not (tmp_path / "out").exists()


def test_a_partition_of_hudi_alone_is_known_by_its_own_mark(tmp_path):
    part = written(tmp_path / "country" / "0.parquet")
    (part.parent / ".hoodie_partition_metadata").write_text("")
    with pytest.raises(EventLogError, match="Hudi table, or a part of one"):
        ek.scan_events(part.parent)


def test_every_table_among_the_files_is_named(tmp_path):
    delta(tmp_path / "one")
    iceberg(tmp_path / "two")
    with pytest.raises(EventLogError, match=r"(?s)2 faults.*one' is a Delta.*two' is an Iceberg"):
        ek.scan_events(tmp_path)


@pytest.mark.parametrize("folder", ["exports", "day=1", "data", "2026"])
def test_files_that_only_lie_near_a_table_are_read(tmp_path, folder):
    """A folder of loose files, also one called metadata, is no table; nor is what lies beside one."""
    written(tmp_path / "raw" / folder / "a.parquet")
    (tmp_path / "raw" / "metadata").mkdir()
    (tmp_path / "raw" / "metadata" / "readme.json").write_text("{}")
    delta(tmp_path / "table")
    assert ek.scan_events(tmp_path / "raw" / folder).collect().height == 2
    written(tmp_path / "table" / "exports" / "a.parquet")
    assert ek.scan_events(tmp_path / "table" / "exports").collect().height == 2


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://bucket/events/*.csv", r"'s3://bucket/events/\*\.csv' lies elsewhere.*pl\.scan_csv\('s3://bucket"),
        ("gs://bucket/events.csv", r"pl\.scan_csv\('gs://bucket/events\.csv'\)"),
        ("https://example.com/e.ndjson", r"pl\.scan_ndjson\('https://"),
        ("HTTPS://example.com/events", "lies elsewhere"),
        ("abfss://c@a.dfs.core.windows.net/x", r"lies elsewhere.*pl\.scan_parquet\('abfss://"),
        ("ftp://example.com/events.csv", "is an address, and only files on this machine"),
        ("bigquery://project.table", "is an address"),
        ("file:///data/events.csv", "give the path alone: '/data/events.csv'"),
    ],
)  # fmt: skip
def test_addresses_get_a_sentence_that_says_what_to_do(source, words, tmp_path):
    for given in (source, Path(source), [source]):
        with pytest.raises(EventLogError, match=words):
            ek.scan_events(given)
    with pytest.raises(EventLogError, match=words):
        ek.read_users(source)


def test_parquet_elsewhere_is_read_by_scan_events_alone(tmp_path):
    """Users tables, and logs given as a Path, are files of this machine."""
    address = "s3://bucket/events/*.parquet"
    for ask in (
        lambda: ek.read_users(address),
        lambda: ek.scan_events(Path(address)),
        lambda: ek.scan_events([address, "s3://bucket/other.csv"]),
    ):
        with pytest.raises(
            EventLogError, match=r"lies elsewhere.*pl\.scan_(parquet|csv)\('s3://bucket"
        ):
            ask()


def test_the_command_line_says_it_too(capsys, tmp_path):
    assert main(["check", "s3://bucket/events.csv"]) == 2
    assert "s3://bucket/events.csv" in capsys.readouterr().err


def workbook(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in members:
            archive.writestr(name, "<x/>")
    return path


def test_workbooks_are_told_from_archives(tmp_path):
    inside = ("[Content_Types].xml", "xl/workbook.xml", "docProps/app.xml")
    sheets = [
        workbook(tmp_path / "events.xlsx", *inside),
        workbook(tmp_path / "renamed.csv", *inside),
        workbook(tmp_path / "noname", *inside),
        workbook(tmp_path / "open.ods", "mimetype", "content.xml"),
    ]
    old = tmp_path / "old.xls"
    old.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 100)
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"no zip at all")
    for path in (*sheets, old, broken):
        with pytest.raises(EventLogError) as error:
            ek.scan_events(path, cache=False)
        assert "is a workbook of a spreadsheet program. Save the sheet as csv (UTF-8)" in str(error.value)  # fmt: skip
        assert "cannot be read" in str(error.value)
        assert "faults" not in str(error.value)
        with pytest.raises(EventLogError, match=r"no known kind|workbook"):
            ek.read_users(path)


def test_an_archive_with_a_log_is_still_read(tmp_path):
    text = io.StringIO("user_id,event,at\na,open,2026-03-01 09:00\n").read()
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("xl/events.csv", text)
    assert ek.scan_events(tmp_path / "export.zip", cache=False).collect().height == 1


def test_json_around_a_list_is_taken_or_says_how_it_is(tmp_path):
    event = {"user_id": "a", "event": "open", "at": "2026-03-01 09:00", "items": [{"sku": 1}]}
    listed, around = tmp_path / "list.json", tmp_path / "around.json"
    listed.write_text(json.dumps([event]))
    around.write_text(json.dumps({"next": None, "my events": [event, event]}))
    for path, count in ((listed, 1), (around, 2)):
        assert ek.scan_events(path, cache=False).collect().height == count
    # Around a list that is one thing among many, it could be anything.
    about = {"next": None, "page": 1, "pages": 9, "version": 3, "my events": [event, event]}
    around.write_text(json.dumps(about))
    with pytest.raises(EventLogError, match="around the list 'my events';"):
        ek.scan_events(around, cache=False)
    # One event with a list of things in it is a log of one event, whatever its columns are called.
    (tmp_path / "one.ndjson").write_text(json.dumps(event))
    assert ek.scan_events(tmp_path / "one.ndjson", cache=False).collect().height == 1
    named = {"who": "a", "what": "open", "when": "2026-03-01 09:00", "items": [{"sku": 1}]}
    (tmp_path / "one.json").write_text(json.dumps(named, indent=1))
    one = ek.scan_events(tmp_path / "one.json", user="who", event="what", at="when", cache=False)
    assert one.collect().height == 1


def at_of(tmp_path, times, **options):
    lines = ["user_id,event,at", *[f"u{n},open,{time}" for n, time in enumerate(times)]]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = ek.scan_events(tmp_path / "log.csv", cache=False, **options).collect()["at"]
    return [at if at is None else f"{at:%H:%M}" for at in found]


ZONED = "%Y-%m-%d %H:%M:%S %Z"


def test_the_names_of_zones_that_mean_no_offset_are_read_whatever_the_time_zone(tmp_path):
    times = [f"2026-03-01 09:00:00 {name}" for name in ("UTC", "GMT", "Z", "utc", "gmt")]
    for zone in ("UTC", "Asia/Tokyo"):
        assert at_of(tmp_path, times, at_format=ZONED, timezone=zone) == ["09:00"] * 5


@pytest.mark.parametrize(
    "name", ["EST", "PST", "CET", "BST", "IST", "MEZ", "Europe/Berlin", "UTC+2"]
)
def test_other_names_of_zones_are_refused_and_never_read_as_utc(tmp_path, name):
    times = ["2026-03-01 09:00:00 UTC", f"2026-03-01 10:00:00 {name}"]
    with pytest.raises(EventLogError, match=r"1 value .*row 2.*only UTC and GMT are read.*write the offset"):  # fmt: skip
        at_of(tmp_path, times, at_format=ZONED)
    assert at_of(tmp_path, times, at_format=ZONED, bad_times="null") == ["09:00", None]


def test_a_name_beside_an_offset_only_decorates_it(tmp_path):
    times = ["2026-03-01 09:00:00 +0100 CET", "2026-03-01 09:00:00 -0500 EST"]
    assert at_of(tmp_path, times, at_format="%Y-%m-%d %H:%M:%S %z %Z") == ["08:00", "14:00"]


def test_a_percent_sign_written_twice_names_no_zone():
    assert form_of("%Y-%m-%d %H:%M %%Z").kind == "local"
    assert form_of(ZONED).kind == "instant"
    with pytest.raises(ParameterError):
        form_of("Z")


@pytest.mark.parametrize(
    ("header", "hints"),
    [
        ("uid,name,time", ["'uid'", "'name'", "'time'"]),
        ("userId,eventName,timestamp", ["'userId'", "'eventName'", "'timestamp'"]),
        ("Customer ID,Action name,Occurred At (UTC)", ["'Customer ID'", "'Action name'", "'Occurred At (UTC)'"]),
        ("User,Event Name,Time", ["'User'", "'Event Name'", "'Time'"]),
        ("distinct_id,event_type,event_time", ["'distinct_id'", "'event_type'", "'event_time'"]),
        ("visitor,verb,event_timestamp", ["'visitor'", "'verb'", "'event_timestamp'"]),
        ("User-Id,Event ,A T", ["'User-Id'", None, None]),
        ("user_id,event,data,a,Created Date", [None, None, "'Created Date'"]),
    ],
)  # fmt: skip
def test_the_columns_that_may_be_meant_are_proposed(tmp_path, header, hints):
    (tmp_path / "log.csv").write_text(
        f"{header}\n" + ",".join("x" * (header.count(",") + 1)) + "\n"
    )
    with pytest.raises(EventLogError) as error:
        ek.scan_events(tmp_path / "log.csv", cache=False)
    told = {fault.split("say which it is: ")[1].split("=")[0]: fault for fault in error.value.faults if "say which" in fault}  # fmt: skip
    for role, hint in zip(("user", "event", "at"), hints, strict=True):
        if hint is not None:
            assert f"Is it {hint}" in told[role] or f"Did you mean {hint}" in told[role], told[role]
    assert "'data'?" not in str(error.value)


def test_what_somebody_wrote_is_rather_misspelt(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,event,when_it_was,time\na,b,c,d\n")
    with pytest.raises(EventLogError, match=r"at='\.\.\.'\. Did you mean 'when_it_was'"):
        ek.scan_events(tmp_path / "log.csv", at="when_it_wass", cache=False)


def test_a_property_that_some_files_lack_is_null_there(tmp_path):
    """It began on the second day, or ended; one that no file has is misspelt."""
    for day, (header, row) in enumerate([("user_id,event,at", "a,open,2026-03-01"), ("user_id,event,at,plan", "b,open,2026-03-02,pro")]):  # fmt: skip
        (tmp_path / f"{day}.csv").write_text(f"{header}\n{row}\n")
        ek.scan_events(tmp_path / f"{day}.csv", keep="*", cache=False).collect().write_parquet(tmp_path / f"{day}.parquet")  # fmt: skip
    for kind in ("csv", "parquet"):
        log = ek.scan_events(f"{tmp_path}/*.{kind}", keep=["plan"], cache=False).collect()
        assert dict(log.select("user_id", "plan").iter_rows()) == {"a": None, "b": "pro"}
        with pytest.raises(ek.EngagekitError, match=r"(?s)has no property 'plam' to keep.*Did you mean 'plan'"):  # fmt: skip
            ek.scan_events(f"{tmp_path}/*.{kind}", keep=["plam"], cache=False)
        with pytest.raises(ek.EngagekitError, match="has no property 'plan' to keep"):
            ek.scan_events(tmp_path / f"0.{kind}", keep=["plan"], cache=False)


def test_everything_can_be_kept_and_what_a_definition_asks_for_is(tmp_path):
    (tmp_path / "log.csv").write_text(
        "uid,event,time,plan,kind,event_at\na,open,2026-03-01,pro,x,1\n"
    )
    read = {"user": "uid", "at": "time", "cache": False}
    every = ek.scan_events(tmp_path / "log.csv", keep="*", **read).collect()
    assert every.columns == ["user_id", "event", "at", "plan", "kind", "event_at"]
    asks = ek.Definition(
        activation=ek.Match("open", kind="x"), core="open", properties=["plan", "country"]
    )
    for definition in (asks, _saved(asks, tmp_path / "d.toml")):
        kept = ek.scan_events(
            tmp_path / "log.csv", definition=definition, keep={"c": "event_at"}, **read
        )
        assert kept.collect().columns == ["user_id", "event", "at", "c", "kind", "plan"]
    frame = every.rename({"at": "time", "user_id": "uid"})
    assert ek.scan_events(frame, definition=asks, user="uid", at="time").collect().columns == ["user_id", "event", "at", "kind", "plan"]  # fmt: skip
    assert ek.scan_events(frame, keep="*", user="uid", at="time").collect().columns == every.columns
    with pytest.raises(ParameterError, match="read with a preset holds its properties elsewhere"):
        ek.scan_events(tmp_path / "log.csv", keep="*", preset="segment")
    with pytest.raises(ek.EngagekitError, match="definition is a dict"):
        ek.scan_events(tmp_path / "log.csv", definition={"core": "x"}, **read)


def _saved(definition: ek.Definition, path: Path) -> Path:
    definition.save(path)
    return path


def test_lines_of_json_keep_what_their_first_lines_name(tmp_path):
    lines = [
        {
            "user_id": "a",
            "event": "open",
            "at": "2026-03-01",
            "context": {"plan": "pro", "page": {"path": "/"}},
        },
        {"user_id": "a", "event": "open", "at": "2026-03-02", "n": 3},
    ]
    (tmp_path / "log.ndjson").write_text("\n".join(map(json.dumps, lines)))
    log = ek.scan_events(tmp_path / "log.ndjson", keep="*", cache=False).collect()
    assert log.select("context.plan", "n").rows() == [("pro", None), (None, 3)]
    asks = ek.Definition(activation="open", core="open", properties=["n", "gone"])
    assert ek.scan_events(tmp_path / "log.ndjson", definition=asks, cache=False).collect().columns[3:] == ["n"]  # fmt: skip


@pytest.mark.thorough
def test_a_cached_reading_is_found_again_with_a_definition(tmp_path, monkeypatch):
    """What a log may lack is part of how it is read, written the same in every process."""
    import subprocess
    import sys

    (tmp_path / "log.csv").write_text("user_id,event,at,a,b\nu,open,2026-03-01,1,2\n")
    code = "import engagekit as ek; d = ek.Definition(activation=ek.Match('open', a=1, b=2), core='open', properties=['c', 'd']); ek.scan_events('log.csv', definition=d, cache='cache').collect()"
    for seed in ("1", "2", "3"):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**__import__("os").environ, "PYTHONHASHSEED": seed})  # fmt: skip
    assert len([*(tmp_path / "cache").rglob("*.parquet")]) == 1
