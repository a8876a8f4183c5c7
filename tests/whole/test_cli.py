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


@pytest.mark.thorough
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
    assert "(dedupe)" in out


def test_check_begins_with_what_the_log_holds(capsys, tmp_path):
    rows = [f"u{n},{event},2026-03-{1 + n:02} 0{hour}:00" for n in range(3) for hour, event in enumerate(["join", "look"][: 1 + n % 2])]  # fmt: skip
    rows += [f"u{n},{'x' * 250},2026-03-09 23:30" for n in range(1)] + [",look,2026-03-01 09:00"]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,event,at", *rows]) + "\n")
    (tmp_path / "d.toml").write_text('activation="join"\ncore="join"\ntimezone="Europe/Berlin"\n')
    status, out, _ = call(capsys, "check", tmp_path / "log.csv", "--cache", tmp_path / "c")
    assert status == 0
    assert out.splitlines()[:9] == [
        "What the log holds",
        "  6 rows, 5 of them with a user, an event and a time",
        "  3 users, 3 kinds of events",
        "  from 2026-03-01 00:00:00 (UTC) to 2026-03-09 23:30:00 (UTC)",
        "",
        "  event                                             users  times",
        "  join                                                  3      3",
        "  look                                                  1      1",
        "  " + "x" * 47 + "…      1      1",
    ]
    # As the definition's clocks have it; a prepared log says the same.
    given = ["--definition", tmp_path / "d.toml", "--cache", tmp_path / "c"]
    assert call(capsys, "prepare", tmp_path / "log.csv", tmp_path / "p", *given)[0] == 0
    _, out, _ = call(capsys, "check", tmp_path / "p", *given)
    assert "from 2026-03-01 00:00:00 (Europe/Berlin) to 2026-03-09 23:30:00 (Europe/Berlin)" in out
    assert "  5 rows" in out


def test_check_of_dates_and_of_many_names(capsys, tmp_path):
    log = pl.DataFrame({"user_id": ["a"] * 25, "event": [f"e{n:02}" for n in range(25)], "at": pl.Series(["2026-03-01"] * 25).str.to_date()})  # fmt: skip
    log.write_parquet(tmp_path / "e.parquet")
    _, out, _ = call(capsys, "check", tmp_path / "e.parquet")
    assert "  from 2026-03-01 to 2026-03-01\n" in out
    assert "  and 5 more\n" in out


def test_a_missing_file_is_said_before_a_missing_definition(capsys, tmp_path):
    (tmp_path / "events.csv").write_text("x")
    status, _, err = call(capsys, "diagnose", tmp_path / "event.csv")
    assert status == 2
    assert "there is no file or folder" in err
    assert "Did you mean 'events.csv'" in err
    assert "--definition FILE.toml" in call(capsys, "diagnose", tmp_path / "events.csv")[2]


def test_a_workshop_folder_says_how_its_log_is_diagnosed(capsys, files, tmp_path):
    folder, _ = files
    start = ["start", tmp_path / "ws", "--events", folder / "events.parquet", "--users", folder / "users.csv"]  # fmt: skip
    assert call(capsys, *start)[0] == 0
    status, _, err = call(capsys, "diagnose", tmp_path / "ws")
    assert status == 2
    assert "is a workshop folder" in err
    line = err.split("engagekit diagnose ")[1].split()
    assert call(capsys, "diagnose", *line, "--by", "plan")[0] == 0


@pytest.mark.thorough
def test_a_test_is_read_from_the_command_line(capsys, files):
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    found = ek.experiment(journeys, link="activation")
    status, out, err = call(capsys, "experiment", "--link", "activation")
    assert (status, err) == (0, "")
    assert out.startswith(found.sentence)
    assert "checklist" in out
    told = json.loads(call(capsys, "experiment", "--link", "activation", "--json")[1])
    assert (told["verdict"], told["difference"]) == (found.verdict, found.difference)
    folder, _ = files
    given = [folder / "events.parquet", "-d", folder / "definition.toml", "--users", folder / "users.csv"]  # fmt: skip
    status, out, _ = call(capsys, "experiment", *given, "--variant", "plan", "--control", "free")
    assert status == 0
    assert out.startswith("Stop: the split is off")
    for more, words in (
        ([], "no arms are known"),
        (["--variant", "plann"], "Did you mean 'plan'"),
        (["--variant", "plan", "--link", "habbit"], "Did you mean 'habit'"),
    ):
        status, _, err = call(capsys, "experiment", *given, *more)
        assert status == 2
        assert words in err


