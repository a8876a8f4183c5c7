"""What would reach the end of the loop if one of its links rose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import LINKS
from engagekit.errors import ParameterError, check_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.priority.verdict import Priority

DRAWS = 4_000
WHAT_IF: dict[str, Any] = {"link": pl.String} | dict.fromkeys(
    ("now", "now_low", "now_high", "then", "then_low", "then_high", "more", "more_low", "more_high"), pl.Float64
)  # fmt: skip


def what_if(priority: Priority, link: str, rate: float) -> pl.DataFrame:
    """Say how many sign-ups would reach each link if one of them rose to a rate, and the links around it held.

    ``now(k) = rate(1) · … · rate(k)``, ``then(k)`` the same with the link's rate in place of its own,
    ``more = then - now``.

    Parameters
    ----------
    priority
        What `engagekit.prioritize` returns.
    link
        Which link rises: activation, habit, depth or advocacy.
    rate
        To what share, between 0 and 1.

    Returns
    -------
    DataFrame
        One row per link, in the loop's order, up to the last that can be judged: `link`; `now`, `then` and `more`, as
        shares of all sign-ups, each with its 95 % interval `_low`, `_high`: 2.5 and 97.5 % of 4,000 draws of the links'
        rates from Beta(n/δ + ½, (of - n)/δ + ½), the same draws for `now` and `then`; the rate supposed is no draw.

    Raises
    ------
    ParameterError
        There is no such link, nobody can be judged on it, or the rate is no share.

    Notes
    -----
    It supposes that the links after it hold: that those whom a better link brings on are like those who pass it now.
    Often they are not as keen, so take it for the most that can be had.

    Examples
    --------
    >>> import engagekit as ek
    >>> log = ek.load_sample()
    >>> journeys = ek.rollup(log.events, log.definition, users=log.users, as_of=log.as_of)
    >>> what_if(ek.prioritize(journeys), "habit", 0.5).select("link", pl.col("now", "then").round(2)).rows()[1]
    ('habit', 0.16, 0.2)
    """
    rows = _judged(priority)
    names = [row["link"] for row in rows]
    faults = check_choice("link", link, LINKS)
    if not faults and link not in names:
        faults = [f"link is {link!r}, and nobody can be judged on it, or on one before it, yet."]
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        faults.append(f"rate is {rate!r}; it takes a share between 0 and 1.")
    if faults:
        raise ParameterError.from_faults("What if cannot be asked", faults)
    return _table(rows, names.index(link), float(rate))


def _judged(priority: Priority) -> Sequence[dict[str, Any]]:
    """Take the links up to the first on which nobody is judged."""
    found = []
    for row in priority.table.iter_rows(named=True):
        if row["rate"] is None:
            break
        found.append(row)
    return found


def _table(rows: Sequence[dict[str, Any]], place: int, rate: float) -> pl.DataFrame:
    import numpy as np

    n, of = (np.array([row[c] for row in rows], dtype=float) for c in ("n", "of"))
    spread = np.array([row["design_effect"] or 1.0 for row in rows])
    drawn = np.random.default_rng(0).beta(n / spread + 0.5, (of - n) / spread + 0.5, (DRAWS, len(rows)))  # fmt: skip
    known = n / of
    supposed, sure = drawn.copy(), known.copy()
    supposed[:, place], sure[place] = rate, rate
    now, then = drawn.cumprod(axis=1), supposed.cumprod(axis=1)
    points = (known.cumprod(), sure.cumprod(), sure.cumprod() - known.cumprod())
    columns: dict[str, Any] = {"link": [row["link"] for row in rows]}
    for name, point, draws in zip(("now", "then", "more"), points, (now, then, then - now), strict=True):  # fmt: skip
        low, high = np.quantile(draws, (0.025, 0.975), axis=0)
        columns |= {name: point, f"{name}_low": low, f"{name}_high": high}
    return pl.DataFrame(columns, schema=WHAT_IF)
