"""Every mark opens on the users it counts, and nobody is told who should not be."""

from __future__ import annotations

import json

import edge_logs
import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.journeys import MIN_GROUP
from engagekit.widgets.behind import OF_EVENTS, OPENINGS, behind
from engagekit.widgets.drawer import (
    _at_place,
    answered,
    as_file,
    compared,
    drawer,
    members,
    narrowed,
)
from engagekit.widgets.linked import linked_chart


@pytest.fixture(scope="module")
def made():
    return ek.simulate(users=400, seed=3)


@pytest.fixture(scope="module")
def journeys(made):
    return ek.rollup(made.events, made.definition, users=made.users, as_of=made.as_of)


OPTIONS = {
    "heatmap": {"period": "month"},
    "curve": {"period": "month"},
    "lifecycle": {"period": "month"},
    "stickiness": {"period": "week", "cumulative": True},
    "funnel": {"steps": ["signed_up", "connect_done", "first_project"]},
}


def source_of(name, made, journeys, **more):
    options = OPTIONS.get(name, {}) | more
    if name in OF_EVENTS:
        return behind(name, journeys, events=made.events, as_of=made.as_of, **options)
    return behind(name, journeys, **options)


def marks_of(source):
    spec = source.chart.to_dict()
    return sorted({r["mark"] for rows in spec["datasets"].values() for r in rows if "mark" in r})


@pytest.mark.thorough
@pytest.mark.parametrize("name", OPENINGS)
def test_as_many_users_are_behind_each_mark_as_the_chart_says(made, journeys, name):
    source = source_of(name, made, journeys)
    marks = marks_of(source)
    assert marks
    for number in marks:
        row = source.mark(number)
        assert members(source, number).len() == row["n"]
        if source.everyone is not None and row["of"] is not None:
            rest = members(source, number, rest=True)
            assert rest.len() == row["of"] - row["n"]
            assert not set(rest) & set(members(source, number))


def test_a_span_of_sign_ups_holds_both_of_its_ends():
    _, journeys = edge_logs.made("ending action")
    source = behind("loop", journeys)
    row = source.mark(0)
    ends = journeys.users.filter(pl.col("signed_up_at").is_in([row["since"], row["until"]]))
    assert ends.height == 2
    assert members(source, 0).len() + members(source, 0, rest=True).len() == row["of"]


@pytest.mark.parametrize(("name", "by"), [("diagnosis", "plan"), ("heatmap", "plan"), ("curve", ["plan"])])  # fmt: skip
def test_groups_are_opened_apart(made, journeys, name, by):
    plans = dict(journeys.users.select("user_id", "plan").rows())
    source = source_of(name, made, journeys, by=by)
    for number in marks_of(source):
        users = members(source, number)
        assert users.len() == source.mark(number)["n"]
        assert {plans[user] for user in users} <= {source.mark(number)["plan"]}


def test_a_mark_means_the_same_rule_as_the_answer(journeys):
    labels = dict(ek.label_users(journeys).select("user_id", "label").rows())
    source = behind("diagnosis", journeys)
    for number in marks_of(source):
        assert {labels[user] for user in members(source, number)} <= {source.mark(number)["label"]}


@pytest.mark.parametrize("number", [-1, 10_000, "1", None, 1.5, [1]])
def test_no_other_mark_opens(journeys, number):
    with pytest.raises(ParameterError, match="no mark"):
        drawer(behind("loop", journeys), number)


def test_only_charts_of_users_open(journeys):
    with pytest.raises(ParameterError, match="cannot be opened"):
        behind("replay", journeys)
    with pytest.raises(ParameterError, match="give events="):
        behind("lifecycle", journeys)


def test_an_answer_that_does_not_fit_the_journeys_shows_nobody(journeys):
    others = ek.prioritize(journeys.where(users=pl.col("plan") == "free"))
    source = behind("loop", journeys, answer=others)
    with pytest.raises(ParameterError, match="nobody is shown"):
        drawer(source, 0)


# The drawer ---------------------------------------------------------------------------------------


def ids_in(told, journeys):
    text = json.dumps(told, default=str)
    return [
        user
        for user in journeys.users["user_id"]
        if f'"{user}"' in text or f"{user}," in text or user in text
    ]


