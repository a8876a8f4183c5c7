"""How charts look: where axes and colors begin, what is left blank, what may stand out, what a dark room changes."""

from __future__ import annotations

import itertools
import json
import re

import chart_frames as frames
import polars as pl
import pytest
from chart_cases import PLAIN, drawn

import engagekit as ek
from engagekit import charts, tables
from engagekit.views import letters, looks, offline


def parts(spec, key):
    """Find every value that stands under a key, anywhere in a specification."""
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name == key:
                yield value
            yield from parts(value, key)
    elif isinstance(spec, list):
        for value in spec:
            yield from parts(value, key)


def rows_of(spec, field):
    return [row for rows in spec["datasets"].values() for row in rows if field in row]


def title(chart):
    return " ".join(chart.to_dict()["title"]["text"])


# Words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["experiment", "replay", "metrics", "loop", "diagnosis", "step_drop_off"])  # fmt: skip
def test_words_of_our_own_have_room_in_other_fonts_too(name):
    spec = drawn(name)[0]
    limits = [(mark["limit"], mark.get("fontSize", looks.TEXT), "text") for mark in parts(spec["layer"], "mark") if "limit" in mark]  # fmt: skip
    limits += [(axis["labelLimit"], axis["labelFontSize"], "name") for axis in parts(spec["layer"], "axis") if axis and {"labelLimit", "labelFontSize"} <= set(axis)]  # fmt: skip
    assert limits
    for limit, size, field in limits:
        lines = [line for row in rows_of(spec, field) for line in row[field].split(", ", 1)]
        assert max(wide(line, size) for line in lines) <= limit


def wide(text, size):
    drawn_as = {"text": text, "font": "DejaVu Sans, Verdana", "size": size, "weight": "normal"}
    return letters._widths([drawn_as])[0]


def test_each_verdict_of_a_test_is_read_whole():
    for verdict in ("no difference that matters", "stop: the split is off", "cannot tell yet"):
        found = frames.two_arms()
        found.table = found.table.with_columns(verdict=pl.lit(verdict))
        spec = charts.experiment(found).to_dict()
        (limit,) = {mark["limit"] for mark in parts(spec["layer"], "mark") if "limit" in mark}
        longest = max(row["text"] for row in rows_of(spec, "text"))
        assert verdict in longest
        assert wide(longest, looks.TEXT) <= limit


def test_nobody_is_gone_quiet_in_a_period_under_way():
    weeks = frames.lifecycle().with_columns(complete=pl.int_range(pl.len()) < 3, pulse=pl.lit(0.5))
    spec = charts.lifecycle(weeks).to_dict()
    gone = [row["period"] for row in rows_of(spec, "state") if row["state"] == "gone quiet"]
    assert [period[:10] for period in gone] == ["2026-03-02", "2026-03-09", "2026-03-16"]
    last = spec["usermeta"]["engagekit"]["rows"][-1]
    assert last[0].endswith("(not over)")
    assert last[-2:] == ["", ""]


def test_a_share_of_some_cohorts_says_so():
    assert title(charts.heatmap(frames.curves(), most=2)).startswith("Of the latest cohorts, ")
    assert "latest" not in title(charts.heatmap(frames.curves()))


# Heatmaps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["heatmap", "day_map", "threshold_grid"])
def test_colors_of_shares_begin_at_zero(name):
    scales = [s for s in parts(drawn(name)[0], "scale") if s and s.get("scheme") == "viridis"]
    assert scales
    assert {tuple(s["domain"]) for s in scales} <= {(0, 0.5), (0, 1.0)}


def test_small_differences_do_not_look_large():
    # Shares of 7 to 19 %: colors run to 50 %, so they take less than a quarter of the range.
    curves = frames.curves().with_columns(rate=pl.when("complete").then(pl.lit(0.19)))
    (scale,) = [s for s in parts(charts.heatmap(curves).to_dict(), "scale") if s and "scheme" in s]
    assert scale["domain"] == [0, 0.5]


def test_periods_and_days_run_from_the_first_to_the_last():
    domains = [s["domain"] for s in parts(drawn("heatmap")[0], "scale") if s and "domain" in s]
    assert ["1", "2"] in domains
    assert [0, 1, 2] in [
        s["domain"] for s in parts(drawn("day_map")[0], "scale") if s and "domain" in s
    ]


def test_the_least_threshold_stands_at_the_bottom_left():
    spec = drawn("threshold_grid")[0]
    (up,) = {tuple(e["scale"]["domain"]) for e in parts(spec, "y") if "scale" in e}
    (across,) = {tuple(e["scale"]["domain"]) for e in parts(spec, "x") if "scale" in e}
    assert [int(k[:-1]) for k in up] == sorted([int(k[:-1]) for k in up], reverse=True)
    assert [int(k) for k in across] == sorted(int(k) for k in across)


