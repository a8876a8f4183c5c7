"""The ten metrics, against plain Python over the same events, published medians and small cases."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_edges import body
from oracle_metrics import metrics_of
from scipy.stats import chi2

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.intervals import wilson
from engagekit.measures.rows import around, medians_of, rare_events
from engagekit.measures.ten_metrics import BESIDE, MEASURES
from engagekit.playbook.plays import METRICS
from engagekit.views.metrics_table import metrics as metrics_sheet

EVENTS = [
    "join",
    "open1",
    "done1",
    "open2",
    "first",
    "core",
    "core2",
    "adv1",
    "adv2",
    "mail",
    "ask",
    "give",
    "err",
    "help",
    "tell",
]
SCHEMA = {"user_id": pl.Int64, "event": pl.String, "at": pl.Datetime("us", "UTC")}
START = datetime(2026, 2, 20, tzinfo=UTC)


def definition(**changes):
    usual = {
        "signup": "join",
        "activation": "first",
        "core": ["core", "core2"],
        "steps": [
            ek.Step("One", "open1", "done1"),
            ek.Step("Two", "open2"),
            ek.Step("Three", None, "first"),
        ],
        "advanced": ["adv1", "adv2"],
        "advocacy": ["tell"],
        "feedback_asked": "ask",
        "feedback_given": "give",
        "outreach": "mail",
        "errors": "err",
        "support": "help",
        "activation_days": 10,
        "habit_days": 5,
        "depth_days": 30,
        "depth_within_days": 9,
        "usage_interval_days": 3.0,
        "outcome_days": (28, 42),
        "recent_days": 20,
    }
    return ek.Definition(**usual | changes)


def log_of(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


STAYS = [("post-return retention", reading) for reading in ("of those not contacted", "difference")]


def answers(table):
    """Counts where there are some, else the value; what plain Python does not compute again is left out."""
    found = {}
    for row in table.iter_rows(named=True):
        counts = None if row["of"] is None else (row["n"], row["of"])
        told = counts if row["of"] is None or row["n"] is not None else row["value"]
        found[row["metric"], row["reading"]] = told
    return {key: told for key, told in found.items() if key not in STAYS}


def agree(found, expected):
    assert found.keys() == expected.keys()
    for key, told in expected.items():
        assert found[key] == (pytest.approx(told) if isinstance(told, float) else told), key


@st.composite
def logs(draw):
    """Few users, many events on a grid of 6 hours, so that windows, midnights and ties are hit often."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    rows = []
    for user in range(rng.randint(1, 5)):
        joined = rng.randint(0, 200)
        rows.append((user, "join", START + timedelta(hours=6 * joined)))
        for _ in range(rng.randint(0, 40)):
            at = START + timedelta(hours=6 * max(0, joined + rng.randint(-8, 240)))
            rows.append((user, rng.choice(EVENTS[1:]), at))
    rng.shuffle(rows)
    return (
        rows,
        START + timedelta(hours=6 * rng.randint(200, 460)),
        rng.choice(["UTC", "America/New_York", "Asia/Kolkata"]),
    )


def counted(rows, as_of):
    """Leave out the stray events in front of the log; those behind it `as_of` vouches for."""
    inside, _, _ = body([(user, at) for user, _, at in rows if at < as_of])
    start = min(at for _, at in inside)
    return [row for row in rows if row[2] >= start]


@pytest.mark.thorough
@given(logs())
@settings(max_examples=30)
def test_every_count_is_what_the_raw_events_say(case):
    rows, as_of, timezone = case
    chosen = definition(timezone=timezone)
    journeys = ek.rollup(log_of(rows), chosen, as_of=as_of, missing="allow")
    agree(answers(ek.metrics(journeys)), metrics_of(counted(rows, as_of), chosen, as_of))
    agree(
        answers(ek.metrics(journeys, recent=None)),
        metrics_of(counted(rows, as_of), chosen, as_of, recent=None),
    )


