"""The reduction once more in narwhals, for logs that live in another engine; the same result to the last count.

It is written in the small vocabulary that all engines share: filter, join, group_by, when as a column, concat.
Instants are whole microseconds since 1970 (UTC), local days the engine's own dates; `engines` sees to both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import narwhals as nw

from engagekit.definition import microseconds_of
from engagekit.journeys import early_names
from engagekit.matchers import Not, as_matches, goals
from engagekit.rollups.population import (
    NO_ACCOUNT,
    NO_SIGNUP,
    TOO_LATE,
    burn_in_of,
    burnt_in,
)
from engagekit.rollups.user_properties import hidden, portable_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from engagekit.definition import Assignment, Definition, Step
    from engagekit.matchers import Condition, Goal

Lazy: TypeAlias = "nw.LazyFrame[Any]"
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Source:
    """A log as an engine holds it, its times and days brought to one form.

    `log`: ``user_id, event, t, day`` and properties, each named by `hidden`, nothing null in the first three; `people`, if there is a users
    table: ``user_id, su_t`` (sign-up) and, by account, ``account_id``; `bounded` adds the log's ``start_t`` and ``end_t`` to a frame; `kept` has the engine hold on to
    what several tables start from, where it can.
    """

    log: Lazy
    people: Lazy | None
    bounded: Callable[[Lazy], Lazy]
    unit: str
    kept: Callable[[Lazy], Lazy]
    own: tuple[str, ...] = ()  # event properties that become the user's
    dated: Callable[[Lazy], Lazy] | None = (
        None  # tells the day anew where ``moved`` is 1, unless a log only knows days
    )


def reduction(source: Source, definition: Definition) -> dict[str, Lazy]:
    """Say how the four tables, and what is left out, follow from a log; nothing runs yet."""
    t = nw.col("t")
    log = source.bounded(source.log).filter(t >= nw.col("start_t"), t < nw.col("end_t"))
    log = log.drop("start_t", "end_t")
    base, owners, left_out, unannounced = _members(log, source, definition)
    events = source.kept(log.join(owners, on="user_id", how="inner"))
    told = _tolerated(events, source, definition)
    known = told.filter(nw.col("t") >= nw.col("s_t")).drop("user_id").rename({"unit_id": "user_id"})
    before = told.filter(nw.col("t") < nw.col("s_t"))
    telling = before.filter(
        (_flag(hit(definition.activation)) == 1) | (_flag(hit(definition.core)) == 1)
    )
    late = telling.group_by("unit_id").agg(nw.len().alias("times"))
    users = _users(known, base, definition)
    never = users.filter(nw.col("activated_at").is_null()).select("user_id")
    late = late.join(never, left_on="unit_id", right_on="user_id", how="semi")
    assigned = {}
    if definition.experiment is not None:
        assigned["assigned"] = _assigned(events, definition.experiment)
    return assigned | {
        "users": portable_values(known, users, {name: hidden(name) for name in source.own}),
        "steps": _steps(known, base, definition),
        "early": _early(known, definition.first_days),
        "days": _days(known, definition),
        "left_out": left_out,
        "too_soon": before.select(count=nw.len()),
        "late": late.select(count=nw.len()),
        "unannounced": unannounced,
    }


def _tolerated(events: Lazy, source: Source, definition: Definition) -> Lazy:
    """Have what comes a little before its unit's sign-up count as at it."""
    lag = microseconds_of(definition.clock_tolerance)
    if not lag or source.dated is None:
        return events
    t, s_t = nw.col("t"), nw.col("s_t")
    marked = events.with_columns(moved=_flag((t < s_t) & (t >= s_t - lag)))
    return source.dated(marked.with_columns(t=nw.when(nw.col("moved") == 1).then(s_t).otherwise(t)))


def _assigned(events: Lazy, experiment: Assignment) -> Lazy:
    """Read each user's arm: of the first assignment; of several at one instant, the first by name."""
    arm = nw.col(hidden(experiment.property))
    told = events.filter(hit(experiment.event)).filter(~arm.is_null())
    told = told.select(
        nw.col("unit_id").alias("user_id"), arm.cast(nw.String).alias("variant"), "t"
    )
    arms = told.group_by("user_id", "variant").agg(nw.col("t").min())
    each = arms.group_by("user_id").agg(
        nw.col("t").min().alias("assigned_at"), nw.len().alias("variants_seen")
    )
    firsts = arms.join(each, on="user_id", how="inner").filter(nw.col("t") == nw.col("assigned_at"))
    return firsts.group_by("user_id", "assigned_at", "variants_seen").agg(nw.col("variant").min())


