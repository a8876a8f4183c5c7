from __future__ import annotations

import json
import re
import subprocess
import sys

import chart_frames as frames
import polars as pl
import pytest
from chart_cases import ALL, EMPTY, NAMED, PLAIN, drawn, picture

from engagekit import charts, tables
from engagekit.definition import LINKS
from engagekit.errors import ColumnError, EngagekitError, ParameterError
from engagekit.views import (
    cadence_table,
    cohorts_table,
    diagnosis_table,
    first_weeks_table,
    funnels_table,
    metrics_table,
    rhythm_table,
)
from engagekit.views.diagnosis_chart import GRID
from engagekit.views.theme import TEXT


def fields(spec):
    """Every field an encoding names, anywhere in a specification."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key == "field" and isinstance(value, str):
                yield value
            elif key not in {"datasets", "usermeta"}:
                yield from fields(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from fields(value)


def strings(spec, *, skip=("datasets", "usermeta", "description", "title", "domain")):
    """Every text outside data, titles and scale domains: what could be read as code or as a field."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key not in skip:
                yield from strings(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from strings(value)
    elif isinstance(spec, str):
        yield spec


@pytest.mark.thorough
@pytest.mark.parametrize("name", ALL)
def test_draws_and_names_only_real_columns(name):
    spec, _ = drawn(name)
    columns = {key for rows in spec.get("datasets", {}).values() for row in rows for key in row}
    used = {*fields(spec)} - {"side", "figure"}  # which constants of ours fill
    if all(spec.get("datasets", {}).values()):  # a frame without rows brings no columns along
        assert used <= columns
    assert picture(name).startswith("<svg")
    width = float(re.search(r'width="([\d.]+)"', picture(name))[1])
    assert width <= 900


@pytest.mark.parametrize("name", ALL)
def test_says_what_it_shows(name):
    spec, _ = drawn(name)
    title = " ".join(spec["title"]["text"])
    assert len(title) > 10
    assert title.split()[0] in spec["description"]
    assert spec["description"].split(":")[0] in {
        "Bar chart", "Heatmap", "Line chart", "Step chart", "Dot chart", "Stacked bar chart", "Scatter chart", "Table of links by quarter", "Table of links by group",
    }  # fmt: skip
    table = spec["usermeta"]["engagekit"]
    assert all(len(row) == len(table["headers"]) for row in table["rows"])


@pytest.mark.parametrize("name", PLAIN)
def test_letters_are_large_enough_for_a_room(name):
    def sizes(spec):
        if isinstance(spec, dict):
            for key, value in spec.items():
                if key.lower().endswith("fontsize"):
                    yield value
                elif key != "datasets":
                    yield from sizes(value)
        elif isinstance(spec, list):
            for value in spec:
                yield from sizes(value)

    assert min(sizes(drawn(name)[0])) >= 13
    assert drawn(name)[0]["config"]["title"]["fontSize"] >= 18


@pytest.mark.parametrize(("lost", "ends"), [(0, [0, 0.05]), (400, None)])
def test_an_axis_of_tiny_shares_does_not_say_0_percent_five_times(lost, ends):
    row = frames.rate(lost, 4000)
    table = pl.DataFrame([frames.drop_off().to_dicts()[0] | row])
    spec = charts.step_drop_off(table).to_dict()
    found = [layer["encoding"]["x"].get("scale", {}).get("domain") for layer in spec["layer"]]
    assert found[0] == ends


def test_cohorts_that_nobody_is_in_take_no_row_of_the_heatmap():
    curves = frames.curves()
    nobody = curves.with_columns(
        (pl.col("cohort") + pl.duration(weeks=3)).alias("cohort"),
        pl.lit(0).alias("n"), pl.lit(0).alias("of"), *[pl.lit(None, pl.Float64).alias(c) for c in ("rate", "low", "high")],
    )  # fmt: skip
    both = pl.concat([curves, nobody], how="vertical_relaxed")
    assert tables.heatmap(both).sheet.rows == tables.heatmap(curves).sheet.rows
    assert charts.heatmap(both, most=3).to_dict()["datasets"] == charts.heatmap(curves).to_dict()["datasets"]  # fmt: skip
    assert len(tables.heatmap(nobody).sheet.rows) == 3, (
        "where there are no others, they are all there is"
    )


@pytest.mark.parametrize("name", ["heatmap", "curve by", "loop", "dumbbell"])
def test_the_same_answer_gives_the_same_chart(name):
    assert json.dumps(ALL[name]()[0].to_dict()) == json.dumps(drawn(name)[0])


@pytest.mark.parametrize("name", [f"{name}, hostile" for name in NAMED])
def test_foreign_names_are_data_only(name):
    found = [
        text for text in strings(drawn(name)[0]) if any(bad[:12] in text for bad in frames.HOSTILE)
    ]
    assert found == []
    assert "<script" not in picture(name)
    assert "<img" not in picture(name)


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_known_draws_nothing_and_says_so(name):
    spec, _ = drawn(f"{name}, empty")
    assert re.search(r"\b(No|Nobody|nobody|Nothing)\b", " ".join(spec["title"]["text"]))


def test_cells_not_known_yet_stay_blank():
    spec, table = drawn("heatmap")
    (rows,) = spec["datasets"].values()
    # Week 1 of the first two cohorts and week 2 of the first are over; no other cell, and not week 0.
    assert [(row["name"][:10], row["period"], row["text"]) for row in rows] == [
        ("2026-03-02", "1", "60%"), ("2026-03-02", "2", "40%"), ("2026-03-09", "1", "45%"),
    ]  # fmt: skip
    assert table.sheet.rows == (
        ("2026-03-02 (n=10)", "60%", "40%"), ("2026-03-09 (n=20)", "45%", ""), ("2026-03-16 (n=10)", "", ""),
    )  # fmt: skip


def test_the_link_to_mend_stands_out_by_words_and_color():
    (rows, *_) = drawn("loop")[0]["datasets"].values()
    by_name = {row["name"]: row for row in rows}
    assert list(by_name) == ["Activation", "Habit (repeat value)", "Depth", "Advocacy"]
    assert by_name["Habit (repeat value)"]["text"] == "33% of 60 ← fix this first"
    assert by_name["Habit (repeat value)"]["tone"] == "#D55E00"
    assert by_name["Depth"]["tone"] == by_name["Advocacy"]["tone"] != by_name["Activation"]["tone"]
    assert by_name["Advocacy"]["value"] is None
    assert by_name["Advocacy"]["text"] == "nobody to judge yet"


def test_the_cells_of_a_large_product_hold_their_text():
    frame = frames.quarters().with_columns(of=pl.lit(123_456), rate=pl.lit(0.42))
    cells = [
        cell["text"]
        for rows in charts.loop_by_quarter(frames.priority(by_quarter=frame))
        .to_dict()["datasets"]
        .values()
        for cell in rows
        if "text" in cell
    ]
    assert any(cell.startswith("←") for cell in cells)
    # Letters of the theme's font are about 0.55 of its size wide.
    assert max(map(len, cells)) * 0.55 * TEXT < GRID / len(LINKS)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        # 6 of 10 and 9 of 20 are back in week 1: 15 of 30.
        (lambda: tables.heatmap(frames.curves()), "50% come back in week 1; cohorts range from 45% to 60%"),
        (lambda: tables.heatmap(frames.curves(), period="term"), "50% come back in term 1; cohorts range from 45% to 60%"),
        # Week 2 is thin, so it is not the finding.
        (lambda: tables.curve(frames.pooled(), period="week"), "55% come back in week 1"),
        (
            lambda: tables.curve(frames.pooled(["free", "pro"]), period="week"),
            "Week 1: free 55%, pro 42%; their intervals overlap",
        ),
        (lambda: tables.survival(frames.survival()), "Half have gone quiet by day 21"),
        (lambda: tables.survival(frames.survival().head(3)), "55% still going on day 14"),
        (lambda: tables.funnel(frames.funnel()), "3. pay loses 75% of those who reach the step before"),
        (lambda: tables.funnel(frames.funnel(counts=(10, 10, 10))), "No step loses anybody"),
        (lambda: tables.diagnosis(frames.diagnosis()), "24% activate once and vanish, the most common problem"),
        (
            lambda: tables.loop(frames.priority()),
            "Habit (repeat value) is the earliest broken link: 33% pass, target 50%",
        ),
        (
            lambda: tables.loop(frames.priority(table=frames.loop_table(targets=False), verdict="no targets", link=None)),
            "No targets are set. Half are gone by Habit (repeat value): 20% get that far",
        ),
        (
            lambda: tables.loop(frames.priority(verdict="undecided", link=None, candidates=("habit", "none broken"))),
            "Undecided which link breaks first: Habit (repeat value) or no link at all",
        ),
        (lambda: tables.loop(frames.priority(verdict="none broken", link=None)), "No link is below its target"),
        (
            lambda: tables.loop_by_quarter(frames.priority()),
            "The earliest broken link changed to Habit (repeat value) with the sign-ups of 2026 Q2",
        ),
        (
            lambda: tables.loop_by_quarter(frames.priority(by_quarter=frames.quarters().filter(quarter=pl.date(2026, 1, 1)))),
            "Activation is named in 1 of 1 quarters, and no other link in any",
        ),
        (lambda: tables.segments(frames.priority()), "Elsewhere than all users together: pro"),
        (lambda: tables.metrics(frames.metrics()), "Activation rate is 41%"),
        (lambda: tables.track(frames.tracked()), "Activation rose after 2026-04-15, 80% against 40% before; the goal of 60% is reached"),
        (lambda: tables.track(frames.tracked(goal=0.9)), "Activation rose after 2026-04-15, 80% against 40% before; the goal of 90% is not reached"),
        (
            lambda: tables.track(frames.tracked(goal=0.75, verdict="cannot tell yet")),
            "Activation since 2026-04-15: too early to tell, 80% against 40% before; whether the goal of 75% is reached cannot be told yet",
        ),
        (
            lambda: tables.track(frames.tracked(goal=None, verdict="the mix changed")),
            "Activation since 2026-04-15: other users came, 80% against 40% before",
        ),
        (
            lambda: tables.track(frames.tracked(since=(0, 0, None, None, None), verdict="cannot tell yet")),
            "Activation: nobody who signed up since 2026-04-15 can be judged yet",
        ),
        (lambda: tables.product_clock(frames.clock()), "These days hardly count when users are silent: Saturdays, Sundays and 2026-03-11"),
        (lambda: tables.product_clock(frames.clock().with_columns(weight=1.0)), "Every day counts: no day was less than half as active as usual"),
        (lambda: tables.lifecycle(frames.lifecycle()), "2026-03-23: 63 active; 33 came or came back, 8 went quiet"),
        (lambda: tables.stickiness(frames.stickiness()), "50% came in one period only"),
        (lambda: tables.stickiness(frames.stickiness((1.0, 0.6, 0.1))), "60% came in 2 periods or more"),
        (lambda: tables.dumbbell(frames.compared()), "invite: 1.40 times as often retained, among users alike until then"),
        (lambda: tables.step_drop_off(frames.drop_off()), "Connect stands out: 70% of those who reach it get stuck"),
        (
            lambda: tables.step_drop_off(frames.drop_off(hot=None)),
            "No step stands out; the highest drop-off is 10%, at Profile",
        ),
        # The interval, 2.5 days, lies between whole days; of 3 days the share is known.
        (lambda: tables.usage_interval(frames.usage_interval()), "80% of those who repeat usually pause 3 days or less"),
        # 50 // 2 against 50 // 3 on day 1, 50 // 3 against 50 // 5 on day 2: 18 and 12 points apart.
        (lambda: tables.day_map(frames.daily()), "On day 1, 50% of retained users are active, 32% of churned"),
        (lambda: tables.day_map(frames.daily(groups=("churned",))), "No day can be compared between retained and churned users yet"),
        (lambda: tables.threshold_grid(frames.grid()), "open, 2+ days within 7: 60% retained, 30% of all"),
        (lambda: tables.threshold_grid(frames.grid(confirmed=False)), "open, 2+ days within 7: 60% retained, 30% of all; not confirmed"),
        (lambda: tables.threshold_grid(frames.grid(chosen=False)), "No threshold of open stands out"),
        (lambda: tables.engagement_matrix(frames.matrix()), "Done by many and often: publish"),
        (
            lambda: tables.dumbbell(frames.compared(verdicts=("not clear", "too few"))),
            "No action stands out between retained and churned users",
        ),
    ],
)  # fmt: skip
def test_titles_state_the_finding(title, expected):
    assert title().sheet.title == expected


