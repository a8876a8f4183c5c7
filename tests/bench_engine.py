"""Speed and memory beside other engines, as ratios taken in one run: python tests/bench_engine.py 1m|10m|100m [ROUNDS] [FOLDER] [ORDER]

ORDER is by_time (as logs usually come), by_user, shuffled, or text: by time, with ids that are text.

Every side runs in a process of its own, in turn with the others; the median of the rounds is shown. The logs are made by
the script that also defines the reference (../shared/bench), into FOLDER. Imports are not counted; reading the file is.
A side is left out where its package is not installed; Retentioneering is looked for in the environment
RETENTIONEERING_PYTHON names, since it wants other versions of what engagekit needs.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import uuid
from pathlib import Path
from statistics import median

import polars as pl

SHARED = Path(__file__).parent.parent.parent / "shared" / "bench"
MEASURE = """
import json, resource, sys, time
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
log = sys.argv[1]
{imports}
before, start = cpu(), time.perf_counter()
{body}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(cpu=cpu() - before, wall=time.perf_counter() - start, peak=peak)))
"""
ANSWERS = """
answers = (ek.prioritize, ek.diagnose, ek.cohort_curves, ek.compare_first_weeks, ek.metrics)
found = [answer(journeys) for answer in answers]
"""
OURS = """
import engagekit as ek, numpy, scipy.special
import engagekit.priority, engagekit.cohorts, engagekit.first_weeks, engagekit.measures, engagekit.rollups
"""
SIDES = {
    "engagekit": (
        OURS,
        "import polars as pl\n"
        f"journeys = ek.rollup(pl.scan_parquet(log), ek.Definition.load({str(SHARED / 'bench.toml')!r}))\n{ANSWERS}",
    ),
    "engagekit, rollup alone": (
        OURS,
        "import polars as pl\n"
        f"journeys = ek.rollup(pl.scan_parquet(log), ek.Definition.load({str(SHARED / 'bench.toml')!r}))\n",
    ),
    "engagekit, rollup of a relation in DuckDB": (
        OURS
        + "import duckdb\nconnection = duckdb.connect()\nconnection.execute('set threads=2')\n",
        f"journeys = ek.rollup(connection.read_parquet(log), ek.Definition.load({str(SHARED / 'bench.toml')!r}))\n",
    ),
    "engagekit, prepared on the way": (
        OURS + "import tempfile, shutil, polars as pl\nplace = tempfile.mkdtemp()\n",
        "ek.prepare_events(pl.scan_parquet(log), place + '/log', progress=False)\n"
        f"journeys = ek.rollup(place + '/log', ek.Definition.load({str(SHARED / 'bench.toml')!r}), into=place + '/journeys')\n{ANSWERS}"
        "shutil.rmtree(place)\n",
    ),
    "DuckDB, the bare tables": (
        "import duckdb\n",
        "connection = duckdb.connect()\nconnection.execute('set threads=2')\n"
        f"connection.execute(open({str(SHARED / 'duckdb.sql')!r}).read().replace('{{log}}', log))\n",
    ),
    "pandas, the per-user table": (
        "import pandas as pd\n",
        """
frame = pd.read_parquet(log)
signed = frame[frame.event == "signup"].groupby("user_id")["at"].min().rename("signed_up_at")
frame = frame.join(signed, on="user_id", how="inner")
core = frame[frame.event.isin(["create_item", "edit_item"])]
day = frame["at"].dt.floor("D")
table = pd.DataFrame({
    "activated_at": frame[frame.event == "create_item"].groupby("user_id")["at"].min(),
    "last_core_at": core.groupby("user_id")["at"].max(),
    "active_days": day.groupby(frame["user_id"]).nunique(),
    "core_days": core["at"].dt.floor("D").groupby(core["user_id"]).nunique(),
})
""",
    ),
    "reading the three columns": (
        "import polars as pl\n",
        "pl.scan_parquet(log).select(pl.all().max()).collect()\n",
    ),
}
# Without a segment and metrics it computes nothing; these are the nearest it has to the bare tables.
RETENTIONEERING = (
    "import pandas as pd\nfrom retentioneering.eventstream import Eventstream\n",
    """
