"""Tracking without a test: how a link's rate moved since a play began, and how much it moves without one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit._base import (
    Remark,
    as_html,
    day,
    is_share,
    plain_fields,
)
from engagekit.diagnosis import FLAGS, defined_links, span_days
from engagekit.errors import ParameterError, check_choice
from engagekit.instants import AT, beside_log, day_of
from engagekit.journeys import check_journeys, group_names
from engagekit.priority import LEAST_WEEKS, prioritize
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
from engagekit.review.tracking_words import told
from engagekit.review.usual_range import UsualRange, held_difference, usual_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.instants import Instant
    from engagekit.journeys import Journeys
    from engagekit.priority import Priority

Change = Literal[
    "improved", "worse", "the mix changed", "within its usual range", "cannot tell yet"
]
TABLE: dict[str, Any] = {
    "sign_ups": pl.String,
    "since": AT,
    "until": AT,
    "n": pl.Int64,
    "of": pl.Int64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "design_effect": pl.Float64,
}
MOST_WEEKS = 13  # of either side: what is further from the start says less about the play
RARE = 0.05
MOST_VALUES, LEAST_CELL = 20, 5


@dataclass(frozen=True, repr=False)
class Tracked:
    """How a link's rate moved since a play began; not whether the play did it.

    `verdict` is ``"improved"``, ``"worse"``, ``"the mix changed"``, ``"within its usual range"`` or
    ``"cannot tell yet"``. `difference` is after minus before, from `low` to `high` with 95 %, weeks of sign-up as
    clusters (null where a side is empty). `a_a_share`: how often as large a change comes without a play, by the
    product's own past (null where that is too short). `difference_held` from `held_low` to `held_high` is the same
    difference with the mix of `held_over`, a property of users, held (null without properties). `table` has a row for
    before, since and, where a `goal` was given, the goal: `sign_ups`, `since`, `until` (exclusive), `n`, `of`, `rate`,
    `low`, `high`, `design_effect`. `weeks` has each week of sign-up: `week`, `n`, `of`, `rate`, `side`. `priority` is
    the earliest broken link of the sign-ups since. `sentence` can be read aloud, and so can `remarks`.
    """

    link: str
    verdict: Change
    difference: float | None
    low: float | None
    high: float | None
    a_a_share: float | None
    difference_held: float | None
    held_low: float | None
    held_high: float | None
    held_over: str | None
    goal: float | None
    table: pl.DataFrame
    weeks: pl.DataFrame
    priority: Priority
    sentence: str
    remarks: tuple[Remark, ...]

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence

    def __repr__(self) -> str:
        """Say what was found, in short."""
        return f"Tracked({self.link}: {self.verdict})"

    def _repr_html_(self) -> str:
        return as_html(self.sentence, self.remarks)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields but the priority, which has its own, as plain values that JSON can hold."""
        return plain_fields(self, without=["priority"])


