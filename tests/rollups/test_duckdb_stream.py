"""A relation of DuckDB as batches: whole, in order, with pyarrow and without; too large a log is left where it lies."""

from __future__ import annotations

import sys

import polars as pl
import pytest

from engagekit.errors import EngagekitError
from engagekit.rollups import duckdb_stream

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")


@pytest.fixture
def relation():
    connection = (
        duckdb.connect()
    )  # held: an older DuckDB closes one that nobody holds, also below its relations
    yield connection.sql("select range as n from range(1000)")
    connection.close()


@pytest.mark.parametrize("reader", ["pyarrow", "none"])
def test_batches_together_are_the_relation(relation, reader, monkeypatch):
    monkeypatch.setattr(duckdb_stream, "BATCH", 100)
    if reader == "none":
        if duckdb.__version__ < "2":
            pytest.skip("this DuckDB needs pyarrow")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    batches = list(duckdb_stream._batches(relation))
    assert pl.concat(batches)["n"].to_list() == list(range(1000))


def test_a_log_too_large_is_left_where_it_lies(relation, monkeypatch):
    assert duckdb_stream.streamed(relation).collect().height == 1000
    monkeypatch.setattr(duckdb_stream, "MOST", 999)
    assert duckdb_stream.streamed(relation) is None


def test_an_older_duckdb_without_pyarrow_says_what_to_install(relation, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(duckdb, "__version__", "1.4.1")
    with pytest.raises(EngagekitError, match=r"'pyarrow'; install it, or engagekit\[duckdb\]"):
        duckdb_stream.streamed(relation)
