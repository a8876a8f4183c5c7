"""What links are held against: the team's targets, the quarter before, or the best cohort shrunk towards the mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

import polars as pl

from engagekit.definition import LINKS
from engagekit.diagnosis import LOSABLE, defined_links
from engagekit.errors import ParameterError, check_choice, listing, nearest
from engagekit.instants import days, local_day
from engagekit.intervals import wilson
from engagekit.priority.counts import link_counts
from engagekit.priority.loop_table import Marks

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

PREVIOUS, BEST = "previous quarter", "best cohort"
Targets: TypeAlias = Mapping[str, float | None] | Literal["previous quarter", "best cohort"] | None
QUARTER_DAYS = 91
CHANCE = 0.05
NO_REFERENCE = {
    PREVIOUS: "there are no sign-ups of an earlier quarter that can be judged",
    BEST: "the months of sign-up do not differ beyond chance on any link, so the best of them is no better than the mean",
}


def marks_for(
    journeys: Journeys, flags: pl.LazyFrame, targets: Targets, accounts: str | None
) -> tuple[pl.DataFrame, Marks]:
    """Count the links and find what they are held against.

    Returns
    -------
    tuple
        The counts, one row per link (of the latest quarter of sign-ups, if held against the one before), and the marks.

    Raises
    ------
    ParameterError
        `targets` names no link, holds no shares, or asks for a reference the log cannot give.
    """
    defined = defined_links(journeys.definition)
    if isinstance(targets, str):
        if faults := check_choice("targets", targets, [PREVIOUS, BEST]):
            raise ParameterError(faults[0])
        return _against_itself(journeys, flags, targets, accounts)
    given = journeys.definition.targets if targets is None else targets
    source = "team" if targets is None else "given"
    counts = link_counts(flags, accounts=accounts)
    return counts, Marks(_checked(given), source, defined)


def _checked(targets: Mapping[str, float | None]) -> dict[str, float]:
    if not isinstance(targets, Mapping):
        raise ParameterError(
            f"targets is {targets!r}; it takes link names with rates such as {{'habit': 0.5}}, {PREVIOUS!r} or {BEST!r}."
        )
    faults = []
    for link, rate in targets.items():
        if link not in LINKS:
            faults.append(
                f"{link!r} is no link.{nearest(str(link), LINKS)} Links are {listing(LINKS)}."
            )
        elif rate is not None and (
            isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < 1
        ):
            faults.append(f"the target of {link} is {rate!r}; it takes a share between 0 and 1.")
    if faults:
        raise ParameterError.from_faults("The targets cannot be used", faults)
    return {link: float(rate) for link in LINKS if (rate := targets.get(link)) is not None}


def _against_itself(
    journeys: Journeys, flags: pl.LazyFrame, kind: str, accounts: str | None
) -> tuple[pl.DataFrame, Marks]:
    if kind == PREVIOUS:
        latest, before = _quarters(flags)
        counts = link_counts(latest, accounts=accounts)
        found = _lower_bounds(link_counts(before, accounts=accounts))
    else:
        counts = link_counts(flags, accounts=accounts)
        month = local_day(pl.col("signed_up_at"), journeys.timezone).dt.truncate("1mo")
        monthly = link_counts(flags.with_columns(month.alias("_month")), keys=["_month"])
        found = {
            link: best_shrunk(n, of)
            for (link,), part in monthly.filter(pl.col("of") > 0).group_by("link")
            if differ(n := part["n"].to_list(), of := part["of"].to_list())
        }
    defined = defined_links(journeys.definition)
    # Advocacy validates: only a target of the team's own makes it a link that can break.
    known = {k: found[k] for k in LOSABLE if k in defined and k in found and 0 < found[k] < 1}
    if not known:
        raise ParameterError(
            f"targets={kind!r} cannot be used: {NO_REFERENCE[kind]}; give targets such as {{'habit': 0.5}}."
        )
    return counts, Marks(known, kind, defined)


def _quarters(flags: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Keep, link by link, the judged sign-ups of the last 91 days, and those of the 91 days before."""
    at = pl.col("signed_up_at")
    latest, before = [], []
    for link in LINKS:
        for of in (f"{link}_of", f"{link}_reached_of"):
            cut = at.filter(pl.col(of)).max() - days(QUARTER_DAYS)
            now, then = at > cut, (at <= cut) & (at > cut - days(QUARTER_DAYS))
            for name in (of, of[:-2] + "n"):
                latest.append((pl.col(name) & now).alias(name))
                before.append((pl.col(name) & then).alias(name))
    return flags.with_columns(latest), flags.with_columns(before)


def _lower_bounds(counts: pl.DataFrame) -> dict[str, float]:
    # The rate of a past quarter is itself uncertain; only a rate below what it can have been is a break.
    return {
        row["link"]: wilson(row["n"] / row["design_effect"], row["of"] / row["design_effect"])[0]
        for row in counts.iter_rows(named=True)
    }


def differ(n: list[int], of: list[int]) -> bool:
    """Say whether cohorts differ beyond chance (chi-square of homogeneity, 5 %); else none of them is the best.

    Examples
    --------
    >>> differ([45, 40, 50, 45], [150, 150, 150, 150]), differ([20, 45, 75], [150, 150, 150])
    (False, True)
    """
    from scipy.special import chdtrc

    mean, spread = _spread(n, of)
    noise = mean * (1 - mean)
    return len(of) > 1 and noise > 0 and bool(chdtrc(len(of) - 1, spread / noise) < CHANCE)


def _spread(n: list[int], of: list[int]) -> tuple[float, float]:
    mean = sum(n) / sum(of)
    return mean, sum(m * (x / m - mean) ** 2 for x, m in zip(n, of, strict=True))


def best_shrunk(n: list[int], of: list[int]) -> float:
    """Say how good the best of several cohorts is, each shrunk towards the mean as far as chance explains it.

    ``(n_i + s·p) / (m_i + s)`` with ``s = 1/ρ - 1``; ``ρ`` is the likeness within cohorts, estimated from
    ``Σ m_i (p_i - p)² = p(1-p) [(1-ρ)(k-1) + ρ (M - Σm²/M)]``. Without likeness every cohort is the mean.

    Parameters
    ----------
    n, of
        Users who did and who could have, per cohort.

    Returns
    -------
    float
        The largest of the shrunk rates; never the raw maximum.

    Examples
    --------
    >>> round(best_shrunk([45, 40, 50, 45], [150, 150, 150, 150]), 3)
    0.3
    >>> round(best_shrunk([20, 45, 75], [150, 150, 150]), 3)
    0.493
    """
    users, cohorts = sum(of), len(of)
    mean, spread = _spread(n, of)
    noise = mean * (1 - mean)
    if noise == 0 or cohorts == 1:
        return mean
    room = users - sum(m * m for m in of) / users
    likeness = (spread / noise - (cohorts - 1)) / (room - (cohorts - 1))
    if likeness <= 0:
        return mean
    strength = 1 / min(likeness, 1.0) - 1
    return max((x + strength * mean) / (m + strength) for x, m in zip(n, of, strict=True))
