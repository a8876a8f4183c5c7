"""Arguments that mean nothing are refused in words that say what was given and what is taken."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import ColumnError, EngagekitError, StoredFileError
from engagekit.log import open_log
from engagekit.survival import fit_sbg, kaplan_meier, log_rank
from engagekit.survival.product_limit import rmst
from engagekit.workshop import session as sessions
from engagekit.workshop.session import Session

CURVE = pl.DataFrame(
    {
        "time": [0, 7, 14, 21, 28, 35], "survival": [1.0, 0.6, 0.5, 0.45, 0.42, 0.4], "at_risk": [100, 60, 50, 45, 42, 40],
        "events": [40, 10, 5, 3, 2, None],
    }
)  # fmt: skip
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def journeys():
    log = ek.simulate(users=60, seed=1)
    return ek.rollup(log.events, log.definition, users=log.users)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit_sbg([100, math.nan, 60, 50]), "missing or negative"),
        (lambda: fit_sbg([100, -5, 60, 50]), "missing or negative"),
        (lambda: fit_sbg([100, None, 60, 50]), "missing or negative"),
        (lambda: fit_sbg([100, "80", 60, 50]), "missing or negative"),
        (lambda: fit_sbg([100, 60, 70, 50]), "active rises"),
        (lambda: fit_sbg([100, 60, 50]), "takes at least 4"),
        (lambda: ek.flattening(CURVE, periods=0), "whole number of at least 1"),
        (lambda: ek.flattening(CURVE, periods=True), "whole number of at least 1"),
        (lambda: ek.flattening(CURVE, below=1.0), "share between 0 and 1"),
        (lambda: ek.flattening(CURVE, periods=0, below=0), "2 faults"),
        (lambda: ek.flattening(CURVE, below="1%"), "share between 0 and 1"),
        (lambda: ek.flattening(None), "The curve is a NoneType"),
        (lambda: ek.project_curve([1.0, 0.5], periods=3), "The curve is a list"),
        (lambda: ek.project_curve(CURVE, periods=0), "whole number of at least 1"),
        (lambda: ek.project_curve(CURVE.head(3), periods=4), "3 known points"),
        (lambda: ek.project_curve(CURVE.with_columns(pl.col("time") + 1), periods=4), "even steps"),
        (lambda: ek.project_curve(CURVE.with_columns(time=pl.Series([0, 7, 14, 21, 28, 36])), periods=4), "even steps"),
        (lambda: ek.project_curve(CURVE.with_columns(survival=pl.Series([1.0, 0.6, 0.5, 0.55, 0.42, 0.4])), periods=4), "rises"),
        (lambda: ek.project_curve(CURVE.with_columns(events=pl.Series([40, None, 5, 3, 2, None])), periods=4), "lacks the number of events"),
        (lambda: ek.project_curve(CURVE.drop("events"), periods=4), "events"),
        (lambda: kaplan_meier(["a"], [1]), "it takes numbers"),
        (lambda: kaplan_meier([1.0, -1.0], [1, 0]), "missing or negative"),
        (lambda: kaplan_meier([1.0], ["yes"]), "True or False"),
        (lambda: kaplan_meier([1.0], [2]), "other than True and False"),
        (lambda: kaplan_meier([1.0, 2.0], [1]), "give one of each"),
        (lambda: log_rank([([1.0], [1])]), "two or more"),
        (lambda: rmst([1.0], [1], tau=0), "above 0"),
        (lambda: rmst([1.0], [1], tau=math.nan), "above 0"),
        (lambda: ek.simulate(cadence_days=0), "cadence_days must lie above 0"),
        (lambda: ek.simulate(mix="balnced"), "Did you mean 'balanced'"),
        (lambda: ek.simulate(mix=5), "takes a name, weights or pass rates"),
    ],
)  # fmt: skip
def test_each_refusal_says_why(call, words):
    with pytest.raises(EngagekitError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda j: ek.survival(j, quiet_days=28, period="fortnight"), "it takes 'day'"),
        (lambda j: ek.compare_survival(j, quiet_days=28, by="plan", until=0), "at least 1"),
        (lambda j: ek.survival(j, quiet_days=28, by="plann"), "Did you mean 'plan'"),
        (lambda j: ek.survival(j, quiet_days=0, by="plann", period="moon"), "3 faults"),
        (lambda j: ek.compare_survival(j, quiet_days=0, by="plann", until=True), "3 faults"),
        (lambda j: ek.cohort_curves(j, by="plann", period="hour", periods=0), "3 faults"),
        (lambda j: ek.cohort_curves(j, by=5), "by is 5; it takes a property"),
        (lambda j: ek.cohort_curves(j.users), "journeys is a DataFrame; it takes what ek.rollup"),
        (lambda j: ek.survival(j.users, quiet_days=7), "journeys is a DataFrame"),
    ],
)
def test_each_refusal_about_journeys_says_why(journeys, call, words):
    with pytest.raises(EngagekitError, match=words):
        call(journeys)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"user_id": ["a"], "event": ["e"], "at": [1]}, "'at' holds Int64; it takes times or dates"),
        ({"user_id": ["a"], "event": [1], "at": [AT]}, "'event' holds Int64; it takes names"),
        ({"user_id": [1.5], "event": ["e"], "at": [AT]}, "'user_id' holds Float64; it takes text"),
        ({"userid": ["a"], "event": ["e"], "at": [AT]}, "no column 'user_id'. Did you mean 'userid'"),
        ({"user_id": [1.5], "event": [1], "at": ["x"]}, "3 faults"),
    ],
)  # fmt: skip
def test_a_frame_that_is_no_log_is_refused(frame, words):
    with pytest.raises(ColumnError, match=words):
        open_log(pl.DataFrame(frame))


def test_a_session_written_elsewhere_is_not_waited_for_forever(tmp_path, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(sessions, "LOCK_SECONDS", 0.05)
    session = Session(tmp_path)
    session.set("a", 1)
    with FileLock(tmp_path / ".session.lock"):
        for write in (
            lambda: session.set("a", 2),
            lambda: session.define(ek.Definition(activation="a", core="b")),
        ):
            with pytest.raises(StoredFileError, match="being written elsewhere"):
                write()
        assert session.get("a") == 1
    session.set("a", 2)
    assert session.get("a") == 2


def test_targets_of_a_session_are_shares_and_none_where_untouched(tmp_path):
    session = Session(tmp_path)
    assert session.targets() is None
    session.set("targets", {"activation": 35, "habit": 0, "depth": None})
    assert session.targets() == {"activation": 0.35}


def test_a_session_without_a_log_is_about_the_sample(tmp_path):
    assert Session(tmp_path).events().collect_schema() == ek.load_sample().events.collect_schema()


@pytest.mark.parametrize("levels", [51, 900, 5000])
def test_what_is_nested_too_deeply_is_not_written(tmp_path, levels):
    session = Session(tmp_path)
    session.set("kept", nested(50))
    with pytest.raises(EngagekitError, match="cannot be stored"):
        session.set("deep", nested(levels))
    assert session.part("controls") == {"kept": nested(50)}


def nested(levels: int) -> list:
    made: list = []
    for _ in range(levels - 1):
        made = [made]
    return made


EVENTS = pl.DataFrame(
    {"user_id": [1, 2], "event": ["join", "make"], "at": [AT, AT], "plan": ["a", "b"]}
)
MAKE = ek.Definition(signup="join", activation="make", core="make")


@pytest.mark.parametrize("given", [{"core": "make"}, None, 3, ["make"]])
@pytest.mark.parametrize(
    "ask",
    [
        lambda d: ek.rollup(EVENTS, d),
        lambda d: ek.rollup_sql(d, dialect="duckdb"),
        lambda d: ek.prepare_events(EVENTS, "never made", definition=d or 0),
        lambda d: ek.scan_events(EVENTS, definition=d or 0),
        lambda d: ek.check_events(EVENTS, d or 0),
    ],
)
def test_what_is_no_definition_is_refused_everywhere(ask, given):
    with pytest.raises(EngagekitError, match=r"definition is a \w+; it takes an ek\.Definition or the path of its TOML file"):  # fmt: skip
        ask(given)
    with pytest.raises(EngagekitError, match="There is no definition file 'gone"):
        ask("gone.toml")


@pytest.mark.parametrize("by", ["*", "", "^p.*$", ["*"], ["plan", "*"]])
def test_what_is_no_column_splits_no_log(by):
    for ask in (
        lambda: ek.retention(EVENTS, start="join", back="make", by=by),
        lambda: ek.funnel(EVENTS, ["join", "make"], by=by),
    ):
        with pytest.raises(EngagekitError, match=r"no column '(\*|\^p\.\*\$)?'|by"):
            ask()
