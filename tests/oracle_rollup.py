"""The rollup once more in plain Python, slow and obvious; and random dirty logs to hold it against."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
from oracle_edges import body

import engagekit as ek
from engagekit.matchers import as_matches

MICRO = timedelta(microseconds=1)
LAGS = {"0s": timedelta(0), "5s": timedelta(seconds=5), "1h": timedelta(hours=1)}
NAMES = ["signup", "open", "done", "make", "edit", "report", "share", "invite", "mail", "asked", "answered", "oops", "other"]  # fmt: skip


def hits(matcher, row):
    def holds(value, condition):
        if isinstance(condition, ek.Not):
            return not holds(value, condition.values)
        return any(value == v and type(value) is type(v) for v in condition)

    return any(
        row["event"] == m.event and all(holds(row[c], v) for c, v in m.where)
        for m in as_matches(matcher)
    )


def activated(activation, events):
    """The instant of activation, from the words of the contract: the n-th event, or the last of several firsts."""
    if isinstance(activation, ek.All):
        reached = [activated(part, events) for part in activation.parts]
        return None if None in reached else max(reached)
    if isinstance(activation, (list, tuple)):
        return min((a for a in (activated(part, events) for part in activation) if a), default=None)
    times = activation.times if isinstance(activation, ek.Match) else 1
    done = sorted(r["at"] for r in events if hits(activation, r))
    return done[times - 1] if len(done) >= times else None


def midnight(day, zone):
    """The first instant of a local day, which need not be 0 o'clock."""
    for hours in (0, 1, 24):
        local = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(hours=hours)
        back = local.astimezone(UTC).astimezone(zone)
        if back.replace(tzinfo=None) == local.replace(tzinfo=None):
            return local.astimezone(UTC)
    raise AssertionError(day)


def oracle(rows, definition, *, people=None, unit="user", as_of=None, dates_only=False):
    """Return the four tables as sets of tuples, and what was left out; rows are dicts with `at` in UTC."""
    zone = ZoneInfo("UTC" if dates_only else definition.timezone)
    day = lambda at: at.astimezone(zone).date()  # noqa: E731
    whole = [r for r in rows if None not in (r["user_id"], r["event"], r["at"])]
    left = defaultdict(int)
    left["rows without a user, an event name or a time", "events"] = len(rows) - len(whole)
    known = [r for r in whole if as_of is None or r["at"] < as_of]
    inside, early, late = body([(r["user_id"], r["at"]) for r in known])
    start, last = (pick(at for _, at in inside) for pick in (min, max))
    left["stray events before the log begins", "events"] = len(early)
    left["stray events after it ends", "events"] = 0 if as_of else len(late)
    end = as_of or last + (timedelta(days=1) if dates_only else MICRO)
    log = [r for r in whole if start <= r["at"] < end]

    # Sign-ups: of each user, then of each unit.
    people = {p["user_id"]: p for p in people or []}
    sign_ups = {}
    for user in {r["user_id"] for r in log} | set(people):
        told = people.get(user, {}).get("signed_up_at")
        seen = [
            r["at"]
            for r in log
            if r["user_id"] == user and (definition.signup is None or hits(definition.signup, r))
        ]
        if type(told) is date:
            told = (
                datetime(told.year, told.month, told.day, tzinfo=UTC)
                if dates_only
                else midnight(told, zone)
            )
        elif told is not None and dates_only:
            local = told.astimezone(ZoneInfo(definition.timezone)).date()
            told = datetime(local.year, local.month, local.day, tzinfo=UTC)
        sign_ups[user] = (told or min(seen, default=None), told is not None)
    unit_of, units = {}, defaultdict(list)
    for user, found in sign_ups.items():
        mine = people.get(user, {}).get("account_id") if unit == "account" else user
        if mine is None:
            left["no account in the users table", "users"] += 1
            continue
        unit_of[user] = mine
        units[mine].append(found)
    kept, late = {}, set()
    for name, found in units.items():
        at = min((a for a, _ in found if a), default=None)
        given = any(g for a, g in found if a and a == at)
        burn_in = definition.burn_in_days if definition.burn_in_days is not None else 90
        if at is None:
            reason = "no sign-up in the data"
        elif at >= end:
            reason = "signed up at or after as_of"
        elif definition.signup is None and not given and at < start + timedelta(days=burn_in):
            reason = f"first seen in the first {burn_in} days"
        else:
            kept[name] = (at, given)
            if at >= start or day(at) >= day(start):
                continue
            late.add(name)
            reason = "signed up before the log starts"
        left[reason, f"{unit}s"] += 1

    events = defaultdict(list)
    for row in log:
        name = unit_of.get(row["user_id"])
        if name in kept:
            signed_up = kept[name][0]
            if row["at"] < signed_up - LAGS[definition.clock_tolerance]:
                left["events before their user's sign-up", "events"] += 1
            else:
                events[name].append(row | {"at": max(row["at"], signed_up)})

    users, steps, early, days = set(), set(), set(), set()
    for name, (signed_up, given) in kept.items():
        mine = events[name]
        core = [r["at"] for r in mine if hits(definition.core, r)]

        def received(row):
            return bool(definition.outreach) and hits(definition.outreach, row)

        def is_action(row, signed_up=signed_up, given=given):
            if definition.outreach and hits(definition.outreach, row):
                return False
            if definition.signup is None:
                return given or row["at"] > signed_up
            return not hits(definition.signup, row)

        users.add((
            name,
            signed_up,
            activated(definition.activation, mine),
            min((r["at"] for r in mine if is_action(r)), default=None),
            max(core, default=None),
            max((r["at"] for r in mine), default=None),
            len({day(at) for at in core}),
            len({day(r["at"]) for r in mine}),
            tuple(
                sum(
                    (r["at"] - signed_up).days == own and not received(r) for r in mine
                )
                for own in range(definition.first_days)
            ),
        ))  # fmt: skip
        came = signed_up
        for position, step in enumerate(definition.steps):
            reached = (
                [came] * (came is not None)
                if step.reached is None
                else [r["at"] for r in mine if hits(step.reached, r)]
            )
            done = (
                reached
                if step.completed is None
                else [r["at"] for r in mine if hits(step.completed, r)]
            )
            if reached or done:
                steps.add(
                    (
                        name,
                        position,
                        min(reached + done),
                        max(reached or done[:0], default=min(done, default=None)),
                        min(done, default=None),
                    )
                )
            came = min(done, default=None)
        for event in {r["event"] for r in mine}:
            soon = [
                r["at"]
                for r in mine
                if r["event"] == event
                and r["at"] < signed_up + timedelta(days=definition.first_days)
            ]
            if soon:
                early.add(
                    (
                        name,
                        event,
                        min(soon),
                        len(soon),
                        sum(1 << k for k in {(at - signed_up).days for at in soon}),
                    )
                )
        for role, matcher in definition.roles().items():
            for one in {day(r["at"]) for r in mine}:
                then = [r["at"] for r in mine if hits(matcher, r) and day(r["at"]) == one]
                if then:
                    days.add((name, one, role, min(then), max(then), len(then)))
    left = {(reason, count, what) for (reason, what), count in left.items() if count}
    tables = {"users": users, "steps": steps, "early": early}
    found = {n: {row for row in rows if row[0] not in late} for n, rows in tables.items()}
    # What the late did stays among the days, and what is known of them stands apart.
    found["late"] = {row for row in users if row[0] in late}
    return found | {"days": days, "left_out": left}