def hit(matcher: Goal, called: Callable[[str], str] = hidden) -> nw.Expr:
    """Tell whether an event is meant (or one of several that are); null or false where a property is null."""
    parts = []
    for match in as_matches(matcher):
        part = nw.col("event") == nw.lit(match.event)
        for column, condition in match.where:
            part = part & _holds(called(column), condition)
        parts.append(part)
    return _any(parts)


def _holds(column: str, condition: Condition) -> nw.Expr:
    negated = isinstance(condition, Not)
    values = condition.values if isinstance(condition, Not) else condition
    null, others = nw.col(column).is_null(), [v for v in values if v is not None]
    parts = [nw.col(column) == nw.lit(value) for value in others]
    if not negated:
        return _any(parts + ([null] if None in values else []))
    # Null is another value, so it must not make the comparison null.
    beside = [~_any(parts)] if parts else []
    if None not in values:
        return _any([null, *beside])
    return beside[0] & ~null if beside else ~null


def _any(parts: list[nw.Expr]) -> nw.Expr:
    found = parts[0]
    for part in parts[1:]:
        found = found | part
    return found


def _flag(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0))


def _members(log: Lazy, source: Source, definition: Definition) -> tuple[Lazy, Lazy, Lazy, Lazy]:
    everybody = log.group_by("user_id").agg(nw.col("t").min().alias("first_t"))
    if definition.signup is None:
        seen = everybody.with_columns(nw.col("first_t").alias("event_t"))
    else:
        ups = (
            log.filter(hit(definition.signup))
            .group_by("user_id")
            .agg(nw.col("t").min().alias("event_t"))
        )
        seen = everybody.join(ups, on="user_id", how="left")
    nothing = nw.lit(None).cast(nw.Int64)
    if source.people is None:
        table = seen.with_columns(nothing.alias("su_t"))
    else:
        table = _full(seen, source.people, "user_id")
    table = table.with_columns(
        nw.coalesce("su_t", "event_t").alias("s_t"), _flag(~nw.col("su_t").is_null()).alias("given")
    )
    owners, homeless = table.select("user_id", nw.col("user_id").alias("unit_id")), None
    unannounced = _unannounced(source.bounded(table.filter(nw.col("s_t").is_null())))
    if source.unit == "account":
        homeless = table.filter(nw.col("account_id").is_null()).select(count=nw.len())
        table = table.filter(~nw.col("account_id").is_null())
        owners = table.select("user_id", nw.col("account_id").alias("unit_id"))
        table = _accounts(table)
    table = source.bounded(table).with_columns(_reason(definition).alias("reason"))
    table = source.kept(table.drop("start_t", "end_t"))
    base = table.filter(nw.col("reason").is_null()).select("user_id", "s_t", "given")
    left = table.filter(~nw.col("reason").is_null()).group_by("reason").agg(nw.len().alias("count"))
    left = left.with_columns(nw.lit(f"{source.unit}s").alias("unit"))
    if homeless is not None:
        named = homeless.with_columns(
            nw.lit(NO_ACCOUNT).alias("reason"), nw.lit("users").alias("unit")
        )
        left = nw.concat([left, named.select("reason", "count", "unit")])
    places = base.rename({"user_id": "unit_id"})
    return base, owners.join(places, on="unit_id", how="inner"), left, unannounced


def _unannounced(strangers: Lazy) -> Lazy:
    """Count users without a sign-up who were first seen in the third and in the last quarter of the log."""
    since, length = nw.col("first_t") - nw.col("start_t"), nw.col("end_t") - nw.col("start_t")
    last = _flag(4 * since >= 3 * length)
    later = _flag(4 * since >= 2 * length)
    counts = strangers.with_columns(later=later, last=last)
    return counts.select(nw.col("later").sum(), nw.col("last").sum())


