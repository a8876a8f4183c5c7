from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import oracle_first_weeks as oracle
import oracle_statistics
import polars as pl
import pytest
from first_weeks_worlds import world
from hypothesis import given, settings
from hypothesis import strategies as st
from test_first_weeks import DEFINITION, SIGNUP, random_log

import engagekit as ek
from engagekit.first_weeks.accounts import account_effects
from engagekit.first_weeks.rows import asked_for
from engagekit.first_weeks.same_day import same_day
from engagekit.first_weeks.trial_strata import pasts, same_day_strata, trial_strata
from engagekit.first_weeks.trials import (
    COMPARED,
    DID,
    EXCESS,
    LEAN,
    NOT,
    RISK_SPREAD,
    SPREAD,
    trials,
)
from engagekit.first_weeks.verdicts import (
    POOL,
    Alike,
    Ratio,
    drawn,
    e_value,
    one_sided,
    ratio_of,
    two_sided,
)
from engagekit.intervals import koopman
from engagekit.strata import mantel_haenszel, tails

AS_OF = SIGNUP + timedelta(days=200)


def asked(journeys, **settings):
    given_ = {
        "outcome": None,
        "among": None,
        "core_days": 1,
        "by": (),
        "adjust": (),
        "days": (1, 2, 3),
    }
    return asked_for(journeys, **given_ | settings)


def spread_log(seed, users, days=120):
    """A random log whose users sign up over some months."""
    signed_up, events = random_log(seed, users)
    random = np.random.default_rng(seed)
    later = {u: timedelta(days=int(d)) for u, d in enumerate(random.integers(0, days, users))}
    return {u: t + later[u] for u, t in signed_up.items()}, [
        (u, e, t + later[u]) for u, e, t in events
    ]


