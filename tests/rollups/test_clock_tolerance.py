"""What clocks that differ make of a sign-up: what comes a little before it counts as at it, on every engine."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import DefinitionError
from engagekit.journeys.schema import TABLES
from engagekit.rollups import duckdb_stream

SIGNED = datetime(2026, 3, 2, 23, 0, 1, tzinfo=UTC)  # the first second of a day in Berlin
ZONE = "Europe/Berlin"


def log_of(*seconds, more=()):
    """A sign-up, an activation so many seconds before it each, and a last event."""
    rows = [("a", "join", SIGNED), ("a", "late", SIGNED + timedelta(days=3)), ("b", "join", SIGNED)]
    rows += [("a", "make", SIGNED - timedelta(seconds=each)) for each in seconds]
    return pl.DataFrame([*rows, *more], schema=["user_id", "event", "at"], orient="row")


def definition(**more):
    return ek.Definition(signup="join", activation="make", core="make", timezone=ZONE, **more)


def of_a(log, **more):
    journeys = ek.rollup(log, definition(**more))
    return journeys.users.row(0, named=True), journeys


@pytest.mark.parametrize(
    ("seconds", "tolerance", "counts"),
    [
        (5, "5s", True),
        (5.000001, "5s", False),
        (1, "0s", False),
        (0, "0s", True),
        (3600, "1h", True),
        (0.0005, "500us", True),
        (0.0006, "500us", False),
    ],
)
def test_up_to_the_tolerance_an_event_counts_as_at_the_sign_up(seconds, tolerance, counts):
    user, journeys = of_a(log_of(seconds), clock_tolerance=tolerance)
    assert user["activated_at"] == (SIGNED if counts else None)
    assert user["first_action_at"] == (SIGNED if counts else SIGNED + timedelta(days=3))
    assert user["early_events"][0] == 1 + counts
    left = {r["reason"]: r["count"] for r in journeys.left_out.to_dicts()}
    assert left.get("events before their user's sign-up", 0) == 1 - counts
    days = journeys.days.filter(role="core")
    # The event's own second lies on the day before, where the user was not there yet.
    assert days["day"].to_list() == [date(2026, 3, 3)] * counts
    check = ek.check_events(log_of(seconds), definition(clock_tolerance=tolerance))
    assert check.filter(check="events before sign-up")["count"].item() == 1 - counts


def test_five_seconds_are_allowed_for_unless_said_otherwise():
    assert of_a(log_of(5))[0]["activated_at"] == SIGNED
    assert of_a(log_of(6))[0]["activated_at"] is None


def test_an_event_lies_no_further_back_for_being_early():
    user, _ = of_a(log_of(4, 2, more=[("a", "make", SIGNED + timedelta(hours=1))]))
    assert user["activated_at"] == SIGNED
    assert user["core_days"] == 1
    assert user["last_core_at"] == SIGNED + timedelta(hours=1)


def test_a_third_time_is_counted_in_order_of_the_clock():
    goal = ek.Match("make", times=3)
    log = log_of(4, 2, more=[("a", "make", SIGNED + timedelta(hours=1))])
    journeys = ek.rollup(log, ek.Definition(signup="join", activation=goal, core="make"))
    assert journeys.users["activated_at"][0] == SIGNED + timedelta(hours=1)


def test_a_log_of_dates_has_no_seconds_to_allow_for():
    log = log_of(1, 100_000).with_columns(pl.col("at").dt.date())
    one, other = (ek.rollup(log, definition(clock_tolerance=t)) for t in ("0s", "1h"))
    assert all(getattr(one, name).equals(getattr(other, name)) for name in TABLES)


@pytest.mark.thorough
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("engine", ["duckdb", "ibis", "prepared"])
def test_engines_agree_across_midnight(tmp_path, monkeypatch, engine, streamed):
    log = log_of(0.5, 2, 6, more=[("b", "make", SIGNED - timedelta(seconds=3)), ("a", "look", SIGNED - timedelta(seconds=1))])  # fmt: skip
    log = log.with_columns(plan=pl.lit("x"))
    asked = definition(properties=["plan"], advanced=["look"])
    if engine == "prepared":
        given = tmp_path / "p"
        ek.prepare_events(log, given, definition=asked, progress=False)
    elif engine == "duckdb":
        connection = pytest.importorskip("duckdb").connect()
        given = connection.from_arrow(log.to_arrow())
    else:
        given = pytest.importorskip("ibis").memtable(log.to_arrow())
    if not streamed:
        monkeypatch.setattr(duckdb_stream, "MOST", -1)
    here, there = ek.rollup(log, asked), ek.rollup(given, asked)
    for name in TABLES:
        assert getattr(here, name).equals(getattr(there, name)), name
    assert here.left_out.equals(there.left_out)
    assert here.users["plan"].to_list() == ["x", "x"]


@pytest.mark.parametrize("tolerance", ["2h", "1d", "1mo", "-1s", "soon", "", 5, None, "61m"])
def test_what_is_no_tolerance_is_refused(tolerance):
    with pytest.raises(DefinitionError, match="clock_tolerance is"):
        definition(clock_tolerance=tolerance)


def test_it_stands_in_the_file(tmp_path):
    definition(clock_tolerance="2s").save(tmp_path / "d.toml")
    assert 'clock_tolerance = "2s"' in (tmp_path / "d.toml").read_text(encoding="utf-8")
    assert ek.Definition.load(tmp_path / "d.toml").clock_tolerance == "2s"
