"""Rows of the metrics table: what is summed over users, and what a row says about the sums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import AT
from engagekit.intervals import wilson, z_of
from engagekit.journeys import sorted_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engagekit.definition import Definition
    from engagekit.journeys import Journeys
    from engagekit.measures.prompts import Prompted
    from engagekit.measures.silences import Comparison

    Counts = NDArray[np.integer[Any]]
    Numbers = NDArray[np.float64]

MICROSECONDS = 86_400_000_000  # of a day
NOT_CONTACTED, DIFFERENCE = "of those not contacted", "difference"
LATE_SHARE = 0.2  # above this share of late activations, a warning


BLOCK: dict[str, Any] = {
    "g": pl.Int64,  # number of the group
    "place": pl.Int32,  # where the row stands among those of its group
    "metric": pl.String,
    "reading": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "unit": pl.String,
    "design_effect": pl.Float64,
    "note": pl.String,
}


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


def facts_of_each(shares: Sequence[Share], means: Sequence[Mean]) -> Iterator[pl.Expr]:
    """Say of each user, in few bytes, what shares and means are summed from."""
    for place, share in enumerate(shares):
        of = share.of.fill_null(value=False)
        yield of.alias(f"share_{place}_of")
        yield (of & share.n.fill_null(value=False)).alias(f"share_{place}_n")
    for place, mean in enumerate(means):
        yield mean.of.alias(f"mean_{place}_of")
        yield pl.when(mean.of).then(mean.count).cast(pl.UInt32).alias(f"mean_{place}_n")


def sums_of(shares: Sequence[Share], means: Sequence[Mean]) -> Iterator[pl.Expr]:
    """Sum up what `facts_of_each` says: users judged, those who did, counts and their squares."""
    for place, _ in enumerate(shares):
        yield pl.col(f"share_{place}_of", f"share_{place}_n").sum().cast(pl.Int64)
    for place, _ in enumerate(means):
        count = pl.col(f"mean_{place}_n").cast(pl.Int64)
        yield pl.col(f"mean_{place}_of").sum().cast(pl.Int64)
        yield count.sum()
        yield (count * count).sum().alias(f"mean_{place}_squares")


def share_blocks(
    shares: Sequence[Share], counted: pl.DataFrame, places: Sequence[int]
) -> Iterator[pl.DataFrame]:
    """Write the rows of each share, one for each group: `counted` has ``share_<i>_n``, ``share_<i>_of`` for each."""
    for number, (share, place) in enumerate(zip(shares, places, strict=True)):
        n, of = (counted[f"share_{number}_{c}"].to_numpy() for c in ("n", "of"))
        effect = counted.get_column(f"share_{number}_effect", default=None)
        yield share_block(share.metric, share.reading, place, n, of, effect)


def share_block(
    metric: str, reading: str, place: int, n: Counts, of: Counts, effect: pl.Series | None
) -> pl.DataFrame:
    """Write the rows of one share, with Wilson's interval of counts divided by the design effect."""
    alike = 1.0 if effect is None else effect.fill_null(1.0).to_numpy()
    bounds = wilson_bounds(n / alike, of / alike)
    return block(metric, reading, "share", place, n, of, bounds, effect=effect)


def wilson_bounds(n: Numbers, of: Numbers) -> tuple[Numbers, Numbers]:
    """Give Wilson's intervals of many shares, as `wilson` gives one."""
    import numpy as np

    z = z_of(0.95)
    known = np.maximum(of, np.finfo(float).tiny)
    share, z2 = n / known, z * z / known
    with np.errstate(over="ignore", invalid="ignore"):
        half = np.sqrt(np.maximum(0.0, share * (1 - share)) * z2 + z2 * z2 / 4)
        low = np.where(n <= 0, 0.0, (share + z2 / 2 - half) / (1 + z2))
        high = np.where(n >= of, 1.0, (share + z2 / 2 + half) / (1 + z2))
    return np.maximum(0.0, low), np.minimum(1.0, high)


def mean_blocks(
    means: Sequence[Mean], counted: pl.DataFrame, places: Sequence[int]
) -> Iterator[pl.DataFrame]:
    """Write the rows of each mean: a normal interval for actions, that of rare events for the others."""
    import numpy as np

    for number, (mean, place) in enumerate(zip(means, places, strict=True)):
        columns = [counted[f"mean_{number}_{part}"] for part in ("n", "of", "squares")]
        effect = counted.get_column(f"mean_{number}_effect", default=None)
        effects = [None] * counted.height if effect is None else effect.to_list()
        bounds = [
            _around_mean(n, of, squares, alike or 1.0, rare=mean.rare)
            for n, of, squares, alike in zip(*map(list, columns), effects, strict=True)
        ]
        low, high = np.array(bounds, float).reshape(-1, 2).T
        n, of = (column.to_numpy() for column in columns[:2])
        yield block(mean.metric, mean.reading, mean.unit, place, n, of, (low, high), effect=effect)


def _around_mean(
    n: int, of: int, squares: int, effect: float, *, rare: bool
) -> tuple[float, float]:
    if of <= 1:
        return math.nan, math.nan
    # Whole numbers all the way, so that the same data give the same digits.
    variance = (of * squares - n * n) / (of * (of - 1)) * effect
    return rare_events(n, of, variance) if rare else around(n, of, variance)


def around(n: int, of: int, variance: float) -> tuple[float, float]:
    """Give the normal interval of a mean, not below 0; not-a-number where all have the same, which tells no spread."""
    if variance <= 0:
        return math.nan, math.nan
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


