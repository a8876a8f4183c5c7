"""How long users keep going: Kaplan-Meier of going quiet, and comparisons between groups.

The module can be called: ``ek.survival(journeys, quiet_days=28)``. It bears the name of its main function, and a
package attribute can be only one of the two; so the module itself answers, whatever was imported first.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from engagekit._base import whole_faults
from engagekit.cohorts import refuse
from engagekit.errors import ParameterError, check_choice
from engagekit.instants import last_day, local_day
from engagekit.intervals import wilson
from engagekit.journeys import MILLION, names_and_faults, up_to
from engagekit.survival.clusters import accounts_effect
from engagekit.survival.hindsight import hindsight, moments_before
from engagekit.survival.product_limit import (
    curve_of,
    kaplan_meier,
    log_rank,
    mean_until,
    rank_test,
    rmst,
)
from engagekit.survival.projection import fit_sbg, flattening, project_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys

    Period: TypeAlias = Literal["day", "week", "month"]
    Clock: TypeAlias = Literal["calendar", "product"]

__all__ = [
    "compare_survival",
    "fit_sbg",
    "flattening",
    "kaplan_meier",
    "log_rank",
    "project_curve",
    "projection_error",
    "rmst",
    "survival",
]

CLOCKS = ["calendar", "product"]
PERIOD_DAYS = {"day": 1, "week": 7, "month": 30}
SURVIVAL = {
    "period": pl.Int64,
    "time": pl.Int64,
    "survival": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "at_risk": pl.Int64,
    "events": pl.Int64,
    "exposed": pl.Float64,
}
ON_THE_WAY = ("came", "followed", "quiet", "left")  # beside the groups, until users are counted
COMPARISON = {
    "users": pl.Int64,
    "quiet": pl.Int64,
    "expected": pl.Float64,
    "until": pl.Int64,
    "rmst": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "chi2": pl.Float64,
    "p": pl.Float64,
    "design_effect": pl.Float64,
    "sentence": pl.String,
}


def survival(
    journeys: Journeys,
    *,
    quiet_days: int,
    by: str | Sequence[str] | None = None,
    period: Period = "week",
    clock: Clock = "calendar",
) -> pl.DataFrame:
    """Say what share of users still keep coming back a given time after sign-up.

    ``S(t) = Π over days s < t of (1 - d_s/r_s)``, `d_s` users whose last core day was day `s`, `r_s` users known to
    have come as far as day `s`.

    Parameters
    ----------
    journeys
        Rolled-up journeys.
    quiet_days
        After how many days without the core action a user counts as gone quiet.
    by
        Property or properties of users; one curve for each value.
    period
        The distance of rows: a ``"day"``, a ``"week"`` of 7 or a ``"month"`` of 30 days.
    clock
        ``"calendar"``, or ``"product"``: then all days, `quiet_days` included, are product days (see `product_clock`),
        and nobody goes quiet over a holiday, or between two month ends of a product for month ends.

    Returns
    -------
    DataFrame
        The columns of `by`, then `period` from 0; `time` in days since sign-up; `survival`: the share whose last core
        day is that day or later, `low` and `high` its 95 % interval; `at_risk` users known to have come that far;
        `events` of them gone quiet before the next row, of `exposed` users followed through that period (those
        followed through part of it count half). Null beyond the last follow-up.

    Raises
    ------
    ParameterError
        `quiet_days`, `period` or `clock` means nothing, or there is no such property: all of them.

    Notes
    -----
    Going quiet is dated at the last core day but known only `quiet_days` later; so it is entered then, users are
    followed to `as_of`, and the curve is moved back by `quiet_days`. Dated at once, users in their pauses would
    bend the end of the curve. Users without the core action count as quiet from day 0. All users take part, the
    newest for the time they have been followed.

    References
    ----------
    Kaplan and Meier (1958), Journal of the American Statistical Association 53, 457-481.

    Examples
    --------
    >>> from engagekit.definition import Definition
    >>> from engagekit.rollups import rollup
    >>> log = pl.DataFrame({"user_id": [1, 1, 2, 2, 3], "event": ["start", "work"] * 2 + ["start"],
    ...     "at": ["2026-03-01", "2026-03-04", "2026-03-01", "2026-03-20", "2026-03-01"]},
    ... ).with_columns(pl.col("at").str.to_date())
    >>> journeys = rollup(log, Definition(signup="start", activation="work", core="work"), as_of="2026-04-01")
    >>> survival(journeys, quiet_days=7).select("time", pl.col("survival").round(2), "at_risk").head(4).rows()
    [(0, 1.0, 3), (7, 0.33, 1), (14, 0.33, 1), (21, 0.0, 0)]
    """
    keys, faults = names_and_faults(journeys, by, taken=[*SURVIVAL, *ON_THE_WAY])
    faults += whole_faults("quiet_days", quiet_days, "days")
    faults += check_choice("period", period, list(PERIOD_DAYS))
    refuse("Survival", faults + check_choice("clock", clock, CLOCKS))
    groups = _groups(_counts(journeys, quiet_days, keys, clock), keys)
    step, last = PERIOD_DAYS[period], max(followed_to(part) for _, part in groups)
    parts = [_by_period(part, step, last).select(*values, *SURVIVAL) for values, part in groups]
    return pl.concat(parts)


def compare_survival(
    journeys: Journeys,
    *,
    quiet_days: int,
    by: str | Sequence[str],
    until: int | None = None,
    clock: Clock = "calendar",
) -> pl.DataFrame:
    """Say whether groups of users keep going for differently long.

    Log-rank test over all groups, and for each the restricted mean ``Σ P(going on day t or later)``, t from 1 to
    `until`: of the first `until` days, how many a user keeps going for.

    Parameters
    ----------
    journeys
        Rolled-up journeys.
    quiet_days
        As for `survival`.
    by
        Property or properties of users; their values are the groups compared.
    until
        Days the restricted mean goes up to; None: as far as every group has been followed.
    clock
        As for `survival`.

    Returns
    -------
    DataFrame
        One row per group: the columns of `by`, then `users` followed; `quiet` users gone quiet, `expected` if all
        groups were alike; `until`; `rmst`, `low`, `high` in days (null where not followed that far); `chi2`, `p` and
        `design_effect` of the whole comparison, the same in every row; `sentence`.

    Raises
    ------
    ParameterError
        `quiet_days`, `until` or `clock` means nothing, there is no such property, or there are fewer than two groups.

    Notes
    -----
    Users join with the time they have been followed; those not followed for `quiet_days` say nothing yet. Where users
    have an `account_id`, chi-square and intervals are divided by the design effect of accounts: users of one account tell
    less than so many strangers.

    References
    ----------
    Mantel (1966); Peto and Peto (1972); Royston and Parmar (2013); Rao and Scott (1981) for the design effect.

    Examples
    --------
    >>> from engagekit.definition import Definition
    >>> from engagekit.rollups import rollup
    >>> log = pl.DataFrame({"user_id": [1, 1, 2, 2, 3], "event": ["start", "work"] * 2 + ["start"],
    ...     "at": ["2026-03-01", "2026-03-04", "2026-03-01", "2026-03-20", "2026-03-01"]},
    ... ).with_columns(pl.col("at").str.to_date())
    >>> people = pl.DataFrame({"user_id": [1, 2, 3], "plan": ["free", "paid", "free"]})
    >>> definition = Definition(signup="start", activation="work", core="work")
    >>> journeys = rollup(log, definition, users=people, as_of="2026-04-01")
    >>> compare_survival(journeys, quiet_days=7, by="plan").select("plan", "users", "quiet", "rmst").rows()
    [('free', 2, 2, 1.5), ('paid', 1, 1, 19.0)]
    """
    keys, faults = names_and_faults(
        journeys, by, taken=[*COMPARISON, *ON_THE_WAY, "time", "events"]
    )
    faults += whole_faults("quiet_days", quiet_days, "days")
    faults += check_choice("clock", clock, CLOCKS)
    refuse("Survival", faults + ([] if until is None else whole_faults("until", until, "days")))
    counts_of_groups = _groups(_counts(journeys, quiet_days, keys, clock), keys)
    groups = [(v, p) for v, p in counts_of_groups if p["time"].len()]
    if len(groups) < 2:
        raise ParameterError(
            f"by={by!r} gives {len(groups)} groups followed for {quiet_days} days; a comparison takes two or more."
        )
    counts = [part.select("time", "events", "left") for _, part in groups]
    effect = _accounts_effect(journeys, quiet_days, keys, clock)
    chi2, p, expected = rank_test(counts, effect=effect)
    tau = until or max(1, min(followed_to(part) for _, part in groups))
    said = _said(p, len(groups))
    rows = []
    for part, awaited in zip(counts, expected, strict=True):
        users = sum(part.select("events", "left").sum().row(0))
        mean, low, high = _mean_between(part, tau, users, effect)
        rows.append(
            {
                "users": users,
                "quiet": part["events"].sum(),
            }
            | {"expected": awaited, "until": tau, "rmst": mean, "low": low, "high": high}
            | {
                "chi2": chi2,
                "p": p,
                "design_effect": effect,
                "sentence": _mean_said(mean, low, high, tau) + said,
            }
        )
    values = pl.concat([part.select(keys).head(1) for _, part in groups])
    return pl.concat(
        [values, pl.DataFrame(rows, schema=COMPARISON).fill_nan(None)], how="horizontal"
    )


def _mean_between(
    part: pl.DataFrame, tau: int, users: int, effect: float
) -> tuple[float, float, float]:
    """Take the restricted mean; where all lasted, or all as long, up to the share of others that so many could hide (Wilson's of 0)."""
    mean, low, high = mean_until(part, tau, effect=effect)
    if low != high:
        return mean, low, high
    hidden = wilson(0, users / effect)[1]
    return mean, mean * (1 - hidden), mean + (tau - mean) * hidden


def _accounts_effect(journeys: Journeys, quiet_days: int, keys: list[str], clock: Clock) -> float:
    if journeys.unit != "user" or "account_id" not in journeys.properties or "account_id" in keys:
        return 1.0
    counts = _counts(journeys, quiet_days, [*keys, "account_id"], clock).filter(pl.col("time") >= 0)
    return accounts_effect(counts, keys, "account_id")


def projection_error(
    journeys: Journeys, *, quiet_days: int, periods: int, period: Period = "month", most: int = 4
) -> pl.DataFrame:
    """Say how far `project_curve` would have been off on the log's own past.

    At earlier instants, each as long before the next as it projects, the curve of the users known then is projected
    and compared with what became of the same users.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    quiet_days, period
        As in `survival`.
    periods
        How many periods ahead.
    most
        How many earlier instants at most.

    Returns
    -------
    DataFrame
        One row per instant: `as_of`, `users`, `period` (the one projected), `said`, `low`, `high`, `came`, `off`
        (said minus came), `inside` (came lies in the band); empty where the log is too short.

    Raises
    ------
    ParameterError
        As `survival`; or `periods` is no whole number of at least 1.

    Examples
    --------
    >>> import engagekit as ek
    >>> sample = ek.load_sample()
    >>> journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    >>> projection_error(journeys, quiet_days=28, periods=4, period="week").columns[:4]
    ['as_of', 'users', 'period', 'said']
    """
    faults = whole_faults("quiet_days", quiet_days, "days") + whole_faults("periods", periods)
    faults += check_choice("period", period, list(PERIOD_DAYS))
    if faults:
        raise ParameterError.from_faults("The projection cannot be checked", faults)
    days = periods * PERIOD_DAYS[period]
    moments = moments_before(journeys, days, most)
    return hindsight(
        journeys,
        lambda some: survival(some, quiet_days=quiet_days, period=period),
        moments=moments,
        periods=periods,
    )


def _said(p: float, groups: int) -> str:
    found = "differ" if p < 0.05 else "cannot be told apart"
    return f"; the {groups} groups {found} (log-rank p {p:.2g})."


def _mean_said(mean: float, low: float, high: float, tau: int) -> str:
    if mean != mean:  # not-a-number
        return f"Nobody here has been followed for {tau} days"
    return f"Of the first {tau} days users keep going for {mean:.1f} on average ({low:.1f} to {high:.1f})"


def _counts(journeys: Journeys, quiet_days: int, keys: list[str], clock: Clock) -> pl.DataFrame:
    """Count per group and day who is last seen going on it and who is only followed to it."""
    start = local_day(pl.col("signed_up_at"), journeys.timezone)
    final = pl.lit(last_day(journeys.as_of, journeys.timezone), pl.Date)
    last = local_day(pl.col("last_core_at"), journeys.timezone)

    def since_sign_up(day: pl.Expr) -> pl.Expr:
        if clock == "product":
            return (up_to(journeys.clock, day) - up_to(journeys.clock, start)) / MILLION
        return (day - start).dt.total_days()

    quiet = pl.col("came") <= pl.col("followed")
    whole = pl.col("time", "followed").floor()
    return (
        journeys.users.lazy()
        .select(
            *keys,
            since_sign_up(last).fill_null(0).alias("came"),
            (since_sign_up(final) - quiet_days).alias("followed"),
        )
        .with_columns(
            pl.min_horizontal("came", "followed").cast(pl.Float64).alias("time"),
            quiet.alias("quiet"),
        )
        .with_columns(whole)
        .group_by(*keys, "time")
        .agg(
            pl.col("quiet").sum().cast(pl.Int64).alias("events"),
            (~pl.col("quiet")).sum().cast(pl.Int64).alias("left"),
            pl.col("followed").max().cast(pl.Int64),
        )
        .sort(*keys, "time", nulls_last=True)
        .collect()
    )


def _groups(counts: pl.DataFrame, keys: list[str]) -> list[tuple[list[pl.Expr], pl.DataFrame]]:
    """Split counts by group, without users followed for too short a time to say anything."""
    parts = counts.partition_by(keys, maintain_order=True) if keys else [counts]
    literals = [
        [pl.lit(part[key].first(), counts.schema[key]).alias(key) for key in keys] for part in parts
    ]
    return [
        (values, part.filter(pl.col("time") >= 0))
        for values, part in zip(literals, parts, strict=True)
    ]


def followed_to(part: pl.DataFrame) -> int:
    """Return the last day since sign-up up to which a group has been followed, or -1."""
    return max(part["followed"].to_list(), default=-1)


def _by_period(part: pl.DataFrame, step: int, last: int) -> pl.DataFrame:
    """Read the daily curve at the start of each period."""
    followed = followed_to(part)
    days = pl.DataFrame({"time": [float(t) for t in range(max(last, 0) + 1)]})
    reached = -1.0 if part.is_empty() else float(part["time"][-1])
    daily = curve_of(
        days.filter(pl.col("time") <= reached)
        .join(part.select("time", "events", "left"), on="time", how="left")
        .fill_null(0)
    )
    ended = daily.height > 0 and daily["survival"][-1] == 0
    before = [pl.col(c).shift(1) for c in ("survival", "low", "high")]
    known = pl.col("time") <= (followed if ended else min(followed, reached + 1))
    whole = (
        days.join(daily, on="time", how="left")
        .join(part.select("time", "left"), on="time", how="left")
        .with_columns(*before)
        .with_columns(
            pl.when(pl.col("time") == 0).then(1.0).otherwise("survival").alias("survival")
        )
        .with_columns(pl.col("survival").fill_null(strategy="forward"))
        .with_columns(pl.col("at_risk", "events", "left").fill_null(0))
        .with_columns(
            [pl.when(known).then(c).alias(c) for c in ("survival", "low", "high", "at_risk")]
        )
    )
    rows = (
        whole.group_by((pl.col("time") // step).cast(pl.Int64).alias("period"))
        .agg(
            pl.col("time", "survival", "low", "high", "at_risk").first(),
            pl.col("events", "left").sum(),
        )
        .sort("period")
    )
    whole_period = pl.col("survival").shift(-1).is_not_null()
    exposed = pl.col("at_risk") - pl.col("left") / 2
    return rows.with_columns(
        pl.when(whole_period).then("events").alias("events"),
        pl.when(whole_period).then(exposed).alias("exposed"),
    ).select([pl.col(c).cast(t) for c, t in SURVIVAL.items()])


class _Callable(ModuleType):
    """A module that answers like its main function."""

    def __call__(
        self,
        journeys: Journeys,
        *,
        quiet_days: int,
        by: str | Sequence[str] | None = None,
        period: Period = "week",
        clock: Clock = "calendar",
    ) -> pl.DataFrame:
        return survival(journeys, quiet_days=quiet_days, by=by, period=period, clock=clock)


_Callable.__call__.__doc__ = survival.__doc__
_this: Any = sys.modules[__name__]
_this.__doc__ = survival.__doc__  # what is shown of ek.survival is how to call it and its columns
_this.__class__ = _Callable
