"""The ten metrics again in plain Python over the raw events: slow, obvious, and independent of journeys."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from statistics import median
from zoneinfo import ZoneInfo

from oracle_clock import Clock
from oracle_outreach import Reader, expected_returns, rate_ratio

from engagekit.matchers import event_names, label

DAY = timedelta(days=1)
MICRO = timedelta(microseconds=1)


def metrics_of(events, definition, as_of, *, given=None, recent="as defined"):
    """``{(metric, reading): (n, of) or value}`` of rows (user, event, at); `definition` with resolved windows.

    `given` holds sign-ups from a users table, which may lie before the log.
    """
    given = given or {}
    start = min(at for _, _, at in events if at < as_of)
    rows = by_user(events, as_of)
    for user in given:
        rows.setdefault(user, [])
    people = [Person(u, mine, definition, as_of, given.get(u)) for u, mine in rows.items()]
    people = [p for p in people if p.signed is not None and p.signed < as_of]
    for p in people:
        p.late = p.signed < start and p.day_of(p.signed) < p.day_of(start)
    since = recent_since([p.signed for p in people if not p.late], definition, as_of, recent)
    counted = [p for p in people if since is None or p.signed >= since]
    whole = [p for p in counted if not p.late]
    found = {}
    for make in (activation, value_in_time, returns, feedback, adoption, steps, comebacks):
        found |= make(whole, definition, as_of)
    found |= engagement(counted, definition, as_of)
    found |= depth(people, definition, as_of)
    there = [p for p in people if not p.late]
    found |= rates(there, definition, as_of)
    return found | beside(whole, there, people, definition, start, as_of)


def recent_since(sign_ups, definition, as_of, recent):
    """From when on sign-ups are recent: those of the last `depth_days + recent` days, or so long before the last one."""
    days = definition.recent_days if recent == "as defined" else recent
    if days is None:
        return None
    span = (definition.depth_days + days) * DAY
    last = max(sign_ups, default=None)
    return as_of - span if last is None or last >= as_of - span else last - span


def by_user(events, as_of):
    users = defaultdict(list)
    for user, event, at in events:
        if at < as_of:
            users[user].append((at, event))
    return users


class Person:
    """One user's events since sign-up, by what they mean."""

    def __init__(self, user, rows, definition, as_of, given):
        zone = ZoneInfo(definition.timezone)
        self.user = user
        self.day_of = lambda at: at.astimezone(zone).date()
        signups = [at for at, event in rows if event in event_names(definition.signup)]
        self.signed = given or (min(signups) if signups else None)
        if self.signed is None:
            return
        self.rows = sorted((at, event) for at, event in rows if at >= self.signed)
        self.start = as_of - 28 * DAY
        self.activated = min(self.times(definition.activation), default=None)
        self.core = self.times(definition.core)
        self.advanced = {label(a): self.times(a) for a in definition.advanced}

    def times(self, matcher):
        names = () if matcher is None else event_names(matcher)
        return [at for at, event in self.rows if event in names]

    def recent(self, times):
        """Events of one role in the last 28 days; on the day these begin, those between first and last evenly spread."""
        days = defaultdict(list)
        for at in sorted(times):
            days[self.day_of(at)].append(at)
        return sum(at >= self.start for on in days.values() for at in spread(on))

    def later_core(self):
        return [at for at in self.core if self.day_of(at) > self.day_of(self.activated)]


def spread(times):
    """The same number of instants between the same first and last, evenly spread."""
    steps = max(1, len(times) - 1)
    return [times[0] + k * (times[-1] - times[0]) / steps for k in range(len(times))]


def share(people, of, did):
    judged = [p for p in people if of(p)]
    return sum(bool(did(p)) for p in judged), len(judged)


def engagement(people, definition, as_of):
    def old(p):
        return p.activated is not None and p.activated < p.start

    return {
        ("engagement rate", "last 28 days"): share(
            people, old, lambda p: any(at >= p.start for at in p.core)
        )
    }


def activated_within(p, days):
    return p.activated is not None and p.activated < p.signed + days * DAY


def activation(people, definition, as_of):
    days = definition.activation_days
    return {
        ("activation rate", f"within {days} days"): share(
            people, lambda p: p.signed + days * DAY <= as_of, lambda p: activated_within(p, days)
        )
    }


def value_in_time(people, definition, as_of):
    days = definition.activation_days
    judged = [p for p in people if p.signed + days * DAY <= as_of]
    soon = sum(activated_within(p, days) for p in judged)
    found = {
        ("time to value", f"median of those who activate within {days} days"): (soon, len(judged))
    }
    for d in (1, 7, 14, 30, 60, 90):
        found["time to value", f"activated by day {d}"] = share(
            people,
            lambda p, d=d: p.signed + d * DAY <= as_of,
            lambda p, d=d: activated_within(p, d),
        )
    return found


def returns(people, definition, as_of):
    return {
        ("return usage", f"within {d} days"): share(
            people,
            lambda p, d=d: p.activated is not None and p.activated + d * DAY <= as_of,
            lambda p, d=d: any(at < p.activated + d * DAY for at in p.later_core()),
        )
        for d in {7, definition.habit_days}
    }


def feedback(people, definition, as_of):
    def asked(p):
        return min(p.times(definition.feedback_asked), default=None)

    def answered(p):
        return any(
            asked(p) <= at < asked(p) + 14 * DAY for at in p.times(definition.feedback_given)
        )

    if definition.feedback_asked is None or definition.feedback_given is None:
        return {("feedback participation", None): None}
    return {
        ("feedback participation", "within 14 days of being asked"): share(
            people, lambda p: asked(p) is not None and asked(p) + 14 * DAY <= as_of, answered
        )
    }


