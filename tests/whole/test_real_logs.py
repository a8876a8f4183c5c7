"""The whole road on real logs: every number of the verdict against plain Python over the same events."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
import real_logs
from oracle_diagnosis import DAY, OneUser, told

import engagekit as ek
from engagekit.matchers import event_names

LEVEL = 0.8


class RealUser(OneUser):
    """One user under a definition whose matchers may name several events, and whose sign-up may be a first event."""

    def times(self, *matchers):
        names = {name for matcher in matchers for name in event_names(matcher)}
        return [at for at, event in self.events if event in names]

    def where_they_stand(self):
        acted = any(at > self.signed_up for at, _ in self.events)
        over = self.over(self.signed_up, self.d.activation_days)
        if (
            self.d.signup is None
            and not self.d.steps
            and self.activated is None
            and over
            and not acted
        ):
            return "never_started", None
        return super().where_they_stand()


def instant(at) -> datetime:
    if isinstance(at, datetime):
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return datetime(at.year, at.month, at.day, tzinfo=UTC)


def oracle(shared, name: str, journeys: ek.Journeys) -> dict:
    definition = journeys.definition
    mine, first = defaultdict(list), None
    for user, event, at in (
        real_logs.events(shared, name).select("user_id", "event", "at").collect().iter_rows()
    ):
        moment = instant(at)
        mine[user].append((moment, event))
        first = moment if first is None else min(first, moment)
    people = real_logs.users(shared, name)
    given = {}
    if people is not None:
        given = dict.fromkeys(people["user_id"])
        if "signed_up_at" in people.columns:
            given |= {
                u: instant(at)
                for u, at in people.select("user_id", "signed_up_at").iter_rows()
                if at is not None
            }
    found = {}
    for user in {*mine, *given}:
        events = sorted(mine[user])
        if definition.signup is None:
            since = events[0][0]
            if since < first + definition.burn_in_days * DAY:
                continue
        else:
            since = given.get(user) or min(
                (at for at, event in events if event == definition.signup), default=None
            )
        if since is None or since.date() < first.date() or since >= journeys.as_of:
            continue
        later = [(at, event) for at, event in events if since <= at < journeys.as_of]
        found[user] = RealUser(since, later, definition, journeys.as_of)
    told(found.values(), first)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["gcc", "travelse", pytest.param("oulad", marks=pytest.mark.slow)])
def test_the_road_ends_in_a_verdict_whose_numbers_are_right(shared, name):
    journeys = real_logs.journeys(shared, name)
    users = oracle(shared, name, journeys)
    assert journeys.users.height == len(users) > 1000
    priority = ek.prioritize(journeys)
    reached, few = 1.0, 200
    for row in priority.table.to_dicts():
        # Each link on the recent sign-ups that can be judged there: 91 days, doubled at most twice while they are few.
        until = max(u.signed_up for u in users.values() if u.signed_up <= row["until"])
        assert until <= row["until"] <= journeys.as_of
        days = (row["until"] - row["since"]).days
        assert days in {91, 182, 364}
        inside = [u for u in users.values() if row["since"] <= u.signed_up <= row["until"]]
        judged = [u.links[row["link"]] for u in inside]
        assert row["of"] == sum(j for j, *_ in judged)
        assert row["n"] == sum(j and p for j, p, *_ in judged)
        assert row["of"] >= few or days == 364
        reached = reached * row["n"] / row["of"] if row["of"] else None
        assert row["reached"] == (None if reached is None else pytest.approx(reached))
        if reached is None:
            break
    labels = Counter(u.label for u in users.values())
    diagnosis = ek.diagnose(journeys, recent=None)
    assert dict(diagnosis.select("label", "n").rows()) == {
        label: labels[label] for label in diagnosis["label"]
    }
    assert set(diagnosis.drop_nulls("share")["of"]) == {len(users) - labels["too_early"]}
    # Without targets nothing is broken; where half are lost is said.
    assert (priority.verdict, priority.link, priority.play) == ("no targets", None, None)
    known = [r for r in priority.table.to_dicts() if r["reached"] is not None]
    gone = [r for r in known if r["reached"] < 0.5]
    assert ("half are gone by" in priority.sentence) == bool(gone)
    if gone:
        said = f"half are gone by {gone[0]['link']}: {gone[0]['reached']:.0%} get that far"
        assert said in priority.sentence
    half = min(known, key=lambda r: r["rate"])
    # With them, what lies far below its own is named.
    targets = {half["link"]: min(0.95, half["rate"] + 0.3)}
    found = ek.prioritize(journeys, targets=targets)
    assert (found.verdict, found.link) == ("named", half["link"])
    assert found.probability >= LEVEL


@pytest.mark.thorough
def test_what_is_known_of_the_logs_is_found_again(shared):
    travelse = real_logs.journeys(shared, "travelse")
    left_out = {r["reason"]: r["count"] for r in travelse.left_out.to_dicts()}
    # All precede the sign-up; those of one user, who came from elsewhere, also lie before the log's body.
    assert left_out["events before their user's sign-up"] == 1306 - 664
    assert left_out["stray events before the log begins"] == 664
    only = ek.check_events(real_logs.events(shared, "travelse"), travelse.definition)
    shares = dict(only.select("check", "share").rows())
    assert shares["users with a sign-up only"] == pytest.approx(0.209, abs=0.001)
    gcc = ek.rollup(real_logs.events(shared, "gcc"), real_logs.definition("gcc"))
    curve = ek.pooled_curve(ek.cohort_curves(gcc, period="month", periods=3))
    month_1 = curve.filter(curve["period"] == 1)["rate"].item()
    assert 0.14 < month_1 < 0.22
    assert gcc.dates_only
    assert gcc.as_of - timedelta(days=1) <= datetime(2022, 8, 17, tzinfo=UTC)


@pytest.mark.parametrize("name", ["gcc", "travelse", "oulad"])
def test_every_answer_can_be_had(shared, name):
    journeys = real_logs.journeys(shared, name)
    for answer in (
        ek.metrics,
        ek.compare_first_weeks,
        ek.cohort_curves,
        ek.usage_interval,
        ek.engagement_matrix,
        ek.suggest_windows,
        ek.outcomes,
    ):
        assert answer(journeys).height > 0
    assert ek.plan(ek.prioritize(journeys), link="habit").sentence