def test_a_cell_of_a_threshold_says_of_how_many_and_is_blank_for_a_few():
    grid = frames.grid()
    shown = rows_of(charts.threshold_grid(grid, min_group=1).to_dict(), "below")
    assert all(re.match(r"n=\d", row["below"]) for row in shown)
    most = max(int(re.findall(r"\d+", row["below"])[0]) for row in shown)
    assert rows_of(charts.threshold_grid(grid, min_group=most + 1).to_dict(), "below") == []


@pytest.mark.parametrize(("least", "left"), [(10, 3), (11, 1), (21, 0)])
def test_cohorts_under_the_minimum_are_blank_and_say_nothing(least, left):
    # Cohorts of 10, 20 and 10 users; three cells are over.
    chart = charts.heatmap(frames.curves(), min_group=least)
    assert len(rows_of(chart.to_dict(), "rate")) == left
    table = tables.heatmap(frames.curves(), min_group=least)
    assert sum(bool(cell) for row in table.sheet.rows for cell in row[1:]) == left
    assert table.sheet.rows[0][0] == "2026-03-02 (n=10)"
    assert ("fewer than" in table.sheet.subtitle) == (least > 10)
    if not left:
        assert table.sheet.title.startswith("No cohort of enough users")


def test_a_tiny_cohort_does_not_say_from_where_to_where_cohorts_range():
    one = frames.curves().with_columns(n=pl.when(pl.col("cohort") == pl.date(2026, 3, 2)).then(1).otherwise("n"), of=pl.when(pl.col("cohort") == pl.date(2026, 3, 2)).then(1).otherwise("of"), rate=pl.when(pl.col("cohort") == pl.date(2026, 3, 2)).then(1.0).otherwise("rate"))  # fmt: skip
    assert "100%" not in title(charts.heatmap(one))


def test_a_quarter_of_hardly_anybody_shows_no_share():
    quarters = frames.quarters().with_columns(of=pl.when(pl.col("link") == "depth").then(9).otherwise("of"))  # fmt: skip
    cells = rows_of(charts.loop_by_quarter(frames.priority(by_quarter=quarters)).to_dict(), "tone")
    assert {row["link"] for row in cells} == {"Activation", "Habit (repeat value)"}


# What stands out ----------------------------------------------------------------------------------


def steps(counts):
    names = [f"Step {k}" for k in range(len(counts))]
    definition = ek.Definition(signup="join", activation="make", core="make", steps=[ek.Step(n, f"open {n}", f"done {n}") for n in names])  # fmt: skip
    rows = []
    for name, (stuck, reached) in zip(names, counts, strict=True):
        for user in range(reached):
            rows += [(user, f"open {name}")] + ([(user, f"done {name}")] if user >= stuck else [])
    people = max(of for _, of in counts)
    rows += [(user, event) for user in range(people) for event in ("join", "make")]
    log = pl.DataFrame(rows, schema=["user_id", "event"], orient="row").with_columns(
        at=pl.when(event="join").then(pl.datetime(2026, 1, 1)).otherwise(pl.datetime(2026, 1, 2))
    )
    return ek.step_drop_off(ek.rollup(log, definition, as_of="2026-06-01", missing="allow"))


@pytest.mark.parametrize(
    ("counts", "out"),
    [
        # Of thousands, any difference is clear; by less than the margin it is none that matters.
        ([(15, 4000), (1200, 4000), (20, 4000), (80, 4000)], [False, True, False, False]),
        # Two bad steps stand out beside each other.
        ([(10, 1000), (300, 1000), (280, 1000), (10, 1000)], [False, True, True, False]),
        # The same shares of a few are chance.
        ([(0, 10), (2, 10), (1, 10), (0, 10)], [False, False, False, False]),
        ([(500, 1000)], [False]),
    ],
)
def test_a_step_stands_out_only_where_the_interval_says_so(counts, out):
    found = steps(counts)
    assert found["hot"].to_list() == out
    rows = rows_of(charts.step_drop_off(found).to_dict(), "tone")
    marked = ["← stands out" in row["text"] for row in rows if "text" in row]
    assert marked == out
    assert ("stands out:" in title(charts.step_drop_off(found))) == any(out)


@pytest.mark.parametrize(("counts", "clear"), [((100, 80, 20), True), ((100, 50, 26), False), ((8, 6, 2), False)])  # fmt: skip
def test_a_step_of_a_funnel_loses_most_only_if_clearly(counts, clear):
    chart = charts.funnel(frames.funnel(counts=counts))
    told = [row["text"] for row in rows_of(chart.to_dict(), "before")]
    assert any("loses most" in text for text in told) == clear
    assert title(chart).endswith("no step clearly loses most") != clear


# The dumbbell and the matrix ----------------------------------------------------------------------


