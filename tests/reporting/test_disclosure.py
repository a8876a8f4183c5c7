"""Small groups cannot be had by subtraction: from the screen, JSON and the report, by groups, cells, quarters, cohorts."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engagekit as ek
from engagekit.cli import main
from engagekit.definition import LINKS
from engagekit.reporting import disclosure
from engagekit.workshop.session import Session

LEAST = 10
START = datetime(2026, 1, 1, 9)
D = ek.Definition(
    name="Own", signup="join", activation="make", core="make", advanced=["share"], steps=[ek.Step("Begin", reached="begin", completed="make")],
    habit_days=7, depth_days=35, usage_interval_days=3, targets={"activation": 0.5, "habit": 0.5, "depth": 0.5},
    recent_days=3650,
)  # fmt: skip
# Of each plan: how many signed up, activated, came back, went deep. `few` is large enough itself, but not its cells.
PLANS = {
    "basic": (200, 120, 80, 50),
    "pro": (90, 60, 30, 12),
    "team": (60, 40, 20, 11),
    "few": (30, 3, 1, 0),
    "secret": (3, 2, 0, 0),
}


def logged(plans, start=START):
    rows, users = [], []
    for plan, (joined, active, back, deep) in plans.items():
        for k in range(joined):
            user, at = f"{plan} {k}", start + timedelta(days=(7 * k) % 150, minutes=k)
            users.append((user, plan))
            rows.append((user, "join", at))
            if k % 3:
                rows.append((user, "begin", at + timedelta(hours=1)))
            if k < active:
                rows.append((user, "make", at + timedelta(hours=2)))
            if k < back:
                rows.append((user, "make", at + timedelta(days=3)))
            if k < deep:
                rows += [(user, "share", at + timedelta(days=d)) for d in (3, 6)]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    return log, pl.DataFrame(users, schema=["user_id", "plan"], orient="row")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    log, users = logged(PLANS)
    log.write_parquet(folder / "log.parquet")
    users.write_csv(folder / "users.csv")
    D.save(folder / "definition.toml")
    return folder


@pytest.fixture(scope="module")
def journeys(place):
    log, users = pl.read_parquet(place / "log.parquet"), pl.read_csv(place / "users.csv")
    return ek.rollup(log, D, users=users)


@pytest.fixture(scope="module")
def asked(place):
    return ["diagnose", str(place / "log.parquet"), "-d", str(place / "definition.toml"), "--users", str(place / "users.csv"), "--by", "plan"]  # fmt: skip


@pytest.fixture
def answers(asked, capsys):
    assert main([*asked, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def safe(true, shown, least=LEAST):
    """Hold that nobody who knows the total and the cells shown learns one of few users."""
    hidden = [n for key, n in true.items() if shown.get(key) is None]
    assert not [n for n in shown.values() if n is not None and 0 < n < least]
    assert {key: n for key, n in shown.items() if n is not None}.items() <= true.items()
    some = [n for n in hidden if n]
    assert not some or (len(some) > 1 and sum(some) >= least) or len(hidden) == len(true)


def cells(rows, link, by="plan"):
    return {row[by]: row[f"{link}_of"] for row in rows}


def test_no_group_and_no_cell_follows_from_total_and_rest(journeys, answers):
    truth = ek.prioritize(journeys, by="plan").segments.to_dicts()
    shown = answers["priority"]["segments"]
    assert {row["plan"] for row in shown} == {"basic", "pro", "team"}, "and the smallest with it"
    for link in LINKS:
        safe(cells(truth, link), cells(shown, link))
    safe({r["plan"]: r["users"] for r in truth}, {r["plan"]: r["users"] for r in shown})
    assert all(row[f"{link}_rate"] is None for row in shown for link in LINKS if row[f"{link}_of"] is None)  # fmt: skip
    text = json.dumps(answers)
    assert "secret" not in text
    assert "few" not in [row["plan"] for row in answers["diagnosis"]]
    told = " ".join(answers["priority"]["warnings"])
    assert "1 group of 'plan' with fewer than 10 users not shown" in told
    assert "1 more neither" in told


@pytest.mark.parametrize(
    "plans",
    [PLANS, {"a": (300, 200, 90, 40), "b": (60, 40, 5, 2), "c": (80, 60, 30, 20)}, {"a": (90, 80, 40, 20), "b": (40, 35, 20, 9), "c": (30, 30, 12, 5)}],
    ids=["a tiny plan", "few came back", "few stopped"],
)  # fmt: skip
def test_no_label_of_a_group_follows_from_total_and_rest(plans):
    log, users = logged(plans)
    journeys = ek.rollup(log, D, users=users)
    truth = ek.diagnose(journeys, by="plan")
    found = ek.prioritize(journeys, by="plan")
    shown = disclosure.hand_on(found, by="plan", diagnosis=truth).diagnosis
    assert 0 < shown["n"].null_count() < shown.height
    for label in truth["label"].unique():
        for column in ("of", "could_show"):
            of_true, of_shown = (
                dict(rows.filter(pl.col("label") == label).select("plan", column).iter_rows())
                for rows in (truth.drop_nulls("of"), shown.drop_nulls("of"))
            )
            safe(of_true, of_shown)
    hidden = shown.filter(pl.col("could_show").is_null() & pl.col("of").is_not_null())
    assert hidden.select(disclosure.OF_SOME).null_count().row(0) == (hidden.height,) * len(
        disclosure.OF_SOME
    )
    # Of each group some rows are left, and what is missing is always several labels.
    missing = hidden.group_by("plan").len()["len"]
    assert missing.min() >= 3


def test_a_group_of_exactly_the_least_size_is_shown():
    log, users = logged({"a": (100, 60, 40, 20), "b": (60, 30, 20, 15), "c": (10, 10, 10, 10)})
    found = ek.prioritize(ek.rollup(log, D, users=users), by="plan")
    size = found.segments.row(by_predicate=pl.col("plan") == "c", named=True)["users"]
    assert size == LEAST
    handed = disclosure.hand_on(found, by="plan").priority
    assert handed.segments.height == 3
    assert not [r for r in handed.remarks if "not shown" in r.text]


def test_groups_of_whom_nobody_or_few_can_be_judged_are_counted():
    late = START + timedelta(days=160)
    old = logged({"a": (100, 60, 40, 20), "b": (60, 30, 20, 15), "c": (30, 10, 10, 10), "d": (5, 5, 0, 0)})  # fmt: skip
    new = logged({"e": (4, 4, 0, 0)}, late)  # of fewer the edges of the log would be rid
    log, users = (pl.concat(both) for both in zip(old, new, strict=True))
    journeys = ek.rollup(log, D, users=users)
    found = ek.prioritize(journeys, by="plan")
    labels = ek.diagnose(journeys, by="plan", recent=None)
    assert labels.filter(pl.col("plan") == "e")["n"].sum() == 4
    handed = disclosure.hand_on(found, by="plan", diagnosis=labels)
    assert set(handed.priority.segments["plan"]) == set(handed.diagnosis["plan"]) == {"a", "b"}
    (told,) = [r.text for r in handed.priority.remarks if "not shown" in r.text]
    assert told.startswith("2 groups of 'plan' with fewer than 10 users not shown")
    assert "1 more neither" in told


def test_a_hidden_cell_takes_its_verdict_and_all_numbers_made_from_it_along():
    # `few` has users enough, but three who activated: habit is judged on them.
    log, users = logged({**PLANS, "secret": (0, 0, 0, 0)})
    journeys = ek.rollup(log, D, users=users)
    diagnosis = ek.diagnose(journeys, by="plan")
    found = ek.prioritize(journeys, by="plan")
    handed = disclosure.hand_on(found, by="plan", diagnosis=diagnosis)
    rows = {row["plan"]: row for row in handed.priority.segments.to_dicts()}
    assert found.segments.row(by_predicate=pl.col("plan") == "few", named=True)["habit_of"] == 3
    assert rows["few"]["activation_of"] >= LEAST
    assert rows["few"]["habit_of"] is None
    assert [p for p in rows if rows[p]["habit_of"] is None] == ["few", "team"], "with the smallest"
    assert rows["few"]["probability"] == pytest.approx(
        found.segments.row(by_predicate=pl.col("plan") == "few", named=True)["probability"]
    ), "activation is named, and its count is shown"
    # The label rows of those who activated are hidden as a whole, in two groups.
    for plan in ("few", "team"):
        mine = handed.diagnosis.filter(pl.col("plan") == plan)
        hidden = mine.filter(pl.col("n").is_null())["label"].to_list()
        assert set(hidden) >= {"vanished", "plateau", "drift", "healthy"}
        assert mine.filter(pl.col("n").is_null())["share"].null_count() == len(hidden)
    some = handed.priority.segments.filter(pl.col("habit_of").is_null() & (pl.col("link") == "habit"))  # fmt: skip
    assert some.height == 0


def test_a_verdict_made_from_a_hidden_cell_is_not_shown():
    plans = {"a": (300, 60, 45, 30), "b": (60, 55, 40, 30), "c": (12, 9, 0, 0)}
    log, users = logged(plans)
    found = ek.prioritize(ek.rollup(log, D, users=users), by="plan")
    before = {row["plan"]: row for row in found.segments.to_dicts()}
    assert [before[p]["link"] for p in "ac"] == ["activation", "habit"]
    assert before["c"]["habit_of"] < LEAST <= before["c"]["users"]
    assert [r.about for r in found.remarks if r.kind == "breaks elsewhere"] == [("c",)]
    handed = disclosure.hand_on(found, by="plan").priority
    rows = {row["plan"]: row for row in handed.segments.to_dicts()}
    assert rows["c"]["verdict"] is rows["c"]["link"] is rows["c"]["probability"] is None
    assert rows["b"]["habit_of"] is None, "hidden with it: the smallest of the others"
    assert rows["b"]["verdict"] == before["b"]["verdict"], "the word says little"
    assert rows["b"]["probability"] is None, "the number would say more"
    assert rows["a"]["link"] == "activation"
    assert rows["a"]["probability"] == before["a"]["probability"]
    assert not [r for r in handed.remarks if r.about == ("c",)]
    assert ek.tables.segments(handed).sheet.rows


@pytest.mark.thorough
def test_the_screen_and_the_report_show_no_more_than_json(asked, answers, capsys, tmp_path):
    assert main([*asked, "--report", str(tmp_path / "r.html")]) == 0
    screen, page = capsys.readouterr().out, (tmp_path / "r.html").read_text(encoding="utf-8")
    section = page.split("<h2>By plan</h2>")[1].split("</section>")[0]
    for text in (screen, section):
        assert "secret" not in text
        assert not re.search(r"\bfew\b", text.replace("few users", ""))
        assert "pro" in text
    table = section.split("<tbody>")[1]
    counted = {row[0]: row[1:] for row in (re.findall(r"<td[^>]*>([^<]*)</td>", r) for r in table.split("<tr>")[1:])}  # fmt: skip
    shown = {row["plan"]: row for row in answers["priority"]["segments"]}
    assert counted.keys() == shown.keys()
    for plan, (users, *rates, _) in counted.items():
        assert users == str(shown[plan]["users"])
        known = [shown[plan][f"{link}_rate"] is not None for link in LINKS[: len(rates)]]
        assert [rate not in {"", "–"} for rate in rates] == known


@pytest.mark.thorough
def test_with_two_groups_one_of_them_tiny_nothing_is_shown_by_group(capsys, tmp_path):
    log, users = logged({"basic": (200, 120, 80, 50), "secret": (3, 2, 0, 0)})
    handed = disclosure.hand_on(
        ek.prioritize(journeys := ek.rollup(log, D, users=users), by="plan"),
        by="plan",
        diagnosis=ek.diagnose(journeys, by="plan"),
    )
    assert handed.priority.segments.height == 0
    assert handed.diagnosis.height == 0
    page = ek.report(journeys, tmp_path / "r.html", by="plan").read_text("utf-8")
    assert "basic" not in page.split("<h2>By plan</h2>")[1].split("</section>")[0]


def test_quarters_and_cohorts_cannot_be_had_either(journeys):
    # The first quarter has a cohort of few; the last quarter too.
    priority = ek.prioritize(journeys)
    for least in (10, 60, 300):
        shown = disclosure.quarters(priority.by_quarter, least)
        for link in LINKS:
            true, seen = (
                {r["quarter"]: r["of"] for r in rows.to_dicts() if r["link"] == link}
                for rows in (priority.by_quarter, shown)
            )
            safe(true, seen, least)
        partly = shown.filter(pl.col("of").is_null())["quarter"]
        rest = shown.filter(pl.col("quarter").is_in(partly.implode()))
        assert (
            rest.select(pl.col("p_earliest", "reached", "extra_users").null_count()).row(0)
            == (rest.height,) * 3
        )
        curves = ek.cohort_curves(journeys)
        true, seen = (
            dict(frame.filter(pl.col("period") == 0).select("cohort", "of").iter_rows())
            for frame in (curves, disclosure.cohorts(curves, least))
        )
        safe(true, seen, least)
    assert shown.height == 0 or shown["of"].min() >= 300


def test_the_verdict_of_a_quarter_goes_with_a_cell_it_was_made_from():
    old = logged({"a": (100, 90, 60, 40)})
    new = logged({"c": (12, 9, 0, 0)}, datetime(2026, 7, 2))
    log, users = (pl.concat(both) for both in zip(old, new, strict=True))
    table = ek.prioritize(ek.rollup(log, D, users=users)).by_quarter
    last = table["quarter"].max()
    assert set(table.filter(pl.col("quarter") == last)["named"]) == {"habit"}
    shown = disclosure.quarters(table)
    mine = shown.filter(pl.col("quarter") == last)
    assert mine["of"].to_list()[0] == LEAST
    assert mine.select("verdict", "named", "changed").null_count().row(0) == (4, 4, 4)
    rest = shown.filter(pl.col("quarter") < last)
    assert rest["verdict"].null_count() == 0


def test_the_report_pools_what_it_shows(journeys, tmp_path):
    curves = ek.cohort_curves(journeys)
    least = sorted(curves.filter(pl.col("period") == 0)["of"])[3]
    page = ek.report(journeys, tmp_path / "r.html", min_group=least).read_text("utf-8")
    kept = disclosure.cohorts(curves, least)
    assert 0 < kept.height < curves.height
    pooled = ek.pooled_curve(kept).filter(pl.col("period") == 1).row(0, named=True)
    section = page.split("<h2>Cohort curves</h2>")[1].split("</section>")[0]
    assert f">{pooled['of']}<" in section
    whole = ek.pooled_curve(curves).filter(pl.col("period") == 1).row(0, named=True)
    assert f">{whole['of']}<" not in section


@given(st.lists(st.integers(0, 40), max_size=7), st.integers(1, 15), st.data())
def test_what_is_hidden_is_several_of_many_or_all(counts, least, data):
    also = data.draw(st.sets(st.sampled_from(range(len(counts))))) if counts else set()
    out = disclosure.hidden(counts, least, also)
    assert out >= also | {k for k, n in enumerate(counts) if 0 < n < least}
    if not out:
        return
    some = [counts[k] for k in out if counts[k]]
    assert (len(some) > 1 and sum(some) >= least) or len(out) == len(counts) or not any(counts)
    # And no more than needed: without the largest one added, it would not do.
    added = [k for k in out if k not in also and counts[k] >= least]
    if added:
        fewer = [counts[k] for k in out - {max(added, key=lambda k: counts[k])} if counts[k]]
        assert not (len(fewer) > 1 and sum(fewer) >= least)


def test_nothing_is_hidden_where_all_are_large_or_nobody_is_judged():
    assert disclosure.hidden([10, 11, 0], 10) == set()
    assert disclosure.hidden([9, 11, 0, 12], 10) == {0, 1}
    assert disclosure.hidden([9, 0, 0], 10) == {0, 1, 2}
    assert disclosure.hidden([0, 0], 10, {0}) == {0}
    assert disclosure.hidden([3, 4, 50, 60], 10) == {0, 1, 2}


def test_in_the_room_small_groups_stay_closed_too(place, tmp_path):
    from engagekit import widgets, workshop

    # A last quarter of twelve, nine of whom activated.
    late, people = (
        frame.with_columns(user_id="late " + pl.col("user_id"))
        for frame in logged({"basic": (12, 9, 0, 0)}, datetime(2026, 7, 2))
    )
    log = pl.concat([pl.read_parquet(place / "log.parquet"), late])
    users = pl.concat([pl.read_csv(place / "users.csv"), people])
    (team,) = workshop.start(tmp_path / "ws", events=log, users=users, definition=D)
    session = Session(team)
    session.set("votes revealed", value=True)
    journeys = session.journeys()
    targets = widgets.target_sliders(session, journeys)
    panel = widgets.verdict_by_group(session, journeys, targets)
    assert set(panel.value["plan"]) == {"basic", "pro", "team"}
    assert "secret" not in json.dumps(panel.shown.chart.to_dict())
    quarters = widgets.verdict_by_quarter(session, targets).value
    assert quarters["of"].null_count() > 1
    assert quarters.equals(disclosure.quarters(targets.value.by_quarter), null_equal=True)
    assert not quarters.equals(targets.value.by_quarter, null_equal=True)
    explored = widgets.cohort_explorer(session, journeys)
    explored.controls["by"].value = "plan"
    shown = explored.value
    truth = ek.pooled_curve(ek.cohort_curves(journeys, by="plan"))
    for period in truth["period"].unique():
        true, seen = (
            dict(f.filter(pl.col("period") == period).select("plan", "of").iter_rows())
            for f in (truth, shown)
        )
        safe(true, seen)
    assert "secret" not in json.dumps(explored.shown.chart.to_dict())
