"""The earliest broken link: the closed form, and the verdict it supports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engagekit._base import is_number
from engagekit.definition import LINKS
from engagekit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

SURE = 0.8  # a link is named from this probability on
SURE_OF_A_FALL = 0.95  # and held against its own past from this one
STEP, STEPS = 1.1, 74  # a case that a thousand times the users would not settle lies at its target
HALVINGS = 30
DRAWS = (
    400  # of rates that may be the true ones, for the range of how many more users would settle it
)
RANGE = (0.1, 0.9)
Verdict = Literal["named", "undecided", "none broken", "no targets"]
NONE_BROKEN: Literal["none broken"] = "none broken"


def earliest_broken(
    passed: Sequence[float],
    eligible: Sequence[float],
    targets: Sequence[float | None],
    *,
    margin: float = 0.0,
) -> tuple[list[float], float]:
    """Give the probability of each link to be the earliest broken one, and that none is broken.

    ``P_k = P(rate_k < target_k - margin)`` with ``rate_k ~ Beta(passed + 1/2, eligible - passed + 1/2)``;
    ``P(earliest = k) = P_k · Π_{j<k} (1 - P_j)``.

    Parameters
    ----------
    passed, eligible
        Users per link, in the order of the loop; may be fractional (divided by a design effect).
    targets
        Target rate per link, between 0 and 1; a link with None cannot be named.
    margin
        How far below its target a link must lie to count as broken.

    Returns
    -------
    tuple
        ``(p_earliest per link, p_none)``; they sum to 1.

    Raises
    ------
    ParameterError
        The three differ in length, more passed than could have, or a target or the margin is no share.

    References
    ----------
    Jeffreys' prior for a share; agrees with resampling users. The margin is a region of practical equivalence:
    Kruschke (2018), Advances in Methods and Practices in Psychological Science 1, 270-280.

    Examples
    --------
    >>> p_earliest, p_none = earliest_broken([360, 144], [1000, 360], [0.32, 0.5])
    >>> [round(p, 4) for p in p_earliest], round(p_none, 4)
    ([0.0036, 0.9963], 0.0001)
    """
    if not len(passed) == len(eligible) == len(targets):
        raise ParameterError(
            f"passed has {len(passed)} links, eligible {len(eligible)}, targets {len(targets)}; give one number per link."
        )
    faults = [
        f"{n!r} of {of!r} passed; it takes numbers, 0 or more, and no more than could have."
        for n, of in zip(passed, eligible, strict=True)
        if not (is_number(n) and is_number(of) and 0 <= n <= of < math.inf)
    ]
    faults += [
        f"a target is {mark!r}; it takes a share between 0 and 1, or None."
        for mark in targets
        if mark is not None and not (is_number(mark) and 0 <= mark <= 1)
    ]
    if not (is_number(margin) and 0 <= margin <= 1):
        faults.append(f"margin is {margin!r}; it takes a share between 0 and 1.")
    if faults:
        raise ParameterError.from_faults("No link can be judged", faults)
    marks = [math.nan if target is None else target - margin for target in targets]
    *p_earliest, p_none = chances(below(passed, eligible, marks)).tolist()
    return p_earliest, p_none


def below(n: ArrayLike, of: ArrayLike, mark: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give the probability that rates lie below marks, from Beta(n + 1/2, of - n + 1/2); not-a-number without a mark.

    Examples
    --------
    >>> below([144, 144], [360, 360], [0.5, -0.01]).round(5).tolist()
    [0.99993, 0.0]
    """
    from scipy.special import betainc

    n, of, mark = (np.asarray(each, float) for each in (n, of, mark))
    p = betainc(n + 0.5, np.maximum(of - n, 0.0) + 0.5, np.clip(mark, 0.0, 1.0))
    return np.asarray(np.where(np.isnan(mark), np.nan, p))