def test_a_part_of_the_definition_is_never_the_finding():
    frame = frames.compared().with_columns(part_of_definition=pl.lit(value=True))
    assert first_weeks_table.dumbbell_title(frame).startswith("No action stands out")


def test_groups_that_contradict_the_total_are_the_finding():
    frame = frames.compared().with_columns(opposite=pl.Series([False, True]))
    assert (
        first_weeks_table.dumbbell_title(frame)
        == "report: groups and total point in opposite directions"
    )


def test_a_period_under_way_is_not_the_finding():
    frame = frames.lifecycle().with_columns(complete=pl.Series([True, True, True, False]))
    assert rhythm_table.lifecycle_title(frame).startswith("2026-03-16")


def test_period_is_read_off_the_cohorts():
    frame = frames.curves()
    assert cohorts_table.period_word(frame) == "week"
    assert cohorts_table.period_word(frame.head(1)) == "period"
    months = frame.with_columns(
        cohort=pl.col("cohort").replace(
            {c: c.replace(month=c.day % 12 + 1, day=1) for c in frame["cohort"]}
        )
    )
    assert cohorts_table.period_word(months) in {"month", "period"}


def test_loop_subtitle_says_how_sure_and_on_what():
    said = diagnosis_table.loop(frames.priority()).subtitle
    assert said.startswith("The verdict is 97% sure.")
    assert "100 users who signed up 2026-01-01 to 2026-05-30" in said


