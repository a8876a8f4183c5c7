"""What `rollup` found out about a log that its answers have to bear in mind, as remarks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import Remark, count, many
from engagekit.ingest import of_ids, stray_remarks
from engagekit.instants import AT, days
from engagekit.journeys import windows_of
from engagekit.rollups.population import NO_SIGNUP, burn_in_of, burnt_in
from engagekit.rollups.sign_up_findings import of_sign_ups
from engagekit.rollups.survivors import of_survivors
from engagekit.rollups.tracking_gaps import of_tracking

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.journeys import Journeys
    from engagekit.rollups.population import Extent, Opened

AS_OF, NULL_IDS, USERS_TABLE = (
    "as_of beyond the log",
    "events without a user",
    "users table in part",
)
LATE, UNUSED, BURNT = "late sign-ups", "unused dates", "burn-in takes most"  # kinds of remarks
LATEST_DAYS, USUAL_DAYS = (
    3,
    28,
)  # sign-ups of the last days of a log, against those of the days before
MANY = 3  # fewer users are no sign that ids are written differently
SIGN_UP = re.compile(
    r"sign|regist|creat|join|start|since|first|onboard|install|subscri|enrol|opened|member",
    re.IGNORECASE,
)


def of_rollup(
    opened: Opened,
    journeys: Journeys,
    forms: Sequence[pl.DataFrame],
    late: int,
    unannounced: Sequence[tuple[int, int]],
) -> tuple[Remark, ...]:
    """Gather the remarks on a log that has been rolled up.

    Parameters
    ----------
    opened
        The log, with the remarks made before it was reduced.
    journeys
        What became of it.
    forms, late, unannounced
        What `Part` holds, for all parts.
    """
    strangers = _left_out(journeys, NO_SIGNUP)
    tracking = of_tracking(journeys, opened.counts, strangers)
    stopped = any(
        remark.about[0] == "signup" for remark in tracking
    )  # said already why some are lost
    return (
        *opened.remarks,
        *of_edges(opened.extent, journeys),
        *of_ids(forms),
        *of_users(journeys, late, opened.people),
        *of_sign_ups(journeys, opened.extent.quarters, [] if stopped else unannounced),
        *of_survivors(journeys),
        *tracking,
    )


def _left_out(journeys: Journeys, reason: str) -> int:
    return int(
        journeys.left_out.filter(pl.col("reason") == reason, pl.col("unit") != "events")[
            "count"
        ].sum()
    )


def of_edges(extent: Extent, journeys: Journeys) -> list[Remark]:
    """Say what lies outside the log's body, and whether the end that was given lies far behind it."""
    found = stray_remarks(extent.edges)
    if not extent.asked:
        return found
    found = [remark for remark in found if remark.about == ("start",)]
    silent = extent.edges.silence(extent.end, dates_only=extent.dates_only)
    if not silent:
        return found
    last = extent.edges.end(dates_only=extent.dates_only)
    bent, of = _judged_in(journeys, last)
    text = (
        f"as_of lies {many(silent, 'day')} behind the log, which ends on {extent.edges.last:%Y-%m-%d}. If no data came in "
        f"since, {many(bent, journeys.unit)} {'is' if bent == 1 else 'are'} judged by days nobody recorded; give the as_of up to which the data are complete."
    )
    share = bent / of if of and _stops_short(journeys, last) else None
    return [*found, Remark(AS_OF, ("as_of",), text, bent, share)]


def _stops_short(journeys: Journeys, last: datetime) -> bool:
    """Say whether people signed up as ever until the log stops: then it is cut off, and did not come to its end."""
    at, end = pl.col("signed_up_at"), pl.lit(last, AT)
    latest = at.is_between(end - days(LATEST_DAYS), end, closed="left").sum()
    usual = at.is_between(
        end - days(LATEST_DAYS + USUAL_DAYS), end - days(LATEST_DAYS), closed="left"
    ).sum()
    row = journeys.users.lazy().select(latest.alias("latest"), usual.alias("usual")).collect()
    new, before = row.row(0)
    whole = last - journeys.log_start >= timedelta(days=LATEST_DAYS + USUAL_DAYS)
    return bool(whole and before and 2 * new / LATEST_DAYS >= before / USUAL_DAYS)


@dataclass(frozen=True)
class Overlap:
    """How far a users table and a log are about the same users: how many are in each, and in it alone."""

    table: int
    idle: int  # of the table, in no event
    log: int
    untold: int  # of the log, not in the table


