"""A rate that changes within the recent sign-ups: no verdict from the mean of before and since."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek

START, END = datetime(2024, 7, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
DEFINITION = ek.Definition(signup="join", activation="make", core="make", habit_days=7, targets={"activation": 0.45, "habit": 0.5})  # fmt: skip


def rolled(rate, back=lambda ago: 0.7, *, users=5000, seed=1, people=None):
    """Users whose chance to activate, and to come back, hangs on how many days before the end they sign up."""
    chance, rows = random.Random(seed), []
    for user in range(users):
        day = START + timedelta(365 * chance.random())
        ago = (END - day).days
        rows.append((user, "join", day))
        if chance.random() < rate(ago):
            rows.append((user, "make", day + timedelta(hours=3)))
            if chance.random() < back(ago):
                rows += [(user, "make", day + timedelta(k)) for k in (2, 3, 9) if day + timedelta(k) < END]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    return ek.rollup(log, DEFINITION, users=people, as_of=END)


@pytest.mark.parametrize(
    ("before", "since", "ago"),
    [(0.6, 0.25, 35), (0.6, 0.25, 45), (0.6, 0.25, 60), (0.25, 0.62, 35), (0.25, 0.62, 42)],
)
def test_a_link_that_breaks_or_is_mended_on_the_way_gets_no_verdict_from_the_mean(
    before, since, ago
):
    journeys = rolled(lambda days: since if days < ago else before)
    found = ek.prioritize(journeys)
    assert (found.verdict, found.link, found.play, found.probability) == ("undecided", None, None, 0)  # fmt: skip
    assert abs((found.changed_at - (END - timedelta(ago))).days) <= 7
    says = "activation breaks" if since < before else "no link is broken"
    assert f"by those since then {says}" in found.sentence
    row = found.table.row(0, named=True)
    on = found.changed_at
    signed = journeys.users.filter(pl.col("signed_up_at").is_between(row["since"], row["until"]))
    late = signed.filter(pl.col("signed_up_at") > on)
    passed = late.filter(pl.col("activated_at") < pl.col("signed_up_at") + timedelta(14))
    assert f"({passed.height:,} of {late.height:,}) since" in found.sentence
    assert "A rate changed with the sign-ups of" in ek.plan(found).sentence
    title = str(ek.tables.loop(found))
    assert f"No link is named: a rate changed with the sign-ups of {on:%Y-%m-%d}" in title
    assert "perhaps" not in title
    # Asked about the time since alone, the answer is sure.
    alone = ek.prioritize(journeys, recent=(row["until"] - on).days)
    assert alone.verdict == ("named" if since < before else "none broken")
    assert alone.changed_at is None


def test_a_change_that_leaves_the_verdict_as_it_is_is_not_spoken_of():
    worse = ek.prioritize(rolled(lambda days: 0.2 if days < 45 else 0.33))
    assert (worse.verdict, worse.link, worse.changed_at) == ("named", "activation", None)
    better = ek.prioritize(rolled(lambda days: 0.9 if days < 45 else 0.6))
    assert (better.verdict, better.changed_at) == ("none broken", None)


def test_a_later_link_may_turn_too():
    found = ek.prioritize(rolled(lambda _: 0.7, lambda days: 0.3 if days < 45 else 0.8))
    assert found.verdict == "undecided"
    assert "as habit changed on the way" in found.sentence


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.42, 0.5])
def test_chance_is_no_change(rate):
    """A hundred logs in which nothing ever changes, near the mark: where weeks are of one rate, and where they differ by themselves."""
    turned = 0
    for seed in range(50):
        luck = random.Random(seed)
        week = {k: luck.choice([-0.12, 0.12]) for k in range(60)}
        for wild in (0, 1):
            journeys = rolled(lambda days, wild=wild, week=week: rate + wild * week[days // 7], users=1500, seed=seed)  # fmt: skip
            turned += ek.prioritize(journeys).changed_at is not None
    assert turned <= 2


def test_no_recent_span_no_targets_or_too_few_users_no_turn():
    def steep(days):
        return 0.2 if days < 45 else 0.6

    assert ek.prioritize(rolled(steep), recent=None).changed_at is None
    assert ek.prioritize(rolled(steep), targets={}).changed_at is None
    assert ek.prioritize(rolled(steep, users=150)).changed_at is None


def test_groups_have_no_verdict_either():
    people = pl.DataFrame({"user_id": range(5000), "plan": ["a", "b"] * 2500})
    found = ek.prioritize(rolled(lambda days: 0.25 if days < 45 else 0.6, people=people), by="plan")
    assert found.segments["verdict"].to_list() == ["undecided"] * 2
    assert found.segments.select("link", "problem").null_count().row(0) == (2, 2)
    assert found.segments["candidates"].to_list() == [list(found.candidates)] * 2
    assert not found.segments["elsewhere"].any()


def test_who_asks_about_a_year_is_told_about_the_year():
    journeys = rolled(lambda days: 0.6 if days < 45 else 0.2)
    assert ek.prioritize(journeys).changed_at is not None
    year = ek.prioritize(journeys, recent=364)
    assert (year.verdict, year.link, year.changed_at) == ("named", "activation", None)
