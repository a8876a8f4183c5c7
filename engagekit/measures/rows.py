"""Rows of the metrics table: what is summed over users, and what a row says about the sums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import AT
from engagekit.intervals import wilson, z_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engagekit.definition import Definition
    from engagekit.journeys import Journeys
    from engagekit.measures.prompts import Prompted
    from engagekit.measures.silences import Comparison

MICROSECONDS = 86_400_000_000  # of a day
NOT_CONTACTED, DIFFERENCE = "of those not contacted", "difference"
LATE_SHARE = 0.2  # above this share of late activations, a warning


@dataclass(frozen=True)
class Share:
    """A share of users: who is judged (`of`), and which of them did (`n`)."""

    metric: str
    reading: str
    of: pl.Expr
    n: pl.Expr


@dataclass(frozen=True)
class Mean:
    """A count per user: what is summed (`count`), over whom (`of`), and whether most of them have none (`rare`)."""

    metric: str
    reading: str
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


def sums_of(shares: Sequence[Share], means: Sequence[Mean]) -> Iterator[pl.Expr]:
    """Sum up what `facts_of` says: users judged, those who did, counts and their squares."""
    for place, _ in enumerate(shares):
        yield pl.col(f"share_{place}_of", f"share_{place}_n").sum().cast(pl.Int64)
    for place, _ in enumerate(means):
        count = pl.col(f"mean_{place}_n").cast(pl.Int64)
        yield pl.col(f"mean_{place}_of").sum().cast(pl.Int64)
        yield count.sum()
        yield (count * count).sum().alias(f"mean_{place}_squares")


def share_rows(shares: Sequence[Share], found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Write a row for each share."""
    for place, share in enumerate(shares):
        n, of = found[f"share_{place}_n"], found[f"share_{place}_of"]
        effect = found.get(f"share_{place}_effect")
        bounds = wilson(n / (effect or 1.0), of / (effect or 1.0))
        yield _row(share.metric, share.reading, "share", n, of, bounds, effect=effect)


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
        yield _row(mean.metric, mean.reading, mean.unit, n, of, bounds, effect=effect)


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