@pytest.mark.parametrize("rest", [False, True])
def test_a_drawer_says_how_many_and_names_nobody(journeys, rest):
    source = behind("diagnosis", journeys)
    number = next(k for k in marks_of(source) if source.mark(k)["n"] >= MIN_GROUP)
    row, told = source.mark(number), drawer(source, number, rest=rest)
    assert told["count"] == (row["of"] - row["n"] if rest else row["n"])
    assert told["closed"] == ""
    assert [line["name"] for line in told["timelines"]] == [
        "a quiet one",
        "a usual one",
        "a busy one",
    ]
    assert "ids" not in told
    assert ids_in(told, journeys) == []


def test_the_timelines_are_of_the_group_and_say_its_rule(journeys):
    source = behind("diagnosis", journeys)
    number = next(k for k in marks_of(source) if source.mark(k)["n"] >= MIN_GROUP)
    for line in drawer(source, number)["timelines"]:
        assert line["spec"]["title"]["text"][0].startswith(source.mark(number)["if_users"])


def test_ids_stand_in_a_drawer_only_where_the_session_shows_them(journeys):
    source = behind("loop", journeys)
    told = drawer(source, 0, show_ids=True)
    assert told["ids"] == [str(user) for user in members(source, 0)][:200]
    assert len(told["ids"]) + told["more"] == told["count"]


@pytest.mark.parametrize("least", [1, 10_000])
def test_groups_of_a_few_stay_closed(journeys, least):
    source = behind("loop", journeys)
    told = drawer(source, 0, show_ids=True, least=least)
    assert bool(told["closed"]) == (least > 1)
    assert told["count"] == source.mark(0)["n"]
    assert ("timelines" in told, "properties" in told, "ids" in told) == (least == 1,) * 3
    if least > 1:
        with pytest.raises(ParameterError, match="stay closed"):
            narrowed(source, 0, least=least)


def test_a_group_is_the_next_questions_users(journeys):
    source = behind("loop", journeys)
    some = narrowed(source, 0, rest=True)
    assert some.users["user_id"].sort().to_list() == members(source, 0, rest=True).to_list()
    assert ek.prioritize(some).table.height == 4


def test_a_property_is_compared_with_the_rest():
    mine = pl.DataFrame({"plan": ["free"] * 30 + ["pro"] * 10})
    others = pl.DataFrame({"plan": ["free"] * 20 + ["pro"] * 60})
    assert compared("plan", mine, others, 10) == {
        "name": "plan",
        "rows": [["free", "75%", "25%"], ["pro", "25%", "75%"]],
    }


def test_a_few_users_of_a_value_are_not_told_nor_to_be_had_from_the_rest():
    mine = pl.DataFrame({"plan": ["free"] * 30 + ["pro"] * 3 + ["team"] * 20})
    others = pl.DataFrame({"plan": ["free"] * 40 + ["pro"] * 40 + ["team"] * 40})
    rows = compared("plan", mine, others, 10)["rows"]
    hidden = [row[0] for row in rows if "–" in row[1:]]
    assert "pro" in hidden
    assert len(hidden) > 1


def test_a_property_of_many_values_or_one_is_left_out():
    many = pl.DataFrame({"id": [str(k) for k in range(40)]})
    assert compared("id", many, many, 1) is None
    one = pl.DataFrame({"plan": ["free"] * 40})
    assert compared("plan", one, one, 1) is None


# CSV and messages ---------------------------------------------------------------------------------


def test_a_csv_needs_a_session_that_shows_ids_and_nothing_in_it_runs(made, journeys):
    bad = journeys.users.with_columns(plan=pl.lit("=HYPERLINK(1)"))
    import dataclasses

    source = behind("loop", dataclasses.replace(journeys, users=bad))
    with pytest.raises(ParameterError, match="show_ids=True"):
        as_file(source, 0)
    lines = as_file(source, 0, show_ids=True).splitlines()
    assert lines[0].startswith("user_id,label,step,signed_up_at,plan")
    assert len(lines) == source.mark(0)["n"] + 1
    assert "'=HYPERLINK(1)" in lines[1]
    assert ",=HYPERLINK" not in "\n".join(lines)


@pytest.mark.parametrize("content", [{}, {"kind": "open"}, {"kind": "open", "mark": 99}, {"kind": "csv", "mark": 0}, {"kind": "open", "mark": "x"}])  # fmt: skip
def test_what_cannot_be_done_comes_back_in_words(journeys, content):
    told = answered(behind("loop", journeys), content, show_ids=False)
    assert told["kind"] == "refused"
    assert told["text"]


# The widget ---------------------------------------------------------------------------------------


