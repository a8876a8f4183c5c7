"""Event logs whose truth is known, user by user: written from the contract's rules, without `ek.simulate`.

`log_of_draw` turns counts of `true_counts` into events. `product_log` makes a whole product: users of seven kinds who sign
up, take steps, act, come back, go deeper, and stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from true_counts import NAMES, TARGETS, Draws

import engagekit as ek

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LINKS_OF_DRAW = ek.Definition(
    signup="arrive", activation="first", core="act", advanced=["deepen"], activation_days=5, habit_days=5, depth_days=10,
    depth_within_days=10, usage_interval_days=2, targets=dict(zip(NAMES, TARGETS.tolist(), strict=True)),
)  # fmt: skip


def log_of_draw(
    rng: np.random.Generator, made: Draws, draw: int, *, account: int, per_week: int
) -> ek.Journeys:
    """Write one draw as events, so that weeks counted back from the last sign-up are the weeks drawn."""
    weeks = 1 + max(int(cells["_week"].max()) for cells in made.cells.values())
    last = START + 7 * weeks * DAY
    end = last + (5 + 10) * DAY  # everybody can be judged on every link
    rows, people, user = [], [], 0
    passed = _passed(rng, made, draw, account)
    for week in range(weeks):
        ago = np.sort(rng.uniform(0, 6, per_week // account))
        if week == 0:
            ago[0] = 0.0  # the last sign-up of all
        for number, back in enumerate(ago):
            far = passed.get((week, number), [0] * account)
            for member in range(account):
                at = last - (7 * week + back) * DAY
                rows += _events(user, at, far[member])
                people.append((user, f"{week}-{number}"))
                user += 1
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    users = pl.DataFrame(people, schema=["user_id", "account_id"], orient="row")
    return ek.rollup(log, LINKS_OF_DRAW, users=users if account > 1 else None, as_of=end)


def _passed(
    rng: np.random.Generator, made: Draws, draw: int, account: int
) -> dict[tuple[int, int], list[int]]:
    """Say for each account of a week how many links each member passes; without accounts, each user is one."""
    found: dict[tuple[int, int], list[int]] = {}
    for link in NAMES:
        for row in made.cells[link].filter(draw=draw).to_dicts():
            week, n = row["_week"], row["n"]
            if account > 1:
                groups = made.cells[NAMES[0]].filter(draw=draw, _week=week).height
                member = found.setdefault((week, int(row["_account"]) % groups), [0] * account)
                for place in range(n):
                    member[place] += 1
            else:
                for place in range(n):
                    found.setdefault((week, place), [0])[0] += 1
    return found


def _events(user: int, at: datetime, far: int) -> list[tuple[int, str, datetime]]:
    rows = [(user, "arrive", at)]
    if far > 0:
        rows.append((user, "first", at + timedelta(hours=1)))
    if far > 1:
        rows.append((user, "act", at + 2 * DAY))
    if far > 2:
        rows += [(user, "deepen", at + k * DAY) for k in (3, 5)]
    return rows


# Whole products -----------------------------------------------------------------------------------

KINDS = ("never_started", "friction", "stalled", "vanished", "plateau", "drift", "healthy")
#             never  friction stalled vanished plateau drift healthy
WORLDS = {
    "balanced":     (0.07, 0.17, 0.16, 0.15, 0.15, 0.15, 0.15),
    "friction":     (0.06, 0.40, 0.12, 0.10, 0.10, 0.09, 0.13),
    "progress":     (0.06, 0.12, 0.40, 0.10, 0.10, 0.09, 0.13),
    "repeat_value": (0.04, 0.07, 0.07, 0.45, 0.10, 0.09, 0.18),
    "discovery":    (0.04, 0.07, 0.07, 0.12, 0.43, 0.10, 0.17),
    "re_engagement": (0.04, 0.07, 0.07, 0.12, 0.10, 0.40, 0.20),
    "healthy":      (0.04, 0.07, 0.07, 0.12, 0.10, 0.08, 0.52),
}  # fmt: skip
WORLD_TARGETS = {"activation": 0.70, "habit": 0.70, "depth": 0.45}
BROKEN = {
    "balanced": "activation", "friction": "activation", "progress": "activation", "repeat_value": "habit",
    "discovery": "depth", "re_engagement": None, "healthy": None,
}  # fmt: skip
STAIRS = ("name", "import", "layout")
TOOLS = ("chart", "alert")
WORLD = ek.Definition(
    name="A product of the tests", signup="registered", activation="published_first", core="published",
    steps=[ek.Step(s, reached=f"{s}_opened", completed=f"{s}_done") for s in STAIRS], advanced=TOOLS,
    habit_days=14, targets=WORLD_TARGETS,
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """A log and what is true of each user at its end."""

    events: pl.DataFrame
    truth: dict[int, str]
    as_of: datetime


def product_log(world: str, *, users: int, seed: int, days: int = 200) -> World:
    """Make a product: users arrive evenly; those who keep coming do so at a pace of their own, from 2 to 8 days."""
    rng = np.random.default_rng([seed, list(WORLDS).index(world)])
    kinds = rng.choice(len(KINDS), users, p=WORLDS[world])
    arrived = np.sort(rng.uniform(0, days, users))
    rows, truth = [], {}
    for user in range(users):
        mine = list(_life(rng, KINDS[kinds[user]], arrived[user], days))
        rows += [(user, event, at) for event, at in mine if at < days]
        truth[user] = _standing(mine, KINDS[kinds[user]], days)
    frame = pl.DataFrame(rows, schema=["user_id", "event", "day"], orient="row")
    at = pl.lit(START) + pl.duration(microseconds=(pl.col("day") * 86_400_000_000).cast(pl.Int64))
    events = frame.select("user_id", "event", at.alias("at")).sort("at", "user_id", "event")
    return World(events, truth, START + days * DAY)


def _life(rng: np.random.Generator, kind: str, start: float, end: float):
    """Yield the events of one user, those after the end included: who will stop, misses a visit ("missed")."""
    yield "registered", start
    if rng.random() < 0.5:
        yield "looked", start + rng.exponential(0.5)
    if kind == "never_started":
        return
    pace = rng.exponential(1.5) + 0.05
    stop = (
        len(STAIRS)
        if kind not in ("friction", "stalled")
        else int(rng.integers(1, len(STAIRS) + 1))
    )
    for number, stair in enumerate(STAIRS[:stop]):
        at = start + pace * (number + 1) / 4
        yield f"{stair}_opened", at
        if kind == "friction" and number == stop - 1:
            if rng.random() < 0.5:
                yield f"{stair}_opened", at + rng.exponential(1.5)
            return
        yield f"{stair}_done", at + 0.02
    if kind == "stalled":
        return
    active = start + min(pace, 12.0)
    yield "published_first", active
    yield "published", active + 0.001
    if kind == "vanished":
        return
    yield from _visits(rng, kind, active, end)


def _visits(rng: np.random.Generator, kind: str, active: float, end: float):
    gap = rng.uniform(2, 8)
    visits = int(rng.integers(4, 12)) if kind == "drift" else 10_000
    at, deep = active, int(rng.integers(1, 4))
    tool = TOOLS[int(rng.integers(0, len(TOOLS)))]
    for number in range(1, visits + 1):
        at = max(np.floor(at) + 1.2, at + gap * rng.uniform(0.6, 1.5))
        if at > end + 60:
            return
        yield "published", at
        if kind == "healthy" and (number in (deep, deep + 1) or rng.random() < 0.3):
            yield tool, at + 0.01
        if kind in ("plateau", "drift") and number == 2 and rng.random() < 0.3:
            yield tool, at + 0.01  # tried once
    yield "missed", at + gap


def _standing(mine: list[tuple[str, float]], kind: str, end: float) -> str:
    """Say what is true at the end of the log, from the user's plan and what has happened by then."""
    seen = [(event, at) for event, at in mine if at < end]
    names = [event for event, _ in seen]
    if "published_first" not in names:
        opened = {s for s in STAIRS if f"{s}_opened" in names}
        if not opened:
            return "never_started"
        stuck = any(f"{s}_done" not in names for s in opened)
        return "friction" if stuck and kind == "friction" else "stalled"
    first = min(at for event, at in seen if event == "published_first")
    if not any(event == "published" and np.floor(at) > np.floor(first) for event, at in seen):
        return "vanished"
    if "missed" in names:
        return "drift"
    uses = {(event, int(at)) for event, at in seen if event in TOOLS}
    deep = any(sum(event == tool for event, _ in uses) >= 2 for tool in TOOLS)
    return "healthy" if deep else "plateau"
