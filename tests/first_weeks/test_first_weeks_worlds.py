"""A tenth of the benchmark: each bound is one that a true rate at the limit would break in one of a thousand runs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from first_weeks_worlds import KINDS, score, world

import engagekit as ek

ONCE = 0.001


def most(rate, of):
    """No more than so many, or the rate is larger."""
    from scipy.stats import binom

    return binom.isf(ONCE, of, rate)


def least(rate, of):
    """No fewer than so many, or the rate is smaller."""
    return of - most(1 - rate, of)


def held(scores, limit, power, aside=0.05):
    nulls, direct = sum(s.nulls for s in scores), sum(s.direct for s in scores)
    assert sum(s.false for s in scores) <= most(limit, nulls)
    assert sum(s.discoveries for s in scores) <= most(0.05, len(scores))
    assert sum(s.wrong for s in scores) <= most(0.01, direct)
    if power:
        assert sum(s.found for s in scores) >= least(power, direct)
    intervals, covering = sum(s.intervals for s in scores), sum(s.covering for s in scores)
    if intervals >= 40:
        assert least(0.92, intervals) <= covering <= most(0.97, intervals)
    assert np.mean([s.aside for s in scores]) <= aside


def _aside(kind):
    # Rivals come on days on which hardly anybody else does: some of them find nobody left.
    return 0.25 if kind == "rival" else 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_means_nothing_is_seldom_named(kind):
    # Likeness within accounts, and a channel, leave less to see; so no power is asked of these.
    power = None if kind in ("account", "channel", "rival") else 0.8 - 0.05 * (kind == "fills")
    held([score(world(seed, kind), kind) for seed in range(20)], 0.05, power, _aside(kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nor_among_many_users(kind):
    power = None if kind == "rival" else 0.97
    held(
        [score(world(seed, kind, users=10_000), kind) for seed in range(6)],
        0.08,
        power,
        _aside(kind),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["per day", "passive", "second week"])
def test_nor_where_users_leave_for_good(kind):
    held([score(world(seed, kind, shape="quitting"), kind) for seed in range(20)], 0.05, None)


@pytest.mark.thorough
def test_one_world_of_each_kind_names_little_that_means_nothing():
    scores = [score(world(seed, kind, users=1000), kind) for seed, kind in enumerate(KINDS)]
    assert sum(s.false for s in scores) <= most(0.05, sum(s.nulls for s in scores))
    assert sum(s.found for s in scores) >= 10


def test_the_written_log_is_the_world():
    made = world(4, "account", users=300)
    journeys = made.journeys()
    users = journeys.users.sort("user_id")
    volume = made.counts.sum(axis=2) + made.other
    volume[:, 0] += 1  # the sign-up
    assert np.array(users["early_events"].to_list()).tolist() == volume.tolist()
    assert users["account_id"].to_list() == made.account.tolist()
    kept = ek.outcomes(journeys, people=True).filter(outcome="retained")["user_id"].sort()
    assert kept.to_list() == np.flatnonzero(made.retained).tolist()
    did = journeys.early.filter(event=made.names[3]).sort("user_id")
    acts = made.counts[:, :, 3]
    assert did["user_id"].to_list() == np.flatnonzero(acts.any(axis=1)).tolist()
    assert did["times"].to_list() == acts.sum(axis=1)[acts.any(axis=1)].tolist()


@pytest.mark.thorough
def test_a_coin_that_brings_people_back_is_not_called_harmful():
    """Equal activity over all fourteen days would turn the sign; trials never look at what came after."""
    ratios = []
    for seed in range(4):
        made = world(seed, "returns", users=3000, of_kind=1, direct=0, actions=12)
        row = ek.compare_first_weeks(made.journeys()).filter(
            pl.col("action").str.starts_with("returns")
        )
        ratios.append(row["adjusted_risk_ratio"].item())
        assert row["verdict"].item() == "not clear"
    assert np.mean(ratios) == pytest.approx(1, abs=0.06)