def test_no_user_is_part_of_a_widgets_state_or_of_what_is_stored(journeys, tmp_path):
    chart = linked_chart(ek.Session(tmp_path), journeys, "loop")
    sent = []
    chart.opener.desk.send = sent.append
    assert chart.opener.receive({"kind": "open", "mark": 1})["kind"] == "drawer"
    assert chart.opener.receive({"kind": "group", "mark": 1})["kind"] == "grouped"
    state = json.dumps(chart.opener.desk.get_state(), default=str)
    bundle = json.dumps(chart.source.chart._repr_mimebundle_())
    for user in journeys.users["user_id"]:
        assert user not in state
        assert user not in bundle
    assert list(tmp_path.rglob("session.json")) == [], "nothing is stored"


def test_a_group_is_handed_to_who_asks_for_it(journeys, tmp_path):
    chart, heard = linked_chart(ek.Session(tmp_path), journeys, "loop"), []
    chart.opener.on_group(lambda: heard.append(chart.group.users.height))
    assert chart.opener.receive({"kind": "group", "mark": 0})["text"].startswith("A group of")
    assert heard == [chart.source.mark(0)["n"]]


def test_a_session_shows_ids_only_when_told_to(tmp_path, journeys):
    assert ek.Session(tmp_path).show_ids is False
    shy, open_one = (
        linked_chart(ek.Session(tmp_path, show_ids=s), journeys, "loop") for s in (False, True)
    )
    assert "ids" not in shy.opener.receive({"kind": "open", "mark": 0})
    assert open_one.opener.receive({"kind": "open", "mark": 0})["ids"]
    assert shy.opener.receive({"kind": "csv", "mark": 0})["kind"] == "refused"
    assert open_one.opener.receive({"kind": "csv", "mark": 0})["text"].startswith("user_id")


def test_each_mark_has_words_for_who_cannot_see(journeys, tmp_path):
    chart = linked_chart(ek.Session(tmp_path), journeys, "loop")
    row = chart.source.mark(1)
    assert (
        chart.opener.desk.charts[0]["marks"]["1"]
        == f"Passed habit: {row['n']} of {row['of']} users ({row['rate']:.0%})"
    )


def test_another_chart_takes_its_place(journeys, tmp_path):
    chart = linked_chart(ek.Session(tmp_path), journeys, "loop")
    before = chart.opener.desk.charts[0]["id"]
    chart.show(behind("loop", journeys.where(users=pl.col("plan") == "free")))
    assert chart.opener.desk.charts[0]["id"] != before
    assert chart.opener.receive({"kind": "open", "mark": 0})["count"] == chart.source.mark(0)["n"]


def test_the_counts_come_before_anybody_is_looked_up(journeys, tmp_path, monkeypatch):
    chart, sent = linked_chart(ek.Session(tmp_path), journeys, "loop"), []
    monkeypatch.setattr(chart.opener.desk, "send", sent.append)
    chart.opener._heard(None, {"kind": "open", "mark": 2}, None)
    assert [told["kind"] for told in sent] == ["counts", "drawer"]
    assert sent[0]["count"] == sent[1]["count"] == chart.source.mark(2)["n"]
    chart.opener._heard(None, {"kind": "open", "mark": 77}, None)
    assert [told["kind"] for told in sent[2:]] == ["refused"]


def test_a_user_at_a_place_is_the_one_found_by_sorting(journeys):
    users = journeys.users.select("user_id", "active_days").sample(fraction=1, shuffle=True, seed=5)
    users = users.with_columns(pl.when(pl.int_range(pl.len()) % 9 > 0).then("active_days"))
    ranked = users.sort("active_days", "user_id")["user_id"].to_list()
    assert [_at_place(users, place) for place in range(users.height)] == ranked


def test_periods_are_those_of_the_products_own_clock():
    # An evening in New York is the next day, and here the next month, in London.
    log = pl.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(12)] * 2,
            "event": ["join"] * 12 + ["make"] * 12,
            "at": ["2026-01-10T12:00:00Z"] * 12 + ["2026-02-01T02:00:00Z"] * 12,
        }
    ).with_columns(pl.col("at").str.to_datetime(time_zone="UTC"))
    definition = ek.Definition(signup="join", activation="make", core="make", timezone="America/New_York", burn_in_days=0)  # fmt: skip
    journeys = ek.rollup(log, definition, as_of="2026-02-01")
    source = behind("lifecycle", journeys, events=log, period="month", as_of=journeys.as_of)
    assert {str(row["period_start"])[:7] for row in source.rows} == {"2026-01"}
