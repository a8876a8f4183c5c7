from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys

import polars as pl
import pytest

import engagekit as ek
from engagekit.cli import main
from engagekit.reporting.terminal import encodable, worth_saying


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    log = ek.simulate(users=900, seed=2, mix="repeat_value")
    log.events.lazy().collect().write_parquet(folder / "events.parquet")
    log.users.lazy().collect().write_csv(folder / "users.csv")
    log.definition.save(folder / "definition.toml")
    return folder, log


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    status = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_without_arguments_the_sample_is_diagnosed_on_one_screen(capsys):
    status, out, err = call(capsys, "diagnose")
    assert (status, err) == (0, "")
    for words in (
        "Trailhead",
        "Data notes",
        "The loop",
        "mend this first",
        "Verdict",
        "Diagnosis",
        "First two weeks: association, not cause",
        "Repeat Value: led by Product",
    ):
        assert words in out
    assert len(out.splitlines()) <= 50
    assert max(map(len, out.splitlines())) <= 100


def test_the_screen_says_what_the_library_says(capsys, files):
    folder, log = files
    given = [
        folder / "events.parquet",
        "--definition",
        folder / "definition.toml",
        "--users",
        folder / "users.csv",
    ]
    status, out, _ = call(capsys, "diagnose", *given, "--by", "plan", "--json")
    answers = json.loads(out)
    journeys = ek.rollup(log.events, log.definition, users=log.users)
    priority = ek.prioritize(journeys, by="plan")
    assert status == 0
    assert answers["priority"]["sentence"] == priority.sentence
    assert [r["n"] for r in answers["priority"]["table"]] == priority.table["n"].to_list()
    assert [r["n"] for r in answers["diagnosis"]] == ek.diagnose(journeys, by="plan")["n"].to_list()
    assert [r["users"] for r in answers["priority"]["segments"]] == priority.segments[
        "users"
    ].to_list()
    assert "user_id" not in out.replace("null user_id", "").replace("'user_id' is empty", "")
    status, out, _ = call(
        capsys,
        "diagnose",
        *given,
        "--by",
        "plan",
        "--signed-up-since",
        "2025-08-01",
        "--as-of",
        "2025-12-01",
    )
    assert status == 0
    assert "By group" in out
    assert "2025-08-01" in out


def test_a_prepared_log_and_a_stated_way_of_reading_give_the_same(capsys, files, tmp_path):
    folder, log = files
    definition = ["-d", folder / "definition.toml", "--json"]
    plain = json.loads(call(capsys, "diagnose", folder / "events.parquet", *definition)[1])
    assert call(capsys, "prepare", folder / "events.parquet", tmp_path / "prepared")[0] == 0
    prepared = json.loads(call(capsys, "diagnose", tmp_path / "prepared", *definition)[1])
    epochs = log.events.lazy().collect().with_columns(pl.col("at").dt.epoch("ms"))
    epochs.select("user_id", "event", "at").write_csv(tmp_path / "epochs.csv")
    cache = ["--cache", tmp_path / "cache"]
    status, _, err = call(capsys, "diagnose", tmp_path / "epochs.csv", *definition, *cache)
    assert status == 2
    assert "at_format" in err
    read = ["--at-format", "ms", *cache]
    stated = json.loads(call(capsys, "diagnose", tmp_path / "epochs.csv", *definition, *read)[1])
    assert plain["priority"]["table"] == prepared["priority"]["table"]
    instants = ("since", "until")  # these lie a part of a millisecond earlier
    tables = [
        [{k: v for k, v in row.items() if k not in instants} for row in found["priority"]["table"]]
        for found in (plain, stated)
    ]
    assert tables[0] == tables[1]


def test_a_report_is_written(capsys, files):
    folder, _ = files
    page = folder / "report.html"
    status, out, _ = call(
        capsys,
        "diagnose",
        folder / "events.parquet",
        "-d",
        folder / "definition.toml",
        "--report",
        page,
    )
    assert status == 0
    assert str(page) in out
    assert "<svg" in page.read_text(encoding="utf-8")


def test_checks_name_faults_and_what_to_do(capsys):
    status, out, _ = call(capsys, "check")
    assert status == 0
    assert "! exact duplicates: 679" in out
    assert "dedupe=True" in out


