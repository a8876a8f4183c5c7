"""Simulated logs: reproducible, true to what was planted, and dirty only on request."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import engagekit as ek
from engagekit.definition import LINKS
from engagekit.diagnosis.links import link_flags
from engagekit.errors import ParameterError
from engagekit.simulation.dirt import STAFF
from engagekit.simulation.users import CLASSES, MIXES

KEYS = ["user_id", "event", "at"]
ACTIVE = ["vanished", "plateau", "drift", "healthy"]


def rolled(log):
    return ek.rollup(log.events, log.definition, users=log.users, as_of=log.as_of)


def test_the_same_seed_gives_the_same_log():
    one, two, other = (
        ek.simulate(users=200, seed=seed, outreach=True, dirt=0.01) for seed in (5, 5, 6)
    )
    assert one.events.equals(two.events)
    assert one.truth.equals(two.truth)
    assert one.users.equals(two.users)
    assert not one.truth.equals(other.truth)


@pytest.mark.parametrize(
    "option",
    [
        {"null_events": 8},
        {"feedback": True},
        {"errors": True},
        {"late_feature": 60},
        {"telling": {"data_imported": (0.6, 0.3)}},
    ],
    ids=lambda option: next(iter(option)),
)
def test_an_option_only_adds_rows_and_leaves_the_truth_alone(option):
    plain = ek.simulate(users=300, seed=2)
    more = ek.simulate(users=300, seed=2, **option)
    assert plain.events.join(more.events, on=KEYS, how="anti").height == 0
    assert more.events.height > plain.events.height
    same = ["user_id", "planted", "signed_up_at", "activated_at", "missing_since"]
    assert plain.truth.select(same).equals(more.truth.select(same))


@pytest.mark.thorough
@pytest.mark.parametrize("mix", MIXES)
def test_classes_are_drawn_by_their_weights(mix):
    drawn = ek.simulate(users=20_000, days=30, seed=1, mix=mix).truth["planted"]
    shares = dict(drawn.value_counts(normalize=True).iter_rows())
    # 4.5 standard errors of the share at 20,000 users
    for name, weight in zip(CLASSES, MIXES[mix][0], strict=True):
        assert abs(shares[name] - weight) < 4.5 * (weight * (1 - weight) / 20_000) ** 0.5


def test_each_mix_says_which_link_is_broken_earliest():
    assert {mix: ek.simulate(users=20, mix=mix).planted_link for mix in MIXES} == {
        "balanced": "activation",
        "friction": "activation",
        "progress": "activation",
        "repeat_value": "habit",
        "discovery": "depth",
        "re_engagement": None,
        "healthy": None,
    }


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_planted_pass_rates_come_out_of_the_log_user_by_user(timezone):
    log = ek.simulate(
        users=4000, seed=7, rates={"habit": 0.40}, timezone=timezone, start="2025-08-20"
    )
    flags = link_flags(rolled(log)).join(log.truth.lazy(), on="user_id").collect()
    for link, classes in {"activation": ACTIVE, "habit": ACTIVE[1:]}.items():
        judged = flags.filter(pl.col(f"{link}_of"))
        assert judged.filter(pl.col(f"{link}_n") != pl.col("planted").is_in(classes)).height == 0
    deep = flags.filter(pl.col("depth_of"), pl.col("planted") != "drift")
    assert deep.filter(pl.col("depth_n") != (pl.col("planted") == "healthy")).height == 0
    assert log.planted_link == "habit"
    for link in LINKS:
        n, of = flags[f"{link}_n"].sum(), flags[f"{link}_of"].sum()
        rate = log.rates[link]
        assert of > 100
        assert abs(n / of - rate) < 3.5 * (rate * (1 - rate) / of) ** 0.5


def test_rates_not_named_lie_above_their_targets():
    log = ek.simulate(users=10, rates={"depth": 0.2}, targets={"activation": 0.5, "depth": 0.3})
    assert log.planted_link == "depth"
    assert log.rates["activation"] == pytest.approx(0.575)
    assert log.definition.targets == {"activation": 0.5, "depth": 0.3}


@pytest.mark.parametrize("mix", MIXES)
def test_the_contracts_rules_see_the_truth(mix):
    # The bounds asked of the diagnosis; the truth has to be visible enough for rules that are right.
    log = ek.simulate(users=2000, seed=11, mix=mix)
    found = ek.label_users(rolled(log)).join(log.truth, on="user_id")
    judged = found.filter(pl.col("label") != "too_early")
    right = pl.col("label") == pl.col("true_class")
    assert judged.select(right.mean()).item() >= 0.93
    assert judged.group_by("true_class").agg(right.mean())["label"].min() >= 0.88
    shares = [judged[c].value_counts(normalize=True, name="share") for c in ("label", "true_class")]
    both = (
        shares[0].join(shares[1], left_on="label", right_on="true_class", how="full").fill_null(0)
    )
    assert both.select((pl.col("share") - pl.col("share_right")).abs().max()).item() <= 0.05


def facts(log):
    """What each user did, read from the raw events in plain Python."""
    zone = ZoneInfo(log.definition.timezone)
    seen = defaultdict(lambda: defaultdict(list))
    for user, event, at in log.events.select(KEYS).iter_rows():
        seen[user][event].append(at.astimezone(zone))
    return seen


def class_from(events, truth, log):
    """The class a user is in at the data end, from the events and the user's plans."""
    started = [any(e in events for e in (s.reached, s.completed)) for s in log.definition.steps]
    if "first_project" not in events:
        hot = [s.reached in events and s.completed not in events for s in log.definition.steps]
        if not any(started):
            return "never_started"
        return "friction" if truth["planted"] == "friction" and any(hot) else "stalled"
    activated = events["first_project"][0].date()
    if all(at.date() == activated for at in events["project_published"]):
        return "vanished"
    if truth["missing_since"] is not None:
        return "drift"
    days = [len({at.date() for at in events.get(a, [])}) for a in log.definition.advanced]
    return "healthy" if max(days) >= 2 else "plateau"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_truth_is_what_the_events_and_plans_say_at_the_data_end(seed):
    log = ek.simulate(users=600, days=120, seed=seed, timezone="Europe/Berlin", outreach=True)
    seen = facts(log)
    wrong = [
        (row["user_id"], row["true_class"], class_from(seen[row["user_id"]], row, log))
        for row in log.truth.iter_rows(named=True)
        if row["true_class"] != class_from(seen[row["user_id"]], row, log)
    ]
    assert wrong == []


