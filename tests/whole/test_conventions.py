"""Habits of the ecosystem: version, quiet, completion, logging, and what the package says of itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

import engagekit as ek
from engagekit.cli import app, main

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))
    made = ek.simulate(users=300, seed=2)
    made.events.lazy().collect().write_csv(tmp_path / "log.csv")
    made.definition.save(tmp_path / "definition.toml")
    return tmp_path


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_said(capsys, flag):
    assert main([flag]) == 0
    assert capsys.readouterr().out.strip() == ek.__version__


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("command", "more", "flag"),
    [
        ("diagnose", ["-d", "definition.toml", "--report", "page.html"], "--quiet"),
        ("draft", ["--out", "drafted.toml"], "-q"),
        ("prepare", ["prepared"], "-q"),
    ],
)
def test_quiet_says_the_answer_and_nothing_beside_it(capsys, log, monkeypatch, command, more, flag):
    monkeypatch.chdir(log)
    assert main([command, "log.csv", *more, flag]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert ("Verdict" in out) == (command == "diagnose")
    assert "stands in" not in out
    assert (out == "") == (command != "diagnose")
    assert (log / more[-1]).exists()


def test_quiet_does_not_silence_refusals(capsys):
    assert main(["diagnose", "nowhere.csv", "--quiet"]) == 2
    assert "nowhere.csv" in capsys.readouterr().err


@pytest.mark.thorough
def test_quiet_leaves_out_advice_and_progress(log):
    prepared = ["prepare", "log.csv", "there"]
    told = {}
    for flag in ("", "--quiet"):
        words = [sys.executable, "-W", "error", "-m", "engagekit", *prepared, *filter(None, [flag])]
        done = subprocess.run(words, cwd=log, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
        told[flag] = done.stdout + done.stderr
    assert "Prepared" in told[""]
    assert told["--quiet"] == ""


def test_quiet_silences_our_warnings_and_no_others(capsys, monkeypatch):
    import warnings

    from engagekit.cli.saying import is_quiet, note, quietly
    from engagekit.errors import EngagekitWarning

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quietly(True):
            warnings.warn(EngagekitWarning("ours"), stacklevel=1)
            warnings.warn("theirs", UserWarning, stacklevel=1)
            note("written")
            assert is_quiet()
        warnings.warn(EngagekitWarning("ours again"), stacklevel=1)
        note("shown")
    assert [str(w.message) for w in heard] == ["theirs", "ours again"]
    assert capsys.readouterr().out == "shown\n"
    assert not is_quiet()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_is_taught_commands_and_options(shell):
    script = app.generate_completion(shell=shell, prog_name="engagekit")
    for word in ("diagnose", "check", "draft", "mcp", "signed-up-since", "quiet"):
        assert word in script


@pytest.mark.thorough
@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_installed_by_one_command(shell, tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "SHELL": f"/bin/{shell}"}  # fmt: skip
    environment = {k: v for k, v in environment.items() if not k.startswith("XDG")}
    done = subprocess.run([sys.executable, "-m", "engagekit", "--install-completion", "--shell", shell], capture_output=True, text=True, check=False, env=environment)  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = [p for p in tmp_path.rglob("*") if p.is_file() and "engagekit" in p.name]
    assert len(written) == 1
    assert "diagnose" in written[0].read_text(encoding="utf-8")


def test_the_package_logs_under_its_own_name_and_says_nothing_by_itself(log, caplog):
    root = logging.getLogger("engagekit")
    assert [type(handler) for handler in root.handlers] == [logging.NullHandler]
    assert root.level == logging.NOTSET
    with caplog.at_level(logging.INFO, logger="engagekit"):
        for _ in range(2):
            read = ek.scan_events(log / "log.csv")
        ek.prepare_events(read, log / "prepared", progress=False)
        ek.rollup(log / "prepared", log / "definition.toml")
    told = [(record.name, record.getMessage()) for record in caplog.records]
    assert all(name.startswith("engagekit.") for name, _ in told)
    words = " / ".join(text for _, text in told)
    for part in ("read into the cache", "taken from the cache", "prepared log: to be made", "rolled up: part "):  # fmt: skip
        assert part in words
    ids = read.select(pl.col("user_id").cast(pl.String).unique()).collect().to_series()
    assert not any(f" {user} " in f" {words} " for user in ids if not user.isdigit())


def test_nothing_is_logged_to_a_screen(log):
    code = "import sys, engagekit as ek; ek.scan_events(sys.argv[1]).collect()"
    done = subprocess.run([sys.executable, "-c", code, str(log / "log.csv")], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.stdout + done.stderr == ""


def test_the_project_names_its_pythons_and_extras():
    named = {c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if "Python :: 3." in c}
    assert named == {"3.11", "3.12", "3.13", "3.14"}
    extras = PROJECT["optional-dependencies"]
    assert any(d.startswith("mcp>=") for d in extras["mcp"])
    assert extras["tables"] == [d for d in extras["lab"] if d.startswith("great-tables")]
    assert not any(d.startswith(("great-tables", "mcp")) for d in PROJECT["dependencies"])
    assert find_spec("platformdirs") is not None
    assert any(d.startswith("platformdirs") for d in PROJECT["dependencies"])


@pytest.mark.thorough
def test_without_the_extras_the_commands_answer(log):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['great_tables', 'mcp', 'mcp_types', 'anyio', 'ipywidgets', 'jupyterlab']));"
        "from engagekit.cli import main; import engagekit as ek;"
        "assert main(['diagnose', 'log.csv', '-d', 'definition.toml']) == 0;"
        "print(ek.tables.loop(ek.prioritize(ek.rollup('log.csv', 'definition.toml')))._repr_html_()[:5])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=log, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.stdout.rstrip().endswith("<pre>")
