"""The shared programs that show what real files do: each ends in the right reading, or in a refusal that says what to do."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
import warnings

import polars as pl
import pytest

import engagekit as ek

# Program -> what it must print, in this order.
SAYS = {
    "01_delta_folder": ["REFUSED", "is a Delta Lake table", "pl.scan_delta("],
    "02_zone_abbreviation": ["REFUSED", "EST", "REFUSED", "EST"],
    "04_exact_duplicates": ["other columns were not compared", "dedupe=True keeps rows -> 4", "the same in every column"],
    "07_terminal_crash": ["rc 0"],
    "09_snowplow_table": ["rows 1, users ['d1'], events ['page_view'], 2026-03-01 09:00:00", "REFUSED", "preset='snowplow'"],
    "10_upper_case_columns": ["rows 2, users ['11', 'u1']"],
    "12_cohort_log": ["No link is named: 300 users of 300", "burn_in_days = 0"],
    "13_containers": [
        "xlsx -> REFUSED", "workbook", "zip with README -> REFUSED", "member='events.csv'", "hive, event in the path -> rows 2",
        "arrow file -> rows 1", "s3://bucket/events/*.parquet -> REFUSED", "cannot be fetched", "https://example.com/events.csv -> REFUSED",
        "pl.scan_csv('https://example.com/events.csv')", "json object around a list -> rows 1",
    ],
    "14_ids_and_users": ["rows 60", "null user_id"],
    "16_check_says_no_size": ["null user_id"],
}  # fmt: skip


@pytest.fixture
def program(shared, tmp_path, monkeypatch, capsys):
    """Run a copy of a program; what lies elsewhere is out of reach."""
    scan = pl.scan_parquet

    def near(source, **options):
        if "://" in str(source):
            raise OSError("no network here")
        return scan(source, **options)

    monkeypatch.setattr(pl, "scan_parquet", near)
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))

    def run(name):
        copy = shutil.copy(shared / "cases" / "files" / f"{name}.py", tmp_path)
        with warnings.catch_warnings():
            runpy.run_path(copy, run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.thorough
@pytest.mark.parametrize("name", SAYS)
def test_a_program_ends_in_the_right_reading_or_says_what_to_do(program, name, monkeypatch):
    if (
        name == "07_terminal_crash"
    ):  # it starts the command beside the interpreter; that is this one
        start = subprocess.run
        command = [sys.executable, "-m", "engagekit"]
        monkeypatch.setattr(subprocess, "run", lambda asked, **more: start([*command, *asked[1:]], **more))  # fmt: skip
    said = program(name)
    for words in SAYS[name]:
        assert words in said, said
        said = said.split(words, 1)[1]


def test_names_that_nobody_did_end_the_program(program):
    with pytest.raises(
        ek.EngagekitError,
        match=r"(?s)core: 'project_created' is in no event\. Did you mean 'create_project'",
    ):
        program("06_names_nobody_did")


def test_every_program_is_tried_here(shared):
    programs = {path.stem for path in (shared / "cases" / "files").glob("*.py")}
    assert programs <= {*SAYS, "06_names_nobody_did"}
