"""Where a survival curve is heading: whether it has flattened, and how it would go on."""

from __future__ import annotations

import math
import numbers
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import share_faults, whole_faults
from engagekit.errors import ColumnError, ParameterError, TooFewUsersError, nearest
from engagekit.intervals import wilson
from engagekit.log import as_lazy
from engagekit.survival.loyal_core import Outlook, outlook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.log import Frame

LEAST_POINTS = 4
LEAST_AT_RISK = 10  # users that a point stands on; a tail of a few tells nothing of the others
FAR_OFF = 0.05  # a fit further than this from a point, and outside its interval, is no fit
CURVE_COLUMNS = ("period", "time", "survival", "low", "high", "at_risk", "events", "exposed")
FLATTENING: dict[str, Any] = {
    "verdict": pl.String,
    "n": pl.Int64,
    "of": pl.Float64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "year_low": pl.Float64,
    "year_high": pl.Float64,
    "sentence": pl.String,
}
PROJECTION: dict[str, Any] = {
    "period": pl.Int64,
    "time": pl.Float64,
    "observed": pl.Float64,
    "survival": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "kind": pl.String,
    "sentence": pl.String,
}


def fit_sbg(active: Sequence[float]) -> tuple[float, float, float]:
    """Say how readiness to leave varies in a cohort, from how many stay each period.

    Each user leaves with a chance of their own per period, Beta(alpha, beta) distributed over users; so of those
    left, ``r(t) = (beta + t - 1) / (alpha + beta + t - 1)`` stay in period t. Maximum likelihood.

    Parameters
    ----------
    active
        Users still there at the start of each period; ``active[0]`` is the cohort's size. Never rising.

    Returns
    -------
    tuple
        ``(alpha, beta, log_likelihood)``.

    Raises
    ------
    ParameterError
        The numbers rise or are negative: the curve is not absorbing.
    TooFewUsersError
        Fewer than four points, or nobody left, or nobody stayed.

    References
    ----------
    Fader and Hardie (2007), Journal of Interactive Marketing 21(1), 76-90. Its text prints 0.688 for the alpha of the
    "High End" example; the data give 0.668.

    Examples
    --------
    >>> alpha, beta, log_likelihood = fit_sbg([1000, 631, 468, 382, 326, 289, 262, 241])
    >>> round(alpha, 3), round(beta, 3), round(log_likelihood, 3)
    (0.704, 1.182, -1680.265)
    """
    counts = [float(n) if isinstance(n, numbers.Real) else math.nan for n in active]
    if any(not math.isfinite(n) or n < 0 for n in counts):
        raise ParameterError("active holds missing or negative numbers; give users per period.")
    pairs = list(pairwise(counts))
    if any(later > earlier for earlier, later in pairs):
        raise ParameterError(
            "active rises, so users come back: the curve is not absorbing and this model does not describe it. "
            "Use the survival curve of ek.survival, not a retention curve."
        )
    return _fit([before - after for before, after in pairs], [after for _, after in pairs])


def flattening(curve: Frame, *, periods: int = 4, below: float = 0.01) -> pl.DataFrame:
    """Say whether a survival curve has become flat, is still falling, or cannot tell yet.

    Pooled loss of the last periods ``Σ events / Σ exposed`` with Wilson's one-sided 95 % bounds: flat if the upper
    one is under `below`, still falling if the lower one is above it.

    Parameters
    ----------
    curve
        What `survival` returns (a row is a period), or a Kaplan-Meier frame with `at_risk` and `events`.
    periods
        How many of the last complete periods that 10 users or more came to are pooled.
    below
        The loss per period that counts as none.

    Returns
    -------
    DataFrame
        One row per group: the group's columns, then `verdict` (``"flat"``, ``"still falling"``,
        ``"cannot tell"``); `n` users lost, `of` users exposed, `rate`, `low`, `high` per period (null without
        enough periods); `year_low`, `year_high`: the share that would be lost in a year at these (null where the curve's
        times are not in days, as those of `survival` are); `sentence`.

    Raises
    ------
    ColumnError
        The curve lacks a column.
    ParameterError
        `periods` or `below` means nothing.

    Notes
    -----
    That the last drop was not significant says nothing: with 200 users it calls a loss of 2 % a week flat almost
    always. Flat must be shown.

    Examples
    --------
    >>> curve = pl.DataFrame({"time": [0, 1, 2, 3], "at_risk": [900, 400, 399, 398], "events": [500, 1, 1, 0]})
    >>> flattening(curve, periods=3)["verdict"].to_list()
    ['flat']
    """
    if faults := whole_faults("periods", periods) + share_faults("below", below):
        raise ParameterError.from_faults("The curve cannot be judged", faults)
    frame, keys = _opened(curve, ("at_risk", "events"))
    rows = [values | _judged(part, periods, below) for values, part in _groups(frame, keys)]
    return pl.DataFrame(rows, schema=_keyed(frame, keys) | FLATTENING)


