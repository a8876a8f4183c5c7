"""How true labels, watch list, windows and metrics are where nobody leaves. Run by hand: python tests/bench_rhythm.py [logs] [parts]

Prints, on logs by a generator of its own: live users called drifted, dead ones found, labels that flip, the watch list
from Monday to Sunday; the verdict on month-end books and on a grocery-like panel; a product that never changes, logged
for 120 to 960 days; who of those called drifted came back on the real logs; and what outreach is credited with.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import real_logs
import rhythm_truth as truth
from rhythm_worlds import RHYTHMS, groceries, made

import engagekit as ek

SHARED = Path(__file__).parent.parent.parent / "shared"
WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]


def mean(values):
    return sum(values) / len(values)


def labels(logs):
    print(f"labels, 1,500 users, {logs} logs each (15 % never return, 30 % quit)")
    print(
        f"  {'':<28}{'live drift':>12}{'dead found':>12}{'flips':>8}   watch list, mean by weekday"
    )
    rows = {name: (name, {}) for name in RHYTHMS}
    rows["office, sign-ups doubling"] = ("office days", {"doubling": 30})
    for title, (name, more) in rows.items():
        found = [truth.labels(name, seed=seed, **more) for seed in range(logs)]
        sizes = truth.watch(name)
        days = " ".join(f"{day} {size:.0f}" for day, size in zip(WEEKDAYS, sizes, strict=True))
        told = [mean([f[key] for f in found]) for key in ("live drift", "dead found", "flips")]
        ratio = truth.spread(sizes)
        print(
            f"  {title:<28}{told[0]:>12.3f}{told[1]:>12.3f}{told[2]:>8.3f}   {days}  ({ratio:.2f} x)",
            flush=True,
        )


def verdicts():
    books = truth.month_end_books()
    answer = ek.prioritize(books)
    drift = ek.diagnose(books).filter(label="drift")
    print("month-end books:", books.definition.usage_interval_days, books.definition.habit_days, answer.verdict, "drift", *drift.select("n", "of").rows())  # fmt: skip
    panel = made(groceries, users=1500, days=900, sign_ups=0.5).journeys()
    print("groceries: usage interval", panel.definition.usage_interval_days, "habit", panel.definition.habit_days, ek.prioritize(panel).verdict, *[r.text for r in panel.remarks])  # fmt: skip


def steady(logs):
    print(f"a product that never changes, {logs} logs each")
    tables = {
        days: [truth.steady(days, seed=seed) for seed in range(logs)]
        for days in (120, 240, 480, 960)
    }
    for key in tables[120][0]:
        told = [mean([t[key] for t in found]) for found in tables.values()]
        print(
            f"  {key:<18}"
            + "".join(f"{value:>8.3f}" for value in told)
            + f"   apart {max(told) - min(told):.3f}",
            flush=True,
        )


def real():
    if not SHARED.is_dir():
        return
    print("real logs: of those called drifted then, came back since; of the others")
    for name, days in (("gcc", 365), ("travelse", 180), ("oulad", 60)):
        found = truth.came_back(real_logs.journeys(SHARED, name), days)
        told = "; ".join(
            f"{'drifted' if drift else 'not drifted'} {n} of {of} ({n / of:.1%})"
            for drift, (n, of) in sorted(found.items(), reverse=True)
        )
        print(f"  {name}, {days} days ago: {told}", flush=True)


def outreach(logs):
    for title, mails, names in (
        ("without any effect", truth.MAILS, ("bursts", "office days", "weekly", "power-law rates")),
        ("that bring 3 in 10 back", truth.WORKING, ("bursts", "power-law rates")),
    ):
        print(f"messages {title}, {logs} logs each: covers 0 / above 0 / cannot be told")
        for name in names:
            for words, mail in mails.items():
                found = [truth.outreach(name, mail, seed=seed) for seed in range(logs)]
                told = []
                for key in found[0]:
                    known = [f[key] for f in found if f[key][0] is not None]
                    covers = sum(low <= 0 <= high for low, high in known)
                    above = sum(low > 0 for low, _ in known)
                    told.append(f"{key} {covers}/{above}/{logs - len(known)}")
                print(f"  {name:<16} {words:<26} " + "   ".join(told), flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    wanted = sys.argv[2:] or ["labels", "verdicts", "steady", "real", "outreach"]
    started = time.process_time()
    parts = {
        "labels": lambda: labels(max(1, count // 3)),
        "verdicts": verdicts,
        "steady": lambda: steady(max(1, count // 3)),
        "real": real,
        "outreach": lambda: outreach(2 * count),
    }
    for part in wanted:
        parts[part]()
    print(f"{time.process_time() - started:.0f} s")
