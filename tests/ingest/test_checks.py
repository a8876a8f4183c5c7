"""check_events: each check on a small log made for it, and all counts against plain Python on random logs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engagekit as ek

DAY = datetime(2026, 3, 1, tzinfo=UTC)
DEFINITION = ek.Definition(signup="signed_up", activation="made", core="made", timezone="UTC")


def log(*rows):
    schema = {"user_id": pl.String, "event": pl.String, "at": pl.Datetime("us", "UTC")}
    moved = [
        (u, e, DAY + timedelta(days=d) if isinstance(d, (int, float)) else d) for u, e, d in rows
    ]
    return pl.DataFrame(moved, schema=schema, orient="row")


def found(events, check, definition=DEFINITION, **options):
    table = ek.check_events(events, definition, **options)
    return table.filter(check=check).row(0, named=True)


def test_all_checks_stand_in_order_and_zero_says_nothing():
    table = ek.check_events(log(("a", "signed_up", 0), ("a", "made", 0.5)), DEFINITION)
    assert table["check"].to_list() == [
        "null user_id", "null event", "null at", "exact duplicates", "events before sign-up", "times before the log begins", "times after as_of", "two sign-ups",
        "unknown events in the definition", "events no one did", "users with a sign-up only", "days with no event",
        "one user with an implausible share", "names that differ only by case or blanks",
        "users whose property changes",
        "ids that differ only by how they are written", "ids that a spreadsheet has rounded", "ids that stand for many", "left out",
    ]  # fmt: skip
    assert table["count"].to_list() == [0] * 14 + [None] + [0] * 3 + [None]
    assert table.schema == {
        "check": pl.String,
        "count": pl.Int64,
        "share": pl.Float64,
        "example": pl.String,
        "advice": pl.String,
    }
    assert table.select(pl.col("example", "advice").null_count()).row(0) == (19, 19)


def test_without_a_definition_its_checks_are_not_made():
    table = ek.check_events(log(("a", "made", 0)))
    unknown = table.filter(pl.col("count").is_null())["check"].to_list()
    assert unknown == [
        "events before sign-up", "two sign-ups", "unknown events in the definition", "events no one did", "users with a sign-up only",
        "users whose property changes", "left out",
    ]  # fmt: skip


def test_nulls_are_counted_with_their_rows():
    events = log(
        ("a", "made", 0), (None, "made", 0), ("a", None, 1), ("a", "made", None), (None, None, None)
    )
    row = found(events, "null user_id")
    assert (row["count"], row["share"]) == (2, 0.4)
    assert row["example"] == "row 2: 'made', 2026-03-01 00:00; row 5: no name, no time"
    assert found(events, "null event")["count"] == 2
    assert found(events, "null at")["count"] == 2


def test_exact_duplicates_count_the_surplus():
    events = log(("a", "made", 0), ("a", "made", 0), ("a", "made", 0), ("a", "made", 1))
    row = found(events, "exact duplicates")
    assert (row["count"], row["share"]) == (2, 0.5)
    assert "3 times for one user" in row["example"]
    # Another value of a property is another event.
    assert found(events.with_columns(n=pl.int_range(4)), "exact duplicates")["count"] == 0


def test_events_before_sign_up():
    events = log(
        ("a", "made", 0),
        ("a", "signed_up", 1),
        ("a", "made", 1),
        ("b", "made", 0),
        ("c", "signed_up", 0),
    )
    row = found(events, "events before sign-up")
    assert (row["count"], row["share"]) == (1, 0.2)  # b never signed up: not before it
    assert row["example"] == "of 1 users"


def test_two_sign_ups_at_different_times():
    events = log(
        ("a", "signed_up", 0), ("a", "signed_up", 3), ("b", "signed_up", 0), ("b", "signed_up", 0)
    )
    row = found(events, "two sign-ups")
    assert (row["count"], row["share"]) == (1, 0.5)  # b's is an exact duplicate, told as such


def test_users_with_a_sign_up_only():
    events = log(("a", "signed_up", 0), ("b", "signed_up", 0), ("b", "made", 1), ("c", "made", 1))
    assert (
        found(events, "users with a sign-up only")["count"],
        found(events, "users with a sign-up only")["share"],
    ) == (1, 0.5)


def test_sign_up_checks_say_nothing_where_no_one_signs_up():
    events = log(("a", "made", 0))
    assert [
        found(events, c)["count"]
        for c in ("events before sign-up", "two sign-ups", "users with a sign-up only")
    ] == [None] * 3


def test_times_after_as_of():
    events = log(("a", "made", 0), ("a", "made", 1), ("a", "made", 2))
    assert found(events, "times after as_of", as_of="2026-03-02")["count"] == 2
    assert found(events, "times after as_of", as_of="2026-03-03T00:00:00.000001Z")["count"] == 0
    berlin = ek.Definition(
        signup="signed_up", activation="made", core="made", timezone="Europe/Berlin"
    )
    assert (
        found(events, "times after as_of", berlin, as_of="2026-03-03")["count"] == 1
    )  # 23:00 UTC the day before


def test_stray_times_are_told_at_both_ends():
    many = [(f"u{n}", "made", n % 30) for n in range(2000)]
    late = log(*many, ("x", "made", 1700), ("y", "made", 1700))
    row = found(late, "times after as_of")
    assert (row["count"], row["example"]) == (2, "2030-10-26, when the day before with events is 2026-03-30")  # fmt: skip
    assert "such as 2026-03-31 (as_of)" in row["advice"]
    early = log(*many, ("x", "made", -1700))
    row = found(early, "times before the log begins")
    assert (row["count"], row["example"]) == (1, "2021-07-05 00:00, where the log begins on 2026-03-01")  # fmt: skip
    few = [("u", "made", n) for n in range(20)]
    assert found(log(*few, ("x", "made", 60)), "times after as_of")["count"] == 1
    assert (
        found(log(*few, *[("x", "made", 60)] * 2), "times after as_of")["count"] == 0
    )  # one in ten
    assert found(early, "times before the log begins", as_of="2026-03-10")["count"] == 1


def test_unknown_names_get_the_nearest():
    definition = ek.Definition(signup="signedup", activation="made", core=["made", "publishd"])
    row = found(
        log(("a", "signed_up", 0), ("a", "made", 1), ("a", "published", 1)),
        "unknown events in the definition",
        definition,
    )
    assert (row["count"], row["share"]) == (2, 2 / 3)
    assert "'signedup' is in no event. Did you mean 'signed_up'?" in row["example"]
    assert "'publishd' is in no event. Did you mean 'published'?" in row["example"]
    assert "Events there are: 'made', 'published' and 'signed_up'" in row["advice"]


def test_events_no_one_did():
    events = log(("a", "signed_up", 0), ("a", "made", 1)).with_columns(plan=pl.lit("free"))
    definition = ek.Definition(
        signup="signed_up",
        activation="made",
        core=ek.Match("made", plan="pro"),
        advanced=[ek.Match("made", team="x"), "unknown"],
    )
    row = found(events, "events no one did", definition)
    assert row["count"] == 2  # the unknown name is told as unknown
    assert row["example"] == "core: made (plan: pro); advanced:made (team: x): made (team: x)"


def test_days_with_no_event():
    row = found(
        log(("a", "made", 0), ("a", "made", 3), ("a", "made", 4), ("a", "made", 6)),
        "days with no event",
    )
    assert (row["count"], row["share"]) == (3, 3 / 7)
    assert row["example"] == "longest: 2 days after 2026-03-01"


def test_days_are_local_days():
    # 23:30 and 00:30 UTC are two days in London, one in Berlin; 22:30 two days later is then after one empty day there.
    events = log(("a", "made", 0 - 1 / 48), ("a", "made", 1 / 48), ("a", "made", 2 - 1.5 / 24))
    assert found(events, "days with no event")["count"] == 0
    berlin = ek.Definition(
        signup="signed_up", activation="made", core="made", timezone="Europe/Berlin"
    )
    assert found(events, "days with no event", berlin)["count"] == 0
    tokyo = ek.Definition(signup="signed_up", activation="made", core="made", timezone="Asia/Tokyo")
    assert (
        found(log(("a", "made", 0), ("a", "made", 1.7)), "days with no event", tokyo)["count"] == 1
    )
    assert found(log(("a", "made", 0), ("a", "made", 1.7)), "days with no event")["count"] == 0


def test_a_bot_is_told_and_a_busy_user_is_not():
    people = [(f"u{n}", "made", k) for n in range(50) for k in range(5)]
    row = found(
        log(*people, *[("bot", "made", k / 100) for k in range(1000)]),
        "one user with an implausible share",
    )
    assert (row["count"], row["share"]) == (1000, 0.8)
    assert "bot" not in row["example"]
    assert (
        found(
            log(*people, *[("busy", "made", k) for k in range(99)]),
            "one user with an implausible share",
        )["count"]
        == 0
    )
    alone = [("only", "made", k) for k in range(100)]
    assert found(log(*alone), "one user with an implausible share")["count"] == 0


def test_names_that_differ_by_case_or_blanks():
    names = ["made", "made", "Made", "made ", "  made", "MADE it", "made  it", "other"]
    row = found(
        log(*[("a", name, n) for n, name in enumerate(names)]),
        "names that differ only by case or blanks",
    )
    assert (row["count"], row["share"]) == (4, 0.5)
    assert "'made' (2) and" in row["example"]


def test_examples_hold_no_ids():
    events = log(
        *[("secret-id", "made", 0)] * 3,
        (None, "made", 0),
        ("secret-id", "signed_up", 1),
        ("secret-id", "signed_up", 2),
    )
    table = ek.check_events(events, DEFINITION, exclude=pl.DataFrame({"user_id": ["secret-id"]}))
    assert "secret" not in str(table.to_dicts())


def test_dates_and_empty_logs_and_numbers_as_ids():
    days = pl.DataFrame(
        {
            "user_id": [1, 1, 2],
            "event": ["signed_up", "made", "signed_up"],
            "at": [date(2026, 3, 2), date(2026, 3, 1), date(2026, 3, 1)],
        }
    )
    assert found(days, "events before sign-up")["count"] == 1
    assert found(days, "times after as_of", as_of="2026-03-02")["count"] == 1
    empty = ek.check_events(days.clear(), DEFINITION)
    assert empty.filter(check="unknown events in the definition")["count"].item() == 2
    assert empty.filter(pl.col("count") > 0).height == 1


def test_faults_of_the_log_itself_are_errors():
    with pytest.raises(ek.EngagekitError, match="no column 'at'"):
        ek.check_events(pl.DataFrame({"user_id": ["a"], "event": ["e"]}))


rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", None]),
        st.sampled_from(["signed_up", "made", "Made", "made ", None]),
        st.sampled_from([0, 0.5, 1, 1.25, 4, None]),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(rows, st.sampled_from([None, 1, 5]))
def test_counts_agree_with_plain_python(drawn, as_of_day):
    events = log(*drawn)
    as_of = None if as_of_day is None else DAY + timedelta(days=as_of_day)
    table = ek.check_events(events, DEFINITION, as_of=as_of)
    counts = dict(table.select("check", "count").iter_rows())
    whole = [row for row in events.rows() if None not in row]
    assert [counts[f"null {c}"] for c in events.columns] == [
        sum(r[n] is None for r in events.rows()) for n in range(3)
    ]
    assert counts["exact duplicates"] == events.height - len(set(events.rows()))
    signups = {
        u: [at for v, e, at in whole if v == u and e == "signed_up"] for u in {r[0] for r in whole}
    }
    signups = {u: ats for u, ats in signups.items() if ats}
    if signups:
        assert counts["events before sign-up"] == sum(
            at < min(signups[u]) for u, _, at in whole if u in signups
        )
        assert counts["two sign-ups"] == sum(len(set(ats)) > 1 for ats in signups.values())
        assert counts["users with a sign-up only"] == sum(
            all(e == "signed_up" for v, e, _ in whole if v == u) for u in signups
        )
    spellings = {}
    for _, event, _ in whole:
        spellings.setdefault(event.strip().lower(), []).append(event)
    assert counts["names that differ only by case or blanks"] == sum(
        len(s) - max(map(s.count, s)) for s in spellings.values()
    )
    days = {at.date() for _, _, at in whole if as_of is None or at < as_of}
    assert counts["days with no event"] == (
        (max(days) - min(days)).days + 1 - len(days) if days else 0
    )
    if as_of is not None:
        assert counts["times after as_of"] == sum(at >= as_of for _, _, at in whole)


def test_travelse_facts_that_are_known(shared):
    # From the README of the data: 1,306 events of 413 users before sign-up, 20.9 % with a sign-up only.
    events = ek.scan_events(
        shared / "data" / "travelse_events.parquet", at="timestamp", keep="detail"
    )
    definition = ek.Definition(signup="signup", activation="ask_question", core="post_answer")
    before = found(events, "events before sign-up", definition)
    assert (before["count"], before["example"]) == (1306, "of 413 users")
    assert round(found(events, "users with a sign-up only", definition)["share"], 3) == 0.209


def test_a_condition_that_no_value_can_meet_is_counted_and_ends_no_check():
    events = pl.DataFrame({"user_id": ["a"], "event": ["made"], "at": [DAY], "plan": ["pro"]})
    asked = ek.Definition(activation=ek.Match("made", plan=3), core="made")
    row = found(events, "events no one did", asked)
    assert (row["count"], row["example"]) == (1, "activation: made (plan: 3)")


def test_what_is_no_definition_is_refused():
    with pytest.raises(
        ek.EngagekitError,
        match=r"definition is a dict; it takes an ek.Definition or the path.*from_table",
    ):
        ek.check_events(log(("a", "made", 0)), {"core": "made"})
    with pytest.raises(ek.EngagekitError, match=r"no definition file 'gone\.toml'"):
        ek.check_events(log(("a", "made", 0)), "gone.toml")


def test_names_that_only_look_alike_are_told_apart_and_taken_as_one():
    nfd, zero = "publie\u0301", "publi\u00e9\u200b"
    events = log(
        ("a", "in", 0), *[("a", "publi\u00e9", n) for n in range(3)], ("a", nfd, 4), ("a", zero, 5)
    )
    definition = ek.Definition(signup="in", activation=nfd, core=nfd)
    row = found(events, "names that differ only by case or blanks", definition)
    assert (row["count"], row["example"]) == (
        2,
        "'publi\u00e9' (3) and 'publie\\u0301' (1) and 'publi\\xe9\\u200b' (1)",
    )
    assert found(events, "unknown events in the definition", definition)["count"] == 0
    assert found(events, "events no one did", definition)["count"] == 0


def test_ids_are_looked_over():
    events = log(
        *[(user, "open", 0) for user in ("a", "A ", "b", "007", "7", "1.23457E+11", "null")]
    )
    assert found(events, "ids that differ only by how they are written")["count"] == 4
    assert found(events, "ids that a spreadsheet has rounded")["count"] == 1
    assert found(events, "ids that stand for many")["count"] == 1
    numbers = events.with_columns(user_id=pl.int_range(7))
    assert found(numbers, "ids that differ only by how they are written")["count"] == 0
