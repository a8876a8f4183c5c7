"""Verdicts of many groups at once: what `judge` says of one, in a few steps over arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit.definition import LINKS
from engagekit.priority.earliest import NONE_BROKEN, below, chances, sure_enough

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

JUDGED: dict[str, Any] = {
    "verdict": pl.String,
    "link": pl.String,
    "probability": pl.Float64,
    "candidates": pl.List(pl.String),
}


def judge_each(n: Numbers, of: Numbers, marks: Numbers, sure: Numbers) -> pl.DataFrame:
    """Name the earliest broken link of each group where one is sure enough; see `judge`.

    Parameters
    ----------
    n, of
        Counts divided by design effects: groups x links.
    marks
        Below which a link is broken, not-a-number: cannot be named. One row for each group, or one for all.
    sure
        From which probability on a link is named: one for each group, or one for all.

    Returns
    -------
    DataFrame
        One row per group: `verdict`, `link`, `probability`, `candidates`.
    """
    marks = np.broadcast_to(marks, n.shape)
    chance = chances(below(n, of, marks))
    found = sure_enough(chance, of, marks, sure)
    marked = ~np.isnan(marks)
    judgeable = marked.any(axis=1)
    decided = (found >= 0) & judgeable
    named = decided & (found < len(LINKS))
    # Ranked among the links that can be named, and none; of equals the earlier one first.
    shares = np.where(np.c_[marked, np.ones(len(n), np.bool_)], chance, -1.0)
    ranked = np.argsort(-shares, axis=1, kind="stable")
    names = pl.Series([*LINKS, NONE_BROKEN])
    first, second = (names.gather(ranked[:, place]) for place in (0, 1))
    verdict = np.where(named, "named", np.where(decided, NONE_BROKEN, "undecided"))
    table = pl.DataFrame(
        {
            "verdict": pl.Series(verdict, dtype=pl.String),
            "link": names.gather(np.clip(found, 0, None)),
            "probability": np.where(judgeable, shares.max(axis=1), 0.0),
            "named": named,
            "open": ~decided & judgeable,
            "first": first,
            "second": second,
        }
    )
    return table.select(
        "verdict",
        pl.when("named").then("link").alias("link"),
        "probability",
        pl.when("open")
        .then(pl.concat_list("first", "second"))
        .otherwise(pl.lit([], pl.List(pl.String)))
        .alias("candidates"),
    ).select([pl.col(c).cast(kind) for c, kind in JUDGED.items()])
