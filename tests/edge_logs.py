"""Small logs at the edges of what an answer can say: nobody, everybody, one day, one user, nothing defined.

Each holds every event that its definition names, so that it is a log as people have them and no misspelt name.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

import engagekit as ek

START = datetime(2026, 1, 5, 9)
FULL = ek.Definition(
    name="edge",
    signup="join",
    activation="make",
    core="make",
    steps=[
        ek.Step("Connect", reached="connect", completed="connected"),
        ek.Step("Draft", reached="draft", completed=None),
    ],
    advanced=["automate", "report"],
    advocacy=["invite"],
    feedback_asked="asked",
    feedback_given="answered",
    outreach="mail",
    errors="error",
    support="ticket",
    targets={"activation": 0.4, "habit": 0.5, "depth": 0.3, "advocacy": 0.2},
)
BARE = ek.Definition(name="bare", signup="join", activation="make", core="make")


@dataclass(frozen=True)
class Log:
    events: pl.DataFrame
    definition: ek.Definition
    users: pl.DataFrame | None = None
    as_of: str | None = None


def _events(rows) -> pl.DataFrame:
    schema = {"user_id": pl.String, "event": pl.String, "at": pl.Datetime("us", "UTC")}
    rows = [(user, event, at) for user, event, at in rows]
    return pl.DataFrame(rows, schema=schema | {"at": pl.Datetime("us")}, orient="row").with_columns(
        pl.col("at").dt.replace_time_zone("UTC")
    )


def _users(count: int, **properties) -> pl.DataFrame:
    return pl.DataFrame({"user_id": [f"u{k}" for k in range(count)], **properties})


def _plans(count: int) -> pl.DataFrame:
    """Groups of every size: one of many, one of a single user, one without a value."""
    plans = ["free" if k % 3 else "pro" for k in range(count)]
    return _users(count, plan=["solo", None, None, *plans][:count])


def sensible(count: int = 240, *, seed: int = 1, days: int = 120, gap: float = 6.0):
    """Ordinary users of every fate, one every some hours; every event of FULL occurs."""
    rng = random.Random(seed)
    rows = []
    for k in range(count):
        user, at = f"u{k}", START + timedelta(hours=gap * k)
        rows.append((user, "join", at))
        rows.append((user, "look", at + timedelta(minutes=5)))
        if k % 4 == 0:
            continue
        rows.append((user, "connect", at + timedelta(hours=1)))
        if k % 4 == 1:
            continue
        rows += [
            (user, "connected", at + timedelta(hours=2)),
            (user, "draft", at + timedelta(hours=3)),
        ]
        rows.append((user, "make", at + timedelta(hours=4)))
        for n in range(rng.choice([0, 0, 3, 12])):
            later = at + timedelta(days=3.0 * n + rng.random() * 2 + 1)
            rows.append((user, "make", later))
            if k % 3 == 0:
                rows.append((user, rng.choice(["automate", "report"]), later + timedelta(hours=1)))
        if k % 9 == 0:
            rows.append((user, "invite", at + timedelta(days=9)))
        rows += [
            (user, "asked", at + timedelta(days=5)),
            (user, "mail", at + timedelta(days=20)),
            (user, "error", at + timedelta(days=1)),
        ]
        if k % 2:
            rows += [
                (user, "answered", at + timedelta(days=6)),
                (user, "ticket", at + timedelta(days=2)),
            ]
    end = START + timedelta(days=days)
    return [row for row in rows if row[2] < end]


def necessary() -> Log:
    """Half create a project; nobody else can ever publish."""
    rng = random.Random(0)
    rows = []
    for k in range(1200):
        user, at = f"u{k}", START + timedelta(hours=2 * k)
        rows.append((user, "join", at))
        rows += [
            (user, "look", at + timedelta(days=14 * rng.random())) for _ in range(rng.randint(0, 5))
        ]
        if k % 2:
            rows.append((user, "create", at + timedelta(hours=1)))
            if rng.random() < 0.5:
                rows += [(user, "make", at + timedelta(days=60 * rng.random())) for _ in range(9)]
    return Log(_events(rows), BARE)


def ending() -> Log:
    """A third cancel in the first week, and none of them is ever seen again."""
    rng = random.Random(2)
    rows = []
    for k in range(900):
        user, at = f"u{k}", START + timedelta(hours=3 * k)
        rows.append((user, "join", at))
        rows += [
            (user, "look", at + timedelta(days=6 * rng.random())) for _ in range(rng.randint(1, 4))
        ]
        rows.append((user, "make", at + timedelta(days=3 * rng.random())))
        if k % 3 == 0:
            rows.append((user, "cancel", at + timedelta(days=6.5)))
        elif rng.random() < 0.6:
            rows += [(user, "make", at + timedelta(days=7 + 50 * rng.random())) for _ in range(9)]
    return Log(_events(rows), BARE)


def separating() -> Log:
    """One action that all who stay do and nobody else, and one that all who leave do and nobody else."""
    rows = []
    for k in range(400):
        user, at = f"u{k}", START + timedelta(hours=6 * k)
        stays = k % 2 == 0
        rows += [(user, "join", at), (user, "make", at + timedelta(hours=1))]
        rows.append((user, "set up" if stays else "cancel", at + timedelta(hours=2)))
        rows += [(user, "make", at + timedelta(days=5 * n)) for n in range(1, 13) if stays]
    return Log(_events(rows), BARE)


def one_user() -> Log:
    rows = [("u0", event, START + timedelta(hours=n)) for n, event in enumerate(_named())]
    return Log(_events(rows), FULL, _users(1, plan=["free"]))


def one_event() -> Log:
    return Log(_events([("u0", "join", START), ("u0", "make", START)]), BARE)


def _named() -> list[str]:
    return [
        "join", "look", "connect", "connected", "draft", "make", "automate", "report", "invite",
        "asked", "answered", "mail", "error", "ticket",
    ]  # fmt: skip


def nobody_judged() -> Log:
    rows = sensible(60, gap=0.5, days=3)
    rows += [("u1", event, START + timedelta(hours=n)) for n, event in enumerate(_named())]
    return Log(_events(rows), FULL, _plans(60))


def nobody_passes() -> Log:
    """0 %: everything happens, but only after every window is over, to a few users."""
    rows = []
    for k in range(80):
        at = START + timedelta(hours=6 * k)
        rows += [(f"u{k}", "join", at)]
        rows += [(f"u{k}", "look", at + timedelta(days=4 * n, hours=1)) for n in range(52)]
    for k in range(6):
        late = START + timedelta(days=200, hours=k)
        rows += [
            (f"u{k}", event, late + timedelta(hours=n)) for n, event in enumerate(_named()[1:])
        ]
    return Log(_events(rows), FULL, _plans(80), "2027-01-01")


def everybody_passes() -> Log:
    """100 %: all activate, return, deepen and invite; all are retained."""
    rows = []
    for k in range(80):
        user, at = f"u{k}", START + timedelta(hours=6 * k)
        rows += [(user, event, at + timedelta(hours=n)) for n, event in enumerate(_named())]
        for n in range(1, 60):
            rows += [
                (user, event, at + timedelta(days=3 * n))
                for event in ("make", "automate", "report")
            ]
    end = START + timedelta(days=150)
    return Log(_events([r for r in rows if r[2] < end]), FULL, _plans(80))


def one_day() -> Log:
    """All sign up on one day, and are followed for four months."""
    return Log(_events(sensible(120, gap=0.05)), FULL, _plans(120))


def one_instant() -> Log:
    """Every event of the log at one instant."""
    rows = [(f"u{k}", event, START) for k in range(30) for event in _named()]
    return Log(_events(rows), FULL, _plans(30))


def without(*names: str) -> Log:
    """The ordinary log, of a product that has no such thing."""
    table = {name: value for name, value in FULL.to_table().items() if name not in names}
    return Log(_events(sensible()), ek.Definition.from_table(table), _plans(240))


def no_signup() -> Log:
    table = FULL.to_table() | {"burn_in_days": 10}
    table.pop("signup")
    return Log(_events(sensible()), ek.Definition.from_table(table), _plans(240))


def dates() -> Log:
    events = _events(sensible()).with_columns(pl.col("at").dt.date())
    return Log(events, FULL, _plans(240))


def nobody_left() -> Log:
    """Every user lies before the log's burn-in, so that no user is left at all."""
    table = BARE.to_table()
    table.pop("signup")
    rows = [(f"u{k}", "make", START + timedelta(days=k % 5)) for k in range(40)]
    # So many that the end of the log is theirs, and no stray event's.
    rows += [(f"u{k}", "look", START + timedelta(days=60)) for k in range(8)]
    return Log(_events(rows), ek.Definition.from_table(table))


