"""A log of those alone who are still there: nobody in it has been silent for long, however long it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import Remark, count, many, percent
from engagekit.instants import AT

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

SURVIVORS = "only users seen lately"  # the kind of remark
LEAST_DAYS = 14  # a product may well see everybody within less
TIMES = 3  # a log shorter than so many times the longest silence cannot show that longer ones are missing
LEAST, SOME = 100, 0.2  # users who could have been silent for longer: so many, and of all so many
OUTLIERS = 0.001  # of the users may be silent for longer all the same
BESIDE = 1 / 20  # who is silent for longer, of those in the last quarter before
CORE = 0.5  # of these did the core action in that time; else what keeps everybody in sight is no act of theirs


def of_survivors(journeys: Journeys) -> list[Remark]:
    """Say that users who fell silent are missing, if silences end at a cliff.

    Silences of users who leave, or pause, grow rarer the longer they are; of a log that holds only who was active in
    the last 90 days, as many are 80 to 90 days long as before, and none is longer. Rates of who signed up before then
    are those of survivors; who signed up since is all there.
    """
    if journeys.definition.outreach is not None:
        return []  # messages are events of users, and reach the silent too
    seen, core, signed = (pl.col(c) for c in ("last_seen_at", "last_core_at", "signed_up_at"))
    last = journeys.users.lazy().select(seen.max()).collect().item()
    if last is None:
        return []
    end = pl.lit(last, AT)
    frame = (
        journeys.users.lazy()
        .select(age=_days(end - signed), silence=_days(end - seen), idle=_days(end - core))
        .collect()
    )
    for cut in (frame["silence"].max(), frame["silence"].quantile(1 - OUTLIERS, "higher")):
        known = (last - journeys.log_start).total_seconds() / 86_400
        if isinstance(cut, float) and cut >= LEAST_DAYS and known >= TIMES * cut:
            found = _cliff(frame, cut, journeys, last)
            if found is not None:
                return [found]
    return []


def _days(span: pl.Expr) -> pl.Expr:
    return span.dt.total_seconds(fractional=True) / 86_400


def _cliff(frame: pl.DataFrame, cut: float, journeys: Journeys, last: datetime) -> Remark | None:
    could = frame.filter(pl.col("age") > 1.5 * cut)
    silence = pl.col("silence")
    near, beyond, acting, days = could.select(
        silence.is_between(0.75 * cut, cut).sum().alias("near"),
        (silence > cut).sum().alias("beyond"),
        (pl.col("idle") <= cut).sum().alias("acting"),
        silence.filter(silence.is_between(0.75 * cut, cut)).floor().n_unique().alias("days"),
    ).row(0)
    # Of smooth silences the longest lies where one user in all is expected beyond: a handful then lies shortly before it.
    chance = 10 + 5 * could.height**0.25
    if could.height < max(LEAST, SOME * frame.height) or near < chance:
        return None
    # On a few days alone: a product of month ends, or of one weekday, and not the edge of an export.
    if beyond > BESIDE * near or acting < CORE * could.height or days < cut / 8:
        return None
    since = last - timedelta(days=cut)
    bent = int((frame["age"] > cut).sum())
    text = (
        f"Of {many(could.height, journeys.unit)} who signed up long before {since:%Y-%m-%d}, {count(could.height - beyond)} were seen since, {count(near)} of them "
        f"last in the {0.25 * cut:.0f} days after it, and {count(beyond) if beyond else 'none'} before: the log seems to hold only who was active lately, "
        f"without those who left. Then all rates of earlier sign-ups ({percent(bent / frame.height)} of all) are too good. Read the events of everybody who ever signed up."
    )
    return Remark(SURVIVORS, (since.isoformat(),), text, bent, bent / frame.height)


def share_of_survivors(remark: Remark, journeys: Journeys) -> float:
    """Say for which share of some users such a remark holds: those who signed up before the silences end."""
    since = pl.lit(datetime.fromisoformat(str(remark.about[0])), AT)
    before = (pl.col("signed_up_at") < since).mean()
    return float(journeys.users.lazy().select(before).collect().item() or 0)