def first_values(rows, journeys, *, people=None, dates_only=False):
    """Return each unit's first value of each property, from its events of the first 24 hours; none where there is none."""
    unit_of = {p["user_id"]: p["account_id"] for p in people or []}
    found, lag = {}, LAGS[journeys.definition.clock_tolerance]
    for unit, signed_up in journeys.users.select("user_id", "signed_up_at").iter_rows():
        mine = [
            r
            for r in rows
            if None not in (r["user_id"], r["event"], r["at"])
            and (unit_of.get(r["user_id"]) if journeys.unit == "account" else r["user_id"]) == unit
            and -lag <= r["at"] - signed_up < timedelta(hours=24)
            and r["at"] < journeys.as_of
        ]
        for name in journeys.definition.properties:
            told = [(max(r["at"], signed_up), r[name]) for r in mine if r[name] is not None]
            found[unit, name] = min(told)[1] if told else None
    return found


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "America/Havana",
    "Pacific/Apia",
]
# Just before: clocks go forward, clocks go back, midnight is skipped (Havana), a whole day is skipped (Apia).
STARTS = [
    datetime(2026, 3, 26),
    datetime(2024, 10, 25),  # a year whose rules all zone data agree on
    datetime(2026, 3, 6),
    datetime(2011, 12, 28),
]


