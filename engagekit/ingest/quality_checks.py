"""What is wrong with an event log that need not stop the work: counted, with an example and what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import microseconds_of
from engagekit.ingest.check_names import IDS, Finding, of_id_forms, of_names
from engagekit.ingest.column_mapping import ROW
from engagekit.ingest.definition_argument import definition_of
from engagekit.ingest.edges import edges_of, outskirts
from engagekit.ingest.identities import LEFT_OUT, excluded
from engagekit.instants import beside_log, instant, last_day, local_day
from engagekit.log import COLUMNS, as_lazy, open_log
from engagekit.matchers import matches

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from engagekit.definition import Definition
    from engagekit.instants import Instant
    from engagekit.log import Frame

SCHEMA = {
    "check": pl.String,
    "count": pl.Int64,
    "share": pl.Float64,
    "example": pl.String,
    "advice": pl.String,
}
# A user is no person when they did at least this share of all events, and this many times the events of
# the user at the 90th percentile; below this many users nobody's share is implausible.
LEAST_SHARE, TIMES_A_BUSY_USER, LEAST_USERS = 0.01, 20, 10
COPIES = "engagekit:copies"
CHANGING = "users whose property changes"


def check_events(
    events: Frame,
    definition: Definition | str | os.PathLike[str] | None = None,
    *,
    as_of: Instant | None = None,
    exclude: Any = None,
) -> pl.DataFrame:
    """Count what is odd about an event log: is it sound enough to answer from.

    share = count / all events, users, days or names, whichever the check counts.

    Parameters
    ----------
    events
        The event log: ``user_id, event, at`` and properties.
    definition
        What success means, or the path of the file that says it; without it only the checks of the log itself are made.
    as_of
        Up to when the log is meant to be complete; None: just after the last event of its body.
    exclude
        What `scan_events` was, or would be, told to leave out, to have it counted.

    Returns
    -------
    DataFrame
        One row per check, always all of them and in this order: ``check`` (text), ``count`` (whole
        number; null: not checked, for want of a definition, its sign-up or `exclude`), ``share`` (0 to 1),
        ``example`` (text, without user ids) and ``advice`` (text); the last two are null where the count is 0.

    Raises
    ------
    ColumnError
        A column is missing or of the wrong kind.
    ParameterError
        `definition` is none.

    Notes
    -----
    Nulls, duplicates and what is left out are counted over all events; every other check over the events that
    have a user, a name and a time. One user's share is implausible from 1 % of all events on, if it is also
    20 times what the user at the 90th percentile did, among at least 10 users.

    Examples
    --------
    >>> from datetime import date
    >>> log = pl.DataFrame({"user_id": ["a", "a", None], "event": ["open", "Open", "open"], "at": [date(2026, 3, 1)] * 3})
    >>> check_events(log).filter(pl.col("count") > 0).select("check", "count").rows()
    [('null user_id', 1), ('names that differ only by case or blanks', 1)]
    """
    definition = None if definition is None else definition_of(definition)
    raw = as_lazy(events)
    log, dates_only = open_log(raw)
    zone = definition.timezone if definition is not None else "UTC"
    if dates_only:  # its days are local ones already
        as_of = None if as_of is None else beside_log(as_of, timezone=zone, dates_only=True)
        zone = "UTC"
    signup = definition.signup if definition is not None else None
    users = _per_user(log, signup)
    counts, days = _per_day(log, zone)
    copies = _duplicates(raw)
    findings = [
        *_nulls(raw, copies.of or 0, int(counts["len"].sum())),
        copies,
        *_around_sign_up(log, users, definition),
        *_outside(log, counts, users.height, as_of, zone),
        *of_names(log, days, definition),
        _empty_days(days, as_of, zone),
        _implausible_user(users),
        _changing(log, definition),
        *of_id_forms(users),
        _left_out(raw, copies.of or 0, exclude),
    ]
    ordered = sorted(findings, key=lambda finding: ORDER.index(finding.check))
    return pl.DataFrame([_row(finding) for finding in ordered], schema=SCHEMA, orient="row")


NULLS = tuple(f"null {name}" for name in COLUMNS)
ORDER = (
    *NULLS,
    "exact duplicates",
    "events before sign-up",
    "times before the log begins",
    "times after as_of",
    "two sign-ups",
    "unknown events in the definition",
    "events no one did",
    "users with a sign-up only",
    "days with no event",
    "one user with an implausible share",
    "names that differ only by case or blanks",
    CHANGING,
    *IDS,
    "left out",
)


def _row(finding: Finding) -> tuple[Any, ...]:
    share = finding.count / finding.of if finding.count is not None and finding.of else None
    if share is None and finding.count == 0:
        share = 0.0
    told = (finding.example, finding.advice) if finding.count else (None, None)
    return (finding.check, finding.count, share, *told)


def _nulls(raw: pl.LazyFrame, rows: int, whole: int) -> Iterator[Finding]:
    """Count what is missing, which takes a look only where some of the rows are not whole."""
    found = dict.fromkeys(COLUMNS, 0)
    if whole < rows:
        found = raw.select(pl.col(c).null_count() for c in COLUMNS).collect().row(0, named=True)
    for name in COLUMNS:
        example = None
        if found[name]:
            numbered = raw.with_row_index(ROW).filter(pl.col(name).is_null())
            first = numbered.head(3).collect()
            example = "; ".join(_shown(row) for row in first.iter_rows(named=True))
        yield Finding(
            f"null {name}",
            found[name],
            rows,
            example,
            f"Every answer leaves such events out. If they are many, look why {name!r} is empty.",
        )


def _shown(row: dict[str, Any]) -> str:
    event = "no name" if row["event"] is None else repr(row["event"])
    at = "no time" if row["at"] is None else f"{row['at']:%Y-%m-%d %H:%M}"
    return f"row {row[ROW] + 1}: {event}, {at}"


def _duplicates(raw: pl.LazyFrame) -> Finding:
    import numpy as np

    compared = [name for name, dtype in raw.collect_schema().items() if dtype != pl.Object]
    hashed = pl.struct(compared).hash()
    # Numbers in order show what stands twice at half the cost of a table of them.
    hashes = np.sort(raw.select(hashed).collect(engine="streaming").to_series().to_numpy())
    rows, extra = len(hashes), 0
    alike = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    check, example = "exact duplicates", None
    if len(alike):
        some = raw.filter(hashed.is_in(pl.Series(alike).implode()))
        twice = some.group_by(compared).len(COPIES).filter(pl.col(COPIES) > 1).collect()
        extra = int((twice[COPIES] - 1).sum())
        first = twice.sort("at", "event", nulls_last=True).head(1)
        if first.height:
            row = first.row(0, named=True)
            # Columns that were not kept may differ, and then they are no copies.
            told = "" if set(compared) - set(COLUMNS) else " (compared: user, event and time)"
            example = f"{row['event']!r} at {row['at']}, {row[COPIES]} times for one user{told}"
    return Finding(
        check,
        extra,
        rows,
        example,
        "They agree in user, event, time and the properties kept; other columns were not compared. If an event was sent twice rather than done twice, drop the repeats when reading the log (dedupe): rows that are the same in every column of the source, or, by the column of a message's id, those with the same one.",
    )


def _per_user(log: pl.LazyFrame, signup: object) -> pl.DataFrame:
    """Reduce the log to one row per user, in one pass."""
    at = pl.col("at")
    users = log.group_by("user_id").agg(pl.len().alias("events"), at.min().alias("first"))
    chosen = log.filter(pl.lit(value=False) if signup is None else matches(signup))
    signed = chosen.group_by("user_id").agg(
        at.min().alias("signed_up_at"), at.max().alias("signed_up_last"), pl.len().alias("sign_ups")
    )
    both = users.join(signed, on="user_id", how="left")
    return both.with_columns(pl.col("sign_ups").fill_null(0)).collect(engine="streaming")


def _per_day(log: pl.LazyFrame, zone: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Reduce the log to what `daily` gives, and to one row per local day and event, in one pass."""
    at = pl.col("at")
    keys = at.dt.date().alias("day"), local_day(at, zone).alias("local"), pl.col("event").cast(pl.String)  # fmt: skip
    cells = log.group_by(keys).agg(
        pl.len().cast(pl.Int64), at.min().alias("first"), at.max().alias("last")
    )
    both = cells.collect(engine="streaming").lazy()
    sums = pl.col("len").sum(), pl.col("first").min(), pl.col("last").max()
    days = both.group_by(pl.col("local").alias("day"), "event").agg(events=pl.col("len").sum())
    return both.group_by("day").agg(sums).sort("day").collect(), days.collect()