def chances(broken: ArrayLike) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give, along the last axis, the probability of each link to be the earliest broken one, and last that of none.

    Parameters
    ----------
    broken
        Probability of each link to be broken, in the order of the loop; not-a-number: cannot be named.

    Examples
    --------
    >>> chances([0.2, np.nan, 0.5]).tolist()
    [0.2, 0.0, 0.4, 0.4]
    """
    p = np.nan_to_num(np.asarray(broken, float))
    unbroken = np.cumprod(1 - p, axis=-1)
    before = np.concatenate([np.ones_like(p[..., :1]), unbroken[..., :-1]], axis=-1)
    return np.concatenate([p * before, unbroken[..., -1:]], axis=-1)


def sure_enough(
    chance: np.ndarray[Any, Any], of: ArrayLike, marks: ArrayLike, sure: ArrayLike = SURE
) -> np.ndarray[Any, Any]:
    """Say along the last axis which answer is the likeliest, and -1 where it is not sure enough.

    Links count from 0; the answer after them is that none is broken. A link that nobody can be judged on yet is
    neither broken nor sound.

    Parameters
    ----------
    chance
        As `chances` gives them.
    of, marks
        Judged users and mark per link; a link without a mark takes no part.
    sure
        From which probability on an answer is one; may differ from case to case.
    """
    unseen = ~np.isnan(np.asarray(marks, float)) & (np.asarray(of, float) <= 0)
    unseen = np.broadcast_to(unseen, chance[..., :-1].shape)
    none = unseen.any(axis=-1, keepdims=True)  # none is broken only if all are seen
    top = chance.argmax(axis=-1)
    open_ = np.take_along_axis(np.concatenate([unseen, none], axis=-1), top[..., None], -1)[..., 0]
    return np.where((chance.max(axis=-1) >= sure) & ~open_, top, -1)


@dataclass(frozen=True)
class Evidence:
    """What a verdict is taken from, per link: counts divided by design effects, and marks below which it is broken.

    A mark of None: the link cannot be named. `sure`: from which probability on a link is.
    """

    n: tuple[float, ...]
    of: tuple[float, ...]
    marks: tuple[float | None, ...]
    sure: float = SURE

    def p_broken(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Give P(rate < mark) per link, not-a-number without a mark."""
        return below(self.n, self.of, self._marks())

    def _marks(self) -> list[float]:
        return [math.nan if mark is None else mark for mark in self.marks]

    def times(self, factor: float) -> Evidence:
        """Take the same rates from so many times the users."""
        n, of = (tuple(c * factor for c in counts) for counts in (self.n, self.of))
        return Evidence(n, of, self.marks, self.sure)

    def marked(self, link: int, mark: float) -> Evidence:
        """Move the mark of one link."""
        moved = tuple(mark if k == link else m for k, m in enumerate(self.marks))
        return Evidence(self.n, self.of, moved, self.sure)

    def unseen(self) -> list[str]:
        """Name the links that take part, but on which nobody can be judged yet."""
        return [
            link
            for link, of, mark in zip(LINKS, self.of, self.marks, strict=True)
            if mark is not None and of <= 0
        ]


@dataclass(frozen=True)
class Judgment:
    """A verdict with its probabilities: see `Priority` for what each means."""

    verdict: Verdict
    link: str | None
    probability: float
    p_broken: tuple[float | None, ...]
    p_earliest: tuple[float | None, ...]
    p_none: float
    candidates: tuple[str, ...]


def judge(seen: Evidence) -> Judgment:
    """Name the earliest broken link where one is sure enough, or none, or say that it is undecided."""
    broken = seen.p_broken()
    chance = chances(broken)
    marked = [mark is not None for mark in seen.marks]
    names = [link for link, can in zip(LINKS, marked, strict=True) if can] + [NONE_BROKEN]
    shares = dict(zip((*LINKS, NONE_BROKEN), chance.tolist(), strict=True))
    ranked = sorted(names, key=lambda name: -shares[name])
    found = int(sure_enough(chance, seen.of, seen._marks(), seen.sure))  # noqa: SLF001
    judgeable = any(marked)  # else no link has a mark, and nothing can be held against one
    verdict: Verdict = (
        "undecided" if found < 0 or not judgeable else NONE_BROKEN if found == len(LINKS) else "named"
    )  # fmt: skip
    return Judgment(
        verdict=verdict,
        link=LINKS[found] if verdict == "named" else None,
        probability=shares[ranked[0]] if judgeable else 0.0,
        p_broken=tuple(p if can else None for p, can in zip(broken.tolist(), marked, strict=True)),
        p_earliest=tuple(shares[k] if can else None for k, can in zip(LINKS, marked, strict=True)),
        p_none=shares[NONE_BROKEN],
        candidates=() if verdict != "undecided" or not judgeable else tuple(ranked[:2]),
    )


