from __future__ import annotations

import dataclasses
import re
from datetime import date, timedelta

import polars as pl
import pytest
from link_logs import PLAIN as DEFINITION
from link_logs import START, log_of, rolled, steady, visits

import engagekit as ek
from engagekit.diagnosis.labels import LABELS, RULES, labelled
from engagekit.errors import ParameterError
from engagekit.intervals import wilson
from engagekit.playbook.plays import NO_PLAY, PLAYS

NO_STEPS = dataclasses.replace(DEFINITION, steps=())
# The windows of DEFINITION: activation 3 days, habit 2, depth 6; two uses within 2 days; usual gap 1.5.


def standing_of(events, definition=DEFINITION, as_of: float = 30) -> tuple[str, str | None]:
    journeys = steady(rolled(log_of(*events), definition, as_of))
    return ek.label_users(journeys).select("label", "step").row(0)


def label_of(events, definition=DEFINITION, as_of: float = 30) -> str:
    return standing_of(events, definition, as_of)[0]


@pytest.mark.parametrize(
    ("events", "as_of", "expected"),
    [
        # One event only: nothing but the sign-up. Too new for three days, then they never started.
        ([("join", 0)], 2.99, "too_early"),
        ([("join", 0)], 3, "never_started"),
        # A mail from us is nothing the user did.
        ([("join", 0), ("mail", 1)], 30, "never_started"),
        # Looking around is no step.
        ([("join", 0), ("look", 1), ("report", 1)], 30, "never_started"),
        # What comes before the sign-up is kept out: no step, no activation, no core day.
        ([("open", 0), ("make", 0), ("make", 1), ("join", 2)], 30, "never_started"),
        ([("make", 0), ("join", 1), ("make", 2)], 30, "vanished"),
        # Reached a step: friction while it is open, stalled once what was opened is completed.
        ([("join", 0), ("open", 1)], 2.99, "too_early"),
        ([("join", 0), ("open", 1)], 3, "friction"),
        ([("join", 0), ("open", 1), ("done", 1)], 30, "stalled"),
        ([("join", 0), ("done", 1)], 30, "stalled"),  # completed without a trace of reaching: reached then
        ([("join", 0), ("open", 1), ("done", 20)], 30, "stalled"),  # success counts whenever it comes
        ([("join", 0), ("pick", 1), ("load", 2)], 30, "stalled"),
        # Activity on the day of activation only, however much: vanished once two days have passed since.
        ([("join", 0), ("make", 0.4), ("make", 0.5), ("make", 0.9)], 2.39, "too_early"),
        ([("join", 0), ("make", 0.4), ("make", 0.5), ("make", 0.9)], 2.4, "vanished"),
        # Activation without steps, or long after its window: activated is activated.
        ([("join", 0), ("make", 20)], 30, "vanished"),
        ([("join", 0), ("make", 20), ("make", 24)], 25.9, "too_early"),
        # Steps after activation no longer say where the user is stuck.
        ([("join", 0), ("make", 1), ("open", 2), ("pick", 3)], 30, "vanished"),
        # Keeps coming, never deeper: a plateau once six days have passed.
        (visits(1, 2, 3, 4, 5), 5.99, "too_early"),
        (visits(1, 2, 3, 4, 5), 6, "plateau"),
        ([*visits(1, 2, 3, 4, 5), ("report", 1), ("share", 2)], 6, "plateau"),  # one try of each is not depth
        ([*visits(1, 2, 3, 4, 5), ("report", 1), ("report", 4)], 6, "plateau"),  # too far apart
        ([*visits(1, 2, 3, 4, 5), ("report", 1), ("report", 3)], 6, "healthy"),
        ([*visits(1), ("report", 0), ("report", 1)], 2, "healthy"),  # success needs no window
        ([*visits(), ("report", 0), ("report", 1)], 2, "vanished"),  # deep for a day, but never came back
        # Drift: three usual gaps of silence, and at least habit_days. Four core days make three gaps.
        (visits(2, 4, 6), 12, "plateau"),  # last day is day 11: silent for 5 days, usual gap 2
        (visits(2, 4, 6), 13, "drift"),
        ([*visits(2, 4, 6), ("report", 4), ("report", 6)], 13, "drift"),  # quiet comes before healthy
        ([*visits(2, 4, 6), ("report", 4), ("report", 6)], 12, "healthy"),
        (visits(1, 6), 11, "plateau"),  # two gaps only: 3 x 1.5 days counts, silence is 4
        (visits(1, 6), 12, "drift"),
        # Three gaps of 1, 5 and 1: the median is 1, but they once came back after 5 days.
        (visits(1, 6, 7), 12, "plateau"),
        (visits(1, 6, 7), 13, "plateau"),  # silent for 5 days: as long as then, not longer
        (visits(1, 6, 7), 14, "drift"),
        (visits(0, 4, 9), 14, "plateau"),  # the sign-up day counts once: days 0, 4, 9
    ],
)  # fmt: skip
def test_where_a_user_stands(events, as_of, expected):
    assert label_of(events, as_of=as_of) == expected


