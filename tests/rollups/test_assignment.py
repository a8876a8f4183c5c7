"""Into which arm a user was put is read alike on every engine, and back from the definition's file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = [
    # user, event, hours, arm
    ("ann", "join", 0, None),
    ("ann", "exposed", 1, "new"),
    ("ann", "exposed", 30, "new"),
    ("bob", "exposed", 1, "old"),  # before his sign-up
    ("bob", "join", 2, None),
    ("bob", "exposed", 9, "new"),
    ("cid", "join", 3, None),
    ("cid", "exposed", 4, None),  # an assignment without an arm is none
    ("dee", "join", 3, None),
    ("dee", "exposed", 5, "old"),
    ("dee", "exposed", 5, "new"),  # the same instant: the first by name
    ("dee", "make", 6, None),
]
LOG = pl.DataFrame(
    [(u, e, START + timedelta(hours=h), a) for u, e, h, a in ROWS],
    schema={"user_id": pl.String, "event": pl.String, "at": pl.Datetime("us", "UTC"), "arm": pl.String},
    orient="row",
)  # fmt: skip
DEFINITION = ek.Definition(
    signup="join", activation="make", core="make", experiment=ek.Assignment("exposed", property="arm")
)  # fmt: skip
EXPECTED = [
    ("ann", "new", START + timedelta(hours=1), 1),
    ("bob", "old", START + timedelta(hours=1), 2),
    ("cid", None, None, 0),
    ("dee", "new", START + timedelta(hours=5), 2),
]
COLUMNS = ("user_id", "variant", "assigned_at", "variants_seen")


def arms(journeys: ek.Journeys) -> list[tuple[object, ...]]:
    return journeys.users.lazy().select(COLUMNS).sort("user_id").collect().rows()


def test_polars() -> None:
    assert arms(ek.rollup(LOG, DEFINITION)) == EXPECTED
    assert arms(ek.rollup(LOG.sample(fraction=1, shuffle=True, seed=3), DEFINITION)) == EXPECTED


def test_a_prepared_log(tmp_path: object) -> None:
    folder = f"{tmp_path}/log"
    ek.prepare_events(LOG, folder, progress=False)
    assert arms(ek.rollup(folder, DEFINITION)) == EXPECTED


def test_duckdb() -> None:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.register("log", LOG.to_arrow())
    assert arms(ek.rollup(connection.sql("from log"), DEFINITION)) == EXPECTED


@pytest.mark.thorough
def test_sql() -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("ibis")
    queries = ek.rollup_sql(DEFINITION, dialect="duckdb", events="log")
    connection = duckdb.connect()
    connection.register("log", LOG.to_arrow())
    found = {name: connection.sql(text).pl() for name, text in queries.items()}
    tables = {name: found[name] for name in ("users", "steps", "early", "days")}
    journeys = ek.Journeys.from_frames(**tables, definition=DEFINITION, about=found["about"])
    assert arms(journeys) == EXPECTED


def test_accounts_are_assigned_with_their_members() -> None:
    people = pl.DataFrame({"user_id": ["ann", "bob", "cid", "dee"], "account_id": [1, 1, 2, 2]})
    found = arms(ek.rollup(LOG, DEFINITION, users=people, unit="account"))
    assert found == [
        (1, "new", START + timedelta(hours=1), 2),
        (2, "new", START + timedelta(hours=5), 2),
    ]


def test_an_earlier_instant_does_not_know_later_arms() -> None:
    earlier = ek.rollup(LOG, DEFINITION).at(START + timedelta(hours=4))
    assert arms(earlier) == [*EXPECTED[:3], ("dee", None, None, 0)]


def test_the_users_table_may_not_say_it_too() -> None:
    people = pl.DataFrame({"user_id": ["ann"], "variant": ["old"]})
    with pytest.raises(ek.EngagekitError, match="rename the columns"):
        ek.rollup(LOG, DEFINITION, users=people)


def test_the_definition_is_written_and_read(tmp_path: object) -> None:
    test = ek.Assignment(
        ek.Match("exposed", test="tour"), property="arm", control="old", shares={"old": 0.9, "new": 0.1}
    )  # fmt: skip
    written = ek.Definition(activation="make", core="make", targets={"habit": 0.5}, experiment=test)
    written.save(f"{tmp_path}/definition.toml")
    assert ek.Definition.load(f"{tmp_path}/definition.toml") == written


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("exposed", "event at least"),
        ({"event": "exposed", "arm": "x"}, "arm"),
        ({"event": 3, "shares": {"a": 0.5, "b": 0.6}}, "names no event.*\n?.*1 in all"),
        ({"event": "exposed", "property": "at"}, "column of every event"),
    ],
)
def test_a_broken_experiment_is_refused(table: object, said: str) -> None:
    with pytest.raises(ek.EngagekitError, match=f"(?s){said}"):
        ek.Definition(activation="make", core="make", experiment=table)  # type: ignore[arg-type]