def two_users_apart() -> Log:
    """Two users, one of long ago and one of today."""
    rows = [("u0", event, START + timedelta(days=n)) for n, event in enumerate(_named())]
    rows += [
        ("u1", event, START + timedelta(days=300, minutes=n)) for n, event in enumerate(_named())
    ]
    return Log(_events(rows), FULL, _users(2, plan=["free", "pro"]))


LOGS = {
    "necessary action": necessary,
    "ending action": ending,
    "separating actions": separating,
    "one user": one_user,
    "one user, two events": one_event,
    "two users, ages apart": two_users_apart,
    "nobody judged": nobody_judged,
    "nobody passes": nobody_passes,
    "everybody passes": everybody_passes,
    "sign-ups of one day": one_day,
    "one instant": one_instant,
    "ordinary": lambda: without(),
    "no steps": lambda: without("steps"),
    "no advanced": lambda: without("advanced"),
    "no advocacy": lambda: without("advocacy"),
    "no targets": lambda: without("targets"),
    "nothing but activation and core": lambda: Log(_events(sensible()), BARE, _plans(240)),
    "no sign-up": no_signup,
    "dates": dates,
    "nobody left": nobody_left,
}


@functools.cache
def made(name: str):
    """Return a log and its journeys, made once for all tests."""
    log = LOGS[name]()
    return log, ek.rollup(log.events, log.definition, users=log.users, as_of=log.as_of)