def test_friction_sits_at_the_latest_open_step():
    """The latest in time; of two at the same instant, the one further on."""
    assert standing_of([("join", 0), ("open", 1)]) == ("friction", "Open")
    assert standing_of([("join", 0), ("open", 1), ("pick", 2)]) == ("friction", "Load")
    assert standing_of([("join", 0), ("pick", 1), ("open", 2)]) == ("friction", "Open")
    assert standing_of([("join", 0), ("open", 1), ("pick", 1)]) == ("friction", "Load")
    # The last time a step was tried decides, not the first.
    two = dataclasses.replace(
        DEFINITION, steps=[ek.Step("A", "open", "done"), ek.Step("B", "pick", "load")]
    )
    tried = [("join", 0), ("open", 1), ("pick", 2), ("open", 3)]
    assert standing_of(tried, two) == ("friction", "A")
    assert standing_of(tried[:-1], two) == ("friction", "B")
    assert standing_of([*tried, ("done", 4)], two) == ("friction", "B")


def test_steps_with_one_event():
    """Without `reached`, a step begins where the one before ended (the first: at sign-up); without `completed`, reaching is completing."""
    first = dataclasses.replace(DEFINITION, steps=[ek.Step("Fill", completed="load")])
    assert standing_of([("join", 0)], first) == ("friction", "Fill")  # signing up reaches it
    assert standing_of([("join", 0), ("load", 1)], first) == ("stalled", None)
    only = dataclasses.replace(DEFINITION, steps=[ek.Step("Pick", reached="pick")])
    assert standing_of([("join", 0)], only) == ("never_started", None)
    assert standing_of([("join", 0), ("pick", 1)], only) == ("stalled", None)


def test_without_steps_doing_anything_is_a_start():
    """Then nobody can be told to be at a step, and the answer says so."""
    assert label_of([("join", 0)], NO_STEPS) == "never_started"
    assert label_of([("join", 0), ("mail", 1)], NO_STEPS) == "never_started"
    assert label_of([("join", 0), ("look", 1)], NO_STEPS) == "stalled"
    assert label_of([("join", 0), ("open", 1)], NO_STEPS) == "stalled"
    answer = ek.diagnose(rolled(log_of(("join", 0), ("look", 1)), NO_STEPS))
    notes = dict(answer.select("label", "note").rows())
    assert notes["friction"] == notes["stalled"]
    assert "Friction cannot be told from Progress" in notes["stalled"]
    with_steps = ek.diagnose(rolled(log_of(("join", 0), ("look", 1))))
    assert with_steps.filter(pl.col("label") == "stalled")["note"].to_list() == [None]


def test_drift_says_how_far_beyond_the_users_rhythm():
    rows = log_of(*visits(2, 4, 6)) + log_of(*visits(1), user=2)
    journeys = steady(rolled(rows, as_of=19))
    labels = ek.label_users(journeys)
    assert labels.rows() == [
        (1, "drift", None, 12, 12.0, 2.0, 2.0, 6.0),
        (2, "drift", None, 17, 17.0, 1.5, 0.0, 17 / 1.5),
    ]
    answer = ek.diagnose(journeys).filter(pl.col("label") == "drift")
    assert answer["note"].to_list() == ["silent for 8.7 times their usual gap (median)"]
    kept = ek.label_users(steady(rolled(log_of(*visits(2, 4, 6)), as_of=12))).row(0)
    assert kept[2:] == (None,) * 6