def of_overlap(found: Overlap, people: pl.DataFrame, unit: str) -> list[Remark]:
    """Say that a users table and a log have users of their own on both sides: either alone is quite usual."""
    bent = min(found.idle, found.untold)
    if bent < MANY:
        return []
    text = (
        f"The users table and the log match in part: of {many(found.table, 'user')} in the table {count(found.idle)} are in no "
        f"event, and of {count(found.log)} in the log {count(found.untold)} are not in the table. If they are the same people, "
        "write their ids alike in both."
    )
    # Without sign-ups and accounts the table only says how to split the answer.
    tells = unit == "account" or "signed_up_at" in people.columns
    about = ("users",) if tells else ("users", "properties")
    return [Remark(USERS_TABLE, about, text, bent, bent / found.log if tells else None)]


def of_null_ids(nobody: int, every: int) -> list[Remark]:
    """Say how many events of the definition nobody is named for."""
    if not nobody:
        return []
    text = (
        f"{count(nobody)} of {count(every)} events that the definition names have no user_id and are left out; "
        "whoever did them looks as if they had not."
    )
    return [Remark(NULL_IDS, ("user_id",), text, None, nobody / every)]


def of_users(journeys: Journeys, late: int, people: pl.DataFrame | None) -> list[Remark]:
    """Say what is odd about sign-ups: actions before them, dates that nobody uses, a burn-in that takes most users."""
    users = journeys.users.lazy().select(pl.len()).collect().item()
    return [*_late(journeys, late, users), *_unused(journeys, people), *_burnt(journeys, users)]


def _late(journeys: Journeys, late: int, users: int) -> list[Remark]:
    if not late or not users:
        return []
    text = (
        f"{many(late, journeys.unit)} of {count(users)} did the activation or the core action before their sign-up, which is left out, "
        "and never activated after it. If signed_up_at is in another time zone, or says when an account was made or paid for, take the time of the first use."
    )
    return [Remark(LATE, ("signed_up_at",), text, late, late / users)]


def _unused(journeys: Journeys, people: pl.DataFrame | None) -> list[Remark]:
    """Look for dates in the users table that may be the sign-ups, if it has no signed_up_at."""
    if people is None or "signed_up_at" in people.columns or journeys.unit != "user":
        return []
    kept = journeys.users.lazy().select("user_id").collect()
    lost = people.join(kept, on="user_id", how="anti")
    found = []
    for column in filter(lambda name: _is_date(people[name]), people.columns):
        bent, known = (frame[column].count() for frame in (lost, people))
        if not (SIGN_UP.search(column) and known):
            continue
        text = (
            f"The users table has dates in {column!r}, which are not used. If they are the sign-ups, name the column signed_up_at: "
            f"{many(bent, 'user')} of the table with such a date {'is' if bent == 1 else 'are'} left out as it is."
        )
        found.append(Remark(UNUSED, (column,), text, bent, bent / known))
    return found


def _is_date(column: pl.Series) -> bool:
    if column.dtype == pl.String:
        return (
            bool(column.drop_nulls().head(100).str.contains(r"^\d{4}-\d{2}-\d{2}").all())
            and column.null_count() < column.len()
        )
    return column.dtype.is_temporal() and column.dtype not in (pl.Time, pl.Duration)


def _burnt(journeys: Journeys, users: int) -> list[Remark]:
    """Say that most users were there from the start, as in a log that follows one cohort."""
    days_out = burn_in_of(journeys.definition)
    gone = _left_out(journeys, burnt_in(days_out))
    if not days_out or gone <= 3 * users:
        return []
    text = (
        f"{many(gone, journeys.unit)} of {count(gone + users)} were first seen in the first {days_out} days and are left out, as they may have "
        "come before the log begins. If the log follows them from their start, set burn_in_days = 0; signed_up_at in the users table cures it too."
    )
    return [Remark(BURNT, ("burn_in_days",), text, gone, None if users else 1.0)]


def _judged_in(journeys: Journeys, last: datetime) -> tuple[int, int]:
    """Count the users whose time for activation or habit was not over at an instant, and all of them."""
    windows = windows_of(journeys.definition)
    signed, activated, end = pl.col("signed_up_at"), pl.col("activated_at"), pl.lit(last, AT)
    waiting = (
        pl.when(activated.is_null())
        .then(signed + days(windows["activation"]) > end)
        .otherwise(activated + days(windows["habit"]) > end)
    )
    row = journeys.users.lazy().select(waiting.sum(), n=pl.len()).collect().row(0)
    return int(row[0] or 0), int(row[1])
