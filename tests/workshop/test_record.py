from __future__ import annotations

from datetime import date

import pytest

from engagekit.workshop.session import Session


@pytest.fixture
def session(tmp_path) -> Session:
    session = Session(tmp_path / "Growth")
    session.update(
        "plan",
        {
            "verdict": "named", "link": "habit", "probability": 0.994, "play": "Repeat Value", "owner": "Product",
            "partners": ["CS", "Customer Marketing"], "metric": "Return usage", "baseline": 0.31, "target": 0.4,
            "look_again": "2026-09-01", "weeks": 8,
        },
    )  # fmt: skip
    session.vote("Ada", "habit")
    session.vote("Ben", "activation")
    session.decide("Core action", ["publish", "edit"], today=date(2026, 7, 1))
    session.note("curves", "first line\nsecond line")
    return session


def test_the_record_names_what_was_decided(session):
    markdown, html = (path.read_text(encoding="utf-8") for path in session.export())
    for words in (
        "Growth",
        "Habit",
        "over 99%",
        "Repeat Value",
        "Product",
        "CS, Customer Marketing",
        "Return usage",
        "31%",
        "40%",
        "2026-09-01",
    ):
        assert words in markdown
        assert words in html
    for row in (
        "| Ada | Habit |",
        "| Ben | Activation |",
        "| Core action | publish, edit (2026-07-01) |",
        "| curves | first line / second line |",
    ):
        assert row in markdown
    assert "http" not in html


def test_a_review_shows_the_plans_own_lines(session):
    session.replace(
        "plan",
        {"play": "Repeat Value", "link": "habit", "target": 0.43, "owner": "Ada", "look_again": "2026-03-01",
         "change_our_mind": "fewer than 40%", "sentence": "long", "weeks": 9},
    )  # fmt: skip
    assert session.planned() == [
        "Link to mend first: Habit", "Play: Repeat Value", "Owner: Ada", "Target: 43%", "Look again on: 2026-03-01",
        "What would change our mind: fewer than 40%",
    ]  # fmt: skip


def test_an_empty_session_has_an_empty_record(tmp_path):
    assert Session(tmp_path).planned() == ["No play is planned yet: notebook 07."]
    markdown, html = (path.read_text(encoding="utf-8") for path in Session(tmp_path).export())
    assert "##" not in markdown
    assert "<h2>" not in html


def test_what_people_typed_is_inert(tmp_path):
    session = Session(tmp_path)
    evil = "<img src=x onerror=alert(1)> | [a](javascript:b) \x1b[31m `c`"
    session.vote(evil, evil)
    session.note(evil, evil)
    session.decide(evil, evil)
    session.update("plan", {"owner": evil, "baseline": evil, "team": evil})
    markdown, html = (path.read_text(encoding="utf-8") for path in session.export())
    for text in (markdown, html):
        assert "<img" not in text
        assert "\x1b" not in text
    assert "[a](" not in markdown
    assert all(
        line.count("|") - line.count(r"\|") == 3
        for line in markdown.splitlines()
        if line.startswith("|")
    )
