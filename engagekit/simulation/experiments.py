"""Plays planted into a simulated log: a test with two arms, and a play that starts at a date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engagekit.errors import ParameterError, check_choice
from engagekit.instants import AT

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVENT, PROPERTY = "exposed", "variant"
MOVED = {"activation": timedelta(hours=30), "habit": timedelta(days=3)}


@dataclass(frozen=True)
class PlantedTest:
    """A test of a play, by lot at sign-up: what it does, and what is wrong with it.

    Parameters
    ----------
    effect
        By how much the play raises the share of sign-ups that pass the link (below 0: lowers nothing, refused).
    link
        ``"activation"`` or ``"habit"``.
    share
        The share of users (or accounts) that the lot puts into the arm with the play.
    lost
        The share of that arm's users whose assignment is lost: a mismatch of the split.
    spill
        With accounts: the share of the effect that reaches members of an account in the other arm, where one
        member has the play.
    by_account
        Whether whole accounts are assigned.
    """

    effect: float = 0.0
    link: str = "activation"
    share: float = 0.5
    lost: float = 0.0
    spill: float = 0.0
    by_account: bool = False

    def __post_init__(self) -> None:
        """Check everything at once."""
        faults = check_choice("link", self.link, list(MOVED))
        for name in ("effect", "share", "lost", "spill"):
            if not 0 <= getattr(self, name) <= 1:
                faults.append(f"{name} is {getattr(self, name)!r}; it takes a share from 0 to 1.")
        if faults:
            raise ParameterError.from_faults("The test cannot be planted", faults)


@dataclass(frozen=True)
class PlantedPlay:
    """A play that begins at an instant, for everybody who signs up from then on: by how much it raises a link."""

    since: datetime
    effect: float
    link: str = "activation"

    def __post_init__(self) -> None:
        """Check everything at once."""
        faults = check_choice("link", self.link, list(MOVED))
        if not 0 <= self.effect <= 1:
            faults.append(f"effect is {self.effect!r}; it takes a share from 0 to 1.")
        if faults:
            raise ParameterError.from_faults("The play cannot be planted", faults)


def tested(
    events: pl.DataFrame, users: pl.DataFrame, truth: pl.DataFrame, test: PlantedTest, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add a test to a log: the exposures, and the events of users whom the play moved.

    Returns
    -------
    tuple
        The log, and one row per user assigned: `user_id`, `variant` (also where it was lost), `lost`, `moved`.
    """
    random = np.random.default_rng([seed, 17])
    people = truth.join(users, on="user_id", how="left", maintain_order="left")
    account = (
        people["account_id"].rank("dense").cast(pl.Int64)
        if "account_id" in people.columns
        else None
    )
    codes = np.arange(people.height) if account is None else account.to_numpy() - 1
    lot = random.random(int(codes.max()) + 1 if codes.size else 0) < test.share
    treated = lot[codes] if test.by_account else random.random(people.height) < test.share
    force = np.where(treated, test.effect, 0.0)
    if test.spill and account is not None:
        met = np.bincount(codes, treated) > 0
        force = np.where(~treated & met[codes], test.effect * test.spill, force)
    moved = _moved(random, people, test.link, force)
    lost = treated & (random.random(people.height) < test.lost)
    arms = people.select("user_id", "signed_up_at").with_columns(
        pl.Series(PROPERTY, np.where(treated, "new", "control")),
        pl.Series("lost", lost),
        pl.Series("moved", moved),
    )
    told = arms.filter(~pl.col("lost")).select(
        "user_id",
        pl.lit(EVENT).alias("event"),
        (pl.col("signed_up_at") + timedelta(minutes=1)).cast(AT).alias("at"),
        PROPERTY,
    )
    return _joined(events, [told, _passing(people, moved, test.link)]), arms.drop("signed_up_at")


def played(events: pl.DataFrame, truth: pl.DataFrame, play: PlantedPlay, seed: int) -> pl.DataFrame:
    """Add the events of users whom a play moved, of those who signed up since it began."""
    random = np.random.default_rng([seed, 18])
    since = (truth["signed_up_at"] >= pl.Series([play.since]).cast(AT)[0]).to_numpy()
    moved = _moved(random, truth, play.link, np.where(since, play.effect, 0.0))
    return _joined(events, [_passing(truth, moved, play.link)])


def _moved(
    random: np.random.Generator, people: pl.DataFrame, link: str, force: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Draw who passes because of the play, among those who would not have passed, so that all together rise by the force."""
    passed = (
        people["activated_at" if link == "activation" else "returned_at"].is_not_null().to_numpy()
    )
    open_to = (
        ~passed
        if link == "activation"
        else ~passed & people["activated_at"].is_not_null().to_numpy()
    )
    room = max(float(open_to.mean()), 1e-9) if open_to.size else 1.0
    found: NDArray[np.bool_] = open_to & (random.random(people.height) < force / room)
    return found


def _passing(people: pl.DataFrame, moved: NDArray[np.bool_], link: str) -> pl.DataFrame:
    start = "signed_up_at" if link == "activation" else "activated_at"
    event = "first_project" if link == "activation" else "project_published"
    return people.filter(pl.Series(moved)).select(
        "user_id", pl.lit(event).alias("event"), (pl.col(start) + MOVED[link]).cast(AT).alias("at")
    )


def _joined(events: pl.DataFrame, more: list[pl.DataFrame]) -> pl.DataFrame:
    end = events["at"].max()
    rows = [frame.filter(pl.col("at") <= end) for frame in more]
    return pl.concat([events, *rows], how="diagonal").sort("at", "user_id", maintain_order=True)
