"""README's own code and the handbook's, run block by block as a stranger would, on a log made from README's words."""

from __future__ import annotations

import random
import re
import shlex
import subprocess
import tomllib
import types
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import engagekit as ek
from engagekit.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HANDBOOK = (ROOT / "engagekit" / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```$", f"{README}\n{HANDBOOK}")


def lines(word: str) -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.startswith(word)]


(DEFINITION,) = blocks("toml")


def log_of_its_words(*, activated: float, returning: float, users: int = 300) -> pl.DataFrame:
    """Events by README's names: `activated` of the sign-ups make a first project, `returning` of them publish again."""
    rng, rows = random.Random(7), []
    for number in range(users):
        user, at = f"u{number}", datetime(2025, 9, 1) + timedelta(hours=12 * number)
        plan = rng.choice(["free", "pro"])

        def did(event, days, kind=None, user=user, at=at, plan=plan):
            rows.append((user, event, at + timedelta(days=days), kind, plan))

        did("signed_up", 0)
        did("connect_started", 0.1)
        if rng.random() < activated:
            did("connect_done", 0.2)
            did("first_project", 0.3)
            did("project_published", 0.4)
            if rng.random() < returning:
                for week in range(1, 10):
                    did("project_published", 3 * week)
                    did(*rng.choice([("automation_run", 3 * week), ("report", 3 * week, "custom"), ("report", 3 * week, "weekly")]))  # fmt: skip
                did("invite_sent", 20)
    schema = ["user_id", "event", "at", "kind", "plan"]
    return pl.DataFrame(rows, schema=schema, orient="row").sort("at").filter(pl.col("at") < datetime(2026, 6, 30))  # fmt: skip


VERDICTS = {
    "named": {"activated": 0.6, "returning": 0.2},
    "none broken": {"activated": 0.7, "returning": 0.9},
    "undecided": {"activated": 0.37, "returning": 0.52},
}


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """Make a folder as a stranger has it, and its files of README's names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "definition.toml").write_text(DEFINITION, encoding="utf-8")

    def given(verdict: str) -> pl.DataFrame:
        log = log_of_its_words(**VERDICTS[verdict])
        text = log.with_columns(pl.col("at").dt.to_string("%Y-%m-%d %H:%M:%S"))
        text.rename({"user_id": "uid", "at": "time"}).write_csv("events.csv")
        text.write_csv("huge.csv")
        log.write_parquet("events.parquet")
        # A week later the log reaches a week further.
        week = log.filter(pl.col("at") > pl.col("at").max() - pl.duration(days=7))
        later = week.with_columns(pl.col("at") + pl.duration(days=7))
        pl.concat([log, later]).write_parquet("newer.parquet")
        return log

    return given


def test_the_definition_shown_is_whole():
    table = tomllib.loads(DEFINITION)
    assert {"kind", "plan"} == {*ek.Definition.from_table(table).asked_properties()}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_first_block_runs_to_its_last_line_whatever_the_verdict(stranger, verdict, capsys):
    stranger(verdict)
    names: dict = {}
    exec(compile(blocks("python")[0], "README", "exec"), names)
    priority = names["priority"]
    assert priority.verdict == verdict
    assert capsys.readouterr().out.strip() == priority.sentence
    assert len(ek.plan(priority).sentence) > 40
    assert names["journeys"].properties == ["plan"]


@pytest.mark.thorough
def test_the_other_blocks_run_after_it(stranger):
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("ibis")
    pytest.importorskip("pyarrow")
    log = stranger("named")
    names: dict = {}
    first, prepared, engines, warehouse = blocks("python")
    exec(compile(first, "README", "exec"), names)
    exec(compile(prepared, "README", "exec"), names)
    answer = ek.prioritize(names["journeys"]).table
    assert answer["of"][0] > 200
    duckdb.execute("create or replace table events as select * from 'events.parquet'")
    # A session of Spark is started by the tests of the engines; here any table stands for its.
    names |= {"spark": types.SimpleNamespace(table=lambda _: log), "duckdb": duckdb}
    exec(compile(engines, "README", "exec"), names)
    assert ek.prioritize(names["journeys"]).table.equals(answer)
    duckdb.execute("drop table events")
    connection = duckdb.connect()
    connection.execute("create table events as select * from 'events.parquet'")
    names |= {"pl": pl, "connection": connection}
    here = warehouse.replace('"snowflake"', '"duckdb"').replace('"shop.public.events"', '"events"')
    assert here != warehouse
    exec(compile(here, "README", "exec"), names)
    assert ek.prioritize(names["journeys"]).table["of"][0] > 200
    assert names["journeys"].properties == ["plan"]


@pytest.mark.thorough
def test_the_command_lines_run_in_their_order(stranger, monkeypatch, capsys):
    stranger("named")
    opened = []
    done = types.SimpleNamespace(returncode=0)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: opened.append(command) or done)
    asked = lines("engagekit ")
    assert len(asked) >= 6
    for line in dict.fromkeys(asked):
        assert main(shlex.split(line)[1:]) == 0, line
        assert capsys.readouterr().err == "", line
    assert opened
    assert Path("report.html").is_file()
    assert Path("my-workshop", "compare.html").is_file()
    # The last line of `prepare` says what to run next, and it runs.
    assert main(["diagnose", "prepared", "--definition", "definition.toml"]) == 0


def test_a_log_prepared_without_a_definition_can_be_used_with_any(stranger, capsys):
    log = stranger("named")
    assert main(["prepare", "huge.csv", "prepared"]) == 0
    said = capsys.readouterr().out
    assert "with the properties 'kind' and 'plan'" in said
    told = said.split("Now: engagekit ")[1].replace("DEFINITION.toml", "definition.toml")
    assert main(told.split()) == 0
    ek.prepare_events("huge.csv", "again", progress=False)
    of_prepared = ek.prioritize(ek.rollup("again", "definition.toml"))
    assert of_prepared.table.equals(ek.prioritize(ek.rollup(log, "definition.toml")).table)


def test_readme_shows_what_the_sample_says_and_stays_short():
    assert len(README.splitlines()) < 200
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    priority = ek.prioritize(journeys)
    quoted = " ".join(line[2:] for line in README.splitlines() if line.startswith("> "))
    assert len(quoted) > 150
    assert priority.sentence.startswith(quoted)
    ((words, picture),) = re.findall(r"!\[(.*?)\]\((.*?)\)", README)
    title = ek.charts.loop(priority).to_dict()["title"]["text"]
    assert words == " ".join([title] if isinstance(title, str) else title)
    assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("page", ["README.md", "engagekit/README.md"])
def test_links_lead_to_files_and_headings_that_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"\]\(([^)#]*)(?:#([\w-]+))?\)", text)
    assert found or page != "README.md"
    for path, heading in found:
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.is_file(), path
        if heading:
            heads = re.findall(r"(?m)^#+ (.+)$", target.read_text(encoding="utf-8"))
            assert heading in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads]


def test_paths_will_do_for_log_and_definition(stranger):
    log = stranger("named")
    whole = ek.rollup(log, ek.Definition.load("definition.toml"))
    for path in ("events.parquet", Path("events.parquet"), "huge.csv", ["huge.csv"]):
        found = ek.rollup(path, Path("definition.toml"))
        assert found.users.sort("user_id").equals(whole.users.sort("user_id"))
    assert ek.check_events(log, "definition.toml").equals(ek.check_events(log, whole.definition))
