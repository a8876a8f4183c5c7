"""Other machines: what can be held on Linux of what Windows and macOS need."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import crashing
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engagekit as ek
from engagekit import workshop
from engagekit.errors import EngagekitError
from engagekit.workshop.session import Session

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# What Windows does not take in a name, and names it keeps for devices, whatever follows a dot.
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$')
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def safe(name: str) -> bool:
    return bool(name) and not FORBIDDEN.search(name) and not DEVICE.match(name) and len(name) < 100


@given(
    st.text(max_size=80)
    | st.sampled_from(
        ["con", "COM1", "nul.txt", "a.", " a ", "a/b", "..", "lpt9.x", "A:B", "x" * 200]
    )
)
def test_a_team_of_any_name_has_a_folder_every_system_takes(name):
    try:
        made = workshop._folder_names([name])
    except EngagekitError:
        return
    assert safe(made[name])


def test_teams_whose_folders_only_differ_by_case_are_refused():
    with pytest.raises(EngagekitError, match="two teams"):
        workshop._folder_names(["Growth", "growth"])


def test_the_test_of_names_can_fail():
    assert not any(map(safe, ["", "a:b", "a.", "con", "Com1.txt", "a/b", "x" * 200]))
    assert all(map(safe, ["Growth", "a.b", "console", "ä"]))


def test_files_of_the_project_can_be_checked_out_anywhere():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no checkout")
    paths = listed.stdout.splitlines()
    assert [p for p in paths if not all(map(safe, p.split("/")))] == []
    assert len({p.casefold() for p in paths}) == len(paths)


@pytest.mark.thorough
def test_every_file_that_is_opened_is_closed_again():
    """A file still open cannot be replaced on Windows: each is opened in a with statement, or handed to one."""
    loose = []
    for path in sorted((ROOT / "engagekit").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        held = {
            id(item.context_expr)
            for n in ast.walk(tree)
            if isinstance(n, ast.With)
            for item in n.items
        }
        held |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Return)}
        loose += [
            f"{path.stem}:{n.lineno}"
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and ast.unparse(n.func).split(".")[-1] == "open" and id(n) not in held
            and ast.unparse(n.func) != "os.open"
        ]  # fmt: skip
    assert loose == []


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed on Linux")
def test_no_file_is_open_when_it_is_replaced(tmp_path, monkeypatch):
    replaced = []

    def watched(real):
        def call(source: Path, target: object) -> object:
            opened = {
                str(link.readlink())
                for link in Path("/proc/self/fd").iterdir()
                if link.is_symlink()
            }
            replaced.append(Path(target).name)
            assert not opened & {str(source), str(target)}, f"{target} is open while it is replaced"
            return real(source, target)

        return call

    for name in ("replace", "rename"):
        monkeypatch.setattr(Path, name, watched(getattr(Path, name)))
    log = crashing.log(40)
    log.write_csv(tmp_path / "log.csv")
    ek.scan_events(tmp_path / "log.csv", cache=tmp_path / "cache").collect()
    teams = workshop.start(tmp_path / "ws", events=log, definition=crashing.DEFINITION, users=log.select("user_id").unique())  # fmt: skip
    session = Session(teams[0])
    for _ in range(2):
        session.note("a", "words")
        session.define(session.definition)
        session.export()
        session.journeys().save(tmp_path / "journeys")
    assert {"session.json", "definition.toml", "journeys.json", "prepared.json", "users.parquet"} <= set(replaced)  # fmt: skip


def test_time_zones_come_along_where_the_system_has_none():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [
        d for d in project["dependencies"] if re.match(r"tzdata.*; *sys_platform == 'win32'", d)
    ]


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return [
        line.split("  #")[0].strip()
        for block in blocks
        for line in block.splitlines()
        if line.strip()
    ]


@pytest.mark.parametrize("command", commands())
def test_commands_in_readme_can_be_typed_in_powershell(command):
    """No shell variables, substitutions, continued lines or single quotes; ``&&`` needs PowerShell 7, and README says so."""
    assert not re.search(r"\$|`|\\|'|;|<|^\w+=|\bexport\b|\bsudo\b", command)
    assert "PowerShell 7" in README


def test_there_are_commands_to_look_at():
    assert len(commands()) > 10


def test_an_old_console_shows_plain_characters(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "engagekit", "check"],
        capture_output=True, check=False, env={"PYTHONIOENCODING": "cp437", "PATH": ""}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Checks of the event log" in done.stdout
    done.stdout.decode("cp437")
