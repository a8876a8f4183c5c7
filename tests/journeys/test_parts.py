"""Journeys that lie on disk in parts answer like those in memory, narrowed and at earlier instants too."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import engagekit as ek
from engagekit.rollups import prepare

EARLIER = "2025-11-07 13:30"
MADE = ek.simulate(users=600, seed=5, outreach=True, feedback=True, errors=True, dirt=0.01)
RENEWED = MADE.users.select("user_id", retained=pl.col("user_id").hash(1) % 3 == 0).head(450)
NARROWED = {
    "all": lambda j: j,
    "some": lambda j: j.where(users=pl.col("plan") != "free", signed_up=("2025-07-20", None)),
    "by what others are": lambda j: j.where(
        users=pl.col("signed_up_at") < pl.col("signed_up_at").median()
    ),
    "earlier": lambda j: j.at(EARLIER),
    "under other rules": lambda j: j.at(EARLIER).where(users=pl.col("plan").is_not_null()),
}
ANSWERS = {
    "loop": lambda j: ek.prioritize(j).table,
    "by quarter": lambda j: ek.prioritize(j, targets={}).by_quarter,
    "segments": lambda j: ek.prioritize(j, by="plan").segments,
    "track": lambda j: ek.track(j, since="2025-09-01", link="habit").table,
    "diagnosis": ek.diagnose,
    "diagnosis by": lambda j: ek.diagnose(j, by=["plan", "country"]),
    "who": lambda j: ek.diagnose(j, by="plan", people=True),
    "labels": ek.label_users,
    "watch list": ek.watch_list,
    "curves": ek.cohort_curves,
    "curves by": lambda j: ek.cohort_curves(j, by="plan", period="month", mode="on_or_after"),
    "curves on the calendar": lambda j: ek.cohort_curves(j, window="calendar", periods=5),
    "who came back": lambda j: ek.cohort_curves(j, by="plan", people=True, periods=4),
    "metrics": ek.metrics,
    "metrics by": lambda j: ek.metrics(j, by="plan"),
    "first weeks": ek.compare_first_weeks,
    "first weeks by an outcome from outside": lambda j: ek.compare_first_weeks(j, outcome=RENEWED),
    "first weeks of some": lambda j: ek.compare_first_weeks(j, among=RENEWED.select("user_id")),
    "first weeks by": lambda j: ek.compare_first_weeks(j, by="plan"),
    "thresholds": ek.find_threshold,
    "outcomes": ek.outcomes,
    "outcomes from outside": lambda j: ek.outcomes(j, outcome=RENEWED),
    "survival": lambda j: ek.survival(j, quiet_days=21),
    "drop-off": ek.step_drop_off,
    "usage interval": ek.usage_interval,
    "matrix": ek.engagement_matrix,
    "windows": ek.suggest_windows,
}


@pytest.fixture(scope="module")
def journeys(tmp_path_factory):
    made = MADE
    whole = ek.rollup(made.events, made.definition, users=made.users)
    place = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "BUCKET", 3_000)
        ek.prepare_events(made.events, place / "log", progress=False)
    kept = ek.rollup(place / "log", made.definition, users=made.users, into=place / "journeys")
    assert len(kept.pieces) > 3
    return whole, kept, ek.Journeys.load(place / "journeys", lazy=True)


OFTEN = ["loop", "diagnosis by", "metrics", "first weeks", "curves by"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("narrowed", "answer"),
    [(each, answer) for each in NARROWED for answer in (ANSWERS if each == "all" else OFTEN)],
)
def test_parts_answer_like_the_whole(journeys, narrowed, answer):
    whole, *kept = (ANSWERS[answer](NARROWED[narrowed](each)) for each in journeys)
    assert whole.height > 0
    for found in kept:
        assert_frame_equal(found, whole, check_exact=True)


@pytest.mark.thorough
def test_other_rules_hold_for_every_part(journeys):
    """A definition put in later is that of the parts too."""
    import dataclasses

    tables = []
    for each in journeys:
        rules = dataclasses.replace(each.definition, habit_days=3, depth_uses=3)
        tables.append(ek.prioritize(dataclasses.replace(each, definition=rules)).table)
    assert tables[1].equals(tables[0])
    assert tables[2].equals(tables[0])
    assert not tables[0].equals(ek.prioritize(journeys[0]).table)


def test_parts_are_whole_users(journeys):
    _, kept, _ = journeys
    counts = [part.users.lazy().select(pl.len()).collect().item() for part in kept.parts()]
    assert sum(counts) == kept.users.lazy().select(pl.col("user_id").n_unique()).collect().item()
    assert all(part.pieces == () for part in kept.parts())
