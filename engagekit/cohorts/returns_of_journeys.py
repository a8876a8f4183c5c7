"""Sign-ups and core days of journeys, as starts and returns of cohort curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engagekit._base import period_index
from engagekit.cohorts.rolling_windows import span, ticks
from engagekit.cohorts.starts import held
from engagekit.instants import AT
from engagekit.journeys import DAY_ARRAYS, day_arrays, made, on_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.cohorts.parameters import Terms
    from engagekit.journeys import Journeys


def sign_ups(journeys: Journeys, by: Sequence[str], terms: Terms) -> pl.DataFrame:
    """Take each user's sign-up as their start: `user_id`, the properties of `by` as ``by:<name>``, `cohort`, and `tick` if rolling."""
    at = pl.col("signed_up_at")
    rolling = [ticks(at, terms).alias("tick")] if terms.rolling else []
    cohort = period_index(at, terms.calendar).alias("cohort")
    return journeys.users.lazy().select("user_id", *held(by), cohort, *rolling).collect()


def first_signup(journeys: Journeys, terms: Terms) -> int | None:
    """Give the number of the period that holds the first sign-up; None without any."""
    first = period_index(pl.col("signed_up_at").min(), terms.calendar)
    found = journeys.users.lazy().select(first).collect().item()
    return None if found is None else int(found)


def core_hits(journeys: Journeys, begun: pl.DataFrame, terms: Terms) -> pl.LazyFrame:
    """Find the periods in which users did the core action: their keys, `cohort` and `k` (from 1, or 0 where asked), each once."""
    keys = [c for c in begun.columns if c != "tick"]
    if terms.rolling and "_group" not in keys and made(journeys, DAY_ARRAYS):
        return _neighbors(journeys, begun, terms)
    days = on_days(journeys, "core").join(begun.lazy(), on="user_id", how="inner")
    hits = _rolling(days, keys, terms) if terms.rolling else _calendar(days, keys, terms)
    late_enough = pl.col("k") >= _earliest(terms)
    if terms.mode == "on":
        late_enough &= pl.col("k") <= terms.last
    return hits.filter(late_enough).unique()


def _earliest(terms: Terms) -> int:
    return 0 if terms.period_zero == "returned" else 1


def _neighbors(journeys: Journeys, begun: pl.DataFrame, terms: Terms) -> pl.LazyFrame:
    """Find the same from arrays of days that are there already, where periods of a user stand in order."""
    import numpy as np

    core = day_arrays(journeys).of("core")
    core = core.among(core.user < begun.height)  # not the late, who stand behind the users
    user, tick = core.user, begun["tick"].to_numpy()[core.user]
    k = (core.first - tick) // span(terms)
    # A day seldom reaches into a second window; where it does, that one comes right behind the first, in order.
    long = np.flatnonzero(core.last > core.first)
    last = (core.last[long] - tick[long]) // span(terms)
    long, last = long[last > k[long]], last[last > k[long]]
    between = long[last - k[long] >= 2]
    between = between[core.times[between] >= 3] if len(between) else between
    behind = np.append(between, long) + 1
    k = np.insert(k, behind, np.append(k[between] + 1, last))
    user = np.insert(user, behind, user[behind - 1])
    kept = (k >= _earliest(terms)) & ((k <= terms.last) | (terms.mode != "on"))
    kept[1:] &= (user[1:] != user[:-1]) | (k[1:] != k[:-1])
    rows: pl.DataFrame = begun.select("user_id", "cohort")[user[kept]]
    return rows.with_columns(k=pl.Series(k[kept], dtype=pl.Int64)).lazy()


def _calendar(days: pl.LazyFrame, keys: Sequence[str], terms: Terms) -> pl.LazyFrame:
    midnight = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(AT)
    local = type(terms.calendar)(terms.calendar.period, "UTC", terms.calendar.week_start)
    k = period_index(midnight, local) - pl.col("cohort")
    return days.select(*keys, k.cast(pl.Int64).alias("k"))


def _rolling(days: pl.LazyFrame, keys: Sequence[str], terms: Terms) -> pl.LazyFrame:
    """Place the first and last core action of each day; no window of a day or longer hides between them."""
    first, last = (
        (ticks(pl.col(c), terms) - pl.col("tick")) // span(terms) for c in ("first_at", "last_at")
    )
    placed = days.with_columns(first.alias("first"), last.alias("last"))
    # Only a day of 25 hours can hold a whole window of 24: see the notes of `cohort_curves`.
    between = placed.filter(pl.col("last") - pl.col("first") >= 2, pl.col("times") >= 3)
    sides = [placed.select(*keys, pl.col(side).alias("k")) for side in ("first", "last")]
    return pl.concat([*sides, between.select(*keys, (pl.col("first") + 1).alias("k"))])
