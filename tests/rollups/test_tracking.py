"""Events that are missing for weeks: because they are no longer tracked, or because nobody is at it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.rollups import TRACKING

START = datetime(2025, 1, 1, tzinfo=UTC)
DEFINITION = ek.Definition(
    signup="join", activation="make", core="make", advanced=["export"], advocacy=["invite"]
)


@pytest.fixture(scope="module")
def school():
    """Users sign up all year, but hardly anybody of old comes in the weeks of summer."""
    draw = random.Random(1)
    rows = []
    for user in range(1500):
        day = draw.uniform(0, 400)
        rows += [(user, "join", day), (user, "look", day + 0.1), (user, "make", day + 0.2)]
        while draw.random() < 0.95:
            day += draw.uniform(2, 8)
            if not 180 < day < 230:
                rows += [(user, "make", day)]
                rows += [(user, "export", day)] * (draw.random() < 0.2)
                rows += [(user, "invite", day)] * (draw.random() < 0.1)
    kept = [(u, e, START + timedelta(days=day)) for u, e, day in rows if day < 400]
    return pl.DataFrame(kept, schema=["user_id", "event", "at"], orient="row")


def missing(log):
    journeys = ek.rollup(log, DEFINITION)
    return {remark.about[0] for remark in journeys.remarks if remark.kind == TRACKING}


def test_what_only_users_at_work_do_falls_away_in_their_holidays(school):
    summer = pl.col("at").is_between(START + timedelta(days=181), START + timedelta(days=229))
    assert not school.filter(summer, pl.col("event").is_in(["export", "invite"])).height
    assert school.filter(summer, pl.col("event") == "make").height > 50
    assert missing(school) == set()


def test_what_stops_while_they_are_at_work_is_said(school):
    lost = pl.col("at").is_between(START + timedelta(days=280), START + timedelta(days=310))
    assert missing(school.filter(~(lost & (pl.col("event") == "export")))) == {"advanced:export"}
