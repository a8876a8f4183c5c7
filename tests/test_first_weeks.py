from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import numpy as np
import oracle_first_weeks as oracle
import oracle_statistics
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_weeks import journeys_of, noisy, planted

import engagekit as ek
from engagekit.early_activity import halves, volume_classes
from engagekit.errors import ColumnError, ParameterError
from engagekit.first_weeks import compare_first_weeks, strongest
from engagekit.intervals import newcombe
from engagekit.strata import mantel_haenszel

SIGNUP = datetime(2026, 1, 1, 9, tzinfo=UTC)
CLAIMS = ["more in retained", "more in churned"]
DEFINITION = ek.Definition(
    signup="signed_up", activation="work", core="work", outcome_days=(28, 42)
)


def at(day, hour=0, minute=0):
    return SIGNUP + timedelta(days=day, hours=hour, minutes=minute)


@pytest.fixture(scope="module")
def twelve():
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
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    return ek.rollup(log, DEFINITION, as_of=datetime(2026, 3, 1, tzinfo=UTC))


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


def test_thresholds_of_twelve_users(twelve):
    often = compare_first_weeks(twelve, thresholds=(3,)).filter(action="invite")
    assert often.select("at_least", "did_retained", "did_churned").rows() == [(3, 1, 0)]
    days = compare_first_weeks(twelve, thresholds=(2,)).filter(action="(active days)")
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
        ({"thresholds": ()}, ParameterError, "thresholds"),
        ({"thresholds": (0, 2)}, ParameterError, "thresholds"),
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
            "user 1",
        ),
        (
            {"outcome": pl.DataFrame({"user_id": [1], "retained": ["yes"]})},
            ColumnError,
            "true and false",
        ),
        ({"among": pl.DataFrame({"user": [1]})}, ColumnError, "user_id"),
    ],
)
def test_questions_that_mean_nothing_are_refused(twelve, settings, error, said):
    with pytest.raises(error, match=said):
        compare_first_weeks(twelve, **settings)


def test_two_faults_are_told_at_once(twelve):
    with pytest.raises(ParameterError, match="2 faults"):
        compare_first_weeks(twelve, thresholds=("one",), q=0)


def test_a_log_too_young_to_judge_gives_an_empty_table_of_the_same_columns(twelve):
    young = twelve.at("2026-01-20")
    table = compare_first_weeks(young)
    assert table.is_empty()
    assert table.schema == compare_first_weeks(twelve).schema
    assert ek.outcomes(young)["n"].to_list()[:3] == [0, 0, 10]


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


