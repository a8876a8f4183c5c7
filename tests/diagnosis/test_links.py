from __future__ import annotations

import dataclasses
from datetime import timedelta

import link_logs
import oracle_diagnosis
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_logs import BERLIN, LINKS, START, log_of

import engagekit as ek
from engagekit.diagnosis.links import defined_links, link_flags
from engagekit.errors import DefinitionError


def rolled(rows, definition=BERLIN, as_of: float | None = 30, **more):
    return link_logs.rolled(rows, definition, as_of, **more)


def flags_of(rows, definition=BERLIN, as_of: float = 30) -> dict[str, tuple[bool, ...]]:
    row = link_flags(rolled(rows, definition, as_of)).collect().row(0, named=True)
    return {
        link: tuple(row[f"{link}_{c}"] for c in ("of", "n", "reached_of", "reached_n"))
        for link in LINKS
    }


JUDGED, PASSED, NEITHER = (True, False), (True, True), (False, False)


@pytest.mark.parametrize(
    ("events", "as_of", "link", "expected"),
    [
        # A window of n days is [t, t + n x 24 h): its last instant is outside, and it is over at that instant.
        ([("join", 0), ("make", 2.99)], 3, "activation", PASSED),
        ([("join", 0), ("make", 3)], 9, "activation", JUDGED),
        ([("join", 0)], 2.99, "activation", NEITHER),
        ([("join", 0)], 3, "activation", JUDGED),
        ([("join", 0), ("make", 0)], 2.99, "activation", NEITHER),  # passed, but too new to be counted
        # Habit: a later local day, not a later hour; 23:00 UTC is the next day in Berlin.
        ([("join", 0), ("make", 0.4), ("make", 0.9)], 9, "habit", JUDGED),
        ([("join", 0), ("make", 0.4), ("make", 0.98)], 9, "habit", PASSED),
        ([("join", 0), ("make", 0.4), ("make", 2.39)], 9, "habit", PASSED),
        ([("join", 0), ("make", 0.4), ("make", 2.4)], 9, "habit", JUDGED),
        ([("join", 0), ("make", 0.5), ("make", 1)], 3, "habit", PASSED),
        ([("join", 0), ("make", 2), ("make", 3)], 3.99, "habit", NEITHER),  # activated too recently
        ([("join", 0), ("make", 2), ("make", 3)], 4, "habit", PASSED),
        ([("join", 0), ("make", 3), ("make", 4)], 9, "habit", NEITHER),  # missed the link before
        # Depth: the same action on two days at most two days apart, from activation on, within six days.
        ([("join", 0), ("make", 0), ("make", 1), ("report", 2), ("share", 3)], 9, "depth", JUDGED),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 2), ("report", 2.1)], 9, "depth", JUDGED),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 3)], 9, "depth", PASSED),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 4)], 9, "depth", JUDGED),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 4), ("report", 5.99)], 9, "depth", PASSED),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 4), ("report", 6)], 9, "depth", JUDGED),
        ([("join", 0), ("report", 1), ("make", 2), ("make", 3), ("report", 3)], 9, "depth", JUDGED),
        ([("join", 0), ("report", 1.9), ("report", 2), ("make", 2), ("make", 3), ("report", 3)], 9, "depth", PASSED),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 2)], 5.99, "depth", NEITHER),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 2)], 6, "depth", PASSED),
        # Advocacy: from activation on, within seven days.
        ([("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 2), ("invite", 6.99)], 9, "advocacy", PASSED),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 2), ("invite", 7)], 9, "advocacy", JUDGED),
        ([("join", 0), ("invite", 0.9), ("make", 1), ("make", 2), ("report", 2), ("report", 3)], 9, "advocacy", JUDGED),
        ([("join", 0), ("make", 1), ("invite", 1), ("make", 2), ("report", 2), ("report", 3)], 9, "advocacy", PASSED),
        ([("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 2), ("invite", 3)], 6.99, "advocacy", NEITHER),
    ],
)  # fmt: skip
def test_who_is_judged_and_who_passes(events, as_of, link, expected):
    assert flags_of(log_of(*events), as_of=as_of)[link][:2] == expected


def test_how_far_sign_ups_got_counts_once_the_whole_span_is_over():
    """The span runs from sign-up: activation 3 days, habit 2 more, depth 6 more than activation, advocacy 7 more."""
    events = log_of(
        ("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 2), ("invite", 3)
    )
    for link, over in {"activation": 3, "habit": 5, "depth": 9, "advocacy": 10}.items():
        assert flags_of(events, as_of=over - 0.01)[link][2:] == NEITHER
        assert flags_of(events, as_of=over)[link][2:] == PASSED
    never = flags_of(log_of(("join", 0)), as_of=30)
    assert all(never[link][2:] == JUDGED for link in LINKS)


def test_a_span_ends_with_its_longest_window():
    """A team may set a shorter window for depth than for habit; passing depth still takes the habit window."""
    short = ek.Definition(
        signup="join", activation="make", core="make", advanced=["report"], activation_days=3,
        habit_days=9, depth_days=4, depth_within_days=30, usage_interval_days=1,
    )  # fmt: skip
    events = log_of(("join", 0), ("make", 0), ("make", 1), ("report", 1), ("report", 2))
    assert flags_of(events, short, as_of=11.9)["depth"] == (True, True, False, False)
    assert flags_of(events, short, as_of=12)["depth"] == (True, True, True, True)


def test_depth_uses_of_one_and_three():
    """The days counted are those of one action; with one use, the first is enough."""
    one = ek.Definition(
        signup="join", activation="make", core="make", advanced=["report"], activation_days=3,
        habit_days=2, depth_days=9, depth_uses=1, depth_within_days=5, usage_interval_days=1,
    )  # fmt: skip
    once = log_of(("join", 0), ("make", 0), ("make", 1), ("report", 1))
    assert flags_of(once, one)["depth"][:2] == PASSED
    three = dataclasses.replace(one, depth_uses=3)
    assert flags_of(once + log_of(("report", 2)), three)["depth"][:2] == JUDGED
    assert flags_of(once + log_of(("report", 2), ("report", 6)), three)["depth"][:2] == PASSED
    assert flags_of(once + log_of(("report", 2), ("report", 7)), three)["depth"][:2] == JUDGED


def test_links_that_the_definition_cannot_judge_judge_nobody():
    bare = ek.Definition(
        signup="join", activation="make", core="make", activation_days=3, habit_days=2
    )
    assert defined_links(bare) == ("activation", "habit")
    flags = flags_of(log_of(("join", 0), ("make", 0), ("make", 1)), bare)
    assert flags["habit"] == (True, True, True, True)
    assert flags["depth"] == flags["advocacy"] == (False,) * 4
    no_depth = ek.Definition(signup="join", activation="make", core="make", advocacy=["invite"])
    assert defined_links(no_depth) == (
        "activation",
        "habit",
    )  # advocacy judges those who passed depth
    assert (
        flags_of(log_of(("join", 0), ("make", 0), ("make", 1), ("invite", 1)), no_depth, 200)[
            "advocacy"
        ]
        == (False,) * 4
    )


def test_windows_that_are_not_set_are_refused():
    """Journeys from another engine may come with a definition as the team wrote it."""
    journeys = rolled(log_of(("join", 0), ("make", 0)))
    open_windows = dataclasses.replace(BERLIN, habit_days=None, depth_days=None)
    unset = dataclasses.replace(journeys, definition=open_windows)
    for answer in (link_flags, ek.label_users, ek.prioritize):
        with pytest.raises(
            DefinitionError, match=r"'habit_days' and 'depth_days' of the definition are not set"
        ):
            answer(unset)


def test_days_of_a_log_of_dates_are_whole():
    """Windows run from the sign-up date; the last day is over only when it has passed."""
    log = pl.DataFrame(
        [(1, "join", START.date()), (1, "make", START.date() + timedelta(days=2)), (2, "join", START.date()),
         (2, "make", START.date() + timedelta(days=3))],
        schema=["user_id", "event", "at"], orient="row",
    )  # fmt: skip
    for as_of, judged in ((3, True), (2, False)):
        journeys = ek.rollup(log, BERLIN, as_of=START + timedelta(days=as_of), missing="allow")
        flags = link_flags(journeys).collect()
        assert flags["activation_of"].to_list() == [judged] * flags.height
    flags = link_flags(ek.rollup(log, BERLIN, missing="allow")).collect()
    assert flags["activation_n"].to_list() == [True, False]


EVENTS = [
    "join",
    "join",
    "open",
    "done",
    "pick",
    "load",
    "make",
    "make",
    "make",
    "report",
    "report",
    "share",
    "invite",
    "mail",
    "look",
]


@st.composite
def logs(draw):
    """A few users on a grid of half days, so that times meet the ends of windows and each other often."""
    rows = []
    for user in range(draw(st.integers(1, 4))):
        rows.append((user, "join", START + timedelta(days=draw(st.integers(0, 6)) / 2)))
        picked = draw(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 40)), max_size=14))
        rows += [(user, event, START + timedelta(days=half / 2)) for event, half in picked]
    return rows


@pytest.mark.thorough
@settings(max_examples=120, deadline=None)
@given(rows=logs(), as_of=st.integers(8, 44))
def test_links_labels_and_watch_list_agree_with_plain_python(rows, as_of):
    journeys = rolled(rows, as_of=as_of / 2)
    expected = oracle_diagnosis.of_log(rows, journeys.definition, journeys.as_of)
    flags = {row["user_id"]: row for row in link_flags(journeys).collect().iter_rows(named=True)}
    assert set(flags) == set(expected)
    for user, one in expected.items():
        found = {
            link: tuple(flags[user][f"{link}_{c}"] for c in ("of", "n", "reached_of", "reached_n"))
            for link in LINKS
        }
        assert found == one.links
    labels = ek.label_users(journeys)
    assert dict(zip(labels["user_id"], labels.select("label", "step").rows(), strict=True)) == {
        user: (one.label, one.step) for user, one in expected.items()
    }
    drifted = labels.filter(pl.col("label") == "drift")
    for user, silence, gap in drifted.select("user_id", "silence", "usual_gap").rows():
        one = expected[user]
        assert (silence, gap) == pytest.approx((float(one.silence()), float(one.usual_gap())))
    watched = ek.watch_list(journeys)
    assert set(watched["user_id"]) == {user for user, one in expected.items() if one.watched()}


def test_tables_on_disk_give_the_same(tmp_path):
    rows = [
        row
        for user in range(6)
        for row in log_of(("join", user / 2), ("make", user), ("make", 9), user=user)
    ]
    journeys = rolled(rows)
    journeys.save(tmp_path)
    lazy = ek.Journeys.load(tmp_path, lazy=True)
    assert (
        link_flags(lazy)
        .sort("user_id")
        .collect()
        .equals(link_flags(journeys).sort("user_id").collect())
    )
    assert ek.label_users(lazy).equals(ek.label_users(journeys))
