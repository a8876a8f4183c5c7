from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date

import polars as pl
import pytest

import engagekit as ek
from engagekit.cli import main
from engagekit.errors import ParameterError, StoredFileError
from engagekit.workshop import compare, notebooks_folder, start, teams_in
from engagekit.workshop.session import Session


@pytest.fixture(scope="module")
def log():
    return ek.simulate(users=400, seed=3)


@pytest.fixture(scope="module")
def own(log, tmp_path_factory):
    """Make one workshop on a log of its own; the tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("own") / "ws"
    start(
        folder,
        events=log.events,
        users=log.users,
        definition=log.definition,
        teams=["Team A", "Team B"],
    )
    return folder


@pytest.fixture
def copied(own, tmp_path):
    return shutil.copytree(own, tmp_path / "copied")


def content(folder) -> dict[str, tuple[bytes, int]]:
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"]
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(files)
    }


def test_the_sample_workshop_has_all_a_team_needs(tmp_path):
    (made,) = start(tmp_path / "ws")
    assert made.name == "team"
    names = {p.name for p in made.iterdir()}
    assert names >= {p.name for p in notebooks_folder().glob("*.ipynb")}
    assert names >= {"definition.toml", "session.json", "README.md"}
    assert "bundled sample" in (tmp_path / "ws" / "README.md").read_text(encoding="utf-8")
    session, sample = Session(made), ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    assert session.definition == journeys.definition
    assert session.journeys().users.equals(journeys.users)
    assert not list((tmp_path / "ws").glob(".windows*"))


def test_the_windows_stand_in_the_definition_and_stay(own, log):
    text = (own / "Team-A" / "definition.toml").read_text(encoding="utf-8")
    for window in ("habit_days", "depth_days", "depth_within_days", "outcome_days"):
        assert f"{window} = " in text
    direct = ek.rollup(log.events, log.definition, users=log.users)
    assert Session(own / "Team-A").definition == direct.definition


def test_teams_see_the_log_as_it_is(own, log):
    direct = ek.rollup(log.events, log.definition, users=log.users)
    for team in teams_in(own):
        assert team.team in {"Team A", "Team B"}
        assert team.journeys().users.equals(direct.users)
        assert team.events().select(pl.len()).collect().item() == log.events.lazy().collect().height


def test_notebooks_come_without_the_samples_outputs(own):
    for path in (own / "Team-A").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        source = json.loads((notebooks_folder() / path.name).read_text(encoding="utf-8"))["cells"]
        assert [c["source"] for c in cells] == [c["source"] for c in source]
        code = [c for c in cells if c["cell_type"] == "code"]
        assert code
        assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)


def test_starting_again_overwrites_nothing(copied, log):
    session = Session(copied / "Team-A")
    session.decide("Core action", "ours")
    (copied / "Team-A" / "00-start-here.ipynb").write_text("{}", encoding="utf-8")
    (copied / "Team-A" / "definition.toml").write_text(
        'activation = "a"\ncore = "b"\n', encoding="utf-8"
    )
    (copied / "README.md").write_text("ours", encoding="utf-8")
    before = content(copied)
    given = {"events": log.events, "definition": log.definition, "teams": ["Team A", "Team B"]}
    for other in ({"users": log.users.head(3)}, {"as_of": "2030-01-01"}):
        with pytest.raises(ParameterError, match="engagekit refresh"):
            start(copied, **given, **other)
    again = start(copied, **given, users=log.users)
    assert [p.name for p in again] == ["Team-A", "Team-B"]
    assert content(copied) == before


def test_what_a_team_deleted_comes_back_and_nothing_else_changes(copied, log):
    before = content(copied)
    (copied / "Team-A" / "04-diagnose.ipynb").unlink()
    start(copied, teams=["Team A"], definition=log.definition)
    assert {k: v[0] for k, v in content(copied).items()} == {k: v[0] for k, v in before.items()}


@pytest.mark.thorough
def test_a_team_that_joins_later_gets_the_same_log(own, log, tmp_path):
    start(
        tmp_path / "ws",
        events=log.events,
        users=log.users,
        definition=log.definition,
        teams=["A"],
        as_of="2030-02-01",
    )
    before = content(tmp_path / "ws")
    start(tmp_path / "ws", definition=log.definition, teams=["C"])
    first, joined = teams_in(tmp_path / "ws")
    assert joined.part("about") == first.part("about") | {"team": "C"}
    assert joined.journeys().as_of == first.journeys().as_of
    assert content(tmp_path / "ws").items() > before.items()


def test_another_log_is_refused_and_nothing_is_touched(copied):
    before = content(copied)
    other = ek.simulate(users=30, seed=8)
    with pytest.raises(StoredFileError, match="another source"):
        start(copied, events=other.events, definition=other.definition, teams=["New"])
    assert content(copied) == before


def test_the_folder_can_be_moved(copied, tmp_path):
    before = Session(copied / "Team-A").journeys()
    moved = shutil.move(copied, tmp_path / "elsewhere")
    after = Session(moved / "Team-A").journeys()
    assert after.users.equals(before.users)
    assert after.definition == before.definition
    texts = [p.read_text(encoding="utf-8") for p in moved.glob("*/*.json")]
    texts += [p.read_text(encoding="utf-8") for p in moved.glob("*/*.toml")]
    assert texts
    assert not any(str(tmp_path) in text for text in texts)


def test_without_a_definition_one_is_guessed(log, tmp_path):
    (made,) = start(tmp_path / "ws", events=log.events)
    guessed = Session(made).definition
    assert guessed.signup == log.definition.signup
    assert guessed.habit_days is not None
    assert Session(made).journeys().users.height > 0


def test_a_lost_definition_is_not_replaced_by_the_samples(copied):
    (copied / "Team-A" / "definition.toml").unlink()
    with pytest.raises(ek.EngagekitError, match="no definition file"):
        Session(copied / "Team-A").journeys()


@pytest.mark.parametrize(
    ("teams", "words"),
    [
        (["///", ".."], "2 faults"),
        (["  "], "makes no folder name"),
        (["a/b", "A b"], "folder of two teams"),
        (["log"], "cannot be the name"),
        (["README.md"], "cannot be the name"),
        (["CON"], "cannot be the name"),
    ],
)
def test_names_that_make_no_folder_are_refused_before_anything_is_written(tmp_path, teams, words):
    with pytest.raises(ParameterError, match=words):
        start(tmp_path / "ws", teams=teams)
    assert not (tmp_path / "ws").exists()


def test_users_without_a_log_of_ones_own_are_refused(tmp_path, log):
    with pytest.raises(ParameterError, match="give its events too"):
        start(tmp_path / "ws", users=log.users)
    assert not (tmp_path / "ws").exists()


EVIL = "../<script>alert(1)</script>`[x](javascript:y)|"


def test_hostile_team_names_stay_in_their_folder_and_are_inert(tmp_path):
    (made,) = start(tmp_path / "ws", teams=[EVIL])
    assert made.parent == tmp_path / "ws"
    assert Session(made).team == EVIL
    assert "<script" not in (made / "README.md").read_text(encoding="utf-8")
    assert "[x](" not in (made / "README.md").read_text(encoding="utf-8")
    assert "<script" not in compare(tmp_path / "ws").read_text(encoding="utf-8")


def test_decisions_stand_side_by_side(copied):
    first, second = teams_in(copied)
    assert "2 of 2 teams not decided yet" in compare(copied).read_text(encoding="utf-8")
    first.update("plan", {"link": "habit", "play": "Repeat Value", "baseline": 0.31, "owner": EVIL})
    first.vote("Ada", "habit")
    first.vote("Ben", "habit")
    assert "1 of 2 teams not decided yet" in compare(copied).read_text(encoding="utf-8")
    second.update("plan", {"link": "depth"})
    second.decide("Which number do we ignore?", EVIL)
    page = compare(copied).read_text(encoding="utf-8")
    assert "The teams chose different links" in page
    for row in (
        "<tr><th scope=row>Link to mend first</th><td>Habit</td><td>Depth</td></tr>",
        "<tr><th scope=row>Today</th><td>31%</td><td>–</td></tr>",
        "<tr><th scope=row>Habit</th><td>2</td><td>–</td></tr>",
        "<tr><th scope=row>Core action</th><td>project_published</td><td>project_published</td></tr>",
    ):
        assert row in page
    assert "<script" not in page
    assert "http" not in page
    second.update("plan", {"link": "habit"})
    assert "All teams chose the same link" in compare(copied).read_text(encoding="utf-8")
    for team in (first, second):
        team.settle({"verdict": "undecided"}, on=date(2026, 7, 1), by="all")
    assert "No team mends a link yet" in compare(copied).read_text(encoding="utf-8")
    second.update("plan", {"draft": True})
    assert "1 of 2 teams not decided yet" in compare(copied).read_text(encoding="utf-8")


def test_a_folder_without_teams_has_nothing_to_compare(tmp_path):
    with pytest.raises(ParameterError, match="holds no team's session"):
        compare(tmp_path)


def test_the_command_starts_teams_on_a_file(tmp_path, log, capsys):
    log.events.lazy().collect().write_csv(tmp_path / "events.csv")
    log.users.lazy().collect().write_csv(tmp_path / "users.csv")
    log.definition.save(tmp_path / "definition.toml")
    command = ["start", "ws", "--events", "events.csv", "--users", "users.csv", "-d", "definition.toml", "--cache", "cache"]  # fmt: skip
    named = [str(tmp_path / c) if c.partition(".")[0] in {"ws", "events", "users", "definition", "cache"} else c for c in command]  # fmt: skip
    assert main([*named, "--team", "One", "--team", "Two"]) == 0
    assert capsys.readouterr().out.count("ready: ") == 2
    direct = ek.rollup(log.events, log.definition, users=log.users)
    assert [t.team for t in teams_in(tmp_path / "ws")] == ["One", "Two"]
    assert teams_in(tmp_path / "ws")[0].journeys().users.height == direct.users.height


def test_the_lab_opens_on_the_folder_and_asks_nothing_of_the_internet(
    tmp_path, monkeypatch, capsys
):
    called = []

    def run(command, **_):
        called.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert main(["lab", str(tmp_path), "--no-browser", "--port", "8899"]) == 0
    (command,) = called
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert {"--no-browser", "--port=8899"} <= set(command)
    assert any("NeverCheckForUpdate" in part for part in command)


def test_the_lab_says_what_is_missing(tmp_path, monkeypatch, capsys):
    import importlib.util

    assert main(["lab", str(tmp_path / "gone")]) == 2
    assert "engagekit start" in capsys.readouterr().err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["lab", str(tmp_path)]) == 2
    assert "engagekit[lab]" in capsys.readouterr().err
