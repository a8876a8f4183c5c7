"""Logs of the shapes that people have: each read right, or refused with what to do."""

from __future__ import annotations

import bz2
import json
import lzma
import zipfile
from datetime import UTC, datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import EngagekitError

AT = [datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 2, 10, 30, tzinfo=UTC)]
LOG = [("a", "open", AT[0]), ("b", "save", AT[1])]
CSV = "user_id,event,at\na,open,2026-03-01 09:00\nb,save,2026-03-02 10:30\n"
FRAME = pl.DataFrame(LOG, schema=["user_id", "event", "at"], orient="row")


def rows(source, **options):
    log = ek.scan_events(source, **options).collect()
    return sorted(log.rows())


def test_a_log_of_one_kind_of_event_names_it(folder):
    (folder / "sales.csv").write_text("buyer,at\na,2026-03-01 09:00\nb,2026-03-02 10:30\n")
    assert rows(folder / "sales.csv", user="buyer", event="=purchase") == [
        ("a", "purchase", AT[0]),
        ("b", "purchase", AT[1]),
    ]
    assert rows(FRAME.drop("event"), event="=purchase")[0] == ("a", "purchase", AT[0])
    (folder / "sales.ndjson").write_text('{"user_id": "a", "at": "2026-03-01 09:00"}\n')
    assert rows(folder / "sales.ndjson", event="=purchase") == [("a", "purchase", AT[0])]
    with pytest.raises(EngagekitError, match="event"):
        rows(FRAME.drop("event"), event="=")


def test_an_event_and_a_time_in_two_columns(folder):
    text = "user_id,category,action,date,time\na,video,play,2026-03-01,09:00\nb,video,,2026-03-02,10:30:00\n"
    (folder / "log.csv").write_text(text.replace("10:30:00", "10:30"))
    expected = [("a", "video play", AT[0]), ("b", "video", AT[1])]
    assert rows(folder / "log.csv", event=["category", "action"], at=["date", "time"]) == expected
    lines = [json.dumps({"user_id": u, "category": c, "action": a, "date": d, "time": t}) for u, c, a, d, t in (
        ("a", "video", "play", "2026-03-01", "09:00"), ("b", "video", None, "2026-03-02", "10:30"))]  # fmt: skip
    (folder / "log.ndjson").write_text("\n".join(lines))
    assert (
        rows(folder / "log.ndjson", event=["category", "action"], at=["date", "time"]) == expected
    )
    typed = pl.DataFrame(
        {"user_id": ["a"], "event": ["open"], "day": [AT[0].date()], "hour": [AT[0].time()]}
    )
    assert rows(typed, at=["day", "hour"]) == [("a", "open", AT[0])]
    with pytest.raises(EngagekitError, match="no column 'date and nil'"):
        rows(folder / "log.csv", event="action", at=["date", "nil"])
    with pytest.raises(EngagekitError, match="user"):
        rows(folder / "log.csv", user=["a", "b"])


def test_one_column_per_event(folder):
    (folder / "log.csv").write_text(
        "user_id,opened,saved,plan\na,2026-03-01 09:00,2026-03-02 10:30,pro\nb,2026-03-01 09:00,,free\n"
    )
    expected = [
        ("a", "opened", AT[0], "pro"),
        ("a", "saved", AT[1], "pro"),
        ("b", "opened", AT[0], "free"),
    ]
    assert rows(folder / "log.csv", unpivot=["opened", "saved"], keep="plan") == expected
    typed = pl.DataFrame(
        {
            "user_id": ["a", "b"],
            "opened": [AT[0], AT[0]],
            "saved": [AT[1], None],
            "plan": ["pro", "free"],
        }
    )
    assert rows(typed, unpivot=["opened", "saved"], keep="plan") == expected
    typed.write_parquet(folder / "log.parquet")
    assert rows(folder / "log.parquet", unpivot=["opened", "saved"], keep="plan") == expected
    with pytest.raises(EngagekitError, match=r"'savd' to unpivot.*'saved'"):
        rows(typed, unpivot=["opened", "savd"])


