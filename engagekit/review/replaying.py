"""How this library's own claims came out on the product's past: verdicts, drift, projections, first weeks, tracking."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit._base import many, percent
from engagekit.diagnosis import defined_links, label_users, link_flags, span_days
from engagekit.errors import EngagekitError, ParameterError, check_choice
from engagekit.first_weeks import compare_first_weeks
from engagekit.instants import AT, beside_log, day_of, instant
from engagekit.intervals import newcombe, weeks_effect, wilson
from engagekit.journeys import check_journeys, gathered, known_then, on_days
from engagekit.priority import bare_verdict
from engagekit.review.usual_range import usual_range
from engagekit.survival import project_curve, survival

if TYPE_CHECKING:
    from engagekit.instants import Instant
    from engagekit.journeys import Journeys

Every = Literal["month", "quarter"]
CLAIMS = ("verdict", "drift", "projection", "first weeks", "track")
QUARTER = 91  # days after which a claim is looked at again
MOST = 24
SPAN = 8  # weeks either side, of tracking
REPLAY: dict[str, Any] = {
    "claim": pl.String,
    "as_of": AT,
    "said": pl.String,
    "n": pl.Int64,
    "of": pl.Int64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "came_out": pl.Boolean,
}


def replay(
    journeys: Journeys, *, every: Every = "month", since: Instant | None = None
) -> pl.DataFrame:
    """Say how the claims of this library came out on the product's own past.

    At each earlier month end everything is computed as it would have been then (`Journeys.at`), of the sign-ups that
    were recent then, and set against what came within the 91 days after.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    every
        ``"month"`` or ``"quarter"``: local month ends or quarter ends.
    since
        The first of them; None: the last 24 that lie in the log.

    Returns
    -------
    DataFrame
        One row per claim and end: `claim`, `as_of`, `said`, `n`, `of`, `rate`, `low`, `high`, `came_out` (null where no
        claim was made, or what came is not known yet). By claim:

        - ``"verdict"``: the link named, or none broken; it came out if the verdict a quarter later was the same.
          `rate` is the probability given with it.
        - ``"drift"``: users newly labelled drift; `n` of them had a core action within the quarter after. It came out if
          fewer than half had.
        - ``"projection"``: users going on after three more months of 30 days, as projected (`low` to `high` its band);
          `rate` is what came (`of` were followed so far). It came out if that lies in the band.
        - ``"first weeks"``: actions that retained users did more; `n` of `of` showed the same side in the sign-ups of the
          half year after. It came out if all did.
        - ``"track"``: what tracking would have said of a play begun 8 weeks before whose users could all be judged, though
          none is known; `n` is 1 where it called a change. It came out if it called none.

    Raises
    ------
    ParameterError
        `every` is none of these, or `since` lies outside the log.

    Notes
    -----
    A verdict that no longer stands a quarter later need not have been wrong: the link may have been mended. The
    definition and its windows are those of today.

    Examples
    --------
    >>> import engagekit as ek
    >>> sample = ek.load_sample()
    >>> journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    >>> sorted(replay(journeys, every="quarter")["claim"].unique())
    ['drift', 'first weeks', 'projection', 'track', 'verdict']
    """
    check_journeys(journeys)
    if faults := check_choice("every", every, ["month", "quarter"]):
        raise ParameterError(faults[0])
    ends = _ends(journeys, every, since)
    flags = gathered(journeys, link_flags).collect()
    core = on_days(journeys, "core").select("user_id", "first_at", "last_at").collect()
    rows: list[dict[str, Any]] = []
    verdicts: list[tuple[str, str | None]] = []
    drifted = pl.Series("user_id", [], dtype=journeys.users.lazy().collect_schema()["user_id"])
    for end in ends:
        then = _recent(journeys, end)
        told = _verdict(then, end)
        verdicts.append((told["said"], told.pop("_link")))
        rows.append(told)
        row, drifted = _drift(then, core, drifted, end, journeys.as_of)
        rows += [row, _projection(journeys, then, end), _track(flags, journeys, end)]
    rows += _first_weeks(journeys, ends[:: 3 if every == "month" else 1])
    _stood(rows, ends, journeys)
    return pl.DataFrame(rows, schema=REPLAY).sort(
        pl.col("claim").replace_strict({c: i for i, c in enumerate(CLAIMS)}), "as_of"
    )


def _ends(journeys: Journeys, every: Every, since: Instant | None) -> list[datetime]:
    """Take the local month ends inside the log, each as the instant at which the next month begins."""
    zone = journeys.timezone
    first = journeys.log_start + timedelta(days=span_days(journeys.definition, "activation") + 1)
    if since is not None:
        asked = beside_log(since, timezone=zone, dates_only=journeys.dates_only, name="since")
        if not journeys.log_start <= asked < journeys.as_of:
            raise ParameterError(
                f"since is {asked:%Y-%m-%d}; it must lie inside the log, from {journeys.log_start:%Y-%m-%d} "
                f"to {journeys.as_of:%Y-%m-%d}."
            )
        first = max(first, asked)
    found: list[datetime] = []
    day = day_of(journeys.as_of, zone).replace(day=1)
    while True:
        moment = instant(day, timezone=zone)
        if moment < first or (since is None and len(found) == MOST):
            return found[::-1]
        if moment < journeys.as_of and (every == "month" or day.month % 3 == 1):
            found.append(moment)
        day = (day - timedelta(days=1)).replace(day=1)
        if day <= date(1, 2, 1):
            return found[::-1]


def _recent(
    journeys: Journeys, end: datetime, known: datetime | None = None, *, early: bool = False
) -> Journeys:
    """Take what was known, at an end or at a later instant, of the sign-ups that were recent at that end."""
    link = [each for each in defined_links(journeys.definition) if each != "advocacy"][-1]
    days = span_days(journeys.definition, link) + 2 * QUARTER
    since = end - timedelta(days=days)
    return known_then(journeys, since=since, until=end, at=known or end, early=early)


def _row(claim: str, end: datetime, said: str, **more: Any) -> dict[str, Any]:
    return dict.fromkeys(REPLAY) | {"claim": claim, "as_of": end, "said": said} | more


def _verdict(then: Journeys, end: datetime) -> dict[str, Any]:
    verdict, link, probability = bare_verdict(then)
    said = f"named {link}" if verdict == "named" else verdict
    return _row("verdict", end, said, rate=probability, _link=link)


def _stood(rows: list[dict[str, Any]], ends: list[datetime], journeys: Journeys) -> None:
    """Say of each verdict whether the one a quarter later was the same; ask anew where no end lies there."""
    said = {row["as_of"]: row["said"] for row in rows if row["claim"] == "verdict"}
    for row in rows:
        if row["claim"] != "verdict" or row["said"] in {"undecided", "no targets"}:
            continue
        later = row["as_of"] + timedelta(days=QUARTER)
        near = [end for end in ends if abs((end - later).days) <= 3]
        if near:
            row["came_out"] = said[near[0]] == row["said"]
        elif later <= journeys.as_of:
            row["came_out"] = _verdict(_recent(journeys, later), later)["said"] == row["said"]


def _drift(
    then: Journeys, core: pl.DataFrame, before: pl.Series, end: datetime, known: datetime
) -> tuple[dict[str, Any], pl.Series]:
    """Follow the users newly labelled drift for a quarter."""
    labelled = label_users(then).filter(pl.col("label") == "drift")["user_id"]
    new = labelled.filter(~labelled.is_in(before.implode()))
    row = _row("drift", end, f"{many(new.len(), 'user')} newly drifted away", of=new.len())
    until = end + timedelta(days=QUARTER)
    if new.is_empty() or until > known:
        return row, labelled
    back = core.filter(
        pl.col("user_id").is_in(new.implode()),
        pl.col("last_at") >= end,
        pl.col("first_at") < until,
    )["user_id"].n_unique()
    low, high = wilson(back, new.len())
    rate = back / new.len()
    return row | {
        "n": back,
        "rate": rate,
        "low": low,
        "high": high,
        "came_out": rate < 0.5,
    }, labelled


def _projection(journeys: Journeys, then: Journeys, end: datetime) -> dict[str, Any]:
    # Who is quiet for less may well come back, and the curve would rise with hindsight.
    quiet = max(28, 2 * (journeys.definition.habit_days or 14))
    later = end + timedelta(days=QUARTER)
    try:
        told = project_curve(survival(then, quiet_days=quiet, period="month"), periods=3)
    except EngagekitError:
        return _row("projection", end, "refused")
    last = told.row(-1, named=True)
    said = f"{percent(last['survival'])} after {last['period']} months"
    row = _row("projection", end, said, low=last["low"], high=last["high"])
    if later > journeys.as_of:
        return row
    followed = _recent(journeys, end, later)
    curve = survival(followed, quiet_days=quiet, period="month")
    came = curve.filter(pl.col("period") == last["period"]).drop_nulls("survival")
    if came.is_empty():
        return row
    rate, of = float(came["survival"][0]), int(came["at_risk"][0])
    return row | {"of": of, "rate": rate, "came_out": last["low"] <= rate <= last["high"]}


def _track(flags: pl.DataFrame, journeys: Journeys, end: datetime) -> dict[str, Any]:
    """Say what `track` would have called of a play begun 8 weeks before the last sign-ups judged, though none is known."""
    span = timedelta(weeks=SPAN)
    start = end - timedelta(days=span_days(journeys.definition, "activation")) - span
    at = pl.col("signed_up_at")
    first = -((start - journeys.log_start) // timedelta(weeks=1))
    week = ((at - pl.lit(start, AT)).dt.total_microseconds() // (7 * 86_400_000_000)).alias("week")
    counts = (
        flags.filter(at < pl.lit(start + span, AT), "activation_of")
        .group_by(week)
        .agg(pl.col("activation_n").sum().cast(pl.Int64).alias("n"), pl.len().alias("of"))
    )
    weeks = pl.DataFrame({"week": range(min(first, 0), SPAN)}, schema={"week": pl.Int64})
    weeks = weeks.join(counts, on="week", how="left").sort("week").fill_null(0)
    n, of = weeks["n"].to_list(), [int(x) for x in weeks["of"]]
    past = len(n) - SPAN
    sides = [(n[a:b], of[a:b]) for a, b in ((past - SPAN, past), (past, past + SPAN))]
    if past < SPAN or not all(sum(m) for _, m in sides):
        return _row("track", end, "cannot tell yet", n=0, of=1)
    effect = max(
        pl.DataFrame({"n": x, "of": m}).select(weeks_effect("n", "of")).item() for x, m in sides
    )
    (n1, of1), (n2, of2) = [(sum(x) / effect, sum(m) / effect) for x, m in sides]
    gap, low, high = newcombe(n2, of2, n1, of1)
    usual = usual_range(n[:past], of[:past], SPAN, gap, (high - low) / 2 / 1.96)
    if usual is None:
        return _row("track", end, "cannot tell yet", n=0, of=1)
    called = not low <= 0 <= high and usual.share <= 0.05
    said = ("improved" if gap > 0 else "worse") if called else "within its usual range"
    return _row("track", end, said, n=int(called), of=1, came_out=not called)


def _first_weeks(journeys: Journeys, ends: list[datetime]) -> list[dict[str, Any]]:
    """Set the actions named on past sign-ups against the sign-ups of the half year after."""
    rows = []
    window = journeys.definition.outcome_days or (28, 42)
    half = timedelta(days=2 * QUARTER)
    for end in ends:
        try:
            found = compare_first_weeks(_recent(journeys, end, early=True))
        except EngagekitError:
            continue
        named = found.filter(pl.col("verdict").is_in(["more in retained", "more in churned"]))
        row = _row("first weeks", end, f"{many(named.height, 'action')} named", of=named.height)
        until = min(end + half, journeys.as_of - timedelta(days=window[1]))
        if named.height and until > end + half / 2:
            later = compare_first_weeks(
                known_then(journeys, since=end, until=until, at=journeys.as_of, early=True)
            )
            both = named.join(later.select("action", later="difference"), on="action", how="inner")
            both = both.drop_nulls("later")
            held = int((both["difference"].sign() == both["later"].sign()).sum())
            of = both.height
            if of:
                low, high = wilson(held, of)
                row |= {
                    "n": held,
                    "of": of,
                    "rate": held / of,
                    "low": low,
                    "high": high,
                    "came_out": held == of,
                }
        rows.append(row)
    return rows
