"""What is planted in a simulated log: the mixes of classes, and what each simulated user will do.

Times are floats: local days since the first local midnight of the log, so that a local day is the whole part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engagekit.definition import LINKS
from engagekit.errors import ParameterError, listing, nearest

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Whole: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Mix: TypeAlias = str | Mapping[str, float]

CLASSES = ("never_started", "friction", "stalled", "vanished", "plateau", "drift", "healthy")
VANISHED, PLATEAU, DRIFT, HEALTHY = 3, 4, 5, 6
#                    never  friction stalled vanished plateau drift healthy; drifters who had gone deep
MIXES = {
    "balanced":      ((.06,   .16,     .16,    .16,     .15,   .15,   .16), .50),
    "friction":      ((.06,   .40,     .12,    .10,     .10,   .09,   .13), .50),
    "progress":      ((.06,   .12,     .40,    .10,     .10,   .09,   .13), .50),
    "repeat_value":  ((.04,   .07,     .07,    .45,     .10,   .09,   .18), .50),
    "discovery":     ((.04,   .07,     .07,    .12,     .43,   .10,   .17), .30),
    "re_engagement": ((.04,   .07,     .07,    .12,     .10,   .40,   .20), .80),
    "healthy":       ((.04,   .07,     .07,    .12,     .10,   .08,   .52), .70),
}  # fmt: skip
ADVOCATES = 0.5  # of those who went deep
DRIFTERS = 0.1  # of those who returned, where pass rates are planted instead of a mix
LOST = (0.15, 0.45, 0.40)  # of those who never activate: never started, friction, stalled
STEPS = 4
ADVANCED = 3


@dataclass(frozen=True)
class Spec:
    """Shares of the classes, and of those who go deep how many had before they drift, and how many speak for it."""

    weights: tuple[float, ...]
    deep_drift: float
    advocates: float = ADVOCATES

    @property
    def rates(self) -> dict[str, float]:
        """Say which share passes each link in the end, of those who passed the one before."""
        active = sum(self.weights[VANISHED:])
        back = sum(self.weights[PLATEAU:])
        deep = self.weights[HEALTHY] + self.deep_drift * self.weights[DRIFT]
        return {
            "activation": active,
            "habit": back / active if active else 0.0,
            "depth": deep / back if back else 0.0,
            "advocacy": self.advocates,
        }


def spec_of(mix: Mix, rates: Mapping[str, float], *, name: str = "mix") -> Spec:
    """Read a mix: its name, weights of the classes, or pass rates of links (those not named as in `rates`)."""
    if isinstance(mix, str):
        if mix not in MIXES:
            raise ParameterError(
                f"{name} is {mix!r}.{nearest(mix, MIXES)} There are {listing(MIXES)}; or give weights."
            )
        return Spec(*MIXES[mix])
    if not isinstance(mix, Mapping) or not mix:
        raise ParameterError(f"{name} is {mix!r}; it takes a name, weights or pass rates.")
    if set(mix) <= set(LINKS):
        return _from_rates(dict(rates) | dict(mix), name)
    return _from_weights(mix, name)


def _from_weights(mix: Mapping[str, float], name: str) -> Spec:
    faults = [
        f"{name} names {key!r}.{nearest(str(key), CLASSES)} It takes weights of {listing(CLASSES)}, or rates of {listing(LINKS)}."
        for key in mix
        if key not in CLASSES
    ]
    total = sum(mix.get(c, 0.0) for c in CLASSES)
    if any(weight < 0 for weight in mix.values()) or total <= 0:
        faults.append(f"{name} needs weights of at least 0, not all of them 0.")
    if faults:
        raise ParameterError.from_faults("The mix cannot be used", faults)
    return Spec(tuple(mix.get(c, 0.0) / total for c in CLASSES), 0.5)


def _from_rates(rates: Mapping[str, float], name: str) -> Spec:
    faults = [
        f"{name} plants {link} at {rate!r}; a pass rate lies between 0 and 1."
        for link, rate in rates.items()
        if not 0 <= rate <= 1
    ]
    if faults:
        raise ParameterError.from_faults("The pass rates cannot be used", faults)
    active, habit, depth = (rates[link] for link in LINKS[:3])
    back = active * habit
    stays = back * (1 - DRIFTERS)
    weights = [share * (1 - active) for share in LOST]
    weights += [active - back, stays * (1 - depth), back * DRIFTERS, stays * depth]
    return Spec(tuple(weights), depth, rates["advocacy"])


@dataclass(frozen=True)
class Fates:
    """What each simulated user will do, were the log to go on for ever: one value per user in each array."""

    signed: Floats
    planted: Whole
    deepens: Flags
    advocates: Flags
    activated: Floats  # infinite for those who never do
    pace: Floats  # days the steps take together
    hot_step: Whole  # where friction stops; for the stalled, how many steps they complete
    peeks: Flags  # stalled, but opened one step more
    cadence: Floats
    stop: Whole  # visits before a drifter stops
    adopt: Whole  # visit at which going deep begins
    in_time: bool  # every link that is passed is passed within its window

    @property
    def returns(self) -> Flags:
        """Mark the users who come back after activation."""
        marks: Flags = self.planted >= PLATEAU
        return marks

    @property
    def drifts(self) -> Flags:
        """Mark the users who come back, and then stop."""
        marks: Flags = self.planted == DRIFT
        return marks


def draw_fates(
    rng: np.random.Generator,
    weights: Floats,
    deep_drift: Floats,
    advocacy: Floats,
    signed: Floats,
    luck: Floats,
    *,
    cadence_days: float,
    cadence_spread: float,
    noise: float,
    hot_step: int,
    in_time: bool,
    longest_cadence: float,
) -> Fates:
    """Draw what each user will do; `luck` (uniform) decides the class, so that accounts can share it.

    `weights` of the classes, the share of drifters who had gone deep, and of the deep who advocate: one per user.
    """
    n = signed.size
    planted = np.minimum((luck[:, None] >= np.cumsum(weights, axis=1)).sum(axis=1), HEALTHY)
    deepens = (planted == HEALTHY) | ((planted == DRIFT) & (rng.random(n) < deep_drift))
    delay = np.clip(rng.lognormal(np.log(1.2), 1.1, n), 0.03, 13.5)
    late = (rng.random(n) < 0.02) & (not in_time)
    delay = np.where(late, rng.uniform(14, 40, n), delay)
    cadence = np.clip(rng.lognormal(np.log(cadence_days), cadence_spread, n), 0.75, longest_cadence)
    adopt = rng.integers(1, 3, n) if in_time else rng.integers(2, 7, n)
    stop = np.where(planted == DRIFT, rng.integers(4, 10, n), np.iinfo(np.int64).max)
    stop = np.where(deepens, np.maximum(stop, adopt + 4), stop)
    anywhere = rng.random(n) < noise
    hot = np.where(anywhere, rng.integers(0, STEPS, n), hot_step)
    done = rng.integers(1, STEPS, n)
    return Fates(
        signed=signed,
        planted=planted,
        deepens=deepens,
        advocates=deepens & (rng.random(n) < advocacy),
        activated=np.where(planted >= VANISHED, signed + delay, np.inf),
        pace=delay,
        hot_step=np.where(planted == CLASSES.index("stalled"), done, hot),
        peeks=(planted == CLASSES.index("stalled")) & (rng.random(n) < noise),
        cadence=cadence,
        stop=stop,
        adopt=adopt,
        in_time=in_time,
    )
