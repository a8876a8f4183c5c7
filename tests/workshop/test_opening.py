"""The lab opens where a team begins, with the answers in place and no question about news."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from engagekit.cli import main, opening
from engagekit.workshop import start


@pytest.fixture
def ran(monkeypatch):
    """Take the place of JupyterLab: note its command, and what it would find in the settings."""
    seen = []

    def run(command, *, check, env):
        place = env["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]
        text = (Path(place) / "labconfig" / "default_setting_overrides.json").read_text("utf-8")
        seen.append((command, json.loads(text)))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return seen


@pytest.fixture
def filled(monkeypatch):
    pages = []
    monkeypatch.setattr(opening, "fill", lambda page, say: pages.append(page))
    return pages


def test_one_team_opens_at_its_first_page_and_news_are_never_asked_for(tmp_path, ran, filled):
    (team,) = start(tmp_path / "ws")
    assert main(["lab", str(tmp_path / "ws")]) == 0
    ((command, settings),) = ran
    assert "--LabApp.default_url=/lab/tree/team/00-start-here.ipynb" in command
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert filled == [team / "00-start-here.ipynb"]
    assert main(["lab", str(team)]) == 0
    assert "--LabApp.default_url=/lab/tree/00-start-here.ipynb" in ran[1][0]


@pytest.mark.thorough
def test_several_teams_are_told_how_to_open_theirs(tmp_path, ran, filled, capsys):
    first, _ = start(tmp_path / "ws", teams=["A", "B"])
    capsys.readouterr()
    assert main(["lab", str(tmp_path / "ws")]) == 0
    assert not any("default_url" in part for part in ran[0][0])
    assert f"engagekit lab {first}" in capsys.readouterr().out
    assert filled == []


def test_a_page_is_filled_when_empty_or_older_than_what_it_stands_on(tmp_path):
    (team,) = start(tmp_path / "ws")
    page = team / "00-start-here.ipynb"
    assert opening.is_stale(page)
    content = json.loads(page.read_text(encoding="utf-8"))
    content["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    page.write_text(json.dumps(content), encoding="utf-8")
    os.utime(page, (2e9, 2e9))
    assert not opening.is_stale(page)
    os.utime(team / "definition.toml", (2.1e9, 2.1e9))
    assert opening.is_stale(page)
    page.write_text("no notebook", encoding="utf-8")
    assert not opening.is_stale(page)


@pytest.mark.slow
def test_the_first_page_is_filled_where_it_lies(tmp_path, monkeypatch):
    pytest.importorskip("nbclient")
    for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (team,) = start(tmp_path / "ws")
    said: list[str] = []
    page = team / "00-start-here.ipynb"
    before = json.loads(page.read_text(encoding="utf-8"))
    opening.fill(page, said.append)
    assert said == []
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    assert ["".join(c["source"]) for c in cells] == ["".join(c["source"]) for c in before["cells"]]
    first = json.dumps(cells[2]["outputs"])
    assert "Momentum breaks earliest at habit" in first
    assert "widget-view" not in page.read_text(encoding="utf-8")
    assert not opening.is_stale(page)


@pytest.mark.slow
def test_a_page_that_cannot_run_stays_as_it_is(tmp_path):
    pytest.importorskip("nbclient")
    (team,) = start(tmp_path / "ws")
    (team / "definition.toml").write_text("activation = 3\n", encoding="utf-8")
    page, said = team / "00-start-here.ipynb", []
    before = page.read_bytes()
    opening.fill(page, said.append)
    assert page.read_bytes() == before
    assert len(said) == 1
    assert "run it in JupyterLab" in said[0]