def test_what_is_not_the_answer_is_refused_with_every_fault():
    with pytest.raises(
        ColumnError, match=r"(?s)'rate' is missing.*'low' is missing.*columns found"
    ):
        charts.heatmap(frames.curves().drop("rate", "low"))
    with pytest.raises(ParameterError, match="polars frame; found dict"):
        charts.curve({})
    with pytest.raises(EngagekitError, match="5,100 rows"):
        charts.funnel(pl.concat([frames.funnel()] * 1700))
    with pytest.raises(EngagekitError, match="at most 7 groups apart; this answer has 8"):
        charts.curve(frames.pooled([f"g{k}" for k in range(8)]))
    with pytest.raises(EngagekitError, match=r"no action 'opn'.*Did you mean 'open'"):
        charts.threshold_grid(frames.grid(), action="opn")
    with pytest.raises(EngagekitError, match="by="):
        charts.segments(frames.priority(segments=None))


def test_lazy_answers_are_drawn_too():
    assert (
        charts.funnel(frames.funnel().lazy()).to_dict() == charts.funnel(frames.funnel()).to_dict()
    )


def test_different_names_stay_apart_however_long():
    names = tables.heatmap(frames.curves(("plan", ["x" * 50, "x" * 51]))).sheet.rows
    assert len({row[0] for row in names}) == len(names) == 6


