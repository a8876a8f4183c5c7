"""The wheel and the sdist: built, installed into an empty environment, and used from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
UV = [sys.executable, "-m", "uv"]
INSTALLED_LIMIT_MB = 750
BARE_LIMIT_MB = 570  # without extras, byte code included


def run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(*UV, "build", "--quiet", "--out-dir", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def python(built, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("fresh") / "venv"
    run(*UV, "venv", "--quiet", "--python", sys.executable, place)
    found = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    wheel = next(built.glob("*.whl"))
    run(*UV, "pip", "install", "--quiet", "--python", found, f"engagekit[lab] @ {wheel.as_uri()}")
    return found


@pytest.fixture(scope="module")
def bare(built, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("bare") / "venv"
    run(*UV, "venv", "--quiet", "--python", sys.executable, place)
    found = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    wheel = next(built.glob("*.whl")).as_uri()
    run(*UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", found, f"engagekit @ {wheel}")  # fmt: skip
    return found


def test_without_extras_it_is_light_and_says_which_extra_is_missing(bare, tmp_path):
    site = next(bare.parent.parent.glob("lib*/**/site-packages"))
    assert sum(p.stat().st_size for p in site.rglob("*") if p.is_file()) / 1e6 < BARE_LIMIT_MB
    assert not (site / "great_tables").exists()
    answers = json.loads(run(bare, "-m", "engagekit", "diagnose", "--json", cwd=tmp_path))
    assert answers["priority"]["link"] == "habit"
    for words, extra in [(["mcp", "."], "mcp"), (["lab", "."], "lab")]:
        done = subprocess.run([str(bare), "-m", "engagekit", *words], capture_output=True, text=True, check=False, cwd=tmp_path)  # fmt: skip
        assert done.returncode == 2
        assert f"pip install 'engagekit[{extra}]'" in done.stderr


def test_with_the_extra_the_installed_server_answers_a_client(bare, built, tmp_path):
    import asyncio

    from mcp import Client, StdioServerParameters

    wheel = next(built.glob("*.whl")).as_uri()
    run(*UV, "pip", "install", "--quiet", "--python", bare, f"engagekit[mcp] @ {wheel}")
    shutil.copy(ROOT / "data" / "gcc_events.parquet", tmp_path)
    server = StdioServerParameters(command=str(bare), args=["-m", "engagekit", "mcp", "."], cwd=tmp_path)  # fmt: skip

    async def checked() -> str:
        async with Client(server) as client:
            found = await client.call_tool("check", {"events": "gcc_events.parquet"})
        assert not found.is_error
        return found.content[0].text

    assert json.loads(asyncio.run(checked()))["users"] > 100


def test_the_wheel_carries_notebooks_sample_and_types(built):
    names = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    for wanted in (
        "engagekit/py.typed",
        "engagekit/agents/SKILL.md",
        "engagekit/_data/trailhead.toml",
        "engagekit/_data/GCC-NOTICE.txt",
        "engagekit/_notebooks/00-start-here.ipynb",
    ):
        assert wanted in names
    assert not [n for n in names if "tests/" in n or "session.json" in n]
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        inside = {n.split("/", 1)[1] for n in sdist.getnames() if "/" in n}
    assert {
        "pyproject.toml",
        "engagekit/__init__.py",
        "notebooks/00-start-here.ipynb",
        "data/README.md",
        "tests/conftest.py",
    } <= inside


def test_installed_alone_it_diagnoses_the_sample_and_starts_a_workshop(python, tmp_path):
    answers = json.loads(run(python, "-m", "engagekit", "diagnose", "--json", cwd=tmp_path))
    assert answers["priority"]["link"] == "habit"
    run(python, "-m", "engagekit", "start", "ws", "--team", "A", cwd=tmp_path)
    assert (tmp_path / "ws" / "A" / "00-start-here.ipynb").exists()
    assert "Diagnosis" in run(python.parent / "engagekit", "diagnose", cwd=tmp_path)


def test_once_installed_the_first_command_is_quick(python, tmp_path):
    run(python, "-m", "engagekit", "diagnose", cwd=tmp_path)
    taken = []
    for _ in range(3):  # the best of three: a test machine is shared
        start = time.monotonic()
        run(python, "-m", "engagekit", "diagnose", cwd=tmp_path)
        taken.append(time.monotonic() - start)
    assert min(taken) < 5


def test_installed_size_with_the_lab(python):
    site = next(python.parent.parent.glob("lib*/**/site-packages"))
    size = sum(
        p.stat().st_size
        for p in site.rglob("*")
        if p.is_file() and not p.is_symlink() and p.suffix != ".pyc"
    )
    assert size / 1e6 < INSTALLED_LIMIT_MB


def test_importing_adds_little_to_importing_polars(python, tmp_path):
    code = "import time, polars; t = time.perf_counter(); import engagekit; print(time.perf_counter() - t)"
    assert min(float(run(python, "-c", code, cwd=tmp_path)) for _ in range(3)) < 0.1
