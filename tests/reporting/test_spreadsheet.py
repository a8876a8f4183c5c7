from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engagekit as ek
from engagekit._base.formatting import in_spreadsheet
from engagekit.errors import StoredFileError

HOSTILE = [
    "=1+1", '=HYPERLINK("http://x","y")', "=cmd|' /C calc'!A0", "+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\ufeff=1", '"=1', "'=1",
    "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff201", "a;=1", "a\n=1", "a\t@x", 'a";=1', "\x00=1", "-", "=",
]  # fmt: skip
HARMLESS = ["", "share", "a=b", "a-b", "well-known", "x@y.org", "1+1", "a; b", "50%", "\N{GREEK SMALL LETTER ALPHA}"]  # fmt: skip
RUNS = re.compile(r"[\s\x00-\x20\u200b\ufeff\"]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def read(path) -> list[list[str]]:
    return [*csv.reader(io.StringIO(raw(path), newline=""))]


def raw(path) -> str:
    return path.read_bytes().decode("utf-8-sig")


def test_cells_and_headings_that_would_run_do_not(tmp_path):
    frame = pl.DataFrame({"=event": HOSTILE, "n": range(len(HOSTILE))})
    rows = read(ek.to_csv(frame, tmp_path / "a.csv"))
    assert rows[0] == ["'=event", "n"]
    assert [r[0].replace("'", "") for r in rows[1:]] == [t.replace("'", "") for t in HOSTILE]
    for text, *_ in rows[1:]:
        for part in re.split(r"[;\t\r\n]", text):
            assert not RUNS.match(part)


def test_harmless_texts_stay_as_they_are(tmp_path):
    rows = read(ek.to_csv(pl.DataFrame({"event": HARMLESS}), tmp_path / "a.csv"))
    assert [r[0] if r else "" for r in rows[1:]] == HARMLESS


@given(st.text(alphabet=st.sampled_from(list("=+-@;, \t\r\n\"'ab\ufeff\uff1d")), max_size=12))
def test_no_text_runs_wherever_a_spreadsheet_cuts_it(text):
    made = in_spreadsheet(text)
    assert not any(RUNS.match(part) for part in re.split(r"[;\t\r\n]", made))
    assert made.replace("'", "") == text.replace("'", "")
    assert in_spreadsheet(made).replace("'", "") == made.replace("'", "")


def test_each_kind_of_value_is_written_plainly(tmp_path):
    frame = pl.DataFrame(
        {
            "text": ["a,b", None], "whole": [-5, None], "share": [0.25, None], "yes": [True, None], "day": [date(2026, 3, 1), None],
            "at": [datetime(2026, 3, 1, 9, 30, tzinfo=UTC), None], "several": [["=a", None, "b"], None], "kind": pl.Series(["=x", None], dtype=pl.Categorical),
        }
    )  # fmt: skip
    rows = read(ek.to_csv(frame.lazy(), tmp_path / "a.csv"))
    assert rows[1] == ["a,b", "-5", "0.25", "true", "2026-03-01", "2026-03-01 09:30:00+00:00", "'=a, , b", "'=x"]  # fmt: skip
    assert rows[2] == [""] * 8
    assert raw(tmp_path / "a.csv").startswith("text,whole,")


def test_an_answer_with_hostile_names_can_be_handed_on(tmp_path):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    log = pl.DataFrame([(u, e, start) for u in range(40) for e in ("=1+1", "@x")], schema=["user_id", "event", "at"], orient="row")  # fmt: skip
    answer = ek.funnel(log, ["=1+1", "@x"])
    rows = read(ek.to_csv(answer, tmp_path / "funnel.csv"))
    assert [r[rows[0].index("event")] for r in rows[1:]] == ["'=1+1", "'@x"]


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(StoredFileError, match="could not be written"):
        ek.to_csv(pl.DataFrame({"a": [1]}), tmp_path / "missing" / "a.csv")