def rolled(events):
    log = pl.DataFrame(events, schema=["user_id", "event", "at"], orient="row")
    return ek.rollup(log, DEFINITION, as_of=AS_OF)


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from([30, 80, 150]), st.sampled_from(["a", "b", "work"]))
def test_trials_agree_with_plain_python(seed, users, action):
    signed_up, events = spread_log(seed, users)
    found = asked(rolled(events))
    known, acts, names = found.early.known, found.logged.acts, found.logged.names
    retained = oracle.judged(signed_up, events, AS_OF, "work", (28, 42))
    assert len(retained) == known.users
    volume = oracle.volumes(signed_up, events, retained)
    did = oracle.early(signed_up, events, retained)
    did = {user: each[action][1] for user, each in did.items() if action in each}
    if action not in names:
        assert not did
        return
    past = pasts(known)
    strata = trial_strata(known, past).of_groups(known.days)
    sums = trials(strata, acts, [range(1), range(1, 2), range(2, 3)])[names.index(action), :, 0]
    for k in (1, 2, 3):
        tables, left = oracle.trial_tables(signed_up, volume, retained, did, k, volume_parts=6)
        excess, variance, with_it, without, exposed = oracle.sums(tables)
        row = sums[k - 1]
        assert row[[EXCESS, SPREAD, DID, NOT]] == pytest.approx(
            [excess, variance, with_it, without], abs=1e-9
        )
        assert row[COMPARED] == exposed
        assert exposed + left == sum(1 for days in did.values() if len(days) >= k)
        assert row[LEAN] == pytest.approx(oracle.moments(tables)[2], abs=1e-9)
        chance = oracle.chance(tables)
        if chance is not None:
            assert two_sided(row, Alike.nobody(1)) == pytest.approx(chance, rel=1e-6)


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from([40, 120]), st.sampled_from([1, 2]))
def test_the_same_day_figure_agrees_with_plain_python(seed, users, k):
    signed_up, events = spread_log(seed, users)
    found = asked(rolled(events))
    known, acts, names = found.early.known, found.logged.acts, found.logged.names
    retained = oracle.judged(signed_up, events, AS_OF, "work", (28, 42))
    volume = oracle.volumes(signed_up, events, retained)
    did = oracle.early(signed_up, events, retained)
    days = same_day_strata(known, pasts(known))
    # Where fewer of the retained did it, no day is taken as fuller.
    sums = same_day(days, known, acts, np.full(acts.actions, k), -np.ones(acts.actions))[:, 0]
    for action in {"a", "b"} & set(names):
        on = {user: each[action][1] for user, each in did.items() if action in each}
        own = {
            user: max(1, (each[action][0] + len(each[action][1]) // 2) // len(each[action][1]))
            for user, each in did.items()
            if action in each
        }
        tables, _ = oracle.same_day_tables(
            signed_up, volume, retained, on, own, k, volume_parts=6, day_parts=9
        )
        excess, variance, with_it, without, exposed = oracle.sums(tables)
        row = sums[names.index(action)]
        assert row[[EXCESS, SPREAD, DID, NOT]] == pytest.approx(
            [excess, variance, with_it, without], abs=1e-9
        )
        assert row[COMPARED] == exposed


def test_the_ratio_and_its_interval_are_those_of_mantel_haenszel():
    signed_up, events = spread_log(4, 400)
    found = asked(rolled(events))
    known, acts = found.early.known, found.logged.acts
    retained = oracle.judged(signed_up, events, AS_OF, "work", (28, 42))
    volume = oracle.volumes(signed_up, events, retained)
    did = oracle.early(signed_up, events, retained)
    on = {user: each["a"][1] for user, each in did.items() if "a" in each}
    tables, _ = oracle.trial_tables(signed_up, volume, retained, on, 1, volume_parts=6)
    cells = [[[a, b], [c, d]] for a, b, c, d in tables]
    whole = mantel_haenszel(cells)
    assert whole.risk_ratio == pytest.approx(oracle_statistics.mantel_haenszel(cells)[1])
    place = found.logged.names.index("a")
    row = trials(trial_strata(known, pasts(known)).of_groups(14), acts, [range(1)])[place, 0, 0]
    ratio = ratio_of(row)
    assert (ratio.ratio, ratio.low, ratio.high) == pytest.approx(
        (whole.risk_ratio, whole.risk_low, whole.risk_high)
    )


def test_nothing_is_compared_across_days_quarters_or_what_is_kept_alike():
    """Exposed and others never share a day, a quarter and a value: then nothing is found, however coarse."""
    days = [0, 1]
    rows = [(u, "signed_up", SIGNUP + timedelta(days=u % 100)) for u in range(400)]
    start = {u: at for u, _, at in rows}
    rows += [(u, "look", start[u] + timedelta(days=d, hours=1)) for u in start for d in days]
    rows += [(u, "tap", start[u] + timedelta(hours=2)) for u in start if u % 2]
    users = pl.DataFrame({"user_id": list(start), "side": [str(u % 2) for u in start]})
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    kept = pl.DataFrame({"user_id": list(start), "retained": [u % 3 == 0 for u in start]})
    made = ek.rollup(log, DEFINITION, users=users, as_of=AS_OF, missing="allow")
    free = ek.compare_first_weeks(made, outcome=kept).filter(action="tap").row(0, named=True)
    assert free["uncompared"] == 0
    held = ek.compare_first_weeks(made, outcome=kept, adjust="side").filter(action="tap")
    row = held.row(0, named=True)
    assert (row["uncompared"], row["verdict"], row["adjusted_risk_ratio"]) == (1, "too few", None)
    assert "found nobody alike" in row["sentence"]


def test_what_most_do_is_not_compared_with_users_unlike_them():
    """Where most do an action, some find nobody alike left; they are left out, and figures of nothing stay those of nothing.

    Letting those who did not stand in coarser strata again would compare nearly all, and with users unlike them: at 10,000
    users z of nothing then has a mean of 0.3 to 0.7.
    """
    z, aside = [], []
    for seed in range(30):
        made = world(seed, "per day", users=1000, of_kind=1, direct=0, actions=3)
        random = np.random.default_rng(seed)
        active = made.counts.sum(axis=2) + made.other > 0
        made.counts[:, :, 0] = active & (random.random(active.shape) < 0.8)
        found = asked(made.journeys())
        known, acts = found.early.known, found.logged.acts
        place = found.logged.names.index(made.names[0])
        sums = trials(trial_strata(known, pasts(known)), acts.only([place]), [range(1)])[0, 0].sum(
            axis=0
        )
        z.append(sums[EXCESS] / math.sqrt(sums[SPREAD]))
        aside.append(1 - sums[COMPARED] / (acts.starts[place + 1] - acts.starts[place]))
    assert np.mean(aside) < 0.2
    assert abs(np.mean(z)) < 0.6  # 3.3 standard errors of 30 means
    assert 0.65 < np.std(z) < 1.4  # of a standard deviation of 1, but once in a thousand


def test_accounts_leave_lone_users_as_they_are():
    made = world(3, "per day", users=1500)
    found = asked(made.journeys())
    known, acts = found.early.known, found.logged.acts
    strata = trial_strata(known, pasts(known))
    effect, freedom = account_effects(
        strata, known, acts, np.ones(acts.actions, int), np.arange(known.users)
    )
    # Every user an account of their own: the variance by accounts is that of the tables, by chance a little off.
    some = [n for n, name in enumerate(found.logged.names) if "day" in name or "direct" in name]
    assert np.mean(effect[some]) == pytest.approx(1.03, abs=0.05)
    assert freedom[some].min() > 100


def test_accounts_widen_what_their_users_share():
    made = world(5, "account", users=1500, direct=0)
    together = ek.compare_first_weeks(made.journeys())
    switched = together.filter(pl.col("action").str.starts_with("account"))
    plain = together.filter(pl.col("action").str.starts_with("per_day"))
    assert switched["design_effect"].mean() > 1.8
    assert plain["design_effect"].mean() < 1.4
    assert together["design_effect"].min() >= 1


def test_tails_are_those_of_pearson_three_and_of_students_t():
    from scipy.stats import norm, pearson3, t

    above, below = tails([2.0, 2.0, -3.0], [1.0, 4.0, 4.0], [0.0, 4.0, -4.0])
    assert above == pytest.approx([norm.sf(2), pearson3(0.5).sf(1), pearson3(-0.5).sf(-1.5)])
    assert below == pytest.approx([norm.cdf(2), pearson3(0.5).cdf(1), pearson3(-0.5).cdf(-1.5)])
    sums = np.zeros((1, 10))
    sums[0, [EXCESS, SPREAD]] = 6.0, 4.0
    up, down = one_sided(sums, Alike(np.array([2.25]), np.array([12.0])))
    assert up == pytest.approx(t(12).sf(2))
    assert down == pytest.approx(1, abs=0.05)
    assert not np.isfinite(two_sided(np.zeros((1, 10)), Alike.nobody(1)))[0]


def table(a, b, c, d):
    """The sums of one table."""
    from engagekit.first_weeks.trials import _add

    found = np.zeros((1, 1, 10))
    _add(found, np.array([0]), [np.array([float(x)]) for x in (a, b, c, d)])
    return found[0, 0]


def test_a_bound_that_does_not_exist_is_none():
    only = ratio_of(table(30, 10, 0, 60))
    assert (only.ratio, only.high) == (None, None)
    assert only.low == pytest.approx(koopman(30, 40, 0, 60)[0])
    never = ratio_of(table(0, 40, 20, 40))
    assert (never.ratio, never.low) == (0, None)
    assert never.high == pytest.approx(koopman(0, 40, 20, 60)[1])
    assert ratio_of(table(0, 0, 20, 40)) == Ratio(None, None, None)
    # One user who did without it stands in several trials, and counts once.
    assert ratio_of(table(30, 10, 0, 60), without=12).low < only.low
    assert table(30, 10, 0, 60)[RISK_SPREAD] > 0


def test_e_values():
    # VanderWeele and Ding (2017): 3.9 (1.8 to 8.7) needs 7.26; below 1 the inverse counts.
    assert e_value(Ratio(3.9, 1.8, 8.7)) == pytest.approx(7.26, abs=0.005)
    assert e_value(Ratio(0.5, 0.3, 0.9)) == pytest.approx(e_value(Ratio(2.0, 1.1, 3.0)))
    assert e_value(Ratio(1.0, 0.9, 1.1)) == 1
    assert e_value(Ratio(None, 3.1, None)) == pytest.approx(3.1 + math.sqrt(3.1 * 2.1))
    assert e_value(Ratio(0.0, None, 0.5)) == e_value(Ratio(2.0, None, None))
    assert e_value(Ratio(None, None, None)) is None


def test_koopman_holds_the_ratios_that_its_score_does_not_refuse():
    # Koopman (1984): 36 of 40 against 16 of 80.
    assert koopman(36, 40, 16, 80) == pytest.approx((2.940, 7.152), abs=0.001)
    low, high = koopman(16, 80, 36, 40)
    assert (1 / high, 1 / low) == pytest.approx(koopman(36, 40, 16, 80), rel=1e-6)
    assert koopman(0, 10, 0, 10) == (None, None)
    assert koopman(5, 10, 0, 0) == (None, None)
    covered = []
    random = np.random.default_rng(3)
    for _ in range(400):
        n1, n2 = random.binomial(40, 0.3), random.binomial(60, 0.15)
        low, high = koopman(n1, 40, n2, 60)
        covered.append((low is None or low <= 2) and (high is None or high >= 2))
    assert 0.92 <= np.mean(covered) <= 0.98


def test_of_very_many_users_a_fixed_lot_stands_for_all(monkeypatch):
    made = world(2, "per day", users=4000).journeys()
    whole = ek.compare_first_weeks(made)
    monkeypatch.setattr("engagekit.first_weeks.verdicts.POOL", 2000)
    monkeypatch.setattr("engagekit.first_weeks.verdicts.FEW_DRAWN", 600)
    found = asked(made)
    known, acts = found.early.known, found.logged.acts
    (common, users, pool), (rare, more, inside) = drawn(known, acts)
    assert users.sum() == 2000
    assert pool is None
    assert set(common) | set(rare) == set(range(acts.actions))
    assert len(common) > 0
    assert len(rare) > 0
    # Who did something rare counts all the same, and is compared with those drawn.
    assert inside.sum() == 2000
    rarely = {int(u) for a in rare for u in acts.user[acts.starts[a] : acts.starts[a + 1]]}
    assert rarely <= set(np.flatnonzero(more).tolist())
    with monkeypatch.context() as patch:  # where nothing is rare, nobody is weighed twice
        patch.setattr("engagekit.first_weeks.verdicts.FEW_DRAWN", 0)
        ((every, drawn_users, _),) = drawn(known, acts)
    assert every.tolist() == list(range(acts.actions))
    assert drawn_users.tolist() == users.tolist()
    drawn_ = ek.compare_first_weeks(made)
    plain = ["action", "n_retained", "did_retained", "did_churned", "phi_holdout", "reach"]
    once = [k == 1 for k in whole.sort("action")["at_least"]]
    assert sum(once) > 20
    both = whole.join(drawn_, on=["action", "at_least"], suffix="_drawn")
    for name in plain[1:]:
        assert both[name].equals(both[f"{name}_drawn"], null_equal=True)
    apart = (both["adjusted_risk_ratio"] / both["adjusted_risk_ratio_drawn"]).drop_nulls()
    assert (apart.log().abs() < 0.25).all()
    assert POOL == 100_000


def test_keys_too_many_for_a_table_are_sorted_to_the_same_strata(monkeypatch):
    found = asked(world(1, "per day", users=400).journeys())
    known, acts = found.early.known, found.logged.acts
    wanted = trials(trial_strata(known, pasts(known)).of_groups(14), acts, [range(1)])
    days = same_day_strata(known, pasts(known))
    times = np.ones(acts.actions, int)
    full = same_day(days, known, acts, times, np.ones(acts.actions))
    monkeypatch.setattr("engagekit.first_weeks.trial_strata.LOOKED_UP", 0)
    strata = trial_strata(known, pasts(known)).of_groups(14)
    assert trials(strata, acts, [range(1)]) == pytest.approx(wanted)
    again = same_day(
        same_day_strata(known, pasts(known)), known, acts, times, np.ones(acts.actions)
    )
    assert again == pytest.approx(full)


@pytest.mark.parametrize("first_days", [1, 7, 20])
def test_first_days_of_any_length(first_days):
    _, events = spread_log(7, 200)
    log = pl.DataFrame(events, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(
        signup="signed_up",
        activation="work",
        core="work",
        outcome_days=(28, 42),
        first_days=first_days,
    )
    made = ek.rollup(log, definition, as_of=AS_OF)
    table_ = ek.compare_first_weeks(made)
    assert table_.filter(action="a")["adjusted_risk_ratio"].item() > 0
    for ask in (ek.how_soon, ek.how_often, ek.find_threshold, ek.strongest):
        assert ask(made).width > 10