frame = pd.read_parquet(log).rename(columns={"at": "timestamp"})
frame["month"] = frame.groupby("user_id")["timestamp"].transform("min").dt.strftime("%Y-%m")
stream = Eventstream(frame, schema={"segment_cols": ["month"]})
events = ["create_item", "edit_item", "share_item", "report", "integrate", "template", "invite"]
shares = [{"metric": "has_event", "metric_args": {"event": e}, "agg": "mean"} for e in events]
means = [{"metric": m, "agg": "mean"} for m in ("length", "active_days", "duration")]
overview = stream.segment_overview(segment_col="month", metrics=[*means, *shares])
assert not overview.error and "active_days_mean" in overview.result, overview.error
""",
)


def run(python: str, side: tuple[str, str], log: Path) -> dict[str, float] | None:
    code = MEASURE.format(imports=side[0], body=side[1])
    done = subprocess.run(
        [python, "-c", code, str(log)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1:] or "failed", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def log_of(size: str, folder: Path, order: str) -> Path:
    path = folder / f"events_{size}_{order}.parquet"
    plain = path if order == "by_user" else folder / f"events_{size}_by_time.parquet"
    if not plain.exists():
        subprocess.run(
            [sys.executable, str(SHARED / "make_events.py"), size, str(folder)], check=True
        )
    if (
        not path.exists()
    ):  # in a process of its own: what this one has held would count as the peak of the sides
        subprocess.run([sys.executable, __file__, "make", str(plain), str(path)], check=True)
    return path


def make(plain: Path, path: Path) -> None:
    """Shuffle a log, or give it ids that are text."""
    made = pl.read_parquet(plain)
    if path.stem.endswith("shuffled"):
        made = made.sample(fraction=1, shuffle=True, seed=1)
    else:
        draw, ids = random.Random(7), made["user_id"].unique().sort()
        texts = [str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(ids.len())]
        made = made.with_columns(pl.col("user_id").replace_strict(ids, texts))
    made.write_parquet(path, row_group_size=1_000_000)


def main(size: str, rounds: int, folder: Path, order: str) -> None:
    log = log_of(size, folder, order)
    sides = dict(SIDES)
    if size != "1m":
        sides.pop("pandas, the per-user table") if size == "100m" else None
    if size == "100m":
        for name in ("", ", rollup alone", ", rollup of a relation in DuckDB"):
            sides.pop(f"engagekit{name}")  # a hundred million events are prepared first
    pythons = dict.fromkeys(sides, sys.executable)
    if os.environ.get("RETENTIONEERING_PYTHON") and size != "100m":
        sides["Retentioneering, segment_overview"] = RETENTIONEERING
        pythons["Retentioneering, segment_overview"] = os.environ["RETENTIONEERING_PYTHON"]
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found = run(pythons[name], side, log)
            if found:
                taken[name].append(found)
    base = median(t["cpu"] for t in taken["DuckDB, the bare tables"])
    print(
        f"| {size} events, {order}, median of {rounds} | CPU | of DuckDB's | wall | peak |\n|---|---:|---:|---:|---:|"
    )
    for name, runs in taken.items():
        if runs:
            cpu, wall, peak = (median(t[key] for t in runs) for key in ("cpu", "wall", "peak"))
            print(f"| {name} | {cpu:.2f} s | {cpu / base:.2f} x | {wall:.2f} s | {peak:,.0f} MB |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(*map(Path, sys.argv[2:]))
        sys.exit()
    given = [*sys.argv[1:], *["1m", "5", "/tmp", "by_time"][len(sys.argv) - 1 :]]
    main(given[0], int(given[1]), Path(given[2]), given[3])
