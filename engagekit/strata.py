"""Two-by-two tables, alone and in strata: what goes together with what, other things alike."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import as_html, plain_fields
from engagekit.errors import ParameterError
from engagekit.intervals import z_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Every frame of tables here has one row per stratum with the cells
# a: did and retained, b: did and not retained, c: did not and retained, d: neither.
CELLS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Stratified:
    """Ratios and a test over strata; not-a-number where the tables cannot say."""

    odds_ratio: float
    odds_low: float
    odds_high: float
    risk_ratio: float
    risk_low: float
    risk_high: float
    risk_difference: float
    difference_low: float
    difference_high: float
    chi2: float
    p: float
    chi2_corrected: float
    p_corrected: float

    def __repr__(self) -> str:
        """Say the figures that are read first."""
        return f"<Stratified: risk ratio {self.risk_ratio:.3g} ({self.risk_low:.3g} to {self.risk_high:.3g}), p {self.p:.2g}>"

    def _repr_html_(self) -> str:
        return as_html(repr(self))

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON can hold them; None where the tables cannot say."""
        return plain_fields(self)


@dataclass(frozen=True)
class Association:
    """What one table says about an action and an outcome; not-a-number where it cannot say."""

    base_rate: float
    lift: float
    ppv: float
    sensitivity: float
    npv: float
    specificity: float
    phi: float
    reach: float
    odds_ratio: float
    overlap: float

    def __repr__(self) -> str:
        """Say the figures that are read first."""
        return f"<Association: phi {self.phi:.3g}, lift {self.lift:.3g}, reach {self.reach:.3g}>"

    def _repr_html_(self) -> str:
        return as_html(repr(self))

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON can hold them; None where the tables cannot say."""
        return plain_fields(self)


def mantel_haenszel(
    tables: Sequence[Sequence[Sequence[float]]], *, level: float = 0.95
) -> Stratified:
    """Say how strongly exposure and outcome go together once users are compared within strata only.

    ``RR = Σ a·n0/N / Σ c·n1/N``, ``OR = Σ ad/N / Σ bc/N``, ``RD = Σ (a·n0 - c·n1)/N / Σ n1·n0/N``,
    ``chi2 = (Σ a - Σ n1·m1/N)² / Σ n1·n0·m1·m0/(N²(N-1))`` with ``n1 = a+b``, ``n0 = c+d``, ``m1 = a+c``, ``m0 = b+d``.

    Parameters
    ----------
    tables
        Shape (strata, 2, 2): ``[[exposed yes, exposed no], [unexposed yes, unexposed no]]``, counts.
    level
        Confidence of the three intervals, between 0 and 1.

    Returns
    -------
    Stratified
        ``odds_ratio, odds_low, odds_high, risk_ratio, risk_low, risk_high, risk_difference, difference_low,
        difference_high, chi2, p`` (without continuity correction), ``chi2_corrected, p_corrected`` (with it).

    Raises
    ------
    ParameterError
        The shape is another one, or a count is negative.

    Notes
    -----
    Strata in which everybody or nobody was exposed compare nothing and carry no weight.

    References
    ----------
    Mantel and Haenszel (1959); intervals: Robins, Breslow, Greenland (1986) for odds,
    Greenland and Robins (1985) for risks, Sato (1989) for the difference.

    Examples
    --------
    >>> found = mantel_haenszel([[[20, 14], [10, 24]], [[15, 12], [3, 15]]])
    >>> round(found.odds_ratio, 3), round(found.risk_ratio, 3)
    (4.218, 2.353)
    """
    frame = _as_frame(tables)
    row = frame.select(stratum_sums()).select(*pooled_ratios(z_of(level))).row(0, named=True)
    known = {k: math.nan if v is None else v for k, v in row.items()}
    return Stratified(
        **known, p=chi2_tail(known["chi2"]), p_corrected=chi2_tail(known["chi2_corrected"])
    )


def breslow_day(tables: Sequence[Sequence[Sequence[float]]]) -> tuple[float, float]:
    """Say whether the odds ratio differs between strata more than chance allows.

    ``chi2 = Σ (a - A)² / (1/A + 1/(m1-A) + 1/(n1-A) + 1/(N-m1-n1+A))⁻¹``, ``A`` the count expected under the
    common odds ratio.

    Parameters
    ----------
    tables
        As for `mantel_haenszel`.

    Returns
    -------
    tuple
        ``(chi2, p)``, with one degree of freedom fewer than strata; not-a-number where fewer than two
        strata have all four margins, or the common odds ratio is 0 or infinite.

    Raises
    ------
    ParameterError
        The shape is another one, or a count is negative.

    References
    ----------
    Breslow and Day (1980), Statistical Methods in Cancer Research I, section 4.4; without Tarone's correction.

    Examples
    --------
    >>> chi2, p = breslow_day([[[20, 14], [10, 24]], [[15, 12], [3, 15]]])
    >>> round(chi2, 3), round(p, 3)
    (0.446, 0.504)
    """
    frame = _as_frame(tables)
    ratio = frame.select(stratum_sums()).select(pooled_ratios(1.0)).item(0, "odds_ratio")
    row = frame.with_columns(odds=pl.lit(ratio, pl.Float64)).select(heterogeneity()).row(0)
    return _heterogeneity_tail(*row)


def association(a: float, b: float, c: float, d: float) -> Association:
    """Say how well having done something tells who was retained.

    ``lift = ppv / base_rate``, ``phi = (ad - bc) / sqrt((a+b)(c+d)(a+c)(b+d))``,
    ``odds_ratio = (a+1)(d+1) / ((b+1)(c+1))``.

    Parameters
    ----------
    a, b, c, d
        Users who did and were retained, did and were not, did not and were, and neither.

    Returns
    -------
    Association
        ``base_rate, lift, ppv, sensitivity, npv, specificity, phi, reach`` (share of all who did), ``odds_ratio``
        (1 added to each cell), ``overlap`` (did and retained, of those who did or were retained).

    Raises
    ------
    ParameterError
        A count is negative or missing.

    Examples
    --------
    >>> found = association(80, 40, 120, 360)
    >>> round(found.phi, 4), found.reach, round(found.lift, 3)
    (0.3536, 0.2, 2.0)
    """
    if not all(isinstance(n, numbers.Real) and 0 <= n < math.inf for n in (a, b, c, d)):
        raise ParameterError(f"The counts are {(a, b, c, d)}; none can be negative or missing.")
    all_users = a + b + c + d
    base_rate, ppv = _share(a + c, all_users), _share(a, a + b)
    return Association(
        base_rate=base_rate,
        lift=_share(ppv, base_rate),
        ppv=ppv,
        sensitivity=_share(a, a + c),
        npv=_share(d, c + d),
        specificity=_share(d, b + d),
        phi=_share(a * d - b * c, math.sqrt((a + b) * (c + d) * (a + c) * (b + d))),
        reach=_share(a + b, all_users),
        odds_ratio=(a + 1) * (d + 1) / ((b + 1) * (c + 1)),
        overlap=_share(a, a + b + c),
    )


def benjamini_hochberg(p: Iterable[float | None]) -> list[float]:
    """Say how many false discoveries to expect among all findings at least as strong: q for each p.

    ``q_(i) = min over j >= i of p_(j)·m/j``, ``p_(1) <= ... <= p_(m)``.

    Parameters
    ----------
    p
        Chances between 0 and 1; None or not-a-number stands for a test that could not be made.

    Returns
    -------
    list
        One q for each p, in the same order; not-a-number for tests not made, which do not count among the m.

    Raises
    ------
    ParameterError
        A p lies outside 0 to 1.

    References
    ----------
    Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.

    Examples
    --------
    >>> [round(q, 3) for q in benjamini_hochberg([0.01, 0.04, 0.03, None])]
    [0.03, 0.04, 0.04, nan]
    """
    values = [math.nan if each is None else float(each) for each in p]
    if wrong := [each for each in values if not (math.isnan(each) or 0 <= each <= 1)]:
        raise ParameterError(f"p holds {wrong[0]!r}; chances lie between 0 and 1.")
    made = sorted(
        (i for i, each in enumerate(values) if not math.isnan(each)), key=values.__getitem__
    )
    found, least = [math.nan] * len(values), 1.0
    for rank in range(len(made), 0, -1):
        place = made[rank - 1]
        least = min(least, values[place] * len(made) / rank)
        found[place] = least
    return found


def chi2_tail(chi2: float) -> float:
    """Return the chance of a chi-square of one degree of freedom at least this large."""
    return math.erfc(math.sqrt(chi2 / 2)) if chi2 >= 0 else math.nan


def stratum_sums() -> list[pl.Expr]:
    """Build the sums over strata from which `pooled_ratios` are made."""
    a, b, c, d = (pl.col(cell).cast(pl.Float64) for cell in CELLS)
    n1, n0, m1, m0 = a + b, c + d, a + c, b + d
    total = n1 + n0
    # An empty stratum compares nothing; null drops out of every sum.
    size = pl.when(total > 0).then(total)
    r, s, u, v = a * d / size, b * c / size, (a + d) / size, (b + c) / size
    spread = pl.when(total > 1).then(n1 * n0 * m1 * m0 / (size * size * (size - 1)))
    lean = pl.when(total > 2).then(spread * (n0 - n1) * (m0 - m1) / (size * (size - 2)))
    terms = {
        "did": a * n0 / size,
        "not": c * n1 / size,
        "risk_spread": (m1 * n1 * n0 - a * c * size) / (size * size),
        "weight": n1 * n0 / size,
        "sato_p": (n1 * n1 * c - n0 * n0 * a + n1 * n0 * (n0 - n1) / 2) / (size * size),
        "sato_q": (a * d + b * c) / (2 * size),
        "r": r,
        "s": s,
        "pr": u * r,
        "ps_qr": u * s + v * r,
        "qs": v * s,
        "excess": a - n1 * m1 / size,
        "spread": spread,
        "lean": lean,  # third central moment of the hypergeometric counts
    }
    return [term.sum().alias(f"_{name}") for name, term in terms.items()]


def pooled_ratios(z: float | pl.Expr) -> list[pl.Expr]:
    """Build odds ratio, risk ratio and difference with intervals, and the test, from `stratum_sums`."""
    did, not_, weight, r, s = (_positive(f"_{name}") for name in ("did", "not", "weight", "r", "s"))
    odds, risk = pl.col("_r") / s, pl.col("_did") / not_
    odds_half = (
        z
        * (
            (pl.col("_pr") / (r * r) + pl.col("_ps_qr") / (r * s) + pl.col("_qs") / (s * s)) / 2
        ).sqrt()
    )
    risk_half = z * (pl.col("_risk_spread").clip(0) / (did * not_)).sqrt()
    difference = (pl.col("_did") - pl.col("_not")) / weight
    sato = (difference * pl.col("_sato_p") + pl.col("_sato_q")).clip(0)
    gap = z * sato.sqrt() / weight
    excess, spread = pl.col("_excess").abs(), _positive("_spread")
    return [
        odds.alias("odds_ratio"),
        (odds * (-odds_half).exp()).alias("odds_low"),
        (odds * odds_half.exp()).alias("odds_high"),
        risk.alias("risk_ratio"),
        (risk * (-risk_half).exp()).alias("risk_low"),
        (risk * risk_half.exp()).alias("risk_high"),
        difference.alias("risk_difference"),
        (difference - gap).clip(-1, 1).alias("difference_low"),
        (difference + gap).clip(-1, 1).alias("difference_high"),
        (excess * excess / spread).alias("chi2"),
        ((excess - 0.5).clip(0).pow(2) / spread).alias("chi2_corrected"),
    ]


def tails(excess: Any, spread: Any, lean: Any) -> tuple[Any, Any]:
    """Return the chances of an excess at least and at most as large, given its variance and third moment.

    Where few did something or few were retained, counts lean to one side, and the normal's chance is far too small
    out in the tail. A gamma distribution with the same three moments (Pearson's type III) follows them there. Arrays of
    numbers; not-a-number without a variance.
    """
    import numpy as np
    from scipy.special import gammainc, gammaincc, ndtr

    variance = np.asarray(spread, np.float64)
    known = variance > 0
    deviation = np.sqrt(np.where(known, variance, 1.0))
    z, skew = (
        np.asarray(excess, np.float64) / deviation,
        np.asarray(lean, np.float64) / deviation**3,
    )
    turned = skew < 0
    z, size = np.where(turned, -z, z), np.abs(skew)
    straight = size < 1e-4
    shape = 4 / np.where(straight, 1.0, size) ** 2
    at = np.maximum(shape + z * np.sqrt(shape), 0.0)
    above = np.where(straight, ndtr(-z), gammaincc(shape, at))
    below = np.where(straight, ndtr(z), gammainc(shape, at))
    above, below = np.where(turned, below, above), np.where(turned, above, below)
    return np.where(known, above, np.nan), np.where(known, below, np.nan)


def heterogeneity(least_expected: float = 0.0) -> list[pl.Expr]:
    """Build Breslow and Day's chi-square and the number of strata in it; needs the column `odds`.

    Strata in which a cell is expected to hold `least_expected` users or fewer are passed over.
    """
    a, b, c, d = (pl.col(cell).cast(pl.Float64) for cell in CELLS)
    n1, n0, m1 = a + b, c + d, a + c
    odds = pl.when(pl.col("odds").is_finite() & (pl.col("odds") > 0)).then(pl.col("odds"))
    middle = n0 - m1 + odds * (m1 + n1)
    # The root of the quadratic, written so that it also holds where the odds ratio is 1.
    root = (middle * middle + 4 * (1 - odds) * odds * m1 * n1).clip(0).sqrt()
    expected = 2 * odds * m1 * n1 / (middle + root)
    cells = [expected, m1 - expected, n1 - expected, n0 - m1 + expected]
    usable = pl.all_horizontal(*[cell > max(least_expected, 1e-9) for cell in cells])
    term = (a - expected).pow(2) * sum((1 / cell for cell in cells), pl.lit(0.0))
    return [
        term.filter(usable).sum().alias("heterogeneity"),
        usable.sum().cast(pl.Int64).alias("strata_compared"),
    ]


def _heterogeneity_tail(chi2: float | None, strata: int | None) -> tuple[float, float]:
    if chi2 is None or strata is None or strata < 2:
        return math.nan, math.nan
    from scipy.special import chdtrc

    return chi2, float(chdtrc(strata - 1, chi2))


def _positive(name: str) -> pl.Expr:
    return pl.when(pl.col(name) > 0).then(pl.col(name))


def _share(n: float, of: float) -> float:
    return n / of if of > 0 else math.nan


def _as_frame(tables: Sequence[Sequence[Sequence[float]]]) -> pl.DataFrame:
    try:
        rows = [
            (float(a), float(b), float(c), float(d)) for (a, b), (c, d) in (list(t) for t in tables)
        ]
    except (TypeError, ValueError):
        raise ParameterError(
            "tables has another shape than (strata, 2, 2); write each stratum as [[exposed yes, exposed no], [unexposed yes, unexposed no]]."
        ) from None
    if bad := [row for row in rows if not all(math.isfinite(x) and x >= 0 for x in row)]:
        raise ParameterError(f"tables holds the counts {bad[0]}; none can be negative or missing.")
    return pl.DataFrame(rows, schema=dict.fromkeys(CELLS, pl.Float64), orient="row")