def test_users_do_what_their_class_says():
    log = ek.simulate(users=1500, seed=3, timezone="Australia/Sydney")
    seen = facts(log)
    for row in log.truth.iter_rows(named=True):
        events = seen[row["user_id"]]
        core_days = {at.date() for at in events.get("project_published", [])}
        if row["planted"] in ("never_started", "friction", "stalled"):
            assert "first_project" not in events
            assert not core_days
        if row["planted"] == "never_started":
            assert set(events) <= {"signed_up", "opened"}
        if row["planted"] == "vanished":
            assert len(core_days) <= 1
        if row["planted"] == "plateau":
            assert max(len(events.get(a, [])) for a in log.definition.advanced) <= 1
        if row["true_class"] == "friction":
            step = next(s for s in log.definition.steps if s.name == row["step"])
            assert step.reached in events
            assert step.completed not in events


def test_nothing_lies_before_a_users_signup_or_after_the_data_end():
    log = ek.simulate(users=2000, seed=4, outreach=True, feedback=True, errors=True, null_events=4)
    first = log.events.group_by("user_id").agg(
        pl.col("at").min().alias("first"),
        pl.col("at").filter(pl.col("event") == "signed_up").min().alias("signed_up"),
        (pl.col("event") == "signed_up").sum().alias("times"),
    )
    assert first.filter(pl.col("first") < pl.col("signed_up")).height == 0
    assert first["times"].unique().to_list() == [1]
    assert log.events["at"].max() < log.as_of
    assert log.events["at"].is_sorted()
    assert (
        log.truth.filter(pl.max_horizontal(pl.col(pl.Datetime("us", "UTC"))) >= log.as_of).height
        == 0
    )
    assert log.events.null_count().sum_horizontal().item() == 0


