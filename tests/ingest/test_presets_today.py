# ruff: noqa: F811 -- a fixture of a neighbour
"""Exports as warehouses, connectors and pages write them today, and times as other programs do."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import pytest
from test_presets import NINE, amplitude_row, lines, posthog_row, scan, table  # noqa: F401 -- a fixture

import engagekit as ek

# As the products write them today ---------------------------------------------------------------------------------------


def test_posthog_person_joins_the_ids_of_one_person(scan):
    two = lines(
        posthog_row(distinct_id="d1"),
        posthog_row(distinct_id="d2"),
        posthog_row(distinct_id="d2", person_id=None),
    )
    assert scan(two, "events.jsonl", preset="posthog")["user_id"].to_list() == [
        "0186",
        "0186",
        "d2",
    ]
    joined = scan(two, "events.jsonl", preset="posthog", identities="log")
    assert joined["user_id"].to_list() == ["0186"] * 3


def test_mixpanel_devices_become_their_user(scan):
    def row(**properties):
        return {"event": "open", "properties": {"time": int(NINE.timestamp()), **properties}}

    rows = lines(
        row(distinct_id="$device:d1", **{"$device_id": "d1"}),
        row(distinct_id="ann", **{"$device_id": "d1", "$user_id": "ann"}),
        row(distinct_id="$device:d2", **{"$device_id": "d2"}),
    )
    assert scan(rows, "m.ndjson", preset="mixpanel")["user_id"].to_list() == ["d1", "ann", "d2"]
    joined = scan(rows, "m.ndjson", preset="mixpanel", identities="log")
    assert joined["user_id"].to_list() == ["ann", "ann", "d2"]


@pytest.mark.parametrize("row", [
    {"name": "order", "distinct_id": "x", "time": "2026-03-01 09:30:00"},
    {"Event Name": "order", "Time": str(int(NINE.timestamp())), "Distinct ID": "x"},
    {"EVENT_NAME": "order", "DISTINCT_ID": "x", "TIME": "2026-03-01T09:30:00Z"},
])  # fmt: skip
def test_mixpanel_from_connectors_and_from_its_page(scan, row):
    assert scan(table(row), "m.csv", preset="mixpanel").rows() == [("x", "order", NINE)]


def test_ga4_as_csv(scan):
    for at in (str(int(NINE.timestamp()) * 1_000_000), "2026-03-01 09:30:00 UTC"):
        row = {
            "event_date": "20260301",
            "event_timestamp": at,
            "event_name": "order",
            "user_id": "",
            "user_pseudo_id": "x",
        }
        assert scan(table(row), "ga4.csv", preset="ga4").rows() == [("x", "order", NINE)]


@pytest.mark.parametrize("separator", [",", ";"])
def test_snowplow_table_with_a_header(scan, separator):
    row = {
        "app_id": "web",
        "collector_tstamp": "2026-03-01 09:30:00.000",
        "event": "page_view",
        "user_id": "",
        "domain_userid": "d1",
        "derived_tstamp": "",
        "event_name": "page_view",
    }
    for change in (str, str.upper):
        named = {change(k): v for k, v in row.items()}
        assert scan(table(named, separator=separator), "events.csv", preset="snowplow").rows() == [
            ("d1", "page_view", NINE)
        ]


def test_segment_tables_whose_name_is_the_event(tmp_path):
    folder = tmp_path / "segment"
    folder.mkdir()
    for name in ("pages", "identifies"):
        (folder / f"{name}.csv").write_bytes(
            table({"user_id": "x", "anonymous_id": "a", "timestamp": "2026-03-01 09:30:00"})
        )
    (folder / "tracks.csv").write_bytes(
        table({"user_id": "x", "event": "order", "timestamp": "2026-03-01 09:30:00"})
    )
    log = ek.scan_events(folder, preset="segment", cache=tmp_path / "cache").collect()
    same = ek.scan_events(folder, preset="rudderstack", cache=tmp_path / "cache").collect()
    assert sorted(log["event"]) == sorted(same["event"]) == ["identifies", "order", "pages"]


def test_capitals_of_a_warehouse_keep_the_visitor_behind_the_user(scan):
    text = b"USER_ID,AMPLITUDE_ID,DEVICE_ID,EVENT_TYPE,EVENT_TIME\n,11,d,open,2026-03-01 09:30:00.000\nu1,11,d,save,2026-03-01 09:30:00.000\n"
    assert scan(text, "events.csv", preset="amplitude")["user_id"].to_list() == ["11", "u1"]
    assert scan(text, "events.csv", preset="amplitude", identities="log")["user_id"].to_list() == [
        "u1",
        "u1",
    ]


def test_matomo_visits_hold_actions(scan):
    at = int(NINE.timestamp())
    visits = [
        {"idVisit": 1, "visitorId": "v1", "userId": None, "actionDetails": [
            {"type": "action", "url": "/a", "timestamp": at}, {"type": "event", "eventAction": "play", "timestamp": at + 60}]},
        {"idVisit": 2, "visitorId": "v1", "userId": "ann", "actionDetails": [{"type": "goal", "timestamp": at + 120}]},
        {"idVisit": 3, "visitorId": "v2", "userId": None, "actionDetails": []},
    ]  # fmt: skip
    log = scan(json.dumps(visits).encode(), "visits.json", preset="matomo")
    assert log.select("user_id", "event").rows() == [
        ("v1", "action"),
        ("v1", "play"),
        ("ann", "goal"),
    ]
    assert log["at"].min() == NINE
    joined = scan(json.dumps(visits).encode(), "visits.json", preset="matomo", identities="log")
    assert joined["user_id"].to_list() == ["ann"] * 3


@pytest.mark.parametrize(("written", "proposed"), [
    ("Sun, 01 Mar 2026 09:30:00 +0000", "%a, %d %b %Y %H:%M:%S %z"), ("Sun, 01 Mar 2026 09:30:00 GMT", "%a, %d %b %Y %H:%M:%S GMT"),
    ("01/Mar/2026:09:30:00 +0000", "%d/%b/%Y:%H:%M:%S %z"), ("2026-03-01 09:30:00 AM", "%Y-%m-%d %I:%M:%S %p"),
    ("1 March 2026 09:30", "%d %B %Y %H:%M"), ("March 1, 2026 9:30 AM", "%B %d, %Y %I:%M %p"), ("01 Mar 2026 09:30:00", "%d %B %Y %H:%M:%S"),
    ("2026-03-01 09:30:00,000", "%Y-%m-%d %H:%M:%S,%3f"), ("23/03/26, 09:30", "%d/%m/%y, %H:%M"),
    ("Sun Mar 01 2026 09:30:00 GMT+0000 (UTC)", "%a %b %d %Y %H:%M:%S GMT%z (UTC)"), ("46082.395833333336", "excel"),
])  # fmt: skip
def test_ways_of_writing_times_are_proposed_and_then_read(scan, written, proposed):
    text = f'user_id,event,at\nx,order,"{written}"\n'.encode()
    with pytest.raises(ek.EngagekitError) as error:
        scan(text, "log.csv")
    assert f"at_format={proposed!r}" in str(error.value)
    at = scan(text, "log.csv", at_format=proposed)["at"].item()
    assert at.replace(day=1) == NINE


def test_many_small_files_in_a_zip_are_read_as_one_and_their_faults_told_by_name(scan):
    def archive(broken):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as zipped:
            for hour in range(120):
                row = amplitude_row(user_id=f"u{hour}")
                content = b"no json\n" if hour == broken else lines(row, row)
                zipped.writestr(f"1/1_2026-03-01_{hour}#0.json.gz", gzip.compress(content))
        return out.getvalue()

    assert scan(archive(None), "export.zip", preset="amplitude").height == 240
    with pytest.raises(ek.EngagekitError, match=r"1_2026-03-01_77#0\.json\.gz"):
        scan(archive(77), "broken.zip", preset="amplitude")


def test_abbreviations_of_zones_other_than_utc_are_refused(scan):
    written = "user_id,event,at\na,open,2026-03-01 09:30:00 {}\n"
    asked = {"at_format": "%Y-%m-%d %H:%M:%S %Z"}
    for zone in ("UTC", "GMT"):
        assert (
            scan(written.format(zone).encode(), "log.csv", **asked, timezone="Asia/Tokyo")[
                "at"
            ].item()
            == NINE
        )
    with pytest.raises(ek.EngagekitError, match="cannot be read"):
        scan(written.format("EST").encode(), "log.csv", **asked)
