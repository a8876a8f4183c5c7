"""Rows of the metrics table: what is summed over users, and what a row says about the sums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import AT
from engagekit.intervals import design_effect, wilson, z_of
from engagekit.measures.user_facts import PROMPT_HOURS
from engagekit.survival import at_ends, counted, curve_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engagekit.definition import Definition
    from engagekit.journeys import Journeys

MICROSECONDS = 86_400_000_000  # of a day
LATE_SHARE = 0.2  # above this share of late activations, a warning

UNPROMPTED = (
    pl.col("returns").sum().cast(pl.Int64),
    pl.col("unprompted").sum().cast(pl.Int64),
    design_effect("unprompted", "returns").alias("effect"),
)


@dataclass(frozen=True)
class Share:
    """A share of users: who is judged (`of`), and which of them did (`n`)."""

    metric: str
    detail: str | None
    of: pl.Expr
    n: pl.Expr


@dataclass(frozen=True)
class Mean:
    """A count per user: what is summed (`count`), over whom (`of`), and whether most of them have none (`rare`)."""

    metric: str
    detail: str | None
    unit: str
    count: pl.Expr
    of: pl.Expr
    rare: bool = False


def facts_of(shares: Sequence[Share], means: Sequence[Mean]) -> Iterator[pl.Expr]:
    """Say of each user, in few bytes, what shares and means are summed from."""
    for place, share in enumerate(shares):
        of = share.of.fill_null(value=False)
        yield of.alias(f"share_{place}_of")
        yield (of & share.n.fill_null(value=False)).alias(f"share_{place}_n")
    for place, mean in enumerate(means):
        yield mean.of.alias(f"mean_{place}_of")
        yield pl.when(mean.of).then(mean.count).cast(pl.UInt32).alias(f"mean_{place}_n")
    yield pl.col("returns", "unprompted").cast(pl.UInt32)


def sums_of(shares: Sequence[Share], means: Sequence[Mean]) -> Iterator[pl.Expr]:
    """Sum up what `facts_of` says: users judged, those who did, counts and their squares."""
    for place, _ in enumerate(shares):
        yield pl.col(f"share_{place}_of", f"share_{place}_n").sum().cast(pl.Int64)
    for place, _ in enumerate(means):
        count = pl.col(f"mean_{place}_n").cast(pl.Int64)
        yield pl.col(f"mean_{place}_of").sum().cast(pl.Int64)
        yield count.sum()
        yield (count * count).sum().alias(f"mean_{place}_squares")
    yield from UNPROMPTED


def share_rows(shares: Sequence[Share], found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Write a row for each share."""
    for place, share in enumerate(shares):
        n, of = found[f"share_{place}_n"], found[f"share_{place}_of"]
        effect = found.get(f"share_{place}_effect")
        bounds = wilson(n / (effect or 1.0), of / (effect or 1.0))
        yield _row(share.metric, share.detail, "share", n, of, bounds, effect=effect)


def mean_rows(means: Sequence[Mean], found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Write a row for each mean: a normal interval for actions, that of rare events for the others."""
    for place, mean in enumerate(means):
        n, of, squares = (found[f"mean_{place}_{part}"] for part in ("n", "of", "squares"))
        effect = found.get(f"mean_{place}_effect")
        bounds: tuple[float | None, float | None] = (None, None)
        if of > 1:
            # Whole numbers all the way, so that the same data give the same digits.
            variance = (of * squares - n * n) / (of * (of - 1)) * (effect or 1.0)
            bounds = rare_events(n, of, variance) if mean.rare else around(n, of, variance)
        yield _row(mean.metric, mean.detail, mean.unit, n, of, bounds, effect=effect)


def around(n: int, of: int, variance: float) -> tuple[float, float]:
    """Give the normal interval of a mean, not below 0."""
    half = z_of(0.95) * math.sqrt(variance / of)
    return max(0.0, n / of - half), n / of + half


def rare_events(n: int, of: int, variance: float) -> tuple[float, float]:
    """Give the interval of a rate of `n` events over `of` users: the exact one of Poisson's law, widened.

    Where few users have most of the events, users tell less than events would: the events count for as many fewer
    as their `variance` between users exceeds their mean. With 5 errors expected from 100 users, a normal interval
    would hold in some 86 of 100 cases.

    References
    ----------
    Garwood (1936), Biometrika 28, 437-442; McCullagh and Nelder (1989), section 6.2, for the dispersion.

    Examples
    --------
    >>> [round(bound, 4) for bound in rare_events(0, 100, 0.0)]
    [0.0, 0.0369]
    """
    from scipy.special import gammaincinv

    effect = max(1.0, variance * of / n) if n else 1.0
    tail, events, users = 0.025, n / effect, of / effect
    low = float(gammaincinv(events, tail)) if n else 0.0
    return low / users, float(gammaincinv(events + 1, 1 - tail)) / users


def unprompted_row(found: dict[str, Any], definition: Definition) -> Iterator[dict[str, Any]]:
    """Write the row of returns that no outreach came before."""
    if definition.outreach is None:
        return
    n, of, effect = found["unprompted"], found["returns"], found["effect"] or 1.0
    detail = f"no outreach in the {PROMPT_HOURS} hours before"
    bounds = wilson(n / effect, of / effect)
    yield _row(
        "unprompted share", detail, "share", n, of, bounds, unit="return", effect=found["effect"]
    )


def _row(
    metric: str,
    detail: str | None,
    measured_in: str,
    n: int,
    of: int,
    bounds: tuple[float | None, float | None],
    *,
    unit: str = "user",
    effect: float | None = None,
) -> dict[str, Any]:
    known = of > 0
    return {
        "metric": metric,
        "detail": detail,
        "n": n,
        "of": of,
        "value": n / of if known else None,
        "unit": measured_in,
        "low": bounds[0] if known else None,
        "high": bounds[1] if known else None,
        "design_effect": effect if known else None,
        "note": None if known else f"No {unit} can be judged yet.",
    }


def wait(journeys: Journeys) -> tuple[pl.Expr, pl.Expr]:
    """Say how long each user took to activate, or has been waiting."""
    until = pl.coalesce("activated_at", pl.lit(journeys.as_of, AT)) - pl.col("signed_up_at")
    # Whole numbers until the end: the last digit of polars' own division depends on how many rows there are.
    return until.dt.total_microseconds().alias("waited"), pl.col(
        "activated_at"
    ).is_not_null().alias("activated")


def time_to_value(waits: pl.DataFrame, definition: Definition) -> Iterator[dict[str, Any]]:
    """Write the row of the median, by Kaplan and Meier."""
    n, of = int(waits["activated"].sum()), waits.height
    curve = curve_of(at_ends(counted(waits["waited"], waits["activated"])))
    found = {c: _first_below_half(curve, c) for c in ("survival", "low", "high")}
    window = definition.activation_days * MICROSECONDS
    late = int((waits["activated"] & (waits["waited"] >= window)).sum())
    note = None
    if found["survival"] is None:
        note = "Fewer than half are known to activate, so there is no median."
    if n and late / n > LATE_SHARE:
        note = f"{late} of {n} activations come after the activation window of {definition.activation_days} days; a longer one may fit better."
    yield _row("time to value", "median", "days", n, of, (found["low"], found["high"])) | {
        "value": found["survival"],
        "note": note if of else "No user can be judged yet.",
    }


def _first_below_half(curve: pl.DataFrame, column: str) -> float | None:
    below = curve.filter(pl.col(column) <= 0.5 + 1e-12)["time"]
    return float(below[0]) / MICROSECONDS if below.len() else None
