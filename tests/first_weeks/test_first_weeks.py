from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import oracle_first_weeks as oracle
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_weeks import planted

import engagekit as ek
from engagekit.errors import ColumnError, EventLogError, ParameterError
from engagekit.first_weeks.comparison import compare_first_weeks
from engagekit.intervals import newcombe

SIGNUP = datetime(2026, 1, 1, 9, tzinfo=UTC)
CLAIMS = ["more in retained", "more in churned"]
DEFINITION = ek.Definition(
    signup="signed_up", activation="work", core="work", outcome_days=(28, 42)
)


def at(day, hour=0, minute=0):
    return SIGNUP + timedelta(days=day, hours=hour, minutes=minute)


def twelve_users():
    """Users 1 to 5 are retained, 6 to 10 churned, 11 is too new, 12 never signed up."""
    rows = [(user, "signed_up", at(0)) for user in range(1, 11)]
    rows += [(user, "work", at(31)) for user in range(1, 6)]
    rows += [
        (7, "work", at(42)),
        (8, "work", at(27, 23, 59)),
    ]  # just after and just before the window
    rows += [(11, "signed_up", at(31)), (11, "tour", at(31, 1)), (12, "tour", at(3))]
    rows += [(user, "tour", at(0, 0, 30)) for user in (1, 6, 7, 8)]
    rows += [(user, "invite", at(0, 1)) for user in (1, 2, 3)]
    rows += [
        (4, "invite", at(1)),
        (4, "invite", at(1, 1)),
        (4, "invite", at(5)),
        (6, "invite", at(2)),
    ]
    rows += [(user, "work", at(3)) for user in (1, 2, 6)]
    return pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")


@pytest.fixture(scope="module")
def twelve():
    return ek.rollup(twelve_users(), DEFINITION, as_of=datetime(2026, 3, 1, tzinfo=UTC))


def test_outcomes_of_twelve_users_are_counted_and_never_mixed(twelve):
    found = ek.outcomes(twelve)
    assert found.select("outcome", "n", "of").rows() == [
        ("retained", 5, 10),
        ("churned", 5, 10),
        ("not yet observable", 1, None),
        ("left out", 1, None),
    ]
    assert found["reason"].to_list()[3] == "no sign-up in the data"
    people = ek.outcomes(twelve, people=True)
    assert people.rows() == [
        *[("churned", user) for user in range(6, 11)],
        ("not yet observable", 11),
        *[("retained", user) for user in range(1, 6)],
    ]
    # User 1 alone has core actions on two days of the window once a second day is added by hand.
    assert ek.outcomes(twelve, core_days=2)["n"].to_list()[:2] == [0, 10]


def test_first_weeks_of_twelve_users(twelve):
    table = compare_first_weeks(twelve)
    rows = {row["action"]: row for row in table.iter_rows(named=True)}
    assert set(rows) == {"invite", "tour", "work", "signed_up", "(active days)"}
    assert set(table["verdict"]) == {"too few"}
    counts = ["n_retained", "n_churned", "did_retained", "did_churned"]
    assert [rows["invite"][c] for c in counts] == [5, 5, 4, 1]
    assert [rows["tour"][c] for c in counts] == [5, 5, 1, 3]
    assert [rows["work"][c] for c in counts] == [5, 5, 2, 1]
    assert [rows["signed_up"][c] for c in counts] == [5, 5, 5, 5]
    invite = rows["invite"]
    assert invite["at_least"] == 1
    assert (invite["share_retained"], invite["share_churned"]) == (0.8, 0.2)
    assert (invite["difference"], invite["low"], invite["high"]) == pytest.approx(
        newcombe(4, 5, 1, 5)
    )
    assert (invite["retention_did"], invite["retention_not"]) == (0.8, 0.2)
    assert invite["risk_ratio"] == pytest.approx(4)
    assert invite["phi"] == pytest.approx(0.6)
    assert invite["reach"] == 0.5
    assert [invite[c] for c in ("adjusted_risk_ratio", "p", "q", "question")] == [None] * 4
    assert [rows[a]["part_of_definition"] for a in ("work", "invite")] == [True, False]
    assert "80% of 5 retained and 20% of 5 churned users. Too few" in invite["sentence"]


