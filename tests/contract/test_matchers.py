from __future__ import annotations

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import DefinitionError
from engagekit.matchers import as_matches, event_names, label, matches, property_names, to_plain

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


@pytest.mark.parametrize("value", [None, [], {}, [None], object()])
def test_conditions_are_plain_values(value):
    with pytest.raises(DefinitionError, match="where 'status'"):
        ek.Match("order", status=value)
