"""Funnels by the value at entry, by period of entry, of closed windows, and with the interval of the whole."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from test_funnels import BEGIN, log_of

import engagekit as ek
from engagekit import intervals
from engagekit.errors import ParameterError


def test_the_entry_carries_the_variant():
    rows = [
        ("a", "exposed", 1, "red"),
        ("a", "buy", 2, None),
        ("b", "exposed", 1, "blue"),
        ("b", "buy", 2, None),
        ("c", "exposed", 1, "blue"),
    ]
    log = pl.DataFrame(
        [(u, e, datetime(2026, 1, 1, 9 + h), v) for u, e, h, v in rows],
        schema=["user_id", "event", "at", "variant"],
        orient="row",
    )
    found = ek.funnel(log, ["exposed", "buy"], within="1d", by="variant")
    assert found.select("variant", "step", "n", "of").rows() == [
        ("blue", 0, 2, None),
        ("blue", 1, 1, 2),
        ("red", 0, 1, None),
        ("red", 1, 1, 1),
    ]
    same = ek.funnel(log, ["exposed", "buy"], within="1d", by="variant", attribution="same")
    assert same.filter(step=1)["n"].to_list() == [0, 0]
    people = ek.funnel(log, ["exposed", "buy"], within="1d", by="variant", people=True)
    assert people.filter(step=1).select("variant", "user_id").rows() == [
        ("blue", "b"),
        ("red", "a"),
    ]


def test_by_period_of_entry_and_only_closed():
    log = pl.concat(
        [log_of("A0 B10", user="a"), log_of("A20000 B20001", user="b"), log_of("A20000", user="c")]
    )
    asked = {"within": "30m", "as_of": BEGIN + timedelta(minutes=20_010)}
    found = ek.funnel(log, ["A", "B"], **asked, entered="week")
    assert found.select("entered", "step", "n").rows() == [
        (date(2025, 12, 29), 0, 1), (date(2025, 12, 29), 1, 1), (date(2026, 1, 12), 0, 2), (date(2026, 1, 12), 1, 1),
    ]  # fmt: skip
    closed = ek.funnel(log, ["A", "B"], **asked, only_closed=True)
    assert closed["n"].to_list() == [1, 1]
    assert closed["open"].to_list() == [0, 0]


def test_the_share_of_all_who_entered_has_an_interval():
    log = pl.concat(
        [
            log_of("A0 B10 C20" if k < 3 else "A0 B10" if k < 6 else "A0", user=f"u{k}")
            for k in range(10)
        ]
    )
    found = ek.funnel(log, ["A", "B", "C"], within="1h")
    assert (found["overall_low"][2], found["overall_high"][2]) == pytest.approx(
        intervals.wilson(3, 10)
    )
    assert found["overall_low"][0] is None


@pytest.mark.parametrize(
    "wrong", [{"attribution": "middle"}, {"entered": "year"}, {"only_closed": 1}]
)
def test_what_cannot_be_asked_of_attribution_is_refused(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        ek.funnel(log_of("A0 B1"), ["A", "B"], **wrong)