def test_the_headline_of_the_dumbbell_is_the_adjusted_figure():
    row = {
        "risk_ratio": 24.0,
        "adjusted_risk_ratio": 1.26,
        "adjusted_low": 1.1,
        "adjusted_high": 1.4,
    }
    compared = frames.compared().with_columns(**{c: pl.lit(v) for c, v in row.items()})
    said = title(charts.dumbbell(compared))
    assert "1.26 times as often retained, among users alike until then" in said
    assert "24" not in said


def test_an_interval_that_goes_on_beyond_the_picture_says_so():
    wide = frames.compared().with_columns(adjusted_low=pl.lit(2.0), adjusted_high=pl.lit(4427.98))
    rows = rows_of(charts.dumbbell(wide).to_dict(), "past_to")
    assert {(row["past_from"], row["past_to"]) for row in rows} == {("", "▸")}
    marks = [
        t.get("field")
        for t in parts(charts.dumbbell(wide).to_dict(), "text")
        if isinstance(t, dict)
    ]
    assert "past_to" in marks
    inside = frames.compared().with_columns(adjusted_low=pl.lit(1.1), adjusted_high=pl.lit(1.4))
    assert {row["past_to"] for row in rows_of(charts.dumbbell(inside).to_dict(), "past_to")} == {""}


def test_the_matrix_names_the_core_action():
    own = frames.matrix().with_columns(core=pl.col("event") == "report")
    chart = charts.engagement_matrix(own)
    assert (
        title(chart) == "report, the core action: 70% of users do it, on 3.0 days each (few, often)"
    )
    rows = rows_of(chart.to_dict(), "weight")
    assert [row["name"] for row in rows if row["weight"] == "bold"] == ["report"]


def test_days_of_the_matrix_begin_at_one_the_least_possible():
    spec = drawn("engagement_matrix")[0]
    found = [e["scale"] for e in parts(spec, "y") if isinstance(e, dict) and "scale" in e]
    assert found
    assert all(s["domain"][0] == 1 and s["zero"] is False for s in found)


def test_nobody_does_often_what_everybody_does_once():
    rows = [
        (u, e, d)
        for u in range(20)
        for e, d in [("join", 1), ("look", 2), ("make", 3), ("make", 5)]
    ]
    log = pl.DataFrame(
        [(u, e, f"2026-01-0{d}") for u, e, d in rows],
        schema=["user_id", "event", "at"],
        orient="row",
    )
    log = log.with_columns(pl.col("at").str.to_date())
    definition = ek.Definition(signup="join", activation="make", core="make")
    found = ek.engagement_matrix(ek.rollup(log, definition, as_of="2026-03-01"))
    assert dict(found.select("event", "quadrant").rows()) == {"join": "many, rarely", "look": "many, rarely", "make": "many, often"}  # fmt: skip
    assert found.filter("core")["event"].to_list() == ["make"]


# Light and dark -----------------------------------------------------------------------------------


def luminance(color):
    channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_letters_read_in_the_dark():
    paper = looks.DARK[looks.PAPER]
    for ink in (looks.INK, looks.MUTED, "#A34100"):
        assert contrast(looks.DARK[ink], paper) >= 4.5
    assert contrast(looks.DARK[looks.INK], looks.DARK["#e7eaee"]) >= 4.5  # on a pale cell


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_drawn_is_seen_in_the_dark(name):
    """Every color of a chart, or what takes its place, stands off from dark paper."""
    text = json.dumps(drawn(name)[0] | {"usermeta": None})
    for color in set(re.findall(r'"(#[0-9A-Fa-f]{6})"', text)) - {
        looks.PAPER,
        looks.RULE,
        looks.ON,
    }:
        assert contrast(looks.DARK.get(color, color), looks.DARK[looks.PAPER]) >= 1.4, color


def test_a_chart_takes_the_color_of_the_page_and_white_elsewhere():
    page = offline.chart_html(drawn("loop")[0])
    assert "background:var(--jp-layout-color0,#fff)" in page
    assert json.dumps(looks.DARK) in offline.drawing_script()


# Before and after ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("goal", "since"), [(0.41, 0.42), (0.6, 0.8), (0.8, 0.8), (None, 0.4)])
def test_lines_of_a_play_are_named_apart_however_short_and_near_they_are(goal, since):
    # One week after the play began, its line is a few pixels long; names over each other are read by nobody.
    found = frames.tracked(goal=goal, since=(int(200 * since), 200, since, since - 0.1, since + 0.1))  # fmt: skip
    spec = charts.track(found).to_dict()
    named = sorted(rows_of(spec, "place"), key=lambda row: row["place"])
    assert len(named) == (2 if goal is None else 3)
    assert len({row["tone"] for row in named}) == len(named)
    highest = max([row["rate"] for row in rows_of(spec, "rate")] + [row["high"] for row in rows_of(spec, "high")])  # fmt: skip
    for lower, upper in itertools.pairwise(named):
        assert (upper["place"] - lower["place"]) * 300 / highest > looks.TEXT
    for row in named:
        assert abs(row["place"] - row["rate"]) < 0.2