def _around_sign_up(
    log: pl.LazyFrame, users: pl.DataFrame, definition: Definition | None
) -> list[Finding]:
    checks = ("events before sign-up", "two sign-ups", "users with a sign-up only")
    signed = users.filter(pl.col("sign_ups") > 0)
    if definition is None or definition.signup is None or signed.is_empty():
        return [Finding(check) for check in checks]
    since = pl.col("signed_up_at") - timedelta(
        microseconds=microseconds_of(definition.clock_tolerance)
    )
    ahead = signed.filter(pl.col("first") < since)
    before = 0
    if ahead.height:
        events = log.join(ahead.lazy().select("user_id", "signed_up_at"), on="user_id")
        early = events.filter(pl.col("at") < since)
        before = early.select(pl.len()).collect().item()
    twice = signed.filter(pl.col("signed_up_last") > pl.col("signed_up_at"))
    most = max(twice["sign_ups"].to_list(), default=1)
    only = signed.filter(pl.col("sign_ups") == pl.col("events")).height
    total = int(users["events"].sum())
    return [
        Finding(
            checks[0],
            before,
            total,
            f"of {ahead.height:,} users",
            "They are kept out of the answers. If users act before they sign up (on trial, or under an anonymous id), join the ids with identities, or name the earlier event as sign-up.",
        ),
        Finding(
            checks[1],
            twice.height,
            signed.height,
            f"up to {most} sign-ups of one user",
            "The first counts. If people share or reuse accounts, or the event is also sent at login, name another event as sign-up.",
        ),
        Finding(
            checks[2],
            only,
            signed.height,
            f"{only:,} of {signed.height:,} users who signed up",
            "They are counted as lost at activation. If there are more than you would expect, see whether events under another id are missing.",
        ),
    ]


