"""The watch list: who is silent for longer than is usual for them, and has not drifted yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.diagnosis.labels import QUIET, REPEATED, SILENCE, USUAL_GAP, drifts_at
from engagekit.diagnosis.user_state import gaps_of, standing
from engagekit.instants import AT, last_day
from engagekit.intervals import RATE, wilson_columns
from engagekit.journeys import MILLION, check_journeys, days_until, gathered, on_days, windows_of

if TYPE_CHECKING:
    from datetime import datetime

    from engagekit.journeys import Journeys

WATCH_TIMES = 2  # silent for so many times the usual gap: on the list
SHRINK = 5  # gaps of the product that stand beside a user's own
PER_TIMES = 16  # steps of the product's distribution of gaps, per usual gap
LOOKS = 6  # earlier instants from which it is known who came back
FEWEST = 10  # users; of fewer no share is told
BANDS = (0.02, 0.05, 0.1, 0.2, 0.4)  # how unusual: bounds within which users are alike
WATCHED = {
    "silence_days": pl.Int64,
    "silence": pl.Float64,
    "usual_gap": pl.Float64,
    "times_usual": pl.Float64,
    "unusual": pl.Float64,
    "drifts_on": pl.Date,
} | RATE


def watch_list(journeys: Journeys) -> pl.DataFrame:
    """Who is on the way to drifting, the most unusual silence first, and how many such users came back in the past.

    On the list: ``silence >= 2 x the user's own median gap``, and not drifted yet. How unusual the silence is:
    ``unusual = (own gaps as long + 5 x share of the product's gaps as long) / (own gaps + 5)``.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.

    Returns
    -------
    DataFrame
        The most unusual silence first: `user_id`; `silence_days` (local days since the last core day); `silence` (the
        same in product days); `usual_gap` (the user's own median gap in product days; with fewer than 3 gaps, the
        product's usage interval); `times_usual`, silence over usual gap; `unusual`, the share of such gaps that were
        as long, small where the silence is rare for this user; `drifts_on`, the local day at whose end the user counts
        as drifted, if the core action does not come before and the weeks go on as the last ones; and of `of` users as
        unusually silent at earlier times `n` who came back, with `rate`, `low`, `high`.

    Raises
    ------
    ParameterError
        These are no journeys.

    Notes
    -----
    Only users who activated and came back at least once can be on it. Silence and gaps are in product days (see
    `product_clock`): a weekend of an office product puts nobody on the list. A user whose gaps vary widely can be on
    it often; that is why it goes by `unusual`: the product's share is that of all gaps that were as many times their
    user's usual gap, and stands for five gaps beside the user's own. Someone silent for 3 times the usual gap, but not
    yet for ``habit_days`` or longer than ever, stays on the list.

    `n` and `of` count who would have been listed 1 to 6 times ``max(28, 2 x habit_days)`` days ago, in the same of
    six bands of `unusual`, and had a core action within that many days; null where fewer than 10 were.

    References
    ----------
    Shrinkage of a user's own distribution towards everybody's: Efron and Morris (1975), Journal of the American
    Statistical Association 70, 311-319.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime
    >>> days = [("join", 1), ("make", 1), ("make", 5), ("make", 9), ("make", 13)]
    >>> log = pl.DataFrame([(1, e, datetime(2026, 1, d)) for e, d in days], schema=["user_id", "event", "at"], orient="row")
    >>> definition = ek.Definition(signup="join", activation="make", core="make", habit_days=7)
    >>> watch_list(ek.rollup(log, definition, as_of="2026-01-23")).select("silence_days", "unusual", "drifts_on").rows()
    [(9, 0.0, datetime.date(2026, 1, 26))]
    """
    check_journeys(journeys)
    listed = _listed(journeys)
    past = _came_back(journeys)
    final = last_day(journeys.as_of, journeys.timezone)
    drifts_on = days_until(journeys.clock, listed["_left"], after=final)
    table = (
        listed.with_columns(drifts_on.alias("drifts_on"), _band())
        .join(past, on="_band", how="left")
        .with_columns(*[pl.when(pl.col("of") >= FEWEST).then(c).alias(c) for c in ("n", "of")])
        .with_columns(*wilson_columns())
    )
    return table.sort("unusual", "times_usual", "user_id", descending=[False, True, False]).select(
        "user_id", *[pl.col(c).cast(kind) for c, kind in WATCHED.items()]
    )


def _listed(journeys: Journeys) -> pl.DataFrame:
    """Find who is on the list, without what happened to such users."""
    gaps = gathered(journeys, _ratios).group_by("times").agg(pl.col("gaps").sum()).sort("times")
    # Divided in one order: polars' last digit depends on where in a column a number stands.
    found = gathered(journeys, _candidates).collect().sort("user_id")
    found = found.with_columns(pl.col("silence", "usual_gap", "_left") / MILLION)
    times = (pl.col("silence") / pl.col("usual_gap")).alias("times_usual")
    return found.with_columns(times, _product_share(gaps.collect(), found)).with_columns(
        ((pl.col("as_long") + SHRINK * pl.col("_product")) / (pl.col("gaps") + SHRINK)).alias(
            "unusual"
        )
    )


def _candidates(journeys: Journeys) -> pl.LazyFrame:
    """Find the users at 2 times their usual gap who have not drifted, and how many of their own gaps were as long."""
    silent = standing(journeys, silent_for=0).filter(REPEATED, SILENCE >= WATCH_TIMES * USUAL_GAP)
    silent = silent.filter(~QUIET, SILENCE > 0)
    own = gaps_of(journeys, silent).join(silent.select("user_id", "silence"), on="user_id")
    as_long = pl.col("gap") >= SILENCE
    counts = own.group_by("user_id").agg(pl.len().alias("gaps"), as_long.sum().alias("as_long"))
    return silent.join(counts, on="user_id", how="left").select(
        "user_id",
        "silence_days",
        "silence",
        "usual_gap",
        (drifts_at() - SILENCE).alias("_left"),
        pl.col("gaps", "as_long").fill_null(0),
    )


def _ratios(journeys: Journeys) -> pl.LazyFrame:
    """Count the gaps of all users with a rhythm of their own by how many times their usual gap they were."""
    gaps = gaps_of(journeys, journeys.users.lazy().filter(pl.col("core_days") > 3))
    usual = pl.col("gap").median().over("user_id")
    times = (PER_TIMES * pl.col("gap") / usual).floor().clip(0, 1000 * PER_TIMES)
    return gaps.group_by(times.cast(pl.Int32).alias("times")).agg(
        pl.len().cast(pl.Int64).alias("gaps")
    )


def _product_share(gaps: pl.DataFrame, found: pl.DataFrame) -> pl.Series:
    """Say what share of the product's gaps were as many times their user's usual gap as each silence is."""
    total = gaps["gaps"].sum()
    if not total:
        return pl.Series("_product", [0.0], pl.Float64).new_from_index(0, found.height)
    as_long = pl.concat([gaps["gaps"].reverse().cum_sum().reverse(), pl.Series([0])]) / total
    place = gaps["times"].search_sorted(
        (found["silence"] / found["usual_gap"] * PER_TIMES).floor(), side="left"
    )
    return as_long.gather(place).alias("_product")


def _came_back(journeys: Journeys) -> pl.DataFrame:
    """Count per band who was listed at earlier instants, and of them who came back."""
    span = timedelta(days=max(28, 2 * windows_of(journeys.definition)["habit"]))
    looks = [journeys.as_of - k * span for k in range(1, LOOKS + 1)]
    bare = _core_days(journeys)
    parts = [_after(bare, look, span) for look in looks if look - span > journeys.log_start]
    nothing = pl.DataFrame(schema={"_band": pl.Int32, "n": pl.Int64, "of": pl.Int64})
    return pl.concat([nothing, *parts]).group_by("_band").agg(pl.col("n", "of").sum())


def _core_days(journeys: Journeys) -> Journeys:
    """Leave only what silences and gaps are told from, so that it is soon cut at an earlier instant."""
    if journeys.pieces:
        return journeys
    core = journeys.days.filter(pl.col("role") == "core")
    return replace(journeys, days=core, steps=journeys.steps.clear(), early=journeys.early.clear())


def _after(journeys: Journeys, look: datetime, span: timedelta) -> pl.DataFrame:
    listed = _listed(journeys.at(look)).select("user_id", _band())
    back = (
        on_days(journeys, "core")
        .filter(pl.col("last_at") >= pl.lit(look, AT), pl.col("first_at") < pl.lit(look + span, AT))
        .select("user_id", pl.lit(value=True).alias("back"))
        .unique()
    )
    known = listed.lazy().join(back, on="user_id", how="left")
    counts = known.group_by("_band").agg(
        pl.col("back").sum().cast(pl.Int64).alias("n"), pl.len().cast(pl.Int64).alias("of")
    )
    return counts.collect()


def _band() -> pl.Expr:
    found = pl.lit(0, pl.Int32)
    for bound in BANDS:
        found += (pl.col("unusual") >= bound).cast(pl.Int32)
    return found.alias("_band")
