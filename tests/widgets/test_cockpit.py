"""One page: what its controls choose is what its charts and words are about."""

from __future__ import annotations

import json
from datetime import date

import polars as pl
import pytest

import engagekit as ek
from engagekit.priority import what_if
from engagekit.views.cockpit_charts import loops, loops_title, reach_said
from engagekit.widgets import cockpit
from engagekit.widgets.cockpit_page import EVERYBODY, NOBODY, OPENED, narrowings


@pytest.fixture(scope="module")
def journeys():
    made = ek.simulate(users=500, seed=5)
    return ek.rollup(made.events, made.definition, users=made.users, as_of=made.as_of)


@pytest.fixture
def few_charts(monkeypatch):
    """Ask of the page's other charts the quickest only; what is tested is how they follow."""
    monkeypatch.setattr("engagekit.widgets.cockpit_page._asked", lambda _: {"diagnosis": {}})


@pytest.fixture
def page(tmp_path, journeys, few_charts):
    return cockpit(ek.Session(tmp_path), journeys)


def names(page):
    return [told["name"] for told in page.opener.desk.charts]


def test_it_begins_with_everybody_and_the_verdict_of_the_course(tmp_path, journeys):
    page = cockpit(ek.Session(tmp_path), journeys)
    assert page.text.startswith(ek.prioritize(journeys).sentence)
    assert names(page) == ["loop", "what if", "diagnosis", "curve", "heatmap", "dumbbell"]
    assert page.journeys.users.height == journeys.users.height
    days = journeys.definition.depth_days + journeys.definition.recent_days
    assert f"Problems are counted over the latest {days} days of sign-ups." in page.text


@pytest.mark.thorough
def test_sign_ups_filter_and_group_narrow_together(page, journeys):
    page.controls["since"].value = date(2025, 9, 1)
    page.controls["filter"].value = "plan: free"
    page.controls["group"].value = "channel: ads"
    signed = pl.col("signed_up_at") >= pl.datetime(2025, 9, 1, time_zone=journeys.definition.timezone).dt.convert_time_zone("UTC")  # fmt: skip
    kept = journeys.users.filter(signed, plan="free", channel="ads")
    assert page.journeys.users["user_id"].sort().to_list() == kept["user_id"].sort().to_list()
    assert page.text.startswith(ek.prioritize(page.journeys).sentence)


def test_targets_are_those_of_the_session(tmp_path, journeys, few_charts):
    session = ek.Session(tmp_path)
    page = cockpit(session, journeys)
    page.targets["habit"].value = 90
    assert session.targets()["habit"] == 0.9
    assert page.text.startswith(ek.prioritize(journeys, targets=session.targets()).sentence)
    assert cockpit(ek.Session(tmp_path), journeys).targets["habit"].value == 90


def test_what_if_says_what_reaches_the_end(page):
    page.what_if["link"].value, page.what_if["rate"].value = "activation", 70
    table = what_if(page.priority, "activation", 0.7)
    assert reach_said(table, "activation", 0.7) in page.text
    page.what_if["rate"].value = 0
    assert "what if" not in names(page)


def test_a_dragged_bar_asks_what_if(page):
    page.opener._heard(None, {"kind": "what if", "chart": 0, "mark": 2, "rate": 0.61}, None)
    assert (page.what_if["link"].value, page.what_if["rate"].value) == ("depth", 61)
    for bad in ({"mark": 9, "rate": 0.5}, {"mark": 1}, {"mark": "x", "rate": 2}):
        page.opener._heard(None, {"kind": "what if"} | bad, None)
    assert (page.what_if["link"].value, page.what_if["rate"].value) == ("depth", 61)


@pytest.mark.thorough
def test_two_loops_stand_beside_each_other(page, journeys):
    page.controls["group"].value, page.controls["beside"].value = "plan: free", "plan: pro"
    assert "loops" in names(page)
    both = {f"plan: {v}": ek.prioritize(journeys.where(users=pl.col("plan") == v), targets=None) for v in ("free", "pro")}  # fmt: skip
    assert loops_title(both) in page.text
    page.controls["beside"].value = NOBODY
    assert "loops" not in names(page)