@pytest.mark.thorough
@given(logs(), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_sign_ups_before_the_log_count_where_it_can_judge_them(case, rng):
    rows, as_of, timezone = case
    chosen = definition(timezone=timezone)
    start = min(at for _, _, at in counted(rows, as_of))
    given_ = {
        u: start - timedelta(days=rng.choice([0, 1, 9, 40])) for u in range(9) if rng.random() < 0.5
    }
    people = pl.DataFrame(
        {"user_id": list(given_), "signed_up_at": list(given_.values())},
        schema={"user_id": pl.Int64, "signed_up_at": SCHEMA["at"]},
    )
    journeys = ek.rollup(log_of(rows), chosen, users=people, as_of=as_of, missing="allow")
    agree(
        answers(ek.metrics(journeys)), metrics_of(counted(rows, as_of), chosen, as_of, given=given_)
    )


@given(logs())
@settings(max_examples=15)
def test_so_it_is_with_little_defined(case):
    rows, as_of, timezone = case
    bare = definition(
        timezone=timezone, steps=[], advanced=[], advocacy=[], feedback_asked=None, feedback_given=None,
        outreach=None, errors=None, support=None, habit_days=7,
    )  # fmt: skip
    found = ek.metrics(ek.rollup(log_of(rows), bare, as_of=as_of, missing="allow"))
    agree(answers(found), metrics_of(counted(rows, as_of), bare, as_of))
    lacking = found.filter(pl.col("of").is_null())
    assert lacking["note"].null_count() == 0
    assert lacking["value"].null_count() == lacking.height


@pytest.mark.thorough
@given(logs())
@settings(max_examples=8)
def test_groups_are_what_each_group_alone_would_give(case):
    rows, as_of, timezone = case
    people = pl.DataFrame(
        {"user_id": range(5), "plan": ["a", "b", None, "a", "b"], "errors": ["x"] * 5}
    )
    journeys = ek.rollup(
        log_of(rows), definition(timezone=timezone), users=people, as_of=as_of, missing="allow"
    )
    found = ek.metrics(journeys, by=["plan", "errors"], recent=None)
    for (plan,), part in found.group_by("plan"):
        mine = journeys.where(users=pl.col("plan").eq_missing(pl.lit(plan)))
        alone = ek.metrics(mine, recent=None)
        # Which sign-ups an answer stands on is said of the whole answer.
        spans = ["since", "until"]
        assert part.drop("plan", "errors", *spans).equals(alone.drop(spans))


def test_simulated_log_agrees_too():
    sim = ek.simulate(
        users=200, seed=3, outreach=True, feedback=True, errors=True, timezone="Europe/Berlin"
    )
    journeys = ek.rollup(sim.events, sim.definition, as_of=sim.as_of)
    rows = sim.events.select("user_id", "event", "at").rows()
    agree(answers(ek.metrics(journeys)), metrics_of(rows, journeys.definition, sim.as_of))


def test_journeys_on_disk_and_at_an_earlier_instant_answer_alike(tmp_path):
    sim = ek.simulate(users=300, seed=4, outreach=True, feedback=True, errors=True)
    journeys = ek.rollup(sim.events, sim.definition, as_of=sim.as_of)
    journeys.save(tmp_path)
    assert ek.metrics(ek.Journeys.load(tmp_path, lazy=True)).equals(ek.metrics(journeys))
    # At a midnight no day is cut in two, so counts are exact as well.
    earlier = datetime(2025, 11, 1, tzinfo=UTC)
    then = ek.rollup(sim.events, journeys.definition, as_of=earlier)
    assert ek.metrics(journeys.at(earlier)).equals(ek.metrics(then))


def row(table, metric, reading=None):
    found = table.filter(pl.col("metric") == metric)
    return (found if reading is None else found.filter(reading=reading)).row(0, named=True)


def small(rows, as_of, **changes):
    day0 = datetime(2026, 1, 1, tzinfo=UTC)
    log = log_of([(u, e, day0 + timedelta(days=d)) for u, e, d in rows])
    return ek.metrics(
        ek.rollup(log, definition(**changes), as_of=day0 + timedelta(days=as_of), missing="allow")
    )


def test_shape_and_order():
    table = small([(1, "join", 0)], 30)
    assert dict(table.schema) == MEASURES
    names = table["metric"].unique(maintain_order=True).to_list()
    assert names == [m.name for m in METRICS] + list(BESIDE)
    supported = {m.name: (m.link, m.play) for m in METRICS} | BESIDE
    assert [
        r for r in table.select("metric", "link", "play").rows() if supported[r[0]] != r[1:]
    ] == []


MEDIAN = "median of those who activate within 10 days"


def test_time_to_value_is_the_median_of_those_who_activate_in_time():
    # Delays 1, 2 and 9 days; one never, one too late, and one whose window is not over.
    rows = [(u, "join", 0) for u in range(1, 6)] + [(6, "join", 55)]
    rows += [(1, "first", 1), (2, "first", 2), (3, "first", 9), (5, "first", 10), (6, "first", 56)]
    median = row(small(rows, 60, recent_days=91), "time to value", MEDIAN)
    assert (median["n"], median["of"], median["value"], median["unit"]) == (3, 5, 2.0, "days")
    assert (median["low"], median["high"]) == (None, None)  # three say nothing at 95 %
    assert median["note"].startswith("1 of 4 activations come after")


def test_time_to_value_has_a_number_where_few_activate():
    """The average product activates a third of its sign-ups; over all of them there is no median."""
    rows = [(u, "join", 0) for u in range(30)] + [(u, "first", 1 + u) for u in range(9)]
    median = row(small(rows, 60), "time to value", MEDIAN)
    assert (median["n"], median["of"], median["value"]) == (9, 30, 5.0)
    # By ranks: P(Binomial(9, 1/2) < 2) = 10/512 = .0195, P(< 3) = .09; so from the second to the second last.
    assert (median["low"], median["high"]) == (2.0, 8.0)
    none = row(small(rows[:30], 60), "time to value", MEDIAN)
    assert (none["n"], none["of"], none["value"]) == (0, 30, None)
    assert none["note"] == "No user is known to have activated in time yet."


@pytest.mark.thorough
def test_time_to_value_is_the_same_to_the_last_digit_alone_and_among_others():
    for hours in (5, 7, 10, 24, 127, 239):
        rows = [(u, e, d) for u in range(3) for e, d in (("join", 0), ("first", hours / 24))]
        found = row(small(rows, 60), "time to value")
        assert found["value"] == row(small(rows[:2], 60), "time to value")["value"] == hours / 24


def test_late_activations_raise_a_warning():
    rows = [(u, "join", 0) for u in range(4)] + [(0, "first", 1), (1, "first", 2), (2, "first", 12)]
    assert "1 of 3 activations" in row(small(rows, 60), "time to value", MEDIAN)["note"]
    assert row(small(rows, 60, activation_days=13), "time to value")["note"] is None


@pytest.mark.parametrize("n", [6, 9, 40, 201])
def test_the_interval_of_a_median_holds_in_95_of_100_cases(n):
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(1500), n)
    _, low, high = medians_of(rng.exponential(1.0, 1500 * n), groups, 1500)
    assert ((low <= np.log(2)) & (np.log(2) <= high)).mean() >= 0.94