def _accounts(table: Lazy) -> Lazy:
    """Let an account sign up with its first member."""
    first = table.group_by("account_id").agg(nw.col("s_t").min().alias("account_t"))
    firsts = table.join(first, on="account_id", how="inner").filter(
        nw.col("s_t") == nw.col("account_t")
    )
    told = firsts.group_by("account_id").agg(nw.col("given").max())
    accounts = first.join(told, on="account_id", how="left")
    return accounts.rename({"account_id": "user_id", "account_t": "s_t"})


def _reason(definition: Definition) -> nw.Expr:
    s_t, given = nw.col("s_t"), nw.col("given") == 1
    burn_in = burn_in_of(definition)
    burnt = ~given & (s_t < nw.col("start_t") + burn_in * DAY_US)
    cases = [
        (burnt, burnt_in(burn_in)),
        (s_t >= nw.col("end_t"), TOO_LATE),
        (s_t.is_null(), NO_SIGNUP),
    ]
    reason: nw.Expr = nw.lit(None).cast(nw.String)
    for condition, name in cases if burn_in else cases[1:]:
        reason = nw.when(condition).then(nw.lit(name)).otherwise(reason)
    return reason


def _full(left: Lazy, right: Lazy, key: str) -> Lazy:
    """Join what stands on either side; engines differ in what a full join calls its key."""
    other = right.rename({key: "other_key"})
    joined = left.join(other, left_on=key, right_on="other_key", how="full")
    return joined.with_columns(nw.coalesce(key, "other_key").alias(key)).drop("other_key")


def _users(known: Lazy, base: Lazy, definition: Definition) -> Lazy:
    if (
        definition.signup is None
    ):  # the first event is the sign-up, unless the users table knows better
        aside = (nw.col("given") == 0) & (nw.col("t") == nw.col("s_t"))
    else:
        aside = hit(definition.signup)
    marks = {
        "aside": _flag(aside),
        "core": _flag(hit(definition.core)),
    }
    if definition.outreach is not None:
        marks["outreach"] = _flag(hit(definition.outreach))
    marked = known.with_columns(**marks)
    action = (
        (nw.col("aside") == 0) & (nw.col("outreach") == 0)
        if definition.outreach is not None
        else nw.col("aside") == 0
    )
    t = nw.col("t")
    marked = marked.with_columns(
        first_action_at=nw.when(action).then(t),
        last_core_at=nw.when(nw.col("core") == 1).then(t),
    )
    found = marked.group_by("user_id").agg(
        nw.col("first_action_at").min(),
        nw.col("last_core_at").max(),
        nw.col("t").max().alias("last_seen_at"),
    )
    active_days = _count_days(known, "active_days")
    did = marked.filter(nw.col("outreach") == 0) if definition.outreach is not None else marked
    core_days = _count_days(marked.filter(nw.col("core") == 1), "core_days")
    table = base.select("user_id", nw.col("s_t").alias("signed_up_at"))
    early_events = _early_events(did, definition.first_days)
    for part in (_activated(known, definition), found, core_days, active_days, early_events):
        table = table.join(part, on="user_id", how="left")
    counted = ["core_days", "active_days", *early_names(definition.first_days)]
    return table.with_columns(*[nw.coalesce(name, nw.lit(0)) for name in counted])


