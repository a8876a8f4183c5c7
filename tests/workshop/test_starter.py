from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import EventLogError
from engagekit.workshop.starter import event_table


def log(*rows: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": [user for user, _, _ in rows],
            "event": [event for _, event, _ in rows],
            "at": [datetime(2026, 1, day) for _, _, day in rows],
        }
    )


LOG = log(
    ("a", "signed_up", 1), ("a", "publish", 1), ("a", "publish", 1), ("a", "publish", 3), ("a", "login", 3),
    ("b", "signed_up", 1), ("b", "login", 2), ("b", "login", 3), ("c", "login", 4),
)  # fmt: skip


def test_the_table_counts_users_those_who_repeat_on_another_day_and_who_begin_with_it():
    assert event_table(LOG).rows() == [
        ("login", 3, 1, 4, 1),
        ("signed_up", 2, 0, 2, 2),
        ("publish", 1, 1, 3, 1),
    ]
    assert event_table(LOG).columns == ["event", "users", "repeating", "times", "first_of"]


def test_the_table_takes_lazy_logs_and_names_as_categories():
    frame = LOG.lazy().with_columns(pl.col("event").cast(pl.Categorical))
    assert event_table(frame).equals(event_table(LOG))


def test_presence_is_never_proposed_as_the_core_action():
    made = ek.draft(LOG).definition
    assert (made.signup, made.activation, made.core) == ("signed_up", "publish", "publish")


@pytest.mark.parametrize(
    "presence",
    ["login", "Logged in", "page_view", "$pageview", "screen", "session_start", "app_opened"],
)
def test_these_are_presence(presence):
    rows = [
        ("a", "signup", 1),
        ("a", "draw", 2),
        *[(u, presence, d) for u in "abc" for d in (2, 3)],
    ]
    assert ek.draft(log(*rows)).definition.core == "draw"


def test_the_signup_is_what_most_users_begin_with_of_the_events_so_named():
    rows = [("a", "account_created", 1), ("b", "account_created", 1)]
    rows += [(user, "webinar_registered", 5) for user in "abc"] + [("a", "draw", 6)]
    assert ek.draft(log(*rows)).definition.signup == "account_created"


def test_without_a_signup_event_the_first_event_is_it():
    made = ek.draft(log(("a", "draw", 1), ("a", "draw", 2))).definition
    assert (made.signup, made.core, made.burn_in_days) == (None, "draw", 90)


def test_outreach_and_advocacy_are_told_by_their_names():
    rows = [("a", event, day) for event in ("draw", "email_sent", "invite_sent") for day in (1, 2)]
    made = ek.draft(log(*rows, ("b", "draw", 1), ("b", "draw", 2))).definition
    assert (made.core, made.outreach, made.advocacy) == ("draw", "email_sent", ("invite_sent",))


def test_a_step_at_which_users_are_stuck_is_not_the_core_action():
    """Many try the step again, but few of all who come to it; who draws, goes on drawing."""
    rows = [(f"u{k}", "connect", 1) for k in range(40)] + [
        (f"u{k}", "connect", 2) for k in range(12)
    ]
    rows += [(f"u{k}", "draw", day) for k in range(20, 36) for day in ((1, 2) if k < 31 else (1,))]
    assert ek.draft(log(*rows)).definition.core == "draw"


def test_a_log_of_signups_only_is_refused_in_words():
    with pytest.raises(EventLogError, match="no event beside the sign-up"):
        ek.draft(log(("a", "signed_up", 1)))


def test_where_all_is_presence_the_most_repeated_presence_is_better_than_nothing():
    rows = [("a", "signed_up", 1), ("a", "login", 2), ("a", "login", 3), ("b", "page_view", 2)]
    assert ek.draft(log(*rows)).definition.core == "login"


@pytest.mark.thorough
def test_the_guess_for_the_sample_is_a_definition_that_rolls_up():
    sample = ek.load_sample()
    made = ek.draft(sample.events, name="Guess").definition
    assert (made.name, made.signup, made.core) == ("Guess", "signed_up", "project_published")
    journeys = ek.rollup(sample.events, made, as_of=sample.as_of)
    assert ek.prioritize(journeys).table.height == 4