def depth(people, definition, as_of):
    core = [p.recent(p.core) for p in people]
    advanced = [sum(p.recent(times) for times in p.advanced.values()) for p in people]
    actions = [c + a for c, a in zip(core, advanced, strict=True) if c + a]
    name, span = "engagement depth", "last 28 days"
    found = {
        (name, f"median, {span}"): median(actions) if actions else None,
        (name, f"mean, {span}"): (sum(actions), len(actions)),
        (name, f"2 or more, {span}"): (sum(a > 1 for a in actions), len(actions)),
    }
    if definition.advanced:
        found |= {
            (name, f"mean of core, {span}"): (sum(core), len(actions)),
            (name, f"mean of advanced, {span}"): (sum(advanced), len(actions)),
        }
    return found


def adoption(people, definition, as_of):
    window = definition.depth_days * DAY

    def met(p, action):
        days = sorted(
            {p.day_of(at) for at in p.advanced[action] if p.activated <= at < p.activated + window}
        )
        uses = definition.depth_uses
        return any(
            (days[k + uses - 1] - days[k]).days <= definition.depth_within_days
            for k in range(len(days) - uses + 1)
        )

    found = {
        ("advanced adoption", label(a)): share(
            people,
            lambda p: p.activated is not None and p.activated + window <= as_of,
            lambda p, a=a: met(p, label(a)),
        )
        for a in definition.advanced
    }
    return found or {("advanced adoption", None): None}


def stages(p, definition):
    """(reached, completed) of each step."""
    found, before = [], True
    for step in definition.steps:
        done = bool(p.times(step.completed))
        reached = done or (before if step.reached is None else bool(p.times(step.reached)))
        before = done if step.completed is not None else reached
        found.append((reached, before))
    return found


def steps(people, definition, as_of):
    found = {}
    for k, step in enumerate(definition.steps):
        found["step drop-off", step.name] = share(
            people,
            lambda p, k=k: (
                p.signed + definition.activation_days * DAY <= as_of and stages(p, definition)[k][0]
            ),
            lambda p, k=k: not stages(p, definition)[k][1],
        )
    return found or {("step drop-off", None): None}


def comebacks(people, definition, as_of):
    names = ("re-engagement", "within 7 days"), ("post-return retention", "days 8 to 28")
    if definition.outreach is None:
        return {(metric, None): None for metric, _ in names}

    def contact(p):
        """The first mail (of each day's first and last) after a silence as long as the habit window."""
        days = defaultdict(list)
        for at in p.times(definition.outreach):
            days[p.day_of(at)].append(at)
        for at in sorted({at for on in days.values() for at in (on[0], on[-1])}):
            alive = [t for t in [p.activated, *p.core] if t is not None and t < at]
            if (
                p.activated is not None
                and p.activated < at
                and max(alive) + definition.habit_days * DAY <= at
            ):
                return at
        return None

    def core_in(p, since, until):
        return any(contact(p) + since * DAY <= at < contact(p) + until * DAY for at in p.core)

    back = share(
        people, lambda p: contact(p) and contact(p) + 7 * DAY <= as_of, lambda p: core_in(p, 0, 7)
    )
    stay = share(
        people,
        lambda p: contact(p) and contact(p) + 28 * DAY <= as_of and core_in(p, 0, 7),
        lambda p: core_in(p, 7, 28),
    )
    return {names[0]: back, names[1]: stay}


def beside(whole, there, everybody, definition, start, as_of):
    """What would have come back without contact, and what outreach brought: values, None where nothing can be told."""
    if definition.outreach is None:
        return {("unprompted share", None): None}
    every = [p.core for p in everybody]
    clock = Clock(
        [{p.day_of(at) for at in core} for p, core in zip(everybody, every, strict=True)],
        everybody[0].day_of(start),
        everybody[0].day_of(as_of - MICRO),
    )  # fmt: skip

    def reader(p):
        mails = p.times(definition.outreach)
        return Reader(p.user, p.activated, p.core, mails, definition.timezone, as_of)

    readers = [reader(p) for p in whole]
    _, _, without, difference = expected_returns(readers, clock, definition.habit_days, as_of)
    returns, prompted, _, ratio = rate_ratio([reader(p) for p in there], clock.first, as_of)
    after = "in the 72 hours after outreach"
    excess = None if ratio is None else prompted / returns * (1 - 1 / ratio)
    return {
        ("re-engagement", "of those not contacted"): without,
        ("re-engagement", "difference"): difference,
        ("unprompted share", f"returns {after}"): (prompted, returns),
        ("unprompted share", "of all returns"): None if excess is None else min(1.0, 1 - excess),
        ("unprompted share", f"returns {after} beyond chance"): excess,
        ("unprompted share", f"times as often {after}"): ratio,
    }


def rates(people, definition, as_of):
    active = [
        definition.core,
        *definition.advanced,
        *definition.advocacy,
        definition.feedback_given,
    ]
    active += [definition.errors, definition.support]

    def present(p):
        ways = [p.times(m) for m in active]
        ways += [p.times(definition.activation)[:1]]
        for step in definition.steps:
            # of a step, its last reaching and its first completion are known
            ways += [p.times(step.reached), p.times(step.completed)[:1]]
        return p.signed >= p.start or any(at >= p.start for times in ways for at in times)

    found = {}
    for metric, matcher in (
        ("error rate", definition.errors),
        ("support rate", definition.support),
    ):
        if matcher is None:
            found[metric, None] = None
        else:
            there = [p for p in people if present(p)]
            found[metric, "last 28 days"] = (
                sum(p.recent(p.times(matcher)) for p in there),
                len(there),
            )
    return found