def test_repeated_steps_are_bars_of_their_own():
    rows = tables.funnel(frames.funnel(("open", "open", "open"))).sheet.rows
    assert [row[0] for row in rows] == ["1. open", "2. open", "3. open"]


def test_importing_the_package_does_not_load_altair():
    out = subprocess.run([sys.executable, "-c", "import sys, engagekit, engagekit.tables; print({'altair', 'great_tables', 'vl_convert'} & set(sys.modules))"], capture_output=True, text=True, check=True)  # fmt: skip
    assert out.stdout.strip() == "set()"


def test_amounts_are_written_in_their_unit():
    rows = metrics_table.metrics(frames.metrics()).rows
    assert [row[5] for row in rows] == ["41%", "2.5 days", ""]
    assert funnels_table.lost(0.25) == "−75%"


@pytest.mark.thorough
def test_pauses_of_years_are_cut_where_nearly_all_are_back_and_it_is_said():
    long = pl.DataFrame(
        {"days": range(1, 5001), "n": 96, "of": 100, "rate": 0.96, "low": 0.9, "high": 0.99, "usage_interval_days": 1.0}
    )  # fmt: skip
    late = long.with_columns(rate=pl.when(pl.col("days") < 400).then(0.5).otherwise(0.96))
    never = long.with_columns(rate=pl.lit(0.5))
    for frame, last in ((long, 1), (late, 400), (never, 730), (never.head(730), 730)):
        page = cadence_table.usage_interval(frame)
        assert page.rows[-1][0] == str(last)
        assert ("are not drawn" in page.subtitle) is (frame.height > 730)
        charts.usage_interval(frame)


def test_of_a_long_log_the_latest_is_drawn_and_that_is_said():
    periods = frames.lifecycle(5000)
    sheet = tables.lifecycle(periods).sheet
    assert len(sheet.rows) == 60
    assert sheet.subtitle.startswith("The latest 60 of 5,000 periods.")
    assert sheet.rows[-1][0] == str(periods["period_start"].max())
    assert len(tables.stickiness(frames.stickiness(), most=2).sheet.rows) == 2
    assert "Up to 2 of 3" in tables.stickiness(frames.stickiness(), most=2).sheet.subtitle
    assert len(tables.heatmap(frames.curves(), most=2).sheet.rows) == 2
    # Two groups share the rows.
    by = tables.heatmap(frames.curves(("plan", ["free", "pro"])), most=2).sheet
    assert [row[0][:18] for row in by.rows] == ["free · 2026-03-16 ", "pro · 2026-03-16 ("]
    assert by.subtitle.startswith("The latest 1 of 3 cohorts.")
    assert [row[0] for row in tables.loop_by_quarter(frames.priority(), most=1).sheet.rows] == [
        "2026 Q2"
    ]
