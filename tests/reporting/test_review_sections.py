"""The report's sections on the test that the definition names, and on how such claims came out."""

from __future__ import annotations

import dataclasses
import html
import re

import pytest

import engagekit as ek
from engagekit.simulation import PlantedTest


@pytest.fixture(scope="module")
def made():
    return ek.simulate(users=3000, days=200, seed=4, experiment=PlantedTest(lift=0.2))


def sections(found, tmp_path, definition=None, **more):
    journeys = ek.rollup(
        found.events, definition or found.definition, users=found.users, as_of=found.as_of
    )
    page = ek.report(journeys, tmp_path / "report.html", **more).read_text(encoding="utf-8")
    parts = re.findall(r"<section[^>]*><h2>(.*?)</h2>(.*?)</section>", page, flags=re.DOTALL)
    return journeys, dict(parts)


@pytest.mark.thorough
def test_a_test_is_read_on_the_earliest_link_that_was_open(made, tmp_path):
    journeys, parts = sections(made, tmp_path)
    found = ek.experiment(journeys, link="activation")
    assert found.verdict == "better"
    assert f"<p>{html.escape(found.sentence, quote=False)}</p>" in html.unescape(parts["The test"])
    for guard in ("habit", "depth"):
        assert guard in parts["The test"]
    assert "How such claims came out here" in parts


@pytest.mark.thorough
def test_an_arm_of_few_is_not_shown(made, tmp_path):
    _, parts = sections(made, tmp_path, min_group=2000)
    assert "Not shown until 2000 users of every arm can be judged." in parts["The test"]
    assert "points" not in parts["The test"]


@pytest.mark.thorough
def test_without_a_test_there_is_no_section(made, tmp_path):
    _, parts = sections(made, tmp_path, dataclasses.replace(made.definition, experiment=None))
    assert "The test" not in parts


@pytest.mark.thorough
def test_a_test_of_one_arm_is_refused_in_words(made, tmp_path):
    lone = made.events.filter(
        (made.events["variant"] == "control") | made.events["variant"].is_null()
    )
    _, parts = sections(dataclasses.replace(made, events=lone), tmp_path)
    assert "the users have 1 arm" in parts["The test"]
