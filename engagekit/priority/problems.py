"""The problem behind a broken link, and how sure it is: no play from a plurality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from engagekit.diagnosis import RULES, labelled
from engagekit.journeys import gathered
from engagekit.priority.counts import within
from engagekit.priority.earliest import SURE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engagekit.diagnosis import Rule
    from engagekit.journeys import Journeys
    from engagekit.priority.counts import Span

EARLY = ("friction", "stalled", "never_started")  # what stops users who never activate
LABEL_OF = {"habit": "vanished", "depth": "plateau"}
PRIOR = 0.5  # of Dirichlet's law, for each of the three
PARTS = 4_000  # of the quadrature; its error is below 1e-5


@dataclass(frozen=True)
class Problem:
    """Why a link breaks: `problem` and `play` where that is sure enough (both null where not, or where no play mends it).

    `probability` is that of the likeliest problem; null where the problem follows from the link. `candidates` are the
    two likeliest rules where it is open which problem it is; `counts` the users who show each.
    """

    problem: str | None
    play: str | None
    probability: float | None = None
    candidates: tuple[Rule, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


def early_counts(journeys: Journeys, span: Span, groups: Sequence[str]) -> pl.DataFrame:
    """Count what stopped those of a span of sign-ups who never activated.

    Returns
    -------
    DataFrame
        The groups, `label` (friction, stalled, never_started) and `n`.
    """
    among = within(journeys, span)
    own = [pl.col(f"by:{name}").alias(name) for name in groups]

    def stopped(part: Journeys) -> pl.LazyFrame:
        users = labelled(part, keep=groups).filter(pl.col("label").is_in(EARLY), among)
        return users.select(*own, pl.col("label").cast(pl.String))

    counted = gathered(journeys, stopped).group_by(*groups, "label")
    return counted.agg(pl.len().cast(pl.Int64).alias("n")).sort(*groups, "label").collect()


def problem_of(link: str | None, early: pl.DataFrame, *, steps: bool) -> Problem | None:
    """Say what the problem behind a broken link is.

    Parameters
    ----------
    link
        The broken link; None: no link is.
    early
        `label` and `n`, as `early_counts` gives them.
    steps
        Whether the definition has steps: without, Friction cannot be told from Progress.
    """
    return problem_from(link, dict(early.select("label", "n").iter_rows()), steps=steps)


def problem_from(
    link: str | None,
    early: Mapping[str, int],
    *,
    steps: bool,
    seen: dict[tuple[int, ...], list[float]] | None = None,
) -> Problem | None:
    """Say what the problem behind a broken link is, from how many users show each label.

    `seen` keeps what `largest` has said: many small groups have the same counts.
    """
    if link is None:
        return None
    if link == "advocacy":
        return Problem("advocacy", None)
    if link != "activation":
        rule = _rule(LABEL_OF[link])
        return Problem(rule.problem, rule.play)
    counts = {label: early.get(label, 0) for label in EARLY}
    if not steps:  # then "stalled" is either of them
        counts.pop("friction")
    shape, seen = tuple(counts.values()), {} if seen is None else seen
    if shape not in seen:
        seen[shape] = largest(shape)
    p = dict(zip(counts, seen[shape], strict=True))
    first, second, *_ = sorted(p, key=lambda label: (-p[label], EARLY.index(label)))
    shown = tuple((label, counts[label]) for label in (first, second))
    if p[first] < SURE:
        return Problem(None, None, p[first], (_rule(first), _rule(second)), shown)
    if first == "stalled" and not steps:
        shown = (("stalled", counts["stalled"]),)
        return Problem(None, None, p[first], (_rule("stalled"), _rule("friction")), shown)
    return Problem(_rule(first).problem, _rule(first).play, p[first], (), shown)


def _rule(label: str) -> Rule:
    return next(rule for rule in RULES if rule.label == label)


def largest(counts: Sequence[int]) -> list[float]:
    """Give the probability of each of several classes to be the largest, from Dirichlet's law with 1/2 added to each count.

    ``P(class i) = E[Π_{j≠i} F_j(X_i)]`` with ``X_i ~ Gamma(n_i + 1/2)`` and ``F_j`` the distribution of the others.

    Examples
    --------
    >>> [round(p, 3) for p in largest([34, 33, 12])]
    [0.549, 0.451, 0.0]
    >>> [round(p, 3) for p in largest([60, 20, 20])]
    [1.0, 0.0, 0.0]
    """
    from scipy.special import gammainc, gammaincinv

    shapes = np.asarray(counts, float) + PRIOR
    at = gammaincinv(shapes[:, None], (np.arange(PARTS) + 0.5) / PARTS)
    found = [
        np.prod([gammainc(b, at[i]) for j, b in enumerate(shapes) if j != i], axis=0).mean()
        for i in range(len(shapes))
    ]
    return [float(p) for p in np.array(found) / sum(found)]
