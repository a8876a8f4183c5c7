"""The site's link checker and its pages from documents; the whole site is built and checked by its own stage."""

from __future__ import annotations

from pathlib import Path

import pytest
import website

ROOT = Path(__file__).parents[2]


def site(folder: Path, **pages: str) -> Path:
    for name, body in pages.items():
        path = folder / f"{name.replace('__', '/')}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(body, encoding="utf-8")
    return folder


def test_links_that_lead_somewhere_are_no_faults(tmp_path):
    made = site(
        tmp_path,
        index='<a href="deep/er.html#there">x</a><a href="#own">y</a><p id="own"><a href="https://example.org/no">z</a>',
        deep__er='<h2 id="there">t</h2><a href="../index.html?q=1">back</a><a href="mailto:a@example.org">m</a>',
    )
    (made / "llms.txt").write_text("- [Start](index.html#own)", encoding="utf-8")
    assert website.faults(made) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="gone.html">x</a>', "index.html: gone.html leads to no file"),
        ('<img src="gone.png">', "index.html: gone.png leads to no file"),
        ('<a href="two.html#gone">x</a>', "index.html: two.html#gone leads to no such place in two.html"),
        ('<a href="#gone">x</a>', "index.html: #gone leads to no such place in index.html"),
        ('<a href="../../outside.html">x</a>', "index.html: ../../outside.html leads to no file"),
        ('<script src="https://example.org/a.js"></script>', "index.html loads https://example.org/a.js from elsewhere"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "index.html loads //example.org/a.css from elsewhere"),
    ],
)  # fmt: skip
def test_each_fault_is_named(tmp_path, body, said):
    assert website.faults(site(tmp_path, index=body, two="<p id='here'>")) == [said]


def test_a_dead_link_in_the_list_for_assistants_is_named(tmp_path):
    (site(tmp_path, index="<p>") / "llms.txt").write_text("[a](api/gone.html)", encoding="utf-8")
    assert website.faults(tmp_path) == ["llms.txt: api/gone.html leads to no file"]


def test_links_between_documents_become_links_between_pages():
    text = "## What stays where\n\n[a](engagekit/README.md#what-stays-where) ![b](notebooks/pictures/loop.png) [c](https://example.org)\n\n| x |\n|---|\n| `<b>` |\n"
    html = website.from_markdown(text, Path())
    assert '<h2 id="what-stays-where">' in html
    assert 'href="handbook.html#what-stays-where"' in html
    assert 'src="pictures/loop.png"' in html
    assert 'href="https://example.org"' in html
    assert "&lt;b&gt;" in html
    above = website.from_markdown("[up](../README.md)", Path("engagekit"))
    assert 'href="index.html"' in above


def test_the_list_for_assistants_names_what_is_public():
    text = website.for_assistants()
    assert text.startswith("# engagekit\n\n> ")
    for name in ("prioritize", "experiment", "draft", "Journeys", "loop"):
        assert f"- [{name}](api/" in text
    assert all(
        line.rstrip().endswith((".", "?", ":")) for line in text.splitlines() if "](api/" in line
    )
