"""How true labels, watch list, windows and metrics are on logs whose truth is known; the benchmark prints it, slow tests hold it."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import rhythm_worlds as worlds
from rhythm_worlds import RHYTHMS, at, made, mailed, stationary

import engagekit as ek
from engagekit.diagnosis.labels import QUIET, REPEATED, SILENCE, USUAL_GAP
from engagekit.diagnosis.user_state import standing
from engagekit.journeys.days import on_days

DAYS = 480
# Where it matters: on days in a shutdown of two weeks and just after it.
LOOKS = {"office, two weeks shut": (353, 357, 360, 364)}
CHANGING = ("power-law gaps", "power-law rates", "slowing down")  # no rhythm, or one that changes
FLOW = 28


def stand(journeys):
    """Who had come back, whether drifted, and whether on the watch list."""
    facts = standing(journeys, silent_for=0).filter(REPEATED)
    drift = QUIET.fill_null(value=False)
    watched = (SILENCE >= 2 * USUAL_GAP).fill_null(value=False) & ~drift
    return facts.select("user_id", drift.alias("drift"), watched.alias("watched")).collect()


def world(name, *, users=1500, seed=0, **more):
    return made(RHYTHMS[name], users=users, days=DAYS, seed=seed, **more)


def mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / max(1, len(known))


def labels(name, *, users=1500, seed=0, **more):
    """Live users called drifted, users dead for 90 days found, live users whose label flips in 12 weeks."""
    log = world(name, users=users, seed=seed, **more)
    journeys = log.journeys()
    live_drift, found = [], []
    for day in LOOKS.get(name, (DAYS - 13, DAYS - 6, DAYS)):
        then = stand(journeys.at(at(day))).join(log.standing(day), on="user_id")
        live_drift.append(then.filter("live").select(pl.col("drift").mean()).item())
        found.append(then.filter(pl.col("dead_for") >= 90).select(pl.col("drift").mean()).item())
    weeks = None
    for week in range(13):
        look = stand(journeys.at(at(DAYS - 7 * week))).select(
            "user_id", pl.col("drift").alias(str(week))
        )
        weeks = look if weeks is None else weeks.join(look, on="user_id", how="left")
    live = weeks.join(log.standing(DAYS).filter("live"), on="user_id", how="semi").drop("user_id")
    any_, all_ = pl.any_horizontal(pl.all()), pl.all_horizontal(pl.all().fill_null(value=False))
    flips = live.select((any_ & ~all_).mean()).item()
    return {"live drift": mean(live_drift), "dead found": mean(found), "flips": flips}


def watch(name, *, users=1500, seed=0, weeks=8):
    """Mean size of the watch list per weekday, from Monday, each counted at the day's start."""
    journeys = world(name, users=users, seed=seed).journeys()
    sizes = [[] for _ in range(7)]
    for back in range(7 * weeks):
        moment = at(DAYS - back)
        sizes[moment.weekday()].append(stand(journeys.at(moment))["watched"].sum())
    return [sum(each) / len(each) for each in sizes]


def spread(sizes):
    """The largest weekday over the smallest."""
    return max(sizes) / min(sizes) if min(sizes) else float("inf")


def steady(days, *, per_day=40, seed=0):
    """Of a product that never changes: engagement rate, drift share, pace of drift, and every share of the diagnosis."""
    journeys = stationary(days, per_day=per_day, seed=seed).journeys(advanced=["report"])
    rate = ek.metrics(journeys).filter(metric="engagement rate")["value"].item()
    table = ek.diagnose(journeys)
    drift = table.filter(label="drift").row(0, named=True)
    found = {
        "engagement rate": rate,
        "drift share": drift["share_of_those"],
        "per 28 days": drift["per_28_days"],
    }
    return found | dict(table.drop_nulls("share").select("label", "share").rows())


def came_back(journeys, days):
    """Of those labelled drift so many days ago, and of those not: how many, and how many had a core action since."""
    then = journeys.as_of - timedelta(days=days)
    back = on_days(journeys, "core").filter(pl.col("last_at") >= then).select("user_id").unique()
    known = stand(journeys.at(then)).join(
        back.with_columns(back=pl.lit(value=True)).collect(), on="user_id", how="left"
    )
    counts = known.group_by("drift").agg(pl.len(), pl.col("back").sum()).rows()
    return {drift: (back, of) for drift, of, back in counts}


MAILS = {
    "every 14 days": {"every": 14},
    "every 7 days": {"every": 7},
    "every 3 days": {"every": 3},
    "every day": {"every": 1},
    "gaps of 1 to 14 days": {"every": (1, 14)},
    "every 28 days": {"every": 28},
    "all on one day, every 14": {"every": 14, "together": True},
    "all on Tuesdays": {"every": 7, "together": True},
    "to the silent for 7 days": {"every": 14, "silent_for": 7},
}
WORKING = {
    "every 14 days": {"every": 14, "brings": 0.3},
    "gaps of 1 to 14 days": {"every": (1, 14), "brings": 0.3},
    "every 28 days": {"every": 28, "brings": 0.3},
}


def outreach(name, mail, *, users=600, days=300, seed=0):
    """Intervals of the unprompted excess and of the differences in re-engagement and post-return retention."""
    log = mailed(made(RHYTHMS[name], users=users, days=days, seed=seed), seed=seed, **mail)
    table = ek.metrics(log.journeys(outreach="mail"), recent=None)
    rows = {
        "excess": table.filter(pl.col("reading").str.ends_with("beyond chance")),
        "re-engagement": table.filter(metric="re-engagement", reading="difference"),
        "post-return": table.filter(metric="post-return retention", reading="difference"),
    }
    return {key: row.select("low", "high").row(0) for key, row in rows.items()}


def month_end_books():
    """The review's product: 500 users close their books on the first three days of every month, nobody leaves."""
    rows = []
    for user in range(500):
        start = worlds.datetime(2025, 3, 3, 9) + timedelta(days=user % 240)
        rows += [(user, "signed_up", start), (user, "first", start), (user, "work", start)]
        closes = (
            worlds.datetime(2025, month, day, 10) for month in range(3, 13) for day in (1, 2, 3)
        )
        rows += [(user, "work", close) for close in closes if close > start]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(
        signup="signed_up",
        activation="first",
        core="work",
        targets={"activation": 0.35, "habit": 0.5},
    )
    return ek.rollup(log, definition, as_of="2025-12-28")
