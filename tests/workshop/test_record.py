from __future__ import annotations

from datetime import date

import pytest

import engagekit as ek
from engagekit.workshop import TARGETS, card_facts, card_words, compare
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
        "Link to mend first: Habit", "Play: Repeat Value", "Owner: Ada", "Goal of the play: 43%", "Look again on: 2026-03-01",
        "What would change our mind: fewer than 40%",
    ]  # fmt: skip


def test_an_empty_session_has_an_empty_record(tmp_path):
    assert Session(tmp_path).planned() == ["No play is planned yet: notebook 07."]
    markdown, html = (path.read_text(encoding="utf-8") for path in Session(tmp_path).export())
    assert "##" not in markdown
    assert "<h2>" not in html


def test_the_record_tells_those_who_were_not_there(tmp_path):
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    priority = ek.prioritize(journeys)
    session = Session(tmp_path / "Blue")
    made = ek.plan(priority, link="habit", today="2026-01-05")
    session.picture("<svg><title>loop</title></svg>", decided=True)
    facts = card_facts(priority, made, owner="Dana", doubt="fewer than 40%")
    session.settle(facts, on=date(2026, 1, 4), by="Dana, Ben")
    markdown, html = (path.read_text(encoding="utf-8") for path in session.export())
    for row in (
        "# Decision record: Trailhead, Blue",
        "**Decided on 2026-01-04 by Dana, Ben.**",
        "We mend Habit with Repeat Value; Dana answers for it.",
        f"Habit stands at {made.rate:.0%} ({made.n} of {made.of}); the goal is {made.goal:.0%}.",
        "| How sure | over 99% that Habit is the earliest broken link |",
        f"| Look again on | {made.look_again}, 11 weeks after the start |",
        f"| All links together stand on | {priority.basis} |",
        "| Activation | 820 of 2,008 | 41% | 38% to 43% | 35% |",
        "| Advocacy | 136 of 279 | 49% | 43% to 55% | none |",
        "| Habit | of those, who did the core action again on a later day within 14 days of activating |",
        r"| Core action | project\_published |",
        "(loop-decided.svg)",
    ):
        assert row in markdown
    assert "data:image/svg+xml;base64," in html
    assert 'alt="The loop, drawn: Activation 41%; Habit 40%' in html
    assert "The log says otherwise" not in html
    assert "http" not in html.replace("http://www.w3.org", "")
    assert session.planned()[0] == "State: Decided on 2026-01-04 by Dana, Ben"


def test_a_plan_without_a_link_says_what_comes_first_and_who_sees_to_it():
    none = {"verdict": "no targets"}
    told = "We mend no link yet. No targets are set, so the log names no link: agree on targets first, in notebook 01 or 06."
    assert card_words(none) == [told]
    assert card_words(none | {"owner": "Dana"}) == [f"{told} Dana sees to it."]
    assert card_words({"owner": "Dana"}) == [
        "We mend no link yet. The log names none. Dana sees to it."
    ]


def test_votes_stay_covered_in_the_record_and_the_comparison_until_revealed(tmp_path):
    session = Session(tmp_path / "Blue")
    session.vote("Ada", "habit")
    session.vote("Ada", [0.4], ballot=TARGETS)
    for page in (*session.export(), compare(tmp_path)):
        text = page.read_text(encoding="utf-8")
        assert "Ada" not in text
        assert "<td>Habit</td>" not in text
    session.reveal()
    session.reveal(TARGETS)
    session.vote("Fay", "none")
    text = session.export()[0].read_text(encoding="utf-8")
    assert "| Ada | Habit |" in text
    assert "| Fay | None is broken (late, after the reveal) |" in text
    assert "| Ada, on targets | 40% |" in text


def test_many_votes_are_written_choice_by_choice(tmp_path):
    session = Session(tmp_path)
    for number in range(13):
        session.vote(f"p{number:02d}", "habit" if number else "none")
    session.reveal()
    session.vote("Fay", "none")
    text = session.export()[0].read_text(encoding="utf-8")
    assert "| None is broken | Fay (late), p00 |" in text
    assert "Habit: 12, None is broken: 2." in text


def test_a_definition_that_changed_since_is_said_to_have(tmp_path):
    session, then = Session(tmp_path), ek.Definition(activation="a", core="b")
    session.define(then)
    session.propose({"link": "habit", "definition": then.to_table()})
    assert "Changed since" not in session.export()[0].read_text(encoding="utf-8")
    session.define(ek.Definition(activation="a", core="c"))
    text = (tmp_path / "decision-record.md").read_text(encoding="utf-8")
    assert "Changed since in the team's definition: Core action." in text


@pytest.mark.parametrize("plan", [{"loop": [1, {}], "definition": {"core": 3}, "earlier": [2], "remarks": 4, "n": "x"}, {"link": [1], "weeks": True, "look_again": 3, "users_needed": -1, "draft": "yes"}, {"decided_on": {}, "probability": "sure", "loop": {}, "verdict": ["x"]}])  # fmt: skip
def test_a_plan_that_holds_anything_is_written_all_the_same(tmp_path, plan):
    session = Session(tmp_path / "Blue")
    session.replace("plan", plan)
    session.replace("draft", plan)
    for path in (*session.export(), compare(tmp_path)):
        assert "Blue" in path.read_text(encoding="utf-8")
    assert session.planned()


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
