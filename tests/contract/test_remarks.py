"""Remarks: typed, and travelling with journeys to wherever an answer goes."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import polars as pl

import engagekit as ek
from engagekit._base.remarks import Remark
from engagekit.journeys.coverage import basis
from engagekit.priority.verdict import ELSEWHERE
from engagekit.reporting import hand_on

ODD = Remark("ids alike", ("user_id",), "Ids differ by blanks.", 12, 0.04)


def some_journeys():
    rows = [
        (user, event, datetime(2026, 1, day))
        for user in range(40)
        for event, day in [("join", 1), ("make", 2)] + ([("make", 5)] if user % 4 == 0 else [])
    ]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(
        signup="join", activation="make", core="make", targets={"activation": 0.3, "habit": 0.5}
    )
    people = pl.DataFrame({"user_id": range(40), "plan": [f"p{n % 2}, q" for n in range(40)]})
    made = ek.rollup(log, definition, users=people, as_of="2026-04-01")
    return dataclasses.replace(made, remarks=(*made.remarks, ODD))


def test_a_remark_comes_back_from_what_it_writes():
    assert Remark.from_dict(ODD.to_dict()) == ODD
    assert str(ODD) == "Ids differ by blanks."


def test_remarks_travel_with_journeys_that_are_narrowed_taken_back_in_time_or_stored(tmp_path):
    made = some_journeys()
    made.save(tmp_path / "kept")
    for found in (
        made.where(users=pl.col("plan") == "p0, q"),
        made.at("2026-03-01"),
        ek.Journeys.load(tmp_path / "kept"),
        ek.Journeys.load(tmp_path / "kept", lazy=True),
    ):
        assert found.remarks == made.remarks
        assert ODD in basis(found).remarks
        assert ODD.text in ek.prioritize(found).warnings


def test_a_hidden_group_takes_its_own_remark_along_and_no_other():
    found = ek.prioritize(some_journeys(), by="plan")
    one, other = (Remark(ELSEWHERE, (value,), f"For plan {value}, ...") for value in ("a", "a, b"))
    found = dataclasses.replace(found, remarks=(ODD, one, other))
    row = found.segments.head(1)
    sizes = {"a": 3, "x": 12, "a, b": 20}
    segments = pl.concat([row.with_columns(plan=pl.lit(p), users=pl.lit(n)) for p, n in sizes.items()], how="vertical_relaxed")  # fmt: skip
    shown = hand_on(dataclasses.replace(found, segments=segments), by="plan", least=10).priority
    assert shown.segments["plan"].to_list() == ["a, b"]
    kept = [r for r in shown.remarks if r.kind != "small groups hidden"]
    assert kept == [ODD, other]