def median_of(values: pl.Series) -> tuple[float | None, float | None, float | None]:
    """Give the median, and between which values it lies at 95 %: by ranks, whatever the distribution.

    With `k` the 2.5 % quantile of Binomial(n, 1/2), from the k-th smallest to the k-th largest; null where k is 0.

    References
    ----------
    Thompson (1936), Annals of Mathematical Statistics 7, 122-128.

    Examples
    --------
    >>> median_of(pl.Series([1, 2, 3, 4, 5, 6, 7, 8, 9]))
    (5.0, 2.0, 8.0)
    """
    from scipy.special import bdtr, bdtrik

    found = values.drop_nulls().sort()
    n = found.len()
    if not n:
        return None, None, None
    middle = (found[(n - 1) // 2] + found[n // 2]) / 2
    k = max(0, math.ceil(float(bdtrik(0.025, n, 0.5)))) if n > 5 else 0
    if k and bdtr(k - 1, n, 0.5) >= 0.025:
        k -= 1
    bounds = (float(found[k - 1]), float(found[n - k])) if k else (None, None)
    return float(middle), *bounds


def wait(journeys: Journeys) -> pl.Expr:
    """Say how long each user took to activate, in microseconds; null where they have not yet."""
    took = pl.col("activated_at") - pl.col("signed_up_at")
    # Whole numbers until the end: the last digit of polars' own division depends on how many rows there are.
    return pl.when(pl.col("activated_at") < pl.lit(journeys.as_of, AT)).then(
        took.dt.total_microseconds()
    )


def time_to_value(waits: pl.DataFrame, definition: Definition) -> Iterator[dict[str, Any]]:
    """Write the row of the median among those who activate in time, of users whose window has passed: `waited`, `judged`."""
    window = definition.activation_days * MICROSECONDS
    waited = waits.filter("judged")["waited"]
    in_time = waited.filter(waited < window)
    value, low, high = (
        None if found is None else found / MICROSECONDS for found in median_of(in_time)
    )
    late = int((waited >= window).sum())
    known = late + in_time.len()
    note = None if known else "No user is known to have activated in time yet."
    if known and late / known > LATE_SHARE:
        note = f"{late} of {known} activations come after the activation window of {definition.activation_days} days; a longer one may fit better."
    reading = f"median of those who activate within {definition.activation_days} days"
    row = _row("time to value", reading, "days", in_time.len(), waited.len(), (low, high))
    yield row | {"value": value, "note": row["note"] or note}


def depth_median(depths: pl.Series, metric: str, reading: str, unit: str) -> dict[str, Any]:
    """Write the row of the median number of actions of active users."""
    value, low, high = median_of(depths)
    row = _row(metric, reading, unit, None, depths.len(), (low, high))
    return row | {"value": value}


def compared_rows(metric: str, contacted: str, found: Comparison) -> Iterator[dict[str, Any]]:
    """Write what stands beside a rate of contacted users: the same without contact, and the difference.

    Parameters
    ----------
    metric
        Its name.
    contacted
        Whom the rate is of, in words.
    found
        The comparison.
    """
    note = None
    if found.difference is None:
        note = (
            "No user can be judged yet."
            if not found.contacted
            else f"Too few users were as long silent without being contacted to compare the {found.contacted} {contacted} with."
        )
    elif found.compared < found.contacted:
        note = f"{found.compared} of {found.contacted} {contacted} have users as long silent to compare with."
    rows = (
        (NOT_CONTACTED, "share", found.others, found.without),
        (DIFFERENCE, "difference", found.compared, found.difference),
    )
    for reading, unit, of, told in rows:
        value, low, high = map(_settled, told or (None, None, None))
        row = _row(metric, reading, unit, None, of, (low, high))
        yield row | {"value": value, "note": note}


def prompted_rows(found: Prompted, hours: int) -> Iterator[dict[str, Any]]:
    """Write what of the returns came without outreach, and what that stands on."""
    metric = "unprompted share"
    note = None
    if found.ratio is None:
        note = (
            "No return can be judged yet."
            if not found.returns
            else f"Too few users have days with and without outreach in the {hours} hours before that can be compared."
        )
    excess = [found.excess(r) for r in (found.ratio, found.low, found.high)]
    without = [None if x is None else min(1.0, 1 - x) for x in (excess[0], excess[2], excess[1])]
    after = f"in the {hours} hours after outreach"
    told = (
        ("of all returns", "share", None, without),
        (f"returns {after}", "share", found.prompted, None),
        (f"returns {after} beyond chance", "difference", None, excess),
        (f"times as often {after}", "times", None, [found.ratio, found.low, found.high]),
    )
    for reading, unit, n, values in told:
        if values is None:
            of = max(1, found.returns)
            row = _row(metric, reading, unit, n, found.returns, wilson(n or 0, of), unit="return")
            yield row | {"low": None, "high": None}
        else:
            value, low, high = map(_settled, values)
            row = _row(metric, reading, unit, n, found.returns, (low, high), unit="return")
            yield row | {"value": value, "note": note}


def _settled(value: float | None) -> float | None:
    """Leave the last digits out, which depend on the order that sums of weights are taken in."""
    return None if value is None else float(f"{value:.12g}")


def _row(
    metric: str,
    reading: str,
    measured_in: str,
    n: int | None,
    of: int,
    bounds: tuple[float | None, float | None],
    *,
    unit: str = "user",
    effect: float | None = None,
) -> dict[str, Any]:
    known = of > 0
    return {
        "metric": metric,
        "reading": reading,
        "n": n,
        "of": of,
        "value": n / of if known and n is not None else None,
        "unit": measured_in,
        "low": bounds[0] if known else None,
        "high": bounds[1] if known else None,
        "design_effect": effect if known else None,
        "note": None if known else f"No {unit} can be judged yet.",
    }
