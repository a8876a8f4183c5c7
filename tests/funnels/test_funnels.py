"""Funnels: literal cases of each rule, and a brute-force oracle on small random logs."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import engagekit as ek
from engagekit.errors import (
    ColumnError,
    EngagekitError,
    EngagekitWarning,
    EventLogError,
    ParameterError,
)
from engagekit.funnels.simultaneous_events import furthest

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 3, 1, tzinfo=UTC)


def log_of(text: str, *, user: str = "u") -> pl.DataFrame:
    """Read ``"A1 B2 B2"``: events and their minute."""
    rows = [(user, word[0], BEGIN + timedelta(minutes=float(word[1:]))) for word in text.split()]
    schema = {"user_id": pl.String, "event": pl.String, "at": pl.Datetime("us", "UTC")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def counts(log, steps, **asked):
    return ek.funnel(
        log, list(steps), **{"within": "10m", "as_of": END, "missing": "allow"} | asked
    )["n"].to_list()


@pytest.mark.parametrize(
    ("events", "steps", "asked", "expected", "why"),
    [
        ("A1 B2 C3", "ABC", {}, [1, 1, 1], "in order"),
        ("B1 A2 C3", "ABC", {}, [1, 0, 0], "B came before A"),
        ("A1 x2 B3", "AB", {}, [1, 1], "others may lie between"),
        ("A1 B11", "AB", {}, [1, 1], "the window includes its end"),
        ("A1 B11.1", "AB", {}, [1, 0], "and nothing after it"),
        ("A1 B6 C11.1", "ABC", {}, [1, 1, 0], "it runs from the entry, not from the step before"),
        ("A1 A6 B11 C14", "ABC", {}, [1, 1, 1], "best: the second entry gets furthest"),
        (
            "A1 A6 B11 C14",
            "ABC",
            {"entry": "first"},
            [1, 1, 0],
            "first: only the first entry counts",
        ),
        ("A1 A2", "AA", {}, [1, 1], "a step that repeats needs another event"),
        ("A1", "AA", {}, [1, 0], "one event fills one step only"),
        ("A1 B2 B2 B2", "ABBBB", {}, [1, 1, 1, 1, 0], "three events fill three steps"),
        ("A1 B1", "BA", {}, [1, 1], "events of one instant count in the better order"),
        ("A1 B1", "AB", {}, [1, 1], "whatever their rows say"),
        ("A1 B1 A1", "ABA", {}, [1, 1, 1], "also when a step repeats"),
        ("A1 B1", "ABA", {}, [1, 1, 0], "but not twice"),
        ("A1 B2 C3", "ABC", {"order": "strict"}, [1, 1, 1], "nothing between"),
        ("A1 x2 B3", "AB", {"order": "strict"}, [1, 0], "x lies between"),
        ("A1 A2 B3", "AB", {"order": "strict"}, [1, 1], "the second A has B next to it"),
        ("A1 x1 B2", "AB", {"order": "strict"}, [1, 1], "x may be the first of its instant"),
        ("A1 x2 B2", "AB", {"order": "strict"}, [1, 1], "x may be the last of its instant"),
        ("A1 x2 B2 C3", "ABC", {"order": "strict"}, [1, 1, 0], "but then it lies before C"),
        (
            "A1 B1 B2 C3",
            "ABBC",
            {"order": "strict"},
            [1, 1, 1, 1],
            "both of the first instant are used",
        ),
        ("A1 B1 B2 C3", "ABC", {"order": "strict"}, [1, 1, 1], "or A alone, B before it"),
        ("C1 A2 B3", "ABC", {"order": "any"}, [1, 1, 1], "any order"),
        ("C1 B12 A13", "ABC", {"order": "any"}, [1, 1, 0], "every step event opens an attempt"),
        ("C1 B12 A13", "ABC", {"order": "any", "entry": "first"}, [1, 0, 0], "only the first does"),
        ("A1 A2 B3", "ABA", {"order": "any"}, [1, 1, 1], "a repeated step needs two events"),
        ("A1 B3", "ABA", {"order": "any"}, [1, 1, 0], "and one is not enough"),
        ("", "AB", {}, [0, 0], "nobody"),
        ("x1", "AB", {}, [0, 0], "nobody began"),
    ],
)
def test_each_rule(events, steps, asked, expected, why):
    log = pl.concat([log_of(events), log_of("z1", user="somebody else")])
    assert counts(log, steps, **asked) == expected, why


@pytest.mark.parametrize(
    ("events", "exclude", "asked", "dropped", "stopped", "why"),
    [
        ("A1 x2 B3 C4", [("x", 0, 1)], {}, [0, 0, 0], [1, 0, 0], "between the two steps"),
        ("A1 x1 B3 C4", [("x", 0, 1)], {}, [1, 1, 1], [1, 1, 1], "strictly: not at the first's time"),
        ("A1 x3 B3 C4", [("x", 0, 1)], {}, [1, 1, 1], [1, 1, 1], "nor at the second's"),
        ("A1 B3 x3.5 C4", [("x", 0, 1)], {}, [1, 1, 1], [1, 1, 1], "after both"),
        ("A1 B3 x3.5 C4", [("x", 1, 2)], {}, [0, 0, 0], [1, 1, 0], "stop keeps from_step"),
        ("A1 B3 x3.5 C4", [("x", 0, 2)], {}, [0, 0, 0], [1, 0, 0], "the whole way"),
        ("A1 x9", [("x", 0, 1)], {}, [0, 0, 0], [1, 0, 0], "not reached: up to the window's end"),
        ("A1 x11", [("x", 0, 1)], {}, [0, 0, 0], [1, 0, 0], "which is in the window"),
        ("A1 x11.1", [("x", 0, 1)], {}, [1, 0, 0], [1, 0, 0], "but not beyond"),
        ("A1 x9", [("x", 1, 2)], {}, [1, 0, 0], [1, 0, 0], "from_step was not reached"),
        ("A1 x2 B3 A20 B21", [("x", 0, 1)], {}, [0, 0, 0], [1, 1, 0], "any attempt drops, a clean one counts"),
        ("A1 B3 A20 x21", [("x", 0, 1)], {"entry": "first"}, [1, 1, 0], [1, 1, 0], "only the first is considered"),
        ("A1 B2 y3 x4 C5", [("x", 0, 2), ("y", 1, 2)], {}, [0, 0, 0], [1, 0, 0], "the earliest stop holds"),
        ("A1 x2 C3", [("x", 0, 1)], {"order": "any"}, [0, 0, 0], [1, 0, 0], "any order: between the steps as done"),
        ("A1 x2 B3", [("x", 0, 1)], {"order": "strict"}, [0, 0, 0], [1, 0, 0], "strict: to the window's end"),
    ],
)  # fmt: skip
def test_each_rule_of_exclusions(events, exclude, asked, dropped, stopped, why):
    asked = {"exclude": exclude} | asked
    assert counts(log_of(events), "ABC", exclusion="drop", **asked) == dropped, why
    assert counts(log_of(events), "ABC", exclusion="stop", **asked) == stopped, why


def test_columns_and_numbers():
    log = pl.concat(
        [
            log_of("A0 B10", user="a"),
            log_of("A0 B4 C6", user="b"),
            log_of("A0", user="c"),
            log_of("A100 B101", user="d"),
        ]
    )
    found = ek.funnel(
        log, ["A", ["B", "b"], ek.Match("C")], within="30m", as_of=BEGIN + timedelta(minutes=110)
    )
    apart = ("rate", "low", "high", "overall", "overall_low", "overall_high")
    assert found.select(pl.exclude(apart)).to_dict(as_series=False) == {
        "step": [0, 1, 2],
        "event": ["A", "B or b", "C"],
        "n": [4, 3, 1],
        "of": [None, 4, 3],
        "median_seconds": [None, 240.0, 120.0],
        "mean_seconds": [None, 300.0, 120.0],
        "median_seconds_from_entry": [None, 240.0, 360.0],
        "open": [1, 1, 0],
        "waiting": [0, 1, 0],
    }
    assert found["rate"].to_list() == [None, 0.75, 1 / 3]
    assert found["overall"].to_list() == [1.0, 0.75, 0.25]
    assert found["low"].to_list()[1:] == pytest.approx(
        [ek.intervals.wilson(3, 4)[0], ek.intervals.wilson(1, 3)[0]]
    )
    assert found["high"].to_list()[1:] == pytest.approx(
        [ek.intervals.wilson(3, 4)[1], ek.intervals.wilson(1, 3)[1]]
    )
    assert found.schema["n"] == found.schema["of"] == pl.Int64


def test_a_clock_that_lags_behind_is_borne():
    log = pl.concat([log_of("B0 A1 C2", user="a"), log_of("A0 C3 B4", user="b"), log_of("A0 B1 C2", user="c")])  # fmt: skip
    asked = {"within": "1h", "as_of": END}
    assert ek.funnel(log, ["A", "B", "C"], **asked)["n"].to_list() == [3, 2, 1]
    borne = ek.funnel(log, ["A", "B", "C"], **asked, tolerance="1m")
    assert borne["n"].to_list() == [3, 3, 3]
    # What lies before the step before it took no time; the other two took one minute, and three.
    people = ek.funnel(log, ["A", "B", "C"], **asked, tolerance="1m", people=True)
    seconds = people.filter(pl.col("step") > 0).select("step", "user_id", "seconds").rows()
    assert seconds == [(1, "a", 0.0), (1, "b", 240.0), (1, "c", 60.0), (2, "a", 120.0), (2, "b", 0.0), (2, "c", 60.0)]  # fmt: skip
    assert ek.funnel(log, ["A", "B", "C"], **asked, tolerance="59s")["n"].to_list() == [3, 2, 1]
    # It does not add up from step to step: C lies two minutes before A.
    back = log_of("C0 B1 A2")
    assert ek.funnel(back, ["A", "B", "C"], **asked, tolerance="1m")["n"].to_list() == [1, 1, 0]
    # The same event is no second step.
    assert ek.funnel(log_of("A0"), ["A", "A"], **asked, tolerance="1m")["n"].to_list() == [1, 0]
    assert ek.funnel(log_of("A0 A1"), ["A", "A"], **asked, tolerance="1m")["n"].to_list() == [1, 1]


def test_an_attempt_that_is_open_counts_whichever_it_is():
    # The first attempt got further and is over; the second, from minute 50, may still go on to C.
    log = log_of("A0 B5 A50")
    asked = {"within": "20m", "as_of": BEGIN + timedelta(minutes=60)}
    found = ek.funnel(log, ["A", "B", "C"], **asked, missing="allow")
    assert found.select("n", "open", "waiting").rows() == [(1, 1, 0), (1, 1, 1), (0, 0, 0)]
    first = ek.funnel(log, ["A", "B", "C"], **asked, missing="allow", entry="first")
    assert first["open"].to_list() == [0, 0, 0]
    closed = ek.funnel(log, ["A", "B", "C"], **asked, missing="allow", only_closed=True)
    assert closed.select("n", "open").rows() == [(1, 0), (1, 0), (0, 0)]


def test_a_window_that_ends_at_as_of_is_open():
    # The window includes its last instant, and what happens at as_of is not known yet.
    log = log_of("A0")
    for minutes, still in ((10, 1), (10.1, 0)):
        found = ek.funnel(
            log, ["A", "B"], within="10m", as_of=BEGIN + timedelta(minutes=minutes), missing="allow"
        )
        assert found["open"].to_list() == [still, 0]


def test_of_equals_the_earliest_attempt_counts():
    found = ek.funnel(log_of("A0 A3 B5"), ["A", "B"], within="10m", as_of=END, people=True)
    assert found["seconds"].to_list() == [None, 300.0]
    assert found["entered_at"].to_list() == [BEGIN, BEGIN]
    # The first entry is too early for C, the second and the third are not.
    found = ek.funnel(
        log_of("A0 A3 A4 B5 C12"), ["A", "B", "C"], within="10m", as_of=END, people=True
    )
    assert found["entered_at"].unique().to_list() == [BEGIN + timedelta(minutes=3)]


def test_strict_steps_are_filled_as_early_as_they_can():
    # A and B of minute 1 may both be used, which also fills the second B sooner.
    found = ek.funnel(
        log_of("A1 B1 B2 B3"), ["A", "B", "B"], order="strict", as_of=END, people=True
    )
    assert found["seconds"].to_list() == [None, 0.0, 60.0]


@settings(max_examples=100)
@given(st.lists(st.integers(0, 15), max_size=5))
def test_events_of_one_instant_fill_what_some_choice_fills(events):
    def fills(begin, end):
        wanted = range(begin, end + 1)
        choices = itertools.permutations(events, len(wanted))
        return any(
            all(e >> k & 1 for k, e in zip(wanted, chosen, strict=True)) for chosen in choices
        )

    expected = [max([k for k in range(b, 4) if fills(b, k)], default=b - 1) for b in range(5)]
    assert furthest(events, 4) == expected


def test_since_and_as_of_bound_the_attempts():
    log = log_of("A0 B5 A60 B65")
    assert counts(log, "AB", since=BEGIN + timedelta(minutes=1)) == [1, 1]
    assert counts(log, "AB", since=BEGIN + timedelta(minutes=61)) == [0, 0]
    assert counts(log, "BA", since=BEGIN, within="2h") == [1, 1]
    assert counts(log, "AB", as_of=BEGIN + timedelta(minutes=5)) == [1, 0]
    # Without as_of the log ends just after its last event, of whatever kind.
    late = pl.concat([log, log_of("x69")])
    assert ek.funnel(log, ["A", "B"], within="10m", since="2026-01-01T01:00")["open"].to_list() == [
        1,
        1,
    ]
    assert ek.funnel(late, ["A", "B"], within="10m", since="2026-01-01T01:00")[
        "open"
    ].to_list() == [1, 1]
    later = pl.concat([log, log_of("x70")])
    assert ek.funnel(later, ["A", "B"], within="10m", since="2026-01-01T01:00")[
        "open"
    ].to_list() == [0, 0]


def test_the_end_is_found_whatever_type_times_have():
    log = pl.concat([log_of("A0 B5 A60"), log_of("x65")])
    naive = log.with_columns(pl.col("at").dt.replace_time_zone(None))
    kinds = [log, naive, naive.with_columns(pl.col("at").dt.cast_time_unit("ns"))]
    kinds += [
        log.with_columns(pl.col("at").dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ms"))
    ]
    kinds += [pl.concat([log.clear().select(pl.all()), log]).lazy()]
    for within, still in (("6m", 1), ("5m", 0)):
        asked = {"within": within, "since": BEGIN + timedelta(minutes=1)}
        found = [ek.funnel(kind, ["A", "B"], **asked)["open"].to_list() for kind in kinds]
        assert found == [[still, 0]] * len(kinds)


@pytest.mark.parametrize("weeks", [-1500, 1, 1500])
def test_whole_weeks_change_nothing(weeks):
    log = log_of("A1 x2 B3 A9 B9 C12 A30 C31 B32")
    moved = log.with_columns(pl.col("at") + timedelta(weeks=weeks))
    for order in ("ordered", "strict", "any"):
        asked = {"within": "10m", "order": order, "exclude": [("x", 0, 1)], "exclusion": "stop"}
        assert_frame_equal(ek.funnel(moved, [*"ABC"], **asked), ek.funnel(log, [*"ABC"], **asked))


def test_a_stray_event_moves_neither_end():
    log = log_of(" ".join(f"A{n}" for n in range(2000)) + " B1999")
    stray = pl.concat([log_of("A-99999"), log, log_of("x99999")])
    with pytest.warns(EngagekitWarning) as said:
        found = ek.funnel(stray, ["A", "B"], within="10m")
    assert [str(w.message).split(":")[0] for w in said] == ["The log begins on 2026-01-01", "The log ends on 2026-01-02"]  # fmt: skip
    assert_frame_equal(found, ek.funnel(log, ["A", "B"], within="10m"))
    asked = {"since": BEGIN - timedelta(days=100), "as_of": BEGIN + timedelta(days=100)}
    assert ek.funnel(stray, ["A", "x"], within="200d", **asked)["n"].to_list() == [1, 1]


def test_by_an_event_property():
    log = log_of("A1 B2 A3 B4").with_columns(shop=pl.Series(["x", "y", None, None]))
    found = ek.funnel(log, ["A", "B"], by="shop", attribution="same", as_of=END)
    # The A of x and the B of y do not belong together; null is a shop of its own.
    assert found.select("shop", "step", "n", "of").rows() == [
        ("x", 0, 1, None), ("x", 1, 0, 1), (None, 0, 1, None), (None, 1, 1, 1),
    ]  # fmt: skip
    assert found["overall"].to_list() == [1.0, 0.0, 1.0, 1.0]
    people = ek.funnel(log, ["A", "B"], by=["shop"], attribution="same", as_of=END, people=True)
    assert people.select("shop", "step", "user_id").rows() == [
        ("x", 0, "u"),
        (None, 0, "u"),
        (None, 1, "u"),
    ]


def test_by_takes_whatever_names_a_log_has():
    names = ["group", "unit", "flags", "level", "ends", "count"]
    log = log_of("A1 B2").with_columns(pl.lit(name).alias(name) for name in names)
    for people in (False, True):
        found = ek.funnel(log, ["A", "B"], by=names, as_of=END, people=people)
        assert found.select(names).rows() == [tuple(names)] * 2


def test_logs_of_days():
    log = pl.DataFrame(
        {
            "user_id": [1, 1, 2, 2],
            "event": ["B", "A", "A", "B"],
            "at": [date(2026, 1, 1)] * 3 + [date(2026, 1, 9)],
        }
    )
    assert counts(log, "AB", within="8d") == [2, 2]
    assert counts(log, "AB", within="7d") == [2, 1]
    assert ek.funnel(log, ["A", "B"], within="1d")["open"].to_list() == [0, 0]


def test_steps_may_overlap():
    # The paid order fits both steps, the free one only the first: each is used once, in the better way.
    log = log_of("o1 o1").with_columns(paid=pl.Series([True, False]))
    paid = ek.Match("o", paid=True)
    assert counts(log, ["o", paid]) == [1, 1]
    assert counts(log, [paid, "o"]) == [1, 1]
    assert counts(log, [paid, pl.col("paid")]) == [1, 0]
    assert counts(log, ["o", paid], order="any") == [1, 1]
    assert counts(log, [paid, paid], order="any") == [1, 0]
    assert counts(log, [pl.col("event") == "o", pl.lit(True)], order="strict") == [1, 1]
    assert counts(log.with_columns(paid=None), [pl.col("paid").cast(pl.Boolean), "o"]) == [0, 0]


def test_within_takes_texts_and_timedeltas():
    log = log_of(f"A0 B{31 * 24 * 60} C{31 * 24 * 60 + 1}")
    expected = [
        ("1mo", [1, 1, 0]),
        ("31d", [1, 1, 0]),
        ("4w3d", [1, 1, 0]),
        ("30d24h1m", [1, 1, 1]),
    ]
    expected += [
        (timedelta(days=31), [1, 1, 0]),
        (timedelta(days=30), [1, 0, 0]),
        ("1q", [1, 1, 1]),
    ]
    for within, found in expected:
        assert counts(log, "ABC", within=within) == found, within


def test_more_than_eight_steps():
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
    log = log_of(" ".join(f"{letter}{n}" for n, letter in enumerate(letters)))
    for count in (9, 17, 33, 46):
        assert counts(log, letters[:count], within="1h") == [1] * count
        assert counts(log, letters[:count], within="1h", order="strict") == [1] * count
        assert counts(log, letters[:count][::-1], within="1h", order="any") == [1] * count


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([2**63 - 1, -(2**63)] * 2, dtype=pl.Int64),
        pl.Series([2**64 - 1, 0] * 2, dtype=pl.UInt64),
        pl.Series([2**60, -(2**60)] * 2, dtype=pl.Int64),
        pl.Series(["a", "b"] * 2, dtype=pl.Enum(["b", "a"])),
        pl.Series(["a", "b"] * 2, dtype=pl.Categorical),
        pl.Series([1, 2] * 2, dtype=pl.UInt8),
    ],
)  # fmt: skip
def test_ids_of_every_kind(ids):
    log = log_of("A1 A2 B3 B4").with_columns(user_id=ids)
    people = ek.funnel(log, ["A", "B"], as_of=END, people=True)
    assert people.schema["user_id"] == ids.dtype
    assert sorted(people["user_id"].cast(pl.String)) == sorted(ids.cast(pl.String))
    assert counts(log, "AB") == [2, 2]
    shuffled = log.sort("event", "at", descending=True)
    assert_frame_equal(ek.funnel(shuffled, ["A", "B"], as_of=END, people=True), people)


def test_event_names_of_every_kind():
    for dtype in (pl.Enum(["A", "B"]), pl.Categorical):
        log = log_of("A1 B2").with_columns(pl.col("event").cast(dtype))
        assert counts(log, "ABC") == [1, 1, 0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"steps": []}, ["steps", "list"]),
        ({"tolerance": "soon"}, ["tolerance is 'soon'", "span"]),
        ({"tolerance": "1mo"}, ["tolerance is '1mo'", "no fixed length"]),
        ({"tolerance": "2s", "order": "any"}, ["tolerance", "order='any'"]),
        ({"steps": "A"}, ["steps", "list"]),
        ({"steps": ["A", 3]}, ["step 1", "names no event"]),
        ({"order": "orderd"}, ["order is 'orderd'", "Did you mean 'ordered'"]),
        ({"entry": "last"}, ["entry is 'last'"]),
        ({"exclusion": "remove"}, ["exclusion is 'remove'"]),
        ({"within": "2 weeks"}, ["within", "'14d'"]),
        ({"within": "0d"}, ["longer than nothing"]),
        ({"within": timedelta(days=-1)}, ["longer than nothing"]),
        ({"within": 14}, ["within is 14"]),
        ({"within": "9999999w"}, ["longer than any log"]),
        ({"exclude": [("x", 1, 1)]}, ["from_step"]),
        ({"exclude": [("x", 0, 2)]}, ["from_step", "0 to 1"]),
        ({"exclude": [("x", -1, 1)]}, ["from_step"]),
        ({"exclude": [("x", 0)]}, ["(event, from_step, to_step)"]),
        ({"exclude": "x"}, ["exclude", "(event, from_step, to_step)"]),
        ({"exclude": [("x", 0, 1)] * 70}, ["more than 62"]),
        ({"steps": ["A"] * 65}, ["65 steps", "more than 62"]),
        ({"since": "yesterday"}, ["since is 'yesterday'"]),
        ({"since": "yesterday", "as_of": "soon", "entry": "y"}, ["3 faults", "as_of is 'soon'"]),
        ({"since": "2027-01-01"}, ["since", "not before as_of"]),
        ({"by": "user_id"}, ["by holds 'user_id'"]),
        ({"by": ["n", "n"]}, ["'n'", "twice"]),
        ({"by": [1]}, ["by is [1]"]),
        ({"by": 5}, ["by is 5"]),
        ({"by": pl.col("n")}, ["by is", "column name"]),
        ({"by": "even"}, ["no column 'even'", "Did you mean 'event'"]),
        ({"steps": ["A", ek.Match("B", pln=1)]}, ["no column 'pln'"]),
        ({"steps": ["A", pl.col("evnt") == "B"]}, ["no column 'evnt'"]),
        ({"steps": ["A", pl.col("event")]}, ["step 1", "true or false"]),
        ({"steps": ["A", ek.Match("B", user_id=5)]}, ["asks for 5", "'user_id' holds String"]),
        ({"exclude": [(ek.Match("x", at="2026-01-01"), 0, 1)], "steps": ["A", pl.col("event")]}, ["2 faults", "'at' holds"]),
        ({"order": "x", "entry": "y", "within": "z", "steps": []}, ["4 faults"]),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(asked, words):
    asked = {"steps": ["A", "B"], "as_of": END} | asked
    with pytest.raises(EngagekitError) as error:
        ek.funnel(log_of("A1 B2"), asked.pop("steps"), **asked)
    assert [word for word in words if word not in str(error.value)] == []
    assert isinstance(error.value, ParameterError | ColumnError)


@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
def test_misspelt_steps_are_told_with_the_nearest_names(order):
    names = {"A": "visit", "B": "paid", "C": "cancel"}
    log = log_of("A1 B2 C3").with_columns(pl.col("event").replace(names))
    with pytest.raises(ParameterError) as error:
        ek.funnel(log, ["vissit", "paid"], exclude=[("cancell", 0, 1)], order=order)
    assert [fault.split(" matches")[0] for fault in error.value.faults] == ["step 0", "exclusion 0"]
    assert "Did you mean 'visit'?" in str(error.value)
    assert "Did you mean 'cancel'?" in str(error.value)
    with pytest.raises(
        ParameterError, match=r"step 1 matches nothing.*There are 'cancel', 'paid' and 'visit'"
    ):
        ek.funnel(log, ["visit", "refund"], order=order)
    # What nobody did is an answer to whoever says so, as is a name that the log has outside the dates asked for.
    assert counts(log, ["visit", "refund"], order=order) == [1, 0]
    assert counts(log, ["visit", "visits"], order=order) == [1, 0]
    assert counts(log, ["visit", "paid"], order=order, as_of="2025-12-31") == [0, 0]


def test_an_empty_log():
    empty = log_of("A1").clear()
    assert ek.funnel(empty, ["A", "B"], as_of=END)["n"].to_list() == [0, 0]
    assert ek.funnel(empty, ["A", "B"], as_of=END)["overall"].to_list() == [None, None]
    assert ek.funnel(empty, ["A", "B"], as_of=END, people=True).height == 0
    assert ek.funnel(empty.with_columns(p=1), ["A"], as_of=END, by="p").height == 0
    with pytest.raises(EventLogError, match="no events"):
        ek.funnel(empty, ["A", "B"])


@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
def test_many_users_in_blocks_are_the_users_one_by_one(order):
    # More events than one block holds, in each kind of row order.
    users = 9000
    rows = pl.DataFrame({"user_id": pl.int_range(users * 9, eager=True) % users}).with_row_index(
        "row"
    )
    draw = (pl.col("row").hash(seed=7) % 1_000_003).cast(pl.Int64)
    log = rows.select(
        pl.col("user_id") * 7919 - 10**7,
        event=pl.Series(list("ABCxy")).gather(rows.select(draw % 5).to_series()),
        at=pl.lit(BEGIN) + pl.duration(minutes=draw // 5 % 200),
    )
    asked = {"within": "30m", "order": order, "as_of": END}
    answers = [
        ek.funnel(frame, ["A", "B", "C"], **asked)
        for frame in (
            log,
            log.sort("at"),
            log.sort("user_id", "at"),
            log.with_columns(pl.col("user_id") * 2**40),
        )
    ]
    for other in answers[1:]:
        assert_frame_equal(answers[0], other)
    fixed = log.with_columns(part=pl.col("user_id") % 3)
    parts = ek.funnel(fixed, ["A", "B", "C"], by="part", **asked)
    assert (
        parts.group_by("step").agg(pl.col("n").sum()).sort("step")["n"].to_list()
        == answers[0]["n"].to_list()
    )
    few = [u * 7919 - 10**7 for u in (0, 1, 2, 4500, 8998, 8999)]
    people = ek.funnel(log, ["A", "B", "C"], **asked, people=True)
    alone = ek.funnel(
        log.filter(pl.col("user_id").is_in(few)), ["A", "B", "C"], **asked, people=True
    )
    assert_frame_equal(people.filter(pl.col("user_id").is_in(few)), alone)
