"""Products whose true rates are known, as counts per week of sign-up: written from the contract, without `ek.simulate`.

Every draw is one product. A user passes a link or not; rates differ from week to week, and users of an account are alike
(beta-binomial). Accounts sign up whole, in one week.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from engagekit.definition import LINKS
from engagekit.priority.counts import ENOUGH, WIDENED, totals
from engagekit.priority.earliest import below, chances, sure_enough

TARGETS = np.array([0.35, 0.50, 0.40])
MARGIN = 0.02
NAMES = LINKS[:3]
WEEKS = 13
ALIKE = 0.25  # the correlation between two users of an account


@dataclass(frozen=True)
class Draws:
    """Counts of many products: per link and row a draw, week (0 the latest), account, how many passed of how many."""

    cells: dict[str, pl.DataFrame]
    draws: int


def products(
    rng: np.random.Generator,
    rates: np.ndarray,
    *,
    per_week: int,
    weeks: int,
    spread: float = 0.0,
    account: int = 1,
) -> Draws:
    """Draw products; `rates` has shape (draws, links) or (draws, links, weeks), the long-run rates."""
    draws = rates.shape[0]
    if rates.ndim == 2:
        rates = np.repeat(rates[:, :, None], weeks, axis=2)
    groups = per_week // account
    could = np.full((draws, weeks, groups), account)
    cells = {}
    for place, link in enumerate(NAMES):
        rate = np.clip(rates[:, place] + rng.normal(0, spread, (draws, weeks)), 0.005, 0.995)
        own = np.repeat(rate[:, :, None], groups, axis=2)
        if account > 1:
            strength = 1 / ALIKE - 1
            own = rng.beta(own * strength, (1 - own) * strength)
        passed = rng.binomial(could, own)
        cells[link] = _rows(link, passed, could, by_account=account > 1)
        could = passed
    return Draws(cells, draws)


def _rows(link: str, passed: np.ndarray, could: np.ndarray, *, by_account: bool) -> pl.DataFrame:
    if not by_account:
        passed, could = passed.sum(axis=2, keepdims=True), could.sum(axis=2, keepdims=True)
    draw, week, account = np.nonzero(could)
    frame = pl.DataFrame(
        {
            "draw": draw.astype(np.int32),
            "_week": week.astype(np.int32),
            "n": passed[could > 0],
            "of": could[could > 0],
        }
    ).with_columns(link=pl.lit(link))
    if not by_account:
        return frame
    return frame.with_columns(_account=pl.Series(week * could.shape[2] + account).cast(pl.String))


def recent(made: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count each link on its recent span, doubled while fewer than 200 are judged: n, of, design effect (draws, links)."""
    found = []
    for link in NAMES:
        cells = made.cells[link]
        width = pl.lit(WEEKS)
        for step in range(WIDENED):
            judged = pl.col("of").filter(pl.col("_week") < WEEKS * 2**step).sum().over("draw")
            grown = pl.lit(WEEKS * 2 ** (step + 1))
            width = (
                pl.when((width == WEEKS * 2**step) & (judged < ENOUGH)).then(grown).otherwise(width)
            )
        kept = cells.with_columns(_width=width).filter(pl.col("_week") < pl.col("_width"))
        counted = totals(kept.drop("_width"), ["draw"]).filter(link=link)
        every = pl.DataFrame({"draw": np.arange(made.draws, dtype=np.int32)})
        found.append(every.join(counted, on="draw", how="left").sort("draw").fill_null(0))
    effect = [f["design_effect"].to_numpy() for f in found]
    shape = [np.stack([f[c].to_numpy() for f in found], axis=1).astype(float) for c in ("n", "of")]
    return shape[0], shape[1], np.maximum(np.stack(effect, axis=1), 1.0)


def verdicts(
    made: Draws, targets: np.ndarray = TARGETS, margin: float = MARGIN
) -> tuple[np.ndarray, np.ndarray]:
    """Judge every draw with the product's own functions: which link is named (-1: none), and with what probability."""
    n, of, effect = recent(made)
    marks = np.broadcast_to(targets - margin, n.shape)
    chance = chances(below(n / effect, of / effect, marks))
    top = sure_enough(chance, of, marks)
    return np.where(top == len(NAMES), -1, top), chance.max(axis=1)


def truly_right(
    named: np.ndarray, rates: np.ndarray, targets: np.ndarray = TARGETS, margin: float = MARGIN
) -> np.ndarray:
    """Say of named links whether they lie below their target, and none before them lies below its by more than the margin."""
    broken = rates < targets - margin
    earlier = np.cumsum(broken, axis=1) - broken
    rows = np.arange(len(named))
    place = np.maximum(named, 0)
    return (named >= 0) & (rates < targets)[rows, place] & (earlier[rows, place] == 0)
