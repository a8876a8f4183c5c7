"""Small literal answers for the charts: one of each kind, with the columns the answers have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl

from engagekit.definition import Definition
from engagekit.intervals import wilson
from engagekit.journeys.coverage import Basis
from engagekit.priority.verdict import Priority

HOSTILE = (
    "a.b[c]",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    'x"; datum.y || alert(1) //',
    "{{kg}} **b** `c` $m$",
    "line\nbreak\ttab",
    "very " * 40,
)


def rate(n, of):
    if not of:
        return {"n": n, "of": of, "rate": None, "low": None, "high": None}
    low, high = wilson(n, of)
    return {"n": n, "of": of, "rate": n / of, "low": low, "high": high}


def curves(by=None):
    """Three weekly cohorts: 10, 20 and 10 users; the last cell of the second and two of the third are not over."""
    known = {
        date(2026, 3, 2): [(10, 10), (6, 10), (4, 10)],
        date(2026, 3, 9): [(20, 20), (9, 20), (2, 20)],
        date(2026, 3, 16): [(10, 10), (1, 10), (None, 10)],
    }
    incomplete = {(date(2026, 3, 9), 2), (date(2026, 3, 16), 1), (date(2026, 3, 16), 2)}
    rows = []
    for cohort, cells in known.items():
        for period, (n, of) in enumerate(cells):
            over = (cohort, period) not in incomplete
            found = (
                rate(n, of) if over else {"n": n, "of": of, "rate": None, "low": None, "high": None}
            )
            rows.append({"cohort": cohort, "period": period} | found | {"complete": over})
    frame = pl.DataFrame(rows)
    return (
        frame
        if by is None
        else pl.concat([frame.select(pl.lit(v).alias(by[0]), pl.all()) for v in by[1]])
    )


def pooled(groups=(None,), name="plan"):
    rows = []
    for number, group in enumerate(groups):
        for period, n in enumerate([40, max(0, 22 - 5 * number), max(0, 12 - 3 * number)]):
            row = (
                {"period": period}
                | rate(n, 40)
                | {"cohorts": 3 - period, "thin": period == 2, "average": "pooled"}
            )
            rows.append(row if group is None else {name: group} | row)
    return pl.DataFrame(rows)


def survival():
    shares = [1.0, 0.7, 0.55, 0.48, 0.45, None]
    return pl.DataFrame(
        [
            {
                "period": k, "time": 7 * k, "survival": s, "low": s and max(0.0, s - 0.05), "high": s and min(1.0, s + 0.05),
                "at_risk": 100 - 10 * k, "events": 5, "exposed": 90.0,
            }
            for k, s in enumerate(shares)
        ]
    )  # fmt: skip


def projected():
    kinds = ["fitted"] * 5 + ["projected"] * 3
    return pl.DataFrame(
        [
            {"period": k, "time": 7.0 * k, "observed": None, "survival": 0.98**k, "kind": kind, "sentence": "so"}
            for k, kind in enumerate(kinds)
        ]
    )  # fmt: skip


def funnel(events=("visit", "basket", "pay"), counts=(100, 80, 20)):
    rows = []
    for step, (event, n) in enumerate(zip(events, counts, strict=True)):
        found = (
            rate(n, counts[step - 1])
            if step
            else {"n": n, "of": None, "rate": None, "low": None, "high": None}
        )
        more = {
            "overall": n / counts[0],
            "median_seconds": 3600.0 * step if step else None,
            "mean_seconds": None,
        }
        rows.append(
            {"step": step, "event": event}
            | found
            | more
            | {"open": 0, "waiting": 3 if step == 1 else 0}
        )
    return pl.DataFrame(rows)


RULES = [
    ("Activate once and vanish", "Repeat value", "Repeat Value", "vanished", 30),
    ("Start but stall", "Progress", "Progress & Momentum", "stalled", 10),
    ("Abandon specific steps", "Friction", "Contextual Guidance", "friction", 25),
    ("Plateau", "Discovery", "Feature Discovery", "plateau", 0),
    ("Drift away quietly", "Re-engagement", "Re-engagement", "drift", 15),
    ("Come back and go deeper", None, None, "healthy", 40),
    ("Never start", "acquisition or tracking", None, "never_started", 5),
]


def diagnosis(groups=(None,), name="plan"):
    rows = []
    for group in groups:
        for if_users, problem, play, label, n in RULES:
            found = rate(n, 125)
            found["share"] = found.pop("rate")
            row = {"if_users": if_users, "problem": problem, "play": play, "label": label} | found
            rows.append(row if group is None else {name: group} | row)
        early = {
            "if_users": "Are too new to judge",
            "problem": None,
            "play": None,
            "label": "too_early",
            "n": 12,
        }
        early |= dict.fromkeys(("of", "share", "low", "high"))
        rows.append(early if group is None else {name: group} | early)
    columns = ["if_users", "problem", "play", "label", "n", "of", "share", "low", "high"]
    return pl.DataFrame(rows).select(*([] if groups == (None,) else [name]), *columns)


LINKS = [
    ("activation", 60, 100, 0.5),
    ("habit", 20, 60, 0.5),
    ("depth", 12, 20, 0.4),
    ("advocacy", 0, 0, None),
]


def loop_table(*, targets=True):
    rows = []
    for link, n, of, target in LINKS:
        rows.append(
            {"link": link} | rate(n, of)
            | {"reached": n / 100, "target": target if targets else None, "target_from": "team", "p_broken": 0.1,
               "p_earliest": 0.9 if link == "habit" else 0.03, "extra_users": 4.0, "design_effect": 1.25,
               "since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2026, 4, 1, tzinfo=UTC)}
        )  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"rate": pl.Float64, "target": pl.Float64})


def quarters():
    first = loop_table().select(pl.lit(date(2026, 1, 1)).alias("quarter"), pl.all())
    second = loop_table().select(pl.lit(date(2026, 4, 1)).alias("quarter"), pl.all())
    told = [
        frame.with_columns(verdict=pl.lit("named"), named=pl.lit(named), changed=pl.lit(changed))
        for frame, named, changed in ((first, "activation", False), (second, "habit", True))
    ]
    return pl.concat(told)


def segments(groups=("free", "pro"), name="plan"):
    rows = []
    for number, group in enumerate(groups):
        named = "depth" if number == 1 else "habit"
        row = {
            name: group,
            "users": 50,
            "verdict": "named",
            "link": named,
            "problem": "x",
            "probability": 0.9,
        }
        row |= {"candidates": [], "elsewhere": number == 1}
        for link, *_ in LINKS:
            row |= {f"{link}_rate": None if link == "advocacy" else 0.4, f"{link}_of": 30}
        rows.append(row)
    return pl.DataFrame(rows, schema_overrides={"advocacy_rate": pl.Float64})


def priority(**changes):
    basis = Basis(
        users=100, signed_up_from=date(2026, 1, 1), signed_up_to=date(2026, 5, 30),
        as_of=datetime(2026, 7, 1, tzinfo=UTC), timezone="UTC", unit="user", remarks=(),
    )  # fmt: skip
    found = {
        "verdict": "named", "link": "habit", "problem": "Repeat value", "play": "Repeat Value", "probability": 0.97,
        "holds_from": 0.4, "holds_to": 1.0, "sentence": "so", "table": loop_table(), "by_quarter": quarters(),
        "segments": segments(), "candidates": (), "more_users": None, "p_none": 0.0, "drift": pl.DataFrame(),
        "remarks": (), "basis": basis, "definition": Definition(activation="a", core="c"), "signups_per_week": 5.0,
    }  # fmt: skip
    return Priority(**(found | changes))


def change(*, mix=False):
    rows = [
        ("activation", 0.4, 0.41, 0.002, -0.004, 0.008, 0.02),
        ("habit", 0.5, 0.4, -0.031, -0.04, -0.02, 0.97),
        ("depth", 0.5, 0.5, 0.0, -0.003, 0.003, 0.01),
    ]
    names = ["link", "before", "after", "contribution", "low", "high", "p_largest"]
    if mix:
        rows = [(*row[:6], 0.0) for row in rows]
        rows.append(("(mix)", None, None, 0.05, 0.04, 0.06, 0.99))
    instants = {f"{side}_{end}": datetime(2026, month, 1, tzinfo=UTC)
                for side, end, month in (("before", "since", 1), ("before", "until", 4), ("after", "since", 4), ("after", "until", 7))}  # fmt: skip
    frame = pl.DataFrame(rows, schema=names, orient="row")
    return frame.with_columns(
        of_before=pl.lit(100), of_after=pl.lit(90), **{k: pl.lit(v) for k, v in instants.items()}
    )


def activations(names=("first_report", "saved", "imported")):
    rows = [
        {"candidate": names[0], "verdict": "named", "link": "habit", "probability": 0.97, "same": True, "sentence": "so"},
        {"candidate": names[1], "verdict": "no targets", "link": None, "probability": 0.0, "same": False, "sentence": "so"},
        {"candidate": names[2], "verdict": None, "link": None, "probability": None, "same": None, "sentence": "why not"},
    ]  # fmt: skip
    rates = [
        {"activation_rate": 0.4, "habit_rate": 0.3, "depth_rate": None, "advocacy_rate": None}
    ] * 2
    rates.append(dict.fromkeys(rates[0]))
    return pl.DataFrame([a | b for a, b in zip(rows, rates, strict=True)], infer_schema_length=None)


def suggested():
    rows = [
        ("activation", 40, 100, 0.4, 0.45, 0.32, 0.45, "own months"),
        ("habit", 20, 40, 0.5, None, None, 0.5, "rate now"),
        ("depth", 0, 0, None, None, None, None, None),
        ("advocacy", 1, 10, 0.1, 0.2, None, None, None),
    ]
    names = ["link", "n", "of", "rate", "quartile", "benchmark", "suggested", "source"]
    return pl.DataFrame(rows, schema=names, orient="row")


def metrics():
    rows = [
        {
            "metric": "activation rate",
            "reading": "within 14 days",
            "link": "activation",
            "play": "Progress & Momentum",
        }
        | rate(41, 100)
        | {"unit": "share", "note": None},
        {
            "metric": "time to value",
            "reading": "median",
            "link": "activation",
            "play": "Progress & Momentum",
        }
        | rate(41, 100)
        | {"unit": "days", "note": None},
        {
            "metric": "step drop-off",
            "reading": "Connect <b>",
            "link": "activation",
            "play": "Contextual Guidance",
        }
        | rate(0, 0)
        | {"unit": "share", "note": "nobody"},
    ]
    return (
        pl.DataFrame(rows, schema_overrides={"reading": pl.String})
        .rename({"rate": "value"})
        .with_columns(value=pl.when(pl.col("unit") == "days").then(2.5).otherwise("value"))
    )


def lifecycle(weeks=4):
    monday = date(2026, 3, 2)
    rows = [
        {
            "period_start": monday + timedelta(weeks=k),
            "new": 30,
            "returning": 10 * k,
            "resurrecting": k,
            "dormant": 5 + k,
            "active": 30 + 11 * k,
        }
        for k in range(weeks)
    ]
    return pl.DataFrame(rows)


def stickiness(shares=(0.5, 0.3, 0.2)):
    rows = []
    for k, share in enumerate(shares, 1):
        found = rate(round(100 * share), 100)
        row = {"intervals": k, "users": found.pop("n"), "share": found.pop("rate")}
        rows.append(row | found)
    return pl.DataFrame(rows)


def compared(actions=("invite", "report"), verdicts=("more in retained", "not clear")):
    rows = []
    for number, (action, verdict) in enumerate(zip(actions, verdicts, strict=True)):
        rows.append(
            {
                "action": action, "at_least": 1 + 2 * number, "n_retained": 200, "n_churned": 400,
                "share_retained": 0.5, "share_churned": 0.2 + 0.1 * number, "difference": 0.3 - 0.1 * number,
                "low": 0.22 - 0.15 * number, "high": 0.38 - 0.1 * number, "risk_ratio": 2.5, "adjusted_risk_ratio": 1.4 - 0.1 * number,
                "adjusted_low": 1.2 - 0.1 * number, "adjusted_high": 1.7, "same_day_risk_ratio": 1.3 - 0.1 * number, "uncompared": 0.02,
                "did_retained": 100, "did_churned": 80 + 40 * number, "q": 0.001, "verdict": verdict, "part_of_definition": False,
                "test_users_per_arm": 900 if number == 0 else None, "test_days": 84 if number == 0 else None,
            }
        )  # fmt: skip
    return pl.DataFrame(rows)


def drop_off(names=("Profile", "Connect", "Draft"), hot=1):
    rows = [
        {"step": name, "position": k}
        | rate(10 + 60 * (k == hot), 100)
        | {"hot": k == hot, "too_early": k}
        for k, name in enumerate(names)
    ]
    return pl.DataFrame(
        [*rows, {"step": "Last", "position": 9} | rate(0, 0) | {"hot": False, "too_early": 0}]
    )


def usage_interval():
    return pl.DataFrame(
        [{"days": d} | rate(n, 10) | {"usage_interval_days": 2.5} for d, n in [(1, 2), (2, 5), (3, 8), (4, 10)]]
    )  # fmt: skip


def matrix(names=("publish", "open", "report", "export")):
    kinds = ["many, often", "many, rarely", "few, often", "few, rarely"]
    rows = [
        {"event": name} | rate(90 - 10 * k, 100) | {"days": [5.0, 1.0, 3.0, 1.5][k % 4], "times": 2.0, "median_rate": 0.7,
         "median_days": 2.0, "quadrant": kinds[k % 4]}
        for k, name in enumerate(names)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def daily(actions=("(anything)", "open"), groups=("retained", "churned")):
    rows = []
    for group in groups:
        for number, action in enumerate(actions):
            for day in range(3):
                n = (
                    50 // (1 + day + number)
                    if group == "retained"
                    else 50 // (1 + 2 * day + number)
                )
                rows.append({"group": group, "action": action, "day": day} | rate(n, 50))
    return pl.DataFrame(rows)


def grid(actions=("(active days)", "open"), chosen=True, confirmed=True):
    rows = []
    for action in actions:
        for often, within in ((2, 7), (1, 1), (1, 7)):
            n = 40 // often
            rows.append(
                {
                    "action": action, "at_least": often, "within_days": within, "unit": "days", "n": n, "of": 100,
                    "reach": n / 100, "precision": 0.6 if (often, within) == (2, 7) else None if within == 1 else 0.4,
                    "base_rate": 0.3, "lift": 2.0, "sensitivity": 0.4, "phi": 0.2, "chosen": chosen and (often, within) == (2, 7),
                    "confirmed": confirmed and chosen and (often, within) == (2, 7), "part_of_definition": False,
                }
            )  # fmt: skip
    return pl.DataFrame(rows)


def two_arms():
    """A test of two arms, read on activation."""
    from types import SimpleNamespace

    names = ("control", "new")
    rows = [
        {"variant": names[0], "users": 1100, "of": 1000, "n": 400, "rate": 0.40, "low": 0.37, "high": 0.431},
        {"variant": names[1], "users": 1090, "of": 990, "n": 475, "rate": 0.48, "low": 0.449, "high": 0.511,
         "difference": 0.08, "difference_low": 0.036, "difference_high": 0.123, "low_any_time": 0.006,
         "high_any_time": 0.154, "verdict": "better"},
    ]  # fmt: skip
    optional = (
        "difference",
        "difference_low",
        "difference_high",
        "low_any_time",
        "high_any_time",
        "verdict",
    )
    table = pl.DataFrame([dict.fromkeys(optional) | row for row in rows])
    return SimpleNamespace(
        table=table, link="activation", control=names[0], variant=names[1], verdict="better"
    )


def tracked(goal=0.6, verdict="improved", since=(160, 200, 0.8, 0.739, 0.85)):
    """Forty weeks of sign-ups before a play on 2026-04-15, six since; none in one of them."""
    from types import SimpleNamespace

    began, week = datetime(2026, 4, 15, tzinfo=UTC), timedelta(weeks=1)
    sides = [
        ("before", began - 6 * week, began, 80, 200, 0.4, 0.335, 0.469),
        ("since", began, began + 6 * week, *since),
    ]
    rows = [*sides, ("goal", None, None, None, None, goal, None, None)][: 2 + (goal is not None)]
    columns = ("sign_ups", "since", "until", "n", "of", "rate", "low", "high")
    table = pl.DataFrame(
        [dict(zip(columns, row, strict=True)) for row in rows], infer_schema_length=None
    )
    weeks = [
        (began + k * week, 0 if k == 2 else 30, "before" if k < 0 else "since")
        for k in range(-40, 6)
    ]
    frame = pl.DataFrame(
        [
            {"week": at, "n": of // 2, "of": of, "rate": 0.5 if of else None, "side": side}
            for at, of, side in weeks
        ]
    )
    return SimpleNamespace(
        link="activation", verdict=verdict, goal=goal, table=table, weeks=frame,
        priority=SimpleNamespace(basis=SimpleNamespace(timezone="UTC")),
        difference=None if since[2] is None else since[2] - 0.4,
    )  # fmt: skip


def replayed():
    """A record of eight claims, of which two are not known yet."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        ("verdict", at, "named habit", None, None, 0.9, None, None, True),
        ("verdict", at, "undecided", None, None, 0.5, None, None, None),
        ("drift", at, "40 users newly drifted away", 8, 40, 0.2, 0.105, 0.348, True),
        ("projection", at, "30% after 6 months", None, 20, 0.2, 0.22, 0.4, False),
        ("first weeks", at, "2 actions named", 1, 2, 0.5, 0.1, 0.9, False),
        ("track", at, "within its usual range", 0, 1, None, None, None, True),
        ("track", at, "cannot tell yet", 0, 1, None, None, None, None),
    ]
    columns = ["claim", "as_of", "said", "n", "of", "rate", "low", "high", "came_out"]
    return pl.DataFrame(rows, schema=columns, orient="row", strict=False)