def test_numbers_of_days_of_twelve_users(twelve):
    # User 4 did it twice on one day and again on another: two days, not three.
    often = compare_first_weeks(twelve, days=(2,)).filter(action="invite")
    assert often.select("at_least", "did_retained", "did_churned").rows() == [(2, 1, 0)]
    assert (
        compare_first_weeks(twelve, days=(3,)).filter(action="invite")["did_retained"].item() == 0
    )
    days = compare_first_weeks(twelve, days=(2,)).filter(action="(active days)")
    # Two or more active days: users 1, 2 and 4 of the retained, user 6 of the churned.
    assert days.select("did_retained", "did_churned").rows() == [(3, 1)]


def test_narrowing_and_outcomes_from_outside(twelve):
    among = pl.DataFrame({"user_id": [1, 2, 6, 7, 11]})
    row = compare_first_weeks(twelve, among=among).filter(action="tour").row(0, named=True)
    assert [row[c] for c in ("n_retained", "n_churned", "did_retained", "did_churned")] == [
        2,
        2,
        1,
        2,
    ]
    assert ek.outcomes(twelve, among=among)["n"].to_list() == [2, 2, 1, 6, 1]
    paid = pl.DataFrame({"user_id": [1, 2, 9, 10, 11], "retained": [True, False, True, None, True]})
    found = ek.outcomes(twelve, outcome=paid)
    # User 10 has no outcome; 11's first days were over by the data end, so the outcome given counts.
    assert found.select("outcome", "n").rows()[:3] == [
        ("retained", 3),
        ("churned", 1),
        ("not yet observable", 7),
    ]
    table = compare_first_weeks(twelve, outcome=paid)
    assert not table["part_of_definition"].any()
    assert table.filter(action="tour").select("did_retained", "did_churned").rows() == [(2, 0)]


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"days": ()}, ParameterError, "days is"),
        ({"days": (0, 2)}, ParameterError, "days is"),
        ({"days": 3}, ParameterError, "days is 3"),
        ({"days": (1, 2**63)}, ParameterError, "from 1 to 32"),
        ({"thresholds": (1, 5)}, ParameterError, r"Give days, such as days=\(1, 2, 3\)"),
        ({"controls": 3}, ParameterError, "controls is 3"),
        ({"controls": ("tor",)}, ParameterError, r"nobody judged did 'tor'.*Did you mean 'tour'"),
        ({"adjust": "channel"}, ParameterError, "channel"),
        ({"q": 1.5}, ParameterError, "q is 1.5"),
        ({"by": "plan"}, ParameterError, "plan"),
        ({"core_days": 0}, ParameterError, "core_days"),
        ({"outcome": pl.DataFrame({"user_id": [1]})}, ColumnError, "retained"),
        (
            {"outcome": pl.DataFrame({"user_id": ["a"], "retained": [True]})},
            ColumnError,
            "cast one",
        ),
        (
            {"outcome": pl.DataFrame({"user_id": [1, 1], "retained": [True, False]})},
            ColumnError,
            r"about user \(an id\)",
        ),
        (
            {"outcome": pl.DataFrame({"user_id": [1], "retained": ["yes"]})},
            ColumnError,
            "true and false",
        ),
        (
            {"outcome": pl.DataFrame({"user_id": [1, 2], "retained": [1.0, 0.4]})},
            ColumnError,
            "holds 0.4",
        ),
        (
            {"outcome": pl.DataFrame({"user_id": [1], "retained": [True]}), "core_days": 2},
            ParameterError,
            "leave one of them out",
        ),
        ({"among": pl.DataFrame({"user": [1]})}, ColumnError, "user_id"),
        ({"among": [1, 2]}, EventLogError, "given as among is a list"),
    ],
)
def test_questions_that_mean_nothing_are_refused(twelve, settings, error, said):
    with pytest.raises(error, match=said):
        compare_first_weeks(twelve, **settings)


@pytest.mark.parametrize(
    "ask",
    [ek.outcomes, ek.how_soon, ek.how_often, ek.first_paths, ek.day_by_day, ek.find_threshold],
)
def test_a_log_is_no_journeys(ask):
    log = pl.DataFrame({"user_id": [1], "event": ["tour"], "at": [SIGNUP]})
    with pytest.raises(ParameterError, match="journeys is a DataFrame"):
        ask(log)


