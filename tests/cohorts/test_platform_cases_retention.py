"""Published tables of PostHog, Amplitude and Mixpanel come out, but for cells that cannot be known yet."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import polars as pl
import pytest
from oracle_retention import first_instant, floor, later

import engagekit as ek
from engagekit.intervals import wilson

COHORTS = {"recurring": "each", "first_time": "first", "first_ever": "first_ever"}
ANCHORS = {"first_in_range": "first", "each": "each"}


def cases(shared, kind):
    found = json.loads((shared / "cases" / "platforms.json").read_text())["cases"]
    return [case for case in found if case["kind"] == kind]


def events_of(case):
    properties = sorted({name for e in case["events"] for name in e.get("properties") or {}})
    return pl.DataFrame(
        [
            {
                "user_id": e["user"],
                "event": e["event"],
                "at": datetime.fromisoformat(e["timestamp"]),
                **{name: (e.get("properties") or {}).get(name) for name in properties},
            }
            for e in case["events"]
        ]
    )


def matcher_of(entity):
    if entity["event"] is None:
        return pl.lit(value=True)
    where = entity.get("properties")
    return ek.Match(entity["event"], **where) if where else entity["event"]


def question_of(query):
    """Say the case in our words: the data end at the end of the period that holds `date_to`."""
    place = (query["period"], query["timezone"], query["week_start"])
    ends_in = floor(datetime.fromisoformat(query["date_to"]), *place)
    starts_in = later(ends_in, 1 - query["total_intervals"], query["period"])
    asked = {
        "start": matcher_of(query["target"]),
        "back": matcher_of(query["returning"]),
        "periods": query["total_intervals"],
        "cohorts": COHORTS[query["cohort_type"]],
        "since": query.get("date_from", starts_in),
        "as_of": first_instant(later(ends_in, 1, query["period"]), query["timezone"]),
        "min_times": query.get("minimum_occurrences", 1),
        "brackets": query.get("brackets"),
    }
    asked |= {k: query[k] for k in ("period", "window", "mode", "timezone", "week_start")}
    if query["window"] == "rolling":
        asked["anchor"] = ANCHORS[query["anchors"]]
        asked["granularity"] = query["rolling_granularity"]
    return asked


def counts_by_cohort(answer):
    """List `n` of each cohort, not yet begun as 0, as their tables print it."""
    return {
        str(cohort): rows["n"].fill_null(0).to_list()
        for (cohort,), rows in answer.group_by("cohort", maintain_order=True)
    }


def test_every_published_table_comes_out(shared):
    for case in cases(shared, "retention"):
        answer = ek.retention(events_of(case), **question_of(case["query"]))
        found = counts_by_cohort(answer)
        expected = case["expected"]
        if "counts" in expected:
            assert list(found.values()) == expected["counts"], case["name"]
        for cohort, cells in expected.get("cells", {}).items():
            known = {k: n for k, n in enumerate(cells) if n is not None}
            assert {k: found[cohort][k] for k in known} == known, case["name"]
        if "row_starts" in expected:
            starts = [datetime.fromisoformat(start) for start in expected["row_starts"]]
            shown = starts if case["query"]["period"] == "hour" else [s.date() for s in starts]
            assert answer["cohort"].unique(maintain_order=True).to_list() == shown, case["name"]


def test_cells_they_print_as_zero_before_their_time_are_null_here(shared):
    day = next(c for c in cases(shared, "retention") if c["name"] == "day_recurring_on")
    answer = ek.retention(events_of(day), **question_of(day["query"]))
    last = pl.col("cohort").max()
    future = answer.filter((pl.col("cohort") + timedelta(days=1) * pl.col("period")) > last)
    assert future["n"].null_count() == future.height == 55  # 10 + 9 + ... + 1
    assert not future["complete"].any()
    assert answer.filter(pl.col("n").is_not_null())["complete"].all()


def test_there_are_cases_at_all(shared):
    assert len(cases(shared, "retention")) >= 17


def test_the_averages_of_three_platforms(shared):
    (case,) = cases(shared, "retention_average")
    curves = pl.DataFrame(case["query"]["rows"]).select(
        pl.col("date").alias("cohort"),
        pl.lit(1, pl.Int64).alias("period"),
        pl.col("retained").alias("n"),
        pl.col("size").alias("of"),
        "complete",
    )
    expected = case["expected"]
    pooled, mean = ek.pooled_curve(curves), ek.pooled_curve(curves, average="mean")
    assert pooled["rate"].item() == pytest.approx(expected["pooled"])
    assert mean["rate"].item() == pytest.approx(expected["simple_mean"])
    # Weighing users and totals by size before dividing gives neither; it is not offered.
    assert expected["mixpanel_size_weighted"] not in (pooled["rate"].item(), mean["rate"].item())


def test_the_pooled_curve_of_the_golden_cases(shared):
    golden = json.loads((shared / "cases" / "golden.json").read_text())["pooled_cohort_curve"]
    curves = pl.DataFrame(
        [
            {"cohort": name, "period": k, "n": n, "of": size, "complete": n is not None}
            for name, size, cells in golden["cells"]
            for k, n in enumerate(cells + [None] * (4 - len(cells)), 1)
        ]
    )
    pooled, mean = ek.pooled_curve(curves), ek.pooled_curve(curves, average="mean")
    assert pooled["cohorts"].to_list() == [4, 3, 2, 1]
    assert pooled["thin"].to_list() == [False, False, False, True]
    for expected, row, by_cohort in zip(
        golden["pooled"], pooled.to_dicts(), mean.to_dicts(), strict=True
    ):
        assert (row["period"], row["of"], row["n"]) == (
            expected["period"], expected["n"], expected["retained"],
        )  # fmt: skip
        assert row["rate"] == pytest.approx(expected["rate"], abs=1e-9)
        assert wilson(row["n"], row["of"]) == pytest.approx(
            (expected["low"], expected["high"]), abs=1e-9
        )
        # Cohorts that differ tell less than as many users of one: the interval is that of fewer.
        assert row["low"] <= expected["low"] + 1e-9
        assert row["high"] >= expected["high"] - 1e-9
        assert by_cohort["rate"] == pytest.approx(expected["unweighted_mean"])
        assert by_cohort["low"] is None
        assert (row["average"], by_cohort["average"]) == ("pooled", "mean")