@settings(max_examples=7)
@given(st.integers(0, 10**6), st.sampled_from([40, 80, 120]))
def test_the_table_agrees_with_plain_python(seed, users):
    signed_up, events = random_log(seed, users)
    as_of = SIGNUP + timedelta(days=50)
    log = pl.DataFrame(events, schema=["user_id", "event", "at"], orient="row")
    ladder = (1, 2, 4)
    table = compare_first_weeks(ek.rollup(log, DEFINITION, as_of=as_of), thresholds=ladder)
    retained = oracle.judged(signed_up, events, as_of, "work", (28, 42))
    did = oracle.early(signed_up, events, retained)
    placed = oracle.strata(did, volume_classes(len(retained)))
    for row in table.filter(pl.col("action").is_in(["a", "b"])).iter_rows(named=True):
        chances = {}
        for k in ladder:
            cells = oracle.tables(did, retained, placed, row["action"], k)
            reached = sum(sum(c[0]) for c in cells)
            if reached >= 10 and len(retained) - reached >= 10:
                chances[k] = (oracle.chance(cells), reached)
        usable = {k: (p, n) for k, (p, n) in chances.items() if p is not None}
        if not chances:
            assert row["verdict"] == "too few"
            continue
        if not usable:
            continue
        tried = len({n for _, n in usable.values()})
        least = min(p for p, _ in usable.values())
        assert row["tried"] == tried
        assert row["p"] == pytest.approx(min(1, least * tried), rel=1e-6)
        best = (
            min(usable, key=lambda k: (usable[k][0], k)) if least * tried <= 0.05 else min(usable)
        )
        assert row["at_least"] == best
        cells = oracle.tables(did, retained, placed, row["action"], best)
        a, b = (sum(c[0][i] for c in cells) for i in (0, 1))
        assert (row["did_retained"], row["did_churned"]) == (a, b)
        n1, n0 = row["n_retained"], row["n_churned"]
        assert (n1, n0) == (sum(retained.values()), len(retained) - sum(retained.values()))
        level = 1 - 0.05 / tried
        assert (row["difference"], row["low"], row["high"]) == pytest.approx(
            newcombe(a, n1, b, n0, level=level)
        )
        whole = mantel_haenszel(cells, level=level)
        assert whole.risk_ratio == pytest.approx(oracle_statistics.mantel_haenszel(cells)[1])
        if row["adjusted_risk_ratio"] is not None:
            assert row["adjusted_risk_ratio"] == pytest.approx(whole.risk_ratio)
            assert row["adjusted_difference"] == pytest.approx(whole.risk_difference)
        if row["adjusted_low"] is not None:
            assert (row["adjusted_low"], row["adjusted_high"]) == pytest.approx(
                (whole.risk_low, whole.risk_high)
            )


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
    table = compare_first_weeks(ek.rollup(log, DEFINITION, as_of=as_of), thresholds=(2,))
    midnight = {u: datetime(t.year, t.month, t.day, tzinfo=UTC) for u, t in signed_up.items()}
    plain = [(u, e, datetime(d.year, d.month, d.day, tzinfo=UTC)) for u, e, d in days]
    retained = oracle.judged(
        midnight, plain, datetime(*as_of.timetuple()[:3], tzinfo=UTC), "work", (28, 42)
    )
    did = oracle.early(midnight, plain, retained)
    for action in ("a", "b"):
        row = table.filter(action=action).row(0, named=True)
        reached = [u for u in retained if did[u].get(action, (0, 0))[0] >= 2]
        assert row["did_retained"] == sum(retained[u] for u in reached)
        assert row["did_churned"] == sum(not retained[u] for u in reached)


# What it must not be fooled by


def test_activity_alone_is_seldom_taken_for_more():
    false, power, naive = [], [], []
    for seed in range(8):
        made = planted(seed, users=1200, actions=44, true=4)
        table = compare_first_weeks(made.journeys)
        named = set(table.filter(pl.col("verdict").is_in(CLAIMS))["action"])
        false.append(len(named - made.true) / max(1, len(named)))
        power.append(len(named & made.true) / 4)
        plain = set(table.filter(pl.col("low") > 0)["action"]) - {"(active days)"}
        naive.append(len(plain - made.true) / max(1, len(plain)))
    assert np.mean(false) <= 0.12
    assert np.mean(power) >= 0.7
    assert np.mean(naive) >= 0.8  # the plain intervals, side by side with the honest ones


def test_noise_with_unequal_lifetimes_looks_retaining_and_is_seen_through():
    rows = [
        compare_first_weeks(noisy(seed, users=6000)).filter(action="noise").row(0, named=True)
        for seed in range(5)
    ]
    assert min(row["risk_ratio"] for row in rows) > 1.4
    assert np.mean([row["adjusted_risk_ratio"] for row in rows]) == pytest.approx(1, abs=0.05)
    assert sum(row["verdict"] in CLAIMS for row in rows) == 0


def test_a_late_launch_is_seen_and_only_later_users_are_compared():
    made = noisy(4, users=6000, launched=0.6)
    row = compare_first_weeks(made).filter(action="noise").row(0, named=True)
    assert row["launched_at"].date() in {date(2026, 3, 14), date(2026, 3, 15), date(2026, 3, 16)}
    later = made.users.filter(pl.col("signed_up_at") >= row["launched_at"]).height
    assert row["n_retained"] + row["n_churned"] == later
    assert row["verdict"] == "not clear"
    assert "Launched late" in row["sentence"]
    # Whoever signed up earlier stays longer, so against everybody the action would look harmful.
    did = made.early.filter(pl.col("event") == "noise").select("user_id")
    retained = ek.outcomes(made, people=True).filter(outcome="retained")
    reached = (
        made.users.join(did, on="user_id", how="semi")
        .join(retained, on="user_id", how="semi")
        .height
    )
    everyone = retained.height / made.users.height
    assert reached / did.height < everyone * 1.5
    others = compare_first_weeks(made).filter(pl.col("action").str.starts_with("other"))
    assert others["launched_at"].null_count() == others.height


