"""What each judged user did in the first days, and how active they were: the strata of fair comparisons."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import accumulate
from math import isqrt
from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT, days
from engagekit.matchers import as_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engagekit.journeys import Journeys

ACTIVE_DAYS = "(active days)"
STRIDE = 64  # above any number of volume classes: a stratum is active days x 64 + class
# An action counts as launched late if, before, this many users should have done it at the later rate, and
# (nearly) none did; the first hundredth of all who did it may be testers.
LATE_EXPECTED = 10.0
LATE_SEEN = 0.05
TESTERS = 0.01
HASHED = 100_000  # ids that are hashed at a time


@dataclass(frozen=True)
class Early:
    """Judged users and their early actions, tied by a number.

    - `people`: one row per judged user: `person`, `user_id`, `signed_up_at`, `retained`, `half`, `on_days`
      (bit k: active on day k), `active_days`, `volume`,
      `volume_class`, `stratum`, and the columns asked for.
    - `pieces`: one row per judged user and action of the first days: `person, event, first_at, times, days`;
      each piece holds some users, so that memory need not hold all.
    """

    people: pl.DataFrame
    pieces: tuple[pl.LazyFrame, ...]

    @property
    def did(self) -> pl.DataFrame:
        """All pieces together."""
        return pl.concat(piece.collect() for piece in self.pieces)

    def asked(self, question: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.LazyFrame:
        """Ask one piece after the other, and put the answers together."""
        return pl.concat(question(piece).collect() for piece in self.pieces).lazy()


def early_of(journeys: Journeys, judged: Sequence[pl.DataFrame]) -> Early:
    """Give the judged users numbers, take their early actions (outreach aside) and put them in strata of activity."""
    starts = accumulate((part.height for part in judged), initial=0)
    numbered = [
        part.with_row_index("person", offset=start)
        for part, start in zip(judged, starts, strict=False)
    ]
    pieces = [_actions(part, users) for part, users in zip(journeys.parts(), numbered, strict=True)]
    if len(pieces) == 1:
        pieces = [pieces[0].collect().lazy()]  # in memory it is looked up once
    people = pl.concat(numbered)
    people = people.with_columns(*_activity(pieces, people.height), halves(people["user_id"]))
    people = people.with_columns(pl.col("on_days").bitwise_count_ones().alias("active_days"))
    classes = volume_classes(people.height)
    shares = (pl.col("volume").rank("average") - 0.5) / pl.len()
    people = people.with_columns((shares * classes).cast(pl.UInt32).alias("volume_class"))
    return Early(
        people.with_columns(stratum_of(pl.col("volume_class")).alias("stratum")), tuple(pieces)
    )


def _activity(pieces: Sequence[pl.LazyFrame], users: int) -> tuple[pl.Series, pl.Series]:
    """Say of each user, by number, on which of the first days they were active, and how often they did anything."""
    import numpy as np

    on_days, volume = np.zeros(users, np.uint32), np.zeros(users, np.int64)
    for piece in pieces:
        active = (
            piece.group_by("person")
            .agg(pl.col("days").bitwise_or(), pl.col("times").sum().cast(pl.Int64))
            .collect()
        )
        person = active["person"].to_numpy()
        on_days[person], volume[person] = active["days"].to_numpy(), active["times"].to_numpy()
    return pl.Series("on_days", on_days), pl.Series("volume", volume)


def _actions(journeys: Journeys, users: pl.DataFrame) -> pl.LazyFrame:
    received = _only_names(journeys.definition.outreach)
    aside = [~pl.col("event").cast(pl.String).is_in(received)] if received else []
    return (
        journeys.early.lazy()
        .filter(*aside)
        .join(users.lazy().select("user_id", "person"), on="user_id")
        .select("person", pl.col("event").cast(pl.Categorical), "first_at", "times", "days")
    )


def volume_classes(users: int) -> int:
    """Say into how many classes of early volume users are cut: five to ten, more where users are very many.

    Classes too wide leave the busiest of a class unlike the rest, which shows as soon as users are many enough;
    classes too fine leave no pairs to compare where one action makes up most of the volume.
    """
    return max(5, min(10, users // 100), min(40, isqrt(users // 50)))


def stratum_of(volume_class: pl.Expr) -> pl.Expr:
    """Build the stratum: the exact number of early active days, crossed with the class of early volume."""
    return pl.col("active_days").cast(pl.UInt32) * STRIDE + volume_class


def halves(users: pl.Series) -> pl.Series:
    """Split users into two fixed halves by a hash of their id: the same on every machine and in every version."""
    # A checksum alone keeps parity and neighbours together; multiplied, its top bit does not.
    some = (users.slice(start, HASHED) for start in range(0, max(1, users.len()), HASHED))
    checksums = [
        pl.Series(list(map(zlib.crc32, ids.cast(pl.String).cast(pl.Binary))), dtype=pl.UInt64)
        for ids in some
    ]
    spread = pl.concat(checksums).alias("half") * 0x9E3779B1
    return (spread // (1 << 31)) % 2 == 1


def launches(journeys: Journeys, early: Early) -> pl.DataFrame:
    """Find actions that the log shows to be launched late: ``event, launched_at``.

    The candidate is the instant by which the first hundredth of its users had done it. It is a launch if, of the
    users whose first days were over by then, at least ten should have done it at the rate of those who signed up
    later, and at most a twentieth of that number did.
    """
    span = days(journeys.definition.first_days)
    signed_up = early.people.select((pl.col("signed_up_at") + span).alias("over")).sort("over")
    known = pl.lit(signed_up["over"].min(), AT)
    # A launch before anybody's first days were over cannot be seen, so most actions need no second look.
    counts = early.asked(
        lambda did: did.group_by("event").agg(
            (pl.col("first_at") < known).sum().alias("early_on"), pl.len()
        )
    )
    unseen = (
        counts.group_by("event")
        .agg(pl.col("early_on", "len").sum())
        .filter(pl.col("early_on") <= TESTERS * pl.col("len"))
        .select("event")
        .collect()
    )
    if unseen.is_empty():
        return unseen.with_columns(pl.lit(None, AT).alias("launched_at"))
    hour = pl.col("first_at").dt.truncate("1h").alias("at")
    by_hour = early.asked(
        lambda did: did.join(unseen.lazy(), on="event", how="semi").group_by("event", hour).len()
    )
    by_hour = by_hour.group_by("event", "at").agg(pl.col("len").sum())
    so_far = pl.col("len").cum_sum().over("event", order_by="at")
    candidates = (
        by_hour.filter(so_far > TESTERS * pl.col("len").sum().over("event"))
        .group_by("event")
        .agg(pl.col("at").min().alias("launched_at"))
        .collect()
    )
    # Only users whose first days were over before the launch show that it was not there.
    candidates = candidates.filter(pl.col("launched_at") >= known)
    if candidates.is_empty():
        return candidates
    before = signed_up["over"].search_sorted(candidates["launched_at"], side="right")
    exposed = pl.col("signed_up_at") >= pl.col("launched_at")
    over_by_then = pl.col("signed_up_at") + span <= pl.col("launched_at")
    people = early.people.lazy().select("person", "signed_up_at")
    seen = early.asked(
        lambda did: (
            did.join(candidates.lazy(), on="event")
            .join(people, on="person")
            .group_by("event")
            .agg(exposed.sum().alias("later"), over_by_then.sum().alias("seen"))
        )
    )
    seen_in_all = seen.group_by("event").agg(pl.col("later", "seen").sum()).collect()
    starts = early.people["signed_up_at"].sort()
    able = starts.len() - starts.search_sorted(candidates["launched_at"], side="left")
    expected = pl.col("before") * pl.col("later") / pl.col("able")
    return (
        candidates.with_columns(before.alias("before"), able.alias("able"))
        .join(seen_in_all, on="event")
        .filter(
            pl.col("able") > 0, expected >= LATE_EXPECTED, pl.col("seen") <= LATE_SEEN * expected
        )
        .select("event", "launched_at")
        .sort("event")
    )


def _only_names(matcher: object) -> Sequence[str]:
    # Early days know events by name only; an outreach matcher with conditions cannot be told apart there.
    if matcher is None:
        return []
    return [match.event for match in as_matches(matcher) if not match.where]
