from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import ColumnError, ParameterError, StoredFileError
from engagekit.journeys.days import silence_days
from engagekit.journeys.schema import REDUCED, TABLES

DEFINITION = ek.Definition(
    signup="signup",
    activation="make",
    core="make",
    steps=[ek.Step("Connect", reached="open", completed="done")],
    advanced=["report"],
)


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


ROWS = [
    (1, "signup", at(1)), (1, "open", at(1, 10)), (1, "done", at(2)), (1, "make", at(3)), (1, "make", at(9, 8)), (1, "make", at(9, 20)),
    (2, "signup", at(5)), (2, "open", at(6)), (2, "report", at(20)),
    (3, "signup", at(15)), (3, "make", at(28)),
]  # fmt: skip
LOG = pl.DataFrame(ROWS, schema=["user_id", "event", "at"], orient="row")
PEOPLE = pl.DataFrame({"user_id": [1, 2, 3], "plan": ["pro", "free", "pro"]})


@pytest.fixture
def journeys() -> ek.Journeys:
    return ek.rollup(LOG, DEFINITION, users=PEOPLE)


def same(one: ek.Journeys, other: ek.Journeys) -> bool:
    return all(
        getattr(one, n).lazy().collect().equals(getattr(other, n).lazy().collect()) for n in TABLES
    )


def test_where_narrows_every_table(journeys):
    pro = journeys.where(users=pl.col("plan") == "pro")
    assert pro.users["user_id"].to_list() == [1, 3]
    assert set(pro.early["user_id"]) | set(pro.days["user_id"]) | set(pro.steps["user_id"]) == {
        1,
        3,
    }
    assert journeys.where(signed_up=("2026-01-05", "2026-01-15")).users["user_id"].to_list() == [2]
    assert journeys.where(signed_up=(at(5, 10), None)).users["user_id"].to_list() == [3]
    assert journeys.where() is journeys


def test_where_names_what_it_cannot_use(journeys):
    with pytest.raises(ColumnError, match=r"no column 'plann'\. Did you mean 'plan'"):
        journeys.where(users=pl.col("plann") == "pro")
    with pytest.raises(ParameterError, match=r"signed_up is '2026-01-05'; give a pair"):
        journeys.where(signed_up="2026-01-05")


def test_where_refuses_what_is_no_condition(journeys):
    for users, said in (
        (pl.col("plan"), "this one gives 'String'"),
        ("plan", "give a condition such as"),
        (pl.col("plan") > 3, "cannot compare string with numeric"),
    ):
        with pytest.raises(ParameterError, match=said):
            journeys.where(users=users)


def test_at_an_earlier_instant_only_what_was_known_then_is_left(journeys):
    for moment in (at(2), at(9, 8), at(9, 15), at(21), journeys.as_of):
        then, anew = journeys.at(moment), ek.rollup(LOG, DEFINITION, users=PEOPLE, as_of=moment)
        unknown = ["last_seen_at", "active_days", "early_events"]
        assert then.users.drop(unknown).equals(anew.users.drop(unknown))
        assert then.days.equals(anew.days)
        assert then.steps.select("user_id", "step", "reached_at", "completed_at").equals(
            anew.steps.select("user_id", "step", "reached_at", "completed_at")
        )
        assert then.as_of == anew.as_of == moment


def test_early_days_that_had_not_begun_hold_nothing():
    rows = [(1, "signup", at(2)), (1, "make", at(2)), (1, "make", at(4)), (1, "make", at(6, 12))]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    whole = ek.rollup(log, DEFINITION, as_of=at(30), missing="allow")
    assert whole.users["early_events"][0].to_list() == [2, 0, 1, 0, 1] + [0] * 9
    # Own days begin at nine: the fifth one (from the 6th on) had not begun.
    assert whole.at(at(6)).users["early_events"][0].to_list() == [2, 0, 1] + [0] * 11
    assert whole.at(at(6, 10)).users["early_events"][0].to_list() == [2, 0, 1, 0, 1] + [0] * 9