def test_users_and_outcomes_come_from_any_table(twelve):
    plain = pl.DataFrame({"user_id": [1, 2, 6, 7], "retained": [True, True, False, None]})
    wanted = ek.outcomes(twelve, outcome=plain)
    tables = [
        plain.to_pandas(),
        plain.to_arrow(),
        plain.lazy(),
        plain.cast({"user_id": pl.Int32, "retained": pl.Int8}),
        plain.with_columns(retained=pl.Series([1.0, 1.0, 0.0, float("nan")])),
    ]
    for table in tables:
        assert ek.outcomes(twelve, outcome=table).equals(wanted)
        found = ek.outcomes(twelve, among=table)
        assert found["n"].to_list()[:2] == [2, 2]


def test_users_too_new_for_an_outcome_from_outside_are_said_to_be(twelve):
    young = twelve.at("2026-02-05")  # user 11 signed up four days before
    paid = pl.DataFrame({"user_id": [*range(1, 10), 11], "retained": [True] * 10})
    waiting = pl.col("outcome") == "not yet observable"
    found = ek.outcomes(young, outcome=paid).filter(waiting)
    said = "days 0 to 14 since sign-up are not over"
    assert found.select("n", "reason").rows() == [
        (2, f"no outcome is given, or {said} (1 of them)")
    ]
    everyone = pl.DataFrame({"user_id": range(1, 12), "retained": [True] * 11})
    found = ek.outcomes(young, outcome=everyone).filter(waiting)
    assert found.select("n", "reason").rows() == [(1, said)]


def test_two_faults_are_told_at_once(twelve):
    with pytest.raises(ParameterError, match="2 faults"):
        compare_first_weeks(twelve, days=("one",), q=0)


def test_a_log_too_young_to_judge_gives_an_empty_table_of_the_same_columns(twelve):
    young = twelve.at("2026-01-20")
    table = compare_first_weeks(young)
    assert table.is_empty()
    assert table.schema == compare_first_weeks(twelve).schema
    assert ek.outcomes(young)["n"].to_list()[:3] == [0, 0, 10]
    plans = young.users.select("user_id", plan=pl.lit("free"))
    split = dataclasses.replace(young, users=young.users.join(plans, on="user_id"))
    grouped = compare_first_weeks(split, by="plan")
    assert grouped.is_empty()
    assert grouped.columns == ["plan", "scope", "opposite", *table.columns]


def test_outreach_is_no_action_of_users(twelve):
    reached = dataclasses.replace(DEFINITION, outreach="invite")
    table = compare_first_weeks(ek.rollup(twelve_users(), reached, as_of=twelve.as_of), days=(2,))
    assert "invite" not in set(table["action"])
    # User 4 did nothing else, so 1 and 2 alone are left among the retained with two active days, 6 among the churned.
    days = table.filter(action="(active days)")
    assert days.select("did_retained", "did_churned").rows() == [(2, 1)]


# Against plain Python


def random_log(seed, users):
    random = np.random.default_rng(seed)
    signed_up = {
        u: SIGNUP + timedelta(minutes=int(m))
        for u, m in enumerate(random.integers(0, 20_000, users))
    }
    events = [(u, "signed_up", t) for u, t in signed_up.items()]
    for user, start in signed_up.items():
        busy = random.gamma(1.5)
        for event, rate in (("work", 2.0), ("a", 1.0), ("b", 0.5)):
            for minute in random.integers(0, 60 * 24 * 60, random.poisson(4 * rate * busy)):
                events.append((user, event, start + timedelta(minutes=int(minute))))
    return signed_up, events


