"""What all tests share: a fixed way of printing frames, and where published cases lie."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared"  # source material beside a checkout; absent elsewhere

# The same examples on every run, so that a red run can be repeated; `--hypothesis-profile wide` searches anew,
# `few` only touches everything.
slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=slow)
settings.register_profile("wide", deadline=None, max_examples=2000, suppress_health_check=slow)
settings.register_profile(
    "few", deadline=None, derandomize=True, max_examples=10, suppress_health_check=slow
)
settings.load_profile("house")


@pytest.fixture(autouse=True, scope="session")
def _fixed_print():
    with pl.Config(tbl_width_chars=120, tbl_rows=20, tbl_cols=20):
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the folder 'shared' with published cases and real logs is not here")
    return SHARED


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make an empty folder for a log, whose text is cached apart from it."""
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture(scope="module")
def browser():
    """Start Chromium by itself, for pages that need no JupyterLab."""
    sync_api = pytest.importorskip("playwright.sync_api")
    from lab import CHROMIUM, CHROMIUM_FLAGS

    with sync_api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield opened
        opened.close()
