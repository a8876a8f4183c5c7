"""Sign-ups that are not what they seem: one time for many users, and users who appear all along without any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import Remark, count, many, percent
from engagekit.instants import AT, local_day
from engagekit.journeys import windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.journeys import Journeys

AT_ONCE, UNANNOUNCED = (
    "sign-ups at one time",
    "users without a sign-up all along",
)  # kinds of remarks
LEAST = 20  # fewer users are chance
TIMES = 3  # as many as sign up on so many usual days do not do so at one instant
BULKS = 3  # who makes accounts by the dozen does so on more days than these; it is then the way of the product
FEW = 0.05  # a smaller share of the new faces is not worth a word
FADES = 0.8  # users from before the log grow rarer among the new faces; lost sign-ups do not
LONG = 4  # a log shorter than so many habit windows cannot show whether they do


def of_sign_ups(
    journeys: Journeys, quarters: tuple[datetime, datetime], unannounced: Sequence[tuple[int, int]]
) -> list[Remark]:
    """Say which sign-ups are an import, it seems, and that sign-ups are missing, if users keep appearing without one.

    Parameters
    ----------
    journeys
        All users.
    quarters
        When the third and the last quarter of the log begin.
    unannounced
        What `Part` says of users without a sign-up, for all parts.
    """
    return [*_at_once(journeys), *_unannounced(journeys, quarters, unannounced)]


def _at_once(journeys: Journeys) -> list[Remark]:
    """Find instants at which far more users signed up than on a usual day; times of day must be known for that."""
    if journeys.dates_only:
        return []
    at = pl.col("signed_up_at")
    instants = journeys.users.lazy().group_by(at).agg(n=pl.len()).collect()
    crowds = instants.filter(pl.col("n") >= LEAST)
    if not crowds.height:
        return []
    others = instants.filter(pl.col("n") < LEAST)
    if 2 * others.select(at.dt.time().n_unique()).item() <= int(others["n"].sum()):
        return []  # times of day are not told
    day = local_day(at, journeys.timezone)
    by_day = instants.group_by(day).agg(pl.col("n").sum())["n"]
    crowds = crowds.filter(pl.col("n") > TIMES * pl.lit(by_day.median())).sort("n", descending=True)
    if not crowds.height or crowds.select(day.n_unique()).item() > BULKS:
        return []
    bent, of = int(crowds["n"].sum()), int(instants["n"].sum())
    first = crowds["signed_up_at"].dt.convert_time_zone(journeys.timezone)[0]
    more = "" if crowds.height == 1 else f" (and {many(crowds.height - 1, 'more instant')} like it)"
    text = (
        f"{many(bent, journeys.unit)} of {count(of)} have one and the same sign-up time, {first:%Y-%m-%d %H:%M:%S}{more}: an import, it seems, and not "
        "when they came. Give their true sign-ups as signed_up_at of the users table, or leave them out."
    )
    about = tuple(moment.isoformat() for moment in crowds["signed_up_at"].sort())
    return [Remark(AT_ONCE, about, text, bent, bent / of)]


def share_at_once(remark: Remark, journeys: Journeys) -> float:
    """Say for which share of some users such a remark holds."""
    at = pl.Series(list(remark.about)).str.to_datetime(time_unit="us", time_zone="UTC").cast(AT)
    mine = pl.col("signed_up_at").is_in(at.implode()).mean()
    return float(journeys.users.lazy().select(mine).collect().item() or 0)


def _unannounced(
    journeys: Journeys, quarters: tuple[datetime, datetime], unannounced: Sequence[tuple[int, int]]
) -> list[Remark]:
    """Say that users appear without a sign-up late in the log, and as often as before.

    Users from before the log have no sign-up in it either, but nearly all of them are seen soon after it begins, and
    the later, the fewer are left to be seen for the first time.
    """
    before, bent = (sum(part[place] for part in unannounced) for place in (0, 1))
    if bent < LEAST:
        return []
    third, last = (pl.lit(moment, AT) for moment in quarters)
    at = pl.col("signed_up_at")
    asked = ((at >= third) & (at < last)).sum(), (at >= last).sum().alias("last")
    signed_before, signed = journeys.users.lazy().select(*asked).collect().row(0)
    habit = windows_of(journeys.definition)["habit"]
    short = (journeys.as_of - journeys.log_start).days < LONG * habit
    fades = bent * signed_before < FADES * before * signed
    share = bent / (bent + signed)
    if short or fades or share < FEW:
        return []
    text = (
        f"{many(bent, 'user')} first seen since {quarters[1]:%Y-%m-%d} have no sign-up in the data, {percent(share)} of all who were new then, and they do "
        "not grow fewer, as users from before the log mostly do: sign-ups may be lost, one person may have several ids, or only a part of the events was "
        "kept. Then those who did sign up may look worse than they are. If all of them came before the log, give their sign-ups as signed_up_at of the users table."
    )
    return [Remark(UNANNOUNCED, ("signup",), text, bent, share)]