def some_definition(rng, *, signup=("signup",)):
    step = ek.Step
    return ek.Definition(
        signup=rng.choice([*signup, "signup"]),
        activation=rng.choice([
            "make", ek.Match("make", status="paid"), ["make", "report"], ek.Match("make", times=2),
            ["open", ek.Match("report", times=3, size=[1, None])], ek.All("make", ek.Match("edit", status=ek.Not("late"))),
            ek.All(["open", "done"], ek.Match("make", times=2, status=None), "edit"),
        ]),
        core=rng.choice([
            ["make", "edit"], ek.Match("edit", status=["paid", "late"], size=[1, 2]), ["make", ek.Match("edit", size=ek.Not(1, None))],
            ek.Match("make", status=ek.Not("paid", "")),
        ]),
        steps=rng.choice([
            [],
            [step("A", "open", "done")],
            [step("A"), step("B", completed="done"), step("C", reached="open"), step("D")],
            [step("A", ek.Match("open", status="paid"), "done"), step("B", None, "make"), step("C", "edit")],
        ]),
        advanced=rng.choice([[], ["report"], ["report", ek.Match("share", size=2), ["share", "report"]]]),
        advocacy=rng.choice([[], ["invite"]]),
        outreach=rng.choice([None, "mail"]), feedback_asked=rng.choice([None, "asked"]),
        feedback_given=rng.choice([None, "answered"]), errors=rng.choice([None, "oops"]),
        timezone=rng.choice(ZONES), burn_in_days=rng.choice([None, 0, 2]), first_days=(first := rng.choice([1, 7, 14, 28])),
        clock_tolerance=rng.choice(["5s", "0s", "1h"]),
        properties={1: [], 7: ["status"], 14: ["size", "status"], 28: []}[first],
    )  # fmt: skip


def some_instant(rng, start):
    """Mostly on a coarse grid, so that times tie; at times one microsecond off it."""
    minutes = rng.choice(
        [30 * rng.randrange(48 * 3), 30 * rng.randrange(48 * 20), 1440 * rng.randrange(20)]
    )
    return start + timedelta(minutes=minutes, microseconds=rng.choice([0, 0, 0, 0, -1, 1]))


def some_rows(rng, *, ids="int", dates_only=False, users=5, most=60):
    """Events as dicts, `at` in UTC; with nulls, ties and exact duplicates."""
    start = rng.choice(STARTS)
    name = (
        (lambda n: n * 7 - 3)
        if ids == "int"
        else (lambda n: ["ann", "Ann", " bob", "çem", "zoë", "u6", "u7"][n % 7])
    )
    rows = []
    for _ in range(rng.randrange(1, most)):
        at = some_instant(rng, start)
        at = datetime(at.year, at.month, at.day) if dates_only else at
        rows.append({
            "user_id": name(rng.randrange(users)), "event": rng.choice([*NAMES, "signup"]), "at": at.replace(tzinfo=UTC),
            "status": rng.choice(["paid", "late", "", None]), "size": rng.choice([1, 2, 3, None]),
        })  # fmt: skip
        if rng.random() < 0.05:
            rows.append(dict(rows[-1]))
        elif rng.random() < 0.08:
            rows[-1][rng.choice(["user_id", "event", "at"])] = None
    if not any(None not in (r["user_id"], r["event"], r["at"]) for r in rows):
        rows.append(
            {
                "user_id": name(0),
                "event": "signup",
                "at": start.replace(tzinfo=UTC),
                "status": None,
                "size": None,
            }
        )
    return rows


def some_people(rng, rows, *, sign_ups="none"):
    """A row per user for most users of the log and two more; `sign_ups` are none, dates or instants."""
    known = {r["user_id"] for r in rows if r["user_id"] is not None}
    more = [901, 902] if all(isinstance(i, int) for i in known) else ["zed", "zoe"]
    some = [r["at"] for r in rows if r["at"] is not None]
    people = []
    for user in [i for i in sorted(known) if rng.random() < 0.8] + more:
        person = {
            "user_id": user,
            "plan": rng.choice(["free", "pro", None]),
            "account_id": rng.choice(["a", "b", "c", None]),
        }
        if sign_ups != "none":
            told = rng.choice([None, *some]) if some else None
            told = told and told + timedelta(hours=rng.choice([0, 0, -30, 5]))
            person["signed_up_at"] = told and (told.date() if sign_ups == "dates" else told)
        people.append(person)
    return people


def as_frame(rows, *, ids="int", dates_only=False):
    """The log as polars holds it."""
    at = pl.Date if dates_only else pl.Datetime("us", "UTC")
    schema = {
        "user_id": pl.Int64 if ids == "int" else pl.String,
        "event": pl.String,
        "at": pl.Datetime("us", "UTC"),
        "status": pl.String,
        "size": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema).with_columns(
        pl.col("at").dt.date() if at == pl.Date else pl.col("at")
    )


def people_frame(people, *, ids="int", sign_ups="none"):
    schema = {
        "user_id": pl.Int64 if ids == "int" else pl.String,
        "plan": pl.String,
        "account_id": pl.String,
    }
    if sign_ups != "none":
        schema["signed_up_at"] = pl.Date if sign_ups == "dates" else pl.Datetime("us", "UTC")
    return pl.DataFrame(people, schema=schema)