def test_a_workshop_is_started_and_compared(capsys, files, tmp_path):
    folder, _ = files
    command = [
        "start",
        tmp_path / "ws",
        "--events",
        folder / "events.parquet",
        "--team",
        "A",
        "--team",
        "B",
        "-d",
        folder / "definition.toml",
    ]
    assert call(capsys, *command)[0] == 0
    assert {p.name for p in (tmp_path / "ws").iterdir()} >= {"A", "B", "log", "README.md"}
    assert (tmp_path / "ws" / "A" / "definition.toml").exists()
    status, out, _ = call(capsys, "compare", tmp_path / "ws")
    assert status == 0
    assert "compare.html" in out


BAD = [
    (["diagnose", "gone.csv", "-d", "{d}/definition.toml"], "gone.csv"),
    (["diagnose", "{d}/events.parquet"], "--definition FILE.toml"),
    (["diagnose", "{d}/events.parquet", "-d", "{d}/gone.toml"], "no definition file"),
    (["diagnose", "{d}/events.parquet", "-d", "{d}/definition.toml", "--at", "tim"], "tim"),
    (["diagnose", "--by", "plam"], "Did you mean 'plan'"),
    (["diagnose", "--as-of", "soon"], "as_of is 'soon'"),
    (["diagnose", "--signed-up-since", "x"], "since is 'x'"),
    (["diagnose", "--nonsense"], "--nonsense"),
    (["diagnose", "--preset", "heap"], "heap"),
    (["diagnos"], "diagnos"),
    (["diagnose", "{d}/events.parquet", "-d", "{d}/definition.toml", "--users", "{d}/events.parquet"], "more than one row"),
    (["diagnose", "{d}/events.parquet", "-d", "{d}/definition.toml", "--users", "{d}/gone.csv"], "no users table"),
    (["diagnose", "--report", "{d}/no/such/folder/r.html"], "could not be written"),
    (["compare", "{d}"], "no team's session"),
    (["lab", "{d}/gone"], "no folder"),
    (["start", "{d}/ws", "--team", "///"], "makes no folder name"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"), BAD, ids=lambda v: v if isinstance(v, str) else None
)
def test_bad_input_exits_with_2_and_says_what_to_do(capsys, files, arguments, words):
    status, _, err = call(capsys, *[a.replace("{d}", str(files[0])) for a in arguments])
    assert status == 2
    assert words in err
    assert "Traceback" not in err


def test_the_process_exits_with_2_too(files):
    done = subprocess.run(
        [sys.executable, "-m", "engagekit", "diagnose", "gone"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("engagekit: ")
    assert "Traceback" not in done.stderr


def test_hostile_names_do_not_reach_the_terminal(capsys, tmp_path):
    log = pl.DataFrame(
        {
            "user_id": ["a", "b"] * 20,
            "event": ["in", "do\x1b[31m\u202e"] * 20,
            "at": pl.Series(range(40)).cast(pl.Int64) * 3_600_000_000 + 1_767_225_600_000_000,
        }
    )
    log.with_columns(pl.col("at").cast(pl.Datetime("us"))).write_parquet(tmp_path / "e.parquet")
    ek.Definition(
        name="x\x1b]0;evil\x07", signup="in", activation="do\x1b[31m\u202e", core="do\x1b[31m\u202e"
    ).save(tmp_path / "d.toml")
    status, out, err = call(capsys, "diagnose", tmp_path / "e.parquet", "-d", tmp_path / "d.toml")
    assert status == 0
    assert not set("\x1b\x07\u202e") & set(out + err)


def test_a_misspelt_event_makes_the_verdict_doubtful_and_shows_the_name_that_was_meant(
    capsys, files, tmp_path
):
    folder, log = files
    text = (folder / "definition.toml").read_text(encoding="utf-8")
    (tmp_path / "d.toml").write_text(text.replace('"first_project"', '"frist_project"'), "utf-8")
    given = [folder / "events.parquet", "-d"]
    status, out, _ = call(capsys, "diagnose", *given, tmp_path / "d.toml")
    assert status == 0
    assert "'frist_project' is in no event. Did you mean 'first_project'?" in out
    assert "Mind: The definition names events that nobody did" in out
    assert "Mind: The definition" not in call(capsys, "diagnose", *given, folder / "definition.toml")[1]  # fmt: skip
    # Also where the log has so many other faults that not all are shown.
    notes = ek.check_events(log.events, ek.Definition.load(tmp_path / "d.toml"))
    crowded = notes.with_columns(pl.lit(1, pl.Int64).alias("count"))
    assert "unknown events in the definition" in worth_saying(crowded)["check"].to_list()


def test_paths_do_not_command_the_terminal(capsys, files, tmp_path):
    status, out, err = call(
        capsys, "prepare", files[0] / "events.parquet", tmp_path / "log\x1b[31m"
    )
    assert status == 0
    assert "\x1b" not in out + err
    assert r"log\x1b[31m" in out


def test_consoles_that_lack_characters_get_plain_ones():
    assert encodable("38% – 40% ◀ …", "ascii") == "38% - 40% < ..."
    assert encodable("38% – 40% ◀ …", "utf-8") == "38% – 40% ◀ …"
    assert encodable("日本", "latin-1") == "??"


def test_a_console_of_another_encoding_is_no_fault():
    done = subprocess.run(
        [sys.executable, "-m", "engagekit", "diagnose"],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert b"mend this first" in done.stdout


def test_a_closed_pipe_is_no_fault():
    process = subprocess.Popen(
        [sys.executable, "-m", "engagekit", "diagnose"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert b"Traceback" not in errors
    assert process.wait() in {0, -13}


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("diagnose", "check", "prepare", "start", "lab", "compare"))
    assert isinstance(out, str)
    assert io.StringIO(out).readline()


@pytest.mark.parametrize("command", ["diagnose", "check"])
def test_a_fault_of_ours_is_said_in_two_lines(capsys, monkeypatch, command):
    def breaks(*_, **__):
        return {"jane@example.com": 1}["john@example.com"]

    monkeypatch.setattr(ek, "check_events", breaks)
    status, out, err = call(capsys, command)
    assert (status, out) == (70, "")
    first, second = err.splitlines()
    assert re.fullmatch(r"engagekit: something broke inside engagekit \(KeyError in cli.py, line \d+\)\. .*ours to mend.*", first)  # fmt: skip
    assert "--debug" in second
    assert "john" not in err, "what an error holds may be a user's id"
    for where in ([command, "--debug"], ["--debug", command]):
        status, _, err = call(capsys, *where)
        assert status == 70
        assert err.startswith("Traceback (most recent call last)")
        assert "KeyError: 'john@example.com'" in err
        assert err.splitlines()[-2:] == [first, second]


@pytest.mark.parametrize("command", [["prepare", "gone.csv", "x"], ["start", "x", "--events", "gone.csv"], ["lab", "gone"], ["compare", "gone"]])  # fmt: skip
def test_debug_is_taken_by_every_command(capsys, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, plain_err = call(capsys, *command)
    assert status == 2
    status, _, err = call(capsys, *command, "--debug")
    assert status == 2
    assert err.startswith("Traceback")
    assert err.endswith(plain_err)


def test_a_mistyped_option_needs_no_traceback_even_with_debug(capsys):
    status, _, err = call(capsys, "diagnose", "--debug", "--reprt", "x")
    assert status == 2
    assert err.startswith("engagekit: ")
    assert "--report" in err


def test_help_tells_of_debug(capsys):
    for command in ([], ["diagnose"], ["compare"]):
        assert main([*command, "--help"]) == 0
        assert "--debug" in capsys.readouterr().out


def closed(arguments, **streams):
    """Run the command with a stream closed, as some schedulers do."""
    which = {"stdout": ">&-", "stderr": "2>&-"}
    line = " ".join([sys.executable, "-m", "engagekit", *arguments, *(which[s] for s in streams)])
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="closes streams as a shell does")
def test_closed_streams_are_said_or_borne():
    unheard = closed(["check"], stdout=True)
    assert unheard.returncode == 2
    assert unheard.stderr.splitlines() == [
        "engagekit: OSError: standard output is closed, so nothing can be printed"
    ]
    assert closed(["diagnose", "gone.csv", "-d", "gone.toml"], stderr=True).returncode == 2


def test_warnings_are_lines_for_people(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,event,at\nu1,join,2026-01-01\n", encoding="utf-8")
    users = "\n".join(["user_id,plan", *[f"{number},free" for number in range(10)]])
    (tmp_path / "users.csv").write_text(users, encoding="utf-8")
    rules = 'signup = "join"\nactivation = "make"\ncore = "make"\n'
    (tmp_path / "rules.toml").write_text(rules, encoding="utf-8")
    command = [sys.executable, "-m", "engagekit", "diagnose", "log.csv", "--definition", "rules.toml", "--users", "users.csv", "--cache", "cache"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("Mind: None of the 10 users of the users table is in the log")
    assert ".py" not in done.stderr
