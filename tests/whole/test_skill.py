"""SKILL.md: what it names exists, and who follows it to the letter says what the library says."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import polars as pl
import pytest

import engagekit as ek
from engagekit.cli import app
from engagekit.cli.agent_tools import BY_NAME, Place, reply
from engagekit.journeys import MIN_GROUP
from engagekit.priority.earliest import Verdict

ROOT = Path(__file__).parents[2]
SKILL = ROOT / "engagekit" / "agents" / "SKILL.md"
TEXT = SKILL.read_text(encoding="utf-8")
QUOTED = re.findall(r"`([^`]+)`", TEXT.replace("\n", " "))
VERDICTS = {*get_args(Verdict)}


def test_its_head_says_what_it_is_for():
    head = TEXT.split("---\n")[1]
    fields = dict(line.split(": ", 1) for line in head.strip().split("\n"))
    assert fields["name"] == "engagekit"
    assert 50 < len(fields["description"]) < 1024


def test_every_command_it_names_is_there():
    commands = [text.split() for text in QUOTED if text.startswith("engagekit ")]
    assert {"mcp", "check", "draft", "diagnose", "experiment"} == {words[1] for words in commands}
    for _, command, *rest in commands:
        flags = {
            name for each in app[command].assemble_argument_collection() for name in each.names
        }
        assert {word for word in rest if word.startswith("--")} <= flags


def test_every_name_it_names_is_there():
    names = [text.removeprefix("ek.") for text in QUOTED if text.startswith("ek.")]
    assert len(names) >= 8
    assert [name for name in names if not hasattr(ek, name)] == []


def test_every_tool_and_argument_it_names_is_there():
    road = TEXT.split("## The road")[1].split("\n## ")[0]
    steps = re.findall(r"^\d\. (.*?)(?=^\d\. |\Z)", road, flags=re.MULTILINE | re.DOTALL)
    first = [re.findall(r"`(\w+)`", step)[0] for step in steps]
    assert first == ["check", "draft", "diagnose", "plan", "diagnose"]
    assert all(f"`{tool}`" in TEXT for tool in BY_NAME)
    assert {"by", "since", "details"} <= set(BY_NAME["diagnose"].takes)


def test_its_verdicts_are_the_librarys():
    rows = re.findall(r"^\| `([^`]+)` \| (?!say)", TEXT, flags=re.MULTILINE)
    assert set(rows) - {"priority.verdict"} == VERDICTS
    assert f"fewer than {MIN_GROUP} users" in TEXT
    source = (ROOT / "engagekit" / "review" / "experiments.py").read_text(encoding="utf-8")
    for verdict in ("better", "worse", "cannot tell yet"):
        assert f"`{verdict}`" in TEXT
        assert f'"{verdict}"' in source


START = datetime(2026, 1, 1)


def small(folder: Path) -> None:
    """Write a log of 30 users with a definition that a person has confirmed."""
    rows = [
        (user, event, START + timedelta(days=user + day))
        for user in range(30)
        for event, day in [("join", 0), ("make", 1), ("make", 9)][: 1 + user % 3]
    ]
    pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row").write_csv(
        folder / "small.csv"
    )
    text = 'guessed = false\nname = "Small"\nsignup = "join"\nactivation = "make"\ncore = "make"\n[targets]\nactivation = 0.8\nhabit = 0.5\n'
    (folder / "small.toml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("product")
    for name in (
        "trailhead_events.parquet",
        "trailhead.toml",
        "trailhead_users.parquet",
        "gcc_events.parquet",
        "gcc.toml",
    ):
        shutil.copy(ROOT / "data" / name, folder)
    small(folder)
    return Place(folder, tmp_path_factory.mktemp("cache"))


def read(answers: dict, field: str) -> object:
    for part in field.split("."):
        answers = answers[part]
    return answers


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("events", "definition", "users", "as_of"),
    [
        ("trailhead_events.parquet", "trailhead.toml", "trailhead_users.parquet", "2026-01-01"),
        ("gcc_events.parquet", "gcc.toml", None, "2022-08-18"),
        ("small.csv", "small.toml", None, None),
    ],
)
def test_followed_to_the_letter_it_says_what_the_library_says(
    place, events, definition, users, as_of
):
    log = {"events": events, "definition": definition, "users": users, "as_of": as_of}
    checked = reply(place, "check", {"events": events})
    assert not checked.refused
    answers = json.loads(checked.text)
    for field in ("rows", "users", "first", "last", "data_notes", "columns"):
        assert field in answers
        assert f"`{field}`" in TEXT
    answers = json.loads(reply(place, "diagnose", log).text)
    answers |= json.loads(reply(place, "plan", log).text)
    told = ek.Definition.load(place.folder / definition)
    people = None if users is None else ek.read_users(place.folder / users)
    frame = ek.scan_events(place.folder / events, definition=told, cache=False)
    journeys = ek.rollup(frame, told, users=people, as_of=as_of)
    priority = ek.prioritize(journeys)
    fields = {text for text in QUOTED if re.fullmatch(r"(priority|plan)\.\w+", text)}
    assert fields == {"priority.verdict", "priority.sentence", "priority.probability", "priority.link", "priority.remarks", "plan.sentence"}  # fmt: skip
    assert answers["priority"]["verdict"] in VERDICTS
    for field in ("verdict", "sentence", "probability", "link"):
        told, known = read(answers, f"priority.{field}"), getattr(priority, field)
        assert told == (pytest.approx(known, rel=1e-3) if isinstance(known, float) else known)
    assert answers["plan"]["sentence"] == ek.plan(priority).sentence
    assert [each["text"] for each in answers["priority"]["remarks"]] == list(priority.warnings)
    assert {"suggested_targets", "first_weeks"} <= set(answers)
    assert {"n", "of", "low", "high"} <= set(answers["priority"]["table"][0])