def clock(days=28):
    """Four weeks of an office product with a holiday on the second Wednesday."""
    monday = date(2026, 3, 2)
    rows = []
    for k in range(days):
        shut = k % 7 > 4 or k == 9
        row = {"day": monday + timedelta(days=k), "active": 0 if shut else 100, "expected": 65.0}
        rows.append(row | {"weight": 3 / 68 if shut else 103 / 68})
    return pl.DataFrame(rows)


def timeline(what="report"):
    """One user of three days who drifted: the last core day decides."""
    rows = [
        ("2026-03-01", 0, "sign-up", "sign-up", 1, False, None),
        ("2026-03-01", 0, "step reached", "Connect", 1, False, "not completed so far"),
        ("2026-03-02", 1, "activation", "activation", 1, False, None),
        ("2026-03-02", 1, "core", "core", 2, False, None),
        ("2026-03-05", 4, "core", "core", 1, True, None),
        ("2026-03-05", 4, "advanced", what, 5, False, None),
        ("2026-03-09", 8, "event", what, 1, False, "on days 8, 9 since sign-up"),
        ("2026-05-31", 91, "label", "drift", None, True, "Drift away quietly: silent since 2026-03-05."),
    ]  # fmt: skip
    columns = ["day", "days_in", "kind", "what", "times", "decides", "note"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        pl.col("day").str.to_date()
    )
