"""No answer, chart, table, screen, report, control or notebook fails on a null that its function can return.

Every public answer is walked over logs at the edges (`edge_logs`): necessary and ending actions, one user, nobody
judged, nobody and everybody, one day, one instant, nothing defined but the least.
"""

from __future__ import annotations

import json
import re

import edge_logs
import polars as pl
import pytest
import walking

import engagekit as ek
from engagekit import charts, tables, widgets
from engagekit.cli import main
from engagekit.errors import ParameterError, TooFewUsersError
from engagekit.first_weeks.sentences import alone_said, like_for_like
from engagekit.reporting import terminal

# Looked at on every run; the rest is walked by the slow tests.
OFTEN = ("separating actions", "one user", "nobody passes")
SELDOM = tuple(name for name in edge_logs.LOGS if name not in OFTEN)
each_log = pytest.mark.parametrize("name", [*OFTEN, *[pytest.param(n, marks=pytest.mark.slow) for n in SELDOM]])  # fmt: skip
# A refusal says what is missing; these answers may give one, all others always answer.
MAY_REFUSE = {
    "project_curve": (TooFewUsersError, ParameterError), "compare_survival": ParameterError, "find_threshold": TooFewUsersError,
    "track": ParameterError, "experiment": ParameterError, "explain_change": (TooFewUsersError, ParameterError),
}  # fmt: skip


def test_every_public_answer_is_walked():
    walked = {name.split()[0] for name in [*walking.OF_JOURNEYS, *walking.OF_EVENTS]}
    assert {name for name in ek._HOMES if name not in walking.NO_ANSWERS} <= walked
    drawn = {*walking.SHOWN.values(), "loop_by_quarter", "segments"}
    assert (
        drawn
        == set(charts.__all__) - {"svg", "use_offline_charts"}
        == set(tables.__all__) - {"Table"}
    )


def _asked(question, ask):
    """Ask; take a refusal only where one may be given, and in words."""
    refusal = MAY_REFUSE.get(question.split()[0], ())
    try:
        return ask()
    except refusal as error:
        said = str(error)
    assert not walking.foreign([said]), question
    return None


@pytest.mark.thorough
@each_log
def test_every_answer_and_what_shows_it(name):
    log, journeys = edge_logs.made(name)
    asked = {n: lambda ask=ask: ask(journeys, log) for n, ask in walking.OF_JOURNEYS.items()}
    asked |= {n: lambda ask=ask: ask(log) for n, ask in walking.OF_EVENTS.items()}
    for question, ask in asked.items():
        answer = _asked(question, ask)
        if answer is not None:
            assert not walking.foreign(walking.shown(question, answer)), question