def test_no_header_and_lines_above(folder):
    (folder / "log.csv").write_text("a,open,2026-03-01 09:00\nb,save,2026-03-02 10:30\n")
    assert rows(folder / "log.csv", columns=["user_id", "event", "at"]) == LOG
    (folder / "log.csv").write_text("Export of March\nsep=;\n" + CSV.replace(",", ";"))
    assert rows(folder / "log.csv", skip=2) == LOG
    (folder / "log.csv").write_text("Export of March\n" + CSV.split("\n", 1)[1])
    assert rows(folder / "log.csv", skip=1, columns=["user_id", "event", "at"]) == LOG


def write_excel(path):
    """A workbook as small as they come: texts, and times as Excel counts them, in days since 1899-12-30."""
    days = lambda at: (at.replace(tzinfo=None) - datetime(1899, 12, 30)).total_seconds() / 86400  # noqa: E731
    texts = lambda *words: "".join(f'<c t="inlineStr"><is><t>{w}</t></is></c>' for w in words)  # noqa: E731
    body = [
        texts("user_id", "event", "at"),
        *(texts(u, e) + f'<c s="1"><v>{days(at)!r}</v></c>' for u, e, at in LOG),
    ]
    main, office = (
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    )
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Log" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{office}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>' + "".join(f"<row>{cells}</row>" for cells in body) + "</sheetData></worksheet>",
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)


def test_excel(folder):
    pytest.importorskip("fastexcel")
    write_excel(folder / "log.xlsx")
    assert rows(folder / "log.xlsx") == LOG