def test_a_clear_difference_between_loops_is_named_and_chance_is_not(journeys):
    whole = ek.prioritize(journeys)
    assert (
        loops_title({"all": whole, "again": whole}) == "No link differs clearly between the groups"
    )
    better = whole.table.with_columns(
        n=pl.when(link="habit").then((pl.col("of") * 0.95).cast(pl.Int64)).otherwise("n")
    )
    better = better.with_columns(rate=pl.col("n") / pl.col("of"))
    import dataclasses

    said = loops_title({"all": whole, "better": dataclasses.replace(whole, table=better)})
    assert said.startswith("Habit (repeat value) differs most: all")
    assert loops({"all": whole}).to_dict()["title"]["text"] == ["No two groups can be compared yet"]


def test_a_few_users_stay_closed(page):
    page.controls["since"].value, page.controls["until"].value = date(2025, 9, 1), date(2025, 9, 2)
    assert page.text.startswith("Fewer than 10 users")
    assert names(page) == []
    page.controls["until"].value = date(2025, 8, 1)
    assert "must lie later" in page.text
    page.controls["since"].value = page.controls["until"].value = None
    assert names(page)[0] == "loop"


def test_no_group_of_a_few_can_be_chosen(journeys):
    few = journeys.users.with_columns(
        plan=pl.when(pl.int_range(pl.len()) < 9).then(pl.lit("rare")).otherwise("plan")
    )
    import dataclasses

    found = narrowings(dataclasses.replace(journeys, users=few))
    assert "plan: rare" not in found
    assert "plan: free" in found


def test_an_opened_mark_becomes_a_group_of_the_page(page):
    place = names(page).index("diagnosis")
    source = page.opener.sources[place]
    number = next(k for k in range(len(source.rows)) if source.rows[k]["n"] >= 10)
    told = page.opener.receive({"kind": "group", "chart": place, "mark": number})
    assert told["kind"] == "grouped"
    assert OPENED in page.controls["group"].options
    page.controls["group"].value = OPENED
    assert page.journeys.users.height == source.rows[number]["n"]


@pytest.mark.thorough
def test_what_is_chosen_is_kept_and_found_again_groups_of_opened_marks_aside(
    tmp_path, journeys, few_charts
):
    page = cockpit(ek.Session(tmp_path), journeys)
    page.controls["since"].value = date(2025, 8, 1)
    page.controls["group"].value = "plan: pro"
    page.what_if["link"].value = "depth"
    again = cockpit(ek.Session(tmp_path), journeys)
    assert again.controls["since"].value == date(2025, 8, 1)
    assert (again.controls["group"].value, again.what_if["link"].value) == ("plan: pro", "depth")
    assert again.text == page.text
    page.opener.receive({"kind": "group", "chart": 0, "mark": 0})
    page.controls["group"].value = OPENED
    assert cockpit(ek.Session(tmp_path), journeys).controls["group"].value == EVERYBODY


@pytest.mark.thorough
def test_neither_its_state_nor_what_it_leaves_behind_names_a_user(page, journeys, tmp_path):
    place = names(page).index("diagnosis")
    page.opener.receive({"kind": "open", "chart": place, "mark": 0})
    page.opener.receive({"kind": "group", "chart": 0, "mark": 0})
    page.controls["group"].value = OPENED
    state = json.dumps([page.opener.desk.get_state(), page._stays(), page.said.value], default=str)
    files = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.json"))
    for user in journeys.users["user_id"]:
        assert user not in state
        assert user not in files


def test_where_no_kernel_runs_its_words_and_pictures_stay(page):
    left = page._stays()
    assert ek.prioritize(page.journeys).sentence in left["text/plain"]
    assert left["text/html"].count("data-engagekit-chart") == len(names(page))
    assert "The same numbers as a table" in left["text/html"]
