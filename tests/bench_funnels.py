"""Speed of the five-step funnel beside DuckDB's SQL for the same counts: ``python tests/bench_funnels.py LOG [ROUNDS]``.

LOG is a parquet file as ``bench/make_events.py 10m`` writes it. Each side runs in a process of its own, in turns; what
counts is the CPU time of the work itself, without the imports.
"""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
import time

STEPS = ["create_item", "edit_item", "share_item", "invite", "export"]
DAYS = 7


def of_engagekit(log: str) -> list[int]:
    import engagekit as ek

    return ek.funnel(ek_log(log), STEPS, within=f"{DAYS}d")["n"].to_list()


def of_engagekit_as_of(log: str) -> list[int]:
    import engagekit as ek

    return ek.funnel(ek_log(log), STEPS, within=f"{DAYS}d", as_of="2026-01-01")["n"].to_list()


def ek_log(log: str):
    import polars as pl

    return pl.scan_parquet(log)


def of_duckdb_asof(log: str) -> list[int]:
    """Carry the latest start of each chain from step to step by ASOF joins: the quickest SQL known."""
    names = ", ".join(map(repr, STEPS))
    query = f"""with e as materialized (select user_id, event, "at" from '{log}' where event in ({names})),
        s0 as (select user_id, "at", "at" as begun from e where event = '{STEPS[0]}')"""
    for step in range(1, len(STEPS)):
        query += f""", s{step} as (select b.user_id, b."at", a.begun
            from (select user_id, "at" from e where event = '{STEPS[step]}') b
            asof join s{step - 1} a on a.user_id = b.user_id and a."at" <= b."at"
            where b."at" <= a.begun + interval {DAYS} day)"""
    counts = [f"(select count(distinct user_id) from s{step})" for step in range(len(STEPS))]
    return list(of_duckdb(f"{query} select {', '.join(counts)}"))


def of_duckdb_windows(log: str) -> list[int]:
    """The same by running maxima in nested windows."""
    names = ", ".join(map(repr, STEPS))
    cases = " ".join(f"when '{name}' then {step}" for step, name in enumerate(STEPS))
    query = f"""with e as (select user_id, "at", case event {cases} end as step from '{log}' where event in ({names})),
        w0 as (select *, case when step = 0 then "at" end as c0 from e)"""
    for step in range(1, len(STEPS)):
        query += f""", v{step} as (select *, max(c{step - 1}) over (partition by user_id order by "at", step
            rows between unbounded preceding and 1 preceding) as p from w{step - 1}),
            w{step} as (select * exclude (p), case when step = {step} and "at" <= p + interval {DAYS} day then p end
            as c{step} from v{step})"""
    counts = [f"count(distinct user_id) filter (c{step} is not null)" for step in range(len(STEPS))]
    return list(of_duckdb(f"{query} select {', '.join(counts)} from w{len(STEPS) - 1}"))


def of_duckdb(query: str) -> tuple[int, ...]:
    import duckdb

    connection = duckdb.connect()
    connection.execute("set threads = 2")
    return connection.execute(query).fetchone()


SIDES = {
    f.__name__[3:]: f for f in (of_engagekit, of_engagekit_as_of, of_duckdb_asof, of_duckdb_windows)
}


def work(side: str, log: str) -> None:
    for name in (
        "duckdb",
        "engagekit.funnels",
        "engagekit.funnels.attempts",
        "engagekit.funnels.results",
    ):
        importlib.import_module(name)
    before, wall = time.process_time(), time.perf_counter()
    counts = SIDES[side](log)
    print(
        json.dumps(
            {
                "cpu": time.process_time() - before,
                "wall": time.perf_counter() - wall,
                "counts": counts,
            }
        )
    )


def run(side: str, log: str) -> dict:
    command = [sys.executable, __file__, "--side", side, log]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(log: str, rounds: int = 3) -> None:
    taken = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            taken[side].append(run(side, log))
    results = {tuple(each["counts"]) for runs in taken.values() for each in runs}
    print("counts", *results)
    reference = statistics.median(each["cpu"] for each in taken["duckdb_asof"])
    for side, runs in taken.items():
        cpu = statistics.median(each["cpu"] for each in runs)
        wall = statistics.median(each["wall"] for each in runs)
        print(f"{side:18} cpu {cpu:.2f} s  wall {wall:.2f} s  x DuckDB ASOF {cpu / reference:.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "--side":
        work(sys.argv[2], sys.argv[3])
    else:
        main(sys.argv[1], *map(int, sys.argv[2:3]))
