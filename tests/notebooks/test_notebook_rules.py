"""What every notebook keeps to, read from the files alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

import engagekit as ek
from engagekit.widgets.behind import OPENINGS

FOLDER = Path(__file__).parents[2] / "notebooks"
COURSE = [
    "00-start-here", "01-define-success", "02-check-the-log", "03-cohort-curves", "04-diagnose", "05-first-two-weeks",
    "06-prioritize", "07-plan", "08-weekly-review", "09-monthly-review",
]  # fmt: skip
NAMES = [*COURSE, "cockpit", "facilitator-guide", "real-data"]
SETUP = "import engagekit as ek\n\nek.use_offline_charts()"
# Shares that belong to a method or a definition, not to the data: the level of intervals.
SAID_OF_METHODS = {"95%"}


def cells(name: str, kind: str | None = None) -> list[dict]:
    found = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    found = [cell | {"source": "".join(cell["source"])} for cell in found]
    return [cell for cell in found if kind in {None, cell["cell_type"]}]


def prose(name: str) -> str:
    return "\n\n".join(cell["source"] for cell in cells(name, "markdown"))


def outputs(name: str) -> list[dict]:
    return [output for cell in cells(name, "code") for output in cell["outputs"]]


def sections(name: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Split a notebook at its second headings: each with its (kind, text) pieces."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for cell in cells(name):
        parts = re.split(r"(?m)^## (.+)$", cell["source"]) if cell["cell_type"] == "markdown" else [cell["source"]]  # fmt: skip
        if found and parts[0].strip():
            found[-1][1].append((cell["cell_type"], parts[0].strip()))
        found += [
            (heading, [("markdown", text.strip())])
            for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        ]
    return found


def test_the_course_is_complete():
    assert sorted(p.stem for p in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_one_title_and_a_question_for_each_section(name):
    text = prose(name)
    assert len(re.findall(r"(?m)^# ", text)) == 1
    assert cells(name)[0]["source"].startswith("# ")
    headings = [heading for heading, _ in sections(name)]
    assert len(headings) >= 4
    last = "What you should now agree on"
    asked = headings if name == "facilitator-guide" else headings[:-1]
    assert [h for h in asked if not h.endswith("?")] == []
    assert name == "facilitator-guide" or headings[-1] == last


@pytest.mark.parametrize("name", [n for n in NAMES if n != "facilitator-guide"])
def test_each_section_ends_with_what_to_agree_on(name):
    *asked, before_last, last = sections(name)  # the last one says for both what to agree on
    assert before_last[1]
    for heading, pieces in asked:
        kind, text = pieces[-1]
        agreed = text.startswith("ek.widgets.agreement(") if kind == "code" else "**Agree on:**" in text  # fmt: skip
        assert agreed, heading
    assert last[1]


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_a_few_lines_folded_but_runnable(name):
    code = cells(name, "code")
    assert code[0]["source"] == SETUP
    assert code[0]["metadata"]["tags"] == ["nbval-ignore-output"]
    for cell in code:
        assert cell["metadata"]["jupyter"] == {"source_hidden": True}
        assert cell["source"].count("\n") < 12
        assert max(map(len, cell["source"].splitlines())) <= 120
        # A folded cell shows its first line unbroken: a longer one makes a page of 1280 pixels move sideways.
        assert len(cell["source"].splitlines()[0]) <= 100
        assert not cell["source"].endswith(";")
        compile(cell["source"], name, "exec")


@pytest.mark.parametrize("name", NAMES)
def test_about_as_much_prose_as_code(name):
    markdown, code = len(cells(name, "markdown")), len(cells(name, "code"))
    assert 0.6 <= markdown / code <= 1.7
    assert len(prose(name).split()) >= 120


@pytest.mark.parametrize("name", NAMES)
def test_no_library_logic(name):
    for cell in cells(name, "code"):
        assert not re.search(r"(?m)^\s*(def|class|for|while|with|try|if)\b", cell["source"])
        assert "import polars" not in cell["source"]
        assert "print(" not in cell["source"]


@pytest.mark.parametrize("name", NAMES)
def test_prose_quotes_no_share(name):
    assert set(re.findall(r"\d[\d.,]*\s?%", prose(name))) <= SAID_OF_METHODS


@pytest.mark.parametrize("name", NAMES)
def test_each_chart_of_users_is_one_whose_marks_open(name):
    plain = re.compile(rf"ek\.charts\.({'|'.join(OPENINGS)})\(|ek\.room\.(steps|coming_and_going)\(")
    assert [cell["source"] for cell in cells(name, "code") if plain.search(cell["source"])] == []


# Words of the twelve before they were cut: 6,019, of the first page 682.
MOST_WORDS, MOST_FIRST = 6019 * 2 // 3, 682 // 2
# What each page asks a team to agree on: lines of text, and boxes to write in.
AGREEMENTS = {
    "00-start-here": (4, 1), "01-define-success": (5, 2), "02-check-the-log": (3, 1), "03-cohort-curves": (2, 2), "04-diagnose": (2, 2),
    "05-first-two-weeks": (3, 2), "06-prioritize": (5, 1), "07-plan": (3, 1), "08-weekly-review": (5, 1), "09-monthly-review": (8, 1),
    "real-data": (6, 0),
}  # fmt: skip


def test_the_pages_stay_short():
    words = {name: sum(len(c["source"].split()) for c in cells(name, "markdown")) for name in NAMES if name != "cockpit"}  # fmt: skip
    assert sum(words.values()) <= MOST_WORDS
    assert words["00-start-here"] <= MOST_FIRST


@pytest.mark.parametrize("name", AGREEMENTS)
def test_no_agreement_is_lost(name):
    lines, boxes = AGREEMENTS[name]
    assert prose(name).count("**Agree on:**") >= lines
    assert sum("ek.widgets.agreement(" in c["source"] for c in cells(name, "code")) >= boxes


@pytest.mark.parametrize("name", COURSE[:-2])
def test_each_names_the_next(name):
    following = COURSE[COURSE.index(name) + 1]
    assert f"({following}.ipynb)" in cells(name)[-1]["source"]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)]+)\)", prose(name)):
        assert (FOLDER / target).is_file()
    for named in re.findall(r"`(\d\d-[\w-]+|real-data|facilitator-guide)`", prose(name)):
        assert named in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_stored_and_sound(name):
    code = cells(name, "code")
    assert all(cell["execution_count"] for cell in code)
    assert code[0]["outputs"] == [], "the drawing scripts are not stored"
    assert all(cell["outputs"] for cell in code[1:])
    kinds = {output["output_type"] for output in outputs(name)}
    assert kinds <= {"display_data", "execute_result"}, "no error, no print, no warning"
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_outputs_hold_nothing_of_one_run_or_one_machine(name):
    text = json.dumps(outputs(name))
    for wrong in (r"0x[0-9a-f]{6,}", r'"/(home|root|tmp|work|Users)/', "Warning", "Traceback", "model_id"):  # fmt: skip
        assert not re.search(wrong, text), wrong


@pytest.fixture(scope="module")
def user_ids() -> set[str]:
    ids = ek.load_sample().events.select(pl.col("user_id").unique()).collect()["user_id"]
    return set(ids.drop_nulls())


@pytest.mark.parametrize("name", NAMES)
def test_outputs_name_no_user(name, user_ids):
    assert "u001739" in user_ids
    pictures = re.compile(r"base64,[A-Za-z0-9+/=]+")
    for output in outputs(name):
        words = set(re.findall(r"[\w.@-]+", pictures.sub("", json.dumps(output["data"]))))
        assert words.isdisjoint(user_ids)
        assert "user_id" not in words - {"null"} or name == "02-check-the-log"


@pytest.mark.parametrize("name", NAMES)
def test_each_chart_is_stored_as_a_picture_with_its_numbers(name):
    pages = ["".join(o["data"].get("text/html", "")) for o in outputs(name)]
    charts = [page for page in pages if "data-engagekit-chart" in page]
    assert charts
    for page in charts:
        assert "data:image/svg+xml;base64," in page
        assert "The same numbers as a table" in page
        assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_main_notebook_ends_with_a_loop_and_its_verdict_for_whoever_only_reads_it():
    told = [o["data"] for cell in cells("06-prioritize", "code")[-2:] for o in cell["outputs"]]
    assert "earliest broken link" in "".join(told[0]["text/plain"])
    assert "".join(told[0]["image/png"]).startswith("iVBORw0KGgo")
    assert "Momentum breaks earliest at habit" in "".join(told[-1]["text/plain"])
