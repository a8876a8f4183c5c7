"""The playbook agrees with the guide where it must (tables, equations) and copies it nowhere else."""

from __future__ import annotations

import dataclasses
import re

import polars as pl
import pytest

from engagekit import guidance, playbook
from engagekit.definition import LINKS
from engagekit.errors import ParameterError
from engagekit.playbook.frames import as_table
from engagekit.playbook.guidance import Item
from engagekit.playbook.plays import METRICS, PLAYS, metric_for, play_for, play_named

TABLES = [
    name for name in playbook.__all__ if name.isupper() and name not in {"NO_PLAY", "QUICKSTART"}
]


@pytest.fixture(scope="module")
def guide(shared):
    return "\n".join(
        p.read_text(encoding="utf-8") for p in sorted((shared / "guide").glob("0*.txt"))
    )


def table_of(guide, first_cell):
    """Rows of the guide's table whose head starts with this cell, as lists of cells."""
    lines = guide.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{first_cell} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.endswith("|"):
            break
        rows.append([cell.strip() for cell in line.rstrip("|").split("|")])
    return rows


def test_owners_partners_triggers_and_warnings_are_the_guides(guide):
    ours = [
        [p.name, p.primary_lead, ", ".join(p.key_partners), p.review_trigger, p.watch_for]
        for p in PLAYS
    ]
    assert ours == table_of(guide, "Play")


def test_if_users_then_problem_is_the_guides(guide):
    order = [
        "Repeat Value",
        "Progress & Momentum",
        "Contextual Guidance",
        "Feature Discovery",
        "Re-engagement",
    ]
    assert [[p.if_users, p.problem] for p in PLAYS] == table_of(guide, "If users…")
    assert [p.name for p in PLAYS] == order


def test_metrics_of_each_play_are_the_guides(guide):
    assert [[p.name, ", ".join(p.metrics)] for p in PLAYS] == table_of(guide, "Engagement play")


def test_user_and_customer_engagement_are_the_guides(guide):
    theirs = table_of(guide, "User engagement")
    ours = [
        [c for c in (r.user_engagement, r.customer_engagement) if c]
        for r in guidance.USER_VERSUS_CUSTOMER
    ]
    assert ours == theirs


def test_build_or_buy_is_the_guides_with_its_signs_as_words(guide):
    sign = {"✅": "good", "⚠️": "mixed", "❌": "poor"}
    theirs = []
    for what, *cells in table_of(guide, "Consideration"):
        split = [cell.split(" ", 1) for cell in cells]
        theirs.append(
            [what.replace("firsts", "first"), *[x for s, text in split for x in (text, sign[s])]]
        )
    assert [list(dataclasses.astuple(row)) for row in guidance.BUILD_OR_BUY] == theirs


def test_equations_are_the_guides_each_on_a_line_of_its_own(guide):
    lines = set(guide.splitlines())
    assert [m.name for m in METRICS if m.equation not in lines] == []
    theirs = [line for line in lines if re.match(r"^[A-Z][\w\- ]+ = \S", line)]
    assert sorted(m.equation for m in METRICS) == sorted(theirs)


def test_benchmarks_are_the_guides_and_marked_as_context(guide):
    assert "Average activation rate: 32%" in guide
    assert "Average time to value: 38 days" in guide
    assert [(b.value, b.use) for b in guidance.BENCHMARKS] == [
        (0.32, "context, not a target"),
        (38.0, "context, not a target"),
    ]


def test_metrics_name_the_play_that_the_guide_names_or_say_that_it_is_ours():
    theirs = {
        "return usage": "Repeat Value",
        "activation rate": "Progress & Momentum",
        "time to value": "Progress & Momentum",
        "step drop-off": "Contextual Guidance",
        "advanced adoption": "Feature Discovery",  # feature adoption
        "engagement depth": "Feature Discovery",  # depth of usage
        "re-engagement": "Re-engagement",  # reactivation rate
        "post-return retention": "Re-engagement",
    }
    assert {m.name: m.play for m in METRICS if not m.play_ours} == theirs
    assert len(METRICS) == 10


