"""Labels and links from raw events in plain Python: slow, one user at a time, read beside the rules."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from zoneinfo import ZoneInfo

from oracle_clock import Clock, has_drifted, usual_gap

DAY = timedelta(days=1)


def of_log(rows, definition, as_of):
    """Label every signed-up user of ``(user, event, at)`` rows; the definition is resolved, its matchers are names."""
    mine = defaultdict(list)
    for user, event, at in rows:
        if at < as_of:
            mine[user].append((at, event))
    found = {}
    for user, events in mine.items():
        signups = [at for at, event in events if event == definition.signup]
        if signups:
            since = min(signups)
            later = sorted((at, event) for at, event in events if at >= since)
            found[user] = OneUser(since, later, definition, as_of)
    told(found.values(), min((at for _, _, at in rows if at < as_of), default=as_of))
    return found


def told(users, log_start):
    """Make the product's clock of all users, and tell it to each."""
    users = list(users)
    if users:
        days = [one.core_days() for one in users]
        clock = Clock(days, users[0].day(log_start), users[0].last_day())
        for one in users:
            one.stand(clock)


class OneUser:
    def __init__(self, signed_up, events, definition, as_of):
        self.signed_up, self.events, self.d, self.as_of = signed_up, events, definition, as_of
        self.activated = min(self.times(definition.activation), default=None)
        self.links = self.in_time()

    def stand(self, clock):
        self.clock = clock
        self.label, self.step = self.where_they_stand()

    def last_day(self):
        return self.day(self.as_of - timedelta(microseconds=1))

    def times(self, *names):
        return [at for at, event in self.events if event in names]

    def day(self, at):
        return at.astimezone(ZoneInfo(self.d.timezone)).date()

    def over(self, start, days):
        return start + days * DAY <= self.as_of

    def core_days(self):
        return sorted({self.day(at) for at in self.times(self.d.core)})

    def deep(self, start=None, end=None):
        for action in self.d.advanced:
            inside = [
                self.day(at)
                for at in self.times(action)
                if (start is None or at >= start) and (end is None or at < end)
            ]
            used = sorted(set(inside))
            for first, last in zip(used, used[self.d.depth_uses - 1 :], strict=False):
                if (last - first).days <= self.d.depth_within_days:
                    return True
        return False

    def open_steps(self):
        reached_any, still_open = False, []
        completed_before = [self.signed_up]
        for place, step in enumerate(self.d.steps):
            reached = self.times(step.reached) if step.reached else completed_before[:1]
            done = self.times(step.completed) if step.completed else reached
            reached = reached or done[:1]
            if reached:
                reached_any = True
                if not done:
                    still_open.append((max(reached), place, step.name))
            completed_before = done
        return reached_any, still_open

    def where_they_stand(self):
        d = self.d
        if self.activated is None:
            if not self.over(self.signed_up, d.activation_days):
                return "too_early", None
            reached, still_open = self.open_steps()
            acted = [e for _, e in self.events if e not in (d.signup, d.outreach)]
            if not (reached if d.steps else acted):
                return "never_started", None
            if still_open:
                return "friction", max(still_open)[2]
            return "stalled", None
        days = self.core_days()
        if not any(day > self.day(self.activated) for day in days):
            return ("vanished" if self.over(self.activated, d.habit_days) else "too_early"), None
        if self.drifted():
            return "drift", None
        if self.deep():
            return "healthy", None
        return ("plateau" if self.over(self.activated, d.depth_days) else "too_early"), None

    def came_back(self):
        return bool(self.activated) and any(d > self.day(self.activated) for d in self.core_days())

    def drifted(self):
        interval, habit = self.d.usage_interval_days, self.d.habit_days
        return has_drifted(self.core_days(), self.clock, self.last_day(), interval, habit)

    def silence(self):
        return self.clock.between(self.core_days()[-1], self.last_day())

    def usual_gap(self):
        return usual_gap(self.core_days(), self.clock, self.d.usage_interval_days)

    def watched(self):
        if not self.came_back() or self.drifted():
            return False
        return self.silence() > 0 and self.silence() >= 2 * self.usual_gap()

    def in_time(self):
        """Per link: judged, passed, span from sign-up over, passed everything up to here (of those)."""
        d, act, found = self.d, self.activated, {}

        def passed(link):
            if link == "activation":
                return act is not None and act < self.signed_up + d.activation_days * DAY
            if link == "habit":
                end = act + d.habit_days * DAY
                return any(self.day(at) > self.day(act) and at < end for at in self.times(d.core))
            if link == "depth":
                return self.deep(act, act + d.depth_days * DAY)
            end = act + d.advocacy_days * DAY
            return any(act <= at < end for at in self.times(*d.advocacy))

        windows = {
            "activation": d.activation_days,
            "habit": d.habit_days,
            "depth": d.depth_days,
            "advocacy": d.advocacy_days,
        }
        possible, so_far, span = True, True, 0
        for link, days in windows.items():
            possible = possible and not (
                (link == "depth" and not d.advanced) or (link == "advocacy" and not d.advocacy)
            )
            start = self.signed_up if link == "activation" else act
            judged = possible and so_far and self.over(start, days)
            so_far = judged and passed(link)
            span = max(span, days if link == "activation" else d.activation_days + days)
            known = possible and self.over(self.signed_up, span)
            found[link] = (judged, so_far, known, known and so_far)
        return found