def _judged(part: pl.DataFrame, periods: int, below: float) -> dict[str, object]:
    whole = part.drop_nulls("events").filter(pl.col("at_risk") >= LEAST_AT_RISK).tail(periods)
    exposed = "exposed" if "exposed" in part.columns else "at_risk"
    if whole.height < periods:
        why = f"The curve has {whole.height} complete periods with {LEAST_AT_RISK} users or more; {periods} are needed to tell whether it is flat."
        return {"verdict": "cannot tell", "sentence": why}
    n, of = int(whole["events"].sum()), float(whole[exposed].sum())
    low, high = wilson(n, of, level=0.9)
    verdict = "flat" if high < below else "still falling" if low > below else "cannot tell"
    said = {
        "flat": f"The curve is flat: at most {high:.1%} are lost per period",
        "still falling": f"The curve is still falling: at least {low:.1%} are lost per period",
        "cannot tell": f"It cannot be told yet whether the curve is flat: between {low:.1%} and {high:.1%} are lost per period",
    }[verdict]
    year = _in_a_year(part, low), _in_a_year(part, high)
    if year[0] is not None and year[1] is not None:
        said += {
            "flat": f", which is at most {year[1]:.0%} in a year",
            "still falling": f", which is at least {year[0]:.0%} in a year",
            "cannot tell": f", which is between {year[0]:.0%} and {year[1]:.0%} in a year",
        }[verdict]
    sentence = (
        f"{said} (last {periods} periods, {n} of {of:.0f} users; flat means under {below:.1%})."
    )
    rate = n / of if of else None
    return {
        "verdict": verdict,
        "n": n,
        "of": of,
        "rate": rate,
        "low": low,
        "high": high,
        "year_low": year[0],
        "year_high": year[1],
        "sentence": sentence,
    }


def _in_a_year(part: pl.DataFrame, loss: float) -> float | None:
    """Say what a loss per period comes to in a year: ``1 - (1 - loss)^(365.25 / days of a period)``."""
    if "period" not in part.columns or "time" not in part.columns or part.height < 2:
        return None
    days = float(part["time"][1] - part["time"][0])
    return None if days <= 0 else float(1 - (1 - loss) ** (365.25 / days))