def test_hierarchy_and_order_of_operations_go_up_the_loop(guide):
    assert tuple(r.link for r in playbook.HIERARCHY) == LINKS
    assert tuple(o.link for o in guidance.ORDER_OF_OPERATIONS) == LINKS
    assert [o.first for o in guidance.ORDER_OF_OPERATIONS] == [
        "value",
        "repetition",
        "depth",
        "advocacy",
    ]
    assert "value first, then repetition, then depth, then advocacy" in guide


def test_hooked_has_its_four_parts_in_order(guide):
    parts = [h.part for h in guidance.HOOKED]
    assert "-".join(parts) in guide


def test_cases_name_companies_and_plays_that_exist(guide):
    assert [c.company for c in guidance.CASES] == ["SignalPET", None, "Xometry"]
    for case in guidance.CASES:
        assert play_for(case.problem).name == case.play
        assert play_for(case.problem).link == case.link
        assert case.company is None or case.company in guide


def prose(value):
    """Every text in a table that is not a cell of the guide's tables."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for part in value for text in prose(part)]
    if dataclasses.is_dataclass(value):
        cells = {
            "equation",
            "if_users",
            "review_trigger",
            "watch_for",
            "metrics",
            "key_partners",
            "primary_lead",
        }
        cells |= {"user_engagement", "customer_engagement", "consideration", "build", "buy"}
        return [
            t
            for f in dataclasses.fields(value)
            if f.name not in cells
            for t in prose(getattr(value, f.name))
        ]
    return []


def words(text):
    return re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))


@pytest.mark.parametrize("name", TABLES)
def test_no_sentence_of_the_guide_is_copied(guide, name):
    theirs = words(guide)
    runs = {tuple(theirs[i : i + 7]) for i in range(len(theirs) - 6)}
    copied = []
    for text in prose(getattr(playbook, name)):
        mine = words(text)
        copied += [text for i in range(len(mine) - 6) if tuple(mine[i : i + 7]) in runs]
    assert copied == []


@pytest.mark.parametrize(
    "name",
    [
        "ADVOCACY_FORMS",
        "AGREE_FIRST",
        "ASK_TOGETHER",
        "FAILING_SIGNS",
        "METRIC_QUESTIONS",
        "WORKING_SIGNS",
    ],
)
def test_lists_lost_in_our_copy_of_the_guide_are_marked_as_ours(name):
    assert [item for item in getattr(playbook, name) if not item.ours] == []


def test_other_lost_lists_are_marked_as_ours_too():
    lists = [p.in_practice for p in PLAYS] + [c.did for c in guidance.CASES]
    lists += [part for r in guidance.REVIEWS for part in (r.look_at, r.sanity_checks)]
    assert [item for part in lists for item in part if not item.ours] == []
    assert [len(part) for part in lists if not part] == []


@pytest.mark.parametrize(
    ("problem", "play"),
    [
        ("Repeat value", "Repeat Value"),
        ("Progress", "Progress & Momentum"),
        ("Friction", "Contextual Guidance"),
        ("Discovery", "Feature Discovery"),
        ("re-engagement", "Re-engagement"),
    ],
)
def test_each_problem_has_its_play(problem, play):
    assert play_for(problem).name == play


def test_acquisition_or_tracking_has_no_play():
    assert play_for("acquisition or tracking") is None


def test_quickstart_begins_with_repeat_value_and_progress():
    assert [play_named(name).problem for name in playbook.QUICKSTART] == [
        "Repeat value",
        "Progress",
    ]


def test_a_misspelt_name_gets_the_nearest_one():
    with pytest.raises(ParameterError, match="Friction"):
        play_for("Fricton")
    with pytest.raises(ParameterError, match="step drop-off"):
        metric_for("step dropoff")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_becomes_a_frame_with_a_row_each(name):
    rows = getattr(playbook, name)
    frame = as_table(rows)
    assert frame.height == len(rows)
    assert frame.columns == [f.name for f in dataclasses.fields(rows[0])]
    assert all(dtype in (pl.String, pl.Boolean, pl.Float64, pl.Int64) for dtype in frame.dtypes)


def test_lists_stand_in_one_cell():
    frame = as_table([PLAYS[0]])
    assert frame["metrics"].item() == "Return usage; early retention"
    assert as_table([Item("a", ours=True)]).rows() == [("a", True)]
