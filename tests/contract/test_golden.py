"""Published statistics, read from the file of cases: each name in it is compared with what the library says."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import polars as pl
import pytest

from engagekit.intervals import newcombe, wilson
from engagekit.strata import association, benjamini_hochberg, breslow_day, mantel_haenszel
from engagekit.survival import fit_sbg, kaplan_meier, project_curve, rmst


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "cases" / "golden.json").read_text())


def test_wilson(golden):
    part = golden["wilson"]
    for case in part["cases"] + part["published"]:
        found = wilson(case["k"], case["n"])
        assert found == pytest.approx((case["low"], case["high"]), abs=1e-7), case


def test_newcombe(golden):
    part = golden["newcombe_method10"]
    for case in part["cases"]:
        difference, low, high = newcombe(case["k1"], case["n1"], case["k2"], case["n2"])
        assert (difference, low, high) == pytest.approx(
            (case["diff"], case["low"], case["high"]), abs=1e-9
        )
        assert (low, high) == pytest.approx(case["published"], abs=part["tolerance_published"])


def test_benjamini_hochberg(golden):
    for case in golden["benjamini_hochberg"]:
        found = benjamini_hochberg(case["p"])
        assert found == pytest.approx(case["bh_adjusted"], abs=1e-12)
        assert found == pytest.approx(case["published_adjusted"], abs=case.get("tolerance", 1e-7))
        if "rejected_at_0.05" in case:
            assert sum(q <= 0.05 for q in found) == case["rejected_at_0.05"]


def test_mantel_haenszel_and_breslow_day(golden):
    for case in golden["mantel_haenszel"]:
        tables = case["tables_[[exposed_yes,exposed_no],[unexposed_yes,unexposed_no]]"]
        found, want = mantel_haenszel(tables), case["computed"]
        names = {
            "odds_ratio": "OR", "odds_low": "OR_low", "odds_high": "OR_high", "chi2": "chi2", "p": "p",
            "chi2_corrected": "chi2_cc", "p_corrected": "p_cc", "risk_ratio": "RR", "risk_low": "RR_low",
            "risk_high": "RR_high", "risk_difference": "RD",
        }  # fmt: skip
        for ours, theirs in names.items():
            assert getattr(found, ours) == pytest.approx(want[theirs], rel=1e-9), (
                case["name"],
                ours,
            )
        published = case["published"]
        assert found.odds_low == pytest.approx(published["OR_low"], abs=1e-6)
        assert found.odds_high == pytest.approx(published["OR_high"], abs=1e-6)
        assert found.chi2_corrected == pytest.approx(published["chi2_cc"], abs=1e-4)
        assert found.p_corrected == pytest.approx(published["p_cc"], abs=1e-5)
        if None not in case["breslow_day"]:
            assert breslow_day(tables) == pytest.approx(case["breslow_day"], rel=1e-6)


def test_kaplan_meier_and_restricted_mean(golden):
    for case in golden["kaplan_meier"]:
        curve = kaplan_meier(case["time"], case["event"])
        assert curve["time"].to_list() == case["km_times"]
        assert curve["survival"].to_list() == pytest.approx(case["km_sf"], abs=1e-9)
        assert curve["survival"].to_list() == pytest.approx(
            case["published_sf_atol_1e-3"], abs=1e-3
        )
        mean, low, high = rmst(case["time"], case["event"], tau=case["rmst_tau"])
        variance = case["rmst_with_variance"][1]
        assert mean == pytest.approx(case["rmst"])
        assert ((high - low) / 2 / 1.959964) ** 2 == pytest.approx(variance, abs=1e-9)
        median = curve.filter(pl.col("survival") <= 0.5)["time"][0]
        assert median == case["median"]


def test_shifted_beta_geometric(golden):
    part = golden["sbg"]
    regular, tolerance = part["regular"], part["tolerance"]
    active = regular["active"][: regular["fit_on_first_points"]]
    alpha, beta, log_likelihood = fit_sbg(active)
    for a, b in ((regular["alpha"], regular["beta"]), part["published"]["regular"].values()):
        assert alpha == pytest.approx(a, abs=tolerance["alpha"])
        assert beta == pytest.approx(b, abs=tolerance["beta"])
    assert log_likelihood == pytest.approx(
        regular["log_likelihood"], abs=tolerance["log_likelihood"]
    )
    assert alpha / (alpha + beta) == pytest.approx(regular["mean_churn_prob"], abs=5e-4)
    lost = [before - after for before, after in pairwise(active)]
    curve = pl.DataFrame(
        {
            "time": range(len(active)),
            "survival": [n / active[0] for n in active],
            "at_risk": active,
            "events": [*lost, None],
        }
    )
    # The published curve is that of the law alone: each year's share kept is (beta + t - 1) / (alpha + beta + t - 1).
    kept = [1.0]
    for t in range(1, 13):
        kept.append(kept[-1] * (beta + t - 1) / (alpha + beta + t - 1))
    assert kept == pytest.approx(regular["S_0_12"], abs=tolerance["S"])
    actual = regular["active"][12] / regular["active"][0]
    assert kept[12] / actual - 1 == pytest.approx(regular["year12_over_actual"], abs=0.005)
    # The projection weighs it with a law in which some never leave; its band holds the published curve and what came.
    projected = project_curve(curve, periods=5)
    for row, published in zip(projected.to_dicts()[8:], regular["S_0_12"][8:], strict=True):
        assert row["low"] <= published <= row["high"]
    assert projected["low"][12] <= actual <= projected["high"][12]


def test_threshold_metrics(golden):
    part = golden["threshold_metrics"]
    cells = [
        part["table"][c]
        for c in ("did_and_retained", "did_and_churned", "not_and_retained", "not_and_churned")
    ]
    found = association(*cells)
    names = {
        "phi": "phi_mcc", "ppv": "ppv_precision", "npv": "npv", "specificity": "specificity",
        "sensitivity": "sensitivity_reach_of_retained", "reach": "reach_share_above_threshold",
        "overlap": "jaccard_overlap",
    }  # fmt: skip
    for ours, theirs in names.items():
        assert getattr(found, ours) == pytest.approx(part[theirs], rel=1e-12), ours
    a, b, c, d = cells
    assert newcombe(a, a + b, c, c + d) == pytest.approx((part["rate_diff"], *part["newcombe"]))
    alone = mantel_haenszel([[[a, b], [c, d]]])
    assert alone.risk_ratio == pytest.approx(part["rr"])
    assert (alone.risk_low, alone.risk_high) == pytest.approx(part["rr_ci"], rel=1e-9)
    n = sum(cells)
    assert n * found.phi**2 == pytest.approx(part["chi2_nocorr"])
    assert alone.chi2 == pytest.approx(part["chi2_nocorr"] * (n - 1) / n)


def test_association_as_a_platform_publishes_it(shared):
    cases = json.loads((shared / "cases" / "platforms.json").read_text())["cases"]
    found = [case for case in cases if case["kind"] == "association"]
    assert found
    for case in found:
        q, want = case["query"], case["expected"]
        ours = association(
            q["did_and_retained"], q["did_not_retained"],
            q["didnt_and_retained"] if "didnt_and_retained" in q else q["didnt_retained"],
            q["didnt_not_retained"],
        )  # fmt: skip
        for name, value in want.items():
            ours_name = {"proportion_above": "reach"}.get(name, name)
            assert getattr(ours, ours_name) == pytest.approx(value, abs=1e-6), (case["name"], name)
        assert math.isfinite(ours.odds_ratio)
