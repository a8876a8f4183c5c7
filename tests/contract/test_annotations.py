"""What happened on a day stands in the definition, survives its file, and is marked where time runs along a chart."""

from __future__ import annotations

from datetime import date, datetime

import chart_frames as frames
import polars as pl
import pytest

import engagekit as ek
from engagekit import charts
from engagekit.errors import DefinitionError
from engagekit.views.cohorts_table import cohorts_of

NEW, SALE = ek.Note("2026-03-10", "new editor"), ek.Note(date(2026, 3, 4), "campaign")


def made(*notes):
    return ek.Definition(activation="a", core="b", annotations=notes)


def test_days_may_be_written_or_dates_and_stand_in_order():
    assert made(NEW, SALE).annotations == (SALE, NEW)
    assert ek.Note(datetime(2026, 3, 4, 9), " campaign ") == SALE
    assert made({"on": "2026-03-04", "text": "campaign"}).annotations == (SALE,)
    assert made().to_table() == ek.Definition(activation="a", core="b").to_table()


def test_they_survive_the_file_and_plain_values(tmp_path):
    made(NEW, SALE).save(tmp_path / "d.toml")
    assert ek.Definition.load(tmp_path / "d.toml") == made(SALE, NEW)
    assert ek.Definition.from_table(made(NEW).to_dict()) == made(NEW)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("2026-03-01", "takes a list"), ([3], "is no annotation"), ([{"on": "1.3.2026", "text": "x"}], "takes a day"),
        ([{"on": "2026-03-01", "text": " "}], "what happened"), ([{"on": "2026-03-01", "text": "x" * 61}], "at most 60"),
        ([{"day": "2026-03-01", "text": "x"}], "'day' is no key"), (7, "takes a list"), ([{}], "takes a day"),
    ],
)  # fmt: skip
def test_what_is_no_annotation_is_refused(wrong, said):
    with pytest.raises(DefinitionError, match=said):
        ek.Definition(activation="a", core="b", annotations=wrong)


def test_every_fault_is_told_at_once():
    with pytest.raises(DefinitionError) as error:
        ek.Definition(
            activation="a",
            core="b",
            annotations=[{"on": "x", "text": ""}, {"on": "y", "text": "z"}],
            margin=5,
        )
    assert sum("annotation 1" in fault for fault in error.value.faults) == 2
    assert len(error.value.faults) == 4


def marked(chart):
    """What is written at which place of the time axis."""
    spec = chart.to_dict()
    rows = [
        row for rows in spec["datasets"].values() for row in rows if "note" in row and "line" in row
    ]
    return {(row.get("day") or row.get("period"), row["note"]) for row in rows}


def weeks():
    return frames.lifecycle()


def test_the_clock_and_a_timeline_mark_days_that_they_show():
    clock = frames.clock()
    inside = ek.Note(clock["day"][3], "outage")
    chart = charts.product_clock(clock, notes=[inside, ek.Note("1999-01-01", "long ago")])
    assert marked(chart) == {(clock["day"][3].isoformat(), "outage")}
    assert "outage" in chart.to_dict()["description"]
    assert "long ago" not in str(chart.to_dict())
    assert marked(charts.timeline(frames.timeline(), notes=[NEW, ek.Note("2027-01-01", "later")])) == {("2026-03-10", "new editor")}  # fmt: skip


def test_the_lifecycle_marks_the_period_in_which_it_happened():
    frame = weeks()
    starts = frame["period_start"].sort().to_list()
    day = pl.Series([starts[1]]).dt.offset_by("1d").cast(pl.Date)[0]
    ((place, text),) = marked(charts.lifecycle(frame, notes=[ek.Note(day, "campaign")]))
    assert place.startswith(f"{starts[1]:%Y-%m-%d}")
    assert text == "campaign"
    assert marked(charts.lifecycle(frame, notes=[ek.Note("1999-01-01", "x")])) == set()


def beside(chart):
    """What is written beside which row."""
    spec = chart.to_dict()
    rows = [row for rows in spec["datasets"].values() for row in rows if "note" in row]
    return {(row["name"], row["note"]) for row in rows}