def track(
    journeys: Journeys,
    *,
    since: Instant,
    link: str,
    goal: float | None = None,
    by: str | Sequence[str] | None = None,
) -> Tracked:
    """Say how a link's rate moved since a decision, what that is worth, and where momentum breaks now.

    ``rate of sign-ups since - rate of sign-ups in as long a span before``, at most 13 weeks either side, with
    Newcombe's interval, its counts divided by the design effect of weeks (or of accounts, where larger).

    Parameters
    ----------
    journeys
        Journeys that reach from before the decision until now.
    since
        When the play began: an instant, a date or ISO text, local to the definition's timezone.
    link
        The link the play was to mend: activation, habit, depth or advocacy.
    goal
        The rate the plan aimed at; it is shown beside the rate.
    by
        The properties of users over which their mix is held. None: all with at most 20 values.

    Returns
    -------
    Tracked
        See there.

    Raises
    ------
    ParameterError
        `link` is none the definition can judge, `since` lies outside the log, or `goal` or `by` do not fit.

    Notes
    -----
    Both sides hold only users whose whole span up to the link is over, counted from sign-up, and passed the links
    before it: otherwise only the quick ones among the newest users would be compared with everybody before.

    "Improved" and "worse" need three things: the interval leaves 0 out; as large a change came in at most 5 % of
    the product's own past (`engagekit.review.usual_range`: every pair of neighbouring spans as long, before the
    play); and the mix of users does not explain it. With fewer than four weeks since, or a past of fewer than two
    such changes that do not overlap, the verdict is "cannot tell yet". No comparison before and after shows that the
    play did it: whatever else began then is in it too. A test does: `ek.plan(priority, experiment=True)`.

    Measured on 400 products in which nothing changed (constant, weeks apart by 4 points, slow waves, a trend of 1
    point a month, seasons of 5 points; 50 to 1,000 sign-ups a week; one or two years of past): "improved" in at most
    3.5 % read once, in at most 7.5 % looked at weekly over 26 weeks; a rise of 8 points at 200 a week is seen after 8
    weeks in 81 % (one year of past) to 97 % (two).

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890; Mantel and Haenszel (1959) for the mix that is held.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime, timedelta
    >>> rows = [(user, event, datetime(2025, 1, 1) + timedelta(days=user // 8, hours=hour)) for user in range(3200)
    ...         for event, hour in [("join", 0), ("make", 5)][: 1 + (user % 4 < (1 if user < 2800 else 3))]]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> journeys = ek.rollup(log, ek.Definition(signup="join", activation="make", core="make"), missing="allow")
    >>> found = track(journeys, since=datetime(2025, 1, 1) + timedelta(days=350), link="activation")
    >>> found.verdict, found.table.select("n", "of").rows()
    ('improved', [(70, 280), (216, 288)])
    """
    start, held_by = _checked(journeys, since, link, goal, by)
    until = journeys.as_of - timedelta(days=span_days(journeys.definition, link))
    weeks = max(0, (until - start) // WEEK)
    length = min(max(until - start, timedelta()), WEEK * MOST_WEEKS)
    first = max(start - length, journeys.log_start)
    flags = whole_spans(journeys, keep=held_by)
    before = _side_of(flags, first, start, link)
    after = _side_of(flags, start, start + length, link)
    past = weekly_counts(flags, journeys.log_start, start, link, whole_before=start)
    compared = compared_spans(before, after, effects=True)
    usual = None
    if compared["difference"] is not None:
        half = (compared["difference_high"] - compared["difference_low"]) / 2
        span = min(weeks, MOST_WEEKS)
        usual = usual_range(
            past["n"].to_list(), past["of"].to_list(), span, compared["difference"], half / 1.96
        )
    held = _held(flags, (first, start, start + length), link, held_by, compared, before, after)
    verdict = _verdict(compared, usual, held, weeks)
    table = _table(before, after, goal)
    priority = prioritize(journeys.where(signed_up=(start, None)), recent=None)
    remarks = _remarks(compared, usual, weeks, cut=first > start - length)
    return Tracked(
        link=link,
        verdict=verdict,
        difference=compared["difference"],
        low=compared["difference_low"],
        high=compared["difference_high"],
        a_a_share=None if usual is None else usual.share,
        difference_held=held and held[1],
        held_low=held and held[2],
        held_high=held and held[3],
        held_over=held and held[0],
        goal=goal,
        table=table,
        weeks=_all_weeks(past, flags, start, until, link),
        priority=priority,
        sentence=told(link, day(day_of(start, journeys.timezone)), table, compared, verdict, usual, held, goal, remarks, priority),
        remarks=remarks,
    )  # fmt: skip


def _checked(
    journeys: Journeys,
    since: Instant,
    link: str,
    goal: float | None,
    by: str | Sequence[str] | None,
) -> tuple[datetime, list[str]]:
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
    if goal is not None and not is_share(goal):
        faults.append(f"goal is {goal!r}; it takes a rate between 0 and 1, such as 0.45.")
    if faults:
        raise ParameterError.from_faults("The play cannot be tracked", faults)
    named = group_names(journeys, by, taken=list(FLAGS))
    if by is not None:
        return start, named
    kept = [c for c in journeys.properties if c not in {"account_id", "variant"}]
    values = journeys.users.lazy().select(pl.col(c).n_unique() for c in kept).collect()
    return start, [c for c in kept if 1 < values[c].item() <= MOST_VALUES]


def _all_weeks(
    past: pl.DataFrame, flags: pl.LazyFrame, start: datetime, until: datetime, link: str
) -> pl.DataFrame:
    later = weekly_counts(flags, start, until, link, whole_before=start)
    both = pl.concat(
        [past.with_columns(side=pl.lit("before")), later.with_columns(side=pl.lit("since"))]
    )
    rate = pl.when(pl.col("of") > 0).then(pl.col("n") / pl.col("of")).alias("rate")
    begins = pl.lit(start, AT) + pl.duration(weeks=pl.col("week"))
    return both.select(begins.alias("week"), "n", "of", rate, "side")


def _side_of(flags: pl.LazyFrame, since: datetime, until: datetime, link: str) -> dict[str, Any]:
    """Count one side, with the larger of the design effects of accounts and of weeks."""
    counts = counts_of(flags, since, until, link, effect="design_effect")
    return {"since": since, "until": until} | counts


def _held(
    flags: pl.LazyFrame,
    spans: tuple[datetime, datetime, datetime],
    link: str,
    properties: Sequence[str],
    compared: dict[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
) -> tuple[str, float, float, float] | None:
    """Hold the mix of each property; the one that moves the difference most is told."""
    if compared["difference"] is None or not properties:
        return None
    at = pl.col("signed_up_at")
    since = (at >= pl.lit(spans[1], AT)).alias("_since")
    inside = flags.filter(at >= pl.lit(spans[0], AT), at < pl.lit(spans[2], AT)).with_columns(since)
    sums = [pl.col(f"{link}_{c}").sum().cast(pl.Int64).alias(c) for c in ("n", "of")]
    effect = max(before["design_effect"], after["design_effect"])
    found = []
    for name in properties:
        sides: tuple[dict[object, tuple[int, int]], dict[object, tuple[int, int]]] = ({}, {})
        for value, later, n, of in inside.group_by(name, "_since").agg(sums).collect().rows():
            if of >= LEAST_CELL:
                sides[bool(later)][value] = (n, of)
        gap = held_difference(*sides, effect)
        if gap is not None:
            found.append((name, *gap))
    return max(found, key=lambda each: abs(each[1] - compared["difference"]), default=None)


def _verdict(
    compared: dict[str, Any],
    usual: UsualRange | None,
    held: tuple[str, float, float, float] | None,
    weeks: int,
) -> Change:
    gap, clear = compared["difference"], is_clear(compared)
    if gap is None:
        return "cannot tell yet"
    if clear and held is not None:
        inside = held[2] <= 0 <= held[3]
        turned = held[1] * gap < 0 or (inside and abs(held[1]) < abs(gap) / 2)
        if turned:
            return "the mix changed"
    if usual is None or weeks < LEAST_WEEKS:
        return "cannot tell yet"
    if not clear or usual.share > RARE:
        return "within its usual range"
    return "improved" if gap > 0 else "worse"


def _table(before: dict[str, Any], after: dict[str, Any], goal: float | None) -> pl.DataFrame:
    rows = [{"sign_ups": name} | side | {"rate": rate_of(side)} | dict(zip(("low", "high"), bounds_of(side), strict=True))
            for name, side in (("before", before), ("since", after))]  # fmt: skip
    if goal is not None:
        rows.append({"sign_ups": "goal", "rate": float(goal)})
    return pl.DataFrame(rows, schema=TABLE)


def _remarks(
    compared: dict[str, Any], usual: UsualRange | None, weeks: int, *, cut: bool
) -> tuple[Remark, ...]:
    found = []
    if compared["difference"] is not None and weeks < LEAST_WEEKS:
        text = f"Fewer than {LEAST_WEEKS} whole weeks of sign-ups since then can be judged."
        found.append(Remark("few weeks", (), text))
    elif compared["difference"] is not None and usual is None:
        text = "The past before it is too short to say how much the rate moves without a play."
        found.append(Remark("short past", (), text))
    if cut:
        text = "The log begins later than as long a span before it; the side before is shorter."
        found.append(Remark("short before", (), text))
    return tuple(found)
