"""The cache of text: read once, anew when something changed, whole or not there, and nothing told by its names."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import platformdirs
import polars as pl
import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows

import engagekit as ek
from engagekit.ingest import text_cache

NINE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ROWS = [
    ("ann", "open", NINE, 1),
    ("bob", "save", NINE + timedelta(hours=1), 2),
    ("ann", "save", NINE + timedelta(days=1), 3),
]
FRAME = pl.DataFrame(ROWS, schema=["user_id", "event", "at", "n"], orient="row").cast(
    {"at": pl.Datetime("us", "UTC")}
)
TEXT = FRAME.with_columns(pl.col("at").dt.to_string("%Y-%m-%dT%H:%M:%SZ"))


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))


def scan(source, **options):
    return ek.scan_events(source, **options).collect()


def ids(log):
    return log["user_id"].to_list()


def write(path):
    TEXT.write_csv(path)
    return path


def entries(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_text_is_read_once(tmp_path, monkeypatch):
    path = write(tmp_path / "people-of-acme.csv")
    first = scan(path, keep="n")
    monkeypatch.setattr("engagekit.ingest.text_reader.write_log", None)  # reading again would fail
    assert scan(path, keep="n").rows() == first.rows() == ROWS
    (name,) = entries(tmp_path)
    assert "acme" not in name
    assert "people" not in name


def test_a_changed_file_or_another_way_of_reading_is_read_anew(tmp_path):
    path = write(tmp_path / "a.csv")
    scan(path)
    path.write_text(path.read_text().replace("ann", "eva"))
    os.utime(path, ns=(1, 1))
    assert ids(scan(path)) == ["eva", "bob", "eva"]
    os.utime(path, ns=(2, 2))
    path.write_text(path.read_text().replace("eva", "ida"))  # same length
    assert ids(scan(path)) == ["ida", "bob", "ida"]
    assert len(entries(tmp_path)) == 2  # the newest and the one before
    scan(path, keep="n")
    assert len(entries(tmp_path)) == 3


def test_a_damaged_cache_is_made_anew(tmp_path):
    path = write(tmp_path / "a.csv")
    scan(path)
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(entry.read_bytes()[:100])
    assert scan(path, keep="n").rows() == ROWS
    assert scan(path).rows() == [r[:3] for r in ROWS]


def test_the_cache_can_lie_elsewhere_or_nowhere(tmp_path):
    path = write(tmp_path / "a.csv")
    assert scan(path, cache=tmp_path / "other", keep="n").rows() == ROWS
    assert [p.suffix for p in (tmp_path / "other").iterdir()] == [".parquet"]
    assert scan(path, cache=False, keep="n").rows() == ROWS
    assert not (tmp_path / "cache").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ek.EngagekitError, match="cannot be written to"):
        scan(path, cache=tmp_path / "file")


def test_the_cache_lies_where_the_platform_keeps_caches(monkeypatch, tmp_path):
    for variable in ("ENGAGEKIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    asked = {}

    def user_cache_path(name, **more):
        asked.update(more)
        return tmp_path / name

    monkeypatch.setattr(platformdirs, "user_cache_path", user_cache_path)
    assert text_cache.cache_folder(None) == tmp_path / "engagekit"
    for kind, variable, end in [
        (Unix, "XDG_CACHE_HOME", ("engagekit",)),
        (Windows, "LOCALAPPDATA", ("engagekit", "Cache")),
        (MacOS, "HOME", ("Library", "Caches", "engagekit")),
    ]:
        monkeypatch.setenv(variable, str(tmp_path))
        if kind is Windows:
            monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda _: str(tmp_path))
        assert kind("engagekit", **asked).user_cache_path == tmp_path.joinpath(*end)
        monkeypatch.delenv(variable)


def test_a_failed_reading_leaves_nothing(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("user_id,event,at\nann,open,never\n")
    with pytest.raises(ek.EngagekitError):
        scan(path)
    assert entries(tmp_path) == []


def test_what_a_killed_reading_left_is_swept_after_a_day(tmp_path):
    old, new = tmp_path / "cache" / ".reading-old", tmp_path / "cache" / ".reading-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 100_000,) * 2)
    scan(write(tmp_path / "a.csv"))
    assert not old.exists()
    assert new.exists()


@pytest.mark.slow
def test_a_reading_killed_at_any_moment_leaves_no_half_entry(tmp_path):
    # The child reads a log of some size; it is killed ever later, and what the cache holds is then whole or absent.
    big = pl.concat([TEXT] * 40_000)
    big.write_csv(tmp_path / "big.csv")
    code = "import sys, engagekit as ek; print(ek.scan_events(sys.argv[1]).collect().height)"
    for tenth in range(30):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "big.csv")], stdout=subprocess.PIPE
        )
        try:
            child.wait(0.1 + tenth / 20)
        except subprocess.TimeoutExpired:
            child.kill()
        child.communicate()
        for entry in (tmp_path / "cache").glob("*.parquet"):
            assert pl.read_parquet(entry).height == big.height
            entry.unlink()
    assert scan(tmp_path / "big.csv").height == big.height


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.csv"
    numbered = pl.concat([TEXT] * 2000).with_columns(
        user_id=pl.int_range(6000).hash().cast(pl.String)
    )
    numbered.write_csv(path)
    code = f"""
import resource, signal, engagekit as ek
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    ek.scan_events({str(path)!r})
except ek.EngagekitError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "There is no room" in said.stdout, (resource, said)
    assert str(tmp_path / "cache") in said.stdout
    assert entries(tmp_path) == []
