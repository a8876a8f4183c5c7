"""The arms of a test in numbers: counts with the likeness of accounts, differences to the control, guardrails, the split."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.intervals import design_effect, newcombe, wilson, z_of
from engagekit.review.arms import CORE_DAYS, HARMS
from engagekit.sequential import SPLIT_ALARM, any_time, cuped, shares_any_time, split_factor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

RATES = ("rate", "low", "high")
GAPS = ("difference", "difference_low", "difference_high", "low_any_time", "high_any_time", "p", "p_any_time", "adjusted", "narrowed")  # fmt: skip
COLUMNS: dict[str, Any] = (
    {"variant": pl.String}
    | dict.fromkeys(("users", "crossed", "already", "too_early"), pl.Int64)
    | {"n": pl.Int64, "of": pl.Int64}
    | dict.fromkeys((*RATES, *GAPS, "design_effect"), pl.Float64)
    | {"verdict": pl.String}
)
GUARDS: dict[str, Any] = {
    "guardrail": pl.String,
    "variant": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "rate": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "harmed": pl.Boolean,
}
SOME_PAST = 0.5  # of the users of either arm: then the past is taken off


@dataclass(frozen=True)
class Arm:
    """The users of one arm: all, and those who are read (one arm only, not yet passed, window over)."""

    everyone: pl.DataFrame
    read: pl.DataFrame
    effect: float  # design effect of accounts
    clusters: int


def counted(everyone: pl.DataFrame) -> Arm:
    """Set apart who is read, and say how alike users of one account are."""
    read = everyone.filter("judged", ~pl.col("already"), pl.col("arms_seen") <= 1)
    effect, clusters = _effect(read.select(account=_cluster(), n="value"))
    return Arm(everyone, read, effect, clusters)


def _cluster() -> pl.Expr:
    alone = pl.concat_str(pl.lit("user "), pl.col("user_id").cast(pl.String))
    return pl.coalesce(pl.concat_str(pl.lit("account "), pl.col("account")), alone)


def _effect(values: pl.DataFrame) -> tuple[float, int]:
    by_account = values.group_by("account").agg(pl.col("n").sum(), pl.len().alias("of"))
    if by_account["of"].max() in (None, 1):
        return 1.0, by_account.height
    if _float(values["n"].max()) > 1:  # core days: the same ratio of variances, of a mean
        return max(1.0, _mean_effect(by_account, values)), by_account.height
    found = by_account.select(design_effect("n", "of")).item()
    return float(found or 1.0), by_account.height


def _mean_effect(by_account: pl.DataFrame, values: pl.DataFrame) -> float:
    users, accounts, mean = values.height, by_account.height, _float(values["n"].mean())
    alone = _float(values["n"].var()) * users
    if accounts < 2 or alone == 0:
        return float((by_account["of"] ** 2).sum() / users)
    between = _float(((by_account["n"] - mean * by_account["of"]) ** 2).sum())
    return accounts / (accounts - 1) * between / alone


def _float(value: Any) -> float:
    """Take a statistic of a column, which is null where there is nothing, as a number."""
    return 0.0 if value is None else float(value)


def arm_row(
    name: str, arm: Arm, control: Arm | None, link: str, margin: float, alpha: float
) -> dict[str, Any]:
    """Put one arm into a row of the table; without `control` it is the control itself."""
    n, of = float(arm.read["value"].sum()), arm.read.height
    waiting = arm.everyone.filter(~pl.col("judged"), ~pl.col("already"), pl.col("arms_seen") <= 1)
    row: dict[str, Any] = {
        "variant": name,
        "users": arm.everyone.height,
        "crossed": int((arm.everyone["arms_seen"] > 1).sum()),
        "already": int(arm.everyone.filter(pl.col("arms_seen") <= 1)["already"].sum()),
        "too_early": waiting.height,
        "n": int(n),
        "of": of,
        "rate": n / of if of else None,
        "design_effect": arm.effect,
    }
    row |= dict(zip(RATES[1:], _bounds(arm, link), strict=True)) if of else {}
    row |= dict.fromkeys(GAPS)
    row["verdict"] = None
    if control is None or not of or not control.read.height:
        return row | ({} if control is None else {"verdict": "cannot tell yet"})
    return row | _gap(arm, control, link, margin, alpha)


def _bounds(arm: Arm, link: str) -> tuple[float | None, float | None]:
    """Give the interval of an arm's rate or mean; none of a mean where all have the same, which tells no spread."""
    n, of = float(arm.read["value"].sum()), arm.read.height
    if link != CORE_DAYS:
        return wilson(n / arm.effect, of / arm.effect)
    if _spread(arm) <= 0:
        return None, None
    half = z_of(0.95) * math.sqrt(_spread(arm))
    return n / of - half, n / of + half


def _spread(arm: Arm) -> float:
    """Take the variance of an arm's mean."""
    return _float(arm.read["value"].var()) * arm.effect / arm.read.height


