"""Columns of users and logs may bear any name: those that the code makes on its way are kept, or refused, never lost.

The names are read out of the code: every text and every keyword that a call on a frame or an expression takes.
"""

from __future__ import annotations

import ast
import re
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import ColumnError, EngagekitError, EngagekitWarning, ParameterError
from engagekit.journeys.tables import TABLES, USERS
from engagekit.rollups import prepare
from engagekit.rollups.prepared_log import open_prepared

PACKAGE = Path(ek.__file__).parent
START = datetime(2026, 1, 1, 9)


def names_in(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found |= {k.arg for k in node.keywords if k.arg}
            for part in (*node.args, *(k.value for k in node.keywords)):
                found |= {n.value for n in ast.walk(part) if isinstance(n, ast.Constant) and isinstance(n.value, str)}  # fmt: skip
    return {name for name in found if re.fullmatch(r"[a-z_][a-z_0-9]{0,24}", name)}


def in_code(*modules: str) -> list[str]:
    paths = [p for p in PACKAGE.rglob("*.py") if not modules or p.stem in modules]
    found = set().union(*(names_in(ast.parse(p.read_text(encoding="utf-8"))) for p in paths))
    return sorted(found - {"user_id", "event", "at", "account_id", *USERS})


NAMES = sorted({*in_code(), "bucket", "_bucket"})
HIDDEN = [name for name in NAMES if name.startswith("_") or len(name) < 3]
ENGINE = in_code("narwhals_reduction", "engines", "remote", "user_properties", "sql_dialects")
D = ek.Definition(
    name="Own", signup="join", activation="make", core="make", advanced=["share"], steps=[ek.Step("Begin", reached="begin", completed="make")],
    habit_days=7, depth_days=35, usage_interval_days=3, targets={"activation": 0.5, "habit": 0.5},
)  # fmt: skip


def asking(name):
    """Ask for a value of any property: one called like a parameter of a matcher goes into its table."""
    return {"event": "make", "where": {name: "paid"}}


def rows():
    for k in range(40):
        at = START + timedelta(days=k, minutes=k)
        for event, hours in (("join", 0), ("begin", 1), ("make", 2), ("make", 80), ("share", 90), ("share", 150))[: 2 + k % 5]:  # fmt: skip
            yield (
                f"u{k}",
                event,
                at + timedelta(hours=hours),
                "paid" if (k + hours) % 3 else "free",
            )


LOG = pl.DataFrame(list(rows()), schema=["user_id", "event", "at", "neutral"], orient="row")
USERS_TABLE = LOG.select(pl.col("user_id").unique().sort()).with_columns(
    neutral=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("a")).otherwise(pl.lit("b")),
    account_id=pl.format("acme {}", pl.int_range(pl.len()) % 8),
)


