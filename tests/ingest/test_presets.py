"""Exports as the products write them: shapes, ids, units and nested properties."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import engagekit as ek
from engagekit.ingest.presets import PRESETS, SNOWPLOW_COLUMNS

NINE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def lines(*rows: dict) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def table(*rows: dict, separator: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


@pytest.fixture
def scan(tmp_path):
    def run(content, name, **options):
        (tmp_path / "exports").mkdir(exist_ok=True)
        path = tmp_path / "exports" / name
        path.write_bytes(content)
        return ek.scan_events(path, cache=tmp_path / "cache", **options).collect()

    return run


def amplitude_row(**changes) -> dict:
    row = {
        "$insert_id": "5f0e", "$schema": 13, "amplitude_id": 101000000001, "app": 187520, "city": "Oslo",
        "client_event_time": "2026-03-01 09:30:00.000000", "data": {"path": "/track"}, "device_id": "d-1",
        "event_id": 7, "event_properties": {"plan": "pro", "seats": 3}, "event_time": "2026-03-01 09:30:00.123000",
        "event_type": "project_published", "group_properties": {}, "groups": {}, "is_attribution_event": False,
        "server_upload_time": "2026-03-01 09:31:00.000000", "session_id": 1772357400000,
        "user_id": "ann", "user_properties": {"role": "admin"}, "uuid": "b1",
    }  # fmt: skip
    return row | changes


def test_amplitude_zip_of_hourly_gzip(scan):
    # The Export API answers with a zip; each hour lies in it as <project>/<project>_<day>_<hour>#0.json.gz.
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for hour, user in enumerate(["ann", None]):
            row = amplitude_row(user_id=user, event_time=f"2026-03-01 {hour:02}:30:00.123000")
            zipped.writestr(f"187520/187520_2026-03-01_{hour}#0.json.gz", gzip.compress(lines(row)))
        zipped.writestr("__MACOSX/187520/._x", b"junk")
    log = scan(archive.getvalue(), "export.zip", preset="amplitude", keep=["plan", "seats", "role"])
    assert log.rows() == [
        (
            "ann",
            "project_published",
            datetime(2026, 3, 1, 0, 30, 0, 123000, UTC),
            "pro",
            3,
            "admin",
        ),
        (
            "101000000001",
            "project_published",
            datetime(2026, 3, 1, 1, 30, 0, 123000, UTC),
            "pro",
            3,
            "admin",
        ),
    ]


def test_amplitude_json_gz_that_is_a_zip(scan):
    # Some downloads are named .json.gz and are zips that hold the gzip file.
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(
            "187520/187520_2026-03-01_9#0.json.gz", gzip.compress(lines(amplitude_row()))
        )
    assert scan(archive.getvalue(), "187520_9#0.json.gz", preset="amplitude").height == 1


def test_amplitude_csv_keeps_properties_in_json_columns(scan):
    row = amplitude_row()
    flat = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()}
    anonymous = flat | {"user_id": "", "event_properties": '{"plan": "free", "seats": 1}'}
    log = scan(
        table(flat, anonymous),
        "amplitude.csv",
        preset="amplitude",
        keep=["plan", "event_properties.seats"],
    )
    assert log["user_id"].to_list() == ["ann", "101000000001"]
    assert log["plan"].to_list() == ["pro", "free"]
    assert log["event_properties.seats"].to_list() == [3, 1]


def test_amplitude_times_are_utc_whatever_the_timezone(scan):
    log = scan(lines(amplitude_row()), "a.json", preset="amplitude", timezone="Europe/Oslo")
    assert log["at"].item() == datetime(2026, 3, 1, 9, 30, 0, 123000, UTC)


def mixpanel_row(**changes) -> dict:
    properties = {
        "time": 1772357400, "distinct_id": "ann", "$browser": "Chrome", "$insert_id": "x1",
        "mp_lib": "web", "plan": "pro", "mp_processing_time_ms": 1772357401000,
    }  # fmt: skip
    return {"event": "Sign Up", "properties": properties | changes}


def test_mixpanel_seconds_and_nested_ids(scan):
    log = scan(
        lines(mixpanel_row(), mixpanel_row(distinct_id=42)),
        "export.ndjson",
        preset="mixpanel",
        keep=["plan", "$browser"],
    )
    assert log.rows() == [
        ("ann", "Sign Up", NINE, "pro", "Chrome"),
        ("42", "Sign Up", NINE, "pro", "Chrome"),
    ]


def test_mixpanel_with_milliseconds_asks_for_the_unit(scan):
    rows = lines(mixpanel_row(time=1772357400000))
    with pytest.raises(ek.EngagekitError, match="at_format='ms'"):
        scan(rows, "ms.ndjson", preset="mixpanel")
    assert scan(rows, "ms.ndjson", preset="mixpanel", at_format="ms")["at"].item() == NINE


def test_mixpanel_before_2023_counts_in_the_projects_timezone(scan):
    # Seconds of the wall clock: 09:30 in Los Angeles is 17:30 UTC in winter.
    log = scan(
        lines(mixpanel_row()),
        "old.ndjson",
        preset="mixpanel_before_2023",
        timezone="America/Los_Angeles",
    )
    assert log["at"].item() == datetime(2026, 3, 1, 17, 30, tzinfo=UTC)


def segment_row(**changes) -> dict:
    row = {
        "anonymousId": "anon-1", "userId": None, "type": "track", "event": "Order Completed", "messageId": "m1",
        "context": {"ip": "10.0.0.1", "page": {"path": "/"}}, "properties": {"total": 9.5, "paid": True},
        "originalTimestamp": "2026-03-01T09:30:00.100Z", "receivedAt": "2026-03-01T09:30:02.000Z",
        "sentAt": "2026-03-01T09:30:01.000Z", "timestamp": "2026-03-01T09:30:00.000Z",
    }  # fmt: skip
    return row | changes


def test_segment_user_or_anonymous_id(scan):
    rows = lines(
        segment_row(),
        segment_row(userId="ann"),
        segment_row(type="page", event=None, name="Pricing", timestamp="2026-03-01T10:30:00+01:00"),
    )
    log = scan(rows, "segment.json", preset="segment", keep=["total", "paid", "context.page.path"])
    assert log.rows() == [
        ("anon-1", "Order Completed", NINE, 9.5, True, "/"),
        ("ann", "Order Completed", NINE, 9.5, True, "/"),
        ("anon-1", "page", NINE, 9.5, True, "/"),
    ]


def test_segment_tracks_table(scan):
    rows = table(
        {
            "user_id": "",
            "anonymous_id": "x",
            "event": "order",
            "received_at": "2026-03-01 09:31:00 UTC",
            "timestamp": "2026-03-01 09:30:00 UTC",
        }
    )
    assert scan(rows, "tracks.csv", preset="segment").rows() == [("x", "order", NINE)]


def ga4_row(**changes) -> dict:
    def param(key, **value):
        full = {"string_value": None, "int_value": None, "float_value": None, "double_value": None}
        return {"key": key, "value": full | value}

    row = {
        "event_date": "20260301", "event_timestamp": "1772357400000000", "event_name": "page_view",
        "event_params": [param("ga_session_id", int_value="17"), param("page_title", string_value="Home"), param("value", double_value=2.5)],
        "user_id": None, "user_pseudo_id": "123.456",
        "user_properties": [param("plan", string_value="pro")], "device": {"category": "mobile"},
    }  # fmt: skip
    return row | changes


def test_ga4_newline_delimited_json(scan):
    # BigQuery writes 64-bit integers as text in JSON, and properties as lists of key and value.
    log = scan(
        lines(ga4_row(), ga4_row(user_id="ann", event_params=[])),
        "events_20260301.json",
        preset="ga4",
        keep=["ga_session_id", "page_title", "value", "plan", "device.category"],
    )
    assert log.rows() == [
        ("123.456", "page_view", NINE, 17, "Home", 2.5, "pro", "mobile"),
        ("ann", "page_view", NINE, None, None, None, "pro", "mobile"),
    ]


def test_ga4_parquet(tmp_path):
    value = pl.Struct(
        {
            "string_value": pl.String,
            "int_value": pl.Int64,
            "float_value": pl.Float64,
            "double_value": pl.Float64,
        }
    )
    params = pl.List(pl.Struct({"key": pl.String, "value": value}))
    row = ga4_row()
    for each in row["event_params"] + row["user_properties"]:
        number = each["value"]["int_value"]
        each["value"]["int_value"] = None if number is None else int(number)
    row["event_timestamp"] = int(row["event_timestamp"])
    frame = pl.DataFrame(
        [row],
        schema_overrides={"event_params": params, "user_properties": params, "user_id": pl.String},
    )
    frame.write_parquet(tmp_path / "events_20260301.parquet")
    log = ek.scan_events(tmp_path, preset="ga4", keep=["ga_session_id", "plan"]).collect()
    assert log.rows() == [("123.456", "page_view", NINE, 17, "pro")]
    assert ek.scan_events(frame, preset="ga4").collect().rows() == [("123.456", "page_view", NINE)]


def snowplow_row(**changes) -> bytes:
    values = dict.fromkeys(SNOWPLOW_COLUMNS, "")
    values |= {
        "app_id": "web", "platform": "web", "etl_tstamp": "2026-03-01 09:31:00.000", "collector_tstamp": "2026-03-01 09:30:05.000",
        "event": "unstruct", "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb", "domain_userid": "bc2e92ec6c204a14",
        "derived_tstamp": "2026-03-01 09:30:00.000", "event_vendor": "com.acme", "event_name": "project_published",
        "event_format": "jsonschema", "event_version": "1-0-0", "page_title": 'He said "hi',
        "unstruct_event": json.dumps({"schema": "iglu:s", "data": {"schema": "iglu:t", "data": {"plan": "pro"}}}),
    }  # fmt: skip
    return "\t".join((values | changes).values()).encode() + b"\n"


def test_snowplow_tsv_without_header(scan):
    rows = snowplow_row() + snowplow_row(user_id="ann", derived_tstamp="")
    for name in ("enriched.tsv", "part-00000", "run=2026-03-01-09.txt"):
        log = scan(rows, name, preset="snowplow", keep=["plan", "page_title", "platform"])
        assert log.rows() == [
            ("bc2e92ec6c204a14", "project_published", NINE, "pro", 'He said "hi', "web"),
            ("ann", "project_published", NINE.replace(second=5), "pro", 'He said "hi', "web"),
        ]
    assert scan(gzip.compress(rows), "part-00000.gz", preset="snowplow").height == 2


def test_snowplow_tsv_that_was_given_a_header(scan):
    header = "\t".join(SNOWPLOW_COLUMNS).encode() + b"\n"
    assert scan(header + snowplow_row(), "headed.tsv", preset="snowplow").height == 1


def test_snowplow_has_131_columns_and_refuses_others(scan):
    assert len(SNOWPLOW_COLUMNS) == len(set(SNOWPLOW_COLUMNS)) == 131
    with pytest.raises(ek.EngagekitError, match="131"):
        scan(b"a\tb\tc\n", "short.tsv", preset="snowplow")


def posthog_row(**changes) -> dict:
    row = {
        "uuid": "0190", "event": "$pageview", "distinct_id": "ann", "person_id": "0186", "created_at": "2026-03-01T09:30:01.000000+00:00",
        "properties": {"$browser": "Safari", "plan": "pro", "nested": {"deep": 1}}, "person_properties": {"role": "admin"},
        "timestamp": "2026-03-01T09:30:00.000000+00:00", "team_id": 1, "elements_chain": "",
    }  # fmt: skip
    return row | changes


def test_posthog_jsonlines(scan):
    log = scan(
        lines(posthog_row()),
        "events.jsonl",
        preset="posthog",
        keep=["plan", "$browser", "role", "properties.nested.deep"],
    )
    assert log.rows() == [("0186", "$pageview", NINE, "pro", "Safari", "admin", 1)]


def test_posthog_csv_with_json_and_with_spread_properties(scan):
    flat = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in posthog_row().items()}
    assert scan(table(flat), "a.csv", preset="posthog", keep=["plan", "role"]).rows() == [
        ("0186", "$pageview", NINE, "pro", "admin")
    ]
    spread = {
        "uuid": "1",
        "event": "$pageview",
        "distinct_id": "0186",
        "timestamp": "2026-03-01T09:30:00.000Z",
        "properties.$browser": "Safari",
    }
    assert scan(
        table(spread), "b.csv", preset="posthog", keep=["properties.$browser", "$browser"]
    ).row(0)[3:] == ("Safari", "Safari")


def test_posthog_people_by_distinct_id_if_said(scan):
    assert (
        scan(lines(posthog_row()), "events.jsonl", preset="posthog", user="distinct_id")[
            "user_id"
        ].item()
        == "ann"
    )


def test_posthog_parquet_holds_properties_as_text(tmp_path):
    row = {
        k: json.dumps(v) if isinstance(v, dict) else v
        for k, v in posthog_row(timestamp=NINE).items()
    }
    pl.DataFrame([row]).write_parquet(tmp_path / "events.parquet")
    log = ek.scan_events(tmp_path / "events.parquet", preset="posthog", keep="plan").collect()
    assert log.rows() == [("0186", "$pageview", NINE, "pro")]


def test_identities_learned_from_the_log(scan):
    rows = lines(
        segment_row(anonymousId="phone"),  # before ann is known
        segment_row(anonymousId="phone", userId="ann"),
        segment_row(anonymousId="laptop", userId="ann"),
        segment_row(anonymousId="shared", userId="ann"),
        segment_row(anonymousId="shared", userId="bob"),
        segment_row(anonymousId="shared"),  # ann or bob: stays as it is
        segment_row(anonymousId="stranger"),
    )
    apart = scan(rows, "segment.json", preset="segment")
    assert apart["user_id"].to_list() == ["phone", "ann", "ann", "ann", "bob", "shared", "stranger"]
    joined = scan(rows, "segment.json", preset="segment", identities="log")
    assert joined["user_id"].to_list() == ["ann", "ann", "ann", "ann", "bob", "shared", "stranger"]
    assert joined.columns == ["user_id", "event", "at"]
    two = lines(amplitude_row(user_id=None), amplitude_row())
    assert scan(two, "amplitude.json", preset="amplitude", identities="log")[
        "user_id"
    ].to_list() == ["ann", "ann"]
    frame = pl.DataFrame(
        {
            "user_id": [None, "ann"],
            "user_pseudo_id": ["1.2"] * 2,
            "event_name": ["e"] * 2,
            "event_timestamp": [1772357400000000] * 2,
        }
    )
    assert ek.scan_events(frame, preset="ga4", identities="log").collect()["user_id"].to_list() == [
        "ann",
        "ann",
    ]
    snow = snowplow_row() + snowplow_row(user_id="ann")
    assert scan(snow, "a.tsv", preset="snowplow", identities="log")["user_id"].to_list() == [
        "ann",
        "ann",
    ]
    for options in (
        {"identities": "log"},
        {"preset": "ga4", "identities": "seen"},
    ):
        with pytest.raises(ek.EngagekitError, match="'amplitude', 'ga4', 'mixpanel'"):
            scan(b"x", "a.csv", **options)


def test_unknown_preset_and_unused_one_are_told(scan):
    with pytest.raises(ek.EngagekitError, match="Did you mean 'amplitude'"):
        scan(b"x", "a.csv", preset="amplitud")
    with pytest.raises(ek.EngagekitError, match="preset='amplitude'"):
        scan(
            table({"event_type": "open", "event_time": "2026-03-01", "amplitude_id": "1"}), "a.csv"
        )


@pytest.mark.parametrize(
    ("name", "row"),
    [("posthog", posthog_row), ("mixpanel", mixpanel_row), ("amplitude", amplitude_row), ("segment", segment_row), ("ga4", ga4_row)],
)  # fmt: skip
def test_the_preset_is_told_from_the_rows_or_columns_of_an_export(scan, name, row):
    # A log's own plain names (user_id, event, timestamp) are no export's; what lies in 'properties' may be anyone's.
    flat = {k: json.dumps(v) if isinstance(v, (dict, list)) else v for k, v in row().items()}
    for content, file in ((lines(row()), "a.ndjson"), (table(flat), "a.csv")):
        if name == "mixpanel" and file == "a.csv":
            continue  # without a column of its own
        with pytest.raises(ek.EngagekitError) as error:
            scan(content, file, at="when")
        assert f"look like what preset={name!r} reads" in str(error.value)
    with pytest.raises(ek.EngagekitError) as error:
        scan(b"user_id,event,timestamp\na,e,2026-03-01\n", "plain.csv")
    assert "look like" not in str(error.value)


def test_what_is_there_but_holds_nothing_is_not_suggested(scan):
    with pytest.raises(ek.EngagekitError) as error:
        scan(lines(amplitude_row(user_id=None)), "a.ndjson", event="event_type", at="event_time")
    assert "Did you mean 'user_id'" not in str(error.value)


def test_segment_warehouse_rows_without_timestamp_take_the_original_one(scan):
    row = {"user_id": "", "anonymous_id": "x", "event": "order", "timestamp": ""}
    rows = table(row | {"original_timestamp": "2026-03-01 09:30:00 UTC", "received_at": "2026-03-02 00:00:00 UTC"})  # fmt: skip
    assert scan(rows, "tracks.csv", preset="segment").rows() == [("x", "order", NINE)]


def test_a_property_nobody_has_is_refused_with_the_nearest(scan):
    with pytest.raises(ek.EngagekitError, match=r"'plna'.*Did you mean 'plan'"):
        scan(lines(posthog_row()), "events.jsonl", preset="posthog", keep="plna")


def test_every_preset_is_tried_here():
    files = sorted(Path(__file__).parent.glob("test_presets*.py"))
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [name for name in PRESETS if f'preset="{name}"' not in source] == []
