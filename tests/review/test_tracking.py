"""How a rate moved: the nulls in which nothing changed, a rise that is there, and a mix that changed; on counts by numpy.

``RUNS=2000 python tests/review/test_tracking.py`` prints the tables at full size; here a tenth runs.
"""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import engagekit as ek
from engagekit.intervals import newcombe
from engagekit.review import tracking_words, usual_range

RUNS = int(os.environ.get("RUNS", "200"))
KINDS = ("constant", "weekly sd 4", "AR(.8) sd 4", "trend", "season")


def rates(kind: str, random: np.random.Generator, weeks: int) -> np.ndarray:
    week, base = np.arange(weeks), np.full(weeks, 0.40)
    if kind == "weekly sd 4":
        base = base + random.normal(0, 0.04, weeks)
    elif kind == "AR(.8) sd 4":
        wave = [random.normal(0, 0.04)]
        for _ in range(weeks - 1):
            wave.append(0.8 * wave[-1] + random.normal(0, 0.024))
        base = base + np.array(wave)
    elif kind == "trend":
        base = base + 0.0025 * (week - weeks / 2)
    elif kind == "season":
        base = base + 0.05 * np.sin(2 * np.pi * week / 52 + random.uniform(0, 2 * np.pi))
    return base.clip(0.02, 0.98)


def of_weeks(n: np.ndarray, of: np.ndarray) -> float:
    """Pearson's statistic over its degrees of freedom; 2 at the least with fewer than 4 weeks."""
    share, least = n.sum() / of.sum(), 1.0 if (of > 0).sum() > 3 else 2.0
    if share in (0, 1) or (of > 0).sum() < 2:
        return least
    apart = ((n - of * share) ** 2)[of > 0] / (of * share * (1 - share))[of > 0]
    return max(least, float(apart.sum()) / ((of > 0).sum() - 1))


def verdict(n: np.ndarray, of: np.ndarray, past: int, since: int) -> str:
    """Apply the rule of `track` to weekly counts."""
    span = min(since, 13)
    sides = [(n[a:b], of[a:b]) for a, b in ((past - span, past), (past, past + span))]
    effect = max(of_weeks(x, m) for x, m in sides)
    (n1, of1), (n2, of2) = [(int(x.sum()), int(m.sum())) for x, m in sides]
    gap, low, high = newcombe(n2 / effect, of2 / effect, n1 / effect, of1 / effect)
    usual = usual_range(n[:past].tolist(), of[:past].tolist(), span, gap, (high - low) / 2 / 1.96)
    if usual is None or since < 4:
        return "cannot tell yet"
    if low <= 0 <= high or usual.share > 0.05:
        return "within its usual range"
    return "improved" if gap > 0 else "worse"


def table(past: int, runs: int = RUNS) -> list[tuple[str, int, float, float]]:
    random, rows = np.random.default_rng(past), []
    for per_week in (50, 200, 1000):
        for kind in KINDS:
            once = ever = 0
            for _ in range(runs):
                of = random.poisson(per_week, past + 26)
                n = random.binomial(of, rates(kind, random, past + 26))
                said = [verdict(n, of, past, since) for since in range(4, 27)]
                once += said[4] == "improved"
                ever += "improved" in said
            rows.append((kind, per_week, once / runs, ever / runs))
    return rows


def seen(past: int, runs: int = RUNS) -> float:
    random, found = np.random.default_rng(past + 1), 0
    for _ in range(runs):
        of = random.poisson(200, past + 8)
        n = random.binomial(of, np.where(np.arange(past + 8) < past, 0.40, 0.48))
        found += verdict(n, of, past, 8) == "improved"
    return found / runs


@pytest.mark.slow
@pytest.mark.parametrize("past", [52, 104])
def test_products_in_which_nothing_changed(past: int) -> None:
    runs = RUNS // 2
    slack = [2.6 * math.sqrt(p * (1 - p) / runs) for p in (0.04, 0.08)]
    for kind, per_week, once, ever in table(past, runs):
        assert once <= 0.04 + slack[0], (kind, per_week)
        assert ever <= 0.08 + slack[1], (kind, per_week)


@pytest.mark.slow
@pytest.mark.parametrize("past", [52, 104])
def test_a_rise_of_eight_points_is_seen(past: int) -> None:
    assert seen(past) >= 0.8 - 2 * math.sqrt(0.16 / RUNS)


def moved(n: np.ndarray, of: np.ndarray, now: int, span: int) -> bool:
    """Apply the rule of `changes` to weekly counts: whether the last span before `now` is said to have risen."""
    (n1, of1), (n2, of2) = [
        (float(n[a:b].sum()), float(of[a:b].sum()))
        for a, b in ((now - 2 * span, now - span), (now - span, now))
    ]
    gap, low, high = newcombe(n2, of2, n1, of1)
    start = now - span
    usual = usual_range(n[:start].tolist(), of[:start].tolist(), span, gap, (high - low) / 2 / 1.96)
    return low > 0 and usual is not None and usual.share <= 0.2 * span / 26


@pytest.mark.slow
@pytest.mark.parametrize(("span", "past"), [(1, 26), (1, 104), (4, 26), (4, 104)])
def test_reviews_of_products_in_which_nothing_changed(span: int, past: int) -> None:
    """Looked at for half a year, at most a tenth ever read "rose"."""
    random, slack = np.random.default_rng(span + past), 2.6 * math.sqrt(0.09 / RUNS)
    for kind in KINDS:
        ever = 0
        for _ in range(RUNS):
            of = random.poisson(1000, past + 26)
            n = random.binomial(of, rates(kind, random, past + 26))
            ever += any(moved(n, of, past + k, span) for k in range(span, 27, span))
        assert ever / RUNS <= 0.1 + slack, kind