def test_same_day_repeats_are_no_return():
    rows = [
        (1, "join", 0),
        (1, "first", 1),
        (1, "core", 1.2),
        (2, "join", 0),
        (2, "first", 1),
        (2, "core", 2),
    ]
    found = row(small(rows, 40), "return usage", "within 7 days")
    assert (found["n"], found["of"]) == (1, 2)


def test_one_try_of_each_action_is_no_adoption_and_each_counts_alone():
    rows = [(1, "join", 0), (1, "first", 1), (1, "adv1", 2), (1, "adv2", 3), (1, "adv2", 11)]
    table = small(rows, 60)
    assert row(table, "advanced adoption", "adv1")["n"] == 0
    assert (
        row(table, "advanced adoption", "adv2")["n"] == 1
    )  # days 3 and 11 lie 8 apart, 9 are allowed


def test_silence_is_counted_from_the_last_core_action_and_contact_once():
    rows = [
        (1, "join", 0),
        (1, "first", 1),
        (1, "core", 6),
        (1, "mail", 10),
        (1, "mail", 11),
        (1, "core", 12),
        (1, "core", 20),
    ]
    table = small(rows, 60)
    back, stayed = row(table, "re-engagement"), row(table, "post-return retention")
    assert (back["n"], back["of"]) == (1, 1)  # 5 days of silence are over on day 11, not on day 10
    assert (stayed["n"], stayed["of"]) == (1, 1)  # day 20 is the tenth day after the contact
    prompted = row(table, "unprompted share", "returns in the 72 hours after outreach")
    assert (prompted["n"], prompted["of"]) == (1, 3)  # day 12 comes a day after a mail


