"""What each judged user did in the first days, as trials look at it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import AT, days
from engagekit.journeys import EARLY_EVENTS
from engagekit.matchers import as_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engagekit.first_weeks.trial_strata import UserDays
    from engagekit.first_weeks.trials import Acts
    from engagekit.journeys import Journeys

ACTIVE_DAYS = "(active days)"
# An action counts as launched late if, before, this many users should have done it at the later rate, and
# (nearly) none did; the first hundredth of all who did it may be testers.
LATE_EXPECTED = 10.0
LATE_SEEN = 0.05
TESTERS = 0.01
HASHED = 100_000  # ids that are hashed at a time
DAY_US = 86_400_000_000
SLICE = 1 << 17  # rows that are sorted at a time
MOST_EVENTS = 65_535  # of a day that are told apart


@dataclass(frozen=True)
class Early:
    """Judged users and their early actions, tied by a number.

    - `people`: one row per judged user: `person`, `user_id`, `signed_up_at`, `retained`, `half`, `active_days`, and the
      properties asked for as `stand_ins`.
    - `pieces`: one row per judged user and action of the first days: `person, event, first_at, times, days`;
      each piece holds some users, so that memory need not hold all.
    - `known`: the users as trials take them.
    """

    people: pl.DataFrame
    pieces: tuple[pl.LazyFrame, ...]
    known: UserDays

    @property
    def did(self) -> pl.DataFrame:
        """All pieces together."""
        return pl.concat(piece.collect() for piece in self.pieces)

    def asked(self, question: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.LazyFrame:
        """Ask one piece after the other, and put the answers together."""
        return pl.concat(question(piece).collect() for piece in self.pieces).lazy()


@dataclass(frozen=True)
class Logged:
    """The actions of the first days, by name, with when late ones were launched, and who did them."""

    names: list[str]
    launched: list[Any]  # an instant, or None
    acts: Acts


def early_of(
    journeys: Journeys,
    judged: Sequence[pl.DataFrame],
    *,
    by: Sequence[str] = (),
    adjust: Sequence[str] = (),
) -> Early:
    """Give the judged users numbers, and take their early actions, outreach aside.

    `by` and `adjust` are columns of the judged users: what sums are taken for, and what is compared with its like only.
    """
    starts = accumulate((part.height for part in judged), initial=0)
    numbered = [
        part.drop("_row").with_row_index("person", offset=start)
        for part, start in zip(judged, starts, strict=False)
    ]
    pieces = [_actions(part, users) for part, users in zip(journeys.parts(), numbered, strict=True)]
    if len(pieces) == 1:
        pieces = [pieces[0].collect().lazy()]  # in memory it is looked up once
    people = pl.concat(numbered)
    rows = [part["_row"].to_numpy() for part in judged]
    known = _known(journeys, people, rows, by, adjust)
    active_days = pl.Series("active_days", (known.volume > 0).sum(axis=0), dtype=pl.UInt32)
    lots = drawn(people["user_id"])
    known = replace(known, lot=(lots % (1 << 31)).to_numpy())
    return Early(people.with_columns(active_days, halved(lots)), tuple(pieces), known)


def _known(
    journeys: Journeys,
    people: pl.DataFrame,
    rows: Sequence[Any],
    by: Sequence[str],
    adjust: Sequence[str],
) -> UserDays:
    import numpy as np

    from engagekit.first_weeks.trial_strata import UserDays

    first_days, start = journeys.definition.first_days, 0
    volume = np.zeros((first_days, people.height), np.uint16)
    for part, places in zip(journeys.parts(), rows, strict=True):
        mine: Any = places
        if isinstance(part.users, pl.DataFrame):
            each = part.users[EARLY_EVENTS]
        else:  # a part on disk gives its rows in any order
            users = people.slice(start, len(places)).lazy().select("user_id")
            told = part.users.select("user_id", EARLY_EVENTS)
            found = users.join(told, on="user_id", how="left", maintain_order="left")
            each, mine = found.collect()[EARLY_EVENTS], slice(None)
        counts = each.explode().to_numpy().reshape(len(each), first_days)[mine]
        volume[:, start : start + len(counts)] = np.minimum(counts, MOST_EVENTS).T
        start += len(counts)
    signed_up = people["signed_up_at"].to_physical().to_numpy().astype(np.float64) / DAY_US
    return UserDays(
        volume, people["retained"].to_numpy(), signed_up, _numbered(people, adjust),
        _numbered(people, by), np.zeros(people.height, np.int64),
    )  # fmt: skip


def _numbered(people: pl.DataFrame, columns: Sequence[str]) -> Any:
    """Give each combination of values a number, in the order in which `groups_of` lists them."""
    import numpy as np

    if not columns:
        return np.zeros(people.height, np.int64)
    places = groups_of(people, columns).with_row_index("_place")
    found = people.select(columns).join(
        places, on=columns, how="left", nulls_equal=True, maintain_order="left"
    )
    return found["_place"].to_numpy().astype(np.int64)


def groups_of(people: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """List the combinations of values that occur."""
    return people.select(columns).unique().sort(columns, nulls_last=True)


def logged(journeys: Journeys, early: Early, *, names: Sequence[str] | None = None) -> Logged:
    """Take who did which action on which days, those left out who signed up before a late launch."""
    import numpy as np

    found = [_compact(piece, names) for piece in early.pieces]
    occurring = pl.concat([piece.select(pl.col("event").unique()) for piece in found]).unique()
    events = occurring.sort(pl.col("event").cast(pl.String))["event"]
    known = events.cast(pl.String).to_list()
    physical = events.to_physical().to_numpy()
    place = np.zeros(
        int(physical.max(initial=0)) + 1, np.int16 if len(known) < 1 << 15 else np.int32
    )
    place[physical] = np.arange(len(known))
    found_late = launches(journeys, early).select(pl.col("event").cast(pl.String), "launched_at")
    late: dict[str, Any] = dict(found_late.iter_rows())
    acts = _by_action(found, place, len(known))
    came, able = early.people["signed_up_at"], {}
    for number, name in enumerate(known):
        if name in late:
            able[number] = (came >= late[name]).to_numpy()
    launched = [late.get(name) for name in known]
    return Logged(known, launched, acts.within(able) if able else acts)


def _by_action(pieces: list[pl.DataFrame], place: Any, actions: int) -> Acts:
    """Sort by action, a slice at a time, and let go of each piece after it, which spares memory."""
    import numpy as np

    from engagekit.first_weeks.trials import Acts

    sizes = np.zeros(actions, np.int64)
    for part in (part for piece in pieces for part in piece.iter_slices(SLICE)):
        sizes += np.bincount(place[part["event"].to_physical().to_numpy()], minlength=actions)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = int(starts[-1])
    user, done, own = np.empty(rows, np.int32), np.empty(rows, np.uint32), np.empty(rows, np.uint16)
    cursor = starts[:-1].copy()
    while pieces:
        for part in pieces.pop(0).iter_slices(SLICE):
            code = place[part["event"].to_physical().to_numpy()]
            order = np.argsort(code, kind="stable")
            counts = np.bincount(code, minlength=actions)
            first = np.cumsum(counts) - counts
            to = np.repeat(cursor - first, counts) + np.arange(len(code))
            for whole, name in ((user, "person"), (done, "days"), (own, "own")):
                whole[to] = part[name].to_numpy()[order]
            cursor += counts
    return Acts(user, done, own, starts)


def _compact(piece: pl.LazyFrame, names: Sequence[str] | None) -> pl.DataFrame:
    mine = [] if names is None else [pl.col("event").cast(pl.String).is_in(list(names))]
    # Of several days the average; each has at least one.
    on = pl.col("days").bitwise_count_ones()
    own = ((pl.col("times") + on // 2) // on).clip(1, MOST_EVENTS).cast(pl.UInt16).alias("own")
    person = pl.col("person").cast(pl.Int32)
    return piece.filter(*mine).select(person, "event", "days", own).collect()


def _actions(journeys: Journeys, users: pl.DataFrame) -> pl.LazyFrame:
    received = _only_names(journeys.definition.outreach)
    aside = [~pl.col("event").cast(pl.String).is_in(received)] if received else []
    return (
        journeys.early.lazy()
        .filter(*aside)
        .join(users.lazy().select("user_id", "person"), on="user_id")
        .select("person", pl.col("event").cast(pl.Categorical), "first_at", "times", "days")
    )


def halves(users: pl.Series) -> pl.Series:
    """Split users into two fixed halves by a hash of their id: the same on every machine and in every version."""
    return halved(drawn(users))


def halved(lots: pl.Series) -> pl.Series:
    """Split users by the first digit of what was drawn for them."""
    return ((lots // (1 << 31)) % 2 == 1).alias("half")


def drawn(users: pl.Series) -> pl.Series:
    """Draw a number for each user, by a hash of their id: the same on every machine and in every version."""
    # A checksum alone keeps parity and neighbours together; multiplied, its upper digits do not.
    some = (users.slice(start, HASHED) for start in range(0, max(1, users.len()), HASHED))
    checksums = [
        pl.Series(list(map(zlib.crc32, ids.cast(pl.String).cast(pl.Binary))), dtype=pl.UInt64)
        for ids in some
    ]
    return pl.concat(checksums) * 0x9E3779B1


def launches(journeys: Journeys, early: Early) -> pl.DataFrame:
    """Find actions that the log shows to be launched late: ``event, launched_at``.

    The candidate is the instant by which the first hundredth of its users had done it. It is a launch if, of the
    users whose first days were over by then, at least ten should have done it at the rate of those who signed up
    later, and at most a twentieth of that number did.
    """
    span = days(journeys.definition.first_days)
    signed_up = early.people.select((pl.col("signed_up_at") + span).alias("over")).sort("over")
    known = pl.lit(signed_up["over"].min(), AT)
    candidates = _launched_late(early, known)
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


def _launched_late(early: Early, known: pl.Expr) -> pl.DataFrame:
    """Find the hour by which the first hundredth of an action's users had done it, where that is after `known`."""
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
    return candidates.filter(pl.col("launched_at") >= known)


def _only_names(matcher: object) -> Sequence[str]:
    # Early days know events by name only; an outreach matcher with conditions cannot be told apart there.
    if matcher is None:
        return []
    return [match.event for match in as_matches(matcher) if not match.where]
