"""Users as the metrics take them: their groups numbered, and what shares and means are summed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT, days
from engagekit.intervals import design_effect
from engagekit.journeys import facts_of, places
from engagekit.measures.clusters import ACCOUNT, account_of, accounts_effects
from engagekit.measures.rows import BLOCK, share_block, sums_of
from engagekit.measures.user_facts import user_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engagekit.definition import Definition
    from engagekit.journeys import Journeys
    from engagekit.measures.rows import Mean, Share


@dataclass(frozen=True)
class Taken:
    """Users and the steps they reached.

    `users`: one row per user: `g`, the number of their group; `user_id`; `counts` (signed up recently and not before the
    log), `judged` (the activation window is over too), `waited`, `actions`; what shares and means are summed from; and
    ``_account`` where accounts are known. `groups`: one row per group, in order. `reached`: one row per step that a judged
    user reached: `user` (their place), `step`, `stuck` (did not complete it).
    """

    users: pl.DataFrame
    groups: pl.DataFrame
    reached: pl.DataFrame

    def counted(self, shares: Sequence[Share], means: Sequence[Mean]) -> pl.DataFrame:
        """Sum shares and means up: one row per group, in order."""
        every = self.groups.lazy().select(pl.int_range(pl.len()).alias("g"))
        sums = self.users.lazy().group_by("g").agg(sums_of(shares, means))
        found = every.join(sums, on="g", how="left").with_columns(pl.exclude("g").fill_null(0))
        if ACCOUNT in self.users.columns:
            alike = accounts_effects(self.users.lazy(), ["g"], len(shares), len(means))
            found = found.join(alike, on="g", how="left")
        return found.sort("g").collect()

    def drop_offs(self, definition: Definition, metric: str, place: int) -> pl.DataFrame:
        """Write the rows of the users who got stuck at each step they reached."""
        if not definition.steps:
            return pl.DataFrame(schema=BLOCK)
        kept = [c for c in ("g", ACCOUNT) if c in self.users.columns]
        rows = self.reached.hstack(self.users.select(kept)[self.reached["user"]])
        keys = ["g", "step"]
        steps = range(len(definition.steps))
        every = pl.DataFrame({"step": steps}, schema={"step": pl.Int32}).lazy()
        every = (
            self.groups.lazy().select(pl.int_range(pl.len()).alias("g")).join(every, how="cross")
        )
        counts = [
            pl.col("stuck").sum().cast(pl.Int64).alias("n"),
            pl.len().cast(pl.Int64).alias("of"),
        ]
        sums = rows.lazy().group_by(keys).agg(counts)
        found = every.join(sums, on=keys, how="left").with_columns(pl.col("n", "of").fill_null(0))
        if ACCOUNT in kept:
            alike = rows.lazy().group_by(*keys, ACCOUNT).agg(counts).sort(*keys, ACCOUNT)
            effect = design_effect("n", "of").round_sig_figs(12).alias("effect")
            alike = alike.group_by(keys, maintain_order=True).agg(effect)
            found = found.join(alike, on=keys, how="left")
        table = found.sort(keys).collect()
        effects = table.get_column("effect", default=None)
        n, of = (table[c].to_numpy() for c in ("n", "of"))
        names = [step.name for step in definition.steps]
        return share_block(metric, "", place, n, of, effects).with_columns(
            table["g"],
            (place + table["step"]).alias("place"),
            table["step"]
            .replace_strict(list(steps), names, return_dtype=pl.String)
            .alias("reading"),
        )


def take(
    journeys: Journeys,
    groups: Sequence[str],
    account: str | None,
    since: datetime | None,
    facts: Sequence[pl.Expr],
) -> Taken:
    """Take everybody, part by part, with what shares and means are summed from."""
    parts, reached, seen = [], [], 0
    for part in journeys.parts():
        users = _users(part, groups, account, since, facts)
        steps = _reached(part, users["judged"]).with_columns(pl.col("user") + seen)
        seen += users.height
        parts.append(users)
        reached.append(steps)
    whole = pl.concat(parts, rechunk=False)
    keys = [f"by_{place}" for place in range(len(groups))]
    known = whole.select(keys).unique().sort(keys) if keys else pl.DataFrame({"everyone": [0]})
    if keys:
        numbered = known.with_columns(pl.int_range(pl.len()).alias("g"))
        mine = whole.join(numbered, on=keys, how="left", nulls_equal=True, maintain_order="left")
        whole = mine.drop(keys)
    else:
        whole = whole.with_columns(pl.lit(0, pl.Int64).alias("g"))
    return Taken(whole, known, pl.concat(reached))


def _users(
    journeys: Journeys,
    groups: Sequence[str],
    account: str | None,
    since: datetime | None,
    facts: Sequence[pl.Expr],
) -> pl.DataFrame:
    found = user_facts(journeys, [*groups, *([account] if account else [])], since=since)
    if account:
        found = found.with_columns(account_of(f"by_{len(groups)}")).drop(f"by_{len(groups)}")
    signed, window = pl.col("signed_up_at"), days(journeys.definition.activation_days)
    actions = pl.col("core_actions") + pl.col("beyond_core")
    counts = pl.col("recent") & ~pl.col("late")
    return found.select(
        "^by_.*$",
        f"^{ACCOUNT}$",
        "user_id",
        counts.alias("counts"),
        (counts & (signed + window <= pl.lit(journeys.as_of, AT))).alias("judged"),
        pl.when(actions > 0).then(actions).cast(pl.UInt32).alias("actions"),
        *facts,
    ).collect()


def _reached(journeys: Journeys, judged: pl.Series) -> pl.DataFrame:
    """List the steps that judged users reached."""
    steps = journeys.steps.lazy().select(
        "user_id", pl.col("step").cast(pl.Int32), pl.col("completed_at").is_null().alias("stuck")
    )
    rows = steps.collect()
    user, known = places(rows["user_id"], facts_of(journeys)["user_id"])
    rows = rows.select(pl.Series("user", user), "step", "stuck", known=pl.Series(known))
    return rows.filter(pl.col("known"), judged.gather(rows["user"])).drop("known")
