"""How the planted pass rates move over the days of sign-up: changes, drift, seasons, weeks that differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit._base import is_number
from engagekit.definition import LINKS
from engagekit.errors import ParameterError, listing, nearest
from engagekit.simulation.users import HEALTHY, LOST, VANISHED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.simulation.users import Floats, Spec, Whole

LEAST, MOST = 0.005, 0.995
NOW_DAYS = 91  # the planted rates of now are those of the last so many days of sign-ups
COURSE = {"day": pl.Date, "link": pl.String, "rate": pl.Float64, "drawn": pl.Float64}


@dataclass(frozen=True)
class Course:
    """How much each link's pass rate lies beside its base on each day of sign-up, of shape (days, links).

    `expected` is what changes, drift and seasons make of it, `drawn` with the deviation of each week of sign-ups.
    """

    expected: Floats
    drawn: Floats

    @property
    def moves(self) -> bool:
        """Say whether rates move at all."""
        return bool(self.drawn.any())


def course(
    rng: np.random.Generator,
    midnight: datetime,
    days: int,
    base: Mapping[str, float],
    *,
    changes: Sequence[tuple[int, Mapping[str, float]]],
    drift: Mapping[str, float],
    weekly: Mapping[str, float],
    yearly: Mapping[str, float],
    week_spread: float | Mapping[str, float],
) -> Course:
    """Lay out how rates move; see `simulate` for the parameters.

    Raises
    ------
    ParameterError
        With every parameter that cannot be used.
    """
    spread = week_spread if isinstance(week_spread, Mapping) else dict.fromkeys(LINKS[:3], week_spread)  # fmt: skip
    _check(days, changes, {"drift": drift, "weekly_season": weekly, "yearly_season": yearly, "week_spread": spread})  # fmt: skip
    day = np.arange(days, dtype=float)
    weekday = (midnight.weekday() + day) % 7
    of_year = midnight.timetuple().tm_yday + day
    # A week is best on Wednesday, a year in mid-January.
    shapes = {
        "drift": day / max(days - 1, 1),
        "weekly": np.cos(2 * np.pi * (weekday - 2) / 7),
        "yearly": np.cos(2 * np.pi * (of_year - 15) / 365.25),
    }
    moved = np.zeros((days, len(LINKS)))
    for size, shape in zip((drift, weekly, yearly), shapes.values(), strict=True):
        for link, points in size.items():
            moved[:, LINKS.index(link)] += points * shape
    stands = dict(base)  # a rate that changes keeps its drift and seasons
    for since, rates in sorted(changes, key=lambda change: change[0]):
        for link, rate in rates.items():
            moved[since:, LINKS.index(link)] += rate - stands[link]
            stands[link] = rate
    weeks = (np.arange(days) // 7).astype(int)
    drawn = moved.copy()
    for place, link in enumerate(LINKS):
        sd = spread.get(link, 0.0)
        if sd:
            drawn[:, place] += rng.normal(0, sd, int(weeks.max()) + 1)[weeks]
    return Course(moved, drawn)


def _check(
    days: int,
    changes: Sequence[tuple[int, Mapping[str, float]]],
    moves: Mapping[str, Mapping[str, float]],
) -> None:
    faults = [
        f"changes holds {change!r}; it takes pairs of a day and rates, such as (200, {{'activation': 0.4}})."
        for change in changes
        if not (isinstance(change, tuple) and len(change) == 2 and isinstance(change[1], Mapping))
    ]
    named: dict[str, Mapping[str, Any]] = dict(moves)
    if not faults:
        faults += [
            f"changes holds day {since!r}; it takes whole days from 0 to {days - 1}."
            for since, _ in changes
            if not isinstance(since, int) or not 0 <= since < days
        ]
        named |= {f"changes (day {since})": rates for since, rates in changes}
    for name, rates in named.items():
        faults += [
            f"{name} names {link!r}.{nearest(str(link), LINKS)} Links are {listing(LINKS)}."
            for link in rates
            if link not in LINKS
        ]
        faults += [
            f"{name} has {value!r} for {link}; it takes a number between -1 and 1."
            for link, value in rates.items()
            if not (is_number(value) and -1 <= value <= 1)
        ]
    if faults:
        raise ParameterError.from_faults("The course of the rates cannot be planted", faults)


def planted(course: Course, base: Mapping[str, float], midnight: datetime) -> pl.DataFrame:
    """Write down the truth: per day of sign-up and link the rate expected, and the one its week was drawn with."""
    days = len(course.expected)
    start = midnight.date()
    rates = np.array([base[link] for link in LINKS])
    expected, drawn = (np.clip(rates + each, 0, 1) for each in (course.expected, course.drawn))
    return pl.DataFrame(
        {
            "day": pl.date_range(start, start + timedelta(days=days - 1), eager=True).gather(
                np.repeat(np.arange(days), len(LINKS))
            ),
            "link": list(LINKS) * days,
            "rate": expected.ravel(),
            "drawn": drawn.ravel(),
        },
        schema=COURSE,
    )


def rates_now(truth: pl.DataFrame) -> dict[str, float]:
    """Average the planted rates over the last days of sign-ups."""
    recent = truth.filter(pl.col("day") > pl.col("day").max() - pl.duration(days=NOW_DAYS))
    means = dict(recent.group_by("link").agg(pl.col("rate").mean()).iter_rows())
    return {link: float(means[link]) for link in LINKS}


def weights_of(specs: Sequence[Spec], index: Whole, moved: Floats) -> tuple[Floats, Floats, Floats]:
    """Give each user the class weights of their spec with its pass rates moved.

    Parameters
    ----------
    specs, index
        The specs, and which is each user's.
    moved
        How far each user's rates lie beside those of the spec, of shape (users, links).

    Returns
    -------
    tuple
        Class weights of shape (users, classes); of those who go deep the share of drifters who had, and of those who
        speak for it.
    """
    weights = np.array([spec.weights for spec in specs])[index]
    base = np.array([[spec.rates[link] for link in LINKS] for spec in specs])[index]
    rates = np.where(moved == 0, base, np.clip(base + moved, LEAST, MOST))
    active, habit, depth, advocacy = rates.T
    lost = weights[:, :VANISHED]
    whole = lost.sum(axis=1, keepdims=True)
    lost = np.where(whole > 0, lost / np.where(whole > 0, whole, 1.0), np.array(LOST))
    plateau, drifting, healthy = weights[:, VANISHED + 1 :].T
    back = plateau + drifting + healthy
    drifts = np.where(back > 0, drifting / np.where(back > 0, back, 1.0), 0.1)
    stays = plateau + healthy
    deeper = depth - base[:, 2]
    deep = np.where(stays > 0, healthy / np.where(stays > 0, stays, 1.0), base[:, 2])
    deep = np.clip(deep + deeper, 0, 1)
    deep_drift = np.array([spec.deep_drift for spec in specs])[index]
    found = np.empty_like(weights)
    found[:, :VANISHED] = lost * (1 - active)[:, None]
    found[:, VANISHED] = active * (1 - habit)
    reached = active * habit
    found[:, VANISHED + 1] = reached * (1 - drifts) * (1 - deep)
    found[:, VANISHED + 2] = reached * drifts
    found[:, HEALTHY] = reached * (1 - drifts) * deep
    return found, np.clip(deep_drift + deeper, 0, 1), advocacy
