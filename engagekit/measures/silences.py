"""Re-engagement beside what happens without it: silent users who were contacted against users as long silent who were not.

The silences of users not contacted yet say how fast users return at each length of silence: a silence is entered when
the habit window is over, and left by a return, a first contact or the end of the data. For each contacted user that
says how likely a return within a week was anyway. Rates are per product day, so that a week of holidays is no week.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from engagekit.instants import AT
from engagekit.intervals import newcombe, wilson, z_of
from engagekit.journeys import at_instant, gathered, on_days, windows_of

if TYPE_CHECKING:
    from engagekit.journeys import Journeys

BACK_DAYS = 7  # a contacted user is back with a core action this soon ...
STAY_DAYS = 28  # ... and stayed with another after that, up to here
FEWEST = 10  # contacted users with a comparison, and silences that carry a rate
LEAST_AT_RISK = 0.1  # of the most silences at any time: where fewer are left, nothing is told
DAILY, WEEKLY = (
    28,
    52,
)  # days, then weeks, of silence beyond the habit window that have rates of their own
FEWEST_TRIALS = 5  # users without contact beside the contacted of one part
PARTS = 3  # of the contacted by length of silence, within which those who came back are compared


@dataclass(frozen=True)
class Comparison:
    """A rate of the contacted, what it would have been without contact, and the difference with its interval.

    `compared` contacted users have users as long silent beside them; `others` are these. All None where too few have.
    """

    contacted: int
    compared: int
    others: int
    without: tuple[float, float, float] | None  # rate, low, high
    difference: tuple[float, float, float] | None


@dataclass(frozen=True)
class Silences:
    """What the two comparisons are made of.

    `contacts`: one row per user contacted (for the first time) in a long silence; `weeks`: the product days of each
    one's next seven, `spent`, by `stretch` of silence; `waits`: the same of silences not contacted, and whether one
    `came` in it; `trials`: returns among them, seen from up to seven days before.
    """

    contacts: pl.DataFrame
    weeks: pl.DataFrame
    waits: pl.DataFrame
    trials: pl.DataFrame

    def of(self, users: pl.DataFrame) -> Silences:
        """Keep some users."""
        parts = (self.contacts, self.weeks, self.waits, self.trials)
        return Silences(*(part.join(users, on="user_id", how="semi") for part in parts))


def silences_of(journeys: Journeys) -> Silences:
    """Gather the long silences of all users who activated, and who was contacted in them."""
    contacts = gathered(journeys, contacts_of).collect()
    waits = gathered(journeys, _waits).collect()
    trials = gathered(journeys, lambda part: _trials(part, waits)).collect()
    weeks = contacts.filter("back_known").lazy().with_columns(
        begins="contacted_at", ends=pl.col("contacted_at") + timedelta(days=BACK_DAYS)
    )  # fmt: skip
    spent = waits.lazy().with_columns(begins="ripe", ends="over")
    return Silences(
        contacts,
        _stretches(weeks, journeys).select("user_id", "stretch", "spent").collect(),
        _stretches(spent, journeys)
        .select("user_id", "stretch", "spent", (pl.col("returned") & pl.col("last")).alias("came"))
        .collect(),
        trials,
    )


def _stretches(spans: pl.LazyFrame, journeys: Journeys) -> pl.LazyFrame:
    """Cut spans of silences from `begins` to `ends` where they pass from one length of silence (`stretch`) to the next.

    Each piece says how many product days it `spent`, and whether it is the `last` of its span.
    """
    habit = windows_of(journeys.definition)["habit"]
    edges = [habit + k for k in range(DAILY)] + [habit + DAILY + 7 * k for k in range(WEEKLY + 1)]
    lengths = pl.DataFrame({"low": edges[:-1], "high": edges[1:]}).with_row_index("stretch")
    lengths = lengths.with_columns(pl.duration(days=pl.col("low", "high")).name.keep())
    since = {c: (pl.col(c) - pl.col("start")).alias(f"_{c}") for c in ("begins", "ends")}
    inside = spans.with_columns(*since.values()).join_where(
        lengths.lazy(), pl.col("_ends") > pl.col("low"), pl.col("_begins") < pl.col("high")
    )
    from_ = pl.max_horizontal("begins", pl.col("start") + pl.col("low"))
    to = pl.min_horizontal("ends", pl.col("start") + pl.col("high"))
    return inside.with_columns(
        (at_instant(journeys, to) - at_instant(journeys, from_)).alias("spent"),
        (pl.col("_ends") <= pl.col("high")).alias("last"),
    )


def contacts_of(journeys: Journeys) -> pl.LazyFrame:
    """Find each user's first message after a silence of the habit window, and what came of it.

    Returns
    -------
    LazyFrame
        `user_id`, `start` of the silence, `contacted_at`; `came_back` with a core action within 7 days, `stayed` with
        one on days 8 to 28; `delay`, whole days until the first; `back_known`, `stay_known`: those days have passed;
        `silence`, how long they had been silent, in days.
    """
    found = _silences(journeys).filter("contacted").sort("user_id", "contacted_at")
    first = found.group_by("user_id", maintain_order=True).first()
    return _with_returns(first.rename({"contacted_at": "at"}), journeys).rename(
        {"at": "contacted_at"}
    )


def _silences(journeys: Journeys) -> pl.LazyFrame:
    """List silences as long as the habit window: `start`, `ripe` (the window is over), `end` (null: not yet), `contacted_at`."""
    habit = timedelta(days=windows_of(journeys.definition)["habit"])
    activated = journeys.users.lazy().select("user_id", "activated_at").drop_nulls()
    core = on_days(journeys, "core").select("user_id", "first_at", "last_at")
    at = pl.col("activated_at")
    begun = activated.select("user_id", at.alias("first_at"), at.alias("last_at"))
    same = pl.col("user_id") == pl.col("user_id").shift(-1)
    silent = (
        pl.concat([begun, core])
        .join(activated, on="user_id")
        .sort("user_id", "first_at", "last_at")
        .select(
            "user_id",
            pl.col("last_at").cum_max().over("user_id").alias("start"),
            pl.when(same).then(pl.col("first_at").shift(-1)).alias("end"),
            at,
        )
        .filter(pl.col("start") >= at)
        .with_columns((pl.col("start") + habit).alias("ripe"))
        .filter(pl.col("ripe") <= pl.coalesce("end", pl.lit(journeys.as_of, AT)))
        .drop("activated_at")
    )
    mails = on_days(journeys, "outreach")
    sent = pl.concat([mails.select("user_id", pl.col(c).alias("contacted_at")) for c in ("first_at", "last_at")])  # fmt: skip
    found = silent.sort("ripe").join_asof(
        sent.sort("contacted_at"),
        left_on="ripe",
        right_on="contacted_at",
        by="user_id",
        strategy="forward",
        check_sortedness=False,
    )
    inside = pl.col("contacted_at") <= pl.coalesce("end", pl.lit(journeys.as_of, AT))
    return found.with_columns(inside.fill_null(value=False).alias("contacted"))


def _waits(journeys: Journeys) -> pl.LazyFrame:
    """List the silences of users until their first contact in one: from when they are `ripe` until `over`, or `returned`."""
    found = _silences(journeys)
    first = (
        found.filter("contacted")
        .group_by("user_id")
        .agg(pl.col("contacted_at").min().alias("first"))
    )
    over = pl.min_horizontal("end", "first", pl.lit(journeys.as_of, AT))
    returned = pl.col("end").is_not_null() & (pl.col("end") <= over) & ~pl.col("contacted")
    return (
        found.join(first, on="user_id", how="left")
        .filter(pl.col("first").is_null() | (pl.col("ripe") <= pl.col("first")))
        .select("user_id", "start", "ripe", over.alias("over"), returned.alias("returned"))
    )


def _trials(journeys: Journeys, waits: pl.DataFrame) -> pl.LazyFrame:
    """See each return without contact as the answer to a contact that was not made, on up to seven days before it."""
    mine = journeys.users.lazy().select("user_id")
    back = waits.lazy().filter("returned").join(mine, on="user_id", how="semi")
    ago = pl.DataFrame({"ago": [k + 0.5 for k in range(BACK_DAYS)]}).lazy()
    at = pl.col("over") - pl.duration(microseconds=(pl.col("ago") * 86_400_000_000).cast(pl.Int64))
    trials = back.join(ago, how="cross").with_columns(at.alias("at"))
    trials = trials.filter(pl.col("at") >= pl.col("ripe")).select("user_id", "start", "at")
    return _with_returns(trials, journeys).filter("stay_known")


def _with_returns(moments: pl.LazyFrame, journeys: Journeys) -> pl.LazyFrame:
    """Say what came of each moment in a silence: a core action within 7 days, one on days 8 to 28."""
    end = pl.lit(journeys.as_of, AT)
    back, stay = timedelta(days=BACK_DAYS), timedelta(days=STAY_DAYS)
    core = on_days(journeys, "core").select("user_id", "first_at", "last_at").sort("last_at")
    found, since_at = moments, (pl.col("first_at") - pl.col("at")).dt.total_days()
    for name, since, until in (
        ("came_back", timedelta(0), back),
        ("stayed", back, stay),
    ):
        # The first day that goes on to the window's start or beyond; it counts if it began before the window's end.
        looked = found.with_columns((pl.col("at") + since).alias("_since")).sort("_since")
        looked = looked.join_asof(
            core,
            left_on="_since",
            right_on="last_at",
            by="user_id",
            strategy="forward",
            check_sortedness=False,
        )
        hit = (pl.col("first_at") < pl.col("at") + until).fill_null(value=False)
        looked = looked.with_columns(hit.alias(name), since_at.clip(0).alias(f"_{name}"))
        found = looked.drop("_since", "first_at", "last_at")
    silence = (pl.col("at") - pl.col("start")).dt.total_microseconds() / 86_400_000_000
    return found.select(
        "user_id",
        "start",
        "at",
        "came_back",
        "stayed",
        pl.col("_came_back").alias("delay"),
        (pl.col("at") + back <= end).alias("back_known"),
        (pl.col("at") + stay <= end).alias("stay_known"),
        silence.alias("silence"),
    )


def compare_returns(found: Silences) -> Comparison:
    """Compare returns within 7 days of contact with those of users as long silent who were not contacted.

    ``without = mean over the contacted of 1 - exp(-Σ rate(stretch) · product days of their week in it)``, with
    ``rate = returns / product days`` of silences not contacted. The errors are by user: each user's part in the
    contacted and in the rates together.
    """
    contacts = found.contacts.filter("back_known")
    back = pl.col("came").sum()
    rates = found.waits.group_by("stretch").agg(
        pl.len().alias("at_risk"),
        pl.col("spent").sum().alias("all_spent"),
        (back / pl.col("spent").sum()).alias("rate"),
    )
    least = pl.max_horizontal(pl.lit(FEWEST), LEAST_AT_RISK * pl.col("at_risk").max())
    rates = rates.filter(pl.col("at_risk") >= least, pl.col("all_spent") > 0)
    weeks = found.weeks.join(rates, on="stretch", how="left")
    awaited = 1 - (-(pl.col("rate") * pl.col("spent")).sum()).exp()
    known = pl.col("rate").is_not_null().all()
    expected = weeks.group_by("user_id").agg(awaited.alias("expected"), known.alias("known"))
    kept = contacts.join(expected.filter("known"), on="user_id").sort("user_id")
    if kept.height < FEWEST:
        return Comparison(contacts.height, kept.height, 0, None, None)
    count = kept.height
    without = math.fsum(kept["expected"]) / count
    difference = int(kept["came_back"].sum()) / count - without
    # By how much one more return in each stretch would move the mean, and so what each silence contributed.
    left = (1 - pl.col("expected")) * pl.col("spent") / count
    moves = (
        weeks.join(kept.select("user_id", "expected"), on="user_id")
        .group_by("stretch")
        .agg(left.sum().alias("moves"))
    )
    of_waits = (
        found.waits.join(rates, on="stretch")
        .join(moves, on="stretch")
        .select(
            "user_id",
            part=pl.col("moves")
            * (pl.col("came") - pl.col("rate") * pl.col("spent"))
            / pl.col("all_spent"),
        )
    )
    own = kept.select(
        "user_id", part=(pl.col("came_back") - pl.col("expected") - difference) / count
    )
    mix = kept.select("user_id", part=(pl.col("expected") - without) / count)
    came = int(kept["came_back"].sum())
    return _comparison(contacts.height, came, count, without, of_waits, mix=mix, own=own)


def compare_stays(found: Silences) -> Comparison:
    """Compare who of the returned stays: after contact, and after silences as long without it.

    Within parts by length of silence and by how many days it took to come back, each weighted by the contacted in it:
    who is contacted often has few uncontacted silences left that last, so the latter differs by itself.
    """
    contacts = found.contacts.filter("came_back", "stay_known")
    nothing = Comparison(contacts.height, 0, 0, None, None)
    if contacts.height < FEWEST or found.trials.is_empty():
        return nothing
    cuts = [contacts["silence"].quantile(k / PARTS) for k in range(1, PARTS)]
    part = pl.lit(0)
    for cut in cuts:
        part += (pl.col("silence") > cut).cast(pl.Int32)
    place = ["part", "delay"]
    contacts = contacts.with_columns(part.alias("part"))
    inside = pl.col("silence").is_between(contacts["silence"].min(), contacts["silence"].max())
    trials = found.trials.filter("came_back", inside).with_columns(part.alias("part"))
    rates = trials.group_by(place).agg(
        pl.col("stayed").mean().alias("expected"),
        pl.len().alias("_trials"),
        pl.col("user_id").n_unique().alias("_users"),
    )
    enough = pl.col("_users") >= FEWEST_TRIALS
    kept = contacts.join(rates.filter(enough), on=place).sort("user_id")
    if kept.height < FEWEST:
        return Comparison(contacts.height, kept.height, 0, None, None)
    count = kept.height
    without = math.fsum(kept["expected"]) / count
    difference = int(kept["stayed"].sum()) / count - without
    stayed = pl.col("stayed").cast(pl.Float64)
    own = kept.select("user_id", part=(stayed - pl.col("expected") - difference) / count)
    weights = kept.group_by(place).agg(pl.len().alias("_here"), pl.col("expected", "_trials").first())  # fmt: skip
    others = trials.join(weights, on=place).select(
        "user_id",
        part=pl.col("_here") / count * (stayed - pl.col("expected")) / pl.col("_trials"),
    )
    mix = kept.select("user_id", part=(pl.col("expected") - without) / count)
    stayed_on = int(kept["stayed"].sum())
    return _comparison(contacts.height, stayed_on, count, without, others, mix=mix, own=own)


def _comparison(
    contacted: int,
    did: int,
    count: int,
    without: float,
    others: pl.DataFrame,
    *,
    mix: pl.DataFrame,
    own: pl.DataFrame,
) -> Comparison:
    """Put intervals around the rate without contact and the difference to it, from each user's `part` in them.

    They are never narrower than those of as many plain shares (Wilson, Newcombe): parts tell nothing about a rate of 0
    or 1, as they all are 0 then.
    """
    users = others["user_id"].n_unique()
    seen = without * users
    difference, low, high = newcombe(did, count, seen, users)
    minus = others.with_columns(-pl.col("part"))
    return Comparison(
        contacted,
        count,
        users,
        _around(without, [others, mix], 0.0, *wilson(seen, users)),
        _around(difference, [own, minus], -1.0, low, high),
    )


def _around(
    value: float, parts: list[pl.DataFrame], least: float, low: float, high: float
) -> tuple[float, float, float]:
    """Put the interval around a value, at least from `low` to `high`: the parts of one user are one."""
    mine = pl.concat(parts).group_by("user_id").agg(pl.col("part").sum()).sort("user_id")
    half = z_of(0.95) * math.sqrt(math.fsum(x * x for x in mine["part"]))
    return value, max(least, min(low, value - half)), min(1.0, max(high, value + half))
