"""Plain statistics of durations that are not all over yet: Kaplan-Meier, log-rank, restricted mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from engagekit.errors import ParameterError, faults_of
from engagekit.intervals import z_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    Numbers: TypeAlias = Sequence[float] | pl.Series

CURVE = {
    "time": pl.Float64,
    "survival": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "at_risk": pl.Int64,
    "events": pl.Int64,
}


def kaplan_meier(time: Numbers, event: Numbers, *, level: float = 0.95) -> pl.DataFrame:
    """Say what share lasts beyond each time, when some are still going.

    ``S(t) = Π over t_i <= t of (1 - d_i/r_i)``; interval ``S^exp(±z·se/ln S)``, ``se² = Σ d_i/(r_i(r_i - d_i))``.

    Parameters
    ----------
    time
        How long each was followed, 0 or more, any unit.
    event
        True or 1 where it ended then, False or 0 where only the following ended.
    level
        Confidence of the interval, between 0 and 1.

    Returns
    -------
    DataFrame
        One row per distinct time: `time`; `survival` just after it; `low`, `high`, null where no interval exists
        (nothing has ended yet, or all has); `at_risk` just before it; `events` at it. Nothing is said beyond the
        last row.

    Raises
    ------
    ParameterError
        The lengths differ, a value is missing, negative, infinite or not yes-or-no, or `level` means nothing.

    References
    ----------
    Kaplan and Meier (1958); interval on the log-log scale: Kalbfleisch and Prentice (1980), section 1.3.

    Examples
    --------
    >>> kaplan_meier([3, 5, 5, 8], [1, 0, 1, 0]).select("time", "survival", "at_risk").rows()
    [(3.0, 0.75, 4), (5.0, 0.5, 3), (8.0, 0.5, 1)]
    """
    return curve_of(counted(time, event), level=level)


def log_rank(groups: Sequence[tuple[Numbers, Numbers]]) -> tuple[float, float]:
    """Say whether two or more groups last differently.

    ``chi2 = (O - E)' V⁻¹ (O - E)`` over all groups but one, with the hypergeometric variance at each time.

    Parameters
    ----------
    groups
        A pair ``(time, event)`` for each group, as for `kaplan_meier`.

    Returns
    -------
    tuple
        ``(chi2, p)``; ``(0, 1)`` where nothing speaks against equality because nothing ended while groups
        could be compared.

    Raises
    ------
    ParameterError
        Fewer than two groups, one that is no pair or empty, or as `kaplan_meier`: of all groups.

    References
    ----------
    Mantel (1966); Peto and Peto (1972).

    Examples
    --------
    >>> chi2, p = log_rank([([1, 2, 3], [1, 1, 1]), ([4, 5, 6], [1, 1, 1])])
    >>> round(chi2, 3), round(p, 3)
    (5.052, 0.025)
    """
    counts, faults = [], []
    for number, group in enumerate(groups, 1):
        try:
            time, event = group
        except (TypeError, ValueError):
            faults.append(f"group {number} is no pair (time, event).")
            continue
        try:
            counts.append(counted(time, event))
        except ParameterError as error:
            faults += [f"group {number}: {fault}" for fault in faults_of(error)]
        else:
            if not counts[-1].height:
                faults.append(f"group {number} is empty; nothing can be said of nobody.")
    if faults:
        raise ParameterError.from_faults("These groups cannot be compared", faults)
    chi2, p, _ = rank_test(counts)
    return chi2, p


def rmst(
    time: Numbers, event: Numbers, *, tau: float, level: float = 0.95
) -> tuple[float, float, float]:
    """Say how long, of the first `tau`, one lasts on average: the restricted mean survival time.

    ``∫ S(t) dt`` from 0 to tau; ``variance = Σ (∫ S from t_i to tau)² · d_i/(r_i(r_i - d_i))``.

    Parameters
    ----------
    time, event
        As for `kaplan_meier`.
    tau
        Up to when, in the unit of `time`.
    level
        Confidence, between 0 and 1.

    Returns
    -------
    tuple
        ``(mean, low, high)``; not-a-number where nobody was followed up to `tau` and some had not ended.

    Raises
    ------
    ParameterError
        `tau` is not above 0, or as `kaplan_meier`.

    References
    ----------
    Royston and Parmar (2013), BMC Medical Research Methodology 13:152.

    Examples
    --------
    >>> rmst([2, 4], [1, 1], tau=4)[0]
    3.0
    """
    return mean_until(counted(time, event), tau, level=level)


def counted(time: Numbers, event: Numbers) -> pl.DataFrame:
    """Count what ends and what leaves at each distinct time: ``time, events, left``."""
    faults = []
    times, ended = _as_floats("time", time), _as_floats("ended", event)
    if times is None:
        faults.append("time holds something that is no number; it takes numbers.")
    elif times.null_count() or not (times.is_finite() & (times >= 0)).all():
        faults.append("time has missing or negative values, or infinite ones; leave such rows out.")
    if ended is None:
        faults.append("event holds something else than yes or no; it takes True or False, 1 or 0.")
    elif ended.null_count() or not ended.is_in([0.0, 1.0]).all():
        faults.append("event has values other than True and False, 1 and 0.")
    if times is not None and ended is not None and times.len() != ended.len():
        faults.append(f"time has {times.len()} values, event {ended.len()}; give one of each.")
    if faults or times is None or ended is None:
        raise ParameterError.from_faults("These durations cannot be used", faults)
    # In order, each time's last row says how many have ended and left by then; no grouping of what may be millions.
    last = (pl.col("time") != pl.col("time").shift(-1)).fill_null(value=True)
    so_far = pl.col("ended").cum_sum(), pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("gone")
    frame = pl.DataFrame([times, ended.cast(pl.Int64)]).sort("time").with_columns(*so_far)
    events, gone = (pl.col(c) - pl.col(c).shift(1, fill_value=0) for c in ("ended", "gone"))
    return frame.filter(last).select("time", events.alias("events"), (gone - events).alias("left"))


def _as_floats(name: str, values: Numbers) -> pl.Series | None:
    """Take numbers as floats; None if something else is among them.

    One by one, as polars takes a list for what its first value is: [1, 2.5] for whole numbers, and refuses or cuts.
    """
    if isinstance(values, pl.Series):
        known = values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)
        return values.cast(pl.Float64).alias(name) if known else None
    try:
        given = list(values)
        if any(isinstance(each, (str, bytes)) for each in given):
            return None
        floats = [None if each is None else float(each) for each in given]
    except (TypeError, ValueError, OverflowError):
        return None
    return pl.Series(name, floats, dtype=pl.Float64)


def curve_of(counts: pl.DataFrame, *, level: float = 0.95) -> pl.DataFrame:
    """Turn counts per time (`counted`) into the Kaplan-Meier curve."""
    at_risk = (pl.col("events") + pl.col("left")).cum_sum(reverse=True)
    lasting = pl.col("at_risk") - pl.col("events")
    spread = pl.when(lasting > 0).then(pl.col("events") / (pl.col("at_risk") * lasting))
    survival = (lasting / pl.col("at_risk")).cum_prod()
    inside = (pl.col("survival") > 0) & (pl.col("survival") < 1)
    logged = pl.when(inside).then(pl.col("survival").log())
    power = z_of(level) * pl.col("_spread").sqrt() / logged
    return (
        counts.with_columns(at_risk.alias("at_risk"))
        .with_columns(survival.alias("survival"), spread.cum_sum().alias("_spread"))
        .with_columns(
            (logged * (-power).exp()).exp().alias("low"), (logged * power.exp()).exp().alias("high")
        )
        .select([pl.col(c).cast(t) for c, t in CURVE.items()])
    )


def rank_test(
    groups: Sequence[pl.DataFrame], *, effect: float = 1.0
) -> tuple[float, float, list[float]]:
    """Compare groups given as counts per time: chi-square, its chance, and the events expected in each.

    The chi-square is divided by the design effect of clusters of users.
    """
    import numpy as np
    from scipy.special import chdtrc

    if len(groups) < 2:
        raise ParameterError(f"groups holds {len(groups)}; a comparison takes two or more.")
    times = pl.concat([g.select("time") for g in groups]).unique().sort("time")
    aligned = [times.join(g, on="time", how="left").fill_null(0) for g in groups]
    events = np.array([g["events"].to_numpy() for g in aligned], dtype=float)
    leaving = np.array([(g["events"] + g["left"]).to_numpy() for g in aligned], dtype=float)
    at_risk = leaving[:, ::-1].cumsum(axis=1)[:, ::-1]
    ended, everyone = events.sum(axis=0), at_risk.sum(axis=0)
    share = at_risk / np.maximum(everyone, 1)
    expected = share * ended
    weight = ended * (everyone - ended) / np.maximum(everyone - 1, 1)
    variance = np.diag(share @ weight) - (share * weight) @ share.T
    # A group that is alone, or gone, whenever something ends cannot be compared.
    compared = np.flatnonzero(np.diag(variance) > 1e-12)
    excess = (events - expected).sum(axis=1)[compared]
    if compared.size < 2:
        return 0.0, 1.0, [float(x) for x in expected.sum(axis=1)]
    inner = variance[np.ix_(compared, compared)]
    chi2 = float(excess @ np.linalg.pinv(inner, hermitian=True) @ excess) / effect
    freedom = int(np.linalg.matrix_rank(inner, hermitian=True))
    return chi2, float(chdtrc(freedom, chi2)), [float(x) for x in expected.sum(axis=1)]


def mean_until(
    counts: pl.DataFrame, tau: float, *, level: float = 0.95, effect: float = 1.0
) -> tuple[float, float, float]:
    """Take the restricted mean of counts per time, its variance times a design effect; see `rmst`."""
    if not tau > 0:
        raise ParameterError(f"tau is {tau!r}; it takes a number above 0.")
    unknown = (math.nan, math.nan, math.nan)
    if counts.is_empty():
        return unknown
    curve = curve_of(counts)
    last = curve.row(-1, named=True)
    if tau > last["time"] and last["survival"] > 0:
        return unknown
    steps = curve.filter(pl.col("time") < tau)
    edges = [0.0, *steps["time"].to_list(), float(tau)]
    heights = [1.0, *steps["survival"].to_list()]
    pieces = [h * (b - a) for h, a, b in zip(heights, edges, edges[1:], strict=False)]
    mean, variance, after = sum(pieces), 0.0, 0.0
    for (ended, risk), piece in zip(
        reversed(steps.select("events", "at_risk").rows()), reversed(pieces[1:]), strict=True
    ):
        after += piece
        variance += after * after * ended / (risk * (risk - ended)) if risk > ended else 0.0
    half = z_of(level) * math.sqrt(variance * effect)
    return mean, max(0.0, mean - half), min(float(tau), mean + half)