def project_curve(
    curve: Frame, *, periods: int, checked: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Say how a survival curve would go on if users leave as readily as they do, with a 95 % band.

    ``S(t) = π + (1 - π) Π over i <= t of (beta + i - 1) / (alpha + beta + i - 1)``: each user keeps a readiness to leave
    of their own, see `fit_sbg`, and a share π, which may be none, never leaves. All (alpha, beta, π) are weighed by
    how well they fit.

    Parameters
    ----------
    curve
        What `survival` returns: one row per period from 0 on, absorbing, with `survival`, `at_risk`, `events`.
    periods
        How many periods to go beyond the last one known, of 10 users or more.
    checked
        What `projection_error` found on the log's older cohorts; the sentence then says how far off it was.

    Returns
    -------
    DataFrame
        Per group: the group's columns, then `period` from 0; `time` in the curve's unit; `observed` survival (null
        beyond the data); `survival` as the models have it, beyond the data going on from the last point known; `low`,
        `high`: where 95 % of what may come lies; `kind` (``"fitted"`` or ``"projected"``); `sentence`.

    Raises
    ------
    ColumnError
        The curve lacks a column.
    ParameterError
        `periods` means nothing, the curve rises, or the models do not fit it: the losses do not slow down.
    TooFewUsersError
        Fewer than four periods are known, or stand on 10 users each; or nobody was lost, or nobody stayed.

    References
    ----------
    Fader and Hardie (2007), Journal of Interactive Marketing 21(1), 76-90; their "Regular" customers, of whom 0.173
    were there after 12 years.

    Examples
    --------
    >>> active = [1000, 631, 468, 382, 326, 289, 262, 241]
    >>> curve = pl.DataFrame({"time": range(8), "survival": [n / 1000 for n in active], "at_risk": active,
    ...                       "events": [369, 163, 86, 56, 37, 27, 21, None]})
    >>> project_curve(curve, periods=5).select("period", pl.col("survival", "low", "high").round(2)).row(-1)
    (12, 0.18, 0.16, 0.21)
    """
    if faults := whole_faults("periods", periods):
        raise ParameterError(*faults)
    frame, keys = _opened(curve, ("time", "survival", "at_risk", "events"))
    parts = [
        _projected(part, periods, checked).select(
            *[pl.lit(v, frame.schema[k]).alias(k) for k, v in values.items()], *PROJECTION
        )
        for values, part in _groups(frame, keys)
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=_keyed(frame, keys) | PROJECTION)


def _projected(part: pl.DataFrame, periods: int, checked: pl.DataFrame | None) -> pl.DataFrame:
    known = part.drop_nulls("survival").sort("time")
    firm = known.filter(pl.col("at_risk") >= LEAST_AT_RISK).height
    known = known.head(firm) if firm >= LEAST_POINTS else known
    times, observed = known["time"].cast(pl.Float64).to_list(), known["survival"].to_list()
    if len(observed) < LEAST_POINTS:
        raise TooFewUsersError(
            f"The curve has {len(observed)} known points; a projection takes at least {LEAST_POINTS}. Wait, or choose shorter periods."
        )
    step = times[1] - times[0]
    if times[0] != 0 or any(abs(b - a - step) > 1e-9 for a, b in pairwise(times)):
        raise ParameterError(
            "The curve's times are not 0 and even steps from there; a projection needs one row per period."
        )
    if any(b > a + 1e-9 for a, b in pairwise(observed)):
        raise ParameterError(
            "The curve rises, so it is not absorbing and cannot be projected; use what ek.survival returns."
        )
    whole = known.head(-1)
    exposed = whole["exposed" if "exposed" in part.columns else "at_risk"].to_list()
    if whole["events"].null_count():
        raise ParameterError(
            "The curve lacks the number of events before its last point; use what ek.survival returns."
        )
    lost = [float(n) for n in whole["events"].to_list()]
    kept = [max(0.0, e - n) for e, n in zip(exposed, lost, strict=True)]
    _refuse_nothing(lost, kept)
    if firm < LEAST_POINTS:
        raise TooFewUsersError(
            f"Only {firm} points of the curve stand on {LEAST_AT_RISK} users or more; a projection takes at least {LEAST_POINTS}. Wait."
        )
    found = outlook(lost, kept, observed, periods, float(known["at_risk"][-1]))
    _refuse_misfit(known, found.expected)
    return pl.DataFrame(
        {
            "period": range(len(found.expected)),
            "time": [step * t for t in range(len(found.expected))],
            "observed": observed + [None] * periods,
            "survival": found.expected,
            "low": [None] * len(observed) + found.low[len(observed) :],
            "high": [None] * len(observed) + found.high[len(observed) :],
            "kind": ["fitted"] * len(observed) + ["projected"] * periods,
            "sentence": [_outlook_said(found, observed, checked)] * len(found.expected),
        },
        schema=PROJECTION,
    )


def _outlook_said(found: Outlook, observed: Sequence[float], checked: pl.DataFrame | None) -> str:
    last = len(found.expected) - 1
    said = (
        f"If users go on leaving as readily as they do, {found.expected[-1]:.1%} are still going after {last} periods "
        f"(between {found.low[-1]:.1%} and {found.high[-1]:.1%}; {observed[-1]:.1%} after {len(observed) - 1})."
    )
    if found.p_loyal > 0.9:
        said += f" Some {found.loyal:.0%} seem to stay for good."
    whole = checked.drop_nulls("off") if checked is not None else None
    if whole is not None and whole.height:
        worst = float(whole["off"].abs().max())  # type: ignore[arg-type]
        said += (
            f" Made from older cohorts alone it would have been off by up to {100 * worst:.1f} points, and in its band "
            f"{int(whole['inside'].sum())} of {whole.height} times."
        )
    return said


def _refuse_misfit(known: pl.DataFrame, expected: list[float]) -> None:
    frame = known.with_columns(pl.Series("expected", expected[: known.height]))
    far = (pl.col("expected") - pl.col("survival")).abs() > FAR_OFF
    if {"low", "high"} <= set(frame.columns):
        far &= ~pl.col("expected").is_between("low", "high").fill_null(value=False)
    missed = frame.filter(far)
    if missed.height:
        row = missed.row(0, named=True)
        raise ParameterError(
            f"The shifted-beta-geometric model does not fit: at {row['time']:g} it expects {row['expected']:.1%}, {row['survival']:.1%} are there. "
            "It only describes losses that slow down; no projection is made."
        )


def _fit(lost: Sequence[float], kept: Sequence[float]) -> tuple[float, float, float]:
    if len(lost) + 1 < LEAST_POINTS:
        raise TooFewUsersError(
            f"The curve has {len(lost) + 1} points; the model takes at least {LEAST_POINTS}."
        )
    _refuse_nothing(lost, kept)
    from scipy.optimize import minimize

    # In terms of the mean chance to leave and of how alike users are, the likelihood has no narrow ridge.
    def cost(at: Any) -> tuple[float, list[float]]:
        alpha, beta = _shape(at)
        value = by_alpha = by_beta = 0.0
        for t, (gone, here) in enumerate(zip(lost, kept, strict=True)):
            whole = alpha + beta + t
            value += gone * math.log(alpha / whole) + here * math.log((beta + t) / whole)
            by_alpha += gone / alpha - (gone + here) / whole
            by_beta += here / (beta + t) - (gone + here) / whole
        by_mean = (by_alpha - by_beta) * alpha * beta / (alpha + beta)
        return -value / scale, [-by_mean / scale, -(alpha * by_alpha + beta * by_beta) / scale]

    scale = sum(lost) + sum(kept)
    # Beyond the upper bound users no longer differ: the model has become the plain geometric one.
    found = minimize(
        cost, [0.0, 0.0], jac=True, method="L-BFGS-B", bounds=[(-12.0, 12.0), (-9.0, 12.0)],
        options={"ftol": 1e-16, "gtol": 1e-10, "maxiter": 1000},
    )  # fmt: skip
    alpha, beta = _shape(found.x)
    return alpha, beta, -float(found.fun) * scale


def _refuse_nothing(lost: Sequence[float], kept: Sequence[float]) -> None:
    if sum(lost) <= 0 or sum(kept) <= 0:
        who = "left" if sum(lost) <= 0 else "stayed"
        raise TooFewUsersError(f"Nobody {who}, so the model cannot be fitted.")


def _shape(at: Any) -> tuple[float, float]:
    mean, size = 1 / (1 + math.exp(-at[0])), math.exp(at[1])
    return mean * size, (1 - mean) * size


def _opened(curve: Frame, needs: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    frame = as_lazy(curve, what="The curve").collect()
    if missing := [c for c in needs if c not in frame.columns]:
        faults = [f"there is no column {c!r}.{nearest(c, frame.columns)}" for c in missing]
        raise ColumnError.from_faults(
            "This is no survival curve (ek.survival makes one; cohort curves are not absorbing)",
            faults,
        )
    known = (*CURVE_COLUMNS, "left", "sentence")
    return frame, [c for c in frame.columns if c not in known]


def _keyed(frame: pl.DataFrame, keys: list[str]) -> dict[str, Any]:
    return {key: frame.schema[key] for key in keys}


def _groups(frame: pl.DataFrame, keys: list[str]) -> list[tuple[dict[str, object], pl.DataFrame]]:
    if not keys:
        return [({}, frame)]
    parts = frame.partition_by(keys, maintain_order=True)
    return [(part.select(keys).row(0, named=True), part) for part in parts]
