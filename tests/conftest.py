"""What all tests share: a fixed way of printing frames, and where published cases lie."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared"  # source material beside a checkout; absent elsewhere


@pytest.fixture(autouse=True, scope="session")
def _fixed_print():
    with pl.Config(tbl_width_chars=120, tbl_rows=20, tbl_cols=20):
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the folder 'shared' with published cases and real logs is not here")
    return SHARED
