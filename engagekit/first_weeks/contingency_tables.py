"""Who did what among retained and churned, in strata: from users and actions to two-by-two tables."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engagekit.first_weeks.activity_strata import ACTIVE_DAYS, Early, stratum_of
from engagekit.intervals import z_of
from engagekit.strata import chances, chi2_tail, pooled_ratios, stratum_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

STRATA = 1 << 12  # above any stratum
LEAST_USERS = 10  # on either side of an action, or it is not judged
MOST_TIMES = 10**9  # nobody does anything more often, and larger numbers fit no column


@dataclass(frozen=True)
class Tally:
    """Counts of users, from which every table is summed.

    - `did`: ``half, <keys>, exposure, event, mark, stratum, a, b``: who reached the mark, retained and churned.
    - `everyone`: ``half, <keys>, exposure, stratum, m1, m0``: all users who could, retained and churned.
    - `events`: ``event, exposure, launched_at``; exposure 0 is every user, the others belong to late launches.
    """

    did: pl.DataFrame
    everyone: pl.DataFrame
    events: pl.DataFrame
    keys: tuple[str, ...]

    def only(self, *conditions: pl.Expr) -> Tally:
        """Narrow to one group of users."""
        return dataclasses.replace(
            self, did=self.did.filter(*conditions), everyone=self.everyone.filter(*conditions)
        )

    def of_half(self, *, half: bool) -> Tally:
        """Narrow to one of the two fixed halves."""
        return self.only(pl.col("half") == half)


def tally(
    early: Early,
    marks: Sequence[pl.Expr],
    launched: pl.DataFrame,
    *,
    keys: Sequence[str] = (),
    activity: bool = True,
) -> Tally:
    """Count who reached each mark (a boolean expression over the columns of ``early.did``), per action and stratum.

    With `activity`, the days on which users were active at all stand beside the actions.
    """
    sides = early.people.select("signed_up_at", "retained", "half", "stratum", *keys)
    late = exposures(launched)
    kind, groups = _kinds(sides, keys)
    names = [str(number) for number in range(len(marks))]
    reached = [mark.sum().cast(pl.Int64).alias(n) for n, mark in zip(names, marks, strict=True)]

    def per_kind(did: pl.LazyFrame) -> pl.LazyFrame:
        rows = only_exposed(did.collect(), sides["signed_up_at"], late)
        rows = rows.with_columns(kind.gather(rows["person"]).alias("kind"))
        return rows.lazy().group_by("event", "kind").agg(reached)

    found = early.asked(per_kind)
    if activity:
        found = pl.concat([found, per_kind(_activity(early)).collect(engine="streaming").lazy()])
    counts = found.collect()
    counted = (
        counts.lazy()
        .unpivot(names, index=["event", "kind"], variable_name="mark", value_name="n")
        .filter(pl.col("n") > 0)
        .with_columns(_told(pl.col("kind")))
        .join(groups.lazy(), on="group")
        .group_by("half", *keys, "stratum", "event", pl.col("mark").cast(pl.Int32))
        .agg(
            pl.col("n").filter("retained").sum().alias("a"),
            pl.col("n").filter(~pl.col("retained")).sum().alias("b"),
        )
        .collect()
    )
    seen = counts.select(pl.col("event").unique())
    seen = seen.vstack(_activity_name()).unique() if activity else seen
    events = seen.join(late, on="event", how="left").select(
        "event", pl.col("exposure").fill_null(0).cast(pl.UInt32), "launched_at"
    )
    did = counted.join(events.select("event", "exposure"), on="event")
    return Tally(did, all_exposed(sides, late, keys), events, tuple(keys))


def _kinds(sides: pl.DataFrame, keys: Sequence[str]) -> tuple[pl.Series, pl.DataFrame]:
    """Say in one number all that counts are split by, and which groups of `keys` the numbers mean."""
    if keys:
        groups = sides.select(keys).unique().with_row_index("group")
        found = sides.select(keys).join(
            groups, on=keys, how="left", nulls_equal=True, maintain_order="left"
        )
        group = pl.lit(found["group"])
    else:
        groups, group = pl.DataFrame({"group": [0]}, schema={"group": pl.UInt32}), pl.lit(0)
    mixed = group.cast(pl.UInt64) * STRATA + pl.col("stratum")
    kind = mixed * 4 + pl.col("half").cast(pl.UInt64) * 2 + pl.col("retained").cast(pl.UInt64)
    return sides.select(kind.alias("kind")).to_series(), groups


def _told(kind: pl.Expr) -> list[pl.Expr]:
    return [
        (kind % 2 == 1).alias("retained"),
        (kind // 2 % 2 == 1).alias("half"),
        (kind // 4 % STRATA).cast(pl.UInt32).alias("stratum"),
        (kind // 4 // STRATA).cast(pl.UInt32).alias("group"),
    ]


def numbers(tally: Tally, *, keys: Sequence[str] = (), half: bool | None = None) -> pl.DataFrame:
    """Sum the tables of each action and mark, over all users or one half, together or per group.

    Returns
    -------
    DataFrame
        ``<keys>, event, mark, n_retained, n_churned, did_retained, did_churned`` and the sums over strata.
    """
    kept = [] if half is None else [pl.col("half") == half]
    everyone = tally.everyone.lazy().filter(*kept)
    did = tally.did.lazy().filter(*kept)
    place = [*keys, "exposure", "stratum"]
    cells = (
        did.group_by(*place, "event", "mark")
        .agg(pl.col("a", "b").sum())
        .join(everyone.group_by(place).agg(pl.col("m1", "m0").sum()), on=place, nulls_equal=True)
        .with_columns(
            (pl.col("m1") - pl.col("a")).alias("c"), (pl.col("m0") - pl.col("b")).alias("d")
        )
    )
    per = [*keys, "event", "mark"]
    sums = cells.group_by(per).agg(
        pl.col("a").sum().alias("did_retained"),
        pl.col("b").sum().alias("did_churned"),
        *steady(stratum_sums()),
    )
    marks = tally.did.lazy().select("mark").unique()
    frame = (
        everyone.group_by(*keys, "exposure")
        .agg(pl.col("m1").sum().alias("n_retained"), pl.col("m0").sum().alias("n_churned"))
        .join(tally.events.lazy(), on="exposure")
        .join(marks, how="cross")
        .join(sums, on=per, how="left", nulls_equal=True)
    )
    counts = pl.col("did_retained", "did_churned").fill_null(0)
    return frame.with_columns(counts).sort(*keys, "event", "mark", nulls_last=True).collect()


def steady(sums: Sequence[pl.Expr]) -> list[pl.Expr]:
    """Cut the last digits of sums of fractions, which depend on the order of summing and so on the machine."""
    return [
        each.round(9) if each.meta.output_name() == "_excess" else each.round_sig_figs(12)
        for each in sums
    ]


def cells_of(tally: Tally, chosen: pl.DataFrame) -> pl.DataFrame:
    """Take the tables ``event, mark, stratum, a, b, c, d`` of chosen actions and marks, over all users."""
    place = ["exposure", "stratum"]
    return (
        tally.did.join(chosen.select("event", "mark"), on=["event", "mark"])
        .group_by(*place, "event", "mark")
        .agg(pl.col("a", "b").sum())
        .join(tally.everyone.group_by(place).agg(pl.col("m1", "m0").sum()), on=place)
        .with_columns(
            (pl.col("m1") - pl.col("a")).alias("c"), (pl.col("m0") - pl.col("b")).alias("d")
        )
    )


def weighed(frame: pl.DataFrame) -> pl.DataFrame:
    """Add to `numbers` the crude figures, the adjusted ones at 95 %, and `chance`, the p of each single table.

    The row for active days has nothing left to be adjusted for: its chance is that of the plain table.
    """
    a, b = pl.col("did_retained"), pl.col("did_churned")
    c, d = pl.col("n_retained") - a, pl.col("n_churned") - b
    did, not_ = a + b, c + d
    margins = (did * not_ * pl.col("n_retained") * pl.col("n_churned")).cast(pl.Float64)
    phi = (a * d - b * c) / pl.when(margins > 0).then(margins).sqrt()
    table = frame.with_columns(
        did.alias("did"),
        not_.alias("not"),
        phi.alias("phi"),
        ((did >= LEAST_USERS) & (not_ >= LEAST_USERS)).alias("enough"),
    ).with_columns(*pooled_ratios(z_of(0.95)))
    # The plain table of active days: chi-square from phi.
    plain = ((did + not_) * pl.col("phi").pow(2)).map_elements(chi2_tail, return_dtype=pl.Float64)
    alone = pl.col("event").cast(pl.String) == ACTIVE_DAYS
    chance = pl.when(alone).then(plain).otherwise(_chances(table))
    return table.with_columns(chance.alias("chance"))


def _chances(sums: pl.DataFrame) -> pl.Series:
    return chances(sums["_excess"], sums["_spread"], sums["_lean"])


def _near(sides: pl.DataFrame, persons: pl.Series) -> pl.DataFrame:
    """Cut out the users among whom some are; they stand in order of their numbers."""
    if persons.is_empty():
        return sides.clear()
    numbers = persons.to_numpy()
    first = sides["person"].search_sorted(int(numbers.min()), side="left")
    return sides.slice(
        first, sides["person"].search_sorted(int(numbers.max()), side="right") - first
    )


def exposures(launched: pl.DataFrame) -> pl.DataFrame:
    """Give late launches numbers in their order, from 1; 0 stands for what was there for every user."""
    return launched.sort("launched_at").with_row_index("exposure", offset=1)


def only_exposed(rows: pl.DataFrame, signed_up: pl.Series, late: pl.DataFrame) -> pl.DataFrame:
    """Drop what users did of actions that were launched after they signed up."""
    if late.is_empty():
        return rows
    of_late = pl.col("event").is_in(late["event"].implode())
    some = rows.filter(of_late).join(late, on="event")
    could = signed_up.gather(some["person"]) >= some["launched_at"]
    return pl.concat([rows.filter(~of_late), some.filter(could).select(rows.columns)])


def _activity(early: Early) -> pl.LazyFrame:
    """Give one row per user that stands for all their actions: on how many days, and on which."""
    return (
        early.people.lazy()
        .filter(pl.col("active_days") > 0)
        .select(
            "person",
            pl.lit(ACTIVE_DAYS).cast(pl.Categorical).alias("event"),
            pl.col("active_days").cast(pl.UInt32).alias("times"),
            pl.col("on_days").alias("days"),
        )
    )


def _activity_name() -> pl.DataFrame:
    return pl.DataFrame({"event": [ACTIVE_DAYS]}, schema={"event": pl.Categorical})


def all_exposed(sides: pl.DataFrame, late: pl.DataFrame, keys: Sequence[str] = ()) -> pl.DataFrame:
    """Count all users who could, for every user and for those who signed up after each late launch."""
    # How many of the late launches a user signed up after, which are the first ones in their order.
    came = late["launched_at"].search_sorted(sides["signed_up_at"], side="right")
    place = ["half", *keys, "stratum"]
    by_launch = (
        sides.lazy()
        .with_columns(came.cast(pl.UInt32).alias("could"))
        .group_by(*place, "could")
        .agg(
            pl.col("retained").sum().cast(pl.Int64).alias("m1"),
            (~pl.col("retained")).sum().cast(pl.Int64).alias("m0"),
        )
        .collect(engine="streaming")
    )
    parts = [
        by_launch.filter(pl.col("could") >= exposure)
        .group_by(place)
        .agg(pl.col("m1", "m0").sum())
        .with_columns(pl.lit(exposure, pl.UInt32).alias("exposure"))
        for exposure in range(late.height + 1)
    ]
    return pl.concat(parts)


def without_own_count(early: Early, tally: Tally, chosen: pl.DataFrame) -> pl.DataFrame:
    """Compare once more with each action's own count taken out of the volume: ``event, excess, chance``.

    `chosen` holds ``event, at_least``. At a given volume, who did one thing more often did others less; so a
    harmless action can look harmful beside a helpful one. Out of the volume, its bias is the other way.
    """
    sides = early.people.select(
        "person", "signed_up_at", "retained", "active_days", "volume", "stratum"
    )
    classes = early.people.select("volume", "volume_class").unique().sort("volume").lazy()
    asked = chosen.lazy().join(tally.events.lazy(), on="event")
    could = pl.col("launched_at").is_null() | (pl.col("signed_up_at") >= pl.col("launched_at"))
    one, other = pl.col("retained").sum().cast(pl.Int64), (~pl.col("retained")).sum().cast(pl.Int64)
    reached = pl.col("times") >= pl.col("at_least")

    def moves(did: pl.LazyFrame) -> pl.LazyFrame:
        acts = did.select("person", "event", "times").join(asked, on="event").collect()
        rows = (
            acts.lazy()
            .join(_near(sides, acts["person"]).lazy(), on="person")
            .filter(could)
            .with_columns(pl.col("volume") - pl.col("times"))
            .sort("volume")
            .join_asof(classes, on="volume", strategy="nearest")
            .with_columns(stratum_of(pl.col("volume_class")).alias("moved_to"))
        )
        return rows.group_by("event", "stratum", "moved_to", reached.alias("reached")).agg(
            one.alias("m1"), other.alias("m0")
        )

    moved = early.asked(moves)
    come = moved.select("event", "m1", "m0", pl.col("moved_to").alias("stratum"))
    gone = moved.select("event", -pl.col("m1"), -pl.col("m0"), "stratum")
    did = (
        moved.filter("reached")
        .group_by("event", stratum="moved_to")
        .agg(pl.col("m1").sum().alias("a"), pl.col("m0").sum().alias("b"))
    )
    everyone = (
        tally.everyone.lazy()
        .join(tally.events.lazy().join(chosen.lazy(), on="event", how="semi"), on="exposure")
        .select("event", "m1", "m0", "stratum")
    )
    cells = (
        pl.concat([everyone, gone, come])
        .group_by("event", "stratum")
        .agg(pl.col("m1", "m0").sum())
        .join(did, on=["event", "stratum"])
        .with_columns(
            (pl.col("m1") - pl.col("a")).alias("c"), (pl.col("m0") - pl.col("b")).alias("d")
        )
    )
    found = cells.group_by("event").agg(stratum_sums()).collect()
    return found.select("event", pl.col("_excess").alias("excess"), _chances(found).alias("chance"))
