"""What earlier versions wrote: refused with the command that makes it anew, or read; and who may read the cache."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import crashing
import polars as pl
import pytest

import engagekit as ek
from engagekit.definition import Definition
from engagekit.errors import StoredFileError
from engagekit.ingest import text_cache
from engagekit.workshop.decision_record import record
from engagekit.workshop.session import Session

posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
DATA = Path(__file__).parent.parent / "data"
LOG = crashing.log(20)


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["prepared.json", "preparing.json"])
@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_log_prepared_by_an_older_version_is_refused_with_the_command(tmp_path, name, version):
    folder = ek.prepare_events(LOG, tmp_path / "log", progress=False)
    told = json.loads((folder / "prepared.json").read_text("utf-8")) | {"schema_version": version}
    (folder / "prepared.json").unlink()
    (folder / name).write_text(json.dumps(told), encoding="utf-8")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    acts = [lambda: ek.prepare_events(LOG, folder, progress=False)]
    if name == "prepared.json":
        acts.append(lambda: ek.rollup(folder, crashing.DEFINITION))
    for act in acts:
        with pytest.raises(
            StoredFileError, match=r"older engagekit.*ek\.prepare_events\(.*engagekit prepare"
        ):
            act()
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_definition_of_the_first_version_loads_unchanged(tmp_path):
    for path in sorted(DATA.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        assert "schema_version = 1" in text
        first = Definition.load(path)
        first.save(tmp_path / "now.toml")
        now = (tmp_path / "now.toml").read_text(encoding="utf-8")
        assert "schema_version = 2" in now
        assert Definition.load(tmp_path / "now.toml") == first
        (tmp_path / "again.toml").write_text(text.replace("schema_version = 1\n", ""), "utf-8")
        assert Definition.load(tmp_path / "again.toml") == first


OLD = {
    "schema_version": 1,
    "about": {"team": "A"},
    "votes": {"Ada": "habit"},
    "decisions": {
        "What do we stop?": {"answer": "mails", "on": "2026-03-01"},
        "Who leads?": {"answer": ["Ada", "Bo"]},
        "How?": "slowly",
    },
    "notes": {"a": "b"},
    "plan": {"link": "habit"},
}


def test_decisions_of_an_older_session_are_drafts_dated_as_stored(tmp_path):
    path = tmp_path / "session.json"
    path.write_text(json.dumps(OLD), encoding="utf-8")
    session = Session(tmp_path)
    for _ in range(2):
        assert session.part("decisions") == {
            "What do we stop?": {"answer": "mails", "on": "2026-03-01", "draft": True},
            "Who leads?": {"answer": ["Ada", "Bo"], "draft": True},
            "How?": {"answer": "slowly", "draft": True},
        }
        assert session.part("plan") == {"link": "habit", "draft": True}
        assert session.part("votes") == OLD["votes"]
        told = dict(record(session)["What the team agreed on"])
        assert told["What do we stop?"] == "mails (draft, 2026-03-01)"
        assert told["Who leads?"] == "Ada, Bo (draft)"
        assert record(session)["Decision"][0] == ("State", "draft, not decided yet")
        session.note("c", "d")  # and so the file is of the new format
        assert json.loads(path.read_text("utf-8"))["schema_version"] == 2
    session.decide("How?", "at once")
    assert session.part("decisions")["How?"] == {"answer": "at once"}
    assert dict(record(session)["What the team agreed on"])["How?"] == "at once"
    session.replace("plan", {"link": "depth"})
    assert record(session)["Decision"] == [("Link to mend first", "Depth")]


def test_an_older_session_without_decisions_has_none(tmp_path):
    (tmp_path / "session.json").write_text('{"schema_version": 1}', encoding="utf-8")
    session = Session(tmp_path)
    assert session.part("plan") == session.part("decisions") == {}


def csv(tmp_path) -> Path:
    LOG.write_csv(tmp_path / "log.csv")
    return tmp_path / "log.csv"


def test_older_entries_of_the_cache_are_made_anew_and_cleared_and_newer_left(tmp_path):
    source, cache = csv(tmp_path), tmp_path / "cache"
    ek.scan_events(source).collect()
    (entry,) = cache.iterdir()
    log, state = entry.name.split(".")[0].split("-")
    older = [cache / f"{log}-{state}.parquet", cache / f"{log}-{state}.2.parquet"]
    newer = cache / f"{log}-{state}.{text_cache.VERSION + 1}.parquet"
    mine = [cache / "thesis.parquet", cache / f"{log}-{state}.parquet.bak"]
    wrong = LOG.with_columns(event=pl.lit("as an older version read it"))
    for path in (*older, newer, *mine):
        wrong.write_parquet(path)
    entry.unlink()
    assert set(ek.scan_events(source).collect()["event"]) == set(LOG["event"])
    assert set(cache.iterdir()) == {entry, newer, *mine}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_the_cache_is_readable_by_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        ek.scan_events(csv(tmp_path)).collect()
    finally:
        os.umask(before)
    cache = tmp_path / "cache"
    assert mode(cache) == 0o700
    assert [mode(path) for path in cache.iterdir()] == [0o600]


@posix
def test_so_it_is_in_a_folder_that_was_there_before(tmp_path):
    cache, source, seen = tmp_path / "cache", csv(tmp_path), []
    cache.mkdir(mode=0o755)
    cache.chmod(0o755)
    real = text_cache.put

    def put(made, entry):
        seen.append(mode(made.parent))
        real(made, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_cache, "put", put)
        before = os.umask(0)
        try:
            ek.scan_events(source).collect()
        finally:
            os.umask(before)
    assert seen == [0o700], "and while it is being written nobody looks in either"
    (entry,) = cache.iterdir()
    assert mode(entry) == 0o600
    entry.chmod(0o644)
    ek.scan_events(source).collect()
    assert mode(entry) == 0o600