def _early_events(did: Lazy, first_days: int) -> Lazy:
    age = nw.col("t") - nw.col("s_t")
    soon = did.filter(age < first_days * DAY_US)
    soon = soon.with_columns((age // DAY_US).cast(nw.Int64).alias("k"))
    by_day = soon.group_by("user_id", "k").agg(nw.len().alias("times"))
    names = early_names(first_days)
    of_day = [
        nw.when(nw.col("k") == day).then(nw.col("times")).otherwise(nw.lit(0)).alias(name)
        for day, name in enumerate(names)
    ]
    return by_day.with_columns(*of_day).group_by("user_id").agg(*[nw.col(n).sum() for n in names])


def _activated(known: Lazy, definition: Definition) -> Lazy:
    """Find the first instant at which any alternative of activation is complete."""
    t, ways = nw.col("t"), []
    for parts in goals(definition.activation):
        reached = [_nth(known.filter(hit(part)), times) for part, times in parts]
        whole = nw.concat(reached) if len(reached) > 1 else reached[0]
        found = whole.group_by("user_id").agg(
            t.max().alias("activated_at"), nw.len().alias("parts")
        )
        ways.append(found.filter(nw.col("parts") == len(parts)).select("user_id", "activated_at"))
    if len(ways) == 1:
        return ways[0]
    return nw.concat(ways).group_by("user_id").agg(nw.col("activated_at").min())


def _nth(found: Lazy, times: int) -> Lazy:
    """Find the instant of each user's event of this number."""
    if times == 1:
        return found.group_by("user_id").agg(nw.col("t").min())
    place = nw.col("t").rank("ordinal").over("user_id")
    numbered = found.select("user_id", "t").with_columns(place.alias("place"))
    return numbered.filter(nw.col("place") == times).select("user_id", "t")


def _count_days(known: Lazy, name: str) -> Lazy:
    by_day = known.group_by("user_id", "day").agg(nw.len().alias("times"))
    return by_day.group_by("user_id").agg(nw.len().alias(name))


def _steps(known: Lazy, base: Lazy, definition: Definition) -> Lazy:
    before = base.select(
        "user_id", nw.col("s_t").alias("reached_at"), nw.col("s_t").alias("last_reached_at")
    )
    parts = []
    for position, step in enumerate(definition.steps):
        part = _step(known, before, step).with_columns(nw.lit(position).alias("step"))
        parts.append(
            part.select("user_id", "step", "reached_at", "last_reached_at", "completed_at")
        )
        done = part.filter(~nw.col("completed_at").is_null())
        before = done.select(
            "user_id",
            nw.col("completed_at").alias("reached_at"),
            nw.col("completed_at").alias("last_reached_at"),
        )
    if parts:
        return nw.concat(parts)
    nothing = before.with_columns(
        nw.lit(0).alias("step"), nw.col("reached_at").alias("completed_at")
    )
    return nothing.filter(nw.col("step") == 1)


def _step(known: Lazy, before: Lazy, step: Step) -> Lazy:
    t = nw.col("t")
    if step.reached is not None:
        found = known.filter(hit(step.reached)).group_by("user_id")
        before = found.agg(t.min().alias("reached_at"), t.max().alias("last_reached_at"))
    if step.completed is None:
        return before.with_columns(nw.col("reached_at").alias("completed_at"))
    done = known.filter(hit(step.completed)).group_by("user_id").agg(t.min().alias("completed_at"))
    reached, completed = nw.col("reached_at"), nw.col("completed_at")
    # Whoever completed a step had come to it by then.
    first = nw.when(reached < completed).then(reached).otherwise(completed)
    return _full(before, done, "user_id").with_columns(
        reached_at=nw.coalesce(first, reached),
        last_reached_at=nw.coalesce("last_reached_at", "completed_at"),
    )


def _early(known: Lazy, first_days: int) -> Lazy:
    age = nw.col("t") - nw.col("s_t")
    soon = known.filter(age < first_days * DAY_US)
    soon = soon.with_columns((age // DAY_US).cast(nw.Int64).alias("k"))
    by_day = soon.group_by("user_id", "event", "k").agg(
        nw.col("t").min().alias("first_at"), nw.len().alias("times")
    )
    bit = nw.lit(0)
    for k in range(first_days):  # powers come back as floating numbers on some engines
        bit = nw.when(nw.col("k") == k).then(nw.lit(2**k)).otherwise(bit)
    return (
        by_day.with_columns(bit.alias("days"))
        .group_by("user_id", "event")
        .agg(nw.col("first_at").min(), nw.col("times").sum(), nw.col("days").sum())
    )


def _days(known: Lazy, definition: Definition) -> Lazy:
    parts = []
    for role, matcher in definition.roles().items():
        found = (
            known.filter(hit(matcher))
            .group_by("user_id", "day")
            .agg(
                nw.col("t").min().alias("first_at"),
                nw.col("t").max().alias("last_at"),
                nw.len().alias("times"),
            )
        )
        parts.append(found.with_columns(nw.lit(role).alias("role")))
    return nw.concat(parts).select("user_id", "day", "role", "first_at", "last_at", "times")
