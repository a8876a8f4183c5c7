"""What moved on each link since the last review, beside how much it moves anyway."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit.definition import LINKS
from engagekit.diagnosis import span_days
from engagekit.errors import ParameterError, check_choice
from engagekit.intervals import z_of
from engagekit.journeys import check_journeys
from engagekit.review.sign_up_spans import (
    WEEK,
    bounds_of,
    compared_spans,
    counts_of,
    is_clear,
    rate_of,
    weekly_counts,
    whole_spans,
)
from engagekit.review.usual_range import usual_range

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

Moved = Literal["rose", "fell", "within its usual range", "cannot tell yet"]
REVIEW_DAYS = {"weekly": 7, "monthly": 28}
HALF_YEAR, ALARMS = 182, 0.1
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
    "a_a_share": pl.Float64,
    "verdict": pl.String,
}


def changes(journeys: Journeys, *, review: Literal["weekly", "monthly"] = "weekly") -> pl.DataFrame:
    """List how each link moved, for the weekly or monthly review, and whether it moves as much anyway.

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
        `rate_before`; `difference`, `difference_low`, `difference_high` (Newcombe's, accounts as clusters);
        `a_a_share`: how often as large a change came between neighbouring spans before, see
        `engagekit.review.usual_range` (null where they are too few); `verdict`: ``"rose"``, ``"fell"``,
        ``"within its usual range"`` or ``"cannot tell yet"``.

    Raises
    ------
    ParameterError
        There is no such review.

    Notes
    -----
    "Rose" and "fell" need an interval that leaves 0 out, and a change so rare in the product's own past that in half a
    year of such reviews at most a tenth of the links that never changed would ever read "rose", and as many "fell":
    `a_a_share` at most 0.2 / 26 weekly, 0.2 / 6.5 monthly. Measured on 2,000 products of each of five kinds in which
    nothing changed, 50 to 1,000 sign-ups a week, 12 to 104 weeks of past: "rose" in at most 9.4 % of them in half a year
    of weekly looks, 8.8 % of monthly ones. The price: at 200 sign-ups a week a rise by 8 points is said in 11 % of
    weekly and 71 % of monthly reviews, one by 16 points in 62 % and all. Why it moved is another question: `explain_change` says
    where, `track` follows a play, and only `experiment` tells what a play did.

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
    rare = 2 * ALARMS * REVIEW_DAYS[review] / HALF_YEAR
    flags = whole_spans(journeys)
    rows = []
    for link in LINKS:
        until = journeys.as_of - timedelta(days=span_days(journeys.definition, link))
        start = until - span
        latest = counts_of(flags, start, until, link)
        before = counts_of(flags, start - span, start, link)
        past = weekly_counts(flags, journeys.log_start, start, link, whole_before=start)
        compared = compared_spans(before, latest)
        share = _usual_share(past, span // WEEK, compared)
        low, high = bounds_of(latest)
        rows.append(
            {"link": link, "n": latest["n"], "of": latest["of"], "rate": rate_of(latest), "low": low, "high": high}
            | {"n_before": before["n"], "of_before": before["of"], "rate_before": rate_of(before)}
            | compared | {"a_a_share": share, "verdict": _moved(compared, share, rare)}
        )  # fmt: skip
    return pl.DataFrame(rows, schema=CHANGES)


def _usual_share(past: pl.DataFrame, weeks: int, compared: dict[str, Any]) -> float | None:
    if compared["difference"] is None:
        return None
    error = (compared["difference_high"] - compared["difference_low"]) / 2 / z_of(0.95)
    n, of = past["n"].to_list(), past["of"].to_list()
    usual = usual_range(n, of, weeks, compared["difference"], error)
    return None if usual is None else usual.share


def _moved(compared: dict[str, Any], share: float | None, rare: float) -> Moved:
    if share is None:
        return "cannot tell yet"
    if not is_clear(compared) or share > rare:
        return "within its usual range"
    return "rose" if compared["difference"] > 0 else "fell"