@pytest.mark.thorough
@pytest.mark.parametrize("name", edge_logs.LOGS)
def test_the_command_line_says_something_of_each(name, tmp_path, capsys):
    log, _ = edge_logs.made(name)
    log.events.write_parquet(tmp_path / "events.parquet")
    log.definition.save(tmp_path / "d.toml")
    read = [tmp_path / "events.parquet", "-d", tmp_path / "d.toml"]
    read += ["--as-of", log.as_of] if log.as_of else []
    with_users = []
    if log.users is not None:
        log.users.write_csv(tmp_path / "users.csv")
        with_users = ["--users", tmp_path / "users.csv", "--by", "plan"]
    for command in (["diagnose", *read], ["diagnose", *read, *with_users], ["check", *read]):
        assert main([*map(str, command)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert not walking.foreign([out])
        assert command[0] == "check" or "\nThe play\n" in out or "\nWhat to do now\n" in out
    assert main([*map(str, ["diagnose", *read, *with_users, "--json"])]) == 0
    json.loads(capsys.readouterr().out, parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))


@pytest.mark.thorough
@each_log
def test_a_report_of_each_is_written(name, tmp_path):
    _, journeys = edge_logs.made(name)
    by = journeys.properties[0] if journeys.properties else None
    page = ek.report(journeys, tmp_path / "r.html", by=by, min_group=1)
    assert "</html>" in page.read_text(encoding="utf-8")


NECESSARY = {
    "action": "create", "at_least": 1, "share_retained": 1.0, "share_churned": 0.3, "retention_did": 0.4, "retention_not": 0.0,
    "adjusted_risk_ratio": None, "adjusted_low": None, "adjusted_high": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "–"),
        ({"adjusted_low": 3.1}, "only they stayed: at least 3.10×"),
        ({"adjusted_risk_ratio": 0.0}, "none of them stayed"),
        ({"adjusted_risk_ratio": 0.0, "adjusted_high": 0.3}, "none of them stayed: at most 0.30×"),
        ({"adjusted_risk_ratio": 2.0, "adjusted_low": 1.5, "adjusted_high": 2.5}, "2.00× (1.50 – 2.50)"),
        ({"adjusted_risk_ratio": 2.0, "adjusted_low": 1.5}, "2.00× (at least 1.50)"),
        ({"adjusted_risk_ratio": 2.0, "adjusted_high": 2.5}, "2.00× (at most 2.50)"),
        ({"adjusted_risk_ratio": 2.0}, "2.00×"),
    ],
)  # fmt: skip
def test_what_is_known_of_a_ratio_is_said_in_words(changed, said):
    row = NECESSARY | changed
    assert like_for_like(row) == said
    assert said.startswith(alone_said(row) or said)
    screen = terminal.differences(pl.DataFrame([row]))
    assert screen.splitlines()[2].endswith(said)


def test_the_screen_says_that_only_those_who_did_it_stayed(tmp_path, capsys):
    log, _ = edge_logs.made("necessary action")
    log.events.write_parquet(tmp_path / "events.parquet")
    log.definition.save(tmp_path / "d.toml")
    read = ["diagnose", tmp_path / "events.parquet", "-d", tmp_path / "d.toml"]
    assert main([*map(str, read)]) == 0
    line = next(r for r in capsys.readouterr().out.splitlines() if r.startswith("  create "))
    assert re.fullmatch(r" +create +100% +\d+% +only they stayed: at least \d+\.\d\d×", line)


def nulled(frame):
    """Yield the frame with a number missing: another one in each row, all but one row's, and all of them."""
    floats = [column for column, kind in frame.schema.items() if kind.is_float()]
    row = pl.int_range(pl.len())
    each = [pl.when(row != n).then(column).alias(column) for n, column in enumerate(floats)]
    yield "each", pl.concat([frame] * len(floats)).head(max(len(floats), 12)).with_columns(each)
    yield "all but one", frame.with_columns(pl.when(row == 1).then(c).alias(c) for c in floats)
    yield "all", frame.with_columns(pl.lit(None, frame.schema[c]).alias(c) for c in floats)


NO_FRACTIONS = {"timeline"}  # counts and days only
ANSWERED = [
    n
    for n in walking.OF_JOURNEYS
    if n in walking.SHOWN and n not in {"prioritize", "experiment", "track"} | NO_FRACTIONS
]
ANSWERED += [n for n in walking.OF_EVENTS if n in walking.SHOWN]


@pytest.mark.thorough
@pytest.mark.parametrize("question", ANSWERED)
def test_any_number_may_be_missing_from_an_answer_that_is_shown(question):
    log, journeys = edge_logs.made("ordinary")
    ask = walking.OF_JOURNEYS.get(question)
    answer = ask(journeys, log) if ask else walking.OF_EVENTS[question](log)
    for missing, changed in nulled(answer.head(12)):
        assert not walking.foreign(walking.shown(question, changed)), missing


@pytest.mark.slow
@pytest.mark.parametrize("name", edge_logs.LOGS)
def test_the_course_runs_on_each(name, tmp_path, monkeypatch, capsys):
    import altair as alt

    from engagekit.workshop import start

    log, _ = edge_logs.made(name)
    (team,) = start(
        tmp_path / "ws", events=log.events, users=log.users, definition=log.definition, as_of=log.as_of
    )  # fmt: skip
    monkeypatch.chdir(team)
    before = alt.renderers.active
    try:
        for notebook in sorted(team.glob("*.ipynb")):
            names: dict = {}
            for source in walking.cells(notebook):
                walking.displayed(walking.run_cell(source, names))
    finally:
        alt.renderers.enable(before)
    assert sorted(p.name for p in team.glob("decision-record.*"))