def times_to_settle(seen: Evidence) -> float | None:
    """Say how many times the users, at the same rates, would settle an undecided case; None where none would."""
    if judge(seen).verdict != "undecided":
        return 1.0

    def settled(times: float) -> bool:
        return judge(seen.times(times)).verdict != "undecided"

    tried = [STEP**power for power in range(STEPS)]
    for before, after in pairwise(tried):
        if settled(after):
            return crossing(settled, before, after)
    return None


def range_to_settle(seen: Evidence) -> tuple[float, float]:
    """Say between how many times the users an undecided case would be settled, as its rates are not known exactly.

    Rates are drawn from what the users leave plausible; new users come at those rates. The range leaves out a tenth on
    either side; infinite where a thousand times the users would not do.
    """
    n, of = np.array(seen.n), np.array(seen.of)
    marks = seen._marks()  # noqa: SLF001
    draw = np.random.default_rng(0)
    rates = draw.beta(n + 0.5, np.maximum(of - n, 0) + 0.5, (DRAWS, n.size))
    needed = np.full(DRAWS, np.inf)
    for power in range(STEPS):
        more = (STEP**power - 1) * of
        chance = chances(below(n + more * rates, of + more, marks))
        settled = sure_enough(chance, of, marks, seen.sure) >= 0
        needed = np.where(np.isinf(needed) & settled, STEP**power, needed)
    low, high = np.quantile(needed, RANGE, method="inverted_cdf")
    return float(low), float(high)


def holds_between(seen: Evidence, link: str) -> tuple[float, float]:
    """Say between which marks of a named link it stays the named one."""
    place = LINKS.index(link)
    mark = seen.marks[place] or 0.0

    def named(at: float) -> bool:
        return judge(seen.marked(place, at)).link == link

    return crossing(named, 0.0, mark), 1.0 if named(1.0) else crossing(
        lambda at: not named(at), mark, 1.0
    )


def crossing(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Find where a condition that fails at `low` and holds at `high` begins to hold, by halving."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def extra_users(
    rates: Sequence[float | None], targets: Sequence[float | None], signups: int
) -> list[dict[str, float | None]]:
    """Say how many more users would reach the end if one link rose to its target, the links after it held.

    ``N · Π p_j · (t_k / p_k - 1)``, 0 where the rate is above its target.

    Parameters
    ----------
    rates
        Rate per link; the last known one is the end. A link with None ends the chain.
    targets
        Target per link; None: not known.
    signups
        N, the users at the start.

    Returns
    -------
    list
        Per link `extra_passing` (more users past this link) and `extra_users` (more at the end, if they go on
        like the others), `extra_users_half` (if half as likely) and `extra_users_zero` (if none go on).

    Examples
    --------
    >>> round(extra_users([0.36, 0.40, 65 / 144], [None, 0.5, None], 1000)[1]["extra_users"], 2)
    16.25
    """
    known = [
        rate for rate in rates[: rates.index(None) if None in rates else None] if rate is not None
    ]
    found: list[dict[str, float | None]] = []
    for k, target in enumerate(targets):
        if target is None or k >= len(known):
            found.append(
                dict.fromkeys(
                    ("extra_passing", "extra_users", "extra_users_half", "extra_users_zero")
                )
            )
            continue
        lifted = signups * math.prod(known[:k]) * max(0.0, target - known[k])
        last = k == len(known) - 1
        onward = math.prod(known[k + 1 :])
        found.append(
            {
                "extra_passing": lifted,
                "extra_users": lifted * onward,
                "extra_users_half": lifted if last else lifted * onward / 2,
                "extra_users_zero": lifted if last else 0.0,
            }
        )
    return found