def log_of(weekly: list[dict[str, tuple[int, int]]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lay users out, week by week and channel by channel: (activated, signed up)."""
    start, rows, people = datetime(2024, 1, 1, tzinfo=UTC), [], []
    for week, channels in enumerate(weekly):
        for channel, (did, of) in channels.items():
            for u in range(of):
                user, at = len(people), start + timedelta(days=7 * week, hours=(168 * u) // of)
                people.append((user, channel))
                rows.append((user, "join", at))
                if u < did:
                    rows.append((user, "make", at + timedelta(hours=1)))
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    return log, pl.DataFrame(people, schema=["user_id", "channel"], orient="row")


def tracked(
    weekly: list[dict[str, tuple[int, int]]], since: int, **more: object
) -> ek.review.Tracked:
    log, users = log_of(weekly)
    definition = ek.Definition(signup="join", activation="make", core="make")
    end = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=7 * len(weekly) + 14)
    journeys = ek.rollup(log, definition, users=users, as_of=end)
    return ek.track(
        journeys, since=datetime(2024, 1, 1) + timedelta(days=7 * since), link="activation", **more
    )  # type: ignore[arg-type]


def test_the_channels_that_both_fall() -> None:
    """A03: before organic 120 of 200, ads 160 of 800; after organic 400 of 800, ads 20 of 200."""
    before = [{"organic": (30, 50), "ads": (40, 200)}] * 4
    after = [{"organic": (100, 200), "ads": (5, 50)}] * 4
    found = tracked(before + after, 4)
    assert found.verdict == "the mix changed"
    assert found.held_over == "channel"
    assert (found.difference, found.difference_held) == pytest.approx((0.14, -0.10), abs=0.005)
    assert "+14 points" in found.sentence
    assert "-10 points" in found.sentence


def test_a_real_rise_in_a_mix_that_stays() -> None:
    random = np.random.default_rng(3)
    weekly = [
        {
            c: (int(random.binomial(100, p + (0.12 if week >= 60 else 0))), 100)
            for c, p in (("ads", 0.3), ("organic", 0.5))
        }
        for week in range(70)
    ]
    found = tracked(weekly, 60, goal=0.5)
    assert found.verdict == "improved"
    assert found.a_a_share is not None
    assert found.a_a_share < 0.05
    assert found.difference_held == pytest.approx(found.difference, abs=0.01)
    assert found.table["sign_ups"].to_list() == ["before", "since", "goal"]
    assert found.table["rate"][2] == 0.5
    assert "it rose" in found.sentence
    assert "improved" not in found.sentence
    assert "a test would tell what the play did" in found.sentence
    assert found.weeks.height == 70
    assert found.weeks["side"].to_list().count("since") == 10


def test_a_change_as_the_past_has_many() -> None:
    weekly = [{"ads": (60 if (week // 8) % 2 else 40, 100)} for week in range(72)]
    found = tracked(weekly, 64)
    assert found.verdict == "within its usual range"
    assert found.a_a_share is not None
    assert found.a_a_share > 0.05


def test_after_three_weeks_no_verdict_of_any_kind_is_told() -> None:
    weekly = [{"ads": (40 + (week * 7) % 11, 100)} for week in range(63)]
    early, later = tracked(weekly[:61], 58), tracked(weekly, 58)
    assert early.verdict == "cannot tell yet"
    assert "Fewer than 4 whole weeks" in early.sentence
    assert (
        "For those who signed up since" not in early.sentence
    )  # by another rule, with other counts
    assert later.verdict != "cannot tell yet"
    assert later.sentence.endswith("For those who signed up since, momentum breaks at a link that cannot be named yet.")  # fmt: skip


@pytest.mark.parametrize(("verdict", "said"), [("named", "breaks earliest at habit (91% sure)"), ("none broken", "breaks at no link (91% sure)"), ("undecided", "breaks at a link that cannot be named yet")])  # fmt: skip
def test_where_momentum_breaks_since_is_told_without_counts(verdict: str, said: str) -> None:
    since = SimpleNamespace(verdict=verdict, link="habit", probability=0.912)
    assert tracking_words._now(since) == f"For those who signed up since, momentum {said}."  # type: ignore[arg-type]


def test_a_difference_of_nothing_has_no_minus() -> None:
    assert [tracking_words._points(value) for value in (-0.001, 0.0, -0.006, 0.146)] == ["+0", "+0", "-1", "+15"]  # fmt: skip


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ek.EngagekitError, match="goal is 45"):
        tracked([{"ads": (5, 10)}] * 8, 4, goal=45)
    with pytest.raises(ek.EngagekitError, match="no property of the users"):
        tracked([{"ads": (5, 10)}] * 8, 4, by="chanel")


if __name__ == "__main__":
    for past in (52, 104):
        print(
            f"'improved', no change, {past} weeks of past: read once at 8 weeks / ever over weekly looks to 26"
        )
        for kind, per_week, once, ever in table(past):
            print(f"  {kind:<14} {per_week:>5} a week  {once:.3f} / {ever:.3f}")
        print(f"  +8 points at 200 a week, seen after 8 weeks: {seen(past):.3f}")