def named(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    return frame.with_columns(pl.col("neutral").alias(name) for name in names)


def test_names_are_found():
    assert len(NAMES) > 300
    assert {"given", "_reason", "event_at", "u", "t", "day"} <= set(NAMES)
    assert len(HIDDEN) > 30
    assert {"s_t", "t", "unit_id", "core"} <= set(ENGINE)


@pytest.fixture(scope="module")
def plain():
    return ek.rollup(LOG, D, users=USERS_TABLE.drop("account_id"))


@pytest.fixture(scope="module")
def journeys():
    return ek.rollup(LOG, D, users=named(USERS_TABLE.drop("account_id"), NAMES))


def kept(journeys, names=NAMES):
    """Hold that each property is there with its values."""
    users = journeys.users.lazy().collect()
    assert [n for n in names if n not in users.columns] == []
    wrong = [n for n in names if not users[n].equals(users["neutral"], check_names=False, null_equal=True)]  # fmt: skip
    assert wrong == []
    assert users["neutral"].null_count() < users.height
    assert len(users.columns) == 1 + len(USERS) + len({*names, "neutral"})


def same(one, other):
    for table in TABLES:
        found = getattr(one, table).lazy().collect()
        there = getattr(other, table).lazy().collect()
        assert found.select(there.columns).sort(there.columns).equals(there.sort(there.columns)), table  # fmt: skip
    assert one.left_out.equals(other.left_out)


def test_properties_of_users_may_bear_any_name(journeys, plain):
    kept(journeys)
    same(journeys, plain)
    assert ek.prioritize(journeys).table.equals(ek.prioritize(plain).table)
    assert ek.diagnose(journeys).equals(ek.diagnose(plain))
    assert ek.metrics(journeys).equals(ek.metrics(plain))
    assert ek.label_users(journeys).equals(ek.label_users(plain))


def test_with_a_prepared_log_too(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "BUCKET", 30)
    folder = ek.prepare_events(named(LOG, NAMES), tmp_path / "log", progress=False)
    made = ek.rollup(folder, D, users=named(USERS_TABLE.drop("account_id"), NAMES))
    kept(made)
    same(made, plain)
    assert set(NAMES) <= set(open_prepared(folder).log.collect_schema())


def test_in_parts_too(plain, monkeypatch):
    from engagekit.rollups import local

    monkeypatch.setattr(local, "LARGE", 30)
    monkeypatch.setattr(local, "PART", 40)
    for unit in ("user", "account"):
        users = USERS_TABLE if unit == "account" else USERS_TABLE.drop("account_id")
        with pytest.warns(EngagekitWarning, match="prepare it"):
            made = ek.rollup(LOG, D, users=named(users, NAMES), unit=unit)
        kept(made)
        if unit == "user":
            same(made, plain)


def test_of_accounts_too():
    made = ek.rollup(LOG, D, users=named(USERS_TABLE, NAMES), unit="account")
    kept(made)
    same(made, ek.rollup(LOG, D, users=USERS_TABLE, unit="account"))


def test_saved_and_read_again(journeys, tmp_path):
    journeys.save(tmp_path)
    for lazy in (True, False):
        kept(ek.Journeys.load(tmp_path, lazy=lazy))
    kept(journeys.at("2026-02-01"))
    kept(journeys.where(users=pl.col("neutral") == "a"))


@pytest.mark.thorough
def test_conditions_may_look_at_any_name(monkeypatch, tmp_path):
    actions = [asking(name) for name in [*NAMES, "neutral"]]
    definition = ek.Definition(signup="join", activation="make", core="make", advanced=actions)
    log = named(LOG, NAMES)
    monkeypatch.setattr(prepare, "BUCKET", 30)
    folder = ek.prepare_events(log, tmp_path / "log", progress=False)
    for events in (log, folder):
        days = ek.rollup(events, definition).days
        count = days.filter(pl.col("role").str.starts_with("advanced:")).group_by("role").len()
        assert count.height == len(actions)
        assert count["len"].n_unique() == 1
    activated = ek.rollup(log, ek.Definition(signup="join", activation=ek.Match("make", neutral="paid"), core="make"))  # fmt: skip
    for name in HIDDEN:
        by_name = ek.Definition(signup="join", activation=asking(name), core="make")  # fmt: skip
        assert ek.rollup(log, by_name).users.equals(activated.users), name


def test_properties_of_events_become_the_users_whatever_they_are_called():
    definition = ek.Definition(signup="join", activation="make", core="make", properties=["neutral", *NAMES])  # fmt: skip
    made = ek.rollup(named(LOG, NAMES), definition)
    kept(made)
    half = len(NAMES) // 2
    both = ek.rollup(named(LOG, NAMES), definition, users=named(USERS_TABLE.drop("account_id"), NAMES[:half]))  # fmt: skip
    assert both.users[NAMES[0]].equals(both.users["neutral"], check_names=False)
    assert set(both.users[NAMES[half]].drop_nulls()) <= {"paid", "free"}


@pytest.mark.parametrize("name", sorted({*USERS, "user_id"} - {"signed_up_at"}))
def test_names_of_our_own_tables_are_refused(name):
    if name != "user_id":
        with pytest.raises(ColumnError, match=f"{name}.*rename"):
            ek.rollup(LOG, D, users=USERS_TABLE.rename({"neutral": name}).drop("account_id"))
    with pytest.raises(EngagekitError, match=name):
        ek.Definition(signup="join", activation="make", core="make", properties=[name])


def test_in_another_engine_too():
    duckdb = pytest.importorskip("duckdb")
    names = sorted({*ENGINE, *HIDDEN, "t", "day", "s_t", "reason", "active", "core"})
    log, users = named(LOG, names), named(USERS_TABLE.drop("account_id"), names)
    relation = duckdb.sql("select * from log")
    made = ek.rollup(relation, D, users=users)
    kept(made, names)
    same(made, ek.rollup(LOG, D, users=USERS_TABLE.drop("account_id")))
    some = [*names[:: max(1, len(names) // 30)], "t", "day", "s_t", "reason", "active", "core"]
    actions = [asking(name) for name in dict.fromkeys([*some, "neutral"])]
    definition = ek.Definition(
        signup="join", activation=ek.Match("make", t="paid"), core=ek.Match("make", day="paid"),
        advanced=actions, properties=list(dict.fromkeys([*some, "neutral"])),
    )  # fmt: skip
    there, here = ek.rollup(relation, definition), ek.rollup(log, definition)
    same(there, here)
    kept(there, list(dict.fromkeys(some)))


BY = {
    "cohort_curves": lambda j, by: ek.cohort_curves(j, by=by),
    "prioritize": lambda j, by: ek.prioritize(j, by=by).segments,
    "diagnose": lambda j, by: ek.diagnose(j, by=by),
    "metrics": lambda j, by: ek.metrics(j, by=by),
    "survival": lambda j, by: ek.survival(j, quiet_days=7, by=by),
    "compare_survival": lambda j, by: ek.compare_survival(j, quiet_days=7, by=by),
    "compare_first_weeks": lambda j, by: ek.compare_first_weeks(j, by=by),
}
RAW = {
    "retention": lambda log, by: ek.retention(log, start="join", back="make", period="day", by=by),
    "funnel": lambda log, by: ek.funnel(log, ["join", "make", "share"], by=by),
}


WORDS = ("sentence", "question", "note")  # columns that may name the property


def right_or_refused(answer, frame, names):
    """Hold that by each name the answer is that by a neutral one, or that the name is refused."""
    true = answer(frame, "neutral").drop(WORDS, strict=False)
    wrong, refused = [], 0
    for name in names:
        try:
            found = answer(frame, name)
            found = found.drop(word for word in WORDS if word in found.columns and word != name)
        except ParameterError as error:
            assert repr(name) in str(error), name  # noqa: PT017
            refused += 1
            continue
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}")
            continue
        if name not in found.columns or not found.rename({name: "neutral"}).equals(
            true, null_equal=True
        ):
            wrong.append(name)
    assert wrong == []
    return refused


@pytest.mark.thorough
@pytest.mark.parametrize("name", BY)
def test_answers_by_any_name_are_right_or_refused(journeys, name):
    names = [*HIDDEN[::3], *NAMES[::40]]
    assert right_or_refused(BY[name], journeys, names) < len(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", BY)
def test_answers_by_every_name_are_right_or_refused(journeys, name):
    right_or_refused(BY[name], journeys, NAMES)


@pytest.mark.thorough
@pytest.mark.parametrize("name", RAW)
def test_questions_on_events_by_any_name_are_right_or_refused(name):
    right_or_refused(RAW[name], named(LOG, NAMES), HIDDEN)


@pytest.mark.slow
@pytest.mark.parametrize("name", RAW)
def test_questions_on_events_by_every_name_are_right_or_refused(name):
    right_or_refused(RAW[name], named(LOG, NAMES), NAMES)


def test_questions_on_events_do_not_mind_other_columns():
    log = named(LOG, NAMES)
    for ask in (
        lambda log: ek.lifecycle(log, period="week"),
        lambda log: ek.stickiness(log, period="day"),
        lambda log: ek.retention(log, start="join", back="make", period="day"),
        lambda log: ek.funnel(log, ["join", "make"]),
        lambda log: ek.check_events(log),
        lambda log: ek.retention(log, start=pl.col("event") == "join", back="make", cohorts="each"),
    ):
        assert ask(log).equals(ask(LOG), null_equal=True)
