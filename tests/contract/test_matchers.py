from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import DefinitionError
from engagekit.matchers import (
    as_matches,
    event_names,
    goals,
    label,
    matches,
    property_names,
    to_plain,
)

LOG = pl.DataFrame(
    {
        "event": ["order", "order", "order", "view", None],
        "status": ["paid", "open", None, "paid", "paid"],
        "items": [1, 2, 3, None, 1],
    }
)


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ("order", [True, True, True, False, False]),
        (["order", "view"], [True, True, True, True, False]),
        (ek.Match("order", status="paid"), [True, False, False, False, False]),
        (ek.Match("order", status=["paid", "open"]), [True, True, False, False, False]),
        (ek.Match("order", status="open", items=2), [False, True, False, False, False]),
        (["view", ek.Match("order", items=3)], [False, False, True, True, False]),
        (ek.Match("order", status=None), [False, False, True, False, False]),
        (ek.Match("order", status=["paid", None]), [True, False, True, False, False]),
        (ek.Match("order", status=ek.Not("paid")), [False, True, True, False, False]),
        (ek.Match("order", status=ek.Not("paid", None)), [False, True, False, False, False]),
        (
            {"event": "order", "where": {"status": {"not": "open"}}},
            [True, False, True, False, False],
        ),
        (
            {"event": "order", "where": {"status": {"null": True}}},
            [False, False, True, False, False],
        ),
        ({"event": "order", "where": {"status": "paid"}}, [True, False, False, False, False]),
    ],
)
def test_a_matcher_is_true_on_the_events_meant_and_never_null(matcher, expected):
    assert LOG.select(matches(matcher).alias("hit"))["hit"].to_list() == expected


def test_matchers_in_words_and_as_plain_values():
    both = ["view", ek.Match("order", status=["paid", "open"], items=1)]
    assert label(both) == "view or order (status: paid or open, items: 1)"
    assert to_plain(both) == [
        "view",
        {"event": "order", "where": {"status": ["paid", "open"], "items": 1}},
    ]
    assert as_matches(to_plain(both)) == as_matches(both)
    assert event_names(["a", "b", "a"]) == ("a", "b")
    assert property_names(both) == ("status", "items")
    assert eval(repr(both[1]), {"Match": ek.Match}) == both[1]


@pytest.mark.parametrize(
    "wrong",
    ["", [], 3, None, {"where": {}}, {"event": "a", "were": {}}, {"event": "a", "where": 3}],
)
def test_what_names_no_event_is_refused(wrong):
    with pytest.raises(DefinitionError):
        as_matches(wrong)


@pytest.mark.parametrize("value", [[], {}, object(), float("nan"), ["a", object()]])
def test_conditions_are_plain_values(value):
    with pytest.raises(DefinitionError, match="where 'status'"):
        ek.Match("order", status=value)


SEVERAL = [
    ek.Match("report", times=3),
    ek.Match("report", times=2, status=ek.Not("test", None)),
    ek.All("watched", ek.Match("filter", kind="date")),
    ek.All(["a", "b"], ek.Match("c", times=4, kind=["x", None])),
    ["a", ek.Match("b", times=2)],
]


@pytest.mark.parametrize("activation", SEVERAL)
def test_an_activation_of_several_events_comes_back_from_its_file(activation, tmp_path):
    made = ek.Definition(activation=activation, core="a")
    made.save(tmp_path / "d.toml")
    again = ek.Definition.load(tmp_path / "d.toml")
    assert to_plain(again.activation) == to_plain(activation)
    assert goals(again.activation) == goals(activation)
    assert again.to_table() == made.to_table()


@pytest.mark.parametrize("several", SEVERAL)
def test_only_activation_may_ask_for_several_events(several):
    with pytest.raises(DefinitionError, match="only activation can"):
        ek.Definition(activation="a", core=several)
    with pytest.raises(DefinitionError, match="only activation can"):
        matches(several)
    log = pl.DataFrame({"user_id": ["u"], "event": ["a"], "at": [datetime(2026, 1, 1)]})
    with pytest.raises(ek.EngagekitError):
        ek.funnel(log, [several, "b"])
    with pytest.raises(ek.EngagekitError):
        ek.retention(log, start=several)


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "a", "times": 0}, {"event": "a", "times": 1.5}, {"event": "a", "times": True}, {"all": ["a"]}, {"all": "ab"},
        {"all": ["a", {"all": ["b", "c"]}]}, ["a", {"all": ["b", "c"]}], {"all": ["a", ["b", {"event": "c", "times": 2}]]},
        {"event": "a", "where": {"b": {"nil": True}}}, {"event": "a", "where": {"b": {"not": []}}},
    ],
)  # fmt: skip
def test_what_asks_for_several_events_without_sense_is_refused(wrong):
    with pytest.raises(DefinitionError):
        as_matches(wrong)


def test_a_property_called_times_is_asked_for_by_the_table():
    match = as_matches({"event": "a", "where": {"times": 3}})[0]
    assert (match.times, match.where) == (1, (("times", (3,)),))
    assert as_matches(to_plain(match)) == (match,)


def test_activation_by_count_and_combination_in_words_and_in_journeys():
    assert label(SEVERAL[0]) == "report (3 times)"
    assert label(SEVERAL[2]) == "watched and filter (kind: date)"
    assert label(ek.Match("a", b=ek.Not("x", None), c=None)) == "a (b: not x or null, c: null)"
    rows = [
        ("u", "join", 1),
        ("u", "b", 2),
        ("u", "a", 3),
        ("u", "b", 4),
        ("v", "join", 1),
        ("v", "b", 2),
    ]
    log = pl.DataFrame(
        [(u, e, datetime(2026, 1, d)) for u, e, d in rows],
        schema=["user_id", "event", "at"],
        orient="row",
    )
    for activation, day in [
        (ek.Match("b", times=2), 4),
        (ek.All("a", "b"), 3),
        (ek.All("b", "a"), 3),
        (["a", ek.Match("b", times=2)], 3),
    ]:
        made = ek.rollup(log, ek.Definition(signup="join", activation=activation, core="b"))
        assert [a and a.day for a in made.users["activated_at"]] == [day, None], activation