def test_drift_needs_the_silence_of_the_habit_window_too():
    """Somebody there every day is not gone after a weekend of three days, where the product is used weekly."""
    weekly = dataclasses.replace(DEFINITION, habit_days=7, depth_days=35)
    daily = visits(1, 2, 3, 4)
    assert label_of(daily, weekly, as_of=11) == "too_early"
    assert label_of(daily, weekly, as_of=12) == "drift"


def test_watch_list_holds_those_from_twice_their_gap_until_they_drift():
    people = {
        1: visits(2, 4, 6),  # usual gap 2: watched from 4 to below 6 days of silence
        2: visits(1, 2, 3, 4, 5, 6),  # every day: watched from 2 days, drifted at 3
        3: visits(1, 6),  # two gaps: the product's 1.5 days
        4: visits(),  # never came back: not regular, so not drifting
        5: [("join", 0), ("look", 1)],
        6: visits(3, 6, 9),
    }
    rows = [row for user, events in people.items() for row in log_of(*events, user=user)]
    found = {
        as_of: ek.watch_list(steady(rolled(rows, as_of=as_of)))
        for as_of in (9, 10, 11, 12, 13, 16, 17, 18, 19)
    }
    assert {a: sorted(f["user_id"]) for a, f in found.items()} == {
        9: [2], 10: [3], 11: [1, 3], 12: [1], 13: [], 16: [6], 17: [6], 18: [6], 19: [],
    }  # fmt: skip
    # On day 10 (the last before as_of 11) user 1 has been silent for 4 days, drifting at 6: on day 12.
    assert found[11].filter(user_id=1).select(
        "silence_days", "silence", "usual_gap", "times_usual", "drifts_on"
    ).rows() == [(4, 4.0, 2.0, 2.0, START.date() + timedelta(days=12))]
    assert label_of(people[1], as_of=13) == "drift"
    assert label_of(people[1], as_of=12) != "drift"
    slow = dataclasses.replace(DEFINITION, habit_days=9, depth_days=35)
    late = ek.watch_list(steady(rolled(log_of(*people[1]), slow, as_of=11)))
    assert late["drifts_on"].to_list() == [START.date() + timedelta(days=15)]
    # Three times the gap, but within the habit window: not drifted, so still on the list.
    assert ek.watch_list(steady(rolled(log_of(*people[1]), slow, as_of=13))).height == 1
    # Who once came back from a longer silence drifts only beyond it.
    once = ek.watch_list(steady(rolled(log_of(*visits(1, 6, 7)), as_of=12)))
    assert once["drifts_on"].to_list() == [START.date() + timedelta(days=13)]


def crowd():
    """Of each standing a few users, and the plan they are on."""
    kinds = {
        "vanished": (visits(), 5), "stalled": ([("join", 0), ("done", 1)], 3), "friction": ([("join", 0), ("open", 1)], 4),
        "plateau": (visits(3, 9, 15, 21, 27), 2), "drift": (visits(1), 6), "never_started": ([("join", 0)], 1),
        "healthy": ([*visits(3, 9, 15, 21, 27), ("report", 1), ("report", 2)], 7), "too_early": ([("join", 28)], 8),
    }  # fmt: skip
    rows, plans = [], []
    for kind, (events, size) in kinds.items():
        for number in range(size):
            rows += log_of(*events, user=len(plans))
            plans.append((kind, "pro" if number == 0 else "free" if number < 3 else None))
    users = pl.DataFrame(
        [(user, plan) for user, (_, plan) in enumerate(plans)],
        schema=["user_id", "plan"],
        orient="row",
    )
    truth = pl.DataFrame(
        [(user, kind) for user, (kind, _) in enumerate(plans)],
        schema=["user_id", "label"],
        orient="row",
    )
    return rolled(rows, users=users), truth


