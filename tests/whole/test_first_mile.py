"""The first mile of a stranger: odd files are read right, or refused with what was found and the flag to say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

import engagekit as ek
from engagekit.cli import main
from engagekit.cli.saying import flags_for
from engagekit.errors import EngagekitError
from engagekit.ingest import forms_of, of_ids
from engagekit.workshop import found_columns

BEGUN = datetime(2025, 1, 6, 8, 30, tzinfo=UTC)
ROWS = [(f"{u:05}", e, BEGUN + timedelta(days=u % 9, hours=h)) for u in range(30) for h, e in enumerate(("join", "make", "make"))]  # fmt: skip


def iso(at):
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def text(header="user_id,event,timestamp", time=iso, separator=","):
    lines = [header.replace(",", separator), *(separator.join((u, e, time(at))) for u, e, at in ROWS)]  # fmt: skip
    return "\n".join(lines) + "\n"


def written(folder, content, name="log.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(content.encode(encoding))
    return path


def drafted(capsys, folder, path, *more):
    """Draft, check and diagnose with what was drafted; what the first that fails says."""
    toml, cache = folder / "d.toml", ["--cache", str(folder / "cache")]
    for command in (
        ["draft", str(path), "-o", str(toml), *more],
        ["check", str(path), "-d", str(toml)],
        ["diagnose", str(path), "-d", str(toml)],
    ):
        status = main([*command, *cache])
        said = capsys.readouterr()
        if status:
            assert status == 2
            return said.err
    log = ek.scan_events(path, definition=toml, cache=False).collect().sort("user_id", "at", "event")  # fmt: skip
    assert log["user_id"].n_unique() == 30
    return log


def right(log):
    return log.select(pl.col("user_id").cast(pl.Int64), "event", "at").rows() == [
        (int(u), e, at) for u, e, at in sorted(ROWS, key=lambda r: (r[0], r[2], r[1]))
    ]


HEADERS = {
    "German": "Nutzer;Ereignis;Zeitpunkt", "French": "Identifiant;Événement;Horodatage", "Spanish": "Usuario;Acción;Fecha y hora",
    "Portuguese": "Usuário;Ação;Data hora", "Italian": "Utente;Azione;Data e ora", "Russian": "Пользователь;Событие;Время",
    "Chinese": "用户;事件;时间", "Japanese": "ユーザー;イベント;日時", "Korean": "사용자;이벤트;시간",
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("language", HEADERS)
def test_columns_are_found_in_other_languages(capsys, tmp_path, language):
    path = written(tmp_path, text(HEADERS[language].replace(";", ",")))
    assert right(drafted(capsys, tmp_path, path))


def test_a_header_of_another_encoding_is_told_and_then_read(capsys, tmp_path):
    path = written(tmp_path, text("Identifiant,Événement,Horodatage", separator=";"), encoding="latin-1")  # fmt: skip
    told = drafted(capsys, tmp_path, path)
    assert "is not UTF-8: line 1" in told
    assert "On the command line: --encoding cp1252" in told
    assert right(drafted(capsys, tmp_path, path, "--encoding", "cp1252"))
    with pytest.raises(EngagekitError, match="is not UTF-8: line 1"):
        ek.scan_events(path, user="Identifiant", event="Evenement", at="Horodatage", cache=False)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "first", ["sep=;\n", "SEP=;\r\n", "\ufeffsep=;\n"], ids=["plain", "CRLF", "mark"]
)
def test_a_line_that_tells_excel_the_separator_is_no_header(capsys, tmp_path, first):
    path = written(tmp_path, first + text(separator=";"))
    assert right(drafted(capsys, tmp_path, path))
    both = tmp_path / "both"
    both.mkdir()
    half = text(separator=";").splitlines(keepends=True)
    written(both, first + "".join(half[:40]), "a.csv")
    written(both, half[0] + "".join(half[40:]), "b.csv")
    log = ek.scan_events(both, at="timestamp", cache=False).collect().sort("user_id", "at", "event")
    assert right(log)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("time", "flag"),
    [
        (lambda at: f"{at.timestamp():.0f}", '--at-format s'),
        (lambda at: f"{at.timestamp() * 1e3:.0f}", "--at-format ms"),
        (lambda at: f"{at.timestamp() * 1e6:.0f}", "--at-format us"),
        (lambda at: f"{at.timestamp():.0f}000000000", "--at-format ns"),
        (lambda at: f"{at:%d.%m.%Y %H:%M}", '--at-format "%d.%m.%Y %H:%M"'),
        (lambda at: f"{at:%d/%m/%Y %I:%M %p}", '--at-format "%d/%m/%Y %I:%M %p"'),
        (lambda at: f"{(at - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1):.8f}", "--at-format excel"),
        (lambda at: f"{at:%d %b %Y %H:%M}", '--at-format "%d %B %Y %H:%M"'),
    ],
)  # fmt: skip
def test_a_time_whose_form_must_be_said_names_the_flag(capsys, tmp_path, time, flag):
    later = text(time=lambda at: time(at + timedelta(days=7)))  # days beyond 12 tell months apart
    path = written(tmp_path, later)
    told = drafted(capsys, tmp_path, path)
    assert flag in told
    name, value = flag.split(" ", 1)
    log = drafted(capsys, tmp_path, path, name, value.strip('"'))
    assert right(log.with_columns(pl.col("at").dt.round("1m") - timedelta(days=7)))


def test_dates_without_marks_are_told(capsys, tmp_path):
    path = written(tmp_path, text(time=lambda at: f"{at:%Y%m%d}"))
    assert "--at-format %Y%m%d" in drafted(capsys, tmp_path, path).replace('"', "")


@pytest.mark.parametrize("time", [lambda at: f"{at:%d/%m/%Y %I:%M} a. m.", lambda at: f"오전 {at:%I:%M}", lambda at: f"{at:%d}. März {at:%Y}"])  # fmt: skip
def test_times_in_words_of_a_language_are_refused_as_they_stand(capsys, tmp_path, time):
    told = drafted(capsys, tmp_path, written(tmp_path, text(time=time)))
    assert "cannot be read as a time" in told
    assert "Write times as '2026-03-01 09:30:00'" in told


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [pl.Decimal(38, 0), pl.Decimal(20, 2), pl.Float64, pl.Int32, pl.Categorical])  # fmt: skip
def test_ids_of_warehouses_are_whole_numbers_or_text(capsys, tmp_path, kind):
    frame = pl.DataFrame(ROWS, schema=["user_id", "event", "timestamp"], orient="row")
    user = pl.col("user_id") if kind == pl.Categorical else pl.col("user_id").cast(pl.Int64)
    frame.with_columns(user.cast(kind), pl.col("event").cast(pl.Categorical)).write_parquet(tmp_path / "l.parquet")  # fmt: skip
    assert right(drafted(capsys, tmp_path, tmp_path / "l.parquet"))


@pytest.mark.parametrize("value", ["1.50", "99999999999999999999"])
def test_decimals_that_are_no_ids_are_refused(value):
    log = pl.DataFrame({"user_id": [Decimal(value), Decimal(2)], "event": ["a", "b"], "at": [BEGUN] * 2}, schema_overrides={"user_id": pl.Decimal(30, 2)})  # fmt: skip
    with pytest.raises(EngagekitError, match="1 numbers that are not whole"):
        ek.scan_events(log)


@pytest.mark.parametrize(
    ("user", "told"),
    [
        (pl.struct(id="user_id"), "Say the field inside it, such as user='user_id.id'"),
        (pl.col("user_id").cast(pl.Binary), "Write the column as text in the source"),
        (pl.concat_list("user_id"), "Write the column as text in the source"),
    ],
)
def test_ids_of_another_kind_are_refused_with_what_to_do(user, told):
    frame = pl.DataFrame(ROWS, schema=["user_id", "event", "at"], orient="row")
    with pytest.raises(EngagekitError, match="takes text or whole numbers") as caught:
        ek.scan_events(frame.with_columns(user.alias("user_id")))
    assert told in str(caught.value)


def test_fields_inside_records_are_found_where_nothing_else_is(capsys, tmp_path):
    frame = pl.DataFrame(ROWS, schema=["user_id", "event", "timestamp"], orient="row")
    nested = frame.select(who=pl.struct("user_id"), what=pl.struct("event", "timestamp"))
    nested.write_parquet(tmp_path / "l.parquet")
    assert right(drafted(capsys, tmp_path, tmp_path / "l.parquet"))
    read, _ = found_columns(nested, {})
    assert (read.user, read.event, read.at) == ("who.user_id", "what.event", "what.timestamp")


def test_what_a_column_is_called_keeps_it_from_another_role():
    log = pl.DataFrame({"Kundschaft": ["a", "b"] * 4, "Ereignis": ["x", "y", "x", "x"] * 2, "Datum": ["2026-01-01"] * 8})  # fmt: skip
    assert found_columns(log, {})[0].user == "Kundschaft"


@pytest.mark.parametrize(
    ("ids", "flagged"),
    [
        (["0", "1", "2", "3"], False),
        (["0", "ann", "ben", "cem"], True),
        (["000", "1", "2", "3"], True),
        (["0.0", "1", "2", "3"], True),
        (["null", "1", "2", "3"], True),
    ],
)
def test_zero_is_a_user_among_numbers_and_nobody_among_names(ids, flagged):
    found = of_ids([forms_of(pl.DataFrame({"user_id": ids}))])
    assert any("word for nobody" in remark.text for remark in found) == flagged


@pytest.mark.parametrize(
    ("message", "flags"),
    [
        ("Say at_format='%d/%m/%Y %H:%M' or at_format='%m/%d/%Y %H:%M'.", '--at-format "%d/%m/%Y %H:%M", or --at-format "%m/%d/%Y %H:%M"'),
        ("say which it is: user='...'.", ""),
        ("say their pattern (such as at_format='%Y'), or pass bad_times='null'", "--bad-times null"),
        ("say timezone='Europe/Berlin'", "--at-timezone Europe/Berlin"),
        ("the format='x'", ""),
    ],
)  # fmt: skip
def test_what_is_said_in_python_is_said_as_flags(message, flags):
    assert flags_for(message).removeprefix("On the command line: ") == flags


def test_a_file_without_a_header_says_so_and_is_read_with_its_columns(capsys, tmp_path):
    path = written(tmp_path, text().split("\n", 1)[1])
    told = drafted(capsys, tmp_path, path)
    assert "there may be no header" in told
    assert "--columns user_id,event,at" in told
    assert right(drafted(capsys, tmp_path, path, "--columns", "user_id, event,at"))
    # Also where the first row would pass for names of columns: a row would be lost without a word.
    rows = [f"{u},{e},{iso(at)}" for u, e, at in ROWS]
    known = written(tmp_path, "\n".join(["user_id,make,2025-01-06", *rows]), "b.csv")
    assert "there may be no header" in drafted(capsys, tmp_path, known)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("above", "skip"), [("# exported\n# by a tool\n", 2), ("Report\n\n", 2), ("Activity\n", 1)]
)
def test_lines_above_the_header_are_counted_for_one_to_skip(capsys, tmp_path, above, skip):
    path = written(tmp_path, above + text())
    assert f"--skip {skip}." in drafted(capsys, tmp_path, path)
    assert right(drafted(capsys, tmp_path, path, "--skip", str(skip)))


def test_a_web_page_saved_as_a_log_is_told(capsys, tmp_path):
    for page in ("<!DOCTYPE html>\n<html>a,b,c</html>", "\n<html><body>", '<?xml version="1.0"?>\n'):  # fmt: skip
        assert "is a web page or XML" in drafted(capsys, tmp_path, written(tmp_path, page))


@pytest.mark.thorough
@pytest.mark.parametrize("order", ["le", "be"])
def test_letters_of_two_bytes_without_a_mark_are_told(capsys, tmp_path, order):
    path = written(tmp_path, text(), encoding=f"utf-16-{order}")
    assert f"--encoding utf-16-{order}" in drafted(capsys, tmp_path, path)
    assert right(drafted(capsys, tmp_path, path, "--encoding", f"utf-16-{order}"))


def test_a_day_and_a_time_of_day_in_two_columns_are_one_time(capsys, tmp_path):
    lines = [f"{u},{e},{at:%Y-%m-%d},{at:%H:%M:%S}" for u, e, at in ROWS]
    path = written(tmp_path, "\n".join(["user_id,event,date,time", *lines]) + "\n")
    assert right(drafted(capsys, tmp_path, path))
    assert found_columns(path, {})[0].at == ("date", "time")
    path = written(tmp_path, "\n".join(["user_id,event,Datum,Uhrzeit", *lines]) + "\n")
    assert right(drafted(capsys, tmp_path, path))
    path = written(tmp_path, "\n".join(["user_id,event,date,duration", *lines]) + "\n")
    assert found_columns(path, {})[0].at == "date"
    both = [f"{u},{e},{at:%Y-%m-%d},{at:%Y-%m-%d %H:%M}" for u, e, at in ROWS]
    path = written(tmp_path, "\n".join(["user_id,event,date,time", *both]) + "\n")
    assert found_columns(path, {})[0].at == "time"
    clocks = [f"{u},{e},{at:%H:%M:%S}" for u, e, at in ROWS]
    path = written(tmp_path, "\n".join(["user_id,event,time", *clocks]) + "\n")
    assert "cannot be read as a time" in drafted(capsys, tmp_path, path)
    two = [f"{u},{e},{at:%Y-%m-%d},{at:%Y-%m-%d},{at:%H:%M:%S}" for u, e, at in ROWS]
    path = written(tmp_path, "\n".join(["user_id,event,first,second,time", *two]) + "\n")
    assert "cannot be read as a time" in drafted(capsys, tmp_path, path)


@pytest.mark.parametrize(
    ("said", "events"), [([], 7), (["--dedupe"], 6), (["--dedupe-by", "message"], 5)]
)
def test_repeats_are_left_out_by_whole_rows_or_by_a_messages_id(capsys, tmp_path, said, events):
    rows = ["1,join,a,x", "1,make,b,x", "1,make,b,x", "1,make,b,y", "2,join,c,x", "2,make,d,x", "2,make,e,x"]  # fmt: skip
    lines = [f"{u},{e},2026-01-0{1 + n},{m},{o}" for n, (u, e, m, o) in enumerate(r.split(",") for r in rows)]  # fmt: skip
    lines[2] = lines[1]  # sent twice, word for word
    path = written(tmp_path, "user_id,event,at,message,other\n" + "\n".join(lines) + "\n")
    (tmp_path / "d.toml").write_text('schema_version = 1\nsignup = "join"\nactivation = "make"\ncore = "make"\n')  # fmt: skip
    read = ["-d", str(tmp_path / "d.toml"), "--cache", str(tmp_path / "cache")]
    assert main(["check", str(path), *read, *said]) == 0
    assert f"{events} " in capsys.readouterr().out.split("rows")[0].splitlines()[-1] + " "
