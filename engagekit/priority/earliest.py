"""The earliest broken link: the closed form, and the verdict it supports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Literal

from engagekit.definition import LINKS
from engagekit.diagnosis import LOSABLE
from engagekit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

SURE = 0.8  # a link is named from this probability on
HALF = 0.5  # without targets: the link by which more than half are lost
STEP, STEPS = 1.1, 74  # a case that a thousand times the users would not settle lies at its target
HALVINGS = 30
Verdict = Literal["named", "undecided", "none broken"]
NONE_BROKEN: Literal["none broken"] = "none broken"


def earliest_broken(
    passed: Sequence[float], eligible: Sequence[float], targets: Sequence[float | None]
) -> tuple[list[float], float]:
    """Give the probability of each link to be the earliest broken one, and that none is broken.

    ``P_k = P(rate_k < target_k)`` with ``rate_k ~ Beta(passed + 1/2, eligible - passed + 1/2)``;
    ``P(earliest = k) = P_k · Π_{j<k} (1 - P_j)``.

    Parameters
    ----------
    passed, eligible
        Users per link, in the order of the loop; may be fractional (divided by a design effect).
    targets
        Target rate per link, between 0 and 1; a link with None cannot be named.

    Returns
    -------
    tuple
        ``(p_earliest per link, p_none)``; they sum to 1.

    Raises
    ------
    ParameterError
        The three differ in length, more passed than could have, or a target is no share.

    References
    ----------
    Jeffreys' prior for a share; agrees with resampling users.

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
        if not (_is_number(n) and _is_number(of) and 0 <= n <= of < math.inf)
    ] + [
        f"a target is {mark!r}; it takes a share between 0 and 1, or None."
        for mark in targets
        if mark is not None and not (_is_number(mark) and 0 <= mark <= 1)
    ]
    if faults:
        raise ParameterError.from_faults("No link can be judged", faults)
    p_earliest, unbroken = [], 1.0
    for p in [below(*counts) for counts in zip(passed, eligible, targets, strict=True)]:
        p_earliest.append(unbroken * (p or 0.0))
        unbroken *= 1 - (p or 0.0)
    return p_earliest, unbroken


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def below(n: float, of: float, mark: float | None) -> float | None:
    """Give the probability that a rate lies below a mark, from Beta(n + 1/2, of - n + 1/2); None without a mark.

    Examples
    --------
    >>> round(below(144, 360, 0.5), 5)
    0.99993
    """
    from scipy.special import betainc

    return None if mark is None else float(betainc(n + 0.5, of - n + 0.5, mark))


@dataclass(frozen=True)
class Evidence:
    """What a verdict is taken from: counts per link, already divided by design effects, and the marks.

    With targets, `n` and `of` are those of each link's rate and `marks` the targets (None: cannot be named).
    Without (`lost`), they are those of the share of sign-ups that got that far, and every mark is one half.
    """

    n: tuple[float, ...]
    of: tuple[float, ...]
    marks: tuple[float | None, ...]
    lost: bool

    def p_broken(self) -> list[float | None]:
        """Give P(rate < mark) per link; those of getting that far never decrease along the loop."""
        found = [below(*each) for each in zip(self.n, self.of, self.marks, strict=True)]
        if not self.lost:
            return found
        return [
            p if p is None else max(q for q in found[: k + 1] if q is not None)
            for k, p in enumerate(found)
        ]

    def p_earliest(self) -> tuple[list[float | None], float]:
        """Give P(earliest = k) per link, null where a link cannot be named, and that of none."""
        broken = self.p_broken()
        found: list[float | None] = []
        unbroken, before = 1.0, 0.0
        for p in broken:
            if p is None:
                found.append(None)
                continue
            found.append(p - before if self.lost else unbroken * p)
            unbroken, before = (1 - p if self.lost else unbroken * (1 - p)), p
        return found, unbroken

    def times(self, factor: float) -> Evidence:
        """Take the same rates from so many times the users."""
        return Evidence(
            tuple(n * factor for n in self.n),
            tuple(o * factor for o in self.of),
            self.marks,
            self.lost,
        )

    def marked(self, link: int, mark: float) -> Evidence:
        """Move the mark of one link; without targets the one mark is common to all."""
        moved = [
            m if m is None or not (self.lost or k == link) else mark
            for k, m in enumerate(self.marks)
        ]
        return Evidence(self.n, self.of, tuple(moved), self.lost)

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


def evidence(
    counts: pl.DataFrame, targets: Mapping[str, float], defined: Sequence[str]
) -> Evidence:
    """Take the evidence from one row per link, as `link_counts` gives them; without targets, who got that far."""
    lost = not targets
    side = "reached_" if lost else ""
    marks = {link: HALF for link in LOSABLE if link in defined} if lost else targets
    rows = {row["link"]: row for row in counts.iter_rows(named=True)}
    scale = [rows[link][f"{side}design_effect"] for link in LINKS]
    return Evidence(
        tuple(rows[link][f"{side}n"] / d for link, d in zip(LINKS, scale, strict=True)),
        tuple(rows[link][f"{side}of"] / d for link, d in zip(LINKS, scale, strict=True)),
        tuple(marks.get(link) if link in defined else None for link in LINKS),
        lost,
    )


def judge(seen: Evidence) -> Judgment:
    """Name the earliest broken link where one is sure enough, or none, or say that it is undecided."""
    p_earliest, p_none = seen.p_earliest()
    chances = {link: p for link, p in zip(LINKS, p_earliest, strict=True) if p is not None}
    chances[NONE_BROKEN] = p_none
    ranked = sorted(chances, key=lambda name: -chances[name])
    top, unseen = ranked[0], seen.unseen()
    judgeable = len(chances) > 1  # else no link has a mark, and nothing can be held against one
    sure = (
        judgeable
        and chances[top] >= SURE
        and top not in unseen
        and not (top == NONE_BROKEN and unseen)
    )
    verdict: Verdict = "undecided" if not sure else NONE_BROKEN if top == NONE_BROKEN else "named"
    return Judgment(
        verdict=verdict,
        link=top if verdict == "named" else None,
        probability=chances[top] if judgeable else 0.0,
        p_broken=tuple(seen.p_broken()),
        p_earliest=tuple(p_earliest),
        p_none=p_none,
        candidates=() if sure or not judgeable else tuple(ranked[:2]),
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


def holds_between(seen: Evidence, link: str) -> tuple[float, float]:
    """Say between which marks of a named link it stays the named one."""
    place = LINKS.index(link)
    mark = seen.marks[place] or HALF

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
