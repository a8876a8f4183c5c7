"""How a survival curve goes on where users differ and some may never leave: both weighed by how well they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ALONE = 0.5  # weight, beforehand, of nobody being loyal
DRAWS, SEED = 2000, 20070101
WIDE = ((-7.0, 5.0), (-4.0, 8.0), (0.0, 0.96))
POINTS = (41, 25, 24)


@dataclass(frozen=True)
class Outlook:
    """The curve from 0 on as the models have it, with its 95 % band beyond the data, and the loyal share."""

    expected: list[float]
    low: list[float]
    high: list[float]
    loyal: float  # its mean over all fits
    p_loyal: float  # weight of the fits with a loyal share


def outlook(
    lost: Sequence[float],
    kept: Sequence[float],
    observed: Sequence[float],
    periods: int,
    at_risk: float,
) -> Outlook:
    """Average the shifted-beta-geometric curve over its parameters, alone and with a share that never leaves.

    ``S(t) = π + (1 - π) Π (β + i - 1) / (α + β + i - 1)``; each (α, β, π) of a grid weighs as its likelihood
    ``Π h(t)^lost (1 - h(t))^kept``, π = 0 as much beforehand as all π above it. Beyond the data the curve goes on
    from the last point known, and the band holds the chance of those `at_risk` too.

    Parameters
    ----------
    lost, kept
        Users lost and kept in each period.
    observed
        The survival known, from 1 on.
    periods
        How many periods to go beyond it.
    at_risk
        Users the last known point stands on.

    Returns
    -------
    Outlook
        See there.

    References
    ----------
    Fader and Hardie (2007), Journal of Interactive Marketing 21(1), 76-90; Fader, Hardie, Liu, Davin and Steenburgh
    (2018), Journal of Interactive Marketing 43, 1-16, for why a share beside it.

    Examples
    --------
    >>> found = outlook([369, 163, 86, 56, 37, 27, 21], [631, 468, 382, 326, 289, 262, 241],
    ...                 [1, .631, .468, .382, .326, .289, .262, .241], 5, 241)
    >>> found.low[-1] < 0.173 < found.high[-1]
    True
    """
    import numpy as np

    points = len(observed) + periods
    rough, weight = _weighed(_grid(*WIDE), lost, kept, points)[::2]
    # A second, finer grid over the part that carries weight: with many users that part is small.
    (*_, loyal, _), curve, weight = _weighed(_grid(*_part(rough, weight)), lost, kept, points)
    fitted = _mean(weight, curve)
    random = np.random.default_rng(SEED)
    drawn = random.choice(len(weight), DRAWS, p=weight)
    here = len(observed) - 1
    ahead = curve[here:] / curve[here]
    # Who goes on is drawn period by period, from those at risk at the last point known.
    left = np.full(DRAWS, round(at_risk))
    low, high = list(map(float, fitted[: here + 1])), list(map(float, fitted[: here + 1]))
    last = float(observed[-1])
    for t in range(1, periods + 1):
        stay = (ahead[t, drawn] / ahead[t - 1, drawn]).clip(0, 1)
        left = random.binomial(left, stay)
        bounds = np.quantile(left / max(1, round(at_risk)), (0.025, 0.975)) * last
        low.append(float(bounds[0]))
        high.append(float(bounds[1]))
    expected = [*map(float, fitted[: here + 1]), *map(float, last * _mean(weight, ahead[1:]))]
    return Outlook(expected, low, high, float(weight @ loyal), float(weight[loyal > 0].sum()))


def _grid(
    means: Sequence[float], sizes: Sequence[float], shares: Sequence[float]
) -> tuple[Any, Any, Any, Any]:
    """Lay a grid over the mean chance to leave (logit), how alike users are (log), and the loyal share; 0 is always in."""
    import numpy as np

    mean = 1 / (1 + np.exp(-np.linspace(means[0], means[1], POINTS[0])))
    size = np.exp(np.linspace(sizes[0], sizes[1], POINTS[1]))
    step = (shares[1] - shares[0]) / POINTS[2]
    share = np.concatenate([[0.0], shares[0] + step * (np.arange(POINTS[2]) + 0.5)])
    m, s, loyal = (x.ravel() for x in np.meshgrid(mean, size, share, indexing="ij"))
    prior = np.where(loyal == 0, ALONE, (1 - ALONE) * step / WIDE[2][1])
    return m * s, (1 - m) * s, loyal, np.log(prior)


def _weighed(
    grid: Any, lost: Sequence[float], kept: Sequence[float], points: int
) -> tuple[Any, Any, Any]:
    import numpy as np

    alpha, beta, loyal, log_prior = grid
    curve = _curves(alpha, beta, loyal, points)
    cost = np.zeros(len(alpha))
    for t, (gone, stayed) in enumerate(zip(lost, kept, strict=True)):
        hazard = (1 - curve[t + 1] / curve[t]).clip(1e-12, 1 - 1e-12)
        cost += gone * np.log(hazard) + stayed * np.log1p(-hazard)
    weight = np.exp(cost + log_prior - (cost + log_prior).max())
    return grid, curve, weight / weight.sum()


def _mean(weight: Any, curve: Any) -> Any:
    """Average curves; not by the matrix product, whose threads cost more than they bring for so few numbers."""
    import numpy as np

    return np.array([(weight * at_once).sum() for at_once in curve])


def _part(grid: Any, weight: Any) -> tuple[tuple[float, float], ...]:
    """Take the box, a step wider, of the points that carry weight."""
    import numpy as np

    alpha, beta, loyal, _ = grid
    some = weight > weight.max() * 1e-5
    axes = np.log(alpha / beta)[some], np.log(alpha + beta)[some], loyal[some]
    found = []
    for values, (low, high), count in zip(axes, WIDE, POINTS, strict=True):
        step = (high - low) / (count - 1)
        found.append((max(low, float(values.min()) - step), min(high, float(values.max()) + step)))
    return tuple(found)


def _curves(alpha: Any, beta: Any, loyal: Any, points: int) -> Any:
    import numpy as np

    # One point in time after the other, of all curves: so a step finds its numbers beside each other.
    found = np.ones((points, len(alpha)))
    alone = found[0]
    for t in range(1, points):
        alone = alone * (beta + t - 1) / (alpha + beta + t - 1)
        found[t] = (loyal + (1 - loyal) * alone).clip(1e-300)
    return found