def test_shares_are_over_judged_users():
    journeys, truth = crowd()
    assert ek.label_users(journeys).select("user_id", "label").equals(truth)
    answer = ek.diagnose(journeys)
    assert answer.select("label", "n", "of").rows() == [
        ("vanished", 5, 28), ("stalled", 3, 28), ("friction", 4, 28), ("plateau", 2, 28), ("drift", 6, 28),
        ("healthy", 7, 28), ("never_started", 1, 28), ("too_early", 8, None),
    ]  # fmt: skip
    assert answer["share"].sum() == pytest.approx(1)
    for n, of, share, low, high in (
        answer.drop_nulls("of").select("n", "of", "share", "low", "high").rows()
    ):
        assert share == n / of
        assert (low, high) == pytest.approx(wilson(n, of))
    new = answer.filter(label="too_early").row(0, named=True)
    assert (new["share"], new["low"], new["high"]) == (None, None, None)
    assert new["note"] == "8 of 36 users are too new to judge"
    # Who could show it: a plateau needs six days since activation, drift a return, and so on.
    assert dict(answer.select("label", "could_show").rows()) == {
        "vanished": 20, "stalled": 8, "friction": 8, "plateau": 15, "drift": 15, "healthy": 15,
        "never_started": 8, "too_early": None,
    }  # fmt: skip
    assert answer.filter(label="drift")["share_of_those"].item() == 6 / 15
    assert answer.filter(label="friction")["note"].item() == "4 of 4 at 'Open'"


def test_what_nobody_could_show_has_no_share():
    answer = ek.diagnose(rolled(log_of(("join", 0))))
    assert dict(answer.select("label", "share_of_those").rows()) == {
        "vanished": None, "stalled": 0, "friction": 0, "plateau": None, "drift": None, "healthy": None,
        "never_started": 1, "too_early": None,
    }  # fmt: skip
    assert answer.drop_nulls("share")["share"].to_list() == [0, 0, 0, 0, 0, 0, 1]
    assert answer["note"].to_list() == [None] * 7 + ["0 of 1 users are too new to judge"]


def test_groups_stand_first_and_null_is_one():
    journeys, truth = crowd()
    answer = ek.diagnose(journeys, by="plan")
    assert answer.columns[0] == "plan"
    assert answer["plan"].to_list() == [None] * 8 + ["free"] * 8 + ["pro"] * 8
    assert answer.group_by("label").agg(pl.col("n").sum()).sort("label").rows() == (
        truth.group_by("label").len().sort("label").rows()
    )
    pro = answer.filter(plan="pro")
    assert pro["n"].to_list() == [1] * 8
    assert pro["of"].to_list() == [7] * 7 + [None]
    assert ek.diagnose(journeys, by=["plan"]).equals(answer)
    with pytest.raises(ParameterError, match="Did you mean 'plan'"):
        ek.diagnose(journeys, by="plans")
    with pytest.raises(ParameterError, match=r"(?s)'plans' is no property.*stands twice"):
        ek.diagnose(journeys, by=["plans", "plans"])
    with pytest.raises(ParameterError, match="There are none"):
        ek.diagnose(rolled(log_of(("join", 0))), by="plan")


def test_a_property_may_not_have_the_name_of_an_answer():
    users = pl.DataFrame({"user_id": [1], "share": ["x"]})
    with pytest.raises(ParameterError, match="'share' is a column of this answer"):
        ek.diagnose(rolled(log_of(("join", 0)), users=users), by="share")


def test_properties_may_have_any_name_where_they_are_not_asked_for():
    """A users table is the team's; its columns must not get in the way of ours."""
    names = [
        "label",
        "step",
        "deep",
        "started",
        "silence_days",
        "n",
        "verdict",
        "habit_of",
        "link",
        "quarter",
    ]
    users = pl.DataFrame({"user_id": [1, 2], **{name: ["x", "y"] for name in names}})
    journeys = rolled(log_of(*visits(2, 4, 6)) + log_of(("join", 0), user=2), users=users)
    plain = rolled(log_of(*visits(2, 4, 6)) + log_of(("join", 0), user=2))
    assert ek.label_users(journeys).equals(ek.label_users(plain))
    assert ek.diagnose(journeys).equals(ek.diagnose(plain))
    assert ek.watch_list(journeys).equals(ek.watch_list(plain))
    assert ek.prioritize(journeys).table.equals(ek.prioritize(plain).table)
    assert ek.diagnose(journeys, by="deep")["deep"].to_list() == ["x"] * 8 + ["y"] * 8
    assert ek.prioritize(journeys, by=["deep", "quarter"]).segments["deep"].to_list() == ["x", "y"]
    for name in ("link", "habit_of", "verdict"):
        with pytest.raises(ParameterError, match=f"'{name}' is a column of this answer"):
            ek.prioritize(journeys, by=name)


