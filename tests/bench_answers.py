"""What answers cost once a log is rolled up, as ratios taken in one run: python tests/bench_answers.py [USERS] [ROUNDS]

CPU seconds of one process, imports left out, medians of the rounds. The base is a plain polars query over the same
log (last core time, core days and active days per user), so that the ratios hold on other machines. Each round opens
the journeys anew, so that the first answer pays for the facts about each user and the next ones read them.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path
from statistics import median

import altair as alt  # noqa: F401 -- imports are not counted
import numpy as np
import polars as pl
import scipy.special  # noqa: F401
import vl_convert  # noqa: F401

import engagekit as ek
import engagekit.cohorts
import engagekit.diagnosis
import engagekit.first_weeks
import engagekit.measures
import engagekit.priority
import engagekit.reporting
import engagekit.review
import engagekit.rollups

DAY = 86_400_000_000
START = np.datetime64("2026-01-05", "us").astype("int64")
NAMES = ["make", "edit", "report", "share", "invite", "open", "done", "ask", "give", *(f"other {k}" for k in range(12))]  # fmt: skip
D = ek.Definition(
    signup="join", activation="make", core=["make", "edit"], advanced=["report", "share"],
    advocacy="invite", feedback_asked="ask", feedback_given="give", steps=[ek.Step("Setup", "open", "done")],
    habit_days=7, depth_days=35, targets={"activation": 0.35, "habit": 0.5, "depth": 0.4},
)  # fmt: skip


def log_of(users: int) -> pl.DataFrame:
    """Make a log of about 20 events per user over 180 days: activity decays at each user's own pace."""
    draw = np.random.default_rng(7)
    signed = START + (draw.random(users) * 120 * DAY).astype("int64")
    count = np.maximum(1, draw.lognormal(2.3, 1.2, users)).astype("int64")
    user = np.repeat(np.arange(users), count)
    pace = np.repeat(draw.gamma(1.2, 18, users) + 0.05, count)
    at = signed[user] + (draw.exponential(1, len(user)) * pace * DAY).astype("int64")
    weight = 1 / np.arange(1, len(NAMES) + 1)
    name = draw.choice(len(NAMES), len(user), p=weight / weight.sum())
    acts = pl.DataFrame({"user_id": user, "event": pl.Series(NAMES).gather(name), "at": at})
    joins = pl.DataFrame({"user_id": np.arange(users), "event": ["join"] * users, "at": signed})
    whole = pl.concat([joins, acts]).filter(pl.col("at") < START + 180 * DAY)
    return whole.with_columns(pl.col("at").cast(pl.Datetime("us"))).sort("at")


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def plain(log: pl.DataFrame) -> pl.DataFrame:
    core, day = pl.col("event").is_in(["make", "edit"]), pl.col("at").dt.date()
    return (
        log.lazy()
        .group_by("user_id")
        .agg(pl.col("at").filter(core).max(), day.filter(core).n_unique().alias("core"), day.n_unique().alias("days"))
        .collect(engine="streaming")
    )  # fmt: skip


def with_steps(count: int) -> float:
    """Give the CPU time of the answers under a definition of many steps, rolling up left out."""
    draw, users, events = np.random.default_rng(1), 20_000, 300_000
    step = draw.integers(0, count, events)
    names = np.char.add(draw.choice(["to ", "through "], events), step.astype(str))
    at = START + (draw.random(events) * 120 * DAY).astype("int64")
    acts = pl.DataFrame({"user_id": draw.integers(0, users, events), "event": names, "at": at})
    joins = pl.DataFrame({"user_id": np.arange(users), "event": ["join"] * users, "at": [START] * users})  # fmt: skip
    log = pl.concat([joins, acts]).with_columns(pl.col("at").cast(pl.Datetime("us")))
    steps = [ek.Step(f"Step {k}", f"to {k}", f"through {k}") for k in range(count)]
    definition = ek.Definition(signup="join", activation="make", core="make", steps=steps)
    journeys = ek.rollup(log, definition, missing="allow")
    before = cpu()
    for answer in (ek.prioritize, ek.diagnose, ek.metrics, ek.step_drop_off):
        answer(journeys)
    return cpu() - before


def rounds_of(log: pl.DataFrame, folder: Path) -> dict[str, float]:
    """Take one round: name of what is asked to its CPU seconds."""
    taken: dict[str, float] = {}

    def timed(name, ask):
        before = cpu()
        found = ask()
        taken[name] = cpu() - before
        return found

    timed("plain polars, three numbers per user", lambda: plain(log))
    journeys = timed("journeys opened from disk", lambda: ek.Journeys.load(folder))
    four = (ek.prioritize, ek.diagnose, ek.label_users, ek.cohort_curves)
    timed("prioritize, diagnose, label_users, cohort_curves", lambda: [a(journeys) for a in four])
    timed("prioritize, a changed target", lambda: ek.prioritize(journeys, targets={"habit": 0.4}))
    for answer in (ek.metrics, ek.compare_first_weeks):
        fresh = ek.Journeys.load(folder)
        timed(f"{answer.__name__}, alone", lambda answer=answer, j=fresh: answer(j))
    timed("check_events, of the log", lambda: ek.check_events(log, D))
    timed("replay, alone", lambda: ek.replay(ek.Journeys.load(folder)))
    timed("report, alone", lambda: ek.report(ek.Journeys.load(folder), folder.parent / "page.html"))
    for answer in (ek.prioritize, ek.metrics, ek.cohort_curves):
        for by in (None, "city"):
            fresh = ek.Journeys.load(folder)
            said = "without groups" if by is None else "with 10,000 groups"
            timed(f"{answer.__name__}, {said}", lambda a=answer, j=fresh, by=by: a(j, by=by))
    taken["four answers, 2,000 steps, 20,000 users"] = with_steps(2_000)
    return taken


def main(users: int, rounds: int) -> None:
    log = log_of(users)
    draw = np.random.default_rng(3)
    cities = pl.DataFrame({"user_id": np.arange(users), "city": draw.integers(0, 10_000, users)})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "journeys"
        before = cpu()
        ek.rollup(log, D, users=cities.with_columns(pl.format("city {}", "city"))).save(folder)
        rolled = cpu() - before
        found = [rounds_of(log, folder) for _ in range(rounds)]
    told = {"rollup and saving (once)": rolled}
    told |= {name: median(one[name] for one in found) for name in found[0]}
    base = told["plain polars, three numbers per user"]
    print(f"| {users:,} users, {log.height:,} events, median of {rounds} | CPU | of plain polars |")
    print("|---|---:|---:|")
    for name, seconds in told.items():
        print(f"| {name} | {seconds:.2f} s | {seconds / base:.2f} x |")
    for name in ("prioritize", "metrics", "cohort_curves"):
        more = told[f"{name}, with 10,000 groups"] / told[f"{name}, without groups"]
        print(f"{name}: 10,000 groups cost {more:.1f} x of no groups")


if __name__ == "__main__":
    given = [*sys.argv[1:], *["500000", "3"][len(sys.argv) - 1 :]]
    main(int(given[0]), int(given[1]))
