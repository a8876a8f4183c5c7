"""Measure the weekly cohort table against DuckDB's SQL for the same table, in one run; by hand.

    python tests/bench_cohorts.py events.parquet [rounds]

Each side runs in a process of its own, in turns; what counts is the ratio of their CPU seconds.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import time

CORE = ["create_item", "edit_item"]
WEEKS = 60  # more than the log has, as the SQL knows no limit
# The reference's own steps, and the same table as one statement.
SIGN_UPS = """select user_id, min("at") as signed_up_at from '{log}' where event = 'signup' group by user_id"""
CORE_DAYS = """select distinct user_id, "at"::date as day from '{log}' where event in ('create_item', 'edit_item')"""
WEEKLY = """select date_trunc('week', s.signed_up_at)::date as cohort,
       date_diff('day', date_trunc('week', s.signed_up_at)::date, date_trunc('week', c.day)::date) // 7 as period,
       count(distinct c.user_id) as n
from core_days c join signup s using (user_id) where c.day >= s.signed_up_at::date group by cohort, period"""


def duckdb_steps(log):
    import duckdb

    base = duckdb.connect()
    base.execute("set threads = 2")
    base.execute("create temp table signup as " + SIGN_UPS.format(log=log))
    base.execute("create temp table core_days as " + CORE_DAYS.format(log=log))
    return base.execute(WEEKLY).fetchall()


def duckdb_statement(log):
    import duckdb

    base = duckdb.connect()
    base.execute("set threads = 2")
    sign_ups, core = SIGN_UPS.format(log=log), CORE_DAYS.format(log=log)
    return base.execute(f"with signup as ({sign_ups}), core_days as ({core}) {WEEKLY}").fetchall()


def engagekit(log, as_of=None, **more):
    import polars as pl

    import engagekit as ek

    table = ek.retention(
        pl.scan_parquet(log), start="signup", back=CORE, periods=WEEKS, as_of=as_of, **more
    )
    return table.filter(pl.col("n") > 0).select("cohort", "period", "n").rows()


def engagekit_given(log):
    return engagekit(log, as_of="2025-07-05")


SIDES = {f.__name__: f for f in (duckdb_steps, duckdb_statement, engagekit, engagekit_given)}


def measure(side, log):
    """Run one side in this process and print what it cost, imports aside."""
    for module in ("duckdb",) if side.startswith("duckdb") else ("polars", "engagekit.cohorts"):
        importlib.import_module(module)
    before, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    rows = SIDES[side](log)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Period 0 is the cohort's size here, and who acted in that week there: it is not compared.
    later = sorted((str(c), int(p), int(n)) for c, p, n in rows if p >= 1)
    cost = {"cpu": cpu, "wall": time.perf_counter() - wall, "mb": after.ru_maxrss / 1024}
    print(json.dumps(cost | {"rows": later}))


def main(log, rounds=5):
    """Run all sides in turns and print the ratios of their medians."""
    costs = {side: [] for side in SIDES}
    tables = {}
    for _ in range(rounds):
        for side in SIDES:
            command = [sys.executable, __file__, "--side", side, log]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            tables[side] = found.pop("rows")
            costs[side].append(found)
    same = all(table == tables["duckdb_steps"] for table in tables.values())
    print(f"{len(tables['duckdb_steps'])} cells after period 0, the same on all sides: {same}")
    median = {
        side: {k: statistics.median(c[k] for c in found) for k in ("cpu", "wall", "mb")}
        for side, found in costs.items()
    }
    for side, cost in median.items():
        ratio = {
            ref: cost["cpu"] / median[ref]["cpu"] for ref in ("duckdb_steps", "duckdb_statement")
        }
        print(
            f"{side:17} cpu {cost['cpu']:.2f} s, wall {cost['wall']:.2f} s, {cost['mb']:.0f} MB; "
            + ", ".join(f"{r:.2f} x {ref}" for ref, r in ratio.items())
        )


if __name__ == "__main__":
    if sys.argv[1] == "--side":
        measure(sys.argv[2], sys.argv[3])
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
