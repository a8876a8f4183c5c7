"""Would another activation change the answer?"""

from __future__ import annotations

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import ParameterError
from engagekit.workshop.alternatives import activation_candidates
from engagekit.workshop.starter import event_table


@pytest.fixture(scope="module")
def made():
    return ek.simulate(users=900, seed=3, rates={"habit": 0.35})


def test_each_candidate_has_its_own_loop_and_verdict(made):
    asked = {"project": "first_project", "profile": "profile_saved"}
    found = ek.compare_activations(
        made.events, made.definition, asked, users=made.users, as_of=made.as_of
    )
    assert found["candidate"].to_list() == ["project", "profile"]
    journeys = ek.rollup(made.events, made.definition, users=made.users, as_of=made.as_of)
    alone = ek.prioritize(journeys)
    row = found.row(0, named=True)
    assert (row["verdict"], row["link"], row["sentence"], row["same"]) == (
        alone.verdict,
        alone.link,
        alone.sentence,
        True,
    )
    assert row["activation_rate"] == alone.table["rate"][0]
    other = found.row(1, named=True)
    assert other["activation_rate"] > row["activation_rate"]
    assert other["same"] == ((other["verdict"], other["link"]) == (alone.verdict, alone.link))


def test_a_candidate_that_the_log_cannot_answer_says_why(made):
    found = ek.compare_activations(
        made.events, made.definition, {"a": "first_project", "b": {"event": 3}}, as_of=made.as_of
    )
    assert found["verdict"][1] is None
    assert found["sentence"][1].startswith("This cannot be answered: ")
    assert found["same"].to_list() == [True, None]
    assert "cannot be answered" in ek.tables.activations(found).sheet.rows[1][-1]
    with pytest.raises(ParameterError, match="candidates is empty"):
        ek.compare_activations(made.events, made.definition, {})


def test_candidates_are_the_last_and_the_first_step(made):
    table = event_table(made.events)
    assert activation_candidates(table, made.definition) == [
        "first_project",
        "draft_saved",
        "profile_saved",
    ]
    bare = ek.Definition(signup="signed_up", activation="first_project", core="project_published")
    found = activation_candidates(table, bare)
    assert found[0] == "first_project"
    assert len(found) == 3
    assert not {"signed_up", "project_published", "opened"} & set(found[1:])


@pytest.mark.parametrize(
    ("same", "title"),
    [
        ((True, True), "The verdict stays the same whichever of these is the activation"),
        ((True, False), "The verdict hangs on the choice: it is another with c"),
        ((None, None), "No other candidate for the activation can be tried"),
    ],
)
def test_the_title_says_whether_the_verdict_hangs_on_it(same, title):
    rows = [
        {
            "candidate": name,
            "verdict": None if s is None else "named",
            "link": "habit",
            "probability": 0.9,
            "same": s,
            "sentence": "x",
        }
        for name, s in zip("abc", (True, *same), strict=True)
    ]
    assert ek.tables.activations(pl.DataFrame(rows)).sheet.title == title
