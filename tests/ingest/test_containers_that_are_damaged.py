"""What a container holds is told from what it only looks like; a damaged one is refused in words."""

from __future__ import annotations

import bz2
import json

import pytest

from engagekit.errors import EventLogError
from engagekit.ingest import containers

VISITS = '{"user": "a", "acts": [{"event": "x"}, {"event": "y"}]}\n\n{"user": "b"}\n'


def test_a_visit_is_spread_over_its_actions(tmp_path):
    (tmp_path / "visits").write_text(VISITS, "utf-8")
    made = containers.spread(tmp_path / "visits", "acts", tmp_path / "out", "visits")
    assert [json.loads(line) for line in made.read_text("utf-8").splitlines()] == [
        {"user": "a", "event": "x"},
        {"user": "a", "event": "y"},
    ]
    (tmp_path / "broken").write_text(VISITS + "{", "utf-8")
    with pytest.raises(EventLogError, match="line 4 of 'broken' is no JSON"):
        containers.spread(tmp_path / "broken", "acts", tmp_path / "out", "broken")


def test_damaged_containers_are_refused(tmp_path):
    path = tmp_path / "log"
    whole = bz2.compress(b"user,event,at\n" * 5000)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EventLogError, match="'log' is damaged, or a part of one"):
        containers.unpacked(path, whole[:6], tmp_path / "out", "log")
    assert not containers.unpacked(path, b"plain,", tmp_path / "out", "log")
    path.write_bytes(b"ARROW1" + b"\0" * 40)
    with pytest.raises(EventLogError, match="'log' is a damaged Arrow file"):
        containers.arrow_to_parquet(path, tmp_path / "out", "log")


def test_one_list_in_an_object_is_found_by_its_key():
    assert containers.around_a_list(b'{"events": [{"a": 1}], "n": 1}') == "events"
    assert containers.around_a_list(b'{"events": [{"a": 1') is None
    assert containers.around_a_list(b"[1, 2]") is None