@pytest.mark.thorough
def test_by_takes_a_property_of_events(capsys, files, tmp_path):
    folder, log = files
    plans = log.users.lazy().select("user_id", pl.col("plan").cast(pl.String).alias("tier"))
    events = log.events.lazy().join(plans, on="user_id", how="left")
    events.collect().write_parquet(tmp_path / "events.parquet")
    given = [tmp_path / "events.parquet", "-d", folder / "definition.toml"]
    of_events = json.loads(call(capsys, "diagnose", *given, "--by", "tier", "--json")[1])
    users = ["--users", folder / "users.csv"]
    of_users = json.loads(call(capsys, "diagnose", *given, *users, "--by", "plan", "--json")[1])

    def counts(answers, by):
        return [
            {k: v for k, v in row.items() if k != by} for row in answers["priority"]["segments"]
        ]

    assert counts(of_events, "tier") == counts(of_users, "plan")
    assert [r["tier"] for r in of_events["priority"]["segments"]] == [r["plan"] for r in of_users["priority"]["segments"]]  # fmt: skip
    # The users table has its own plan, so its own stands; and a name that is in neither is told from both.
    assert call(capsys, "diagnose", *given, *users, "--by", "plan", "--report", tmp_path / "r.html")[0] == 0  # fmt: skip
    for by, words in (("teir", "Did you mean 'tier'"), ("user_id", "none of events"), ("", "none of events"), ("*", "none of events")):  # fmt: skip
        status, _, err = call(capsys, "diagnose", *given, *users, "--by", by)
        assert status == 2
        assert words in err
    assert call(capsys, "prepare", tmp_path / "events.parquet", tmp_path / "p")[0] == 0
    prepared = [tmp_path / "p", "-d", folder / "definition.toml"]
    again = json.loads(call(capsys, "diagnose", *prepared, "--by", "tier", "--json")[1])
    assert again["priority"]["segments"] == of_events["priority"]["segments"]


def test_what_the_definition_asks_for_and_the_log_lacks_is_named(capsys, files, tmp_path):
    folder, _ = files
    text = (folder / "definition.toml").read_text(encoding="utf-8")
    (tmp_path / "d.toml").write_text('properties = ["tier"]\n' + text, encoding="utf-8")
    given = ["diagnose", folder / "events.parquet", "-d", tmp_path / "d.toml"]
    status, _, err = call(capsys, *given)
    assert status == 2
    assert "there is no property 'tier' in the log" in err
    assert call(capsys, "prepare", folder / "events.parquet", tmp_path / "p")[0] == 0
    err = call(capsys, "diagnose", tmp_path / "p", "-d", tmp_path / "d.toml")[2]
    assert "Prepare it again" in err


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


@pytest.mark.thorough
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


def test_a_misspelt_event_is_refused_with_the_name_that_was_meant(capsys, files, tmp_path):
    folder, log = files
    text = (folder / "definition.toml").read_text(encoding="utf-8")
    (tmp_path / "d.toml").write_text(text.replace('"first_project"', '"frist_project"'), "utf-8")
    given = [folder / "events.parquet", "-d"]
    status, out, err = call(capsys, "diagnose", *given, tmp_path / "d.toml")
    assert (status, out) == (2, "")
    assert "activation: 'frist_project' is in no event. Did you mean 'first_project'?" in err
    status, out, _ = call(capsys, "diagnose", *given, tmp_path / "d.toml", "--missing", "allow")
    assert status == 0
    assert "No link is named: activation: 'frist_project' is in no event." in " ".join(out.split())
    assert "mend this first" not in out
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


@pytest.mark.thorough
def test_a_console_of_another_encoding_is_no_fault():
    done = subprocess.run(
        [sys.executable, "-m", "engagekit", "diagnose"],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert b"mend this first" in done.stdout


@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["diagnose", "check"])
def test_a_fault_of_ours_is_said_in_two_lines(capsys, monkeypatch, command):
    def breaks(*_, **__):
        return {"jane@example.com": 1}["john@example.com"]

    monkeypatch.setattr(ek, "check_events", breaks)
    status, out, err = call(capsys, command)
    assert (status, out) == (70, "")
    first, second = err.splitlines()
    assert re.fullmatch(r"engagekit: something broke inside engagekit \(KeyError in cli/\w+\.py, line \d+\)\. .*ours to mend.*", first)  # fmt: skip
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


@pytest.mark.thorough
@pytest.mark.skipif(os.name == "nt", reason="closes streams as a shell does")
def test_closed_streams_are_said_or_borne():
    unheard = closed(["check"], stdout=True)
    assert unheard.returncode == 2
    assert unheard.stderr.splitlines() == [
        "engagekit: OSError: standard output is closed, so nothing can be printed"
    ]
    assert closed(["diagnose", "gone.csv", "-d", "gone.toml"], stderr=True).returncode == 2


@pytest.mark.thorough
def test_warnings_are_lines_for_people(tmp_path):
    log = "".join(f"u{n},{event},2026-01-0{n}\n" for n in (1, 2, 3) for event in ("join", "make"))
    (tmp_path / "log.csv").write_text(f"user_id,event,at\n{log}", encoding="utf-8")
    users = "\n".join(["user_id,plan", *[f"{number},free" for number in range(10)]])
    (tmp_path / "users.csv").write_text(users, encoding="utf-8")
    rules = 'signup = "join"\nactivation = ["make", "mak"]\ncore = "make"\n'
    (tmp_path / "rules.toml").write_text(rules, encoding="utf-8")
    command = [sys.executable, "-m", "engagekit", "diagnose", "log.csv", "--definition", "rules.toml", "--users", "users.csv", "--cache", "cache"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    said = " ".join(done.stdout.split())
    assert (
        "Mind: The users table and the log match in part: of 10 users in the table 10 are in no event"
        in said
    )
    assert "Mind: activation: 'mak' is in no event. Did you mean 'make'?" in said
