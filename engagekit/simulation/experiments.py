"""A planted experiment: who is put into which arm by lot, what the play does to them, and what is wrong with the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engagekit.definition import LINKS
from engagekit.errors import ParameterError, check_choice

if TYPE_CHECKING:
    from engagekit.simulation.users import Flags, Floats, Whole

CONTROL, TREATED = "control", "checklist"
EXPOSED, VARIANT = "exposed", "variant"  # the event that tells of an assignment, and its property


@dataclass(frozen=True)
class PlantedTest:
    """A planted experiment: a lot at sign-up decides who is in the arm whose users pass a link more often.

    Parameters
    ----------
    link
        The link that the play mends.
    lift
        How much higher its pass rate is in the arm ``checklist`` than in the arm ``control``.
    first, last
        Who signs up from the day `first` to the day `last` (exclusive; None: to the end) is assigned; days since the
        log's first.
    share
        How likely the lot is ``checklist``.
    lost
        Share of that arm whose assignment the log does not tell of: a mismatch of the split.
    by_account
        Whether whole accounts are assigned.
    spill
        Share of the lift that also reaches the other arm's members of an account where somebody has the play.

    Raises
    ------
    ParameterError
        With every one that cannot be used.
    """

    link: str = "activation"
    lift: float = 0.0
    first: int = 0
    last: int | None = None
    share: float = 0.5
    lost: float = 0.0
    by_account: bool = False
    spill: float = 0.0

    def __post_init__(self) -> None:
        """Check everything at once."""
        faults = check_choice("link", self.link, LINKS)
        if not -1 <= self.lift <= 1:
            faults.append(f"lift is {self.lift!r}; it takes a number from -1 to 1.")
        for name in ("share", "lost", "spill"):
            if not 0 <= getattr(self, name) <= 1:
                faults.append(f"{name} is {getattr(self, name)!r}; it takes a share from 0 to 1.")
        if faults:
            raise ParameterError.from_faults("The experiment cannot be planted", faults)


@dataclass(frozen=True)
class Lot:
    """How the lot fell, per user: `group` (0 control, 1 treated, -1 neither), `lift`, and whether the log tells (`told`)."""

    group: Whole
    lift: Floats
    told: Flags


def drawn(
    rng: np.random.Generator, signed: Floats, accounts: pl.Series | None, test: PlantedTest | None
) -> Lot:
    """Draw the lot of all users, from their days of sign-up and their accounts.

    Raises
    ------
    ParameterError
        The test needs accounts, and there are none.
    """
    group = np.full(signed.size, -1, np.int64)
    lift = np.zeros(signed.size)
    told = np.ones(signed.size, bool)
    if test is None:
        return Lot(group, lift, told)
    if accounts is None and (test.by_account or test.spill):
        raise ParameterError("by_account and spill need accounts=, how many users one has.")
    inside: Flags = (signed >= test.first) & (signed < (np.inf if test.last is None else test.last))
    codes = None if accounts is None else (accounts.rank("dense").to_numpy() - 1).astype(np.int64)
    if test.by_account and codes is not None:
        group[inside] = _coins(rng, int(codes.max()) + 1, test.share)[codes[inside]]
    else:
        group[inside] = _coins(rng, int(inside.sum()), test.share)
    lift[group == 1] = test.lift
    if test.spill and codes is not None:
        met = np.bincount(codes, group == 1) > 0
        lift[(group == 0) & met[codes]] = test.lift * test.spill
    if test.lost:
        told = (group != 1) | (rng.random(signed.size) >= test.lost)
    return Lot(group, lift, told)


def _coins(rng: np.random.Generator, count: int, share: float) -> Whole:
    if share == 0.5:
        return rng.integers(0, 2, count)
    return (rng.random(count) < share).astype(np.int64)


def lifted(moved: Floats, lot: Lot, test: PlantedTest | None) -> Floats:
    """Add what the experiment does to how far each user's pass rates lie beside their base."""
    if test is None:
        return moved
    found = moved.copy()
    found[:, LINKS.index(test.link)] += lot.lift
    return found


def with_variant(
    events: pl.DataFrame, truth: pl.DataFrame, ids: pl.Series, lot: Lot
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Say to which variant of the experiment a user was assigned: on its event, and in the truth."""
    names = pl.Series([CONTROL, TREATED])
    of = pl.DataFrame({"user_id": ids, "group": lot.group}).select(
        "user_id",
        pl.when(pl.col("group") >= 0)
        .then(pl.lit(names).gather(pl.col("group").clip(0)))
        .alias(VARIANT),
    )
    known = events.join(of, on="user_id", how="left", maintain_order="left")
    told = pl.when(pl.col("event") == EXPOSED).then(VARIANT).alias(VARIANT)
    return known.with_columns(told), truth.join(of, on="user_id", how="left", maintain_order="left")
