"""Journeys with planted truth about first weeks: activity drives everything, a few actions also matter in themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from engagekit.definition import Definition
from engagekit.journeys.schema import DAYS, EARLY, STEPS, USERS
from engagekit.journeys.tables import Journeys

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
SPAN = 120  # days over which users sign up


@dataclass(frozen=True)
class Planted:
    journeys: Journeys
    true: frozenset[str]  # actions that matter in themselves


def planted(
    seed: int,
    *,
    users: int = 2000,
    actions: int = 200,
    true: int = 10,
    effect: float = 0.9,
    driven: bool = True,
    shape: str = "visits",
    product: int | None = None,
) -> Planted:
    """Users differ in how active they are; that decides how often they do anything and whether they stay.

    With ``shape="visits"`` a user is active on some days and acts then; with ``"scattered"`` every single act falls on a day
    of its own. ``driven=False`` cuts the tie between activity and staying. `product` fixes which actions there are.
    """
    fixed = np.random.default_rng(seed if product is None else product)
    rate = fixed.lognormal(-1.6, 0.8, actions)
    matter = fixed.choice(actions, true, replace=False)
    random = np.random.default_rng([seed, 1])
    level = random.gamma(1.5, 1 / 1.5, users)
    if shape == "scattered":
        visits = np.ones((users, 14), dtype=bool)
        expected = level[:, None] * rate[None, :]
    else:
        visits = random.random((users, 14)) < 1 - np.exp(-0.45 * level)[:, None]
        visits[:, 0] = True
        expected = np.sqrt(level)[:, None] * rate[None, :] * visits.sum(axis=1)[:, None] / 4
    times = random.poisson(expected)
    did = times[:, matter] > 0
    logit = -0.7 + effect * (did.sum(axis=1) - did.mean(axis=0).sum())
    if driven:
        logit = logit + 0.5 + 1.1 * np.log(level + 0.1)
    retained = random.random(users) < 1 / (1 + np.exp(-logit))
    who, what = np.nonzero(times)
    names = np.array([f"a{number:03d}" for number in range(actions)])
    journeys = journeys_of(
        random.integers(0, SPAN * DAY, users), who, names[what], times[who, what],
        spread(random, visits, who, times[who, what]), retained,
    )  # fmt: skip
    return Planted(journeys, frozenset(names[matter]))


def spread(random, visits, who, times):
    """Let each act fall on one of the user's visiting days; return the days as bits."""
    order, count = np.argsort(~visits, axis=1, kind="stable"), visits.sum(axis=1)
    days, left = np.zeros(len(who), dtype=np.int64), times.copy()
    while (busy := left > 0).any():
        pick = (random.random(busy.sum()) * count[who[busy]]).astype(int)
        days[busy] |= 1 << order[who[busy], pick]
        left[busy] -= 1
    return days


def noisy(
    seed: int, *, users: int = 20_000, others: int = 3, launched: float | None = None
) -> Journeys:
    """Users quit after lifetimes of their own; ``noise`` is done on 12 % of active days and means nothing.

    With `launched`, it exists only from that share of the sign-up span on, and later users stay less long.
    """
    random = np.random.default_rng([seed, 2])
    signed_up = random.integers(0, SPAN * DAY, users)
    mean = 40 * random.gamma(1.0, 1.0, users)
    if launched is not None:
        mean = np.where(signed_up > launched * SPAN * DAY, mean * 0.6, mean)
    life = np.maximum(np.ceil(random.exponential(mean + 1e-9)), 1)
    active = (random.random((users, 42)) < 0.5) & (np.arange(42)[None, :] < life[:, None])
    active[:, 0] = True
    early = active[:, :14]
    acts = {"core": early * random.integers(1, 4, early.shape)}
    noise = early & (random.random(early.shape) < 0.12)
    if launched is not None:
        at = signed_up[:, None] / DAY + np.arange(14)[None, :]
        noise &= at >= launched * SPAN
    acts["noise"] = noise.astype(int)
    for number in range(others):
        acts[f"other_{number}"] = early * random.poisson(0.1 + 0.2 * number, early.shape)
    parts = []
    for name, counts in acts.items():
        who = np.flatnonzero(counts.sum(axis=1))
        bits = ((counts[who] > 0) * (1 << np.arange(14))[None, :]).sum(axis=1)
        parts.append((who, np.full(len(who), name), counts[who].sum(axis=1), bits))
    who, event, times, bits = (np.concatenate(part) for part in zip(*parts, strict=True))
    return journeys_of(signed_up, who, event, times, bits, active[:, 28:].any(axis=1))


def journeys_of(signed_up, who, event, times, bits, retained, properties=None) -> Journeys:
    """Build the four tables from arrays: sign-up in microseconds, acts per user and event, and who came back."""
    ids = np.arange(len(signed_up))
    at = pl.from_epoch(pl.Series(signed_up + round(START.timestamp() * 1e6)), "us")
    at = at.dt.replace_time_zone("UTC")
    people = pl.DataFrame({"user_id": ids, "signed_up_at": at}).with_columns(
        *[pl.lit(None, t).alias(c) for c, t in USERS.items() if c != "signed_up_at"],
    )
    if properties is not None:
        people = people.hstack(properties)
    first_day = np.log2((bits & -bits).astype(float)).astype(np.int64)
    early = pl.DataFrame(
        {
            "user_id": ids[who],
            "event": event,
            "first_at": at.gather(who),
            "times": times,
            "days": bits,
        }
    ).with_columns(
        pl.col("first_at") + pl.duration(microseconds=pl.Series(first_day * DAY + DAY // 2))
    )
    back = at.gather(np.flatnonzero(retained)) + timedelta(days=30)
    days = pl.DataFrame({"user_id": ids[retained], "first_at": back}).with_columns(
        pl.col("first_at").dt.date().alias("day"),
        pl.lit("core").alias("role"),
        pl.col("first_at").alias("last_at"),
        pl.lit(1).alias("times"),
    )
    definition = Definition(
        signup="signed_up", activation="core", core="core", outcome_days=(28, 42)
    ).resolved(7)
    return Journeys.from_frames(
        people,
        pl.DataFrame(schema={"user_id": pl.Int64} | STEPS),
        early.select("user_id", *EARLY),
        days.select("user_id", *DAYS),
        definition=definition,
        as_of=START + timedelta(days=SPAN + 60),
        log_start=START,
    )
