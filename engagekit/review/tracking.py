"""The review: whether the play worked, and what changed since the last look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit._base import count, day, percent
from engagekit.definition import LINKS
from engagekit.diagnosis import defined_links, span_days
from engagekit.errors import ParameterError, check_choice
from engagekit.instants import AT, beside_log, day_of
from engagekit.intervals import newcombe, wilson
from engagekit.journeys import check_journeys, gathered
from engagekit.priority import counted_flags, link_cells, prioritize, totals

if TYPE_CHECKING:
    from engagekit.instants import Instant
    from engagekit.journeys import Journeys
    from engagekit.priority import Priority

Change = Literal["improved", "worse", "cannot tell yet"]
REVIEW_DAYS = {"weekly": 7, "monthly": 28}
CHANGES: dict[str, Any] = {
    "link": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_before": pl.Int64,
    "of_before": pl.Int64,
    "rate_before": pl.Float64,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "verdict": pl.String,
}


@dataclass(frozen=True)
class Tracked:
    """Whether a link's rate changed since a decision.

    `verdict` is ``"improved"``, ``"worse"`` or ``"cannot tell yet"``; `difference` is after minus before, from `low`
    to `high` with 95 % (Newcombe; null where a side is empty). `table` has one row each for before and since:
    `sign_ups`, `since`, `until` (exclusive), `n`, `of`, `rate`, `low`, `high`. `priority` is the earliest broken link
    of the sign-ups since. `sentence` can be read aloud.
    """

    link: str
    verdict: Change
    difference: float | None
    low: float | None
    high: float | None
    table: pl.DataFrame
    priority: Priority
    sentence: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence


def track(journeys: Journeys, *, since: Instant, link: str) -> Tracked:
    """Say whether a link's rate improved since a decision, and where momentum breaks now.

    ``rate of sign-ups since - rate of sign-ups in as long a span before``, with Newcombe's interval.

    Parameters
    ----------
    journeys
        Journeys that reach from before the decision until now.
    since
        When the play began: an instant, a date or ISO text, local to the definition's timezone.
    link
        The link the play was to mend: activation, habit, depth or advocacy.

    Returns
    -------
    Tracked
        `link`, `verdict`, `difference`, `low`, `high`, `table`, `priority`, `sentence`.

    Raises
    ------
    ParameterError
        `link` is none the definition can judge, or `since` lies outside the log.

    Notes
    -----
    Both sides hold only users whose whole span up to the link is over, counted from sign-up, and passed the links
    before it: otherwise only the quick ones among the newest users would be compared with everybody before. The
    span before is as long as that of the sign-ups since that can be judged; it is shorter where the log begins
    later. Who signed up shortly before the decision may have met the play already. A difference is no proof
    that the play made it.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime, timedelta
    >>> rows = [(user, event, datetime(2026, 1, 1) + timedelta(days=user // 4, hours=hour))
    ...         for user in range(400) for event, hour in [("join", 0), ("make", 5)][: 1 + (user % 4 < (1 if user < 200 else 3))]]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> journeys = ek.rollup(log, ek.Definition(signup="join", activation="make", core="make"), missing="allow")
    >>> found = track(journeys, since="2026-02-20", link="activation")
    >>> found.verdict, found.table.select("n", "of").rows()
    ('improved', [(35, 140), (108, 144)])
    """
    check_journeys(journeys)
    faults = check_choice("link", link, defined_links(journeys.definition))
    start = beside_log(
        since, timezone=journeys.definition.timezone, dates_only=journeys.dates_only, name="since"
    )
    if not journeys.log_start < start < journeys.as_of:
        faults.append(
            f"since is {start:%Y-%m-%d %H:%M}; it must lie inside the log, after {journeys.log_start:%Y-%m-%d %H:%M} "
            f"and before {journeys.as_of:%Y-%m-%d %H:%M}."
        )
    if faults:
        raise ParameterError.from_faults("The play cannot be tracked", faults)
    until = max(start, journeys.as_of - timedelta(days=span_days(journeys.definition, link)))
    first = max(start - (until - start), journeys.log_start)
    flags = _whole_spans(journeys)
    before = _counts(flags, first, start, link)
    after = _counts(flags, start, until, link)
    compared = _compared(before, after)
    table = pl.DataFrame(
        [_side("before", first, start, before), _side("since", start, until, after)]
    )
    priority = prioritize(journeys.where(signed_up=(start, None)), recent=None)
    told = _sentence(journeys, link, start, before, after, compared, priority)
    return Tracked(
        link,
        compared["verdict"],
        compared["difference"],
        compared["difference_low"],
        compared["difference_high"],
        table,
        priority,
        told,
    )


def changes(journeys: Journeys, *, review: Literal["weekly", "monthly"] = "weekly") -> pl.DataFrame:
    """List what changed on each link, for the weekly or monthly review.

    The sign-ups of the latest 7 (or 28) days whose whole span up to a link is over, against those of the 7 (28)
    days before.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    review
        ``"weekly"`` or ``"monthly"``.

    Returns
    -------
    DataFrame
        One row per link: `link`, `n`, `of`, `rate`, `low`, `high` of the latest; `n_before`, `of_before`,
        `rate_before`; `difference`, `difference_low`, `difference_high`; `verdict` (improved, worse, cannot tell
        yet).

    Raises
    ------
    ParameterError
        There is no such review.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime, timedelta
    >>> rows = [(user, "join", datetime(2026, 1, 1) + timedelta(days=user)) for user in range(40)]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> journeys = ek.rollup(log, ek.Definition(signup="join", activation="make", core="make"), missing="allow")
    >>> changes(journeys).select("link", "n", "of", "of_before", "verdict").rows()[0]
    ('activation', 0, 7, 7, 'cannot tell yet')
    """
    check_journeys(journeys)
    if faults := check_choice("review", review, list(REVIEW_DAYS)):
        raise ParameterError(faults[0])
    span = timedelta(days=REVIEW_DAYS[review])
    flags = _whole_spans(journeys)
    rows = []
    for link in LINKS:
        until = journeys.as_of - timedelta(days=span_days(journeys.definition, link))
        latest = _counts(flags, until - span, until, link)
        before = _counts(flags, until - 2 * span, until - span, link)
        low, high = _bounds(latest)
        rows.append(
            {"link": link, "n": latest["n"], "of": latest["of"], "rate": _rate(latest), "low": low, "high": high}
            | {"n_before": before["n"], "of_before": before["of"], "rate_before": _rate(before)}
            | _compared(before, latest)
        )  # fmt: skip
    return pl.DataFrame(rows, schema=CHANGES)


def _whole_spans(journeys: Journeys) -> pl.LazyFrame:
    """Judge on each link only users whose whole span up to it is over."""
    whole = [
        (pl.col(f"{link}_{c}") & pl.col(f"{link}_reached_of")).alias(f"{link}_{c}")
        for link in LINKS
        for c in ("n", "of")
    ]
    flags = gathered(journeys, lambda part: counted_flags(part).with_columns(whole))
    return flags.collect().lazy()  # read several times


def _counts(flags: pl.LazyFrame, since: datetime, until: datetime, link: str) -> dict[str, Any]:
    at = pl.col("signed_up_at")
    inside = flags.filter(at >= pl.lit(since, AT), at < pl.lit(until, AT))
    counted = totals(link_cells(inside, link, until).collect())
    row = counted.row(by_predicate=pl.col("link") == link, named=True)
    return {name: row[name] for name in ("n", "of")} | {"design_effect": row["accounts_effect"]}


def _rate(counts: dict[str, Any]) -> float | None:
    return counts["n"] / counts["of"] if counts["of"] else None


def _bounds(counts: dict[str, Any]) -> tuple[float | None, float | None]:
    effect = counts["design_effect"]
    return wilson(counts["n"] / effect, counts["of"] / effect) if counts["of"] else (None, None)


def _compared(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    sides = [c[k] / c["design_effect"] for c in (after, before) for k in ("n", "of")]
    if not before["of"] or not after["of"]:
        gap: tuple[float | None, float | None, float | None] = (None, None, None)
        verdict: Change = "cannot tell yet"
    else:
        gap = newcombe(*sides)
        verdict = "improved" if gap[1] > 0 else "worse" if gap[2] < 0 else "cannot tell yet"
    names = ("difference", "difference_low", "difference_high")
    return dict(zip(names, gap, strict=True)) | {"verdict": verdict}


def _side(name: str, since: datetime, until: datetime, counts: dict[str, Any]) -> dict[str, Any]:
    low, high = _bounds(counts)
    return {
        "sign_ups": name,
        "since": since,
        "until": until,
        "n": counts["n"],
        "of": counts["of"],
        "rate": _rate(counts),
        "low": low,
        "high": high,
    }


def _sentence(
    journeys: Journeys,
    link: str,
    start: datetime,
    before: dict[str, Any],
    after: dict[str, Any],
    compared: dict[str, Any],
    priority: Priority,
) -> str:
    since = day(day_of(start, journeys.timezone))
    if compared["difference"] is None:
        side = "before" if not before["of"] else "since"
        first = f"{link.capitalize()}: cannot tell yet, nobody who signed up {side} {since} can be judged on it."
    else:
        said = {"improved": "it improved", "worse": "it got worse"}.get(
            compared["verdict"], "cannot tell yet"
        )
        points = [
            f"{100 * compared[k]:+.0f}" for k in ("difference", "difference_low", "difference_high")
        ]
        first = (
            f"{link.capitalize()} since {since}: {said}. {percent(_rate(after))} ({count(after['n'])} of {count(after['of'])}) "
            f"against {percent(_rate(before))} ({count(before['n'])} of {count(before['of'])}) before: "
            f"{points[0]} points ({points[1]} to {points[2]})."
        )
    return f"{first} Of those who signed up since: {priority.sentence}"
