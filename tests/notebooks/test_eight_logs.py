"""The course on eight logs, cell by cell in one process: no error, no contradiction, nothing that speaks to a programmer."""

from __future__ import annotations

import re

import pytest
from contradictions import PAIRS, Facts, contradictions, facts_of, in_code
from course_pages import LOGS, REAL, Said, own_pages, walked, workshop

import engagekit as ek


@pytest.fixture(scope="module")
def seen(tmp_path_factory, request):
    """Walk a log once for all tests of it."""
    known: dict[str, tuple[list[Said], Facts]] = {}

    def see(log: str, names: tuple[str, ...] = ()) -> tuple[list[Said], Facts]:
        if (log, names) not in known:
            shared = request.getfixturevalue("shared") if log in REAL else None
            team = workshop(log, tmp_path_factory.mktemp("ws") / "ws", shared)
            session = ek.Session(team)
            facts = facts_of(session, session.journeys())
            page = walked(team, *([list(names)] if names else []))
            known[log, names] = own_pages(page), facts
        return known[log, names]

    return see


@pytest.mark.slow
@pytest.mark.parametrize("log", LOGS)
def test_no_page_contradicts_its_numbers_or_speaks_to_a_programmer(seen, log):
    page, facts = seen(log)
    assert len({said.notebook for said in page}) == 11
    assert contradictions(page, facts) == []
    assert in_code(page) == []


@pytest.mark.thorough
def test_a_log_of_ones_own_with_nothing_but_events(seen):
    page, facts = seen("bare", ("00-start-here", "04-diagnose", "07-plan", "08-weekly-review"))
    assert contradictions(page, facts) == []
    assert in_code(page) == []
    assert (facts.targets, facts.steps, facts.own) == (False, False, True)
    text = "\n".join(said.text for said in page)
    for said in ("No targets are set", "No steps are defined", "Depth and Advocacy cannot be judged: the definition names no events for them"):
        assert said in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("log", "fact", "value"),
    [
        ("sample", "own", False), ("gcc", "targets", False), ("gcc", "widened", True), ("thirty users", "own", True), ("bare", "steps", False),
        ("undecided", "verdict", "undecided"), ("travelse", "steps", False), ("sample", "verdict", "named"),
    ],
)  # fmt: skip
def test_the_logs_differ_in_what_the_pages_have_to_mind(seen, log, fact, value):
    assert getattr(seen(log)[1], fact) == value


@pytest.mark.slow
@pytest.mark.parametrize("log", LOGS)
def test_the_first_page_and_the_plan_give_the_same_verdict(seen, log):
    page, facts = seen(log)
    plain = {s.notebook: plainly("\n".join(o.text for o in page if o.notebook == s.notebook)) for s in page}
    for notebook in ("00-start-here", "07-plan", "09-monthly-review"):
        assert plainly(facts.sentence) in plain[notebook], notebook


def plainly(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\\", "").replace("&amp;", "&"))


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.says[:30] for pair in PAIRS])
def test_each_pair_is_found_where_it_is_planted(pair):
    (found, *_) = contradictions([Said("00-start-here", 1, "code", pair.example)], pair.facts)
    assert found.startswith("00-start-here [1] says")


@pytest.mark.parametrize(
    "text",
    [
        "The verdict: Momentum breaks earliest at habit: 40%; start with the play Repeat Value.", "A tick is the target your team set.",
        "The log is *Trailhead*, a made-up product", "32% came back in week 1 (70 of 220, 95% interval", "1 user is silent",
        "21 users are silent", "1,001 users are silent", "| reason | count |\n|:---|---:|\n| late | 3 |",
    ],
)  # fmt: skip
def test_what_agrees_is_let_be(text):
    assert contradictions([Said("00-start-here", 1, "code", text)], Facts()) == []


@pytest.mark.parametrize(
    "text",
    [
        "say which one to mend, such as link='habit'", "ek.plan(priority, experiment=True)", "read the log with dedupe=True",
        "events.group_by('user_id')", "ParameterError: no", "nobody signed up lately; say signups\\_per\\_week.", "Step(name='Profile')", "Owner: None",
    ],
)  # fmt: skip
def test_what_speaks_to_a_programmer_is_found(text):
    assert in_code([Said("07-plan", 3, "code", text)])

