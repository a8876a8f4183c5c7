"""Lifecycle, stickiness, usage interval and engagement matrix: literal cases, and a plain oracle on small random logs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import oracle_rhythm
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import engagekit as ek
from engagekit.errors import ColumnError, EngagekitError, EventLogError, ParameterError

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday


def days_of(**users) -> pl.DataFrame:
    """Read ``a="1 2 5"``: on which days of January 2026 each user did it, at noon."""
    rows = [
        (user, "visit", datetime(2026, 1, int(day), 12, tzinfo=UTC))
        for user, text in users.items()
        for day in text.split()
    ]
    schema = {"user_id": pl.String, "event": pl.String, "at": pl.Datetime("us", "UTC")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def states(log, **asked):
    found = ek.lifecycle(log, **{"period": "day"} | asked)
    return {row[0].day: row[1:6] for row in found.rows()}


def test_states_add_up():
    log = days_of(a="1 2 5", b="2", c="5 6")
    assert states(log, as_of="2026-01-08") == {
        1: (1, 0, 0, 0, 1),
        2: (1, 1, 0, 0, 2),
        3: (0, 0, 0, 2, 0),  # a and b were there the day before
        4: (0, 0, 0, 0, 0),  # an empty day is a row
        5: (1, 0, 1, 0, 2),
        6: (0, 1, 0, 1, 1),
        7: (0, 0, 0, 1, 0),
    }
    found = ek.lifecycle(log, period="day", as_of="2026-01-08")
    assert found["pulse"].to_list() == [None, None, 0.0, None, None, 0.0, 0.0]
    assert found["complete"].all()


def test_what_happened_before_since_still_decides():
    log = days_of(a="1 2 5", b="2", c="5 6")
    assert states(log, since="2026-01-05", as_of="2026-01-07") == {
        5: (1, 0, 1, 0, 2),
        6: (0, 1, 0, 1, 1),
    }
    assert states(log, since="2026-01-03", as_of="2026-01-04") == {3: (0, 0, 0, 2, 0)}
    # since is floored to its period
    weekly = ek.lifecycle(log, since="2026-01-07", as_of="2026-01-12")
    assert weekly["period_start"].to_list() == [date(2026, 1, 5)]
    assert weekly.row(0)[1:6] == (1, 0 + 1, 0, 1, 2)


def test_an_unfinished_period_says_so():
    found = ek.lifecycle(days_of(a="1", b="9"))
    assert found["period_start"].to_list() == [date(2025, 12, 29), date(2026, 1, 5)]
    assert found["complete"].to_list() == [True, False]
    assert ek.lifecycle(days_of(a="1"), as_of="2026-01-05")["complete"].to_list() == [True]
    assert ek.lifecycle(days_of(a="1"), as_of="2026-01-04T23:59:59.999999")[
        "complete"
    ].to_list() == [False]


def test_pulse_is_users_won_over_users_lost():
    log = days_of(a="1", b="1", c="2", d="2", e="2", f="2 4 5", g="4")
    # On day 3 four are lost; on day 4 one comes back and one is new while nobody was there the day before.
    found = ek.lifecycle(log, period="day", as_of="2026-01-06")
    assert found["pulse"].to_list() == [None, 2.0, 0.0, None, 0.0]


def test_months_and_sundays():
    log = days_of(a="1 31").vstack(days_of(a="4").with_columns(pl.col("at").dt.offset_by("1mo")))
    assert ek.lifecycle(log, period="month")["period_start"].to_list() == [
        date(2026, 1, 1),
        date(2026, 2, 1),
    ]
    sundays = ek.lifecycle(days_of(a="3 4"), week_start="sunday")
    assert sundays["period_start"].to_list() == [date(2025, 12, 28), date(2026, 1, 4)]
    hours = ek.lifecycle(days_of(a="1"), period="hour", since="2026-01-01T10:30")
    assert hours["period_start"].to_list() == [datetime(2026, 1, 1, h) for h in (10, 11, 12)]
    assert hours["new"].to_list() == [0, 0, 1]


def test_matchers_choose_what_makes_active():
    log = days_of(a="1 2 3").with_columns(
        event=pl.Series(["x", "y", "x"]), paid=pl.Series([1, 2, 3])
    )
    for event, active in (
        ("x", [1, 0, 1]),
        (["x", "y"], [1, 1, 1]),
        (ek.Match("x", paid=3), [1]),
        (pl.col("paid") > 1, [1, 1]),
    ):
        assert ek.lifecycle(log, event=event, period="day")["active"].to_list() == active


def test_stickiness_counts_intervals():
    log = days_of(a="1 1 2 3", b="3 3 3", c="4")
    assert ek.stickiness(log).to_dict(as_series=False) == {
        "intervals": [1, 2, 3, 4],
        "users": [2, 0, 1, 0],
        "share": [2 / 3, 0, 1 / 3, 0],
        "of": [3] * 4,
        "low": pytest.approx([ek.intervals.wilson(n, 3)[0] for n in (2, 0, 1, 0)]),
        "high": pytest.approx([ek.intervals.wilson(n, 3)[1] for n in (2, 0, 1, 0)]),
    }
    assert ek.stickiness(log, cumulative=True)["users"].to_list() == [3, 1, 1, 0]
    assert ek.stickiness(log, at_least=2)["users"].to_list() == [
        2,
        0,
        0,
        0,
    ]  # a's first day and b's only one
    assert ek.stickiness(log, at_most=2)["users"].to_list() == [1, 0, 1, 0]
    assert ek.stickiness(log, at_least=2, at_most=2)["users"].to_list() == [1, 0, 0, 0]
    assert ek.stickiness(log, group=3)["users"].to_list() == [3, 0]  # days 1 to 3, and 4
    assert ek.stickiness(log, group=2)["users"].to_list() == [2, 1]
    assert ek.stickiness(log, since="2026-01-03")["users"].to_list() == [3, 0]
    assert ek.stickiness(log, since="2026-01-02", group=2)["users"].to_list() == [3, 0]
    assert ek.stickiness(log, as_of="2026-01-03")["users"].to_list() == [0, 1]
    assert ek.stickiness(log, at_least=9)["share"].to_list() == [None] * 4


@pytest.mark.parametrize("users", [5, 10, 49])
def test_shares_are_exact(users):
    log = days_of(**{f"u{k}": "1 2 3"[: 1 + 2 * (k % 3)] for k in range(users)})
    for cumulative in (False, True):
        found = ek.stickiness(log, cumulative=cumulative)
        assert found["share"].to_list() == [n / users for n in found["users"]]


def test_the_power_user_curve():
    rows = [(u, "visit", BEGIN + timedelta(days=d)) for u in range(1, 29) for d in range(u)]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    found = ek.stickiness(log, since=BEGIN, as_of=BEGIN + timedelta(days=28))
    assert found["intervals"].to_list() == list(range(1, 29))
    assert found["users"].to_list() == [1] * 28


def test_logs_of_days():
    log = pl.DataFrame(
        {
            "user_id": [1, 1, 2],
            "event": "visit",
            "at": [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 1)],
        }
    )
    # A log of dates has only its own days, wherever the reader is.
    assert states(log, timezone="America/New_York") == {1: (2, 0, 0, 0, 2), 2: (0, 1, 0, 1, 1)}
    assert ek.lifecycle(log, period="day")["complete"].to_list() == [True, True]
    assert ek.stickiness(log, timezone="Asia/Tokyo")["users"].to_list() == [1, 1]
    with pytest.raises(ParameterError, match="only knows days"):
        ek.lifecycle(log, period="hour")


@pytest.mark.parametrize(
    ("function", "asked", "words"),
    [
        ("lifecycle", {"period": "weekly"}, ["period is 'weekly'", "Did you mean 'week'"]),
        ("lifecycle", {"timezone": "Berlin"}, ["timezone is 'Berlin'"]),
        ("lifecycle", {"week_start": "freitag", "period": "x", "timezone": "y"}, ["3 faults"]),
        ("lifecycle", {"event": 3}, ["event", "names no event"]),
        ("lifecycle", {"event": "visits"}, ["no event is named 'visits'", "Did you mean 'visit'"]),
        ("lifecycle", {"event": ek.Match("visit", pln=1)}, ["no column 'pln'"]),
        ("lifecycle", {"event": pl.col("evnt") == "visit"}, ["no column 'evnt'"]),
        ("lifecycle", {"event": pl.col("event")}, ["true or false"]),
        ("lifecycle", {"since": "2026-02-01"}, ["since is 2026-02-01", "data end"]),
        ("lifecycle", {"since": "soon"}, ["since is 'soon'"]),
        (
            "lifecycle",
            {"since": "soon", "as_of": 5, "timezone": "Berlin"},
            ["3 faults", "as_of is 5"],
        ),
        (
            "stickiness",
            {"since": "soon", "as_of": "later", "group": 0},
            ["3 faults", "as_of is 'later'"],
        ),
        ("stickiness", {"group": 0}, ["group is 0"]),
        ("stickiness", {"group": True}, ["group is True"]),
        ("stickiness", {"at_least": 0}, ["at_least is 0"]),
        ("stickiness", {"at_least": 3, "at_most": 2}, ["at_most is 2, less than at_least, 3"]),
        ("stickiness", {"at_most": 1.5, "group": "a", "period": "b"}, ["3 faults"]),
    ],
)
def test_what_means_nothing_is_refused(function, asked, words):
    with pytest.raises(EngagekitError) as error:
        getattr(ek, function)(days_of(a="1 2"), **asked)
    assert [word for word in words if word not in str(error.value)] == []
    assert isinstance(error.value, ParameterError | ColumnError)


def test_empty_logs():
    empty = days_of()
    with pytest.raises(EventLogError, match="no events"):
        ek.lifecycle(empty)
    assert ek.lifecycle(empty, as_of="2026-01-01").height == 0
    assert ek.lifecycle(empty, as_of="2026-01-15", since="2026-01-06")["active"].to_list() == [0, 0]
    assert ek.stickiness(empty, as_of="2026-01-01").height == 0
    assert ek.stickiness(empty, as_of="2026-01-08", since="2026-01-06")["users"].to_list() == [0, 0]
    assert ek.lifecycle(days_of(a="1"), event="other", missing="allow").height == 0
    assert ek.lifecycle(empty, as_of="2026-01-01", people=True).height == 0


# --- the oracle ---

# Around both changes of the clocks: Berlin, and Havana and Cairo, where they change at midnight.
PLACES = {
    "UTC": (datetime(2026, 2, 20, tzinfo=UTC),),
    "Europe/Berlin": (datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)),
    "America/Havana": (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC)),
    "Africa/Cairo": (datetime(2026, 4, 23, tzinfo=UTC), datetime(2026, 10, 29, tzinfo=UTC)),
}
SPANS = {"hour": 24, "day": 8 * 24, "week": 6 * 7 * 24, "month": 100 * 24, "quarter": 300 * 24}


@st.composite
def asked_rhythms(draw):
    timezone = draw(st.sampled_from(sorted(PLACES)))
    begin = draw(st.sampled_from(PLACES[timezone]))
    period = draw(st.sampled_from(sorted(SPANS)))
    # Times at half hours: starts of periods in every zone are among them.
    moment = st.integers(0, 2 * SPANS[period]).map(
        lambda half: begin + timedelta(minutes=30 * half)
    )
    events = draw(st.lists(st.tuples(st.integers(0, 2), moment), max_size=14))
    as_of = draw(moment)
    since = draw(st.one_of(st.none(), moment))
    asked = {
        "period": period,
        "timezone": timezone,
        "week_start": draw(st.sampled_from(["monday", "sunday", "wednesday", "saturday"])),
        "since": since,
        "as_of": as_of,
    }
    return events, asked


def frame_of(events):
    schema = {"user_id": pl.Int64, "at": pl.Datetime("us", "UTC")}
    return pl.DataFrame(events, schema=schema, orient="row").with_columns(event=pl.lit("visit"))


def since_is_late(asked):
    rows, _ = oracle_rhythm.rows_of([], **asked)
    return asked["since"] is not None and not rows


def check_lifecycle(events, asked):
    log = frame_of(events)
    if since_is_late(asked):
        with pytest.raises(ParameterError, match="data end"):
            ek.lifecycle(log, **asked)
        return
    expected = oracle_rhythm.lifecycle(events, **asked)
    found = ek.lifecycle(log, **asked)
    names = oracle_rhythm.STATES
    assert [(r["period_start"], *[r[s] for s in names]) for r in found.to_dicts()] == [
        (start, *[len(users[s]) for s in names]) for start, users in expected.items()
    ]
    assert found["active"].to_list() == [
        sum(len(u[s]) for s in names[:3]) for u in expected.values()
    ]
    over = [
        oracle_rhythm.is_over(s, asked["period"], asked["timezone"], asked["as_of"])
        for s in expected
    ]
    assert found["complete"].to_list() == over
    people = ek.lifecycle(log, **asked, people=True)
    listed = {(start, s, u) for start, users in expected.items() for s in names for u in users[s]}
    assert len(people) == len(listed)
    assert set(people.rows()) == listed


def check_stickiness(events, asked, more):
    log = frame_of(events)
    if since_is_late(asked):
        with pytest.raises(ParameterError, match="data end"):
            ek.stickiness(log, **asked, **more)
        return
    expected = oracle_rhythm.stickiness(events, **asked, **more)
    found = ek.stickiness(log, **asked, **more)
    assert dict(found.select("intervals", "users").rows()) == {
        k: len(u) for k, u in expected.items()
    }
    everyone = set().union(*expected.values())
    assert found["share"].to_list() == [
        len(u) / len(everyone) if everyone else None for u in expected.values()
    ]
    people = ek.stickiness(log, **asked, **more, people=True)
    assert sorted(people.rows()) == sorted((k, u) for k, users in expected.items() for u in users)


bounds = st.fixed_dictionaries(
    {
        "group": st.integers(1, 3),
        "at_least": st.sampled_from([None, 1, 2]),
        "at_most": st.sampled_from([None, 2, 3]),
        "cumulative": st.booleans(),
    }
)


@pytest.mark.thorough
@settings(max_examples=120)
@given(asked_rhythms())
def test_lifecycle_agrees_with_the_oracle(asked_rhythm):
    check_lifecycle(*asked_rhythm)


@pytest.mark.thorough
@settings(max_examples=80)
@given(asked_rhythms(), bounds)
def test_stickiness_agrees_with_the_oracle(asked_rhythm, more):
    check_stickiness(*asked_rhythm, more)


@pytest.mark.slow
@settings(max_examples=1500)
@given(asked_rhythms(), bounds)
def test_both_agree_with_the_oracle_widely(asked_rhythm, more):
    check_lifecycle(*asked_rhythm)
    check_stickiness(*asked_rhythm, more)


@settings(max_examples=25)
@given(asked_rhythms(), st.integers(-3, 3))
def test_whole_weeks_change_nothing_in_utc(asked_rhythm, weeks):
    events, asked = asked_rhythm
    shift = timedelta(weeks=weeks)
    asked |= {
        "timezone": "UTC",
        "period": "week" if asked["period"] in {"month", "quarter"} else asked["period"],
        "since": None,
    }
    moved = asked | {"as_of": asked["as_of"] + shift}
    here = ek.lifecycle(frame_of(events), **asked)
    there = ek.lifecycle(frame_of([(u, at + shift) for u, at in events]), **moved)
    assert_frame_equal(here.with_columns(pl.col("period_start") + shift), there)


# --- from journeys ---


def journeys_of(log, **definition):
    defined = {"signup": "join", "activation": "edit", "core": "edit"} | definition
    return ek.rollup(log, ek.Definition(**defined), as_of="2026-03-01", missing="allow")


def events_of(text):
    """Read ``"a join 1, a edit 2"``: user, event, day of January 2026."""
    rows = [(u, e, date(2026, 1, int(d))) for u, e, d in (word.split() for word in text.split(","))]
    return pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")


@pytest.mark.parametrize("name", ["usage_interval", "engagement_matrix", "step_drop_off"])
def test_a_log_is_no_journeys(name):
    with pytest.raises(ParameterError, match=r"journeys is a DataFrame; it takes what ek\.rollup"):
        getattr(ek, name)(days_of(a="1 2"))


def test_usage_interval():
    core = {"a": [1, 2, 3, 9], "b": [1, 5], "c": [1, 3, 6], "d": [4], "e": [1, 1, 8]}
    log = events_of(
        ",".join(
            [f"{u} join 1" for u in core]
            + [f"{u} edit {d}" for u, days in core.items() for d in days]
        )
    )
    journeys = journeys_of(log)
    # Own intervals: a 1 (gaps 1, 1, 6: those of one day hold a quarter of eight), b 4, c 2 (2, 3), e 7; d came once.
    found = ek.usage_interval(journeys)
    assert found.select("days", "n", "of").rows() == [
        (1, 1, 4),
        (2, 2, 4),
        (3, 2, 4),
        (4, 3, 4),
        (5, 3, 4),
        (6, 3, 4),
        (7, 4, 4),
    ]
    assert found["rate"].to_list() == [n / 4 for n in found["n"]]
    assert found["usage_interval_days"].unique().to_list() == [pytest.approx(4 + 0.4 * 3)]
    assert journeys.definition.usage_interval_days == pytest.approx(5.2)
    people = ek.usage_interval(journeys, people=True)
    assert people.rows() == [("a", 1, 4), ("b", 4, 2), ("c", 2, 3), ("e", 7, 2)]
    five = events_of(
        ",".join(f"{u} join 1,{u} edit 1,{u} edit {2 + k}" for k, u in enumerate("fghij"))
    )
    assert ek.usage_interval(journeys_of(five))["rate"].to_list() == [0.2, 0.4, 0.6, 0.8, 1.0]
    nobody = ek.usage_interval(journeys.where(users=pl.col("user_id") == "d"))
    assert nobody.height == 0
    assert nobody.schema == found.schema


def test_engagement_matrix():
    log = events_of(
        "a join 1, b join 1, c join 1, d join 1, a edit 2, a edit 3, a edit 4, b edit 3, c edit 1, a share 1, a share 2, b help 9, b edit 25"
    )
    late = pl.DataFrame(
        {"user_id": ["z"] * 2, "event": ["join", "help"], "at": [date(2026, 2, 25)] * 2}
    )
    journeys = journeys_of(pl.concat([log, late]))
    found = ek.engagement_matrix(journeys)
    # z's first fourteen days are not over; b's edit of day 24 is not in them.
    assert found.select("event", "n", "of", "days", "times", "quadrant").rows() == [
        ("join", 4, 4, 1.0, 1.0, "many, rarely"),
        ("edit", 3, 4, pytest.approx(5 / 3), pytest.approx(5 / 3), "many, often"),
        ("help", 1, 4, 1.0, 1.0, "few, rarely"),
        ("share", 1, 4, 2.0, 2.0, "few, often"),
    ]
    assert found["median_rate"].unique().to_list() == [0.5]
    assert found["median_days"].unique().to_list() == [pytest.approx(4 / 3)]
    people = ek.engagement_matrix(journeys, people=True)
    assert dict(people.group_by("event").len().rows()) == dict(found.select("event", "n").rows())
    assert people.filter(event="edit").select("user_id", "days", "times").rows() == [
        ("a", 3, 3),
        ("b", 1, 1),
        ("c", 1, 1),
    ]
    assert ek.engagement_matrix(journeys.at("2026-01-10")).height == 0


def test_step_drop_off():
    steps = [
        ek.Step("Connect", "open", "done"),
        ek.Step("Invite", "ask"),
        ek.Step("Build", None, "built"),
        ek.Step("Rest", "rest", "rested"),
    ]
    words = [f"u{k} join 1" for k in range(60)]
    words += [f"u{k} open 2" for k in range(60)] + [f"u{k} done 3" for k in range(20)]
    words += [f"u{k} ask 4" for k in range(20)] + [f"u{k} built 5" for k in range(19)]
    log = events_of(",".join(words))
    late = pl.DataFrame(
        {"user_id": ["z"] * 2, "event": ["join", "open"], "at": [date(2026, 2, 25)] * 2}
    )
    journeys = journeys_of(pl.concat([log, late]), steps=steps)
    found = ek.step_drop_off(journeys)
    assert found.select("step", "position", "n", "of", "hot", "too_early").rows() == [
        ("Connect", 0, 40, 60, True, 1),
        ("Invite", 1, 0, 20, False, 0),  # completed by reaching it
        ("Build", 2, 1, 20, False, 0),  # reached by completing the step before
        ("Rest", 3, 0, 0, False, 0),
    ]
    assert found["rate"].to_list() == [pytest.approx(2 / 3), 0.0, 0.05, None]
    assert found["low"][0] == pytest.approx(ek.intervals.wilson(40, 60)[0])
    people = ek.step_drop_off(journeys, people=True)
    assert people["user_id"].to_list() == [*sorted(f"u{k}" for k in range(20, 60)), "u19"]
    assert people["step"].to_list() == ["Connect"] * 40 + ["Build"]
    lazy = ek.Journeys(
        **{f: getattr(journeys, f) for f in journeys.__dataclass_fields__}
        | {t: getattr(journeys, t).lazy() for t in ("users", "steps", "early", "days")}
    )
    assert_frame_equal(ek.step_drop_off(lazy), found)
    assert_frame_equal(ek.usage_interval(lazy), ek.usage_interval(journeys))
    assert_frame_equal(ek.engagement_matrix(lazy), ek.engagement_matrix(journeys))
    assert ek.step_drop_off(journeys_of(log)).height == 0


def test_a_single_step_is_never_hot():
    log = events_of("a join 1, a open 2")
    assert ek.step_drop_off(journeys_of(log, steps=[ek.Step("One", "open", "done")]))[
        "hot"
    ].to_list() == [False]