def test_what_is_no_excel_says_so(folder):
    with zipfile.ZipFile(folder / "log.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(EngagekitError, match=r"workbook of a spreadsheet program.*cannot be read"):
        rows(folder / "log.xlsx")


@pytest.mark.parametrize(("suffix", "pack"), [(".bz2", bz2.compress), (".xz", lzma.compress)])
def test_other_compressions(folder, suffix, pack):
    path = folder / f"log.csv{suffix}"
    path.write_bytes(pack(CSV.encode()))
    assert rows(path) == LOG
    path.write_bytes(pack(CSV.encode())[:-12])
    with pytest.raises(EngagekitError, match="damaged"):
        rows(path)


def test_arrow_files(folder):
    FRAME.write_ipc(folder / "log.arrow")
    assert rows(folder / "log.arrow") == LOG
    FRAME.write_ipc(folder / "log.feather", compression="zstd")
    assert rows(folder / "log.feather") == LOG


LIST = [{"user_id": u, "event": e, "at": f"{at:%Y-%m-%d %H:%M}"} for u, e, at in LOG]


@pytest.mark.parametrize("text", [
    json.dumps(LIST), json.dumps(LIST, indent=2), json.dumps({"events": LIST}), json.dumps({"count": 2, "data": LIST}, indent=1),
    "\ufeff" + json.dumps(LIST),
])  # fmt: skip
def test_json_lists(folder, text):
    (folder / "log.json").write_text(text)
    assert rows(folder / "log.json") == LOG


@pytest.mark.parametrize("text", ["[1, 2]", '[{"user_id": "a"', "[]"])
def test_json_that_is_no_list_of_events_is_refused(folder, text):
    (folder / "log.json").write_text(text)
    with pytest.raises(EngagekitError):
        rows(folder / "log.json")


def test_hive_folders_have_their_keys_as_columns(folder):
    for user, event, at in LOG:
        for kind in ("parquet", "csv"):
            path = folder / kind / f"event={event}" / f"date={at:%Y-%m-%d}"
            path.mkdir(parents=True)
            one = pl.DataFrame({"user_id": [user], "at": [at]})
            if kind == "parquet":
                one.write_parquet(path / "0.parquet")
            else:
                (path / "0.csv").write_text(f"user_id,at\n{user},{at:%Y-%m-%d %H:%M}\n")
    assert rows(folder / "parquet") == LOG
    assert rows(folder / "csv") == LOG
    assert rows(folder / "parquet", keep="date")[0][-1] == "2026-03-01"


def test_one_member_of_a_zip(folder):
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        archive.writestr("export/events-1.csv", CSV)
        archive.writestr("export/users.csv", "id,plan\na,pro\n")
        archive.writestr("README.txt", "About this export.\n")
    with pytest.raises(EngagekitError, match="member="):
        rows(folder / "export.zip")
    for member in ("events-1.csv", "events-*.csv", "export/events-1.csv"):
        assert rows(folder / "export.zip", member=member) == LOG
    with pytest.raises(EngagekitError, match=r"no file 'event-1.csv'"):
        rows(folder / "export.zip", member="event-1.csv")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_property_may_begin_on_the_second_day(folder, kind):
    for day, (user, event, at) in enumerate(LOG):
        one = pl.DataFrame({"user_id": [user], "event": [event], "at": [at]})
        one = one.with_columns(size=pl.lit(7)) if day else one
        if kind == "csv":
            one.with_columns(pl.col("at").dt.strftime("%Y-%m-%d %H:%M")).write_csv(
                folder / f"{day}.csv"
            )
        else:
            one.write_parquet(folder / f"{day}.parquet")
    log = ek.scan_events(folder, keep="size").sort("at").collect()
    assert log["size"].to_list() == [None, 7]
    assert log.schema["size"].is_integer()
    with pytest.raises(EngagekitError, match=r"no property 'sice' to keep.*'size'"):
        rows(folder, keep="sice")


def test_names_are_found_whatever_their_case(folder):
    (folder / "log.csv").write_text(CSV.replace("user_id,event,at", "USER_ID,Event,AT"))
    assert rows(folder / "log.csv") == LOG
    both = FRAME.with_columns(USER_ID=pl.lit("x"))
    assert rows(both) == LOG
    with pytest.raises(EngagekitError, match="user_id"):
        rows(both.rename({"user_id": "User_id"}))  # two columns differ by case: neither is taken


def test_tables_whose_files_are_not_all_part_of_them_are_refused(folder):
    FRAME.write_parquet(folder / "0.parquet")
    (folder / "_delta_log").mkdir()
    with pytest.raises(EngagekitError, match="scan_delta"):
        rows(folder)
    (folder / "_delta_log").rmdir()
    (folder / "metadata").mkdir()
    (folder / "metadata" / "v1.metadata.json").write_text("{}")
    with pytest.raises(EngagekitError, match="scan_iceberg"):
        rows(folder)


def test_parquet_at_an_address_is_handed_to_polars(monkeypatch, folder):
    FRAME.write_parquet(folder / "log.parquet")
    asked, scan = [], pl.scan_parquet
    monkeypatch.setattr(
        pl, "scan_parquet", lambda source, **_: asked.append(source) or scan(folder / "log.parquet")
    )
    for address in (
        "s3://shop/events/*.parquet",
        "gs://shop/log.parquet",
        "https://example.com/log.parquet?x=1",
    ):
        assert rows(address) == LOG
    assert asked[0] == ["s3://shop/events/*.parquet"]
    with pytest.raises(EngagekitError, match="reads parquet by its address"):
        rows("https://example.com/log.csv")


def test_events_of_one_message_id_count_once(folder):
    log = pl.DataFrame(
        {
            "user_id": ["a"] * 4,
            "event": ["open"] * 4,
            "at": [AT[0], AT[1], AT[0], AT[0]],
            "insert_id": ["1", "1", None, None],
        }
    )
    assert rows(log, dedupe="insert_id") == [("a", "open", AT[0])] * 3
    log.with_columns(pl.col("at").dt.strftime("%Y-%m-%d %H:%M")).write_csv(folder / "log.csv")
    assert rows(folder / "log.csv", dedupe="insert_id") == [("a", "open", AT[0])] * 3
    with pytest.raises(EngagekitError, match="insert"):
        rows(log, dedupe="insertid")


def test_ids_all_written_as_decimals_are_one_form(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,event,at\n7.0,open,2026-03-01\n8.0,open,2026-03-02\n")
    assert ek.scan_events(path, cache=False).collect()["user_id"].to_list() == ["7.0", "8.0"]