def _gap(arm: Arm, control: Arm, link: str, margin: float, alpha: float) -> dict[str, Any]:
    sides = [(float(a.read["value"].sum()) / a.effect, a.read.height / a.effect) for a in (arm, control)]  # fmt: skip
    past = _adjusted(arm, control)
    narrowed = None if past is None else 1 - math.sqrt(past[2] / past[1]) if past[1] > 0 else 0.0
    if link == CORE_DAYS:
        # As many standard deviations as the margin is of a share of one half.
        margin *= 2 * _float(control.read["value"].std()) or 1.0
        gap = sides[0][0] / sides[0][1] - sides[1][0] / sides[1][1]
        variance = _spread(arm) + _spread(control)
        half = z_of(0.95) * math.sqrt(variance)
        fixed = (gap, gap - half, gap + half) if variance > 0 else (gap, None, None)
        p = _two_sided(gap / math.sqrt(variance)) if variance > 0 else 1.0
        at_once = _any(gap, variance, margin, alpha) if past is None else _any(past[0], past[2], margin, alpha)  # fmt: skip
    else:
        (n1, of1), (n2, of2) = sides
        fixed = newcombe(n1, of1, n2, of2)
        pooled = (n1 + n2) / (of1 + of2)
        error = math.sqrt(pooled * (1 - pooled) * (1 / of1 + 1 / of2))
        p = _two_sided(fixed[0] / error) if error > 0 else 1.0
        at_once = shares_any_time(n1, of1, n2, of2, margin=margin, alpha=alpha)
        if past is not None and at_once[:2] != (-1.0, 1.0):
            at_once = _any(past[0], past[2], margin, alpha)
    return dict(zip(GAPS, (*fixed, *at_once[:2], p, at_once[2], past and past[0], narrowed), strict=True))  # fmt: skip


def _any(gap: float, variance: float, margin: float, alpha: float) -> tuple[float, float, float]:
    if variance <= 0:
        return -math.inf, math.inf, 1.0
    return any_time(gap, variance, margin=margin, alpha=alpha)


def _two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def _adjusted(arm: Arm, control: Arm) -> tuple[float, float, float] | None:
    """Take the past off, where enough users had one: difference, variance before and after."""
    for side in (arm, control):
        share = side.read["had_past"].mean()
        if side.read.height < 2 or not isinstance(share, float) or share < SOME_PAST:
            return None
    sums = []
    for side in (arm, control):
        y, x = side.read["value"], side.read["past"].cast(pl.Float64)
        row = (side.read.height, y.sum(), x.sum(), (y * y).sum(), (x * x).sum(), (x * y).sum())
        sums.append(tuple(float(v) for v in row))
    gap, before, after = cuped(sums)
    # Accounts make what is left as much less certain as they make the values themselves.
    effect = max(arm.effect, control.effect)
    return gap, before * effect, after * effect


def guard_rows(
    of_arm: Mapping[str, Arm], ordered: Sequence[str], margin: float, alpha: float
) -> list[dict[str, Any]]:
    """Compare what the play should not harm: later links, errors, support; at a level shared among all rows."""
    control = of_arm[ordered[0]]
    names = [c.removesuffix("_of") for c in control.everyone.columns if c.endswith("_of")]
    level = alpha / max(1, len(names) * (len(ordered) - 1))
    rows = []
    for name in names:
        for arm in ordered:
            n, of, effect = _guard_counts(of_arm[arm], name)
            row = {
                "guardrail": name,
                "variant": arm,
                "n": n,
                "of": of,
                "rate": n / of if of else None,
            }
            row |= {"difference": None, "low": None, "high": None, "harmed": False}
            n2, of2, effect2 = _guard_counts(control, name)
            if arm != ordered[0] and of and of2:
                low, high, _ = shares_any_time(n / effect, of / effect, n2 / effect2, of2 / effect2, margin=margin, alpha=level)  # fmt: skip
                harmed = low > 0 if name in HARMS else high < 0
                row |= {"difference": n / of - n2 / of2, "low": low, "high": high, "harmed": harmed}
            rows.append(row)
    return rows


def _guard_counts(arm: Arm, name: str) -> tuple[int, int, float]:
    judged = arm.everyone.filter(pl.col(f"{name}_of"), pl.col("arms_seen") <= 1)
    values = judged.select(account=_cluster(), n=pl.col(f"{name}_n").cast(pl.Float64))
    return int(values["n"].sum()), judged.height, _effect(values)[0] if judged.height else 1.0


@dataclass(frozen=True)
class Split:
    """How far a split strayed: the worst Bayes factor of any day, that day and its counts by arm, and the latest factor.

    `units` says whether users or accounts were counted.
    """

    worst: float
    units: str
    latest: float
    day: date | None
    then: Mapping[str, int]

    @property
    def off(self) -> bool:
        """Whether chance alone hardly ever strays so far."""
        return self.worst >= SPLIT_ALARM

    @property
    def mended(self) -> bool:
        """Whether it was off on the way, and by now holds as many in each arm as were meant."""
        return self.off and self.latest < 1


def split_of(everyone: pl.DataFrame, arms: Sequence[str], shares: Mapping[str, float]) -> Split:
    """Weigh the split at every day so far, and keep the worst.

    Accounts are counted where members of one account are always in one arm, as whole accounts were assigned then.
    """
    told = (
        everyone.drop_nulls("account").group_by("account").agg(pl.col("arm").n_unique(), pl.len())
    )
    several = told.filter(pl.col("len") > 1)
    whole = several.height >= 10 and bool((several["arm"] == 1).all())
    firsts = everyone.select("arm", "start", account=_cluster())
    if whole:
        firsts = firsts.sort("start").unique("account", keep="first", maintain_order=True)
    by_day = firsts.group_by(pl.col("start").dt.date().alias("day")).agg(
        *[(pl.col("arm") == arm).sum().alias(f"arm {n}") for n, arm in enumerate(arms)]
    )
    by_day = by_day.sort("day")
    so_far = by_day.select(pl.col("^arm .*$").cum_sum()).rows()
    meant, units = [shares[arm] for arm in arms], "accounts" if whole else "users"
    factors = [split_factor(row, meant) for row in so_far]
    if not factors:
        return Split(1.0, units, 1.0, None, {})
    worst = factors.index(max(factors))
    then = dict(zip(arms, so_far[worst], strict=True))
    return Split(factors[worst], units, factors[-1], by_day["day"][worst], then)
