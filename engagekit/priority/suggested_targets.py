"""Suggested targets: where a team that has none can start, from what its own product has reached."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit.diagnosis import FLAGS, LOSABLE, UNSET, defined_links
from engagekit.journeys import check_journeys, group_names
from engagekit.playbook import BENCHMARKS
from engagekit.priority.counts import (
    ACCOUNT,
    KEYS,
    QUARTER,
    SIGNED,
    WEEK,
    count_links,
    recent_cells,
    totals,
)
from engagekit.priority.shrinking import strength_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys

SUGGESTED: dict[str, Any] = {
    "link": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "rate": pl.Float64,
    "quartile": pl.Float64,
    "benchmark": pl.Float64,
    "suggested": pl.Float64,
    "source": pl.String,
}
MONTH_DAYS = 28  # whole weeks, so that no month has more weekends than another
MONTHS = 4  # with fewer, a product has no months to speak of
BENCHMARK_OF = {"activation": "activation rate"}


def suggest_targets(journeys: Journeys, *, by: str | Sequence[str] | None = None) -> pl.DataFrame:
    """Suggest a target for each link: a start for the team's decision, never a verdict.

    The upper quartile of what the product itself has reached, in months of sign-ups of 28 days (and groups), each shrunk
    towards the mean as far as chance explains it, ``(n + S·p) / (of + S)``, and never below the rate now.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    by
        A property of the users, or a list of them: then each of its values counts in each month.

    Returns
    -------
    DataFrame
        One row per link that the definition can judge: `link`; `n`, `of`, `rate` of the recent sign-ups (those that
        `prioritize` judges); `quartile`, null with fewer than four months; `benchmark`, the guide's, null where it has
        none; `suggested`, in whole percent; `source`: ``"own months"``, ``"own months and groups"``, ``"benchmark"``
        (with too few months, where it lies above the rate now) or ``"rate now"``. Advocacy gets no suggestion: it
        validates what comes before it. Null where nobody can be judged.

    Raises
    ------
    ParameterError
        `by` names no property, or one with a name this answer uses.

    Notes
    -----
    In the denominators: users judged on the link, over the whole log for months, over the recent span for the rate now.

    References
    ----------
    Kleinman (1973), Journal of the American Statistical Association 68, 46-54, for the shrinking; the user engagement
    guide for the benchmark.

    Examples
    --------
    >>> import engagekit as ek
    >>> log = ek.simulate(users=600, days=240, seed=1)
    >>> found = suggest_targets(ek.rollup(log.events, log.definition, users=log.users))
    >>> found.select("link", "source").rows()
    [('activation', 'own months'), ('habit', 'own months'), ('depth', 'own months'), ('advocacy', None)]
    """
    check_journeys(journeys)
    groups = group_names(
        journeys, by, taken=[*SUGGESTED, *FLAGS, *KEYS, SIGNED, WEEK, QUARTER, ACCOUNT]
    )
    counts = count_links(journeys, groups=groups, recent=UNSET)
    now = totals(recent_cells(counts))
    month = pl.col(WEEK).floordiv(MONTH_DAYS // 7).alias("_month")
    monthly = (
        counts.cells.group_by(*groups, "link", month)
        .agg(pl.col("n", "of").sum())
        .sort(*groups, "link", "_month")
    )
    known = defined_links(journeys.definition)
    rows = [
        _row(row, monthly.filter(pl.col("link") == row["link"]), by_group=bool(groups))
        for row in now.iter_rows(named=True)
        if row["link"] in known
    ]
    return pl.DataFrame(rows, schema=SUGGESTED)


def _row(now: dict[str, Any], monthly: pl.DataFrame, *, by_group: bool) -> dict[str, Any]:
    link, n, of = now["link"], now["n"], now["of"]
    rate = n / of if of else None
    named = BENCHMARK_OF.get(link)
    benchmark = next((b.value for b in BENCHMARKS if b.metric == named), None)
    row = {"link": link, "n": n, "of": of, "rate": rate, "quartile": None, "benchmark": benchmark}
    if rate is None:
        return row | {"suggested": None, "source": None}
    quartile = upper_quartile(
        monthly["n"].to_numpy().astype(float), monthly["of"].to_numpy().astype(float)
    )
    if monthly["_month"].n_unique() >= MONTHS:
        row["quartile"] = quartile = max(quartile, rate)
        source = "own months and groups" if by_group else "own months"
        found = quartile
    else:
        source, found = ("benchmark", benchmark) if (benchmark or 0) > rate else ("rate now", rate)
    if link not in LOSABLE:
        return row | {"suggested": None, "source": None}
    whole = min(0.99, math.ceil(100 * (found or rate) - 1e-9) / 100)
    return row | {"suggested": max(0.01, whole), "source": source}


def upper_quartile(
    n: np.ndarray[Any, np.dtype[np.float64]], of: np.ndarray[Any, np.dtype[np.float64]]
) -> float:
    """Take the upper quartile of several rates, each shrunk towards their mean as far as chance explains it.

    Examples
    --------
    >>> even = np.array([45.0, 40.0, 50.0, 45.0]), np.full(4, 150.0)
    >>> apart = np.array([20.0, 45.0, 75.0, 80.0]), np.full(4, 150.0)
    >>> round(upper_quartile(*even), 3), round(upper_quartile(*apart), 3)
    (0.3, 0.503)
    """
    mean = float(n.sum() / of.sum())
    strength = strength_of(n, of)
    if math.isinf(strength):
        return mean
    return float(np.quantile((n + strength * mean) / (of + strength), 0.75))