def test_the_second_mail_of_a_day_can_be_the_one_after_the_silence():
    rows = [(1, "join", 0), (1, "first", 1.5), (1, "mail", 6.2), (1, "mail", 6.7), (1, "core", 9)]
    back = row(small(rows, 60), "re-engagement")
    assert (back["n"], back["of"]) == (1, 1)  # 5 days of silence are over at 6.5


def test_what_cannot_be_seen_yet_is_null():
    table = small([(1, "join", 0)], 5)
    found = row(table, "activation rate")
    assert (found["n"], found["of"], found["value"], found["low"], found["high"]) == (
        0,
        0,
        None,
        None,
        None,
    )
    assert found["note"] == "No user can be judged yet."


def test_shares_carry_wilsons_interval():
    table = small([(u, "join", 0) for u in range(10)] + [(u, "first", 1) for u in range(3)], 60)
    found = row(table, "activation rate")
    assert (found["low"], found["high"]) == wilson(3, 10)


def test_depth_is_a_median_a_mean_and_a_share_of_users_with_two():
    rows = [(u, e, d) for u in range(3) for e, d in (("join", 0), ("first", 1))]
    rows += [(0, "core", 30), (0, "core", 31), (0, "adv1", 31), (1, "core", 32)]
    table = small(rows, 40)
    found = row(table, "engagement depth", "mean, last 28 days")
    assert (found["n"], found["of"], found["value"]) == (4, 2, 2.0)
    # 3 and 1: sd √2, so ± 1.96 · √2/√2
    assert (found["low"], found["high"]) == pytest.approx((2 - 1.959964, 2 + 1.959964))
    assert row(table, "engagement depth", "median, last 28 days")["value"] == 2.0
    two = row(table, "engagement depth", "2 or more, last 28 days")
    assert (two["n"], two["of"], two["value"]) == (1, 2, 0.5)


def test_feedback_counts_within_two_weeks_of_being_asked():
    rows = [(u, e, d) for u in range(5) for e, d in (("join", 0), ("ask", 10))]
    rows += [(0, "give", 10.5), (1, "give", 23.9), (2, "give", 24.1), (3, "give", 9)]
    rows += [(4, "ask", 30), (4, "give", 31)]  # the second time asked
    found = row(small(rows, 60), "feedback participation")
    assert (found["n"], found["of"]) == (2, 5)
    early = row(small(rows, 23), "feedback participation")
    assert (early["n"], early["of"], early["note"]) == (0, 0, "No user can be judged yet.")


def test_shares_stand_on_recent_sign_ups_and_say_which():
    rows = [(u, "join", 0) for u in range(4)] + [(u, "join", 100) for u in range(4, 6)]
    rows += [(u, "first", 1) for u in range(4)]
    # 30 days to go deeper, 20 recent: sign-ups of the last 50 days, from day 140 on back to day 90.
    table = small(rows, 140)
    found = row(table, "activation rate")
    assert (found["n"], found["of"]) == (0, 2)
    assert (found["since"], found["until"]) == (date(2026, 4, 11), date(2026, 4, 11))
    depth = row(table, "engagement depth")
    assert (depth["since"], depth["until"]) == (None, None)
    day0 = datetime(2026, 1, 1, tzinfo=UTC)
    log = log_of([(u, e, day0 + timedelta(days=d)) for u, e, d in rows])
    journeys = ek.rollup(log, definition(), as_of=day0 + timedelta(days=140), missing="allow")
    assert row(ek.metrics(journeys, recent=None), "activation rate")["of"] == 6
    assert row(ek.metrics(journeys, recent=110), "activation rate")["of"] == 6
    with pytest.raises(ParameterError, match="recent is 0"):
        ek.metrics(journeys, recent=0)
    # Where nobody signs up any more, the span ends with the last sign-up.
    ended = ek.metrics(journeys.where(users=pl.col("user_id") < 4))
    assert row(ended, "activation rate")["n"] == 4


def test_who_is_on_the_way_to_activation_is_present_too():
    rows = [(u, "join", 0) for u in range(5)]
    rows += [(0, "err", 50), (1, "open1", 50), (2, "done1", 50), (3, "first", 50)]
    found = row(small(rows, 60), "error rate")
    assert (found["n"], found["of"]) == (1, 4)  # user 4 did nothing in the last 28 days


