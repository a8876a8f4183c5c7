from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import chart_frames as frames
import polars as pl
import pytest
from chart_cases import ALL, NAMED, PLAIN, drawn

from engagekit import charts, tables
from engagekit.errors import ParameterError
from engagekit.views.sheet import group_columns, group_labels, labels, spoken
from engagekit.views.table import MOST_ROWS, as_text


class Texts(HTMLParser):
    """Collects tags and cell texts as a browser would see them."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


def read(html):
    parser = Texts()
    parser.feed(html)
    return parser


def test_every_chart_has_a_table_of_its_name():
    drawn = set(charts.__all__) - {"svg", "use_offline_charts"}
    assert drawn == set(tables.__all__) - {"Table"}
    assert drawn == {name.split(" ")[0] for name in PLAIN}


@pytest.mark.parametrize("name", ALL)
def test_chart_and_table_say_the_same(name):
    spec, table = drawn(name)
    assert table.name == name.split(",")[0].split(" ")[0]
    assert [list(row) for row in table.sheet.rows] == spec["usermeta"]["engagekit"]["rows"]
    assert " ".join(spec["title"]["text"]) == " ".join(table.sheet.title.split())
    assert spec["description"] == spoken(table.sheet)


@pytest.mark.parametrize("name", PLAIN)
def test_html_is_the_same_every_time_and_holds_every_cell(name):
    table = drawn(name)[1]
    first = table._repr_html_()
    assert first == table._repr_html_()
    assert not re.search(r"0x[0-9a-f]{6}", first + repr(table))
    found = " ".join(" ".join(read(first).texts).split())
    for row in table.sheet.rows:
        for cell in row:
            assert " ".join(cell.split()) in found


@pytest.mark.parametrize("name", NAMED)
def test_foreign_names_are_inert(name):
    page = drawn(f"{name}, hostile")[1]._repr_html_()
    assert not {"script", "img", "b", "code", "em", "strong"} & read(page).tags
    shown = "".join(read(page).texts)
    assert "{{kg}}" in shown or "a.b[c]" in shown or "</script>" in shown


def test_ids_differ_for_different_tables():
    free, pro = (tables.curve(frames.pooled([g])) for g in ("free", "pro"))
    ids = {re.search(r'id="(engagekit-curve-\w+)"', t._repr_html_())[1] for t in (free, pro)}
    assert len(ids) == 2


def test_plain_text_is_aligned_and_complete():
    assert str(tables.stickiness(frames.stickiness())) == (
        "50% came in one period only\n"
        "Of the users who came in at least one period.\n"
        "\n"
        "Periods with activity  Users  Share  95% interval\n"
        "---------------------  -----  -----  ------------\n"
        "1                         50    50%        40–60%\n"
        "2                         30    30%        22–40%\n"
        "3                         20    20%        13–29%"
    )


def test_without_great_tables_the_text_is_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "great_tables", None)
    page = tables.funnel(frames.funnel(("<b>", "buy", "pay")))._repr_html_()
    assert page.startswith("<pre>")
    assert "1. &lt;b&gt;" in page
    with pytest.raises(ParameterError, match=r"pip install 'engagekit\[tables\]'"):
        tables.loop(frames.priority()).great_table()


def test_long_tables_are_cut_and_say_so():
    table = tables.lifecycle(frames.lifecycle(MOST_ROWS + 5), most=MOST_ROWS + 5)
    assert as_text(table.sheet).endswith("and 5 more rows")
    assert "and 5 more rows" in table._repr_html_()
    assert table.frame.height == MOST_ROWS + 5


def test_the_cells_come_as_a_frame():
    frame = tables.loop(frames.priority()).frame
    assert frame.schema["Rate"] == pl.String
    assert frame["Rate"].to_list() == ["60%", "33%", "60%", ""]


def test_great_table_can_be_styled_further():
    import great_tables

    table = tables.loop(frames.priority()).great_table()
    assert isinstance(table, great_tables.GT)
    assert "of whom" in table.tab_source_note("of whom").as_raw_html()


def test_groups_are_the_columns_before_the_answers_own():
    frame = frames.diagnosis(["free", None])
    assert group_columns(frame, ("if_users", "n")) == ["plan"]
    assert set(group_labels(frame, ["plan"])) == {"free", "(none)"}


def test_null_and_a_group_called_none_stay_apart():
    frame = pl.DataFrame({"plan": [None, "(none)", "", " "], "n": [1, 2, 3, 4]})
    assert len(set(group_labels(frame, ["plan"]))) == 4


def test_names_with_control_characters_show_them():
    assert labels(["a\x1b[31mb", "a\u202eb", "a\nb"]) == ["a\\x1b[31mb", "a\\u202eb", "a b"]


def test_a_chart_is_spoken_with_its_numbers():
    said = spoken(tables.funnel(frames.funnel()).sheet)
    assert said.startswith(
        "Bar chart: 3. pay loses 75% of those who reach the step before. Pale bar"
    )
    assert "3. pay, Users 20, Of the step before 80, Rate 25%" in said
    assert len(spoken(tables.lifecycle(frames.lifecycle(60)).sheet)) < 2500


def test_importing_tables_loads_no_drawing():
    code = "import sys, engagekit.tables; print({'altair', 'great_tables', 'vl_convert'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
