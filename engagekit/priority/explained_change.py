"""What changed: the share of sign-ups that reaches the end of the loop, before and after, split over the links."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engagekit.diagnosis import FLAGS, LOSABLE, defined_links, span_days
from engagekit.errors import ParameterError, TooFewUsersError
from engagekit.instants import AT, beside_log, day_of
from engagekit.intervals import weeks_effect
from engagekit.journeys import check_journeys, group_names
from engagekit.priority.counts import (
    ACCOUNT,
    KEYS,
    QUARTER,
    SIGNED,
    WEEK,
    count_links,
    just_after,
    totals,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.instants import Instant
    from engagekit.journeys import Journeys

Floats = np.ndarray[Any, np.dtype[np.float64]]

MIX = "(mix)"
CHANGE: dict[str, Any] = {
    "link": pl.String,
    "before": pl.Float64,
    "after": pl.Float64,
    "contribution": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p_largest": pl.Float64,
    "of_before": pl.Int64,
    "of_after": pl.Int64,
    "before_since": AT,
    "before_until": AT,
    "after_since": AT,
    "after_until": AT,
}
DRAWS = 2_000
DECIDES = 2.0  # a design effect of weeks from which on its own uncertainty is drawn too
TINY = 1e-12


@dataclass(frozen=True)
class Side:
    """One span of sign-ups: counts per group and link, and per link the design effect and from how many weeks it is known.

    Degrees of freedom of 0: it does not depend on weeks, or hardly.
    """

    since: datetime
    until: datetime
    n: Floats
    of: Floats
    effect: Floats
    free: Floats
    mix_effect: float

    @property
    def users(self) -> Floats:
        """Give the sign-ups of each group."""
        return self.of[:, 0]


def explain_change(
    journeys: Journeys,
    *,
    since: Instant,
    before: Instant | None = None,
    by: str | Sequence[str] | None = None,
) -> pl.DataFrame:
    """Say which link explains how the share of sign-ups that reaches the end of the loop has changed.

    ``R = Π r_k``, and the change ``R' - R = Σ_k L(R', R) · ln(r'_k / r_k)`` with the logarithmic mean
    ``L(a, b) = (a - b) / (ln a - ln b)``: exact, and the same whichever link is taken first. With `by`,
    ``R = Σ_g w_g Π r_gk``, and one more term holds what changed only because the shares ``w_g`` of the groups did.

    Parameters
    ----------
    journeys
        Journeys that reach from before the change until now.
    since
        When the later span of sign-ups begins: an instant, a date or ISO text, local to the definition's timezone.
    before
        When the earlier one begins; it ends at `since`. Default: as long a span before `since` as the later one.
    by
        A property of the users, or a list of them, whose mix may have changed.

    Returns
    -------
    DataFrame
        One row per link: `link`; `before`, `after`: its rate in either span; `contribution`: how much it changed the
        share of sign-ups that reaches the end (0.01 is a point), with a 95 % interval `low`, `high`; `p_largest`: the
        probability that it changed that share most, either way; `of_before`, `of_after`: users judged;
        `before_since`, `before_until`, `after_since`, `after_until`: the sign-ups of the two spans. With `by` one more
        row, ``(mix)``, without rates. The contributions add up to the whole change.

    Raises
    ------
    ParameterError
        `since` or `before` lie outside the log, or `by` names no property.
    TooFewUsersError
        Nobody can be judged in one of the spans.

    Notes
    -----
    The later span ends where the last link shown can be judged, so both hold only users whose windows are over; links
    that could not be judged at all since then are left out, and so is advocacy unless it has a target. Intervals and
    probabilities come from 2,000 draws of each link's rate from its Beta distribution, counts divided by the design effect
    of sign-up weeks and accounts (where weeks at least double the variance, drawn as well: it is known from so many weeks
    only); the draws are the same every time. A change in time is no proof of a cause.

    References
    ----------
    Ang (2004), Energy Policy 32, 1131-1139: decomposition by the logarithmic mean; Das Gupta (1993).

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime, timedelta
    >>> rows = [(user, event, datetime(2026, 1, 1) + timedelta(days=user // 8, hours=30 * (event == "again")))
    ...         for user in range(1600) for event in ("join", "make", "again")
    ...         if event == "join" or user % 2 and (event == "make" or user % 8 < (6 if user < 800 else 2))]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> definition = ek.Definition(signup="join", activation="make", core="again", habit_days=7)
    >>> journeys = ek.rollup(log, definition)
    >>> explain_change(journeys, since="2026-04-11").select("link", "before", "after", pl.col("contribution").round(3)).rows()
    [('activation', 0.5, 0.5, 0.0), ('habit', 0.75, 0.25, -0.25)]
    """
    check_journeys(journeys)
    taken = [*CHANGE, *FLAGS, *KEYS, SIGNED, WEEK, QUARTER, ACCOUNT]
    groups = group_names(journeys, by, taken=taken)
    spans, asked = _spans(journeys, since, before)
    sides = _sides(journeys, spans, groups)
    links, sides = _known(asked, sides)
    exact = _split(*[_shares(side) for side in sides], mixed=bool(groups))
    drawn = _split(*_drawn(sides, groups), mixed=bool(groups))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    most = np.bincount(np.abs(drawn).argmax(axis=1), minlength=drawn.shape[1]) / DRAWS
    rows = []
    for place, link in enumerate([*links, *([MIX] if groups else [])]):
        row: dict[str, Any] = {"link": link, "contribution": exact[0, place]}
        row |= {"low": low[place], "high": high[place], "p_largest": most[place]}
        for name, side in zip(("before", "after"), sides, strict=True):
            row |= {f"{name}_since": side.since, f"{name}_until": side.until}
            if link != MIX:
                n, of = side.n[:, place].sum(), side.of[:, place].sum()
                row |= {name: n / of, f"of_{name}": int(of)}
        rows.append(row)
    return pl.DataFrame(rows, schema=CHANGE)


def what_changed_lately(
    journeys: Journeys, *, by: str | Sequence[str] | None = None
) -> pl.DataFrame | None:
    """Compare the recent sign-ups with as many days before; None where the log has not got both.

    The later span begins at `as_of` less the windows of the last link and `recent_days`.
    """
    definition = journeys.definition
    last = [link for link in LOSABLE if link in defined_links(definition)][-1]
    since = journeys.as_of - timedelta(days=span_days(definition, last) + definition.recent_days)
    if since <= journeys.log_start:
        return None
    try:
        return explain_change(journeys, since=since, by=by)
    except TooFewUsersError:  # nobody who can be judged, on one side
        return None


def _spans(
    journeys: Journeys, since: Instant, before: Instant | None
) -> tuple[list[tuple[datetime, datetime]], list[str]]:
    """Find the two spans of sign-ups, and the links that can be judged in the later one."""
    definition = journeys.definition

    def read(value: Instant, name: str) -> datetime:
        zone, days = definition.timezone, journeys.dates_only
        return beside_log(value, timezone=zone, dates_only=days, name=name)

    start = read(since, "since")
    first = None if before is None else read(before, "before")
    faults = []
    if not journeys.log_start < start < journeys.as_of:
        faults.append(
            f"since is {start:%Y-%m-%d %H:%M}; it must lie inside the log, after {journeys.log_start:%Y-%m-%d %H:%M} "
            f"and before {journeys.as_of:%Y-%m-%d %H:%M}."
        )
    if first is not None and not first < start:
        faults.append(f"before is {first:%Y-%m-%d %H:%M}; it must lie before since.")
    if faults:
        raise ParameterError.from_faults("The change cannot be explained", faults)
    asked = [*LOSABLE, *(["advocacy"] if "advocacy" in definition.targets else [])]
    ends = {
        link: journeys.as_of - timedelta(days=span_days(definition, link))
        for link in asked
        if link in defined_links(definition)
    }
    links = [link for link, end in ends.items() if end > start]
    if not links:
        raise TooFewUsersError(
            f"Nobody who signed up since {day_of(start, journeys.timezone)} can be judged yet, so what changed cannot be "
            "seen; take an earlier day."
        )
    until = ends[links[-1]]
    first = start - (until - start) if first is None else first
    return [(max(first, journeys.log_start), start), (start, until)], links


def _sides(
    journeys: Journeys, spans: list[tuple[datetime, datetime]], groups: Sequence[str]
) -> list[Side]:
    """Count both spans, for the same groups in the same order."""
    (first, start), (_, until) = spans
    counted = [
        count_links(journeys.where(signed_up=bounds), groups=groups, recent=None).cells
        for bounds in ((first, start), (start, just_after(journeys, until)))
    ]
    values = None
    if groups:
        values = pl.concat([cells.select(groups) for cells in counted]).unique().sort(groups)
    return [_side(cells, span, groups, values) for cells, span in zip(counted, spans, strict=True)]


def _known(links: list[str], sides: list[Side]) -> tuple[list[str], list[Side]]:
    """Keep the links up to the first that nobody got to on one side: nothing is known beyond it."""
    reached = np.logical_and(*[side.of.sum(axis=0)[: len(links)] > 0 for side in sides])
    known = int(np.argmin(reached)) if not reached.all() else len(links)
    if known == 0:
        which = "before" if sides[0].of[:, 0].sum() == 0 else "after"
        raise TooFewUsersError(
            f"Nobody who signed up in the span {which} can be judged, so what changed cannot be seen."
        )
    cut = [
        replace(
            side,
            n=side.n[:, :known],
            of=side.of[:, :known],
            effect=side.effect[:known],
            free=side.free[:known],
        )
        for side in sides
    ]
    return links[:known], cut


def _side(
    cells: pl.DataFrame,
    span: tuple[datetime, datetime],
    groups: Sequence[str],
    values: pl.DataFrame | None,
) -> Side:
    whole = totals(cells)
    n, of = (whole[c].to_numpy().astype(float)[None, :] for c in ("n", "of"))
    mix = 1.0
    if values is not None:
        counted = cells.group_by(*groups, "link").agg(pl.col("n", "of").sum())
        every = values.join(whole.select("link").with_row_index("_place"), how="cross")
        full = (
            every.join(counted, on=[*groups, "link"], how="left", nulls_equal=True)
            .sort(*groups, "_place")
            .with_columns(pl.col("n", "of").fill_null(0))
        )
        n, of = (
            full[c].to_numpy().astype(float).reshape(values.height, whole.height)
            for c in ("n", "of")
        )
        mix = _mix_effect(cells, groups)
    effect, weeks = whole["design_effect"].to_numpy(), whole["weeks"].to_numpy()
    by_weeks = (effect >= DECIDES) & (whole["weeks_effect"].to_numpy() >= effect)
    free = np.where(by_weeks, np.maximum(weeks - 1, 1), 0).astype(float)
    return Side(*span, n, of, effect, free, mix)


def _mix_effect(cells: pl.DataFrame, groups: Sequence[str]) -> float:
    """Say by how much weeks that differ inflate the variance of the groups' shares of the sign-ups, on average."""
    first = cells.filter(pl.col("link") == LOSABLE[0])
    weekly = first.group_by(WEEK).agg(pl.col("of").sum().alias("_all"))
    mine = first.group_by(*groups, WEEK).agg(pl.col("of").sum())
    every = mine.select(groups).unique().join(weekly, how="cross")
    full = every.join(mine, on=[*groups, WEEK], how="left", nulls_equal=True).fill_null(0)
    found = full.sort(*groups, WEEK).group_by(groups).agg(weeks_effect("of", "_all").alias("_effect"))  # fmt: skip
    return float(found["_effect"].mean() or 1.0)  # type: ignore[arg-type]


def _shares(side: Side) -> tuple[Floats, Floats]:
    """Give the groups' shares of the sign-ups and their rates, with a first axis of one draw."""
    weight = side.users / side.users.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = side.n.sum(axis=0) / side.of.sum(axis=0)
        rate = np.where(side.of > 0, side.n / side.of, pooled)
    return weight[None, :], rate[None, :, :]


def _drawn(sides: Sequence[Side], groups: Sequence[str]) -> list[tuple[Floats, Floats]]:
    draw = np.random.default_rng(0)
    found = []
    for side in sides:
        pooled = side.n.sum(axis=0) / side.of.sum(axis=0)
        # One user more per group, at the rate of all: a group of few says little by itself.
        prior = pooled[None, :] if groups else np.full((1, side.n.shape[1]), 0.5)
        # An effect that decides is itself known from a few weeks only, which makes tails heavier.
        free = np.maximum(side.free, 1)
        spread = np.where(side.free > 0, free / draw.chisquare(free, (DRAWS, 1, free.size)), 1.0)
        effect = np.maximum(side.effect * spread, 1.0)
        rate = draw.beta(
            side.n / effect + np.maximum(prior, TINY),
            (side.of - side.n) / effect + np.maximum(1 - prior, TINY),
        )
        size = draw.gamma(
            np.maximum(side.users / side.mix_effect, TINY), size=(DRAWS, len(side.users))
        )
        found.append((size / size.sum(axis=1, keepdims=True), rate))
    return found


def _split(before: tuple[Floats, Floats], after: tuple[Floats, Floats], *, mixed: bool) -> Floats:
    """Split the change of Σ_g w_g Π_k r_gk per draw over the links, and last the mix where there are groups."""
    parts = []
    for weight, rate in (before, after):
        factors = [rate[:, :, k] for k in range(rate.shape[2])] + ([weight] if mixed else [])
        parts.append(np.maximum(np.stack(factors, axis=2), TINY))
    old, new = (np.prod(each, axis=2) for each in parts)
    logs = np.log(parts[1]) - np.log(parts[0])
    weight = _log_mean(new, old)
    found: Floats = (weight[:, :, None] * logs).sum(axis=1)
    return found


def _log_mean(a: Floats, b: Floats) -> Floats:
    """Give the logarithmic mean, ``(a - b) / (ln a - ln b)``, and a where they are equal."""
    apart = np.log(a) - np.log(b)
    near = np.abs(apart) < 1e-9
    return np.where(near, a, (a - b) / np.where(near, 1.0, apart))