def test_a_rare_action_or_a_tester_before_the_launch_hides_nothing():
    made = noisy(5, users=6000, launched=0.6)
    tester = made.early.filter(pl.col("event") == "noise").head(1)
    first = made.users.sort("signed_up_at").head(1)
    early_bird = tester.with_columns(
        user_id=pl.lit(first["user_id"][0], pl.Int64), first_at=pl.lit(first["signed_up_at"][0])
    )
    known = dataclasses.replace(
        made, early=pl.concat([made.early, early_bird.select(made.early.columns)])
    )
    row = compare_first_weeks(known).filter(action="noise").row(0, named=True)
    assert row["launched_at"] is not None
    assert row["verdict"] == "not clear"


def test_groups_that_point_the_other_way_are_flagged():
    # Retained: 60 of 100 against 130 of 200 in one group, 15 of 100 against 10 of 40 in the other; pooled it turns.
    groups = {"here": (360, 600, 140, 200), "there": (40, 200, 150, 600)}
    who, event, plans, retained = [], [], [], []
    for plan, (did_kept, did, not_kept, not_) in groups.items():
        for reached, kept, size in ((True, did_kept, did), (False, not_kept, not_)):
            for number in range(size):
                if reached:
                    who.append(len(plans))
                    event.append("join")
                plans.append(plan)
                retained.append(number < kept)
    users = len(plans)
    journeys = journeys_of(
        np.arange(users) * 1_000_000, np.array(who), np.array(event), np.ones(len(who), int),
        np.ones(len(who), int), np.array(retained), pl.DataFrame({"plan": plans}),
    )  # fmt: skip
    table = compare_first_weeks(journeys, by="plan").filter(action="join")
    assert table.columns[:3] == ["plan", "scope", "opposite"]
    assert table.select("plan", "scope").rows() == [
        (None, "all"),
        ("here", "group"),
        ("there", "group"),
    ]
    assert table["opposite"].to_list() == [True] * 3
    pooled, here, there = table.iter_rows(named=True)
    assert pooled["difference"] > 0 > here["difference"]
    assert there["retention_did"] == 0.2
    assert here["retention_not"] == 0.7
    assert pooled["n_retained"] == here["n_retained"] + there["n_retained"]
    assert "opposite directions" in pooled["sentence"]
    assert "(plan: here)" in here["sentence"]


def test_groups_add_up_and_agree_with_narrowing():
    made = planted(3, users=900, actions=10, true=2)
    plan = pl.Series("plan", ["free", "paid", None] * 300)
    journeys = dataclasses.replace(made.journeys, users=made.journeys.users.with_columns(plan))
    table = compare_first_weeks(journeys, by="plan", thresholds=(1,))
    for action, part in table.filter(scope="group").group_by("action"):
        pooled = table.filter(scope="all", action=action[0])
        for count in ("n_retained", "n_churned", "did_retained", "did_churned"):
            assert part[count].sum() == pooled[count].sum()
    alone = compare_first_weeks(journeys.where(users=pl.col("plan") == "paid"), thresholds=(1,))
    inside = table.filter(plan="paid", scope="group")
    counts = ["action", "did_retained", "did_churned", "retention_did", "difference"]
    assert inside.select(counts).sort("action").equals(alone.select(counts).sort("action"))


def test_halves_are_fixed_even_and_blind_to_parity():
    numbers = pl.Series("user_id", range(20_000))
    split = halves(numbers)
    assert split.to_list()[:12] == halves(numbers.head(12)).to_list()
    assert halves(numbers.cast(pl.String)).equals(split)
    assert abs(split.mean() - 0.5) < 0.015
    assert abs(np.corrcoef(split.to_numpy(), numbers.to_numpy() % 2)[0, 1]) < 0.03
    # Written down once, so that no version or machine deals the halves anew.
    assert split.head(16).cast(pl.Int8).to_list() == [
        1,
        0,
        0,
        1,
        1,
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        0,
        1,
        1,
    ]