@pytest.mark.thorough
@settings(max_examples=7)
@given(st.integers(0, 10**6), st.sampled_from([40, 80, 120]))
def test_the_table_agrees_with_plain_python(seed, users):
    signed_up, events = random_log(seed, users)
    as_of = SIGNUP + timedelta(days=50)
    log = pl.DataFrame(events, schema=["user_id", "event", "at"], orient="row")
    ladder = (1, 2, 4)
    table = compare_first_weeks(
        ek.rollup(log, DEFINITION, as_of=as_of, missing="allow"), days=ladder
    )
    retained = oracle.judged(signed_up, events, as_of, "work", (28, 42))
    volume = oracle.volumes(signed_up, events, retained)
    acts = oracle.early(signed_up, events, retained)
    n1, n0 = sum(retained.values()), len(retained) - sum(retained.values())
    for row in table.filter(pl.col("action").is_in(["a", "b"])).iter_rows(named=True):
        did = {u: each[row["action"]][1] for u, each in acts.items() if row["action"] in each}
        usable = {}
        for k in ladder:
            tables, left = oracle.trial_tables(signed_up, volume, retained, did, k, volume_parts=6)
            reached = sum(len(days) >= k for days in did.values())
            p = oracle.chance(tables)
            if (
                min(reached, len(retained) - reached) >= 10
                and 2 * left <= reached
                and p is not None
            ):
                usable[k] = (p, reached, tables, left)
        if not usable:
            assert row["verdict"] == "too few"
            continue
        tried = len({n for _, n, *_ in usable.values()})
        least = min(p for p, *_ in usable.values())
        assert row["tried"] == tried
        stands_out = least * tried <= 0.05
        best = min(usable, key=lambda k: (usable[k][0], k)) if stands_out else min(usable)
        assert row["at_least"] == best
        p, reached, tables, left = usable[best]
        # The chance that both figures stand out is that of the trials, or larger.
        assert row["p"] >= min(1, p * tried) * (1 - 1e-6)
        assert row["uncompared"] == pytest.approx(left / reached)
        a = sum(retained[u] for u, days in did.items() if len(days) >= best)
        assert (row["did_retained"], row["did_churned"]) == (a, reached - a)
        assert (row["n_retained"], row["n_churned"]) == (n1, n0)
        assert (row["difference"], row["low"], row["high"]) == pytest.approx(
            newcombe(a, n1, reached - a, n0)
        )
        _, _, with_it, without, _ = oracle.sums(tables)
        assert row["adjusted_risk_ratio"] == pytest.approx(with_it / without)


def test_an_action_of_all_retained_and_no_churned_users_comes_first():
    # Everybody has two acts on day 0; "sign" is done by the 40 retained alone, "like" by 28 of them and 14 of the rest.
    likes = {*range(28), *range(40, 54)}
    rows = [(user, "signed_up", at(0)) for user in range(80)]
    rows += [(user, "sign" if user < 40 else "look", at(0, 1)) for user in range(80)]
    rows += [(user, "like" if user in likes else "look", at(0, 2)) for user in range(80)]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    kept = pl.DataFrame({"user_id": range(80), "retained": [user < 40 for user in range(80)]})
    journeys = ek.rollup(log, DEFINITION, as_of=SIGNUP + timedelta(days=60), missing="allow")
    table = compare_first_weeks(journeys, outcome=kept)
    claims = table.filter(verdict="more in retained")
    assert claims["action"].to_list() == ["sign", "like"]
    needed = claims.row(0, named=True)
    assert (needed["adjusted_risk_ratio"], needed["adjusted_high"]) == (None, None)
    assert needed["adjusted_low"] > 5
    said = f"only they stayed: at least {needed['adjusted_low']:.1f} × (needed before)"
    assert said in needed["sentence"]
    assert claims["adjusted_risk_ratio"][1] == pytest.approx((28 / 42) / (12 / 38))


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_users_and_where_tables_lie_change_nothing(tmp_path, seed):
    made = planted(seed, users=400, actions=12, true=2).journeys
    table = compare_first_weeks(made)
    order = np.random.default_rng(seed).permutation(400)
    shuffled = dataclasses.replace(
        made, users=made.users[order.tolist()], early=made.early.reverse(), days=made.days.reverse()
    )
    assert compare_first_weeks(shuffled).equals(table)
    made.save(tmp_path)
    assert compare_first_weeks(ek.Journeys.load(tmp_path, lazy=True)).equals(table)


def test_a_log_of_days_is_compared_alike():
    signed_up, events = random_log(3, 120)
    days = [(u, e, t.date()) for u, e, t in events]
    log = pl.DataFrame(days, schema=["user_id", "event", "at"], orient="row")
    as_of = (SIGNUP + timedelta(days=60)).date()
    table = compare_first_weeks(ek.rollup(log, DEFINITION, as_of=as_of, missing="allow"), days=(2,))
    midnight = {u: datetime(t.year, t.month, t.day, tzinfo=UTC) for u, t in signed_up.items()}
    plain = [(u, e, datetime(d.year, d.month, d.day, tzinfo=UTC)) for u, e, d in days]
    retained = oracle.judged(
        midnight, plain, datetime(*as_of.timetuple()[:3], tzinfo=UTC), "work", (28, 42)
    )
    did = oracle.early(midnight, plain, retained)
    for action in ("a", "b"):
        row = table.filter(action=action).row(0, named=True)
        reached = [u for u in retained if len(did[u].get(action, (0, ()))[1]) >= 2]
        assert row["did_retained"] == sum(retained[u] for u in reached)
        assert row["did_churned"] == sum(not retained[u] for u in reached)