def test_the_cohort_heatmap_says_beside_a_cohort_what_happened_in_its_time():
    days = {"2026-03-02": "first day", "2026-03-08": "last", "2026-03-22": "sale", "2026-03-23": "late", "2026-03-01": "early"}  # fmt: skip
    notes = [ek.Note(day, text) for day, text in days.items()]
    chart = charts.heatmap(frames.curves(), notes=notes)
    assert beside(chart) == {("2026-03-02 (n=10)", "– first day; last"), ("2026-03-16 (n=10)", "– sale")}  # fmt: skip
    assert "Marked: 2026-03-02 first day; 2026-03-08 last; 2026-03-22 sale." in chart.to_dict()["description"]  # fmt: skip
    grouped = charts.heatmap(frames.curves(by=("plan", ["free", "paid"])), notes=[ek.Note("2026-03-10", "sale")])  # fmt: skip
    assert len(beside(grouped)) == 2, "each group's row of that week"
    assert beside(charts.heatmap(frames.curves(), notes=[ek.Note("1999-01-01", "x")])) == set()


@pytest.mark.parametrize(
    ("word", "starts", "day", "found"),
    [
        ("month", [date(2026, 1, 1), date(2026, 2, 1)], date(2026, 1, 31), ["0"]), ("month", [date(2026, 1, 1), date(2026, 2, 1)], date(2026, 3, 1), []),
        ("day", [date(2026, 1, 1), date(2026, 1, 2)], date(2026, 1, 2), ["1"]), ("day", [date(2026, 1, 1)], date(2026, 1, 2), []),
        ("hour", [datetime(2026, 1, 1, 8), datetime(2026, 1, 1, 9)], date(2026, 1, 1), ["0"]), ("week", ["all"], date(2026, 1, 1), []),
    ],
)  # fmt: skip
def test_a_day_lies_in_the_cohort_whose_period_holds_it(word, starts, day, found):
    assert cohorts_of(day, {str(k): start for k, start in enumerate(starts)}, word) == found


def test_the_loop_by_quarter_says_beside_a_quarter_what_happened_in_it():
    log = ek.simulate(users=600, seed=4)
    priority = ek.prioritize(ek.rollup(log.events, log.definition, users=log.users))
    first = priority.by_quarter["quarter"][0]
    notes = [ek.Note(first, "new editor"), ek.Note("1999-01-01", "long ago")]
    chart = charts.loop_by_quarter(priority, notes=notes)
    assert beside(chart) == {(f"{first.year} Q{(first.month + 2) // 3}", "– new editor")}
    assert "long ago" not in chart.to_dict()["description"]
    size = [chart.to_dict()[key] for key in ("width", "height")]
    assert size == [charts.loop_by_quarter(priority).to_dict()[key] for key in ("width", "height")]
    assert beside(charts.loop_by_quarter(priority)) == set()


def test_an_annotation_cannot_run():
    spec = charts.timeline(
        frames.timeline(), notes=[ek.Note("2026-03-10", "<script>alert(1)</script>")]
    )
    assert "<script" not in spec.to_json()


def test_an_opened_chart_marks_what_the_definition_names():
    import dataclasses

    from engagekit.widgets.behind import behind

    log = ek.simulate(users=200, seed=1)
    definition = dataclasses.replace(
        log.definition, annotations=[ek.Note("2025-09-15", "new editor")]
    )
    journeys = ek.rollup(log.events, definition, users=log.users, as_of=log.as_of)
    source = behind("lifecycle", journeys, events=log.events, as_of=log.as_of, period="month")
    assert {text for _, text in marked(source.chart)} == {"new editor"}
    for name, options in (("heatmap", {"period": "month"}), ("loop_by_quarter", {})):
        ((row, text),) = beside(behind(name, journeys, **options).chart)
        assert row.startswith("2025-09" if name == "heatmap" else "2025 Q3")
        assert text == "– new editor"