def test_signups_are_uniform_so_that_the_last_are_too_new():
    log = ek.simulate(users=10_000, days=100, seed=8)
    age = (log.as_of - log.truth["signed_up_at"]).dt.total_days()
    assert age.min() == 0
    assert 95 <= age.max() <= 100
    assert abs((age < 50).mean() - 0.5) < 0.02  # 4 standard errors
    judged = ek.label_users(rolled(log)).filter(pl.col("label") != "too_early")
    assert 0.5 < judged.height / 10_000 < 0.9


def test_weekends_can_be_quiet():
    log = ek.simulate(users=5000, seed=9, weekend=0.3)
    weekend = log.events.filter(pl.col("at").dt.weekday() >= 6).height / log.events.height
    assert weekend < 0.18  # 2 of 7 days would be 0.286


def test_spring_forward_leaves_no_hole():
    # 2026-03-08 02:00 does not exist in New York.
    log = ek.simulate(users=3000, days=20, seed=10, start="2026-03-01", timezone="America/New_York")
    assert log.events["at"].null_count() == 0
    assert (
        log.as_of.astimezone(ZoneInfo("America/New_York")).isoformat()
        == "2026-03-21T00:00:00-04:00"
    )


def test_null_events_have_the_same_chance_at_every_visit():
    log = ek.simulate(users=4000, seed=12, null_events=["theme_changed"])
    visits = log.events.filter(pl.col("event") == "project_published")
    noise = log.events.filter(pl.col("event") == "theme_changed").join(log.truth, on="user_id")
    visits = visits.join(log.truth, on="user_id").unique(["user_id", pl.col("at").dt.date()])
    rate = {
        c: noise.filter(pl.col("planted") == c).height
        / visits.filter(pl.col("planted") == c).height
        for c in ("plateau", "healthy")
    }
    assert rate["plateau"] == pytest.approx(rate["healthy"], abs=0.02)


def test_telling_events_are_done_by_the_shares_given():
    log = ek.simulate(users=6000, seed=13, telling={"data_imported": (0.6, 0.2)})
    did = log.truth.join(
        log.events.filter(pl.col("event") == "data_imported"), on="user_id", how="semi"
    )
    old = pl.col("signed_up_at") < log.as_of - timedelta(days=7)
    for classes, share in ((["plateau", "healthy"], 0.6), (["vanished", "drift", "stalled"], 0.2)):
        among = log.truth.filter(old, pl.col("planted").is_in(classes))
        assert did.filter(
            old, pl.col("planted").is_in(classes)
        ).height / among.height == pytest.approx(share, abs=0.04)


def test_a_late_feature_is_not_used_before_its_launch():
    log = ek.simulate(users=3000, seed=14, late_feature=100)
    used = log.events.filter(pl.col("event") == "assistant_asked")
    launch = log.as_of - timedelta(days=80)
    assert used.height > 100
    assert used["at"].min() >= launch
    assert "assistant_asked" in log.definition.advanced


def test_outreach_reaches_the_silent_and_brings_some_back():
    plain, mailed = (
        ek.simulate(users=3000, seed=15, mix="re_engagement", outreach=o) for o in (False, True)
    )
    assert mailed.definition.outreach == "email_sent"
    drift = [(log.truth["true_class"] == "drift").sum() for log in (plain, mailed)]
    assert 0.6 * drift[0] < drift[1] < drift[0]


def test_feedback_and_errors_stand_in_the_definition():
    log = ek.simulate(users=2000, seed=16, feedback=True, errors=True)
    counts = dict(log.events["event"].value_counts().iter_rows())
    assert 0 < counts[log.definition.feedback_given] < counts[log.definition.feedback_asked]
    assert 0 < counts[log.definition.support] < counts[log.definition.errors]


def test_members_of_an_account_share_their_fate_more_often_than_chance():
    log = ek.simulate(users=6000, seed=17, accounts=4)
    members = log.users.join(log.truth, on="user_id").select(
        "user_id", "account_id", "planted", "plan"
    )
    assert members.group_by("account_id").len()["len"].mean() == pytest.approx(4, abs=0.3)
    assert members.group_by("account_id").agg(pl.col("plan").n_unique())[
        "plan"
    ].unique().to_list() == [1]
    pairs = members.join(members, on="account_id").filter(
        pl.col("user_id") < pl.col("user_id_right")
    )
    same = pairs.select((pl.col("planted") == pl.col("planted_right")).mean()).item()
    chance = sum(w * w for w in MIXES["balanced"][0])
    assert same > chance + 0.1