def test_the_users_behind_each_row_are_as_many_as_it_says():
    journeys, truth = crowd()
    behind = ek.diagnose(journeys, people=True)
    assert behind.columns == ["label", "user_id", "step"]
    assert behind.sort("user_id").select("user_id", "label").equals(truth)
    assert behind["label"].unique(maintain_order=True).to_list() == list(LABELS)
    per_plan = ek.diagnose(journeys, by="plan", people=True)
    counts = ek.diagnose(journeys, by="plan").filter(pl.col("n") > 0)
    sizes = per_plan.group_by("plan", "label", maintain_order=True).len()
    assert sizes.rows() == counts.select("plan", "label", "n").rows()


@pytest.mark.parametrize(
    "ask",
    [ek.label_users, ek.diagnose, ek.watch_list, ek.metrics, ek.prioritize, ek.suggest_windows,
     lambda log: ek.track(log, since="2026-04-01", link="habit")],
)  # fmt: skip
def test_a_log_that_was_not_rolled_up_is_refused(ask):
    with pytest.raises(ParameterError, match="journeys is a DataFrame; it takes what"):
        ask(pl.DataFrame({"user_id": [1], "event": ["join"]}))


def test_journeys_without_users_have_an_answer():
    journeys = rolled(log_of(("join", 0))).where(users=pl.col("user_id") == 9)
    answer = ek.diagnose(journeys)
    assert answer.schema["n"] == pl.Int64
    assert answer["n"].sum() == 0
    assert ek.label_users(journeys).height == ek.watch_list(journeys).height == 0


def test_every_user_meets_the_rules_in_one_way():
    """First match wins, and whoever has a label could show it."""
    journeys, _ = crowd()
    table = labelled(journeys).collect()
    for rule in RULES:
        assert table.filter(label=rule.label)[f"_among_{rule.label}"].all()
    assert sorted(LABELS) == sorted({rule.label for rule in RULES} | {"too_early"})


def test_the_table_reads_like_the_guides(shared):
    """The guide's table: 'If users…' and 'Then the problem is…', row by row, in its order."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((shared / "guide").glob("*.txt"))]
    rows = next(
        found for text in texts if (found := _table(text, "If users… | Then the problem is… |"))
    )
    assert len(rows) == 5
    assert [(rule.if_users, rule.problem) for rule in RULES if rule.play] == rows


def _table(text: str, heading: str) -> list[tuple[str, ...]]:
    if heading not in text:
        return []
    lines = text.split(heading)[1].split("\n")[2:]
    cells = [tuple(re.split(r"\s*\|\s*", line.strip(" |"))) for line in lines]
    return cells[: next(k for k, row in enumerate(cells) if len(row) != 2)]


def test_plays_and_problems_are_those_of_the_playbook():
    ours = {(r.if_users, r.problem, r.play, r.label) for r in RULES if r.play}
    assert ours == {(p.if_users, p.problem, p.name, p.label) for p in PLAYS}
    assert next(r for r in RULES if r.label == "never_started").problem == NO_PLAY


def test_as_of_earlier_judges_by_what_was_known_then():
    """Cutting a log and looking back from a longer one must agree."""
    rows = log_of(*visits(2, 4, 6, 20)) + log_of(("join", 0), ("open", 1), ("done", 15), user=2)
    whole = rolled(rows, as_of=30)
    for as_of in (5, 10, 13, 14, 16, 21):
        then = START + timedelta(days=as_of)
        assert ek.label_users(whole.at(then)).equals(ek.label_users(rolled(rows, as_of=as_of)))


def test_days_are_local():
    """23:30 in Berlin and half past midnight are two days there, though one hour apart."""
    events = [("join", 0), ("make", 0.94), ("make", 0.98)]
    assert label_of(events) == "vanished"
    assert label_of(events, dataclasses.replace(DEFINITION, timezone="Europe/Berlin")) == "drift"


def test_a_log_of_dates_is_labelled_in_whole_days():
    days = [("join", 0), ("make", 0), ("make", 1)]
    log = pl.DataFrame(
        [(1, event, START.date() + timedelta(days=day)) for event, day in days],
        schema={"user_id": pl.Int64, "event": pl.String, "at": pl.Date}, orient="row",
    )  # fmt: skip
    first = date(2026, 3, 27)
    labels = [
        ek.label_users(
            ek.rollup(log, DEFINITION, as_of=first + timedelta(days=d), missing="allow")
        )["label"].item()
        for d in (5, 6, 7)
    ]
    assert labels == ["too_early", "plateau", "drift"]
