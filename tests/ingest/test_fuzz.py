"""Whatever bytes come in, only our own errors come out; ``python -m tests.fuzz`` searches longer, by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fuzz_targets
import pytest
from fuzz_targets import PARTS, TARGETS, campaign

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["definition", "session"])  # the loader's stand in test_bad_input
def test_what_once_broke_something_does_no_more(name, tmp_path):
    for content in TARGETS[name].starts:
        assert TARGETS[name].attempt(content, tmp_path) in {"read", "refused"}


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["definition", "session"])
def test_changed_inputs_bring_only_our_own_errors(name):
    counts = campaign(name, 20, seed=7, most=400)
    assert min(counts["read"], counts["refused"]) > 10


def test_the_search_notices_what_is_not_ours(monkeypatch, tmp_path):
    monkeypatch.setattr(fuzz_targets.Definition, "load", lambda path: {}["missing"])
    with pytest.raises(KeyError):
        campaign("definition", 5, most=1)
    monkeypatch.setattr(fuzz_targets, "Session", lambda folder: PARTS[9])
    with pytest.raises(IndexError):
        campaign("session", 5, most=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_searching_for_a_while_finds_nothing(name):
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, str(SECONDS)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=10 * SECONDS + 120,
    )  # fmt: skip
    told = done.stdout[-500:] + done.stderr[-4000:]
    assert done.returncode == 0, told
    assert "number_of_executed_units" in told or "inputs:" in told