def _outside(
    log: pl.LazyFrame, counts: pl.DataFrame, users: int, as_of: Instant | None, zone: str
) -> list[Finding]:
    """Count what lies before the log's body, and from the end of the data on."""
    total = int(counts["len"].sum())
    if not total:
        return [Finding("times before the log begins", 0, 0), Finding("times after as_of", 0, 0)]
    end = None if as_of is None else instant(as_of, timezone=zone)
    known = counts if end is None else counts.filter(pl.col("first") < end)
    edges = edges_of(
        known if known.height else counts, replace(outskirts(log), users=lambda: users)
    )
    early = edges.before.events if edges.before else 0
    if end is None:
        late = edges.after.events if edges.after else 0
        told = (
            f"{edges.after.first:%Y-%m-%d}, when the day before with events is {edges.last:%Y-%m-%d}"
            if edges.after
            else None
        )
        advice = f"A clock may be wrong: they are left out. Say up to when the data are complete, such as {edges.last.date() + timedelta(days=1)} (as_of), or later if they are real."
    else:
        after = log.filter(pl.col("at") >= end).select(pl.len(), pl.col("at").max().alias("last"))
        late, last = after.collect().row(0)
        told, advice = f"up to {last}", "They are ignored. If they are real, give a later as_of."
    return [
        Finding(
            "times before the log begins",
            early,
            total,
            f"{edges.before.first:%Y-%m-%d %H:%M}, where the log begins on {edges.start:%Y-%m-%d}"
            if edges.before
            else None,
            "They lie before a gap, are few, and are left out. A clock may be wrong, or someone tried the tracking out.",
        ),
        Finding("times after as_of", late, total, told, advice),
    ]