PANELS = {
    "agreement": lambda s, j: widgets.agreement(s, "What?"),
    "changed_since": widgets.changed_since,
    "cohort_explorer": widgets.cohort_explorer,
    "data_end": widgets.data_end,
    "definition_picker": lambda s, j: widgets.definition_picker(s),
    "note": lambda s, j: widgets.note(s, "Later"),
    "other_activations": lambda s, j: widgets.other_activations(s),
    "play_card": lambda s, j: widgets.play_card(s, ek.prioritize(j), today=j.as_of.date()),
    "play_tracker": widgets.play_tracker,
    "own_log": lambda s, j: widgets.own_log(s),
    "rule_thresholds": widgets.rule_thresholds,
    "standing": widgets.standing,
    "target_sliders": widgets.target_sliders,
    "target_suggestions": widgets.target_suggestions,
    "target_vote": widgets.target_vote,
    "threshold_explorer": widgets.threshold_explorer,
    "verdict_by_group": lambda s, j: widgets.verdict_by_group(s, j, widgets.target_sliders(s, j)),
    "verdict_by_quarter": lambda s, j: widgets.verdict_by_quarter(s, widgets.target_sliders(s, j)),
    "vote": lambda s, j: widgets.vote(s),
}


def test_every_control_is_walked():
    others = {"cockpit", "linked_chart", "steps", "coming_and_going"}
    assert {*PANELS, *others} == {*widgets.__all__}


@pytest.mark.slow
@pytest.mark.parametrize("name", edge_logs.LOGS)
def test_the_cockpit_and_every_chart_whose_marks_open_are_made(name, tmp_path):
    from engagekit.playbook import Handout
    from engagekit.widgets.behind import OF_EVENTS, OPENINGS
    from engagekit.workshop import start

    log, journeys = edge_logs.made(name)
    (team,) = start(
        tmp_path / "ws", events=log.events, users=log.users, definition=log.definition, as_of=log.as_of
    )  # fmt: skip
    session = ek.Session(team)
    assert widgets.cockpit(session, journeys)._repr_mimebundle_()
    for made in (widgets.steps(session, journeys), widgets.coming_and_going(session, journeys)):
        assert not walking.foreign([str(made)]) if isinstance(made, Handout) else made.source.rows
    for chart in OPENINGS:
        given = {"events": log.events} if chart in OF_EVENTS else {}
        given |= (
            {"steps": log.events["event"].unique().sort().to_list()[:2]}
            if chart == "funnel"
            else {}
        )
        made = widgets.linked_chart(session, journeys, chart, **given)
        assert made.source.chart._repr_mimebundle_()
        told = [
            made.opener.receive({"kind": "open", "mark": mark})
            for mark in range(min(len(made.value), 12))
        ]
        known = [row["n"] is not None for row in made.value[:12]]
        assert [answer["kind"] == "drawer" for answer in told] == known
        assert not walking.foreign([str(answer["text"]) for answer in told])


@pytest.mark.slow
@pytest.mark.parametrize("name", edge_logs.LOGS)
def test_every_setting_of_every_control_answers(name, tmp_path):
    from engagekit.workshop import start

    log, journeys = edge_logs.made(name)
    (team,) = start(
        tmp_path / "ws", events=log.events, users=log.users, definition=log.definition, as_of=log.as_of
    )  # fmt: skip
    for control, make in PANELS.items():
        panel = make(ek.Session(team), journeys)
        assert not walking.foreign([panel.text]), control
        for key, value in walking.moves(panel):
            panel.controls[key].value = value
            assert not walking.foreign([panel.text]), (control, key, value)