def test_segments_and_later_signups_have_their_own_mix():
    log = ek.simulate(
        users=8000,
        seed=18,
        mix="healthy",
        segments={("channel", "ads"): "friction"},
        later=(90, "repeat_value"),
    )
    table = log.truth.join(log.users, on="user_id").with_columns(
        late=pl.col("signed_up_at") >= log.as_of - timedelta(days=90),
        ads=pl.col("channel") == "ads",
    )
    shares = {
        key: group["planted"].value_counts(normalize=True)
        for key, group in table.group_by("ads", "late")
    }

    def share(key, name):
        return dict(shares[key].iter_rows())[name]

    assert share((True, False), "friction") == pytest.approx(0.40, abs=0.06)
    assert share((False, False), "healthy") == pytest.approx(0.52, abs=0.06)
    assert share((False, True), "vanished") == pytest.approx(0.45, abs=0.06)


def test_dirt_can_be_cleaned_off_again():
    clean, dirty = (ek.simulate(users=500, seed=19, dirt=d) for d in (0.0, 0.02))
    assert not dirty.events["at"].is_sorted()
    assert dirty.events["user_id"].null_count() > 0
    assert dirty.events.is_duplicated().sum() > 0
    names = set(dirty.events["event"]) - set(clean.events["event"])
    assert {n.strip().casefold() for n in names} == {"opened"}
    assert clean.events.join(dirty.events, on=clean.events.columns, how="anti").height == 0
    signups = clean.truth.select("user_id", "signed_up_at")
    rest = (
        dirty.events.unique()
        .filter(pl.col("user_id") != STAFF, ~pl.col("event").is_in(list(names)))
        .join(signups, on="user_id")
        .filter(pl.col("at") >= pl.col("signed_up_at"))
        .select(clean.events.columns)
    )
    assert rest.sort(KEYS).equals(clean.events.sort(KEYS))
    assert clean.truth.equals(dirty.truth)


def test_friction_sits_where_it_is_planted_and_tries_are_as_many_as_asked():
    log = ek.simulate(users=1000, seed=21, mix="friction", hot_step="First draft", tries=1.0)
    stuck = log.truth.drop_nulls("step")["step"].value_counts(normalize=True)
    assert dict(stuck.iter_rows())["First draft"] > 0.9
    none = ek.simulate(users=1000, seed=21, mix={"plateau": 1}, tries=0.0)
    some = ek.simulate(users=1000, seed=21, mix={"plateau": 1}, tries=1.0)
    used = pl.col("event").is_in(log.definition.advanced)
    assert none.events.filter(used).height == 0
    assert some.events.filter(used)["user_id"].is_unique().all()
    assert some.events.filter(used).height > 300


def test_a_mix_can_be_weights():
    log = ek.simulate(users=400, seed=20, mix={"vanished": 3, "healthy": 1})
    assert set(log.truth["planted"]) == {"vanished", "healthy"}
    assert log.rates["habit"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"users": 0, "noise": 2}, ["users is 0", "noise lies outside"]),
        ({"mix": "frictoin"}, ["friction"]),
        ({"mix": {"vanishd": 1}}, ["vanished"]),
        ({"mix": {"vanished": 0}}, ["not all of them 0"]),
        ({"rates": {"habit": 1.2}}, ["habit at 1.2"]),
        ({"segments": {("channel", "radio"): "healthy"}}, ["radio"]),
        ({"later": 30}, ["later is 30"]),
        ({"accounts": 0.5}, ["accounts is 0.5"]),
        ({"dirt": 0.7, "hot_step": "Conect data"}, ["dirt lies outside", "Connect data"]),
    ],
)
def test_wrong_parameters_are_named(wrong, words):
    with pytest.raises(ParameterError) as caught:
        ek.simulate(**wrong)
    assert [w for w in words if w not in str(caught.value)] == []