def _empty_days(days: pl.DataFrame, as_of: Instant | None, zone: str) -> Finding:
    days = days.select("day").unique().sort("day")
    if as_of is not None:
        days = days.filter(pl.col("day") <= last_day(instant(as_of, timezone=zone), zone))
    if days.height < 2:
        return Finding("days with no event", 0, days.height)
    gaps = days.with_columns(
        empty=(pl.col("day").diff().dt.total_days() - 1), last=pl.col("day").shift(1)
    )
    longest = gaps.sort("empty", descending=True, nulls_last=True).row(0, named=True)
    span = (days["day"][-1] - days["day"][0]).days + 1
    return Finding(
        "days with no event",
        span - days.height,
        span,
        f"longest: {longest['empty']} days after {longest['last']}",
        "If the product was in use on these days, events are missing and users look quieter than they were.",
    )


def _implausible_user(users: pl.DataFrame) -> Finding:
    check = "one user with an implausible share"
    found = users.select(
        pl.len().alias("users"),
        pl.col("events").sum().alias("all"),
        pl.col("events").max().alias("most"),
        pl.col("events").quantile(0.9, "lower").alias("busy"),
    )
    row = found.row(0, named=True)
    if row["users"] < LEAST_USERS:
        return Finding(check, 0, row["all"])
    odd = row["most"] >= max(LEAST_SHARE * row["all"], TIMES_A_BUSY_USER * row["busy"])
    return Finding(
        check,
        row["most"] if odd else 0,
        row["all"],
        f"{row['most']:,} of {row['all']:,} events; nine in ten users have {row['busy']:,.0f} or fewer",
        "It may be a bot, a test or an id that stands for many (such as 'guest'). Find it with events.group_by('user_id').len().sort('len'), and leave it out with exclude.",
    )


def _changing(log: pl.LazyFrame, definition: Definition | None) -> Finding:
    """Count the users for whom a property, kept as theirs, has several values."""
    there = log.collect_schema()
    names = [] if definition is None else [n for n in definition.properties if n in there]
    if not names:
        return Finding(CHANGING)
    several = {f"{n}": pl.col(name).drop_nulls().n_unique() > 1 for n, name in enumerate(names)}
    users = log.group_by("user_id").agg(**several)
    found = users.select(
        pl.len(),
        pl.any_horizontal(pl.col(*several)).sum().alias("any"),
        *[pl.col(c).sum() for c in several],
    ).collect()
    count, changing, *each = found.row(0)
    told = "; ".join(
        f"{name!r}: {n:,} of {count:,} users" for name, n in zip(names, each, strict=True) if n
    )
    return Finding(
        CHANGING,
        changing or 0,
        count,
        told,
        "The first value in the 24 hours after sign-up counts, since later ones may come of what users did. If the change itself matters, ask it of events.",
    )


def _left_out(raw: pl.LazyFrame, total: int, exclude: Any) -> Finding:
    check = "left out"
    if exclude is None:
        return Finding(check)
    what = excluded(exclude, raw.collect_schema())
    user = pl.col("user_id").cast(pl.String)
    if isinstance(what, pl.Expr):
        gone = raw.filter(what)
    else:
        gone = raw.join(what, left_on=user, right_on=LEFT_OUT, how="semi")
    events, users = gone.select(pl.len(), pl.col("user_id").n_unique().alias("n")).collect().row(0)
    told = f"{events:,} events of {users:,} users"
    return Finding(check, events, total, told, "These are what exclude names.")