def test_a_day_that_an_instant_cuts_keeps_what_came_before_it():
    hours = [(1, 9), (1, 12), (2, 9), (2, 10), (2, 11), (2, 13), (3, 9), (3, 10), (4, 12)]
    rows = [(u, "make", at(9, hour)) for u, hour in hours]
    rows += [(u, "signup", at(2)) for u in range(1, 5)]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    then = ek.rollup(log, DEFINITION, as_of=at(30), missing="allow").at(at(9, 12)).days
    # user 2 made something at 9, 10, 11 and 13; between first and last that reads 9, 10:20, 11:40 and 13
    assert then.filter(role="core").select("user_id", "times").rows() == [(1, 1), (2, 3), (3, 2)]
    assert then.filter(role="core")["last_at"].to_list() == [
        at(9, 9),
        at(9, 11) + timedelta(minutes=40),
        at(9, 10),
    ]


def test_a_step_reached_again_later_was_not_the_latest_before():
    rows = [(1, "signup", at(1)), (1, "open", at(2)), (1, "pick", at(5)), (1, "open", at(25))]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    steps = [ek.Step("Connect", "open", "done"), ek.Step("Template", "pick", "picked")]
    definition = dataclasses.replace(DEFINITION, steps=steps, activation_days=7)
    journeys = ek.rollup(log, definition, missing="allow")
    assert ek.label_users(journeys)["step"].to_list() == ["Connect"]
    assert ek.label_users(journeys.at(at(20)))["step"].to_list() == ["Template"]


def test_nothing_is_known_beyond_the_end(journeys):
    with pytest.raises(ParameterError, match="nothing is known beyond"):
        journeys.at("2027-01-01")


def test_silence_counts_local_days(journeys):
    found = journeys.users.select("user_id", silence_days(journeys))
    assert found.rows() == [(1, 19), (2, None), (3, 0)]


def test_saved_journeys_load_as_they_were(journeys, tmp_path):
    journeys.save(tmp_path / "j")
    journeys.save(tmp_path / "j")  # over the old ones
    assert len(list((tmp_path / "j").glob("*.parquet"))) == 5
    for lazy in (False, True):
        loaded = ek.Journeys.load(tmp_path / "j", lazy=lazy)
        assert isinstance(loaded.users, pl.LazyFrame) is lazy
        assert same(loaded, journeys)
        assert (loaded.as_of, loaded.definition.to_table(), loaded.left_out.rows()) == (
            journeys.as_of, journeys.definition.to_table(), journeys.left_out.rows(),
        )  # fmt: skip
        narrowed = loaded.where(users=pl.col("plan") == "free")
        assert isinstance(narrowed.days, pl.LazyFrame) is lazy


def test_broken_foreign_and_newer_folders_are_refused(journeys, tmp_path):
    with pytest.raises(StoredFileError, match="holds no journeys"):
        ek.Journeys.load(tmp_path)
    journeys.save(tmp_path)
    about = json.loads((tmp_path / "journeys.json").read_text())
    (tmp_path / "journeys.json").write_text(json.dumps(about | {"schema_version": 99}))
    with pytest.raises(StoredFileError, match="newer engagekit"):
        ek.Journeys.load(tmp_path)
    with pytest.raises(StoredFileError, match="newer engagekit"):
        journeys.save(tmp_path)  # what a newer one wrote is not overwritten either
    for broken in ("{", "[]", '{"schema_version": 2}', json.dumps(about | {"as_of": 3})):
        (tmp_path / "journeys.json").write_text(broken)
        with pytest.raises(StoredFileError, match="cannot be read"):
            ek.Journeys.load(tmp_path)
    (tmp_path / "journeys.json").write_text(json.dumps(about))
    (tmp_path / about["tables"]["users"]).write_bytes(b"PAR1")
    with pytest.raises(StoredFileError, match="cannot be read"):
        ek.Journeys.load(tmp_path)


def test_frames_of_another_engine_are_cast_or_refused(journeys):
    tables = {n: getattr(journeys, n) for n in REDUCED}
    loose = tables | {
        "days": journeys.days.with_columns(
            pl.col("times").cast(pl.Int64), pl.col("first_at").dt.replace_time_zone(None)
        )
    }
    about = {
        "definition": journeys.definition,
        "as_of": journeys.as_of,
        "log_start": journeys.log_start,
    }
    assert same(ek.Journeys.from_frames(**loose, **about), journeys)
    with pytest.raises(ColumnError, match="no column 'times'"):
        ek.Journeys.from_frames(**(tables | {"days": journeys.days.drop("times")}), **about)


def test_properties_are_what_the_users_table_brought(journeys):
    assert journeys.properties == ["plan"]
