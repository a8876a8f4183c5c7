"""Charts for a page as wide as a phone: the same words and numbers, in lines and plots that fit."""

from __future__ import annotations

import copy

import pytest
from chart_cases import ALL, PLAIN, drawn

from engagekit.views import for_a_phone, width_of
from engagekit.views.letters import _widths
from engagekit.views.looks import FONT
from engagekit.views.phone import BENEATH, HEADING

GRIDS = {"loop_by_quarter", "activations", "segments", "day_map", "threshold_grid", "threshold_grid of"}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_a_phone_gets_the_same_words_in_shorter_lines(name):
    spec = drawn(name)[0]
    before = copy.deepcopy(spec)
    made = for_a_phone(spec)
    assert spec == before
    for part, longest in (("text", HEADING), ("subtitle", BENEATH)):
        assert " ".join(made["title"][part]).split() == " ".join(spec["title"][part]).split()
        assert max(map(len, made["title"][part]), default=0) <= max(longest, len(max(" ".join(spec["title"][part]).split(), key=len, default="")))  # fmt: skip
    assert made.get("datasets") == spec.get("datasets")
    assert made.get("usermeta") == spec.get("usermeta")
    assert width_of(made) <= width_of(spec)


@pytest.mark.parametrize("name", [name for name in PLAIN if name not in GRIDS])
def test_a_chart_on_a_phone_is_narrow_enough_to_be_read_whole(name):
    assert width_of(for_a_phone(drawn(name)[0])) <= 530


@pytest.mark.parametrize("name", ["heatmap", "loop_by_quarter", "segments", "activations"])
def test_a_cell_is_as_wide_as_its_words(name):
    made = for_a_phone(drawn(name)[0])
    rows = [row for rows in made["datasets"].values() for row in rows if "text" in row]
    places = {row[key] for row in rows for key in ("link", "place") if key in row}
    words = [{"text": row["text"], "font": FONT, "size": 14, "weight": "normal"} for row in rows]
    assert made["width"] / max(1, len(places)) >= max(_widths(words))


def test_what_stands_beside_a_plot_moves_along():
    spec = drawn("loop")[0]
    made = for_a_phone(spec)
    moved = made["width"] - spec["width"]
    assert moved < 0
    values = [[layer["encoding"]["x"]["value"] for layer in one["layer"] if "value" in layer["encoding"].get("x", {})] for one in (spec, made)]  # fmt: skip
    assert values[0]
    assert values[1] == [value + moved for value in values[0]]