def test_what_is_strong_on_one_half_is_shown_with_the_other():
    made = planted(2, users=6000, actions=20, true=3)
    found = strongest(made.journeys)
    assert set(found["action"]) >= made.true
    assert set(found["verdict"]) <= set(CLAIMS)
    assert (found["q"] <= 0.05).all()
    # The numbers are those of the other half alone.
    other = made.journeys.where(users=~pl.lit(halves(made.journeys.users["user_id"])))
    again = compare_first_weeks(other, thresholds=(1,))
    both = found.filter(at_least=1).join(again, on="action", suffix="_again")
    assert both.height > 0
    assert both["did_retained"].to_list() == both["did_retained_again"].to_list()
    assert (found["n_retained"] + found["n_churned"] == other.users.height).all()


def test_no_sentence_claims_a_cause():
    made = planted(1, users=3000, actions=20, true=4)
    table = compare_first_weeks(made.journeys)
    named = table.filter(pl.col("verdict").is_in(CLAIMS))
    assert named.height >= 3
    assert named["sentence"].str.contains("only an experiment can tell").all()
    assert (
        named.filter(verdict="more in retained")["question"]
        .str.contains("Can every new user")
        .all()
    )
    assert (
        not table["sentence"]
        .str.contains("because|causes|leads to retention|drives|increases")
        .any()
    )
    assert (
        table.filter(~pl.col("verdict").is_in(CLAIMS))["question"].null_count()
        == table.height - named.height
    )
    assert not table.filter(pl.col("action") == "(active days)")["verdict"].is_in(CLAIMS).any()


# Real logs


def test_travelse_reverses_by_arrival(shared):
    import real_logs

    journeys = real_logs.journeys(shared, "travelse")
    people = real_logs.users(shared, "travelse")
    seen = people.select(
        "user_id", retained=pl.col("last_seen") - pl.col("signup") >= pl.duration(days=90)
    )
    asked = compare_first_weeks(journeys, outcome=seen, by="arrival", thresholds=(1,)).filter(
        action="ask_question"
    )
    shares = asked.select("arrival", pl.col("retention_did", "retention_not").round(3)).rows()
    assert shares == [
        (None, 0.269, 0.501),
        ("from_other_site", 0.776, 0.618),
        ("new_to_network", 0.051, 0.106),
    ]
    assert asked["opposite"].all()
    plain = (
        compare_first_weeks(journeys, thresholds=(1,))
        .filter(action="ask_question")
        .row(0, named=True)
    )
    assert (round(plain["retention_did"], 3), round(plain["retention_not"], 3)) == (0.023, 0.019)
    assert plain["verdict"] not in CLAIMS


def test_oulad_active_days_and_passing(shared):
    import real_logs

    people = real_logs.users(shared, "oulad")
    left = pl.col("date_unregistration")
    passed = people.select(
        "user_id", retained=pl.col("final_result").is_in(["Pass", "Distinction"])
    )
    still = people.filter(left.is_null() | (left >= 14)).select("user_id")
    assert still.height == 4186
    table = compare_first_weeks(
        real_logs.course_weeks(shared), outcome=passed, among=still, thresholds=(3,)
    )
    row = table.filter(action="(active days)").row(0, named=True)
    assert row["n_retained"] + row["n_churned"] == 4186
    assert (round(row["retention_did"], 3), round(row["retention_not"], 3)) == (0.685, 0.387)


def test_gcc_newcomers(shared):
    import real_logs

    journeys = real_logs.journeys(shared, "gcc")
    table = compare_first_weeks(journeys, thresholds=(2,))
    row = table.filter(action="(active days)").row(0, named=True)
    # Two or more active days in the first two weeks: 67.3 against 32.1 % among newcomers up to 2019.
    assert row["retention_did"] == pytest.approx(0.67, abs=0.02)
    assert row["retention_not"] == pytest.approx(0.32, abs=0.02)
    assert table["part_of_definition"].sum() >= 5