def test_rates_near_none_carry_poissons_interval():
    rows = [(u, "join", 50) for u in range(100)]
    none = row(small(rows, 60), "error rate")
    assert (none["value"], none["low"]) == (0, 0)
    assert none["high"] == pytest.approx(chi2.ppf(0.975, 2) / 200)  # 3.69 events in 100 users
    some = row(small(rows + [(u, "err", 55) for u in range(5)], 60), "error rate")
    exact = chi2.ppf(0.025, 10) / 200, chi2.ppf(0.975, 12) / 200
    assert (some["low"], some["high"]) == pytest.approx(exact)
    # Five errors of one user tell about one user: their variance is five times their mean.
    alike = row(small(rows + [(1, "err", 55)] * 5, 60), "error rate")
    assert (alike["low"], alike["high"]) == pytest.approx(
        (chi2.ppf(0.025, 2) / 40, chi2.ppf(0.975, 4) / 40)
    )


def test_rates_are_written_finely_enough_to_differ_from_none():
    rows = [(u, "join", 50) for u in range(100)] + [(u, "err", 55) for u in range(3)]
    sheet = {r[0]: r for r in metrics_sheet(small(rows, 60)).rows}
    assert sheet["error rate, last 28 days"][3:] == (
        "3", "100", "0.030 per user", "0.006–0.088",
    )  # fmt: skip


@pytest.mark.parametrize(("rate", "shape"), [(0.05, None), (0.05, 0.5), (0.2, 0.5), (1.0, 2.0)])
def test_intervals_of_rates_hold_in_95_of_100_cases(rate, shape):
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(1000):
        own = rate if shape is None else rng.gamma(shape, rate / shape, 200)
        counts = rng.poisson(own, 200)
        low, high = rare_events(int(counts.sum()), 200, float(counts.var(ddof=1)))
        held += low <= rate <= high
    assert held >= 930


def test_an_advanced_action_that_is_core_too_is_one_action():
    rows = [(1, "join", 0), (1, "first", 1), (1, "core", 30), (1, "core2", 30), (1, "adv1", 31)]
    table = small(rows, 40, advanced=["core2", ek.Match("core"), "adv1"])
    depth = table.filter(pl.col("metric") == "engagement depth")
    # median (no count), mean in all, of core, of advanced, users with two or more
    assert depth["n"].to_list() == [None, 3, 2, 3, 1]


def test_a_log_of_days_works_the_same():
    rows = [
        (1, "join", date(2026, 1, 1)),
        (1, "first", date(2026, 1, 1)),
        (1, "core", date(2026, 1, 3)),
        (1, "mail", date(2026, 1, 3)),
    ]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    table = ek.metrics(
        ek.rollup(log, definition(timezone="Asia/Tokyo"), as_of="2026-03-01", missing="allow")
    )
    assert row(table, "return usage", "within 7 days")["n"] == 1
    # A mail of the same day may have come first: the return counts as one after outreach.
    assert row(table, "unprompted share", "returns in the 72 hours after outreach")["n"] == 1


def test_nobody_at_all():
    journeys = ek.rollup(
        log_of([(1, "join", START)]),
        definition(),
        as_of=START + timedelta(days=40),
        missing="allow",
    )
    empty = ek.metrics(journeys.where(users=pl.lit(value=False)))
    assert dict(empty.schema) == MEASURES
    assert empty["value"].null_count() == empty.height
    assert set(empty["of"].drop_nulls()) == {0}


def test_by_must_be_a_property_and_no_column_of_the_answer():
    people = pl.DataFrame({"user_id": [1], "plan": ["a"], "value": ["b"]})
    journeys = ek.rollup(
        log_of([(1, "join", START)]),
        definition(),
        users=people,
        as_of=START + timedelta(days=9),
        missing="allow",
    )
    with pytest.raises(ParameterError, match="plan"):
        ek.metrics(journeys, by="plam")
    with pytest.raises(ParameterError, match="column of this answer"):
        ek.metrics(journeys, by="value")


def test_a_mean_without_spread_has_no_interval():
    assert all(math.isnan(bound) for bound in around(60, 20, 0.0))
    assert around(60, 20, 4.0) == pytest.approx((3 - 1.96 * 0.4472, 3 + 1.96 * 0.4472), abs=1e-3)
