"""Journeys cut at many earlier instants: what says who has which row is made once, and each cut is a choice of rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.instants import AT, last_day
from engagekit.journeys.clock import clock_from
from engagekit.journeys.day_arrays import (
    DAY_ARRAYS,
    NEVER,
    DayArrays,
    day_arrays,
    everybody,
    first_rows,
    instants,
    places,
)
from engagekit.journeys.earlier import (
    CORE_AT,
    CORE_DAYS,
    days_before,
    days_begun,
    steps_before,
    users_before,
)
from engagekit.journeys.kept import kept_of, once
from engagekit.journeys.recent_days import microseconds, times_done_before
from engagekit.journeys.schema import DAY_US, EARLY_EVENTS, TABLES, USERS

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from engagekit.journeys.day_arrays import Flags, Ints
    from engagekit.journeys.tables import Journeys

NOTHING = pl.Series([[]], dtype=USERS[EARLY_EVENTS])


def known_then(
    journeys: Journeys, *, since: datetime, until: datetime, at: datetime, early: bool
) -> Journeys:
    """Take what was known at an instant of some sign-ups, as ``where(signed_up=(since, until)).at(at)`` does.

    Parameters
    ----------
    journeys
        Journeys in memory; of others, `where` and `at` are asked.
    since, until
        The sign-ups taken, `until` exclusive.
    at
        The instant, not after the data end.
    early
        Whether the events of the first days are looked at; if not, they are left empty.

    Returns
    -------
    Journeys
        Of the days only the arrays are made at once; the table follows from the others where it is asked for.
    """
    if journeys.pieces or any(isinstance(getattr(journeys, n), pl.LazyFrame) for n in TABLES):
        return journeys.where(signed_up=(since, until)).at(at)
    moment = microseconds(at)
    chosen = _signed_up(journeys, microseconds(since), microseconds(until))
    before = chosen & (once(journeys, "sign-ups", _sign_ups) < moment)
    days = _days(journeys, before, moment)
    users, late = _people(journeys, before, days, at, early=early)
    ids = pl.concat([each.lazy().select("user_id") for each in (users, late)])
    cut: dict[str, Any] = {
        "users": users,
        "late": late,
        "steps": _steps(journeys, before, at),
        "early": _early(journeys, before, at) if early else journeys.early.clear(),
        "days": journeys.days.lazy().map_batches(
            lambda days: days_before(days.lazy(), at).join(ids, on="user_id", how="semi").collect()
        ),  # few answers ask for it, and those that do not shall not pay for planning it
    }
    then = replace(journeys, **cut, as_of=at, clock=_clock(journeys, chosen, at))
    kept_of(then)[DAY_ARRAYS] = days
    return then


def _sign_ups(journeys: Journeys) -> Ints:
    both = [
        table.lazy().select("signed_up_at").collect() for table in (journeys.users, journeys.late)
    ]
    return instants(pl.concat(both)["signed_up_at"])


def _signed_up(journeys: Journeys, since: int, until: int) -> Flags:
    """Flag who signed up in a span, the late after the users."""
    at = once(journeys, "sign-ups", _sign_ups)
    found: Flags = (at >= since) & (at < until)
    return found


def _days(journeys: Journeys, chosen: Flags, moment: int) -> DayArrays:
    """Take the days of chosen users before an instant, numbered anew; of a day that it cuts in two, what came before."""
    import numpy as np

    whole = day_arrays(journeys)
    days = whole.among(np.flatnonzero(chosen[whole.user] & (whole.first < moment)))
    number = (np.cumsum(chosen) - 1).astype(np.int32)
    cut = days.last >= moment
    times, last = days.times.astype(np.int64), days.last.copy()
    times[cut] = times_done_before(days.among(cut), moment)
    first, span = days.first[cut], days.last[cut] - days.first[cut]
    last[cut] = first + span * (times[cut] - 1) // np.maximum(days.times[cut] - 1, 1)
    columns: dict[str, Any] = {
        "user": number[days.user],
        "role": days.role,
        "day": days.day,
        "first": days.first,
    }
    return DayArrays(columns | {"last": last, "times": times}, days.roles)


def _people(
    journeys: Journeys, chosen: Flags, days: DayArrays, at: datetime, *, early: bool
) -> list[pl.DataFrame]:
    """Cut `users` and `late`."""
    import numpy as np

    core, size = days.of("core"), int(chosen.sum())
    last, begins = np.full(size, NEVER), first_rows(core.user)
    if len(begins):
        last[core.user[begins]] = np.maximum.reduceat(core.last, begins)
    core_days = np.bincount(core.user, minlength=size).astype(np.uint32)
    known = pl.DataFrame({CORE_AT: last, CORE_DAYS: core_days}).select(
        pl.when(pl.col(CORE_AT) != NEVER).then(pl.col(CORE_AT)).cast(AT), CORE_DAYS
    )
    found, users, place = [], journeys.users.lazy().collect().height, 0
    for table, mine in ((journeys.users, chosen[:users]), (journeys.late, chosen[users:])):
        if not mine.any():
            found.append(table.lazy().head(0).collect())
            continue
        columns = table.lazy().collect_schema().names()
        some = table.lazy().select([c for c in columns if early or c != EARLY_EVENTS]).collect()
        some = some.filter(pl.Series(mine, dtype=pl.Boolean))
        days_of = journeys.definition.first_days
        events = pl.lit(_early_events(some, at, days_of)) if early else pl.lit(NOTHING).first()
        beside = some.hstack(known[place : place + some.height]).lazy()
        cut = users_before(beside, at, events.alias(EARLY_EVENTS))
        found.append(cut.select(columns).collect())
        place += some.height
    return found


def _early_events(users: pl.DataFrame, at: datetime, first_days: int) -> pl.Series:
    """Take early days that had not begun as days without events; only the newest users have such."""
    import numpy as np

    events = users[EARLY_EVENTS]
    age = microseconds(at) - instants(users["signed_up_at"])
    young = np.flatnonzero(age < first_days * DAY_US)
    if not len(young):
        return events
    changed = users[young].select(days_begun(at, first_days)).to_series()
    place = np.arange(len(age))
    place[young] = len(age) + np.arange(len(young))
    return pl.concat([events, changed]).gather(place)


def _of_users(journeys: Journeys, name: str) -> tuple[NDArray[Any], Flags]:
    return places(getattr(journeys, name)["user_id"], everybody(journeys))


def _rows(journeys: Journeys, name: str, chosen: Flags) -> pl.DataFrame:
    """Keep the rows of chosen users in a table."""
    user, known = once(journeys, f"users of {name}", partial(_of_users, name=name))
    table: pl.DataFrame = getattr(journeys, name)
    return table.filter(pl.Series(known & chosen[user], dtype=pl.Boolean)) if len(user) else table


def _steps(journeys: Journeys, chosen: Flags, at: datetime) -> pl.DataFrame:
    return steps_before(_rows(journeys, "steps", chosen).lazy(), at).collect()


def _early(journeys: Journeys, chosen: Flags, at: datetime) -> pl.DataFrame:
    return _rows(journeys, "early", chosen).filter(pl.col("first_at") < at)


def _clock(journeys: Journeys, chosen: Flags, at: datetime) -> pl.DataFrame:
    """Cut the clock as `active_before` does."""
    import numpy as np

    first, epoch = journeys.clock["day"][0], date(1970, 1, 1)
    length = max(0, (last_day(at, journeys.timezone) - first).days) + 1
    active = np.zeros(length, np.int64)
    known = journeys.clock["active"].to_numpy()[:length]
    active[: len(known)] = known
    days, start = day_arrays(journeys), (first - epoch).days
    near = days.among(np.flatnonzero(days.day >= (at.date() - epoch).days - 2)).of("core")
    mine = chosen[near.user] & (near.day >= start) & (near.day < start + length)
    day = near.day[mine] - start
    here = np.bincount(day, minlength=length)
    before = np.bincount(day[near.first[mine] < microseconds(at)], minlength=length)
    cut = here > 0
    active[cut] = (active[cut] * before[cut] + here[cut] // 2) // here[cut]
    return clock_from(first, active.tolist())