def medians_of(
    values: NDArray[Any], group: Counts, groups: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Give the median of each group, and between which values it lies at 95 %: by ranks, whatever the distribution.

    With `k` the 2.5 % quantile of Binomial(n, 1/2), from the k-th smallest to the k-th largest; not-a-number where k is 0.

    References
    ----------
    Thompson (1936), Annals of Mathematical Statistics 7, 122-128.

    Examples
    --------
    >>> import numpy as np
    >>> each = medians_of(np.arange(1, 10), np.zeros(9, np.int64), 1)
    >>> [float(value[0]) for value in each]
    [5.0, 2.0, 8.0]
    """
    import numpy as np
    from scipy.special import bdtr, bdtrik

    size = np.bincount(group, minlength=groups)
    whole = values.dtype.kind in "iu"
    ordered = sorted_within(group, values) if whole else values[np.lexsort((values, group))]
    begins = np.cumsum(size) - size
    k = np.where(size > 5, np.maximum(0, np.ceil(bdtrik(0.025, size, 0.5))), 0).astype(np.int64)
    k -= (k > 0) & (bdtr(np.maximum(k - 1, 0), size, 0.5) >= 0.025)

    def at(rank: Counts, known: NDArray[np.bool_]) -> Numbers:
        found = np.full(groups, np.nan)
        found[known] = ordered[(begins + rank)[known]]
        return found

    some = size > 0
    middle = (at((size - 1) // 2, some) + at(size // 2, some)) / 2
    return middle, at(k - 1, k > 0), at(size - k, k > 0)


def wait(journeys: Journeys) -> pl.Expr:
    """Say how long each user took to activate, in microseconds; null where they have not yet."""
    took = pl.col("activated_at") - pl.col("signed_up_at")
    # Whole numbers until the end: the last digit of polars' own division depends on how many rows there are.
    return pl.when(pl.col("activated_at") < pl.lit(journeys.as_of, AT)).then(
        took.dt.total_microseconds()
    )


def time_to_value(users: pl.DataFrame, groups: int, definition: Definition) -> pl.DataFrame:
    """Write the rows of the median among those who activate in time, of users whose window has passed: `waited`, `judged`."""
    import numpy as np

    window = definition.activation_days * MICROSECONDS
    judged = users.filter("judged")
    waited = judged.filter(pl.col("waited").is_not_null())
    soon = waited.filter(pl.col("waited") < window)
    known, n, of = (
        np.bincount(part["g"].to_numpy(), minlength=groups) for part in (waited, soon, judged)
    )
    each = medians_of(soon["waited"].to_numpy(), soon["g"].to_numpy(), groups)
    value, low, high = (found / MICROSECONDS for found in each)
    late, notes = known - n, pl.Series("note", [None], pl.String).new_from_index(0, groups)
    nobody = "No user is known to have activated in time yet."
    said = [
        (place, nobody if not known[place] else _late_note(int(late[place]), int(known[place]), definition))
        for place in np.flatnonzero(late > LATE_SHARE * known).tolist() + np.flatnonzero(known == 0).tolist()
    ]  # fmt: skip
    notes = notes.scatter([place for place, _ in said], [note for _, note in said])
    reading = f"median of those who activate within {definition.activation_days} days"
    made = block("time to value", reading, "days", 0, n, of, (low, high), value=value)
    return made.with_columns(pl.coalesce("note", notes))


def _late_note(late: int, known: int, definition: Definition) -> str | None:
    if late / known <= LATE_SHARE:
        return None
    return f"{late} of {known} activations come after the activation window of {definition.activation_days} days; a longer one may fit better."


def depth_median(users: pl.DataFrame, groups: int, reading: str) -> pl.DataFrame:
    """Write the rows of the median number of actions of active users: `actions`."""
    import numpy as np

    active = users.filter(pl.col("actions").is_not_null())
    group = active["g"].to_numpy()
    value, low, high = medians_of(active["actions"].to_numpy().astype(np.int64), group, groups)
    of = np.bincount(group, minlength=groups)
    unit = "actions per user"
    return block("engagement depth", reading, unit, 1, None, of, (low, high), value=value)


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


def block(
    metric: str,
    reading: str,
    measured_in: str,
    place: int,
    n: Counts | None,
    of: Counts,
    bounds: tuple[Numbers, Numbers],
    *,
    effect: pl.Series | None = None,
    value: Numbers | None = None,
) -> pl.DataFrame:
    """Write one row for each group, in their order: `g` its number, `place` where it stands among all rows."""
    import numpy as np

    known = of > 0
    if value is None:
        value = np.full(len(of), np.nan)
        np.divide(0 if n is None else n, of, out=value, where=known)
    numbers = {"value": value, "low": bounds[0], "high": bounds[1]}
    floats = [pl.Series(name, np.where(known, each, np.nan)) for name, each in numbers.items()]
    none = pl.Series([None], dtype=pl.Float64).new_from_index(0, len(of))
    return pl.DataFrame(
        {
            "g": np.arange(len(of)),
            "n": none.cast(pl.Int64) if n is None else n.astype(np.int64),
            "of": of.astype(np.int64),
            "design_effect": none if effect is None else effect,
            "known": known,
        }
    ).select(
        "g",
        pl.lit(place, pl.Int32).alias("place"),
        pl.lit(metric).alias("metric"),
        pl.lit(reading).alias("reading"),
        "n",
        "of",
        *[column.fill_nan(None) for column in floats],
        pl.lit(measured_in).alias("unit"),
        pl.when("known").then("design_effect").alias("design_effect"),
        pl.when(~pl.col("known")).then(pl.lit("No user can be judged yet.")).alias("note"),
    )


def _row(
    metric: str,
    reading: str,
    measured_in: str,
    n: int | None,
    of: int,
    bounds: tuple[float | None, float | None],
    *,
    unit: str = "user",
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
        "note": None if known else f"No {unit} can be judged yet.",
    }
